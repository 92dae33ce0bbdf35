"""Hamiltonian Monte Carlo, driven from NumPy: momenta, step sizes and lengths of trajectories.

Where a posterior is nearly standard normal, the length of a trajectory is known. It has a jitter, which keeps it from
being a period of some coordinate. The jitter is spread evenly, by the golden section, and depends on the trajectory's
number alone, so that all chains go equally far, as in Hoffman, Radul and Sountsov (2021).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import jax
import numpy as np

from scalebayes.inference.requests import Move, Requests
from scalebayes.inference.trajectories import CHUNK, MANY, State, Trace
from scalebayes.inference.transport import Geometry

# Mean length of a trajectory. With a jitter of 0.5 to 1.5 times this length, a normal coordinate is forgotten if its
# standard deviation lies between 0.4 and 3.
LENGTH = 3.0
# The mean length with very many coordinates: about a quarter of a normal coordinate's period, which also forgets the
# distance from the mean. Half a period changes only a coordinate's sign. The distance that it keeps would set the
# largest r-hat of thousands of numbers.
SHORT = 1.7
MOST_STEPS = 200
LARGEST_ENERGY_ERROR = 1000.0  # beyond which a trajectory has diverged
_GOLDEN_SECTION = (5**0.5 - 1) / 2
# Of dual averaging (Hoffman and Gelman 2014, arXiv:1111.4246, section 3.2.1).
_SHRINKAGE, _DELAY, _FORGETTING = 0.05, 10, 0.75
_ONE_BY_ONE, _AT_ONCE = 20, 10
MOST_RUNS = 10_000  # of tables whose log likelihood is kept at every draw


@dataclass(frozen=True, eq=False)
class Chains:
    """The chains of one table, and how they move.

    Parameters
    ----------
    state : State
        With a leading table dimension of 1.
    geometry : Geometry
    step_size : float
    length : float
        Mean length of a trajectory.
    target_accept : float
    made : int
        Trajectories made.
    """

    state: State
    geometry: Geometry
    step_size: float
    length: float
    target_accept: float
    made: int = 0


class Draws(NamedTuple):
    """What trajectories ended with, and statistics of them; leading dimensions (draw, chain).

    Parameters
    ----------
    trace : Trace
        The log likelihood in it has only the draws of which it is known.
    stats : dict of str to array
        Under ArviZ's names.
    known : array of bool, shape (draw,)
        Of which draws the log likelihood is kept.
    """

    trace: Trace
    stats: dict[str, np.ndarray]
    known: np.ndarray

    @property
    def z(self) -> np.ndarray:
        """Whitened coordinates, shape (draw, chain, size)."""
        return self.trace.z


def joined(parts: list[Draws]) -> Draws:
    """Draws one after another."""
    return jax.tree.map(lambda *each: np.concatenate(each), *parts)


def started(chains: Chains) -> Requests:
    """The chains after a step of length zero, which finds the density where they are."""
    z = np.zeros((1, *chains.state.z.shape[1:]))
    end, _ = yield Move(chains.state, z, z[..., 0], np.ones(1, int), 0.0, chains.geometry)
    return replace(chains, state=end)


def adapted(chains: Chains, trajectories: int, rng: np.random.Generator, report: Callable[[int], None]) -> Requests:
    """Trajectories while the step size is adapted to the target acceptance, by dual averaging.

    Returns the chains with the settled step size, and the draws without statistics. Trajectories made are reported.
    """
    centre, log_size, average, error = np.log(10 * chains.step_size), np.log(chains.step_size), 0.0, 0.0
    parts: list[Draws] = []
    made, updates = 0, 0
    while made < trajectories:
        report(made)
        # Several trajectories at a time once the step size is about right: a call of the program has its price.
        some = min(1 if made < _ONE_BY_ONE else _AT_ONCE, trajectories - made)
        chains, trace, _, _ = yield from _moved(replace(chains, step_size=float(np.exp(log_size))), some, rng)
        parts.append(_kept(trace, {}, 0))
        made += some
        # Without chains that have not found a finite density yet: they accept nothing at any step size.
        found = np.isfinite(trace.height)
        if not found.any():
            continue
        updates += 1
        share = 1 / (updates + _DELAY)
        accepted = _acceptance(trace)[found].mean()
        error = (1 - share) * error + share * (chains.target_accept - accepted)
        log_size = centre - np.sqrt(updates) / _SHRINKAGE * error
        average = updates**-_FORGETTING * log_size + (1 - updates**-_FORGETTING) * average
    return replace(chains, step_size=float(np.exp(average))), joined(parts)


def drawn(chains: Chains, trajectories: int, rng: np.random.Generator, report: Callable[[int], None]) -> Requests:
    """Trajectories with a fixed step size; returns the chains and the draws. Trajectories made are reported."""
    parts = []
    for first in range(0, trajectories, CHUNK):
        report(first)
        begun = np.asarray(chains.state.height)
        chains, trace, momenta, steps = yield from _moved(chains, min(CHUNK, trajectories - first), rng)
        stats = {
            "lp": trace.height,
            "diverging": trace.gain < -LARGEST_ENERGY_ERROR,
            "acceptance_rate": _acceptance(trace),
            "energy": (momenta**2).sum(-1) / 2 - np.concatenate([begun, trace.height[:-1]]),
            "n_steps": np.broadcast_to((steps * (1 + (momenta.shape[-1] >= MANY)))[:, None], trace.height.shape),
            "step_size": np.full(trace.height.shape, chains.step_size),
        }
        parts.append(_kept(trace, stats, MOST_RUNS))
    return chains, joined(parts)


def _kept(trace: Trace, stats: dict[str, np.ndarray], runs: int) -> Draws:
    """The draws, with the log likelihood of so few of them that tables with more runs than these take no more room."""
    position, likelihood, published = trace.kept
    n = len(likelihood)
    some = n if likelihood.shape[-1] <= runs else -(-n * runs // likelihood.shape[-1])
    known = np.zeros(n, bool)
    known[np.arange(1, some + 1) * n // max(some, 1) - 1] = some > 0
    return Draws(trace._replace(kept=(position, likelihood[known], published)), stats, known)


def _acceptance(trace: Trace) -> np.ndarray:
    return np.exp(np.minimum(trace.gain, 0.0))


def _moved(chains: Chains, n: int, rng: np.random.Generator) -> Requests:
    """The chains after n trajectories, the trace, the momenta, and the numbers of steps."""
    state = chains.state
    shape = state.z.shape[1:]
    numbers = chains.made + np.arange(n)
    length = chains.length * (0.5 + numbers * _GOLDEN_SECTION % 1.0)
    steps = np.clip(np.ceil(length / chains.step_size), 1, MOST_STEPS).astype(int)
    momenta, chances = rng.standard_normal((n, *shape)), rng.uniform(size=(n, shape[0]))
    end, trace = yield Move(state, momenta, chances, steps, chains.step_size, chains.geometry)
    return replace(chains, state=end, made=chains.made + n), trace, momenta, steps
