"""Picture of a fit: runs, median and bands along one axis, with the extrapolated region marked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from scalebayes.arguments import EXTREME, check_prob
from scalebayes.fits.fit import Fit
from scalebayes.questions.forecast import forecast
from scalebayes.questions.groups import check_group, check_one
from scalebayes.questions.points import read_points
from scalebayes.questions.wording import number
from scalebayes.runs.runs import numbers
from scalebayes.show.axes import label_log_axis, title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_POINTS = 80
_MOST_LEVELS = 4
_RESPONSE = "a response"  # no column of points has this name


def plot(
    fit: Fit,
    *,
    axis: str | None = None,
    to: float | None = None,
    held_back: pd.DataFrame | None = None,
    prob: float = 0.89,
) -> Figure:
    """Draw runs, median and bands along one scale, in one panel per group.

    The darker band is for the mean response, the lighter one for a single new run. Beyond the largest run of the panel
    the background is shaded and the median is dashed. If the law has more inputs, runs and curves are coloured by the
    next one. All others are held: scales at their geometric mean, plain inputs at their mean.

    Parameters
    ----------
    fit : Fit
    axis : str, optional
        The input along the abscissa; by default the law's last.
    to : float, optional
        Right end of the axis; by default 10 times the largest run, or beyond the last that was held back.
    held_back : pandas.DataFrame, optional
        Runs that were not fitted, with the columns of those that were; they are drawn as open circles.
    prob : float
        Probability of both bands.

    Returns
    -------
    matplotlib.figure.Figure
        Neither shown nor saved; ``figure.savefig("curves.png")`` saves it.

    Raises
    ------
    TypeError
        If the fit is an average of fits.
    ValueError
        If the law has no such input, ``to`` lies below the smallest run, or a run held back lacks a column or is
        of another group.
    """
    from matplotlib.figure import Figure

    check_prob(prob)
    check_one(fit, "a plot of curves")
    runs = fit.model.runs
    inputs = list(runs.scales)
    lacking = [name for name, each in runs.inputs.items() if each.schedules is not None]
    if lacking or not inputs:
        what = f"{lacking[0]} is a schedule" if lacking else f"it has {', '.join(runs.inputs)}"
        raise ValueError(
            f"curves are drawn along a positive scale, and {fit.model.name} cannot be: {what}. Draw the table of "
            "sb.forecast instead."
        )
    axis = inputs[-1] if axis is None and inputs else axis
    if axis not in inputs:
        raise ValueError(f"{fit.model.name} has no input {axis!r} to plot along; it has {', '.join(inputs)}.")
    ahead = None if held_back is None else ahead_of(fit, held_back)
    farthest = 10 * runs.x(axis).max() if ahead is None else 1.5 * max(ahead[axis].max(), runs.x(axis).max())
    ends = runs.x(axis).min(), farthest if to is None else to
    if not ends[0] < ends[1] <= EXTREME:
        raise ValueError(
            f"the plot runs from {axis} = {number(ends[0])}, the smallest run, to {to!r}: nothing to draw."
        )
    levels = runs.levels or (None,)
    columns = min(len(levels), 3)
    rows = -(-len(levels) // columns)
    colours = len(inputs) > 1
    figure = Figure(figsize=(max(6.4, 3.7 * columns + 0.9 * colours), 1.0 + 3.4 * rows), layout="constrained", dpi=150)
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    for panel, level in zip(panels.flat, levels, strict=False):
        mapped = _panel(panel, fit, axis, level, ends, prob)
        if ahead is not None:
            own = ahead[ahead[runs.group_name] == level] if runs.group else ahead
            panel.plot(own[axis], own[_RESPONSE], "o", ms=5.5, mfc="white", mec="#D55E00", mew=1.4, zorder=4)
    for empty in range(len(levels), panels.size):
        panels.flat[empty].set_visible(False)
        panels.flat[empty - columns].tick_params(labelbottom=True)  # the lowest panel of its column
    figure.supxlabel(runs.axis_label(axis), fontsize=10)
    figure.supylabel(runs.response, fontsize=10)
    if colours:
        coloured = next(name for name in inputs if name != axis)
        figure.colorbar(mapped, ax=panels, label=runs.axis_label(coloured), fraction=0.05, pad=0.02)
    shown = f"{100 * prob:g}% bands: dark the mean, light a single new run; shaded: beyond the runs"
    shown += "; open circles: held back" if ahead is not None else ""
    problems = fit.diagnostics.problems
    title(figure, f"{fit.model.name}, {len(runs)} runs. {shown}", problems)
    return figure


def ahead_of(fit: Fit, held_back: pd.DataFrame) -> pd.DataFrame:
    """The inputs, groups and responses of runs that were not fitted."""
    runs = fit.model.runs
    if not isinstance(held_back, pd.DataFrame):
        raise TypeError(f"held_back is a table with the columns of the runs, got {type(held_back).__name__}.")
    lacking = [column for column in (*runs.group, runs.response) if column not in held_back.columns]
    if lacking:
        raise ValueError(f"held_back has no column {lacking[0]!r}; the runs have.")
    found = read_points(fit.model, held_back).assign(**{_RESPONSE: numbers(held_back[runs.response])})
    for level in found[runs.group_name].unique() if runs.group else ():
        check_group(runs, level)
    return found


def _panel(panel: Axes, fit: Fit, axis: str, level: str | None, ends: tuple[float, float], prob: float):
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LinearSegmentedColormap, LogNorm

    runs = fit.model.runs
    rows = runs.rows(level)
    others = [name for name in runs.scales if name != axis]
    plain = [name for name, each in runs.inputs.items() if each.kind == "plain" and not each.is_vector]
    vectors = [name for name, each in runs.inputs.items() if each.is_vector and each.kind == "plain"]
    largest = runs.x(axis)[rows].max()
    abscissa = np.geomspace(min(runs.x(axis)[rows].min(), ends[1]), ends[1], _POINTS)
    mapped: ScalarMappable | None = None
    slices: list[tuple[Any, Any]] = [(None, "C0")]
    dots: Any = "black"
    if others:
        norm = LogNorm(runs.x(others[0]).min(), runs.x(others[0]).max())
        # The palest colours of the map would be invisible on white.
        palette = LinearSegmentedColormap.from_list("readable", colormaps["viridis"](np.linspace(0.88, 0, 256)))
        mapped = ScalarMappable(norm, palette)
        slices = [(value, mapped.to_rgba(value)) for value in _levels(runs.x(others[0])[rows])]
        dots = mapped.to_rgba(runs.x(others[0])[rows])
    for value, colour in slices:
        held = {name: float(np.exp(np.log(runs.x(name)[rows]).mean())) for name in others[1:]}
        held |= {name: float(runs.x(name)[rows].mean()) for name in plain}
        for name in vectors:
            held |= dict(zip(runs.inputs[name].columns, runs.x(name)[rows].mean(0), strict=True))
        at = pd.DataFrame({axis: abscissa} | ({others[0]: value} if others else {}) | held)
        band = forecast(fit, at=at, group=level, prob=prob).table
        panel.fill_between(abscissa, band["new_run_lower"], band["new_run_upper"], color=colour, alpha=0.13, lw=0)
        panel.fill_between(abscissa, band["lower"], band["upper"], color=colour, alpha=0.35, lw=0)
        inside = abscissa <= largest * 1.0001
        panel.plot(abscissa[inside], band["median"][inside], color=colour, lw=1.3)
        panel.plot(abscissa[~inside], band["median"][~inside], color=colour, lw=1.3, ls="--")
    panel.scatter(runs.x(axis)[rows], runs.y[rows], s=13, zorder=3, edgecolors="white", linewidths=0.4, c=dots)
    panel.set(
        xscale="log",
        yscale="log" if fit.model.observation.scale.name == "log" else "linear",
        xlim=(ends[0] / 1.15, ends[1]),
    )
    if largest < ends[1]:
        panel.axvspan(largest, ends[1], color="0.5", alpha=0.12, lw=0, zorder=0)
    label_log_axis(panel)
    if level is not None:
        panel.set_title(level, fontsize=9)
    return mapped


def _levels(values: np.ndarray) -> np.ndarray:
    """A few typical values of an input: all distinct ones if there are few, else quantiles in logs."""
    distinct = np.unique(values)
    if len(distinct) <= _MOST_LEVELS:
        return distinct
    return np.exp(np.quantile(np.log(distinct), np.linspace(0.02, 0.98, _MOST_LEVELS)))
