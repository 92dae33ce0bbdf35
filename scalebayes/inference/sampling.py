"""Sampling by Hamiltonian Monte Carlo in whitened coordinates, of one table or of several of equal shape at once.

Trajectories have a fixed length, which is right where the coordinates are nearly standard normal. Where a pilot or the
draws show that they are not, the coordinates are whitened again, and NUTS finds the length.

A batch of tables runs together for as many steps as the easy ones need. A table that needs more goes on alone, or in
its own slot of the batch, so that its draws do not depend on the others. The chains of a single table run in parallel:
with a fixed length, a program runs as many chains as each processor has to take; with NUTS, each chain has a program of
its own, so that none waits for another's trees.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import jax
import numpy as np

from scalebayes.inference.batching import (
    Progress,
    Requests,
    Run,
    Steps,
    Trace,
    Whitening,
    advance,
    chains_per_program,
    one,
    serve,
    whole_chunks,
    with_total,
)
from scalebayes.inference.data import Data
from scalebayes.inference.diagnostics import LARGEST_DIVERGING_SHARE, LARGEST_R_HAT, SMALLEST_ESS, worst_of
from scalebayes.inference.modes import Climb, best, elsewhere, separate, shares, starting_points
from scalebayes.inference.processors import linear_algebra_on_one_thread
from scalebayes.inference.programs import Programs, programs
from scalebayes.inference.schedule import CHUNK, DRAW, FAST, LENGTH, MANY, warmup
from scalebayes.inference.settings import Settings
from scalebayes.numerics.precision import double_precision

if TYPE_CHECKING:
    from scalebayes.inference.source import Source

STARTS = 8
MOST_LONGER = 8
PILOT = 150
WARMUP = 300
# A whitening is poor if a trajectory needs more gradients than this.
MOST_STEPS = 18
# It is poor too if there are fewer effective draws per draw than this.
LEAST_WORTH = 0.1
# Default target acceptance: of fixed-length trajectories, of NUTS, and after draws have shown that a posterior is hard.
EASY, STEADY, CAREFUL = 0.8, 0.95, 0.99


@dataclass(frozen=True, eq=False)
class Mode:
    """One of several separate modes.

    Parameters
    ----------
    share : float
        Share of the posterior's mass, by the curvature at the modes (Laplace's approximation).
    height : float
        Log density at the mode.
    values : dict of str to array
        Every variable at the mode, on its natural scale.
    """

    share: float
    height: float
    values: dict[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class Draws:
    """Draws and diagnostics of a sampler; arrays have leading dimensions (chain, draw).

    Parameters
    ----------
    variables : dict of str to array
        Every variable of the model on its natural scale.
    log_likelihood : array, shape (chain, draw, run)
    stats : dict of str to array
        Sampler statistics under ArviZ's names.
    max_r_hat, min_ess_bulk : float
        The worst of all variables.
    modes : tuple of Mode
        The separate modes if there are several, else empty.
    sampler : str
        "hmc" or "nuts".
    warmup : int
        Number of adapting steps made.
    target_accept : float
        Mean acceptance rate that the step size was last adapted to.
    thin : float
        Steps per draw kept, on average.
    """

    variables: dict[str, np.ndarray]
    log_likelihood: np.ndarray
    stats: dict[str, np.ndarray]
    max_r_hat: float
    min_ess_bulk: float
    modes: tuple[Mode, ...]
    sampler: str
    warmup: int
    target_accept: float
    thin: float


def sample(
    source: Source,
    tables: Sequence[Data],
    *,
    initial: Sequence[Data],
    seeds: Sequence[int],
    settings: Settings,
    report: Progress,
    wanted: Sequence[int] | None = None,
    in_batch: bool = False,
) -> dict[int, Draws]:
    """Draw from a density with each table as its data.

    Parameters
    ----------
    source : Source
    tables : sequence of mapping of str to array
        Arguments of the density, of equal shapes.
    initial : sequence of mapping of str to array
        Centres of the priors, by the names of the free variables.
    seeds : sequence of int
        The same seed, in a batch of the same size, on the same machine gives the same bytes.
    settings : Settings
    report : Callable
        Called after each chunk with the number of steps that every chain has made, and the number that it will make.
    wanted : sequence of int, optional
        Indices of the tables whose draws are wanted; the others only fill the batch. By default all.
    in_batch : bool
        Whether tables that need more steps than the others go on in the batch's program; otherwise each goes on alone.

    Returns
    -------
    dict of int to Draws
        The draws of each table, by its index.
    """
    with double_precision(), linear_algebra_on_one_thread():
        compiled = programs(source)
        data, centres = _stacked(tables), compiled.locate(_stacked(initial))
        keys = np.stack([_keys(seed, settings.chains) for seed in seeds])
        geometry, modes, z = _geometry_and_starts(compiled, data, centres, seeds, settings.chains)
        z = z + _scatter(keys, 0, z.shape)
        # A stated length of the warm-up means plain NUTS.
        fixed_length = settings.warmup is None
        target = np.full(len(tables), settings.target_accept or (EASY if fixed_length else STEADY))
        start = compiled.start_hmc if fixed_length else compiled.start_nuts
        run = Run(data, keys, geometry, start(z, geometry, data), target)
        length = PILOT if settings.warmup is None else settings.warmup
        stages = np.full(length, FAST) if fixed_length else warmup(whole_chunks(length))
        run, pilot = advance(compiled, run, fixed_length, 0, stages, with_total(report, length + settings.draws))
        poor = ~_is_easy(run, *pilot, 2 if z.shape[-1] >= MANY else 1) & fixed_length
        made = whole_chunks(length)
        kept = range(len(tables)) if wanted is None else wanted
        first, begin = (run, pilot), _first(settings)
        if not poor[list(kept)].all():
            stages, reported = np.full(begin, DRAW), with_total(report, made + begin)
            drawn, trace = advance(compiled, run, fixed_length, made, stages, reported)
            first = drawn, jax.tree.map(lambda x: x[:, :, :begin], trace)
        width = len(tables) if in_batch else 1
        requests: dict[int, Requests] = {}
        for i in kept:
            own, trace = one((run, pilot) if poor[i] else first, i)
            requests[i] = _finished(compiled, width, own, trace, poor[i], settings, modes[i], made)
        if width > 1:
            return serve(compiled, requests, width, report)
        return {i: serve(compiled, {0: each}, 1, report)[0] for i, each in requests.items()}


def _is_easy(run: Run, z: np.ndarray, stats: dict[str, np.ndarray], gradients: int = 1) -> np.ndarray:
    """Which tables are easy: trajectories of `LENGTH` need few gradients, and chains stray no farther than one goes.

    `LENGTH` counts also where trajectories are shorter, since it is the step size that is judged, and how far a
    coordinate is from standard normal.
    """
    steps = gradients * LENGTH / stats["step_size"][:, :, -1].mean(1)
    unit = np.sqrt(np.asarray(run.carry[-1]).mean(1))  # of a coordinate, by the mass matrix
    strayed = np.sqrt(z[:, :, -2 * CHUNK :].var(2).mean(1)) / unit
    return (steps <= MOST_STEPS) & (strayed.max(-1) <= LENGTH)


def _keys(seed: int, n: int) -> np.ndarray:
    return np.asarray(jax.random.key_data(jax.random.split(jax.random.key(seed), n)))


def _scatter(keys: np.ndarray, made: int, shape: tuple[int, ...]) -> np.ndarray:
    """Standard normal starts of chains; those of a table depend on its first chain's key and on the steps made."""
    return np.stack([np.random.default_rng([*key, made]).standard_normal(shape[1:]) for key in keys[:, 0]])


def _stacked(tables: Sequence[Data]) -> dict[str, np.ndarray]:
    return {name: np.stack([table[name] for table in tables]) for name in tables[0]}


def _geometry_and_starts(compiled: Programs, data, initial, seeds, chains):
    """The geometry about the highest mode of every table, its separate modes if any, and where each chain starts."""
    starts = np.stack([starting_points(i, STARTS, s) for i, s in zip(initial, seeds, strict=True)])
    found = _climbed(compiled, starts, initial, data)
    top = best(found)
    geometry, log_mass = compiled.about_mode(top, data)
    candidates = elsewhere(found)
    if not candidates.any():  # the usual case
        return geometry, [()] * len(top), np.zeros((len(top), chains, top.shape[-1]))
    z = compiled.standardise(found.found, geometry, data)
    highest = np.argmax(found.heights, axis=1)
    lines = compiled.profiles(z[np.arange(len(z)), highest], z, geometry, data)
    others = [separate(*one) for one in zip(z, np.asarray(found.heights), candidates, lines, strict=True)]
    masses, chosen = [log_mass], [highest]
    for rank in range(max(map(len, others))):
        index = np.asarray([o[rank] if rank < len(o) else h for o, h in zip(others, highest, strict=True)])
        _, mass = compiled.about_mode(found.found[np.arange(len(z)), index], data)
        masses.append(np.where([rank < len(o) for o in others], mass, -np.inf))
        chosen.append(index)
    modes, begins = [], np.zeros((len(z), chains, z.shape[-1]))
    for i in range(len(z)):
        share = shares(np.asarray([m[i] for m in masses]))
        kept = np.flatnonzero(share)
        # Every mode gets one chain while there are any; the other chains are divided in proportion to the shares.
        more = np.maximum(np.round(chains * share[kept]).astype(int) - 1, 0)
        wanted = np.concatenate([kept, np.repeat(kept, more)])
        if len(kept) > 1:
            begins[i] = [z[i, chosen[wanted[c % len(wanted)]][i]] for c in range(chains)]
        modes.append(_described(compiled, found, i, [chosen[k][i] for k in kept], share[kept], data))
    return geometry, modes, begins


def _climbed(compiled: Programs, starts: np.ndarray, centres: np.ndarray, data) -> Climb:
    width = chains_per_program(True, *starts.shape[:2])

    def some(first: int):
        with double_precision():
            return compiled.climb(starts[:, first : first + width], centres, data)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        parts = list(pool.map(some, range(0, starts.shape[1], width)))
    return Climb(*jax.tree.map(lambda *some: np.concatenate(some, axis=1), *parts))


def _described(compiled, found: Climb, i: int, ends: list, share: np.ndarray, data) -> tuple[Mode, ...]:
    if len(ends) < 2:
        return ()
    values = [compiled.values(found.found[i, end], {name: value[i] for name, value in data.items()}) for end in ends]
    return tuple(
        Mode(float(s), float(found.heights[i, end]), value) for s, end, value in zip(share, ends, values, strict=True)
    )


def _rewhitened(run: Run, z: np.ndarray, pilots: int, made: int, settings: Settings) -> Requests:
    """Requests for a whitening from the draws of pilots, then for a warm-up of NUTS that also adapts the mass matrix.

    The first pilot has drawn z. Without pilots the whitening stays: chains in several modes draw what describes none of
    them. Returns the run, the steps made, and whether fixed-length trajectories suit it now.
    """
    made_then = made + max(pilots - 1, 0) * PILOT + WARMUP
    total = made_then + settings.draws
    for left in reversed(range(pilots)):
        pilot = z[:, :, -2 * CHUNK :].reshape(1, -1, z.shape[-1])
        run = yield Whitening(run, pilot, _scatter(run.keys, made, z[:, :, 0].shape))
        if left:  # chains that start under a better whitening make a better pilot
            run, (z, _) = yield Steps(run, False, made, np.full(PILOT, FAST), total)
            made += PILOT
    run, last = yield Steps(run, False, made, warmup(WARMUP), total)
    # With many coordinates fixed-length trajectories use another integrator than NUTS, which has adapted the step size.
    return run, made_then, z.shape[-1] < MANY and bool(_is_easy(run, *last)[0])


def _drawn(run: Run, fixed_length: bool, made: int, draws: int) -> Requests:
    run, trace = yield Steps(run, fixed_length, made, np.full(draws, DRAW), made + draws)
    return run, jax.tree.map(lambda x: x[:, :, :draws], trace)


def _finished(
    compiled: Programs, width: int, run: Run, trace: Trace, poor: bool, settings: Settings, modes, warmed: int
) -> Requests:
    """Requests of one table until it has mixed, or has the ESS that was set, or reaches the limit; returns its draws.

    Draws are discarded if they diverge or depend much on each other. The next ones are then better whitened: at most
    twice after fixed-length trajectories, and once after NUTS.

    Parameters
    ----------
    compiled : Programs
    width : int
        Tables of a program.
    run, trace
        The table's run and trace: after a pilot if its whitening is poor, else after its first draws.
    poor : bool
    settings : Settings
    modes : tuple of Mode
    warmed : int
        Steps made before the draws.
    """
    fixed_length = settings.warmup is None
    if poor:
        run = run._replace(target_accept=np.full(1, settings.target_accept or STEADY))
        run, warmed, fixed_length = yield from _rewhitened(run, trace[0], 0 if modes else 2, warmed, settings)
        run, trace = yield from _drawn(run, fixed_length, warmed, _first(settings))
    needed = settings.ess or SMALLEST_ESS
    limit = _limit(settings)
    hopeless = settings.draws * settings.chains <= SMALLEST_ESS and settings.ess is None
    drawn = begin = trace[0].shape[2]
    left = (1 + fixed_length) * (settings.warmup is None and begin >= 2 * CHUNK)
    while True:
        kept = _evenly(drawn, drawn if settings.ess else settings.draws)
        z = trace[0]
        stats = _thinned({name: value[0] for name, value in trace[1].items()}, kept)
        variables, log_likelihood = _expand(compiled, width, z[0][:, kept], run)
        r_hat, ess = worst_of(variables)
        enough = hopeless or (r_hat < LARGEST_R_HAT and ess > needed)
        # Slow draws that are no more than those of the first pilot would make no better one.
        slow = begin > PILOT and not (enough or ess > LEAST_WORTH * settings.chains * drawn)
        diverges = stats["diverging"].mean() > LARGEST_DIVERGING_SHARE
        if left and (slow or diverges):
            # Draws of the posterior, thinned, are the best pilot.
            pilot, pilots = z[:, :, :: drawn // (2 * CHUNK)], 0 if modes else 1
            least = (settings.target_accept or STEADY) if fixed_length else CAREFUL
            run = run._replace(target_accept=np.maximum(run.target_accept, least))
            run, warmed, easy = yield from _rewhitened(run, pilot, pilots, warmed + whole_chunks(drawn), settings)
            left = left - 1 if fixed_length else 0
            fixed_length = fixed_length and easy and left > 0
            run, trace = yield from _drawn(run, fixed_length, warmed, begin)
            drawn = begin
            continue
        if enough or drawn >= limit:
            break
        most = 4.0 if settings.ess and r_hat < LARGEST_R_HAT else 2.0
        more = min(whole_chunks(drawn * (_times(r_hat, ess, needed, most) - 1)), limit - drawn)
        run, further = yield from _drawn(run, fixed_length, warmed + whole_chunks(drawn), more)
        trace = jax.tree.map(lambda a, b: np.concatenate([a, b], axis=2), trace, further)
        drawn += more
    return Draws(
        variables=variables,
        log_likelihood=log_likelihood,
        stats=stats,
        max_r_hat=r_hat,
        min_ess_bulk=ess,
        modes=modes,
        sampler="hmc" if fixed_length else "nuts",
        warmup=warmed,
        target_accept=float(run.target_accept[0]),
        thin=drawn / len(kept),
    )


def _limit(settings: Settings) -> int:
    return (settings.max_draws if settings.ess else None) or MOST_LONGER * settings.draws


def _first(settings: Settings) -> int:
    """How many draws each chain makes first; for an ESS, as many as reach it if draws depend little on each other."""
    if settings.ess is None:
        return settings.draws
    return min(max(whole_chunks(1.2 * settings.ess / settings.chains), 2 * CHUNK), _limit(settings))


def _times(r_hat: float, ess: float, needed: float, most: float) -> float:
    """How many times as many draws should be enough, as r-hat - 1 and 1 / ESS fall in proportion to 1 / draws."""
    lacking = 1.1 * np.max([(r_hat - 1) / (LARGEST_R_HAT - 1), needed / ess])
    return float(np.clip(lacking, 1.2, most)) if np.isfinite(lacking) else most


def _evenly(drawn: int, draws: int) -> np.ndarray:
    """Indices of the draws to keep, evenly spaced; the last draw is kept."""
    return np.arange(1, draws + 1) * drawn // draws - 1


def _thinned(stats: dict[str, np.ndarray], kept: np.ndarray) -> dict[str, np.ndarray]:
    """Statistics of the draws kept; a draw counts as diverging if any step since the last one kept did."""
    begins = np.concatenate([[0], kept[:-1] + 1])
    return {name: value[:, kept] for name, value in stats.items()} | {
        "diverging": np.logical_or.reduceat(stats["diverging"], begins, axis=1),
        "n_steps": np.add.reduceat(stats["n_steps"], begins, axis=1),
    }


def _expand(compiled: Programs, width: int, z: np.ndarray, run: Run) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Every variable and the log likelihood at every draw of one table, in chunks of equal size, one for each slot."""
    chains, draws = z.shape[:2]
    step = width * CHUNK
    size = -(-draws // step) * step
    padded = np.pad(z, ((0, 0), (0, size - draws), (0, 0)), mode="edge")
    geometry, data = jax.tree.map(lambda x: np.repeat(x, width, axis=0), (run.geometry, run.data))

    def expanded(first: int):
        chunks = padded[:, first : first + step].reshape(chains, width, CHUNK, -1).swapaxes(0, 1)
        with double_precision():
            found = compiled.expand(chunks, geometry, data)
        return jax.tree.map(lambda x: x.swapaxes(0, 1).reshape(chains, step, *x.shape[3:]), found)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        parts = list(pool.map(expanded, range(0, size, step)))
    return jax.tree.map(lambda *some: np.concatenate(some, axis=1)[:, :draws], *parts)
