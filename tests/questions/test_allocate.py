"""Plans for a budget: the published optimum, closed forms and constraints."""

import numpy as np
import pandas as pd
import pytest

import scalebayes as sb


def test_many_budgets_are_divided_in_parts(chinchilla_fit, monkeypatch):
    C = np.geomspace(1e20, 1e24, 7)
    for settings in ({}, {"most_n": 1e10}):
        whole = sb.allocate(chinchilla_fit, C=C, **settings)
        with monkeypatch.context() as small:
            small.setattr("scalebayes.questions.allocate._MOST_NUMBERS", 9000)
            parts = sb.allocate(chinchilla_fit, C=C, **settings)
        # A minimum is found to about the square root of the precision; its value to the precision itself.
        losses = [name for name in whole.table if "loss" in name]
        pd.testing.assert_frame_equal(parts.table[losses], whole.table[losses], rtol=1e-9)
        pd.testing.assert_frame_equal(parts.table, whole.table, rtol=1e-6)
        pd.testing.assert_frame_equal(parts.exponents, whole.exponents, rtol=1e-6)
        assert whole.draws.sizes["sample"] == 4000
        assert 500 < parts.draws.sizes["sample"] < 2000


def test_a_plan_is_the_optimum_of_a_posterior_without_doubt(chinchillas, hoffmann):
    found = sb.allocate(chinchillas(), C=[5.76e23, 1e24], group="a")
    row = found.table.iloc[0]
    assert (row["n_opt_median"], row["d_opt_median"]) == pytest.approx((3.22e10, 2.98e12), rel=2e-3)
    assert row["plan_n"] == pytest.approx(row["n_opt_median"], rel=2e-3)
    assert 6 * row["plan_n"] * row["plan_d"] == pytest.approx(5.76e23, rel=1e-3)
    for end in ("lower", "upper"):
        n = row[f"near_n_{end}"]
        off = float(sb.laws.chinchilla(n, 5.76e23 / (6 * n), **hoffmann))
        assert off - row["plan_loss"] == pytest.approx(0.005, abs=1e-4)
    exponents = found.exponents.set_index("name")["mean"]
    assert exponents["a_opt"] == pytest.approx(0.28 / 0.62)
    assert exponents["a_opt"] + exponents["b_opt"] == pytest.approx(1)


def test_a_cost_of_ones_own_gives_the_closed_form_where_it_is_the_same(chinchillas):
    fit = chinchillas()
    closed = sb.allocate(fit, C=1e23, group="a").table.iloc[0]
    found = sb.allocate(fit, C=1e23, group="a", cost=lambda N, D: 6 * N * D).table.iloc[0]
    assert found["n_opt_median"] == pytest.approx(closed["n_opt_median"], rel=1e-6)


def test_constraints_hold_and_serving_makes_models_smaller(chinchillas):
    fit = chinchillas()
    free = sb.allocate(fit, C=1e24, group="a").table.iloc[0]
    served = sb.allocate(fit, C=1e24, group="a", served=1e13).table.iloc[0]
    assert served["n_opt_median"] < free["n_opt_median"]
    spent = 6 * served["n_opt_median"] * served["d_opt_median"] + 2e13 * served["n_opt_median"]
    assert spent == pytest.approx(1e24, rel=1e-6)
    capped = sb.allocate(fit, C=1e24, group="a", most_n=1e10).table.iloc[0]
    assert capped["n_opt_median"] == pytest.approx(1e10, rel=5e-3)
    dense = sb.allocate(fit, C=1e24, group="a", ratio=(500, 1000)).table.iloc[0]
    assert 495 < dense["d_opt_median"] / dense["n_opt_median"] < 1010
    few = sb.allocate(fit, C=1e24, group="a", unique=1e11).table.iloc[0]
    assert few["n_opt_median"] > free["n_opt_median"]
    assert few["loss_median"] > free["loss_median"]
    with pytest.raises(ValueError, match=r"no plan spends 1e24 FLOPs and meets most_n=1000000\.0, most_d=1000000\.0"):
        sb.allocate(fit, C=1e24, group="a", most_n=1e6, most_d=1e6)


def test_constrained_plans_have_the_exponents_of_their_constraint(chinchillas):
    found = sb.allocate(chinchillas(), C=[1e21, 1e23], group="a", ratio=(20, 20))
    assert found.exponents.set_index("name").loc["a_opt", "mean"] == pytest.approx(0.5, abs=1e-3)


def test_plans_that_cannot_be_are_refused_with_their_reason(chinchillas, refuses):
    fit = chinchillas()
    for arguments, message in (
        ({"C": 1.0}, "1 FLOPs do not pay for training any model on one token; raise C."),
        (
            {"C": 1e20, "served": 1e30},
            "1e20 FLOPs do not pay for training any model on one token after serving 1e30; raise C or lower served.",
        ),
        (
            {"C": 1e24, "cost": lambda N, D: 6 * N * 1e3 * D / (D + 1e3)},
            "the cost given comes to 1e24 FLOPs at no N up to 1e20 and D up to 1e30; it has to rise in both.",
        ),
        ({"C": 1e24, "ratio": 20}, "ratio is the least and the most tokens per parameter, got 20."),
    ):
        with refuses(ValueError, message):
            sb.allocate(fit, group="a", **arguments)
    row = sb.allocate(fit, C=1e24, group="a", ratio=(1, 3)).table.iloc[0]
    assert row["plan_d"] / row["plan_n"] == pytest.approx(3, rel=1e-9)
    assert row["extrapolation"] == pytest.approx(1e24 / 6e21, rel=1e-3)
    dearer = sb.allocate(fit, C=1e25, group="a", cost=lambda N, D: 60 * N * D).table.iloc[0]
    assert dearer["extrapolation"] == pytest.approx(1e24 / 6e21, rel=1e-3)


def test_a_budget_is_divided_between_two_inputs_or_not_at_all(powers, refuses):
    with refuses(ValueError, "a budget is divided between N and D; power has C."):
        sb.allocate(powers([30.0, 31.0], [0.05, 0.05]), C=1e24)
