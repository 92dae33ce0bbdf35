"""One chain in whitened coordinates, of trajectories of one length or of NUTS's.

Where a posterior is nearly standard normal it is known how far to go, and NUTS spends half of its steps to find out.
Warm-up and draws are the same step and differ by their data.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import blackjax
import jax
import jax.numpy as jnp
from blackjax.adaptation.mass_matrix import mass_matrix_adaptation
from blackjax.adaptation.step_size import dual_averaging_adaptation

from scalebayes.inference.data import Data
from scalebayes.inference.geometry import Geometry, Transport
from scalebayes.inference.schedule import DRAW, FAST, LENGTH, SLOW_END

_MOST_STEPS = 100


class _Carry(NamedTuple):
    state: Any
    steps: Any
    mass: Any
    step_size: jax.Array
    inverse_mass: jax.Array


def chain(transport: Transport, *, gliding: bool) -> tuple[Callable, Callable]:
    """What starts a chain, and what makes its steps.

    Parameters
    ----------
    transport : Transport
    gliding : bool
        Whether trajectories have one length, but for chance, or turn where NUTS does.

    Returns
    -------
    start : Callable
        (z, geometry, data) to a carry, a tuple of arrays.
    advance : Callable
        (carry, key, first, schedule, target_accept, geometry, data) to the carry after as many steps as the schedule has,
        numbered from ``first``, and their positions and statistics.
    """
    kernel = _of_one_length() if gliding else blackjax.mcmc.nuts.build_kernel()
    gather, learn, conclude = mass_matrix_adaptation(is_diagonal_matrix=True)
    begin, adapt, settle = dual_averaging_adaptation(0.0)  # of what is accepted beyond the target

    def begun(z, geometry: Geometry, data: Data) -> _Carry:
        state = blackjax.mcmc.hmc.init(z, lambda z: transport.logp(z, geometry, data))
        mass = gather(len(z))
        carry = _Carry(state, begin(0.5), mass, jnp.asarray(0.5), mass.inverse_mass_matrix)
        # Python scalars are weakly typed; unless that is undone the second chunk would compile again.
        return jax.tree.map(lambda leaf: jax.lax.convert_element_type(leaf, jnp.asarray(leaf).dtype), carry)

    def step(carry: _Carry, x, target_accept, geometry: Geometry, data: Data):
        key, stage = x
        logp = lambda z: transport.logp(z, geometry, data)  # noqa: E731
        state, info = kernel(key, carry.state, logp, carry.step_size, carry.inverse_mass)
        steps = adapt(carry.steps, info.acceptance_rate - target_accept)
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
            "n_steps": info.num_integration_steps,
            "step_size": settled.step_size,
        }
        if not gliding:
            stats["tree_depth"] = info.num_trajectory_expansions
        return _choose(stage == DRAW, settled, adapted), (state.position, stats)

    def start(z, geometry, data):
        return tuple(jax.tree.leaves(begun(z, Geometry(*geometry), data)))

    def advance(carry, key, first, schedule, target_accept, geometry, data):
        position = jax.ShapeDtypeStruct((transport.density.size,), jnp.float64)
        shape = jax.tree.structure(jax.eval_shape(lambda z: begun(z, Geometry(*geometry), data), position))
        key = jax.random.wrap_key_data(key)
        keys = jax.vmap(lambda i: jax.random.fold_in(key, i))(first + jnp.arange(len(schedule)))
        carry, trace = jax.lax.scan(
            lambda carry, x: step(carry, x, target_accept, Geometry(*geometry), data),
            jax.tree.unflatten(shape, carry),
            (keys, schedule),
        )
        return tuple(jax.tree.leaves(carry)), trace

    return start, advance


def _of_one_length() -> Callable:
    """A step of Hamiltonian Monte Carlo; the length varies, lest it be a period of some coordinate."""
    kernel = blackjax.mcmc.hmc.build_kernel()

    def step(key, state, logp, step_size, inverse_mass):
        of_length, of_step = jax.random.split(key)
        length = LENGTH * jax.random.uniform(of_length, minval=0.5, maxval=1.5)
        steps = jnp.clip(jnp.ceil(length / step_size), 1, _MOST_STEPS).astype(int)
        return kernel(of_step, state, logp, step_size, inverse_mass, steps)

    return step


def _choose(condition, yes, no):
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), yes, no)
