"""Checks of a table of runs, which report in the caller's own column names and row labels."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np

from scalebayes.runs.runs import RESERVED, Runs, numbers

LEAVE_OUT = "Correct them, or leave them out with where (command line: --where)."


def refuse_rows(runs: Runs, column: str, role: str, needed: str, problems: Mapping[str, np.ndarray]) -> None:
    """Refuse a column with wrong values in some rows, and name the first of these rows.

    Parameters
    ----------
    runs : Runs
    column, role : str
        The column and what it is used as, for the message.
    needed : str
        What it must hold, such as "positive finite numbers".
    problems : mapping of str to array of bool, shape (run,)
        What may be wrong, and in which rows it is.
    """
    raw = runs.table[column]
    for problem, bad in problems.items():
        if bad.any():
            first = [f"row {runs.labels[i]}: {raw.iloc[i]!s}" for i in np.flatnonzero(bad)[:3]]
            more = ", ..." if bad.sum() > 3 else ""
            raise ValueError(
                f"column {column!r} ({role}) must hold {needed}; {bad.sum()} of {len(raw)} rows "
                f"{'is' if bad.sum() == 1 else 'are'} {problem} ({', '.join(first)}{more}). {LEAVE_OUT}"
            )


def check_numbers(runs: Runs, column: str, role: str, needed: str = "positive finite") -> None:
    """Refuse a column that does not hold finite, or positive finite, numbers."""
    raw = runs.table[column]
    values, missing = numbers(raw), raw.isna().to_numpy()
    problems = {
        "missing (NaN)": missing,
        "not a number": np.isnan(values) & ~missing,
        "infinite": np.isinf(values),
    }
    if needed == "positive finite":
        problems["zero or negative"] = values <= 0
    refuse_rows(runs, column, role, f"{needed} numbers", problems)


def check_constants(runs: Runs, name: str) -> None:
    """Refuse a constant of the groups that varies within a group, or has the same value in all of them."""
    if not runs.group:
        raise ValueError(
            f"input {name} is a constant of each group, and the runs have no group; name one in read_runs."
        )
    values = runs.x(name)
    for level in runs.levels:
        own = np.unique(values[runs.rows(level)], axis=0)
        if len(own) > 1:
            raise ValueError(
                f"column {runs.inputs[name].label!r} (input {name}) is a constant of each group, and {level!r} has "
                f"{len(own)} values of it; make it a plain input, or a scale."
            )
    if len(np.unique(values, axis=0)) == 1:
        raise ValueError(
            f"column {runs.inputs[name].label!r} (input {name}) has one value in all groups: "
            "its effect cannot be learned."
        )


def check_groups(runs: Runs) -> None:
    """Refuse groups with a reserved name, with a missing label, or of which nothing can be pooled."""
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
    """Refuse groups whose joined labels are the same."""
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
    """Refuse groups of one run, which is too few to estimate parameters of their own."""
    name = runs.group_name
    single = [level for level, size in zip(runs.levels, runs.group_sizes, strict=True) if size == 1]
    if single:
        raise ValueError(
            f"group {name!r}: {len(single)} of {len(runs.levels)} levels {'has' if len(single) == 1 else 'have'} one "
            f"run ({', '.join(map(repr, single[:3]))}{', ...' if len(single) > 3 else ''}), "
            "too few to estimate a group. Add runs, leave these out, or group by another column."
        )


def _check_factors(runs: Runs) -> None:
    """Refuse one of several group columns where it would be refused alone; a combination may have only one run."""
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
                f"group column {column!r}: {len(single)} of {len(counts)} levels "
                f"{'has' if len(single) == 1 else 'have'} one run ({', '.join(map(repr, single[:3]))}"
                f"{', ...' if len(single) > 3 else ''}), too few to estimate a level. "
                "Add runs, leave these out, or group by another column."
            )
