"""Picture of a score: sealed bands with what was measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scalebayes.checks.score import Score
from scalebayes.checks.seal import date
from scalebayes.questions.wording import number
from scalebayes.show.axes import canvas, colour, short, tidy, title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST = 40


def plot_score(answer: Score, *, ax: Axes | None = None) -> Figure:
    """Draw the sealed band of every result, and the result.

    Parameters
    ----------
    answer : Score
    ax : matplotlib.axes.Axes, optional
        The panel to draw in; by default that of a new figure.

    Returns
    -------
    matplotlib.figure.Figure
        Neither shown nor saved.

    Examples
    --------
    With the fit of `fit`'s example:

    >>> import tempfile, pathlib, pandas as pd
    >>> file = pathlib.Path(tempfile.mkdtemp()) / "sealed.json"
    >>> sealed = sb.seal(fit, sb.forecast(fit, at={"C": 1e23}, group="Pythia"), file)
    >>> found = sb.score(file, pd.DataFrame({"C": [1e23], "family": "Pythia", "loss": 1.45}))
    >>> sb.plot_score(found).axes[0].get_xlabel()
    'loss'
    """
    table = answer.table.head(_MOST)
    on = canvas(None if ax is None else [ax], (7.5, max(2.4, 1.4 + 0.24 * len(table))), 1, 1)
    panel = on.panels[0, 0]
    y = np.arange(len(table))[::-1]
    panel.hlines(y, table["lower"], table["upper"], color=colour(0), lw=5, alpha=0.35, label="sealed band")
    panel.plot(table["median"], y, "|", color=colour(0), ms=9, mew=1.6)
    inside = table["inside"].to_numpy(bool)
    for of, shade, said in ((inside, "black", "measured, inside"), (~inside, "firebrick", "measured, outside")):
        if of.any():
            panel.plot(table["observed"][of], y[of], "o", color=shade, ms=4.5, label=said)
    names = [
        ", ".join([*([short(row["group"])] if row["group"] else []), *(_at(n, row[n]) for n in answer.inputs)])
        for row in table.to_dict("records")
    ]
    panel.set_yticks(y, names, fontsize=8)
    panel.set_ylim(-0.8, len(table) - 0.2)
    panel.set_xlabel(answer.response, fontsize=9)
    panel.legend(fontsize=7, frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=3)  # no bar is below it
    tidy(panel)
    more = f" (the first {len(table)} shown)" if len(answer.table) > len(table) else ""
    said = (
        f"{int(answer.table['inside'].sum())} of {len(answer.table)} results in the {100 * answer.prob:g}% bands "
        f"sealed on {date(answer.sealed_at)}{more}"
    )
    title(on, said, ())
    return on.figure


def _at(name: str, value: float | str) -> str:
    return f"{name} = {value if isinstance(value, str) else number(value)}"
