"""The best settings, exact where the posterior is known, and refused where there are none."""

import numpy as np
import pandas as pd
import pytest

import scalebayes as sb

VALUES = {"E": 1.5, "A": 400.0, "B": 900.0, "alpha": 0.34, "beta": 0.3, "k": 0.5, "p": 0.3, "q": 0.1}
VALUES |= {"m": 0.01, "r": 0.4, "h_lr": 0.04, "h_batch": 0.02, "h_both": -0.3}


@pytest.fixture
def sweeps(made_fit):
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"N": 10 ** rng.uniform(7, 9, 40), "D": 10 ** rng.uniform(9, 11, 40)})
    table["lr"], table["batch"] = 10 ** rng.uniform(-3, -1, 40), 10 ** rng.uniform(1, 3, 40)
    table["loss"] = np.asarray(sb.laws.step_law(*table.to_numpy().T, **VALUES))
    runs = sb.read_runs(table, inputs={name: name for name in ("N", "D", "lr", "batch")}, response="loss")
    rng = np.random.default_rng(1)
    drawn = VALUES | {"k": 0.5 * np.exp(0.1 * rng.normal(size=400))}
    return made_fit(sb.Model(sb.laws.step_law, runs), drawn)


def test_the_optimum_of_each_draw_is_that_of_the_law(sweeps):
    answer = sb.tune(sweeps, at={"N": [1e8, 1e9], "D": 2e10})
    k = sweeps.posterior["k"].to_numpy().ravel()
    for i, N in enumerate((1e8, 1e9)):
        lr = k * N**-0.3 * 2e10**0.1
        np.testing.assert_allclose(answer.draws["lr"].isel(group=0, point=i), lr, rtol=1e-5)
        np.testing.assert_allclose(answer.draws["batch"].isel(group=0, point=i), 0.01 * 2e10**0.4, rtol=1e-5)
        row = answer.table.iloc[i]
        assert row["lr_median"] == pytest.approx(np.median(lr), rel=1e-4)
        assert (row["lr_lower"], row["lr_upper"]) == pytest.approx(tuple(np.quantile(lr, [0.055, 0.945])), rel=1e-4)
        assert row["lr_unbounded"] == row["batch_unbounded"] == 0
        # The loss of a setting is a parabola in its logarithm: the best one is the mean, and what it is expected to
        # lose is half the curvature times the variance.
        assert row["lr_best"] == pytest.approx(np.exp(np.log(lr).mean()), rel=0.01)
        lowest = sb.laws.chinchilla(N, 2e10, **{name: VALUES[name] for name in ("E", "A", "B", "alpha", "beta")})
        assert row["regret"] == pytest.approx(float(lowest) * 0.5 * 0.04 * np.log(lr).var(), rel=0.15)
    assert "at N = 1e8, D = 2e10, the best setting is lr = " in str(answer)
    assert len(answer.to_dict()["settings"]) == 2
    assert len(sb.plot_tuning(answer).axes) == 2


def test_settings_within_the_margin_lie_where_the_parabola_says(sweeps):
    row = sb.tune(sweeps, at={"N": 1e9, "D": 2e10}, margin=0.02).table.iloc[0]
    height = 0.02 / row["response"]
    width = np.sqrt(2 * height / 0.02)  # along the batch, whose curvature is 0.02
    assert np.log(row["batch_near_upper"] / row["batch_best"]) == pytest.approx(width, abs=0.15)
    assert np.log(row["batch_best"] / row["batch_near_lower"]) == pytest.approx(width, abs=0.15)


def test_one_setting_may_be_tuned_while_the_other_is_held(sweeps):
    answer = sb.tune(sweeps, over="lr", at={"N": 1e9, "D": 2e10, "batch": 1000.0})
    # Off the best batch the best learning rate moves along the bowl.
    v = np.log(1000.0 / (0.01 * 2e10**0.4))
    moved = 0.3 * np.sqrt(0.02 / 0.04) * v
    expected = np.log(0.5 * 1e9**-0.3 * 2e10**0.1) + moved
    assert np.log(answer.table["lr_median"].item()) == pytest.approx(expected, abs=0.02)


def test_an_optimum_that_the_runs_do_not_show_is_said(made_fit):
    table = pd.DataFrame({"x": np.geomspace(1e6, 1e8, 10), "y": np.linspace(0.9, 0.5, 10)})
    runs = sb.read_runs(table, inputs={"x": "x"}, response="y")
    fit = made_fit(sb.Model(sb.laws.u_shape, runs), {"y_0": 0.2, "k": 0.01, "x_0": 1e12}, draws=4)
    said = str(sb.tune(fit))
    assert "100% of the draws have no optimum within a factor of 10 of the runs" in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "the best lr and batch depends on N: at={'N': value}."),
        ({"at": {"N": 1e9}}, "the best lr and batch depends on D: at={'D': value}."),
        (
            {"at": {"N": 1e9, "D": 1e10, "x": 1.0}},
            "at names 'x', which is no input of step_law that is held; those are N, D.",
        ),
        ({"at": {"N": [1e9, 1e8], "D": [1e10] * 3}}, "at has values of different lengths: {'N': 2, 'D': 3}."),
        (
            {"over": "depth"},
            "one to three positive scales of step_law are tuned, out of N, D, lr, batch; got 'depth'.",
        ),
    ],
)
def test_a_setting_that_cannot_be_found_is_refused(sweeps, refuses, arguments, message):
    with refuses(ValueError, message):
        sb.tune(sweeps, **arguments)


def test_a_law_without_an_optimum_needs_its_inputs_named(point_fit, refuses):
    message = (
        "chinchilla does not say which of its inputs have an optimum: name those that do, over=('N',); it has N, D."
    )
    with refuses(ValueError, message):
        sb.tune(point_fit)
