"""Fits: real runs against published figures, the draws, and how a fit describes them."""

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from scipy import stats

import scalebayes as sb


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
        "E": (1.769, 1.871),
        "A": (285.214, 743.626),
        "B": (1042.357, 5810.344),
        "alpha": (0.317, 0.373),
        "beta": (0.331, 0.415),
    }
    ours = chinchilla_fit.summary(prob=0.95).set_index("name")
    for name, (low, high) in published.items():
        assert ours.loc[name, "lower"] < high
        assert ours.loc[name, "upper"] > low


@pytest.mark.fits
@pytest.mark.data
def test_pooled_corpora_forecast_the_largest_runs(public_data):
    import pandas as pd

    table = pd.read_csv(public_data / "gadre_overtraining.csv")
    table["M"] = table["n_tokens"] / table["n_params"]
    columns = {"C": "flops_6nd", "M": "M"}
    runs = sb.read_runs(table, inputs=columns, response="loss", group="dataset", where="split != 'target'")
    fit = sb.fit(sb.laws.over_training, runs, discrepancy=None)  # the law of the table's paper
    target = table[table["split"] == "target"]
    answer = sb.forecast(fit, at=target).table
    error = np.abs(answer["median"].to_numpy() / target["loss"].to_numpy() - 1)
    redpajama = target["dataset"].to_numpy() == "redpajama"
    assert error.mean() <= 0.015
    assert error[redpajama].mean() <= 0.01


def test_same_seed_gives_the_same_bytes(pile_runs):
    first, second, other = (
        sb.fit(sb.laws.power_floor, pile_runs, draws=500, chains=4, seed=seed, discrepancy=None).posterior
        for seed in (1, 1, 2)
    )
    for name in first:
        assert first[name].to_numpy().tobytes() == second[name].to_numpy().tobytes()
    assert first["E"].to_numpy().tobytes() != other["E"].to_numpy().tobytes()


@pytest.mark.fits
@pytest.mark.filterwarnings("ignore::scalebayes.ConvergenceWarning")  # there are few draws: only their bytes matter
def test_same_seed_gives_the_same_bytes_whatever_was_fitted_before(pile_runs):
    from scalebayes.fits.preparing import _transport

    def draws(priors):
        return (
            sb.fit(sb.laws.power_floor, pile_runs, priors=priors, draws=200, seed=6, discrepancy=None)
            .posterior["E"]
            .to_numpy()
        )

    priors = {"alpha": sb.pooled(sb.LogNormal(median=0.1, spread=0.3), spread=0.2)}
    _transport.cache_clear()
    alone = draws(priors)
    _transport.cache_clear()
    draws({"alpha": sb.pooled(sb.LogNormal(median=0.5, spread=1.0), spread=0.6)})
    assert draws(priors).tobytes() == alone.tobytes()


def test_arviz_reads_the_tree(pile_fit):
    from arviz_stats import summary

    assert (summary(pile_fit.idata, round_to="none")["r_hat"] < 1.01).all()


def test_repr_leads_with_what_has_not_converged(pile_runs):
    with pytest.warns(sb.ConvergenceWarning, match="has not converged"):
        fit = sb.fit(sb.laws.power_floor, pile_runs, draws=4, chains=1, warmup=20, discrepancy=None)
    first = repr(fit).splitlines()[0]
    assert first.startswith("Fit of power_floor: NOT CONVERGED")
    assert len(repr(fit).splitlines()) == 6


def test_spreads_over_every_column_that_crosses_are_in_the_summary(made_fit):
    C = np.tile(np.geomspace(1e18, 1e21, 5), 4)
    table = pd.DataFrame(
        {"C": C, "loss": 2 + 3 * (C / 1e18) ** -0.1, "arch": list("aabb") * 5, "task": list("xyxy") * 5}
    )
    model = sb.Model(sb.laws.power, sb.read_runs(table, group=["arch", "task"]), pooling="crossed", discrepancy=None)
    # Draws of the prior stand in for the posterior: only the names in the summary matter.
    drawn = model.prior(50)["prior"].to_dataset().isel(chain=0, drop=True)
    names = set(made_fit(model, dict(drawn), chains=2).summary()["name"])
    spreads = {f"{free}_spread_{factor}" for free in ("A_share", "alpha") for factor in ("arch", "task", "arch_task")}
    assert spreads | {"A_share_population", "alpha_population"} <= names


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
    defaults = sb.laws.as_law(sb.laws.chinchilla).priors
    priors = {name: sb.shared(pooling.prior) for name, pooling in defaults.items()}
    fit = sb.fit(repeated, runs, priors=priors | {"R": sb.LogNormal(median=15, spread=0.7)}, discrepancy=None)
    assert not fit.diagnostics.problems
    answer = sb.forecast(fit, at={"N": 8.7e9, "D": 178e9, "U": 25e9})
    row = answer.table.iloc[0]
    assert row["lower"] < row["median"] < row["upper"] < 3.2
    assert row["extrapolated"] in ("N", "D", "U")
    fit.save(tmp_path / "own.nc")
    with pytest.raises(ValueError, match="which is not built in; pass the function"):
        sb.load(tmp_path / "own.nc")
    again = sb.forecast(sb.load(tmp_path / "own.nc", law=repeated), at={"N": 8.7e9, "D": 178e9, "U": 25e9})
    assert again.table.equals(answer.table)


@pytest.mark.fits
def test_names_that_a_graph_refuses_are_no_trouble(tmp_path):
    table = sb.pile_families().rename(columns={"loss": "val/loss"})

    def law(C, *, E, A_offset, alpha):
        return E + A_offset * (C / 1e21) ** -alpha

    priors = {"E": sb.FloorShare(1.2, 1.3), "A_offset": sb.Normal(0.8, 0.3), "alpha": sb.LogNormal(0.2, 0.5)}
    fit = sb.fit(law, sb.read_runs(table, response="val/loss"), priors=priors, discrepancy=None)
    fit.save(tmp_path / "fit.nc")
    loaded = sb.load(tmp_path / "fit.nc", law=law)
    assert loaded.model.runs.response == "val/loss"
    assert loaded.summary().equals(fit.summary())
    assert "the expected val/loss is" in str(sb.forecast(loaded, at={"C": 1e22}))


def test_a_law_that_is_undefined_in_its_prior_is_named_with_the_values(pile_runs):
    def law(C, *, A, alpha):
        return A * (C / 1e20) ** -alpha + 0 * jnp.sqrt(0.5 - alpha)

    priors = {"A": sb.LogNormal(2.0, 0.1), "alpha": sb.LogNormal(0.4, 0.5)}
    with pytest.raises(
        ValueError, match=r"^law gives NaN at A=[\d.]+, alpha=0\.[5-9]\d* for run .+ \(C=.+\), and"
    ) as caught:
        sb.fit(law, pile_runs, priors=priors, discrepancy=None)
    assert str(caught.value).endswith(
        "of the draws from its prior; a law must give a number wherever its priors allow. "
        "Narrow the priors, or mend the law."
    )


def test_single_precision_of_the_caller_is_kept_and_does_not_reach_the_fit(pile_runs):
    jax.config.update("jax_enable_x64", False)
    fit = sb.fit(sb.laws.power, pile_runs, pooling="shared", draws=200, discrepancy=None)
    assert fit.posterior["alpha"].dtype == np.float64
    assert jnp.asarray(1.0).dtype == jnp.float32
    assert jax.config.jax_compilation_cache_dir is None


def test_predictive_draws_and_log_prior_are_kept_and_bounded(pile_fit):
    predictive = pile_fit.idata["posterior_predictive"]["log_loss"]
    assert predictive.dims == ("chain", "draw", "run")
    assert predictive[:, :, 0].size <= 400
    observed = pile_fit.idata["observed_data"]["log_loss"]
    lower, upper = predictive.quantile([0.025, 0.975], ("chain", "draw"))
    assert float(((observed > lower) & (observed < upper)).mean()) > 0.8
    prior, draws = pile_fit.idata["log_prior"], pile_fit.posterior
    constants = pile_fit.model.numbers["alpha_prior"]
    expected = stats.lognorm(constants[1], scale=np.exp(constants[0])).logpdf(draws["alpha_population"])
    np.testing.assert_allclose(prior["alpha_population"], expected)
    bound = float(pile_fit.model.numbers["E_bound"])
    share = draws["E_population"].to_numpy() / bound
    logit = stats.norm(*pile_fit.model.numbers["E_prior"][:2]).logpdf(np.log(share / (1 - share)))
    np.testing.assert_allclose(prior["E_population"], logit - np.log(share * (1 - share) * bound))
    spread = stats.halfnorm(scale=constants[2]).logpdf(draws["alpha_spread"])
    np.testing.assert_allclose(prior["alpha_spread"], spread)
    below = stats.gamma(4.0, scale=1 / 0.4).logpdf(draws["nu"] - 2.0)
    np.testing.assert_allclose(prior["nu"], below)
