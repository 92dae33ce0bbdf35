"""The gate: speed-ups with a closed form, verdicts by their rule, and what is refused."""

import numpy as np
import pandas as pd
import pytest

import scalebayes as sb


def test_the_speed_up_of_two_powers_has_a_closed_form(powers):
    # a: 30 C**-0.05, b: 29 C**-0.05. For b's response a needs (30 / 29)**20 times the scale, everywhere.
    found = sb.gate(powers([30.0, 29.0], [0.05, 0.05]), baseline="a", to=1e23)
    exact = (30 / 29) ** 20
    row = found.table.iloc[0]
    assert row["candidate"] == "b"
    assert row[["median", "lower", "upper", "now_median"]].tolist() == pytest.approx([exact] * 4, rel=1e-3)
    assert (row["p_faster"], row["p_enough"], row["p_gone"]) == (1.0, 1.0, 0.0)
    assert row["regret_drop"] == pytest.approx(1 - 1 / exact, rel=1e-3)
    assert row["regret_promote"] == 0.0
    assert (row["verdict"], found.verdict) == ("promote", "promote")
    assert found.curve["median"].to_numpy() == pytest.approx(exact, rel=1e-3)
    assert "a needs 1.97 times the C of b" in str(found)


def test_a_speed_up_that_fades_is_gone_where_the_curves_cross(powers):
    # 30 C**-0.05 and 20 C**-0.0415 cross at (30 / 20)**(1 / 0.0085); the speed-up is the ratio to that power.
    A, alpha = [30.0, 20.0], [0.05, 0.0415]
    crossing = (A[0] / A[1]) ** (1 / (alpha[0] - alpha[1]))
    assert 1e20 < crossing < 1e21
    found = sb.gate(powers(A, alpha), baseline="a", to=1e24)
    row = found.table.iloc[0]
    at = lambda x: (A[0] / A[1]) ** 20 * x ** (alpha[1] / alpha[0] - 1)  # noqa: E731
    assert row["median"] == pytest.approx(at(1e24), rel=1e-3)
    assert row["now_median"] == pytest.approx(at(1e21), rel=1e-3)
    assert (row["verdict"], found.verdict) == ("drop", "drop")
    from_start = sb.gate(powers(A, [0.05, 0.045]), baseline="a", to=1e40)
    gone = from_start.table.iloc[0]
    assert gone["p_gone"] == 1.0
    assert np.log(gone["gone_median"]) == pytest.approx(np.log(1.5) / 0.005, rel=1e-3)


def test_a_candidate_that_the_baseline_never_reaches_is_promoted(floors):
    found = sb.gate(floors([2.0, 1.0], [30.0, 30.0], [0.1, 0.1]), baseline="a", to=1e30)
    row = found.table.iloc[0]
    assert row["median"] == np.inf
    assert row["verdict"] == "promote"
    assert row["regret_drop"] == pytest.approx(1.0)
    assert "a more likely than not never reaches the loss of b" in str(found)
    assert found.to_dict()["candidates"][0]["median"] is None


def test_equal_curves_are_neither_faster_nor_slower(powers):
    found = sb.gate(powers([30.0, 30.0], [0.05, 0.05]), baseline="a", to=1e24)
    row = found.table.iloc[0]
    assert row[["median", "now_median", "p_faster", "p_gone"]].tolist() == [1.0, 1.0, 0.5, 0.0]
    assert row["verdict"] == "drop"  # there is nothing that another rung could show


def test_verdicts_follow_the_rule(powers):
    # The speed-up is (A_a / A_b)**20: in some draws above one, in others below.
    rng = np.random.default_rng(0)
    A = np.stack([np.full(2000, 30.0), 30.0 * np.exp(-(0.2 + 0.3 * rng.normal(size=2000)) / 20)])
    alpha = np.full((2, 2000), 0.05)
    fit = powers(A, alpha)
    speed = (A[0] / A[1]) ** 20
    for settings in ({}, {"threshold": 1.5}, {"next_rung": 3e22}, {"sure": 0.7}, {"sure": 0.7, "next_rung": 2e21}):
        found = sb.gate(fit, baseline="a", to=1e23, **settings)
        row, worth = found.table.iloc[0], speed / settings.get("threshold", 1.0)
        p, rung = (worth > 1).mean(), settings.get("next_rung", 1e21 * 10**0.6)
        assert found.next_rung == pytest.approx(rung)
        assert row["cost"] == pytest.approx(2 * rung / 1e23)
        promote = np.maximum(1 - worth, 0).mean()
        drop = np.maximum(1 - 1 / np.maximum(worth, 1), 0).mean()
        assert row["p_enough"] == pytest.approx(p, abs=2e-3)
        assert row[["regret_promote", "regret_drop"]].tolist() == pytest.approx([promote, drop], abs=1e-3)
        sure = settings.get("sure", 0.95)
        wanted = (
            "promote"
            if p >= sure and promote <= row["cost"]
            else "drop"
            if drop <= row["cost"] or p < 1 - sure
            else "hold"
        )
        assert row["verdict"] == wanted


def _priced(prices):
    C = np.tile(np.geomspace(1e18, 1e21, 6), 2)
    names = np.repeat(["a", "b"], 6)
    loss = np.where(names == "a", 30.0, 29.0) * C**-0.05
    hours = [prices[name](c) for name, c in zip(names, C, strict=True)]
    table = pd.DataFrame({"flops": C, "loss": loss, "family": names, "hours": hours})
    return sb.read_runs(table, inputs={"C": "flops"}, response="loss", group="family")


def test_a_price_takes_the_place_of_the_scale(made_fit):
    # b is faster by (30 / 29)**20 in FLOPs, and its FLOPs cost twice as much: slower by hours.
    runs = _priced({"a": lambda c: 1e-18 * c, "b": lambda c: 2e-18 * c})
    fit = made_fit(sb.Model(sb.laws.power, runs, discrepancy=None), {"A": [30.0, 29.0], "alpha": [0.05, 0.05]})
    found = sb.gate(fit, baseline="a", to=1e23, price="hours")
    assert found.table["median"].iloc[0] == pytest.approx((30 / 29) ** 20 / 2, rel=1e-3)
    assert "times the hours of b" in str(found)
    # Hours that grow faster than FLOPs: those of the baseline are taken where it gets to the same response.
    runs = _priced({"a": lambda c: 1e-20 * c**1.1, "b": lambda c: 1e-20 * c**1.1})
    fit = made_fit(sb.Model(sb.laws.power, runs, discrepancy=None), {"A": [30.0, 29.0], "alpha": [0.05, 0.05]})
    found = sb.gate(fit, baseline="a", to=1e23, price="hours")
    assert found.table["median"].iloc[0] == pytest.approx((30 / 29) ** 22, rel=1e-3)


def test_tokens_per_second_give_seconds(made_fit, grid_runs, hoffmann):
    runs = grid_runs()
    speeds = np.where(runs.table["arch"] == "a", 1e6, 2e6) * (runs.table["N"] / 1e9) ** -1.0
    runs = sb.read_runs(runs.table.assign(tokens_per_second=speeds), group="arch")
    fit = made_fit(sb.Model(sb.laws.chinchilla, runs, discrepancy=None), {name: [v, v] for name, v in hoffmann.items()})
    found = sb.gate(fit, baseline="a", to=1e24, price="tokens_per_second")
    assert found.price == "seconds"
    assert found.table["median"].iloc[0] == pytest.approx(2.0, rel=1e-6)


def test_what_a_gate_refuses(powers, power_runs, made_fit, refuses):
    fit = powers([30.0, 29.0], [0.05, 0.05])
    with refuses(ValueError, "there is no baseline 'c'; there are a, b."):
        sb.gate(fit, baseline="c", to=1e24)
    with refuses(ValueError, "candidates are other groups than the baseline 'a', got a."):
        sb.gate(fit, baseline="a", candidates="a", to=1e24)
    with refuses(ValueError, "the target lies beyond the runs: to=1e20, and all groups have runs up to 1e21."):
        sb.gate(fit, baseline="a", to=1e20)
    with refuses(ValueError, "sure is a probability above 0.5 and below 1, got 0.2."):
        sb.gate(fit, baseline="a", to=1e24, sure=0.2)
    with refuses(ValueError, "the next rung lies beyond the runs, 1e21, and not beyond the target, 1e24; got 1e20."):
        sb.gate(fit, baseline="a", to=1e24, next_rung=1e20)
    with refuses(ValueError, "the runs have no column 'hour' that says what a run cost."):
        sb.gate(fit, baseline="a", to=1e24, price="hour")
    runs = _priced({"a": lambda c: 1e-18 * c, "b": lambda c: np.nan if c > 5e20 else 1e-18 * c})
    fit = made_fit(sb.Model(sb.laws.power, runs, discrepancy=None), {"A": [30.0, 29.0], "alpha": [0.05, 0.05]})
    with refuses(
        ValueError,
        "hours must be a positive number for every run; 1 of the 6 runs of b have none, first: run 11.",
    ):
        sb.gate(fit, baseline="a", to=1e24, price="hours")


def test_one_rung_and_another_evaluation_set_are_refused(made_fit, refuses):
    C = [1e18, 1e19, 1e20, 1e20, 1.01e20]
    table = pd.DataFrame(
        {"flops": C, "loss": [3.0, 2.8, 2.6, 2.5, 2.51], "family": list("aaabb"), "set": list("xxxyy")}
    )
    runs = sb.read_runs(table, inputs={"C": "flops"}, response="loss", group="family")
    fit = made_fit(sb.Model(sb.laws.power, runs, discrepancy=None), {"A": [30.0, 29.0], "alpha": [0.05, 0.05]})
    message = "b has runs at one C only, 1e20: how a speed-up changes with scale needs two rungs or more."
    with refuses(ValueError, message):
        sb.gate(fit, baseline="a", to=1e22)
    runs = sb.read_runs(table, inputs={"C": "flops"}, response="loss", group="family", evaluation="set")
    fit = made_fit(sb.Model(sb.laws.power, runs, discrepancy=None), {"A": [30.0, 29.0], "alpha": [0.05, 0.05]})
    with pytest.raises(ValueError, match="declare another evaluation"):
        sb.gate(fit, baseline="a", to=1e22)
