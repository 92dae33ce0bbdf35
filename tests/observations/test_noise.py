"""Noise: its priors, and the messages that refuse impossible numbers."""

import json

import jax.numpy as jnp
import numpy as np
import pandas as pd
import pymc as pm
import pytest
from scipy import stats

import scalebayes as sb
from scalebayes.fits.description import described, made
from scalebayes.observations.density import log_density

RATING = {"a": sb.Normal(0, 200), "b": sb.Normal(60, 20)}


def rating(C, *, a, b):
    return a + b * jnp.log(C / 1e20)


def test_a_bare_prior_of_the_noise_is_shared(refuses):
    assert sb.Gaussian(sigma=sb.LogNormal(0.01, 1.0)).sigma == sb.shared(sb.LogNormal(0.01, 1.0))
    with refuses(ValueError, "Gamma needs a positive number for shape, got -1."):
        sb.StudentT(nu=sb.Gamma(-1, 0.2))
    with refuses(
        ValueError, "nu of a Student-t is shared by all groups, got separate(LogNormal(median=9.0, spread=1.0))."
    ):
        sb.StudentT(nu=sb.separate(sb.LogNormal(9.0, 1.0)))


def test_noise_has_a_default_width_on_every_scale(refuses):
    assert sb.Gaussian(scale="logit").sigma == sb.shared(sb.LogNormal(0.1, 1.0))
    assert sb.StudentT().scale == sb.StudentT(scale="log").scale
    assert sb.Gaussian(scale="identity").sigma == sb.shared(sb.RangeShare(0.02, 1.5))
    with refuses(ValueError, "scale is 'log', 'identity', 'logit', got 'sqrt'."):
        sb.StudentT(scale="sqrt")


def test_what_is_no_column_and_no_count_is_refused(refuses):
    with refuses(TypeError, "error is the column with the standard error of each response, got 0.1."):
        sb.Gaussian(error=0.1)
    with refuses(TypeError, "items is the column with the number of items, got 100."):
        sb.Binomial(items=100)
    with refuses(TypeError, "passes is a whole number from 1 on, or the column with it, got 0."):
        sb.NegativeBinomial(passes=0)


def test_ratings_may_be_negative_and_losses_may_not(refuses):
    table = pd.DataFrame({"flops": [1e18, 1e19, 1e20, 1e21], "elo": [-200.0, -80.0, 10.0, 150.0]})
    runs = sb.read_runs(table, inputs={"C": "flops"}, response="elo", better="higher")
    model = sb.Model(rating, runs, priors=RATING, observation=sb.Gaussian(sb.LogNormal(10, 1), scale="identity"))
    np.testing.assert_array_equal(model.numbers["observed_data"], table["elo"])
    assert model.why == (
        "the priors of a drift by default are those of losses on the logarithm, and the observation is on the identity "
        "scale; state a discrepancy to have one"
    )
    with refuses(
        ValueError,
        "column 'elo' (the response) must hold positive finite numbers; 2 of 4 rows are zero or negative (row 0: "
        "-200.0, row 1: -80.0). Correct them, or leave them out with where (command line: --where).",
    ):
        sb.Model(rating, runs, priors=RATING, discrepancy=None)


@pytest.mark.parametrize(
    ("observation", "y", "wrong"),
    [
        (sb.Gaussian(scale="logit"), [0.2, 0.5, 1.0, 0.7], [2]),
        (sb.Binomial(items="items"), [0.0, 1.0, 0.25, 0.3], [3]),
        (sb.Binomial(items="items", rounded=True), [0.0, 1.0, 0.25, 0.3], []),
        (sb.NegativeBinomial(passes=2), [0.0, 1.0, 0.25, 1.5], [0, 3]),
        (sb.Gaussian(error="items"), [1.0, 2.0, 3.0, 4.0], []),
    ],
)
def test_responses_that_are_not_possible_are_known(observation, y, wrong):
    columns = {role: np.full(4, 4.0) for role in observation.columns}
    found = observation.observed(np.asarray(y), columns)
    assert np.flatnonzero(~np.isfinite(found)).tolist() == wrong


@pytest.mark.parametrize("scale", ["log", "identity", "logit"])
def test_a_known_error_is_that_of_the_response(scale):
    noise = sb.Gaussian(sb.LogNormal(1e-9, 0.1), scale=scale, error="se")
    values, columns = {"sigma": np.asarray(1e-9)}, {"error": np.asarray(0.001)}
    drawn = noise.draw(np.full(20_000, 0.4), values, columns, np.random.default_rng(0))
    assert drawn.std() == pytest.approx(0.001, rel=0.03)
    wide = noise.widened(0.4, values, noise.scale.slope(0.4) ** 2 * 0.002**2)
    assert noise.sd(0.4, wide, columns) == pytest.approx(noise.scale.slope(0.4) * np.hypot(0.001, 0.002))
    # What a departure takes of the whole may be more than sigma's part.
    whole = noise.sd(0.4, values, columns) ** 2
    assert noise.sd(0.4, noise.widened(0.4, values, -0.9 * whole), columns) == pytest.approx(np.sqrt(0.1 * whole))
    assert noise.sd(0.4, noise.widened(0.4, values, -1.1 * whole), columns) == 0


def test_an_excess_is_never_below_the_law_and_has_the_density_of_pymc():
    noise, values = sb.ExGaussian(), {"sigma": np.asarray(0.01), "excess": np.asarray(0.03)}
    drawn = np.log(noise.draw(np.ones(20_000), values, {}, np.random.default_rng(1)))
    assert drawn.mean() == pytest.approx(0.03, rel=0.03)
    assert drawn.std() == pytest.approx(noise.sd(1.0, values, {}), rel=0.03)
    y = np.exp(np.linspace(-0.05, 0.2, 12))
    own = log_density(noise, y, np.ones(12), values, {})
    theirs = pm.logp(pm.ExGaussian.dist(mu=0.0, sigma=0.01, nu=0.03), np.log(y)).eval()
    np.testing.assert_allclose(own, theirs, rtol=1e-6)
    np.testing.assert_allclose(own, stats.exponnorm.logpdf(np.log(y), 3.0, scale=0.01), rtol=1e-6)
    # Thirty standard deviations below, an excess of next to nothing is all that is left.
    below = log_density(noise, np.exp([-0.3]), np.ones(1), values, {})
    assert below == pytest.approx(stats.norm.logpdf(-0.3, scale=0.01) + np.log(0.01**2 / (0.3 * 0.03)), abs=0.1)


def test_observations_are_stored_with_their_fields():
    for noise in (
        sb.Gaussian(sb.LogNormal(10, 1), scale="identity", error="se", growth=sb.Normal(0, 1)),
        sb.StudentT(scale="logit"),
        sb.ExGaussian(),
        sb.Binomial("items", rounded=True),
        sb.NegativeBinomial(3),
    ):
        assert made(json.loads(json.dumps(described(noise))), None, "observation", "fit.nc") == noise


@pytest.mark.parametrize("nu", [2.5, 4.0, 30.0])
def test_the_sd_of_heavy_tails_has_their_information_about_the_mean(nu):
    """One over the expected square of the slope of the log density, by its definition."""
    sigma, x = 0.02, np.linspace(-60, 60, 400_001)
    slope = (nu + 1) * x / (nu + x**2)  # of the log density, in units of sigma
    information = np.trapezoid(slope**2 * stats.t.pdf(x, nu), x) / sigma**2
    found = sb.StudentT().sd(2.0, {"sigma": sigma, "nu": nu}, {})
    assert found == pytest.approx(information**-0.5, rel=1e-4)
