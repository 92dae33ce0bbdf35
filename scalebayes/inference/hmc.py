"""Hamiltonian Monte Carlo in whitened coordinates: chains with fixed-length trajectories or with NUTS.

Where a posterior is nearly standard normal, the length of a trajectory is known, and NUTS spends half of its steps on
finding it. The chains of one program adapt one step size together. With a fixed length they make equally many steps, so
that none waits. Warm-up and draws are the same step and differ by their data.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from blackjax.adaptation.mass_matrix import mass_matrix_adaptation
from blackjax.adaptation.step_size import dual_averaging_adaptation
from blackjax.mcmc import hmc, integrators, metrics, nuts

from scalebayes.inference.data import Data
from scalebayes.inference.schedule import DRAW, FAST, LENGTH, MANY, SHORT, SLOW_END
from scalebayes.inference.transport import Geometry, Transport

_MOST_STEPS = 100
_LARGEST_ENERGY_ERROR = 1000.0  # beyond which a trajectory has diverged
_GOLDEN_SECTION = (5**0.5 - 1) / 2


class _Learned(NamedTuple):
    """What the chains of one program share."""

    steps: Any
    mass: Any
    step_size: jax.Array
    inverse_mass: jax.Array


def chains(transport: Transport, *, fixed_length: bool) -> tuple[Callable, Callable]:
    """The function that starts chains, and the one that makes their steps.

    Parameters
    ----------
    transport : Transport
    fixed_length : bool
        Whether trajectories have a fixed length, up to a jitter; otherwise NUTS ends them.

    Returns
    -------
    start : Callable
        (z, geometry, data) to a carry, a tuple of arrays that have, like z, a leading chain dimension. With a fixed
        length no density is evaluated to start: the first step has length zero, and any finite density is accepted.
    advance : Callable
        (carry, keys, first, schedule, target_accept, geometry, data) to the carry after the steps of the schedule,
        numbered from ``first``, and the positions and statistics of these steps, dimensions (chain, step).
    """
    move = _fixed_length_step if fixed_length else _nuts_step
    gather, learn, conclude = mass_matrix_adaptation(is_diagonal_matrix=True)
    begin, adapt, settle = dual_averaging_adaptation(0.0)  # of acceptance minus its target

    def begun(z, geometry: Geometry, data: Data):
        if fixed_length:
            states = hmc.HMCState(z, jnp.full(len(z), -jnp.inf), jnp.zeros(z.shape))
        else:
            states = jax.vmap(lambda z: hmc.init(z, lambda z: transport.logp(z, geometry, data)))(z)
        mass = gather(z.shape[1])
        learned = _Learned(begin(0.5), mass, jnp.asarray(0.0 if fixed_length else 0.5), mass.inverse_mass_matrix)
        # Python scalars are weakly typed; without this conversion the second chunk would compile again.
        return jax.tree.map(lambda leaf: jax.lax.convert_element_type(leaf, jnp.asarray(leaf).dtype), (states, learned))

    def step(carry, x, target_accept, geometry: Geometry, data: Data):
        (states, learned), (number, chance, stage) = carry, x
        states, info = move(
            number, chance, states, lambda z: transport.logp(z, geometry, data), learned.step_size, learned.inverse_mass
        )
        # Without chains that have not found a finite density yet: they accept nothing at any step size.
        found = jnp.isfinite(states.logdensity)
        accepted = jnp.where(found, info.acceptance_rate, 0.0).sum() / jnp.maximum(found.sum(), 1)
        steps = adapt(learned.steps, accepted - target_accept)
        mass = learned.mass
        if not fixed_length:  # with a fixed length only the step size is adapted
            gathered = _choose(stage == FAST, mass, reduce(learn, states.position, mass))
            mass = _choose(stage == SLOW_END, conclude(gathered), gathered)
            steps = _choose(stage == SLOW_END, begin(settle(steps)), steps)
        adapted = _Learned(steps, mass, jnp.exp(steps.log_step_size), mass.inverse_mass_matrix)
        settled = learned._replace(step_size=settle(learned.steps))
        stats = {
            "lp": states.logdensity,
            "diverging": info.is_divergent,
            "acceptance_rate": info.acceptance_rate,
            "energy": info.energy,
            "n_steps": info.num_integration_steps,
            "step_size": settled.step_size,
        }
        if not fixed_length:
            stats["tree_depth"] = info.num_trajectory_expansions
        per_chain = {name: jnp.broadcast_to(value, states.logdensity.shape) for name, value in stats.items()}
        return (states, _choose(stage == DRAW, settled, adapted)), (states.position, per_chain)

    def start(z, geometry, data):
        return spread(begun(z, Geometry(*geometry), data), len(z))

    def spread(carry, n: int) -> tuple:
        # Each chain has a copy of what all share, so that programs can divide the chains; later the first copy counts.
        states, learned = carry
        shared = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (n, *leaf.shape)), learned)
        return tuple(jax.tree.leaves((states, shared)))

    def advance(carry, keys, first, schedule, target_accept, geometry, data):
        position = jax.ShapeDtypeStruct((len(keys), transport.density.size), jnp.float64)
        shape = jax.tree.structure(jax.eval_shape(lambda z: begun(z, Geometry(*geometry), data), position))
        states, shared = jax.tree.unflatten(shape, carry)
        keys = jax.random.wrap_key_data(keys)
        numbers = first + jnp.arange(len(schedule))
        each = jax.vmap(lambda i: jax.vmap(lambda key: jax.random.fold_in(key, i))(keys))(numbers)
        carry, trace = jax.lax.scan(
            lambda carry, x: step(carry, x, target_accept, Geometry(*geometry), data),
            (states, jax.tree.map(lambda leaf: leaf[0], shared)),
            (numbers, _chances(each, position.shape[1:]) if fixed_length else each, schedule),
        )
        return spread(carry, len(keys)), jax.tree.map(lambda leaf: jnp.swapaxes(leaf, 0, 1), trace)

    return start, advance


def _chances(keys, shape):
    """Standard normal momenta and uniform numbers; a random generator is faster when it makes many at once."""

    def one(key):
        normal, uniform = jax.random.split(key)
        return jax.random.normal(normal, shape), jax.random.uniform(uniform)

    return jax.vmap(jax.vmap(one))(keys)


def _fixed_length_step(number, chance, states, logp, step_size, inverse_mass):
    """A step of Hamiltonian Monte Carlo with a trajectory of fixed length, up to a jitter.

    The jitter keeps the length from being a period of some coordinate. It is spread evenly, by the golden section, and
    depends on the step's number alone, so that all chains of a program go equally far, as in Hoffman, Radul and
    Sountsov (2021).
    """
    many = states.position.shape[1] >= MANY
    kinetic_energy = metrics.gaussian_euclidean(inverse_mass).kinetic_energy
    integrator = (_two_stages if many else integrators.velocity_verlet)(logp, kinetic_energy)
    length = (SHORT if many else LENGTH) * (0.5 + number * _GOLDEN_SECTION % 1.0)
    steps = jnp.clip(jnp.ceil(length / step_size), 1, _MOST_STEPS).astype(int)
    steps = jnp.where(step_size > 0, steps, 1)  # the first step has length zero and one gradient
    propose = hmc.hmc_proposal(
        integrator, kinetic_energy, step_size, steps, _LARGEST_ENERGY_ERROR, sample_proposal=_accept
    )

    def one(momentum, uniform, state):
        begun = integrators.IntegratorState(
            state.position, momentum / jnp.sqrt(inverse_mass), state.logdensity, state.logdensity_grad
        )
        end, info, _ = propose(uniform, begun)
        return hmc.HMCState(end.position, end.logdensity, end.logdensity_grad), info

    momenta, uniforms = chance
    states, info = jax.vmap(one)(momenta, uniforms, states)
    return states, info._replace(num_integration_steps=info.num_integration_steps * (1 + many))


def _accept(uniform, gain, begun, end):
    """The end of a trajectory or its beginning, decided by a uniform number and the end's gain in log density."""
    p = jnp.clip(jnp.exp(gain), max=1)
    accepted = uniform < p
    return _choose(accepted, end, begun), (accepted, p, None)


def _two_stages(logp: Callable, kinetic_energy: Callable) -> Callable:
    """McLachlan's integrator with two gradients per step, one of them compiled; blackjax's own compiles both.

    At an equal step size its error is a tenth of leapfrog's (Takaishi and de Forcrand 2006, Phys. Rev. E 73, 036706).
    With many coordinates this error limits the step size. With few, the curvature of the density limits it, and short
    steps are better.
    """
    outer, _, inner, _, _ = integrators.mclachlan_coefficients
    velocity = jax.grad(kinetic_energy)

    def step(state, step_size):
        def stage(i, state):
            position = state.position + step_size / 2 * velocity(state.momentum)
            logdensity, slope = jax.value_and_grad(logp)(position)
            momentum = state.momentum + step_size * jnp.where(i == 0, inner, outer) * slope
            return integrators.IntegratorState(position, momentum, logdensity, slope)

        begun = state._replace(momentum=state.momentum + step_size * outer * state.logdensity_grad)
        return jax.lax.fori_loop(0, 2, stage, begun)

    return step


def _nuts_step(number, keys, states, logp, step_size, inverse_mass):
    kernel = nuts.build_kernel()
    return jax.vmap(lambda key, state: kernel(key, state, logp, step_size, inverse_mass))(keys, states)


def _choose(condition, yes, no):
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), yes, no)
