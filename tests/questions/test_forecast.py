"""Forecasts, exact on a posterior made by hand and sensible on a real one."""

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import scalebayes as sb


def test_forecast_from_a_point_posterior_equals_the_law(point_fit):
    row = sb.forecast(point_fit, at={"N": 70e9, "D": 1.4e12}).table.iloc[0]
    for column in ("mean", "median", "lower", "upper", "new_run_lower", "new_run_upper"):
        assert row[column] == pytest.approx(1.936645470558717, rel=1e-10)


def test_extrapolation_is_the_factor_of_the_input_exceeded_most(point_fit):
    table = sb.forecast(point_fit, at={"N": [70e9, 1e9, 2e10], "D": [1.4e12, 1e10, 1e10]}).table
    assert table["extrapolation"].tolist() == pytest.approx([70.0, 1.0, 2.0])
    assert table["extrapolated"].tolist() == ["D", "", "N"]


def test_points_may_be_a_table_a_mapping_or_a_dataset(pile_fit):
    mapping = sb.forecast(pile_fit, at={"C": [1e22, 1e23]}, group="Pythia").table
    frame = sb.forecast(pile_fit, at=pd.DataFrame({"flops": [1e22, 1e23]}), group="Pythia").table
    dataset = sb.forecast(pile_fit, at=xr.Dataset({"C": ("plan", [1e22, 1e23])}), group="Pythia").table
    with_group = sb.forecast(pile_fit, at=pd.DataFrame({"C": [1e22, 1e23], "family": "Pythia"})).table
    for other in (frame, dataset, with_group):
        pd.testing.assert_frame_equal(mapping, other)


def test_bands_of_many_points_are_of_all_draws_though_fewer_are_kept(pile_fit, monkeypatch):
    at = {"C": np.geomspace(1e20, 1e23, 20)}
    whole = sb.forecast(pile_fit, at=at)
    monkeypatch.setattr("scalebayes.questions.forecast._MOST_NUMBERS", 30_000)
    parts = sb.forecast(pile_fit, at=at)
    exact = [c for c in whole.table.columns if not c.startswith("new_run")]
    pd.testing.assert_frame_equal(parts.table[exact], whole.table[exact])
    width = whole.table["new_run_upper"] - whole.table["new_run_lower"]
    assert (np.abs(parts.table["new_run_lower"] - whole.table["new_run_lower"]) < 0.2 * width).all()
    samples = pile_fit.posterior.sizes["draw"] * 4
    assert whole.draws["new_run"].size == samples * 60
    assert 10_000 < parts.draws["new_run"].size <= 60_000
    middle = parts.draws["mean_response"].median(("chain", "draw"))
    assert np.allclose(middle, whole.table["median"], rtol=0.02)


def test_bands_of_a_new_run_are_wider_than_the_means(pile_fit):
    answer = sb.forecast(pile_fit, at={"C": np.geomspace(1e20, 2e22, 8)})
    table = answer.table
    assert len(table) == 8 * 3
    # A band at one point has the error of a quantile of 4000 draws, so widths are compared over all points.
    width = np.log(table["upper"] / table["lower"])
    new = np.log(table["new_run_upper"] / table["new_run_lower"])
    assert (new / width).mean() > 1.1
    assert (new > 0.9 * width).all()
    assert (table["prior_upper"] - table["prior_lower"] > table["upper"] - table["lower"]).all()


def test_new_group_is_less_certain_than_a_known_one(pile_fit):
    known = sb.forecast(pile_fit, at={"C": 1e21}, group="Pythia").table.iloc[0]
    new = sb.forecast(pile_fit, at={"C": 1e21}, new_group=True).table.iloc[0]
    assert new["group"] == "(new)"
    assert new["upper"] - new["lower"] > 3 * (known["upper"] - known["lower"])


@pytest.mark.fits
def test_new_group_of_shared_parameters_is_like_any_other(pile_runs):
    model = sb.Model(sb.laws.power_floor, pile_runs, pooling="shared", discrepancy=None)
    fit = sb.sample(model, draws=300, seed=5)
    new = sb.forecast(fit, at={"C": 1e22}, new_group=True).table.iloc[0]
    known = sb.forecast(fit, at={"C": 1e22}, group="Pythia").table.iloc[0]
    assert (new["lower"], new["upper"]) == pytest.approx((known["lower"], known["upper"]), rel=1e-12)


def test_draws_of_a_forecast_carry_its_bands(pile_fit):
    answer = sb.forecast(pile_fit, at={"C": 1e23}, group="Pythia", prob=0.5)
    low, high = answer.draws["mean_response"].quantile([0.25, 0.75], ("chain", "draw"), method="nearest")
    assert answer.table.loc[0, "lower"] == pytest.approx(float(low.item()), rel=1e-12)
    assert answer.table.loc[0, "upper"] == pytest.approx(float(high.item()), rel=1e-12)


def test_forecast_reads_as_a_sentence(pile_fit):
    text = str(sb.forecast(pile_fit, at={"C": 2.4e23}, group="Pythia"))
    assert text.startswith("Pythia: at C = 2.4e23 the expected loss is ")
    assert "extrapolates 10x beyond the largest C" in text
    assert " divergence" in text


def test_unconverged_fit_leads_the_answer(pile_fit):
    bad = pile_fit.idata.copy()
    bad["sample_stats"]["diverging"] = xr.ones_like(bad["sample_stats"]["diverging"])
    text = str(sb.forecast(sb.Fit(pile_fit.model, bad), at={"C": 1e23}))
    assert text.startswith("NOT CONVERGED: 2000 of 2000 draws diverged")


@pytest.mark.fits
def test_the_prior_of_a_drifting_fit_widens_with_distance(two_fits):
    with_drift, without = (sb.forecast(fit, at={"D": [1e9, 1e13]}).table for fit in two_fits)
    width = np.log(with_drift["prior_upper"] / with_drift["prior_lower"])
    assert width[1] > width[0]
    assert (with_drift["prior_lower"] < with_drift["lower"]).all()
    assert (without["prior_lower"] < without["lower"]).all()


@pytest.mark.fits
@pytest.mark.parametrize("which", [0, 1])
def test_a_prior_too_steep_for_its_amplitude_leaves_its_band_a_number(two_fits, which):
    tree = two_fits[which].idata.copy(deep=True)
    tree["prior"]["alpha"][0, :5], tree["prior"]["A"][0, :5] = 40.0, np.inf  # (1e9)**40
    steep = replace(two_fits[which], idata=tree)
    row = sb.forecast(steep, at={"D": 1e10}).table.iloc[0]
    assert 0 < row["prior_lower"] < row["prior_upper"] < np.inf
    found = sb.crossover({"a": steep, "b": steep}, axis="D", to=1e10)
    assert found.prior_decision_risk == pytest.approx(0.5, abs=0.1)


@pytest.mark.fits
def test_a_change_of_schedule_ahead_is_said(two_fits):
    found = sb.forecast(two_fits[0], at={"D": [2e9, 1e10]}, schedule_change=5e9)
    assert found.table["schedule_change"].tolist() == [False, True]
    assert "A change of schedule lies between the runs and 1 of these points" in str(found)
    # A change among the runs is in the fit already.
    assert "schedule lies" not in str(sb.forecast(two_fits[0], at={"D": 1e10}, schedule_change=5e8))
    # A change at the largest run itself is not ahead of any point, however ratios are rounded.
    largest = float(two_fits[0].model.runs.x("D").max())
    points = largest * np.random.default_rng(0).uniform(2, 10, 400)
    assert not sb.forecast(two_fits[0], at={"D": points}, schedule_change=largest).table["schedule_change"].any()
    with pytest.raises(ValueError, match="schedule_change is a positive finite D, got -1"):
        sb.forecast(two_fits[0], at={"D": 1e10}, schedule_change=-1)


@pytest.mark.fits
def test_what_a_schedule_gains_moves_the_points_beyond_its_change_and_no_others(two_fits):
    points, gain = {"D": [2e9, 1e10]}, sb.LogNormal(0.03, 0.4)
    plain = sb.forecast(two_fits[0], at=points, schedule_change=5e9)
    found = sb.forecast(two_fits[0], at=points, schedule_change=5e9, schedule_gain=gain)
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
    # The same for an average and a gain of either sign; a change among the runs moves nothing.
    of_both = {"schedule_change": 5e9, "schedule_gain": sb.Normal(0.03, 1e-9)}
    mixture = sb.average(list(two_fits))
    ratio = sb.forecast(mixture, at=points, **of_both).table["median"] / sb.forecast(mixture, at=points).table["median"]
    np.testing.assert_allclose(ratio, [1.0, np.exp(-0.03)], rtol=1e-6)
    seen = sb.forecast(two_fits[0], at=points, schedule_change=5e8, schedule_gain=gain)
    assert seen.draws.equals(sb.forecast(two_fits[0], at=points).draws)


@pytest.mark.fits
def test_a_gain_that_cannot_be_is_refused(two_fits):
    with pytest.raises(ValueError, match=re.escape("say where it lies, schedule_change=, in D.")):
        sb.forecast(two_fits[0], at={"D": 1e10}, schedule_gain=sb.LogNormal(0.03, 0.4))
    with pytest.raises(
        TypeError, match=re.escape("schedule_gain is a LogNormal or a Normal, such as LogNormal(median=0.023")
    ):
        sb.forecast(two_fits[0], at={"D": 1e10}, schedule_change=5e9, schedule_gain=0.03)
