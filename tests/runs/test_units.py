"""Units of inputs, from the names of their columns."""

import pandas as pd
import pytest

import scalebayes as sb
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
