"""Picture of isoFLOP curves: the parabola of every budget, and the best size against compute by them and by the law."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from scalebayes.questions.isoflop import IsoFlop
from scalebayes.questions.wording import number
from scalebayes.show.axes import canvas, colour, few_ticks, label_log_axis, short, tidy, title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST = 4  # groups


def plot_isoflop(answer: IsoFlop, *, ax: Sequence[Axes] | None = None) -> Figure:
    """Draw for each of the first four groups the parabolas of its budgets, and the best size against compute.

    Above: runs and parabolas, from small budgets (light) to large ones (dark), with the minimum of each. Below: these
    minima with their intervals, and the band of the law's own optimum.

    Parameters
    ----------
    answer : IsoFlop
    ax : sequence of matplotlib.axes.Axes, optional
        Two panels for each group, first all upper ones; by default those of a new figure.

    Returns
    -------
    matplotlib.figure.Figure
        Neither shown nor saved.

    Examples
    --------
    With a fit to seven sizes at each of three budgets:

    >>> [panel.get_ylabel() for panel in sb.plot_isoflop(sb.isoflop(fit)).axes]
    ['loss', 'best N (parameters)']
    """
    groups = list(dict.fromkeys(answer.table["group"]))[:_MOST]
    on = canvas(ax, (max(6.0, 4.4 * len(groups)), 7.4), 2, len(groups))
    for j, group in enumerate(groups):
        own = answer.table[answer.table["group"] == group]
        _parabolas(on.panels[0, j], answer, group, own, own["C"].to_numpy())
        _minima(on.panels[1, j], answer, group, own, j == 0)
    said = []
    for group in groups:
        a = answer.exponents[(answer.exponents["group"] == group) & (answer.exponents["name"] == "a_opt")]
        by = a.set_index("by")["median"]
        said.append(f"{short(group) + ': ' if group else ''}C^{by['parabolas']:.3f} by parabolas, C^{by['law']:.3f}")
    title(on, f"Best N: {'; '.join(said)} by {answer.law}; {100 * answer.prob:g}% bands", answer.diagnostics.problems)
    return on.figure


def _parabolas(panel: Axes, answer: IsoFlop, group: str, own, budgets: np.ndarray) -> None:
    from matplotlib import colormaps

    shades = colormaps["viridis_r"](np.linspace(0.12, 0.95, len(budgets)))
    for shade, row in zip(shades, own.to_dict("records"), strict=True):
        at = (answer.parabolas["group"] == group) & (answer.parabolas["C"] == row["C"])
        curve = answer.parabolas[at]
        of_runs = answer.runs[(answer.runs["group"] == group) & (answer.runs["C"] == row["C"])]
        used = of_runs["used"].to_numpy(bool)
        panel.plot(curve["N"], curve["median"], color=shade, lw=1.2)
        panel.plot(of_runs["N"][used], of_runs["response"][used], "o", color=shade, ms=3)
        panel.plot(of_runs["N"][~used], of_runs["response"][~used], "o", color=shade, ms=3, mfc="none", mew=0.6)
        if np.isfinite(row["n_opt_median"]):
            height = np.interp(np.log(row["n_opt_median"]), np.log(curve["N"]), curve["median"])
            panel.plot(row["n_opt_median"], height, "k|", ms=9, mew=1.4)
    panel.set(xscale="log", yscale="log" if (answer.runs["response"] > 0).all() else "linear")
    low = answer.parabolas.loc[answer.parabolas["group"] == group, "median"].min()
    used = answer.runs[(answer.runs["group"] == group) & answer.runs["used"]]["response"]
    panel.set_ylim(low * 0.985, np.quantile(used, 0.97))
    panel.set_xlabel("N (parameters)", fontsize=9)
    panel.set_ylabel(answer.response, fontsize=9)
    few_ticks(panel, np.divide(*panel.get_xlim()[::-1]))
    label_log_axis(panel)
    ends = f"C = {number(budgets[0])} (light) to {number(budgets[-1])}; | marks a minimum"
    panel.set_title(f"{short(group)}: {ends}" if group else ends, fontsize=8)


def _minima(panel: Axes, answer: IsoFlop, group: str, own, first: bool) -> None:
    c = own["C"].to_numpy(float)
    panel.fill_between(c, own["law_lower"], own["law_upper"], color=colour(0), alpha=0.18, lw=0)
    panel.plot(c, own["law_median"], color=colour(0), lw=1.4, label=answer.law)
    middle = own["n_opt_median"].to_numpy(float)
    ends = np.abs(own[["n_opt_lower", "n_opt_upper"]].to_numpy(float).T - middle)
    panel.errorbar(c, middle, ends, fmt="o", color="black", ms=4, lw=1, capsize=2, label="parabolas")
    panel.plot(c, own["law_median"] * own["bias"], ":", color=colour(0), lw=1.2, label=f"parabolas of {answer.law}")
    panel.set(xscale="log", yscale="log")
    panel.set_xlabel("C (FLOPs)", fontsize=9)
    panel.set_ylabel("best N (parameters)" if first else "", fontsize=9)
    few_ticks(panel, np.divide(*panel.get_xlim()[::-1]))
    few_ticks(panel, np.divide(*panel.get_ylim()[::-1]), upward=True)
    panel.legend(fontsize=7, frameon=False, loc="upper left")
    tidy(panel)
