"""Units of inputs, from the names of their columns."""

import numpy as np
import pandas as pd
import pytest

import scalebayes as sb
from scalebayes.runs.cost import cost_of_runs
from scalebayes.runs.inputs import Input, as_input


@pytest.mark.parametrize(
    ("name", "column", "unit"),
    [
        ("D", "n_samples", "samples"),
        ("D", "seen_examples", "examples"),
        ("D", "train_tokens", "tokens"),
        ("D", "amount", "tokens"),
        ("C", "gmacs_total", "GMACs"),
        ("C", "train_PFLOPs", "PFLOPs"),
        ("C", "model_flops", "FLOPs"),
        ("N", "n_samples", "parameters"),
        ("share", "flops", ""),
    ],
)
def test_a_unit_is_what_the_column_says_it_counts(name, column, unit):
    assert as_input(name, column).unit == unit


def test_a_stated_unit_stays():
    assert as_input("D", Input("n_samples", unit="images")).unit == "images"


def test_runs_and_their_forecasts_speak_of_what_the_column_counts(table):
    runs = sb.read_runs(table().rename(columns={"tokens": "n_samples"}), inputs={"D": "n_samples"}, response="loss")
    assert "D = n_samples (samples)" in str(runs)
    assert runs.axis_label("D") == "D (samples)"


def test_compute_in_gigaflops_is_no_mistake_of_units(recwarn):
    table = pd.DataFrame({"gflops": [10.0, 100.0, 1000.0], "loss": [3.0, 2.5, 2.2]})
    sb.read_runs(table, inputs={"C": "gflops"}, response="loss")
    assert not [w for w in recwarn if w.category is sb.RunsWarning]


IN_UNITS = pd.DataFrame(
    {"params (M)": [20, 60, 180, 540], "tokens_B": [0.4, 1.2, 3.6, 11.0], "loss": [4.0, 3.5, 3.1, 2.8]}
)
MAPPED = {"N": "params (M)", "D": "tokens_B"}


def test_millions_and_billions_are_counted_one_by_one(recwarn):
    runs = sb.read_runs(IN_UNITS, inputs=MAPPED, response="loss")
    assert not recwarn.list
    assert str(runs).startswith("4 runs from table: N = params (M) x 1e6 (parameters), D = tokens_B x 1e9 (tokens)")
    np.testing.assert_allclose(runs.x("N"), 1e6 * IN_UNITS["params (M)"])
    np.testing.assert_allclose(cost_of_runs(runs), 6e15 * IN_UNITS["params (M)"] * IN_UNITS["tokens_B"])
    assert runs.table["params (M)"].tolist() == [20, 60, 180, 540]


def test_points_are_counts_or_in_the_unit_of_the_column_that_they_name(made_fit, hoffmann, tmp_path):
    runs = sb.read_runs(pd.concat([IN_UNITS, 2 * IN_UNITS[::-1]], ignore_index=True), inputs=MAPPED, response="loss")
    made = made_fit(sb.Model(sb.laws.chinchilla, runs, discrepancy=None), hoffmann, draws=20)
    counts, own = (
        sb.forecast(made, at=at).table for at in ({"N": 5e9, "D": 6e11}, {"params (M)": 5000.0, "tokens_B": 600.0})
    )
    pd.testing.assert_frame_equal(counts, own)
    assert counts["extrapolation_cost"].iloc[0] == pytest.approx(5e9 * 6e11 / (1080e6 * 22e9))
    with pytest.raises(ValueError, match=r"two columns for N, 'N' and 'params \(M\)', and they differ"):
        sb.forecast(made, at={"N": 5e9, "params (M)": 4000.0, "D": 6e11})


@pytest.mark.filterwarnings("ignore::scalebayes.ConvergenceWarning")  # few draws, of which only the file matters
def test_a_fit_knows_the_units_of_its_columns_when_it_is_loaded(tmp_path):
    table = sb.pile_families().assign(size_billion=lambda t: t["flops"] / 1e19)
    runs = sb.read_runs(table, inputs={"N": "size_billion"}, response="loss", group="family")
    fit = sb.fit(sb.laws.power_floor, runs, draws=100, discrepancy=None, seed=1)
    fit.save(tmp_path / "fit.nc")
    loaded = sb.load(tmp_path / "fit.nc")
    assert loaded.model.runs.inputs["N"] == fit.model.runs.inputs["N"]
    one, other = (sb.forecast(fit, at=at, group="Pythia").table for at in ({"N": 1e13}, {"size_billion": 1e4}))
    pd.testing.assert_frame_equal(one, other)


def test_counts_under_a_name_that_says_billions_stay():
    runs = sb.read_runs(IN_UNITS.assign(tokens_B=[4e8, 1.2e9, 3.6e9, 1.1e10]), inputs=MAPPED, response="loss")
    assert runs.inputs["D"].label == "tokens_B"
    assert runs.unit("D") == "tokens"
    assert runs.x("D").max() == 1.1e10
