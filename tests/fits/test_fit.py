"""The fit on real runs against published figures, and what it keeps."""

import json
import subprocess
import sys

import arviz as az
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy.stats import spearmanr

import scalebayes as sb
from scalebayes.inference import sampling


def _row(fit, name, group=None):
    table = fit.summary()
    chosen = table[(table["name"] == name) & ((table["group"] == group) if group else table["group"].isna())]
    return chosen.iloc[0]


@pytest.mark.data
def test_chinchilla_reproduces_the_published_refit(chinchilla_fit):
    ranges = {"E": (1.77, 1.86), "alpha": (0.32, 0.375), "beta": (0.33, 0.415), "a_opt": (0.49, 0.535)}
    for name, (low, high) in ranges.items():
        assert low <= _row(chinchilla_fit, name)["mean"] <= high
    diagnostics = chinchilla_fit.diagnostics
    assert diagnostics.max_r_hat < 1.01
    assert diagnostics.min_ess_bulk > 400
    assert diagnostics.divergences < 0.005 * diagnostics.draws
    assert not diagnostics.problems


@pytest.mark.data
def test_chinchilla_intervals_overlap_the_published_ones(chinchilla_fit):
    published = {
        "E": (1.769, 1.871), "A": (285.214, 743.626), "B": (1042.357, 5810.344),
        "alpha": (0.317, 0.373), "beta": (0.331, 0.415),
    }  # fmt: skip
    ours = chinchilla_fit.summary(prob=0.95).set_index("name")
    for name, (low, high) in published.items():
        assert ours.loc[name, "lower"] < high
        assert ours.loc[name, "upper"] > low


@pytest.mark.fits
@pytest.mark.data
def test_pooled_corpora_forecast_the_largest_runs(public_data):
    import pandas as pd

    table = pd.read_csv(public_data / "gadre_overtraining.csv")
    columns = {"N": "n_params", "D": "n_tokens"}
    runs = sb.read_runs(table, inputs=columns, response="loss", group="dataset", where="split != 'target'")
    fit = sb.fit(sb.laws.chinchilla, runs)
    target = table[table["split"] == "target"]
    answer = sb.forecast(fit, target).table
    error = np.abs(answer["median"].to_numpy() / target["loss"].to_numpy() - 1)
    redpajama = target["dataset"].to_numpy() == "redpajama"
    assert error.mean() <= 0.015
    assert error[redpajama].mean() <= 0.01


def test_same_seed_gives_the_same_bytes(pile_runs):
    first, second, other = (
        sb.fit(sb.laws.power_floor, pile_runs, draws=500, chains=4, seed=seed).posterior for seed in (1, 1, 2)
    )
    for name in first:
        assert first[name].to_numpy().tobytes() == second[name].to_numpy().tobytes()
    assert first["E"].to_numpy().tobytes() != other["E"].to_numpy().tobytes()


def test_saved_fit_forecasts_identically_in_a_new_process(pile_fit, fit_file):
    script = (
        "import sys, json, scalebayes as sb\n"
        "table = sb.forecast(sb.load(sys.argv[1]), {'C': [1e23, 1e24]}, seed=3).table\n"
        "print(table.to_json(double_precision=15))"
    )
    printed = subprocess.run([sys.executable, "-c", script, fit_file], capture_output=True, text=True, check=True)
    here = sb.forecast(pile_fit, {"C": [1e23, 1e24]}, seed=3).table
    assert json.loads(printed.stdout) == json.loads(here.to_json(double_precision=15))


def test_loaded_fit_keeps_everything(pile_fit, fit_file):
    loaded = sb.load(fit_file)
    assert repr(loaded) == repr(pile_fit)
    assert loaded.model.priors == pile_fit.model.priors
    assert loaded.model.noise == pile_fit.model.noise
    assert loaded.model.runs.digest == pile_fit.model.runs.digest
    assert loaded.idata.attrs["seed"] == 1
    assert list(loaded.posterior["alpha"].coords["family"].values) == list(pile_fit.model.runs.levels)
    np.testing.assert_array_equal(loaded.idata["log_likelihood"]["run"], pile_fit.idata["log_likelihood"]["run"])


def test_arviz_reads_the_tree(pile_fit):
    from arviz_stats import summary

    assert (summary(pile_fit.idata, round_to="none")["r_hat"] < 1.01).all()


def test_repr_leads_with_what_has_not_converged(pile_runs):
    with pytest.warns(sb.ConvergenceWarning, match="has not converged"):
        fit = sb.fit(sb.laws.power_floor, pile_runs, draws=4, chains=1, warmup=20)
    first = repr(fit).splitlines()[0]
    assert first.startswith("Fit of power_floor: NOT CONVERGED")
    assert len(repr(fit).splitlines()) == 5


def test_failed_save_leaves_the_old_file(pile_fit, tmp_path, monkeypatch):
    path = tmp_path / "fit.nc"
    path.write_bytes(b"old")
    with pytest.raises(FileExistsError, match="exists"):
        pile_fit.save(path)

    def fails(self, *args, **kwargs):
        raise OSError("disk full")

    monkeypatch.setattr("xarray.DataTree.to_netcdf", fails)
    with pytest.raises(OSError, match="disk full"):
        pile_fit.save(path, overwrite=True)
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["fit.nc"]


def test_prior_is_shown_before_anything_is_fitted(pile_runs):
    shown = sb.Model(sb.laws.power_floor, pile_runs).prior(200, seed=4)
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


@pytest.mark.fits
@pytest.mark.data
def test_law_of_three_inputs_from_a_notebook_is_a_law_like_any_other(public_data, tmp_path):
    def repeated(N, D, U, *, E, A, B, alpha, beta, R):
        import jax.numpy as jnp

        worth = U * (1 + R * (1 - jnp.exp(-(D / U - 1) / R)))
        return E + A * N**-alpha + B * worth**-beta

    runs = sb.read_runs(
        public_data / "datablations_final.csv",
        inputs={"N": "n_params", "D": "n_tokens", "U": "n_unique_tokens"},
        response="loss",
        where="epochs <= 60 and loss < 5 and n_params > 2e7",
    )
    defaults = sb.laws.PRIORS[sb.laws.chinchilla]
    priors = {name: sb.shared(pooling.prior) for name, pooling in defaults.items()}
    fit = sb.fit(repeated, runs, priors=priors | {"R": sb.LogNormal(median=15, spread=0.7)})
    assert not fit.diagnostics.problems
    answer = sb.forecast(fit, {"N": 8.7e9, "D": 178e9, "U": 25e9})
    row = answer.table.iloc[0]
    assert row["lower"] < row["median"] < row["upper"] < 3.2
    assert row["extrapolated"] in ("N", "D", "U")
    fit.save(tmp_path / "own.nc")
    with pytest.raises(ValueError, match="which is not built in; pass the function"):
        sb.load(tmp_path / "own.nc")
    again = sb.forecast(sb.load(tmp_path / "own.nc", law=repeated), {"N": 8.7e9, "D": 178e9, "U": 25e9})
    assert again.table.equals(answer.table)


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
    # What is not pooled by default stays so, as do noise, discrepancy and what has a prior of its own.
    assert crossed.priors["A"] == plain.priors["A"]
    assert crossed.priors["alpha"] == given["alpha"]
    assert (crossed.noise, crossed.discrepancy) == (plain.noise, plain.discrepancy)


@pytest.mark.fits
def test_several_group_columns_survive_saving(tmp_path):
    table = sb.pile_families().assign(lab=lambda t: np.where(t["family"] == "Pythia", "Eleuther", "Cerebras"))
    runs = sb.read_runs(table, inputs={"C": "flops"}, response="loss", group=["lab", "family"])
    fit = sb.fit(sb.laws.power_floor, runs)
    fit.save(tmp_path / "fit.nc")
    points = table[["flops", "lab", "family"]].tail(2)
    before, after = sb.forecast(fit, points).table, sb.forecast(sb.load(tmp_path / "fit.nc"), points).table
    assert len(before) == 2
    assert before.equals(after)


@pytest.mark.fits
@pytest.mark.filterwarnings("ignore::scalebayes.ConvergenceWarning")  # few draws: only their bytes matter
def test_same_seed_gives_the_same_bytes_whatever_was_fitted_before(pile_runs):
    from scalebayes.fits.preparing import _transport

    def draws(priors):
        return sb.fit(sb.laws.power_floor, pile_runs, priors=priors, draws=200, seed=6).posterior["E"].to_numpy()

    priors = {"alpha": sb.pooled(sb.LogNormal(median=0.1, spread=0.3), spread=0.2)}
    _transport.cache_clear()
    alone = draws(priors)
    _transport.cache_clear()
    draws({"alpha": sb.pooled(sb.LogNormal(median=0.5, spread=1.0), spread=0.6)})
    assert draws(priors).tobytes() == alone.tobytes()


@pytest.mark.fits
def test_names_that_a_graph_refuses_are_no_trouble(tmp_path):
    table = sb.pile_families().rename(columns={"loss": "val/loss"})

    def law(C, *, E, A_offset, alpha):
        return E + A_offset * (C / 1e21) ** -alpha

    priors = {"E": sb.FloorShare(1.2, 1.3), "A_offset": sb.Normal(0.8, 0.3), "alpha": sb.LogNormal(0.2, 0.5)}
    fit = sb.fit(law, sb.read_runs(table, response="val/loss"), priors=priors)
    fit.save(tmp_path / "fit.nc")
    loaded = sb.load(tmp_path / "fit.nc", law=law)
    assert loaded.model.runs.response == "val/loss"
    assert loaded.summary().equals(fit.summary())
    assert "the expected val/loss is" in str(sb.forecast(loaded, {"C": 1e22}))


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
        (1.002, 250.0, 2.0, 1.76),  # of the 400 asked for
        (1.002, 50.0, 4.0, 4.0),
        (np.nan, np.nan, 2.0, 2.0),
    ],
)
def test_chains_go_on_for_as_long_as_they_lack(r_hat, ess, most, times):
    assert sampling._times(r_hat, ess, 400, most) == pytest.approx(times)


@pytest.mark.fits
def test_two_modes_are_found_reported_and_both_sampled():
    def law(C, *, A, B, alpha, beta):
        return A * (C / 1e20) ** -alpha + B * (C / 1e20) ** -beta

    # The two terms can change places: a mode for each order, of equal mass.
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
    # The pilot, the draws that told too little of each other, and a warm-up with its mass matrix: as often as it took.
    assert fit.idata.attrs["warmup"] >= 150 + 200 + 300
    assert fit.idata.attrs["target_accept"] >= 0.95
    assert not fit.diagnostics.problems


@pytest.mark.fits
def test_trajectories_of_one_length_and_those_of_nuts_draw_the_same():
    runs = sb.read_runs(sb.pile_families(), inputs={"C": "flops"}, response="loss", where="family == 'Pythia'")
    gliding, nuts = sb.fit(sb.laws.power_floor, runs, ess=2000), sb.fit(sb.laws.power_floor, runs, ess=2000, warmup=300)
    assert (gliding.idata.attrs["sampler"], gliding.idata.attrs["target_accept"]) == ("hmc", 0.8)
    assert (nuts.idata.attrs["sampler"], nuts.idata.attrs["target_accept"]) == ("nuts", 0.95)
    assert "tree_depth" in nuts.idata["sample_stats"]
    for name in ("E", "A", "alpha", "sigma"):
        a, b = (np.log(fit.posterior[name].to_numpy()) for fit in (gliding, nuts))
        ess = [float(az.ess(fit.posterior[[name]])[name].min()) for fit in (gliding, nuts)]
        error = np.sqrt(a.var() / ess[0] + b.var() / ess[1])
        assert abs(a.mean() - b.mean()) < 4.5 * error
        assert a.std() / b.std() == pytest.approx(1.0, abs=0.2)


@pytest.mark.filterwarnings("ignore::scalebayes.ConvergenceWarning")  # so few are seldom enough, however long it takes
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


def test_a_law_that_is_undefined_in_its_prior_is_named_with_the_values(pile_runs):
    def law(C, *, A, alpha):
        return A * (C / 1e20) ** -alpha + 0 * jnp.sqrt(0.5 - alpha)

    priors = {"A": sb.LogNormal(2.0, 0.1), "alpha": sb.LogNormal(0.4, 0.5)}
    with pytest.raises(
        ValueError, match=r"^law gives NaN at A=[\d.]+, alpha=0\.[5-9]\d* for run .+ \(C=.+\), and"
    ) as caught:
        sb.fit(law, pile_runs, priors=priors)
    assert str(caught.value).endswith(
        "of the draws from its prior; a law must give a number wherever its priors allow. Narrow the priors, or mend the law."
    )


def test_single_precision_of_the_caller_is_kept_and_does_not_reach_the_fit(pile_runs):
    jax.config.update("jax_enable_x64", False)
    fit = sb.fit(sb.laws.power, pile_runs, pooling="shared", draws=200)
    assert fit.posterior["alpha"].dtype == np.float64
    assert jnp.asarray(1.0).dtype == jnp.float32
    assert jax.config.jax_compilation_cache_dir is None


def test_spreads_over_every_column_that_crosses_are_in_the_summary():
    C = np.tile(np.geomspace(1e18, 1e21, 5), 4)
    table = pd.DataFrame(
        {"C": C, "loss": 2 + 3 * (C / 1e18) ** -0.1, "arch": list("aabb") * 5, "task": list("xyxy") * 5}
    )
    model = sb.Model(sb.laws.power, sb.read_runs(table, group=["arch", "task"]), pooling="crossed")
    # Draws of the prior in the posterior's place: what is asked is which names come.
    drawn = model.prior(50)["prior"].to_dataset()
    wide = drawn.isel(chain=0, drop=True).expand_dims(chain=[0, 1]) if drawn.sizes["chain"] == 1 else drawn
    tree = xr.DataTree.from_dict(
        {
            "posterior": wide,
            "sample_stats": xr.Dataset(
                {"diverging": (("chain", "draw"), np.zeros((wide.sizes["chain"], wide.sizes["draw"]), bool))}
            ),
        }
    )
    tree.attrs = {"max_r_hat": 1.0, "min_ess_bulk": 1000.0}
    names = set(sb.Fit(model, tree).summary()["name"])
    spreads = {f"{free}_spread_{factor}" for free in ("A_share", "alpha") for factor in ("arch", "task", "arch_task")}
    assert spreads | {"A_share_population", "alpha_population"} <= names
