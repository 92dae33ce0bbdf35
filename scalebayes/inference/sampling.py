"""NUTS in whitened coordinates: tables of equal shape and their chains in one compiled step.

Warm-up and draws are the same step and differ by their data. A batch of tables goes as far together as the easy ones
need; a table that needs more goes on alone, so that none waits for another.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from threading import Lock
from typing import Any, NamedTuple

import blackjax
import jax
import jax.numpy as jnp
import numpy as np
from blackjax.adaptation.mass_matrix import mass_matrix_adaptation
from blackjax.adaptation.step_size import dual_averaging_adaptation
from blackjax.adaptation.window_adaptation import build_schedule

from scalebayes.inference.density import REAL, Data
from scalebayes.inference.diagnostics import LARGEST_R_HAT, SMALLEST_ESS, worst_of
from scalebayes.inference.geometry import Geometry, Transport
from scalebayes.inference.modes import Climb, best, climb, elsewhere, profiles, separate, shares, starting_points
from scalebayes.inference.settings import Settings
from scalebayes.inference.whitening import about_mode, from_draws
from scalebayes.precision import double_precision

CHUNK = 50
STARTS = 8
MOST_LONGER = 8
PILOT = 150
WARMUP = 300
# Leapfrog steps per draw above which a whitening counts as poor: NUTS doubles, so 15 is a tree of four doublings.
MOST_STEPS = 18
# Of the schedule: adapt the step size; also gather the mass matrix; also use it; leave all as it is.
FAST, SLOW, SLOW_END, DRAW = range(4)


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
    modes : tuple of Mode
        If there are several.
    warmup : int
        Adapting steps made.
    thin : int
        Steps per draw kept.
    """

    variables: dict[str, np.ndarray]
    log_likelihood: np.ndarray
    stats: dict[str, np.ndarray]
    modes: tuple[Mode, ...]
    warmup: int
    thin: int


class _Carry(NamedTuple):
    state: Any
    steps: Any
    mass: Any
    step_size: jax.Array
    inverse_mass: jax.Array


class _Run(NamedTuple):
    """A batch of tables under way; every leaf has a leading table dimension."""

    data: dict[str, jax.Array]
    keys: jax.Array
    geometry: Geometry
    carry: _Carry


Trace = tuple[np.ndarray, dict[str, np.ndarray]]
Told = Callable[[int, int], None]


def sample(
    transport: Transport,
    tables: Sequence[Data],
    *,
    initial: Sequence[np.ndarray],
    seeds: Sequence[int],
    settings: Settings,
    advanced: Told,
) -> list[Draws]:
    """Draw from a density with each table as its data.

    Parameters
    ----------
    transport : Transport
    tables : sequence of mapping of str to array
        Arguments of the density, of equal shapes.
    initial : sequence of array, shape (size,)
        Centres of the priors, positions.
    seeds : sequence of int
        The same seed, in a batch of the same size, on the same machine gives the same bytes.
    settings : Settings
    advanced : Callable
        Told after each chunk how many steps of every chain have been made, and how many there will be.

    Returns
    -------
    list of Draws
        One for each table.
    """
    with double_precision():
        compiled = _compiled(transport, settings.target_accept)
        data = {
            name: jnp.stack([jnp.asarray(table[name]) for table in tables])
            for name in (*transport.density.data, REAL)
            if name in tables[0]
        }
        keys = jax.vmap(lambda seed: jax.random.split(jax.random.key(seed), settings.chains + 1))(jnp.asarray(seeds))
        geometry, modes, z = _places(compiled, transport, data, initial, seeds, settings.chains)
        z = z + compiled.scatter(keys[:, 0], z)
        run = _Run(data, keys[:, 1:], geometry, compiled.start(z, geometry, data))
        length = PILOT if settings.warmup is None else settings.warmup
        stages = np.full(length, FAST) if settings.warmup is None else _stages(length)
        run, (z, stats) = _advance(compiled, run, 0, stages, _told(advanced, length + settings.draws))
        begin = settings.draws if settings.ess is None else _enough(settings)
        steps = np.asarray(stats["n_steps"][:, :, -CHUNK:]).mean((1, 2))
        poor = (steps > MOST_STEPS) & (settings.warmup is None)
        made = _whole(length)
        easy = None if poor.all() else _draw(compiled, run, made, begin, _told(advanced, made + begin))
        found = []
        for i in range(len(tables)):
            if poor[i] or easy is None:
                alone, warmed = _rewhiten(
                    compiled, _only(run, i), z[i : i + 1], bool(modes[i]), made, settings, advanced
                )
                begun = _draw(compiled, alone, warmed, begin, _told(advanced, warmed + begin))
            else:
                alone, trace = easy
                begun, warmed = (_only(alone, i), jax.tree.map(lambda x: x[i : i + 1], trace)), made  # noqa: B023
            found.append(_finish(compiled, *begun, settings, modes[i], warmed, advanced))
        return found


def _places(compiled, transport, data, initial, seeds, chains):
    """Geometry about the highest mode of every table, separate modes if there are, and where each chain starts."""
    starts = np.stack([starting_points(i, STARTS, s) for i, s in zip(initial, seeds, strict=True)])
    found = jax.tree.map(np.asarray, compiled.climb(starts, data))
    top = best(found)
    geometry, log_mass = compiled.about_mode(top, data)
    candidates = elsewhere(found)
    if not candidates.any():  # as a rule
        return geometry, [()] * len(top), jnp.zeros((len(top), chains, top.shape[-1]))
    z = np.asarray(compiled.standardise(found.found, geometry, data))
    highest = np.argmax(found.heights, axis=1)
    lines = np.asarray(compiled.profiles(z[np.arange(len(z)), highest], z, geometry, data))
    others = [separate(*one) for one in zip(z, found.heights, candidates, lines, strict=True)]
    masses, chosen = [np.asarray(log_mass)], [highest]
    for rank in range(max(map(len, others))):
        index = np.asarray([o[rank] if rank < len(o) else h for o, h in zip(others, highest, strict=True)])
        _, mass = compiled.about_mode(found.found[np.arange(len(z)), index], data)
        masses.append(np.where([rank < len(o) for o in others], np.asarray(mass), -np.inf))
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
    return geometry, modes, jnp.asarray(places)


def _described(compiled, found: Climb, i: int, places: list, share: np.ndarray, data) -> tuple[Mode, ...]:
    if len(places) < 2:
        return ()
    values = [compiled.values(found.found[i, p], {name: value[i] for name, value in data.items()}) for p in places]
    return tuple(
        Mode(float(s), float(found.heights[i, p]), {name: np.asarray(x) for name, x in value.items()})
        for s, p, value in zip(share, places, values, strict=True)
    )


def _rewhiten(compiled, run: _Run, z: np.ndarray, several: bool, made: int, settings: Settings, advanced: Told):
    """Whitening again from what a pilot drew, twice, and a warm-up that also adapts the mass matrix.

    Chains in several modes stay where they are: what they drew together describes none of them.
    """
    total = made + (WARMUP if several else PILOT + WARMUP)
    told = _told(advanced, total + settings.draws)
    while not several:
        pilot = z[:, :, -2 * CHUNK :].reshape(1, -1, z.shape[-1])
        geometry = compiled.from_draws(pilot, run.geometry, run.data)
        scatter = compiled.scatter(run.keys[:, 0], jnp.zeros(z[:, :, 0].shape))
        run = run._replace(geometry=geometry, carry=compiled.start(scatter, geometry, run.data))
        if made + WARMUP == total:
            break
        run, (z, _) = _advance(compiled, run, made, np.full(PILOT, FAST), told)  # a second pilot sees further
        made += PILOT
    run, _ = _advance(compiled, run, made, _stages(WARMUP), told)
    return run, total


def _finish(compiled, run: _Run, trace: Trace, settings: Settings, modes, warmed: int, advanced: Told) -> Draws:
    """Go on with one table until it has mixed, or has what was asked for, or the limit is reached."""
    asked = settings.ess or SMALLEST_ESS
    limit = _limit(settings)
    hopeless = settings.draws * settings.chains <= SMALLEST_ESS and settings.ess is None
    drawn = trace[0].shape[2]
    while True:
        thin = 1 if settings.ess else drawn // settings.draws
        z, stats = trace
        kept = z[0, :, thin - 1 : drawn : thin]
        variables, log_likelihood = _expand(compiled, kept, run)
        r_hat, ess = (1.0, np.inf) if hopeless else worst_of(variables)
        if (r_hat < LARGEST_R_HAT and ess > asked) or drawn >= limit:
            break
        if settings.ess and r_hat < LARGEST_R_HAT:
            more = drawn * min(max(1.1 * asked / ess, 1.1), 4.0) - drawn
        else:
            more = drawn
        more = min(_whole(more), limit - drawn)
        run, further = _draw(compiled, run, warmed + _whole(drawn), more, _told(advanced, warmed + drawn + more))
        trace = jax.tree.map(lambda a, b: np.concatenate([a, b], axis=2), trace, further)
        drawn += more
    stats = _thinned({name: value[0, :, :drawn] for name, value in stats.items()}, thin)
    return Draws(
        variables=variables,
        log_likelihood=log_likelihood,
        stats=stats,
        modes=modes,
        warmup=warmed,
        thin=thin,
    )


def _limit(settings: Settings) -> int:
    return (settings.max_draws if settings.ess else None) or MOST_LONGER * settings.draws


def _enough(settings: Settings) -> int:
    """Draws of each chain that reach an ESS if they are a little dependent."""
    assert settings.ess is not None
    return min(max(_whole(1.2 * settings.ess / settings.chains), 2 * CHUNK), _limit(settings))


def _thinned(stats: dict[str, np.ndarray], thin: int) -> dict[str, np.ndarray]:
    """Statistics of the draws kept; a draw counts as diverging if any step on the way to it did."""
    kept = {name: value[:, thin - 1 :: thin] for name, value in stats.items()}
    by_draw = (*kept["lp"].shape, thin)
    return kept | {
        "diverging": stats["diverging"].reshape(by_draw).any(-1),
        "n_steps": stats["n_steps"].reshape(by_draw).sum(-1),
    }


def _expand(compiled, z: np.ndarray, run: _Run) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Every variable and the log likelihood at every draw, in chunks of one size."""
    draws, size = z.shape[1], _whole(z.shape[1])
    padded = np.pad(z, ((0, 0), (0, size - draws), (0, 0)), mode="edge")
    chunks = [compiled.expand(padded[None, :, i : i + CHUNK], run.geometry, run.data) for i in range(0, size, CHUNK)]
    variables, log_likelihood = jax.tree.map(
        lambda *parts: np.concatenate([np.asarray(p)[0] for p in parts], axis=1)[:, :draws], *chunks
    )
    return variables, log_likelihood


def _draw(compiled, run: _Run, made: int, draws: int, told: Callable[[int], None]) -> tuple[_Run, Trace]:
    run, trace = _advance(compiled, run, made, np.full(_whole(draws), DRAW), told)
    return run, jax.tree.map(lambda x: x[:, :, :draws], trace)


def _advance(compiled, run: _Run, made: int, stages: np.ndarray, told: Callable[[int], None]) -> tuple[_Run, Trace]:
    """Make the steps that a schedule lists, in chunks of equal length, so that one compilation serves any number."""
    stages = np.concatenate([stages, np.full(_whole(len(stages)) - len(stages), stages[-1])]).astype(np.int64)
    traces = []
    for first in range(0, len(stages), CHUNK):
        schedule = stages[first : first + CHUNK]
        carry, trace = compiled.advance(run.carry, run.keys, np.int64(made + first), schedule, run.geometry, run.data)
        run = run._replace(carry=carry)
        traces.append(jax.tree.map(np.asarray, trace))  # also waits, so that progress is told when it is made
        told(made + first + CHUNK)
    return run, jax.tree.map(lambda *parts: np.concatenate(parts, axis=2), *traces)


def _stages(length: int) -> np.ndarray:
    stages = np.asarray(build_schedule(_whole(length)))
    return stages[:, 0] + stages[:, 1]


def _whole(steps: float) -> int:
    return int(-(-steps // CHUNK) * CHUNK)


def _told(advanced: Told, total: int) -> Callable[[int], None]:
    return lambda made: advanced(made, max(_whole(total), made))


@jax.jit
def _only(run: _Run, i: int) -> _Run:
    """One table of a batch, as a batch of one. Where it stands is an argument: all of them share a compilation."""
    return jax.tree.map(lambda x: jax.lax.dynamic_slice_in_dim(x, i, 1), run)


@dataclass(frozen=True, eq=False)
class _Compiled:
    climb: Callable
    about_mode: Callable
    standardise: Callable
    profiles: Callable
    values: Callable
    from_draws: Callable
    scatter: Callable
    start: Callable
    advance: Callable
    expand: Callable


def _once(function: Callable) -> Callable:
    """Jitted; of several threads that first meet a shape, one compiles and the others wait."""
    jitted, lock, known = jax.jit(function), Lock(), set()

    def call(*arguments):
        shapes = tuple((x.shape, x.dtype) for x in jax.tree.leaves(arguments))
        if shapes in known:
            return jitted(*arguments)
        with lock:
            result = jitted(*arguments)
        known.add(shapes)
        return result

    return call


@lru_cache(maxsize=32)
def _compiled(transport: Transport, target_accept: float) -> _Compiled:
    """The jitted functions of a density. Cached, so that a second table of the same shape compiles nothing."""
    kernel = blackjax.mcmc.nuts.build_kernel()
    gather, learn, conclude = mass_matrix_adaptation(is_diagonal_matrix=True)
    begin, adapt, settle = dual_averaging_adaptation(target_accept)

    def start(z, geometry: Geometry, data: Data) -> _Carry:
        state = blackjax.mcmc.hmc.init(z, lambda z: transport.logp(z, geometry, data))
        mass = gather(len(z))
        carry = _Carry(state, begin(0.5), mass, jnp.asarray(0.5), mass.inverse_mass_matrix)
        # Python scalars are weakly typed; unless that is undone the second chunk would compile again.
        return jax.tree.map(lambda leaf: jax.lax.convert_element_type(leaf, jnp.asarray(leaf).dtype), carry)

    def step(carry: _Carry, x, geometry: Geometry, data: Data):
        key, stage = x
        logp = lambda z: transport.logp(z, geometry, data)  # noqa: E731
        state, info = kernel(key, carry.state, logp, carry.step_size, carry.inverse_mass)
        steps = adapt(carry.steps, info.acceptance_rate)
        gathered = _choose(stage == FAST, carry.mass, learn(carry.mass, state.position))
        mass = _choose(stage == SLOW_END, conclude(gathered), gathered)
        steps = _choose(stage == SLOW_END, begin(settle(steps)), steps)
        adapted = _Carry(state, steps, mass, jnp.exp(steps.log_step_size), mass.inverse_mass_matrix)
        settled = carry._replace(state=state, step_size=settle(carry.steps))
        stats = {
            "lp": state.logdensity,
            "diverging": info.is_divergent,
            "acceptance_rate": info.acceptance_rate,
            "energy": info.energy,
            "tree_depth": info.num_trajectory_expansions,
            "n_steps": info.num_integration_steps,
            "step_size": settled.step_size,
        }
        return _choose(stage == DRAW, settled, adapted), (state.position, stats)

    def advance(carry, key, first, schedule, geometry, data):
        keys = jax.vmap(lambda i: jax.random.fold_in(key, i))(first + jnp.arange(CHUNK))
        return jax.lax.scan(lambda carry, x: step(carry, x, geometry, data), carry, (keys, schedule))

    def expand(z, geometry, data):
        position, _ = transport.position(z, geometry, data)
        return transport.density.expand(position, data), transport.density.pointwise(position, data)

    def over_chains(function, *axes):
        return jax.vmap(function, axes)

    def over_tables(function, *axes):
        return _once(jax.vmap(function, axes))

    standardise = jax.vmap(lambda x, geometry, data: transport.standardise(x, geometry, data), (0, None, None))
    return _Compiled(
        climb=over_tables(lambda starts, data: climb(transport, starts, data), 0, 0),
        about_mode=over_tables(lambda position, data: about_mode(transport, position, data), 0, 0),
        standardise=over_tables(standardise, 0, 0, 0),
        profiles=over_tables(lambda *arguments: profiles(transport, *arguments), 0, 0, 0, 0),
        values=_once(transport.density.expand),
        from_draws=over_tables(lambda *arguments: from_draws(transport, *arguments), 0, 0, 0),
        scatter=over_tables(lambda key, like: jax.random.normal(key, like.shape), 0, 0),
        start=over_tables(over_chains(start, 0, None, None), 0, 0, 0),
        advance=over_tables(over_chains(advance, 0, 0, None, None, None, None), 0, 0, None, None, 0, 0),
        expand=over_tables(over_chains(over_chains(expand, 0, None, None), 0, None, None), 0, 0, 0),
    )


def _choose(condition, yes, no):
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), yes, no)
