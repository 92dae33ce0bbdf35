"""Trajectories: the integrators, acceptance, and tables that do not depend on each other."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from scalebayes.inference import trajectories as module
from scalebayes.inference.packing import layout_of, packed
from scalebayes.inference.trajectories import CHUNK, MANY, State, Trace, trajectories, unknown
from scalebayes.inference.transport import Geometry
from scalebayes.numerics.precision import double_precision


def _bent(size):
    """The part of a Transport that trajectories use, with a density that is not normal."""

    def logp(z, geometry, data):
        height = -jnp.sum(data["rate"] * z**2 / 2 + z**4 / 20)
        return height, (2 * z, z[:2], {})

    density = SimpleNamespace(size=size, runs=2, published={})
    plain = Geometry(*(np.zeros(1) for _ in Geometry._fields))
    return SimpleNamespace(density=density, plain=plain, logp=logp)


def _slope(z, rate):
    return -(rate * z + z**3 / 5)


def _moved(size, z, momenta, steps, step_size, *, rates, chances=None):
    """The states and traces after some trajectories of each table."""
    transport, data = _bent(size), [{"rate": np.asarray(rate)} for rate in rates]
    number = len(momenta)

    def room(x, value):
        return np.concatenate([x, np.full((CHUNK - number, *x.shape[1:]), value)])

    chances = np.zeros(momenta.shape[:-1]) if chances is None else chances
    geometry = packed([transport.plain._asdict()] * len(rates), layout_of(transport.plain._asdict()))
    with double_precision():
        run = jax.jit(trajectories(transport, layout_of(data[0])))
        end, trace = run(
            tuple(unknown(transport, z)),
            room(momenta, 0.0),
            room(chances, 0.0),
            room(steps, 1),
            np.asarray(step_size),
            np.asarray(number),
            geometry,
            packed(data, layout_of(data[0])),
        )
    return State(*jax.tree.map(np.asarray, end)), Trace(*jax.tree.map(lambda leaf: np.asarray(leaf)[:number], trace))


def test_a_trajectory_of_length_zero_finds_the_density_its_slope_and_what_is_kept():
    z = np.random.default_rng(0).normal(size=(1, 4, 3))
    end, _ = _moved(3, z, np.zeros((1, 1, 4, 3)), np.ones((1, 1), int), [0.0], rates=[1.5])
    np.testing.assert_array_equal(end.z, z)
    np.testing.assert_allclose(end.height, -(1.5 * z**2 / 2 + z**4 / 20).sum(-1), rtol=1e-12)
    np.testing.assert_allclose(end.slope, _slope(z, 1.5), rtol=1e-12)
    position, each, published = end.kept
    np.testing.assert_allclose(position, 2 * z)
    np.testing.assert_allclose(each, z[..., :2])
    assert published == {}


def test_with_few_coordinates_steps_are_those_of_leapfrog():
    rng = np.random.default_rng(1)
    z, momenta = rng.normal(size=(1, 4, 3)), rng.normal(size=(2, 1, 4, 3))
    momenta[0] = 0.0
    end, trace = _moved(3, z, momenta, np.asarray([[1], [5]]), [0.2], rates=[1.0])
    # The first trajectory is accepted wherever it goes, since the density was not known.
    expected, momentum = trace.z[0], momenta[1]
    for _ in range(5):
        momentum = momentum + 0.1 * _slope(expected, 1.0)
        expected = expected + 0.2 * momentum
        momentum = momentum + 0.1 * _slope(expected, 1.0)
    np.testing.assert_allclose(end.z, expected, rtol=1e-10)
    gain = end.height - (momentum**2).sum(-1) / 2 - trace.height[0] + (momenta[1] ** 2).sum(-1) / 2
    np.testing.assert_allclose(trace.gain[1], gain, atol=1e-10)


def test_with_many_coordinates_steps_have_two_gradients_and_a_tenth_of_the_error(monkeypatch):
    rng = np.random.default_rng(2)
    z, momenta = rng.normal(size=(1, 4, MANY)), rng.normal(size=(2, 1, 4, MANY))
    momenta[0] = 0.0
    arguments = (z, momenta, np.asarray([[1], [4]]))
    _, two_stages = _moved(MANY, *arguments, [0.2], rates=[1.0])
    monkeypatch.setattr(module, "MANY", MANY + 1)
    _, leapfrog = _moved(MANY, *arguments, [0.2], rates=[1.0])
    assert np.abs(two_stages.gain[1]).max() < 0.2 * np.abs(leapfrog.gain[1]).max()
    np.testing.assert_allclose(two_stages.z[1], leapfrog.z[1], atol=0.1)


def test_ends_are_accepted_by_their_gain_and_what_diverges_is_not():
    rng = np.random.default_rng(3)
    z = rng.normal(size=(1, 4, 2))
    momenta, chances = rng.normal(size=(30, 1, 4, 2)), rng.uniform(size=(30, 1, 4))
    momenta[0] = 0.0
    steps = np.full((30, 1), 3)
    _, trace = _moved(2, z, momenta, steps, [1.2], rates=[1.0], chances=chances)
    accepted = np.log(chances[1:]) < trace.gain[1:]
    assert 0.1 < accepted.mean() < 0.95
    stayed = (trace.z[1:] == trace.z[:-1]).all(-1)
    np.testing.assert_array_equal(stayed, ~accepted)
    _, wild = _moved(2, z, momenta, steps, [40.0], rates=[1.0], chances=chances)
    assert (wild.z == wild.z[:1]).all()
    assert (wild.gain[1:] < -1000).all()


def test_a_table_does_not_depend_on_the_others_however_many_steps_they_take():
    rng = np.random.default_rng(4)
    z, momenta, chances = rng.normal(size=(2, 4, 3)), rng.normal(size=(6, 2, 4, 3)), rng.uniform(size=(6, 2, 4))
    steps = np.stack([np.full(6, 2), np.arange(1, 7)], axis=1)
    both, _ = _moved(3, z, momenta, steps, [0.3, 0.2], rates=[1.0, 2.0], chances=chances)
    for table, rate in enumerate([1.0, 2.0]):
        own = slice(table, table + 1)
        alone, _ = _moved(
            3, z[own], momenta[:, own], steps[:, own], [[0.3, 0.2][table]], rates=[rate], chances=chances[:, own]
        )
        np.testing.assert_allclose(both.z[own], alone.z, rtol=1e-12)
        np.testing.assert_allclose(both.height[own], alone.height, rtol=1e-12)


def test_a_point_without_a_finite_density_is_said_to_have_none():
    z = np.asarray([[[np.inf, 0.0], [0.0, 0.0], [np.nan, 0.0], [1.0, 0.0]]])
    end, _ = _moved(2, z, np.zeros((1, 1, 4, 2)), np.ones((1, 1), int), [0.0], rates=[1.0])
    assert np.isfinite(end.height[0]).tolist() == [False, True, False, True]
    assert np.isfinite(end.slope).all()


@pytest.mark.parametrize("size", [2, 5])
def test_unknown_states_have_the_shapes_of_known_ones(size):
    z = np.zeros((1, 4, size))
    end, _ = _moved(size, z, np.zeros((1, 1, 4, size)), np.ones((1, 1), int), [0.0], rates=[1.0])
    before = unknown(_bent(size), z)
    assert jax.tree.map(np.shape, tuple(before)) == jax.tree.map(np.shape, tuple(end))
