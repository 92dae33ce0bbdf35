"""The scale at which a loss is reached: the inverse of the law, exact on posteriors made by hand."""

import numpy as np
import pytest

import scalebayes as sb


def test_reach_inverts_the_law(point_fit):
    answer = sb.reach(point_fit, target=1.936645470558717, axis="D", path={"N": 70e9})
    assert answer.table.loc[0, "median"] == pytest.approx(1.4e12, rel=1e-6)
    assert answer.table.loc[0, "p_never"] == 0
    along_compute = sb.reach(point_fit, target=1.936645470558717, axis="C", path={"D/N": 20})
    assert along_compute.table.loc[0, "median"] == pytest.approx(6 * 70e9 * 1.4e12, rel=1e-6)


def test_reach_says_when_a_target_is_never_reached(point_fit):
    answer = sb.reach(point_fit, target=1.6, axis="D", path={"N": 70e9})
    assert answer.table.loc[0, "p_never"] == 1
    assert "is never reached by any D" in str(answer)


def test_the_budget_for_a_loss_is_that_of_the_optimal_plan(chinchillas):
    fit = chinchillas()
    plan = sb.allocate(fit, C=1e23, group="a").table.iloc[0]
    answer = sb.reach(fit, target=float(plan["loss_median"]), axis="C", group="a")
    assert answer.table["median"].iloc[0] == pytest.approx(1e23, rel=1e-6)
    assert "along its own compute-optimal path is reached at C = 1e23" in str(answer)


@pytest.mark.usefixtures("nothing_is_compiled")
@pytest.mark.parametrize(
    ("question", "message"),
    [
        ({"target": -1.0, "axis": "N"}, "the target is a positive finite loss, got -1.0."),
        ({"target": np.inf, "axis": "N"}, "the target is a positive finite loss, got inf."),
        ({"target": 2.0, "axis": "N", "prob": 89}, "prob lies between 0 and 1, got 89; for 89% say 0.89."),
        ({"target": 2.0, "axis": "N", "path": {"D": 0}}, "D is a positive finite number, got 0."),
        ({"target": 2.0, "axis": "N"}, "to move along N, chinchilla needs D held; got nothing."),
        (
            {"target": 2.0, "axis": "N", "path": {"N": 1e9, "D": 1e10}},
            "to move along N, chinchilla needs D held; got N, D.",
        ),
        (
            {"target": 2.0, "axis": "C", "path": {"N": 1e9, "D": 1e10}},
            "C alone does not determine N and D: hold one of N, D or D/N (tokens per parameter), "
            "for example {'D/N': 20}; got N, D.",
        ),
        ({"target": 2.0, "axis": "x"}, "chinchilla has no axis 'x'; it has N, D and C."),
        ({"target": 2.0, "axis": "N", "path": {"D": 1e10}, "group": "a"}, "the fit has no groups; leave group out."),
    ],
)
def test_a_target_that_cannot_be_reached_for_is_refused(question, message, refuses, a_fit):
    with refuses(ValueError, message):
        sb.reach(a_fit(), **question)
