"""The rungs of a ladder of runs: which scales were trained, and which comes next."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from scalebayes.arguments import check_positive
from scalebayes.questions.along import Together
from scalebayes.questions.paths import observed_scales
from scalebayes.questions.wording import number

_STEP, _LEAST = 4.0, 2.0  # of the next rung, where the last two lie closer together than the least
_SAME = 0.1  # in logs: scales closer than this are one rung


def start_and_ladder(
    sources: Sequence[Together], names: Sequence[str], axis: str, to: float
) -> tuple[float, np.ndarray]:
    """The largest scale at which all groups have runs, and the rungs of the first up to there.

    Raises
    ------
    ValueError
        If a group has runs at one scale only, or the target does not lie beyond the runs.
    """
    check_positive(to, "to", axis)
    seen = [observed_scales(source.runs, axis, level) for source in sources for level in source.levels]
    for name, scales in zip(names, seen, strict=True):
        if len(rungs(scales)) < 2:
            raise ValueError(
                f"{name} has runs at one {axis} only, {number(scales[0])}: how a speed-up changes with scale needs two "
                "rungs or more."
            )
    start = min(float(scales.max()) for scales in seen)
    if to <= start:
        raise ValueError(
            f"the target lies beyond the runs: to={number(to)}, and all groups have runs up to {number(start)}."
        )
    return start, rungs(seen[0][seen[0] <= start * (1 + _SAME)])


def rungs(scales: np.ndarray) -> np.ndarray:
    """The rungs of a ladder: distinct scales, where those within a tenth are one."""
    ordered = np.sort(scales)
    last = np.append(np.diff(np.log(ordered)) > _SAME, True)
    return ordered[last]


def next_rung_of(given: float | None, start: float, ladder: np.ndarray, to: float, axis: str) -> float:
    """The scale of the next rung: as given, or by the step of the last two rungs; at most the target."""
    if given is not None:
        rung = check_positive(given, "next_rung", axis)
        if not start < rung <= to:
            raise ValueError(
                f"the next rung lies beyond the runs, {number(start)}, and not beyond the target, {number(to)}; got "
                f"{number(rung)}."
            )
        return rung
    step = ladder[-1] / ladder[-2] if len(ladder) > 1 else _STEP
    return float(min(to, start * (step if step >= _LEAST else _STEP)))
