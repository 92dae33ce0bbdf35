"""Points of a forecast: what the caller gives, as a table with one column per input."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from scalebayes.arguments import EXTREME, nearest
from scalebayes.model import Model
from scalebayes.model.checks import check_domain
from scalebayes.model.prediction import Points as NewPoints
from scalebayes.runs.checks import unlike_proportions
from scalebayes.runs.cost import cost_at, cost_of_runs
from scalebayes.runs.inputs import Input
from scalebayes.runs.runs import Runs, numbers, schedule_of

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


def read_points(model: Model, at: Points) -> pd.DataFrame:
    """The points as a table of numbers under the law's input names, with a group column if one was given.

    Parameters
    ----------
    model : Model
        The model; its runs hold the inputs and the names of their columns in the caller's table.
    at : mapping, pandas.DataFrame or xarray.Dataset
        Inputs by the law's names or the columns' names; arrays of equal length or scalars. A mapping may hold only
        these, the group's columns, and what the observation and the cost read. Other columns of a table are ignored.

    Returns
    -------
    pandas.DataFrame
        The inputs, without constants of the groups that were not given. A vector has one column per part.

    Raises
    ------
    ValueError
        If an input is missing, if a mapping has a name that is not known, or if a value of a scale is not a positive
        finite number (of a plain input, a finite number).
    TypeError
        If ``at`` is of another type.
    """
    runs, law = model.runs, model.name
    further = {*model.observation.columns.values(), *([runs.cost] if isinstance(runs.cost, str) else [])}
    further |= set(model.covariates)
    if isinstance(at, xr.Dataset):
        table = at.to_dataframe().reset_index()
    elif isinstance(at, pd.DataFrame):
        table = at
    elif isinstance(at, Mapping):
        table = _of_mapping(runs, law, at, further)
    else:
        raise TypeError(f"points are a mapping, a DataFrame or a Dataset, got {type(at).__name__}.")
    points: dict[str, Any] = {}
    for name, each in runs.inputs.items():
        if each.schedules is not None:
            points |= _of_schedule(table, name, each)
            continue
        for column in each.columns:
            known = name if not each.is_vector else column
            own, factor = each.original or (column, 1.0)
            found = [key for key in dict.fromkeys((known, column, own)) if key in table.columns]
            if not found:
                if each.kind == "constant":
                    continue
                given = ", ".join(map(str, table.columns)) or "nothing"
                unit = f" ({each.unit})" if each.unit else ""
                raise ValueError(
                    f"{law} needs {', '.join(runs.inputs)} at each point; {known}{unit} is missing, given: "
                    f"{given}. For example {_example(runs)}."
                )
            values = [(factor if key == own else 1.0) * _checked(table, key, each.kind == "scale") for key in found]
            if any(not np.allclose(values[0], other, rtol=1e-6) for other in values[1:]):
                raise ValueError(
                    f"the points have two columns for {name}, {found[0]!r} and {found[1]!r}, and they differ; leave "
                    "one of them out."
                )
            points[known] = values[0]
    if len(table) == 0:
        raise ValueError("there are no points to forecast at.")
    for name, each in runs.inputs.items():
        if each.is_vector and not unlike_proportions(runs.x(name)).any():
            rows = np.stack([points[column] for column in each.columns], 1)
            bad = np.flatnonzero(np.abs(rows.sum(axis=1) - 1) > 1e-3)
            if len(bad):
                raise ValueError(
                    f"the parts of {name} ({each.label}) sum to one in all runs, and to {rows[bad[0]].sum():g} at "
                    f"point {table.index[bad[0]]}: give proportions."
                )
    for column in sorted(further & set(table.columns)):
        points[column] = _checked(table, column, positive=True)
    of_group = [column for column in runs.group if column in table.columns]
    if of_group and len(of_group) < len(runs.group):
        missing = ", ".join(repr(column) for column in runs.group if column not in of_group)
        raise ValueError(
            f"the points have {', '.join(map(repr, of_group))} and not {missing}, which together name the group of "
            "each point; give all of them, or none to forecast every group."
        )
    if of_group:
        parts = [table[column].astype(str) for column in runs.group]
        points[runs.group_name] = [", ".join(row) for row in zip(*parts, strict=True)]
    return pd.DataFrame(points, index=range(len(table)))


def _of_schedule(table: pd.DataFrame, name: str, each: Input) -> dict[str, Any]:
    """The schedule of each point, and its step; without one the end of the schedule."""
    assert each.schedules is not None
    column, *step = each.columns
    known = ", ".join(map(repr, list(each.schedules.rates)[:8]))
    if column not in table.columns:
        raise ValueError(
            f"each point needs a schedule ({name}): give {column!r} with one of {known}; sb.with_schedules(fit, ...) "
            "adds others."
        )
    names, steps = schedule_of(table, each)
    for i, problem in enumerate(each.schedules.problems(names, steps)):
        if problem:
            raise ValueError(
                f"point {table.index[i]}: {problem}; the schedules are {known}, and sb.with_schedules(fit, ...) adds "
                "others."
            )
    ends = [float(each.schedules.length(of)) for of in names] if steps is None else steps
    return {column: names} | dict.fromkeys(step, ends)


def _of_mapping(runs: Runs, law: str, at: Mapping, further: set[str]) -> pd.DataFrame:
    at = _with_parts(runs, at)
    widths = {name: np.size(value) for name, value in at.items()}
    if len(set(widths.values()) - {1}) > 1:
        raise ValueError(
            f"the arrays to forecast at have lengths {widths}; give equal lengths, or every combination by "
            "sb.grid(...)."
        )
    known = {*runs.inputs, *(c for each in runs.inputs.values() for c in each.columns), *runs.group, *further}
    known |= {each.original[0] for each in runs.inputs.values() if each.original}
    strange = [name for name in at if name not in known]
    if strange:
        groups = f" and the group {', '.join(runs.group)}" if runs.group else ""
        raise ValueError(
            f"the points name {', '.join(map(repr, strange))}, which {law} does not take{nearest(strange[0], known)}; "
            f"it takes {_needed(runs)}{groups}, for example {_example(runs)}."
        )
    rows = range(min(widths.values(), default=0) and max(widths.values()))
    columns = {name: np.ravel(value) for name, value in at.items()}
    wide = {name: value if len(value) == len(rows) else np.repeat(value, len(rows)) for name, value in columns.items()}
    return pd.DataFrame(wide, index=rows)


def _with_parts(runs: Runs, at: Mapping[str, Any]) -> dict[str, Any]:
    """The same points, a vector that is given whole with a column for each of its parts."""
    found: dict[str, Any] = {}
    for name, value in at.items():
        each = runs.inputs.get(name)
        if each is None or not each.is_vector:
            found[name] = value
            continue
        rows = np.atleast_2d(np.asarray(value, float))
        if rows.ndim != 2 or rows.shape[1] != len(each.columns):
            raise ValueError(
                f"{name} has {len(each.columns)} parts, {each.label}, at each point; got an array of shape "
                f"{np.shape(value)}."
            )
        found |= dict(zip(each.columns, rows.T, strict=True))
    return found


def _checked(table: pd.DataFrame, column: str, positive: bool) -> np.ndarray:
    values = numbers(table[column])
    bad = ~(np.isfinite(values) & (values > 0)) if positive else ~np.isfinite(values)
    extreme = (np.abs(values) > EXTREME) | (positive & (values < 1 / EXTREME))
    for wrong, needed in (
        (bad, f"be a {'positive finite' if positive else 'finite'} number"),
        (extreme, f"lie between {1 / EXTREME if positive else -EXTREME:g} and {EXTREME:g}"),
    ):
        if wrong.any():
            place = int(np.flatnonzero(wrong)[0])
            raise ValueError(
                f"{column} must {needed}; {wrong.sum()} of {len(table)} points {'is' if wrong.sum() == 1 else 'are'} "
                f"not, first: row {table.index[place]}: {str(table[column].iloc[place])[:60]}."
            )
    return values


def points_of(model: Model, table: pd.DataFrame, level: str | None, *, new_runs: bool = True) -> NewPoints:
    """Points of one group for `predict`, from rows of `read_points`.

    Parameters
    ----------
    model : Model
    table : pandas.DataFrame
        Rows of this group only.
    level : str or None
    new_runs : bool
        Whether to draw new runs, which need the columns that the observation reads besides the response.

    Raises
    ------
    ValueError
        If a constant of the group, or a column of the observation, is neither given nor known from the runs.
    """
    runs = model.runs
    x = {}
    for name, each in runs.inputs.items():
        if each.schedules is not None:
            x[name] = each.schedules.at(*schedule_of(table, each))
            continue
        known = [name] if not each.is_vector else list(each.columns)
        if all(column in table for column in known):
            values = table[known].to_numpy(float)
            x[name] = values if each.is_vector else values[:, 0]
        elif level is None and runs.group:
            raise ValueError(
                f"{name} is a constant of each group, and a new group has none yet; give {each.label} with the points."
            )
        else:
            own = runs.x(name)[runs.rows(level)][0]
            x[name] = np.broadcast_to(own, (len(table), *np.shape(own)))
    check_domain(model.law, dict(zip(model.law.inputs, x.values(), strict=True)), tuple(map(str, table.index)), "point")
    columns = {}
    for role, column in model.observation.columns.items() if new_runs else ():
        if column in table:
            columns[role] = table[column].to_numpy(float)
            continue
        usual = np.unique(runs.column(column)[runs.rows(level)])
        if len(usual) > 1:
            raise ValueError(
                f"a new run needs {column!r} ({role}) at each point, which differs between the runs ({usual.min():g} "
                f"to {usual.max():g}); give it with the points."
            )
        columns[role] = np.full(len(table), usual[0])
    cost = table[runs.cost].to_numpy(float) if isinstance(runs.cost, str) and runs.cost in table else None
    own = {} if level in runs.levels else {c: float(table[c].iloc[0]) for c in model.covariates if c in table}
    for column in own:
        if table[column].nunique() > 1:
            raise ValueError(f"a new group has one value of {column!r}, got {table[column].nunique()}.")
    return NewPoints(x, columns, cost, own)


def extrapolation(runs: Runs, at: NewPoints, level: str | None) -> pd.DataFrame:
    """How far points lie beyond the runs.

    Parameters
    ----------
    runs : Runs
    at : Points
    level : str or None
        A group, to compare with its runs only; None for all runs.

    Returns
    -------
    pandas.DataFrame
        ``extrapolation``: the largest factor by which a scale lies beyond its largest observed value, 1 where none
        does; ``extrapolated``: the name of that scale, "" where none does; ``extrapolation_cost``: the factor beyond
        the largest cost, NaN where it is not known; ``below`` and ``below_of``: the same below the smallest observed
        value; ``outside``: the plain inputs that lie outside the runs, in words.
    """
    rows, names = runs.rows(level), np.array(["", *runs.scales], dtype=object)
    factors = np.stack([np.ones(len(at)), *(at.x[n] / runs.x(n)[rows].max() for n in runs.scales)])
    under = np.stack([np.ones(len(at)), *(runs.x(n)[rows].min() / at.x[n] for n in runs.scales)])
    cost, known = cost_at(runs, at.x, at.cost), cost_of_runs(runs)
    beyond = np.full(len(at), np.nan) if cost is None or known is None else np.maximum(cost / known[rows].max(), 1.0)
    others = {n: values for n, values in at.x.items() if n not in runs.scales}
    outside = [_outside(runs, {n: v[i] for n, v in others.items()}, rows) if others else "" for i in range(len(at))]
    return pd.DataFrame(
        {
            "extrapolation": factors.max(0),
            "extrapolated": names[factors.argmax(0)],
            "extrapolation_cost": beyond,
            "below": under.max(0),
            "below_of": names[under.argmax(0)],
            "outside": outside,
        }
    )


def _outside(runs: Runs, x: Mapping[str, Any], rows: np.ndarray) -> str:
    found = []
    for name, each in runs.inputs.items():
        if each.kind == "scale":
            continue
        if each.schedules is not None:
            total, seen = x[name][0, 2], runs.x(name)[rows][:, 0, 2]
            if not seen.min() <= total <= seen.max():
                side = "below" if total < seen.min() else "above"
                ends = f"{seen.min():.3g} to {seen.max():.3g}"
                found.append(f"the sum of {name}, {total:.3g}, lies {side} those of the runs, {ends}")
            continue
        known = runs.x(name)[rows].reshape(len(rows), -1)
        for column, value, part in zip(each.columns, np.ravel(x[name]), known.T, strict=True):
            label = name if not each.is_vector else column
            if not part.min() <= value <= part.max():
                side, end = ("below", part.min()) if value < part.min() else ("above", part.max())
                found.append(f"{label} = {value:g} lies {abs(value - end):g} {side} the runs")
    return ", ".join(found)


def _example(runs: Runs) -> str:
    found = []
    for name, each in runs.inputs.items():
        if each.kind == "scale":
            found.append(f"{name}={np.exp(np.log(runs.x(name)).mean()):.0e}".replace("e+", "e"))
        elif each.schedules is not None:
            found.append(f"{each.columns[0]}={next(iter(each.schedules.rates))!r}")
        elif each.kind == "plain" and not each.is_vector:
            found.append(f"{name}={runs.x(name).mean():.3g}")
    return ", ".join(found)


def _needed(runs: Runs) -> str:
    return ", ".join(runs.axis_label(name) for name in runs.inputs)
