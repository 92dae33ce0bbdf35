"""Ratings, accuracies and counts of two groups: every question answers, and speaks in the response's own units."""

import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

import scalebayes as sb

pytestmark = pytest.mark.fits

C = np.geomspace(1e18, 1e22, 16)


def rating(C, *, a, b):
    return a + b * jnp.log(C / 1e20)


def accuracy(C, *, a, b):
    return 0.25 + 0.7 / (1 + jnp.exp(-a - b * jnp.log(C / 1e20)))


OF_RATING = {"a": sb.pooled(sb.Normal(0, 200), spread=50.0), "b": sb.pooled(sb.Normal(60, 20), spread=5.0)}
OF_SHARE = {"a": sb.pooled(sb.Normal(0, 1), spread=0.5), "b": sb.pooled(sb.Normal(0.4, 0.2), spread=0.1)}
CASES = {
    "identity": (rating, OF_RATING, sb.Gaussian(sb.LogNormal(10, 1), scale="identity"), (-20.0, 60.0)),
    "logit": (accuracy, OF_SHARE, sb.StudentT(scale="logit"), (0.0, 0.4)),
    "binomial": (accuracy, OF_SHARE, sb.Binomial(items="items"), (0.0, 0.4)),
}


def _fit(case):
    law, priors, observation, (a, b) = CASES[case]
    rng, tables = np.random.default_rng(2), []
    for name, shift in (("one", 0.0), ("two", 0.1)):
        mean = np.asarray(law(C, a=a + shift * abs(b), b=(1 + shift) * b))
        values = {"sigma": {"identity": 8.0, "logit": 0.05}.get(case, 0.0), "nu": 10.0}
        y = observation.draw(mean, values, {"items": np.full(len(C), 200.0)}, rng)
        tables.append(pd.DataFrame({"flops": C, "y": y, "items": 200.0, "arch": name}))
    runs = sb.read_runs(pd.concat(tables), inputs={"C": "flops"}, response="y", group="arch", better="higher")
    return sb.fit(law, runs, priors=priors, observation=observation)


@pytest.fixture(scope="module", params=CASES)
def case(request):
    return request.param, _fit(request.param)


def test_a_forecast_lies_where_the_law_does(case):
    name, fit = case
    law, _, _, (a, b) = CASES[name]
    assert not fit.diagnostics.problems
    points = {"C": [1e23], "items": [200]} if name == "binomial" else {"C": [1e23]}
    row = sb.forecast(fit, at=points, group="one").table.iloc[0]
    assert row["lower"] < float(law(1e23, a=a, b=b)) < row["upper"]


def test_decisions_take_high_for_good(case):
    name, fit = case
    points = {"identity": 200.0}.get(name, 0.7)
    reached = sb.reach(fit, target=points, axis="C").table.set_index("group")
    assert (reached["median"] > 1e20).all()
    assert reached.loc["two", "median"] < reached.loc["one", "median"]
    risk = sb.crossover(fit, axis="C", to=1e24)
    assert risk.winner == "two"
    compared = sb.compare(fit, target=points)
    assert "one needs" in str(compared) or "two needs" in str(compared)
    assert compared.speed["p_faster"].iloc[0] < 0.5


def test_misfit_and_pictures_are_in_the_units_of_the_response(case):
    _, fit = case
    found = sb.misfit(fit)
    assert "%" not in str(found).splitlines()[0].partition(";")[2]
    assert found.table["off"].to_numpy() == pytest.approx(found.table["response"] - found.table["median"])
    (axes,) = sb.plot_misfit(found).axes
    assert axes.get_ylabel() == "y less its median"
    assert all(panel.get_yscale() == "linear" for panel in sb.plot(fit).axes if panel.get_title())


def test_a_back_test_has_errors_on_the_scale(case):
    name, fit = case
    found = sb.backtest(fit, cutoffs=[0.1], draws=300)
    assert found.scale == fit.model.observation.scale.name
    said = str(found)
    assert ("in log-odds (RMSE)" in said) == (name != "identity")
    assert "RMSLE" not in said
    assert found.curves["coverage_89"].mean() > 0.5
    squares = found.baselines.query("method == 'least_squares_rating' or method == 'least_squares_accuracy'")
    assert np.isfinite(squares["rmsle"]).all()
