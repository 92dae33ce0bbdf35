"""Points at which a question is asked: what the caller gives, as a table with one column per input."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from scalebayes.fits.fit import Fit
from scalebayes.runs.columns import UNITS
from scalebayes.runs.runs import Runs

type Points = Mapping[str, Any] | pd.DataFrame | xr.Dataset


def grid(axes: Mapping[str, Sequence[float]]) -> pd.DataFrame:
    """Every combination of the values of some inputs, as points to forecast at.

    Parameters
    ----------
    axes : mapping of str to sequence of float
        Values of each input; the last varies fastest.

    Returns
    -------
    pandas.DataFrame
        One row per combination.

    Examples
    --------
    >>> grid({"N": [1e9, 1e10], "D": [2e10]})
                  N             D
    0  1.000000e+09  2.000000e+10
    1  1.000000e+10  2.000000e+10
    """
    rows = itertools.product(*(np.atleast_1d(values) for values in axes.values()))
    return pd.DataFrame(list(rows), columns=list(axes))


def read_points(runs: Runs, law: str, at: Points) -> pd.DataFrame:
    """The points as numbers under the law's input names, with a group column if one was given.

    Parameters
    ----------
    runs : Runs
        Says which inputs there are, and under which columns the caller knows them.
    law : str
        Its name, for messages.
    at : mapping, pandas.DataFrame or xarray.Dataset
        Inputs by the law's names or the columns' names; arrays of equal length or scalars. A mapping has nothing
        else; the further columns of a table are passed over.

    Returns
    -------
    pandas.DataFrame

    Raises
    ------
    ValueError
        If an input is missing, a mapping names what is no input, or a value is not a positive finite number.
    TypeError
        If ``at`` is of another kind.
    """
    if isinstance(at, xr.Dataset):
        table = at.to_dataframe().reset_index()
    elif isinstance(at, pd.DataFrame):
        table = at
    elif isinstance(at, Mapping):
        widths = {name: np.size(value) for name, value in at.items()}
        if len(set(widths.values()) - {1}) > 1:
            raise ValueError(
                f"the arrays to forecast at have lengths {widths}; give equal lengths, or every combination by "
                "sb.grid(...)."
            )
        strange = [name for name in at if name not in {*runs.inputs, *runs.inputs.values(), *runs.group}]
        if strange:
            groups = f" and the group {', '.join(runs.group)}" if runs.group else ""
            raise ValueError(
                f"the points name {', '.join(map(repr, strange))}, which {law} does not take; it takes "
                f"{_needed(runs)}{groups}, for example {_example(runs)}."
            )
        rows = range(min(widths.values(), default=0) and max(widths.values()))
        columns = {name: np.ravel(value) for name, value in at.items()}
        wide = {
            name: value if len(value) == len(rows) else np.repeat(value, len(rows)) for name, value in columns.items()
        }
        table = pd.DataFrame(wide, index=rows)
    else:
        raise TypeError(f"points are a mapping, a DataFrame or a Dataset, got {type(at).__name__}.")
    points: dict[str, Any] = {}
    for name, column in runs.inputs.items():
        found = [key for key in (name, column) if key in table.columns]
        if not found:
            given = ", ".join(map(str, table.columns)) or "nothing"
            unit = f" ({UNITS[name]})" if name in UNITS else ""
            raise ValueError(
                f"{law} needs {', '.join(runs.inputs)} at each point; {name}{unit} is missing, given: {given}. "
                f"For example {_example(runs)}."
            )
        if len(found) == 2 and name != column and not table[name].equals(table[column]):
            raise ValueError(
                f"the points have two columns for {name}, {name!r} and {column!r}, and they differ; leave one of them out."
            )
        values = pd.to_numeric(table[found[0]], errors="coerce").to_numpy(float)
        bad = ~(np.isfinite(values) & (values > 0))
        if bad.any():
            place = int(np.flatnonzero(bad)[0])
            raise ValueError(
                f"{found[0]} must be a positive finite number; {bad.sum()} of {len(table)} points "
                f"{'is' if bad.sum() == 1 else 'are'} not, first: row {table.index[place]}: {table[found[0]].iloc[place]!s}."
            )
        points[name] = values
    if len(table) == 0:
        raise ValueError("there are no points to forecast at.")
    of_group = [column for column in runs.group if column in table.columns]
    if of_group and len(of_group) < len(runs.group):
        missing = ", ".join(repr(column) for column in runs.group if column not in of_group)
        raise ValueError(
            f"the points have {', '.join(map(repr, of_group))} and not {missing}, which say together of which group each is; give "
            "all of them, or none to forecast every group."
        )
    if of_group:
        parts = [table[column].astype(str) for column in runs.group]
        points[runs.group_name] = [", ".join(row) for row in zip(*parts, strict=True)]
    return pd.DataFrame(points)


def _example(runs: Runs) -> str:
    typical = {name: np.exp(np.log(runs.x(name)).mean()) for name in runs.inputs}
    return ", ".join(f"{name}={value:.0e}".replace("e+", "e") for name, value in typical.items())


def _needed(runs: Runs) -> str:
    return ", ".join(f"{name} ({UNITS[name]})" if name in UNITS else name for name in runs.inputs)


def check_one(fit: object, what: str) -> None:
    """Refuse what is not one fit, such as an average of several."""
    if not isinstance(fit, Fit):
        raise TypeError(f"{what} is of one Fit, got {type(fit).__name__}; ask each fit of an average by itself.")


def check_group(runs: Runs, group: object, new_group: bool) -> str | None:
    """The group's label, or None; refuses what is not there."""
    if group is not None and new_group:
        raise ValueError("a known group and a new one exclude each other; give group or new_group.")
    if not runs.group and (group is not None or new_group):
        raise ValueError("the fit has no groups; leave group out.")
    if group is None:
        return None
    label = ", ".join(map(str, group)) if isinstance(group, tuple | list) else str(group)
    if label not in runs.levels:
        raise ValueError(f"{runs.group_name} has no group {label!r}; the groups are {', '.join(runs.levels)}.")
    return label


def check_levels(runs: Runs, groups: Sequence[str] | None, fewest: int = 2) -> tuple[str, ...]:
    """The groups that are compared.

    Raises
    ------
    ValueError
        If there are too few, or one is not there.
    """
    if not runs.group:
        raise ValueError("the fit has no groups to compare; name a group column in read_runs.")
    named = (groups,) if isinstance(groups, str) else groups
    levels = tuple(map(str, named or runs.levels))
    for level in levels:
        if level not in runs.levels:
            raise ValueError(f"{runs.group_name} has no group {level!r}; the groups are {', '.join(runs.levels)}.")
    if len(set(levels)) < max(fewest, len(levels)):
        raise ValueError(f"{fewest} different groups or more are compared, got {', '.join(levels)}.")
    return levels


def check_comparable(groups: Mapping[str, tuple[Runs, str | None]]) -> None:
    """Refuse groups whose losses are measured with another tokenizer or on another evaluation set."""
    for what in ("tokenizer", "evaluation"):
        used = {}
        for name, (runs, level) in groups.items():
            column = getattr(runs, what)
            if column is not None:
                rows = np.ones(len(runs), bool) if level is None else runs.group_labels == level
                used[name] = column, sorted(set(runs.table[column].astype(str)[rows]))
        if len({value for _, values in used.values() for value in values}) > 1:
            columns = ", ".join(dict.fromkeys(column for column, _ in used.values()))
            said = "; ".join(f"{name}: {', '.join(values)}" for name, (_, values) in used.items())
            raise ValueError(
                f"the groups declare another {what} ({columns}: {said}): their losses are not comparable. Convert them to bits "
                "per byte on one evaluation set, or compare groups that share it."
            )


def extrapolation(runs: Runs, x: Mapping[str, np.ndarray], level: str | None) -> tuple[np.ndarray, np.ndarray]:
    """Factor beyond the largest observed value, and the input which is exceeded most ("" inside).

    Parameters
    ----------
    runs : Runs
    x : mapping of str to array, shape (point,)
    level : str or None
        Only the runs of this group count, if given.

    Returns
    -------
    factor : array, shape (point,)
        1 where no input exceeds its largest observed value.
    name : array of str, shape (point,)
    """
    rows = np.ones(len(runs), bool) if level is None else runs.group_labels == level
    names = np.array(["", *x], dtype=object)
    factors = np.stack([np.ones(np.shape(next(iter(x.values())))), *(x[n] / runs.x(n)[rows].max() for n in x)])
    return factors.max(0), names[factors.argmax(0)]


def quantiles(values: np.ndarray, prob: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lower end, median and upper end of the equal-tailed interval over the first axis.

    Nearest order statistics, so that draws of infinity (a target that is never reached) stay infinite.
    """
    lower, median, upper = np.quantile(values, [(1 - prob) / 2, 0.5, (1 + prob) / 2], axis=0, method="nearest")
    return lower, median, upper


def number(value: float) -> str:
    """A number as a person writes it: 1.94, 7e10, 0.0123."""
    if not np.isfinite(value):
        return "infinity" if value > 0 else str(value)
    if value != 0 and (abs(value) >= 1e5 or abs(value) < 1e-3):
        mantissa, exponent = f"{value:.2e}".split("e")
        return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"
    return f"{value:.4g}"


def response(value: float) -> str:
    """A loss or error with four digits, so that the ends of an interval line up: 1.450, 0.1234."""
    return f"{value:#.4g}" if 1e-3 <= abs(value) < 1e4 else number(value)


def factor(value: float) -> str:
    """How many times something is beyond something: 43.5x."""
    return f"{number(float(f'{value:.3g}'))}x"


def where(x: Mapping[str, float]) -> str:
    """A point in words: "N = 7e10, D = 1.4e12"."""
    return ", ".join(f"{name} = {number(value)}" for name, value in x.items())
