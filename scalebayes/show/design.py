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
    on = canvas(None if ax is None else [ax], (8.4, 4.2), 1, 1)
    panel = on.panels[0, 0]
    spent = np.concatenate([[0.0], np.cumsum(answer.table["cost"].to_numpy(float))])
    left = np.concatenate([[answer.now], answer.table["after"].to_numpy(float)])
    panel.step(spent, left, where="post", color=colour(0), lw=1.2, alpha=0.5)
    panel.plot(spent, left, "o", color=colour(0), ms=4)
    panel.axhline(answer.least, color="0.4", lw=1, ls=":", label="no affordable set leaves less")
    panel.axvline(answer.budget, color="firebrick", lw=1, ls="--", label="budget")
    names = []
    for i, row in enumerate(answer.table.head(_MOST_NAMED).to_dict("records")):
        group = f"{short(str(row['group']))}, " if "group" in row else ""
        names.append(f"{i + 1}  {group}{where({n: row[n] for n in answer.inputs if not isinstance(row[n], str)})}")
        panel.annotate(
            str(i + 1),
            (spent[i + 1], left[i + 1]),
            (0, 6 + 8 * (i % 2)),
            textcoords="offset points",
            fontsize=7,
            ha="center",
        )
    names += [f"and {len(answer.table) - _MOST_NAMED} more"] if len(answer.table) > _MOST_NAMED else []
    if on.own:
        panel.text(1.03, 0.98, "\n".join(names), transform=panel.transAxes, fontsize=7, va="top", linespacing=1.5)
    panel.set_xlim(-0.03 * answer.budget, 1.08 * answer.budget)
    low = min(answer.least, answer.after)
    panel.set_ylim(max(low - 0.15 * (answer.now - low), 0), answer.now + 0.2 * (answer.now - low) + 1e-12)
    panel.set_xlabel("spent (FLOPs)", fontsize=9)
    said = "expected regret" if answer.goal == "decision" else "sd of the targets, in logs"
    panel.set_ylabel(f"{said}, expected", fontsize=9)
    panel.legend(fontsize=7, frameon=False, loc="best")
    tidy(panel)
    n = len(answer.table)
    runs = f"{n} run{'s' * (n != 1)} for {number(answer.cost)} FLOPs"
    title(on, f"{runs}: from {number(answer.now)} to {number(answer.after)}", answer.diagnostics.problems)
    return on.figure
