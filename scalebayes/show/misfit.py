"""Picture of a misfit: residuals against every input, with the surprising runs by label."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from scalebayes.questions.misfit import Misfit
from scalebayes.show.axes import apart, canvas, colour, few_ticks, named, tidy, title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST_NAMED = 6
_MARKS = "os^D"  # beside the colours, which repeat


def plot_misfit(answer: Misfit, *, ax: Axes | Sequence[Axes] | None = None) -> Figure:
    """Draw the residuals of the runs against every input.

    Each panel has the response over its median in the fit, less 1, in per cent; on another scale than the logarithm its
    distance from the median. Grey bars are the bands of a new run. Surprising runs are ringed and named.

    Parameters
    ----------
    answer : Misfit
    ax : matplotlib.axes.Axes or sequence of them, optional
        Panels to draw in, one for each input; by default those of a new figure.

    Returns
    -------
    matplotlib.figure.Figure
        Neither shown nor saved; ``figure.savefig("misfit.png")`` saves it.

    Examples
    --------
    With the fit of `fit`'s example:

    >>> figure = sb.plot_misfit(sb.misfit(fit))
    >>> figure.axes[0].get_ylabel()
    'loss over its median, less 1 (%)'
    """
    table = answer.table
    inputs = list(table.columns[: table.columns.get_loc("response")].drop(["run", "group"], errors="ignore"))
    if not inputs:  # vectors and schedules have no axis
        table, inputs = table.assign(order=np.arange(len(table))), ["order"]
        answer = replace(answer, table=table, units={"order": "rows of the table"})
    on = canvas(ax, (4.6 * len(inputs) + 1.2, 3.8), 1, len(inputs), sharey=True)
    panels = on.panels[0]
    for panel, name in zip(panels, inputs, strict=True):
        _panel(panel, answer, name)
        panel.set_xlabel(named(name, answer.units[name]))
    in_percent = answer.scale == "log"
    panels[0].set_ylabel(
        f"{answer.response} over its median, less 1 (%)" if in_percent else f"{answer.response} less its median"
    )
    if "group" in table:
        beside = {"loc": "upper left", "bbox_to_anchor": (1.0, 1.0)} if on.own else {}
        panels[-1].legend(fontsize=7, frameon=False, handletextpad=0.2, **beside)
    found = "not tested" if answer.p is None else "they bend away" if answer.bends else "no bend found"
    title(on, f"do the runs follow the law? {found}; ringed: surprising runs", answer.diagnostics.problems)
    return on.figure


def _panel(panel: Axes, answer: Misfit, name: str) -> None:
    table = answer.table
    groups = table.groupby("group") if "group" in table else [("", table)]
    times, unit = (100, "%") if answer.scale == "log" else (1, "")
    ends = (table[end] / table["median"] - 1 if unit else table[end] - table["median"] for end in ("lower", "upper"))
    low, high = (times * end for end in ends)
    panel.vlines(table[name], low, high, color="0.85", lw=2, zorder=0)
    for i, (group, own) in enumerate(groups):
        panel.plot(
            own[name],
            times * own["off"],
            _MARKS[i // 7 % len(_MARKS)],
            ms=4,
            mec="white",
            mew=0.3,
            color=colour(i),
            label=str(group),
        )
    panel.axhline(0.0, color="0.4", lw=0.8, zorder=1)
    # An outlier may lie so far out that nothing else would be seen: the panel ends before it, with a mark at its edge.
    inside = times * table["off"].abs()[~table["outlier"]].max()
    most = 1.25 * max(inside, float(np.abs([low, high]).max()))
    shown = answer.surprising.head(_MOST_NAMED).sort_values("off")
    y = np.clip(times * shown["off"].to_numpy(), -0.94 * most, 0.94 * most)
    panel.plot(shown[name], y, "o", mfc="none", mec="firebrick", ms=8)
    for x, at, off, run, height in zip(
        shown[name], y, shown["off"], shown["run"], apart(y, 0.0756 * most, 0.84 * most), strict=True
    ):
        text = f"   {run} ({times * off:+.2g}{unit})"
        line = {"arrowstyle": "-", "color": "firebrick", "lw": 0.4, "alpha": 0.5, "relpos": (0, 0.5), "shrinkA": 0}
        panel.annotate(text, (x, at), xytext=(x, height), arrowprops=line, fontsize=6.5, color="firebrick", va="center")
    panel.set_ylim(-most, most)
    if (table[name] > 0).all():
        panel.set_xscale("log")
        few_ticks(panel, float(table[name].max() / table[name].min()))
    tidy(panel)
