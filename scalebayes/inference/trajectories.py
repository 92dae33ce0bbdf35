"""Trajectories of Hamiltonian Monte Carlo in whitened coordinates: the one program that is compiled for a density.

It makes a number of trajectories of several chains, each with a given number of steps, and accepts or rejects their
ends. Momenta, uniform numbers, step sizes and numbers of steps are arguments. One trajectory of one step of size zero
evaluates the density and its gradient: so the same program climbs to modes, takes differences of gradients, adapts the
step size and draws.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from scalebayes.inference.packing import Layout, layout_of, unpacked
from scalebayes.inference.transport import Geometry, Transport

# Trajectories in one call of the program, at most.
CHUNK = 50
# From so many coordinates on, a trajectory consists of steps with two gradients each.
MANY = 256
_INNER = 0.1931833275037836  # McLachlan's coefficient, which minimises the error at a given step size


class State(NamedTuple):
    """Where chains are; a leading table dimension.

    Parameters
    ----------
    z, slope : array, shape (table, chain, size)
        Whitened coordinates, and the gradient of the log density.
    height : array, shape (table, chain)
        The log density.
    kept : tree of array, shape (table, chain, ...)
        The position, the log likelihood of each run, and further variables there.
    """

    z: Any
    height: Any
    slope: Any
    kept: Any


class Trace(NamedTuple):
    """What trajectories end with; dimensions (trajectory, table, chain), without the table once that is one table's.

    Parameters
    ----------
    z : array, shape (..., size)
    height, gain : array
        The log density at the end, and the gain in log density and kinetic energy, NaN counted as minus infinity.
    kept : tree of array
        As in `State`, at the end.
    """

    z: Any
    height: Any
    gain: Any
    kept: Any


def trajectories(transport: Transport, layout: Layout) -> Callable:
    """The function that makes trajectories.

    Parameters
    ----------
    transport : Transport
    layout : Layout
        Of the data.

    Returns
    -------
    Callable
        (state, momenta, chances, steps, step_size, number, geometry, data) to the state and the trace after ``number``
        trajectories. Momenta have the shape (CHUNK, table, chain, size), chances (CHUNK, table, chain), steps (CHUNK,
        table), step_size (table,). Geometry and data are packed, with a leading table dimension.
    """
    two_stages = transport.density.size >= MANY

    of_geometry = layout_of(transport.plain._asdict())

    def one(z, geometry, data):
        constants = Geometry(**unpacked(geometry, of_geometry))
        return transport.logp(z, constants, unpacked(data, layout))

    of_chains = jax.vmap(jax.value_and_grad(one, has_aux=True), (0, None, None))

    @jax.jit  # so that it is traced once, although loops are traced several times
    def look(z, geometry, data):
        if len(z) == 1:  # less to trace
            alone = of_chains(*jax.tree.map(lambda leaf: leaf[0], (z, geometry, data)))
            (height, kept), slope = jax.tree.map(lambda leaf: leaf[None], alone)
        else:
            (height, kept), slope = jax.vmap(of_chains)(z, geometry, data)
        return State(z, height, slope, kept)

    def moved(state: State, momentum, steps, step_size, geometry, data):
        """The end of a trajectory; tables that need fewer steps than others wait."""

        def stage(i, carry):
            state, momentum = carry
            # A step of leapfrog has one stage with half a kick before and after it; McLachlan's has two.
            before, after, share = _two_stages(i) if two_stages else (0.5, 0.5, 1.0)
            size = step_size[:, None, None]
            kicked = momentum + before * size * state.slope
            after_it = look(state.z + share * size * kicked, geometry, data)
            kicked = kicked + after * size * after_it.slope
            return _choose(i < stages, (after_it, kicked), carry) if len(steps) > 1 else (after_it, kicked)

        stages = steps * (1 + two_stages)
        return jax.lax.fori_loop(0, stages.max(), stage, (state, momentum))

    def run(state, momenta, chances, steps, step_size, number, geometry, data):
        state = State(*state)

        def trajectory(i, carry):
            state, trace = carry
            momentum = momenta[i]
            end, last = moved(state, momentum, steps[i], step_size, geometry, data)
            gain = end.height - (last**2).sum(-1) / 2 - state.height + (momentum**2).sum(-1) / 2
            gain = jnp.where(jnp.isnan(gain), -jnp.inf, gain)
            state = _choose(jnp.log(chances[i]) < gain, end, state)
            found = Trace(state.z, state.height, gain, state.kept)
            return state, jax.tree.map(lambda all_of, each: all_of.at[i].set(each), trace, found)

        begun = Trace(state.z, state.height, state.height, state.kept)
        empty = jax.tree.map(lambda leaf: jnp.zeros((CHUNK, *leaf.shape)), begun)
        state, trace = jax.lax.fori_loop(0, number, trajectory, (state, empty))
        return tuple(state), tuple(trace)

    return run


def _two_stages(i: jax.Array) -> tuple[Any, Any, float]:
    first = i % 2 == 0
    return jnp.where(first, _INNER, 0.0), jnp.where(first, 1 - 2 * _INNER, _INNER), 0.5


def unknown(transport: Transport, z: np.ndarray) -> State:
    """A state at z, shape (table, chain, size), whose density is not known: any first trajectory is accepted."""
    lead, density = z.shape[:2], transport.density

    def zeros(*shape: int) -> np.ndarray:
        return np.broadcast_to(0.0, (*lead, *shape))

    published = {name: zeros(*shape) for name, shape in density.published.items()}
    kept = (zeros(density.size), zeros(density.runs), published)
    return State(z, np.full(lead, -np.inf), zeros(density.size), kept)


def _choose(condition, yes, no):
    """Elementwise over the leading dimensions of the condition."""

    def chosen(a, b):
        return jnp.where(condition.reshape(condition.shape + (1,) * (a.ndim - condition.ndim)), a, b)

    return jax.tree.map(chosen, yes, no)
