"""Where curves cross: exact answers on posteriors made by hand, and published crossings."""

import numpy as np
import pandas as pd
import pytest

import scalebayes as sb


def test_two_powers_cross_where_their_closed_form_says(powers):
    A, alpha = np.array([[30.0, 40.0], [60.0, 50.0]]), np.array([[0.05, 0.05], [0.065, 0.056]])
    found = sb.crossover(powers(A, alpha), axis="C", to=1e30, start=1e10)
    exact = np.exp((np.log(A[1]) - np.log(A[0])) / (alpha[1] - alpha[0]))
    assert ((exact > 1e10) & (exact < 1e30)).all()
    row = found.pairs.iloc[0]
    assert [row["crossing_lower"], row["crossing_upper"]] == pytest.approx(
        np.quantile(exact, [0.055, 0.945]).tolist(), rel=1e-9
    )
    assert (found.winner, found.rival, found.ordered) == ("a", "b", True)
    assert (found.decision_risk, found.reversal_risk, found.p_cross_before_target) == (1.0, 1.0, 1.0)
    assert row[["none", "once", "twice", "more"]].tolist() == [0, 1, 0, 0]
    # Curves that never cross have no risk.
    apart = sb.crossover(powers([30.0, 31.0], [0.05, 0.05]), axis="C", to=1e30, start=1e10)
    assert (apart.decision_risk, apart.reversal_risk, apart.p_cross_before_target) == (0.0, 0.0, 0.0)
    assert apart.crossing_quantiles == {}
    assert "cross before it with probability 0.00;" in str(apart)


def test_two_roots_are_counted_as_two(floors):
    # The difference 0.01 + 3 C**-0.1 - 2 C**-0.07 has two positive roots in logs of C, found on a grid for comparison.
    def difference(log_c):
        return 0.01 + 3.0 * np.exp(-0.1 * log_c) - 2.0 * np.exp(-0.07 * log_c)

    grid = np.linspace(0, 200, 400_001)
    roots = grid[:-1][np.diff(np.sign(difference(grid))) != 0]
    assert len(roots) == 2
    at, to = np.exp(roots[0] - 3), np.exp(roots[1] + 3)
    found = sb.crossover(floors([1.01, 1.0], [3.0, 2.0], [0.1, 0.07]), axis="C", start=at, to=to)
    row = found.pairs.iloc[0]
    assert row[["none", "once", "twice", "more"]].tolist() == [0, 0, 1, 0]
    assert found.p_cross_before_target == 1.0
    assert found.reversal_risk == 0.0
    assert np.log(row["crossing_median"]) == pytest.approx(roots[0], abs=1e-3)


def test_a_crossing_on_a_point_of_the_grid_is_one(powers):
    # 4 C**-0.5 and 2 C**-0.25 meet at C = 16, the middle of the grid of scales.
    found = sb.crossover(powers([4.0, 2.0], [0.5, 0.25]), axis="C", start=1.0, to=256.0)
    row = found.pairs.iloc[0]
    assert (row["p_cross"], row["once"], row["reversal_risk"]) == (1.0, 1.0, 1.0)
    assert row["crossing_median"] == pytest.approx(16, rel=1e-9)


def test_equal_curves_are_not_ordered(powers):
    found = sb.crossover(powers([30.0, 30.0], [0.05, 0.05]), axis="C", to=1e24)
    assert not found.ordered
    assert (found.p_ahead, found.decision_risk, found.reversal_risk) == (0.5, 0.5, 0.0)
    assert found.table["p_best"].tolist() == [0.5, 0.5]
    assert "Not yet ordered at C = 1e21" in str(found)
    assert "These runs do not show which of the two is better there." in str(found)


def test_of_three_equal_curves_one_is_best_a_third_of_the_time(powers):
    found = sb.crossover(powers([30.0] * 3, [0.05] * 3, "abc"), axis="C", to=1e24)
    assert found.table["p_best"].tolist() == pytest.approx([1 / 3] * 3)
    assert found.decision_risk == pytest.approx(2 / 3)


def test_a_winner_that_is_tied_is_not_ordered_whoever_is_best_farther_out(powers):
    # a and b are equal on average; c is far behind at the decision scale and best at the target.
    rng = np.random.default_rng(0)
    A = np.stack(
        [30 * np.exp(0.01 * rng.normal(size=400)), 30 * np.exp(0.01 * rng.normal(size=400)), np.full(400, 1e4)]
    )
    found = sb.crossover(powers(A, [[0.05] * 400, [0.05] * 400, [0.15] * 400], "abc"), axis="C", to=1e30)
    assert found.rival == "c"
    assert not found.ordered
    assert {found.winner, found.contender} == {"a", "b"}
    own = found.pairs.set_index(["a", "b"]).loc[("a", "b"), "p_a_ahead"]
    assert found.p_ahead == pytest.approx(own if found.winner == "a" else 1 - own)
    assert f"{found.winner} is ahead of {found.contender} with probability" in str(found)


def test_a_tie_counts_half_for_either(powers):
    cells = ["ahead_ahead", "ahead_behind", "behind_ahead", "behind_behind"]
    equal = sb.crossover(powers([30.0] * 3, [0.05] * 3, "abc"), axis="C", to=1e24)
    assert equal.pairs[cells].to_numpy().tolist() == [[0.5, 0, 0, 0.5]] * 3
    assert equal.table["expected_rank"].tolist() == [2.0] * 3
    # In one draw of four they differ, and a is ahead at both ends.
    A = np.array([[30.0] * 4, [31.0, 30.0, 30.0, 30.0]])
    found = sb.crossover(powers(A, np.full((2, 4), 0.05)), axis="C", to=1e24).pairs.iloc[0]
    assert found[cells].tolist() == [0.625, 0, 0, 0.375]
    assert (found["p_a_ahead"], found["reversal_risk"]) == (0.625, 0.0)
    turned = sb.crossover(powers(A[::-1], np.full((2, 4), 0.05)), axis="C", to=1e24).pairs.iloc[0]
    assert turned[cells].tolist() == [0.375, 0, 0, 0.625]


def test_other_names_permute_the_answer(powers):
    rng = np.random.default_rng(0)
    A, alpha = 30 * np.exp(0.05 * rng.normal(size=(3, 400))), 0.05 * np.exp(0.05 * rng.normal(size=(3, 400)))
    order = [2, 0, 1]
    one = sb.crossover(powers(A, alpha, "abc"), axis="C", to=1e24)
    other = sb.crossover(powers(A[order], alpha[order], "abc"), axis="C", to=1e24)
    names = dict(zip("abc", (list("abc")[i] for i in order), strict=True))
    renamed = other.table.assign(group=other.table["group"].map(names)).sort_values("group").reset_index(drop=True)
    pd.testing.assert_frame_equal(renamed, one.table)
    assert names[other.winner] == one.winner
    assert other.decision_risk == one.decision_risk
    assert other.value_of_information == pytest.approx(one.value_of_information, abs=1e-15)


def test_risk_regret_and_information_are_what_they_are_defined_to_be(powers):
    rng = np.random.default_rng(1)
    A = 30 * np.exp(0.02 * rng.normal(size=(2, 500)))
    fit = powers(A, np.full((2, 500), 0.05))
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


def test_the_gain_is_constant_where_floors_and_exponents_agree(floors):
    fit = floors([1.0, 1.0], [30.0, 36.0], [0.05, 0.05])
    for to in (1e22, 1e26):
        gain = sb.crossover(fit, axis="C", to=to).gain
        assert gain["median"] == pytest.approx((30 / 36) ** 20, rel=1e-9)
        assert gain["p_undefined"] == 0.0
    # A rival below the winner's floor is never reached.
    crossing = sb.crossover(floors([1.5, 0.5], [10.0, 60.0], [0.1, 0.08]), axis="C", start=1e18, to=1e40)
    assert crossing.winner == "a"
    assert (crossing.gain["median"], crossing.gain["p_undefined"]) == (np.inf, 1.0)
    assert "a never reaches b's loss there" in str(crossing)


def test_a_path_need_not_be_defined_where_nothing_is_asked(chinchillas, hoffmann):
    found = sb.crossover(
        chinchillas(A=[406.4, 430.0]), axis="C", to=1e24, path=lambda c: {"N": 1e9, "D": (c - 1e18) / 6e9}
    )
    assert found.gain["within"] == 1000
    # With N held, more tokens compensate a larger A: B D^-beta falls by as much as A N^-alpha is larger.
    held, D = hoffmann, (1e24 - 1e18) / 6e9
    needed = (D ** -held["beta"] + (430 - 406.4) * 1e9 ** -held["alpha"] / held["B"]) ** (-1 / held["beta"])
    assert found.gain["median"] == pytest.approx((6e9 * needed + 1e18) / 1e24, rel=0.01)
    with pytest.raises(ValueError, match=r"a path gives positive finite inputs; at a scale of 6e21 D is -"):
        sb.crossover(chinchillas(), axis="C", to=1e24, path=lambda c: {"N": 1e9, "D": (c - 1e23) / 6e9})


def test_a_path_of_ones_own_and_of_tokens_per_parameter(chinchillas):
    fit = chinchillas(A=[406.4, 380.0])
    by_ratio = sb.crossover(fit, axis="C", to=1e24, path={"D/N": 20})
    own = sb.crossover(fit, axis="C", to=1e24, path=lambda c: {"N": (c / 120) ** 0.5, "D": 20 * (c / 120) ** 0.5})
    assert own.table["mean"].to_numpy() == pytest.approx(by_ratio.table["mean"].to_numpy())
    best = sb.crossover(fit, axis="C", to=1e24)
    assert (best.table["mean"] <= by_ratio.table["mean"]).all()
    assert best.path == "its own compute-optimal path"
    with pytest.raises(ValueError, match="a path takes a scale to a mapping of N, D; got M"):
        sb.crossover(fit, axis="C", to=1e24, path=lambda c: {"M": c})


def test_curves_fitted_apart_are_compared_as_if_they_knew_nothing_of_each_other(powers, power_alone):
    rng = np.random.default_rng(0)
    A = 30 * np.exp(0.02 * rng.normal(size=(2, 4000)))
    alpha = np.full((2, 4000), 0.05)
    together = sb.crossover(powers(A, alpha), axis="C", to=1e24)
    apart = {g: power_alone(A[i], alpha[i]) for i, g in enumerate("ab")}
    found = sb.crossover(apart, axis="C", to=1e24)
    assert found.winner == together.winner
    assert found.decision_risk == pytest.approx(together.decision_risk, abs=0.03)
    # Draws of two fits are paired at random, so one fit compared with itself is undecided.
    twice = sb.crossover({"one": apart["a"], "other": apart["a"]}, axis="C", to=1e24)
    assert twice.decision_risk == pytest.approx(0.5, abs=0.03)
    assert not twice.ordered
    both = {g: sb.average({"x": fit, "y": fit}) for g, fit in apart.items()}
    mixed = sb.crossover(both, axis="C", to=1e24)
    assert set(mixed.by_law) == {"x", "y"}
    assert mixed.decision_risk == pytest.approx(together.decision_risk, abs=0.05)


@pytest.mark.fits
def test_a_fit_that_drifts_is_decided_with_its_drift():
    C = np.geomspace(1e18, 1e21, 14)
    rng = np.random.default_rng(0)
    table = pd.concat(
        [
            pd.DataFrame(
                {"C": C, "loss": (1 + b * (C / 1e18) ** -0.1) * np.exp(0.003 * rng.normal(size=14)), "arch": g}
            )
            for g, b in (("a", 2.0), ("b", 2.05))
        ],
        ignore_index=True,
    )
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


@pytest.mark.fits
@pytest.mark.data
def test_published_crossings_lie_within_their_forecast(public_data):
    """Beck et al. (2025), arXiv:2510.02228: mLSTM leads at few tokens per parameter, Llama at many."""
    table = pd.read_csv(public_data / "xlstm_vs_llama.csv").query("experiment == 'tokenparam'")
    table = table.assign(ratio=table["n_tokens"] / table["n_params"])
    # The best learning rate of each size and number of tokens; sizes agree to about 1%.
    best = table.loc[table.groupby(["architecture", "n_params", "n_tokens"])["loss"].idxmin()]
    known = best[best["ratio"] < 125]
    runs = sb.read_runs(known, inputs={"N": "n_params", "D": "n_tokens"}, response="loss", group="architecture")
    fit = sb.fit(sb.laws.chinchilla, runs, discrepancy=None)
    # The tokens per parameter between which the order of later runs changes; no change in range for two sizes.
    crossed = {1.6e8: (44, 110), 4.1e8: (110, 220), 8.4e8: (220, 550), 1.42e9: (220, 550), 2.78e9: None, 6.86e9: None}
    held = 0
    for N, between in crossed.items():
        found = sb.crossover(fit, axis="D", start=22 * N, to=2200 * N, path={"N": N})
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
    found = sb.crossover(sb.fit(sb.laws.chinchilla, runs, discrepancy=None), axis="C", to=1e22)
    assert (found.winner, found.ordered) == ("mlstm", True)
    assert found.reversal_risk < 0.1
    assert found.decision_risk < 0.1


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (
            lambda f: sb.crossover(f, axis="C", to=1e20),
            "the target lies beyond the decision scale: to=1e20, start=1e21, the largest at which all groups were "
            "seen.",
        ),
        (lambda f: sb.crossover(f, groups=["a"], axis="C", to=1e24), "2 different groups or more are compared, got a."),
        (
            lambda f: sb.crossover(f, groups=["a", "z"], axis="C", to=1e24),
            "family has no group 'z'; the groups are 'a', 'b'.",
        ),
        (lambda f: sb.crossover(f, axis="N", to=1e24), "power has no axis 'N'; it has C."),
        (lambda f: sb.crossover(f, axis="C", to=1e24, margin=-1), "margin is a difference of loss from 0 on, got -1."),
        (
            lambda f: sb.crossover(f, axis="C", to=1e24, path="optimal"),
            "a compute-optimal path is along C, for a law of N and D; power has C and the axis is 'C'.",
        ),
        (
            lambda f: sb.crossover(f, axis="C", to=1e24, path={"N": 1e9}),
            "to move along C, power needs no other input held; got N.",
        ),
        (
            lambda f: sb.crossover(f, axis="N", to=1e24, path=lambda c: {"C": c}),
            "how far the runs go along 'N' is not known; it is no positive scale among the inputs (C), nor C for N and D.",
        ),
        (
            lambda f: sb.crossover(f, axis="C", to=1e24, path=lambda c: {"C": c * np.nan}),
            "a path gives positive finite inputs; at a scale of 1e21 C is nan.",
        ),
    ],
)
def test_bad_questions_are_refused(ask, message, powers, refuses):
    with refuses(ValueError, message):
        ask(powers([30.0, 31.0], [0.05, 0.05]))


def test_fits_that_are_no_single_curves_are_refused(power_alone, powers):
    one, two = power_alone([30.0], [0.05]), powers([30.0, 31.0], [0.05, 0.05])
    with pytest.raises(ValueError, match=r"'pair' has the groups a, b\. Compare the groups of that fit alone\."):
        sb.crossover({"one": one, "pair": two}, axis="C", to=1e24)
    with pytest.raises(ValueError, match="2 different fits or more are compared, got one"):
        sb.crossover({"one": one}, axis="C", to=1e24)
    with pytest.raises(ValueError, match="there is no fit called 'z'; there are 'one', 'other'"):
        sb.crossover({"one": one, "other": one}, groups=["one", "z"], axis="C", to=1e24)
    with pytest.raises(ValueError, match="2 different fits or more are compared, got one"):
        sb.crossover({"one": one, "other": one}, groups="one", axis="C", to=1e24)
    with pytest.raises(TypeError, match="a Fit or Average is needed for 'other', got str"):
        sb.crossover({"one": one, "other": "fit.nc"}, axis="C", to=1e24)
    with pytest.raises(TypeError, match="or several of them by name are compared, got list"):
        sb.crossover([one, one], axis="C", to=1e24)
    other = power_alone([30.0], [0.05], "error")
    with pytest.raises(ValueError, match=r"different responses \(one: loss, other: error\)"):
        sb.crossover({"one": one, "other": other}, axis="C", to=1e24)


_OTHER_WORDS = r"the groups declare another tokenizer \(vocabulary: a: gpt2; b: llama\)"


@pytest.fixture
def of_two_tokenizers(power_runs):
    runs = power_runs()
    table = runs.table.assign(vocabulary=np.where(runs.table["family"] == "a", "gpt2", "llama"))
    return sb.read_runs(table, inputs={"C": "flops"}, response="loss", group="family", tokenizer="vocabulary")


def test_groups_with_another_tokenizer_are_not_compared(made_fit, of_two_tokenizers):
    fit = made_fit(
        sb.Model(sb.laws.power, of_two_tokenizers, discrepancy=None), {"A": [30.0, 31.0], "alpha": [0.05, 0.05]}
    )
    with pytest.raises(ValueError, match=_OTHER_WORDS):
        sb.crossover(fit, axis="C", to=1e24)


@pytest.mark.fits
def test_a_file_keeps_the_tokenizers(tmp_path, of_two_tokenizers):
    sb.fit(sb.laws.power, of_two_tokenizers, draws=300, discrepancy=None).save(tmp_path / "fit.nc")
    with pytest.raises(ValueError, match=_OTHER_WORDS):
        sb.crossover(sb.load(tmp_path / "fit.nc"), axis="C", to=1e24)
