"""How far an answer goes beyond the runs, and how far bands of its kind were tested on published runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

import numpy as np

from scalebayes.fits.averaging import Average, members
from scalebayes.fits.fit import Fit
from scalebayes.inference.diagnostics import Diagnostics
from scalebayes.model import Model
from scalebayes.questions.wording import factor, number, response
from scalebayes.runs import Runs

# From benchmarks/extrapolation.md: the share of published runs in 89% bands, by how far they lie beyond the known runs.
# Few-shot curves by multiples of their largest scale, each fitted alone.
_CURVES: Mapping[str, Mapping[float, float]] = MappingProxyType(
    {
        "power_floor": {2: 0.72, 3: 0.71, 10: 0.60, 33: 0.21},
        "power_floor+drift": {2: 0.84, 3: 0.96, 10: 0.86, 33: 0.87},
        "shifted_power+drift": {2: 0.76, 3: 0.90, 10: 0.88, 33: 0.89},
    }
)
# Final runs, by multiples of the largest input.
_FINAL: Mapping[str, Mapping[float, float]] = MappingProxyType(
    {"chinchilla": {5: 0.73}, "chinchilla+surface": {5: 0.91}}
)


def tested(model: Model, distance: float) -> str:
    """A sentence on how bands of this law and discrepancy did on published runs so far out; empty among the runs.

    Parameters
    ----------
    model : Model
    distance : float
        The largest multiple of an input, or of the scale along a curve, beyond the runs.
    """
    if distance <= 1:
        return ""
    along_one = len(model.runs.scales) == 1
    name = model.name + (f"+{model.said_discrepancy}" if model.discrepancy else "")
    law = f"of {model.name} alone" if not model.discrepancy else f"of {model.name} with {model.said_discrepancy}"
    known = (_CURVES if along_one else _FINAL).get(name)
    form = "" if model.departs else f" They take the form of {model.name} for true; discrepancy='auto' does not."
    if known is None:
        return f"89% bands {law} have not been tested on published runs; sb.backtest tests them on your own.{form}"
    enough = [far for far in known if far >= distance]
    far = min(enough, default=max(known))
    what = "the runs of published few-shot curves" if along_one else "the largest published final runs"
    said = f"89% bands {law} held {known[far]:.0%} of {what} up to {factor(far)} beyond the known ones"
    return f"{said}.{form}" if enough else f"{said}, and farther out they have not been tested.{form}"


def with_distance(fit: Fit | Average, distance: float, unseen: str = "") -> Diagnostics:
    """The diagnostics of a fit or an average, with a remark on how its bands did on published runs so far out.

    Parameters
    ----------
    fit : Fit or Average
    distance : float
        As in `tested`; 1 or less among the runs, infinite for a response that is probably never reached.
    unseen : str
        A sentence on a response that no run has, to come first.
    """
    said = dict.fromkeys([unseen, *(tested(each.model, distance) for each, _ in members(fit))])
    found = fit.diagnostics
    return replace(found, remarks=(*(sentence for sentence in said if sentence), *found.remarks))


def unseen_response(runs: Runs, levels: Sequence[str | None], target: float) -> str:
    """A sentence where some groups have no run as good as a target; empty if all have.

    Parameters
    ----------
    runs : Runs
    levels : sequence of str or None
        The groups; None for all runs together.
    target : float
    """
    best = {level: runs.sign * float(np.min(runs.sign * runs.y[runs.rows(level)])) for level in levels}
    lacking = {level: value for level, value in best.items() if runs.sign * value > runs.sign * target}
    if not lacking:
        return ""
    of = ", ".join(f"{level} (its best has {response(value)})" for level, value in lacking.items() if level)
    (value, *_) = lacking.values()
    whose = f" of {of}" if of else f" (the best has {response(value)})"
    return f"No run{whose} is as good as {runs.response} {number(target)}: the answer rests on the form of the law."


def in_inputs(runs: Runs, axis: str, factor: float) -> float:
    """A multiple along an axis as one of the largest input: along C both N and D grow, each by about its root."""
    return factor if axis in runs.scales else float(np.sqrt(factor))
