"""Picture of a back-test: coverage against distance, the probability integral transform, and one curve."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from scalebayes.checks.answer import Backtest, said_setting
from scalebayes.show.axes import HELD_BACK, canvas, colour, few_ticks, label_log_axis, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_BINS = 5
_BARS = 10


def plot_backtest(
    result: Backtest, *, setting: str | None = None, curve: str | None = None, ax: Sequence[Axes] | None = None
) -> Figure:
    """Draw the coverage of the bands of a back-test.

    Left: the coverage of the 89% and 50% bands against the distance beyond the known runs, over all settings. Middle:
    how often runs fell into each tenth of their predictive distribution. This histogram is flat if forecasts are
    calibrated, a hill if bands are too wide, and a valley if bands are too narrow. Right, for one curve: known and
    held-out runs, with the median and the 89% band of a new run.

    Parameters
    ----------
    result : Backtest
    setting, curve : str, optional
        The curve to show; by default the first setting, and in it the curve with the most known runs.
    ax : sequence of 3 matplotlib.axes.Axes, optional
        Panels to draw in, for coverage, histogram and curve; by default those of a new figure.

    Returns
    -------
    matplotlib.figure.Figure
        Neither shown nor saved; ``figure.savefig("backtest.png")`` saves it.

    Raises
    ------
    ValueError
        If the setting or the curve does not exist, or if nothing was forecast.

    Examples
    --------
    With the runs of `fit`'s example:

    >>> tested = sb.backtest((sb.laws.power_floor, None), runs, top=[0.3], skip=True, baselines=False)
    >>> figure = sb.plot_backtest(tested, curve="Pythia")
    >>> len(figure.axes)
    3
    """
    points = result.points
    if points.empty:
        raise ValueError("nothing was forecast, so there is nothing to draw.")
    setting = str(points["setting"].iloc[0]) if setting is None else setting
    there = points[points["setting"] == setting]
    if there.empty:
        raise ValueError(
            f"there is no setting {setting!r}; there are {', '.join(map(repr, points['setting'].unique()))}."
        )
    if curve is None:
        known = result.known[result.known["setting"] == setting]
        curve = str(known[known["curve"].isin(there["curve"])].groupby("curve").size().idxmax())
    if curve not in set(there["curve"]):
        raise ValueError(f"there is no curve {curve!r} in setting {setting!r}.")
    on = canvas(ax, (12.5, 3.8), 1, 3)
    left, middle, right = on.panels[0]
    _coverage(left, points)
    _transform(middle, points["pit"].to_numpy())
    _one_curve(right, result, setting, curve)
    return on.figure


def _coverage(axes: Axes, points) -> None:
    reach = points["reach"].to_numpy()
    edges = np.unique(np.quantile(np.log(reach), np.linspace(0, 1, _BINS + 1)))
    edges = edges if len(edges) > 1 else np.repeat(edges, 2)
    inside = {0.89: (points["pit"] - 0.5).abs() <= 0.445, 0.5: (points["pit"] - 0.5).abs() <= 0.25}
    index = np.clip(np.searchsorted(edges, np.log(reach), side="right") - 1, 0, len(edges) - 2)
    filled = np.unique(index)
    centre = [np.exp(np.log(reach[index == b]).mean()) for b in filled]
    for prob, shade in ((0.89, colour(0)), (0.5, colour(1))):
        shares = [inside[prob].to_numpy()[index == b].mean() for b in filled]
        axes.plot(centre, shares, "o-", color=shade, label=f"{100 * prob:g}% bands")
        axes.axhline(prob, color=shade, linestyle=":", linewidth=1)
    axes.set(
        xscale="log", ylim=(0, 1.02), xlabel="distance: scale / largest known scale", ylabel="share of runs inside"
    )
    few_ticks(axes, axes.get_xlim()[1] / axes.get_xlim()[0])
    tidy(axes)
    axes.set_title("Coverage (dotted: what is claimed)", fontsize=10)
    axes.legend(frameon=False, fontsize=9)


def _transform(axes: Axes, pit: np.ndarray) -> None:
    heights, edges = np.histogram(pit, bins=_BARS, range=(0, 1))
    axes.bar(
        edges[:-1], heights / len(pit) * _BARS, width=1 / _BARS, align="edge", color=colour(0), alpha=0.6, edgecolor="w"
    )
    axes.axhline(1, color="0.3", linestyle=":", linewidth=1)
    axes.set(xlabel="where the run fell in its forecast", ylabel="density")
    axes.set_title("Probability integral transform (flat: calibrated)", fontsize=10)
    tidy(axes)


def _one_curve(axes: Axes, result: Backtest, setting: str, curve: str) -> None:
    known = result.known[(result.known["setting"] == setting) & (result.known["curve"] == curve)]
    ahead = result.points[(result.points["setting"] == setting) & (result.points["curve"] == curve)]
    ahead = ahead.sort_values("scale")
    band = (ahead["lower"], ahead["upper"])
    axes.fill_between(ahead["scale"], *band, color=colour(0), alpha=0.2, linewidth=0, label="89%, a new run")
    axes.plot(ahead["scale"], ahead["median"], "--", color=colour(0), label="median")
    axes.plot(known["scale"], known["response"], ".", color="0.2", label="known")
    axes.plot(ahead["scale"], ahead["response"], ".", color=HELD_BACK, label="held out")
    axes.set(xscale="log", yscale="log", xlabel="scale", ylabel=result.response)
    few_ticks(axes, axes.get_xlim()[1] / axes.get_xlim()[0])
    label_log_axis(axes)
    said = said_setting(setting)
    axes.set_title(f"{curve}. {said}" if curve else said, fontsize=10)
    axes.legend(frameon=False, fontsize=9)
