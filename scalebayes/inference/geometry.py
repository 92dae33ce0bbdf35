r"""A map from about standard normal coordinates to the positions of a density.

Ungrouped coordinates (population level, noise, spreads) are whitened by the curvature at their mode. The offsets of
each group's pooled parameters, theta = mu + T o with T = diag(tau), are whitened *given* the population: with H the
information of the group's own runs and s their score at an expansion point theta_0,

.. math:: Q = I + T H T = C C^\top, \quad
          o = Q^{-1} T (H (\theta_0 - \mu) + s) + C^{-\top} w, \quad
          \log |\partial o / \partial w| = -\sum \log \operatorname{diag} C

so that w is near standard normal for *every* (mu, tau): no funnel, and no choice between centred and non-centred. The
Jacobian makes this exact. A poor expansion point costs time, never correctness.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optimistix

from scalebayes.inference.density import Data, Density


@dataclass(frozen=True)
class Block:
    """Names of the variables of one pooled parameter.

    Parameters
    ----------
    population, spread, offset : str
        ``value = population * exp(spread * offset)``, or ``population + spread * offset``.
    log : bool
        Which of the two.
    """

    population: str
    spread: str
    offset: str
    log: bool


class Geometry(NamedTuple):
    """The constants of the map; arrays only, so that they are arguments of what is compiled.

    Parameters
    ----------
    mode : array, shape (ungrouped,)
    factor : array, shape (ungrouped, ungrouped)
    information : array, shape (block, block, group)
    pull : array, shape (block, group)
        ``H theta_0 + s``.
    """

    mode: jax.Array
    factor: jax.Array
    information: jax.Array
    pull: jax.Array


@dataclass(frozen=True, eq=False)
class Transport:
    """The map of one density.

    Parameters
    ----------
    density : Density
    blocks : sequence of Block
        Pooled parameters; empty for a model without groups.
    """

    density: Density
    blocks: Sequence[Block]

    @property
    def grouped(self) -> np.ndarray:
        """Places of the offsets in a position, shape (block, group)."""
        places = [np.arange(self.density.size)[self.density.places[b.offset]] for b in self.blocks]
        return np.asarray(places, int).reshape(len(self.blocks), -1 if self.blocks else 0)

    @property
    def ungrouped(self) -> np.ndarray:
        """Places of everything else."""
        return np.setdiff1d(np.arange(self.density.size), self.grouped)

    def join(self, ungrouped: jax.Array, offsets: jax.Array) -> jax.Array:
        """A position from its two parts."""
        position = jnp.zeros(self.density.size).at[self.ungrouped].set(ungrouped)
        return position.at[self.grouped].set(offsets)

    def population(self, ungrouped: jax.Array, data: Data) -> tuple[jax.Array, jax.Array]:
        """mu and tau of every block, each of shape (block,)."""
        values = self.density.expand(self.join(ungrouped, jnp.zeros(self.grouped.shape)), data)
        mu = [jnp.log(values[b.population]) if b.log else values[b.population] for b in self.blocks]
        return jnp.stack(mu), jnp.stack([values[b.spread] for b in self.blocks])

    def position(self, z: jax.Array, geometry: Geometry, data: Data) -> tuple[jax.Array, jax.Array]:
        """The position at z, and the log Jacobian up to a constant."""
        free = len(self.ungrouped)
        ungrouped = geometry.mode + geometry.factor @ z[:free]
        if not self.blocks:
            return self.join(ungrouped, jnp.zeros(self.grouped.shape)), jnp.zeros(())
        mu, tau = self.population(ungrouped, data)
        w = z[free:].reshape(self.grouped.shape)
        offsets, log_jacobian = conditional(mu, tau, geometry.information, geometry.pull, w)
        return self.join(ungrouped, offsets), log_jacobian

    def logp(self, z: jax.Array, geometry: Geometry, data: Data) -> jax.Array:
        """Log density of z."""
        position, log_jacobian = self.position(z, geometry, data)
        return self.density.logp(position, data) + log_jacobian


def conditional(mu, tau, information, pull, w) -> tuple[jax.Array, jax.Array]:
    """Offsets of all groups given the population, and the log Jacobian.

    Parameters
    ----------
    mu, tau : array, shape (block,)
    information : array, shape (block, block, group)
    pull, w : array, shape (block, group)

    Returns
    -------
    offsets : array, shape (block, group)
    log_jacobian : array, shape ()
    """
    k = len(mu)
    # Unrolled over the few blocks, elementwise over the groups: LAPACK on small matrices is an order slower.
    rest = tau[:, None, None] * tau[:, None] * information + jnp.eye(k)[:, :, None]
    lower = []
    for j in range(k):
        column = rest[j:, j] / jnp.sqrt(rest[j, j])
        rest = rest.at[j + 1 :, j + 1 :].add(-column[1:, None] * column[None, 1:])
        lower.append(column)
    target = tau[:, None] * (pull - jnp.einsum("klg,l->kg", information, mu))
    for j in range(k):
        solved = target[j] / lower[j][0]
        target = target.at[j + 1 :].add(-lower[j][1:] * solved).at[j].set(solved)
    target = target + w
    for j in reversed(range(k)):
        behind = (lower[j][1:] * target[j + 1 :]).sum(0)
        target = target.at[j].set((target[j] - behind) / lower[j][0])
    return target, -jnp.log(jnp.stack([column[0] for column in lower])).sum()


def fit_geometry(transport: Transport, starts: jax.Array, data: Data) -> tuple[Geometry, jax.Array]:
    """Find the modes and the curvatures that make a density round.

    Parameters
    ----------
    transport : Transport
    starts : array, shape (start, size)
        Positions to climb from; the first is the centre of the prior.
    data : mapping of str to array

    Returns
    -------
    geometry : Geometry
    heights : array, shape (start,)
        What each start reached; -inf where it failed.
    """
    density, blocks, free, grouped = transport.density, transport.blocks, transport.ungrouped, transport.grouped
    spreads = np.concatenate([np.arange(density.size)[density.places[b.spread]] for b in blocks] or [np.empty(0, int)])
    held = np.isin(np.arange(density.size), spreads)

    # With the spreads held at their prior's scale, every group is expanded about a mode of its own.
    def climbing(position, data):
        return density.logp(jnp.where(held, starts[0], position), data)

    found, heights = _climb(climbing, jnp.where(held, starts[0], starts), data)
    best = jnp.where(held, starts[0], found[jnp.argmax(heights)])
    if not blocks:
        top, factor = _newton(lambda position: density.logp(position, data), best)
        return Geometry(top, factor, jnp.zeros((0, 0, 0)), jnp.zeros((0, 0))), heights

    information, pull = _group_information(transport, best, data)
    flat = Geometry(jnp.zeros(len(free)), jnp.eye(len(free)), information, pull)

    def marginal(ungrouped):
        return transport.logp(jnp.concatenate([ungrouped, jnp.zeros(grouped.size)]), flat, data)

    top, factor = _newton(marginal, best[free])
    return Geometry(top, factor, information, pull), heights


def starting_points(initial: np.ndarray, n: int, seed: int) -> np.ndarray:
    """The initial point and n - 1 points spread about it, shape (n, size)."""
    offsets = np.random.default_rng(seed).uniform(-1, 1, (n, len(initial)))
    offsets[0] = 0
    return initial + offsets


def _climb(logp: Callable, starts: jax.Array, data) -> tuple[jax.Array, jax.Array]:
    def climb(start):
        found = optimistix.minimise(
            lambda position, data: -logp(position, data),
            optimistix.BFGS(rtol=1e-8, atol=1e-8),
            start,
            args=data,
            max_steps=2000,
            throw=False,
        ).value
        height = logp(found, data)
        return found, jnp.where(jnp.isfinite(height), height, -jnp.inf)

    return jax.vmap(climb)(starts)


def _newton(logp: Callable, start: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Climb to a mode; also F with F F' the inverse of minus the Hessian there.

    Second derivatives are differences of gradients: exact enough for a map, and far cheaper to compile. Directions
    that do not bend downwards get unit scale, that of the priors.
    """
    width = 1e-4
    probes = width * jnp.concatenate([jnp.zeros((1, len(start))), jnp.eye(len(start)), -jnp.eye(len(start))])
    lengths = 0.5 ** jnp.arange(12)

    def look(position):
        slopes = jax.lax.map(jax.grad(logp), position + probes)
        slope, ahead, behind = slopes[0], *jnp.split(slopes[1:], 2)
        hessian = (behind - ahead) / (2 * width)
        curvature, axes = jnp.linalg.eigh(jnp.nan_to_num(hessian + hessian.T) / 2)
        return slope, axes / jnp.sqrt(jnp.where(curvature > 1e-3, curvature, 1.0))

    def advance(state):
        position, height, _, _, count = state
        slope, factor = look(position)
        candidates = position + lengths[:, None] * (factor @ (factor.T @ slope))
        heights = jnp.nan_to_num(jax.lax.map(logp, candidates), nan=-jnp.inf)
        gain = heights.max() - height
        better = gain > 0
        position = jnp.where(better, candidates[jnp.argmax(heights)], position)
        return position, jnp.where(better, heights.max(), height), factor, gain, count + 1

    def unfinished(state):
        return (state[3] > 1e-6) & (state[4] < 50)

    n = len(start)
    position, _, factor, _, _ = jax.lax.while_loop(
        unfinished, advance, (start, logp(start), jnp.eye(n), jnp.asarray(jnp.inf), jnp.asarray(0))
    )
    return position, factor


def _group_information(transport: Transport, position: jax.Array, data: Data) -> tuple[jax.Array, jax.Array]:
    """Information H of each group's runs about its own parameters, and H theta_0 + s."""
    ungrouped, offsets = position[transport.ungrouped], position[transport.grouped]
    mu, tau = transport.population(ungrouped, data)

    def loglik(theta):
        offsets = (theta - mu[:, None]) / tau[:, None]
        return transport.density.pointwise(transport.join(ungrouped, offsets), data).sum()

    theta = mu[:, None] + tau[:, None] * offsets
    # No run belongs to two groups, so moving one block of all groups at once gives a column for each of them.
    steps = 1e-4 * jnp.eye(len(transport.blocks))
    probes = jnp.concatenate([jnp.zeros((1, len(steps))), steps, -steps])
    slopes = jax.lax.map(lambda step: jax.grad(loglik)(theta + step[:, None]), probes)
    score, ahead, behind = slopes[0], *jnp.split(slopes[1:], 2)
    hessian = jnp.moveaxis(behind - ahead, -1, 0) / 2e-4
    curvature, axes = jnp.linalg.eigh((hessian + jnp.swapaxes(hessian, 1, 2)) / 2)
    curvature = jnp.where(jnp.isfinite(curvature), jnp.maximum(curvature, 0.0), 0.0)
    information = jnp.einsum("gij,gj,gkj->ikg", axes, curvature, axes)
    return information, jnp.einsum("klg,lg->kg", information, theta) + score
