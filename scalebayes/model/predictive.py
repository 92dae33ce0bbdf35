"""Expected responses and noise from draws of the parameters, in the prior, a known group or a new one."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING

import jax
import numpy as np
import xarray as xr

from scalebayes.model.structure import Structure, build_order, deviate, publish, unlink
from scalebayes.precision import double_precision

if TYPE_CHECKING:
    from scalebayes.model.model import Model


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
    with double_precision():
        theta = {name: np.asarray(value, float) for name, value in parameters.items()}
        return np.asarray(_evaluator(law)([np.asarray(values, float) for values in x], theta))


@lru_cache(maxsize=32)
def _evaluator(law: Callable) -> Callable:
    return jax.jit(jax.vmap(lambda x, theta: law(*x, **theta), (None, 0)))


def scatter(structure: Structure, parameters: Mapping[str, np.ndarray], points: int, rng) -> np.ndarray:
    """Noise of new runs on the log response, shape (sample, point)."""
    sigma = np.asarray(parameters["sigma"])[:, None]
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
    return {name: chosen[name].to_numpy().reshape(-1) for name in names}


def of_new_group(
    structure: Structure, numbers: Mapping[str, np.ndarray], draws: xr.Dataset, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Parameters of a group not seen: pooled ones drawn from the population, separate ones from their prior."""
    samples = draws.sizes["chain"] * draws.sizes["draw"]
    # A group without runs has no typical response of its own; it gets that of all.
    numbers = {
        name: np.exp(np.log(value).mean()) if name.endswith("_typical") else value for name, value in numbers.items()
    }
    values: dict[str, np.ndarray] = {}
    for parameter in build_order(structure.parameters):
        free = parameter.free
        if parameter.pooling == "pooled":
            population = draws[f"{free}_population"].to_numpy().reshape(-1)
            spread = draws[f"{free}_spread"].to_numpy().reshape(-1)
            value = deviate(parameter.link, population, spread, rng.standard_normal(samples), np)
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
    import pymc as pm

    from scalebayes.model.graph import build

    structure, numbers = model.describe()
    graph = build(structure, numbers, model.coords())
    names = list(dict.fromkeys(n for p in structure.parameters for n in (p.name, p.at_reference, p.free)))
    names += [
        f"{p.free}_{part}" for p in structure.parameters if p.pooling == "pooled" for part in ("population", "spread")
    ]
    names += ["nu"] if structure.student_t else []
    # Parameters only: no part of the law is in the graph, which is cheaper to walk than to compile.
    with graph, _quiet_pymc():
        tree = pm.sample_prior_predictive(
            draws, var_names=names, random_seed=seed, compile_kwargs={"mode": "FAST_COMPILE"}
        )
    prior = tree["prior"].to_dataset()
    prior.attrs = {}
    return prior[sorted(names)]


def prior_draws(model: Model, draws: int, seed: int) -> xr.DataTree:
    """Draws from the prior of the parameters, and the expected response at the runs that they imply."""
    prior = prior_parameters(model, draws, seed)
    parameters = {name: prior[name].to_numpy()[0] for name in model.parameters}
    index = model.runs.group_index if model.runs.group else np.zeros(len(model.runs), int)
    x = [model.runs.x(name) for name in model.runs.inputs]
    response = np.empty((draws, len(model.runs)))
    for g in np.unique(index):
        rows = index == g
        theta = {name: value[:, g] if value.ndim > 1 else value for name, value in parameters.items()}
        response[:, rows] = expected(model.law, [column[rows] for column in x], theta)
    predictive = xr.Dataset(
        {model.runs.response: (("chain", "draw", "run"), response[None])},
        coords={"chain": [0], "draw": np.arange(draws), "run": model.runs.labels},
    )
    return xr.DataTree.from_dict({"prior": prior, "prior_predictive": predictive})


@contextmanager
def _quiet_pymc() -> Iterator[None]:
    logger = logging.getLogger("pymc")
    before = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(before)
