"""Modes of a posterior: where it is highest, and whether it has several separate modes."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from scalebayes.inference.requests import Look, Requests
from scalebayes.inference.transport import Geometry

_SMALLEST_DIP = 1.0  # of log density between two modes that count as separate
_LARGEST_DROP = 12.0  # of log density from the highest mode to others that are examined
_SMALLEST_SHARE = 0.01  # of the mass, for a mode to be reported
_MEMORY = 20  # most steps from which the curvature is known
_STEEPEST = 1e-4  # slope at which a climb has converged, in coordinates on the scale of the prior
_WINDOW, _LEAST_GAIN = 10, 1e-2  # steps over which a climb that has converged gains less log density
_ALONG = 11  # points of a profile


class Ends(NamedTuple):
    """Where the climb from each start ended.

    Parameters
    ----------
    found : array, shape (start, size)
    heights : array, shape (start,)
        Log density there; -inf where the climb failed.
    converged : array of bool, shape (start,)
    """

    found: np.ndarray
    heights: np.ndarray
    converged: np.ndarray


def climb(starts: np.ndarray, held: np.ndarray, look: Callable, most: int) -> Ends:
    """Climb from every start by L-BFGS (Nocedal and Wright 2006, algorithm 7.4), all at once.

    Parameters
    ----------
    starts : array, shape (start, size)
    held : array of bool, shape (size,)
        Coordinates without a mode, which stay.
    look : Callable
        From points, shape (start, size), and which of them are wanted, to the log density and its gradient there.
    most : int
        Steps after which a climb ends.

    Returns
    -------
    Ends
    """
    n, size = starts.shape

    def seen(points, wanted):
        height, slope = look(points, wanted)
        return height, np.where(held | ~np.isfinite(slope), 0.0, slope)

    x, length = starts.copy(), np.full(n, np.nan)
    height, slope = seen(x, np.ones(n, bool))
    moves, turns = np.zeros((2, n, min(_MEMORY, size + 2), size))
    past = [height] * _WINDOW  # heights of the last steps
    converged, active = np.zeros(n, bool), np.isfinite(height)
    for _ in range(most):
        converged |= active & (np.abs(slope).max(1) < _STEEPEST)
        active &= ~converged
        if not active.any():
            break
        direction = _direction(slope, moves, turns)
        rise = (direction * slope).sum(1)
        if not (rise > 0).all():
            direction = np.where((rise > 0)[:, None], direction, slope)
            rise = (direction * slope).sum(1)
        # The first step of a climb is short: nothing is known of the curvature.
        length = np.where(np.isnan(length), 1 / np.maximum(np.abs(slope).max(1), 1.0), length)
        step = length[:, None] * direction
        higher, after = seen(x + step, active)
        gain = np.where(active, higher, -np.inf) - np.where(np.isfinite(height), height, 0.0)
        better = gain > 1e-4 * length * rise  # not where it is NaN
        # Of a climb that did not move, nothing is remembered; its next step is shorter.
        step, turn = np.where(better[:, None], step, 0.0), np.where(better[:, None], slope - after, 0.0)
        useful = ((step * turn).sum(1) > 1e-12 * (turn**2).sum(1))[:, None, None]
        moves, turns = (
            np.concatenate([old[:, 1:], np.where(useful, new[:, None], 0.0)], axis=1)
            for old, new in ((moves, step), (turns, turn))
        )
        x, slope = x + step, slope - turn
        height = np.where(better, height + np.where(better, gain, 0.0), height)
        length = np.where(better, 1.0, 0.3 * length)
        slow = np.where(better, height, 0.0) - np.where(better, past[0], 0.0) < _LEAST_GAIN
        converged |= (better & slow) | (active & (length < 1e-10))
        past = [np.where(better, new, old) for new, old in zip([*past[1:], height], past, strict=True)]
    return Ends(x, height, converged)


def _direction(slope: np.ndarray, moves: np.ndarray, turns: np.ndarray) -> np.ndarray:
    """The direction of L-BFGS, shape (start, size), by its compact form (Byrd, Nocedal and Schnabel 1994, eq. 3.1).

    Parameters
    ----------
    slope : array, shape (start, size)
    moves, turns : array, shape (start, step, size)
        The last steps and how the slope turned; zero where nothing is known.
    """
    products = np.triu(moves @ np.swapaxes(turns, 1, 2))
    curved = np.diagonal(products, axis1=1, axis2=2)
    known = curved > 0
    upper = products + (~known)[:, :, None] * np.eye(moves.shape[1])
    newest = np.argmax(known[:, ::-1], axis=1)[:, None]
    squared = (turns**2).sum(2)
    ratio = np.divide(curved, squared, out=np.ones(curved.shape), where=known)
    scale = np.where(known.any(1), np.take_along_axis(ratio[:, ::-1], newest, 1)[:, 0], 1.0)[:, None]
    a = np.linalg.solve(upper, moves @ slope[:, :, None])
    left = curved[:, :, None] * a + scale[:, :, None] * (turns @ (np.swapaxes(turns, 1, 2) @ a - slope[:, :, None]))
    b = np.linalg.solve(np.swapaxes(upper, 1, 2), left)
    return scale * slope + (np.swapaxes(b, 1, 2) @ moves - scale[:, :, None] * (np.swapaxes(a, 1, 2) @ turns))[:, 0]


def starting_points(initial: np.ndarray, n: int, seed: int) -> np.ndarray:
    """The initial point and n - 1 points spread about it, shape (n, size)."""
    offsets = np.random.default_rng(seed).uniform(-1, 1, (n, len(initial)))
    offsets[0] = 0
    return initial + offsets


def elsewhere(found: Ends) -> np.ndarray:
    """Which climbs converged, ended not much below the highest, and at another point."""
    top = found.found[np.argmax(found.heights)]
    far = np.abs(found.found - top).max(-1) > 0.01
    high = found.heights >= found.heights.max() - _LARGEST_DROP
    return far & high & found.converged


def separate(z: np.ndarray, heights: np.ndarray, candidates: np.ndarray, geometry: Geometry) -> Requests:
    """Which climbs ended at separate modes, other than the highest one.

    Parameters
    ----------
    z : array, shape (start, size)
        The ends of the climbs in whitened coordinates.
    heights : array, shape (start,)
    candidates : array of bool, shape (start,)
        From `elsewhere`.
    geometry : Geometry

    Returns
    -------
    list of int
    """
    known = [int(np.argmax(heights))]
    along = np.linspace(0.0, 1.0, _ALONG)[:, None]
    for i in np.argsort(-heights):
        if not candidates[i] or any(np.linalg.norm(z[i] - z[j]) <= 1 for j in known):
            continue
        lines = np.concatenate([z[j] + along * (z[i] - z[j]) for j in known])
        found, _ = yield Look(lines, geometry)
        found = found.reshape(len(known), _ALONG)
        if (np.nanmin(found, axis=1) < np.minimum(found[:, 0], found[:, -1]) - _SMALLEST_DIP).all():
            known.append(int(i))
    return known[1:]


def shares(log_mass: np.ndarray) -> np.ndarray:
    """The mass of each mode as a share of all; shares too small to report are set to zero."""
    share = np.exp(log_mass - log_mass.max())
    share = np.where(np.isfinite(share), share / share[np.isfinite(share)].sum(), 0.0)
    share = np.where(share >= _SMALLEST_SHARE, share, 0.0)
    return share / share.sum()
