"""Decisions drawn: crossing curves and who is best, differences, plans on isoloss contours, what runs would teach."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scalebayes.fits.fit import Fit
from scalebayes.questions.allocate import Allocation
from scalebayes.questions.along import parameters_of
from scalebayes.questions.compare import Comparison
from scalebayes.questions.crossover import Crossover
from scalebayes.questions.next_run import NextRun
from scalebayes.questions.points import number
from scalebayes.runs.columns import UNITS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LEVELS, _CELLS, _OF_MAP = 14, 60, 200
_MOST_CANDIDATES = 15


def plot_crossover(answer: Crossover) -> Figure:
    """Draw the groups' curves with where winner and rival cross, and the probability of each to be best.

    Parameters
    ----------
    answer : Crossover

    Returns
    -------
    matplotlib.figure.Figure
        Not shown and not saved.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.2), layout="constrained", dpi=150)
    left, right = figure.subplots(1, 2)
    scale, groups = answer.draws["scale"].to_numpy(), list(answer.draws["group"].to_numpy())
    for i, group in enumerate(groups):
        drawn = answer.draws.sel(group=group).to_numpy()
        lower, median, upper = np.quantile(drawn, [(1 - answer.prob) / 2, 0.5, (1 + answer.prob) / 2], axis=0)
        left.fill_between(scale, lower, upper, color=f"C{i}", alpha=0.2, lw=0)
        left.plot(scale, median, color=f"C{i}", label=group)
    left.set(xscale="log", xlim=(scale[0], scale[-1]), xlabel=_label(answer.axis), ylabel=answer.response)
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
    right.set(xscale="log", xlim=(scale[0], scale[-1]), ylim=(0, 1), xlabel=_label(answer.axis), ylabel="probability")
    right.set_title("which is best; line: have crossed by then", fontsize=9)
    for panel in (left, right):
        panel.tick_params(labelsize=8)
        _few_ticks(panel, scale[-1] / scale[0])
    risk = f"decision risk of {answer.winner} at {answer.axis} = {number(answer.to)}: {answer.decision_risk:.2f}"
    _title(figure, f"{risk} (prior {answer.prior_decision_risk:.2f}), along {answer.path}", answer.diagnostics.problems)
    return figure


def plot_comparison(answer: Comparison) -> Figure:
    """Draw the differences of every parameter between pairs of groups, each with its interval.

    Parameters
    ----------
    answer : Comparison

    Returns
    -------
    matplotlib.figure.Figure
        Not shown and not saved.
    """
    from matplotlib.figure import Figure

    parts = list(answer.table.groupby("parameter", sort=False))
    pairs = max(len(part) for _, part in parts)
    figure = Figure(figsize=(2.6 * len(parts) + 1.8, 1.4 + 0.35 * pairs), layout="constrained", dpi=150)
    panels = figure.subplots(1, len(parts), squeeze=False, sharey=True)[0]
    for panel, (name, part) in zip(panels, parts, strict=True):
        y = np.arange(len(part))[::-1]
        panel.axvline(0, color="0.6", lw=0.8)
        if np.isfinite(part["rope"].iloc[0]):
            panel.axvspan(-part["rope"].iloc[0], part["rope"].iloc[0], color="0.5", alpha=0.15, lw=0)
        panel.hlines(y, part["lower"], part["upper"], color="C0", lw=1.6)
        panel.plot(part["mean"], y, "o", color="C0", ms=4)
        panel.set_title(f"{name} ({part['scale'].iloc[0]})", fontsize=9)
        panel.set_yticks(y, [f"{a} - {b}" for a, b in zip(part["a"], part["b"], strict=True)], fontsize=8)
        panel.set_ylim(-0.6, len(part) - 0.4)
        panel.tick_params(labelsize=8)
    _title(figure, f"differences between groups, {100 * answer.prob:g}% intervals", answer.diagnostics.problems)
    return figure


def plot_allocation(fit: Fit, answer: Allocation) -> Figure:
    """Draw isoloss contours with the runs, the band of the optimum at each budget, and the plans almost as good.

    Parameters
    ----------
    fit : Fit
        That the answer is of.
    answer : Allocation

    Returns
    -------
    matplotlib.figure.Figure
        Not shown and not saved.
    """
    from matplotlib.figure import Figure

    groups = list(answer.draws["group"].to_numpy())
    figure = Figure(figsize=(1.2 + 4.6 * len(groups), 4.2), layout="constrained", dpi=150)
    panels = figure.subplots(1, len(groups), squeeze=False, sharex=True, sharey=True)[0]
    for panel, group in zip(panels, groups, strict=True):
        _contours(panel, fit, answer, group)
    figure.supxlabel(_label("N"), fontsize=10)
    figure.supylabel(_label("D"), fontsize=10)
    within = f"thick: expected {answer.response} within {number(answer.within)} of the best"
    _title(
        figure, f"{fit.model.name}: {within}; bars: {100 * answer.prob:g}% of the optimum", answer.diagnostics.problems
    )
    return figure


def _contours(panel: Axes, fit: Fit, answer: Allocation, group: str) -> None:
    from scalebayes.model.prediction import expected

    runs, level = fit.model.runs, group or None
    rows = np.ones(len(runs), bool) if level is None else runs.group_labels == level
    table = answer.table if level is None else answer.table[answer.table["group"] == level]
    profile = answer.profile if level is None else answer.profile[answer.profile["group"] == level]
    ends = {
        name: np.log(
            [
                min(runs.x(name.upper()).min(), answer.table[f"near_{name}_lower"].min()),
                max(runs.x(name.upper()).max(), answer.table[f"near_{name}_upper"].max()),
            ]
        )
        for name in ("n", "d")
    }
    n, d = (np.exp(np.linspace(low - 0.7, high + 0.7, _CELLS)) for low, high in (ends["n"], ends["d"]))
    both = dict(zip(("N", "D"), (axis.ravel() for axis in np.meshgrid(n, d)), strict=True))
    theta = {name: value[:: max(1, len(value) // _OF_MAP)] for name, value in parameters_of(fit, level).items()}
    loss = expected(fit.model.law, [both[name] for name in runs.inputs], theta).mean(0).reshape(_CELLS, _CELLS)
    # Even in logs of what is above the floor, which is where the contours would else crowd.
    above = np.log(loss - loss.min() + 0.01 * np.ptp(loss))
    levels = np.exp(np.linspace(above.min(), above.max(), _LEVELS)) + loss.min() - 0.01 * np.ptp(loss)
    lines = panel.contour(n, d, loss, levels=levels[1:-1], colors="0.75", linewidths=0.7)
    panel.clabel(lines, fontsize=6, fmt="%.3g")
    panel.plot(runs.x("N")[rows], runs.x("D")[rows], ".", color="0.4", ms=3)
    panel.plot(table["plan_n"], table["plan_d"], "o", color="C3", ms=4, zorder=4)
    for row in table.to_dict("records"):
        own = profile[(profile["C"] == row["C"]) & (profile["N"].between(row["near_n_lower"], row["near_n_upper"]))]
        panel.plot(own["N"], own["D"], color="C3", lw=4, alpha=0.35, solid_capstyle="round")
        panel.plot(
            [row["n_opt_lower"], row["n_opt_upper"]], [row["d_opt_upper"], row["d_opt_lower"]], color="C3", lw=1.2
        )
    panel.set(xscale="log", yscale="log", xlim=(n[0], n[-1]), ylim=(d[0], d[-1]))
    panel.tick_params(labelsize=8)
    if level is not None:
        panel.set_title(level, fontsize=9)


def plot_next_run(answer: NextRun) -> Figure:
    """Draw what each candidate would be expected to teach, the best first, against its cost.

    Parameters
    ----------
    answer : NextRun

    Returns
    -------
    matplotlib.figure.Figure
        Not shown and not saved.
    """
    from matplotlib.figure import Figure

    table = answer.table.head(_MOST_CANDIDATES)
    figure = Figure(figsize=(11, 1.2 + 0.3 * len(table)), layout="constrained", dpi=150)
    left, right = figure.subplots(1, 2)
    y = np.arange(len(table))[::-1]
    names = [answer._run(row) for _, row in table.iterrows()]
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
    _title(
        figure,
        f"what each run would teach ({answer.goal}); now {number(answer.now)}; bars: twice the Monte Carlo error",
        answer.diagnostics.problems,
    )
    return figure


def _few_ticks(panel: Axes, ratio: float) -> None:
    """Along a log axis of this length: labels that do not run into each other."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    panel.xaxis.set_minor_formatter(NullFormatter())
    if ratio < 300:
        panel.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if ratio > 5 else tuple(range(1, 10))))
        panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))


def _label(axis: str) -> str:
    return f"{axis} ({UNITS[axis]})" if axis in UNITS else axis


def _title(figure: Figure, said: str, problems: tuple[str, ...]) -> None:
    title = f"NOT CONVERGED: {'; '.join(problems)}\n{said}" if problems else said
    figure.suptitle(title, fontsize=8.5, color="firebrick" if problems else "black")
