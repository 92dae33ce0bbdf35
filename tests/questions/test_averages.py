"""The answers of questions about an average of fits, and which questions refuse one."""

import numpy as np
import pytest

import scalebayes as sb


def test_one_law_for_both_groups_averaged_with_one_each_draws_the_risk_to_a_half(powers):
    # a leads at the decision scale in every draw; b's steeper power is ahead at the target in one draw of four.
    A = np.array([[30.0] * 400, [40.0] * 400])
    alpha = np.array([[0.05] * 400, [0.065, 0.051, 0.05, 0.05] * 100])
    each, one = powers(A, alpha), powers(np.full((2, 400), 35.0), np.full((2, 400), 0.05))
    assert sb.crossover(each, axis="C", to=1e12, start=1e4).decision_risk == 0.25
    mixed = sb.average({"each": each, "one": one}, weights={"each": 0.25, "one": 0.75})
    found = sb.crossover(mixed, axis="C", to=1e12, start=1e4)
    assert found.winner == "a"
    assert not found.ordered
    assert found.by_law == {"each": 0.25, "one": 0.5}
    assert found.decision_risk == pytest.approx(0.25 * 0.25 + 0.75 * 0.5, abs=0.01)


def test_what_is_of_one_fit_refuses_an_average(chinchillas):
    fit = chinchillas()
    both = sb.average({"one": fit, "other": fit})
    for what, ask in (
        ("a plan", lambda: sb.allocate(both, C=1e24)),
        ("reach", lambda: sb.reach(both, target=2.0, axis="C")),
        ("a plot of curves", lambda: sb.plot(both)),
        ("sensitivity", lambda: sb.sensitivity(both, at={"N": 1e9, "D": 1e10})),
    ):
        with pytest.raises(TypeError, match=f"{what} is of one Fit, got Average; use each fit of an average by itself"):
            ask()
    with pytest.raises(TypeError, match="a path is 'optimal', what is held"):
        sb.crossover(both, axis="C", to=1e24, path=20)
