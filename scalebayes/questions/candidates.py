"""Candidate runs: a caller's table of runs that could be trained, with groups and costs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from scalebayes.fits.fit import Fit
from scalebayes.questions.points import read_points
from scalebayes.questions.wording import number
from scalebayes.runs import Runs
from scalebayes.runs.cost import cost_at


def costed(fit: Fit, candidates: pd.DataFrame, budget: float | None) -> pd.DataFrame:
    """The candidates as a table of numbers, with their group, their cost and the label of their row.

    Raises
    ------
    TypeError
        If the candidates are no DataFrame.
    ValueError
        If one has no cost, no group or an unknown group, or if the budget pays for none.
    """
    runs = fit.model.runs
    if not isinstance(candidates, pd.DataFrame):
        raise TypeError(f"candidates are a DataFrame with a row per run, got {type(candidates).__name__}.")
    points = read_points(fit.model, candidates).assign(candidate=np.asarray(candidates.index))
    if runs.group:
        if runs.group_name not in points:
            raise ValueError(f"each candidate needs its group: a column {', '.join(map(repr, runs.group))}.")
        points = points.rename(columns={runs.group_name: "group"})
        strange = [label for label in points["group"] if label not in runs.levels]
        if strange:
            raise ValueError(
                f"a candidate is of {strange[0]!r}, which was not fitted; the groups are "
                f"{', '.join(map(repr, runs.levels))}."
            )
    if "cost" in candidates:
        points["cost"] = pd.to_numeric(candidates["cost"], errors="coerce").to_numpy(float)
    else:
        cost = cost_at(runs, {name: points[name].to_numpy() for name in runs.inputs if name in points})
        if cost is None:
            raise ValueError(
                f"what a run of {', '.join(runs.inputs)} costs is not known; give the candidates a column 'cost' in "
                "FLOPs."
            )
        points["cost"] = cost
    bad = ~(np.isfinite(points["cost"]) & (points["cost"] > 0))
    if bad.any():
        place = int(np.flatnonzero(bad)[0])
        raise ValueError(
            f"cost is a positive finite number of FLOPs; {bad.sum()} of {len(points)} candidates have none, first: row "
            f"{candidates.index[place]}."
        )
    if budget is not None:
        affordable = points["cost"] <= budget
        if not affordable.any():
            raise ValueError(
                f"no candidate costs {number(budget)} FLOPs or less; the cheapest costs {number(points['cost'].min())}."
            )
        points = points[affordable].reset_index(drop=True)
    return points


def points_by_group(
    runs: Runs, tables: Sequence[pd.DataFrame], also: Sequence[str | None] = ()
) -> dict[str | None, list[np.ndarray]]:
    """The rows of each group in several tables with a column of groups; under None where there are no groups.

    Groups named in ``also`` come first, whether or not they have rows.
    """
    if not runs.group:
        return {None: [np.arange(len(table)) for table in tables]}
    levels = dict.fromkeys([*also, *(label for table in tables for label in table["group"])])
    return {level: [np.flatnonzero(table["group"] == level) for table in tables] for level in levels}
