"""Requests of several tables are answered together, each as if it were alone."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np

from scalebayes.inference import batching
from scalebayes.inference.packing import layout_of
from scalebayes.inference.requests import Climb, Leave, Look, Move
from scalebayes.inference.trajectories import trajectories, unknown
from scalebayes.inference.transport import Geometry
from scalebayes.numerics.precision import double_precision

PLAIN = Geometry(*(np.zeros(1) for _ in Geometry._fields))


def _transport(size=3):
    def logp(z, geometry, data):
        return -jnp.sum((z - data["centre"]) ** 2) / 2 + geometry.shift[0], (z, z[:1], {})

    density = SimpleNamespace(size=size, runs=1, published={})
    return SimpleNamespace(density=density, plain=PLAIN, logp=logp, held=np.zeros(size, bool))


def _served(requests, centres, chains=4):
    tables = [{"centre": np.asarray(centre, float)} for centre in centres]
    calls = []
    with double_precision():
        program = jax.jit(trajectories(_transport(), layout_of(tables[0])))

        def counted(*arguments):
            calls.append(int(arguments[5]))
            return program(*arguments)

        return batching.serve(counted, _transport(), tables, requests, chains), calls


def _climbing(start):
    ends = yield Climb(np.full((2, 3), start), PLAIN, 100)
    heights, slopes = yield Look(ends.found, PLAIN)
    return ends, heights, slopes


def test_tables_climb_together_each_to_its_own_mode():
    found, _ = _served({0: _climbing(0.0), 1: _climbing(5.0)}, [1.0, -2.0])
    for slot, centre in enumerate([1.0, -2.0]):
        ends, heights, slopes = found[slot]
        assert ends.converged.all()
        np.testing.assert_allclose(ends.found, centre, atol=1e-3)
        np.testing.assert_allclose(heights, ends.heights, atol=1e-9)
        np.testing.assert_allclose(slopes, centre - ends.found, atol=1e-9)


def test_the_geometry_is_each_requests_own():
    def looking(shift):
        geometry = PLAIN._replace(shift=np.full(1, shift))
        first = yield Look(np.zeros((5, 3)), geometry)
        second = yield Look(np.zeros((1, 3)), PLAIN)
        return first[0], second[0]

    found, _ = _served({0: looking(7.0), 1: looking(-7.0)}, [0.0, 0.0])
    assert found[0][0].tolist() == [7.0] * 5
    assert found[1][0].tolist() == [-7.0] * 5
    assert found[0][1].tolist() == found[1][1].tolist() == [0.0]


def _moving(seed, lengths):
    rng = np.random.default_rng(seed)
    state = unknown(_transport(), rng.normal(size=(1, 4, 3)))
    found = []
    for n in lengths:
        momenta, chances = rng.normal(size=(n, 4, 3)), rng.uniform(size=(n, 4))
        state, trace = yield Move(state, momenta, chances, np.full(n, 2 + seed), 0.3, PLAIN)
        assert trace.z.shape == (n, 4, 3)
        found.append(trace.z)
    return np.concatenate(found)


def test_a_table_moves_as_if_it_were_alone_also_where_others_ask_for_other_numbers():
    centres = [0.0, 1.0, 2.0]
    together, calls = _served({0: _moving(0, [1, 5]), 1: _moving(1, [1, 7]), 2: _moving(2, [1, 5])}, centres)
    assert calls == [1, 5, 7]  # the first for all three, the second for two of them
    for slot, lengths in enumerate([[1, 5], [1, 7], [1, 5]]):
        alone, _ = _served({0: _moving(slot, lengths)}, [centres[slot]])
        np.testing.assert_allclose(together[slot], alone[0], rtol=1e-12)


def test_a_table_that_leaves_goes_on_as_before_and_moves_no_other():
    def leaving(slot, lengths):
        found = yield from _moving(slot, lengths[:1])
        yield Leave()
        more = yield from _moving(slot, lengths[1:])
        return np.concatenate([found, more])

    together, calls = _served({0: leaving(0, [3, 6]), 1: _moving(1, [3, 4])}, [0.0, 1.0])
    assert calls == [3, 6, 4]
    for slot, of in enumerate([leaving(0, [3, 6]), _moving(1, [3, 4])]):
        alone, _ = _served({0: of}, [[0.0, 1.0][slot]])
        np.testing.assert_allclose(together[slot], alone[0], rtol=1e-12)


def test_chains_of_a_heavy_density_are_moved_by_several_calls_that_change_nothing(monkeypatch):
    light, calls = _served({0: _moving(3, [4])}, [0.5])
    monkeypatch.setattr(batching, "_HEAVY", 1)
    monkeypatch.setattr(batching.os, "cpu_count", lambda: 2)
    heavy, more = _served({0: _moving(3, [4])}, [0.5])
    assert (len(calls), len(more)) == (1, 2)
    np.testing.assert_allclose(heavy[0], light[0], rtol=1e-12)
