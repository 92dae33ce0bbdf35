"""How a run's response scatters about the law's mean: a contract, and a module for each family."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from scalebayes.observations.contract import Observation, check_observation
from scalebayes.observations.counts import BetaBinomial, Binomial, NegativeBinomial
from scalebayes.observations.noise import ExGaussian, Gaussian, StudentT
from scalebayes.observations.scales import Scale

BUILT_IN = (StudentT, Gaussian, ExGaussian, BetaBinomial, Binomial, NegativeBinomial)
# Of the observations that need no argument.
WORDS: Mapping[str, Callable[[], Observation]] = {
    "student_t": StudentT,
    "gaussian": Gaussian,
    "ex_gaussian": ExGaussian,
}

__all__ = [
    "BUILT_IN",
    "WORDS",
    "BetaBinomial",
    "Binomial",
    "ExGaussian",
    "Gaussian",
    "NegativeBinomial",
    "Observation",
    "Scale",
    "StudentT",
    "check_observation",
]
