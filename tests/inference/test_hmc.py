"""Hamiltonian Monte Carlo: adaptation, lengths of trajectories, and draws of a known distribution."""

import numpy as np
import pytest

from scalebayes.inference.hmc import LENGTH, MOST_STEPS, Chains, adapted, drawn, started
from scalebayes.inference.requests import Move
from scalebayes.inference.trajectories import State, Trace
from scalebayes.inference.transport import Geometry


def silent(made):
    """Nothing is reported."""


def _of_normal(requests, scale=1.0):
    """Answers requests for trajectories, in NumPy, with a normal density; returns the result and the requests."""
    asked, answer = [], None
    while True:
        try:
            request = requests.send(answer)
        except StopIteration as end:
            return end.value, asked
        assert isinstance(request, Move)
        asked.append(request)
        answer = _moved(request, scale)


def _moved(request, scale):
    z, height, slope, _ = (np.asarray(part)[0] for part in request.state)
    found = []
    with np.errstate(all="ignore"):
        return _trajectories(request, scale, z, height, slope, found)


def _trajectories(request, scale, z, height, slope, found):
    for momentum, chance, steps in zip(request.momenta, request.chances, request.steps, strict=True):
        end, p, turned = z, momentum, slope
        for _ in range(steps):
            p = p + request.step_size / 2 * turned
            end = end + request.step_size * p
            turned = -end / scale**2
            p = p + request.step_size / 2 * turned
        higher = -((end / scale) ** 2).sum(-1) / 2
        gain = higher - (p**2).sum(-1) / 2 - height + (momentum**2).sum(-1) / 2
        gain = np.where(np.isnan(gain), -np.inf, gain)
        accepted = np.log(chance) < gain
        z, slope = (np.where(accepted[:, None], new, old) for new, old in ((end, z), (turned, slope)))
        height = np.where(accepted, higher, height)
        found.append((z, height, gain, z))
    z_, height_, gain_, kept = (np.stack(part) for part in zip(*found, strict=True))
    trace = Trace(z_, height_, gain_, (kept, kept, {}))  # of as many runs as coordinates
    return State(z[None], height[None], slope[None], z[None]), trace


def _chains(size=3, **arguments):
    z = np.random.default_rng(0).normal(size=(1, 4, size))
    state = State(z, np.full((1, 4), -np.inf), np.zeros_like(z), z)
    geometry = Geometry(*(np.zeros(1) for _ in Geometry._fields))
    settings = {"step_size": 1.0, "length": LENGTH, "target_accept": 0.8}
    return Chains(state, geometry, **settings | arguments)


def test_chains_start_by_a_step_of_length_zero():
    chains, (request,) = _of_normal(started(_chains()))
    assert (request.step_size, request.steps.tolist()) == (0.0, [1])
    assert not request.momenta.any()
    np.testing.assert_allclose(chains.state.height[0], -(chains.state.z[0] ** 2).sum(-1) / 2)


@pytest.mark.parametrize("target", [0.8, 0.95])
def test_the_step_size_is_adapted_until_as_many_ends_are_accepted_as_wanted(target):
    rng = np.random.default_rng(1)
    chains, _ = _of_normal(started(_chains(size=20, target_accept=target)))
    chains, warmup = _of_normal(adapted(chains, 300, rng, silent))[0]
    assert warmup.z.shape == (300, 4, 20)
    chains, draws = _of_normal(drawn(chains, 400, rng, silent))[0]
    assert draws.stats["acceptance_rate"].mean() == pytest.approx(target, abs=0.06)
    assert not draws.stats["diverging"].any()


def test_draws_are_those_of_the_distribution_and_trajectories_differ_in_length():
    rng = np.random.default_rng(2)
    chains, _ = _of_normal(started(_chains(step_size=0.5)), scale=2.0)
    (chains, draws), asked = _of_normal(drawn(chains, 1000, rng, silent), scale=2.0)
    assert chains.made == 1000
    steps = np.concatenate([request.steps for request in asked])
    assert steps.mean() == pytest.approx(LENGTH / 0.5 + 0.5, abs=0.3)
    assert (steps.min(), steps.max()) == (LENGTH, 3 * LENGTH)
    # Independent draws would have standard errors of 0.03 and 0.02.
    np.testing.assert_allclose(draws.z.mean((0, 1)), 0.0, atol=0.25)
    np.testing.assert_allclose(draws.z.std((0, 1)), 2.0, atol=0.15)
    # The energy at the start of a trajectory: half a chi-squared variable for each coordinate and each momentum.
    assert draws.stats["energy"][1:].mean() == pytest.approx(3.0, abs=0.3)


def test_equal_generators_give_equal_draws_and_no_trajectory_is_endless():
    def draws(seed):
        chains, _ = _of_normal(started(_chains(step_size=1e-6)))
        (_, found), asked = _of_normal(drawn(chains, 3, np.random.default_rng(seed), silent))
        assert max(request.steps.max() for request in asked) == MOST_STEPS
        return found.z

    assert draws(5).tobytes() == draws(5).tobytes()
    assert draws(5).tobytes() != draws(6).tobytes()


def test_chains_that_have_found_no_density_do_not_shrink_the_step():
    chains, _ = _of_normal(started(_chains()))
    state = chains.state
    lost = State(np.where(np.arange(4)[:, None] == 0, np.inf, state.z), state.height, state.slope, state.kept)
    lost.height[0, 0] = -np.inf
    chains = Chains(lost, chains.geometry, 1.0, LENGTH, 0.8)
    (chains, _), _ = _of_normal(adapted(chains, 100, np.random.default_rng(0), silent))
    assert chains.step_size > 0.5
