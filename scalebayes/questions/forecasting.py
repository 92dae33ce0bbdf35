"""What a run will reach: the mean response and a new run's, each with its band."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from scalebayes.fitting import Fit, check_prob, check_seed
from scalebayes.inference.diagnostics import Diagnostics
from scalebayes.model.discrepancy import frontier
from scalebayes.model.predictive import drifted, expected, of_group, of_new_group, off_surface, scatter
from scalebayes.questions.points import (
    Points,
    check_group,
    extrapolation,
    factor,
    quantiles,
    read_points,
    response,
    where,
)

_LOOKED_AT = 33  # the farthest cut-off of benchmarks/extrapolation.py, in multiples of the largest known scale


@dataclass(frozen=True, eq=False, repr=False)
class Forecast:
    """The answer of `forecast`.

    Parameters
    ----------
    table : pandas.DataFrame
        One row per point: the inputs, the group (if there are groups), mean, median, lower and upper of the *mean
        response* (where the law's curve lies), new_run_lower and new_run_upper of a *single new run* (curve and
        noise), prior_lower and prior_upper (the band of the law's curve before the runs were seen, without drift), extrapolation (factor
        beyond the largest observed value of the input exceeded most; 1 if none is) and extrapolated (which input).
    draws : xarray.Dataset
        ``mean_response`` and ``new_run``, dims (chain, draw, point).
    prob : float
        Of the equal-tailed intervals.
    inputs : tuple of str
    response, law : str
        What is forecast, from what, by which law.
    diagnostics : Diagnostics
        Of the fit.
    """

    table: pd.DataFrame
    draws: xr.Dataset
    prob: float
    inputs: tuple[str, ...]
    response: str
    law: str
    diagnostics: Diagnostics

    def __str__(self) -> str:
        shown = self.table.head(12)
        lines = [f"NOT CONVERGED: {'; '.join(self.diagnostics.problems)}."] if self.diagnostics.problems else []
        lines += [self._sentence(row) for _, row in shown.iterrows()]
        if len(self.table) > len(shown):
            lines.append(f"... and {len(self.table) - len(shown)} more points, in .table.")
        if (self.table["extrapolation"] > _LOOKED_AT).any():
            lines.append(
                f"Beyond {_LOOKED_AT}x nobody has looked whether such bands cover; sb.backtest looks at your own runs."
            )
        lines.append(f"({self.diagnostics})")
        return "\n".join(lines)

    __repr__ = __str__

    def _sentence(self, row: pd.Series) -> str:
        inputs = {name: row[name] for name in self.inputs}
        group = f"{row['group']}: " if "group" in row else ""
        if row["extrapolation"] > 1:
            reach = f"extrapolates {factor(row['extrapolation'])} beyond the largest {row['extrapolated']}"
        else:
            reach = "not beyond the largest runs"
        return (
            f"{group}at {where(inputs)} the expected {self.response} is {response(row['median'])} "
            f"({100 * self.prob:g}% interval {response(row['lower'])} to {response(row['upper'])}; "
            f"a single new run {response(row['new_run_lower'])} to {response(row['new_run_upper'])}); {reach}."
        )


def forecast(
    fit: Fit,
    at: Points,
    *,
    group: str | tuple | None = None,
    new_group: bool = False,
    prob: float = 0.89,
    seed: int = 0,
) -> Forecast:
    r"""Forecast the response at new values of the inputs.

    For draws theta of the posterior, the mean response is :math:`f(x; \theta)` and a new run's is
    :math:`f(x; \theta)\, e^{\epsilon}` with the fitted noise. The bands answer "if the law's form were true"; with a
    drift (`Drift`), "if its exponent goes on to wander as it did": :math:`e^d (E + (f - E) e^g)`, never below the floor;
    with a surface (`Surface`), "if runs beyond lie off the law as much as those seen": :math:`E + (f - E) e^g`.

    Parameters
    ----------
    fit : Fit
    at : mapping, pandas.DataFrame or xarray.Dataset
        Values of every input, by the law's names (N, D) or the table's columns: arrays of equal length or scalars.
        Every combination of values is ``sb.grid({...})``. A column of groups says which group each point is of.
    group : str, optional
        A known group; by default, and without a column of groups, each point is forecast for every group.
    new_group : bool
        Forecast a group that was not seen: pooled parameters are drawn from the population of groups, separate ones
        from their prior.
    prob : float
        Of the equal-tailed intervals.
    seed : int
        Of the noise of new runs and of new groups.

    Returns
    -------
    Forecast

    Raises
    ------
    ValueError
        If an input is missing, a value is not a positive finite number, or there is no such group.
    """
    check_prob(prob)
    check_seed(seed)
    runs = fit.model.runs
    points = read_points(runs, fit.model.name, at)
    level = check_group(runs, group, new_group)
    if new_group and fit.model.discrepancy:
        raise ValueError(
            "a group without runs has no frontier to drift from and no surface; forecast a known one, or fit without "
            "discrepancy."
        )
    if runs.group_name in points and (new_group or (level is not None and set(points[runs.group_name]) != {level})):
        raise ValueError(
            f"the points have a column of groups, {runs.group_name!r}, which disagrees with the group asked for; "
            "leave one of them out."
        )
    if runs.group and not new_group:
        if level is not None:
            points[runs.group_name] = level
        elif runs.group_name in points:
            for label in pd.unique(points[runs.group_name]):
                check_group(runs, label, False)
        else:
            points = points.merge(pd.DataFrame({runs.group_name: runs.levels}), how="cross")
    elif runs.group:
        points[runs.group_name] = "(new)"
    labels = points[runs.group_name].to_numpy() if runs.group else np.full(len(points), "")
    structure, numbers = fit.model.describe()
    end = frontier(runs) if structure.places else None
    rng = np.random.default_rng(seed)
    posterior, prior = fit.posterior, fit.idata["prior"].to_dataset()
    chains, draws = posterior.sizes["chain"], posterior.sizes["draw"]
    mean = np.empty((chains * draws, len(points)))
    new_run = np.empty_like(mean)
    before = np.empty((prior.sizes["chain"] * prior.sizes["draw"], len(points)))
    distance, furthest = np.empty(len(points)), np.empty(len(points), object)
    for label in pd.unique(labels):
        rows = np.flatnonzero(labels == label)
        x = {name: points[name].to_numpy()[rows] for name in runs.inputs}
        known = str(label) if runs.group and not new_group else None
        for source, target in ((posterior, mean), (prior, before)):
            parameters = (
                of_new_group(structure, numbers, source, rng) if new_group else of_group(structure, source, known)
            )
            law = {name: parameters[name] for name in fit.model.parameters}
            target[:, rows] = expected(fit.model.law, list(x.values()), law)
            if source is posterior:
                residual = scatter(structure, parameters, len(rows), rng)
                floor = law["E"][:, None] if "E" in law else 0.0
                if end:
                    g, wander, level = drifted(fit.model, end, parameters, known, next(iter(x.values())), rng)
                    mean[:, rows] = np.exp(level) * (floor + (mean[:, rows] - floor) * np.exp(g))
                    residual = residual + wander
                elif structure.surface:
                    g = off_surface(structure, numbers, posterior, parameters, known, list(x.values()), rng)
                    mean[:, rows] = floor + (mean[:, rows] - floor) * np.exp(g)
                new_run[:, rows] = mean[:, rows] * np.exp(residual)
        distance[rows], furthest[rows] = extrapolation(runs, x, known)
    lower, median, upper = quantiles(mean, prob)
    new_lower, _, new_upper = quantiles(new_run, prob)
    prior_lower, _, prior_upper = quantiles(before, prob)
    columns = {name: points[name] for name in runs.inputs} | ({"group": labels} if runs.group else {})
    table = pd.DataFrame(
        {
            **columns, "mean": mean.mean(0), "median": median, "lower": lower, "upper": upper,
            "new_run_lower": new_lower, "new_run_upper": new_upper,
            "prior_lower": prior_lower, "prior_upper": prior_upper,
            "extrapolation": distance, "extrapolated": furthest,
        }
    )  # fmt: skip
    coords = {"chain": posterior["chain"], "draw": posterior["draw"], "point": np.arange(len(points))}
    dims, shape = ("chain", "draw", "point"), (chains, draws, len(points))
    samples = {"mean_response": (dims, mean.reshape(shape)), "new_run": (dims, new_run.reshape(shape))}
    return Forecast(
        table, xr.Dataset(samples, coords), prob, tuple(runs.inputs), runs.response, fit.model.name, fit.diagnostics
    )
