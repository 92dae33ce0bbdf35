"""Sampling: modes, pilots, trajectories, and the number of draws."""

import arviz as az
import numpy as np
import pandas as pd
import pytest

import scalebayes as sb
from scalebayes.inference import sampling


def test_thinned_draws_hide_no_divergence():
    diverging = np.zeros((1, 6), bool)
    diverging[0, 1] = True
    stats = {"lp": np.arange(6.0)[None], "diverging": diverging, "n_steps": np.ones((1, 6), int)}
    kept = sampling._thinned(stats, sampling._evenly(6, 2))
    assert kept["diverging"].tolist() == [[True, False]]
    assert kept["n_steps"].tolist() == [[3, 3]]
    assert kept["lp"].tolist() == [[2.0, 5.0]]
    kept = sampling._thinned(stats, sampling._evenly(6, 4))  # after one step, or two
    assert kept["diverging"].tolist() == [[False, True, False, False]]
    assert kept["n_steps"].tolist() == [[1, 2, 1, 2]]
    assert kept["lp"].tolist() == [[0.0, 2.0, 3.0, 5.0]]


@pytest.mark.parametrize(
    ("r_hat", "ess", "most", "times"),
    [
        (1.0101, 2000.0, 2.0, 1.2),  # a little more
        (1.015, 2000.0, 2.0, 1.65),
        (1.05, 2000.0, 2.0, 2.0),
        (1.002, 250.0, 2.0, 1.76),  # of the 400 needed
        (1.002, 50.0, 4.0, 4.0),
        (np.nan, np.nan, 2.0, 2.0),
    ],
)
def test_chains_go_on_for_as_long_as_they_lack(r_hat, ess, most, times):
    assert sampling._times(r_hat, ess, 400, most) == pytest.approx(times)


@pytest.mark.filterwarnings("ignore::scalebayes.ConvergenceWarning")  # so few draws are seldom enough
def test_as_many_draws_are_kept_as_asked_for_however_long_it_took():
    runs = sb.read_runs(sb.pile_families(), inputs={"C": "flops"}, response="loss")
    fit = sb.fit(sb.laws.power_floor, runs, draws=110)
    assert fit.idata.attrs["thin"] > 1
    assert dict(fit.posterior.sizes) == {"chain": 4, "draw": 110}
    assert fit.idata["sample_stats"]["diverging"].shape == (4, 110)


def test_an_ess_is_reached_or_said_not_to_be(pile_runs):
    fit = sb.fit(sb.laws.power, pile_runs, pooling="shared", ess=1500)
    assert fit.diagnostics.min_ess_bulk > 1500
    assert fit.idata.attrs["ess"] == 1500
    with pytest.warns(sb.ConvergenceWarning) as caught:
        short = sb.fit(sb.laws.power, pile_runs, pooling="shared", ess=10**6, max_draws=900)
    reached = f"{short.diagnostics.min_ess_bulk:.0f}"
    assert str(caught[0].message) == (
        "the fit of power was to reach a bulk ESS of 1000000; its 900 draws of each chain reach "
        f"{reached}. A larger max_draws goes on."
    )


@pytest.mark.fits
def test_two_modes_are_found_reported_and_both_sampled():
    def law(C, *, A, B, alpha, beta):
        return A * (C / 1e20) ** -alpha + B * (C / 1e20) ** -beta

    # The two terms can be exchanged: a mode for each order, of equal mass.
    rng = np.random.default_rng(0)
    C = np.exp(rng.uniform(np.log(1e18), np.log(1e22), 40))
    loss = law(C, A=2.0, B=0.4, alpha=0.05, beta=0.5) * np.exp(0.005 * rng.normal(size=40))
    runs = sb.read_runs(pd.DataFrame({"flops": C, "loss": loss}))
    priors = dict.fromkeys(("A", "B"), sb.LogNormal(1.0, 1.0)) | dict.fromkeys(
        ("alpha", "beta"), sb.LogNormal(0.2, 1.0)
    )
    with pytest.warns(sb.ConvergenceWarning, match="r-hat reaches"):
        fit = sb.fit(law, runs, priors=priors, draws=100)
    assert [mode["share"] for mode in fit.modes] == pytest.approx([0.5, 0.5], abs=0.02)
    low, high = sorted(mode["alpha"] for mode in fit.modes)
    assert (low, high) == pytest.approx((0.05, 0.5), rel=0.2)
    assert sorted(mode["beta"] for mode in fit.modes) == pytest.approx([low, high], rel=1e-3)
    assert "  2 separate modes (shares of the mass about 0.50, 0.50): means and intervals mix them" in repr(fit)
    of_chains = fit.posterior["alpha"].mean("draw").to_numpy()
    assert (np.abs(of_chains - low) < 0.05).sum() == 2
    assert (np.abs(of_chains - high) < 0.15).sum() == 2


@pytest.mark.fits
def test_slow_draws_become_the_pilot_of_a_better_whitening(monkeypatch):
    monkeypatch.setattr(sampling, "LEAST_WORTH", 0.5)
    runs = sb.read_runs(sb.pile_families(), inputs={"C": "flops"}, response="loss")
    fit = sb.fit(sb.laws.power_floor, runs, draws=200)
    # The pilot, the draws that depended too much on each other, and a warm-up with its mass matrix, once or more often.
    assert fit.idata.attrs["warmup"] >= 150 + 200 + 300
    assert fit.idata.attrs["target_accept"] >= 0.95
    assert not fit.diagnostics.problems


@pytest.mark.fits
def test_trajectories_of_one_length_and_those_of_nuts_draw_the_same():
    runs = sb.read_runs(sb.pile_families(), inputs={"C": "flops"}, response="loss", where="family == 'Pythia'")
    hmc, nuts = sb.fit(sb.laws.power_floor, runs, ess=2000), sb.fit(sb.laws.power_floor, runs, ess=2000, warmup=300)
    assert (hmc.idata.attrs["sampler"], hmc.idata.attrs["target_accept"]) == ("hmc", 0.8)
    assert (nuts.idata.attrs["sampler"], nuts.idata.attrs["target_accept"]) == ("nuts", 0.95)
    assert "tree_depth" in nuts.idata["sample_stats"]
    for name in ("E", "A", "alpha", "sigma"):
        a, b = (np.log(fit.posterior[name].to_numpy()) for fit in (hmc, nuts))
        ess = [float(az.ess(fit.posterior[[name]])[name].min()) for fit in (hmc, nuts)]
        error = np.sqrt(a.var() / ess[0] + b.var() / ess[1])
        assert abs(a.mean() - b.mean()) < 4.5 * error
        assert a.std() / b.std() == pytest.approx(1.0, abs=0.2)
