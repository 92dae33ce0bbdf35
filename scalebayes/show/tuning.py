"""Picture of a tuning: the expected response along each setting, its optimum, and the runs' own settings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from scalebayes.questions.tune import Tuning
from scalebayes.questions.wording import number
from scalebayes.show.axes import canvas, colour, few_ticks, tidy, title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST = 6  # points drawn


def plot_tuning(answer: Tuning, *, ax: Axes | Sequence[Axes] | None = None) -> Figure:
    """Draw the expected response along each tuned input, with the band of the optimum and the runs' own settings.

    Parameters
    ----------
    answer : Tuning
    ax : matplotlib.axes.Axes or sequence of them, optional
        Panels to draw in, one for each group and tuned input, group by group; by default those of a new figure.

    Returns
    -------
    matplotlib.figure.Figure
        Neither shown nor saved: a row for each group, a panel for each tuned input.

    Examples
    --------
    With a fit of ``step_law``:

    >>> figure = sb.plot_tuning(sb.tune(fit, at={"N": 1e9, "D": 2e10}))
    >>> [panel.get_xlabel() for panel in figure.axes]
    ['lr', 'batch']
    """
    groups = list(answer.draws["group"].to_numpy())
    size = (1.0 + 4.2 * len(answer.over), 0.7 + 3.0 * len(groups))
    on = canvas(ax, size, len(groups), len(answer.over))
    for row, group in zip(on.panels, groups, strict=True):
        for panel, name in zip(row, answer.over, strict=True):
            _curves(panel, answer, group or None, name)
        if group:
            row[0].set_title(group, fontsize=9, loc="left")
    title(
        on,
        f"{answer.law}: expected {answer.response}, the other settings at their best; bars: "
        f"{100 * answer.prob:g}% of the optimum; ticks: settings of the runs",
        answer.diagnostics.problems,
    )
    return on.figure


def _curves(panel: Axes, answer: Tuning, group: str | None, name: str) -> None:
    of = lambda frame: frame if group is None else frame[frame["group"] == group]  # noqa: E731
    table, curves, runs = of(answer.table), of(answer.curves), of(answer.runs)
    low, high = runs[name].min() / 3, runs[name].max() * 3
    heights = []
    for i, (_, row) in enumerate(list(table.iterrows())[:_MOST]):
        own = curves[(curves["point"] == i) & (curves["input"] == name)]
        own = own[own["value"].between(low, high)]
        line = panel.plot(own["value"], own["response"], lw=1.5, color=colour(i))[0]
        panel.plot(row[f"{name}_best"], row["response"], "o", ms=5, color=line.get_color(), zorder=4)
        ends = [row[f"{name}_lower"], row[f"{name}_upper"]]
        panel.plot(ends, [row["response"]] * 2, lw=4, alpha=0.4, color=line.get_color(), solid_capstyle="butt")
        if answer.held:
            said = ", ".join(f"{held} = {number(row[held])}" for held in answer.held)
            panel.annotate(
                said,
                (row[f"{name}_best"], row["response"]),
                (0, -11),
                textcoords="offset points",
                ha="center",
                fontsize=7,
                color=line.get_color(),
            )
        heights.append((row["response"], own["response"].max()))
    bottom, top = min(h[0] for h in heights), max(h[1] for h in heights)
    room = 0.14 * (top - bottom)
    panel.set(xscale="log", xlim=(low, high), ylim=(bottom - 1.6 * room, top + 0.5 * room))
    used = np.unique(runs[name])
    panel.plot(used, np.full(len(used), bottom - 1.4 * room), "|", color="0.45", ms=7)
    panel.set_xlabel(name, fontsize=9)
    panel.set_ylabel(answer.response, fontsize=9)
    tidy(panel)
    few_ticks(panel, high / low)
