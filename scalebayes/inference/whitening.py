"""Whitening: the constants of a `Geometry`, from the curvature at a mode or from draws under a poorer geometry.

Second derivatives are differences of gradients: exact enough for a map, and nothing more is compiled for them.
"""

from __future__ import annotations

import numpy as np

from scalebayes.inference.data import Data
from scalebayes.inference.requests import Look, Requests
from scalebayes.inference.transport import Geometry, Transport, constants

_WIDTH = 1e-4  # step of the differences of gradients
_EXPANSIONS = 40  # draws over which the second whitening averages
_FARTHEST = 1.0  # distance from an expansion point, usually in logs
_LONGEST = 4.0  # step of Newton's method, usually in logs
_PER_INDEPENDENT = 8  # draws under a poor whitening that count as one independent draw
_MOST_NEWTON, _LEAST_GAIN = 50, 1e-6
_LENGTHS = 0.5 ** np.arange(12)


def about_mode(transport: Transport, plain: np.ndarray, data: Data) -> Requests:
    """The geometry about a mode, the logarithm of the mode's mass by its curvature, and the mode itself.

    Parameters
    ----------
    transport : Transport
    plain : array, shape (size,)
        Where the density is highest for given spreads of the blocks, in coordinates of the plain geometry.
    data : mapping of str to array

    Returns
    -------
    geometry : Geometry
    log_mass : float
        Laplace's approximation, up to a constant.
    position : array, shape (size,)
        Where Newton's method ends: of two climbs that stopped on one slope, at one and the same mode.
    """
    flat = yield from flat_about(transport, plain, data)
    top, factor, height = yield from _newton(plain[: transport.free], transport.density.size, flat)
    geometry = constants(flat[:6], *_first(top, factor, transport.dense))
    whole = np.pad(top, (0, transport.density.size - len(top)))
    position, _ = transport.position(whole[None], flat, data)
    return geometry, height + np.linalg.slogdet(factor)[1], position[0]


def flat_about(transport: Transport, plain: np.ndarray, data: Data) -> Requests:
    """The geometry that whitens the groups about a point, and leaves phi as it is.

    Parameters
    ----------
    transport : Transport
    plain : array, shape (size,)
        In coordinates of the plain geometry.
    data : mapping of str to array
    """
    expanded = yield from _expanded(transport, plain[None], data)
    return constants(expanded, np.zeros(transport.dense), np.eye(transport.dense))


def from_draws(transport: Transport, positions: np.ndarray, poor: Geometry, data: Data) -> Requests:
    """A better geometry from draws under a poor one.

    Parameters
    ----------
    transport : Transport
    positions : array, shape (sample, size)
    poor : Geometry
        The geometry under which they were drawn.
    data : mapping of str to array

    Returns
    -------
    Geometry
        The geometry about the draws' mean, whitened by their covariance.
    """
    n, free, dense = len(positions), transport.free, transport.dense
    plain = transport.standardise(positions, transport.plain, data)
    every = max(n // _EXPANSIONS, 1)
    expanded = yield from _expanded(transport, plain[: _EXPANSIONS * every : every], data)
    # Shrunk, as in Stan's warm-up, towards a small multiple of the unit matrix, which stands for the first whitening.
    scale = _root(poor.outer[:free])
    phis = plain[:, :free]
    inside = np.linalg.solve(scale, (phis - poor.shift[:free]).T)
    covariance = np.cov(inside).reshape(free, free)
    covariance = (n * covariance + 5e-3 * np.eye(free)) / (n + 5)
    within = _shrunk_root(covariance, inside.T, n / (n + 5), 5e-3 / (n + 5))
    shift, outer = _first(phis.mean(0), scale @ within, dense)
    better = constants(expanded, shift, outer)
    left = transport.standardise(positions, better, data)[:, :dense]
    covariance = np.cov(left, rowvar=False).reshape(dense, dense)
    weight = n / (n + _PER_INDEPENDENT * dense)
    within = _shrunk_root(weight * covariance + (1 - weight) * np.eye(dense), left, weight, 1 - weight)
    return constants(expanded, shift + outer @ (weight * left.mean(0)), outer @ within)


def _shrunk_root(covariance: np.ndarray, samples: np.ndarray, weight: float, unit: float) -> np.ndarray:
    """A triangular root of a covariance: ``weight`` times that of the samples, and ``unit`` times the unit matrix."""
    try:
        return np.linalg.cholesky(covariance)
    except np.linalg.LinAlgError:  # chains have strayed so far along one direction that its variance hides the others
        centred = (samples - samples.mean(0)) * np.sqrt(weight / (len(samples) - 1))
        return np.linalg.qr(np.vstack([centred, np.sqrt(unit) * np.eye(len(covariance))]), mode="r").T


def _root(factor: np.ndarray) -> np.ndarray:
    """A triangular matrix with the product of a factor and its transpose."""
    try:
        return np.linalg.cholesky(factor @ factor.T)
    except np.linalg.LinAlgError:  # the product has lost the narrowest directions, as where runs have no noise at all
        return np.linalg.qr(factor.T, mode="r").T


def _first(centre: np.ndarray, factor: np.ndarray, dense: int) -> tuple[np.ndarray, np.ndarray]:
    """The map of the first layer's coordinates, which leaves the others unchanged."""
    n = len(centre)
    shift, outer = np.zeros(dense), np.eye(dense)
    shift[:n], outer[:n, :n] = centre, factor
    return shift, outer


def _expanded(transport: Transport, plain: np.ndarray, data: Data) -> Requests:
    """All of a `Geometry` except shift and outer, averaged over points; over many, the best normal approximation.

    Parameters
    ----------
    plain : array, shape (point, size)
        In coordinates of the plain geometry.
    """
    k, groups, n, m = len(transport.blocks), transport.groups, transport.free, transport.pooled
    centred = transport.centred
    phi = plain[:, :n].mean(0)
    if not k:
        return np.zeros((0, 0, 0)), np.zeros((0, 0)), np.zeros((0, 0, n)), phi, np.zeros(0), np.zeros(0)
    positions, _ = transport.position(plain, transport.plain, data)
    centres = positions[:, n:centred]
    centre = centres.mean(0)
    offsets = plain[:, centred:].reshape(-1, k, groups)

    def of_groups(phi, centre):
        """mu and tau, each with a last axis for the groups."""
        free, _ = transport.unwarp(phi, data)
        return transport.mus(centre, data)[..., None], transport.taus(free, data)[..., None]

    mu, tau = of_groups(plain[:, :n], centres)
    theta = mu + tau * offsets
    # No run belongs to two groups, so moving one block of all groups at once gives a column for each group.
    steps = _WIDTH * np.eye(k + n)
    probes = np.concatenate([np.zeros((1, k + n)), steps, -steps])
    moved = np.repeat(plain[:, None], len(probes), axis=1)
    moved[..., :n] += probes[:, k:]
    mu, tau = of_groups(moved[..., :n], centres[:, None])
    offsets = (theta[:, None] + probes[:, :k, None] - mu) / tau
    moved[..., centred:] = offsets.reshape(*moved.shape[:2], -1)
    _, slopes = yield Look(moved.reshape(-1, plain.shape[1]), transport.plain)
    # Without the standard normal prior of the offsets, the gradient is that of the likelihood.
    scores = (slopes[:, centred:].reshape(*moved.shape[:2], k, groups) + offsets) / tau
    scores = np.nan_to_num(scores, posinf=0.0, neginf=0.0)
    ahead, behind = np.split(scores[:, 1:], 2, axis=1)
    columns = ((ahead - behind) / (2 * _WIDTH)).mean(0)
    score, theta = scores[:, 0].mean(0), theta.mean(0)
    hessian = -np.moveaxis(columns[:k], -1, 0)
    curvature, axes = np.linalg.eigh((hessian + np.swapaxes(hessian, 1, 2)) / 2)
    # Where the score is large and the curvature small, the normal approximation would put a group far from every point.
    steep = np.abs(np.einsum("gij,ig->gj", axes, score))
    information = np.einsum("gij,gj,gkj->ikg", axes, np.maximum(curvature, steep / _FARTHEST), axes)
    pull = np.einsum("klg,lg->kg", information, theta) + score
    steps = _WIDTH * np.eye(m)
    ahead, behind = (transport.mus(centre + step, data)[:, :m] for step in (steps, -steps))
    slope = np.diag(ahead - behind) / (2 * _WIDTH)
    return information, pull, np.moveaxis(columns[k:], 0, -1), phi, centre, slope


def _newton(start: np.ndarray, size: int, geometry: Geometry) -> Requests:
    """Climb to a mode over the first coordinates, the others at zero.

    Returns the mode, F with F F' the inverse of the negative Hessian there, and the log density. Directions without
    negative curvature get unit scale, that of the priors.
    """
    n = len(start)
    steps = _WIDTH * np.eye(n)
    probes = np.concatenate([np.zeros((1, n)), steps, -steps])

    def look(points):
        return Look(np.pad(points, [(0, 0), (0, size - n)]), geometry)

    top, height = start, -np.inf
    for _ in range(_MOST_NEWTON):
        heights, slopes = yield look(top + probes)
        if heights[0] > height:  # of the start
            height = heights[0]
        slope, ahead, behind = slopes[0, :n], *np.split(slopes[1:, :n], 2)
        hessian = np.nan_to_num((behind - ahead) / (2 * _WIDTH), posinf=0.0, neginf=0.0)
        curvature, axes = np.linalg.eigh((hessian + hessian.T) / 2)
        factor = axes / np.sqrt(np.where(curvature > 1e-3, curvature, 1.0))
        direction = np.nan_to_num(factor @ (factor.T @ slope), posinf=0.0, neginf=0.0)
        # Variables that the climb held may be far off; a long step from there can end where the density is flat or NaN.
        direction *= _LONGEST / np.abs(direction).max(initial=_LONGEST)
        candidates = top + _LENGTHS[:, None] * direction
        heights, _ = yield look(candidates)
        best = int(np.argmax(heights))
        gain = heights[best] - height
        if not gain > _LEAST_GAIN:
            break
        top, height = candidates[best], heights[best]
    return top, factor, height
