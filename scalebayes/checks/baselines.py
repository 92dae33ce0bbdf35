"""Baselines without a posterior: rules of thumb, least squares, least squares with bootstrap bands."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy.optimize import least_squares

from scalebayes import laws
from scalebayes.laws import Law, as_law
from scalebayes.model import Model
from scalebayes.model.evaluation import expected
from scalebayes.model.prior import prior_parameters
from scalebayes.numerics import scores
from scalebayes.numerics.padding import padded_size, repeat_last
from scalebayes.numerics.precision import double_precision
from scalebayes.observations import Observation
from scalebayes.observations.scales import LOG, Scale
from scalebayes.priors import Normal, with_pooling
from scalebayes.runs import Runs
from scalebayes.runs.cost import order_at, order_of_runs

STARTS = 8
_RIVALS: tuple[Callable, ...] = (
    laws.power,
    laws.power_floor,
    laws.shifted_power,
    laws.saturating_power,
    laws.broken_power,
)
_MOST_STARTS = 32
_MOST_STEPS = 400
_FARTHEST = 200.0  # bound on the logarithm of a parameter
_AGREE = 1e-4  # the best two searches may differ by this share of the cost


def carried(x: np.ndarray, y: np.ndarray, new: np.ndarray) -> np.ndarray:
    """The response at the largest scale, carried forward to every new point."""
    return np.full(len(new), y[np.argmax(x)])


def line(x: np.ndarray, y: np.ndarray, new: np.ndarray, scale: Scale = LOG) -> np.ndarray:
    """A straight line over log x, on the scale of y, through the last third of x, with at least the last two runs."""
    log_x, values = np.log(x), scale.forward(scale.inside(y))
    late = log_x >= log_x.max() - np.ptp(log_x) / 3
    late[np.argsort(log_x)[-2:]] = True
    if np.ptp(log_x[late]) == 0:
        return carried(x, y, new)
    return scale.backward(np.polyval(np.polyfit(log_x[late], values[late], 1), np.log(new)))


def least_squares_fit(
    law: Callable | Law, runs: Runs, priors: Mapping, observation: Observation | None = None, *, seed: int = 0
) -> tuple[dict[str, float], bool]:
    """The law's parameters by least squares on the observation's scale, and whether the search has converged.

    Searches start at draws from the law's prior; more are made until the best two agree.

    Parameters
    ----------
    law : Callable or Law
    runs : Runs
        Of one group.
    priors : mapping of str to prior
        Priors of parameters, where the law has no default or another one is wanted.
    observation : Observation, optional
        Its scale is that of the residuals; by default the logarithm.
    seed : int

    Returns
    -------
    parameters : dict of str to float
    converged : bool
    """
    model = _model(law, runs, priors, observation)
    runs, names, logs = model.runs, model.parameters, _in_logs(model)
    drawn = prior_parameters(model.structure, model.numbers, (), _MOST_STARTS, seed)
    starts = np.stack([drawn[name].to_numpy().reshape(-1) for name in names], 1)
    starts = np.where(logs, np.log(np.where(logs, starts, 1.0)), starts)
    ends: list[tuple[float, np.ndarray]] = []
    with double_precision():
        problem = _problem(model, logs)
        for i, start in enumerate(starts):
            ends.append(_climb(problem, np.ones(len(runs)), start))
            costs = sorted(cost for cost, _ in ends)
            if i + 1 >= STARTS and costs[1] - costs[0] <= _AGREE * costs[0]:
                break
    costs = sorted(cost for cost, _ in ends)
    theta = min(ends, key=lambda end: end[0])[1]
    values = _natural(theta, logs)
    return dict(zip(names, map(float, values), strict=True)), costs[1] - costs[0] <= _AGREE * costs[0]


def bootstrap(
    law: Callable | Law,
    runs: Runs,
    priors: Mapping,
    parameters: dict[str, float],
    points: list[np.ndarray],
    observation: Observation | None = None,
    *,
    draws: int = 200,
    seed: int = 0,
) -> np.ndarray:
    """Draws of new runs from least squares refitted to resampled runs, each with a resampled residual.

    Parameters
    ----------
    law : Callable or Law
    runs : Runs
        Of one group.
    priors : mapping of str to prior
        As for `least_squares_fit`.
    parameters : dict of str to float
        Parameters of the fit to all runs, at which every refit starts.
    points : list of array, shape (point,)
        The law's inputs at the new points.
    observation : Observation, optional
        As for `least_squares_fit`.
    draws : int
    seed : int

    Returns
    -------
    array, shape (draw, point)
    """
    model = _model(law, runs, priors, observation)
    runs, names, logs = model.runs, tuple(parameters), _in_logs(model)
    rng, n = np.random.default_rng(seed), len(runs)
    theta = np.asarray(list(parameters.values()))
    start = np.where(logs, np.log(np.where(logs, theta, 1.0)), theta)
    with double_precision():
        problem = _problem(model, logs)
        weights = [np.bincount(rng.integers(n, size=n), minlength=n).astype(float) for _ in range(draws)]
        ends = np.stack([_climb(problem, weight, start)[1] for weight in weights])
    values = dict(zip(names, _natural(ends, logs).T, strict=True))
    scale = model.observation.scale
    about = scale.inside(expected(model.law.function, [runs.x(name) for name in runs.inputs], values))
    residuals = scale.forward(scale.inside(runs.y)) - scale.forward(about)
    chosen = rng.integers(n, size=(draws, len(points[0])))
    ahead = scale.inside(expected(model.law.function, points, values))
    return scale.moved(ahead, np.take_along_axis(residuals, chosen, axis=1))


def without_posterior(
    law: Callable | Law,
    runs: Runs,
    priors: Mapping,
    x: Mapping[str, np.ndarray],
    response: np.ndarray,
    seed: int,
    cost: np.ndarray | None = None,
    observation: Observation | None = None,
) -> list[dict]:
    """Errors on one curve of every method without a posterior.

    Parameters
    ----------
    law : Callable or Law
        Fitted first, with bootstrap bands. If it has one input, other laws of one input follow.
    runs : Runs
        The known runs, of one group.
    priors : mapping of str to prior
        See `least_squares_fit`.
    x : mapping of str to array
        Inputs of the runs to forecast.
    response : array
        Responses of the runs to forecast.
    seed : int
    cost : array, optional
        Costs of the runs to forecast, where the cost is a column.
    observation : Observation, optional
        As for `least_squares_fit`.

    Returns
    -------
    list of dict
        method and rmsle; converged and problem for least squares; coverage_89 and width_89 for the bootstrap. Where the
        law refuses the curve (as laws for losses refuse one that rises), rmsle is NaN and problem says why.
    """
    law, scale, new = as_law(law), order_of_runs(runs), order_at(runs, x, cost)
    at, on = list(x.values()), LOG if observation is None else observation.scale
    found = [
        _judged("carry_forward", carried(scale, runs.y, new), response, on),
        _judged(f"{'log_log' if on.name == 'log' else on.name}_line", line(scale, runs.y, new, on), response, on),
    ]
    for rival in [law, *(r for r in map(as_law, _RIVALS) if len(runs.inputs) == 1 and r is not law)]:
        own = priors if rival is law else {}
        if len(runs) < len(rival.parameters):
            continue
        method = f"least_squares_{rival.name}"
        try:
            values, converged = least_squares_fit(rival, runs, own, observation, seed=seed)
        except ValueError as refused:
            of_law = (method, "bootstrap") if rival is law else (method,)
            found += [{"method": name, "rmsle": np.nan, "problem": str(refused)} for name in of_law]
            continue
        # In double precision: some amplitudes are too large for single precision.
        predicted = expected(rival.function, at, {name: np.array([value]) for name, value in values.items()})[0]
        problem = "" if converged else f"the best two of up to {_MOST_STARTS} searches disagree"
        found.append(_judged(method, predicted, response, on) | {"converged": converged, "problem": problem})
        if rival is law:
            drawn = on.forward(on.inside(bootstrap(law, runs, own, values, at, observation, seed=seed)))
            inside, width = scores.covered(drawn, on.forward(on.inside(response)), scores.BAND)
            band = {"coverage_89": float(inside.mean()), "width_89": float(width.mean())}
            found.append(_judged("bootstrap", on.backward(np.median(drawn, 0)), response, on) | band)
    return found


def _judged(method: str, predicted: np.ndarray, response: np.ndarray, scale: Scale) -> dict[str, Any]:
    error = scale.forward(scale.inside(predicted)) - scale.forward(scale.inside(response))
    return {"method": method, "rmsle": float(np.sqrt(np.mean(error**2)))}


def _model(law: Callable | Law, runs: Runs, priors: Mapping, observation: Observation | None) -> Model:
    own = {name: with_pooling(prior).prior for name, prior in priors.items()}
    return Model(law, runs, priors=own, observation=observation, discrepancy=None)


def _natural(theta: np.ndarray, logs: np.ndarray) -> np.ndarray:
    return np.where(logs, np.exp(np.clip(theta, -_FARTHEST, _FARTHEST)), theta)


def _in_logs(model: Model) -> np.ndarray:
    priors = [with_pooling(model.priors[name]).prior for name in model.parameters]
    return np.asarray([not isinstance(prior, Normal) for prior in priors])


@dataclass(frozen=True, eq=False)
class _Problem:
    """Residuals and their derivatives, as functions of theta, the data and a weight for each run (0 for padding)."""

    residuals: Callable
    jacobian: Callable
    data: tuple
    n: int
    size: int


def _problem(model: Model, logs: np.ndarray) -> _Problem:
    runs, scale = model.runs, model.observation.scale
    n = len(runs)
    size = padded_size(n)  # each size is compiled once
    # The data go to the device once, and not at every step.
    data = jax.device_put(
        (
            tuple(repeat_last(runs.x(name), size) for name in runs.inputs),
            repeat_last(scale.forward(scale.inside(runs.y)), size),
        )
    )
    return _Problem(*_functions(model.law.function, model.parameters, tuple(logs), scale), data, n, size)


def _climb(problem: _Problem, weight: np.ndarray, start: np.ndarray) -> tuple[float, np.ndarray]:
    """Search for the smallest weighted sum of squares from a start: its cost and theta, in double precision."""
    root_weight = jax.device_put(np.sqrt(np.pad(weight, (0, problem.size - problem.n))))

    def finite(of: Callable) -> Callable:
        return lambda theta: np.nan_to_num(
            np.asarray(of(theta, *problem.data, root_weight)), nan=1e6, posinf=1e6, neginf=-1e6
        )

    try:
        end = least_squares(
            finite(problem.residuals), start, finite(problem.jacobian), method="lm", max_nfev=_MOST_STEPS
        )
    except ValueError:  # a start from which nothing is finite
        return np.inf, start
    return float(end.cost), end.x


@lru_cache(maxsize=32)
def _functions(
    law: Callable, names: tuple[str, ...], logs: tuple[bool, ...], scale: Scale
) -> tuple[Callable, Callable]:
    def residuals(theta, x, observed, root_weight):
        values = jnp.where(jnp.asarray(logs), jnp.exp(jnp.clip(theta, -_FARTHEST, _FARTHEST)), theta)
        expected = law(*x, **dict(zip(names, values, strict=True)))
        return root_weight * (observed - scale.forward(scale.inside(expected, jnp), jnp))

    return jax.jit(residuals), jax.jit(jax.jacfwd(residuals))
