"""Picture of an allocation: plans on contours of the expected response."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scalebayes.questions.allocate import Allocation
from scalebayes.questions.wording import number
from scalebayes.show.axes import named, title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LEVELS = 14


def plot_allocation(answer: Allocation) -> Figure:
    """Draw contours of equal expected response, the runs, and for each budget the plan, its range and the optimum.

    Parameters
    ----------
    answer : Allocation

    Returns
    -------
    matplotlib.figure.Figure
        Neither shown nor saved.
    """
    from matplotlib.figure import Figure

    groups = list(answer.draws["group"].to_numpy())
    figure = Figure(figsize=(1.2 + 4.6 * len(groups), 4.2), layout="constrained", dpi=150)
    panels = figure.subplots(1, len(groups), squeeze=False, sharex=True, sharey=True)[0]
    for panel, group in zip(panels, groups, strict=True):
        _contours(panel, answer, group)
    first, second = (
        named(name, "" if name == unit else unit) for name, unit in zip(answer.over, answer.units, strict=True)
    )
    figure.supxlabel(first, fontsize=10)
    figure.supylabel(second, fontsize=10)
    within = f"thick: expected {answer.response} within {number(answer.margin)} of the best"
    title(figure, f"{answer.law}: {within}; bars: {100 * answer.prob:g}% of the optimum", answer.diagnostics.problems)
    return figure


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
    panel.plot(table["plan_n"], table["plan_d"], "o", color="C3", ms=4, zorder=4)
    for row in table.to_dict("records"):
        own = profile[(profile["C"] == row["C"]) & (profile[first].between(row["near_n_lower"], row["near_n_upper"]))]
        panel.plot(own[first], own[second], color="C3", lw=4, alpha=0.35, solid_capstyle="round")
        panel.plot(
            [row["n_opt_lower"], row["n_opt_upper"]], [row["d_opt_upper"], row["d_opt_lower"]], color="C3", lw=1.2
        )
    panel.set(xscale="log", yscale="log", xlim=(n[0], n[-1]), ylim=(d[0], d[-1]))
    panel.tick_params(labelsize=8)
    if level is not None:
        panel.set_title(level, fontsize=9)
