"""Picture of a crossover: the curves of the groups, and who is best at which scale."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scalebayes.questions.crossover import Crossover
from scalebayes.questions.wording import number
from scalebayes.show.axes import few_ticks, named, title

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def plot_crossover(answer: Crossover) -> Figure:
    """Draw the curves of the groups, where winner and rival cross, and the probability of each group to be best.

    Parameters
    ----------
    answer : Crossover

    Returns
    -------
    matplotlib.figure.Figure
        Neither shown nor saved.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.2), layout="constrained", dpi=150)
    left, right = figure.subplots(1, 2)
    axis = named(answer.axis, answer.unit)
    scale, groups = answer.draws["scale"].to_numpy(), list(answer.draws["group"].to_numpy())
    for i, group in enumerate(groups):
        drawn = answer.draws.sel(group=group).to_numpy()
        lower, median, upper = np.quantile(drawn, [(1 - answer.prob) / 2, 0.5, (1 + answer.prob) / 2], axis=0)
        left.fill_between(scale, lower, upper, color=f"C{i}", alpha=0.2, lw=0)
        left.plot(scale, median, color=f"C{i}", label=group)
    left.set(xscale="log", xlim=(scale[0], scale[-1]), xlabel=axis, ylabel=answer.response)
    left.legend(frameon=False, fontsize=8)
    left.set_title(
        f"mean {answer.response}, {100 * answer.prob:g}% bands; grey: density of the first crossing", fontsize=9
    )
    crossed = np.diff(answer.curve["p_crossed"].to_numpy())
    if crossed.sum():
        below = left.twinx()
        below.fill_between(scale[1:], crossed / crossed.max(), step="pre", color="0.5", alpha=0.35, lw=0)
        below.set(ylim=(0, 5), yticks=[])
    shares = [answer.curve[group].to_numpy() for group in groups]
    right.stackplot(scale, shares, labels=groups, colors=[f"C{i}" for i in range(len(groups))], alpha=0.6, lw=0)
    right.plot(
        scale, answer.curve["p_crossed"], color="black", lw=1.2, label=f"{answer.winner}, {answer.rival} crossed"
    )
    right.set(xscale="log", xlim=(scale[0], scale[-1]), ylim=(0, 1), xlabel=axis, ylabel="probability")
    right.set_title("which is best; line: have crossed by then", fontsize=9)
    for panel in (left, right):
        panel.tick_params(labelsize=8)
        few_ticks(panel, scale[-1] / scale[0])
    risk = f"decision risk of {answer.winner} at {answer.axis} = {number(answer.to)}: {answer.decision_risk:.2f}"
    title(figure, f"{risk} (prior {answer.prior_decision_risk:.2f}), along {answer.path}", answer.diagnostics.problems)
    return figure
