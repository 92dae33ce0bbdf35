"""Picture of whether there are enough runs: what each candidate would save, beside what it costs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scalebayes.questions.enough import Enough
from scalebayes.questions.wording import number, where
from scalebayes.show.axes import canvas, colour, short, tidy, title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST = 15


def plot_enough_runs(answer: Enough, *, ax: Axes | None = None) -> Figure:
    """Draw what each candidate is expected to save, with its Monte Carlo error, and what it costs.

    A run is worth its cost where the dot of its saving lies to the right of its cost.

    Parameters
    ----------
    answer : Enough
    ax : matplotlib.axes.Axes, optional
        The panel to draw in; by default that of a new figure.

    Returns
    -------
    matplotlib.figure.Figure
        Neither shown nor saved.

    Examples
    --------
    With the fit of `fit`'s example:

    >>> import pandas as pd
    >>> candidates = pd.DataFrame({"family": ["Cerebras-GPT", "Pythia"], "C": 1e23})
    >>> answer = sb.enough_runs(fit, candidates=candidates, to=1e24, groups=["Cerebras-GPT", "Pythia"])
    >>> sb.plot_enough_runs(answer).axes[0].get_xlabel()
    'FLOPs'
    """
    table = answer.table.head(_MOST)
    on = canvas(None if ax is None else [ax], (7.2, max(2.6, 1.5 + 0.3 * len(table))), 1, 1)
    panel = on.panels[0, 0]
    y = np.arange(len(table))[::-1]
    saves, cost = table["saves"].to_numpy(float), table["cost"].to_numpy(float)
    panel.hlines(y, np.minimum(saves, cost), np.maximum(saves, cost), color="0.75", lw=2)
    panel.errorbar(saves, y, xerr=2 * table["se"], fmt="o", color=colour(0), ms=5, lw=1, label="expected to save")
    panel.plot(cost, y, "|", color="firebrick", ms=12, mew=2, label="costs")
    panel.axvline(answer.regret, color="0.4", lw=1, ls=":", label="knowing the truth would save")
    names = [
        (f"{short(str(row['group']))}, " if "group" in row else "") + where({n: row[n] for n in answer.inputs})
        for row in table.to_dict("records")
    ]
    panel.set_yticks(y, names, fontsize=8)
    panel.set_ylim(-0.7, len(table) - 0.1)
    panel.set_xscale("symlog", linthresh=max(float(cost.min()) / 10, 1e-300))
    panel.set_xlim(left=0)
    panel.set_xlabel("FLOPs", fontsize=9)
    panel.legend(fontsize=7, frameon=False, loc="best")
    tidy(panel)
    verdict = f"Enough runs: choose {answer.choice}" if answer.enough else "Not enough runs"
    title(on, f"{verdict}. For {answer.axis} = {number(answer.to)}", answer.diagnostics.problems)
    return on.figure
