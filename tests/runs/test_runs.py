"""Runs: how a table is read, recognised, counted and described."""

import numpy as np
import pandas as pd
import pytest

import scalebayes as sb
from scalebayes.runs.reading import select_inputs


def _columns(runs):
    return {name: each.column for name, each in runs.inputs.items()}


def _table():
    return pd.DataFrame(
        {
            "name": list("abcdef"),
            "Model Size": [1e8, 2e8, 1e9, 1e8, 2e8, 1e9],
            "training-tokens": ["2e9", "4e9", "2e10", "2e9", "4e9", "2e10"],
            "val_loss": [3.4, 3.1, 2.6, 3.3, 3.0, 2.5],
            "architecture": list("xxxyyy"),
            "context": [2048, 2048, 2048, 8192, 8192, 8192],
            "stopped": [0, 0, 0, 0, 0, 0],
        },
        index=[10, 11, 12, 13, 14, 15],
    )


@pytest.mark.parametrize("kind", ["frame", "csv", "parquet"])
def test_runs_are_read_from_a_table_and_from_files(tmp_path, kind):
    source = _table()
    if kind == "csv":
        source.to_csv(tmp_path / "runs.csv", index=False)
        source = tmp_path / "runs.csv"
    elif kind == "parquet":
        source.to_parquet(tmp_path / "runs.parquet")
        source = str(tmp_path / "runs.parquet")
    runs = sb.read_runs(source, group="architecture", run="name")
    assert _columns(runs) == {"N": "Model Size", "D": "training-tokens"}
    assert runs.response == "val_loss"
    np.testing.assert_array_equal(runs.x("D"), [2e9, 4e9, 2e10] * 2)
    assert runs.labels.tolist() == list("abcdef")
    assert runs.levels == ("x", "y")


def test_several_columns_name_one_group():
    runs = sb.read_runs(_table(), group=["architecture", "context"])
    assert runs.group_name == "architecture_context"
    assert runs.levels == ("x, 2048", "y, 8192")
    assert runs.group_index.tolist() == [0, 0, 0, 1, 1, 1]


def test_groups_differ_in_the_columns_that_cross_and_in_themselves():
    table = pd.concat([_table(), _table().assign(context=4096)])
    assert sb.read_runs(table, group=["architecture", "context"]).factors == (
        "architecture",
        "context",
        "architecture_context",
    )
    # A column with a level for every group is the same as the groups.
    assert sb.read_runs(_table(), group=["architecture", "context"]).factors == ("architecture_context",)
    assert sb.read_runs(_table(), group="architecture").factors == ("architecture",)


def test_rows_left_out_are_counted_and_units_are_named():
    runs = sb.read_runs(_table(), group="architecture", where="`Model Size` < 5e8")
    assert str(runs) == (
        "4 runs from table: N = Model Size (parameters), D = training-tokens (tokens); response val_loss\n"
        "groups by architecture: x (2), y (2)\n"
        "2 rows left out by where: `Model Size` < 5e8"
    )
    assert runs.labels.tolist() == [10, 11, 13, 14]


def test_the_callers_table_is_left_alone():
    table = _table()
    runs = sb.read_runs(table, group="architecture")
    table.loc[10, "val_loss"] = 99.0
    assert runs.y[0] == 3.4


def test_a_law_of_one_input_takes_the_one_that_was_named():
    runs = sb.read_runs(_table(), inputs={"D": "training-tokens"})
    assert _columns(select_inputs(runs, "power_floor", ("x",))) == {"D": "training-tokens"}


def test_digest_follows_the_numbers_and_groups_only():
    first = sb.read_runs(_table(), group="architecture")
    same = sb.read_runs(_table().assign(name="other"), group="architecture")
    other = sb.read_runs(_table().assign(val_loss=lambda t: t["val_loss"] * 1.01), group="architecture")
    assert first.digest == same.digest != other.digest


def test_a_column_called_as_the_laws_input_is_taken_before_one_that_is_recognised():
    table = pd.DataFrame({"n_params": [1e8] * 3 + [1e9] * 3, "x": [1e3, 1e4, 1e5] * 2, "loss": [3.0, 2.5, 2.2] * 2})
    assert _columns(sb.Model(sb.laws.power, sb.read_runs(table), discrepancy=None).runs) == {"x": "x"}
    assert _columns(sb.Model(sb.laws.power, sb.read_runs(table, inputs={"N": "n_params"}), discrepancy=None).runs) == {
        "N": "n_params"
    }
    # A group column is no input.
    grouped = sb.read_runs(table.rename(columns={"x": "tokens"}), group="n_params")
    assert _columns(grouped) == {"D": "tokens"}


def test_labels_of_groups_that_would_be_one_are_refused():
    pairs = [("x, y", "z"), ("x", "y, z"), ("x", "z"), ("x, y", "y, z")]
    table = pd.DataFrame([{"a": a, "b": b, "D": D, "loss": 2 + 1 / D} for a, b in pairs for D in (1e3, 1e4, 1e5)])
    message = (
        r"two groups by a, b would both be called 'x, y, z': rows 0 and 3\. Take the commas out of these columns\."
    )
    with pytest.raises(ValueError, match=message):
        sb.read_runs(table, group=["a", "b"])


@pytest.mark.parametrize("group", ["inducing_point", ["run", "task"]])
def test_groups_are_not_called_as_dimensions_of_a_fit(group):
    names = [group] if isinstance(group, str) else group
    table = pd.DataFrame({"D": np.geomspace(1e3, 1e6, 8), "loss": np.geomspace(3, 2, 8)})
    for name in names:
        table[name] = list("ababcdcd") if name == "task" else list("aabbaabb")
    with pytest.raises(
        ValueError, match=f"a group column cannot be called '{names[0]}', a dimension of fits; rename it"
    ):
        sb.read_runs(table, group=group)


def test_conditions_on_nullable_columns_leave_out_what_is_missing():
    table = pd.DataFrame({"D": pd.array([1000, None, 100000, 1000000], "Int64"), "loss": [3.0, 2.7, 2.5, 2.2]})
    runs = sb.read_runs(table, where="D > 2000")
    assert (runs.table["D"].tolist(), runs.excluded) == ([100000, 1000000], 2)
    with pytest.raises(ValueError, match=r"where 'loss\.mean\(\) < 30' is no condition: it gives values"):
        sb.read_runs(table, where="loss.mean() < 30")
