"""What a run costs in another unit than the scale: hours, dollars, seconds at a throughput."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scalebayes.arguments import nearest
from scalebayes.questions.paths import observed_scales
from scalebayes.runs.runs import Runs, numbers

THROUGHPUT = "tokens_per_second"
_SAME = 1e-6


@dataclass(frozen=True)
class Price:
    """A price as a power of the scale.

    Parameters
    ----------
    factor, exponent : float
        ``factor * scale**exponent``; an exponent of zero stands for the scale itself.
    """

    factor: float
    exponent: float

    def at(self, scale: np.ndarray | float) -> np.ndarray:
        """The price of a run at a scale."""
        return self.factor * np.asarray(scale, float) ** self.exponent


def price_of(runs: Runs, axis: str, level: str | None, column: str, name: str) -> Price:
    """The price of a group's runs as a power of the scale, by least squares in logs.

    Parameters
    ----------
    runs : Runs
    axis : str
    level : str or None
        The group.
    column : str
        What a run cost, or tokens per second.
    name : str
        The group in messages.

    Raises
    ------
    ValueError
        If there is no such column, it is not a positive number for every run of the group, or a throughput is given and
        the law has no tokens D.
    """
    if column not in runs.table:
        raise ValueError(
            f"the runs have no column {column!r}{nearest(column, runs.table.columns)} that says what a run cost."
        )
    rows = runs.rows(level)
    paid = numbers(runs.table[column])[rows]
    bad = ~(np.isfinite(paid) & (paid > 0))
    if bad.any():
        raise ValueError(
            f"{column} must be a positive number for every run; {bad.sum()} of the {len(rows)} runs of {name} have "
            f"none, first: run {runs.labels[rows[np.flatnonzero(bad)[0]]]}."
        )
    if column == THROUGHPUT:
        if "D" not in runs.inputs:
            raise ValueError(
                f"{THROUGHPUT} gives the seconds of a run with its tokens, D, which are not among the inputs "
                f"({', '.join(runs.inputs)}); name a column with what a run cost."
            )
        paid = runs.x("D")[rows] / paid
    log_x, log_paid = np.log(observed_scales(runs, axis, level)), np.log(paid)
    slope = float(np.polyfit(log_x, log_paid, 1)[0]) if np.ptp(log_x) > _SAME else 1.0
    if slope <= 0:
        raise ValueError(
            f"{column} does not grow with {axis} among the runs of {name} (as its power {slope:.2g}); a speed-up in a "
            "price needs one that grows."
        )
    return Price(float(np.exp((log_paid - slope * log_x).mean())), slope)
