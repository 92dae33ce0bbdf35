"""Picture of a design: what each chosen run leaves of the uncertainty, over what has been spent."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scalebayes.questions.design import Design
from scalebayes.questions.wording import number, where
from scalebayes.show.axes import canvas, colour, short, tidy, title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST_NAMED = 12


def plot_design(answer: Design, *, ax: Axes | None = None) -> Figure:
    """Draw the uncertainty that is left after each chosen run, over the FLOPs spent, and the bound of any set.

    Parameters
    ----------
    answer : Design
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
    >>> candidates = pd.DataFrame({"family": "Pythia", "C": [1e21, 1e22, 3e22, 1e23]})
    >>> chosen = sb.design(fit, candidates=candidates, budget=4e22, at={"C": 1e24, "family": "Pythia"})
    >>> sb.plot_design(chosen).axes[0].get_xlabel()
    'spent (FLOPs)'
    """
    on = canvas(None if ax is None else [ax], (7.2, 4.2), 1, 1)
    panel = on.panels[0, 0]
    spent = np.concatenate([[0.0], np.cumsum(answer.table["cost"].to_numpy(float))])
    left = np.concatenate([[answer.now], answer.table["after"].to_numpy(float)])
    panel.step(spent, left, where="post", color=colour(0), lw=1.2, alpha=0.5)
    panel.plot(spent, left, "o", color=colour(0), ms=4)
    panel.axhline(answer.least, color="0.4", lw=1, ls=":", label="no affordable set leaves less")
    panel.axvline(answer.budget, color="firebrick", lw=1, ls="--", label="budget")
    for i, row in enumerate(answer.table.head(_MOST_NAMED).to_dict("records")):
        group = f"{short(str(row['group']))}, " if "group" in row else ""
        name = group + where({each: row[each] for each in answer.inputs if not isinstance(row[each], str)})
        panel.annotate(name, (spent[i + 1], left[i + 1]), (5, 4), textcoords="offset points", fontsize=6.5, color="0.3")
    panel.set_xlim(-0.03 * answer.budget, 1.25 * answer.budget)
    panel.set_ylim(0, 1.08 * answer.now)
    panel.set_xlabel("spent (FLOPs)", fontsize=9)
    said = "expected regret" if answer.goal == "decision" else "sd of the targets, in logs"
    panel.set_ylabel(f"{said}, expected", fontsize=9)
    panel.legend(fontsize=7, frameon=False, loc="upper right")
    tidy(panel)
    n = len(answer.table)
    runs = f"{n} run{'s' * (n != 1)} for {number(answer.cost)} FLOPs"
    title(on, f"{runs}: from {number(answer.now)} to {number(answer.after)}", answer.diagnostics.problems)
    return on.figure
