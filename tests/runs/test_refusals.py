"""Whole messages: what is said of input that cannot be used, before anything is compiled."""

import re

import jax
import numpy as np
import pandas as pd
import pytest
import xarray as xr

import scalebayes as sb
from scalebayes.questions.points import read_points

EXAMPLE = "for example 'def f(N, D, *, E, A, alpha)'"
FILE_NEEDED = "a file written by 'scalebayes fit' or Fit.save is needed."
LEAVE_OUT = "Correct them, or leave them out with where (command line: --where)."
PRIOR = sb.LogNormal(median=0.3, spread=0.5)


@pytest.fixture(autouse=True)
def nothing_is_compiled():
    """Bad input is refused at once: tracing a function for JAX is an error throughout this file."""
    before = jax.config.jax_no_tracing
    jax.config.update("jax_no_tracing", True)
    yield
    jax.config.update("jax_no_tracing", before)


def table(**columns):
    """Six good runs, with columns replaced or added."""
    good = {
        "params": [1e8, 2e8, 4e8, 8e8, 16e8, 32e8],
        "tokens": [2e9, 8e9, 4e9, 3e10, 1e10, 6e10],
        "loss": [3.6, 3.2, 3.1, 2.7, 2.6, 2.3],
    }
    return pd.DataFrame(good | columns)


def refuses(error, message):
    return pytest.raises(error, match="^" + re.escape(message) + "$")


def a_law(N, D, *, E, A, alpha):
    return E + A * N**-alpha + 0 * D


def a_fit(**columns):
    """A fit without draws, enough for questions that are refused."""
    group = "family" if "family" in columns else None
    return sb.Fit(sb.Model(sb.laws.chinchilla, sb.read_runs(table(**columns), group=group)), xr.DataTree())


def test_the_good_table_is_accepted():
    assert len(sb.Model(sb.laws.chinchilla, sb.read_runs(table())).runs) == 6


# Columns


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
def test_a_named_column_that_is_missing_is_refused(roles, said):
    message = f"{said} is to be column 'size', which table does not have; its columns are 'params', 'tokens', 'loss'."
    with refuses(ValueError, message):
        sb.read_runs(table(), **roles)


def test_a_missing_column_of_a_file_is_reported_with_the_name_of_the_file(tmp_path):
    table().to_csv(tmp_path / "runs.csv", index=False)
    message = "run is to be column 'name', which runs.csv does not have; its columns are 'params', 'tokens', 'loss'."
    with refuses(ValueError, message):
        sb.read_runs(tmp_path / "runs.csv", run="name")


def test_an_input_that_no_column_is_known_to_hold_is_refused():
    runs = sb.read_runs(table().drop(columns="tokens"))
    message = (
        "chinchilla needs input D (tokens), and no column is known to hold it; the columns are 'params', 'loss'. "
        "Say which: inputs={'D': 'COLUMN'} (command line: --input D=COLUMN)."
    )
    with refuses(ValueError, message):
        sb.Model(sb.laws.chinchilla, runs)


def test_an_input_that_two_columns_may_hold_is_refused():
    runs = sb.read_runs(table(n_tokens=2e10))
    message = (
        "chinchilla needs input D (tokens), and 2 columns fit: 'tokens', 'n_tokens'. "
        "Say which: inputs={'D': 'tokens'} (command line: --input D=tokens)."
    )
    with refuses(ValueError, message):
        sb.Model(sb.laws.chinchilla, runs)


def test_a_response_that_no_column_is_known_to_hold_is_refused():
    message = (
        "table needs a response (loss or error), and no column is known to hold it; "
        "the columns are 'params', 'tokens'. Say which: response='COLUMN' (command line: --response COLUMN)."
    )
    with refuses(ValueError, message):
        sb.read_runs(table().drop(columns="loss"))


def test_a_response_that_two_columns_may_hold_is_refused():
    message = (
        "table needs a response (loss or error), and 2 columns fit: 'loss', 'val_loss'. "
        "Say which: response='loss' (command line: --response loss)."
    )
    with refuses(ValueError, message):
        sb.read_runs(table(val_loss=2.0))


def test_a_law_of_one_input_refuses_to_choose_among_two():
    message = "power has one input, 'x', and the runs have N, D; say which one to use: "
    message += "inputs={'x': 'params'} (command line: --input x=params)."
    with refuses(ValueError, message):
        sb.Model(sb.laws.power, sb.read_runs(table()))


# Values


BAD_VALUES = [
    ("n/a", "not a number", "n/a"),
    (np.nan, "missing (NaN)", "nan"),
    (np.inf, "infinite", "inf"),
    (0.0, "zero or negative", "0.0"),
    (-1.5, "zero or negative", "-1.5"),
]


@pytest.mark.parametrize(("value", "problem", "shown"), BAD_VALUES)
def test_a_bad_response_is_refused(value, problem, shown):
    message = (
        f"column 'loss' (the response) must hold positive finite numbers; 1 of 6 rows is {problem} (row 2: {shown}). "
        + LEAVE_OUT
    )
    with refuses(ValueError, message):
        sb.read_runs(table(loss=[3.6, 3.2, value, 2.7, 2.6, 2.3]))


@pytest.mark.parametrize(("value", "problem", "shown"), BAD_VALUES)
def test_a_bad_input_that_was_named_is_refused_when_read(value, problem, shown):
    message = (
        f"column 'params' (input N) must hold positive finite numbers; 2 of 6 rows are {problem} "
        f"(row 1: {shown}, row 4: {shown}). {LEAVE_OUT}"
    )
    with refuses(ValueError, message):
        sb.read_runs(table(params=[1e8, value, 4e8, 8e8, value, 32e8]), inputs={"N": "params"})


@pytest.mark.parametrize(("value", "problem", "shown"), BAD_VALUES)
def test_a_bad_input_that_was_recognised_is_refused_by_the_law_that_needs_it(value, problem, shown):
    runs = sb.read_runs(table(tokens=[2e9, 8e9, 4e9, 3e10, 1e10, value]))
    message = (
        f"column 'tokens' (input D) must hold positive finite numbers; 1 of 6 rows is {problem} (row 5: {shown}). "
        + LEAVE_OUT
    )
    with refuses(ValueError, message):
        sb.Model(sb.laws.chinchilla, runs)


def test_of_many_bad_rows_the_first_three_are_shown():
    message = (
        "column 'loss' (the response) must hold positive finite numbers; 5 of 6 rows are zero or negative "
        f"(row 0: 0.0, row 1: -1.0, row 3: -3.0, ...). {LEAVE_OUT}"
    )
    with refuses(ValueError, message):
        sb.read_runs(table(loss=[0.0, -1.0, 2.0, -3.0, -4.0, -5.0]))


def test_bad_rows_are_called_by_the_names_of_their_runs():
    bad = table(loss=[3.6, 3.2, 3.1, np.nan, 2.6, np.nan], name=["a-1", "a-2", "a-3", "b-1", "b-2", "b-3"])
    message = (
        "column 'loss' (the response) must hold positive finite numbers; 2 of 6 rows are missing (NaN) "
        f"(row b-1: nan, row b-3: nan). {LEAVE_OUT}"
    )
    with refuses(ValueError, message):
        sb.read_runs(bad, run="name")


def test_an_input_with_one_distinct_value_is_refused():
    runs = sb.read_runs(table(params=1e8))
    message = (
        "column 'params' (input N) has one distinct value, 1e+08, in all 6 runs: the effect of N cannot be learned. "
        "Use a law without N, or add runs."
    )
    with refuses(ValueError, message):
        sb.Model(sb.laws.chinchilla, runs)


def test_a_response_in_per_cent_is_refused_by_a_law_for_losses():
    runs = sb.read_runs(table(loss=[60.0, 50.0, 40.0, 30.0, 20.0, 15.0]))
    message = (
        "response 'loss' runs from 15 to 60, and chinchilla is a law for losses (a uniform guess over a million words "
        "costs 13.8 nats): this looks like per cent or a perplexity. Divide per cent by 100 (an accuracy first becomes "
        "100 - accuracy), or take the logarithm of a perplexity."
    )
    with refuses(ValueError, message):
        sb.Model(sb.laws.chinchilla, runs)


def test_an_accuracy_is_refused_by_a_law_for_losses():
    accuracy = [0.2, 0.35, 0.3, 0.6, 0.55, 0.7]
    runs = sb.read_runs(table(accuracy=accuracy).drop(columns="loss"), response="accuracy")
    # One minus six times the sum of squared differences of ranks over 6 * 35: 1 - 6 * 4 / 210 for N, and 1 for D.
    message = (
        "response 'accuracy' runs from 0.2 to 0.7 and rises with N (0.89) and D (1.00), rank correlation in brackets: "
        "this looks like an accuracy, and chinchilla is a law for losses, which fall. Use the error, 1 - accuracy."
    )
    with refuses(ValueError, message):
        sb.Model(sb.laws.chinchilla, runs)


def test_a_law_of_ones_own_may_rise():
    runs = sb.read_runs(table(loss=[0.2, 0.35, 0.3, 0.6, 0.55, 0.7]))
    assert sb.Model(a_law, runs, priors=dict.fromkeys(("E", "A", "alpha"), PRIOR)).name == "a_law"


# Selected rows, numbers of runs


@pytest.mark.parametrize(
    ("where", "reason"),
    [("epochs > 3", "name 'epochs' is not defined"), ("", "expr cannot be an empty string")],
)
def test_a_where_that_cannot_be_applied_is_refused(where, reason):
    message = f"where {where!r} cannot be applied to table: {reason}; its columns are 'params', 'tokens', 'loss'."
    with refuses(ValueError, message):
        sb.read_runs(table(), where=where)


def test_a_where_that_leaves_nothing_is_refused():
    with refuses(ValueError, "table has no runs: where 'loss > 5' leaves none of its 6 rows."):
        sb.read_runs(table(), where="loss > 5")


def test_a_table_without_rows_is_refused():
    with refuses(ValueError, "table has no runs."):
        sb.read_runs(table().head(0))


@pytest.mark.parametrize(("rows", "there_are"), [(4, "are 4 runs"), (1, "is 1 run")])
def test_fewer_runs_than_parameters_are_refused(rows, there_are):
    message = (
        f"chinchilla has 5 parameters (E, A, B, alpha, beta) and there {there_are}. "
        "Add runs, or take a law with fewer parameters."
    )
    with refuses(ValueError, message):
        sb.fit(sb.laws.chinchilla, sb.read_runs(table().head(rows)))


# Groups


def test_a_group_with_one_level_is_refused():
    message = (
        "group 'family' has one level, 'gpt', so nothing can be pooled. "
        "Leave the group out, or add runs of another group."
    )
    with refuses(ValueError, message):
        sb.read_runs(table(family="gpt"), group="family")


@pytest.mark.parametrize(
    ("family", "counted"),
    [
        ("aabbbc", "1 of 3 levels has one run ('c')"),
        ("aabbcd", "2 of 4 levels have one run ('c', 'd')"),
        ("aabcde", "4 of 5 levels have one run ('b', 'c', 'd', ...)"),
    ],
)
def test_levels_with_one_run_are_refused(family, counted):
    message = (
        f"group 'family': {counted}, from which no group can be told. "
        "Add runs, leave these out, or group by another column."
    )
    with refuses(ValueError, message):
        sb.read_runs(table(family=list(family)), group="family")


def test_two_group_columns_are_refused_by_their_joint_name():
    message = (
        "group 'family_corpus': 2 of 4 levels have one run ('a, y', 'b, x'), from which no group can be told. "
        "Add runs, leave these out, or group by another column."
    )
    runs = sb.read_runs(table(family=list("aaabbb"), corpus=list("xxyxyy")), group=["family", "corpus"])
    with refuses(ValueError, message):
        sb.Model(sb.laws.chinchilla, runs)


def test_combinations_of_one_run_are_no_trouble_when_only_their_columns_matter():
    runs = sb.read_runs(table(family=list("aaabbb"), corpus=list("xxyxyy")), group=["family", "corpus"])
    priors = {
        name: sb.pooled(sb.LogNormal(1.0, 0.5), spread={"family": 0.2, "corpus": 0.1})
        for name in ("E", "A", "B", "alpha", "beta")
    }
    assert sb.Model(sb.laws.chinchilla, runs, priors=priors).describe()[0].n_groups == 4


def test_a_group_column_of_one_level_or_a_level_of_one_run_is_refused():
    message = (
        "group column 'corpus' has one level, 'x', so nothing can be pooled over it. Leave it out of the group, or add "
        "runs of another level."
    )
    with refuses(ValueError, message):
        sb.read_runs(table(family=list("aaabbb"), corpus=list("xxxxxx")), group=["family", "corpus"])
    message = (
        "group column 'corpus': 1 of 2 levels has one run ('y'), from which no level can be told. Add runs, leave these "
        "out, or group by another column."
    )
    with refuses(ValueError, message):
        sb.read_runs(table(family=list("aaabbb"), corpus=list("xxyxxx")), group=["family", "corpus"])


def test_a_spread_over_a_column_that_is_no_group_is_refused():
    runs = sb.read_runs(table(family=list("aaabbb")), group="family")
    message = "the prior of alpha has a spread over 'lab', which is no group column of the runs; there is 'family'."
    with refuses(ValueError, message):
        sb.Model(sb.laws.chinchilla, runs, priors={"alpha": sb.pooled(sb.LogNormal(0.3, 0.5), spread={"lab": 0.1})})


@pytest.mark.parametrize(
    ("spread", "kind", "message"),
    [
        ({}, ValueError, "pooled needs a spread for at least one factor, got none."),
        ({"lab": 0}, ValueError, "pooled needs a positive number for spread of 'lab', got 0."),
        ({"lab": "x"}, TypeError, "pooled needs a number for spread of 'lab', got 'x' (str)."),
    ],
)
def test_spreads_over_factors_are_positive_numbers(spread, kind, message):
    with refuses(kind, message):
        sb.pooled(sb.LogNormal(0.3, 0.5), spread=spread)


def test_an_empty_group_cell_is_refused():
    message = "column 'family' (group) is empty in 2 of 6 rows, first: row 2. Fill it in, or leave these rows out."
    with refuses(ValueError, message):
        sb.read_runs(table(family=["a", "a", None, "b", "b", None]), group="family")


@pytest.mark.parametrize("name", ["chain", "draw", "point", "run"])
def test_a_reserved_name_of_a_group_is_refused(name):
    message = f"a group column cannot be called {name!r}, a dimension of fits; rename it."
    with refuses(ValueError, message):
        sb.read_runs(table(**{name: list("aaabbb")}), group=name)


@pytest.mark.parametrize("name", ["alpha", "N", "sigma"])
def test_a_group_with_the_name_of_a_parameter_or_input_is_refused(name):
    runs = sb.read_runs(table(**{name: list("111222")}), group=name, inputs={"N": "params", "D": "tokens"})
    with refuses(ValueError, f"the group column {name!r} has the name of a parameter or input; rename it."):
        sb.Model(sb.laws.chinchilla, runs)


# Priors, pooling, noise


@pytest.mark.parametrize(("names", "said"), [(["gamma"], "'gamma'"), (["gamma", "a"], "'gamma', 'a'")])
def test_a_prior_for_a_parameter_that_the_law_does_not_have_is_refused(names, said):
    message = f"a prior is given for {said}, but chinchilla has the parameters E, A, B, alpha, beta."
    with refuses(ValueError, message):
        sb.Model(sb.laws.chinchilla, sb.read_runs(table()), priors=dict.fromkeys(names, PRIOR))


@pytest.mark.parametrize(("given", "missing", "first"), [((), "E, A, alpha", "E"), (("E",), "A, alpha", "A")])
def test_missing_priors_of_a_law_of_ones_own_are_refused(given, missing, first):
    message = (
        f"a_law is not built in, so every parameter needs a prior; missing: {missing}. "
        f"For example priors={{{first!r}: sb.LogNormal(median=0.3, spread=0.5)}}."
    )
    with refuses(ValueError, message):
        sb.Model(a_law, sb.read_runs(table()), priors=dict.fromkeys(given, PRIOR))


@pytest.mark.parametrize(
    ("prior", "word"), [(sb.pooled(PRIOR, spread=0.3), "pooled"), (sb.separate(PRIOR), "separate")]
)
def test_a_prior_for_groups_is_refused_without_groups(prior, word):
    message = (
        f"the prior of alpha is {word}, but the runs have no group. Name a group in read_runs, or use shared(...)."
    )
    with refuses(ValueError, message):
        sb.Model(sb.laws.chinchilla, sb.read_runs(table()), priors={"alpha": prior})


@pytest.mark.parametrize(("prior", "shown"), [(0.3, "0.3 (float)"), ("narrow", "'narrow' (str)")])
def test_what_is_no_prior_is_refused(prior, shown):
    message = f"a prior is needed, such as LogNormal(median=0.3, spread=0.5), got {shown}."
    with refuses(TypeError, message):
        sb.Model(sb.laws.chinchilla, sb.read_runs(table()), priors={"alpha": prior})


@pytest.mark.parametrize(
    ("prior", "message"),
    [
        (
            sb.Anchored(PRIOR, input="C", exponent="alpha"),
            "the prior of A is anchored by input 'C', which chinchilla(N, D; E, A, B, alpha, beta) does not have.",
        ),
        (
            sb.Anchored(PRIOR, input="N", exponent="gamma"),
            "the prior of A refers to 'gamma', which chinchilla(N, D; E, A, B, alpha, beta) does not have.",
        ),
        (
            sb.ResponseShare(0.3, 1.0, floor="B"),
            "the prior of A refers to B, whose own prior refers to another parameter.",
        ),
    ],
)
def test_a_prior_that_refers_to_what_is_not_there_is_refused(prior, message):
    with refuses(ValueError, message):
        sb.Model(sb.laws.chinchilla, sb.read_runs(table()), priors={"A": prior})


@pytest.mark.parametrize(
    ("prior", "numbers", "message"),
    [
        (sb.LogNormal, {"median": -1, "spread": 0.5}, "LogNormal needs a positive number for median, got -1."),
        (sb.LogNormal, {"median": 1, "spread": 0}, "LogNormal needs a positive number for spread, got 0."),
        (sb.LogNormal, {"median": np.inf, "spread": 1}, "LogNormal needs a positive number for median, got inf."),
        (sb.Normal, {"mean": np.nan, "sd": 1}, "Normal needs a finite number for mean, got nan."),
        (sb.Normal, {"mean": 0, "sd": -1}, "Normal needs a positive number for sd, got -1."),
        (sb.FloorShare, {"logit": np.inf, "sd": 1}, "FloorShare needs a finite number for logit, got inf."),
        (sb.FloorShare, {"logit": 1.7, "sd": 0.0}, "FloorShare needs a positive number for sd, got 0.0."),
        (sb.ResponseShare, {"share": -0.3, "spread": 1}, "ResponseShare needs a positive number for share, got -0.3."),
        (
            sb.Anchored,
            {"value": PRIOR, "input": "N", "exponent": "alpha", "reference": -1e9},
            "Anchored needs a positive number for reference, got -1000000000.0.",
        ),
        (
            sb.Anchored,
            {"value": PRIOR, "input": "N", "exponent": "alpha", "form": "offset"},
            "Anchored needs form 'amplitude' or 'scale', got 'offset'.",
        ),
        (sb.pooled, {"prior": PRIOR, "spread": 0}, "pooled needs a positive number for spread, got 0."),
    ],
)
def test_a_number_that_makes_no_prior_is_refused(prior, numbers, message):
    with refuses(ValueError, message):
        prior(**numbers)


def test_an_anchor_that_may_be_negative_is_refused():
    message = "Anchored needs a LogNormal or ResponseShare value, got Normal(mean=0.0, sd=1.0)."
    with refuses(TypeError, message):
        sb.Anchored(sb.Normal(mean=0.0, sd=1.0), input="N", exponent="alpha")


def test_an_unknown_pooling_word_is_refused():
    with refuses(ValueError, "pooling is 'shared', 'pooled', 'crossed' or 'separate', got 'partial'."):
        sb.Model(sb.laws.chinchilla, sb.read_runs(table()), pooling="partial")


@pytest.mark.parametrize(("group", "grouped"), [(None, "not at all"), ("family", "by 'family' alone")])
def test_crossing_needs_several_group_columns(group, grouped):
    runs = sb.read_runs(table(family=["a", "b"] * 3), group=group)
    message = (
        f"pooling='crossed' is over several group columns, and the runs are grouped {grouped}; name what crosses in "
        "read_runs, such as group=['architecture', 'task'], or leave it out."
    )
    with refuses(ValueError, message):
        sb.Model(sb.laws.chinchilla, runs, pooling="crossed")


def test_an_unknown_noise_is_refused():
    message = "noise is 'student_t' or 'gaussian', or a StudentT or Gaussian, got 'laplace'."
    with refuses(ValueError, message):
        sb.Model(sb.laws.chinchilla, sb.read_runs(table()), noise="laplace")


# Laws


def no_star(N, D, E, A): ...


def no_input(*, E, A): ...


def variadic(*args, E): ...


def with_keywords(N, **theta): ...


def with_default(N, D, *, E, A=1.0): ...


@pytest.mark.parametrize(
    ("law", "message"),
    [
        (
            variadic,
            "law variadic(*args, E) cannot be read: '*args' hides what it takes; "
            f"inputs go before '*', parameters after it, {EXAMPLE}.",
        ),
        (
            with_keywords,
            "law with_keywords(N, **theta) cannot be read: '**theta' hides what it takes; "
            f"inputs go before '*', parameters after it, {EXAMPLE}.",
        ),
        (
            with_default,
            "law with_default(N, D, *, E, A=1.0) cannot be read: 'A' has a default, a constant nobody would see; "
            "make it a parameter.",
        ),
        (
            no_star,
            f"law no_star(N, D, E, A) cannot be read: inputs go before '*', parameters after it, {EXAMPLE}.",
        ),
        (
            no_input,
            f"law no_input(*, E, A) cannot be read: inputs go before '*', parameters after it, {EXAMPLE}.",
        ),
        ("chinchilla", f"a law is a function, {EXAMPLE}; got 'chinchilla' (str)."),
        (dict, f"law dict cannot be read: it has no signature. Write a function, {EXAMPLE}."),
    ],
)
def test_a_law_whose_signature_cannot_be_read_is_refused(law, message):
    with refuses(TypeError, message):
        sb.fit(law, sb.read_runs(table()))


def test_a_parameter_with_a_name_of_the_noise_is_refused():
    def scaled(N, D, *, E, sigma): ...

    with refuses(ValueError, "scaled has a parameter 'sigma', a name of the noise; rename it."):
        sb.Model(scaled, sb.read_runs(table()), priors={"E": PRIOR, "sigma": PRIOR})


def test_an_unknown_law_is_refused():
    known = ", ".join(sorted(law.__name__ for law in sb.laws.PRIORS))
    assert "chinchilla, kaplan, power, power_floor" in known
    with refuses(ValueError, f"unknown law 'chincilla'; the built-in laws are {known}."):
        sb.laws.named("chincilla")


def test_a_model_of_a_bare_table_is_refused():
    with refuses(TypeError, "runs are needed, from sb.read_runs(table, ...), got DataFrame."):
        sb.Model(sb.laws.chinchilla, table())


# Files


def test_runs_that_are_neither_table_nor_file_are_refused():
    with refuses(TypeError, "runs are read from a DataFrame or a file, got list."):
        sb.read_runs([1, 2, 3])


@pytest.mark.parametrize("read", [sb.read_runs, sb.load])
def test_a_file_that_is_missing_is_refused(read, tmp_path):
    path = tmp_path / "missing"
    with refuses(FileNotFoundError, f"there is no file {str(path)!r}."):
        read(path)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "No columns to parse from file"),
        (b"\x89PNG\r\n\x1a\n", "'utf-8' codec can't decode byte 0x89 in position 0: invalid start byte"),
        (b"a,b\n1,2\n1,2,3\n", "Error tokenizing data. C error: Expected 2 fields in line 3, saw 3"),
    ],
    ids=["empty", "binary", "ragged"],
)
def test_a_file_that_is_no_table_is_refused(content, reason, tmp_path):
    (tmp_path / "runs.csv").write_bytes(content)
    with refuses(ValueError, f"runs.csv cannot be read as a table: {reason}."):
        sb.read_runs(tmp_path / "runs.csv")


def test_a_file_of_column_names_only_is_refused(tmp_path):
    (tmp_path / "runs.csv").write_text("params,tokens,loss\n")
    with refuses(ValueError, "runs.csv has no runs."):
        sb.read_runs(tmp_path / "runs.csv")


@pytest.fixture
def foreign(tmp_path):
    """A netCDF file that is no fit."""
    path = tmp_path / "foreign.nc"
    xr.Dataset({"temperature": ("x", [1.0, 2.0])}).to_netcdf(path, engine="h5netcdf")
    return path


def test_a_netcdf_file_of_something_else_is_refused(foreign):
    with refuses(ValueError, f"foreign.nc is a netCDF file, but holds no fit of scalebayes; {FILE_NEEDED}"):
        sb.load(foreign)


def test_a_truncated_netcdf_file_is_refused(foreign):
    whole = foreign.read_bytes()
    half = len(whole) // 2
    foreign.write_bytes(whole[:half])
    message = (
        f"foreign.nc cannot be read (Unable to synchronously open file (truncated file: eof = {half}, "
        f"sblock->base_addr = 0, stored_eof = {len(whole)})); it is truncated or no netCDF file: {FILE_NEEDED}"
    )
    with refuses(ValueError, message):
        sb.load(foreign)


@pytest.mark.parametrize("content", [b"", b"garbage" * 100], ids=["empty", "garbage"])
def test_a_file_that_is_no_netcdf_file_is_refused(content, tmp_path):
    (tmp_path / "fit.nc").write_bytes(content)
    message = (
        "fit.nc cannot be read (Unable to synchronously open file (file signature not found)); "
        f"it is truncated or no netCDF file: {FILE_NEEDED}"
    )
    with refuses(ValueError, message):
        sb.load(tmp_path / "fit.nc")


def test_a_file_is_not_replaced_unasked(tmp_path):
    path = tmp_path / "fit.nc"
    path.write_text("mine")
    with refuses(FileExistsError, f"{str(path)!r} exists; choose another name or say overwrite=True to replace it."):
        a_fit().save(path)
    assert path.read_text() == "mine"


def test_a_file_in_a_folder_that_is_not_there_is_refused(tmp_path):
    folder = tmp_path / "fits"
    with refuses(FileNotFoundError, f"there is no folder {str(folder)!r} to write 'fit.nc' into."):
        a_fit().save(folder / "fit.nc")


# Questions


@pytest.mark.parametrize(
    ("at", "message"),
    [
        (
            {"N": 1e9},
            "chinchilla needs N, D at each point; D (tokens) is missing, given: N. For example N=6e08, D=1e10.",
        ),
        (
            {},
            "chinchilla needs N, D at each point; N (parameters) is missing, given: nothing. "
            "For example N=6e08, D=1e10.",
        ),
        (
            {"N": 1e9, "D": 0},
            "D must be a positive finite number; 1 of 1 points is not, first: row 0: 0.",
        ),
        (
            {"N": "large", "D": 1e10},
            "N must be a positive finite number; 1 of 1 points is not, first: row 0: large.",
        ),
        (
            {"N": [1e9, -1.0, np.nan], "D": 1e10},
            "N must be a positive finite number; 2 of 3 points are not, first: row 1: -1.0.",
        ),
        (
            {"N": [1e9, 2e9, 3e9], "D": [1e10, 2e10]},
            "the arrays to forecast at have lengths {'N': 3, 'D': 2}; give equal lengths, "
            "or every combination by sb.grid(...).",
        ),
        (
            sb.grid({"N": [1e9, np.inf], "D": [1e9, 1e10]}),
            "N must be a positive finite number; 2 of 4 points are not, first: row 2: inf.",
        ),
        (
            sb.grid({"D": [1e9, 1e10]}),
            "chinchilla needs N, D at each point; N (parameters) is missing, given: D. For example N=6e08, D=1e10.",
        ),
        (
            pd.DataFrame({"params": [1e9, -1.0], "tokens": 1e10}, index=["small", "large"]),
            "params must be a positive finite number; 1 of 2 points is not, first: row large: -1.0.",
        ),
    ],
)
def test_points_that_cannot_be_forecast_at_are_refused(at, message):
    model = sb.Model(sb.laws.chinchilla, sb.read_runs(table()))
    with refuses(ValueError, message):
        read_points(model.runs, model.name, at)


def test_points_of_another_kind_are_refused():
    model = sb.Model(sb.laws.chinchilla, sb.read_runs(table()))
    with refuses(TypeError, "points are a mapping, a DataFrame or a Dataset, got list."):
        read_points(model.runs, model.name, [1e9, 1e10])


@pytest.mark.parametrize(
    ("question", "message"),
    [
        ({"target": -1.0, "axis": "N"}, "the target is a positive finite loss, got -1.0."),
        ({"target": np.inf, "axis": "N"}, "the target is a positive finite loss, got inf."),
        ({"target": 2.0, "axis": "N", "prob": 89}, "prob lies between 0 and 1, got 89; for 89% say 0.89."),
        ({"target": 2.0, "axis": "N", "at": {"D": 0}}, "D must be a positive finite number, got 0.0."),
        ({"target": 2.0, "axis": "N"}, "to move along N, chinchilla needs D held; got nothing."),
        (
            {"target": 2.0, "axis": "N", "at": {"N": 1e9, "D": 1e10}},
            "to move along N, chinchilla needs D held; got N, D.",
        ),
        (
            {"target": 2.0, "axis": "C", "at": {"N": 1e9, "D": 1e10}},
            "C alone does not determine N and D: hold one of N, D or D/N (tokens per parameter), "
            "for example {'D/N': 20}; got N, D.",
        ),
        ({"target": 2.0, "axis": "x"}, "chinchilla has no axis 'x'; it has N, D and C."),
        ({"target": 2.0, "axis": "N", "at": {"D": 1e10}, "group": "a"}, "the fit has no groups; leave group out."),
    ],
)
def test_a_target_that_cannot_be_reached_for_is_refused(question, message):
    with refuses(ValueError, message):
        sb.reach(a_fit(), **question)


@pytest.mark.parametrize(
    ("group", "message"),
    [
        ({"group": "c"}, "family has no group 'c'; the groups are a, b."),
        (
            {"group": "a", "new_group": True},
            "a known group and a new one exclude each other; give group or new_group.",
        ),
    ],
)
def test_a_group_that_cannot_be_asked_about_is_refused(group, message):
    with refuses(ValueError, message):
        sb.reach(a_fit(family=list("aaabbb")), 2.0, "N", at={"D": 1e10}, **group)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"draws": 0}, "draws is a whole number from 4 on, got 0."),
        ({"chains": 2.5}, "chains is a whole number from 1 on, got 2.5."),
        ({"seed": -1}, "seed is a whole number from 0 on, got -1."),
        ({"target_accept": 2}, "target_accept lies between 0 and 1, got 2."),
    ],
)
def test_a_setting_of_the_sampler_out_of_range_is_refused(setting, message):
    with refuses(ValueError, message):
        sb.fit(sb.laws.chinchilla, sb.read_runs(table()), **setting)


# What is easily mistaken ------------------------------------------------------------------------------------------


def test_a_mistyped_group_column_of_a_forecast_is_refused():
    runs = sb.read_runs(table(family=["a", "a", "a", "b", "b", "b"]), group="family")
    message = (
        "the points name 'familly', which chinchilla does not take; it takes N (parameters), D (tokens) and the group "
        "family, for example N=6e08, D=1e10."
    )
    with refuses(ValueError, message):
        read_points(runs, "chinchilla", {"N": 1e9, "D": 1e10, "familly": "a"})


def test_points_that_say_a_thing_by_half_or_twice_are_refused():
    table = pd.DataFrame(
        {"flops": np.tile(np.geomspace(1e18, 1e21, 4), 4), "C": range(1, 17), "loss": np.geomspace(3, 2, 16)}
    )
    table = table.assign(arch=list("aaaaaaaabbbbbbbb"), task=list("xxxxyyyyxxxxyyyy"))
    runs = sb.read_runs(table, inputs={"C": "flops"}, group=["arch", "task"])
    with refuses(
        ValueError,
        "the points have 'arch' and not 'task', which say together of which group each is; give all of them, or none to forecast "
        "every group.",
    ):
        read_points(runs, "power", {"C": 1e22, "arch": "a"})
    with refuses(
        ValueError, "the points have two columns for C, 'C' and 'flops', and they differ; leave one of them out."
    ):
        read_points(runs, "power", table)
    both = read_points(runs, "power", table.drop(columns="C"))
    assert both["C"].tolist() == table["flops"].tolist()


def test_no_points_are_refused():
    runs = sb.read_runs(table())
    with refuses(ValueError, "there are no points to forecast at."):
        read_points(runs, "chinchilla", {"N": [], "D": 1e10})


def test_a_column_of_two_roles_is_refused():
    with refuses(ValueError, "column 'loss' cannot be both input N and response; name another."):
        sb.read_runs(table(), inputs={"N": "loss"}, response="loss")


def test_a_condition_that_is_none_is_refused():
    message = "where 'loss + 1' is no condition: it gives values, not true or false for each row."
    with refuses(ValueError, message):
        sb.read_runs(table(), where="loss + 1")


def test_a_bare_prior_of_the_noise_is_shared():
    assert sb.Gaussian(sigma=sb.LogNormal(0.01, 1.0)).sigma == sb.shared(sb.LogNormal(0.01, 1.0))
    with refuses(ValueError, "StudentT needs a positive number for nu_shape, got -1."):
        sb.StudentT(nu_shape=-1)


def test_a_prior_of_something_else_than_numbers_is_refused():
    with refuses(TypeError, "LogNormal needs a number for spread, got 'wide' (str)."):
        sb.LogNormal(median=0.3, spread="wide")


def test_an_input_that_the_law_does_not_take_is_refused():
    runs = sb.read_runs(table(), inputs={"n": "params"})
    with refuses(ValueError, "inputs names 'n', which chinchilla does not take; it takes N, D."):
        sb.Model(sb.laws.chinchilla, runs)


def test_a_response_named_like_an_input_is_refused():
    runs = sb.read_runs(table().rename(columns={"loss": "E"}), response="E")
    with refuses(ValueError, "the response column 'E' has the name of an input or parameter; rename it."):
        sb.Model(sb.laws.chinchilla, runs)
