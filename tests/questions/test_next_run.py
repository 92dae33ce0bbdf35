"""The next run: the expected reduction of uncertainty, on posteriors made by hand."""

import numpy as np
import pandas as pd
import pytest

import scalebayes as sb


def test_the_next_run_is_of_the_group_in_doubt(powers):
    rng = np.random.default_rng(0)
    A = np.stack([30 * np.exp(0.02 * rng.normal(size=2000)), np.full(2000, 30.0)])
    fit = powers(A, np.full((2, 2000), 0.05))
    plan = pd.DataFrame({"C": [1e21, 1e21], "family": ["a", "b"]})
    found = sb.next_run(fit, candidates=plan, goal="decision", axis="C", to=1e24)
    assert found.table["group"].tolist() == ["a", "b"]
    f = A * 1e24**-0.05
    assert found.now == pytest.approx(f.mean(1).min() - f.min(0).mean())
    # A run of a with noise 0.01 removes most of the uncertainty 0.02 of its level; a run of b removes nothing.
    first, second = found.table["reduction"]
    assert 0.5 * found.now < first < found.now
    assert second == pytest.approx(0, abs=1e-12)
    width = sb.next_run(fit, candidates=plan, goal="width", group="a", axis="C", to=1e24)
    assert width.now == pytest.approx(np.diff(np.quantile(np.log(f[0]), [0.055, 0.945]))[0], rel=0.01)
    # Normal prior of sd 0.02 on log A, Student-t noise of scale 0.01 and 8 degrees of freedom: about 0.6 is removed.
    assert 0.45 < width.table["reduction"].iloc[0] / width.now < 0.65
    assert "a at C = 1e21 would reduce it most" in str(width)


def test_nothing_is_left_to_learn_of_what_is_settled(powers):
    for seed in range(6):
        rng = np.random.default_rng(seed)
        A = np.stack([30 * np.exp(0.001 * rng.normal(size=500)), 33 * np.exp(0.001 * rng.normal(size=500))])
        fit = powers(A, np.full((2, 500), 0.05))
        assert sb.crossover(fit, axis="C", to=1e24).value_of_information == 0.0
        found = sb.next_run(
            fit, candidates=pd.DataFrame({"C": [1e21], "family": ["a"]}), goal="decision", axis="C", to=1e24
        )
        assert found.now == 0.0
        assert "This candidate is not expected to reduce it" in str(found)


def test_it_is_said_when_no_candidate_would_teach_anything(powers):
    rng = np.random.default_rng(0)
    A = np.stack([30 * np.exp(0.02 * rng.normal(size=500)), np.full(500, 30.0)])
    plan = pd.DataFrame({"C": [1e21, 1e20], "family": ["b", "b"]})
    found = sb.next_run(powers(A, np.full((2, 500), 0.05)), candidates=plan, goal="decision", axis="C", to=1e24)
    assert found.table["reduction"].tolist() == [0.0, 0.0]
    assert (
        "None of these 2 candidates is expected to reduce it: a single such run would hardly change the choice."
        in str(found)
    )


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (
            lambda f: sb.next_run(f, candidates=pd.DataFrame({"C": [1e21]}), goal="decision", axis="C", to=1e24),
            "each candidate needs its group: a column 'family'.",
        ),
        (
            lambda f: sb.next_run(
                f, candidates=pd.DataFrame({"C": [1e21], "family": ["z"]}), goal="decision", axis="C", to=1e24
            ),
            "a candidate is of 'z', which was not fitted; the groups are 'a', 'b'.",
        ),
        (
            lambda f: sb.next_run(
                f,
                candidates=pd.DataFrame({"C": [1e21, 1e22], "family": ["a", "b"], "cost": [1.0, None]}),
                goal="decision",
                axis="C",
                to=1e24,
            ),
            "cost is a positive finite number of FLOPs; 1 of 2 candidates have none, first: row 1.",
        ),
        (
            lambda f: sb.next_run(
                f,
                candidates=pd.DataFrame({"C": [1e21], "family": ["a"]}),
                goal="decision",
                axis="C",
                to=1e24,
                budget=1e20,
            ),
            "no candidate costs 1e20 FLOPs or less; the cheapest costs 1e21.",
        ),
        (
            lambda f: sb.next_run(
                f, candidates=pd.DataFrame({"C": [1e21], "family": ["a"]}), goal="width", axis="C", to=1e24
            ),
            "the width is of one group; name it, group='a'.",
        ),
        (
            lambda f: sb.next_run(
                f, candidates=pd.DataFrame({"C": [1e21], "family": ["a"]}), goal="fun", axis="C", to=1e24
            ),
            "goal is 'decision', 'width' or 'optimum', got 'fun'.",
        ),
        (
            lambda f: sb.next_run(
                f, candidates=pd.DataFrame({"C": [1e21], "family": ["a"]}), goal="decision", axis="C", to=-1
            ),
            "to is a positive finite C, got -1.",
        ),
        (
            lambda f: sb.next_run(
                f, candidates=pd.DataFrame({"C": [1e21], "family": ["a"]}), goal="optimum", group="a", axis="C", to=1e24
            ),
            "an optimum is at a budget: axis='C', for a law of N and D; power has C.",
        ),
        (
            lambda f: sb.next_run(
                f,
                candidates=pd.DataFrame({"C": [1e21], "family": ["a"]}),
                goal="decision",
                group="a",
                axis="C",
                to=1e24,
            ),
            "groups= names the groups of a decision; group= names the one group of a width or an optimum.",
        ),
    ],
)
def test_bad_questions_are_refused(ask, message, powers, refuses):
    with refuses(ValueError, message):
        ask(powers([30.0, 31.0], [0.05, 0.05]))
