"""Batches of tables: each table requests its next steps, and requests of one kind run together in one program.

After the warm-up that a batch shares, its tables differ: one needs more draws, another a better whitening. Tables that
need the same kind of step take it together, each in its own slot of the batch's program, so that no program is compiled
for one table alone. Every slot takes every step, also where only one table is left, and NUTS waits for the longest tree
of all slots. The chains of a table that is sampled alone run in parallel instead.
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
    """The state of a batch of tables; every leaf has a leading table dimension."""

    data: dict[str, np.ndarray]
    keys: np.ndarray
    geometry: tuple[np.ndarray, ...]
    carry: tuple[np.ndarray, ...]
    target_accept: np.ndarray


Trace = tuple[np.ndarray, dict[str, np.ndarray]]
Progress = Callable[[int, int], None]


class Steps(NamedTuple):
    """A request for steps of one table's chains; the answer is its run after them, and their trace.

    Parameters
    ----------
    run : Run
    fixed_length : bool
        Whether trajectories have a fixed length; NUTS otherwise.
    made : int
        Number of steps made before.
    stages : array of int
        What each step adapts, see `scalebayes.inference.schedule`.
    total : int
        Number of steps to report as the end.
    """

    run: Run
    fixed_length: bool
    made: int
    stages: np.ndarray
    total: int


class Whitening(NamedTuple):
    """A request for a geometry from a pilot's draws, and for chains that start under it; the answer is the table's run.

    Parameters
    ----------
    run : Run
    pilot : array, shape (1, sample, size)
    starts : array, shape (1, chain, size)
    """

    run: Run
    pilot: np.ndarray
    starts: np.ndarray


Requests = Generator[Steps | Whitening, Any, Any]


def serve(compiled: Programs, requests: Mapping[int, Requests], width: int, report: Progress) -> dict[int, Any]:
    """Answer the requests of tables until each table has its result.

    Parameters
    ----------
    compiled : Programs
    requests : mapping of int to generator
        One for each table, by its slot. It yields `Steps` or `Whitening` with a run of one table, is sent the answer,
        and returns the result.
    width : int
        Tables of a program. The result of a table does not depend on the others.
    report : Callable
        Called with the steps made and their total, where the width is 1.

    Returns
    -------
    dict of int to Any
        The result of each table, by its slot.
    """
    found: dict[int, Any] = {}
    wanted: dict[int, Steps | Whitening] = {}
    traces: dict[int, list[Trace]] = {slot: [] for slot in requests}

    def send(slot: int, answer: Any) -> None:
        try:
            wanted[slot] = requests[slot].send(answer)
        except StopIteration as end:
            found[slot] = end.value
            wanted.pop(slot, None)

    for slot in requests:
        send(slot, None)
    while wanted:
        if some := {slot: request for slot, request in wanted.items() if isinstance(request, Whitening)}:
            for slot, run in _whitened(compiled, some, width):
                send(slot, run)
        for fixed_length in (True, False):
            alike = {s: r for s, r in wanted.items() if isinstance(r, Steps) and r.fixed_length == fixed_length}
            if alike and width == 1:
                request = alike[0]
                reported = with_total(report, request.total)
                send(0, advance(compiled, request.run, fixed_length, request.made, request.stages, reported))
            elif alike:
                for slot, run, trace in _chunk(compiled, alike, width):
                    request = alike[slot]
                    traces[slot].append(trace)
                    wanted[slot] = request._replace(run=run, made=request.made + CHUNK, stages=request.stages[CHUNK:])
                    if len(request.stages) <= CHUNK:
                        send(slot, (run, jax.tree.map(lambda *each: np.concatenate(each, axis=2), *traces[slot])))
                        traces[slot] = []
    return found


def _filled(some: Mapping[int, Any], width: int) -> list:
    """The requests of every slot; a slot without one copies another's."""
    any_other = next(iter(some.values()))
    return [some.get(slot, any_other) for slot in range(width)]


def _chunk(compiled: Programs, some: Mapping[int, Steps], width: int) -> list[tuple[int, Run, Trace]]:
    """One chunk of steps of some tables: slot, run and trace of each."""
    requests = _filled(some, width)
    run: Run = _joined([request.run for request in requests])
    first = np.asarray([request.made for request in requests])
    schedule = np.stack([_padded(request.stages[:CHUNK]) for request in requests])
    move = compiled.advance_hmc if requests[0].fixed_length else compiled.advance_nuts
    with double_precision():
        carry, trace = move(run.carry, run.keys, first, schedule, run.target_accept, run.geometry, run.data)
    return [(slot, *one((run._replace(carry=carry), trace), slot)) for slot in some]


def _whitened(compiled: Programs, some: Mapping[int, Whitening], width: int) -> list[tuple[int, Run]]:
    request: Whitening = _joined(_filled(some, width))
    with double_precision():
        geometry = compiled.from_draws(request.pilot, request.run.geometry, request.run.data)
        carry = compiled.start_nuts(request.starts, geometry, request.run.data)
    return [(slot, one(request.run._replace(geometry=geometry, carry=carry), slot)) for slot in some]


def _joined(parts: list) -> Any:
    return jax.tree.map(lambda *each: np.concatenate(each), *parts)


def one(batch: Any, i: int) -> Any:
    """One table of a batch, as a batch of one."""
    return jax.tree.map(lambda x: x[i : i + 1], batch)


def advance(
    compiled: Programs, run: Run, fixed_length: bool, made: int, stages: np.ndarray, report: Callable[[int], None]
) -> tuple[Run, Trace]:
    """Make the steps of a schedule, in chunks of equal length so that one compiled program serves any number."""
    stages = _padded(stages)
    move, carry, keys = compiled.advance_hmc if fixed_length else compiled.advance_nuts, run.carry, run.keys
    tables, chains = keys.shape[:2]
    width = chains_per_program(fixed_length, tables, chains)
    constant, stopped = jax.device_put((run.target_accept, run.geometry, run.data)), Event()

    def go(chain: int) -> tuple[tuple, Trace]:
        mine, own = jax.tree.map(lambda x: x[:, chain : chain + width], (carry, keys))
        traces = []
        with double_precision():
            for first in range(0, len(stages), CHUNK):
                if stopped.is_set():
                    raise RuntimeError("another chain, or the caller, has stopped")
                number, schedule = np.full(tables, made + first), np.tile(stages[first : first + CHUNK], (tables, 1))
                mine, trace = move(mine, own, number, schedule, *constant)
                traces.append(trace)
                if chain == 0:
                    report(made + first + CHUNK)
        return mine, jax.tree.map(lambda *parts: np.concatenate(parts, axis=2), *traces)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        try:
            ends = list(pool.map(go, range(0, chains, width)))
        finally:
            stopped.set()  # an interrupt must not wait for chains that have minutes to go
    carry, trace = jax.tree.map(lambda *parts: np.concatenate(parts, axis=1), *ends)
    return run._replace(carry=carry), trace


def chains_per_program(equal_work: bool, tables: int, chains: int) -> int:
    """How many chains of a table, or climbs to its modes, run in one program.

    All of them for a batch of tables, and on an accelerator. For one table on a CPU it depends on whether their work is
    equal. Where it is not, as with the trees of NUTS, each runs alone, so that none waits for another. Where it is, as
    many run together as each processor must take, or more if the programs would not get equal numbers.
    """
    if tables > 1 or jax.default_backend() != "cpu":
        return chains
    share = -(-chains // (os.cpu_count() or 1)) if equal_work else 1
    return next(width for width in range(share, chains + 1) if chains % width == 0)


def whole_chunks(steps: float) -> int:
    """A number of steps, rounded up to whole chunks."""
    return int(-(-steps // CHUNK) * CHUNK)


def with_total(report: Progress, total: int) -> Callable[[int], None]:
    """A callback of the steps made, which reports them with a total that they do not exceed."""
    return lambda made: report(made, max(whole_chunks(total), made))


def _padded(stages: np.ndarray) -> np.ndarray:
    return np.concatenate([stages, np.full(whole_chunks(len(stages)) - len(stages), stages[-1])]).astype(np.int64)
