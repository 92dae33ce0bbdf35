"""Draws of the mean response of several groups along a path: what comparisons are made of."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from scalebayes import laws
from scalebayes.fits.averaging import Average, members, mixed
from scalebayes.fits.fit import Fit
from scalebayes.fits.many import Fleet
from scalebayes.model.prediction import before_runs, elementwise, expected, of_group, settled
from scalebayes.numerics.precision import double_precision
from scalebayes.questions.forecast import forecast
from scalebayes.questions.paths import FLOPS_PER_TOKEN, Path, path_along
from scalebayes.questions.points import check_comparable, check_levels
from scalebayes.runs.runs import Runs

_WIDEST, _HALVINGS = float(np.log(1e60)), 52
_COARSE = 121  # one each decade


@dataclass(frozen=True, eq=False)
class Together:
    """Groups whose parameters have one joint posterior.

    Parameters
    ----------
    fit : Fit or Average
    levels : tuple of str or None
        The groups; None is all of a fit without groups.
    """

    fit: Fit | Average
    levels: tuple[str | None, ...]

    @property
    def parts(self) -> list[tuple[Fit, float]]:
        """The fits and their weights."""
        return members(self.fit)

    @property
    def runs(self) -> Runs:
        """What was fitted."""
        return self.parts[0][0].model.runs

    def paths(self, axis: str, path: Mapping[str, float] | Callable | str | None) -> list[Path]:
        """How the inputs of each fit grow."""
        return [path_along(each.model.law, tuple(each.model.runs.inputs), axis, path) for each, _ in self.parts]

    def drawn(self, of: Callable[[Fit, Path], np.ndarray], paths: Sequence[Path]) -> list[np.ndarray]:
        """What is drawn from each fit."""
        return [of(each, path) for (each, _), path in zip(self.parts, paths, strict=True)]

    def mixed(self, drawn: Sequence[np.ndarray]) -> np.ndarray:
        """That, in the proportion of the weights."""
        return mixed(drawn, [weight for _, weight in self.parts])


def compared(
    fit: Fit | Average | Mapping[str, Fit | Average] | Fleet, groups: Sequence[str] | None
) -> tuple[list[Together], tuple[str, ...]]:
    """The groups that are compared, those of one fit together, and their names.

    Raises
    ------
    TypeError
        If something is no fit.
    ValueError
        If there are fewer than two, one is not there, or they are measured differently.
    """
    if isinstance(fit, Fit | Average):
        runs = members(fit)[0][0].model.runs
        levels = check_levels(runs, groups)
        check_comparable({level: (runs, level) for level in levels})
        return [Together(fit, levels)], levels
    if not isinstance(fit, Mapping | Fleet):
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
                f"of several fits each is one curve; {name!r} has the groups {', '.join(runs.levels)}. Ask about that fit alone."
            )
        apart.append(Together(own, (None,)))
    responses = {name: of.runs.response for name, of in zip(names, apart, strict=True)}
    if len(set(responses.values())) > 1:
        said = ", ".join(f"{name}: {response}" for name, response in responses.items())
        raise ValueError(f"the fits are of different responses ({said}): they are not comparable.")
    check_comparable({name: (of.runs, of.levels[0]) for name, of in zip(names, apart, strict=True)})
    return apart, names


def side_by_side(drawn: Sequence[np.ndarray], seed: int) -> tuple[np.ndarray, list[np.ndarray]]:
    """Draws of several posteriors that know nothing of each other, as draws of one.

    Their order is mixed: two fits that were started from one seed share random numbers.

    Parameters
    ----------
    drawn : sequence of array, shape (sample, group, ...)
    seed : int

    Returns
    -------
    drawn : array, shape (sample, group, ...)
        Of all groups, as many samples as the shortest has.
    kept : list of array
        Which samples of each these are.
    """
    fewest = min(map(len, drawn))
    rng = np.random.default_rng(seed)
    kept = [np.arange(fewest) if len(drawn) == 1 else rng.permutation(len(each))[:fewest] for each in drawn]
    return np.concatenate([each[rows] for each, rows in zip(drawn, kept, strict=True)], axis=1), kept


def largest_scale(runs: Runs, axis: str, level: str | None) -> float:
    """The largest observed value along an axis, C being 6 N D.

    Raises
    ------
    ValueError
        If the axis is neither.
    """
    if axis not in runs.inputs and (axis != "C" or not {"N", "D"} <= set(runs.inputs)):
        raise ValueError(
            f"how far the runs go along {axis!r} is not known; it is no input ({', '.join(runs.inputs)}), nor C for N and D."
        )
    rows = np.ones(len(runs), bool) if level is None else runs.group_labels == level
    if axis in runs.inputs:
        return float(runs.x(axis)[rows].max())
    return float((FLOPS_PER_TOKEN * runs.x("N") * runs.x("D"))[rows].max())


def evaluated(law: Callable, path: Path, scale: np.ndarray, theta: Mapping[str, np.ndarray]) -> np.ndarray:
    """The law along a path at scales of shape (sample or 1, point) for parameters of shape (sample,)."""
    wide = {name: np.asarray(value, float)[:, None] for name, value in theta.items()}
    shape = (len(next(iter(wide.values()))), scale.shape[1])
    x = [np.broadcast_to(np.asarray(values, float), shape) for values in path.inputs(scale, wide)]
    with double_precision():
        return np.asarray(elementwise(law)(x, wide))


def along_draws(law: Callable, path: Path, theta: Mapping[str, np.ndarray]) -> Callable[[np.ndarray], np.ndarray]:
    """The law along a path as a function of a scale for every draw, shape (sample,)."""
    return lambda scale: evaluated(law, path, scale[:, None], theta)[:, 0]


def ends_about(scale: float) -> tuple[float, float]:
    """Between which log scales one is looked for: sixty decades on either side."""
    return float(np.log(scale)) - _WIDEST, float(np.log(scale)) + _WIDEST


def inverted(response: Callable[[np.ndarray], np.ndarray], target: np.ndarray, ends: tuple[float, float]) -> np.ndarray:
    """First scale at which a response comes down to a target, of every draw.

    It need not fall all the way: of a grid in the logarithm, a decade apart, the first point that is there is taken, and what lies
    before it bisected.

    Parameters
    ----------
    response : Callable
        A scale for every draw, shape (sample,), to the response there.
    target : array, shape (sample,)
    ends : (float, float)
        Of the log scale.

    Returns
    -------
    array, shape (sample,)
        0 where the near end is already there, infinite where no point of the grid is.
    """
    grid, first = np.linspace(*ends, _COARSE), np.full(len(target), _COARSE)
    for i, log_scale in enumerate(grid):
        found = response(np.full(len(target), np.exp(log_scale))) <= target
        first = np.where(found & (first == _COARSE), i, first)
        if (first < _COARSE).all():
            break
    at_once, never = first == 0, first == _COARSE
    low, high = grid[np.clip(first - 1, 0, None)], grid[np.minimum(first, _COARSE - 1)]
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        above = response(np.exp(middle)) > target
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    return np.where(never, np.inf, np.where(at_once, 0.0, np.exp((low + high) / 2)))


def parameters_of(fit: Fit, level: str | None, draws: str = "posterior") -> dict[str, np.ndarray]:
    """Draws of the law's parameters for a group, each of shape (sample,)."""
    structure, _ = fit.model.describe()
    own = of_group(structure, fit.idata[draws].to_dataset(), level)
    return {name: own[name] for name in fit.model.parameters}


def latent(fit: Fit, levels: Sequence[str | None], path: Path, scales: np.ndarray, seed: int) -> np.ndarray:
    """Joint draws of the mean response, shape (sample, group, scale).

    Where runs depart from the law, a compute-optimal path is the posterior's median one, the same for all draws: what
    lies off the law is drawn jointly along one path.
    """
    found = []
    for level in levels:
        theta = parameters_of(fit, level)
        if not fit.model.discrepancy:
            found.append(evaluated(fit.model.law, path, scales[None], theta))
            continue
        x = _inputs(path, scales, theta)
        points = pd.DataFrame(dict(zip(fit.model.runs.inputs, x, strict=True)))
        drawn = forecast(fit, points, group=level, seed=_seed(fit.model.runs, level, seed)).draws["mean_response"]
        found.append(drawn.to_numpy().reshape(-1, len(scales)))
    return np.stack(found, 1)


def latent_prior(fit: Fit, levels: Sequence[str | None], path: Path, scale: float, seed: int) -> np.ndarray:
    """Draws of the mean response at one scale before the runs were seen, shape (sample, group)."""
    found, structure = [], fit.model.describe()[0]
    for level in levels:
        theta, at = parameters_of(fit, level, "prior"), np.asarray([[scale]])
        floor = np.reshape(laws.floor(fit.model.law, theta), (-1, 1))
        f = settled(evaluated(fit.model.law, path, at, theta), floor)
        if fit.model.discrepancy:
            x = _inputs(path, at[0], theta)
            every = of_group(structure, fit.idata["prior"].to_dataset(), level)
            rng = np.random.default_rng(_seed(fit.model.runs, level, seed))
            g, own = before_runs(fit.model, every, level, x, rng)
            f = np.exp(own) * (floor + (f - floor) * np.exp(g))
        found.append(f[:, 0])
    return np.stack(found, 1)


def alongside(
    fit: Fit, level: str | None, path: Path, scale: float, x: Sequence[np.ndarray], seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Joint draws of a group's mean response at a target and at runs of its own, shapes (sample,) and (sample, run)."""
    theta, target = parameters_of(fit, level), np.asarray([scale])
    if not fit.model.discrepancy:
        there = evaluated(fit.model.law, path, target[None], theta)[:, 0]
        return there, expected(fit.model.law, list(x), theta)
    both = [np.concatenate([at, own]) for at, own in zip(_inputs(path, target, theta), x, strict=True)]
    points = pd.DataFrame(dict(zip(fit.model.runs.inputs, both, strict=True)))
    found = forecast(fit, points, group=level, seed=_seed(fit.model.runs, level, seed)).draws["mean_response"]
    drawn = found.to_numpy().reshape(-1, len(points))
    return drawn[:, 0], drawn[:, 1:]


def _inputs(path: Path, scales: np.ndarray, theta: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """Of a path that is the same for all draws."""
    if not path.of_draw:
        return [np.broadcast_to(np.asarray(values, float), scales.shape) for values in path.inputs(scales, theta)]
    wide = {name: value[:, None] for name, value in theta.items()}
    return [np.exp(np.median(np.log(values), axis=0)) for values in path.inputs(scales[None], wide)]


def _seed(runs: Runs, level: str | None, seed: int) -> int:
    """Of a group's own departures: another for each group, and the same whatever the groups are called."""

    def digest(of: str | None) -> int:
        rows = np.ones(len(runs), bool) if of is None else runs.group_labels == of
        return zlib.crc32(b"".join([runs.y[rows].tobytes(), *(runs.x(name)[rows].tobytes() for name in runs.inputs)]))

    own = digest(level)
    # One curve under two names departs twice, not once.
    before = [other for other in runs.levels[: runs.levels.index(level)] if digest(other) == own] if level else []
    return int(np.random.SeedSequence([seed, own, len(before)]).generate_state(1)[0])
