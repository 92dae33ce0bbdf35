"""Runs: a validated table of training runs.

Everything wrong with the input is said here, in the user's own column names and row labels, before anything is
compiled.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from scalebayes.runs.columns import SYNONYMS, UNITS, candidates_for, chosen_rows, columns_of, read_table, recognised

if TYPE_CHECKING:
    import pandas as pd

RESERVED = frozenset({"chain", "draw", "run", "point", "place"})


@dataclass(frozen=True, eq=False)
class Runs:
    """A table of training runs and what its columns mean; made by `read_runs`.

    Parameters
    ----------
    table : pandas.DataFrame
        One row per run, the caller's own columns and index. A copy: later changes to the original do not matter.
    inputs : mapping of str to str
        From the law's inputs (``"N"``) to columns (``"n_params"``), as far as they are known.
    response : str
        Column of the response: loss, error; positive.
    group : tuple of str
        Columns whose values together name a group (architecture, data set); empty for none.
    run, seed : str or None
        Columns with a run's identity and its random seed.
    tokenizer, evaluation : str or None
        Columns that say what a loss is measured with: between different ones it is not comparable.
    named : frozenset of str
        The inputs that the caller mapped; the others were recognised by name.
    where : str or None
        The expression that selected the rows.
    excluded : int
        Number of rows it left out.
    source : str
        Where the table came from, for messages.
    """

    table: pd.DataFrame = field(repr=False)
    inputs: Mapping[str, str]
    response: str
    group: tuple[str, ...] = ()
    run: str | None = None
    seed: str | None = None
    tokenizer: str | None = None
    evaluation: str | None = None
    named: frozenset[str] = frozenset()
    where: str | None = None
    excluded: int = 0
    source: str = "table"

    def __len__(self) -> int:
        return len(self.table)

    def __getstate__(self) -> dict:
        # A read-only view cannot be pickled; without this no table could be sent to another process.
        return {**vars(self), "inputs": dict(self.inputs)}

    def __str__(self) -> str:
        columns = ", ".join(
            f"{name} = {column}" + (f" ({UNITS[name]})" if name in UNITS else "")
            for name, column in self.inputs.items()
        )
        lines = [f"{len(self)} runs from {self.source}: {columns}; response {self.response}"]
        if self.group:
            counts = ", ".join(f"{level} ({n})" for level, n in zip(self.levels, self.group_sizes, strict=True))
            lines.append(f"groups by {self.group_name}: {counts}")
        if self.excluded:
            lines.append(f"{self.excluded} rows left out by where: {self.where}")
        return "\n".join(lines)

    @property
    def labels(self) -> np.ndarray:
        """A label for each run: the run column where one was named, else the table's index."""
        labels = np.asarray(self.table.index if self.run is None else self.table[self.run])
        return labels if labels.dtype.kind in "iu" else labels.astype(str)

    @property
    def group_name(self) -> str:
        """Name of the group dimension: the column's, or the columns' joined by an underscore."""
        return re.sub(r"\W", "_", "_".join(map(str, self.group)))

    @property
    def group_labels(self) -> np.ndarray:
        """The group of each run, as a string."""
        parts = [self.table[column].astype(str) for column in self.group]
        return np.asarray([", ".join(row) for row in zip(*parts, strict=True)], dtype=str)

    @property
    def levels(self) -> tuple[str, ...]:
        """The groups, sorted."""
        return tuple(np.unique(self.group_labels).tolist()) if self.group else ()

    @property
    def group_index(self) -> np.ndarray:
        """Position in `levels` of each run's group."""
        return np.searchsorted(np.asarray(self.levels), self.group_labels)

    @property
    def factors(self) -> tuple[str, ...]:
        """What groups differ in: each group column that has several levels, but fewer than there are groups; then themselves."""
        crossing = [c for c in self.group if 1 < len(self.factor(c)[0]) < len(self.levels)]
        return (*map(str, crossing), self.group_name)

    def factor(self, column: str) -> tuple[tuple[str, ...], np.ndarray]:
        """Levels of one of the group's columns, sorted, and the position of each group's level among them."""
        labels = np.asarray(self.table[column].astype(str), dtype=str)
        levels, index = np.unique(labels, return_inverse=True)
        _, first = np.unique(self.group_index, return_index=True)
        return tuple(levels.tolist()), index[first]

    @property
    def group_sizes(self) -> tuple[int, ...]:
        """Number of runs in each group."""
        return tuple(np.bincount(self.group_index, minlength=len(self.levels)).tolist())

    @property
    def y(self) -> np.ndarray:
        """The response, as numbers."""
        return _numbers(self.table[self.response])

    def x(self, name: str) -> np.ndarray:
        """An input, as numbers."""
        return _numbers(self.table[self.inputs[name]])

    @property
    def digest(self) -> str:
        """A hash of every number and group label that a fit uses."""
        parts = [self.y.tobytes(), *(name.encode() + self.x(name).tobytes() for name in sorted(self.inputs))]
        return hashlib.sha256(b"".join([*parts, *(g.encode() + b"\0" for g in self.group_labels)])).hexdigest()[:16]


def read_runs(
    source: pd.DataFrame | str | os.PathLike,
    *,
    inputs: Mapping[str, str] | None = None,
    response: str | None = None,
    group: str | Sequence[str] | None = None,
    run: str | None = None,
    seed: str | None = None,
    tokenizer: str | None = None,
    evaluation: str | None = None,
    where: str | None = None,
) -> Runs:
    """Read and check a table of training runs.

    Parameters
    ----------
    source : pandas.DataFrame or path
        A table, or a CSV or parquet file with one row per run.
    inputs : mapping of str to str, optional
        Columns of the law's inputs: ``{"N": "n_params", "D": "n_tokens"}``. N is counted in parameters, D in tokens
        (or examples), C in FLOPs; counts, not millions. Common column names are recognised where exactly one fits.
    response : str, optional
        Column of the loss or error; recognised by name where exactly one fits.
    group : str or sequence of str, optional
        Column or columns that name the groups that learn from each other.
    run, seed : str, optional
        Columns with the run's name and its random seed.
    tokenizer, evaluation : str, optional
        Columns with the tokenizer and the evaluation set of the loss: groups that differ in them are not compared.
    where : str, optional
        Rows to keep, in the notation of `pandas.DataFrame.query`; the others are counted, not forgotten.

    Returns
    -------
    Runs

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file cannot be read, a column is missing or ambiguous, or a value is not a positive finite number.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"params": [1e8, 1e9], "tokens": [2e9, 2e10], "loss": [3.4, 2.6]})
    >>> print(read_runs(table))
    2 runs from table: N = params (parameters), D = tokens (tokens); response loss
    """
    table, name = read_table(source)
    excluded = 0
    if where is not None:
        kept = chosen_rows(table, where, name)
        table, excluded = kept, len(table) - len(kept)
    if inputs is not None and not isinstance(inputs, Mapping):
        raise TypeError(
            f"inputs is a mapping from the law's inputs to columns, such as {{'N': 'n_params'}}, got {inputs!r}."
        )
    inputs = dict(inputs or {})
    groups = (group,) if isinstance(group, str) else tuple(group or ())
    named: list[tuple[str, str | None]] = [(f"input {key}", column) for key, column in inputs.items()]
    named += [("response", response), *(("group", column) for column in groups), ("run", run), ("seed", seed)]
    named += [("tokenizer", tokenizer), ("evaluation", evaluation)]
    for role, column in named:
        if column is not None and column not in table.columns:
            raise ValueError(
                f"{role} is to be column {column!r}, which {name} does not have; its columns are {columns_of(table)}."
            )
    if response is None:
        response = recognised(table, "response", name)
    mapped = frozenset(inputs)
    used: dict[str, str] = {}
    for role, column in [*named, ("response", response)]:
        if column is None or role in ("run", "seed", "tokenizer", "evaluation"):
            continue
        if used.setdefault(column, role) != role:
            raise ValueError(f"column {column!r} cannot be both {used[column]} and {role}; name another.")
        if list(table.columns).count(column) > 1:
            raise ValueError(f"{name} has {list(table.columns).count(column)} columns called {column!r}; rename them.")
    for key in SYNONYMS:
        candidates = candidates_for(table, key)
        if key not in ("response", *inputs) and len(candidates) == 1 and candidates[0] not in {*used, *inputs.values()}:
            inputs[key] = candidates[0]
    runs = Runs(
        table=table,
        inputs=MappingProxyType(inputs),
        response=response,
        group=groups,
        run=run,
        seed=seed,
        tokenizer=tokenizer,
        evaluation=evaluation,
        named=mapped,
        where=where,
        excluded=excluded,
        source=name,
    )
    if len(runs) == 0:
        why = f": where {where!r} leaves none of its {excluded} rows" if where is not None else ""
        raise ValueError(f"{name} has no runs{why}.")
    check_numbers(runs, response, "the response")
    for key in runs.named:
        check_numbers(runs, inputs[key], f"input {key}")
    _check_groups(runs)
    return runs


def select_inputs(runs: Runs, law: str, needed: tuple[str, ...]) -> Runs:
    """The runs with exactly the inputs that a law needs, in its order, each checked.

    A law of one input takes whatever single input the caller mapped, so that ``power_floor(x, ...)`` serves N, D, C; if none was
    mapped, the column that is called as the law's input is, and else the only one recognised.

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
        If an input has no column or several candidates, or a value is not a positive finite number, or does not vary.
    """
    called = not runs.named and needed[0] in runs.table.columns and needed[0] not in (runs.response, *runs.group)
    if len(needed) == 1 and needed[0] not in runs.inputs and not called:
        mapped = [key for key in runs.inputs if key in runs.named] or list(runs.inputs)
        if len(mapped) > 1:
            raise ValueError(
                f"{law} has one input, {needed[0]!r}, and the runs have {', '.join(mapped)}; "
                f"say which one to use: inputs={{{needed[0]!r}: {runs.inputs[mapped[0]]!r}}} "
                f"(command line: --input {needed[0]}={runs.inputs[mapped[0]]})."
            )
        needed = tuple(mapped) or needed
    strange = sorted(runs.named - set(needed))
    if strange and not set(strange) <= set(SYNONYMS):
        raise ValueError(
            f"inputs names {', '.join(map(repr, strange))}, which {law} does not take; it takes {', '.join(needed)}."
        )
    inputs = {key: runs.inputs[key] if key in runs.inputs else recognised(runs.table, key, law) for key in needed}
    selected = replace(runs, inputs=MappingProxyType(inputs))
    for key, column in inputs.items():
        check_numbers(selected, column, f"input {key}")
        distinct = np.unique(selected.x(key))
        if len(distinct) == 1 and len(selected) > 1:
            raise ValueError(
                f"column {column!r} (input {key}) has one distinct value, {distinct[0]:g}, in all {len(runs)} runs: "
                f"the effect of {key} cannot be learned. Use a law without {key}, or add runs."
            )
    return selected


def _numbers(column: pd.Series) -> np.ndarray:
    import pandas as pd

    return pd.to_numeric(column, errors="coerce").to_numpy(float, na_value=np.nan)


def check_numbers(runs: Runs, column: str, role: str) -> None:
    """Refuse a column that does not hold positive finite numbers, with the first rows that do not."""
    raw = runs.table[column]
    values = _numbers(raw)
    missing = raw.isna().to_numpy()
    problems = {
        "missing (NaN)": missing,
        "not a number": np.isnan(values) & ~missing,
        "infinite": np.isinf(values),
        "zero or negative": values <= 0,
    }
    for problem, bad in problems.items():
        if bad.any():
            first = [f"row {runs.labels[i]}: {raw.iloc[i]!s}" for i in np.flatnonzero(bad)[:3]]
            more = ", ..." if bad.sum() > 3 else ""
            raise ValueError(
                f"column {column!r} ({role}) must hold positive finite numbers; {bad.sum()} of {len(raw)} rows "
                f"{'is' if bad.sum() == 1 else 'are'} {problem} ({', '.join(first)}{more}). "
                "Correct them, or leave them out with where (command line: --where)."
            )


def _check_groups(runs: Runs) -> None:
    if not runs.group:
        return
    name = runs.group_name
    for dim in (name, *(re.sub(r"\W", "_", str(column)) for column in runs.group)):
        if dim in RESERVED:
            raise ValueError(f"a group column cannot be called {dim!r}, a dimension of fits; rename it.")
    for column in runs.group:
        values = runs.table[column]
        missing = (values.isna() | (values.astype(str).str.strip() == "")).to_numpy()
        if missing.any():
            raise ValueError(
                f"column {column!r} (group) is empty in {missing.sum()} of {len(runs)} rows, "
                f"first: row {runs.labels[np.flatnonzero(missing)[0]]}. Fill it in, or leave these rows out."
            )
    if len(runs.group) > 1:
        _check_labels(runs)
        _check_factors(runs)
        return
    if len(runs.levels) == 1:
        raise ValueError(
            f"group {name!r} has one level, {runs.levels[0]!r}, so nothing can be pooled. "
            "Leave the group out, or add runs of another group."
        )
    check_group_sizes(runs)


def _check_labels(runs: Runs) -> None:
    """Refuse groups whose labels, put together, are the same."""
    first: dict[str, tuple[tuple[str, ...], int]] = {}
    parts = zip(*(runs.table[column].astype(str) for column in runs.group), strict=True)
    for row, (label, own) in enumerate(zip(runs.group_labels.tolist(), parts, strict=True)):
        other, there = first.setdefault(label, (own, row))
        if other != own:
            raise ValueError(
                f"two groups by {', '.join(runs.group)} would both be called {label!r}: rows {runs.labels[there]} and "
                f"{runs.labels[row]}. Take the commas out of these columns."
            )


def check_group_sizes(runs: Runs) -> None:
    """Refuse groups of one run, of which no parameter of their own can be told."""
    name = runs.group_name
    single = [level for level, size in zip(runs.levels, runs.group_sizes, strict=True) if size == 1]
    if single:
        raise ValueError(
            f"group {name!r}: {len(single)} of {len(runs.levels)} levels {'has' if len(single) == 1 else 'have'} one run "
            f"({', '.join(map(repr, single[:3]))}{', ...' if len(single) > 3 else ''}), from which no group can be told. "
            "Add runs, leave these out, or group by another column."
        )


def _check_factors(runs: Runs) -> None:
    """Of several group columns each needs what a single one does; a combination may well have been run only once."""
    for column in runs.group:
        counts = runs.table[column].astype(str).value_counts()
        if len(counts) == 1:
            raise ValueError(
                f"group column {column!r} has one level, {counts.index[0]!r}, so nothing can be pooled over it. "
                "Leave it out of the group, or add runs of another level."
            )
        single = sorted(counts.index[counts == 1])
        if single:
            raise ValueError(
                f"group column {column!r}: {len(single)} of {len(counts)} levels {'has' if len(single) == 1 else 'have'} "
                f"one run ({', '.join(map(repr, single[:3]))}{', ...' if len(single) > 3 else ''}), from which no level "
                "can be told. Add runs, leave these out, or group by another column."
            )
