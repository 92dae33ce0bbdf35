"""Picture of a fit: runs, median and bands along one axis, with the extrapolated region marked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from scalebayes.arguments import EXTREME, check_prob
from scalebayes.fits.fit import Fit
from scalebayes.questions.along import parameters_along, points_along
from scalebayes.questions.forecast import forecast
from scalebayes.questions.groups import Group, check_group, check_one
from scalebayes.questions.misfit import misfit
from scalebayes.questions.paths import Held, observed_scales, path_along
from scalebayes.questions.points import read_points
from scalebayes.questions.wording import number
from scalebayes.runs.runs import numbers
from scalebayes.show.axes import HELD_BACK, Canvas, canvas, colour, few_ticks, label_log_axis, named, tidy, title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_POINTS = 80
_MOST_LEVELS = 5
_SMOOTHED = 21  # points, over which the Monte Carlo error of a band's edge is smoothed
_RESPONSE = "a response"  # no column of points has this name


def plot(
    fit: Fit,
    *,
    axis: str | None = None,
    to: float | None = None,
    path: Held = None,
    held_back: pd.DataFrame | None = None,
    group: Group | None = None,
    prob: float = 0.89,
    ax: Axes | Sequence[Axes] | None = None,
) -> Figure:
    """Draw runs, median and bands along one scale, in one panel per group.

    The darker band is for the mean response, the lighter one for a single new run. Beyond the largest run of the panel
    the background is shaded and the median is dashed. If the law has more inputs, runs and curves are coloured by the
    next one, and a panel below has every run over its own median, so that runs between the curves are compared as well.
    All others are held: scales at their geometric mean, plain inputs at their mean.

    The edges of the lighter band have a Monte Carlo error of their own at each point. They are smoothed along the axis,
    and drawn outside the darker band.

    Parameters
    ----------
    fit : Fit
    axis : str, optional
        The scale along the abscissa: by default the law's last; also ``"C"`` for a law of N and D.
    to : float, optional
        Right end of the axis; by default 10 times the largest run, or beyond the last that was held back.
    path : mapping, "optimal" or Callable, optional
        How the other inputs grow along the axis, as in `forecast` along a path: one curve for each group then. Along
        C it is the compute-optimal path by default.
    held_back : pandas.DataFrame, optional
        Runs that were not fitted, with the columns of those that were; they are drawn as open circles.
    group : str or tuple, optional
        One group of the fit; all of them by default.
    prob : float
        Probability of both bands.
    ax : matplotlib.axes.Axes or sequence of them, optional
        Panels to draw in, one for each group; by default those of a new figure.

    Returns
    -------
    matplotlib.figure.Figure
        Neither shown nor saved; ``figure.savefig("curves.png")`` saves it.

    Raises
    ------
    TypeError
        If the fit is an average of fits.
    ValueError
        If the law has no such input, ``to`` lies below the smallest run, a path does not determine all inputs, or a run
        held back lacks a column or is of another group.

    Examples
    --------
    With the fit of `fit`'s example:

    >>> figure = sb.plot(fit, to=1e24)
    >>> [panel.get_title() for panel in figure.axes]
    ['Cerebras-GPT', 'Cerebras-GPT-muP', 'Pythia']
    """
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
    axis = inputs[-1] if axis is None else axis
    along = path is not None or (axis == "C" and axis not in inputs)
    if not along and axis not in inputs:
        raise ValueError(f"{fit.model.name} has no input {axis!r} to plot along; it has {', '.join(inputs)}.")
    seen = observed_scales(runs, axis, None)
    ahead = None if held_back is None else ahead_of(fit, held_back)
    beyond = _ahead_along(fit, ahead, axis)
    farthest = 10 * seen.max() if ahead is None else 1.5 * max(beyond.max(), seen.max())
    ends = float(seen.min()), float(farthest if to is None else to)
    if not ends[0] < ends[1] <= EXTREME:
        raise ValueError(
            f"the plot runs from {axis} = {number(ends[0])}, the smallest run, to {to!r}: nothing to draw."
        )
    levels = (check_group(runs, group),) if group is not None else runs.levels or (None,)
    coloured = next((name for name in inputs if name != axis), None) if not along else None
    on, below = _panels(ax, len(levels), coloured is not None)
    for panel, level in zip(on.panels.flat, levels, strict=False):
        mapped = _panel(
            panel, fit, axis, level, ends, prob, coloured, path_along(fit.model, axis, path, level) if along else None
        )
        if ahead is not None:
            own = (ahead[runs.group_name] == level).to_numpy() if runs.group else np.full(len(ahead), True)
            panel.plot(beyond[own], ahead[_RESPONSE][own], "o", ms=5.5, mfc="white", mec=HELD_BACK, mew=1.4, zorder=4)
    _residuals(below, fit, axis, levels, prob, coloured)
    few_ticks(on.panels.flat[0], ends[1] / ends[0])
    if on.own:
        on.figure.supxlabel(named(axis, runs.unit(axis)), fontsize=10)
        on.figure.supylabel(runs.response, fontsize=10)
    else:
        for panel in on.panels.flat:
            panel.set(xlabel=named(axis, runs.unit(axis)), ylabel=runs.response)
    if coloured:
        on.figure.colorbar(
            mapped,
            ax=[*on.panels.flat[: len(levels)], *below],
            label=runs.axis_label(coloured),
            fraction=0.05,
            pad=0.02,
        )
    shown = f"{100 * prob:g}% bands: dark the mean, light a single new run; shaded: beyond the runs"
    shown += "; open circles: held back" if ahead is not None else ""
    shown += f"; curves along {path_along(fit.model, axis, path, levels[0]).said}" if along else ""
    title(on, f"{fit.model.name}, {len(runs)} runs. {shown}", fit.diagnostics.problems)
    return on.figure


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


def _ahead_along(fit: Fit, ahead: pd.DataFrame | None, axis: str) -> np.ndarray:
    """Where runs that were held back lie along an axis."""
    if ahead is None:
        return np.empty(0)
    return (
        ahead[axis].to_numpy(float) if axis in fit.model.runs.inputs else 6 * (ahead["N"] * ahead["D"]).to_numpy(float)
    )


def _panels(ax: Axes | Sequence[Axes] | None, groups: int, residuals: bool) -> tuple[Canvas, list[Axes]]:
    """A panel for each group, and below it one for its residuals where the figure is our own."""
    if ax is not None:
        return canvas(ax, (0, 0), 1, groups), []
    columns = min(groups, 3 if groups < 7 else 4)
    rows = -(-groups // columns)
    each = 4.5 if residuals else 3.4
    size = (max(6.4, (3.7 if groups < 7 else 3.0) * columns + 0.9 * residuals), 1.0 + each * rows)
    on = canvas(
        None, size, rows * (1 + residuals), columns, sharex=True, heights=[1, 0.36] * rows if residuals else None
    )
    curves, below = (on.panels[::2], on.panels[1::2]) if residuals else (on.panels, on.panels[:0])
    for kind in (curves, below):
        for panel in kind.flat[1:]:
            panel.sharey(kind.flat[0])
        for panel in (kind[:, 1:]).flat:
            panel.tick_params(labelleft=False)
    for empty in range(groups, curves.size):
        for kind in (curves, below):
            if kind.size:
                kind.flat[empty].set_visible(False)
        last = below if residuals else curves
        last.flat[empty - columns].tick_params(labelbottom=True)  # the lowest panel of its column
    return Canvas(on.figure, curves, True), list(below.flat[:groups])


def _panel(
    panel: Axes,
    fit: Fit,
    axis: str,
    level: str | None,
    ends: tuple[float, float],
    prob: float,
    coloured: str | None,
    path: Any,
) -> Any:
    runs = fit.model.runs
    rows = runs.rows(level)
    x = observed_scales(runs, axis, level)
    abscissa = np.geomspace(min(x.min(), ends[1]), ends[1], _POINTS)
    mapped = None
    slices: list[tuple[Any, Any]] = [(None, colour(0))]
    dots: Any = "0.15"
    if coloured:
        mapped = _palette(runs.x(coloured))
        slices = [(value, mapped.to_rgba(value)) for value in _levels(runs.x(coloured)[rows])]
        dots = mapped.to_rgba(runs.x(coloured)[rows])
    for value, shade in slices:
        at = (
            _along(fit, level, path, abscissa)
            if path is not None
            else _held(fit, axis, level, abscissa, coloured, value)
        )
        band = forecast(fit, at=at, group=level, prob=prob).table
        logs = fit.model.observation.scale.name == "log"
        low, high = (_smooth(band[f"new_run_{end}"].to_numpy(float), logs) for end in ("lower", "upper"))
        low, high = np.minimum(low, band["lower"]), np.maximum(high, band["upper"])
        panel.fill_between(abscissa, low, high, color=shade, alpha=0.13, lw=0)
        panel.fill_between(abscissa, band["lower"], band["upper"], color=shade, alpha=0.35, lw=0)
        inside = abscissa <= x.max() * 1.0001
        panel.plot(abscissa[inside], band["median"][inside], color=shade, lw=1.3)
        last = max(0, np.flatnonzero(inside)[-1]) if inside.any() else 0
        panel.plot(abscissa[last:], band["median"][last:], color=shade, lw=1.3, ls="--")
    panel.scatter(x, runs.y[rows], s=14, zorder=3, edgecolors="white", linewidths=0.4, c=dots)
    panel.set(
        xscale="log",
        yscale="log" if fit.model.observation.scale.name == "log" else "linear",
        xlim=(ends[0] / 1.15, ends[1]),
    )
    if x.max() < ends[1]:
        panel.axvspan(x.max(), ends[1], color="0.5", alpha=0.12, lw=0, zorder=0)
    label_log_axis(panel)
    if level is not None:
        panel.set_title(level, fontsize=9)
    return mapped


def _held(
    fit: Fit, axis: str, level: str | None, abscissa: np.ndarray, coloured: str | None, value: float
) -> pd.DataFrame:
    """Points along an axis, with one further input at a value and all others held."""
    runs = fit.model.runs
    rows = runs.rows(level)
    at: dict[str, Any] = {axis: abscissa} | ({coloured: value} if coloured else {})
    for name, each in runs.inputs.items():
        own = runs.x(name)[rows]
        if name in at:
            continue
        if name in runs.scales:
            at[name] = float(np.exp(np.log(own).mean()))
        elif each.is_vector:
            at |= dict(zip(each.columns, own.mean(0), strict=True))
        elif each.kind == "plain":
            at[name] = float(own.mean())
    return pd.DataFrame(at)


def _along(fit: Fit, level: str | None, path: Any, abscissa: np.ndarray) -> pd.DataFrame:
    """Points of a path."""
    runs = fit.model.runs
    at: dict[str, Any] = {}
    for name, values in points_along(fit.model, path, abscissa, parameters_along(fit, level)).x.items():
        if runs.inputs[name].is_vector:
            at |= dict(zip(runs.inputs[name].columns, values.T, strict=True))
        elif runs.inputs[name].kind != "constant":
            at[name] = values
    return pd.DataFrame(at)


def _palette(values: np.ndarray) -> Any:
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LinearSegmentedColormap, LogNorm

    # The palest colours of the map would be invisible on white.
    palette = LinearSegmentedColormap.from_list("readable", colormaps["viridis"](np.linspace(0.88, 0, 256)))
    return ScalarMappable(LogNorm(values.min(), values.max()), palette)


def _residuals(
    panels: Sequence[Axes], fit: Fit, axis: str, levels: Sequence[str | None], prob: float, coloured: str | None
) -> None:
    """Every run over its own median, with the band of a new run."""
    if not panels:
        return
    runs, found = fit.model.runs, misfit(fit, prob=prob)
    in_percent, table = found.scale == "log", found.table
    times = 100 if in_percent else 1
    shades = _palette(runs.x(coloured)) if coloured else None
    for panel, level in zip(panels, levels, strict=True):
        own = table[table["group"] == level] if level is not None else table
        ends = (
            (own[end] / own["median"] - 1) if in_percent else own[end] - own["median"] for end in ("lower", "upper")
        )
        low, high = (times * each for each in ends)
        panel.vlines(own[axis], low, high, color="0.87", lw=2, zorder=0)
        dots = shades.to_rgba(own[coloured]) if shades is not None else "0.15"
        panel.scatter(own[axis], times * own["off"], s=9, c=dots, zorder=3, edgecolors="white", linewidths=0.3)
        panel.axhline(0.0, color="0.4", lw=0.8)
        tidy(panel)
    usual = times * found.table["off"].abs()[~found.table["outlier"]].max()
    panels[0].set_ylim(-1.25 * usual, 1.25 * usual)
    panels[0].set_ylabel("run less its\nmedian" + (" (%)" if in_percent else ""), fontsize=7.5)


def _smooth(edge: np.ndarray, logs: bool) -> np.ndarray:
    """The edge of a band along neighbouring points, without the Monte Carlo error of each."""
    from scipy.signal import savgol_filter

    if not np.isfinite(edge).all() or (logs and (edge <= 0).any()):
        return edge
    smooth = savgol_filter(np.log(edge) if logs else edge, _SMOOTHED, 2)
    return np.exp(smooth) if logs else smooth


def _levels(values: np.ndarray) -> np.ndarray:
    """A few typical values of an input: all distinct ones if there are few, else those at quantiles of the runs."""
    distinct = np.unique(values)
    if len(distinct) <= _MOST_LEVELS:
        return distinct
    return np.unique(np.quantile(values, np.linspace(0.02, 0.98, _MOST_LEVELS), method="nearest"))
