"""Parameters of simulated tables are found again: of every law once, and of one law a family at their nominal rate."""

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import scalebayes as sb
from scalebayes import laws
from scalebayes.numerics.precision import double_precision
from scalebayes.priors import Anchored, LogNormal, Normal, Share, with_pooling
from tests.laws.rows import ROWS

N_RUNS, TABLES = 60, 100
FIRST = {row.law: row for row in reversed(ROWS.values())}
MIXTURE = laws.data_mixing(["web", "code"])
# The published constants of a model of 25M parameters, arXiv:2503.12811, in place of a schedule of three steps.
SCHEDULED = {
    laws.multi_power: {"L_0": 3.04, "A": 0.525, "alpha": 0.508, "B": 363.8, "C": 2.066, "beta": 0.583, "gamma": 0.641},
    laws.annealing: {"L_0": 3.07, "A": 0.51, "alpha": 0.51, "C": 0.4, "lam": 0.999},
}
# Where a run may lie, if not within a factor of 30 of the row.
RANGES = {
    "S": (0.0, 0.95),
    "E": (1.0, 512.0),
    "G": (1.0, 64.0),
    "f": (0.1, 1.0),
    "L": (1.0, 4.5),
    "M": (1.0, 1e3),
    "P_w": (2.0, 16.0),
    "P_a": (2.0, 16.0),
    "P_kv": (2.0, 16.0),
    "lr": (1e-4, 3e-2),
}
OF_LAW = {
    (laws.upcycled, "P"): (1.0, 16.0),
    (laws.quantised, "P"): (2.0, 8.0),
    (laws.parallel, "P"): (1.0, 16.0),
    (laws.accuracy_from_loss, "L"): (0.4, 1.4),
    (laws.repeated_data, "U"): (1e9, 1e11),
    (laws.filtered_data, "U"): (1e6, 1e8),
    (laws.filtered_data, "n"): (1e6, 1e9),
    (laws.broken_power, "x"): (30.0, 3000.0),
    (laws.broken_power_2, "x"): (20.0, 1e5),
    (laws.broken_power_3, "x"): (20.0, 1e6),
    (laws.pass_rate, "x"): (2.0, 3e3),
    (laws.critical_batch, "S"): (3e3, 3e5),
}
# Widths of noise on the law's scale.
WIDTH = {"log": 0.005, "logit": 0.05, "identity": 0.01}
FAMILY = (
    laws.power_floor,
    laws.broken_power,
    laws.rising_sigmoid,
    laws.chinchilla,
    laws.over_training,
    laws.repeated_data,
    laws.routed_experts,
    MIXTURE,
    laws.multi_power,
    laws.step_law,
    laws.error_from_loss,
)


def _row(law):
    if law is MIXTURE:
        return ROWS["data_mixing"].at
    return FIRST[law].at | SCHEDULED.get(law, {})


def _design(law, rng):
    """Columns of the inputs, and how they are read."""
    table, inputs = {}, {}
    for name in laws.as_law(law).inputs:
        value = _row(law)[name]
        inputs[name] = name
        if name == "r":
            inputs[name] = ["web", "code"]
            share = rng.uniform(0, 1, N_RUNS)
            table |= {"web": share, "code": 1 - share}
            continue
        if name == "eta":
            steps = np.arange(1, 24001)
            rates = {
                "cosine": 3e-5 + 2.7e-4 * 0.5 * (1 + np.cos(np.pi * steps / 24000)),
                "constant": np.full(24000, 3e-4),
                "falling": np.where(steps < 8000, 3e-4, 9e-5),
            }
            table["schedule"] = np.resize(list(rates), N_RUNS)
            table["step"] = rng.integers(1000, 24001, N_RUNS)
            inputs[name] = sb.schedule("schedule", rates, step="step")
            continue
        low, high = OF_LAW.get((law, name)) or RANGES.get(name) or (value / 30, value * 30)
        table[name] = (
            rng.uniform(low, high, N_RUNS) if low == 0 else np.exp(rng.uniform(np.log(low), np.log(high), N_RUNS))
        )
        if (law, name) in ((laws.sparse, "S"), (laws.retrieval, "R")):
            table[name][:10] = 0.0
            inputs[name] = sb.Input(name, kind="plain")
    if law is laws.repeated_data:
        table["D"] = np.maximum(table["D"], table["U"])
    return pd.DataFrame(table), inputs


def _priors(law, table):
    """Priors about the row's values; of anchored parameters about their terms amid the runs."""
    row, found = _row(law), {}
    for name, pooling in laws.as_law(law).priors.items():
        prior, value = with_pooling(pooling).prior, row[name]
        if isinstance(prior, Anchored):
            means = {x: np.log(table[x][table[x] > 0]).mean() for x, _, _ in prior.terms}
            powers = sum((sign * row[e] if e else sign) * means[x] for x, e, sign in prior.terms)
            if prior.form == "intercept":
                found[name] = _anchored(prior, Normal(value + prior.factor * powers, 0.05))
            elif prior.form == "place":
                width = max(np.log(table[prior.input].max() / table[prior.input][table[prior.input] > 0].min()) / 2, 1)
                at = np.exp((np.log(value) - means[prior.input]) / width)
                found[name] = _anchored(prior, LogNormal(float(at), 0.1))
            elif prior.form == "scale":
                found[name] = _anchored(
                    prior, LogNormal(float(np.exp(row[prior.exponent] * np.log(value) - powers)), 0.2)
                )
            elif value <= 0:
                found[name] = _anchored(prior, Normal(float(value * np.exp(-powers)), 0.05))
            else:
                found[name] = _anchored(prior, LogNormal(float(value * np.exp(-powers)), 0.2))
        elif isinstance(prior, Share) or name == "eps_0":
            found[name] = Share(float(np.log(value / (1 - value))), 0.3)
        elif isinstance(prior, Normal) or value <= 0:
            found[name] = Normal(float(value), 0.1 * abs(value) + 0.01)
        else:
            found[name] = LogNormal(float(value), 0.2)
    return found


def _anchored(prior, value):
    return Anchored(value, prior.input, prior.exponent, prior.form, factor=prior.factor)


def _simulated(law, tables):
    """Models of simulated tables of one design, and the parameters that made them, from the prior."""
    rng, law_ = np.random.default_rng(0), laws.as_law(law)
    design, inputs = _design(law, rng)
    better = "higher" if law_.rises else "lower"
    noise = sb.Gaussian(LogNormal(WIDTH[law_.scale], 0.2), scale=law_.scale)

    def model(y):
        runs = sb.read_runs(design.assign(y=y), inputs=inputs, response="y", better=better)
        return sb.Model(law, runs, priors=_priors(law, design), observation=noise, discrepancy=None)

    first = model(rng.uniform(0.3, 0.7, N_RUNS))
    prior = first.prior(tables, seed=1)["prior"].to_dataset().isel(chain=0)
    truths, models = [], {}
    for i in range(tables):
        truth = {name: float(prior[name].isel(draw=i)) for name in (*law_.parameters, "sigma")}
        with double_precision():
            theta = {name: truth[name] for name in law_.parameters}
            mean = np.asarray(law_.function(*(first.runs.x(name) for name in first.runs.inputs), **theta))
        models[str(i)] = model(noise.draw(mean, {"sigma": truth["sigma"]}, {}, rng))
        truths.append(truth)
    return models, truths


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::scalebayes.RunsWarning")
@pytest.mark.parametrize(
    "law", [*(law.function for law in laws.BUILT_IN), MIXTURE], ids=lambda law: getattr(law, "__name__", "data_mixing")
)
def test_a_law_is_recovered(law):
    models, (truth,) = _simulated(law, 1)
    with warnings.catch_warnings():
        warnings.simplefilter("error", sb.ConvergenceWarning)
        fit = sb.sample(models["0"], seed=3)
    for name, value in truth.items():
        draws = np.sort(fit.posterior[name].to_numpy().ravel())
        # The rank of the truth is uniform; normal tails beyond the draws. The chance that one of 400 fails is 1e-3.
        rank = np.searchsorted(draws, value) / len(draws)
        far = abs(value - draws.mean()) / draws.std()
        assert 5e-6 < rank < 1 - 5e-6 or far < 4.6, (name, value, draws.mean(), draws.std())


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::scalebayes.RunsWarning")
@pytest.mark.filterwarnings("ignore:.*fits failed or have not converged:scalebayes.ConvergenceWarning")
@pytest.mark.parametrize("law", FAMILY, ids=lambda law: getattr(law, "__name__", "data_mixing"))
def test_one_law_of_each_family_is_calibrated(law):
    models, truths = _simulated(law, TABLES)
    fleet = sb.fit_many(models, draws=500)
    fits = {int(name): fleet[name] for name in fleet if fleet.table.loc[name, "converged"]}
    print(f"{len(fits)} of {TABLES} fits converge")
    assert len(fits) >= 95
    for name in truths[0]:
        ranks = [float((fit.posterior[name] < truths[i][name]).mean()) for i, fit in fits.items()]
        counts = np.histogram(ranks, bins=10, range=(0, 1))[0]
        assert stats.chisquare(counts).pvalue > 1e-4 / 8, (name, counts)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::scalebayes.RunsWarning")
@pytest.mark.filterwarnings("ignore:.*fits failed or have not converged:scalebayes.ConvergenceWarning")
@pytest.mark.parametrize(
    "law", [*(law.function for law in laws.BUILT_IN), MIXTURE], ids=lambda law: getattr(law, "__name__", "data_mixing")
)
def test_one_bad_row_moves_no_forecast_or_is_named(law):
    """Of every law; real tables, and several places in them, are in test_one_bad_row."""
    models, _ = _simulated(law, 1)
    good, row = models["0"], N_RUNS // 2
    models = {"as it was": sb.Model(good.law, good.runs, priors=dict(good.priors), discrepancy=None)}
    for factor in (0.5, 0.1, 0.01):
        table = good.runs.table.copy()
        table.loc[row, "y"] *= factor
        inputs = dict(good.runs.inputs)
        runs = sb.read_runs(table, inputs=inputs, response="y", better=good.runs.better)
        models[f"times {factor}"] = sb.Model(good.law, runs, priors=dict(good.priors), discrepancy=None)
    fleet = sb.fit_many(models, draws=500)
    at = good.runs.table.iloc[::12].drop(columns="y")
    before, wrong = sb.forecast(fleet["as it was"], at=at).table, []
    for name in list(models)[1:]:
        after = sb.forecast(fleet[name], at=at).table["median"]
        stays = ((before["lower"] <= after) & (after <= before["upper"])).all()
        if not stays and row not in sb.misfit(fleet[name]).surprising.index:
            wrong.append(name)
    assert not wrong
