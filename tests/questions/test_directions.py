"""Responses that should be high: every question knows which way is better."""

import numpy as np
import pandas as pd
import pytest

import scalebayes as sb

PRIORS = {
    "top": sb.pooled(sb.LogNormal(3000.0, 0.2), spread=0.1),
    "A": sb.pooled(sb.LogNormal(3e4, 1.0), spread=0.1),
    "alpha": sb.pooled(sb.LogNormal(0.2, 0.5), spread=0.1),
}


def rating(N, *, top, A, alpha):
    """A rating that rises to a ceiling."""
    return top - A * N**-alpha


@pytest.fixture
def ratings(made_fit):
    """Two players whose ratings rise, one above the other at every size."""
    N = np.tile(np.geomspace(1e7, 1e9, 6), 2)
    values = {"top": [3000.0, 2900.0], "A": [3e4, 3e4], "alpha": [0.2, 0.2]}
    elo = np.concatenate([rating(N[:6], top=top, A=3e4, alpha=0.2) for top in values["top"]])
    table = pd.DataFrame({"N": N, "elo": elo, "model": np.repeat(["strong", "weak"], 6)})

    def fit(better):
        runs = sb.read_runs(table, inputs={"N": "N"}, response="elo", group="model", better=better)
        return made_fit(sb.Model(rating, runs, priors=PRIORS, discrepancy=None), values, draws=4)

    return fit


def test_a_rating_is_reached_from_below(ratings):
    answer = sb.reach(ratings("higher"), target=2600.0, axis="N", group="strong")
    assert answer.table["median"].item() == pytest.approx((3e4 / 400) ** 5, rel=1e-9)
    never = sb.reach(ratings("higher"), target=3100.0, axis="N", group="strong")
    assert never.table["p_never"].item() == 1.0


def test_the_higher_rating_leads(ratings):
    answer = sb.crossover(ratings("higher"), axis="N", to=1e11)
    assert (answer.winner, answer.decision_risk, answer.p_ahead) == ("strong", 0.0, 1.0)
    assert answer.table.set_index("group")["median"].to_dict() == pytest.approx(
        {"strong": rating(1e11, top=3000, A=3e4, alpha=0.2), "weak": rating(1e11, top=2900, A=3e4, alpha=0.2)}
    )
    # What the leader needs for the other's rating there is less; the other way round it is more.
    assert answer.gain["median"] < 1
    assert sb.crossover(ratings("lower"), axis="N", to=1e11).winner == "weak"


def test_speed_is_that_of_rising(ratings):
    row = sb.compare(ratings("higher"), target=2600.0).speed.iloc[0]
    assert (row["a"], row["median"]) == ("strong", pytest.approx((400 / 300) ** 5, rel=1e-9))
    assert row["p_faster"] == 1.0


def test_regret_of_a_decision_is_what_is_missed(made_fit, ratings):
    model = ratings("higher").model
    rng = np.random.default_rng(0)
    top = np.stack([np.full(400, 3000.0), 2990 + 40 * rng.normal(size=400)])
    fit = made_fit(model, {"top": top, "A": np.full((2, 400), 3e4), "alpha": np.full((2, 400), 0.2)})
    at = (top - 3e4 * 1e11**-0.2).T
    expected = (at.max(1) - at[:, 0]).mean()
    assert sb.crossover(fit, axis="N", to=1e11).value_of_information == pytest.approx(expected, rel=1e-9)
    plan = pd.DataFrame({"N": [1e10], "model": ["weak"], "cost": [1e20]})
    found = sb.next_run(fit, candidates=plan, goal="decision", axis="N", to=1e11)
    assert found.now == pytest.approx(expected, rel=1e-9)


def test_which_way_is_better_is_one_of_two(table, refuses):
    with refuses(ValueError, "better is 'lower' or 'higher', got 'up'."):
        sb.read_runs(table(), better="up")
