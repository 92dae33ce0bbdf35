"""Chains that run together: their start, the length of their trajectories, and what they share."""

from types import SimpleNamespace

import blackjax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from scalebayes.inference import hmc as chains
from scalebayes.inference.schedule import DRAW, FAST, LENGTH, MANY, SHORT
from scalebayes.numerics.precision import double_precision


def _normal(size, scale=1.0):
    """The part of a Transport that chains use, with a normal density."""
    density = SimpleNamespace(size=size)
    return SimpleNamespace(density=density, logp=lambda z, geometry, data: -0.5 * jnp.sum((z / scale) ** 2))


@pytest.fixture
def advanced(monkeypatch):
    """Steps of chains of a standard normal density, by their schedule."""
    monkeypatch.setattr(chains, "Geometry", lambda: ())

    def run(z, schedule, fixed_length=True):
        with double_precision():
            start, advance = chains.chains(_normal(z.shape[1]), fixed_length=fixed_length)
            keys = jax.random.key_data(jax.random.split(jax.random.key(0), len(z)))
            carry = jax.jit(start)(jnp.asarray(z), (), {})
            carry, (positions, stats) = jax.jit(advance)(carry, keys, 0, jnp.asarray(schedule), 0.8, (), {})
            return carry, np.asarray(positions), {name: np.asarray(value) for name, value in stats.items()}

    return run


def test_the_first_step_goes_nowhere_and_finds_the_density(advanced):
    z = np.random.default_rng(0).normal(size=(3, 5))
    _, positions, stats = advanced(z, [FAST])
    np.testing.assert_array_equal(positions[:, 0], z)
    np.testing.assert_allclose(stats["lp"][:, 0], -0.5 * (z**2).sum(1))
    assert stats["n_steps"].tolist() == [[1]] * 3
    assert not stats["diverging"].any()


@pytest.mark.parametrize("fixed_length", [True, False])
def test_chains_share_a_step_size_and_move_apart(advanced, fixed_length):
    _, positions, stats = advanced(np.zeros((3, 5)), [FAST] * 100 + [DRAW] * 50, fixed_length)
    assert (stats["step_size"] == stats["step_size"][:1]).all()
    assert len(np.unique(positions[:, -1, 0])) == 3
    if fixed_length:
        assert (stats["n_steps"] == stats["n_steps"][:1]).all()


@pytest.mark.parametrize(("size", "gradients", "length"), [(4, 1, LENGTH), (MANY, 2, SHORT)])
def test_lengths_vary_evenly_about_the_one_they_have(advanced, size, gradients, length):
    _, positions, stats = advanced(np.zeros((2, size)), [FAST] * 150 + [DRAW] * 400)
    lengths = stats["n_steps"][0, 150:] / gradients * stats["step_size"][0, 150:]
    step = stats["step_size"][0, -1]
    assert lengths.min() >= length / 2
    assert lengths.max() <= 1.5 * length + step
    rounded_up = np.ceil(length * np.linspace(0.5, 1.5, 1001) / step) * step
    assert lengths.mean() == pytest.approx(rounded_up.mean(), rel=0.01)
    assert 0.75 < stats["acceptance_rate"][:, 150:].mean() < 0.99
    # 800 independent draws of `size` coordinates: four standard errors of a variance.
    assert positions[:, 150:].var() == pytest.approx(1, abs=4 * np.sqrt(2 / (200 * size)))


def test_two_stages_are_mclachlans():
    with double_precision():
        logp = lambda z: -jnp.sum(jnp.cosh(z))  # noqa: E731
        kinetic = lambda p: 0.5 * jnp.sum(p**2 * jnp.arange(1.0, 5.0))  # noqa: E731
        position, momentum = jax.random.normal(jax.random.key(1), (2, 4))
        state = blackjax.mcmc.integrators.new_integrator_state(logp, position, momentum)
        ours, theirs = (
            jax.jit(integrator(logp, kinetic))(state, 0.3)
            for integrator in (chains._two_stages, blackjax.mcmc.integrators.mclachlan)
        )
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12), ours, theirs)
