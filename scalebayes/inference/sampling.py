"""Hamiltonian Monte Carlo in whitened coordinates, for one table or for several of equal shape at once.

Chains glide: their trajectories have one length, which is right where the coordinates are nearly standard normal. Where
a pilot or the draws show that they are not, the coordinates are made better and NUTS finds the length.
A batch of tables goes as far together as the easy ones need; those that need more go on alone, or in lanes of their own, so
that what each draws does not depend on the others. The chains of one table run beside each
other: gliding ones abreast, as many as each processor has to take, NUTS's each as far as its own trees take it.
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
    Asking,
    Run,
    Steps,
    Told,
    Trace,
    Whitening,
    abreast,
    advance,
    answered,
    one,
    told,
    whole,
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
# Gradients of a trajectory above which a whitening counts as poor.
MOST_STEPS = 18
# Effective draws per draw below which it counts as poor too.
LEAST_WORTH = 0.1
# Acceptance to aim at unless told: of gliding chains, of NUTS, and once draws have shown that a posterior is hard.
EASY, STEADY, CAREFUL = 0.8, 0.95, 0.99


@dataclass(frozen=True, eq=False)
class Mode:
    """One of several separate modes.

    Parameters
    ----------
    share : float
        Of the posterior's mass, by the curvature at the modes (Laplace's approximation).
    height : float
        Log density.
    values : dict of str to array
        Every variable there, on its natural scale.
    """

    share: float
    height: float
    values: dict[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class Draws:
    """What a sampler leaves behind, numpy arrays with leading dimensions (chain, draw).

    Parameters
    ----------
    variables : dict of str to array
        Every variable of the model on its natural scale.
    log_likelihood : array, shape (chain, draw, run)
    stats : dict of str to array
        Sampler statistics under ArviZ's names.
    max_r_hat, min_ess_bulk : float
        Over all variables.
    modes : tuple of Mode
        If there are several.
    sampler : str
        "hmc" or "nuts".
    warmup : int
        Adapting steps made.
    target_accept : float
        Mean acceptance rate that the last of them aimed at.
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
    advanced: Told,
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
    advanced : Callable
        Told after each chunk how many steps of every chain have been made, and how many there will be.
    wanted : sequence of int, optional
        Places of the tables whose draws are wanted; the others only make up a size. By default all.
    in_batch : bool
        Whether tables that need more than the others go on in the batch's program, or each alone.

    Returns
    -------
    dict of int to Draws
        By the table's place.
    """
    with double_precision(), linear_algebra_on_one_thread():
        compiled = programs(source)
        data, centres = _stacked(tables), compiled.locate(_stacked(initial))
        keys = np.stack([_keys(seed, settings.chains) for seed in seeds])
        geometry, modes, z = _places(compiled, data, centres, seeds, settings.chains)
        z = z + _scatter(keys, 0, z.shape)
        # Who asks for a warm-up of some length gets plain NUTS.
        gliding = settings.warmup is None
        target = np.full(len(tables), settings.target_accept or (EASY if gliding else STEADY))
        start = compiled.set_out if gliding else compiled.start
        run = Run(data, keys, geometry, start(z, geometry, data), target)
        length = PILOT if settings.warmup is None else settings.warmup
        stages = np.full(length, FAST) if gliding else warmup(whole(length))
        run, pilot = advance(compiled, run, gliding, 0, stages, told(advanced, length + settings.draws))
        poor = ~_calm(run, *pilot, 2 if z.shape[-1] >= MANY else 1) & gliding
        made = whole(length)
        kept = range(len(tables)) if wanted is None else wanted
        first, begin = (run, pilot), _first(settings)
        if not poor[list(kept)].all():
            easy, trace = advance(compiled, run, gliding, made, np.full(begin, DRAW), told(advanced, made + begin))
            first = easy, jax.tree.map(lambda x: x[:, :, :begin], trace)
        lanes = len(tables) if in_batch else 1
        asking: dict[int, Asking] = {}
        for i in kept:
            own, trace = one((run, pilot) if poor[i] else first, i)
            asking[i] = _finished(compiled, lanes, own, trace, poor[i], settings, modes[i], made)
        if lanes > 1:
            return answered(compiled, asking, lanes, advanced)
        return {i: answered(compiled, {0: each}, 1, advanced)[0] for i, each in asking.items()}


def _calm(run: Run, z: np.ndarray, stats: dict[str, np.ndarray], gradients: int = 1) -> np.ndarray:
    """Tables along whose coordinates trajectories of `LENGTH` need few gradients, and chains stray no farther than one goes.

    Also where trajectories are shorter: what is judged is the step, and how far a coordinate is from standard normal.
    """
    steps = gradients * LENGTH / stats["step_size"][:, :, -1].mean(1)
    unit = np.sqrt(np.asarray(run.carry[-1]).mean(1))  # a coordinate's, by the mass matrix
    strayed = np.sqrt(z[:, :, -2 * CHUNK :].var(2).mean(1)) / unit
    return (steps <= MOST_STEPS) & (strayed.max(-1) <= LENGTH)


def _keys(seed: int, n: int) -> np.ndarray:
    return np.asarray(jax.random.key_data(jax.random.split(jax.random.key(seed), n)))


def _scatter(keys: np.ndarray, made: int, shape: tuple[int, ...]) -> np.ndarray:
    """Where chains start after some steps, apart from each other; for each table from the key of its first chain."""
    return np.stack([np.random.default_rng([*key, made]).standard_normal(shape[1:]) for key in keys[:, 0]])


def _stacked(tables: Sequence[Data]) -> dict[str, np.ndarray]:
    return {name: np.stack([table[name] for table in tables]) for name in tables[0]}


def _places(compiled: Programs, data, initial, seeds, chains):
    """Geometry about the highest mode of every table, separate modes if there are, and where each chain starts."""
    starts = np.stack([starting_points(i, STARTS, s) for i, s in zip(initial, seeds, strict=True)])
    found = _climbed(compiled, starts, initial, data)
    top = best(found)
    geometry, log_mass = compiled.about_mode(top, data)
    candidates = elsewhere(found)
    if not candidates.any():  # as a rule
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
    modes, places = [], np.zeros((len(z), chains, z.shape[-1]))
    for i in range(len(z)):
        share = shares(np.asarray([m[i] for m in masses]))
        kept = np.flatnonzero(share)
        # Every mode gets a chain as long as there are any, and the rest divide themselves in proportion.
        more = np.maximum(np.round(chains * share[kept]).astype(int) - 1, 0)
        wanted = np.concatenate([kept, np.repeat(kept, more)])
        if len(kept) > 1:
            places[i] = [z[i, chosen[wanted[c % len(wanted)]][i]] for c in range(chains)]
        modes.append(_described(compiled, found, i, [chosen[k][i] for k in kept], share[kept], data))
    return geometry, modes, places


def _climbed(compiled: Programs, starts: np.ndarray, centres: np.ndarray, data) -> Climb:
    width = abreast(True, *starts.shape[:2])

    def some(first: int):
        with double_precision():
            return compiled.climb(starts[:, first : first + width], centres, data)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        parts = list(pool.map(some, range(0, starts.shape[1], width)))
    return Climb(*jax.tree.map(lambda *some: np.concatenate(some, axis=1), *parts))


def _described(compiled, found: Climb, i: int, places: list, share: np.ndarray, data) -> tuple[Mode, ...]:
    if len(places) < 2:
        return ()
    values = [compiled.values(found.found[i, p], {name: value[i] for name, value in data.items()}) for p in places]
    return tuple(
        Mode(float(s), float(found.heights[i, p]), value) for s, p, value in zip(share, places, values, strict=True)
    )


def _rewhitened(run: Run, z: np.ndarray, pilots: int, made: int, settings: Settings) -> Asking:
    """Whitening again from what pilots drew, and a warm-up of NUTS that also adapts the mass matrix.

    The first has drawn z. Where there is none the whitening stays: chains in several modes drew what describes none of
    them. Returned with the steps made, and whether chains may glide now.
    """
    made_then = made + max(pilots - 1, 0) * PILOT + WARMUP
    total = made_then + settings.draws
    for left in reversed(range(pilots)):
        pilot = z[:, :, -2 * CHUNK :].reshape(1, -1, z.shape[-1])
        run = yield Whitening(run, pilot, _scatter(run.keys, made, z[:, :, 0].shape))
        if left:  # who starts from a better place sees further
            run, (z, _) = yield Steps(run, False, made, np.full(PILOT, FAST), total)
            made += PILOT
    run, last = yield Steps(run, False, made, warmup(WARMUP), total)
    # With many coordinates gliding chains make steps of another kind than those that NUTS has learned.
    return run, made_then, z.shape[-1] < MANY and bool(_calm(run, *last)[0])


def _drawn(run: Run, glides: bool, made: int, draws: int) -> Asking:
    run, trace = yield Steps(run, glides, made, np.full(draws, DRAW), made + draws)
    return run, jax.tree.map(lambda x: x[:, :, :draws], trace)


def _finished(
    compiled: Programs, lanes: int, run: Run, trace: Trace, poor: bool, settings: Settings, modes, warmed: int
) -> Asking:
    """What one table wants until it has mixed, or has what was asked for, or the limit is reached; then its draws.

    Draws that diverge or tell little of each other are thrown away, and those after them better whitened: twice for
    chains that glided, and once for NUTS.

    Parameters
    ----------
    compiled : Programs
    lanes : int
        Tables of a program.
    run, trace
        Of one table, after a pilot, if its whitening is poor, or its first draws.
    poor : bool
    settings : Settings
    modes : tuple of Mode
    warmed : int
        Steps made before the draws.
    """
    glides = settings.warmup is None
    if poor:
        run = run._replace(target_accept=np.full(1, settings.target_accept or STEADY))
        run, warmed, glides = yield from _rewhitened(run, trace[0], 0 if modes else 2, warmed, settings)
        run, trace = yield from _drawn(run, glides, warmed, _first(settings))
    asked = settings.ess or SMALLEST_ESS
    limit = _limit(settings)
    hopeless = settings.draws * settings.chains <= SMALLEST_ESS and settings.ess is None
    drawn = begin = trace[0].shape[2]
    left = (1 + glides) * (settings.warmup is None and begin >= 2 * CHUNK)
    while True:
        kept = _evenly(drawn, drawn if settings.ess else settings.draws)
        z = trace[0]
        stats = _thinned({name: value[0] for name, value in trace[1].items()}, kept)
        variables, log_likelihood = _expand(compiled, lanes, z[0][:, kept], run)
        r_hat, ess = worst_of(variables)
        enough = hopeless or (r_hat < LARGEST_R_HAT and ess > asked)
        # As few slow draws as the first pilot had would be no better one.
        slow = begin > PILOT and not (enough or ess > LEAST_WORTH * settings.chains * drawn)
        diverges = stats["diverging"].mean() > LARGEST_DIVERGING_SHARE
        if left and (slow or diverges):
            # No better pilot than draws that, a few apart, are of the posterior.
            pilot, pilots = z[:, :, :: drawn // (2 * CHUNK)], 0 if modes else 1
            least = (settings.target_accept or STEADY) if glides else CAREFUL
            run = run._replace(target_accept=np.maximum(run.target_accept, least))
            run, warmed, calm = yield from _rewhitened(run, pilot, pilots, warmed + whole(drawn), settings)
            left = left - 1 if glides else 0
            glides = glides and calm and left > 0
            run, trace = yield from _drawn(run, glides, warmed, begin)
            drawn = begin
            continue
        if enough or drawn >= limit:
            break
        most = 4.0 if settings.ess and r_hat < LARGEST_R_HAT else 2.0
        more = min(whole(drawn * (_times(r_hat, ess, asked, most) - 1)), limit - drawn)
        run, further = yield from _drawn(run, glides, warmed + whole(drawn), more)
        trace = jax.tree.map(lambda a, b: np.concatenate([a, b], axis=2), trace, further)
        drawn += more
    return Draws(
        variables=variables,
        log_likelihood=log_likelihood,
        stats=stats,
        max_r_hat=r_hat,
        min_ess_bulk=ess,
        modes=modes,
        sampler="hmc" if glides else "nuts",
        warmup=warmed,
        target_accept=float(run.target_accept[0]),
        thin=drawn / len(kept),
    )


def _limit(settings: Settings) -> int:
    return (settings.max_draws if settings.ess else None) or MOST_LONGER * settings.draws


def _first(settings: Settings) -> int:
    """Draws of each chain to begin with; for an ESS as many as reach it if they are a little dependent."""
    if settings.ess is None:
        return settings.draws
    return min(max(whole(1.2 * settings.ess / settings.chains), 2 * CHUNK), _limit(settings))


def _times(r_hat: float, ess: float, asked: float, most: float) -> float:
    """How many times as many draws should do: r-hat's excess over one and the inverse of the ESS fall as one over them."""
    lacking = 1.1 * np.max([(r_hat - 1) / (LARGEST_R_HAT - 1), asked / ess])
    return float(np.clip(lacking, 1.2, most)) if np.isfinite(lacking) else most


def _evenly(drawn: int, draws: int) -> np.ndarray:
    """Indices of draws to keep, the last of them included."""
    return np.arange(1, draws + 1) * drawn // draws - 1


def _thinned(stats: dict[str, np.ndarray], kept: np.ndarray) -> dict[str, np.ndarray]:
    """Statistics of the draws kept; a draw counts as diverging if any step on the way to it did."""
    begins = np.concatenate([[0], kept[:-1] + 1])
    return {name: value[:, kept] for name, value in stats.items()} | {
        "diverging": np.logical_or.reduceat(stats["diverging"], begins, axis=1),
        "n_steps": np.add.reduceat(stats["n_steps"], begins, axis=1),
    }


def _expand(compiled: Programs, lanes: int, z: np.ndarray, run: Run) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Every variable and the log likelihood at every draw of one table, in chunks of one size, one in each lane."""
    chains, draws = z.shape[:2]
    step = lanes * CHUNK
    size = -(-draws // step) * step
    padded = np.pad(z, ((0, 0), (0, size - draws), (0, 0)), mode="edge")
    geometry, data = jax.tree.map(lambda x: np.repeat(x, lanes, axis=0), (run.geometry, run.data))

    def expanded(first: int):
        chunks = padded[:, first : first + step].reshape(chains, lanes, CHUNK, -1).swapaxes(0, 1)
        with double_precision():
            found = compiled.expand(chunks, geometry, data)
        return jax.tree.map(lambda x: x.swapaxes(0, 1).reshape(chains, step, *x.shape[3:]), found)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        parts = list(pool.map(expanded, range(0, size, step)))
    return jax.tree.map(lambda *some: np.concatenate(some, axis=1)[:, :draws], *parts)
