"""Models before they are fitted: what their priors say, and how groups divide them."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

import scalebayes as sb


def test_prior_is_shown_before_anything_is_fitted(pile_runs):
    shown = sb.Model(sb.laws.power_floor, pile_runs, discrepancy=None).prior(200, seed=4)
    assert shown["prior"]["E"].dims == ("chain", "draw", "family")
    assert shown["prior_predictive"]["loss"].dims == ("chain", "draw", "run")
    low, high = shown["prior_predictive"]["loss"].quantile([0.05, 0.95])
    assert low < pile_runs.y.min()
    assert high > pile_runs.y.max()


def test_prior_shares_no_random_numbers_with_the_noise_a_simulation_draws_from_the_same_seed():
    runs = sb.read_runs(pd.DataFrame({"D": np.geomspace(1e8, 1e10, 8), "loss": np.linspace(3, 2, 8)}))
    model = sb.Model(sb.laws.power_floor, runs, discrepancy="drift")
    prior = model.prior(2000, seed=4)["prior"].to_dataset()
    noise = np.random.default_rng(4).normal(size=(4, 2000))
    for name in ("E", "alpha", "sigma", "drift", "ell"):
        assert np.abs([spearmanr(prior[name][0], own).statistic for own in noise]).max() < 0.1, name


def test_what_crosses_has_an_equal_part_of_the_variance():
    table = pd.DataFrame(
        {"D": np.tile(np.geomspace(1e6, 1e9, 5), 4), "loss": np.tile(np.geomspace(3, 2, 5), 4)}
    ).assign(arch=np.repeat(list("xxyy"), 5), task=np.repeat(list("abab"), 5))
    runs = sb.read_runs(table, inputs={"D": "D"}, response="loss", group=["arch", "task"])
    given = {"alpha": sb.shared(sb.LogNormal(0.3, 0.5))}
    plain, crossed = (
        sb.Model(sb.laws.power_floor, runs, pooling=how, priors=given, discrepancy="drift") for how in (None, "crossed")
    )
    spreads = crossed.priors["E"].spread
    assert list(spreads) == ["arch", "task", "arch_task"]
    assert sum(spread**2 for spread in spreads.values()) == pytest.approx(plain.priors["E"].spread ** 2)
    assert len(set(spreads.values())) == 1
    # Parameters not pooled by default or with a prior of their own stay as they are; so do noise and discrepancy.
    assert crossed.priors["A"] == plain.priors["A"]
    assert crossed.priors["alpha"] == given["alpha"]
    assert (crossed.observation, crossed.discrepancy) == (plain.observation, plain.discrepancy)
