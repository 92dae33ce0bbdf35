"""Convergence diagnostics agree with those of ArviZ."""

import numpy as np
import pytest
import xarray as xr
from arviz_stats.base import array_stats

from scalebayes.inference.diagnostics import worst, worst_of


def _draws(kind, chains, draws):
    noise = np.random.default_rng(7).normal(size=(chains, draws))
    if kind == "independent":
        return noise
    if kind == "ties":
        return np.round(noise, 1)
    if kind == "wandering":
        return np.cumsum(noise, axis=1) * 0.1
    if kind == "apart":
        return noise + np.arange(chains)[:, None]
    if kind == "whole numbers":
        return np.random.default_rng(7).poisson(3, (chains, draws))
    if kind == "two values":
        return (noise > 0).astype(int)
    if kind == "constant":
        return np.ones_like(noise)
    found = np.empty_like(noise)
    found[:, 0] = noise[:, 0]
    for t in range(1, draws):
        found[:, t] = (0.7 if kind == "slow" else -0.7) * found[:, t - 1] + noise[:, t]
    return found


@pytest.mark.parametrize(
    "kind", ["independent", "ties", "wandering", "apart", "slow", "turning", "constant", "whole numbers", "two values"]
)
@pytest.mark.parametrize(("chains", "draws"), [(4, 1000), (4, 401), (2, 50), (4, 9), (4, 5), (4, 4), (1, 300)])
def test_the_worst_of_one_number_is_arvizs(kind, chains, draws):
    x = _draws(kind, chains, draws)
    r_hat, bulk, tail = worst_of({"x": x})
    with np.errstate(invalid="ignore"):
        expected = array_stats.rhat(x, chain_axis=0, draw_axis=1)
    assert r_hat == pytest.approx(float(expected), abs=1e-12, nan_ok=True)
    assert bulk == pytest.approx(float(array_stats.ess(x, chain_axis=0, draw_axis=1)), rel=1e-12)
    expected = array_stats.ess(x, chain_axis=0, draw_axis=1, method="tail", prob=(0.05, 0.95))
    assert tail == pytest.approx(float(expected), rel=1e-12)


@pytest.mark.parametrize("draws", [1, 2, 3])
def test_a_few_draws_say_nothing(draws):
    assert np.isnan(worst_of({"x": _draws("independent", 4, draws)})).all()


def test_the_worst_of_all_numbers_is_said_and_nothing_hides_one_that_is_not_a_number():
    many = np.stack([_draws("independent", 4, 200) + i for i in range(40)], axis=-1).reshape(4, 200, 8, 5)
    many[:, :, 3, 2] = _draws("wandering", 4, 200)
    variables = {"many": many, "one": _draws("slow", 4, 200)}
    found = worst_of(variables)
    assert found == pytest.approx(worst_of({"x": many[:, :, 3, 2]}), rel=1e-12)
    dataset = xr.Dataset(
        {"many": (("a", "chain", "draw", "b"), np.moveaxis(many, 2, 0)), "one": (("chain", "draw"), variables["one"])}
    )
    assert worst(dataset) == found
    many[0, 0, 0, 0] = np.inf
    assert np.isnan(worst_of(variables)).all()
