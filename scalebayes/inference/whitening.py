"""Whitening: the constants of a `Geometry`, from the curvature at a mode or from draws under a poorer geometry."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from scalebayes.inference.data import Data
from scalebayes.inference.transport import Geometry, Transport, constants

_WIDTH = 1e-4  # step of the differences of gradients
_EXPANSIONS = 40  # draws over which the second whitening averages
_FARTHEST = 1.0  # distance from an expansion point, usually in logs
_LONGEST = 4.0  # step of Newton's method, usually in logs
_PER_INDEPENDENT = 8  # draws under a poor whitening that count as one independent draw


def about_mode(transport: Transport, position: jax.Array, data: Data) -> tuple[Geometry, jax.Array]:
    """The geometry about a mode, and the logarithm of the mode's mass by its curvature.

    Parameters
    ----------
    transport : Transport
    position : array, shape (size,)
        Where the density is highest, for given spreads of the blocks.
    data : mapping of str to array

    Returns
    -------
    geometry : Geometry
    log_mass : array, shape ()
        Laplace's approximation, up to a constant.
    """
    phi = transport.warp(position[transport.free], data)
    centre, own = position[transport.centres], position[transport.owned]
    expanded = _expand(transport, phi[None], centre[None], own[None], data)
    n, dense = len(phi), transport.dense
    flat = constants(expanded, jnp.zeros(dense), jnp.eye(dense))
    zeros = jnp.zeros(transport.density.size - n)
    top, factor, height = _newton(lambda phi: transport.logp(jnp.concatenate([phi, zeros]), flat, data), phi)
    return constants(expanded, *_first(top, factor, dense)), height + jnp.linalg.slogdet(factor)[1]


def _first(centre: jax.Array, factor: jax.Array, dense: int) -> tuple[jax.Array, jax.Array]:
    """The map of the first layer's coordinates, which leaves the others unchanged."""
    n = len(centre)
    return jnp.zeros(dense).at[:n].set(centre), jnp.eye(dense).at[:n, :n].set(factor)


def from_draws(transport: Transport, z: jax.Array, poor: Geometry, data: Data) -> Geometry:
    """A better geometry from draws under a poor one.

    Parameters
    ----------
    transport : Transport
    z : array, shape (sample, size)
    poor : Geometry
        The geometry under which z were drawn.
    data : mapping of str to array

    Returns
    -------
    Geometry
        The geometry about the draws' mean, whitened by their covariance.
    """
    n, free = len(z), len(transport.free)

    positions = jax.lax.map(lambda z: transport.position(z, poor, data)[0], z)
    phis = jax.vmap(lambda position: transport.warp(position[transport.free], data))(positions)
    some = slice(None, _EXPANSIONS * max(n // _EXPANSIONS, 1), max(n // _EXPANSIONS, 1))
    expanded = _expand(
        transport, phis[some], positions[some][:, transport.centres], positions[some][:, transport.owned], data
    )
    # Shrunk, as in Stan's warm-up, towards a small multiple of the unit matrix, which stands for the first whitening.
    scale = jnp.linalg.cholesky(poor.outer[:free] @ poor.outer[:free].T)
    inside = jax.vmap(lambda phi: jnp.linalg.solve(scale, phi - poor.shift[:free]))(phis)
    covariance = jnp.cov(inside, rowvar=False).reshape(free, free)
    covariance = (n * covariance + 5e-3 * jnp.eye(free)) / (n + 5)
    dense = transport.dense
    shift, outer = _first(phis.mean(0), scale @ jnp.linalg.cholesky(covariance), dense)
    better = constants(expanded, shift, outer)
    left = jax.lax.map(lambda position: transport.standardise(position, better, data)[:dense], positions)
    covariance = jnp.cov(left, rowvar=False).reshape(dense, dense)
    weight = n / (n + _PER_INDEPENDENT * dense)
    within = jnp.linalg.cholesky(weight * covariance + (1 - weight) * jnp.eye(dense))
    return constants(expanded, shift + outer @ (weight * left.mean(0)), outer @ within)


def _expand(transport: Transport, phis, centres, owns, data: Data) -> tuple[jax.Array, ...]:
    """All of a `Geometry` except shift and outer, averaged over points; over many, the best normal approximation."""
    k, size = len(transport.blocks), phis.shape[1]
    phi, centre = phis.mean(0), centres.mean(0)
    if not k:
        return (jnp.zeros((0, 0, 0)), jnp.zeros((0, 0)), jnp.zeros((0, 0, size)), phi, centre, centre)

    def slopes_at(phi, centre, own):
        def parts(phi):
            free, _ = transport.unwarp(phi, data)
            return free, transport.mus(free, centre, data), transport.taus(free, data)

        def loglik(theta, phi):
            free, mu, tau = parts(phi)
            owned = transport.owned_from((theta - mu[:, None]) / tau[:, None], mu, tau)
            return transport.density.pointwise(transport.join(free, centre, owned), data).sum()

        _, mu, tau = parts(phi)
        theta = mu[:, None] + tau[:, None] * transport.offsets_from(own, mu, tau)
        # No run belongs to two groups, so moving one block of all groups at once gives a column for each group.
        steps = _WIDTH * jnp.eye(k + size)
        probes = jnp.concatenate([jnp.zeros((1, k + size)), steps, -steps])
        slopes = jax.lax.map(lambda step: jax.grad(loglik)(theta + step[:k, None], phi + step[k:]), probes)
        slopes = jnp.nan_to_num(slopes, posinf=0.0, neginf=0.0)
        score, ahead, behind = slopes[0], *jnp.split(slopes[1:], 2)
        return theta, score, (ahead - behind) / (2 * _WIDTH)

    thetas, scores, columns = jax.lax.map(lambda point: slopes_at(*point), (phis, centres, owns))
    hessian = -jnp.moveaxis(columns[:, :k].mean(0), -1, 0)
    curvature, axes = jnp.linalg.eigh((hessian + jnp.swapaxes(hessian, 1, 2)) / 2)
    # Where the score is large and the curvature small, the normal approximation would put a group far from every point.
    steep = jnp.abs(jnp.einsum("gij,ig->gj", axes, scores.mean(0)))
    information = jnp.einsum("gij,gj,gkj->ikg", axes, jnp.maximum(curvature, steep / _FARTHEST), axes)
    pull = jnp.einsum("klg,lg->kg", information, thetas.mean(0)) + scores.mean(0)
    free, _ = transport.unwarp(phi, data)
    pooled, steps = np.flatnonzero(transport.pooled), _WIDTH * jnp.eye(len(centre))
    moved = jax.vmap(lambda step: transport.mus(free, centre + step, data))(jnp.concatenate([steps, -steps]))
    ahead, behind = jnp.split(moved[:, pooled], 2)
    slope = jnp.diag(ahead - behind) / (2 * _WIDTH)
    return information, pull, jnp.moveaxis(columns[:, k:].mean(0), 0, -1), phi, centre, slope


def _newton(logp: Callable, start: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Climb to a mode; returns it, F with F F' the inverse of the negative Hessian there, and the log density.

    Second derivatives are differences of gradients: exact enough for a map, and far cheaper to compile. Directions
    without negative curvature get unit scale, that of the priors.
    """
    probes = _WIDTH * jnp.concatenate([jnp.zeros((1, len(start))), jnp.eye(len(start)), -jnp.eye(len(start))])
    lengths = jnp.append(0.0, 0.5 ** jnp.arange(12))

    def look(position):
        slopes = jax.lax.map(jax.grad(logp), position + probes)
        slope, ahead, behind = slopes[0], *jnp.split(slopes[1:], 2)
        hessian = (behind - ahead) / (2 * _WIDTH)
        curvature, axes = jnp.linalg.eigh(jnp.nan_to_num(hessian + hessian.T) / 2)
        return slope, axes / jnp.sqrt(jnp.where(curvature > 1e-3, curvature, 1.0))

    def advance(state):
        position, height, _, _, count = state
        slope, factor = look(position)
        direction = jnp.nan_to_num(factor @ (factor.T @ slope), posinf=0.0, neginf=0.0)
        # Variables that the climb held may be far off; a long step from there can end where the density is flat or NaN.
        direction = direction * _LONGEST / jnp.abs(direction).max(initial=_LONGEST)
        candidates = position + lengths[:, None] * direction
        heights = jnp.nan_to_num(jax.lax.map(logp, candidates), nan=-jnp.inf)
        gain = heights.max() - height
        better = gain > 0  # not where all of them failed
        position = jnp.where(better, candidates[jnp.argmax(heights)], position)
        return position, jnp.where(better, heights.max(), height), factor, gain, count + 1

    def unfinished(state):
        return (state[3] > 1e-6) & (state[4] < 50)

    n, begun = len(start), jnp.asarray(-jnp.inf)  # not yet known; a length of zero evaluates the start
    position, height, factor, _, _ = jax.lax.while_loop(
        unfinished, advance, (start, begun, jnp.eye(n), jnp.asarray(jnp.inf), jnp.asarray(0))
    )
    return position, factor, height
