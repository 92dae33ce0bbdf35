"""What a report shows at every target scale: points of a path, forecasts, risks and optima, computed once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from scalebayes.arguments import check_positive, quoted
from scalebayes.fits.fit import Fit
from scalebayes.questions.allocate import Allocation, allocate
from scalebayes.questions.crossover import Crossover, crossover
from scalebayes.questions.forecast import forecast
from scalebayes.questions.paths import observed_scales
from scalebayes.questions.wording import number, response

_AMONG, _AHEAD = 24, 25  # scales among the runs, and targets beyond them
_FARTHEST = 1000.0  # times the largest run, unless the caller names a scale


@dataclass(frozen=True, eq=False)
class Grid:
    """Answers along one axis of scale.

    Parameters
    ----------
    axis, unit : str
    said : str
        What is held along the axis, in words.
    targets : array, shape (target,)
        The scales beyond the largest run that a reader can choose.
    chosen : int
        The target that is shown first.
    table : pandas.DataFrame
        A row per group and scale, from the group's smallest run on: group, scale, the inputs, median, lower, upper,
        new_run_lower, new_run_upper, extrapolation, extrapolated.
    crossover : Crossover or None
        Up to the farthest target.
    plans : Allocation or None
        The budgets are the targets.
    without : tuple of str
        Why a question has no answer here.
    """

    axis: str
    unit: str
    said: str
    targets: np.ndarray
    chosen: int
    table: pd.DataFrame
    crossover: Crossover | None
    plans: Allocation | None
    without: tuple[str, ...]


def grid_of(fit: Fit, axis: str | None, to: float | None, held: Mapping[str, Any] | None, prob: float) -> Grid:
    """Forecasts of all groups along an axis, the risk of a crossover, and the optimum of every budget.

    Parameters
    ----------
    fit : Fit
    axis : str, optional
        By default ``"C"`` for a law of N and D, which then grow as is optimal; else the law's last scale.
    to : float, optional
        The target that is shown first; by default ten times the largest run.
    held : mapping, optional
        Values of further inputs; by default the geometric mean of a scale, and the mean of a plain input.
    prob : float

    Raises
    ------
    ValueError
        If the law has no such axis, or an input that no single value can be held for.
    """
    runs = fit.model.runs
    held = dict(held or {})
    splits = {"N", "D"} <= set(runs.scales) and not {"N", "D"} & set(held)
    axis = axis or ("C" if splits else runs.scales[-1] if runs.scales else "")
    if axis != "C" and axis not in runs.scales:
        raise ValueError(
            f"a report is along C, for a law of N and D, or along a positive scale among the inputs "
            f"({', '.join(runs.scales) or 'none'}), got {quoted(axis)}."
        )
    by_budget = axis == "C" and "C" not in runs.inputs
    if by_budget and not splits:
        raise ValueError(f"along C a law of N and D is needed, and both grow; {fit.model.name} has neither held.")
    moving = {"N", "D"} if by_budget else {axis}
    held |= {name: value for name, value in _typical(fit, moving).items() if name not in held}
    seen = observed_scales(runs, axis, None)
    first = 10 * seen.max() if to is None else check_positive(to, "to", axis)
    if first <= seen.max():
        raise ValueError(
            f"the target lies beyond the largest run, {axis} = {number(seen.max())}; got to={number(first)}."
        )
    last = max(_FARTHEST * seen.max(), 10 * first)
    targets = np.geomspace(seen.max(), last, _AHEAD + 1)[1:]
    chosen = int(np.abs(np.log(targets / first)).argmin())
    targets[chosen] = first  # exactly what was named
    without: list[str] = []
    plans = allocate(fit, C=targets.tolist(), at=held or None, prob=prob) if by_budget else None
    found = None
    if runs.group:
        try:
            found = crossover(fit, axis=axis, to=float(targets[-1]), path=held or None, prob=prob)
        except ValueError as error:
            without.append(f"Groups are not compared here: {error}")
    table = _forecasts(fit, axis, targets, held, by_budget, prob)
    said = ", ".join([*(["compute-optimal"] if by_budget else []), *(f"{k} = {_plain(v)}" for k, v in held.items())])
    return Grid(axis, runs.unit(axis), said, targets, chosen, table, found, plans, tuple(without))


def _plain(value: Any) -> str:
    return number(value) if np.ndim(value) == 0 else str(np.round(np.asarray(value, float), 3).tolist())


def _typical(fit: Fit, moving: set[str]) -> dict[str, Any]:
    """A value for each input that does not grow and is no constant of a group."""
    runs, found = fit.model.runs, {}
    for name, each in runs.inputs.items():
        if name in moving or each.kind == "constant":
            continue
        if each.schedules is not None:
            raise ValueError(
                f"{name} is a schedule, and a report holds it at one; say which, held={{{name!r}: 'its name'}}."
            )
        values = runs.x(name)
        found[name] = np.exp(np.log(values).mean()) if each.kind == "scale" else values.mean(0)
    return {name: float(value) if np.ndim(value) == 0 else value.tolist() for name, value in found.items()}


def _forecasts(
    fit: Fit, axis: str, targets: np.ndarray, held: Mapping[str, Any], by_budget: bool, prob: float
) -> pd.DataFrame:
    runs, parts = fit.model.runs, []
    wide: dict[str, Any] = {}
    for name, value in held.items():
        columns = runs.inputs[name].columns
        wide |= dict(zip(columns, value, strict=True)) if np.ndim(value) else {name: value}
    largest = observed_scales(runs, axis, None).max()
    for level in runs.levels or (None,):
        least = observed_scales(runs, axis, level).min()
        among = np.geomspace(least, largest, _AMONG)[: None if least < largest else 1]
        scales = np.concatenate([among, targets])
        at = pd.DataFrame({axis: scales})
        if by_budget:
            plans = allocate(fit, C=scales.tolist(), group=level, at=dict(held) or None, prob=prob).table
            at = pd.DataFrame({"N": plans["plan_n"].to_numpy(), "D": plans["plan_d"].to_numpy()})
        answer = forecast(fit, at=at.assign(**wide), group=level, prob=prob).table
        kept = answer[["median", "lower", "upper", "new_run_lower", "new_run_upper", "extrapolation", "extrapolated"]]
        inputs = answer[[name for name in at.columns if name in answer]]
        parts.append(pd.concat([pd.Series(level or "", answer.index, name="group"), inputs, kept], axis=1))
        parts[-1].insert(1, "scale", scales)
    return pd.concat(parts, ignore_index=True)


def words(grid: Grid, target: int) -> dict[str, Any]:
    """What is said at one target: the forecast of each group, the risk, and the optimum."""
    scale, unit = float(grid.targets[target]), f" {grid.unit}" if grid.unit else ""
    rows = grid.table[grid.table["scale"] == scale].to_dict("records")
    found: dict[str, Any] = {
        "scale": f"{grid.axis} = {number(scale)}{unit}",
        "forecast": [
            [
                row["group"],
                response(row["median"]),
                f"{response(row['lower'])} to {response(row['upper'])}",
                f"{response(row['new_run_lower'])} to {response(row['new_run_upper'])}",
                f"{row['extrapolation']:.3g}x in {row['extrapolated']}" if row["extrapolation"] > 1 else "within",
            ]
            for row in rows
        ],
        "extrapolation": max(row["extrapolation"] for row in rows),
    }
    if grid.crossover is not None:
        answer = grid.crossover
        at = answer.curve.index.to_numpy()
        p = {str(g): float(np.interp(np.log(scale), np.log(at), answer.curve[g])) for g in answer.draws["group"].values}
        found["best"] = p
        found["risk"] = (
            f"{answer.winner} is ahead at {answer.axis} = {number(answer.start)}; the chance that it is not the best "
            f"at {answer.axis} = {number(scale)} is {1 - p[answer.winner]:.2f}."
        )
    if grid.plans is not None:
        table = grid.plans.table
        own = table[np.isclose(table["C"], scale, rtol=1e-9)].to_dict("records")
        found["optimum"] = [
            [
                row.get("group", ""),
                number(row["plan_n"]),
                f"{number(row['n_opt_lower'])} to {number(row['n_opt_upper'])}",
                number(row["plan_d"]),
                f"{number(row['d_opt_lower'])} to {number(row['d_opt_upper'])}",
                number(row["plan_d"] / row["plan_n"]),
            ]
            for row in own
        ]
    return found
