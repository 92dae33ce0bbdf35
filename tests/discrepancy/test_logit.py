"""A drift acts on the observation's own scale: on log-odds it is calibrated by simulation."""

import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from scipy import stats

import scalebayes as sb
from scalebayes.discrepancy.walk import LEVEL

TABLES, RUNS, FARTHER = 100, 24, 10.0
TERM = sb.Drift(
    drift=sb.LogNormal(0.25, 0.4), kappa=sb.LogNormal(2.0, 0.3), rho=sb.Share(0.0, 1.0), ell=sb.LogNormal(0.4, 0.5)
)
NOISE = sb.Gaussian(sb.LogNormal(0.05, 0.4), scale="logit")
PRIORS = {"a": sb.Normal(0, 0.7), "b": sb.Normal(0.35, 0.1)}


def accuracy(C, *, a, b):
    """A logistic curve from 0 to 1."""
    return 1 / (1 + jnp.exp(-a - b * jnp.log(C / 1e20)))


def _model(table):
    runs = sb.read_runs(table, inputs={"C": "flops"}, response="accuracy", better="higher")
    return sb.Model(accuracy, runs, priors=PRIORS, observation=NOISE, discrepancy=TERM)


def _curve(rng, truth, x):
    """Departures at x, in logs: from the last known point on either side a slope that begins at 0 and wanders."""
    frontier, found = x[RUNS - 1], np.zeros(len(x))
    for side in (-1, 1):
        h = side * (x - frontier)
        fine = np.linspace(0, max(h.max(), 1e-6), 4000)
        step, slope = fine[1], np.zeros(len(fine))
        wander = truth["drift"] * np.sqrt(step) * rng.normal(size=len(fine))
        for i in range(1, len(fine)):
            slope[i] = slope[i - 1] * (1 - truth["kappa"] * step) + wander[i]
        g = np.concatenate([[0.0], np.cumsum(0.5 * (slope[1:] + slope[:-1])) * step])
        found = np.where(h > 0, np.interp(h, fine, g), found)
    return found + LEVEL * rng.normal()


def _noise(rng, truth, x):
    apart = np.abs(x[:, None] - x)
    covariance = truth["rho"] * np.exp(-apart / truth["ell"]) + (1 - truth["rho"]) * np.eye(len(x))
    return truth["sigma"] * np.linalg.cholesky(covariance + 1e-9 * np.eye(len(x))) @ rng.normal(size=len(x))


def test_a_departure_moves_the_mean_in_log_odds_and_never_beyond_0_or_1():
    scale, mean, departure = NOISE.scale, np.array([0.2, 0.9, 0.999]), np.array([3.0, -3.0, 5.0])
    moved = scale.bent(mean, 0.0, departure)
    np.testing.assert_allclose(scale.forward(moved), scale.forward(mean) + departure)
    assert ((moved > 0) & (moved < 1)).all()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*fits failed or have not converged:scalebayes.ConvergenceWarning")
def test_bands_of_a_drift_in_log_odds_cover_simulated_curves():
    rng = np.random.default_rng(0)
    x = np.append(np.linspace(np.log(1e18), np.log(1e21), RUNS), np.log(FARTHER * 1e21))
    empty = pd.DataFrame({"flops": np.exp(x[:RUNS]), "accuracy": 0.5})
    prior = _model(empty).prior(TABLES, seed=1)["prior"].to_dataset().isel(chain=0)
    models, mean_ahead, run_ahead = {}, [], []
    for i in range(TABLES):
        truth = {name: float(value.isel(draw=i)) for name, value in prior.data_vars.items()}
        logit = truth["a"] + truth["b"] * (x - np.log(1e20)) + _curve(rng, truth, x)
        noise = _noise(rng, truth, x)
        y = 1 / (1 + np.exp(-logit - noise))
        models[str(i)] = _model(empty.assign(accuracy=y[:RUNS]))
        mean_ahead.append(1 / (1 + np.exp(-logit[-1])))
        run_ahead.append(y[-1])
    fleet = sb.fit_many(models, draws=500)
    fits = {int(name): fleet[name] for name in fleet if fleet.table.loc[name, "converged"]}
    assert len(fits) >= 95
    bands = {i: sb.forecast(fit, at={"C": [FARTHER * 1e21]}).table.iloc[0] for i, fit in fits.items()}
    assert all(band["new_run_lower"] > 0 and band["new_run_upper"] < 1 for band in bands.values())
    for of, truth, ends in (
        ("mean", mean_ahead, ("lower", "upper")),
        ("new run", run_ahead, ("new_run_lower", "new_run_upper")),
    ):
        held = sum(band[ends[0]] <= truth[i] <= band[ends[1]] for i, band in bands.items())
        assert stats.binomtest(held, len(bands), 0.89).pvalue > 1e-4, (of, held, len(bands))
