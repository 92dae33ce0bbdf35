"""How a run's response scatters about the law's mean: a contract, and a module for each family."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from scalebayes.observations.contract import Observation, check_observation
from scalebayes.observations.counts import BetaBinomial
from scalebayes.observations.logs import Gaussian, StudentT
from scalebayes.observations.scales import Scale

BUILT_IN = (StudentT, Gaussian, BetaBinomial)
# Of the observations that need no argument.
WORDS: Mapping[str, Callable[[], Observation]] = {"student_t": StudentT, "gaussian": Gaussian}

__all__ = ["BUILT_IN", "WORDS", "BetaBinomial", "Gaussian", "Observation", "Scale", "StudentT", "check_observation"]
