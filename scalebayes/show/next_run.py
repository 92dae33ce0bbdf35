"""Picture of the next run: the expected reduction of each candidate, and its cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scalebayes.questions.next_run import NextRun
from scalebayes.questions.wording import number
from scalebayes.show.axes import title

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MOST_CANDIDATES = 15


def plot_next_run(answer: NextRun) -> Figure:
    """Draw the expected reduction of each candidate, the best first, and the reductions against cost.

    Parameters
    ----------
    answer : NextRun

    Returns
    -------
    matplotlib.figure.Figure
        Neither shown nor saved.
    """
    from matplotlib.figure import Figure

    table = answer.table.head(_MOST_CANDIDATES)
    figure = Figure(figsize=(11, 1.2 + 0.3 * len(table)), layout="constrained", dpi=150)
    left, right = figure.subplots(1, 2)
    y = np.arange(len(table))[::-1]
    names = [answer.run_in_words(row) for _, row in table.iterrows()]
    left.barh(y, table["reduction"], xerr=2 * table["se"], color="C0", alpha=0.7, height=0.7)
    left.set_yticks(y, names, fontsize=8)
    left.set_xlabel("expected reduction", fontsize=9)
    left.locator_params(axis="x", nbins=5)  # small reductions have long labels
    right.errorbar(answer.table["cost"], answer.table["reduction"], 2 * answer.table["se"], fmt="o", ms=4, lw=1)
    right.set(xscale="log")
    right.set_xlabel("cost in FLOPs", fontsize=9)
    for panel in (left, right):
        panel.tick_params(labelsize=8)
        panel.axvline(0, color="0.6", lw=0.8) if panel is left else panel.axhline(0, color="0.6", lw=0.8)
    title(
        figure,
        f"what each run would teach ({answer.goal}); now {number(answer.now)}; bars: twice the Monte Carlo error",
        answer.diagnostics.problems,
    )
    return figure
