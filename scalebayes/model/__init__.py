"""A model: a law, the runs, priors over its parameters and groups, and noise."""

from scalebayes.discrepancy.discrepancy import Drift, Surface
from scalebayes.model.model import Model
from scalebayes.observations.noise import Gaussian, StudentT

__all__ = ["Drift", "Gaussian", "Model", "StudentT", "Surface"]
