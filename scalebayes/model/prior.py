"""What the priors of a model mean: draws of its parameters, and whether the law is a number at all of them."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from scalebayes.model.evaluation import elementwise, expected
from scalebayes.model.structure import Block, Structure
from scalebayes.model.values import squeezed, values
from scalebayes.numerics.precision import double_precision
from scalebayes.runs import Runs
from scalebayes.runs.checks import RunsWarning

_FAR_OFF = 0.05  # of a rate
_MOST_OUTSIDE = 0.5  # largest share of means, by the prior, that the observation does not allow


def prior_parameters(
    structure: Structure, numbers: Mapping[str, np.ndarray], levels: tuple[str, ...], draws: int, seed: int
) -> xr.Dataset:
    """Draws of the parameters from their prior, dims (chain, draw[, group])."""
    # A stream of its own: otherwise noise that a simulation draws from default_rng(seed) would repeat these numbers.
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(1,)))
    free: dict[str, np.ndarray] = {}
    for p in structure.parameters:
        centre, scale, *spreads = numbers[f"{p.name}_prior"]
        size = structure.n_groups if p.pooling == "separate" else 1
        if p.link == "gamma":
            free[p.variable] = np.log(rng.gamma(centre, 1 / scale, (draws, size)))
        else:
            free[p.variable] = centre + scale * rng.standard_normal((draws, size))
        for (factor, spread, offset), width in zip(p.deviations, spreads, strict=True):
            free[spread] = np.log(width * np.abs(rng.standard_normal((draws, 1))))
            free[offset] = rng.standard_normal((draws, structure.levels(factor)))
    with np.errstate(over="ignore"):  # far out in a wide prior an amplitude at N = 1 may be infinite
        found = values(structure, free, numbers, np)
    coords: dict[Any, Any] = {"chain": [0], "draw": np.arange(draws), structure.group: list(levels)}
    dims = ("chain", "draw", structure.group)
    sized = dict(sorted(squeezed(structure, found, numbers).items()))
    dataset = xr.Dataset({name: (dims[: v.ndim + 1], v[None]) for name, v in sized.items()})
    return dataset.assign_coords({name: coords[name] for name in dataset.dims})


def undefined(structure: Structure, runs: Runs, prior: xr.Dataset) -> str:
    """A sentence that says where in the prior the law is not a number; empty if it is one wherever it was evaluated.

    It is evaluated for every draw at the runs with the extreme values of each input and at a few others. The number of
    these pairs is the same for every table, so that another table compiles nothing.
    """
    block, rng = structure.block, np.random.default_rng(0)
    x = [runs.x(name) for name in runs.inputs]
    parts = [part for name in runs.inputs for part in runs.features(name).T]
    extremes = [extreme(part) for part in parts for extreme in (np.argmin, np.argmax)]
    n = prior.sizes["draw"]
    at = np.hstack([np.tile(extremes, (n, 1)), rng.integers(len(runs), size=(n, 4))])
    draws, at = np.repeat(np.arange(n), at.shape[1]), at.ravel()
    group = runs.group_index[at] if runs.group else None
    parameters = {}
    for name in block.parameters:
        values = prior[name].to_numpy()[0]
        parameters[name] = values[draws, group] if values.ndim > 1 else values[draws]
    with double_precision():
        response = np.asarray(elementwise(block.law)([column[at] for column in x], parameters))
    # Far out in a wide prior an amplitude may overflow; infinity times zero is then not the law's fault.
    finite = np.all([np.isfinite(value) for value in parameters.values()], axis=0)
    wrong = np.flatnonzero(np.isnan(response) & finite)
    if not len(wrong):
        problem = _outside(block, response)
        if not problem:
            _warn_of_level(block, response[np.isfinite(response)], runs)
        return problem
    first = wrong[0]
    values = ", ".join(f"{name}={value[first]:.4g}" for name, value in parameters.items())
    inputs = ", ".join(
        f"{each.label}={runs.table[each.columns[0]].iloc[at[first]]}"
        if each.schedules is not None
        else f"{name}={np.ravel(runs.x(name)[at[first]])[0]:.4g}"
        for name, each in runs.inputs.items()
    )
    share = len(np.unique(draws[wrong])) / n
    return (
        f"{_name(block)} gives NaN at {values} for run {runs.labels[at[first]]} ({inputs}), and somewhere for "
        f"{share:.1%} of the draws from its prior; a law must give a number wherever its priors allow. "
        "Narrow the priors, or mend the law."
    )


def _warn_of_level(block: Block, response: np.ndarray, runs: Runs) -> None:
    """Warn of rates clearly outside all means of a law between 0 and 1: its guess level or ceiling is wrong."""
    if block.observation.scale.bounds != (0.0, 1.0) or not len(response):
        return
    y, items = runs.y, block.observation.columns.get("items")
    # Of few items a rate may lie far off by chance: four standard deviations, at most, are none of the law's business.
    far = _FAR_OFF + (0.0 if items is None else 4 * np.sqrt(0.25 / runs.column(items)))
    for beyond, end, where, most, what in (
        (y < response.min() - far, response.min(), "below", "lowest", "guess level is too high"),
        (y > response.max() + far, response.max(), "above", "highest", "ceiling is too low"),
    ):
        if beyond.any():
            first = int(np.flatnonzero(beyond)[0])
            warnings.warn(
                f"{beyond.sum()} of {len(runs)} runs lie {where} {end:.3g}, the {most} mean that {_name(block)} has "
                f"by its priors, first: run {runs.labels[first]}: {y[first]:.3g}; its {what}, or its priors are.",
                RunsWarning,
                stacklevel=4,
            )


def _outside(block: Block, response: np.ndarray) -> str:
    """A sentence if most means of the law lie where the observation allows none; else empty."""
    low, high = block.observation.scale.bounds
    outside = np.isfinite(response) & ~((response > low) & (response < high))
    if outside.mean() <= _MOST_OUTSIDE:
        return ""
    instead = "a law between 0 and 1, such as sb.laws.sigmoid" if high == 1 else "a law that stays positive"
    return (
        f"{_name(block)} gives means outside {low:g} to {high:g} for {outside.mean():.0%} of the draws from its prior, "
        f"and a {block.observation.word.replace('_', '-')} observation knows none there, for example "
        f"{response[outside][0]:.4g}; take {instead}, narrower priors, or another observation."
    )


def _name(block: Block) -> str:
    return getattr(block.law, "__name__", "the law")


def prior_draws(
    structure: Structure, numbers: Mapping[str, np.ndarray], runs: Runs, draws: int, seed: int
) -> xr.DataTree:
    """Draws of the parameters from their prior, and the expected response at the runs; see `Model.prior`."""
    prior = prior_parameters(structure, numbers, runs.levels, draws, seed)
    response = _at_runs(structure, runs, prior)
    predictive = xr.Dataset(
        {runs.response: (("chain", "draw", "run"), response[None])},
        coords={"chain": [0], "draw": np.arange(draws), "run": runs.labels},
    )
    return xr.DataTree.from_dict({"prior": prior, "prior_predictive": predictive})


def _at_runs(structure: Structure, runs: Runs, prior: xr.Dataset) -> np.ndarray:
    """The expected response at the runs for draws from the prior, shape (draw, run)."""
    block = structure.block
    parameters = {name: prior[name].to_numpy()[0] for name in block.parameters}
    response = np.empty((prior.sizes["draw"], len(runs)))
    for g in np.unique(runs.group_index):
        rows = runs.group_index == g
        theta = {name: value[:, g] if value.ndim > 1 else value for name, value in parameters.items()}
        response[:, rows] = expected(block.law, [runs.x(name)[rows] for name in runs.inputs], theta)
    return response
