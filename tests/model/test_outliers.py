"""Outliers: what is one, what is none, and that no single run rules a prior or a likelihood."""

import numpy as np
import pandas as pd
import pytest

import scalebayes as sb
from scalebayes.model.outliers import outlying


def _curve(n=20, noise=0.005, seed=0):
    D = np.geomspace(1e6, 1e9, n)
    scatter = np.exp(noise * np.random.default_rng(seed).normal(size=n))
    return pd.DataFrame({"D": D, "loss": (0.4 + 30 * D**-0.3) * scatter})


def _found(table, **arguments):
    runs = sb.read_runs(table, response="loss", **{"inputs": {"D": "D"}} | arguments)
    return outlying(runs, np.log(runs.y))


@pytest.mark.parametrize("factor", [0.5, 0.1, 0.01, 2.0, 10.0])
@pytest.mark.parametrize("row", [0, 9, 19])
def test_one_wrong_response_is_found_with_its_distance(row, factor):
    table = _curve()
    table.loc[row, "loss"] *= factor
    found = _found(table)
    assert np.flatnonzero(found).tolist() == [row]
    assert found[row] == pytest.approx(np.log(factor), abs=0.1)


def test_one_outlier_does_not_hide_another():
    table = _curve(30)
    table.loc[[7, 8], "loss"] *= [0.3, 0.35]
    assert np.flatnonzero(_found(table)).tolist() == [7, 8]


def test_normal_errors_have_outliers_as_seldom_as_stated():
    # At most one table of 500 with chance 1e-4 each; three would have a probability below 3e-5.
    tables = [_curve(25, 0.01, seed) for seed in range(500)]
    assert sum(np.any(_found(table) != 0) for table in tables) < 3


def test_small_groups_are_looked_at_together():
    parts = [_curve(5, 0.003, seed).assign(family=name) for seed, name in enumerate("abcd")]
    table = pd.concat(parts, ignore_index=True)
    table["loss"] *= table["family"].map({"a": 1.0, "b": 1.1, "c": 0.8, "d": 1.4})
    assert not _found(table, group="family").any()
    table.loc[7, "loss"] /= 2
    assert np.flatnonzero(_found(table, group="family")).tolist() == [7]


def test_few_runs_cannot_tell():
    table = _curve(4)
    table.loc[2, "loss"] /= 10
    assert not _found(table).any()


@pytest.mark.parametrize("discrepancy", [None, "drift"])
def test_a_wrong_response_moves_no_prior_and_its_noise_is_widened(discrepancy):
    table = _curve()
    right = sb.Model(sb.laws.power_floor, sb.read_runs(table), discrepancy=discrepancy)
    table.loc[19, "loss"] /= 10
    wrong = sb.Model(sb.laws.power_floor, sb.read_runs(table), discrepancy=discrepancy)
    for name in set(right.numbers) - {"observed_data"}:
        np.testing.assert_allclose(wrong.numbers[name], right.numbers[name], rtol=0.05)
    assert np.flatnonzero(wrong.numbers["outlying"]).tolist() == [19]
    assert wrong.numbers["outlying"][19] == pytest.approx(-np.log(10), rel=0.1)
    assert "outlying" not in right.numbers


def test_counts_are_not_widened():
    table = pd.DataFrame({"D": np.geomspace(1e6, 1e9, 20), "items": 1000})
    table["accuracy"] = np.round(400 + 20 * np.arange(20.0)) / 1000
    table.loc[5, "accuracy"] = 0.001
    runs = sb.read_runs(table, inputs={"D": "D"}, response="accuracy", better="higher")
    law = sb.Law(lambda D, *, a, b: a + b / D)
    priors = {"a": sb.Normal(0.5, 0.1), "b": sb.Normal(0, 0.1)}
    assert "outlying" not in sb.Model(law, runs, priors=priors, observation=sb.BetaBinomial("items")).numbers
