"""Designs: against brute force and closed forms; and whether there are enough runs."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest

import scalebayes as sb
from scalebayes.questions.candidates import costed
from scalebayes.questions.design import _joint, _targets, _uncertainty


def _normal(powers, sd=0.02, draws=4000, seed=0):
    """Two power laws whose log amplitudes are uncertain by sd, and nothing else."""
    rng = np.random.default_rng(seed)
    A = 30 * np.exp(sd * rng.normal(size=(2, draws)))
    return powers(A, np.full((2, draws), 0.05))


def test_one_run_leaves_what_a_normal_posterior_leaves(powers):
    fit = _normal(powers)
    plan = pd.DataFrame({"C": [1e21], "family": ["a"]})
    found = sb.design(fit, candidates=plan, budget=1e22, at={"C": 1e24, "family": "a"})
    noise = 0.01 * np.sqrt(8 / 6)  # a Student-t of scale 0.01 and 8 degrees of freedom
    assert found.now == pytest.approx(0.02, rel=0.05)
    assert found.after == pytest.approx((0.02**-2 + noise**-2) ** -0.5, rel=0.05)
    assert found.least <= found.after
    assert "Train 1 run for 1e21 of 1e22 FLOPs" in str(found)
    other = sb.design(fit, candidates=plan, budget=1e22, at={"C": 1e24, "family": "b"})
    assert other.after > 0.99 * other.now


@pytest.mark.parametrize("goal", ["width", "decision"])
def test_the_choice_is_that_of_brute_force_in_16_of_20_cases(powers, goal):
    same, bounded = 0, 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        draws = 1500
        A = np.exp(np.log(30) + 0.03 * rng.normal(size=(2, draws)))
        alpha = 0.05 * np.exp(0.03 * rng.normal(size=(2, draws)))
        fit = powers(A * (1e20**alpha) * 1e20**-0.05, alpha)
        plan = pd.DataFrame({"C": np.exp(rng.uniform(np.log(1e20), np.log(3e21), 8)), "family": list("abababab")})
        at = {"C": 1e23, "family": ["a", "b"]}
        budget = 0.4 * plan["C"].sum()
        found = sb.design(fit, candidates=plan, budget=budget, at=at, goal=goal)
        joint = _joint(fit, costed(fit, plan, None), _targets(fit, at, goal), goal, 0)
        best = np.inf
        for size in range(1, 9):
            for rows in combinations(range(8), size):
                if plan["C"].iloc[list(rows)].sum() <= budget:
                    best = min(best, _uncertainty(joint, rows, goal))
        same += found.after <= best * (1 + 1e-9) + 1e-12
        bounded += found.least <= best * (1 + 1e-9)
    assert same >= 16
    assert bounded == 20


def test_a_budget_and_a_number_of_runs_are_kept(powers):
    fit = _normal(powers)
    plan = pd.DataFrame({"C": np.geomspace(1e20, 1e22, 10), "family": list("ab") * 5})
    for budget in (2e20, 1e21, 5e21):
        found = sb.design(fit, candidates=plan, budget=budget, at={"C": 1e24})
        assert found.cost <= budget
        assert found.cost == pytest.approx(found.table["cost"].sum())
        assert found.table["candidate"].is_unique
        assert (np.diff(found.table["after"]) < 0).all()
    assert len(sb.design(fit, candidates=plan, budget=5e21, at={"C": 1e24}, most=2).table) == 2


def test_a_drift_is_part_of_a_design(two_fits):
    fit, alone = two_fits
    plan = pd.DataFrame({"D": [2e9, 4e9], "cost": [1.0, 2.0]})
    found, other = (sb.design(each, candidates=plan, budget=3.0, at={"D": 1e10}) for each in (fit, alone))
    assert found.now > 1.5 * other.now
    assert found.after < 0.8 * found.now


def test_what_a_design_refuses(powers, refuses):
    fit = _normal(powers, draws=10)
    plan = pd.DataFrame({"C": [1e21], "family": ["a"]})
    with refuses(ValueError, "no candidate costs 1e20 FLOPs or less; the cheapest costs 1e21."):
        sb.design(fit, candidates=plan, budget=1e20, at={"C": 1e24})
    with refuses(ValueError, "goal is 'width' or 'decision', got 'regret'."):
        sb.design(fit, candidates=plan, budget=1e22, at={"C": 1e24}, goal="regret")
    with refuses(ValueError, "a decision is between one point of each of several groups, got 1 points."):
        sb.design(fit, candidates=plan, budget=1e22, at={"C": 1e24, "family": "a"}, goal="decision")
    with refuses(ValueError, "most is a whole number from 1 on, got 0."):
        sb.design(fit, candidates=plan, budget=1e22, at={"C": 1e24}, most=0)


def test_the_regret_of_a_choice_is_the_compute_that_it_wastes(powers):
    # b is better in half of the draws by a factor 0.9 of the loss: a then needs 0.9**-20 times the compute.
    A = np.stack([np.full(1000, 30.0), np.where(np.arange(1000) % 2, 27.0, 31.0)])
    plan = pd.DataFrame({"C": [1e21, 1e23], "family": ["b", "b"]})
    found = sb.enough_runs(powers(A, np.full((2, 1000), 0.05)), candidates=plan, to=1e24)
    if_a = 0.5 * (1 - 0.9**20)
    if_b = 0.5 * (1 - (30 / 31) ** 20)
    assert found.shares["wasted"].to_numpy() == pytest.approx([if_a, if_b], rel=1e-3)
    assert found.choice == "b"
    assert found.regret == pytest.approx(if_b * 1e24, rel=1e-3)
    # A run of b, with noise 0.01 where the two cases differ by 0.14, settles it: it saves all of the regret.
    for row in found.table.to_dict("records"):
        assert abs(row["saves"] - found.regret) < 4 * row["se"]
    assert set(found.table["candidate"]) == {0, 1}
    assert not found.enough
    assert "Train b at C = 1e21" in str(found)
    few = sb.enough_runs(powers(A, np.full((2, 1000), 0.05)), candidates=plan, to=2e21, uses=1.0)
    assert few.regret < 1e21
    assert few.enough
    assert "stop, and choose b" in str(few)
    assert not sb.enough_runs(powers(A, np.full((2, 1000), 0.05)), candidates=plan, to=2e21, uses=100.0).enough


def test_nothing_is_worth_a_run_once_the_choice_is_clear(powers):
    fit = powers([30.0, 33.0], [0.05, 0.05])
    found = sb.enough_runs(fit, candidates=pd.DataFrame({"C": [1e18], "family": ["a"]}), to=1e24)
    assert (found.enough, found.regret, found.choice) == (True, 0.0, "a")
