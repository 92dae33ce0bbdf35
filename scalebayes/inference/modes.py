"""Modes of a posterior: where it is highest, and whether it has several separate modes."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from scalebayes.inference.data import Data
from scalebayes.inference.transport import Geometry, Transport

_SMALLEST_DIP = 1.0  # of log density between two modes that count as separate
_LARGEST_DROP = 12.0  # of log density from the highest mode to others that are examined
_MOST_DENSE = 200  # coordinates for which BFGS keeps a dense matrix
_SMALLEST_SHARE = 0.01  # of the mass, for a mode to be reported


class Climb(NamedTuple):
    """Where the climb from each start ended.

    Parameters
    ----------
    found : array, shape (start, size)
    heights : array, shape (start,)
        Log density there; -inf where the climb failed.
    converged : array of bool, shape (start,)
    """

    found: jax.Array
    heights: jax.Array
    converged: jax.Array


def starting_points(initial: np.ndarray, n: int, seed: int) -> np.ndarray:
    """The initial point and n - 1 points spread about it, shape (n, size)."""
    offsets = np.random.default_rng(seed).uniform(-1, 1, (n, len(initial)))
    offsets[0] = 0
    return initial + offsets


def climb(transport: Transport, starts: jax.Array, centre: jax.Array, data: Data) -> Climb:
    """Climb from every start; variables without a mode (spreads, scales of noise) are held at the centre."""
    import optimistix  # slow to import, and not needed after the climb is compiled

    held = np.isin(np.arange(transport.density.size), transport.held)

    def logp(position, data):
        return transport.density.logp(jnp.where(held, centre, position), data)

    # With very many groups the matrix that BFGS keeps would be larger than everything else.
    solver: optimistix.AbstractMinimiser = (
        optimistix.BFGS(rtol=1e-8, atol=1e-8)
        if transport.density.size <= _MOST_DENSE
        else optimistix.LBFGS(rtol=1e-8, atol=1e-8)
    )

    def one(start):
        solution: optimistix.Solution = optimistix.minimise(
            lambda position, data: -logp(position, data),
            solver,
            jnp.where(held, centre, start),
            args=data,
            max_steps=2000,
            throw=False,
        )
        height = logp(solution.value, data)
        height = jnp.where(jnp.isfinite(height), height, -jnp.inf)
        ended = jnp.asarray(solution.result == optimistix.RESULTS.successful)
        return Climb(jnp.where(held, centre, solution.value), height, ended)

    return jax.vmap(one)(starts)


def best(found: Climb) -> np.ndarray:
    """The highest position of every table, shape (table, size)."""
    top = np.argmax(np.asarray(found.heights), axis=1)
    return np.asarray(found.found)[np.arange(len(top)), top]


def elsewhere(found: Climb) -> np.ndarray:
    """Which climbs of every table converged, ended not much below the highest, and at another point."""
    heights, top = np.asarray(found.heights), best(found)
    far = np.abs(np.asarray(found.found) - top[:, None]).max(-1) > 0.01
    high = heights >= heights.max(1, keepdims=True) - _LARGEST_DROP
    return far & high & np.asarray(found.converged)


def profiles(transport: Transport, top: jax.Array, z: jax.Array, geometry: Geometry, data: Data) -> jax.Array:
    """Log density along the line from the top to each z, in whitened coordinates, shape (start, 11)."""
    along = jnp.linspace(0.0, 1.0, 11)[:, None]
    points = top + along * (z[:, None] - top)
    return jax.lax.map(jax.vmap(lambda z: transport.logp(z, geometry, data)), points)


def separate(z: np.ndarray, heights: np.ndarray, candidates: np.ndarray, lines: np.ndarray) -> list[int]:
    """Which climbs of one table ended at separate modes, other than the highest one.

    Parameters
    ----------
    z : array, shape (start, size)
        The ends of the climbs in whitened coordinates.
    heights : array, shape (start,)
    candidates : array of bool, shape (start,)
        From `elsewhere`.
    lines : array, shape (start, 11)
        From `profiles`, starting at the highest.
    """
    others: list[int] = []
    for i in np.argsort(-heights):
        dips = np.nanmin(lines[i]) < min(lines[i][0], lines[i][-1]) - _SMALLEST_DIP
        apart = all(np.linalg.norm(z[i] - z[j]) > 1 for j in others)
        if candidates[i] and dips and apart:
            others.append(int(i))
    return others


def shares(log_mass: np.ndarray) -> np.ndarray:
    """The mass of each mode as a share of all; shares too small to report are set to zero."""
    share = np.exp(log_mass - log_mass.max())
    share = np.where(np.isfinite(share), share / share[np.isfinite(share)].sum(), 0.0)
    share = np.where(share >= _SMALLEST_SHARE, share, 0.0)
    return share / share.sum()
