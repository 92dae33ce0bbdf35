"""Reading a table of runs: its columns are named or recognised, and checked."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pandas as pd

from scalebayes.arguments import nearest, quoted
from scalebayes.runs.checks import (
    check_constants,
    check_groups,
    check_numbers,
    check_proportions,
    check_schedules,
    refuse_rows,
    warn_of,
)
from scalebayes.runs.columns import SYNONYMS, candidates_for, chosen_rows, recognised
from scalebayes.runs.inputs import FACTORS, Input, as_input
from scalebayes.runs.runs import Runs
from scalebayes.runs.tables import columns_of, read_table, stacked

_VALUE, _METRIC = "value", "metric"  # columns of several responses, and of their names
_MEASURES = {
    "a loss": re.compile(r"loss|nll|cross.?entropy|(^|[^a-z])ce([^a-z]|$)", re.IGNORECASE),
    "bits": re.compile(r"bp[bc]|bits", re.IGNORECASE),
    "a perplexity": re.compile(r"ppl|perplexity", re.IGNORECASE),
    "an accuracy": re.compile(r"acc", re.IGNORECASE),
    "an error": re.compile(r"error|err([^a-z]|$)", re.IGNORECASE),
}


def read_runs(
    source: Any,
    *,
    inputs: Mapping[str, str | Sequence[str] | Input] | None = None,
    response: str | Sequence[str] | None = None,
    group: str | Sequence[str] | None = None,
    run: str | None = None,
    seed: str | None = None,
    tokenizer: str | None = None,
    evaluation: str | None = None,
    better: Literal["lower", "higher"] = "lower",
    cost: str | Callable | None = None,
    where: str | None = None,
) -> Runs:
    """Read and check a table of training runs.

    Parameters
    ----------
    source : data frame or path
        One row per run: a frame of pandas, polars or pyarrow; or a CSV file (commas, semicolons or tabs), parquet or
        JSON lines. A tracker's export is first made a table by `tracker_runs`.
    inputs : mapping of str to str, list of str or Input, optional
        Columns of the law's inputs: ``{"N": "n_params", "D": "n_tokens"}``. N is counted in parameters, D in tokens (or
        examples), C in FLOPs, one by one: a column of N or D that counts millions or billions, by its name, is
        multiplied. Common column names are recognised where exactly one fits. An input that may be zero or negative is
        ``Input("share", kind="plain")``; one that all runs of a group have in common is ``Input("dim",
        kind="constant")``. Several columns are the parts of a vector. A learning-rate schedule is `schedule`.
    response : str or sequence of str, optional
        Column of the loss, error or score; a loss is recognised by name where exactly one column fits. Several columns
        of one unit are fitted together: each run has a row for each of them, in a group ``metric``.
    group : str or sequence of str, optional
        Column or columns that name the groups that learn from each other.
    run, seed : str, optional
        Columns with the run's name and its random seed. Rows of one run are its checkpoints.
    tokenizer, evaluation : str, optional
        Columns with the tokenizer and the evaluation set of the loss: groups that differ in them are not compared.
    better : {"lower", "higher"}
        Which responses are better: losses and errors are lower, accuracies and Elo ratings higher.
    cost : str or Callable, optional
        What a run costs in FLOPs: a column, or a function of inputs by their names. ``lambda N, D: 6 * N * D`` is the
        default where both are inputs. Cost decides which runs are the largest, and is used for frontiers and next runs.
    where : str, optional
        Rows to keep, in the notation of `pandas.DataFrame.query`; the other rows are counted.

    Returns
    -------
    Runs

    Raises
    ------
    OSError
        If there is no such file, or it is a folder or a pipe.
    ValueError
        If the file cannot be read, a column is missing or ambiguous, or a value is not a finite number (of a scale, a
        positive one).

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"params": [1e8, 1e9], "tokens": [2e9, 2e10], "loss": [3.4, 2.6]})
    >>> print(read_runs(table))
    2 runs from table: N = params (parameters), D = tokens (tokens); response loss
    """
    groups = (group,) if isinstance(group, str) else tuple(group or ())
    labels = [column for column in (*groups, run, tokenizer, evaluation) if isinstance(column, str)]
    table, name = read_table(source, labels)
    excluded = 0
    if where is not None:
        kept = chosen_rows(table, where, name)
        table, excluded = kept, len(table) - len(kept)
    if inputs is not None and not isinstance(inputs, Mapping):
        raise TypeError(
            f"inputs is a mapping from the law's inputs to columns, such as {{'N': 'n_params'}}, got {quoted(inputs)}."
        )
    if better not in ("lower", "higher"):
        raise ValueError(f"better is 'lower' or 'higher', got {quoted(better)}.")
    if not (cost is None or isinstance(cost, str) or callable(cost)):
        raise TypeError(f"cost is a column or a function of inputs, got {quoted(cost)}.")
    if not (response is None or isinstance(response, str)):
        table, groups = _pooled(table, response, groups, name)
        response = _VALUE
    mapped = {key: as_input(key, given) for key, given in (inputs or {}).items()}
    named: list[tuple[str, Any]] = [(f"input {key}", c) for key, each in mapped.items() for c in each.columns]
    named += [("response", response), *(("group", column) for column in groups), ("run", run), ("seed", seed)]
    named += [("tokenizer", tokenizer), ("evaluation", evaluation), ("cost", cost if isinstance(cost, str) else None)]
    for role, column in named:
        if column is not None and column not in table.columns:
            raise ValueError(
                f"{role} is to be column {quoted(column)}, which {name} does not have{nearest(column, table.columns)}; "
                f"its columns are {columns_of(table)}."
            )
    if response is None:
        response = recognised(table, "response", name)
    used: dict[str, str] = {}
    for role, column in [*named, ("response", response)]:
        if column is None or role in ("run", "seed", "tokenizer", "evaluation", "cost"):
            continue
        if used.setdefault(column, role) != role:
            raise ValueError(f"column {column!r} cannot be both {used[column]} and {role}; name another.")
        if list(table.columns).count(column) > 1:
            raise ValueError(f"{name} has {list(table.columns).count(column)} columns called {column!r}; rename them.")
    for key in SYNONYMS if not inputs else ():  # beside inputs that are named, none is taken unasked
        candidates = candidates_for(table, key)
        if key not in ("response", *mapped) and len(candidates) == 1 and candidates[0] not in used:
            mapped[key] = as_input(key, candidates[0])
    runs = Runs(
        table=table,
        inputs=mapped,
        response=response,
        group=groups,
        run=run,
        seed=seed,
        tokenizer=tokenizer,
        evaluation=evaluation,
        better=better,
        cost=cost,
        named=frozenset(inputs or {}),
        where=where,
        excluded=excluded,
        source=name,
    )
    if len(runs) == 0:
        why = f": where {where!r} leaves none of its {excluded} rows" if where is not None else ""
        raise ValueError(f"{name} has no runs{why}.")
    check_numbers(runs, response, "the response", "finite")
    for key in inputs or {}:
        check_input(runs, key)
    if isinstance(cost, str):
        check_numbers(runs, cost, "the cost", "positive finite")
    check_groups(runs)
    runs = counted(runs)
    warn_of(runs)
    return runs


def _pooled(
    table: pd.DataFrame, responses: Any, groups: tuple[str, ...], name: str
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The table with all responses in one column, and the groups with the response's name among them."""
    several = isinstance(responses, Sequence) and all(isinstance(each, str) for each in responses)
    if not several or not responses or len(set(responses)) < len(responses):
        raise TypeError(
            f"response is a column or a list of different columns, got {quoted(responses)}; a second response with a "
            "law of its own goes into fit's also=."
        )
    for column in responses:
        if column not in table.columns:
            raise ValueError(
                f"response is to be column {quoted(column)}, which {name} does not have"
                f"{nearest(column, table.columns)}; its columns are {columns_of(table)}."
            )
    taken = [column for column in (_VALUE, _METRIC) if column in table.columns]
    if taken:
        raise ValueError(f"several responses are put into a column {taken[0]!r}, which {name} has; rename it.")
    units = {column: unit for column in responses for unit, words in _MEASURES.items() if words.search(column)}
    if len(set(units.values())) > 1:
        (one, first), (other, second) = next((a, b) for a in units.items() for b in units.items() if a[1] != b[1])
        raise ValueError(
            f"{one!r} is {first} and {other!r} is {second}, by their names: groups that learn from each other need one "
            "unit. Fit each by itself: sb.fit_many({name: sb.Model(law, sb.read_runs(..., response=name)) ...})."
        )
    return stacked(table, responses, _VALUE, _METRIC), (*groups, _METRIC)


def counted(runs: Runs) -> Runs:
    """The runs with inputs in millions or billions, by the names of their columns, counted one by one.

    So compute is in FLOPs, and points are as they are written: 70e9. The new column is named after the old one.
    """
    table, inputs = runs.table, dict(runs.inputs)
    for key, each in runs.inputs.items():
        many, _, unit = each.unit.partition(" ")
        if many not in FACTORS or each.is_vector or each.schedules is not None:
            continue
        factor, values = FACTORS[many], runs.x(key)
        if not len(values) or np.nanmax(values) >= factor:  # such numbers are counts, whatever the name says
            inputs[key] = replace(each, unit=unit)
            continue
        column = f"{each.label} x {'1e6' if many == 'million' else '1e9'}"
        table = table.assign(**{column: factor * values})
        inputs[key] = replace(each, column=column, unit=unit, original=(each.label, factor))
    return runs if inputs == dict(runs.inputs) else replace(runs, table=table, inputs=inputs)


def check_input(runs: Runs, name: str) -> None:
    """Refuse an input whose columns do not hold what its kind needs."""
    each = runs.inputs[name]
    if each.schedules is not None:
        check_schedules(runs, name)
        return
    if isinstance(each.error, str):
        if each.error not in runs.table.columns:
            raise ValueError(
                f"the error of input {name} is to be column {each.error!r}, which {runs.source} does not have"
                f"{nearest(each.error, runs.table.columns)}; its columns are {columns_of(runs.table)}."
            )
        check_numbers(runs, each.error, f"the error of input {name}", "finite")
        refuse_rows(
            runs,
            each.error,
            f"the error of input {name}",
            "shares of the input from 0 to 1",
            {"outside": ~((runs.column(each.error) >= 0) & (runs.column(each.error) < 1))},
        )
    needed = "positive finite" if each.kind == "scale" else "finite"
    for column in each.columns:
        check_numbers(runs, column, f"input {name}", needed)
    if each.is_vector:
        check_proportions(runs, name)


def select_inputs(runs: Runs, law: str, needed: tuple[str, ...]) -> Runs:
    """The runs with exactly the inputs that a law needs, in its order, each checked.

    A law of one input takes the single input that the caller mapped, so that ``power_floor(x, ...)`` serves N, D and C.
    If none was mapped, it takes the column with the name of its input, else the only input that was recognised.

    Parameters
    ----------
    runs : Runs
    law : str
        Its name, for messages.
    needed : tuple of str
        The law's inputs.

    Returns
    -------
    Runs

    Raises
    ------
    ValueError
        If an input has no column or several candidates, has a value that its kind does not allow, or does not vary.
    """
    called = not runs.named and needed[0] in runs.table.columns and needed[0] not in (runs.response, *runs.group)
    if len(needed) == 1 and needed[0] not in runs.inputs and not called:
        mapped = [key for key in runs.inputs if key in runs.named] or list(runs.inputs)
        if len(mapped) > 1:
            column = runs.inputs[mapped[0]].column
            raise ValueError(
                f"{law} has one input, {needed[0]!r}, and the runs have {', '.join(mapped)}; "
                f"say which one to use: inputs={{{needed[0]!r}: {column!r}}} "
                f"(command line: --input {needed[0]}={column})."
            )
        needed = tuple(mapped) or needed
    strange = sorted(runs.named - set(needed))
    if strange and not set(strange) <= set(SYNONYMS):
        raise ValueError(
            f"inputs names {', '.join(map(repr, strange))}, which {law} does not take; it takes {', '.join(needed)}."
        )
    inputs = {
        key: runs.inputs[key] if key in runs.inputs else as_input(key, recognised(runs.table, key, law))
        for key in needed
    }
    selected = replace(runs, inputs=inputs)
    for key in inputs:
        if key not in runs.named:  # named inputs were checked when they were read
            check_input(selected, key)
    selected = counted(selected)
    for key, each in selected.inputs.items():
        if each.kind == "constant":
            check_constants(selected, key)
        elif len(selected) > 1 and len(np.unique(selected.x(key), axis=0)) == 1:
            value = np.ravel(selected.x(key))[0]
            raise ValueError(
                f"column {each.label!r} (input {key}) has one distinct value, {value:g}, in all {len(runs)} runs: "
                f"the effect of {key} cannot be learned. Use a law without {key}, or add runs."
            )
    return selected
