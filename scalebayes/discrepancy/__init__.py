"""How runs depart from every law beyond their noise: a contract, and a module for each family."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from scalebayes.discrepancy.contract import AtRuns, Departure, Errors, Situation, Term, integrated_of, sampled_of
from scalebayes.discrepancy.drift import Drift
from scalebayes.discrepancy.evaluation_effects import EvaluationEffects
from scalebayes.discrepancy.run_effects import RunEffects
from scalebayes.discrepancy.surface import Surface

BUILT_IN = (Drift, Surface, RunEffects, EvaluationEffects)
WORDS: Mapping[str, Callable[[], Term]] = {
    "drift": Drift,
    "correlated": lambda: Drift(drift=None),
    "surface": Surface,
    "still surface": lambda: Surface(drift=None),
    "run effects": RunEffects,
    "evaluation effects": EvaluationEffects,
}

__all__ = [
    "BUILT_IN",
    "WORDS",
    "AtRuns",
    "Departure",
    "Drift",
    "Errors",
    "EvaluationEffects",
    "RunEffects",
    "Situation",
    "Surface",
    "Term",
    "integrated_of",
    "sampled_of",
]
