"""Picture of an allocation: plans on contours of the expected response."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from scalebayes.questions.allocate import Allocation
from scalebayes.questions.wording import number
from scalebayes.show.axes import COLOURS, canvas, few_ticks, named, tidy, title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LEVELS = 14
_PLAN = COLOURS[1]


def plot_allocation(answer: Allocation, *, ax: Axes | Sequence[Axes] | None = None) -> Figure:
    """Draw contours of equal expected response, the runs, and for each budget the plan, its range and the optimum.

    Parameters
    ----------
    answer : Allocation
    ax : matplotlib.axes.Axes or sequence of them, optional
        Panels to draw in, one for each group; by default those of a new figure.

    Returns
    -------
    matplotlib.figure.Figure
        Neither shown nor saved.

    Examples
    --------
    With a fit of ``chinchilla``:

    >>> figure = sb.plot_allocation(sb.allocate(fit, C=[1e21, 1e22]))
    >>> figure.axes[0].get_xlabel()
    'N (parameters)'
    """
    groups = list(answer.draws["group"].to_numpy())
    columns = len(groups) if ax is not None or len(groups) < 4 else 3
    rows = -(-len(groups) // columns)
    wide = 4.6 if columns < 3 else 3.9
    on = canvas(ax, (1.2 + wide * columns, 0.5 + 3.7 * rows), rows, columns, sharex=True, sharey=True)
    for panel in on.panels.flat[len(groups) :]:
        panel.set_visible(False)
    for panel, group in zip(on.panels.flat, groups, strict=False):
        _contours(panel, answer, group)
    first, second = (
        named(name, "" if name == unit else unit) for name, unit in zip(answer.over, answer.units, strict=True)
    )
    for panel in on.panels[-1]:
        panel.set_xlabel(first, fontsize=9)
    for panel in on.panels[:, 0]:
        panel.set_ylabel(second, fontsize=9)
    within = f"point: plan; thick: expected {answer.response} within {number(answer.margin)} of the best"
    title(
        on, f"{answer.law}: {within}; thin: {100 * answer.prob:g}% interval of the optimum", answer.diagnostics.problems
    )
    return on.figure


def _contours(panel: Axes, answer: Allocation, group: str) -> None:
    level = group or None
    table = answer.table if level is None else answer.table[answer.table["group"] == level]
    profile = answer.profile if level is None else answer.profile[answer.profile["group"] == level]
    runs = answer.runs if level is None else answer.runs[answer.runs["group"] == level]
    first, second = answer.over
    n, d = (answer.contours[name].to_numpy() for name in answer.over)
    loss = answer.contours.sel(group=group).to_numpy()
    # Levels are even in logs of the response above its minimum; evenly spaced ones would crowd where it is steep.
    above = np.log(loss - loss.min() + 0.01 * np.ptp(loss))
    levels = np.exp(np.linspace(above.min(), above.max(), _LEVELS)) + loss.min() - 0.01 * np.ptp(loss)
    lines = panel.contour(n, d, loss, levels=levels[1:-1], colors="0.75", linewidths=0.7)
    panel.clabel(lines, fontsize=6, fmt="%.3g")
    panel.plot(runs[first], runs[second], ".", color="0.4", ms=3)
    panel.plot(table["plan_n"], table["plan_d"], "o", color=_PLAN, ms=4, zorder=4)
    for row in table.to_dict("records"):
        own = profile[(profile["C"] == row["C"]) & (profile[first].between(row["near_n_lower"], row["near_n_upper"]))]
        panel.plot(own[first], own[second], color=_PLAN, lw=4, alpha=0.35, solid_capstyle="round")
        panel.plot(
            [row["n_opt_lower"], row["n_opt_upper"]], [row["d_opt_upper"], row["d_opt_lower"]], color=_PLAN, lw=1.2
        )
    panel.set(xscale="log", yscale="log", xlim=(n[0], n[-1]), ylim=(d[0], d[-1]))
    tidy(panel)
    few_ticks(panel, n[-1] / n[0])
    if level is not None:
        panel.set_title(level, fontsize=9)
