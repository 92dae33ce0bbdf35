"""Frontiers: of many runs those that no cheaper run equals, by bins of the scale."""

from __future__ import annotations

from dataclasses import replace
from numbers import Real

import numpy as np

from scalebayes.arguments import nearest, quoted
from scalebayes.runs.cost import needed_cost, order_of_runs
from scalebayes.runs.runs import Runs


def frontier(runs: Runs, *, axis: str | None = None, per_decade: float = 4, quantile: float = 0.0) -> Runs:
    """Keep the lower envelope of the runs over one scale: in each bin the best, if no smaller run is as good.

    The best of several noisy runs is better than a typical best run, by about the noise between them; ``quantile``
    takes a run that is not the luckiest. To reduce sweeps of hyper-parameters at the same inputs, see `best_of`.

    Parameters
    ----------
    runs : Runs
        Each group has its own frontier.
    axis : str, optional
        An input that is a scale, or ``"C"`` for the cost in FLOPs. By default the only scale, or the cost.
    per_decade : float
        Number of bins for each factor of ten.
    quantile : float
        Which run of a bin is kept: 0 the best, 0.5 the median one.

    Returns
    -------
    Runs
        The runs on the frontier; those left out are counted in ``excluded``.

    Raises
    ------
    ValueError
        If the axis does not exist, the cost is not known, there is no positive number of bins, or the quantile does not
        lie between 0 and 1.

    Examples
    --------
    >>> import pandas as pd
    >>> from scalebayes import read_runs
    >>> table = pd.DataFrame({"C": [1e18, 1.1e18, 1e19, 1e20], "loss": [3.4, 3.5, 3.0, 3.1]})
    >>> frontier(read_runs(table), axis="C").table["loss"].tolist()
    [3.4, 3.0]
    """
    if not isinstance(per_decade, Real) or isinstance(per_decade, bool) or not 0 < per_decade < 1000:
        raise ValueError(f"per_decade is a positive number of bins, got {quoted(per_decade)}.")
    if not isinstance(quantile, Real) or isinstance(quantile, bool) or not 0 <= quantile < 1:
        raise ValueError(f"quantile lies from 0 (the best run of a bin) to below 1, got {quoted(quantile)}.")
    scale = _scales(runs, axis)
    y = runs.sign * runs.y
    # A small shift, so that nominal budgets such as 1e18 do not lie on the edge of a bin.
    bins = np.floor(np.log10(scale) * per_decade + 0.25)
    kept = np.zeros(len(runs), bool)
    for level in runs.levels or (None,):
        rows = runs.rows(level)
        best = np.inf
        for each in np.unique(bins[rows]):
            own = rows[bins[rows] == each]
            ordered = own[np.argsort(y[own], kind="stable")]
            chosen = ordered[int(quantile * len(ordered))]
            if y[chosen] < best:
                kept[chosen], best = True, y[chosen]
    said = f"frontier along {axis or 'the cost'}, {per_decade:g} bins a decade"
    said += f", quantile {quantile:g}" if quantile else ""
    where = f"{runs.where}; {said}" if runs.where else said
    return replace(runs, table=runs.table[kept], where=where, excluded=runs.excluded + int((~kept).sum()))


def _scales(runs: Runs, axis: str | None) -> np.ndarray:
    if axis is None:
        return order_of_runs(runs)
    if axis in runs.scales:
        return runs.x(axis)
    if axis != "C":
        known = [*runs.scales, "C"]
        raise ValueError(f"the runs have no scale {axis!r}{nearest(axis, known)}; there are {', '.join(known)}.")
    return needed_cost(runs)
