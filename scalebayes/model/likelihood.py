"""The likelihood of a structure in JAX, from its free variables and its data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp

from scalebayes.discrepancy import AtRuns, Errors, integrated_of, sampled_of, solver
from scalebayes.model.structure import ERROR, GROUP, OBSERVED, Block, Structure
from scalebayes.model.values import values
from scalebayes.numerics.cheaper import cheaper
from scalebayes.observations.contract import sd_of
from scalebayes.observations.density import traced

_POSITIVE = ("_bound", "_reference", "_typical", "_level", "_range", "_breadth")


class Likelihood(NamedTuple):
    """A likelihood at one position.

    Parameters
    ----------
    each : array, shape (response * run,)
        Log likelihood of each run, those of one response after those of another, and of each run given the earlier
        ones where they depend on each other.
    departures : array, shape ()
        Log prior density of what the terms of the discrepancy sample.
    published : dict of str to array
        Variables of these terms that are kept.
    """

    each: Any
    departures: Any
    published: dict[str, Any]


def likelihood(structure: Structure) -> Callable[[Mapping[str, Any], Mapping[str, Any]], Likelihood]:
    """The function from free variables, shape (1,) or (level,), and data to a `Likelihood`.

    Parameters
    ----------
    structure : Structure
    """
    of_blocks = [_of_block(block, traced(block.observation)) for block in structure.blocks]

    def evaluated(free, data):
        found = values(structure, free, data, jnp)
        at_runs = _at_runs({p.name: found[p.name] for p in structure.parameters}, structure, data)
        parts = [of_block(found, at_runs, free, data) for of_block in of_blocks]
        if len(parts) == 1:
            return parts[0]
        published = {name: value for part in parts for name, value in part.published.items()}
        return Likelihood(jnp.concatenate([p.each for p in parts]), sum(p.departures for p in parts), published)

    def positive(free, data):
        known = {name: name in structure.block.positive or name.endswith(_POSITIVE) for name in data}
        return dict.fromkeys(free, False), known

    return cheaper(evaluated, positive)


def _of_block(block: Block, log_density: Callable) -> Callable[..., Likelihood]:
    """The likelihood of one response, from all values, values at the runs, free variables and data."""
    observation = block.observation

    def evaluated(found, at_runs, free, data):
        x, theta = [data[name] for name in block.inputs], {name: at_runs[name] for name in block.parameters}
        mean, of_inputs = block.with_errors(x, theta, {name: data[f"{name}{ERROR}"] for name in block.uncertain})
        floor, observed = block.floor_of(at_runs), data[block.key(OBSERVED)]
        own, columns = block.observed_with(at_runs), block.columns(data)
        wide = block.widened_by(mean, own, data, jnp, of_inputs)
        departures: Any = jnp.zeros(())
        published: dict[str, Any] = {}
        for term in sampled_of(block.terms):
            of_term = block.own_of(term, found)
            seen = AtRuns(mean, floor, observed, observation, wide, columns, of_term, data, block.inputs)
            mean, wide, density, kept = term.departed(seen, {name: free[name] for name in term.helpers})
            departures, published = departures + density, published | kept
        integrated = integrated_of(block.terms)
        if not integrated:
            each = log_density(observed, mean, wide, columns)
            return Likelihood(jnp.broadcast_to(each, observed.shape), departures, published)
        owns = [block.own_of(term, at_runs) for term in integrated]
        scale = observation.scale
        errors = Errors(
            observed - scale.forward(mean, jnp),
            scale.above(mean, floor, jnp),
            sd_of(observation, mean, own, columns),
            sd_of(observation, mean, wide, columns),
        )
        return Likelihood(solver.loglik(integrated, errors, owns, data), departures, published)

    return evaluated


def _at_runs(found: Mapping[str, Any], structure: Structure, data: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters at the runs, shape (run,); those of the observation that all runs share keep the shape (1,).

    All are looked up together, which is less to compile, and so is its gradient.
    """
    n, groups = structure.n_runs, max(structure.n_groups, 1)
    shared = structure.owned_by("observation")
    some = {name: value for name, value in found.items() if name not in shared or value.shape[-1] > 1}
    if not some:
        return dict(found)
    per_group = jnp.stack([jnp.broadcast_to(value, (groups,)) for value in some.values()])
    looked_up = per_group[:, data[GROUP]] if structure.group else per_group @ jnp.ones((1, n))
    return {**found, **dict(zip(some, looked_up, strict=True))}
