"""Picture of a comparison: differences between groups, parameter by parameter."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scalebayes.questions.compare import Comparison
from scalebayes.show.axes import few_ticks, title

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def plot_comparison(answer: Comparison) -> Figure:
    """Draw the difference of every parameter between each pair of groups, and how fast they are, with intervals.

    Parameters
    ----------
    answer : Comparison

    Returns
    -------
    matplotlib.figure.Figure
        Neither shown nor saved.
    """
    from matplotlib.figure import Figure

    parts = list(answer.table.groupby("parameter", sort=False))
    pairs = max(len(part) for _, part in parts)
    figure = Figure(figsize=(2.6 * len(parts) + 1.8, 1.4 + 0.35 * pairs), layout="constrained", dpi=150)
    panels = figure.subplots(1, len(parts), squeeze=False, sharey=True)[0]
    for panel, (name, part) in zip(panels, parts, strict=True):
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
        panel.hlines(y, ends[:, 0], ends[:, 2], color="C0", lw=1.6)
        for x, height, shape in zip(ends[:, 1], y, marker, strict=True):
            panel.plot(x, height, shape, color="C0", ms=4 if shape == "o" else 7, clip_on=False)
        what = f"times the {answer.axis}, {part['at'].iloc[0]}" if factors else part["scale"].iloc[0]
        panel.set_title(f"{name} ({what})", fontsize=9)
        panel.set_yticks(y, [f"{a} - {b}" for a, b in zip(part["a"], part["b"], strict=True)], fontsize=8)
        panel.set_ylim(-0.6, len(part) - 0.4)
        panel.tick_params(labelsize=8)
    title(figure, f"differences between groups, {100 * answer.prob:g}% intervals", answer.diagnostics.problems)
    return figure
