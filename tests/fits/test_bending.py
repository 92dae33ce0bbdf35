"""Whether runs bend away from their law: false alarms are as rare as stated, and bends are found and described."""

import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom

import scalebayes as sb
from scalebayes.fits.bending import SAID, find_bending
from scalebayes.fits.remarks import outliers, remarks, restored, stored

D = np.geomspace(1e6, 1e10, 17)
TRUTH = {"E": 0.4, "A": 30.0, "alpha": 0.3}


def _posterior(model, values):
    """The prior's draws, all at one point: where the search for least squares starts."""
    prior = model.prior(50).prior.to_dataset()
    return prior.assign({name: prior[name] * 0 + value for name, value in values.items()})


def _found(response, values=TRUTH, law=sb.laws.power_floor, discrepancy=None, **columns):
    table = pd.DataFrame({"D": D, "loss": response, **columns})
    group = "group" if columns else None
    model = sb.Model(law, sb.read_runs(table, response="loss", group=group), discrepancy=discrepancy)
    return model, find_bending(model, _posterior(model, values))


def _power(noise, seed):
    return (0.4 + 30 * D**-0.3) * np.exp(noise * np.random.default_rng(seed).normal(size=len(D)))


def _sigmoid(noise, seed):
    f = (D / 3e7) ** -0.6
    return (0.25 + 0.7 * f / (1 + f)) * np.exp(noise * np.random.default_rng(seed).normal(size=len(D)))


def test_runs_that_follow_their_law_seldom_seem_to_bend():
    p = np.array([_found(_power(0.01, seed))[1].p for seed in range(60)])
    for level in (0.01, 0.05):
        assert (p < level).sum() <= binom.isf(1e-4, len(p), level)


def test_errors_that_leave_a_random_guess_bend_away_from_a_power():
    found = [_found(_sigmoid(0.015, seed), {"E": 0.2, "A": 40.0, "alpha": 0.2}) for seed in range(20)]
    assert sum(bending.p < SAID for _, bending in found) >= 18
    model, bending = found[0]
    (said,) = remarks(model, bending)
    assert said.startswith("The runs bend away from power_floor (p = 0.001): the last ")
    assert " above its best line; discrepancy='drift' follows such bends." in said


def test_what_follows_them_is_said():
    model, bending = _found(_sigmoid(0.015, 0), {"E": 0.2, "A": 40.0, "alpha": 0.2}, discrepancy="drift")
    assert remarks(model, bending)[0].endswith("; the drift follows them.")


def test_one_group_that_bends_is_named():
    table = pd.concat(
        [
            pd.DataFrame({"D": D, "loss": loss, "group": name})
            for name, loss in (("straight", _power(0.005, 1)), ("bent", _sigmoid(0.005, 2)))
        ]
    )
    model = sb.Model(sb.laws.power_floor, sb.read_runs(table, response="loss", group="group"), discrepancy=None)
    bending = find_bending(model, _posterior(model, TRUTH))
    assert bending.p < SAID
    assert bending.bends[0].group == "bent"


def test_few_runs_and_counts_cannot_tell():
    table = pd.DataFrame({"D": D[:5], "loss": _power(0.01, 0)[:5]})
    model = sb.Model(sb.laws.power_floor, sb.read_runs(table, response="loss"), discrepancy=None)
    assert find_bending(model, _posterior(model, TRUTH)) is None
    assert restored(stored(None)) is None


def test_what_is_stored_comes_back():
    _, bending = _found(_power(0.01, 3))
    again = restored(stored(bending))
    assert (again.p, again.bends[0][:-1]) == (bending.p, bending.bends[0][:-1])
    np.testing.assert_array_equal(again.bends[0].off, bending.bends[0].off)


@pytest.mark.parametrize("factor", [0.1, 3.0])
def test_an_outlier_bends_nothing_and_is_named(factor):
    response = _power(0.01, 4)
    response[8] *= factor
    model, bending = _found(response)
    assert bending.p > SAID
    ((row, label, seen, others),) = outliers(model)
    assert (row, label, seen) == (8, "8", pytest.approx(response[8]))
    assert others == pytest.approx(response[8] / factor, rel=0.1)
    (said,) = remarks(model, bending)
    assert said == (
        f"Run 8 (loss {seen:.4g} where the others say {others:.4g}) lies far from all others and counts with a wider "
        "noise."
    )


def test_of_rows_with_one_label_only_the_outlier_is_one():
    response = _power(0.01, 5)
    response[8] /= 4
    table = pd.DataFrame({"D": D, "loss": response, "name": ["a"] * 9 + ["b"] * 8})
    model = sb.Model(sb.laws.power_floor, sb.read_runs(table, response="loss", run="name"), discrepancy=None)
    assert [(each.row, each.label) for each in outliers(model)] == [(8, "a")]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("law", "truth", "noise"),
    [
        (sb.laws.power_floor, TRUTH, 0.01),
        (sb.laws.shifted_power, {"x_0": 1e9, "A": 8.0, "alpha": 0.2}, 0.01),
        (sb.laws.power, {"A": 8.0, "alpha": 0.1}, 0.005),
    ],
)
def test_false_alarms_of_two_hundred_tables(law, truth, noise):
    mean = np.asarray(law.function(D, **truth) if isinstance(law, sb.Law) else law(D, **truth))
    rng = np.random.default_rng(7)
    alarms = sum(_found(mean * np.exp(noise * rng.normal(size=len(D))), truth, law)[1].p < SAID for _ in range(200))
    assert alarms <= binom.isf(1e-3, 200, 0.05)


@pytest.mark.fits
def test_a_law_of_a_vector_is_looked_at_too():
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(3), 40)
    table = pd.DataFrame(p, columns=["web", "code", "books"])
    table["loss"] = (2 + np.exp(-p @ [0.5, 1.0, 2.0])) * np.exp(0.005 * rng.normal(size=40))

    def mixture(p, *, c, k, a, b):
        return c + k * jnp.exp(a * p[..., 0] + b * p[..., 1])

    priors = {"c": sb.LogNormal(2, 0.5), "k": sb.LogNormal(0.3, 1), "a": sb.Normal(0, 2), "b": sb.Normal(0, 2)}
    fit = sb.fit(mixture, sb.read_runs(table, inputs={"p": ["web", "code", "books"]}), priors=priors)
    assert not fit.diagnostics.problems
    assert sb.misfit(fit).table["off"].abs().median() < 0.02
