"""Steps that tables ask for: of a batch at once, of one with its chains beside each other, of several in lanes.

After what a batch needs in common its tables part: one wants more draws, one a better whitening. Each says what it wants
next; tables that want the like get it together, a lane each, in the program of the batch. There is none to compile for one
table alone; but a step of all lanes is made also where one table is left, and its trees wait for the longest.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any, NamedTuple

import jax
import numpy as np

from scalebayes.inference.programs import Programs
from scalebayes.inference.schedule import CHUNK
from scalebayes.numerics.precision import double_precision


class Run(NamedTuple):
    """A batch of tables under way; every leaf has a leading table dimension."""

    data: dict[str, np.ndarray]
    keys: np.ndarray
    geometry: tuple[np.ndarray, ...]
    carry: tuple[np.ndarray, ...]
    target_accept: np.ndarray


Trace = tuple[np.ndarray, dict[str, np.ndarray]]
Told = Callable[[int, int], None]


class Steps(NamedTuple):
    """What a table wants: steps of its chains, after so many and of so many in all; answered by its run and their trace."""

    run: Run
    glides: bool
    made: int
    stages: np.ndarray
    total: int


class Whitening(NamedTuple):
    """What a table wants: a geometry from what a pilot drew, and its chains at these places; answered by its run."""

    run: Run
    pilot: np.ndarray
    starts: np.ndarray


Asking = Generator[Steps | Whitening, Any, Any]


def answered(compiled: Programs, asking: Mapping[int, Asking], lanes: int, advanced: Told) -> dict[int, Any]:
    """What each table returns in the end, by its lane.

    Parameters
    ----------
    compiled : Programs
    asking : mapping of int to generator
        Of tables, by lane: yields `Steps` or `Whitening` with a run of one table, is sent the answer, and returns.
    lanes : int
        Tables of a program. What a table gets does not depend on the others.
    advanced : Callable
        Told of a single table's steps.
    """
    found: dict[int, Any] = {}
    wanted: dict[int, Steps | Whitening] = {}
    traces: dict[int, list[Trace]] = {lane: [] for lane in asking}

    def send(lane: int, answer: Any) -> None:
        try:
            wanted[lane] = asking[lane].send(answer)
        except StopIteration as end:
            found[lane] = end.value
            wanted.pop(lane, None)

    for lane in asking:
        send(lane, None)
    while wanted:
        if some := {lane: wish for lane, wish in wanted.items() if isinstance(wish, Whitening)}:
            for lane, run in _whitened(compiled, some, lanes):
                send(lane, run)
        for glides in (True, False):
            alike = {lane: w for lane, w in wanted.items() if isinstance(w, Steps) and w.glides == glides}
            if alike and lanes == 1:
                wish = alike[0]
                send(0, advance(compiled, wish.run, glides, wish.made, wish.stages, told(advanced, wish.total)))
            elif alike:
                for lane, run, trace in _chunk(compiled, alike, lanes):
                    wish = alike[lane]
                    traces[lane].append(trace)
                    wanted[lane] = wish._replace(run=run, made=wish.made + CHUNK, stages=wish.stages[CHUNK:])
                    if len(wish.stages) <= CHUNK:
                        send(lane, (run, jax.tree.map(lambda *each: np.concatenate(each, axis=2), *traces[lane])))
                        traces[lane] = []
    return found


def _filled(some: Mapping[int, Any], lanes: int) -> list:
    """Of every lane; one without a table copies one that has."""
    any_other = next(iter(some.values()))
    return [some.get(lane, any_other) for lane in range(lanes)]


def _chunk(compiled: Programs, some: Mapping[int, Steps], lanes: int) -> list[tuple[int, Run, Trace]]:
    """One chunk of steps of some tables, each with its run and trace."""
    wishes = _filled(some, lanes)
    run: Run = _joined([wish.run for wish in wishes])
    first = np.asarray([wish.made for wish in wishes])
    schedule = np.stack([_padded(wish.stages[:CHUNK]) for wish in wishes])
    move = compiled.glide if wishes[0].glides else compiled.advance
    with double_precision():
        carry, trace = move(run.carry, run.keys, first, schedule, run.target_accept, run.geometry, run.data)
    return [(lane, *one((run._replace(carry=carry), trace), lane)) for lane in some]


def _whitened(compiled: Programs, some: Mapping[int, Whitening], lanes: int) -> list[tuple[int, Run]]:
    wish: Whitening = _joined(_filled(some, lanes))
    with double_precision():
        geometry = compiled.from_draws(wish.pilot, wish.run.geometry, wish.run.data)
        carry = compiled.start(wish.starts, geometry, wish.run.data)
    return [(lane, one(wish.run._replace(geometry=geometry, carry=carry), lane)) for lane in some]


def _joined(parts: list) -> Any:
    return jax.tree.map(lambda *each: np.concatenate(each), *parts)


def one(batch: Any, i: int) -> Any:
    """One table of a batch, as a batch of one."""
    return jax.tree.map(lambda x: x[i : i + 1], batch)


def advance(
    compiled: Programs, run: Run, glides: bool, made: int, stages: np.ndarray, told: Callable[[int], None]
) -> tuple[Run, Trace]:
    """Make the steps that a schedule lists, in chunks of equal length, so that one compilation serves any number."""
    stages = _padded(stages)
    move, carry, keys = compiled.glide if glides else compiled.advance, run.carry, run.keys
    tables, chains = keys.shape[:2]
    width = abreast(glides, tables, chains)
    fixed, stopped = jax.device_put((run.target_accept, run.geometry, run.data)), Event()

    def go(chain: int) -> tuple[tuple, Trace]:
        mine, own = jax.tree.map(lambda x: x[:, chain : chain + width], (carry, keys))
        traces = []
        with double_precision():
            for first in range(0, len(stages), CHUNK):
                if stopped.is_set():
                    raise RuntimeError("another chain, or the caller, has stopped")
                number, schedule = np.full(tables, made + first), np.tile(stages[first : first + CHUNK], (tables, 1))
                mine, trace = move(mine, own, number, schedule, *fixed)
                traces.append(trace)
                if chain == 0:
                    told(made + first + CHUNK)
        return mine, jax.tree.map(lambda *parts: np.concatenate(parts, axis=2), *traces)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        try:
            ends = list(pool.map(go, range(0, chains, width)))
        finally:
            stopped.set()  # an interrupt must not wait for chains that have minutes to go
    carry, trace = jax.tree.map(lambda *parts: np.concatenate(parts, axis=1), *ends)
    return run._replace(carry=carry), trace


def abreast(patient: bool, tables: int, chains: int) -> int:
    """How many chains, or climbs, of a table go in one program.

    All of a batch of tables, and on an accelerator. Of one table on processors those that must not wait for each other, as
    trees of NUTS differ, one by one; others as many as each processor must take, or more if groups were unequal else.
    """
    if tables > 1 or jax.default_backend() != "cpu":
        return chains
    share = -(-chains // (os.cpu_count() or 1)) if patient else 1
    return next(width for width in range(share, chains + 1) if chains % width == 0)


def whole(steps: float) -> int:
    """So many steps, made up to chunks."""
    return int(-(-steps // CHUNK) * CHUNK)


def told(advanced: Told, total: int) -> Callable[[int], None]:
    """Who is told how many steps have been made, of at least so many."""
    return lambda made: advanced(made, max(whole(total), made))


def _padded(stages: np.ndarray) -> np.ndarray:
    return np.concatenate([stages, np.full(whole(len(stages)) - len(stages), stages[-1])]).astype(np.int64)
