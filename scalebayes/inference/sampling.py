"""NUTS in whitened coordinates: all chains in one compiled step, in which warm-up and draws differ by their data."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import blackjax
import jax
import jax.numpy as jnp
import numpy as np
from blackjax.adaptation.mass_matrix import mass_matrix_adaptation
from blackjax.adaptation.step_size import dual_averaging_adaptation
from blackjax.adaptation.window_adaptation import build_schedule

from scalebayes.inference.density import Data
from scalebayes.inference.diagnostics import SMALLEST_ESS, well_mixed
from scalebayes.inference.geometry import Geometry, Transport, fit_geometry, starting_points
from scalebayes.precision import double_precision

CHUNK = 50
STARTS = 8
MOST_THINNING = 8
# Of the schedule: adapt the step size; also gather the mass matrix; also use it; leave all as it is.
FAST, SLOW, SLOW_END, DRAW = range(4)


@dataclass(frozen=True, eq=False)
class Draws:
    """What a sampler leaves behind, numpy arrays with leading dimensions (chain, draw).

    Parameters
    ----------
    variables : dict of str to array
        Every variable of the model on its natural scale.
    log_likelihood : array, shape (chain, draw, run)
    stats : dict of str to array
        Sampler statistics under ArviZ's names.
    heights : array, shape (start,)
        Log density reached from each starting point of the search for the mode.
    thin : int
        Steps per draw kept.
    """

    variables: dict[str, np.ndarray]
    log_likelihood: np.ndarray
    stats: dict[str, np.ndarray]
    heights: np.ndarray
    thin: int


class _Carry(NamedTuple):
    state: Any
    steps: Any
    mass: Any
    step_size: jax.Array
    inverse_mass: jax.Array


def sample(
    transport: Transport,
    data: Data,
    *,
    initial: np.ndarray,
    draws: int,
    chains: int,
    warmup: int,
    target_accept: float,
    seed: int,
    advanced: Callable[[int, int], None],
) -> Draws:
    """Draw from a density.

    Chains that have not mixed by the end go on, up to `MOST_THINNING` times as long, and are thinned to the number of
    draws that was asked for.

    Parameters
    ----------
    transport : Transport
    data : mapping of str to array
        Arguments of the density.
    initial : array, shape (size,)
        Centre of the prior, a position.
    draws, chains, warmup : int
        Draws kept of each chain, chains, and steps before them that adapt.
    target_accept : float
        Mean acceptance rate that the step size is adapted to.
    seed : int
        The same seed on the same machine gives the same bytes.
    advanced : Callable
        Told after each chunk how many steps of every chain have been made, and how many there will be.

    Returns
    -------
    Draws
    """
    with double_precision():
        compiled = _compiled(transport, target_accept)
        arguments = {name: jnp.asarray(data[name]) for name in transport.density.data}
        geometry, heights = compiled.geometry(starting_points(initial, STARTS, seed), arguments)
        start_key, *chain_keys = jax.random.split(jax.random.key(seed), chains + 1)
        z = jax.random.normal(start_key, (chains, transport.density.size))
        carry = compiled.start(z, geometry, arguments)
        keys = jnp.stack(chain_keys)
        found: list[tuple[jax.Array, dict[str, jax.Array]]] = []
        thin, made = 1, 0
        while True:
            for first, schedule in _chunks(warmup, draws * thin, made):
                carry, trace = compiled.advance(carry, keys, first, schedule, geometry, arguments)
                if schedule[0] == DRAW:
                    found.append(trace)
                jax.block_until_ready(carry)
                made = int(first) + CHUNK
                advanced(made, _steps(warmup) + _steps(draws * thin))
            kept = slice(thin - 1, draws * thin, thin)
            z, stats = jax.tree.map(lambda *parts: jnp.concatenate(parts, axis=1)[:, : draws * thin], *found)  # noqa: B023
            z, stats = z[:, kept], _thinned(stats, thin)
            variables, log_likelihood = compiled.expand(z, geometry, arguments)
            variables = {name: np.asarray(value) for name, value in variables.items()}
            hopeless = draws * chains <= SMALLEST_ESS
            if thin >= MOST_THINNING or hopeless or well_mixed(variables):
                break
            thin *= 2
        return Draws(
            variables=variables,
            log_likelihood=np.asarray(log_likelihood),
            stats={name: np.asarray(value) for name, value in stats.items()},
            heights=np.asarray(heights),
            thin=thin,
        )


def _thinned(stats: dict[str, jax.Array], thin: int) -> dict[str, jax.Array]:
    """Statistics of the draws kept; a draw counts as diverging if any step on the way to it did."""
    kept = {name: value[:, thin - 1 :: thin] for name, value in stats.items()}
    by_draw = (*kept["lp"].shape, thin)
    return kept | {
        "diverging": stats["diverging"].reshape(by_draw).any(-1),
        "n_steps": stats["n_steps"].reshape(by_draw).sum(-1),
    }


def _steps(wanted: int) -> int:
    return -(-wanted // CHUNK) * CHUNK


def _chunks(warmup: int, draws: int, made: int) -> Iterator[tuple[np.int64, np.ndarray]]:
    """What is left to do, in chunks of equal length, so that one compilation serves any number of steps."""
    stages = np.asarray(build_schedule(_steps(warmup)))
    schedule = np.concatenate([stages[:, 0] + stages[:, 1], np.full(_steps(draws), DRAW)])
    for first in range(made, len(schedule), CHUNK):
        yield np.int64(first), schedule[first : first + CHUNK].astype(np.int64)


@dataclass(frozen=True, eq=False)
class _Compiled:
    geometry: Callable
    start: Callable
    advance: Callable
    expand: Callable


@lru_cache(maxsize=16)
def _compiled(transport: Transport, target_accept: float) -> _Compiled:
    """The jitted functions of a density. Cached, so that a second table of the same shape compiles nothing."""
    kernel = blackjax.mcmc.nuts.build_kernel()
    gather, learn, conclude = mass_matrix_adaptation(is_diagonal_matrix=True)
    begin, adapt, settle = dual_averaging_adaptation(target_accept)

    def start(z, geometry: Geometry, data: Data) -> _Carry:
        state = blackjax.mcmc.hmc.init(z, lambda z: transport.logp(z, geometry, data))
        mass = gather(len(z))
        carry = _Carry(state, begin(0.5), mass, jnp.asarray(0.5), mass.inverse_mass_matrix)
        # Python scalars are weakly typed; unless that is undone the second chunk would compile again.
        return jax.tree.map(lambda leaf: jax.lax.convert_element_type(leaf, jnp.asarray(leaf).dtype), carry)

    def step(carry: _Carry, x, geometry: Geometry, data: Data):
        key, stage = x
        logp = lambda z: transport.logp(z, geometry, data)  # noqa: E731
        state, info = kernel(key, carry.state, logp, carry.step_size, carry.inverse_mass)
        steps = adapt(carry.steps, info.acceptance_rate)
        gathered = _choose(stage == FAST, carry.mass, learn(carry.mass, state.position))
        mass = _choose(stage == SLOW_END, conclude(gathered), gathered)
        steps = _choose(stage == SLOW_END, begin(settle(steps)), steps)
        adapted = _Carry(state, steps, mass, jnp.exp(steps.log_step_size), mass.inverse_mass_matrix)
        settled = carry._replace(state=state, step_size=settle(carry.steps))
        stats = {
            "lp": state.logdensity,
            "diverging": info.is_divergent,
            "acceptance_rate": info.acceptance_rate,
            "energy": info.energy,
            "tree_depth": info.num_trajectory_expansions,
            "n_steps": info.num_integration_steps,
            "step_size": settled.step_size,
        }
        return _choose(stage == DRAW, settled, adapted), (state.position, stats)

    def advance(carry, key, first, schedule, geometry, data):
        keys = jax.vmap(lambda i: jax.random.fold_in(key, i))(first + jnp.arange(CHUNK))
        return jax.lax.scan(lambda carry, x: step(carry, x, geometry, data), carry, (keys, schedule))

    def expand(z, geometry, data):
        position, _ = transport.position(z, geometry, data)
        return transport.density.expand(position, data), transport.density.pointwise(position, data)

    over_draws = jax.vmap(jax.vmap(expand, (0, None, None)), (0, None, None))
    return _Compiled(
        geometry=jax.jit(lambda starts, data: fit_geometry(transport, starts, data)),
        start=jax.jit(jax.vmap(start, (0, None, None))),
        advance=jax.jit(jax.vmap(advance, (0, 0, None, None, None, None))),
        expand=jax.jit(over_draws),
    )


def _choose(condition, yes, no):
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), yes, no)
