"""Whole messages of points and groups that are refused, before anything is compiled."""

import numpy as np
import pandas as pd
import pytest

import scalebayes as sb
from scalebayes.questions.points import read_points

pytestmark = pytest.mark.usefixtures("nothing_is_compiled")


@pytest.mark.parametrize(
    ("at", "message"),
    [
        (
            {"N": 1e9},
            "chinchilla needs N, D at each point; D (tokens) is missing, given: N. For example N=6e08, D=1e10.",
        ),
        (
            {},
            "chinchilla needs N, D at each point; N (parameters) is missing, given: nothing. "
            "For example N=6e08, D=1e10.",
        ),
        (
            {"N": 1e9, "D": 0},
            "D must be a positive finite number; 1 of 1 points is not, first: row 0: 0.",
        ),
        (
            {"N": "large", "D": 1e10},
            "N must be a positive finite number; 1 of 1 points is not, first: row 0: large.",
        ),
        (
            {"N": [1e9, -1.0, np.nan], "D": 1e10},
            "N must be a positive finite number; 2 of 3 points are not, first: row 1: -1.0.",
        ),
        (
            {"N": [1e9, 2e9, 3e9], "D": [1e10, 2e10]},
            "the arrays to forecast at have lengths {'N': 3, 'D': 2}; give equal lengths, "
            "or every combination by sb.grid(...).",
        ),
        (
            sb.grid({"N": [1e9, np.inf], "D": [1e9, 1e10]}),
            "N must be a positive finite number; 2 of 4 points are not, first: row 2: inf.",
        ),
        (
            sb.grid({"D": [1e9, 1e10]}),
            "chinchilla needs N, D at each point; N (parameters) is missing, given: D. For example N=6e08, D=1e10.",
        ),
        (
            pd.DataFrame({"params": [1e9, -1.0], "tokens": 1e10}, index=["small", "large"]),
            "params must be a positive finite number; 1 of 2 points is not, first: row large: -1.0.",
        ),
    ],
)
def test_points_that_cannot_be_forecast_at_are_refused(at, message, table, refuses):
    model = sb.Model(sb.laws.chinchilla, sb.read_runs(table()), discrepancy=None)
    with refuses(ValueError, message):
        read_points(model, at)


def test_points_of_another_kind_are_refused(table, refuses):
    model = sb.Model(sb.laws.chinchilla, sb.read_runs(table()), discrepancy=None)
    with refuses(TypeError, "points are a mapping, a DataFrame or a Dataset, got list."):
        read_points(model, [1e9, 1e10])


def test_no_points_are_refused(table, refuses):
    model = sb.Model(sb.laws.chinchilla, sb.read_runs(table()), discrepancy=None)
    with refuses(ValueError, "there are no points to forecast at."):
        read_points(model, {"N": [], "D": 1e10})


def test_a_mistyped_group_column_of_a_forecast_is_refused(table, refuses):
    runs = sb.read_runs(table(family=["a", "a", "a", "b", "b", "b"]), group="family")
    model = sb.Model(sb.laws.chinchilla, runs, discrepancy=None)
    message = (
        "the points name 'familly', which chinchilla does not take (did you mean 'family'?); it takes N (parameters), "
        "D (tokens) and the group family, for example N=6e08, D=1e10."
    )
    with refuses(ValueError, message):
        read_points(model, {"N": 1e9, "D": 1e10, "familly": "a"})


def test_points_that_say_a_thing_by_half_or_twice_are_refused(refuses):
    table = pd.DataFrame(
        {"flops": np.tile(np.geomspace(1e18, 1e21, 4), 4), "C": range(1, 17), "loss": np.geomspace(3, 2, 16)}
    )
    table = table.assign(arch=list("aaaaaaaabbbbbbbb"), task=list("xxxxyyyyxxxxyyyy"))
    runs = sb.read_runs(table, inputs={"C": "flops"}, group=["arch", "task"])
    model = sb.Model(sb.laws.power, runs, discrepancy=None)
    with refuses(
        ValueError,
        "the points have 'arch' and not 'task', which together name the group of each point; give all of them, or none "
        "to forecast every group.",
    ):
        read_points(model, {"C": 1e22, "arch": "a"})
    with refuses(
        ValueError, "the points have two columns for C, 'C' and 'flops', and they differ; leave one of them out."
    ):
        read_points(model, table)
    both = read_points(model, table.drop(columns="C"))
    assert both["C"].tolist() == table["flops"].tolist()


@pytest.mark.parametrize(
    ("group", "message"),
    [
        ({"group": "c"}, "family has no group 'c'; the groups are 'a', 'b'."),
        (
            {"group": "a", "new_group": True},
            "a known group and a new one exclude each other; give group or new_group.",
        ),
    ],
)
def test_a_group_that_cannot_be_asked_about_is_refused(group, message, refuses, a_fit):
    with refuses(ValueError, message):
        sb.reach(a_fit(family=list("aaabbb")), target=2.0, axis="N", path={"D": 1e10}, **group)
