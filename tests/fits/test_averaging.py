"""Averages of fits: mixtures, weights, and leaving one run out along a curve."""

import re

import numpy as np
import pandas as pd
import pytest

import scalebayes as sb
from scalebayes.fits.averaging import for_loo, mixed, stacked


def test_a_mixture_takes_from_each_in_proportion():
    parts = [np.zeros((400, 2)), np.ones((100, 2))]
    assert mixed(parts, [0.5, 0.5]).shape == (200, 2)
    assert mixed(parts, [0.5, 0.5]).mean() == 0.5
    assert mixed(parts, [0.75, 0.25]).mean() == 0.25
    # A mixture of one part is every draw of it, in order.
    np.testing.assert_array_equal(mixed([np.arange(7.0)], [1.0]), np.arange(7.0))


def test_stacking_finds_the_weights_that_a_grid_finds():
    rng = np.random.default_rng(1)
    log_density = np.log(rng.gamma(1.0, 1.0, (40, 2)))
    grid = np.linspace(0, 1, 10_001)
    score = np.log(np.exp(log_density) @ np.stack([grid, 1 - grid])).sum(0)
    assert stacked(log_density)[0] == pytest.approx(grid[score.argmax()], abs=2e-3)
    # One that is always better has all the weight.
    np.testing.assert_allclose(stacked(np.stack([np.zeros(9), -np.arange(1.0, 10)], 1)), [1, 0])


def test_an_average_hides_no_divergences_of_one_fit(powers):
    good, bad = (powers(np.full((2, 400), 30.0), np.full((2, 400), 0.05)) for _ in range(2))
    bad.idata["sample_stats"]["diverging"][0, :3] = True  # 0.75% of one fit, 0.375% of both
    bad = sb.Fit(bad.model, bad.idata)
    (problem,) = sb.average({"good": good, "bad": bad}).diagnostics.problems
    assert problem == "3 of 400 draws diverged"


@pytest.mark.fits
def test_an_average_forecasts_the_mixture_of_its_fits(two_fits):
    at = {"D": [1e10, 1e11]}
    average = sb.average(two_fits)
    assert dict(average.weights) == {"power_floor+drift": 0.5, "power_floor": 0.5}
    whole = sb.forecast(average, at=at, seed=3)
    parts = [sb.forecast(fit, at=at, seed=3).draws["new_run"].to_numpy().reshape(-1, 2) for fit in two_fits]
    together = np.concatenate(parts)
    assert whole.draws["new_run"].shape == (1, len(together), 2)
    expected = np.quantile(together, [0.055, 0.945], axis=0)
    # Equal up to other random numbers of drift and scatter.
    for name, values in zip(("new_run_lower", "new_run_upper"), expected, strict=True):
        np.testing.assert_allclose(np.log(whole.table[name]), np.log(values), atol=0.03)
    assert "average of power_floor+drift, power_floor" in whole.law
    assert "up to 33x beyond the known ones, and farther out they have not been tested." in str(whole)
    assert whole.diagnostics.draws == max(fit.diagnostics.draws for fit in two_fits)
    assert whole.diagnostics.divergences == max(fit.diagnostics.divergences for fit in two_fits)
    assert whole.diagnostics.max_r_hat == max(fit.diagnostics.max_r_hat for fit in two_fits)
    only = sb.average({"one": two_fits[0], "other": two_fits[1]}, weights={"one": 2, "other": 0})
    pd.testing.assert_frame_equal(sb.forecast(only, at=at, seed=3).table, sb.forecast(two_fits[0], at=at, seed=3).table)


@pytest.mark.fits
@pytest.mark.filterwarnings("ignore:Estimated shape parameter")  # ArviZ warns where LOO is unreliable
def test_leaving_one_out_stacks_by_arviz(two_fits):
    average = sb.average(two_fits, weights="loo")
    assert sum(average.weights.values()) == pytest.approx(1)
    assert average.how == "loo"
    drifting, plain = two_fits
    # A run of a drifting curve is predicted better given all others than given those before it.
    likelihood = {
        how: float(tree["log_likelihood"].to_dataset().to_dataarray().mean())
        for how, tree in (("given", for_loo(drifting)), ("before", drifting.idata))
    }
    assert likelihood["given"] > likelihood["before"]
    assert for_loo(plain) is plain.idata


@pytest.mark.fits
def test_fits_are_weighted_by_their_forecasts_of_the_largest_runs(two_fits):
    average = sb.average(two_fits, weights="holdout", share=0.3)
    assert sum(average.weights.values()) == pytest.approx(1)
    assert "holdout weights" in repr(average)


@pytest.mark.fits
def test_separate_curves_fitted_in_one_go_are_forecast_as_each_by_itself(two_fits, one_curve):
    # So the average of a pooled and a separate fit, both to all curves, is what a back-test scores.
    tables = [one_curve(seed=seed).table.assign(curve=name) for name, seed in (("a", 0), ("b", 5))]
    runs = sb.read_runs(pd.concat(tables), inputs={"D": "n_tokens"}, response="loss", group="curve")
    apart = sb.fit(sb.laws.power_floor, runs, discrepancy="drift", pooling="separate", draws=500)
    pooled = sb.fit(sb.laws.power_floor, runs, discrepancy="drift", draws=500)
    at = {"D": [3e9, 1e10]}
    one = np.log(sb.forecast(apart, at=at, group="a").draws["new_run"].to_numpy().reshape(-1, 2))
    alone = np.log(sb.forecast(two_fits[0], at=at).draws["new_run"].to_numpy().reshape(-1, 2))
    # Each has about 1000 independent draws; both tolerances are about four standard errors.
    np.testing.assert_allclose(one.mean(0), alone.mean(0), atol=4 * (2 / 1000) ** 0.5 * alone.std(0).max())
    widths = [np.subtract(*np.quantile(draws, [0.75, 0.25], axis=0)) for draws in (one, alone)]
    np.testing.assert_allclose(*widths, rtol=0.2)
    means = [
        float(sb.forecast(fit, at=at, group="a").draws["mean_response"][..., 1].median()) for fit in (pooled, apart)
    ]
    both = sb.forecast(sb.average({"pooled": pooled, "apart": apart}), at=at, group="a").table["median"][1]
    assert min(means) * 0.999 <= both <= max(means) * 1.001


@pytest.mark.fits
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: sb.average(f[:1]), "two fits or more are needed, got 1."),
        (lambda f: sb.average([f[0], f[0]]), "two of the fits are power_floor+drift; name them"),
        (
            lambda f: sb.average(f, weights="best"),
            "weights are 'equal', 'loo', 'bootstrap', 'holdout' or a mapping of names to numbers, got 'best'.",
        ),
        (
            lambda f: sb.average(f, weights={"power_floor": 1}),
            "weights are given for power_floor, and the fits are power_floor+drift, power_floor.",
        ),
        (
            lambda f: sb.average({"a": f[0], "b": f[1]}, weights={"a": 1, "b": -1}),
            "weights are numbers from 0 on, not all of them 0; got {'a': 1, 'b': -1}.",
        ),
    ],
)
def test_what_is_no_average_is_refused(two_fits, change, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        change(two_fits)


@pytest.mark.fits
def test_an_average_is_of_the_same_runs(two_fits, one_curve):
    other = sb.fit(sb.laws.power_floor, one_curve(seed=5), draws=300, discrepancy=None)
    with pytest.raises(ValueError, match="fits of the same runs are needed; other has 16 from table"):
        sb.average({"one": two_fits[1], "other": other})


@pytest.mark.fits
@pytest.mark.parametrize("seed", [1])
def test_whether_groups_differ_at_all_is_not_erased_by_a_weight_of_zero(seed):
    rng, C = np.random.default_rng(seed), np.geomspace(1e18, 1e21, 9)
    weights = []
    for factor in (1.0, 1.06):
        parts = [
            pd.DataFrame(
                {"flops": C, "loss": (1.7 + a * 30 * C**-0.08) * np.exp(0.004 * rng.normal(size=9)), "arch": name}
            )
            for name, a in (("one", 1.0), ("other", factor))
        ]
        runs = sb.read_runs(pd.concat(parts, ignore_index=True), inputs={"C": "flops"}, response="loss", group="arch")
        fits = {
            how: sb.fit(sb.laws.power_floor, runs, discrepancy=None, pooling=pooling)
            for how, pooling in (("each", None), ("one", "shared"))
        }
        weights.append(sb.average(fits, weights="bootstrap").weights["each"])
        if factor == 1.0:
            stacked = sb.average(fits, weights="loo")
            assert stacked.weights["each"] < 0.01
            assert (
                stacked.diagnostics.remarks[0] == "each has a weight below 0.01: the answer is that of the other fits."
            )
    assert 0.05 < weights[0] < 0.9
    assert weights[1] > 0.8
