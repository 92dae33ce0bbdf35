"""Picture of a comparison: differences between groups, parameter by parameter."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scalebayes.questions.compare import Comparison
from scalebayes.show.axes import title

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def plot_comparison(answer: Comparison) -> Figure:
    """Draw the difference of every parameter between each pair of groups, with its interval.

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
        y = np.arange(len(part))[::-1]
        panel.axvline(0, color="0.6", lw=0.8)
        if np.isfinite(part["margin"].iloc[0]):
            panel.axvspan(-part["margin"].iloc[0], part["margin"].iloc[0], color="0.5", alpha=0.15, lw=0)
        panel.hlines(y, part["lower"], part["upper"], color="C0", lw=1.6)
        panel.plot(part["mean"], y, "o", color="C0", ms=4)
        panel.set_title(f"{name} ({part['scale'].iloc[0]})", fontsize=9)
        panel.set_yticks(y, [f"{a} - {b}" for a, b in zip(part["a"], part["b"], strict=True)], fontsize=8)
        panel.set_ylim(-0.6, len(part) - 0.4)
        panel.tick_params(labelsize=8)
    title(figure, f"differences between groups, {100 * answer.prob:g}% intervals", answer.diagnostics.problems)
    return figure
