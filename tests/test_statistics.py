"""Statistical promises, each judged by a test with a stated failure probability. Run by make test-slow."""

import importlib
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest, chisquare, ks_2samp

import scalebayes as sb
from scalebayes.discrepancy.inducing import Points, Scales, covariance, distances
from scalebayes.discrepancy.walk import between
from scalebayes.runs.curves import frontier

FAILURE_PROBABILITY = 1e-4


def _simulate(seed, n=40):
    """A table from the model: parameters from the prior of a chinchilla law, then runs with Student-t noise."""
    rng = np.random.default_rng(seed)
    N, D = np.exp(rng.uniform(np.log(1e8), np.log(1e10), n)), np.exp(rng.uniform(np.log(2e9), np.log(2e11), n))
    truth = {
        "E": rng.lognormal(np.log(1.8), 0.1),
        "alpha": rng.lognormal(np.log(0.3), 0.2),
        "beta": rng.lognormal(np.log(0.3), 0.2),
        "A_at_ref": rng.lognormal(np.log(0.35), 0.3),
        "B_at_ref": rng.lognormal(np.log(0.35), 0.3),
        "sigma": rng.lognormal(np.log(0.01), 0.3),
        "nu": 2 + rng.gamma(2.0, 1 / 0.2),
    }
    law = (
        truth["E"] + truth["A_at_ref"] * (N / 1e9) ** -truth["alpha"] + truth["B_at_ref"] * (D / 2e10) ** -truth["beta"]
    )
    loss = law * np.exp(truth["sigma"] * rng.standard_t(truth["nu"], n))
    truth |= {"A": truth["A_at_ref"] * 1e9 ** truth["alpha"], "B": truth["B_at_ref"] * 2e10 ** truth["beta"]}
    return pd.DataFrame({"N": N, "D": D, "loss": loss}), truth


def _same_priors():
    """The priors that `_simulate` draws from, so that the intervals have exactly their nominal coverage."""
    return {
        "E": sb.LogNormal(1.8, 0.1),
        "alpha": sb.LogNormal(0.3, 0.2),
        "beta": sb.LogNormal(0.3, 0.2),
        "A": sb.Anchored(sb.LogNormal(0.35, 0.3), input="N", exponent="alpha", reference=1e9),
        "B": sb.Anchored(sb.LogNormal(0.35, 0.3), input="D", exponent="beta", reference=2e10),
    }


def _fit(model, seed):
    """A fit that has converged; one that has not is drawn again with twice as many draws."""
    for attempt in range(4):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", sb.ConvergenceWarning)
            fit = sb.sample(model, draws=500 * 2**attempt, seed=seed + 1000 * attempt)
        if not fit.diagnostics.problems:
            return fit
        print(f"seed {seed}, attempt {attempt + 1} left out, not converged: {'; '.join(fit.diagnostics.problems)}")
    raise AssertionError(f"no converged fit in 4 attempts: {fit.diagnostics}")


@pytest.mark.slow
def test_intervals_hold_the_truth_at_their_nominal_rate():
    tables = 120
    noise = sb.StudentT(sigma=sb.LogNormal(0.01, 0.3))
    names = ("E", "A", "B", "alpha", "beta", "sigma", "nu")
    hits = dict.fromkeys(names, 0)
    for seed in range(tables):
        table, truth = _simulate(seed)
        fit = _fit(
            sb.Model(
                sb.laws.chinchilla, sb.read_runs(table), priors=_same_priors(), observation=noise, discrepancy=None
            ),
            seed,
        )
        rows = fit.summary(0.89).set_index("name")
        for name in names:
            hits[name] += rows.loc[name, "lower"] <= truth[name] <= rows.loc[name, "upper"]
    print(f"89% intervals over {tables} tables:", {name: round(count / tables, 3) for name, count in hits.items()})
    for name, count in hits.items():
        assert binomtest(count, tables, 0.89).pvalue > FAILURE_PROBABILITY, name


def _agrees(fit, reference, names, thin=8):
    for name in names:
        ours, theirs = (
            draws[name].stack(sample=("chain", "draw")).transpose("sample", ...).to_numpy().reshape(4000, -1)
            for draws in (fit.posterior, reference)
        )
        for g in range(ours.shape[1]):
            # Thinned to nearly independent draws, as the two-sample test assumes.
            pvalue = ks_2samp(ours[::thin, g], theirs[::thin, g]).pvalue
            assert pvalue > FAILURE_PROBABILITY, (name, g, pvalue)


def _pm_sample(model, target_accept=0.9):
    import jax
    import pymc as pm

    before = jax.config.jax_enable_x64
    try:
        with model.pymc():
            drawn = pm.sample(
                1000,
                tune=1000,
                chains=4,
                nuts_sampler="numpyro",
                random_seed=5,
                progressbar=False,
                nuts={"chain_method": "vectorized", "target_accept": target_accept},
            )
        return drawn["posterior"].to_dataset()
    finally:
        jax.config.update("jax_enable_x64", before)


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.filterwarnings("ignore")
def test_posterior_equals_that_of_pm_sample(chinchilla_fit):
    reference = _pm_sample(chinchilla_fit.model)
    _agrees(chinchilla_fit, reference, ("E", "A", "B", "alpha", "beta", "sigma", "nu"))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_pooled_posterior_equals_that_of_pm_sample(pile_runs):
    fit = sb.fit(sb.laws.power_floor, pile_runs, seed=3, draws=1000, discrepancy=None)
    reference = _pm_sample(fit.model, target_accept=0.98)
    names = ("E", "A", "alpha", "sigma", "nu", "E_population", "alpha_population", "E_spread", "alpha_spread")
    _agrees(fit, reference, names)


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["six_groups", "gadre", "xlstm"])
def test_posterior_of_a_benchmark_equals_that_of_pm_sample(name, monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "benchmarks"))
    case = importlib.import_module("cases").named(name)
    fit = sb.fit(case.law, case.runs, **case.arguments, seed=4, draws=1000)
    assert not fit.diagnostics.problems
    reference = _pm_sample(fit.model, target_accept=0.95)
    _agrees(fit, reference, case.keys, thin=16)


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("discrepancy", ["drift", "surface"])
def test_posterior_of_a_departing_model_equals_that_of_pm_sample(discrepancy, public_data):
    if discrepancy == "drift":
        table = pd.read_csv(public_data / "revisiting_benchmark.csv").query("is_train == 1 and domain == 'IC'")
        runs = sb.read_runs(
            table[table["curve_id"] == table["curve_id"].iloc[0]], inputs={"D": "n_samples"}, response="loss"
        )
        law, runs = sb.laws.power_floor, sb.thin(runs, 20)
    else:
        table = pd.read_csv(public_data / "gadre_overtraining.csv").query("dataset == 'c4' and split != 'target'")
        runs = sb.read_runs(table, inputs={"N": "n_params", "D": "n_tokens"}, response="loss")
        law = sb.laws.chinchilla
    # Narrow priors of the exponents, since PyMC's sampler takes hours along the ridge of a term and its exponent.
    priors = {name: sb.LogNormal(0.3, 0.05) for name in ("alpha", "beta") if name in sb.laws.as_law(law).parameters}
    fit = sb.fit(law, runs, priors=priors, discrepancy=discrepancy, seed=6, draws=1000)
    assert not fit.diagnostics.problems
    reference = _pm_sample(fit.model)
    parameters = [p.name for p in fit.model.structure.parameters]
    _agrees(fit, reference, parameters, thin=16)


def _power(C, *, A, alpha):
    """Not the package's own law, which refuses the strangest simulated tables."""
    return A * C**-alpha


def _calibration_model(y):
    """Four groups of ten runs under a pooled power law, with priors that do not look at the runs."""
    C = np.tile(np.logspace(18, 22, 10), 4)
    runs = sb.read_runs(
        pd.DataFrame({"flops": C, "loss": y, "family": np.repeat(list("abcd"), 10)}), response="loss", group="family"
    )
    at_reference = sb.Anchored(sb.LogNormal(1.0, 0.3), input="C", exponent="alpha", reference=1e20)
    priors = {"A": sb.pooled(at_reference, spread=0.2), "alpha": sb.pooled(sb.LogNormal(0.1, 0.3), spread=0.3)}
    return sb.Model(_power, runs, priors=priors, discrepancy=None)


def _student_t(model, truth, expected, rng):
    sigma, nu = truth["sigma"].to_numpy()[:, None], truth["nu"].to_numpy()[:, None]
    return sigma * rng.standard_t(np.broadcast_to(nu, expected.shape))


def _with_floor(C, *, E, A, alpha):
    """Not the package's own law, which refuses the strangest simulated tables."""
    return E + A * C**-alpha


def _drifting_model(y):
    """A curve of 24 runs that drifts, with priors that do not look at the runs."""
    runs = sb.read_runs(pd.DataFrame({"flops": np.logspace(20, 22, 24), "loss": y}), response="loss")
    priors = {
        "E": sb.LogNormal(0.3, 0.2),
        "alpha": sb.LogNormal(0.15, 0.3),
        "A": sb.Anchored(sb.LogNormal(0.3, 0.3), input="C", exponent="alpha", reference=1e22),
    }
    return sb.Model(sb.Law(_with_floor, floor="E"), runs, priors=priors, discrepancy="drift")


def _drift(model, truth, expected, rng):
    """Residuals of the model as it is fitted, to first order in g."""
    end = frontier(model.runs)
    order, distance = end.slots[0], end.distance[end.slots[0]]
    residual = np.empty_like(expected)
    for i, f in enumerate(expected):
        at = {name: float(truth[name][i]) for name in ("drift", "kappa", "rho", "ell")}
        sigma = np.full(len(order), float(truth["sigma"][i]))
        covariance = between(distance, 1 - float(truth["E"][i]) / f[order], sigma, **at)
        covariance += np.diag((1 - at["rho"]) * sigma**2)
        residual[i, order] = rng.multivariate_normal(np.zeros(len(order)), covariance, method="cholesky")
    return residual


def _chinchilla(N, D, *, E, A, B, alpha, beta):
    """Not the package's own law, which refuses the strangest simulated tables."""
    return E + A * N**-alpha + B * D**-beta


def _departing_model(y):
    """24 runs over two inputs that depart from their law, with priors that do not look at the runs."""
    N, D = (axis.ravel() for axis in np.meshgrid(np.geomspace(1e8, 1e10, 4), np.geomspace(1e9, 1e11, 6)))
    runs = sb.read_runs(pd.DataFrame({"N": N, "D": D, "loss": y}))
    priors = {
        "E": sb.LogNormal(1.5, 0.1),
        "alpha": sb.LogNormal(0.3, 0.2),
        "beta": sb.LogNormal(0.3, 0.2),
        "A": sb.Anchored(sb.LogNormal(0.4, 0.2), input="N", exponent="alpha", reference=1e9),
        "B": sb.Anchored(sb.LogNormal(0.4, 0.2), input="D", exponent="beta", reference=1e10),
    }
    surface = sb.Surface(
        misfit=sb.LogNormal(0.05, 0.3),
        length=sb.LogNormal(1.5, 0.3),
        drift=sb.LogNormal(0.05, 0.3),
        ratio=sb.LogNormal(2.0, 0.3),
    )
    noise = sb.Gaussian(sb.LogNormal(0.005, 0.3))
    return sb.Model(sb.Law(_chinchilla, floor="E"), runs, priors=priors, discrepancy=surface, observation=noise)


def _departure(model, truth, expected, rng):
    """Residuals of the model: a surface above the floor, and noise."""
    log_x = np.log([model.runs.x(name) for name in model.runs.inputs]).T
    points = Points(log_x, log_x.sum(-1))
    apart = distances(points, points, points.log_cost.max())
    residual = np.empty_like(expected)
    for i, f in enumerate(expected):
        at = {
            name: float(truth[name][i]) for name in ("misfit", "length_N", "length_D", "drift", "length_ratio", "sigma")
        }
        scales = Scales(at["misfit"], (at["length_N"], at["length_D"]), at["drift"], at["length_ratio"])
        of_g = np.asarray(covariance(apart, scales), float)
        g = rng.multivariate_normal(np.zeros(len(f)), of_g, method="eigh")
        E = float(truth["E"][i])
        residual[i] = np.log(E + (f - E) * np.exp(g)) - np.log(f) + at["sigma"] * rng.normal(size=len(f))
    return residual


def ranks_of_simulated_truths(of, length, noise, tables=200, seed=0):
    """Simulation-based calibration: the rank of each true value, drawn from the prior, among posterior draws."""
    template = of(np.linspace(3, 2, length))
    prior = template.prior(tables, seed=seed)
    truth, rng = prior["prior"].to_dataset().isel(chain=0), np.random.default_rng(seed)
    expected = prior["prior_predictive"]["loss"].to_numpy()[0]
    y = expected * np.exp(noise(template, truth, expected, rng))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", sb.ConvergenceWarning)
        fleet = sb.fit_many([of(row) for row in y], draws=500, seed=seed)
    print(f"{(~fleet.table['converged']).sum()} of {tables} fits have not converged")
    names = [name for name in truth.data_vars if name in fleet["0"].posterior and name not in ("A", "B")]
    ranks: dict[str, list] = {}
    for i, name in enumerate(fleet):
        drawn = fleet[name].posterior.isel(draw=slice(None, None, 8))
        for parameter in names:
            values = drawn[parameter].stack(sample=("chain", "draw")).transpose(..., "sample").to_numpy()
            found = (values < truth[parameter].isel(draw=i).to_numpy()[..., None]).mean(-1)
            for group, rank in enumerate(np.atleast_1d(found)):
                ranks.setdefault(f"{parameter}[{group}]" if found.ndim else parameter, []).append(rank)
    return {name: np.asarray(values) for name, values in ranks.items()}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("of", "length", "noise", "tables"),
    [
        (_calibration_model, 40, _student_t, 200),
        (_drifting_model, 24, _drift, 200),
        (_departing_model, 24, _departure, 100),
    ],
    ids=["pooled", "drifting", "departing"],
)
def test_posteriors_are_calibrated(of, length, noise, tables):
    worst = {}
    for name, ranks in ranks_of_simulated_truths(of, length, noise, tables).items():
        counts = np.histogram(ranks, bins=10, range=(0, 1 + 1e-9))[0]
        worst[name] = chisquare(counts).pvalue
    print("smallest p values:", dict(sorted(worst.items(), key=lambda item: item[1])[:5]))
    assert min(worst.values()) > FAILURE_PROBABILITY


@pytest.mark.slow
@pytest.mark.data
def test_pooling_helps_a_corpus_with_four_runs(public_data):
    choices = 24
    table = pd.read_csv(public_data / "gadre_overtraining.csv")
    corpora, rng = sorted(table["dataset"].unique()), np.random.default_rng(0)
    wins, errors = 0, []
    for choice in range(choices):
        corpus = corpora[choice % 3]
        own = table.index[table["dataset"] == corpus]
        kept = rng.choice(own, 4, replace=False)
        # The other two corpora differ by about one run; with equal counts all choices share one compilation.
        others = [rng.choice(table.index[table["dataset"] == c], 32, replace=False) for c in corpora if c != corpus]
        runs = sb.read_runs(
            table.loc[np.concatenate([kept, *others])],
            inputs={"N": "n_params", "D": "n_tokens"},
            response="loss",
            group="dataset",
        )
        rest = table.loc[own.difference(kept)]
        error = []
        for pooling in ("pooled", "separate"):
            fit = _fit(
                sb.Model(sb.laws.chinchilla, runs, pooling=pooling, observation=sb.StudentT(), discrepancy=None), choice
            )
            median = sb.forecast(fit, at=rest).table["median"].to_numpy()
            error.append(np.abs(np.log(median / rest["loss"].to_numpy())).mean())
        errors.append(error)
        wins += error[0] < error[1]
    pooled, separate = np.mean(errors, axis=0)
    print(f"pooled wins {wins} of {choices}; mean absolute log error {pooled:.4f} against {separate:.4f}")
    assert pooled < separate
    # With no effect of pooling, this many wins would be rarer than the stated probability.
    assert binomtest(wins, choices, 0.5, alternative="greater").pvalue < FAILURE_PROBABILITY
