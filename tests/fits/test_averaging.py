"""Averages of fits, leaving one run out along a curve, and how far an answer hangs on a prior."""

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import scalebayes as sb
from scalebayes.discrepancy.drift import between, given_others
from scalebayes.fits.averaging import for_loo, mixed, stacked


def _runs(n=16, seed=0):
    D = np.geomspace(1e6, 1e9, n)
    loss = (0.4 + 30 * D**-0.3) * np.exp(0.01 * np.random.default_rng(seed).normal(size=n))
    table = pd.DataFrame({"n_tokens": D, "loss": loss})
    return sb.read_runs(table, inputs={"D": "n_tokens"}, response="loss")


@pytest.fixture(scope="module")
def fits():
    """One law with drift and without."""
    runs = _runs()
    return [sb.fit(sb.laws.power_floor, runs, discrepancy=d, draws=500, seed=1) for d in ("drift", None)]


def test_each_run_given_the_others_has_the_conditional_density():
    rng = np.random.default_rng(0)
    distance, weight, error = (
        np.array([0.0, 0.3, 0.9, 2.0]),
        rng.uniform(0.2, 0.8, (3, 4)),
        0.05 * rng.normal(size=(3, 4)),
    )
    scales = {name: rng.uniform(0.1, 0.5, 3) for name in ("sigma", "drift", "rho", "ell", "kappa")}
    found = given_others(error, distance, weight, scales)
    for s in range(3):
        own = {name: value[s] for name, value in scales.items()}
        covariance = between(distance, weight[s], **own) + np.eye(4) * (1 - own["rho"]) * own["sigma"] ** 2
        for i in range(4):
            rest = np.delete(np.arange(4), i)
            gain = np.linalg.solve(covariance[np.ix_(rest, rest)], covariance[rest, i])
            spread = np.sqrt(covariance[i, i] - gain @ covariance[rest, i])
            assert found[s, i] == pytest.approx(stats.norm(gain @ error[s, rest], spread).logpdf(error[s, i]), abs=1e-9)


def test_a_mixture_takes_from_each_in_proportion():
    parts = [np.zeros((400, 2)), np.ones((100, 2))]
    assert mixed(parts, [0.5, 0.5]).shape == (200, 2)
    assert mixed(parts, [0.5, 0.5]).mean() == 0.5
    assert mixed(parts, [0.75, 0.25]).mean() == 0.25
    # Of one alone every draw, in order.
    np.testing.assert_array_equal(mixed([np.arange(7.0)], [1.0]), np.arange(7.0))


def test_stacking_finds_the_weights_that_a_grid_finds():
    rng = np.random.default_rng(1)
    log_density = np.log(rng.gamma(1.0, 1.0, (40, 2)))
    grid = np.linspace(0, 1, 10_001)
    score = np.log(np.exp(log_density) @ np.stack([grid, 1 - grid])).sum(0)
    assert stacked(log_density)[0] == pytest.approx(grid[score.argmax()], abs=2e-3)
    # One that is always better has all the weight.
    np.testing.assert_allclose(stacked(np.stack([np.zeros(9), -np.arange(1.0, 10)], 1)), [1, 0])


@pytest.mark.fits
def test_an_average_forecasts_the_mixture_of_its_fits(fits):
    at = {"D": [1e10, 1e11]}
    average = sb.average(fits)
    assert dict(average.weights) == {"power_floor+drift": 0.5, "power_floor": 0.5}
    whole = sb.forecast(average, at, seed=3)
    parts = [sb.forecast(fit, at, seed=3).draws["new_run"].to_numpy().reshape(-1, 2) for fit in fits]
    together = np.concatenate(parts)
    assert whole.draws["new_run"].shape == (1, len(together), 2)
    expected = np.quantile(together, [0.055, 0.945], axis=0)
    # Up to the noise of another draw of drift and scatter.
    for name, values in zip(("new_run_lower", "new_run_upper"), expected, strict=True):
        np.testing.assert_allclose(np.log(whole.table[name]), np.log(values), atol=0.03)
    assert "average of power_floor+drift, power_floor" in whole.law
    assert "Beyond 33x such bands have not been tested on published runs; sb.backtest tests them on your own." in str(
        whole
    )
    assert whole.diagnostics.draws == max(fit.diagnostics.draws for fit in fits)
    assert whole.diagnostics.divergences == max(fit.diagnostics.divergences for fit in fits)
    assert whole.diagnostics.max_r_hat == max(fit.diagnostics.max_r_hat for fit in fits)
    only = sb.average({"one": fits[0], "other": fits[1]}, weights={"one": 2, "other": 0})
    pd.testing.assert_frame_equal(sb.forecast(only, at, seed=3).table, sb.forecast(fits[0], at, seed=3).table)


@pytest.mark.fits
@pytest.mark.filterwarnings("ignore:Estimated shape parameter")  # ArviZ says how much LOO is worth
def test_leaving_one_out_stacks_by_arviz(fits):
    average = sb.average(fits, weights="loo")
    assert sum(average.weights.values()) == pytest.approx(1)
    assert average.how == "loo"
    drifting, plain = fits
    # Given all others a run of a drifting curve is foretold better than given those before it.
    likelihood = {
        how: float(tree["log_likelihood"].to_dataset().to_dataarray().mean())
        for how, tree in (("given", for_loo(drifting)), ("before", drifting.idata))
    }
    assert likelihood["given"] > likelihood["before"]
    assert for_loo(plain) is plain.idata


@pytest.mark.fits
def test_the_largest_runs_weigh_fits_by_what_they_foretold(fits):
    average = sb.average(fits, weights="holdout", share=0.3)
    assert sum(average.weights.values()) == pytest.approx(1)
    assert "holdout weights" in repr(average)


@pytest.mark.fits
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: sb.average(f[:1]), "two fits or more are needed, got 1."),
        (lambda f: sb.average([f[0], f[0]]), "two of the fits are power_floor+drift; name them"),
        (lambda f: sb.average(f, weights="best"), "weights are 'equal', 'loo', 'holdout' or a mapping of names to numbers, got 'best'."),
        (lambda f: sb.average(f, weights={"power_floor": 1}), "weights are given for power_floor, and the fits are power_floor+drift, power_floor."),
        (lambda f: sb.average({"a": f[0], "b": f[1]}, weights={"a": 1, "b": -1}), "weights are numbers from 0 on, not all of them 0; got {'a': 1, 'b': -1}."),
    ],
)  # fmt: skip
def test_what_is_no_average_is_refused(fits, change, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        change(fits)


@pytest.mark.fits
def test_an_average_is_of_the_same_runs(fits):
    other = sb.fit(sb.laws.power_floor, _runs(seed=5), draws=300)
    with pytest.raises(ValueError, match="fits of the same runs are needed; other has 16 from table"):
        sb.average({"one": fits[1], "other": other})


@pytest.mark.fits
def test_a_forecast_moves_with_the_prior_that_is_moved(fits):
    found = sb.sensitivity(fits[0], {"D": [1e10, 1e12]}, of=["drift", "alpha"], factor=3.0)
    table = found.table.set_index(["D", "prior", "factor"])
    assert len(table) == 2 * 5
    assert table["converged"].all()
    far = table.loc[1e12]
    assert far.loc[("as it is", 1.0), ["moved", "widened"]].tolist() == [0.0, 1.0]
    # More drift is a wider band; steeper laws go lower.
    assert far.loc[("drift", 3.0), "widened"] > 1.05
    assert far.loc[("alpha", 3.0), "median"] != far.loc[("alpha", 1 / 3), "median"]
    assert "with the prior of drift moved by 3: " in str(found)


@pytest.mark.fits
def test_separate_curves_fitted_in_one_go_are_forecast_as_each_by_itself(fits):
    # What makes the average of a pooled fit and a separate one, both to all curves, what a back-test scores.
    tables = [_runs(seed=seed).table.assign(curve=name) for name, seed in (("a", 0), ("b", 5))]
    runs = sb.read_runs(pd.concat(tables), inputs={"D": "n_tokens"}, response="loss", group="curve")
    apart = sb.fit(sb.laws.power_floor, runs, discrepancy="drift", pooling="separate", draws=500)
    pooled = sb.fit(sb.laws.power_floor, runs, discrepancy="drift", draws=500)
    at = {"D": [3e9, 1e10]}
    one = np.log(sb.forecast(apart, at, group="a").draws["new_run"].to_numpy().reshape(-1, 2))
    alone = np.log(sb.forecast(fits[0], at).draws["new_run"].to_numpy().reshape(-1, 2))
    # Of about a thousand independent draws each, so many standard errors of a mean and of a standard deviation.
    np.testing.assert_allclose(one.mean(0), alone.mean(0), atol=4 * (2 / 1000) ** 0.5 * alone.std(0).max())
    widths = [np.subtract(*np.quantile(draws, [0.75, 0.25], axis=0)) for draws in (one, alone)]
    np.testing.assert_allclose(*widths, rtol=0.2)
    means = [float(sb.forecast(fit, at, group="a").draws["mean_response"][..., 1].median()) for fit in (pooled, apart)]
    both = sb.forecast(sb.average({"pooled": pooled, "apart": apart}), at, group="a").table["median"][1]
    assert min(means) * 0.999 <= both <= max(means) * 1.001


@pytest.mark.fits
@pytest.mark.filterwarnings("ignore:Estimated shape parameter")  # ArviZ's, of leaving one run out: on some processors
def test_answers_about_several_fits_say_which_has_not_converged(fits):
    worse = fits[0].idata.copy()
    worse.attrs = {**worse.attrs, "max_r_hat": 1.2}
    bad = sb.Fit(fits[0].model, worse)
    laws = sb.compare({"bad": bad, "law": fits[1]})
    assert str(laws).startswith("NOT CONVERGED: bad: r-hat reaches 1.2")
    assert laws.table["problem"].map(bool).to_dict() == {"bad": True, "law": False}
    first, *moved = str(sb.sensitivity(bad, {"D": 1e10}, of=["drift"])).splitlines()
    assert ", NOT CONVERGED;" in first
    assert not any("NOT CONVERGED" in line for line in moved)


@pytest.mark.fits
@pytest.mark.parametrize(
    ("index", "options", "message"),
    [
        (0, {"of": ["gamma"]}, "there is no prior of 'gamma'; there are those of E, A, alpha, sigma, drift, kappa, rho, ell."),
        (0, {"factor": 0.5}, "factor is above 1 (the prior is moved by it and by its inverse), got 0.5."),
        (1, {}, "the fit has no drift and no misfit; name the priors to move, of=['E']."),
    ],
)  # fmt: skip
def test_what_cannot_be_moved_is_refused(fits, index, options, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        sb.sensitivity(fits[index], {"D": 1e10}, **options)


@pytest.mark.fits
@pytest.mark.parametrize("which", [0, 1])
def test_a_prior_too_steep_for_its_amplitude_leaves_its_band_a_number(fits, which):
    tree = fits[which].idata.copy(deep=True)
    tree["prior"]["alpha"][0, :5], tree["prior"]["A"][0, :5] = 40.0, np.inf  # (1e9)**40
    steep = replace(fits[which], idata=tree)
    row = sb.forecast(steep, {"D": 1e10}).table.iloc[0]
    assert 0 < row["prior_lower"] < row["prior_upper"] < np.inf
    found = sb.crossover({"a": steep, "b": steep}, axis="D", to=1e10)
    assert found.prior_decision_risk == pytest.approx(0.5, abs=0.1)


@pytest.mark.fits
def test_a_change_of_schedule_ahead_is_said(fits):
    found = sb.forecast(fits[0], {"D": [2e9, 1e10]}, schedule_change=5e9)
    assert found.table["schedule_change"].tolist() == [False, True]
    assert "A change of schedule lies between the runs and 1 of these points" in str(found)
    # One among the runs has been seen.
    assert "schedule lies" not in str(sb.forecast(fits[0], {"D": 1e10}, schedule_change=5e8))
    # At the largest run itself it lies ahead of none, however its ratio to a point is rounded.
    largest = float(fits[0].model.runs.x("D").max())
    places = largest * np.random.default_rng(0).uniform(2, 10, 400)
    assert not sb.forecast(fits[0], {"D": places}, schedule_change=largest).table["schedule_change"].any()
    with pytest.raises(ValueError, match="schedule_change is a positive finite D, got -1"):
        sb.forecast(fits[0], {"D": 1e10}, schedule_change=-1)


@pytest.mark.fits
def test_what_a_schedule_gains_moves_the_points_beyond_its_change_and_no_others(fits):
    places, gain = {"D": [2e9, 1e10]}, sb.LogNormal(0.03, 0.4)
    plain = sb.forecast(fits[0], places, schedule_change=5e9)
    found = sb.forecast(fits[0], places, schedule_change=5e9, schedule_gain=gain)
    taken = np.log(plain.draws / found.draws)
    for name in ("mean_response", "new_run"):
        assert (taken[name].isel(point=0) == 0).all()
        gains = taken[name].isel(point=1).to_numpy().ravel()
        assert np.median(gains) == pytest.approx(0.03, rel=0.05)
        assert np.log(gains).std() == pytest.approx(0.4, rel=0.1)
    np.testing.assert_allclose(taken["mean_response"], taken["new_run"], atol=1e-12)  # one run, one gain
    assert found.table["prior_upper"][1] < plain.table["prior_upper"][1]
    assert "of these points: there the response is taken to be 3.0% lower (89% interval 1.6 to 5.5%) for it" in str(
        found
    )
    # An average, and a gain of either sign, likewise; one of a change among the runs has been seen.
    of_both = {"schedule_change": 5e9, "schedule_gain": sb.Normal(0.03, 1e-9)}
    mixture = sb.average(list(fits))
    ratio = sb.forecast(mixture, places, **of_both).table["median"] / sb.forecast(mixture, places).table["median"]
    np.testing.assert_allclose(ratio, [1.0, np.exp(-0.03)], rtol=1e-6)
    seen = sb.forecast(fits[0], places, schedule_change=5e8, schedule_gain=gain)
    assert seen.draws.equals(sb.forecast(fits[0], places).draws)


@pytest.mark.fits
def test_a_gain_that_cannot_be_is_refused(fits):
    with pytest.raises(ValueError, match=re.escape("say where it lies, schedule_change=, in D.")):
        sb.forecast(fits[0], {"D": 1e10}, schedule_gain=sb.LogNormal(0.03, 0.4))
    with pytest.raises(
        TypeError, match=re.escape("schedule_gain is a LogNormal or a Normal, such as LogNormal(median=0.023")
    ):
        sb.forecast(fits[0], {"D": 1e10}, schedule_change=5e9, schedule_gain=0.03)


@pytest.mark.fits
def test_the_prior_of_a_drifting_fit_widens_with_distance(fits):
    with_drift, without = (sb.forecast(fit, {"D": [1e9, 1e13]}).table for fit in fits)
    width = np.log(with_drift["prior_upper"] / with_drift["prior_lower"])
    assert width[1] > width[0]
    assert (with_drift["prior_lower"] < with_drift["lower"]).all()
    assert (without["prior_lower"] < without["lower"]).all()
