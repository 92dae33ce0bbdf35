"""Crossover, comparison, allocation and the next run: exact answers on posteriors made by hand."""

import itertools
import json

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import scalebayes as sb
from scalebayes.questions.paths import lowest, optimum


def _power_runs(groups="ab"):
    C = np.tile(np.geomspace(1e18, 1e21, 6), len(groups))
    table = pd.DataFrame({"flops": C, "loss": 2 + 3 * (C / 1e18) ** -0.1, "family": np.repeat(list(groups), 6)})
    return sb.read_runs(table, inputs={"C": "flops"}, response="loss", group="family")


def _by_hand(model, prior=None, **parameters):
    """A fit whose posterior is what the caller says, a value or a row of draws per group."""
    levels, dim = list(model.runs.levels) or ["only"], model.runs.group_name if model.runs.group else "group"
    values = {name: np.asarray(value, float) for name, value in parameters.items()}
    draws = max((v.shape[1] for v in values.values() if v.ndim == 2), default=1)

    def dataset(of):
        found = {}
        for name, value in of.items():
            wide = np.broadcast_to(value[:, None] if value.ndim == 1 else value, (len(levels), draws))
            found[name] = (("chain", "draw", dim), wide.T[None])
        found["sigma"], found["nu"] = (
            (("chain", "draw"), np.full((1, draws), 0.01)),
            (("chain", "draw"), np.full((1, draws), 8.0)),
        )
        return xr.Dataset(found, {dim: levels, "chain": [0], "draw": np.arange(draws)})

    before = {name: np.asarray(value, float) for name, value in (prior or parameters).items()}
    tree = xr.DataTree.from_dict(
        {"posterior": dataset(values), "prior": dataset(before),
         "sample_stats": xr.Dataset({"diverging": (("chain", "draw"), np.zeros((1, draws), bool))})}
    )  # fmt: skip
    tree.attrs = {"max_r_hat": 1.0, "min_ess_bulk": 1000.0}
    return sb.Fit(model, tree)


def _powers(A, alpha, groups="ab", **more):
    model = sb.Model(sb.laws.power, _power_runs(groups))
    return _by_hand(model, A=A, alpha=alpha, **more)


def _power_alone(A, alpha, response="loss"):
    """One curve without groups, a row of draws."""
    table = _power_runs().table.iloc[:6].rename(columns={"loss": response})
    model = sb.Model(sb.laws.power, sb.read_runs(table, inputs={"C": "flops"}, response=response))
    fit = _by_hand(model, A=[A], alpha=[alpha])
    for group in ("posterior", "prior"):
        fit.idata[group] = xr.DataTree(fit.idata[group].to_dataset().squeeze("group", drop=True))
    return sb.Fit(model, fit.idata)


def _floors(E, A, alpha, groups="ab"):
    return _by_hand(sb.Model(sb.laws.power_floor, _power_runs(groups)), E=E, A=A, alpha=alpha)


def test_two_powers_cross_where_their_closed_form_says():
    A, alpha = np.array([[30.0, 40.0], [60.0, 50.0]]), np.array([[0.05, 0.05], [0.065, 0.056]])
    found = sb.crossover(_powers(A, alpha), axis="C", to=1e30, at=1e10)
    exact = np.exp((np.log(A[1]) - np.log(A[0])) / (alpha[1] - alpha[0]))
    assert ((exact > 1e10) & (exact < 1e30)).all()
    row = found.pairs.iloc[0]
    assert [row["crossing_lower"], row["crossing_upper"]] == pytest.approx(
        np.quantile(exact, [0.055, 0.945]).tolist(), rel=1e-9
    )
    assert (found.winner, found.rival, found.ordered) == ("a", "b", True)
    assert (found.decision_risk, found.reversal_risk, found.p_cross_before_target) == (1.0, 1.0, 1.0)
    assert row[["none", "once", "twice", "more"]].tolist() == [0, 1, 0, 0]
    # Curves that never cross are risk nought.
    apart = sb.crossover(_powers([30.0, 31.0], [0.05, 0.05]), axis="C", to=1e30, at=1e10)
    assert (apart.decision_risk, apart.reversal_risk, apart.p_cross_before_target) == (0.0, 0.0, 0.0)
    assert apart.crossing_quantiles == {}
    assert "cross before it with probability 0.00;" in str(apart)


def test_two_roots_are_counted_as_two():
    # A difference of .01 + 3 C**-.1 - 2 C**-.07 in logs of C has two positive roots: y = x**.1 by Newton beside it.
    def difference(log_c):
        return 0.01 + 3.0 * np.exp(-0.1 * log_c) - 2.0 * np.exp(-0.07 * log_c)

    grid = np.linspace(0, 200, 400_001)
    roots = grid[:-1][np.diff(np.sign(difference(grid))) != 0]
    assert len(roots) == 2
    at, to = np.exp(roots[0] - 3), np.exp(roots[1] + 3)
    found = sb.crossover(_floors([1.01, 1.0], [3.0, 2.0], [0.1, 0.07]), axis="C", at=at, to=to)
    row = found.pairs.iloc[0]
    assert row[["none", "once", "twice", "more"]].tolist() == [0, 0, 1, 0]
    assert found.p_cross_before_target == 1.0
    assert found.reversal_risk == 0.0
    assert np.log(row["crossing_median"]) == pytest.approx(roots[0], abs=1e-3)


def test_a_crossing_on_a_point_of_the_grid_is_one():
    # 4 C**-.5 and 2 C**-.25 meet at C = 16, the middle of the scales looked at.
    found = sb.crossover(_powers([4.0, 2.0], [0.5, 0.25]), axis="C", at=1.0, to=256.0)
    row = found.pairs.iloc[0]
    assert (row["p_cross"], row["once"], row["reversal_risk"]) == (1.0, 1.0, 1.0)
    assert row["crossing_median"] == pytest.approx(16, rel=1e-9)


def test_what_is_of_one_fit_refuses_an_average():
    fit = _chinchillas()
    both = sb.average({"one": fit, "other": fit})
    for what, ask in (
        ("a plan", lambda: sb.allocate(both, 1e24)), ("reach", lambda: sb.reach(both, 2.0, "C")),
        ("a plot of curves", lambda: sb.plot(both)), ("sensitivity", lambda: sb.sensitivity(both, {"N": 1e9, "D": 1e10})),
    ):  # fmt: skip
        with pytest.raises(TypeError, match=f"{what} is of one Fit, got Average; ask each fit of an average by itself"):
            ask()
    with pytest.raises(TypeError, match="a path is 'optimal', what is held"):
        sb.crossover(both, axis="C", to=1e24, path=20)


def test_constrained_plans_have_the_exponents_of_their_constraint():
    found = sb.allocate(_chinchillas(), [1e21, 1e23], group="a", ratio=(20, 20))
    assert found.exponents.set_index("name").loc["a_opt", "mean"] == pytest.approx(0.5, abs=1e-3)


def test_equal_curves_are_not_ordered():
    found = sb.crossover(_powers([30.0, 30.0], [0.05, 0.05]), axis="C", to=1e24)
    assert not found.ordered
    assert (found.p_ahead, found.decision_risk, found.reversal_risk) == (0.5, 0.5, 0.0)
    assert found.table["p_best"].tolist() == [0.5, 0.5]
    assert "Not yet ordered at C = 1e21" in str(found)
    assert "cannot be told from these runs" in str(found)


def test_of_three_equal_curves_one_is_best_a_third_of_the_time():
    found = sb.crossover(_powers([30.0] * 3, [0.05] * 3, "abc"), axis="C", to=1e24)
    assert found.table["p_best"].tolist() == pytest.approx([1 / 3] * 3)
    assert found.decision_risk == pytest.approx(2 / 3)


def test_a_winner_that_is_tied_is_not_ordered_whoever_is_best_farther_out():
    # a and b are one; c, far behind at the decision scale, is best at the target.
    rng = np.random.default_rng(0)
    A = np.stack(
        [30 * np.exp(0.01 * rng.normal(size=400)), 30 * np.exp(0.01 * rng.normal(size=400)), np.full(400, 1e4)]
    )
    found = sb.crossover(_powers(A, [[0.05] * 400, [0.05] * 400, [0.15] * 400], "abc"), axis="C", to=1e30)
    assert found.rival == "c"
    assert not found.ordered
    assert {found.winner, found.contender} == {"a", "b"}
    own = found.pairs.set_index(["a", "b"]).loc[("a", "b"), "p_a_ahead"]
    assert found.p_ahead == pytest.approx(own if found.winner == "a" else 1 - own)
    assert f"{found.winner} is ahead of {found.contender} with probability" in str(found)


def test_a_tie_counts_half_for_either():
    cells = ["ahead_ahead", "ahead_behind", "behind_ahead", "behind_behind"]
    equal = sb.crossover(_powers([30.0] * 3, [0.05] * 3, "abc"), axis="C", to=1e24)
    assert equal.pairs[cells].to_numpy().tolist() == [[0.5, 0, 0, 0.5]] * 3
    assert equal.table["expected_rank"].tolist() == [2.0] * 3
    # In one draw of four they differ, and a is ahead at both ends.
    A = np.array([[30.0] * 4, [31.0, 30.0, 30.0, 30.0]])
    found = sb.crossover(_powers(A, np.full((2, 4), 0.05)), axis="C", to=1e24).pairs.iloc[0]
    assert found[cells].tolist() == [0.625, 0, 0, 0.375]
    assert (found["p_a_ahead"], found["reversal_risk"]) == (0.625, 0.0)
    turned = sb.crossover(_powers(A[::-1], np.full((2, 4), 0.05)), axis="C", to=1e24).pairs.iloc[0]
    assert turned[cells].tolist() == [0.375, 0, 0, 0.625]


def test_what_a_curve_reaches_before_it_rises_is_reached():
    # Falls by C**-.1 up to 1e40 and rises from there on.
    model = sb.Model(sb.laws.broken_power, _power_runs())
    fit = _by_hand(model, E=[[0.0] * 2] * 2, A=[[100.0] * 2, [102.0] * 2], alpha=[0.1, 0.1], d_1=[1e40, 1e40], delta_1=[-0.4, -0.4], f_1=[1.0, 1.0])  # fmt: skip
    gain = sb.crossover(fit, axis="C", to=1e24).gain
    assert gain["p_undefined"] == 0.0
    assert gain["median"] == pytest.approx(1.02**-10, rel=1e-6)
    speed = sb.compare(fit, at={"C": 1e24}).speed.iloc[0]
    assert (speed["p_a_never"], speed["p_b_never"]) == (0.0, 0.0)
    assert speed["median"] == pytest.approx(1.02**10, rel=1e-6)


def test_a_path_need_not_be_defined_where_nothing_is_asked():
    found = sb.crossover(
        _chinchillas(A=[406.4, 430.0]), axis="C", to=1e24, path=lambda c: {"N": 1e9, "D": (c - 1e18) / 6e9}
    )
    assert found.gain["within"] == 1000
    # N being held, more tokens make up for the larger A: B D^-beta falls by what A N^-alpha is larger.
    held, D = HOFFMANN, (1e24 - 1e18) / 6e9
    needed = (D ** -held["beta"] + (430 - 406.4) * 1e9 ** -held["alpha"] / held["B"]) ** (-1 / held["beta"])
    assert found.gain["median"] == pytest.approx((6e9 * needed + 1e18) / 1e24, rel=0.01)
    with pytest.raises(ValueError, match=r"a path gives positive finite inputs; at a scale of 6e21 D is -"):
        sb.crossover(_chinchillas(), axis="C", to=1e24, path=lambda c: {"N": 1e9, "D": (c - 1e23) / 6e9})


def test_nothing_is_left_to_learn_of_what_is_settled():
    for seed in range(6):
        rng = np.random.default_rng(seed)
        A = np.stack([30 * np.exp(0.001 * rng.normal(size=500)), 33 * np.exp(0.001 * rng.normal(size=500))])
        fit = _powers(A, np.full((2, 500), 0.05))
        assert sb.crossover(fit, axis="C", to=1e24).value_of_information == 0.0
        found = sb.next_run(fit, pd.DataFrame({"C": [1e21], "family": ["a"]}), goal="decision", axis="C", to=1e24)
        assert found.now == 0.0
        assert "This candidate is not expected to reduce it" in str(found)


def test_plans_that_cannot_be_are_refused_with_their_reason():
    fit = _chinchillas()
    for arguments, message in (
        ({"C": 1.0}, "1 FLOPs do not pay for training any model on one token; raise C."),
        ({"C": 1e20, "served": 1e30}, "1e20 FLOPs do not pay for training any model on one token after serving 1e30; raise C or lower served."),
        (
            {"C": 1e24, "cost": lambda n, d: 6 * n * 1e3 * d / (d + 1e3)},
            "the cost given comes to 1e24 FLOPs at no N up to 1e20 and D up to 1e30; it has to rise in both.",
        ),
        ({"C": 1e24, "ratio": 20}, "ratio is the least and the most tokens per parameter, got 20."),
    ):  # fmt: skip
        with pytest.raises(ValueError) as caught:  # noqa: PT011
            sb.allocate(fit, group="a", **arguments)
        assert str(caught.value) == message
    row = sb.allocate(fit, 1e24, group="a", ratio=(1, 3)).table.iloc[0]
    assert row["plan_d"] / row["plan_n"] == pytest.approx(3, rel=1e-9)
    assert row["extrapolation"] == pytest.approx(1e24 / 6e21, rel=1e-3)
    dearer = sb.allocate(fit, 1e25, group="a", cost=lambda n, d: 60 * n * d).table.iloc[0]
    assert dearer["extrapolation"] == pytest.approx(1e24 / 6e21, rel=1e-3)


def test_one_that_is_there_at_every_scale_is_not_taken_for_one_that_never_is():
    model = sb.Model(sb.laws.sigmoid, _power_runs())
    fit = _by_hand(model, E=[0.1, 0.1], L_0=[[1.0] * 2, [0.9] * 2], A=[1e6, 1e6], alpha=[0.3, 0.3])
    said = str(sb.compare(fit, at={"loss": 0.95}))
    assert "At loss = 0.95, b is more likely than not there at every scale, and a is not." in said


def test_an_average_hides_no_divergences_of_one_fit():
    good, bad = (_powers(np.full((2, 400), 30.0), np.full((2, 400), 0.05)) for _ in range(2))
    bad.idata["sample_stats"]["diverging"][0, :3] = True  # .75%, of both .375%
    bad = sb.Fit(bad.model, bad.idata)
    (problem,) = sb.average({"good": good, "bad": bad}).diagnostics.problems
    assert problem == "3 of 400 draws diverged"


def test_one_law_for_both_groups_averaged_with_one_each_draws_the_risk_to_a_half():
    # a leads at the decision scale in every draw; b's steeper power is ahead at the target in one draw of four.
    A = np.array([[30.0] * 400, [40.0] * 400])
    alpha = np.array([[0.05] * 400, [0.065, 0.051, 0.05, 0.05] * 100])
    each, one = _powers(A, alpha), _powers(np.full((2, 400), 35.0), np.full((2, 400), 0.05))
    assert sb.crossover(each, axis="C", to=1e12, at=1e4).decision_risk == 0.25
    mixed = sb.average({"each": each, "one": one}, weights={"each": 0.25, "one": 0.75})
    found = sb.crossover(mixed, axis="C", to=1e12, at=1e4)
    assert found.winner == "a"
    assert not found.ordered
    assert found.by_law == {"each": 0.25, "one": 0.5}
    assert found.decision_risk == pytest.approx(0.25 * 0.25 + 0.75 * 0.5, abs=0.01)


def test_the_gain_is_constant_where_floors_and_exponents_agree():
    fit = _floors([1.0, 1.0], [30.0, 36.0], [0.05, 0.05])
    for to in (1e22, 1e26):
        gain = sb.crossover(fit, axis="C", to=to).gain
        assert gain["median"] == pytest.approx((30 / 36) ** 20, rel=1e-9)
        assert gain["p_undefined"] == 0.0
    # A rival below the winner's floor is never reached.
    crossing = sb.crossover(_floors([1.5, 0.5], [10.0, 60.0], [0.1, 0.08]), axis="C", at=1e18, to=1e40)
    assert crossing.winner == "a"
    assert (crossing.gain["median"], crossing.gain["p_undefined"]) == (np.inf, 1.0)
    assert "a more likely than not never reaches b's loss there" in str(crossing)


def test_other_names_permute_the_answer():
    rng = np.random.default_rng(0)
    A, alpha = 30 * np.exp(0.05 * rng.normal(size=(3, 400))), 0.05 * np.exp(0.05 * rng.normal(size=(3, 400)))
    order = [2, 0, 1]
    one = sb.crossover(_powers(A, alpha, "abc"), axis="C", to=1e24)
    other = sb.crossover(_powers(A[order], alpha[order], "abc"), axis="C", to=1e24)
    names = dict(zip("abc", (list("abc")[i] for i in order), strict=True))
    renamed = other.table.assign(group=other.table["group"].map(names)).sort_values("group").reset_index(drop=True)
    pd.testing.assert_frame_equal(renamed, one.table)
    assert names[other.winner] == one.winner
    assert other.decision_risk == one.decision_risk
    assert other.value_of_information == pytest.approx(one.value_of_information, abs=1e-15)


def test_risk_regret_and_information_are_what_they_are_defined_to_be():
    rng = np.random.default_rng(1)
    A = 30 * np.exp(0.02 * rng.normal(size=(2, 500)))
    fit = _powers(A, np.full((2, 500), 0.05))
    found = sb.crossover(fit, axis="C", to=1e24, margin=0.01)
    f = A * 1e24**-0.05
    w = int((A * 1e21**-0.05).mean(1).argmin())
    assert found.decision_risk == pytest.approx((f[w] > f[1 - w] + 0.01).mean())
    assert found.expected_regret == pytest.approx((f[w] - f.min(0)).mean())
    assert found.value_of_information == pytest.approx(f.mean(1).min() - f.min(0).mean())
    assert found.table["p_best"].to_numpy() == pytest.approx([(f[0] < f[1]).mean(), (f[1] < f[0]).mean()])
    cells = found.pairs[["ahead_ahead", "ahead_behind", "behind_ahead", "behind_behind"]].iloc[0]
    assert cells.sum() == pytest.approx(1)
    assert found.curve["p_crossed"].iloc[-1] == found.p_cross_before_target


HOFFMANN = {"E": 1.69, "A": 406.4, "B": 410.7, "alpha": 0.34, "beta": 0.28}


def test_published_optimum_and_the_search_for_it():
    n, d = optimum(sb.laws.chinchilla, ("N", "D"), np.array([5.76e23]), HOFFMANN)
    assert (n[0], d[0]) == pytest.approx((3.22e10, 2.98e12), rel=2e-3)
    flops = np.geomspace(1e18, 1e27, 10)
    closed, _ = optimum(sb.laws.chinchilla, ("N", "D"), flops, HOFFMANN)
    np.testing.assert_allclose(lowest(sb.laws.chinchilla, ("N", "D"), flops, HOFFMANN), closed, rtol=1e-8)


def _sizes(groups="ab"):
    N, D = (axis.ravel() for axis in np.meshgrid(np.geomspace(1e8, 1e10, 4), np.geomspace(1e9, 1e11, 4)))
    table = pd.concat([pd.DataFrame({"N": N, "D": D, "arch": g}) for g in groups], ignore_index=True)
    table["loss"] = np.asarray(sb.laws.chinchilla(table["N"].to_numpy(), table["D"].to_numpy(), **HOFFMANN), float)
    return sb.read_runs(table, group="arch")


def _chinchillas(**changed):
    values = {name: [value, value] for name, value in HOFFMANN.items()} | changed
    return _by_hand(sb.Model(sb.laws.chinchilla, _sizes()), **values)


def test_a_plan_is_the_optimum_of_a_posterior_without_doubt():
    found = sb.allocate(_chinchillas(), [5.76e23, 1e24], group="a")
    row = found.table.iloc[0]
    assert (row["n_opt_median"], row["d_opt_median"]) == pytest.approx((3.22e10, 2.98e12), rel=2e-3)
    assert row["plan_n"] == pytest.approx(row["n_opt_median"], rel=2e-3)
    assert 6 * row["plan_n"] * row["plan_d"] == pytest.approx(5.76e23, rel=1e-3)
    for end in ("lower", "upper"):
        n = row[f"near_n_{end}"]
        off = float(sb.laws.chinchilla(n, 5.76e23 / (6 * n), **HOFFMANN))
        assert off - row["plan_loss"] == pytest.approx(0.005, abs=1e-4)
    exponents = found.exponents.set_index("name")["mean"]
    assert exponents["a_opt"] == pytest.approx(0.28 / 0.62)
    assert exponents["a_opt"] + exponents["b_opt"] == pytest.approx(1)


def test_a_cost_of_ones_own_gives_the_closed_form_where_it_is_the_same():
    fit = _chinchillas()
    closed = sb.allocate(fit, 1e23, group="a").table.iloc[0]
    found = sb.allocate(fit, 1e23, group="a", cost=lambda n, d: 6 * n * d).table.iloc[0]
    assert found["n_opt_median"] == pytest.approx(closed["n_opt_median"], rel=1e-6)


def test_constraints_hold_and_serving_makes_models_smaller():
    fit = _chinchillas()
    free = sb.allocate(fit, 1e24, group="a").table.iloc[0]
    served = sb.allocate(fit, 1e24, group="a", served=1e13).table.iloc[0]
    assert served["n_opt_median"] < free["n_opt_median"]
    spent = 6 * served["n_opt_median"] * served["d_opt_median"] + 2e13 * served["n_opt_median"]
    assert spent == pytest.approx(1e24, rel=1e-6)
    capped = sb.allocate(fit, 1e24, group="a", most_n=1e10).table.iloc[0]
    assert capped["n_opt_median"] == pytest.approx(1e10, rel=5e-3)
    dense = sb.allocate(fit, 1e24, group="a", ratio=(500, 1000)).table.iloc[0]
    assert 495 < dense["d_opt_median"] / dense["n_opt_median"] < 1010
    few = sb.allocate(fit, 1e24, group="a", unique=1e11).table.iloc[0]
    assert few["n_opt_median"] > free["n_opt_median"]
    assert few["loss_median"] > free["loss_median"]
    with pytest.raises(ValueError, match=r"no plan spends 1e24 FLOPs and meets most_n=1000000\.0, most_d=1000000\.0"):
        sb.allocate(fit, 1e24, group="a", most_n=1e6, most_d=1e6)


def test_groups_are_compared_by_each_parameter():
    rng = np.random.default_rng(0)
    alpha = np.stack([0.34 + 0.01 * rng.normal(size=400), 0.30 + 0.01 * rng.normal(size=400)])
    fit = _chinchillas(alpha=alpha, A=[406.4, 203.2])
    found = sb.compare(fit, rope={"alpha": 0.01})
    rows = found.table.set_index("parameter")
    difference = alpha[0] - alpha[1]
    assert rows.loc["alpha", "mean"] == pytest.approx(difference.mean())
    assert rows.loc["alpha", "p_direction"] == pytest.approx((difference > 0).mean())
    assert rows.loc["alpha", "p_equivalent"] == pytest.approx((np.abs(difference) < 0.01).mean())
    # The term A N**-alpha where the runs are, N = 1e9 in the geometric mean.
    assert rows.loc["A", "mean"] == pytest.approx(np.log(2) - difference.mean() * np.log(1e9))
    assert rows.loc["A", "scale"] == "log ratio"
    assert rows.loc["E", "p_direction"] == 0.5
    assert "alpha: a's less b's is 0.0" in str(found)
    assert "Term of A at N = 1e9: a's is 0.8" in str(found)
    assert rows.loc["A", "at"] == "N = 1e9"
    assert rows.loc["alpha", "at"] == ""


def test_the_next_run_is_of_the_group_in_doubt():
    rng = np.random.default_rng(0)
    A = np.stack([30 * np.exp(0.02 * rng.normal(size=2000)), np.full(2000, 30.0)])
    fit = _powers(A, np.full((2, 2000), 0.05))
    plan = pd.DataFrame({"C": [1e21, 1e21], "family": ["a", "b"]})
    found = sb.next_run(fit, plan, goal="decision", axis="C", to=1e24)
    assert found.table["group"].tolist() == ["a", "b"]
    f = A * 1e24**-0.05
    assert found.now == pytest.approx(f.mean(1).min() - f.min(0).mean())
    # A run of a with noise .01 tells most about its level of doubt .02, one of b nothing.
    first, second = found.table["reduction"]
    assert 0.5 * found.now < first < found.now
    assert second == pytest.approx(0, abs=1e-12)
    width = sb.next_run(fit, plan, goal="width", group="a", axis="C", to=1e24)
    assert width.now == pytest.approx(np.diff(np.quantile(np.log(f[0]), [0.055, 0.945]))[0], rel=0.01)
    # Normal prior of sd .02 on log A, Student-t noise of scale .01 and 8 degrees of freedom: about .6 of the doubt goes.
    assert 0.45 < width.table["reduction"].iloc[0] / width.now < 0.65
    assert "a at C = 1e21 would reduce it most" in str(width)


def test_it_is_said_when_no_candidate_would_teach_anything():
    rng = np.random.default_rng(0)
    A = np.stack([30 * np.exp(0.02 * rng.normal(size=500)), np.full(500, 30.0)])
    plan = pd.DataFrame({"C": [1e21, 1e20], "family": ["b", "b"]})
    found = sb.next_run(_powers(A, np.full((2, 500), 0.05)), plan, goal="decision", axis="C", to=1e24)
    assert found.table["reduction"].tolist() == [0.0, 0.0]
    assert (
        "None of these 2 candidates is expected to reduce it: a single such run would hardly change the choice."
        in str(found)
    )


@pytest.mark.fits
def test_a_fit_that_drifts_is_decided_with_its_drift():
    C = np.geomspace(1e18, 1e21, 14)
    rng = np.random.default_rng(0)
    table = pd.concat(
        [pd.DataFrame({"C": C, "loss": (1 + b * (C / 1e18) ** -0.1) * np.exp(0.003 * rng.normal(size=14)), "arch": g}) for g, b in (("a", 2.0), ("b", 2.05))],
        ignore_index=True,
    )  # fmt: skip
    runs = sb.read_runs(table, response="loss", group="arch")
    fits = {d: sb.fit(sb.laws.power_floor, runs, discrepancy=d, draws=500) for d in ("drift", None)}
    found = {d: sb.crossover(fit, axis="C", to=1e24) for d, fit in fits.items()}
    spread = {
        d: float((x.draws.sel(group="a") - x.draws.sel(group="b")).isel(scale=-1).std()) for d, x in found.items()
    }
    assert spread["drift"] > spread[None]
    again = sb.crossover(fits["drift"], axis="C", to=1e24)
    assert again.decision_risk == found["drift"].decision_risk
    mixed = sb.crossover(sb.average({"with": fits["drift"], "without": fits[None]}), axis="C", to=1e24)
    assert set(mixed.by_law) == {"with", "without"}
    assert min(mixed.by_law.values()) - 0.02 <= mixed.decision_risk <= max(mixed.by_law.values()) + 0.02


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda f: sb.crossover(f, axis="C", to=1e20), "the target lies beyond the decision scale: to=1e20, at=1e21, the largest at which all groups were seen."),
        (lambda f: sb.crossover(f, ["a"], axis="C", to=1e24), "2 different groups or more are compared, got a."),
        (lambda f: sb.crossover(f, ["a", "z"], axis="C", to=1e24), "family has no group 'z'; the groups are a, b."),
        (lambda f: sb.crossover(f, axis="N", to=1e24), "power has no axis 'N'; it has C."),
        (lambda f: sb.crossover(f, axis="C", to=1e24, margin=-1), "margin is a difference of loss from 0 on, got -1."),
        (lambda f: sb.crossover(f, axis="C", to=1e24, path="optimal"), "a compute-optimal path is along C, for a law of N and D; power has C and the axis is 'C'."),
        (lambda f: sb.crossover(f, axis="C", to=1e24, path={"N": 1e9}), "to move along C, power needs no other input held; got N."),
        (lambda f: sb.allocate(f, 1e24), "a budget is divided between N and D; power has C."),
        (lambda f: sb.next_run(f, pd.DataFrame({"C": [1e21]}), goal="decision", axis="C", to=1e24), "each candidate needs its group: a column 'family'."),
        (lambda f: sb.next_run(f, pd.DataFrame({"C": [1e21], "family": ["z"]}), goal="decision", axis="C", to=1e24), "a candidate is of 'z', which was not fitted; the groups are a, b."),
        (lambda f: sb.next_run(f, pd.DataFrame({"C": [1e21, 1e22], "family": ["a", "b"], "cost": [1.0, None]}), goal="decision", axis="C", to=1e24), "cost is a positive finite number of FLOPs; 1 of 2 candidates have none, first: row 1."),
        (lambda f: sb.next_run(f, pd.DataFrame({"C": [1e21], "family": ["a"]}), goal="decision", axis="C", to=1e24, budget=1e20), "no candidate costs 1e20 FLOPs or less; the cheapest costs 1e21."),
        (lambda f: sb.next_run(f, pd.DataFrame({"C": [1e21], "family": ["a"]}), goal="width", axis="C", to=1e24), "the width is of one group; name it, group='a'."),
        (lambda f: sb.next_run(f, pd.DataFrame({"C": [1e21], "family": ["a"]}), goal="fun", axis="C", to=1e24), "goal is 'decision', 'width' or 'optimum', got 'fun'."),
        (lambda f: sb.compare(f, rope={"gamma": 1.0}), "rope is of parameters that differ between groups, A, alpha; got 'gamma'."),
        (lambda f: sb.compare({"one": f}), "two fits or more are needed, got 1."),
        (lambda f: sb.crossover(f, axis="N", to=1e24, path=lambda c: {"C": c}), "how far the runs go along 'N' is not known; it is no input (C), nor C for N and D."),
        (lambda f: sb.crossover(f, axis="C", to=1e24, path=lambda c: {"C": c * np.nan}), "a path gives positive finite inputs; at a scale of 1e21 C is nan."),
        (lambda f: sb.next_run(f, pd.DataFrame({"C": [1e21], "family": ["a"]}), goal="decision", axis="C", to=-1), "to is a positive finite C, got -1."),
        (lambda f: sb.next_run(f, pd.DataFrame({"C": [1e21], "family": ["a"]}), goal="optimum", group="a", axis="C", to=1e24), "an optimum is at a budget: axis='C', for a law of N and D; power has C."),
        (lambda f: sb.next_run(f, pd.DataFrame({"C": [1e21], "family": ["a"]}), goal="decision", group="a", axis="C", to=1e24), "groups= is what a decision is between; group= is of which the width or optimum is asked."),
    ],
)  # fmt: skip
def test_bad_questions_are_refused(ask, message):
    fit = _powers([30.0, 31.0], [0.05, 0.05])
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        ask(fit)
    assert str(caught.value) == message


_OTHER_WORDS = r"the groups declare another tokenizer \(vocabulary: a: gpt2; b: llama\)"


def _of_two_tokenizers():
    runs = _power_runs()
    table = runs.table.assign(vocabulary=np.where(runs.table["family"] == "a", "gpt2", "llama"))
    return sb.read_runs(table, inputs={"C": "flops"}, response="loss", group="family", tokenizer="vocabulary")


def test_groups_with_another_tokenizer_are_not_compared():
    fit = _by_hand(sb.Model(sb.laws.power, _of_two_tokenizers()), A=[30.0, 31.0], alpha=[0.05, 0.05])
    with pytest.raises(ValueError, match=_OTHER_WORDS):
        sb.crossover(fit, axis="C", to=1e24)


@pytest.mark.fits
def test_a_file_keeps_the_tokenizers(tmp_path):
    sb.fit(sb.laws.power, _of_two_tokenizers(), draws=300).save(tmp_path / "fit.nc")
    with pytest.raises(ValueError, match=_OTHER_WORDS):
        sb.crossover(sb.load(tmp_path / "fit.nc"), axis="C", to=1e24)


def test_a_path_of_ones_own_and_of_tokens_per_parameter():
    fit = _chinchillas(A=[406.4, 380.0])
    by_ratio = sb.crossover(fit, axis="C", to=1e24, path={"D/N": 20})
    own = sb.crossover(fit, axis="C", to=1e24, path=lambda c: {"N": (c / 120) ** 0.5, "D": 20 * (c / 120) ** 0.5})
    assert own.table["mean"].to_numpy() == pytest.approx(by_ratio.table["mean"].to_numpy())
    best = sb.crossover(fit, axis="C", to=1e24)
    assert (best.table["mean"] <= by_ratio.table["mean"]).all()
    assert best.path == "its own compute-optimal path"
    with pytest.raises(ValueError, match="a path takes a scale to a mapping of N, D; got M"):
        sb.crossover(fit, axis="C", to=1e24, path=lambda c: {"M": c})


@pytest.mark.fits
def test_pictures_and_commands(tmp_path, capsys, monkeypatch):
    import sys

    from scalebayes.cli.app import main

    fit = sb.fit(sb.laws.chinchilla, _sizes_with_noise(), draws=300)
    fit.save(tmp_path / "fit.nc")
    rows = itertools.product("ab", [1e9, 1e10], [2e10, 2e11])
    pd.DataFrame(rows, columns=["arch", "N", "D"]).to_csv(tmp_path / "plan.csv", index=False)

    def ask(*words):
        monkeypatch.setattr(sys, "argv", ["scalebayes", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code, capsys.readouterr()

    file, picture = tmp_path / "fit.nc", tmp_path / "picture.png"
    for words, keys in (
        (("crossover", file, "--axis", "C", "--from", "1e21", "--to", "1e24"), {"winner_at_decision_scale", "ordered", "decision_risk", "reversal_risk", "prior_decision_risk", "p_cross_before_target", "crossing_quantiles", "expected_regret", "p_best", "extrapolation"}),
        (("crossover", file, "a", "b", "--to", "1e24", "--path", "ratio=20"), {"path"}),
        (("compare", file, "--rope", "alpha=0.01", "--at", "loss=2.4"), {"pairs", "speed", "axis"}),
        (("allocate", file, "--compute", "1e24", "--group", "a", "--within", "0.005"), {"n_opt", "d_opt", "loss", "near_optimal"}),
        (("next-run", file, "--candidates", tmp_path / "plan.csv", "--goal", "decision", "--axis", "C", "--to", "1e24"), {"candidates"}),
    ):  # fmt: skip
        code, printed = ask(*words, "--json", "-o", picture, "--force")
        assert code == 0, printed.err
        assert keys <= set(json.loads(printed.out))
        assert picture.stat().st_size > 5000
        code, printed = ask(*words)
        assert code == 0
        assert len(printed.out.strip()) > 100
    code, printed = ask("crossover", file, "--to", "1e24", "--path", "square")
    assert (code, printed.err.strip()) == (2, "scalebayes: --path is optimal, ratio=20, N=1e9 or D=2e10; got 'square'.")
    fit.save(tmp_path / "other.nc")
    for option in (("--axis", "D"), ("--path", "ratio=20"), ("--rope", "alpha=0.01")):
        code, printed = ask("compare", file, tmp_path / "other.nc", *option)
        assert code == 2
        assert printed.err.startswith("scalebayes: --rope, --at, --axis, --path and -o are for the groups of one fit;")


def _sizes_with_noise():
    runs = _sizes()
    rng = np.random.default_rng(0)
    worse = np.where(runs.table["arch"] == "b", 1.01, 1.0)
    return sb.read_runs(
        runs.table.assign(loss=runs.y * worse * np.exp(0.004 * rng.normal(size=len(runs)))), group="arch"
    )


def test_a_fit_that_has_not_converged_leads_with_it(tmp_path, capsys, monkeypatch):
    import sys

    from scalebayes.cli.app import main

    fit = _powers([30.0, 31.0], [0.05, 0.05])
    fit.idata.attrs["max_r_hat"] = 1.2
    bad = sb.Fit(fit.model, fit.idata)
    assert str(sb.crossover(bad, axis="C", to=1e24)).startswith("NOT CONVERGED: r-hat reaches 1.2")
    real = sb.fit(sb.laws.power, _power_runs(), draws=300)
    real.idata.attrs["max_r_hat"] = 1.2
    sb.Fit(real.model, real.idata).save(tmp_path / "bad.nc")
    monkeypatch.setattr(sys, "argv", ["scalebayes", "crossover", str(tmp_path / "bad.nc"), "--to", "1e24", "--strict"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert "holds a fit that has not converged: r-hat reaches 1.2" in capsys.readouterr().err


@pytest.mark.fits
@pytest.mark.data
def test_published_crossings_lie_in_what_was_foretold(public_data):
    """Beck et al. (2025), arXiv:2510.02228: mLSTM leads at few tokens per parameter, Llama at many."""
    table = pd.read_csv(public_data / "xlstm_vs_llama.csv").query("experiment == 'tokenparam'")
    table = table.assign(ratio=table["n_tokens"] / table["n_params"])
    # The best learning rate of each cell; sizes agree to a per cent or so.
    best = table.loc[table.groupby(["architecture", "n_params", "n_tokens"])["loss"].idxmin()]
    known = best[best["ratio"] < 125]
    runs = sb.read_runs(known, inputs={"N": "n_params", "D": "n_tokens"}, response="loss", group="architecture")
    fit = sb.fit(sb.laws.chinchilla, runs)
    # Between which ratios the runs beyond change order; none in range for the two largest sizes.
    crossed = {1.6e8: (44, 110), 4.1e8: (110, 220), 8.4e8: (220, 550), 1.42e9: (220, 550), 2.78e9: None, 6.86e9: None}
    held = 0
    for N, between in crossed.items():
        found = sb.crossover(fit, axis="D", at=22 * N, to=2200 * N, path={"N": N})
        assert (found.winner, found.rival, found.ordered) == ("mlstm", "llama", True)
        if between is None:
            assert found.decision_risk < 0.95
            continue
        low, _, high = (scale / N for scale in found.crossing_quantiles.values())
        held += low < between[1] and high > between[0]
        assert found.p_cross_before_target > 0.5
    assert held >= 3


@pytest.mark.slow
@pytest.mark.data
def test_runs_at_equal_compute_do_not_turn_round(public_data):
    """Beck et al. (2025): at equal compute mLSTM is ahead at every budget."""
    table = pd.read_csv(public_data / "xlstm_vs_llama.csv")
    where = "experiment == 'isoflop' and context_length == 2048"
    runs = sb.read_runs(
        table, inputs={"N": "n_params", "D": "n_tokens"}, response="loss", group="architecture", where=where
    )
    found = sb.crossover(sb.fit(sb.laws.chinchilla, runs), axis="C", to=1e22)
    assert (found.winner, found.ordered) == ("mlstm", True)
    assert found.reversal_risk < 0.1
    assert found.decision_risk < 0.1


def test_curves_fitted_apart_are_compared_as_if_they_knew_nothing_of_each_other():
    rng = np.random.default_rng(0)
    A = 30 * np.exp(0.02 * rng.normal(size=(2, 4000)))
    alpha = np.full((2, 4000), 0.05)
    together = sb.crossover(_powers(A, alpha), axis="C", to=1e24)
    apart = {g: _power_alone(A[i], alpha[i]) for i, g in enumerate("ab")}
    found = sb.crossover(apart, axis="C", to=1e24)
    assert found.winner == together.winner
    assert found.decision_risk == pytest.approx(together.decision_risk, abs=0.03)
    # Whatever goes along in the draws of two fits is chance: the same fit twice differs from itself.
    twice = sb.crossover({"one": apart["a"], "other": apart["a"]}, axis="C", to=1e24)
    assert twice.decision_risk == pytest.approx(0.5, abs=0.03)
    assert not twice.ordered
    both = {g: sb.average({"x": fit, "y": fit}) for g, fit in apart.items()}
    mixed = sb.crossover(both, axis="C", to=1e24)
    assert set(mixed.by_law) == {"x", "y"}
    assert mixed.decision_risk == pytest.approx(together.decision_risk, abs=0.05)


def test_fits_that_are_no_single_curves_are_refused():
    one, two = _power_alone([30.0], [0.05]), _powers([30.0, 31.0], [0.05, 0.05])
    with pytest.raises(ValueError, match=r"'pair' has the groups a, b\. Ask about that fit alone\."):
        sb.crossover({"one": one, "pair": two}, axis="C", to=1e24)
    with pytest.raises(ValueError, match="2 different fits or more are compared, got one"):
        sb.crossover({"one": one}, axis="C", to=1e24)
    with pytest.raises(ValueError, match="there is no fit called 'z'; there are 'one', 'other'"):
        sb.crossover({"one": one, "other": one}, ["one", "z"], axis="C", to=1e24)
    with pytest.raises(ValueError, match="2 different fits or more are compared, got one"):
        sb.crossover({"one": one, "other": one}, "one", axis="C", to=1e24)
    with pytest.raises(TypeError, match="a Fit or Average is needed for 'other', got str"):
        sb.crossover({"one": one, "other": "fit.nc"}, axis="C", to=1e24)
    with pytest.raises(TypeError, match="or several of them by name are compared, got list"):
        sb.crossover([one, one], axis="C", to=1e24)
    other = _power_alone([30.0], [0.05], "error")
    with pytest.raises(ValueError, match=r"different responses \(one: loss, other: error\)"):
        sb.crossover({"one": one, "other": other}, axis="C", to=1e24)


def test_speeds_of_powers_are_what_their_closed_form_says():
    A, alpha = [30.0, 36.0], [0.05, 0.06]
    fit = _powers(*(np.outer(value, [1, 1]) for value in (A, alpha)))
    at_loss = sb.compare(fit, at={"loss": 2.5}).speed.iloc[0]
    needed = [(a / 2.5) ** (1 / s) for a, s in zip(A, alpha, strict=True)]
    assert at_loss["median"] == pytest.approx(needed[1] / needed[0], rel=1e-9)
    at_scale = sb.compare(fit, at={"C": 1e22}).speed.iloc[0]
    there = A[0] * 1e22 ** -alpha[0]
    assert at_scale["median"] == pytest.approx((A[1] / there) ** (1 / alpha[1]) / 1e22, rel=1e-9)
    assert at_scale["p_faster"] == float(at_scale["median"] > 1)

    def above(*E):
        return _floors(*(np.outer(value, [1, 1]) for value in (E, A, alpha)))

    never = sb.compare(above(1.0, 3.0), at={"loss": 2.5}).speed.iloc[0]
    assert (never["median"], never["p_faster"], never["p_a_never"], never["p_b_never"]) == (np.inf, 1.0, 0.0, 1.0)
    assert "b more likely than not never gets there (probability 1.00)" in str(
        sb.compare(above(1.0, 3.0), at={"loss": 2.5})
    )
    neither = sb.compare(above(3.0, 3.0), at={"loss": 2.5})
    assert (neither.speed["p_a_never"].iloc[0], neither.speed["p_b_never"].iloc[0]) == (1.0, 1.0)
    assert "At loss = 2.5, neither a nor b gets there." in str(neither)
    # Where equal curves are, and units in which the scale is far below one.
    same = _powers(np.full((2, 2), 30.0), np.full((2, 2), 0.05))
    assert [sb.compare(same, at=at).speed["p_faster"].iloc[0] for at in ({"C": 1e22}, {"loss": 2.5})] == [0.5, 0.5]
    table = _power_runs().table.assign(flops=lambda t: t["flops"] / 1e30)
    small = sb.Model(sb.laws.power, sb.read_runs(table, inputs={"C": "flops"}, response="loss", group="family"))
    small = _by_hand(small, A=np.outer([30.0, 36.0], [1, 1]) * 1e30**-0.05, alpha=np.full((2, 2), 0.05))
    assert sb.compare(small, at={"C": 1e-9}).speed["median"].iloc[0] == pytest.approx(1.2**20, rel=1e-9)
    assert "At C = 1e22, b needs" in str(sb.compare(fit, at={"C": 1e22}))
    with pytest.raises(ValueError, match=r"at is one loss or one C, for example \{'loss': 4.129\}, got D"):
        sb.compare(fit, at={"D": 1.0})
    with pytest.raises(TypeError, match="at is a mapping"):
        sb.compare(fit, at=1e22)
    with pytest.raises(ValueError, match="axis and path say along what speed is compared; say where"):
        sb.compare(fit, axis="C")


def test_the_budget_for_a_loss_is_that_of_the_optimal_plan():
    fit = _chinchillas()
    plan = sb.allocate(fit, 1e23, group="a").table.iloc[0]
    answer = sb.reach(fit, float(plan["loss_median"]), "C", group="a")
    assert answer.table["median"].iloc[0] == pytest.approx(1e23, rel=1e-6)
    assert "along its own compute-optimal path is reached at C = 1e23" in str(answer)


def test_of_laws_it_is_said_whether_the_runs_tell_them_apart():
    table = pd.DataFrame(
        {"elpd_diff": [0.0, -1.5, -20.0], "dse": [0.0, 7.7, 4.0], "log_score": np.nan, "diag_elpd": "", "problem": ""},
        index=["kaplan", "chinchilla", "power"],
    )
    _, near, far = str(sb.LawComparison(table, 0.0)).splitlines()
    assert near.endswith("less than twice the standard error: too little to tell them apart by LOO.")
    assert (
        far == "power loses 20.0 +- 4.0 of log density to it, more than twice the standard error: LOO favours kaplan."
    )
