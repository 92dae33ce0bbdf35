"""Whole messages about tables that are refused before anything is compiled."""

import numpy as np
import pytest

import scalebayes as sb

pytestmark = pytest.mark.usefixtures("nothing_is_compiled")

LEAVE_OUT = "Correct them, or leave them out with where (command line: --where)."


def leave_out(column, problem):
    """The end of a message about values that are wrong."""
    return (f'where="{column}.notna()" leaves missing values out. ' if "missing" in problem else "") + LEAVE_OUT


BAD_VALUES = [
    ("n/a", "not a number", "n/a"),
    (np.nan, "missing (NaN)", "nan"),
    (np.inf, "infinite", "inf"),
    (0.0, "zero or negative", "0.0"),
    (-1.5, "zero or negative", "-1.5"),
]


@pytest.mark.parametrize(
    ("roles", "said"),
    [
        ({"inputs": {"N": "size"}}, "input N"),
        ({"response": "size"}, "response"),
        ({"group": "size"}, "group"),
        ({"group": ["params", "size"]}, "group"),
        ({"run": "size"}, "run"),
        ({"seed": "size"}, "seed"),
    ],
)
def test_a_named_column_that_is_missing_is_refused(roles, said, table, refuses):
    message = f"{said} is to be column 'size', which table does not have; its columns are 'params', 'tokens', 'loss'."
    with refuses(ValueError, message):
        sb.read_runs(table(), **roles)


def test_a_missing_column_of_a_file_is_reported_with_the_name_of_the_file(tmp_path, table, refuses):
    table().to_csv(tmp_path / "runs.csv", index=False)
    message = "run is to be column 'name', which runs.csv does not have; its columns are 'params', 'tokens', 'loss'."
    with refuses(ValueError, message):
        sb.read_runs(tmp_path / "runs.csv", run="name")


def test_an_input_that_no_column_is_known_to_hold_is_refused(table, refuses):
    runs = sb.read_runs(table().drop(columns="tokens"))
    message = (
        "chinchilla needs input D (tokens), and no column is known to hold it; the columns are 'params', 'loss'. "
        "Say which: inputs={'D': 'COLUMN'} (command line: --input D=COLUMN)."
    )
    with refuses(ValueError, message):
        sb.Model(sb.laws.chinchilla, runs, discrepancy=None)


def test_an_input_that_two_columns_may_hold_is_refused(table, refuses):
    runs = sb.read_runs(table(n_tokens=2e10))
    message = (
        "chinchilla needs input D (tokens), and 2 columns fit: 'tokens', 'n_tokens'. "
        "Say which: inputs={'D': 'tokens'} (command line: --input D=tokens)."
    )
    with refuses(ValueError, message):
        sb.Model(sb.laws.chinchilla, runs, discrepancy=None)


def test_a_response_that_no_column_is_known_to_hold_is_refused(table, refuses):
    message = (
        "table needs a response (loss or error), and no column is known to hold it; "
        "the columns are 'params', 'tokens'. Say which: response='COLUMN' (command line: --response COLUMN)."
    )
    with refuses(ValueError, message):
        sb.read_runs(table().drop(columns="loss"))


def test_a_response_that_two_columns_may_hold_is_refused(table, refuses):
    message = (
        "table needs a response (loss or error), and 2 columns fit: 'loss', 'val_loss'. "
        "Say which: response='loss' (command line: --response loss)."
    )
    with refuses(ValueError, message):
        sb.read_runs(table(val_loss=2.0))


def test_a_law_of_one_input_refuses_to_choose_among_two(refuses, table):
    message = "power has one input, 'x', and the runs have N, D; say which one to use: "
    message += "inputs={'x': 'params'} (command line: --input x=params)."
    with refuses(ValueError, message):
        sb.Model(sb.laws.power, sb.read_runs(table()), discrepancy=None)


def test_an_input_that_the_law_does_not_take_is_refused(table, refuses):
    runs = sb.read_runs(table(), inputs={"n": "params"})
    with refuses(ValueError, "inputs names 'n', which chinchilla does not take; it takes N, D."):
        sb.Model(sb.laws.chinchilla, runs, discrepancy=None)


def test_a_column_of_two_roles_is_refused(refuses, table):
    with refuses(ValueError, "column 'loss' cannot be both input N and response; name another."):
        sb.read_runs(table(), inputs={"N": "loss"}, response="loss")


@pytest.mark.parametrize(("value", "problem", "shown"), BAD_VALUES)
def test_a_bad_response_is_refused(value, problem, shown, refuses, table):
    bad = table(loss=[3.6, 3.2, value, 2.7, 2.6, 2.3])
    # Zero and negative numbers are responses, but some observations do not allow them.
    needed = "positive finite" if problem == "zero or negative" else "finite"
    message = (
        f"column 'loss' (the response) must hold {needed} numbers; 1 of 6 rows is {problem} (row 2: {shown}). "
        + leave_out("loss", problem)
    )
    with refuses(ValueError, message):
        sb.Model(sb.laws.chinchilla, sb.read_runs(bad), discrepancy=None)


@pytest.mark.parametrize(("value", "problem", "shown"), BAD_VALUES)
def test_a_bad_input_that_was_named_is_refused_when_read(value, problem, shown, refuses, table):
    message = (
        f"column 'params' (input N) must hold positive finite numbers; 2 of 6 rows are {problem} "
        f"(row 1: {shown}, row 4: {shown}). {leave_out('params', problem)}"
    )
    with refuses(ValueError, message):
        sb.read_runs(table(params=[1e8, value, 4e8, 8e8, value, 32e8]), inputs={"N": "params"})


@pytest.mark.parametrize(("value", "problem", "shown"), BAD_VALUES)
def test_a_bad_input_that_was_recognised_is_refused_by_the_law_that_needs_it(value, problem, shown, table, refuses):
    runs = sb.read_runs(table(tokens=[2e9, 8e9, 4e9, 3e10, 1e10, value]))
    message = (
        f"column 'tokens' (input D) must hold positive finite numbers; 1 of 6 rows is {problem} (row 5: {shown}). "
        + leave_out("tokens", problem)
    )
    with refuses(ValueError, message):
        sb.Model(sb.laws.chinchilla, runs, discrepancy=None)


def test_of_many_bad_rows_the_first_three_are_shown(refuses, table):
    message = (
        "column 'loss' (the response) must hold positive finite numbers; 5 of 6 rows are zero or negative "
        f"(row 0: 0.0, row 1: -1.0, row 3: -3.0, ...). {LEAVE_OUT}"
    )
    with refuses(ValueError, message):
        sb.Model(sb.laws.chinchilla, sb.read_runs(table(loss=[0.0, -1.0, 2.0, -3.0, -4.0, -5.0])), discrepancy=None)


def test_bad_rows_are_called_by_the_names_of_their_runs(table, refuses):
    bad = table(loss=[3.6, 3.2, 3.1, np.nan, 2.6, np.nan], name=["a-1", "a-2", "a-3", "b-1", "b-2", "b-3"])
    message = (
        "column 'loss' (the response) must hold finite numbers; 2 of 6 rows are missing (NaN) "
        f"(row b-1: nan, row b-3: nan). {leave_out('loss', 'missing')}"
    )
    with refuses(ValueError, message):
        sb.read_runs(bad, run="name")


def test_an_input_with_one_distinct_value_is_refused(table, refuses):
    runs = sb.read_runs(table(params=1e8))
    message = (
        "column 'params' (input N) has one distinct value, 1e+08, in all 6 runs: the effect of N cannot be learned. "
        "Use a law without N, or add runs."
    )
    with refuses(ValueError, message):
        sb.Model(sb.laws.chinchilla, runs, discrepancy=None)


@pytest.mark.parametrize(
    ("where", "reason"),
    [("epochs > 3", "name 'epochs' is not defined"), ("", "it is empty")],
)
def test_a_where_that_cannot_be_applied_is_refused(where, reason, table, refuses):
    message = f"where {where!r} cannot be applied to table: {reason}; its columns are 'params', 'tokens', 'loss'."
    with refuses(ValueError, message):
        sb.read_runs(table(), where=where)


def test_a_condition_that_is_none_is_refused(refuses, table):
    message = "where 'loss + 1' is no condition: it gives values, not true or false for each row."
    with refuses(ValueError, message):
        sb.read_runs(table(), where="loss + 1")


def test_a_where_that_leaves_nothing_is_refused(refuses, table):
    with refuses(ValueError, "table has no runs: where 'loss > 5' leaves none of its 6 rows."):
        sb.read_runs(table(), where="loss > 5")


def test_a_table_without_rows_is_refused(table, refuses):
    with refuses(ValueError, "table has no runs."):
        sb.read_runs(table().head(0))


def test_a_group_with_one_level_is_refused(refuses, table):
    message = (
        "group 'family' has one level, 'gpt', so nothing can be pooled. "
        "Leave the group out, or add runs of another group."
    )
    with refuses(ValueError, message):
        sb.read_runs(table(family="gpt"), group="family")


@pytest.mark.parametrize(
    ("family", "counted"),
    [
        ("aaaaab", "1 of 2 levels has one run ('b')"),
        ("aabcde", "4 of 5 levels have one run ('b', 'c', 'd', ...)"),
    ],
)
def test_groups_of_which_fewer_than_two_have_several_runs_are_refused(family, counted, refuses, table):
    message = (
        f"group 'family': {counted}; two or more need several runs, for others to learn from. "
        "Add runs, or group by another column."
    )
    with refuses(ValueError, message):
        sb.read_runs(table(family=list(family)), group="family")


def test_a_group_with_one_run_learns_from_the_others_and_cannot_stand_by_itself(table, refuses):
    runs = sb.read_runs(table(family=list("aabbbc")), group="family")
    assert sb.Model(sb.laws.chinchilla, runs, discrepancy=None).parameters
    message = (
        "group 'family': 1 of 3 levels has one run ('c'), too few to estimate a group by itself. Fit with "
        "pooling='pooled', leave these out, or group by another column."
    )
    with refuses(ValueError, message):
        sb.Model(sb.laws.chinchilla, runs, pooling="separate", discrepancy=None)


def test_a_group_column_of_one_level_or_a_level_of_one_run_is_refused(refuses, table):
    message = (
        "group column 'corpus' has one level, 'x', so nothing can be pooled over it. Leave it out of the group, or add "
        "runs of another level."
    )
    with refuses(ValueError, message):
        sb.read_runs(table(family=list("aaabbb"), corpus=list("xxxxxx")), group=["family", "corpus"])
    message = (
        "group column 'corpus': 1 of 2 levels has one run ('y'); two or more need several runs, for others to learn "
        "from. Add runs, or group by another column."
    )
    with refuses(ValueError, message):
        sb.read_runs(table(family=list("aaabbb"), corpus=list("xxyxxx")), group=["family", "corpus"])


def test_an_empty_group_cell_is_refused(refuses, table):
    message = "column 'family' (group) is empty in 2 of 6 rows, first: row 2. Fill it in, or leave these rows out."
    with refuses(ValueError, message):
        sb.read_runs(table(family=["a", "a", None, "b", "b", None]), group="family")


@pytest.mark.parametrize("name", ["chain", "draw", "point", "run"])
def test_a_reserved_name_of_a_group_is_refused(name, refuses, table):
    message = f"a group column cannot be called {name!r}, a dimension of fits; rename it."
    with refuses(ValueError, message):
        sb.read_runs(table(**{name: list("aaabbb")}), group=name)


def test_runs_that_are_neither_table_nor_file_are_refused(refuses):
    with refuses(TypeError, "runs are read from a data frame or a file, got list."):
        sb.read_runs([1, 2, 3])


def test_a_file_that_is_missing_is_refused(refuses, tmp_path):
    path = tmp_path / "missing"
    with refuses(FileNotFoundError, f"there is no file {str(path)!r}."):
        sb.read_runs(path)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "No columns to parse from file"),
        (b"\x89PNG\r\n\x1a\n", "it is no UTF-8 text. Save it as CSV in UTF-8"),
        (b"a,b\n1,2\n1,2,3\n", "Error tokenizing data. C error: Expected 2 fields in line 3, saw 3"),
    ],
    ids=["empty", "binary", "ragged"],
)
def test_a_file_that_is_no_table_is_refused(content, reason, tmp_path, refuses):
    (tmp_path / "runs.csv").write_bytes(content)
    with refuses(ValueError, f"runs.csv cannot be read as a table: {reason}."):
        sb.read_runs(tmp_path / "runs.csv")


def test_a_file_of_column_names_only_is_refused(tmp_path, refuses):
    (tmp_path / "runs.csv").write_text("params,tokens,loss\n")
    with refuses(ValueError, "runs.csv has no runs."):
        sb.read_runs(tmp_path / "runs.csv")
