"""A model: a law, the runs, priors over its parameters and groups, an observation, and how runs depart from the law."""

from scalebayes.model.model import Model

__all__ = ["Model"]
