"""Sampling: modes, pilots, trajectories, and the number of draws."""

import warnings

import numpy as np
import pandas as pd
import pytest

import scalebayes as sb
from scalebayes.inference import sampling, whitening
from scalebayes.inference.diagnostics import Worst
from scalebayes.inference.settings import LEAST_DRAWS


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
    ("r_hat", "bulk", "tail", "most", "times"),
    [
        (1.0101, 2000.0, 2000.0, 2.0, 1.2),  # a little more
        (1.015, 2000.0, 2000.0, 2.0, 1.65),
        (1.05, 2000.0, 2000.0, 2.0, 2.0),
        (1.002, 250.0, 2000.0, 2.0, 1.76),  # of the 400 needed
        (1.002, 2000.0, 250.0, 2.0, 1.76),
        (1.002, 50.0, 50.0, 4.0, 4.0),
        (np.nan, np.nan, np.nan, 2.0, 2.0),
    ],
)
def test_chains_go_on_for_as_long_as_they_lack(r_hat, bulk, tail, most, times):
    assert sampling._times(Worst(r_hat, bulk, tail), 400, most) == pytest.approx(times)


@pytest.mark.filterwarnings("ignore::scalebayes.ConvergenceWarning")  # so few draws are seldom enough
def test_as_many_draws_are_kept_as_asked_for_however_long_it_took():
    runs = sb.read_runs(sb.pile_families(), inputs={"C": "flops"}, response="loss")
    fit = sb.fit(sb.laws.power_floor, runs, draws=110, discrepancy=None)
    assert fit.idata.attrs["thin"] > 1
    assert dict(fit.posterior.sizes) == {"chain": 4, "draw": 110}
    assert fit.idata["sample_stats"]["diverging"].shape == (4, 110)


def test_the_log_likelihood_of_many_runs_is_kept_at_some_draws(pile_runs, monkeypatch):
    settings = {"draws": 110, "warmup": 100, "discrepancy": None, "pooling": "shared", "seed": 2}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # so few draws are seldom enough
        whole = sb.fit(sb.laws.power_floor, pile_runs, **settings)
        monkeypatch.setattr("scalebayes.inference.hmc.MOST_RUNS", len(pile_runs) // 4)
        fit = sb.fit(sb.laws.power_floor, pile_runs, **settings)
    assert fit.posterior.equals(whole.posterior)
    some, every = (each.idata["log_likelihood"]["log_loss"] for each in (fit, whole))
    assert 10 < some.sizes["draw"] < 40
    assert some.equals(every.sel(draw=some["draw"]))


def test_narrow_directions_that_a_product_loses_are_kept():
    """As where runs have no noise at all."""
    factor = np.array([[1.0, 0.0], [1.0, 1e-9]])
    with pytest.raises(np.linalg.LinAlgError):
        np.linalg.cholesky(factor @ factor.T)
    root = whitening._root(factor)
    assert np.allclose(root @ root.T, factor @ factor.T)
    assert abs(np.linalg.det(root)) == pytest.approx(1e-9, rel=1e-3)


def test_draws_end_when_they_are_enough(pile_runs):
    fit = sb.fit(sb.laws.power, pile_runs, pooling="shared", discrepancy=None)
    found, draws = fit.diagnostics, fit.posterior.sizes["draw"]
    assert not found.problems
    assert LEAST_DRAWS <= draws < 4 * LEAST_DRAWS
    assert fit.idata.attrs["thin"] == 1


def test_an_ess_is_reached_or_said_not_to_be(pile_runs):
    fit = sb.fit(sb.laws.power, pile_runs, pooling="shared", ess=1500, discrepancy=None)
    assert min(fit.diagnostics.min_ess_bulk, fit.diagnostics.min_ess_tail) >= 1500
    assert fit.idata.attrs["ess"] == 1500
    with pytest.warns(sb.ConvergenceWarning) as caught:
        short = sb.fit(sb.laws.power, pile_runs, pooling="shared", ess=10**6, max_draws=900, discrepancy=None)
    found = short.diagnostics
    assert str(caught[0].message) == (
        "the fit of power was to reach a bulk and tail ESS of 1000000; its 900 draws of each chain reach "
        f"{found.min_ess_bulk:.0f} and {found.min_ess_tail:.0f}. A larger max_draws goes on."
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
        fit = sb.fit(law, runs, priors=priors, draws=100, discrepancy=None)
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
    monkeypatch.setattr(sampling, "LEAST_WORTH", 0.8)
    runs = sb.read_runs(sb.pile_families(), inputs={"C": "flops"}, response="loss")
    fit = sb.fit(sb.laws.power_floor, runs, draws=200, discrepancy=None)
    assert fit.idata.attrs["whitenings"] >= 1
    # The pilot, the draws that depended too much on each other, and another pilot.
    assert fit.idata.attrs["warmup"] >= 150 + 200 + 150
    assert fit.idata.attrs["target_accept"] >= 0.9
    assert fit.diagnostics.max_r_hat < 1.01


@pytest.mark.filterwarnings("ignore::scalebayes.ConvergenceWarning")  # 300 draws may have less than the ESS of 400
def test_a_stated_warm_up_is_all_there_is():
    runs = sb.read_runs(sb.pile_families(), inputs={"C": "flops"}, response="loss")
    fit = sb.fit(sb.laws.power_floor, runs, draws=300, warmup=100, target_accept=0.9, discrepancy=None)
    assert fit.idata.attrs["warmup"] == 100
    assert (fit.idata.attrs["whitenings"], fit.idata.attrs["target_accept"]) == (0, 0.9)


@pytest.mark.fits
def test_divergences_that_whitening_does_not_mend_are_mended_by_shorter_steps(public_data):
    # A curve of fourteen runs whose coordinates are whitened four times before any draw is kept.
    curve = pd.read_csv(public_data / "openclip_imagenet_curves.csv")
    curve = curve[curve["model_name"] == "Model-L-14_Data-400M_Samples-34B_lr-1e-3_bs-86k.pt"]
    known = curve[curve["n_samples"] <= 0.1 * curve["n_samples"].max()]
    runs = sb.read_runs(known, inputs={"D": "n_samples"}, response="error")
    fits = [sb.fit(sb.laws.power_floor, runs, seed=seed) for seed in range(4)]
    assert all(fit.diagnostics.divergences <= 0.005 * fit.diagnostics.draws for fit in fits)
    assert max(fit.idata.attrs["target_accept"] for fit in fits) > 0.9


def test_steps_become_shorter_where_draws_diverge_or_depend_on_each_other():
    assert [sampling._more_careful(target, True) for target in (0.8, 0.9, 0.95, 0.99)] == [0.95, 0.95, 0.99, 0.99]
    assert [sampling._more_careful(target, False) for target in (0.8, 0.9, 0.95)] == [0.9, 0.95, 0.95]


def test_chains_that_strayed_far_along_one_direction_still_give_a_geometry():
    # Rounding leaves no positive definite covariance, here negative to be sure.
    rng = np.random.default_rng(0)
    turn, _ = np.linalg.qr(rng.standard_normal((6, 6)))
    wide = np.array([1e-5, 1e-5, 1e-4, 1.0, 10.0, 3e7])
    samples = 5.0 + (rng.standard_normal((400, 6)) * wide) @ turn.T
    root = whitening._shrunk_root(-np.eye(6), samples, 0.99, 1e-12)
    white = np.linalg.solve(root, (samples - samples.mean(0)).T)
    np.testing.assert_allclose(np.cov(white), np.eye(6) / 0.99, atol=0.05)
    good = np.cov(rng.standard_normal((6, 400)))
    assert (whitening._shrunk_root(good, samples, 1.0, 0.0) == np.linalg.cholesky(good)).all()
