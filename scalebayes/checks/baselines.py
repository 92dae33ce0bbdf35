"""What people do without a posterior: rules of thumb, least squares, least squares with bootstrap bands."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np
from scipy.optimize import least_squares

from scalebayes.model import Model
from scalebayes.precision import double_precision
from scalebayes.priors import Normal, with_pooling
from scalebayes.runs import Runs

STARTS = 8
_MOST_STARTS = 32
_FARTHEST = 200.0  # a logarithm
_AGREE = 1e-4  # of the cost, between the best two climbs


def carried(x: np.ndarray, y: np.ndarray, new: np.ndarray) -> np.ndarray:
    """The response at the largest scale, for ever."""
    return np.full(len(new), y[np.argmax(x)])


def line(x: np.ndarray, y: np.ndarray, new: np.ndarray) -> np.ndarray:
    """A straight line in logs through the last third of the scales, or the last two runs."""
    log_x, log_y = np.log(x), np.log(y)
    late = log_x >= log_x.max() - np.ptp(log_x) / 3
    late[np.argsort(log_x)[-2:]] = True
    if np.ptp(log_x[late]) == 0:
        return carried(x, y, new)
    return np.exp(np.polyval(np.polyfit(log_x[late], log_y[late], 1), np.log(new)))


def least_squares_fit(law: Callable, runs: Runs, priors: Mapping, *, seed: int = 0) -> tuple[dict[str, float], bool]:
    """The law's parameters by least squares on log residuals, and whether the search had converged.

    Climbs start at draws from the law's prior, more of them until the best two agree.

    Parameters
    ----------
    law : Callable
    runs : Runs
        Of one group.
    priors : mapping of str to prior
        Of the parameters that have no default, or another.
    seed : int

    Returns
    -------
    parameters : dict of str to float
    converged : bool
    """
    model = _model(law, runs, priors)
    runs, names, logs = model.runs, model.parameters, _in_logs(model)
    drawn = model.prior(_MOST_STARTS, seed=seed)["prior"].to_dataset()
    starts = np.stack([drawn[name].to_numpy().reshape(-1) for name in names], 1)
    starts = np.where(logs, np.log(np.where(logs, starts, 1.0)), starts)
    ends: list[tuple[float, np.ndarray]] = []
    weight = np.ones(len(runs))
    for i, start in enumerate(starts):
        ends.append(_climb(law, names, logs, runs, weight, start))
        costs = sorted(cost for cost, _ in ends)
        if i + 1 >= STARTS and costs[1] - costs[0] <= _AGREE * costs[0]:
            break
    costs = sorted(cost for cost, _ in ends)
    theta = min(ends, key=lambda end: end[0])[1]
    values = _natural(theta, logs)
    return dict(zip(names, map(float, values), strict=True)), costs[1] - costs[0] <= _AGREE * costs[0]


def bootstrap(
    law: Callable,
    runs: Runs,
    priors: Mapping,
    parameters: dict[str, float],
    points: list[np.ndarray],
    *,
    draws: int = 200,
    seed: int = 0,
) -> np.ndarray:
    """Draws of new runs from least squares refitted to resampled runs, each with a resampled residual.

    Parameters
    ----------
    law : Callable
    runs : Runs
        Of one group.
    priors : mapping of str to prior
        As for `least_squares_fit`.
    parameters : dict of str to float
        Of the fit to all runs, where every refit starts.
    points : list of array, shape (point,)
        The law's inputs at the new places.
    draws : int
    seed : int

    Returns
    -------
    array, shape (draw, point)
    """
    model = _model(law, runs, priors)
    runs, names, logs = model.runs, tuple(parameters), _in_logs(model)
    rng, n = np.random.default_rng(seed), len(runs)
    theta = np.asarray(list(parameters.values()))
    start = np.where(logs, np.log(np.where(logs, theta, 1.0)), theta)
    x = [runs.x(name) for name in runs.inputs]
    found = np.empty((draws, len(points[0])))
    with double_precision():
        for b in range(draws):
            counts = np.bincount(rng.integers(n, size=n), minlength=n).astype(float)
            _, end = _climb(law, names, logs, runs, counts, start)
            values = dict(zip(names, _natural(end, logs), strict=True))
            residual = np.log(runs.y) - np.log(np.asarray(law(*x, **values)))
            found[b] = np.asarray(law(*points, **values)) * np.exp(rng.choice(residual, size=len(points[0])))
    return found


def _model(law: Callable, runs: Runs, priors: Mapping) -> Model:
    return Model(law, runs, priors={name: with_pooling(prior).prior for name, prior in priors.items()})


def _natural(theta: np.ndarray, logs: np.ndarray) -> np.ndarray:
    return np.where(logs, np.exp(np.clip(theta, -_FARTHEST, _FARTHEST)), theta)


def _in_logs(model: Model) -> np.ndarray:
    priors = [with_pooling(model.priors[name]).prior for name in model.parameters]
    return np.asarray([not isinstance(prior, Normal) for prior in priors])


def _climb(law, names, logs, runs: Runs, weight: np.ndarray, start: np.ndarray) -> tuple[float, np.ndarray]:
    n = len(runs)
    size = -(-n // 16) * 16  # a few sizes, each compiled once
    fill = np.minimum(np.arange(size), n - 1)
    x = [runs.x(name)[fill] for name in runs.inputs]
    data = (x, np.log(runs.y)[fill], np.where(np.arange(size) < n, np.sqrt(weight[fill]), 0.0))
    residuals, jacobian = _functions(law, tuple(names), tuple(logs))

    def finite(of: Callable) -> Callable:
        return lambda theta: np.nan_to_num(np.asarray(of(theta, *data)), nan=1e6, posinf=1e6, neginf=-1e6)

    with double_precision():
        try:
            end = least_squares(finite(residuals), start, finite(jacobian), method="lm", max_nfev=400)
        except ValueError:  # a start from which nothing is finite
            return np.inf, start
    return float(end.cost), end.x


@lru_cache(maxsize=32)
def _functions(law: Callable, names: tuple[str, ...], logs: tuple[bool, ...]) -> tuple[Callable, Callable]:
    def residuals(theta, x, log_y, root_weight):
        values = jnp.where(jnp.asarray(logs), jnp.exp(jnp.clip(theta, -_FARTHEST, _FARTHEST)), theta)
        expected = law(*x, **dict(zip(names, values, strict=True)))
        return root_weight * (log_y - jnp.log(jnp.maximum(expected, 1e-300)))

    return jax.jit(residuals), jax.jit(jax.jacfwd(residuals))
