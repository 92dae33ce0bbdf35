"""Picture of a crossover: the groups' runs and curves, and the probability of each to be the best."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from scalebayes.questions.crossover import Crossover
from scalebayes.questions.wording import number
from scalebayes.show.axes import (
    canvas,
    colour,
    dashes,
    few_ticks,
    label_ends,
    label_log_axis,
    named,
    short,
    tidy,
    title,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LOG_FROM = 2.0  # times the smallest response
_MOST_NAMED = 7


def plot_crossover(answer: Crossover, *, ax: Sequence[Axes] | None = None) -> Figure:
    """Draw runs and curves of the groups, where winner and rival cross, and the probability of each to be the best.

    Left: runs, medians and bands from the smallest run to the target; beyond the decision scale the background is
    shaded, and a bar at the foot shows where winner and rival cross for the first time, if they do. Right, from the
    decision scale on: the probability of each group to be the best there, and that winner and rival have crossed.

    Parameters
    ----------
    answer : Crossover
    ax : sequence of 2 matplotlib.axes.Axes, optional
        Panels to draw in; by default those of a new figure.

    Returns
    -------
    matplotlib.figure.Figure
        Neither shown nor saved; ``figure.savefig("crossover.png")`` saves it.

    Examples
    --------
    With the fit of `fit`'s example:

    >>> figure = sb.plot_crossover(sb.crossover(fit, axis="C", to=1e24))
    >>> [panel.get_ylabel() for panel in figure.axes]
    ['loss', 'probability to be the best']
    """
    groups = list(answer.draws["group"].to_numpy())
    on = canvas(ax, (11.5, max(4.2, 1.6 + 0.24 * len(groups))), 1, 2)
    left, right = on.panels[0]
    _curves(left, answer, groups, on.own)
    _probabilities(right, answer, groups, on.own)
    for panel in (left, right):
        panel.set_xlabel(named(answer.axis, answer.unit), fontsize=9)
        few_ticks(panel, panel.get_xlim()[1] / panel.get_xlim()[0])
    risk = (
        f"{answer.winner}, ahead at {answer.axis} = {number(answer.start)}, is not the best at {number(answer.to)} "
        f"with probability {answer.decision_risk:.2f} ({answer.prior_decision_risk:.2f} before the runs were seen)"
    )
    path = f"; along {answer.path}" if answer.path != answer.axis else ""
    title(on, f"{risk}\n{100 * answer.prob:g}% bands of the mean{path}", answer.diagnostics.problems)
    return on.figure


def _curves(panel: Axes, answer: Crossover, groups: Sequence[str], own: bool) -> None:
    scale, ends = answer.draws["scale"].to_numpy(), []
    for i, group in enumerate(groups):
        drawn = answer.draws.sel(group=group).to_numpy()
        lower, median, upper = np.quantile(drawn, [(1 - answer.prob) / 2, 0.5, (1 + answer.prob) / 2], axis=0)
        among = answer.among[answer.among["group"] == group]
        before = among.iloc[:-1] if len(among) else among  # the decision scale is in both
        x = np.concatenate([before["scale"].to_numpy(float), scale])
        low, middle, high = (
            np.concatenate([before[name].to_numpy(float), beyond])
            for name, beyond in (("lower", lower), ("median", median), ("upper", upper))
        )
        rows = answer.runs[answer.runs["group"] == group]
        panel.fill_between(x, low, high, color=colour(i), alpha=0.16, lw=0)
        panel.plot(x, middle, color=colour(i), ls=dashes(i), lw=1.4)
        panel.plot(rows["scale"], rows["response"], "o", color=colour(i), ms=3.6, mec="white", mew=0.4, zorder=3)
        ends.append((float(median[-1]), group, colour(i)))
    shown = answer.runs["response"].to_numpy(float)
    lowest = float(np.nanmin(np.quantile(answer.draws, (1 - answer.prob) / 2, axis=0)))
    smallest = float(min([answer.start, *answer.runs["scale"]]))
    panel.set(xscale="log", xlim=(smallest / 1.1, scale[-1]))
    panel.set_ylabel(answer.response, fontsize=9)
    if lowest > 0 and max(shown) / min(lowest, min(shown)) > _LOG_FROM:
        panel.set_yscale("log")
    bottom, top = panel.get_ylim()  # room for the crossing at the foot
    logs = panel.get_yscale() == "log"
    panel.set_ylim(bottom * (bottom / top) ** 0.1 if logs else bottom - 0.1 * (top - bottom), top)
    panel.axvspan(answer.start, scale[-1], color="0.5", alpha=0.1, lw=0, zorder=0)
    if answer.crossing_quantiles:
        first, centre, last = answer.crossing_quantiles.values()
        foot = panel.get_xaxis_transform()
        panel.plot([first, last], [0.035, 0.035], color="0.25", lw=2, transform=foot)
        panel.plot(centre, 0.035, "d", color="0.25", ms=5, transform=foot)
        both = f"{short(answer.winner)} and {short(answer.rival)}"
        said = f"{both} first cross (probability {answer.p_cross_before_target:.2f})"
        panel.text(0.98, 0.07, said, transform=panel.transAxes, fontsize=7, color="0.25", ha="right")
    label_log_axis(panel)
    label_ends(panel, ends, beside=own)


def _probabilities(panel: Axes, answer: Crossover, groups: Sequence[str], own: bool) -> None:
    scale, ends = answer.curve.index.to_numpy(), []
    likely = answer.curve[list(groups)].max().nlargest(_MOST_NAMED).index
    for i, group in enumerate(groups):
        share = answer.curve[group].to_numpy()
        panel.plot(scale, share, color=colour(i), ls=dashes(i), lw=1.6)
        if group in likely:
            ends.append((float(share[-1]), f"{share[-1]:.2f} {group}", colour(i)))
    panel.plot(scale, answer.curve["p_crossed"], color="0.25", lw=1.1, ls=(0, (1, 1)))
    ends.append((float(answer.curve["p_crossed"].iloc[-1]), "crossed by then", "0.25"))
    panel.set(xscale="log", xlim=(scale[0], scale[-1]), ylim=(-0.02, 1.02))
    panel.set_ylabel("probability to be the best", fontsize=9)
    tidy(panel)
    label_ends(panel, ends, beside=own)
