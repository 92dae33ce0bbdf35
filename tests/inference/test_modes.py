"""Modes: climbs reach them, and separate ones are told from slow climbs to one."""

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import rosen, rosen_der

import scalebayes as sb
from scalebayes.inference import modes
from scalebayes.inference.requests import Look


def _looking(logp, slope):
    return lambda x, wanted: (np.asarray([logp(row) for row in x]), np.asarray([slope(row) for row in x]))


def test_climbs_reach_the_mode_from_everywhere_along_a_bent_ridge():
    starts = np.random.default_rng(0).uniform(-1.5, 1.5, (8, 3))
    found = modes.climb(starts, np.zeros(3, bool), _looking(lambda x: -rosen(x), lambda x: -rosen_der(x)), 500)
    assert found.converged.all()
    high = found.heights > -0.1  # from some starts another optimum is reached
    assert high.sum() >= 4
    np.testing.assert_allclose(found.found[high], 1.0, atol=0.02)
    np.testing.assert_allclose(found.heights, [-rosen(x) for x in found.found])


def test_coordinates_that_are_held_stay_and_a_start_without_density_fails_alone():
    scale = np.asarray([1.0, 1e3, 1e-2])

    def logp(x):
        return -np.sum(scale * (x - 1) ** 2) if x[0] < 5 else -np.inf

    starts = np.asarray([[0.0, 0.0, 0.0], [9.0, 0.0, 0.0], [-2.0, 3.0, 1.0]])
    held = np.asarray([False, False, True])
    found = modes.climb(starts, held, _looking(logp, lambda x: -2 * scale * (x - 1)), 200)
    np.testing.assert_allclose(found.found[[0, 2], :2], 1.0, atol=1e-3)
    np.testing.assert_array_equal(found.found[:, 2], starts[:, 2])
    assert found.converged.tolist() == [True, False, True]
    assert found.heights[1] == -np.inf


def test_the_direction_of_a_quadratic_is_newtons_once_as_many_steps_are_known_as_coordinates():
    rng = np.random.default_rng(1)
    root = rng.normal(size=(4, 4))
    hessian = root @ root.T + np.eye(4)
    moves = np.linalg.qr(rng.normal(size=(4, 4)))[0][None]
    # Conjugate steps, as exact line searches make them, so that one update does not spoil another.
    inverse_root = np.linalg.inv(np.linalg.cholesky(hessian))
    moves = (moves[0] @ inverse_root)[None]
    slope = rng.normal(size=(1, 4))
    found = modes._direction(slope, moves, moves @ hessian)
    np.testing.assert_allclose(found, slope @ np.linalg.inv(hessian), rtol=1e-8)


def test_without_steps_the_direction_is_the_slope():
    slope = np.random.default_rng(2).normal(size=(2, 3))
    np.testing.assert_allclose(modes._direction(slope, *np.zeros((2, 2, 5, 3))), slope)


@pytest.mark.parametrize(("apart", "others"), [(4.0, [1]), (0.3, [])])
def test_modes_are_separate_where_the_density_dips_between_them(apart, others):
    def logp(z):
        return np.logaddexp(-((z - apart) ** 2).sum(-1) / 2, -((z + apart) ** 2).sum(-1) / 2)

    z = np.stack([np.full(2, apart), np.full(2, -apart)])
    requests = modes.separate(z, logp(z), np.asarray([False, True]), None)
    assert _answered(requests, logp) == others


def _answered(requests, logp):
    answer = None
    while True:
        try:
            request = requests.send(answer)
        except StopIteration as end:
            return end.value
        assert isinstance(request, Look)
        answer = logp(request.z), np.zeros_like(request.z)


def test_a_climb_that_ended_far_below_or_did_not_converge_is_no_other_mode():
    found = np.asarray([[0.0], [0.001], [3.0], [3.0], [3.0]])
    ends = modes.Ends(found, np.asarray([0.0, 0.0, -5.0, -50.0, -1.0]), np.asarray([True, True, True, True, False]))
    assert modes.elsewhere(ends).tolist() == [False, False, True, False, False]


def test_small_shares_are_not_reported():
    found = modes.shares(np.asarray([0.0, -1.0, -20.0, -np.inf]))
    assert found[2:].tolist() == [0.0, 0.0]
    assert found[:2] == pytest.approx(np.asarray([1.0, np.exp(-1)]) / (1 + np.exp(-1)))


@pytest.mark.fits
@pytest.mark.parametrize(
    ("law", "curve"), [("saturating_power", "IC|c_5|ViT/S/16"), ("broken_power", "IC|inet_10|BiT/101/3")]
)
def test_two_climbs_that_stop_on_one_slope_are_no_two_modes(law, curve, public_data):
    # Climbs end where little is gained; Newton's method takes both to one mode, and so they have equal shares.
    table = pd.read_csv(public_data / "revisiting_benchmark.csv").query("curve_id == @curve and is_train == 1")
    runs = sb.thin(sb.read_runs(table, inputs={"D": "n_samples"}, response="loss"), 24)
    fit = sb.fit(sb.laws.named(law), runs, discrepancy=None)
    assert not fit.modes
    assert not fit.diagnostics.problems
