"""Chains abreast in whitened coordinates, of trajectories of one length or of NUTS's.

Where a posterior is nearly standard normal it is known how far to go, and NUTS spends half of its steps to find out.
Chains abreast learn one step size together and, where they glide, make as many steps as each other, so that none waits.
Warm-up and draws are the same step and differ by their data.
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
    """What chains abreast share."""

    steps: Any
    mass: Any
    step_size: jax.Array
    inverse_mass: jax.Array


def chains(transport: Transport, *, gliding: bool) -> tuple[Callable, Callable]:
    """What starts chains, and what makes their steps.

    Parameters
    ----------
    transport : Transport
    gliding : bool
        Whether trajectories have one length, but for a jitter, or turn where NUTS does.

    Returns
    -------
    start : Callable
        (z, geometry, data) to a carry, a tuple of arrays; all of them, as z, with a leading chain dimension. Gliding
        chains evaluate no density to start: their first step has no length, and any finite density is accepted.
    advance : Callable
        (carry, keys, first, schedule, target_accept, geometry, data) to the carry after as many steps as the schedule
        has, numbered from ``first``, and their positions and statistics, dimensions (chain, step).
    """
    move = _of_one_length if gliding else _of_nuts
    gather, learn, conclude = mass_matrix_adaptation(is_diagonal_matrix=True)
    begin, adapt, settle = dual_averaging_adaptation(0.0)  # of what is accepted beyond the target

    def begun(z, geometry: Geometry, data: Data):
        if gliding:
            states = hmc.HMCState(z, jnp.full(len(z), -jnp.inf), jnp.zeros(z.shape))
        else:
            states = jax.vmap(lambda z: hmc.init(z, lambda z: transport.logp(z, geometry, data)))(z)
        mass = gather(z.shape[1])
        learned = _Learned(begin(0.5), mass, jnp.asarray(0.0 if gliding else 0.5), mass.inverse_mass_matrix)
        # Python scalars are weakly typed; unless that is undone the second chunk would compile again.
        return jax.tree.map(lambda leaf: jax.lax.convert_element_type(leaf, jnp.asarray(leaf).dtype), (states, learned))

    def step(carry, x, target_accept, geometry: Geometry, data: Data):
        (states, learned), (number, chance, stage) = carry, x
        states, info = move(
            number, chance, states, lambda z: transport.logp(z, geometry, data), learned.step_size, learned.inverse_mass
        )
        # Not of chains that have found no density yet, which accept nothing whatever the step.
        found = jnp.isfinite(states.logdensity)
        accepted = jnp.where(found, info.acceptance_rate, 0.0).sum() / jnp.maximum(found.sum(), 1)
        steps = adapt(learned.steps, accepted - target_accept)
        mass = learned.mass
        if not gliding:  # which learns no more than a step size
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
        if not gliding:
            stats["tree_depth"] = info.num_trajectory_expansions
        abreast = {name: jnp.broadcast_to(value, states.logdensity.shape) for name, value in stats.items()}
        return (states, _choose(stage == DRAW, settled, adapted)), (states.position, abreast)

    def start(z, geometry, data):
        return spread(begun(z, Geometry(*geometry), data), len(z))

    def spread(carry, n: int) -> tuple:
        # With a copy for each chain of what they share, so that they may part company; where they join, the first's counts.
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
            (numbers, _chances(each, position.shape[1:]) if gliding else each, schedule),
        )
        return spread(carry, len(keys)), jax.tree.map(lambda leaf: jnp.swapaxes(leaf, 0, 1), trace)

    return start, advance


def _chances(keys, shape):
    """Standard normal momenta and uniform numbers; generators of random numbers are quicker with many at once."""

    def one(key):
        normal, uniform = jax.random.split(key)
        return jax.random.normal(normal, shape), jax.random.uniform(uniform)

    return jax.vmap(jax.vmap(one))(keys)


def _of_one_length(number, chance, states, logp, step_size, inverse_mass):
    """A step of Hamiltonian Monte Carlo.

    The length varies, lest it be a period of some coordinate: evenly, by the golden section, and by the step's number
    alone, so that all that is in one program goes equally far (Hoffman, Radul and Sountsov 2021 jitter alike).
    """
    many = states.position.shape[1] >= MANY
    kinetic_energy = metrics.gaussian_euclidean(inverse_mass).kinetic_energy
    integrator = (_two_stages if many else integrators.velocity_verlet)(logp, kinetic_energy)
    length = (SHORT if many else LENGTH) * (0.5 + number * _GOLDEN_SECTION % 1.0)
    steps = jnp.clip(jnp.ceil(length / step_size), 1, _MOST_STEPS).astype(int)
    steps = jnp.where(step_size > 0, steps, 1)  # the first, which goes nowhere, once
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
    """The end of a trajectory, or its beginning, by a uniform number and what the end gains in log density."""
    p = jnp.clip(jnp.exp(gain), max=1)
    accepted = uniform < p
    return _choose(accepted, end, begun), (accepted, p, None)


def _two_stages(logp: Callable, kinetic_energy: Callable) -> Callable:
    """McLachlan's integrator, two gradients a step; blackjax's own would have both compiled.

    For steps of one length its error is a tenth of leapfrog's (Takaishi and de Forcrand 2006, Phys. Rev. E 73, 036706).
    With many coordinates that error is what bounds a step; with few it is how the density bends, and short steps are
    better.
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


def _of_nuts(number, keys, states, logp, step_size, inverse_mass):
    kernel = nuts.build_kernel()
    return jax.vmap(lambda key, state: kernel(key, state, logp, step_size, inverse_mass))(keys, states)


def _choose(condition, yes, no):
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), yes, no)
