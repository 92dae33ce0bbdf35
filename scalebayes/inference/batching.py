"""Requests of tables that are sampled together, answered by calls of one program.

What one table needs is written as a generator, as if it were alone: it yields a request and is sent the answer. The
requests of several tables for the same thing are answered by one call, each table in its own slot, so that Python and
the program's overhead are paid once for all. A table that needs more than the others leaves them, so that no call moves
chains that wait. The answer of a table does not depend on the others.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from scalebayes.inference.data import Data
from scalebayes.inference.modes import Ends, climb
from scalebayes.inference.packing import layout_of, packed
from scalebayes.inference.requests import Climb, Leave, Look, Move, Request, Requests
from scalebayes.inference.trajectories import CHUNK, State, Trace, unknown
from scalebayes.inference.transport import Transport
from scalebayes.numerics.precision import double_precision

# Where coordinates times runs are as many, a gradient takes so long that chains gain from a thread for each processor.
_HEAVY = 15_000


@dataclass(frozen=True, eq=False)
class _Engine:
    """What answers requests.

    Parameters
    ----------
    program : Callable
    transport : Transport
    data : dict of str to array
        Packed, on the device.
    width : int
        Number of tables.
    per_call : int
        How many chains one call moves.
    threads : int
        How many calls run at the same time.
    still : tuple
        On the device: what a state has besides z, and the momenta, chances, steps, step sizes and number of one
        trajectory of length zero.
    """

    program: Callable
    transport: Transport
    data: Mapping[str, Any]
    width: int
    per_call: int
    threads: int
    still: tuple[tuple, tuple]


def serve(
    program: Callable, transport: Transport, tables: Sequence[Data], requests: Mapping[int, Requests], chains: int
) -> dict[int, Any]:
    """Answer the requests of tables until each table has its result.

    Parameters
    ----------
    program : Callable
        From `scalebayes.inference.trajectories.trajectories`, compiled.
    transport : Transport
    tables : sequence of mapping of str to array
        The data of every slot.
    requests : mapping of int to generator
        The generators by their slots; their results are returned by the same.
    chains : int

    Returns
    -------
    dict of int to Any
    """
    found: dict[int, Any] = {}
    wanted: dict[int, Request] = {}
    engine = _engine(program, transport, tables, chains)
    of_geometry = layout_of(transport.plain._asdict())
    geometries: dict[tuple, Any] = {}

    def send(slot: int, answer: Any) -> None:
        try:
            wanted[slot] = requests[slot].send(answer)
        except StopIteration as end:
            found[slot] = end.value
            wanted.pop(slot, None)

    def together(some: Mapping[int, Any]):
        """The geometries of all slots, on the device; one changes seldom."""
        fill = next(iter(some.values())).geometry
        chosen = [some[slot].geometry if slot in some else fill for slot in range(len(tables))]
        key = tuple(map(id, chosen))
        if key not in geometries:
            geometries.clear()
            geometries[key] = (chosen, jax.device_put(packed([each._asdict() for each in chosen], of_geometry)))
        return geometries[key][1]

    for slot in requests:
        send(slot, None)
    while wanted:
        for slot in [slot for slot, request in wanted.items() if isinstance(request, Leave)]:
            if len(tables) == 1:
                send(slot, None)
            else:
                found[slot] = serve(program, transport, [tables[slot]], {0: requests[slot]}, chains)[0]
                del wanted[slot]
        if not wanted:
            break
        alike, answer = _next(wanted)
        for slot, each in answer(engine, alike, together(alike)).items():
            send(slot, each)
    return found


def _engine(program: Callable, transport: Transport, tables: Sequence[Data], chains: int) -> _Engine:
    data, processors = jax.device_put(packed(tables, layout_of(tables[0]))), os.cpu_count() or 1
    density = transport.density
    heavy = density.size * density.runs >= _HEAVY or bool(density.published)
    width, per_call, threads = len(tables), chains, 1
    if width == 1 and heavy and jax.default_backend() == "cpu":
        share, threads = -(-chains // processors), processors
        per_call = next(per_call for per_call in range(share, chains + 1) if chains % per_call == 0)
    shape = (width, per_call, density.size)
    rest = tuple(unknown(transport, np.zeros(shape)))[1:]
    trajectory = np.zeros((CHUNK, *shape)), np.zeros((CHUNK, *shape[:2])), np.ones((CHUNK, width), int), np.zeros(width)
    with double_precision():
        still = jax.device_put((rest, (*trajectory, np.asarray(1))))
    return _Engine(program, transport, data, width, per_call, threads, still)


def _next(wanted: Mapping[int, Request]) -> tuple[dict[int, Any], Callable]:
    """The requests of one kind that one call can answer, and the function that answers them."""
    looks = {slot: request for slot, request in wanted.items() if isinstance(request, Look)}
    if looks:
        return looks, _looked
    climbs = {slot: request for slot, request in wanted.items() if isinstance(request, Climb)}
    if climbs:
        most = min(request.most for request in climbs.values())
        return {slot: request for slot, request in climbs.items() if request.most == most}, _climbed
    moves: dict[int, Any] = dict(wanted)
    number = min(len(request.momenta) for request in moves.values())
    return {slot: request for slot, request in moves.items() if len(request.momenta) == number}, _moved


def _looked(engine: _Engine, looks: Mapping[int, Look], geometry) -> dict[int, tuple]:
    heights, slopes = _look(
        engine, _slots({slot: request.z for slot, request in looks.items()}, engine.width), geometry
    )
    return {slot: (heights[slot, : len(r.z)], slopes[slot, : len(r.z)]) for slot, r in looks.items()}


def _climbed(engine: _Engine, climbs: Mapping[int, Climb], geometry) -> dict[int, Ends]:
    starts = _slots({slot: request.starts for slot, request in climbs.items()}, engine.width)
    n, size = starts.shape[1:]

    def look(x, wanted):
        # Those wanted of each table come first, so that fewer calls are needed once few starts are left.
        wanted = wanted.reshape(engine.width, n)
        first = np.argsort(~wanted, axis=1, kind="stable")[:, : wanted.sum(1).max()]
        tables = np.arange(engine.width)[:, None]
        heights, slopes = np.full((engine.width, n), -np.inf), np.zeros((engine.width, n, size))
        found = _look(engine, x.reshape(engine.width, n, size)[tables, first], geometry)
        heights[tables, first], slopes[tables, first] = found
        return heights.reshape(-1), slopes.reshape(-1, size)

    most = next(iter(climbs.values())).most
    ends = climb(starts.reshape(-1, size), engine.transport.held, look, most)
    return {slot: Ends(*(part[slot * n : (slot + 1) * n] for part in ends)) for slot in climbs}


def _slots(parts: Mapping[int, np.ndarray], width: int) -> np.ndarray:
    """Points of some tables in the slots of all, shape (table, point, size); zero where there is none."""
    longest, size = max(map(len, parts.values())), next(iter(parts.values())).shape[-1]
    found = np.zeros((width, longest, size))
    for slot, part in parts.items():
        found[slot, : len(part)] = part
    return found


def _look(engine: _Engine, z: np.ndarray, geometry) -> tuple[np.ndarray, np.ndarray]:
    """The log density and its gradient at points, shape (table, point, size): a trajectory of length zero from each."""
    width, n, size = z.shape
    z = np.concatenate([z, np.zeros((width, -n % engine.per_call, size))], axis=1)
    rest, trajectory = engine.still

    def call(some: slice) -> tuple:
        # A point without a finite density is rejected, and keeps the height it began with.
        end, _ = engine.program((z[:, some], *rest), *trajectory, geometry, engine.data)
        return end[1:3]

    parts = _called(engine, z.shape[1], call)
    heights, slopes = (np.concatenate(part, axis=1)[:, :n] for part in zip(*parts, strict=True))
    return heights, slopes


def _moved(engine: _Engine, moves: Mapping[int, Move], geometry) -> dict[int, tuple[State, Trace]]:
    any_other = next(iter(moves.values()))
    chosen = [moves.get(slot, any_other) for slot in range(engine.width)]
    state = jax.tree.map(lambda *parts: np.concatenate(parts), *(request.state for request in chosen))
    momenta, chances, steps = (np.stack(parts, axis=1) for parts in zip(*(r[1:4] for r in chosen), strict=True))
    sizes = np.asarray([request.step_size for request in chosen])
    number = len(momenta)

    def filled(x: np.ndarray, value: float) -> np.ndarray:
        """The same array for as many trajectories as the program has room for."""
        rest = np.broadcast_to(np.asarray(value, x.dtype), (CHUNK - number, *x.shape[1:]))
        return x if number == CHUNK else np.concatenate([x, rest])

    def call(some: slice) -> tuple:
        own = jax.tree.map(lambda leaf: leaf[:, some], tuple(state))
        chance = filled(momenta[:, :, some], 0.0), filled(chances[:, :, some], 0.0), filled(steps, 1)
        return engine.program(own, *chance, sizes, np.asarray(number), geometry, engine.data)

    ends, traces = zip(*_called(engine, state.z.shape[1], call), strict=True)
    end = State(*jax.tree.map(lambda *parts: np.concatenate(parts, axis=1), *ends))
    trace = Trace(*jax.tree.map(lambda *parts: np.concatenate(parts, axis=2)[:number], *traces))
    return {
        slot: (
            jax.tree.map(lambda leaf, at=slot: leaf[at : at + 1], end),
            jax.tree.map(lambda leaf, at=slot: leaf[:, at], trace),
        )
        for slot in moves
    }


def _called(engine: _Engine, chains: int, call: Callable[[slice], Any]) -> list:
    """The results, in NumPy, of a call for each slice of the chains; they run at the same time where that helps.

    NumPy arrays, since those of JAX remember where they come from, and might make the program compile once more.
    """

    def one(first: int):
        with double_precision():
            return jax.tree.map(np.asarray, call(slice(first, first + engine.per_call)))

    firsts = range(0, chains, engine.per_call)
    if engine.threads == 1 or len(firsts) == 1:
        return [one(first) for first in firsts]
    with ThreadPoolExecutor(engine.threads) as pool:
        return list(pool.map(one, firsts))
