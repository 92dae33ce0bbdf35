"""Thinning: fewer runs along each curve, evenly spaced in logs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from scalebayes.arguments import is_whole, quoted
from scalebayes.runs.curves import curves
from scalebayes.runs.reading import check_input
from scalebayes.runs.runs import Runs


def thin(runs: Runs, points: int = 24, *, along: str | None = None) -> Runs:
    """Keep some runs of every curve, spread evenly over the logarithm of the scale, always with its largest run.

    Parameters
    ----------
    runs : Runs
        Each group is a curve.
    points : int
        Most runs kept of each curve.
    along : str, optional
        The input that a curve is along, such as ``"D"``; not needed if there is one, or one was named in `read_runs`.

    Returns
    -------
    Runs
        The runs that are kept; those left out are counted in ``excluded``.

    Raises
    ------
    ValueError
        If it is not clear along which input, a value of it is not a positive finite number, or ``points`` is below 2.

    Examples
    --------
    >>> import pandas as pd
    >>> from scalebayes import read_runs
    >>> table = pd.DataFrame({"D": range(1000, 101000, 1000), "loss": [2 + 1 / k for k in range(1, 101)]})
    >>> thin(read_runs(table), 5).table["D"].tolist()
    [1000, 3000, 10000, 32000, 100000]
    """
    # An input that was named and is no longer there was dropped for a law without it.
    named = [along] if along else sorted(runs.named & set(runs.scales)) or list(runs.scales)
    if len(named) != 1 or named[0] not in runs.scales:
        raise ValueError(
            f"say along which input the curves are: along= one of {', '.join(runs.scales)}; got {quoted(along)}."
        )
    if not is_whole(points, 2):
        raise ValueError(f"points is a whole number from 2 on, got {quoted(points)}.")
    check_input(runs, named[0])
    log_x = np.log(runs.x(named[0]))
    kept = np.zeros(len(runs), bool)
    for _, rows in curves(runs):
        kept[rows[spread(log_x[rows], points)]] = True
    if kept.all():
        return runs
    thinned = f"thinned to {points} along each curve"
    where = f"{runs.where}; {thinned}" if runs.where else thinned
    return replace(runs, table=runs.table[kept], where=where, excluded=runs.excluded + int((~kept).sum()))


def spread(log_x: np.ndarray, points: int) -> np.ndarray:
    """Positions of at most ``points`` values that lie nearest to an even grid, from the largest downwards."""
    order = np.argsort(-log_x, kind="stable")
    if len(log_x) <= points:
        return order
    first, *left = order
    chosen = [first]
    while left and len(chosen) < points:
        # The grid is spread again after each choice, so that a gap in the curve costs no points.
        still = points - len(chosen)
        target = log_x[chosen[-1]] - (log_x[chosen[-1]] - log_x[left[-1]]) / still
        nearest = min(int(np.argmin(np.abs(log_x[left] - target))), len(left) - still)
        chosen.append(left[nearest])
        left = left[nearest + 1 :]
    return np.asarray(chosen)
