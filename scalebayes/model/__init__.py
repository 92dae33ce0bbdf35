"""A model: a law, the runs, priors over its parameters and groups, and noise."""

from scalebayes.model.discrepancy import Drift, Surface
from scalebayes.model.model import Model
from scalebayes.model.noise import Gaussian, StudentT

__all__ = ["Drift", "Gaussian", "Model", "StudentT", "Surface"]
