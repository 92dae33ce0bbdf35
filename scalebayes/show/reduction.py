"""Picture of runs that were reduced to a frontier or to the best of a sweep: all of them, and those that are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scalebayes.runs.cost import cost_of_runs
from scalebayes.runs.runs import Runs
from scalebayes.show.axes import canvas, colour, dashes, few_ticks, label_log_axis, named, short, title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LOG_FROM = 2.0
_MOST_NAMED = 12


def plot_reduction(before: Runs, after: Runs, *, axis: str | None = None, ax: Axes | None = None) -> Figure:
    """Draw all runs, pale, and those that `frontier` or `best_of` kept.

    Parameters
    ----------
    before : Runs
    after : Runs
        What `frontier`, `best_of` or `thin` made of them.
    axis : str, optional
        An input that is a scale, or ``"C"`` for the cost; by default the cost where it is known, else the first scale.
    ax : matplotlib.axes.Axes, optional
        The panel to draw in; by default that of a new figure.

    Returns
    -------
    matplotlib.figure.Figure
        Neither shown nor saved.

    Raises
    ------
    ValueError
        If there is no such axis.

    Examples
    --------
    >>> runs = sb.read_runs(sb.pile_families(), inputs={"C": "flops"}, response="loss", group="family")
    >>> sb.plot_reduction(runs, sb.frontier(runs), axis="C").axes[0].get_xlabel()
    'C (FLOPs)'
    """
    on = canvas(None if ax is None else [ax], (7.0, 4.4), 1, 1)
    panel = on.panels[0, 0]
    axis, all_scales, scales = _along(before, after, axis)
    for i, level in enumerate(before.levels or (None,)):
        rows = before.rows(level)
        panel.plot(all_scales[rows], before.y[rows], "o", color=colour(i), ms=3, alpha=0.25, mew=0)
        if level is not None and level not in after.levels:
            continue
        own = after.rows(level)
        own = own[np.argsort(scales[own], kind="stable")]
        label = short(level) if level and i < _MOST_NAMED else None
        falls = (np.diff(after.sign * after.y[own]) <= 0).all()  # as a frontier does, and a sweep's cells need not
        line = dashes(i) if falls else "none"
        panel.plot(scales[own], after.y[own], "o", color=colour(i), ls=line, lw=1.0, ms=4.5, label=label)
    logs = (before.y > 0).all() and before.y.max() / before.y.min() > _LOG_FROM
    panel.set(xscale="log", yscale="log" if logs else "linear")
    panel.set_xlabel(named(axis, before.unit(axis)), fontsize=9)
    panel.set_ylabel(before.response, fontsize=9)
    few_ticks(panel, panel.get_xlim()[1] / panel.get_xlim()[0])
    label_log_axis(panel)
    if before.levels:
        panel.legend(fontsize=7, frameon=False)
    title(on, f"{len(after)} of {len(before)} runs (dark): {after.where or 'all'}", ())
    return on.figure


def _along(before: Runs, after: Runs, axis: str | None) -> tuple[str, np.ndarray, np.ndarray]:
    known = cost_of_runs(before)
    if axis is None:
        axis = "C" if known is not None and cost_of_runs(after) is not None else before.scales[0]
    if axis in before.scales:
        return axis, before.x(axis), after.x(axis)
    of_after = cost_of_runs(after)
    if axis != "C" or known is None or of_after is None:
        raise ValueError(f"the runs have no scale {axis!r}; there are {', '.join(before.scales)}.")
    return "C", known, of_after
