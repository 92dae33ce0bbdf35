"""Checks of a table of runs, which report in the caller's own column names and row labels."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence

import numpy as np

from scalebayes.arguments import EXTREME, quoted
from scalebayes.runs.columns import candidates_for
from scalebayes.runs.inputs import UNITS
from scalebayes.runs.runs import RESERVED, Runs, numbers, schedule_of
from scalebayes.runs.tables import LONGEST
from scalebayes.runs.unreduced import forgotten_group_of, sweep_of

_NEAR_WRAPPING, _WRAPS = 1e17, 2.0**63
_FAILED = ("failed", "crashed", "killed", "preempted", "running", "error")
_MOST_NAMED = 8
_LEAST = {"N": 1e4, "D": 1e4, "C": 1e9}  # if no run has more, the column is in thousands, millions or billions
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
            first = [f"row {runs.labels[i]}: {str(raw.iloc[i])[:60]}" for i in np.flatnonzero(bad)[:3]]
            more = ", ..." if bad.sum() > 3 else ""
            raise ValueError(
                f"column {column!r} ({role}) must hold {needed}; {bad.sum()} of {len(raw)} rows "
                f"{'is' if bad.sum() == 1 else 'are'} {problem} ({', '.join(first)}{more}). "
                f"{_hint(str(raw.iloc[np.flatnonzero(bad)[0]]), column, problem)}{LEAVE_OUT}"
            )


class RunsWarning(UserWarning):
    """Something about the runs looks like a mistake."""


def _hint(value: str, column: str, problem: str) -> str:
    """What to write instead of a value such as 70B, and which condition leaves missing values out."""
    if short := re.fullmatch(r"\s*([\d.]+)\s*([kKMBT])\s*", value):
        power = {"k": 3, "K": 3, "M": 6, "B": 9, "T": 12}[short[2]]
        return f"Write {value.strip()} as {short[1]}e{power}. "
    named = column if str(column).isidentifier() else f"`{column}`"
    return f'where="{named}.notna()" leaves missing values out. ' if problem.startswith("missing") else ""


def check_numbers(runs: Runs, column: str, role: str, needed: str = "positive finite") -> None:
    """Refuse a column that does not hold finite, or positive finite, numbers."""
    raw = runs.table[column]
    kind = {"b": "true and false", "M": "dates", "m": "durations", "c": "complex numbers"}.get(raw.dtype.kind)
    kind = kind or ("periods" if str(raw.dtype).startswith("period") else None)
    if kind:
        raise ValueError(f"column {column!r} ({role}) must hold {needed} numbers, and it holds {kind}.")
    values, missing = numbers(raw), raw.isna().to_numpy()
    problems = {
        "missing (NaN)": missing,
        "not a number": np.isnan(values) & ~missing,
        "infinite": np.isinf(values),
        f"beyond {EXTREME:g}": np.abs(values) > EXTREME,
    }
    if needed == "positive finite":
        problems["zero or negative"] = values <= 0
        problems[f"below {1 / EXTREME:g}"] = values < 1 / EXTREME
        if raw.dtype.kind in "iu" and (values < 0).any() and np.abs(values).max() > _NEAR_WRAPPING:
            raise ValueError(
                f"column {column!r} ({role}) holds negative numbers as large as {values.min():.3g}: a product of whole "
                f"numbers goes round at 9.2e18. Compute it with a decimal point, such as 6.0 * n_params * n_tokens."
            )
    refuse_rows(runs, column, role, f"{needed} numbers", problems)


def check_proportions(runs: Runs, name: str) -> None:
    """Refuse rows of a vector that do not sum to one where most rows do."""
    bad = unlike_proportions(runs.x(name))
    if 0 < bad.sum() < 0.5 * len(runs):
        first = int(np.flatnonzero(bad)[0])
        raise ValueError(
            f"the parts of input {name} ({runs.inputs[name].label}) sum to one in most rows, and not in {bad.sum()} of "
            f"{len(runs)}, first: row {runs.labels[first]}: {runs.x(name)[first].sum():g}. {LEAVE_OUT}"
        )


def unlike_proportions(values: np.ndarray) -> np.ndarray:
    """Which rows of a vector are no proportions, shape (row,): with a negative part, or another sum than one."""
    return (values < 0).any(axis=1) | (np.abs(values.sum(axis=1) - 1) > 1e-3)


def check_schedules(runs: Runs, name: str) -> None:
    """Refuse rows whose schedule does not exist, or does not have their step."""
    each = runs.inputs[name]
    assert each.schedules is not None
    column, *step = each.columns
    for of_steps in step:
        check_numbers(runs, of_steps, f"the step of input {name}")
    wrong = each.schedules.problems(*schedule_of(runs.table, each))
    rows = [i for i, problem in enumerate(wrong) if problem]
    if rows:
        first = rows[0]
        raise ValueError(
            f"column {column!r} (input {name}): {len(rows)} of {len(runs)} rows have no such schedule or step, first: "
            f"row {runs.labels[first]}: {wrong[first]}; the schedules are "
            f"{', '.join(f'{known} ({len(rates)} steps)' for known, rates in list(each.schedules.rates.items())[:8])}."
        )


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
        long = values.astype(str).str.len().to_numpy() > LONGEST
        if long.any():
            first = int(np.flatnonzero(long)[0])
            raise ValueError(
                f"column {column!r} (group) has labels of more than {LONGEST} characters, first: row "
                f"{runs.labels[first]}: {quoted(str(values.iloc[first]))}. Give these groups shorter names."
            )
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
    _check_enough(runs.group_sizes, runs.levels, f"group {name!r}")


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
    """Refuse groups of one run, which is too few for parameters that learn nothing from other groups."""
    single = [level for level, size in zip(runs.levels, runs.group_sizes, strict=True) if size == 1]
    if single:
        raise ValueError(
            f"group {runs.group_name!r}: {_of_one_run(single, len(runs.levels))}, too few to estimate a group by "
            "itself. Fit with pooling='pooled', leave these out, or group by another column."
        )


def _check_enough(sizes: Sequence[int], levels: Sequence[str], what: str) -> None:
    """Refuse a grouping in which fewer than two levels have several runs, so that nothing can be pooled."""
    single = [level for level, size in zip(levels, sizes, strict=True) if size == 1]
    if len(levels) - len(single) < 2:
        raise ValueError(
            f"{what}: {_of_one_run(single, len(levels))}; two or more need several runs, for others to learn from. "
            "Add runs, or group by another column."
        )


def _of_one_run(single: Sequence[str], levels: int) -> str:
    named = ", ".join(map(repr, single[:3])) + (", ..." if len(single) > 3 else "")
    return f"{len(single)} of {levels} levels {'has' if len(single) == 1 else 'have'} one run ({named})"


def _check_factors(runs: Runs) -> None:
    """Refuse one of several group columns where it would be refused alone."""
    for column in runs.group:
        counts = runs.table[column].astype(str).value_counts()
        if len(counts) == 1:
            raise ValueError(
                f"group column {column!r} has one level, {counts.index[0]!r}, so nothing can be pooled over it. "
                "Leave it out of the group, or add runs of another level."
            )
        _check_enough(counts.tolist(), counts.index.tolist(), f"group column {column!r}")


def warn_of(runs: Runs) -> None:
    """Warn of what looks like a mistake: rows twice, N and D swapped, billions for units, products that went round.

    Warns
    -----
    RunsWarning
    """
    for said in (
        _nothing(runs),
        _failed(runs),
        _repeated(runs),
        _swapped(runs),
        _units(runs),
        _wrapped(runs),
        _epochs(runs),
        sweep_of(runs),
        forgotten_group_of(runs),
    ):
        if said:
            warnings.warn(said, RunsWarning, stacklevel=3)


def _nothing(runs: Runs) -> str:
    """No column of an input was recognised, and none was named."""
    if runs.inputs or runs.named:
        return ""
    return (
        "no column was recognised as an input of a law among "
        f"{', '.join(map(repr, runs.table.columns[:_MOST_NAMED]))}: name them, "
        "inputs={'N': 'n_params'} (command line: --input N=n_params)."
    )


def _failed(runs: Runs) -> str:
    """Rows that a tracker calls failed or crashed."""
    for column in runs.table.columns:
        if str(column).lower() not in ("state", "status") or column in (*runs.group, runs.run):
            continue
        bad = runs.table[column].astype(str).str.lower().isin(_FAILED)
        if bad.any():
            return (
                f"column {column!r} says that {bad.sum()} of {len(runs)} runs "
                f"{'is' if bad.sum() == 1 else 'are'} {', '.join(sorted(set(runs.table[column][bad].astype(str))))}; "
                f'sb.tracker_runs leaves them out, or a condition: where="{column} == ...".'
            )
    return ""


def _repeated(runs: Runs) -> str:
    used = [column for each in runs.inputs.values() for column in each.columns]
    columns = list(dict.fromkeys([*used, runs.response, *runs.group, *([runs.run] if runs.run else [])]))
    twice = runs.table.duplicated(columns).to_numpy() if used else np.zeros(len(runs), bool)
    if not twice.any():
        return ""
    first = runs.labels[np.flatnonzero(twice)[0]]
    return (
        f"{twice.sum()} of {len(runs)} rows repeat another one in {', '.join(map(repr, columns))}, first: row {first}; "
        "a run that is counted twice makes bands too narrow."
    )


def _swapped(runs: Runs) -> str:
    if not {"N", "D"} <= set(runs.inputs):
        return ""
    with np.errstate(all="ignore"):
        smaller = np.nanmean(runs.x("D") < runs.x("N"))
    if smaller < 0.95:
        return ""
    n, d = (runs.inputs[name].label for name in ("N", "D"))
    return (
        f"{smaller:.0%} of the runs have fewer {runs.unit('D')} ({d}) than parameters ({n}); if the columns are "
        f"swapped, say inputs={{'N': {d!r}, 'D': {n!r}}}."
    )


def _units(runs: Runs) -> str:
    for name, least in _LEAST.items():
        if name not in runs.inputs or runs.inputs[name].kind != "scale":
            continue
        each, largest = runs.inputs[name], np.max(runs.x(name), initial=0.0, where=np.isfinite(runs.x(name)))
        if 0 < largest < least and each.unit == UNITS[name]:
            return (
                f"column {each.label!r} (input {name}) goes up to {largest:.4g}; {each.unit} are counted one "
                "by one, 70e9 and not 70."
            )
    return ""


def _epochs(runs: Runs) -> str:
    """Fewer epochs than one, as an input: laws of repeated data count the first pass as one."""
    for name, each in runs.inputs.items():
        if each.kind == "scale" and re.fullmatch(r"(n_|num_)?epochs?", each.label.lower()):
            few = runs.x(name) < 1
            if few.any():
                return (
                    f"column {each.label!r} (input {name}) has fewer epochs than one in {few.sum()} of {len(runs)} "
                    f"rows, first: row {runs.labels[np.flatnonzero(few)[0]]}; a run that has not seen all its data has "
                    "repeated nothing: count it as one epoch, of the data that it saw."
                )
    return ""


def _wrapped(runs: Runs) -> str:
    """A column of compute of whole numbers that is 6 N D where such a number is possible, and far from it elsewhere."""
    if "C" not in runs.inputs or runs.table[runs.inputs["C"].columns[0]].dtype.kind not in "iu":
        return ""
    n, d = ([c for c in candidates_for(runs.table, key) if runs.table[c].dtype.kind in "iuf"] for key in ("N", "D"))
    if len(n) != 1 or len(d) != 1:
        return ""
    expected = 6.0 * numbers(runs.table[n[0]]) * numbers(runs.table[d[0]])
    with np.errstate(all="ignore"):
        far = ~(np.abs(np.log(runs.x("C") / expected)) < 1)
    possible = expected < _WRAPS
    off = far & ~possible
    if not off.any() or far[possible].any():
        return ""
    first = runs.labels[np.flatnonzero(off)[0]]
    return (
        f"column {runs.inputs['C'].label!r} (input C) is far from 6 {n[0]} {d[0]} in {off.sum()} of {len(runs)} rows, "
        f"first: row {first}: a product of whole numbers goes round at 9.2e18. Compute it with a decimal point, "
        f"6.0 * {n[0]} * {d[0]}."
    )
