"""Laws of further inputs: held along paths and beside a budget, and compared as settings of one fit."""

import numpy as np
import pandas as pd
import pytest

import scalebayes as sb

VALUES = {"E": 1.5, "A": 400.0, "B": 900.0, "alpha": 0.34, "beta": 0.3, "gamma": 0.2}
PRIORS = {name: sb.LogNormal(value, 0.3) for name, value in VALUES.items()}


def sparse(N, D, X, *, E, A, B, alpha, beta, gamma):
    """A law with a third input, the number of experts, which counts as more parameters."""
    return E + A * (N * X**gamma) ** -alpha + B * D**-beta


@pytest.fixture
def experts(made_fit):
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"N": 10 ** rng.uniform(7, 9, 24), "D": 10 ** rng.uniform(9, 11, 24)})
    table["X"] = np.tile([1.0, 8.0, 64.0], 8)
    table["loss"] = sparse(table["N"], table["D"], table["X"], **VALUES)
    runs = sb.read_runs(table, inputs={name: name for name in ("N", "D", "X")}, response="loss")
    return made_fit(sb.Model(sparse, runs, priors=PRIORS, discrepancy=None), VALUES, draws=4)


def best(C, X):
    """The lowest loss for a budget by search."""
    n = np.geomspace(1e6, 1e13, 200_001)
    return sparse(n, C / (6 * n), X, **VALUES).min()


def test_the_optimal_path_holds_the_other_inputs(experts):
    found = sb.reach(experts, axis="C", target=best(1e22, 8.0), path={"X": 8.0})
    assert found.table["median"].item() == pytest.approx(1e22, rel=1e-3)
    assert "at X = 8 is reached at C = 1e22 FLOPs" in str(found)
    with pytest.raises(ValueError, match=r"Hold X as well: path=\{'X': value\}"):
        sb.reach(experts, axis="C", target=2.0, path="optimal")
    with pytest.raises(ValueError, match="C alone does not determine N and D"):
        sb.reach(experts, axis="C", target=2.0, path={"D/N": 20})
    along = sb.reach(experts, axis="C", target=sparse(1e9, 2e10, 8.0, **VALUES), path={"D/N": 20, "X": 8})
    assert along.table["median"].item() == pytest.approx(6 * 1e9 * 2e10, rel=1e-6)


def test_settings_of_one_fit_are_compared(experts):
    between = {"dense": {"X": 1.0}, "sparse": {"X": 64.0}}
    answer = sb.crossover(experts, axis="C", to=1e23, between=between)
    assert answer.winner == "sparse"
    assert answer.decision_risk == 0.0
    expected = {"dense": best(1e23, 1.0), "sparse": best(1e23, 64.0)}
    assert answer.table.set_index("group")["median"].to_dict() == pytest.approx(expected, rel=1e-6)
    fixed = sb.crossover(experts, axis="C", to=1e23, between=between, path={"D/N": 20})
    n = np.sqrt(1e23 / 120)
    assert fixed.table.set_index("group").loc["dense", "median"] == pytest.approx(sparse(n, 20 * n, 1.0, **VALUES))
    assert len(sb.plot_crossover(answer).axes) >= 2


@pytest.mark.parametrize(
    ("between", "arguments", "message"),
    [
        ({"dense": {"X": 1.0}}, {}, "between names two settings or more"),
        ({"dense": {"X": 1.0}, "other": {"D": 1e9}}, {}, "settings hold the same inputs"),
        ({"a": {"X": 1.0}, "b": {"X": 2.0}}, {"path": lambda scale: {}}, "the path given is a function"),
        ({"a": {"X": 1.0}, "b": {"X": 2.0}}, {"path": {"X": 3.0, "D/N": 20}}, "X is held by the path and by a setting"),
        ({"a": {"X": 1.0}, "b": {"X": -2.0}}, {}, "X"),
    ],
)
def test_settings_that_cannot_be_compared_are_refused(experts, between, arguments, message):
    with pytest.raises((TypeError, ValueError), match=message):
        sb.crossover(experts, axis="C", to=1e23, between=between, **arguments)


def test_a_budget_is_divided_beside_a_value_of_another_input(experts):
    plan = sb.allocate(experts, C=1e22, at={"X": 8.0})
    row = plan.table.iloc[0]
    assert row["loss_median"] == pytest.approx(best(1e22, 8.0), rel=1e-6)
    assert 6 * row["plan_n"] * row["plan_d"] == pytest.approx(1e22, rel=1e-3)
    assert "FLOPs, X = 8, train" in str(plan).replace(f", {row['extrapolation']:.3g}x the largest run", "")
    assert plan.to_dict()["held"] == {"X": 8.0}
    with pytest.raises(ValueError, match=r"a plan needs a value of X: at=\{'X': value\}"):
        sb.allocate(experts, C=1e22)
    with pytest.raises(ValueError, match="at names 'Y', which is no other input of sparse; those are X"):
        sb.allocate(experts, C=1e22, at={"Y": 1.0})


def test_a_budget_is_divided_between_other_inputs(experts):
    plan = sb.allocate(experts, C=1e21, over=("N", "X"), at={"D": 1e11}, cost=lambda N, X, D: 6 * N * D * (1 + X / 100))
    row = plan.table.iloc[0]
    x = np.geomspace(1e-2, 1e4, 400_001)
    n = 1e21 / (6e11 * (1 + x / 100))
    assert row["loss_median"] == pytest.approx(sparse(n, 1e11, x, **VALUES).min(), rel=1e-6)
    assert plan.over == ("N", "X")
    assert "take N = " in str(plan)
    assert len(sb.plot_allocation(plan).axes) == 1
    with pytest.raises(ValueError, match="what N and X cost is not known"):
        sb.allocate(experts, C=1e21, over=("N", "X"), at={"D": 1e11})
    with pytest.raises(ValueError, match="divided between two scales, and over is"):
        sb.allocate(experts, C=1e21, over=("N", "Z"))


def test_a_vector_is_held_along_a_path(made_fit):
    def mixed(N, p, *, A, alpha, t):
        return A * N**-alpha * (1 + t * p[..., 0])

    values, rng = {"A": 50.0, "alpha": 0.2, "t": 0.5}, np.random.default_rng(0)
    table = pd.DataFrame({"N": 10 ** rng.uniform(7, 9, 12), "web": rng.uniform(0, 1, 12)}).assign(
        code=lambda t: 1 - t["web"]
    )
    p = table[["web", "code"]].to_numpy()
    table["loss"] = mixed(table["N"].to_numpy(), p, **values)
    runs = sb.read_runs(table, inputs={"N": "N", "p": ["web", "code"]}, response="loss")
    priors = {name: sb.LogNormal(value, 0.3) for name, value in values.items()}
    fit = made_fit(sb.Model(mixed, runs, priors=priors, discrepancy=None), values, draws=4)
    target = mixed(1e10, np.array([0.25, 0.75]), **values)
    found = sb.reach(fit, axis="N", target=target, path={"p": [0.25, 0.75]})
    assert found.table["median"].item() == pytest.approx(1e10, rel=1e-6)
    both = sb.crossover(fit, axis="N", to=1e12, between={"web": {"p": [1, 0]}, "code": {"p": [0, 1]}})
    assert both.winner == "code"
    with pytest.raises(ValueError, match="p must be 2 finite numbers"):
        sb.reach(fit, axis="N", target=target, path={"p": [0.25, 0.7, 0.05]})
