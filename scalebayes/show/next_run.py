"""Picture of the next run: the expected reduction of each candidate, and its cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from scalebayes.questions.next_run import NextRun
from scalebayes.questions.wording import number
from scalebayes.show.axes import canvas, colour, few_ticks, tidy, title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST_CANDIDATES = 15


def plot_next_run(answer: NextRun, *, ax: Sequence[Axes] | None = None) -> Figure:
    """Draw the expected reduction of each candidate, the best first, and the reductions against cost.

    Parameters
    ----------
    answer : NextRun
    ax : sequence of 2 matplotlib.axes.Axes, optional
        Panels to draw in, for the reductions and their cost; by default those of a new figure.

    Returns
    -------
    matplotlib.figure.Figure
        Neither shown nor saved.

    Examples
    --------
    With the fit of `fit`'s example:

    >>> import pandas as pd
    >>> candidates = pd.DataFrame({"family": ["Cerebras-GPT", "Pythia"], "C": 1e23})
    >>> answer = sb.next_run(fit, candidates=candidates, goal="decision", axis="C", to=1e24)
    >>> figure = sb.plot_next_run(answer)
    >>> figure.axes[0].get_xlabel()
    'expected reduction'
    """
    table = answer.table.head(_MOST_CANDIDATES)
    on = canvas(ax, (11, max(2.8, 1.2 + 0.3 * len(table))), 1, 2)
    left, right = on.panels[0]
    y = np.arange(len(table))[::-1]
    names = [answer.run_in_words(row) for _, row in table.iterrows()]
    left.barh(y, table["reduction"], xerr=2 * table["se"], color=colour(0), alpha=0.7, height=0.7)
    left.set_yticks(y, names, fontsize=8)
    left.set_xlabel("expected reduction", fontsize=9)
    left.locator_params(axis="x", nbins=5)  # small reductions have long labels
    right.errorbar(
        answer.table["cost"], answer.table["reduction"], 2 * answer.table["se"], fmt="o", ms=4, lw=1, color=colour(0)
    )
    right.set(xscale="log")
    right.set_xlabel("cost of the run (FLOPs)", fontsize=9)
    right.set_ylabel("expected reduction", fontsize=9)
    few_ticks(right, right.get_xlim()[1] / right.get_xlim()[0])
    for panel in (left, right):
        tidy(panel)
        panel.axvline(0, color="0.6", lw=0.8) if panel is left else panel.axhline(0, color="0.6", lw=0.8)
    title(
        on,
        f"what each run would teach ({answer.goal}); now {number(answer.now)}; bars: twice the Monte Carlo error",
        answer.diagnostics.problems,
    )
    return on.figure
