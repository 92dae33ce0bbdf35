"""Draws of the mean response of several groups along a path, from which groups are compared."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd

from scalebayes.arguments import quoted
from scalebayes.fits.averaging import Average, members, mixed
from scalebayes.fits.fit import Fit
from scalebayes.model import Model
from scalebayes.model.evaluation import elementwise, expected
from scalebayes.model.prediction import Points, law_parameters, predict
from scalebayes.numerics.precision import double_precision
from scalebayes.numerics.roots import bisect
from scalebayes.questions.groups import Group, check_comparable, check_group, check_levels
from scalebayes.questions.paths import Held, Path, observed_scales, path_along
from scalebayes.runs import Runs

_WIDEST, _HALVINGS = float(np.log(1e60)), 52
_COARSE = 121  # points of the grid, one per decade
_AMONG, _DECADES = 24, 12  # points among the runs, and decades beyond them, of a grid for a fit that departs


@dataclass(frozen=True, eq=False)
class Together:
    """Groups whose parameters have one joint posterior.

    Parameters
    ----------
    fit : Fit or Average
    levels : tuple of str or None
        The groups; None stands for the one curve of a fit without groups.
    settings : tuple of mapping
        Inputs that are held for each of them, if they are settings of one group.
    """

    fit: Fit | Average
    levels: tuple[str | None, ...]
    settings: tuple[Mapping[str, Any], ...] = ()

    @property
    def parts(self) -> list[tuple[Fit, float]]:
        """The fits and their weights."""
        return members(self.fit)

    @property
    def runs(self) -> Runs:
        """The runs that were fitted."""
        return self.parts[0][0].model.runs

    def rows_along(self, axis: str, names: Sequence[str]) -> pd.DataFrame:
        """The runs of each group, or of each setting those that have it: group, scale, response."""
        parts = []
        for i, level in enumerate(self.levels):
            rows = self.runs.rows(level)
            for name, value in self.settings[i].items() if self.settings else ():
                known = self.runs.x(name) if name in self.runs.scales else np.full(len(self.runs), np.nan)
                rows = rows[np.isclose(known[rows], float(value))] if isinstance(value, Real) else rows[:0]
            scale = observed_scales(self.runs, axis, level)[np.isin(self.runs.rows(level), rows)]
            parts.append(pd.DataFrame({"group": names[i], "scale": scale, "response": self.runs.y[rows]}))
        return pd.concat(parts, ignore_index=True)

    def paths(self, axis: str, path: Held) -> list[list[Path]]:
        """The path along which inputs grow, for each fit and each of its groups."""
        held = [_with_setting(path, setting) for setting in self.settings] or [path] * len(self.levels)
        of_levels = list(zip(held, self.levels, strict=True))
        return [[path_along(each.model, axis, own, level) for own, level in of_levels] for each, _ in self.parts]

    def drawn(
        self, of: Callable[[Fit, Sequence[Path]], np.ndarray], paths: Sequence[Sequence[Path]]
    ) -> list[np.ndarray]:
        """The draws of each fit, given its groups' paths."""
        return [of(each, along) for (each, _), along in zip(self.parts, paths, strict=True)]

    def mixed(self, drawn: Sequence[np.ndarray]) -> np.ndarray:
        """Draws of all fits, mixed in the proportion of their weights."""
        return mixed(drawn, [weight for _, weight in self.parts])


def _with_setting(path: Held, setting: Mapping[str, Any]) -> Held:
    if callable(path):
        raise ValueError("settings are compared along a path of held values, and the path given is a function.")
    if isinstance(path, Mapping):
        twice = [name for name in setting if name in path]
        if twice:
            raise ValueError(f"{twice[0]} is held by the path and by a setting; leave it out of one of them.")
        return {**path, **setting}
    return dict(setting)


def settings_compared(
    fit: object, between: Mapping[str, Mapping[str, Any]], group: object
) -> tuple[list[Together], tuple[str, ...]]:
    """Settings of one group of a fit, by their names.

    Raises
    ------
    TypeError, ValueError
        If there are fewer than two settings, or they hold different inputs, or no one group is named.
    """
    if not isinstance(fit, Fit | Average):
        raise TypeError(f"settings are of one fit, got {type(fit).__name__}.")
    if (
        not isinstance(between, Mapping)
        or len(between) < 2
        or not all(isinstance(s, Mapping) for s in between.values())
    ):
        raise TypeError(
            "between names two settings or more, each with the inputs it holds, such as "
            f"{{'dense': {{'X': 1}}, 'sparse': {{'X': 64}}}}; got {quoted(between)}."
        )
    names = [set(setting) for setting in between.values()]
    if any(other != names[0] for other in names):
        raise ValueError(f"settings hold the same inputs; got {', '.join(str(sorted(each)) for each in names)}.")
    runs = members(fit)[0][0].model.runs
    levels = (group,) if group is None or isinstance(group, str) else tuple(group)  # type: ignore[arg-type]
    if len(levels) != 1 or (runs.group and levels[0] is None):
        raise ValueError(f"settings are compared within one group: groups= one of {', '.join(runs.levels)}.")
    level = check_group(runs, levels[0])
    return [Together(fit, (level,) * len(between), tuple(between.values()))], tuple(map(str, between))


def compared(
    fit: Fit | Average | Mapping[str, Fit | Average], groups: Sequence[Group] | Group | None
) -> tuple[list[Together], tuple[str, ...]]:
    """The groups to compare, with those of one fit kept together, and their names.

    Raises
    ------
    TypeError
        If a value is not a fit.
    ValueError
        If there are fewer than two groups, a group does not exist, or their responses are measured differently.
    """
    if isinstance(fit, Fit | Average):
        model = members(fit)[0][0].model
        runs = model.runs
        levels = check_levels(runs, groups)
        check_comparable({level: (runs, level) for level in levels}, model.across_evaluations)
        return [Together(fit, levels)], levels
    if not isinstance(fit, Mapping):
        raise TypeError(f"a Fit, an Average, or several of them by name are compared, got {type(fit).__name__}.")
    by_name = {str(name): name for name in fit}
    names = (groups,) if isinstance(groups, str) else tuple(map(str, groups or by_name))
    for name in names:
        if name not in by_name:
            raise ValueError(f"there is no fit called {name!r}; there are {', '.join(map(repr, by_name))}.")
    if len(set(names)) < max(2, len(names)):
        raise ValueError(f"2 different fits or more are compared, got {', '.join(names) or 'none'}.")
    apart = []
    for name in names:
        own = fit[by_name[name]]
        if not isinstance(own, Fit | Average):
            raise TypeError(f"a Fit or Average is needed for {name!r}, got {type(own).__name__}.")
        runs = members(own)[0][0].model.runs
        if runs.group:
            raise ValueError(
                f"each of several fits is one curve; {name!r} has the groups {', '.join(runs.levels)}. Compare the "
                "groups of that fit alone."
            )
        apart.append(Together(own, (None,)))
    for what, said_of in (("responses", "response"), ("directions", "better")):
        found = {name: getattr(of.runs, said_of) for name, of in zip(names, apart, strict=True)}
        if len(set(found.values())) > 1:
            said = ", ".join(f"{name}: {value}" for name, value in found.items())
            raise ValueError(f"the fits are of different {what} ({said}): they are not comparable.")
    check_comparable({name: (of.runs, of.levels[0]) for name, of in zip(names, apart, strict=True)})
    return apart, names


def side_by_side(drawn: Sequence[np.ndarray], seed: int) -> tuple[np.ndarray, list[np.ndarray]]:
    """Draws of several independent posteriors, as draws of one joint posterior.

    The draws of each posterior are shuffled, since two fits with the same seed share random numbers.

    Parameters
    ----------
    drawn : sequence of array, shape (sample, group, ...)
    seed : int

    Returns
    -------
    drawn : array, shape (sample, group, ...)
        Draws of all groups, as many samples as the posterior with the fewest has.
    kept : list of array
        The indices of the samples taken from each posterior.
    """
    fewest = min(map(len, drawn))
    rng = np.random.default_rng(seed)
    kept = [np.arange(fewest) if len(drawn) == 1 else rng.permutation(len(each))[:fewest] for each in drawn]
    return np.concatenate([each[rows] for each, rows in zip(drawn, kept, strict=True)], axis=1), kept


def evaluated(model: Model, path: Path, scale: np.ndarray, theta: Mapping[str, np.ndarray]) -> np.ndarray:
    """The law along a path, at scales of shape (sample or 1, point), for parameters of shape (sample,)."""
    wide = {name: np.asarray(value, float)[:, None] for name, value in theta.items()}
    shape = (len(next(iter(wide.values()))), scale.shape[1])
    x = [
        _over(values, shape, model.runs.x(n).ndim - 1)
        for n, values in zip(model.runs.inputs, path.inputs(scale, wide), strict=True)
    ]
    with double_precision():
        return np.asarray(elementwise(model.law.function)(x, wide))


def _over(values: np.ndarray, shape: tuple[int, ...], own: int) -> np.ndarray:
    """Values of an input over a shape, which its own last axes follow: the parts of a vector."""
    values = np.asarray(values, float)
    return np.broadcast_to(values, (*shape, *values.shape[values.ndim - own :]))


def along_draws(model: Model, path: Path, theta: Mapping[str, np.ndarray]) -> Callable[[np.ndarray], np.ndarray]:
    """The law along a path, as a function of one scale per draw, shape (sample,)."""
    return lambda scale: evaluated(model, path, scale[:, None], theta)[:, 0]


def ends_about(scale: float) -> tuple[float, float]:
    """The ends of a search for a scale, in logs: sixty decades on either side."""
    return float(np.log(scale)) - _WIDEST, float(np.log(scale)) + _WIDEST


def inverted(
    response: Callable[[np.ndarray], np.ndarray], target: np.ndarray, ends: tuple[float, float], sign: float = 1.0
) -> np.ndarray:
    """First scale at which the response is as good as a target, for every draw.

    The response need not improve at every scale. A grid with one point per decade is searched for its first point that
    is as good as the target; the interval before this point is then bisected.

    Parameters
    ----------
    response : Callable
        A function of one scale per draw, shape (sample,), to the responses there.
    target : array, shape (sample,)
    ends : (float, float)
        Ends of the grid, in logs of the scale.
    sign : float
        1 where lower responses are better, -1 where higher ones are.

    Returns
    -------
    array, shape (sample,)
        The scales: 0 where the lower end is already as good, infinite where no point of the grid is.
    """

    def there(log_scale):
        return sign * response(np.exp(log_scale)) <= sign * target

    grid, first = np.linspace(*ends, _COARSE), np.full(len(target), _COARSE)
    for i, log_scale in enumerate(grid):
        first = np.where(there(np.full(len(target), log_scale)) & (first == _COARSE), i, first)
        if (first < _COARSE).all():
            break
    at_once, never = first == 0, first == _COARSE
    low, high = grid[np.clip(first - 1, 0, None)], grid[np.minimum(first, _COARSE - 1)]
    found = np.exp(bisect(there, low, high, _HALVINGS))
    return np.where(never, np.inf, np.where(at_once, 0.0, found))


def scales_about(runs: Runs, axis: str, level: str | None, further: float | None = None) -> np.ndarray:
    """The scales at which the response of a fit that departs from its law is drawn, to find where it meets a target.

    From a tenth of the smallest scale of the runs to a million million times the largest; four for each decade beyond.
    """
    seen = observed_scales(runs, axis, level)
    among = np.geomspace(seen.min() / 10, seen.max(), _AMONG)
    beyond = np.geomspace(seen.max(), seen.max() * 10.0**_DECADES, 4 * _DECADES + 1)
    return np.unique([*among, *beyond[1:], *([further] if further else [])])


def first_reached(drawn: np.ndarray, wanted: np.ndarray, scales: np.ndarray, sign: float = 1.0) -> np.ndarray:
    """First scale at which drawn responses are as good as those wanted, for every draw, on a grid.

    Parameters
    ----------
    drawn : array, shape (sample, scale)
    wanted : array, shape (sample,)
    scales : array, shape (scale,)
        Between two of them the response is taken to be linear in the log of the scale.
    sign : float
        1 where lower responses are better, -1 where higher ones are.

    Returns
    -------
    array, shape (sample,)
        The scales: the first where the response is already as good, infinite where it never is.
    """
    rows, logs = np.arange(len(drawn)), np.log(scales)
    reached = sign * drawn <= sign * wanted[:, None]
    at, never = reached.argmax(1), ~reached.any(1)
    before = np.maximum(at - 1, 0)
    high, low = drawn[rows, before], drawn[rows, at]
    share = np.where(high != low, (high - wanted) / np.where(high != low, high - low, 1.0), 0.0)
    scale = np.where(at == 0, logs[0], logs[before] + (logs[at] - logs[before]) * np.clip(share, 0, 1))
    return np.where(never, np.inf, np.exp(scale))


def parameters_along(fit: Fit, level: str | None, draws: str = "posterior") -> dict[str, np.ndarray]:
    """Draws of the law's parameters of a group, each of shape (sample,)."""
    return law_parameters(fit.model, fit.idata[draws].to_dataset(), level)


def mean_along(
    fit: Fit, levels: Sequence[str | None], paths: Sequence[Path], scales: np.ndarray, seed: int
) -> np.ndarray:
    """Joint draws of the mean response, shape (sample, group, scale).

    For a fit that departs from its law, a compute-optimal path is the posterior's median path, the same for all draws,
    because the departure is drawn jointly along one path.
    """
    if not fit.model.departs:
        each = zip(levels, paths, strict=True)
        return np.stack(
            [evaluated(fit.model, path, scales[None], parameters_along(fit, level)) for level, path in each], 1
        )
    found: dict[int, np.ndarray] = {}
    for level in dict.fromkeys(levels):  # settings of one group depart together
        own = [i for i, other in enumerate(levels) if other == level]
        points = [points_along(fit.model, paths[i], scales, parameters_along(fit, level)).x for i in own]
        x = {name: np.concatenate([each[name] for each in points]) for name in fit.model.runs.inputs}
        drawn = predict(fit.model, fit.posterior, Points(x), level, seed=seed, new_runs=False).mean
        found |= dict(zip(own, np.split(drawn, len(own), axis=1), strict=True))
    return np.stack([found[i] for i in range(len(levels))], 1)


def prior_along(fit: Fit, levels: Sequence[str | None], paths: Sequence[Path], scale: float, seed: int) -> np.ndarray:
    """Prior draws of the mean response at one scale, shape (sample, group)."""
    found, prior = [], fit.idata["prior"].to_dataset()
    for level, path in zip(levels, paths, strict=True):
        theta, at = parameters_along(fit, level, "prior"), np.asarray([scale])
        if fit.model.departs:
            points = points_along(fit.model, path, at, theta)
            drawn = predict(fit.model, prior, points, level, given="prior", seed=seed, new_runs=False).mean
            found.append(drawn[:, 0])
            continue
        f = evaluated(fit.model, path, at[None], theta)
        floor = np.reshape(fit.model.law.floor_of(theta), (-1, 1))
        found.append(np.where(np.isnan(f), floor, f)[:, 0])
    return np.stack(found, 1)


def alongside(
    fit: Fit, level: str | None, path: Path, scale: float, at: Points, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Joint draws of a group's mean response at a target and at its candidate runs: (sample,) and (sample, run)."""
    theta, target = parameters_along(fit, level), np.asarray([scale])
    if not fit.model.departs:
        there = evaluated(fit.model, path, target[None], theta)[:, 0]
        return there, expected(fit.model.law.function, [at.x[name] for name in fit.model.runs.inputs], theta)
    first = points_along(fit.model, path, target, theta)
    x = {name: np.concatenate([first.x[name], at.x[name]]) for name in fit.model.runs.inputs}
    drawn = predict(fit.model, fit.posterior, Points(x), level, seed=seed, new_runs=False).mean
    return drawn[:, 0], drawn[:, 1:]


def points_along(model: Model, path: Path, scales: np.ndarray, theta: Mapping[str, np.ndarray]) -> Points:
    """The points of a path that is the same for all draws: for a compute-optimal one its median over the draws."""
    runs = model.runs
    own = {name: runs.x(name).ndim - 1 for name in runs.inputs}
    if not path.of_draw:
        along = path.inputs(scales, theta)
        found = [_over(values, scales.shape, n) for values, n in zip(along, own.values(), strict=True)]
        return Points(dict(zip(own, found, strict=True)))
    wide = {name: value[:, None] for name, value in theta.items()}
    along = path.inputs(scales[None], wide)
    middle = [
        np.exp(np.median(np.log(values), axis=0)) if name in runs.scales else values[0]
        for name, values in zip(own, along, strict=True)
    ]
    return Points(
        dict(zip(own, [_over(v, scales.shape, n) for v, n in zip(middle, own.values(), strict=True)], strict=True))
    )
