"""How a run's response scatters about the law's mean: a contract, and a module for each family."""

from scalebayes.observations.contract import Observation, check_observation
from scalebayes.observations.counts import BetaBinomial
from scalebayes.observations.logs import Gaussian, StudentT
from scalebayes.observations.scales import Scale

BUILT_IN = (StudentT, Gaussian, BetaBinomial)

__all__ = ["BUILT_IN", "BetaBinomial", "Gaussian", "Observation", "Scale", "StudentT", "check_observation", "named"]


def named(word: str) -> Observation | None:
    """The built-in observation of that name with its default priors; None if there is none."""
    return next((each() for each in (StudentT, Gaussian) if each.word == word), None)
