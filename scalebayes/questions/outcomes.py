"""Outcomes of runs that could be trained: what each would say of the posterior's draws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from scalebayes.fits.fit import Fit
from scalebayes.model import Model
from scalebayes.model.prediction import Points, predict
from scalebayes.observations.density import log_density
from scalebayes.questions.along import mean_along, parameters_along, points_along
from scalebayes.questions.candidates import points_by_group
from scalebayes.questions.paths import Path
from scalebayes.questions.points import points_of


def with_candidates(
    fit: Fit, levels: Sequence[str | None], paths: Sequence[Path], scales: np.ndarray, points: pd.DataFrame, seed: int
) -> tuple[np.ndarray, np.ndarray, list[dict[str, float]]]:
    """Joint draws of the mean response of groups along their paths, and of candidates.

    Returns
    -------
    along : array, shape (sample, group, scale)
    at_runs : array, shape (sample, candidate)
    columns : list of dict
        What the observation of each candidate reads, by role.
    """
    model, draws = fit.model, fit.posterior
    samples = draws.sizes["chain"] * draws.sizes["draw"]
    along, at_runs = np.empty((samples, len(levels), len(scales))), np.empty((samples, len(points)))
    columns: list[dict[str, float]] = [{} for _ in range(len(points))]
    if not model.departs:
        along = mean_along(fit, levels, paths, scales, seed)
    for level, (rows,) in points_by_group(model.runs, [points], levels).items():
        own = points_of(model, points.iloc[rows], level) if len(rows) else None
        x = {name: own.x[name] if own else np.empty(0) for name in model.runs.inputs}
        ahead = 0
        if model.departs and level in levels:  # a departure is drawn at all points of its group together
            k = levels.index(level)
            first = points_along(model, paths[k], scales, parameters_along(fit, level)).x
            x = {name: np.concatenate([first[name], x[name]]) if own else first[name] for name in x}
            ahead = len(scales)
        if not len(next(iter(x.values()))):
            continue
        mean = predict(model, draws, Points(x), level, seed=seed, new_runs=False).mean
        if ahead:
            along[:, levels.index(level)] = mean[:, :ahead]
        at_runs[:, rows] = mean[:, ahead:]
        for j, i in enumerate(rows):
            columns[i] = {role: float(of[j]) for role, of in own.columns.items()} if own else {}
    return along, at_runs, columns


def weights_of(
    model: Model,
    mean: np.ndarray,
    parameters: Mapping[str, np.ndarray],
    columns: Mapping[str, float],
    outcomes: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Weights of the draws given each of some simulated outcomes of a run, shape (outcome, sample)."""
    of = np.linspace(0, len(mean) - 1, outcomes).round().astype(int)
    of = rng.permutation(len(mean))[of]
    observation = model.observation
    values = {name: parameters[name] for name in observation.priors()}
    drawn = observation.draw(mean[of], {name: value[of] for name, value in values.items()}, columns, rng)
    density = log_density(observation, drawn[:, None], mean, values, columns)
    weights = np.exp(density - density.max(1, keepdims=True))
    return weights / weights.sum(1, keepdims=True)
