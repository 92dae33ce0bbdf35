"""Accuracies on a known number of items."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import scalebayes as sb
from scalebayes.observations.density import log_density

TRUTH = {"low": 0.25, "high": 0.9, "middle": 1e21, "slope": 0.4, "concentration": 400.0}
PRIORS = {
    "low": sb.Share(logit=-1.1, sd=0.3),
    "high": sb.Share(logit=2.2, sd=0.5),
    "middle": sb.LogNormal(median=1e21, spread=1.0),
    "slope": sb.LogNormal(median=0.4, spread=0.3),
}


def rising(C, *, low, high, middle, slope):
    """An accuracy that leaves a guess for a ceiling."""
    return low + (high - low) / (1 + (C / middle) ** -slope)


def _table(seed, truth=TRUTH, n=24):
    rng = np.random.default_rng(seed)
    C = np.geomspace(1e18, 1e23, n)
    items = np.where(np.arange(n) % 2, 500, 1200)
    mean = rising(C, **{name: truth[name] for name in PRIORS})
    accuracy = sb.BetaBinomial(items="items").draw(mean, truth, {"items": items}, rng)
    return pd.DataFrame({"flops": C, "items": items, "accuracy": accuracy})


def _model(table):
    runs = sb.read_runs(table, inputs={"C": "flops"}, response="accuracy", better="higher")
    return sb.Model(rising, runs, priors=PRIORS, observation=sb.BetaBinomial(items="items"), discrepancy=None)


def test_its_density_is_that_of_a_beta_binomial():
    observation, items = sb.BetaBinomial(items="items"), np.array([500.0, 1200.0])
    found = log_density(
        observation, np.array([0.3, 0.75]), np.array([0.35, 0.7]), {"concentration": 400.0}, {"items": items}
    )
    expected = stats.betabinom([500, 1200], 400 * np.array([0.35, 0.7]), 400 * np.array([0.65, 0.3])).logpmf([150, 900])
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_its_draws_have_the_mean_and_variance_stated():
    rng, n, f, phi = np.random.default_rng(0), 500, 0.3, 50.0
    drawn = sb.BetaBinomial(items="items").draw(np.full(100_000, f), {"concentration": phi}, {"items": n}, rng)
    variance = f * (1 - f) * (phi + n) / (n * (phi + 1))
    assert drawn.mean() == pytest.approx(f, abs=4.5 * np.sqrt(variance / 1e5))
    assert drawn.var() == pytest.approx(variance, rel=0.03)
    assert set(np.round(drawn[:100] * n, 6) % 1) == {0.0}


def test_a_discrepancy_is_refused_with_what_to_use_instead(refuses):
    runs = sb.read_runs(_table(0), inputs={"C": "flops"}, response="accuracy")
    message = (
        "a beta-binomial observation has no standard deviation on a scale for 'drift' to act on; fit without "
        "discrepancy, or take sb.StudentT() or sb.Gaussian()."
    )
    with refuses(ValueError, message):
        sb.Model(rising, runs, priors=PRIORS, observation=sb.BetaBinomial(items="items"), discrepancy="drift")


def test_what_are_no_counts_and_a_column_that_is_not_there_are_refused(refuses):
    table = _table(0)
    table.loc[3, "accuracy"] = 0.30031
    table.loc[5, "accuracy"] = 1.2
    message = (
        "column 'accuracy' (the response) must hold shares of the items, between 0 and 1, which times the items are "
        "whole numbers; 2 of 24 rows are not possible (row 3: 0.30031, row 5: 1.2). Correct them, or leave them out "
        "with where (command line: --where)."
    )
    with refuses(ValueError, message):
        _model(table)
    message = (
        "items is to be column 'item', which table does not have (did you mean 'items'?); its columns are 'flops', "
        "'items', 'accuracy'."
    )
    runs = sb.read_runs(_table(0), inputs={"C": "flops"}, response="accuracy")
    with refuses(ValueError, message):
        sb.Model(rising, runs, priors=PRIORS, observation=sb.BetaBinomial(items="item"), discrepancy=None)


@pytest.mark.fits
def test_a_fit_forecasts_accuracies_of_new_runs_and_is_saved(tmp_path):
    table = _table(1)
    table.loc[0, "accuracy"] = 0.0  # a zero is a count
    settings = {"priors": PRIORS, "observation": sb.BetaBinomial(items="items"), "draws": 500, "discrepancy": None}
    with pytest.warns(sb.RunsWarning, match=r"1 of 24 runs lie below .* its guess level is too high"):
        fit = sb.fit(_model(table).law, _model(table).runs, **settings)
    assert not fit.diagnostics.problems
    points = {"C": [1e24, 1e30], "items": 1000}
    found = sb.forecast(fit, at=points)
    assert ((found.table["new_run_upper"] <= 1) & (found.table["new_run_lower"] >= 0)).all()
    new = found.draws["new_run"].to_numpy() * 1000
    np.testing.assert_allclose(new, np.round(new), atol=1e-6)
    with pytest.raises(
        ValueError, match=r"a new run needs 'items' \(items\) at each point, which differs between the runs"
    ):
        sb.forecast(fit, at={"C": 1e24})
    fit.save(tmp_path / "fit.nc")
    loaded = sb.load(tmp_path / "fit.nc", law=rising)
    assert sb.forecast(loaded, at=points).table.equals(found.table)
    reached = sb.reach(fit, target=0.5, axis="C").table.iloc[0]
    assert reached["lower"] < 1e21 * (0.25 / 0.4) ** (1 / 0.4) < reached["upper"]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*fits failed or have not converged:scalebayes.ConvergenceWarning")
def test_parameters_of_simulated_tables_are_recovered():
    """89% intervals cover the truths of 100 simulated tables, drawn from the prior; a binomial test at 1e-4."""
    rng = np.random.default_rng(5)
    prior = _model(_table(0)).prior(100, seed=3)["prior"].to_dataset()
    truths = [{name: float(prior[name][0, i]) for name in (*PRIORS, "concentration")} for i in range(100)]
    seeds = rng.integers(1 << 30, size=100)
    fleet = sb.fit_many({str(i): _model(_table(seeds[i], truths[i])) for i in range(100)}, draws=500)
    fits = {name: fleet[name] for name in fleet if fleet.table.loc[name, "converged"]}
    assert len(fits) >= 95
    for parameter in truths[0]:
        held = 0
        for name, fit in fits.items():
            low, high = np.quantile(fit.posterior[parameter], [0.055, 0.945])
            held += low <= truths[int(name)][parameter] <= high
        assert stats.binomtest(held, len(fits), 0.89).pvalue > 1e-4, (parameter, held)
