"""Expected responses and noise from draws of the parameters, in the prior, a known group or a new one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
import xarray as xr

from scalebayes import laws
from scalebayes.discrepancy.discrepancy import STILL, Drift, Frontier, frontier
from scalebayes.discrepancy.drift import LEVEL, ahead, given_others, integrated
from scalebayes.discrepancy.surface import ahead as off
from scalebayes.model.structure import Structure, build_order, deviate, publish, scales, unlink
from scalebayes.numerics.precision import double_precision
from scalebayes.runs.curves import curves

if TYPE_CHECKING:
    from scalebayes.model.model import Model

_SIZE = 16


def expected(law: Callable, x: list[np.ndarray], parameters: Mapping[str, np.ndarray]) -> np.ndarray:
    """The law at every point for every draw.

    Parameters
    ----------
    law : Callable
    x : list of array, shape (point,)
        Its inputs, in its order.
    parameters : mapping of str to array, shape (sample,)

    Returns
    -------
    array, shape (sample, point)
    """
    points = len(x[0])
    # A few sizes: each is compiled, and what was compiled is kept.
    fill = np.minimum(np.arange(-(-points // _SIZE) * _SIZE), points - 1)
    with double_precision():
        theta = {name: np.asarray(value, float) for name, value in parameters.items()}
        return np.asarray(_evaluator(law)([np.asarray(values, float)[fill] for values in x], theta))[:, :points]


@lru_cache(maxsize=32)
def _evaluator(law: Callable) -> Callable:
    return jax.jit(jax.vmap(lambda x, theta: law(*x, **theta), (None, 0)))


def scatter(structure: Structure, parameters: Mapping[str, np.ndarray], points: int, rng) -> np.ndarray:
    """Noise of new runs on the log response, shape (sample, point)."""
    own = np.sqrt(1 - np.asarray(parameters["rho"])) if structure.places else 1.0
    sigma = np.asarray(parameters["sigma"] * own)[:, None]
    shape = (len(sigma), points)
    if structure.student_t:
        return sigma * rng.standard_t(np.broadcast_to(np.asarray(parameters["nu"])[:, None], shape))
    return sigma * rng.standard_normal(shape)


def of_group(structure: Structure, draws: xr.Dataset, level: str | None) -> dict[str, np.ndarray]:
    """Parameters of the law and the noise of one group, each of shape (sample,); of the only one if there is none."""
    names = [p.name for p in structure.parameters] + (["nu"] if structure.student_t else [])
    chosen = draws[names]
    if level is not None and structure.group in chosen.dims:  # a model may share everything
        chosen = chosen.sel({structure.group: level})
    found = {name: chosen[name].to_numpy().reshape(-1) for name in names}
    still = STILL if structure.places else {}
    return {name: np.full_like(found["sigma"], value) for name, value in still.items()} | found


def drifted(model: Model, end: Frontier, parameters: Mapping[str, np.ndarray], level: str | None, x: np.ndarray, rng):
    """Draws of a curve's drift, correlated residual and level at new places x, each of shape (sample, point)."""
    runs = model.runs
    curve = runs.levels.index(level) if level is not None else 0
    rows = end.slots[curve][end.slots[curve] >= 0]
    law = {name: parameters[name] for name in model.parameters}
    f = expected(model.law, [runs.x(next(iter(runs.inputs)))[rows]], law)
    weight = 1 - np.reshape(laws.floor(model.law, law), (-1, 1)) / f
    h = np.log(x) - np.log(end.scale[curve])
    return ahead(h, np.log(runs.y[rows]) - np.log(f), end.distance[rows], weight, parameters, rng)


def settled(f: np.ndarray, floor: np.ndarray) -> np.ndarray:
    """Draws of the prior, those so steep that an infinite amplitude meets a power of nothing at the floor to which they tend."""
    return np.where(np.isnan(f), floor, f)


def before_runs(
    model: Model, parameters: Mapping[str, np.ndarray], level: str | None, x: Sequence, rng
) -> tuple[np.ndarray, np.ndarray]:
    """Draws of g and of the level at new places in the prior, each place by itself; shapes (sample, point), (sample, 1)."""
    runs, names = model.runs, tuple(model.runs.inputs)
    rows = np.arange(len(runs)) if level is None else np.flatnonzero(runs.group_labels == level)
    h = np.log(x).sum(0) - np.log([runs.x(name)[rows] for name in names]).sum(0).max()
    samples = len(next(iter(parameters.values())))
    kappa = parameters.get("kappa", np.ones(samples))[:, None]
    wander = parameters.get("drift", np.zeros(samples))[:, None]
    variance = (
        wander**2 * integrated(np.abs(h), np.abs(h), kappa) + parameters.get("misfit", np.zeros(samples))[:, None] ** 2
    )
    of_level = LEVEL if isinstance(model.discrepancy, Drift) else 0.0
    return np.sqrt(variance) * rng.standard_normal(variance.shape), of_level * rng.standard_normal((samples, 1))


def left_out(model: Model, draws: xr.Dataset) -> np.ndarray:
    """Log density of each run of drifting curves given all others of its curve, shape (sample, run)."""
    structure, end, runs = model.describe()[0], frontier(model.runs), model.runs
    found = np.empty((draws.sizes["chain"] * draws.sizes["draw"], len(runs)))
    for level, rows in curves(runs):
        parameters = of_group(structure, draws, level or None)
        law = {name: parameters[name] for name in model.parameters}
        f = expected(model.law, [runs.x(next(iter(runs.inputs)))[rows]], law)
        weight = 1 - np.reshape(laws.floor(model.law, law), (-1, 1)) / f
        found[:, rows] = given_others(np.log(runs.y[rows]) - np.log(f), end.distance[rows], weight, parameters)
    return found


def off_surface(
    structure: Structure, numbers: Mapping, draws: xr.Dataset, parameters: Mapping, level: str | None, x: Sequence, rng
) -> np.ndarray:
    """Draws of a group's departure g from the law at new values x of its inputs, shape (sample, point)."""
    values = draws["surface"] if level is None else draws["surface"].sel({structure.group: level})
    group = 0 if level is None else list(draws[structure.group].to_numpy()).index(level)
    at_places = values.to_numpy().reshape(-1, structure.surface)
    known = np.log([numbers[name] for name in structure.inputs]).T
    return off(np.log(x).T, known, at_places, scales(structure, parameters), numbers["surface_slots"][group], rng)


def of_new_group(
    structure: Structure, numbers: Mapping[str, np.ndarray], draws: xr.Dataset, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Parameters of a group not seen: pooled ones drawn from the population, separate ones from their prior."""
    samples = draws.sizes["chain"] * draws.sizes["draw"]
    # A group without runs has no typical response of its own; it gets that of all.
    numbers = {
        name: np.exp(np.log(value).mean()) if name.endswith(("_typical", "_level", "_reference")) else value
        for name, value in numbers.items()
    }
    values: dict[str, np.ndarray] = {}
    for parameter in build_order(structure.parameters):
        free = parameter.free
        if parameter.pooling == "pooled":
            population = draws[parameter.base].to_numpy().reshape(-1)
            spreads = [draws[spread].to_numpy().reshape(-1) for _, spread, _ in parameter.deviations]
            value = deviate(parameter.link, population, sum(s * rng.standard_normal(samples) for s in spreads), np)
        elif parameter.pooling == "separate":
            place, scale = numbers[f"{parameter.name}_prior"]
            bound = np.min(numbers.get(f"{parameter.name}_bound", 1.0))
            value = unlink(parameter.link, place + scale * rng.standard_normal(samples), bound, np)
        else:
            value = draws[free].to_numpy().reshape(-1)
        values[parameter.name], _ = publish(parameter, value, numbers, values, np)
    if structure.student_t:
        values["nu"] = draws["nu"].to_numpy().reshape(-1)
    return values


def prior_parameters(model: Model, draws: int, seed: int) -> xr.Dataset:
    """Draws of the parameters from their prior, dims (chain, draw[, group])."""
    structure, numbers = model.describe()
    # A stream of its own: a simulation whose noise comes from default_rng(seed) would else repeat the numbers of its parameters.
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(1,)))
    found: dict[str, np.ndarray] = {}
    values: dict[str, np.ndarray] = {}
    for p in build_order(structure.parameters):
        place, scale, *spreads = numbers[f"{p.name}_prior"]
        shape = (draws, structure.n_groups) if p.pooling == "separate" else (draws,)
        value = unlink(p.link, place + scale * rng.standard_normal(shape), numbers.get(f"{p.name}_bound"), np)
        if p.pooling == "pooled":
            found[p.base] = value
            deviation: Any = 0
            for (factor, name, _), width in zip(p.deviations, spreads, strict=True):
                found[name] = width * np.abs(rng.standard_normal(draws))
                offset = rng.standard_normal((draws, structure.levels(factor)))
                of_group = slice(None) if factor == structure.group else numbers[f"{factor}_of_group"]
                deviation = deviation + found[name][:, None] * offset[:, of_group]
            value = deviate(p.link, value[:, None], deviation, np)
        # What needs other parameters has a value per group as soon as one of them has.
        needed = {name: values[name] for name in p.needs}
        of_groups = any(np.ndim(numbers.get(f"{p.name}_{of}", 0)) for of in ("typical", "level", "reference"))
        if of_groups or any(v.ndim > 1 for v in [value, *needed.values()]):
            value, *rest = (v if v.ndim > 1 else v[:, None] for v in [value, *needed.values()])
            needed = dict(zip(needed, rest, strict=True))
        found[p.free] = value
        with np.errstate(over="ignore"):  # far out in a wide prior an amplitude at N = 1 may be infinite
            values[p.name], found[p.at_reference] = publish(p, value, numbers, needed, np)
        found[p.name] = values[p.name]
    if structure.student_t:
        shape_, rate = numbers["nu_prior"]
        found["nu"] = 2 + rng.gamma(shape_, 1 / rate, draws)
    coords: dict[Any, Any] = {"chain": [0], "draw": np.arange(draws), structure.group: list(model.runs.levels)}
    dims = ("chain", "draw", structure.group)
    sized = {name: np.squeeze(v, 1) if v.ndim > 1 and v.shape[1] == 1 else v for name, v in sorted(found.items())}
    dataset = xr.Dataset({name: (dims[: v.ndim + 1], v[None]) for name, v in sized.items()})
    return dataset.assign_coords({name: coords[name] for name in dataset.dims})


def undefined(model: Model, prior: xr.Dataset) -> str:
    """Where in the prior the law is not a number, in a sentence; empty if nowhere that was looked at.

    Looks at every draw, at the runs with the extreme values of each input and a few others: pairs of one shape, so that
    another table compiles nothing.
    """
    runs, rng = model.runs, np.random.default_rng(0)
    x = [runs.x(name) for name in runs.inputs]
    extremes = [place(column) for column in x for place in (np.argmin, np.argmax)]
    n = prior.sizes["draw"]
    at = np.hstack([np.tile(extremes, (n, 1)), rng.integers(len(runs), size=(n, 4))])
    draws, at = np.repeat(np.arange(n), at.shape[1]), at.ravel()
    group = runs.group_index[at] if runs.group else None
    parameters = {}
    for name in model.parameters:
        values = prior[name].to_numpy()[0]
        parameters[name] = values[draws, group] if values.ndim > 1 else values[draws]
    with double_precision():
        response = np.asarray(elementwise(model.law)([column[at] for column in x], parameters))
    # Far out in a wide prior an amplitude may overflow; that infinity times zero is none is not the law's fault.
    finite = np.all([np.isfinite(value) for value in parameters.values()], axis=0)
    wrong = np.flatnonzero(np.isnan(response) & finite)
    if not len(wrong):
        return ""
    first = wrong[0]
    values = ", ".join(f"{name}={value[first]:.4g}" for name, value in parameters.items())
    inputs = ", ".join(f"{name}={column[at[first]]:.4g}" for name, column in zip(runs.inputs, x, strict=True))
    share = len(np.unique(draws[wrong])) / n
    return (
        f"{model.name} gives NaN at {values} for run {runs.labels[at[first]]} ({inputs}), and somewhere for {share:.1%} of "
        "the draws from its prior; a law must give a number wherever its priors allow. Narrow the priors, or mend the law."
    )


@lru_cache(maxsize=32)
def elementwise(law: Callable) -> Callable:
    """A law compiled, of arrays that broadcast."""
    return jax.jit(lambda x, theta: law(*x, **theta) + 0 * x[0])


def prior_draws(model: Model, draws: int, seed: int) -> xr.DataTree:
    """Draws from the prior of the parameters, and the expected response at the runs that they imply."""
    prior = prior_parameters(model, draws, seed)
    response = _at_runs(model, prior)
    predictive = xr.Dataset(
        {model.runs.response: (("chain", "draw", "run"), response[None])},
        coords={"chain": [0], "draw": np.arange(draws), "run": model.runs.labels},
    )
    return xr.DataTree.from_dict({"prior": prior, "prior_predictive": predictive})


def _at_runs(model: Model, prior: xr.Dataset) -> np.ndarray:
    """The expected response at the runs for draws from the prior, shape (draw, run)."""
    parameters = {name: prior[name].to_numpy()[0] for name in model.parameters}
    index = model.runs.group_index if model.runs.group else np.zeros(len(model.runs), int)
    x = [model.runs.x(name) for name in model.runs.inputs]
    response = np.empty((prior.sizes["draw"], len(model.runs)))
    for g in np.unique(index):
        rows = index == g
        theta = {name: value[:, g] if value.ndim > 1 else value for name, value in parameters.items()}
        response[:, rows] = expected(model.law, [column[rows] for column in x], theta)
    return response
