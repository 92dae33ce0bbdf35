"""Comparisons of groups and of laws: exact answers on posteriors made by hand."""

import numpy as np
import pandas as pd
import pytest

import scalebayes as sb
from scalebayes.inference.diagnostics import Diagnostics


def test_groups_are_compared_by_each_parameter(chinchillas):
    rng = np.random.default_rng(0)
    alpha = np.stack([0.34 + 0.01 * rng.normal(size=400), 0.30 + 0.01 * rng.normal(size=400)])
    fit = chinchillas(alpha=alpha, A=[406.4, 203.2])
    found = sb.compare(fit, margin={"alpha": 0.01})
    rows = found.table.set_index("parameter")
    difference = alpha[0] - alpha[1]
    assert rows.loc["alpha", "mean"] == pytest.approx(difference.mean())
    assert rows.loc["alpha", "p_direction"] == pytest.approx((difference > 0).mean())
    assert rows.loc["alpha", "p_equivalent"] == pytest.approx((np.abs(difference) < 0.01).mean())
    # The term A N**-alpha at N = 1e9, the geometric mean of the runs.
    assert rows.loc["A", "mean"] == pytest.approx(np.log(2) - difference.mean() * np.log(1e9))
    assert rows.loc["A", "scale"] == "log ratio"
    assert rows.loc["E", "p_direction"] == 0.5
    assert "alpha: a's minus b's is 0.0" in str(found)
    assert "Term of A at N = 1e9: a's is 0.8" in str(found)
    assert rows.loc["A", "at"] == "N = 1e9"
    assert rows.loc["alpha", "at"] == ""


@pytest.mark.filterwarnings("ignore::scalebayes.RunsWarning")  # compute in another unit
def test_speeds_of_powers_are_what_their_closed_form_says(powers, floors, power_runs, made_fit):
    A, alpha = [30.0, 36.0], [0.05, 0.06]
    fit = powers(*(np.outer(value, [1, 1]) for value in (A, alpha)))
    at_loss = sb.compare(fit, target=2.5).speed.iloc[0]
    needed = [(a / 2.5) ** (1 / s) for a, s in zip(A, alpha, strict=True)]
    assert at_loss["median"] == pytest.approx(needed[1] / needed[0], rel=1e-9)
    rows = sb.compare(fit, target=2.5)
    (in_table,) = rows.table.query("parameter == 'speed'").to_dict("records")
    assert (in_table["scale"], in_table["at"], in_table["median"]) == ("factor", "loss = 2.5", at_loss["median"])
    np.testing.assert_allclose(np.median(rows.draws["speed"]), at_loss["median"], rtol=1e-12)
    at_scale = sb.compare(fit, to=1e22).speed.iloc[0]
    there = A[0] * 1e22 ** -alpha[0]
    assert at_scale["median"] == pytest.approx((A[1] / there) ** (1 / alpha[1]) / 1e22, rel=1e-9)
    assert at_scale["p_faster"] == float(at_scale["median"] > 1)

    def above(*E):
        return floors(*(np.outer(value, [1, 1]) for value in (E, A, alpha)))

    never = sb.compare(above(1.0, 3.0), target=2.5).speed.iloc[0]
    assert (never["median"], never["p_faster"], never["p_a_never"], never["p_b_never"]) == (np.inf, 1.0, 0.0, 1.0)
    assert "b more likely than not never gets there (probability 1.00)" in str(sb.compare(above(1.0, 3.0), target=2.5))
    neither = sb.compare(above(3.0, 3.0), target=2.5)
    assert (neither.speed["p_a_never"].iloc[0], neither.speed["p_b_never"].iloc[0]) == (1.0, 1.0)
    assert neither.speed["p_neither"].iloc[0] == 1.0
    assert "is as good as loss 2.5: the answer rests on the form of the law." in str(neither)
    assert "At loss = 2.5, neither a nor b gets there." in str(neither)
    # Equal curves, and units in which the scale is far below 1.
    same = powers(np.full((2, 2), 30.0), np.full((2, 2), 0.05))
    assert [sb.compare(same, **at).speed["p_faster"].iloc[0] for at in ({"to": 1e22}, {"target": 2.5})] == [0.5, 0.5]
    table = power_runs().table.assign(flops=lambda t: t["flops"] / 1e30)
    small = sb.Model(
        sb.laws.power, sb.read_runs(table, inputs={"C": "flops"}, response="loss", group="family"), discrepancy=None
    )
    small = made_fit(small, {"A": np.outer([30.0, 36.0], [1, 1]) * 1e30**-0.05, "alpha": np.full((2, 2), 0.05)})
    assert sb.compare(small, to=1e-9).speed["median"].iloc[0] == pytest.approx(1.2**20, rel=1e-9)
    assert "At C = 1e22, b needs" in str(sb.compare(fit, to=1e22))
    with pytest.raises(ValueError, match=r"speeds are compared at one loss, target=, or at one C, to=; got both\."):
        sb.compare(fit, target=2.5, to=1e22)
    with pytest.raises(ValueError, match=r"target is a possible loss, got -1\.0\."):
        sb.compare(fit, target=-1.0)
    with pytest.raises(ValueError, match="axis and path say along what speed is compared; say where"):
        sb.compare(fit, axis="C")


def test_what_a_curve_reaches_before_it_rises_is_reached(power_runs, made_fit):
    # The curve falls as C**-0.1 up to 1e40 and rises beyond it.
    model = sb.Model(sb.laws.broken_power, power_runs(), discrepancy=None)
    values = {"E": [0.0, 0.0], "A": [100.0, 102.0], "alpha": [0.1, 0.1], "d_1": [1e40, 1e40], "delta_1": [-0.4, -0.4]}
    fit = made_fit(model, values | {"f_1": [1.0, 1.0]}, draws=2)
    gain = sb.crossover(fit, axis="C", to=1e24).gain
    assert gain["p_undefined"] == 0.0
    assert gain["median"] == pytest.approx(1.02**-10, rel=1e-6)
    speed = sb.compare(fit, to=1e24).speed.iloc[0]
    assert (speed["p_a_never"], speed["p_b_never"]) == (0.0, 0.0)
    assert speed["median"] == pytest.approx(1.02**10, rel=1e-6)


def test_one_that_is_there_at_every_scale_is_not_taken_for_one_that_never_is(power_runs, made_fit):
    model = sb.Model(sb.laws.sigmoid, power_runs(), discrepancy=None)
    fit = made_fit(model, {"E": [0.1, 0.1], "L_0": [1.0, 0.9], "A": [1e6, 1e6], "alpha": [0.3, 0.3]}, draws=2)
    said = str(sb.compare(fit, target=0.95))
    assert "At loss = 0.95, b is more likely than not there at every scale, and a is not." in said


def test_of_laws_it_is_said_whether_the_runs_tell_them_apart():
    table = pd.DataFrame(
        {"elpd_diff": [0.0, -1.5, -20.0], "dse": [0.0, 7.7, 4.0], "log_score": np.nan, "diag_elpd": "", "problem": ""},
        index=["kaplan", "chinchilla", "power"],
    )
    _, near, far = str(sb.LawComparison(table, 0.0, Diagnostics(4000, 0, 1.0, 1000.0, 1000.0))).splitlines()
    assert near.endswith("less than twice the standard error: too little to tell them apart by LOO.")
    assert (
        far == "power loses 20.0 +- 4.0 of log density to it, more than twice the standard error: LOO favours kaplan."
    )


@pytest.mark.fits
@pytest.mark.filterwarnings("ignore:Estimated shape parameter")  # from ArviZ's LOO, on some processors
def test_answers_about_several_fits_say_which_has_not_converged(two_fits):
    worse = two_fits[0].idata.copy()
    worse.attrs = {**worse.attrs, "max_r_hat": 1.2}
    bad = sb.Fit(two_fits[0].model, worse)
    laws = sb.compare_laws({"bad": bad, "law": two_fits[1]})
    assert str(laws).startswith("NOT CONVERGED: bad: r-hat reaches 1.2")
    assert laws.table["problem"].map(bool).to_dict() == {"bad": True, "law": False}
    first, *moved = str(sb.sensitivity(bad, at={"D": 1e10}, of=["drift"])).splitlines()
    assert ", NOT CONVERGED;" in first
    assert not any("NOT CONVERGED" in line for line in moved)


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (
            lambda f: sb.compare(f, margin={"gamma": 1.0}),
            "margin is of parameters that differ between groups, A, alpha; got 'gamma'.",
        ),
        (lambda f: sb.compare_laws({"one": f}), "two fits or more are needed, got 1."),
    ],
)
def test_bad_questions_are_refused(ask, message, powers, refuses):
    with refuses(ValueError, message):
        ask(powers([30.0, 31.0], [0.05, 0.05]))
