"""Thinned curves: which runs stay, and messages about curves that cannot be thinned."""

import numpy as np
import pandas as pd
import pytest

import scalebayes as sb


def _runs(table, **columns):
    return sb.read_runs(table, inputs={"D": "n_tokens"}, response="loss", **columns)


def _curve(n=30):
    D = np.geomspace(1e6, 1e9, n)
    return pd.DataFrame({"n_tokens": D, "loss": 0.4 + 30 * D**-0.3})


def test_thinned_curves_keep_their_largest_runs_and_say_how_many_were_left_out():
    table = pd.concat([_curve(n).assign(curve=name) for n, name in ((30, "a"), (4, "b"))], ignore_index=True)
    runs = sb.thin(_runs(table, group="curve", where="loss > 0"), 10)
    assert runs.group_sizes == (10, 4)
    assert runs.x("D")[runs.group_labels == "a"].max() == table["n_tokens"].max()
    assert "20 rows left out by where: loss > 0; thinned to 10 along each curve" in str(runs)
    steps = np.diff(np.sort(np.log(runs.x("D")[runs.group_labels == "a"])))
    assert steps.max() < 1.6 * steps.min()


@pytest.mark.parametrize(("value", "problem"), [(np.nan, r"missing \(NaN\)"), (0.0, "zero or negative")])
def test_nothing_is_thinned_along_what_is_no_number(value, problem):
    table = pd.DataFrame({"D": np.arange(1000.0, 101000.0, 1000.0), "loss": [2 + 1 / k for k in range(1, 101)]})
    table.loc[0, "D"] = value
    with pytest.raises(
        ValueError, match=rf"column 'D' \(input D\) must hold positive finite numbers; 1 of 100 rows is {problem}"
    ):
        sb.thin(sb.read_runs(table), 5)


@pytest.mark.parametrize(
    ("what", "message"),
    [
        (lambda: sb.thin(_runs(_curve()), 1), r"points is a whole number from 2 on, got 1\."),
        (
            lambda: sb.thin(sb.read_runs(_curve().assign(n_params=lambda t: 1e6 + t.index), response="loss")),
            r"say along which input the curves are: along= one of N, D; got None\.",
        ),
    ],
)
def test_what_cannot_be_thinned_is_refused(what, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        what()
