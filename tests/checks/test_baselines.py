"""Baselines on curves for which they must be exact."""

import numpy as np
import pandas as pd
import pytest

import scalebayes as sb
from scalebayes.checks.baselines import bootstrap, carried, least_squares_fit, line, without_posterior


def test_rules_of_thumb():
    x = np.geomspace(1, 1000, 10)
    y = 3 * x**-0.4
    assert carried(x[::-1], y[::-1], np.array([1e4, 1e5])).tolist() == [y[-1]] * 2
    np.testing.assert_allclose(line(x, y, np.array([1e5])), 3 * 1e5**-0.4)


@pytest.mark.parametrize(
    ("law", "truth"),
    [
        (sb.laws.power_floor, {"E": 0.4, "A": 30.0, "alpha": 0.3}),
        (sb.laws.shifted_power, {"x_0": 3e7, "A": 50.0, "alpha": 0.3}),
        (sb.laws.power, {"A": 5.0, "alpha": 0.1}),
    ],
)
def test_least_squares_finds_the_law_that_made_the_runs(law, truth):
    D = np.geomspace(1e5, 1e9, 30)
    table = pd.DataFrame({"n_tokens": D, "loss": np.asarray(law(D.astype(np.float32), **truth), float)})
    runs = sb.read_runs(table.assign(x=D), inputs={"x": "x"}, response="loss")
    found, converged = least_squares_fit(law, runs, {})
    assert converged
    assert found == pytest.approx(truth, rel=0.01)
    drawn = bootstrap(law, runs, {}, found, [np.array([1e11])], draws=20)
    np.testing.assert_allclose(drawn, float(law(1e11, **truth)), rtol=1e-3)


@pytest.mark.fits
def test_an_amplitude_beyond_single_precision_is_judged():
    D = np.geomspace(1e7, 1e8, 12)
    loss = 0.5 + (D / 1e7) ** -6.0
    runs = sb.read_runs(pd.DataFrame({"x": D[:8], "loss": loss[:8]}), inputs={"x": "x"}, response="loss")
    found = without_posterior(sb.laws.power_floor, runs, {}, {"x": D[8:]}, loss[8:], 0)
    (own,) = [row for row in found if row["method"] == "least_squares_power_floor"]
    assert least_squares_fit(sb.laws.power_floor, runs, {})[0]["A"] > float(np.finfo(np.float32).max)
    assert own["rmsle"] < 1e-6


def test_least_squares_of_a_curve_that_rises_has_no_error_and_says_why():
    runs = sb.read_runs(pd.DataFrame({"D": np.geomspace(1e6, 1e8, 10), "loss": 0.3 + 0.01 * np.arange(10)}))
    rows = {
        row["method"]: row
        for row in without_posterior(sb.laws.power_floor, runs, {}, {"D": np.array([1e9])}, np.array([0.42]), 0)
    }
    assert np.isfinite(rows["carry_forward"]["rmsle"])
    for method in ("least_squares_power_floor", "bootstrap", "least_squares_power"):
        assert np.isnan(rows[method]["rmsle"])
        assert "rises with D" in rows[method]["problem"]
