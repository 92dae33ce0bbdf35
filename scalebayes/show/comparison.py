"""Picture of a comparison: differences between groups, parameter by parameter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from scalebayes.questions.compare import Comparison
from scalebayes.show.axes import canvas, colour, few_ticks, tidy, title

_MOST_PAIRS = 24

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def plot_comparison(answer: Comparison, *, ax: Axes | Sequence[Axes] | None = None) -> Figure:
    """Draw the difference of every parameter between each pair of groups, and how fast they are, with intervals.

    Parameters
    ----------
    answer : Comparison
    ax : matplotlib.axes.Axes or sequence of them, optional
        Panels to draw in, one for each parameter or speed; by default those of a new figure.

    Returns
    -------
    matplotlib.figure.Figure
        Neither shown nor saved.

    Examples
    --------
    With the fit of `fit`'s example:

    >>> figure = sb.plot_comparison(sb.compare(fit))
    >>> [panel.get_title() for panel in figure.axes]
    ['E (difference)', 'A (log ratio)', 'alpha (difference)']
    """
    shown = _clearest(answer.table)
    parts = [(name, part[_pairs(part).isin(shown)]) for name, part in answer.table.groupby("parameter", sort=False)]
    pairs = max(len(part) for _, part in parts)
    on = canvas(ax, (2.6 * len(parts) + 1.8, 1.4 + 0.35 * pairs), 1, len(parts), sharey=True)
    for panel, (name, part) in zip(on.panels[0], parts, strict=True):
        marker = np.full(len(part), "o")
        y, factors = np.arange(len(part))[::-1], part["scale"].iloc[0] == "factor"
        panel.axvline(float(factors), color="0.6", lw=0.8)
        if np.isfinite(part["margin"].iloc[0]):
            panel.axvspan(-part["margin"].iloc[0], part["margin"].iloc[0], color="0.5", alpha=0.15, lw=0)
        ends = part[["lower", "median", "upper"]].to_numpy(float)
        if factors:
            # An end at zero or infinity, where only one group gets there, is drawn to the edge of the panel.
            finite = ends[np.isfinite(ends) & (ends > 0)]
            edges = finite.min(initial=1.0) / 2, finite.max(initial=1.0) * 2
            marker = np.where(ends[:, 1] > edges[1], ">", np.where(ends[:, 1] < edges[0], "<", "o"))
            ends = np.clip(ends, *edges)
            panel.set(xscale="log", xlim=edges)
            few_ticks(panel, edges[1] / edges[0])
        panel.hlines(y, ends[:, 0], ends[:, 2], color=colour(0), lw=1.6)
        for x, height, shape in zip(ends[:, 1], y, marker, strict=True):
            panel.plot(x, height, shape, color=colour(0), ms=4 if shape == "o" else 7, clip_on=False)
        what = f"times the {answer.axis}, {part['at'].iloc[0]}" if factors else part["scale"].iloc[0]
        panel.set_title(f"{name} ({what})", fontsize=9)
        panel.set_yticks(y, [f"{a} - {b}" for a, b in zip(part["a"], part["b"], strict=True)], fontsize=8)
        panel.set_ylim(-0.6, len(part) - 0.4)
        tidy(panel)
    of = len(_pairs(answer.table).unique())
    only = f"; the {len(shown)} pairs that differ most surely, of {of}" if len(shown) < of else ""
    title(on, f"differences between groups, {100 * answer.prob:g}% intervals{only}", answer.diagnostics.problems)
    return on.figure


def _pairs(table: pd.DataFrame) -> pd.Series:
    return table["a"] + " - " + table["b"]


def _clearest(table: pd.DataFrame) -> list[str]:
    """The pairs for whose parameters zero, or a factor of one, lies farthest out; no more than fit a picture."""
    ends = table[["lower", "median", "upper"]].to_numpy(float)
    with np.errstate(divide="ignore", invalid="ignore"):
        ends = np.where((table["scale"] == "factor").to_numpy()[:, None], np.log(ends), ends)
        far = np.abs(ends[:, 1]) / (ends[:, 2] - ends[:, 0])
    most = pd.Series(np.nan_to_num(far), index=_pairs(table)).groupby(level=0, sort=False).max()
    kept = set(most.nlargest(_MOST_PAIRS).index)
    return [pair for pair in most.index if pair in kept]
