"""Sampling by Hamiltonian Monte Carlo in whitened coordinates, of one table or of several of equal shape at once.

What a table needs is one sequence, written as if it were alone: climb to the modes; whiten by the curvature there;
adapt the step size; draw. Where a pilot or the draws show that the coordinates are poor, they are whitened again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from scalebayes.inference import hmc, modes
from scalebayes.inference.batching import serve
from scalebayes.inference.data import Data
from scalebayes.inference.diagnostics import LARGEST_DIVERGING_SHARE, LARGEST_R_HAT, Worst, worst_of
from scalebayes.inference.hmc import LENGTH, SHORT, Chains, Draws
from scalebayes.inference.packing import layout_of
from scalebayes.inference.programs import program
from scalebayes.inference.requests import Climb, Leave, Look, Requests
from scalebayes.inference.settings import Settings
from scalebayes.inference.trajectories import CHUNK, MANY, unknown
from scalebayes.inference.transport import Geometry, Transport
from scalebayes.inference.whitening import about_mode, flat_about, from_draws
from scalebayes.numerics.precision import double_precision
from scalebayes.numerics.processors import linear_algebra_on_one_thread

if TYPE_CHECKING:
    from scalebayes.inference.source import Source

STARTS = 8
# Steps of a climb: before the groups are whitened, and after it.
FIRST_CLIMB, CLIMB = 40, 150
PILOT = 150
# A whitening is poor if a trajectory needs more gradients than this.
MOST_STEPS = 18
# It is poor too if there are fewer effective draws per draw than this.
LEAST_WORTH = 0.1
# How often coordinates are whitened again from draws.
MOST_WHITENINGS = 4
# Target acceptance: at first, and after a pilot or draws have shown that a posterior is hard; the last two where draws
# diverge.
EASY, STEADY, CAREFUL, MOST_CAREFUL = 0.8, 0.9, 0.95, 0.99

Progress = Callable[[str, int, int], None]
Values = Callable[[np.ndarray, Mapping[str, np.ndarray], Data], dict[str, np.ndarray]]


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
class Sample:
    """Draws and diagnostics of a sampler; arrays have leading dimensions (chain, draw).

    Parameters
    ----------
    variables : dict of str to array
        Every variable of the model on its natural scale.
    log_likelihood : array, shape (chain, draw, run)
        At some of the draws, where there are many runs.
    known : array of int
        Which draws these are.
    stats : dict of str to array
        Sampler statistics under ArviZ's names.
    worst : Worst
        The largest r-hat and the smallest ESS of all variables.
    modes : tuple of Mode
        The separate modes if there are several, else empty.
    warmup : int
        Number of trajectories made before the draws.
    target_accept : float
        Mean acceptance rate that the step size was last adapted to.
    whitenings : int
        How often the coordinates were whitened again from draws.
    thin : float
        Trajectories per draw kept, on average.
    """

    variables: dict[str, np.ndarray]
    log_likelihood: np.ndarray
    known: np.ndarray
    stats: dict[str, np.ndarray]
    worst: Worst
    modes: tuple[Mode, ...]
    warmup: int
    target_accept: float
    whitenings: int
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
) -> dict[int, Sample]:
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
        Called with the stage, the trajectories made, and their number as far as it is known.
    wanted : sequence of int, optional
        Indices of the tables whose draws are wanted; the others only fill the batch. By default all.

    Returns
    -------
    dict of int to Sample
        The draws of each table, by its index.
    """
    with double_precision(), linear_algebra_on_one_thread():
        transport = source.transport()
        tables = [{name: np.asarray(table[name]) for name in table} for table in tables]
        requests = {
            i: _sampled(
                _Table(transport, source.values, tables[i], settings, np.random.default_rng(seeds[i]), report),
                initial[i],
                seeds[i],
            )
            for i in (range(len(tables)) if wanted is None else wanted)
        }
        return serve(program(source, layout_of(tables[0])), transport, tables, requests, settings.chains)


@dataclass(frozen=True, eq=False)
class _Table:
    """One table and how it is sampled.

    Parameters
    ----------
    transport : Transport
    values : Callable
        From positions to every variable on its natural scale, see `Source`.
    data : mapping of str to array
    settings : Settings
    rng : numpy.random.Generator
    report : Callable
    """

    transport: Transport
    values: Values
    data: Data
    settings: Settings
    rng: np.random.Generator
    report: Progress


def _sampled(table: _Table, initial: Data, seed: int) -> Requests:
    """Requests of one table; returns its `Sample`."""
    settings, rng = table.settings, table.rng
    table.report("compiling", 0, 0)
    geometry, found, begin = yield from _geometry_and_starts(table, initial, seed)
    length = SHORT if table.transport.density.size >= MANY else LENGTH
    chains = _begun(table, geometry, begin, settings.target_accept or EASY, length)
    warmup = PILOT if settings.warmup is None else settings.warmup
    chains = yield from hmc.started(chains)
    chains, pilot = yield from hmc.adapted(chains, warmup, rng, _counted(table.report, "warming up", 0, warmup))
    whitenings = 0
    while settings.warmup is None and whitenings < MOST_WHITENINGS and not _is_easy(chains, pilot):
        yield Leave()
        chains, pilot = yield from _rewhitened(table, chains, pilot, settings.target_accept or STEADY, bool(found))
        warmup, whitenings = warmup + PILOT, whitenings + 1
    draws, more = None, settings.first
    while True:
        before = 0 if draws is None else len(draws.z)
        made = before + more
        chains, further = yield from hmc.drawn(chains, more, rng, _counted(table.report, "drawing", before, made))
        draws = further if draws is None else hmc.joined([draws, further])
        kept = _evenly(made, settings.draws or made)
        variables = _variables(table, draws, kept)
        worst = worst_of(variables)
        enough = _is_enough(worst, settings)
        slow = not enough and not worst.bulk > LEAST_WORTH * settings.chains * made
        stats = _thinned({name: _by_chain(value) for name, value in draws.stats.items()}, kept)
        diverges = stats["diverging"].mean() > LARGEST_DIVERGING_SHARE
        target = settings.target_accept or _more_careful(chains.target_accept, bool(diverges))
        whitens = (slow or diverges) and whitenings < MOST_WHITENINGS
        # Shorter steps alone mend divergences where whitening again has not.
        if (whitens or (diverges and target > chains.target_accept)) and settings.warmup is None and made >= 2 * CHUNK:
            yield Leave()
            chains, _ = yield from _rewhitened(table, chains, draws, target, not whitens or bool(found))
            warmup, whitenings = warmup + made + PILOT, whitenings + bool(whitens)
            draws, more = None, settings.first
        elif enough or made >= settings.most:
            break
        else:
            yield Leave()
            factor = _times(worst, settings.least_ess, 4.0 if settings.ess and worst.r_hat < LARGEST_R_HAT else 2.0)
            more = min(int(np.ceil(made * (factor - 1) / CHUNK)) * CHUNK, settings.most - made)
    _, known, of_known = np.intersect1d(kept, np.flatnonzero(draws.known), return_indices=True)
    return Sample(
        variables=variables,
        log_likelihood=_by_chain(draws.trace.kept[1][of_known]),
        known=known,
        stats=stats,
        worst=worst,
        modes=found,
        warmup=warmup,
        target_accept=chains.target_accept,
        whitenings=whitenings,
        thin=made / len(kept),
    )


def _is_enough(worst: Worst, settings: Settings) -> bool:
    """Whether chains have mixed and have the ESS that is needed, or are too few to say."""
    if settings.draws is not None and settings.draws * settings.chains <= settings.least_ess:
        return True
    return worst.r_hat < LARGEST_R_HAT and min(worst.bulk, worst.tail) >= settings.least_ess


def _more_careful(target: float, diverges: bool) -> float:
    """The target acceptance with which to go on after draws that were poor at this one."""
    if not diverges:
        return CAREFUL if target >= STEADY else STEADY
    return CAREFUL if target < CAREFUL else MOST_CAREFUL


def _counted(report: Progress, stage: str, before: int, total: int) -> Callable[[int], None]:
    """A callback of the trajectories made since some were made before."""
    return lambda made: report(stage, before + made, total)


def _begun(table: _Table, geometry: Geometry, z: np.ndarray, target: float, length: float) -> Chains:
    """Chains that start about some points in whitened coordinates."""
    state = unknown(table.transport, (z + table.rng.standard_normal(z.shape))[None])
    return Chains(state, geometry, 1.0, length, target)


def _is_easy(chains: Chains, pilot: Draws) -> bool:
    """Whether a trajectory of `LENGTH` needs few gradients, and chains stray no farther than one goes."""
    many = chains.state.z.shape[-1] >= MANY
    strayed = pilot.z[-2 * CHUNK :].std(0).mean(0).max()
    return bool((1 + many) * LENGTH / chains.step_size <= MOST_STEPS and strayed <= LENGTH)


def _rewhitened(table: _Table, chains: Chains, draws: Draws, target: float, stays: bool) -> Requests:
    """Chains under a geometry from draws, and their pilot.

    The geometry stays where no other is better: with several modes no one fits all.
    """
    chains = replace(chains, target_accept=max(target, chains.target_accept))
    if not stays:
        some = np.linspace(len(draws.z) // 3, len(draws.z) - 1, min(2 * CHUNK, len(draws.z))).astype(int)
        positions = draws.trace.kept[0][some].reshape(-1, table.transport.density.size)
        geometry = yield from from_draws(table.transport, positions, chains.geometry, table.data)
        begin = np.zeros(chains.state.z.shape[1:])
        chains = _begun(table, geometry, begin, chains.target_accept, chains.length)
        chains = yield from hmc.started(replace(chains, step_size=0.5))
    report = _counted(table.report, "warming up again", 0, PILOT)
    return (yield from hmc.adapted(chains, PILOT, table.rng, report))


def _geometry_and_starts(table: _Table, initial: Data, seed: int) -> Requests:
    """The geometry about the highest mode, the separate modes if any, and where each chain starts."""
    transport, data, n = table.transport, table.data, table.settings.chains
    centre = transport.density.position(initial)
    starts = transport.standardise(modes.starting_points(centre, STARTS, seed), transport.plain, data)
    starts[:, transport.held] = starts[0, transport.held]
    yield Look(starts[:1], transport.plain)  # compiles
    table.report("climbing to the modes", 0, 0)
    found = yield from _climbed(transport, starts, data)
    top = int(np.argmax(found.heights))
    geometry, log_mass, mode = yield from about_mode(transport, found.found[top], data)
    begin = np.zeros((n, transport.density.size))
    candidates = modes.elsewhere(found)
    if not candidates.any():  # the usual case
        return geometry, (), begin
    positions, _ = transport.position(found.found, transport.plain, data)
    z = transport.standardise(positions, geometry, data)
    others = yield from modes.separate(z, found.heights, candidates, geometry)
    ends, masses, known = [top], [log_mass], [mode]
    for i in others:
        _, mass, mode = yield from about_mode(transport, found.found[i], data)
        apart = transport.standardise(np.stack([mode, *known]), geometry, data)
        if (np.linalg.norm(apart[1:] - apart[0], axis=1) > 1).all():
            ends, masses, known = [*ends, i], [*masses, mass], [*known, mode]
    share = modes.shares(np.asarray(masses))
    kept = np.flatnonzero(share)
    if len(kept) < 2:
        return geometry, (), begin
    # Every mode gets one chain while there are any; the other chains are divided in proportion to the shares.
    more = np.maximum(np.round(n * share[kept]).astype(int) - 1, 0)
    chosen = np.concatenate([kept, np.repeat(kept, more)])
    begin = z[np.asarray(ends)[chosen[np.arange(n) % len(chosen)]]]
    described = tuple(
        Mode(float(share[k]), float(found.heights[ends[k]]), table.values(positions[ends[k]], {}, data)) for k in kept
    )
    return geometry, described, begin


def _climbed(transport: Transport, starts: np.ndarray, data: Data) -> Requests:
    """Climbs from all starts, in coordinates of the plain geometry.

    With groups the climbs go on under the geometry about the highest point so far, in which they are short.
    """
    found = yield Climb(starts, transport.plain, FIRST_CLIMB if transport.blocks else CLIMB)
    if not transport.blocks or found.converged.all():
        return found
    geometry = yield from flat_about(transport, found.found[np.argmax(found.heights)], data)
    positions, _ = transport.position(found.found, transport.plain, data)
    found = yield Climb(transport.standardise(positions, geometry, data), geometry, CLIMB)
    positions, jacobian = transport.position(found.found, geometry, data)
    _, plain = transport.position(transport.standardise(positions, transport.plain, data), transport.plain, data)
    heights = found.heights - jacobian + plain
    return found._replace(found=transport.standardise(positions, transport.plain, data), heights=heights)


def _variables(table: _Table, draws: Draws, kept: np.ndarray) -> dict[str, np.ndarray]:
    """Every variable at the draws that are kept, shape (chain, draw, ...)."""
    position, _, published = draws.trace.kept
    further = {name: _by_chain(value[kept]) for name, value in published.items()}
    return table.values(_by_chain(position[kept]), further, table.data)


def _by_chain(x: np.ndarray) -> np.ndarray:
    """The same array with the chain before the draw."""
    return np.ascontiguousarray(np.swapaxes(x, 0, 1))


def _times(worst: Worst, needed: float, most: float) -> float:
    """How many times as many draws should be enough, as r-hat - 1 and 1 / ESS fall in proportion to 1 / draws."""
    lacking = 1.1 * np.max([(worst.r_hat - 1) / (LARGEST_R_HAT - 1), needed / worst.bulk, needed / worst.tail])
    return float(np.clip(lacking, 1.2, most)) if np.isfinite(lacking) else most


def _evenly(drawn: int, draws: int) -> np.ndarray:
    """Indices of the draws to keep, evenly spaced; the last draw is kept."""
    return np.arange(1, draws + 1) * drawn // draws - 1


def _thinned(stats: dict[str, np.ndarray], kept: np.ndarray) -> dict[str, np.ndarray]:
    """Statistics of the draws kept; a draw counts as diverging if any trajectory since the last one kept did."""
    begins = np.concatenate([[0], kept[:-1] + 1])
    return {name: value[:, kept] for name, value in stats.items()} | {
        "diverging": np.logical_or.reduceat(stats["diverging"], begins, axis=1),
        "n_steps": np.add.reduceat(stats["n_steps"], begins, axis=1),
    }
