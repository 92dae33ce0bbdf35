"""Several checkpoints of one run: the likelihood, its combinations, and forecasts of a new run."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import scalebayes as sb
from scalebayes.discrepancy import Errors, solver
from scalebayes.discrepancy.walk import between
from scalebayes.fits.preparing import prepare
from scalebayes.numerics.precision import double_precision

TRUTH = {"A": 60.0, "alpha": 0.07, "sigma": 0.004, "run_effect": 0.02}
PRIORS = {
    "A": sb.Anchored(sb.LogNormal(2.0, 0.5), input="C", exponent="alpha", reference=1e20),
    "alpha": sb.LogNormal(0.07, 0.5),
}


def power(C, *, A, alpha):
    return A * C**-alpha


def _table(seed=0, truth=TRUTH, tracks=10, rows=4):
    rng = np.random.default_rng(seed)
    run = np.repeat(np.arange(tracks), rows)
    C = np.geomspace(1e18, 1e22, tracks)[run] * np.tile(np.geomspace(0.3, 1, rows), tracks)
    error = truth["run_effect"] * rng.normal(size=tracks)[run] + truth["sigma"] * rng.normal(size=len(run))
    loss = power(C, A=truth["A"], alpha=truth["alpha"]) * np.exp(error)
    return pd.DataFrame({"flops": C, "loss": loss, "name": [f"run {i}" for i in run]}).sample(frac=1, random_state=seed)


def _model(table, **arguments):
    runs = sb.read_runs(table, inputs={"C": "flops"}, response="loss", run="name")
    settings = {
        "discrepancy": sb.RunEffects(sb.LogNormal(0.02, 0.7)),
        "observation": sb.Gaussian(sb.LogNormal(0.005, 0.5)),
    }
    return sb.Model(power, runs, priors=PRIORS, **settings | arguments)


def _at_initial(model, size=None):
    ready = prepare(model, size)
    density = ready.source.transport().density
    with double_precision():
        position = density.position(ready.initial)
        _, (each, _) = density.logp(position, ready.numbers)
        return ready.source.values(position, {}, ready.numbers), np.asarray(each)


@pytest.mark.parametrize("size", [None, 64])
def test_the_likelihood_is_that_of_the_dense_normal_distribution(size):
    model = _model(_table())
    values, each = _at_initial(model, size)
    runs = model.runs
    error = np.log(runs.y) - np.log(power(runs.x("C"), A=float(values["A"]), alpha=float(values["alpha"])))
    together = runs.labels[:, None] == runs.labels
    covariance = float(values["run_effect"]) ** 2 * together + float(values["sigma"]) ** 2 * np.eye(len(runs))
    expected = stats.multivariate_normal(np.zeros(len(runs)), covariance).logpdf(error)
    assert each.sum() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("size", [None, 64])
def test_an_effect_that_changes_along_a_run_has_the_likelihood_of_the_dense_normal_distribution(size):
    term = sb.RunEffects(sb.LogNormal(0.02, 0.7), along="flops", length=sb.LogNormal(0.5, 0.5))
    model = _model(_table(), discrepancy=term)
    values, each = _at_initial(model, size)
    runs = model.runs
    error = np.log(runs.y) - np.log(power(runs.x("C"), A=float(values["A"]), alpha=float(values["alpha"])))
    apart = np.abs(np.log(runs.x("C"))[:, None] - np.log(runs.x("C")))
    together = (runs.labels[:, None] == runs.labels) * np.exp(-apart / float(values["run_length"]))
    covariance = float(values["run_effect"]) ** 2 * together + float(values["sigma"]) ** 2 * np.eye(len(runs))
    expected = stats.multivariate_normal(np.zeros(len(runs)), covariance).logpdf(error)
    assert each.sum() == pytest.approx(expected, rel=1e-9)
    own = {name: np.full((1, 1, 1), float(values[name])) for name in ("run_effect", "run_length")}
    data = {name: model.numbers[name][None] for name in term.of_runs}
    found, _ = term.covariance(Errors(*[np.zeros((1, len(runs)))] * 4), own, data)
    np.testing.assert_allclose(found[0], float(values["run_effect"]) ** 2 * together)


def test_the_column_along_which_an_effect_changes_is_checked():
    with pytest.raises(ValueError, match=r"column 'flop', which table does not have .did you mean 'flops'"):
        _model(_table(), discrepancy=sb.RunEffects(along="flop"))
    with pytest.raises(TypeError, match="along is the column"):
        sb.RunEffects(along=1)


def test_unequal_noise_within_a_run_is_weighed_by_its_information():
    rng, term = np.random.default_rng(1), sb.RunEffects()
    runs = _model(_table()).runs
    error, sd = 0.03 * rng.normal(size=len(runs)), rng.uniform(0.003, 0.03, len(runs))
    with double_precision():
        each = term.loglik(Errors(error, np.ones(len(runs)), sd, sd), {"run_effect": 0.02}, term.data(runs))
    covariance = 0.02**2 * (runs.labels[:, None] == runs.labels) + np.diag(sd**2)
    expected = stats.multivariate_normal(np.zeros(len(runs)), covariance).logpdf(error)
    assert np.asarray(each).sum() == pytest.approx(expected, rel=1e-9)


def test_beside_a_drift_the_covariances_add_up():
    model = _model(_table(), discrepancy=(sb.Drift(), sb.RunEffects()))
    values, each = _at_initial(model)
    runs = model.runs
    error = np.log(runs.y) - np.log(power(runs.x("C"), A=float(values["A"]), alpha=float(values["alpha"])))
    distance = np.log(runs.x("C").max()) - np.log(runs.x("C"))
    own = {name: float(values[name]) for name in ("drift", "kappa", "rho", "ell")}
    sigma = np.full(len(runs), float(values["sigma"]))
    covariance = between(distance, np.ones(len(runs)), sigma, **own) + np.diag((1 - own["rho"]) * sigma**2)
    covariance += float(values["run_effect"]) ** 2 * (runs.labels[:, None] == runs.labels)
    expected = stats.multivariate_normal(np.zeros(len(runs)), covariance).logpdf(error)
    assert each.sum() == pytest.approx(expected, rel=1e-9)


def test_one_term_alone_and_the_solver_for_several_agree():
    runs = sb.read_runs(_table(), inputs={"C": "flops"}, response="loss", run="name")
    error = np.log(runs.y) - np.log(runs.y).mean()
    sd = np.full(len(runs), 0.01)
    errors = Errors(error, np.ones(len(runs)), sd, np.where(np.arange(len(runs)) == 3, 0.2, sd))
    drift, nothing = sb.Drift(), sb.RunEffects()
    own = {"drift": 0.1, "kappa": 2.0, "rho": 0.5, "ell": 0.4}
    data = drift.data(runs) | nothing.data(runs) | solver.data_of([drift, nothing], runs)
    with double_precision():
        alone = solver.loglik([drift], errors, [own], data)
        both = solver.loglik([drift, nothing], errors, [own, {"run_effect": 0.0}], data)
    assert np.asarray(both).sum() == pytest.approx(np.asarray(alone).sum(), rel=1e-9)


def test_what_run_effects_cannot_be_fitted_to_is_refused(refuses):
    runs = sb.read_runs(_table(), inputs={"C": "flops"}, response="loss")
    message = (
        "run effects need several rows of a run, and no column says which rows are of one run: name it in read_runs, "
        "run=."
    )
    with refuses(ValueError, message):
        sb.Model(power, runs, priors=PRIORS, discrepancy="run effects")
    message = (
        "the discrepancy 'run effects' is integrated out, which needs a Gaussian observation, such as "
        "observation='gaussian'; got 'student_t'."
    )
    with refuses(ValueError, message):
        _model(_table(), observation="student_t")
    message = "a discrepancy is a drift or a surface, and run effects beside it or alone; got run effects+run effects."
    with refuses(ValueError, message):
        _model(_table(), discrepancy=("run effects", "run effects"))


@pytest.mark.fits
def test_a_new_run_has_an_effect_of_its_own_and_the_mean_has_none(tmp_path):
    fit = sb.sample(_model(_table()), draws=500)
    assert not fit.diagnostics.problems
    row = sb.forecast(fit, at={"C": 1e23}).table.iloc[0]
    scatter = np.hypot(fit.posterior["sigma"], fit.posterior["run_effect"]).median().item()
    width = np.log(row["new_run_upper"] / row["new_run_lower"])
    assert width > 2 * 1.6 * scatter * 0.9
    assert np.log(row["upper"] / row["lower"]) < width
    # The mean is the law's, so that it can be inverted.
    assert sb.reach(fit, target=1.5, axis="C").table["p_never"].item() == 0
    fit.save(tmp_path / "fit.nc")
    loaded = sb.load(tmp_path / "fit.nc", law=power)
    assert sb.forecast(loaded, at={"C": 1e23}).table.equals(sb.forecast(fit, at={"C": 1e23}).table)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*fits failed or have not converged:scalebayes.ConvergenceWarning")
def test_parameters_of_simulated_tables_are_recovered():
    """89% intervals cover the truths of 100 simulated tables, drawn from the prior; a binomial test at 1e-4."""
    prior = _model(_table()).prior(100, seed=3)["prior"].to_dataset()
    truths = [{name: float(prior[name][0, i]) for name in TRUTH} for i in range(100)]
    seeds = np.random.default_rng(5).integers(1 << 30, size=100)
    fleet = sb.fit_many({str(i): _model(_table(seeds[i], truths[i])) for i in range(100)}, draws=500)
    fits = {name: fleet[name] for name in fleet if fleet.table.loc[name, "converged"]}
    assert len(fits) >= 95
    for parameter in truths[0]:
        held = 0
        for name, fit in fits.items():
            low, high = np.quantile(fit.posterior[parameter], [0.055, 0.945])
            held += low <= truths[int(name)][parameter] <= high
        assert stats.binomtest(held, len(fits), 0.89).pvalue > 1e-4, (parameter, held)
