"""Draws of the mean response of several groups along a path: what comparisons are made of."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd

from scalebayes import laws
from scalebayes.fitting import Fit
from scalebayes.model.predictive import before_runs, elementwise, expected, of_group
from scalebayes.precision import double_precision
from scalebayes.questions.forecasting import forecast
from scalebayes.questions.paths import FLOPS_PER_TOKEN, Path
from scalebayes.runs import Runs


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
        f = evaluated(fit.model.law, path, at, theta)
        if fit.model.discrepancy:
            x = _inputs(path, at[0], theta)
            every = of_group(structure, fit.idata["prior"].to_dataset(), level)
            rng = np.random.default_rng(_seed(fit.model.runs, level, seed))
            g, own = before_runs(fit.model, every, level, x, rng)
            floor = np.reshape(laws.floor(fit.model.law, theta), (-1, 1))
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
