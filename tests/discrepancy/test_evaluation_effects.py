"""Runs that were measured in one evaluation: the likelihood, and comparisons that the effect cancels from."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import scalebayes as sb
from scalebayes.fits.preparing import prepare
from scalebayes.numerics.precision import double_precision

PRIORS = {"A": sb.separate(sb.LogNormal(3.0, 0.5)), "alpha": sb.LogNormal(0.07, 0.5)}


def power(C, *, A, alpha):
    return A * (C / 1e20) ** -alpha


def _table(seed=0, effect=0.03):
    rng = np.random.default_rng(seed)
    table = pd.DataFrame(
        [(g, e, c) for e in range(8) for g in "ab" for c in (1e19 * 4**e, 1.5e19 * 4**e)],
        columns=["model", "evaluated", "flops"],
    )
    b = effect * rng.normal(size=8)
    noise = b[table["evaluated"]] + 0.003 * rng.normal(size=len(table))
    loss = power(table["flops"], A=np.where(table["model"] == "a", 3.0, 3.03), alpha=0.07) * np.exp(noise)
    return table.assign(loss=loss, evaluated=table["evaluated"].map("set {}".format))


def _model(table, discrepancy="evaluation effects"):
    runs = sb.read_runs(table, inputs={"C": "flops"}, response="loss", group="model", evaluation="evaluated")
    return sb.Model(power, runs, priors=PRIORS, discrepancy=discrepancy)


@pytest.mark.parametrize("size", [None, 64])
def test_the_likelihood_is_that_of_the_dense_normal_distribution_across_groups(size):
    model = _model(_table())
    ready = prepare(model, size)
    density, runs = ready.source.transport().density, model.runs
    with double_precision():
        position = density.position(ready.initial)
        _, (each, _) = density.logp(position, ready.numbers)
        values = ready.source.values(position, {}, ready.numbers)
    mean = power(runs.x("C"), A=values["A"][runs.group_index], alpha=float(values["alpha"]))
    evaluated = runs.table["evaluated"].to_numpy()
    together = evaluated[:, None] == evaluated
    covariance = float(values["evaluation_effect"]) ** 2 * together + float(values["sigma"]) ** 2 * np.eye(len(runs))
    expected = stats.multivariate_normal(np.zeros(len(runs)), covariance).logpdf(np.log(runs.y) - np.log(mean))
    assert np.asarray(each).sum() == pytest.approx(expected, rel=1e-9)


def test_tables_without_shared_evaluations_are_refused():
    table = _table()
    with pytest.raises(ValueError, match=r"name it in read_runs, evaluation="):
        sb.Model(
            power,
            sb.read_runs(table, inputs={"C": "flops"}, response="loss"),
            priors=PRIORS | {"A": sb.LogNormal(3.0, 0.5)},
            discrepancy="evaluation effects",
        )
    with pytest.raises(ValueError, match="has 1 different values in 32 rows"):
        _model(table.assign(evaluated="one"))
    with pytest.raises(ValueError, match="groups share the effect of an evaluation"):
        sb.EvaluationEffects(sb.separate(sb.LogNormal(0.01, 1)))


@pytest.mark.fits
def test_an_effect_that_groups_share_cancels_from_their_comparison():
    table = _table()
    shared, none = (sb.sample(_model(table, discrepancy)) for discrepancy in ("evaluation effects", None))
    tau = shared.summary().set_index("name").loc["evaluation_effect"]
    assert tau["lower"] < 0.03 < tau["upper"] * 2
    answer = sb.crossover(shared, axis="C", to=1e24)
    assert answer.winner == "a"
    assert answer.decision_risk < 0.01
    with pytest.raises(ValueError, match="another evaluation"):
        sb.crossover(none, axis="C", to=1e24)
    ratio = [(f.posterior["A"].sel(model="b") / f.posterior["A"].sel(model="a")).std().item() for f in (shared, none)]
    assert ratio[0] < 0.5 * ratio[1]
