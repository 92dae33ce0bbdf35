"""What is said of breaks and other places on an input that the runs do not show."""

import numpy as np
import pandas as pd
import pytest

import scalebayes as sb

TWO = {"E": 0.4, "A": 2.0, "alpha": 0.1, "delta_1": 0.5, "f_1": 0.2, "delta_2": 0.4, "f_2": 0.2}


def _runs(group=None):
    x = np.geomspace(1e2, 1e4, 16)
    table = pd.DataFrame({"x": x, "y": 0.4 + 2 * x**-0.1, "g": np.resize(["one", "other"], 16)})
    return sb.read_runs(table, inputs={"x": "x"}, response="y", group=group)


def test_a_break_outside_the_runs_is_said(made_fit):
    model = sb.Model(sb.laws.broken_power_2, _runs(), discrepancy=None)
    inside = made_fit(model, TWO | {"d_1": 600.0, "gap_2": 1.0}, draws=4)
    assert not any("outside the runs" in remark for remark in inside.diagnostics.remarks)
    beyond = made_fit(model, TWO | {"d_1": 600.0, "gap_2": 5.0}, draws=4)
    (said,) = (remark for remark in beyond.diagnostics.remarks if "outside the runs" in remark)
    assert said == (
        "d_2 (probability 1.00) lies outside the runs, whose x goes from 100 to 1e+04: little but its prior says where, "
        "and what lies beyond it rests on that."
    )


def test_groups_whose_place_lies_outside_are_named(made_fit):
    model = sb.Model(sb.laws.rising_sigmoid, _rates(), discrepancy=None)
    values = {"R_0": 0.2, "A": 0.8, "B": 1.0, "C_mid": np.array([6e18, 1e22])}
    fit = made_fit(model, values, draws=4)
    (said,) = (remark for remark in fit.diagnostics.remarks if "outside the runs" in remark)
    assert said.startswith("C_mid of other lies outside the runs")


def _rates():
    C = np.geomspace(1e18, 1e20, 16)
    table = pd.DataFrame({"flops": C, "rate": np.linspace(0.3, 0.7, 16), "g": np.resize(["one", "other"], 16)})
    return sb.read_runs(table, inputs={"C": "flops"}, response="rate", group="g", better="higher")


def test_a_place_must_be_one_of_the_law(refuses):
    def law(x, *, d):
        return x / d

    with refuses(ValueError, "law(x; d) has no parameter 'e' to be a place."):
        sb.Law(law, places={"e": "x"})
    with pytest.raises(ValueError, match="has no input 'y'"):
        sb.Law(law, places={"d": "y"})
