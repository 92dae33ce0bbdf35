"""Picture of a floor report: the forecast against the floor, and what pinned floors claim."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from scalebayes.checks.floor import FloorReport
from scalebayes.questions.wording import number, where
from scalebayes.show.axes import canvas, colour, short, tidy, title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST = 4  # points


def plot_floor_report(answer: FloorReport, *, ax: Sequence[Axes] | None = None) -> Figure:
    """Draw, for each of the first four points, the forecast against the floor and what pinned floors claim.

    Each dot is the forecast of a twentieth of the draws, at their floor; where dots lie close together the posterior is
    dense. Bars beside it are the free forecast and those with a pinned floor.

    Parameters
    ----------
    answer : FloorReport
    ax : sequence of matplotlib.axes.Axes, optional
        One panel for each point; by default those of a new figure.

    Returns
    -------
    matplotlib.figure.Figure
        Neither shown nor saved.

    Examples
    --------
    With the fit of `fit`'s example:

    >>> figure = sb.plot_floor_report(sb.floor_report(fit, at={"C": 1e24}, group="Pythia", pins=()))
    >>> figure.axes[0].get_xlabel()
    'floor E'
    """
    points = answer.table.head(_MOST)
    on = canvas(ax, (5.6 * len(points), 4.2), 1, len(points))
    for i, (panel, row) in enumerate(zip(on.panels[0], points.to_dict("records"), strict=True)):
        _panel(panel, answer, i, row)
    share = ", ".join(f"{100 * row['share']:.0f}%" for row in points.to_dict("records"))
    said = (
        f"{share} of the forecast's variance is that of the floor; {100 * answer.prob:g}% bands of the mean, by "
        f"{answer.law}"
    )
    title(on, said, answer.diagnostics.problems)
    return on.figure


def _panel(panel: Axes, answer: FloorReport, i: int, row: dict) -> None:
    curve = answer.curve[answer.curve["point"] == i]
    x = curve["floor"].to_numpy()
    panel.fill_between(x, curve["lower"], curve["upper"], color=colour(0), alpha=0.18, lw=0)
    panel.plot(
        x, curve["median"], "o-", color=colour(0), ms=3.5, lw=1.2, label="for each floor, a twentieth of the draws"
    )
    panel.axhspan(row["lower"], row["upper"], color="0.5", alpha=0.15, lw=0, label="forecast, floor free")
    pins = answer.pinned[(answer.pinned["point"] == i) & (answer.pinned["floor"] > 0)]
    for pin in pins.to_dict("records"):
        centre = np.array([[pin["median"] - pin["lower"]], [pin["upper"] - pin["median"]]])
        panel.errorbar([pin["floor"]], [pin["median"]], centre, fmt="D", color="firebrick", ms=4, capsize=3, lw=1.4)
        name = number(pin["floor"]) + (f"\n{short(pin['known_as'])}" if pin["known_as"] else "")
        panel.annotate(
            name, (pin["floor"], pin["lower"]), (0, -6), textcoords="offset points", fontsize=6.5, ha="center", va="top"
        )
    if len(pins):
        panel.plot([], [], "D", color="firebrick", ms=4, label="floor pinned, fitted again")
    panel.margins(x=0.12, y=0.14)
    panel.set_xlabel(f"floor {answer.floor}", fontsize=9)
    panel.set_ylabel(f"expected {answer.response}", fontsize=9)
    group = f"{row['group']}, " if row["group"] else ""
    panel.set_title(f"{group}{where({name: row[name] for name in answer.inputs})}", fontsize=8)
    panel.legend(fontsize=7, frameon=False, loc="upper left")
    tidy(panel)
