"""Forecasts of the response: the mean response and a single new run, each with its band."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from scalebayes.arguments import check_prob, check_seed, is_positive, quoted
from scalebayes.fits.averaging import Average, members, mixed
from scalebayes.fits.fit import Fit
from scalebayes.inference.diagnostics import Diagnostics
from scalebayes.model.prediction import predict
from scalebayes.notebook import shown
from scalebayes.priors import LogNormal, Normal
from scalebayes.questions.distance import with_distance
from scalebayes.questions.groups import NO_RUNS, Group, check_group
from scalebayes.questions.points import Points, extrapolation, points_of, read_points
from scalebayes.questions.wording import factor, plain, quantiles, response, sentences, where
from scalebayes.runs import Runs

_MOST_NUMBERS = 20_000_000  # of draws in an array
_BANDS, _ENDS = ("", "new_run_", "prior_"), {0: "lower", 2: "upper"}


@dataclass(frozen=True, eq=False, repr=False)
class Forecast:
    """The answer of `forecast`.

    Parameters
    ----------
    table : pandas.DataFrame
        One row per point:

        - the inputs, and the group (if there are groups);
        - mean, median, lower, upper of the *mean response*, where the law's curve lies. With a drift or surface the
          mean rests, far beyond the runs, on few draws in a heavy tail; median and bands do not;
        - new_run_lower, new_run_upper: the band of a *single new run*, curve and noise together;
        - prior_lower, prior_upper: the band of the mean response under the prior;
        - extrapolation: the largest factor by which a scale lies beyond its largest observed value; 1 if none does;
        - extrapolated: the name of that scale;
        - extrapolation_cost: the factor beyond the largest cost; NaN if costs are not known;
        - below: the largest factor by which a scale lies below its smallest observed value; 1 if none does;
        - below_of: the name of that scale;
        - outside: the plain inputs that lie outside the runs, in words;
        - schedule_change, only if one was given: whether it lies between the runs and the point.
    draws : xarray.Dataset
        ``mean_response`` and ``new_run``, dims (chain, draw, point).
    prob : float
        Probability of the equal-tailed intervals.
    inputs : tuple of str
        Names of the inputs.
    response, law : str
        Names of the response and of the law.
    departs : bool
        Whether the response beyond the runs may depart from the law, by drift or surface.
    diagnostics : Diagnostics
        Diagnostics of the fit.
    schedule_gain : LogNormal, Normal or None
        The amount by which a change of schedule lowers the log response, as given.
    """

    table: pd.DataFrame
    draws: xr.Dataset
    prob: float
    inputs: tuple[str, ...]
    response: str
    law: str
    departs: bool
    diagnostics: Diagnostics
    schedule_gain: LogNormal | Normal | None = None

    def __str__(self) -> str:
        shown = self.table.head(12)
        lines = [self._sentence(row) for _, row in shown.iterrows()]
        if len(self.table) > len(shown):
            lines.append(f"... and {len(self.table) - len(shown)} more points, in .table.")
        return sentences(self.diagnostics, [*lines, *self._warnings()])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return shown(str(self), self.table)

    def to_dict(self) -> dict[str, Any]:
        """The table as nested dictionaries of numbers and strings."""
        points = [
            {"inputs": {name: row.pop(name) for name in self.inputs}, "group": row.pop("group", None), **row}
            for row in self.table.to_dict("records")
        ]
        return plain({"prob": self.prob, "converged": not self.diagnostics.problems, "points": points})

    def _warnings(self) -> list[str]:
        """Sentences for bands that rest on something that the runs do not show."""
        lines = []
        if "schedule_change" in self.table and self.table["schedule_change"].any():
            lines.append(
                f"A change of schedule lies between the runs and {self.table['schedule_change'].sum()} of these "
                "points: "
                + (
                    "no band knows of it. Say what it gains with schedule_gain=, or forecast the final values of whole "
                    "runs."
                    if self.schedule_gain is None
                    else f"there the response is taken to be {_lowered(self.schedule_gain)} for it."
                )
            )
        return lines

    def _sentence(self, row: pd.Series) -> str:
        inputs = {name: row[name] for name in self.inputs}
        group = f"{row['group']}: " if "group" in row else ""
        reach = "not beyond the largest runs"
        if row["extrapolation"] > 1:
            reach = f"extrapolates {factor(row['extrapolation'])} beyond the largest {row['extrapolated']}"
            in_cost = row["extrapolation_cost"]
            if len(self.inputs) > 1 and in_cost > 1:
                reach += f", {factor(in_cost)} in compute"
        if row["below"] > 1:
            also = f"{reach}, and " if row["extrapolation"] > 1 else ""
            reach = f"{also}lies {factor(row['below'])} below the smallest {row['below_of']}"
        reach += f"; {row['outside']}" if row["outside"] else ""
        return (
            f"{group}at {where(inputs)} the expected {self.response} is {response(row['median'])} "
            f"({100 * self.prob:g}% interval {response(row['lower'])} to {response(row['upper'])}; "
            f"a single new run {response(row['new_run_lower'])} to {response(row['new_run_upper'])}); {reach}."
        )


def forecast(
    fit: Fit | Average,
    *,
    at: Points,
    group: Group | None = None,
    new_group: bool = False,
    prob: float = 0.89,
    schedule_change: float | None = None,
    schedule_gain: LogNormal | Normal | None = None,
    seed: int = 0,
) -> Forecast:
    r"""Forecast the response at new values of the inputs.

    For each draw :math:`\theta` of the posterior, the mean response is :math:`f(x; \theta)`. A new run scatters about
    it as the observation states; with noise on the logarithm it is :math:`f(x; \theta)\, e^{\epsilon}`.

    Each band rests on an assumption:

    - the law alone: the form of the law is true;
    - with a drift (`Drift`): the exponent wanders beyond the runs as it did among them. The mean response is
      :math:`e^d (E + (f - E) e^g)`, never below the floor;
    - with a surface (`Surface`): runs beyond lie off the law as much as the observed ones. The mean response is
      :math:`E + (f - E) e^g`.

    Parameters
    ----------
    fit : Fit or Average
    at : mapping, pandas.DataFrame or xarray.Dataset
        Values of every input, by the law's names (N, D) or the table's columns: arrays of equal length or scalars.
        ``sb.grid({...})`` makes every combination of values. A column of groups names the group of each point.
    group : str, optional
        A known group. Without it and without a column of groups, each point is forecast for every group.
    new_group : bool
        Forecast a group that has no runs: pooled parameters are drawn from the population of groups, separate ones from
        their prior.
    prob : float
        Probability of the equal-tailed intervals.
    schedule_change : float, optional
        For a law of one input: the value of it where training changes, such as the end of the learning rate's decay. If
        this value lies beyond the runs, points from there on are marked, and the answer warns of them: neither law nor
        drift can foresee the change.
    schedule_gain : LogNormal or Normal, optional
        The amount G by which the change lowers the log response at these points, :math:`y e^{-G}`: one G for all points
        and groups in a draw. The runs do not contain it, so it has to come from elsewhere: from how much lower your own
        runs ended than others of the same length whose schedule went on. For language models whose learning rate decays
        to a tenth, by a cosine or at the end, nine pairs of runs at three sizes of Luo et al. (2025, arXiv:2503.12811)
        have a G of 0.013 to 0.034 in cross-entropy: ``LogNormal(median=0.023, spread=0.5)``. For error rates no such
        figure is known.
    seed : int
        Random seed of the noise of new runs and of new groups.

    Returns
    -------
    Forecast
        Of so many points that their draws are more than 20 million numbers, ``draws`` has fewer draws than the fit; the
        bands are of all draws.

    Raises
    ------
    ValueError
        If an input is missing, a value is not a positive finite number, the group does not exist, or a gain is given
        without a change.
    TypeError
        If the gain is neither a LogNormal nor a Normal.

    Examples
    --------
    With the fit of `fit`'s example:

    >>> answer = sb.forecast(fit, at={"C": [1e23, 1e24]}, group="Pythia")
    >>> answer.table["extrapolation"].round(1).tolist()
    [4.2, 41.7]
    """
    check_prob(prob)
    check_seed(seed)
    parts = members(fit)
    model = parts[0][0].model
    runs = model.runs
    _check_schedule(schedule_change, schedule_gain, tuple(runs.inputs))
    points = _grouped(parts[0][0], read_points(model, at), group, new_group)
    if new_group and any(each.model.departs for each, _ in parts):
        raise ValueError(NO_RUNS)
    inputs = [name for name in points.columns if name != runs.group_name]
    samples = max(each.posterior.sizes["chain"] * each.posterior.sizes["draw"] for each, _ in parts)
    tables = []
    for some in _blocks(len(points), samples):
        own = points.iloc[some]
        changed = _changed(runs, own, schedule_change, new_group)
        drawn = _drawn(parts, own, new_group, seed)
        mean, new_run, before = _lowered_by(schedule_gain, changed, seed, drawn)
        bands = [quantiles(of, prob) for of in (mean, new_run, before)]
        table = pd.DataFrame(
            {
                **{name: own[name].to_numpy() for name in inputs},
                **({"group": own[runs.group_name].to_numpy()} if runs.group else {}),
                "mean": mean.mean(0),
                "median": bands[0][1],
                **{f"{of}{end}": band[i] for of, band in zip(_BANDS, bands, strict=True) for i, end in _ENDS.items()},
                **_distance(parts, own, new_group),
            }
        )
        tables.append(table if schedule_change is None else table.assign(schedule_change=changed))
    table = pd.concat(tables, ignore_index=True)
    if len(tables) > 1:  # joint draws of all points are kept, but fewer
        drawn = _drawn(parts, points, new_group, seed, thin=len(tables))
        changed = _changed(runs, points, schedule_change, new_group)
        mean, new_run, _ = _lowered_by(schedule_gain, changed, seed, drawn)
    if isinstance(fit, Fit):
        chains, name = fit.posterior.sizes["chain"], fit.model.name
    else:  # an average mixes the chains of its fits
        chains, name = 1, f"average of {', '.join(fit.fits)}"
    dims, shape = ("chain", "draw", "point"), (chains, -1, len(points))
    draws = xr.Dataset({"mean_response": (dims, mean.reshape(shape)), "new_run": (dims, new_run.reshape(shape))})
    draws = draws.assign_coords({dim: np.arange(n) for dim, n in draws.sizes.items()})
    diagnostics = with_distance(fit, float(table["extrapolation"].max()))
    departs = any(term.departs_beyond for each, _ in parts for term in each.model.discrepancy)
    return Forecast(table, draws, prob, tuple(inputs), runs.response, name, departs, diagnostics, schedule_gain)


def _blocks(points: int, samples: int) -> list[slice]:
    """Slices of the points, each with so many that an array of their draws stays small."""
    most = max(1, _MOST_NUMBERS // samples)
    return [slice(first, first + most) for first in range(0, points, most)] or [slice(0)]


def _by_group(runs: Runs, points: pd.DataFrame, new_group: bool) -> Iterator[tuple[str | None, np.ndarray]]:
    """Each group of the points that was seen (None for a new one, or where there are no groups), with its rows."""
    if not runs.group:
        yield None, np.arange(len(points))
        return
    labels = points[runs.group_name].to_numpy()
    for label in pd.unique(labels):
        yield None if new_group else str(label), np.flatnonzero(labels == label)


def _drawn(
    parts: Sequence[tuple[Fit, float]], points: pd.DataFrame, new_group: bool, seed: int, thin: int = 1
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draws of the mean response, of new runs and of the mean in the prior, each of shape (sample, point)."""
    weights = [weight for _, weight in parts]
    drawn, order = [], []
    for known, rows in _by_group(parts[0][0].model.runs, points, new_group):
        level, own = "(new)" if new_group else known, points.iloc[rows]
        of_fits = []
        for fit, _ in parts:
            at = points_of(fit.model, own, known)
            settings: dict[str, Any] = {"new_group": new_group, "seed": seed}
            some = slice(None, None, thin)
            after = predict(fit.model, fit.posterior.isel(draw=some), at, level, **settings)
            prior = fit.idata["prior"].to_dataset().isel(draw=some)
            in_prior = predict(fit.model, prior, at, level, given="prior", new_runs=False, **settings)
            of_fits.append((after.mean, after.new_run, in_prior.mean))
        drawn.append([mixed(of_part, weights) for of_part in zip(*of_fits, strict=True)])
        order.append(rows)
    if len(order) == 1:
        mean, new_run, before = drawn[0]
        return mean, new_run, before
    back = np.argsort(np.concatenate(order))
    mean, new_run, before = (np.concatenate(of, axis=1)[:, back] for of in zip(*drawn, strict=True))
    return mean, new_run, before


def _distance(parts: Sequence[tuple[Fit, float]], points: pd.DataFrame, new_group: bool) -> pd.DataFrame:
    """How far each point lies beyond the runs."""
    model = parts[0][0].model
    by_group = list(_by_group(model.runs, points, new_group))
    each = [
        extrapolation(model.runs, points_of(model, points.iloc[rows], known, new_runs=False), known)
        for known, rows in by_group
    ]
    back = np.argsort(np.concatenate([rows for _, rows in by_group]))
    return pd.concat(each, ignore_index=True).iloc[back].reset_index(drop=True)


def _lowered_by(
    gain: LogNormal | Normal | None, changed: np.ndarray, seed: int, drawn: tuple[np.ndarray, np.ndarray, np.ndarray]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draws of means, new runs and means in the prior, with what a change of schedule gains."""
    if gain is None:
        return drawn
    mean, new_run, before = drawn
    # A random stream of its own, so that all other draws are the same with and without a gain.
    rng = np.random.default_rng((seed, 1))
    lowered = np.exp(-np.outer(_gains(gain, len(mean), rng), changed))
    return mean * lowered, new_run * lowered, before * np.exp(-np.outer(_gains(gain, len(before), rng), changed))


def _changed(runs: Runs, points: pd.DataFrame, change: float | None, new_group: bool) -> np.ndarray:
    """Whether a change of schedule lies between the runs of its group and each point."""
    changed = np.zeros(len(points), bool)
    if change is None:
        return changed
    (name,) = runs.inputs
    for known, rows in _by_group(runs, points, new_group):
        largest = runs.x(name)[runs.rows(known)].max()
        changed[rows] = (largest < change) & (points[name].to_numpy()[rows] >= change)
    return changed


def _grouped(fit: Fit, points: pd.DataFrame, group: Group | None, new_group: bool) -> pd.DataFrame:
    """The points, with a column of groups if the fit has groups: as given, one group, or every group at each point."""
    runs = fit.model.runs
    level = check_group(runs, group, new_group)
    if runs.group_name in points and (new_group or (level is not None and set(points[runs.group_name]) != {level})):
        raise ValueError(
            f"the points have a column of groups, {runs.group_name!r}, which disagrees with group or new_group; "
            "leave one of them out."
        )
    if not runs.group:
        return points
    if new_group:
        return points.assign(**{runs.group_name: "(new)"})
    if level is not None:
        return points.assign(**{runs.group_name: level})
    if runs.group_name in points:
        for label in pd.unique(points[runs.group_name]):
            check_group(runs, label)
        return points
    return points.merge(pd.DataFrame({runs.group_name: runs.levels}), how="cross")


def _check_schedule(schedule_change: float | None, gain: object, inputs: tuple[str, ...]) -> None:
    if gain is not None and not isinstance(gain, LogNormal | Normal):
        raise TypeError(
            "schedule_gain is a LogNormal or a Normal, such as LogNormal(median=0.023, spread=0.5), got "
            f"{quoted(gain)}."
        )
    if schedule_change is None and gain is not None:
        raise ValueError(f"schedule_gain is what a change gains: say where it lies, schedule_change=, in {inputs[0]}.")
    if schedule_change is None:
        return
    if len(inputs) != 1:
        raise ValueError(
            f"a change of schedule is along one input, and the law has {', '.join(inputs)}; final values of whole runs "
            "have none ahead."
        )
    if not is_positive(schedule_change):
        raise ValueError(f"schedule_change is a positive finite {inputs[0]}, got {quoted(schedule_change)}.")


def _gains(gain: LogNormal | Normal, n: int, rng: np.random.Generator) -> np.ndarray:
    """Draws of the amount by which the log response is lowered."""
    if isinstance(gain, LogNormal):
        return gain.median * np.exp(gain.spread * rng.standard_normal(n))
    return gain.mean + gain.sd * rng.standard_normal(n)


def _lowered(gain: LogNormal | Normal) -> str:
    """The relative decrease of the response in words: its median and 89% interval."""
    low, median, high = np.quantile(_gains(gain, 100_000, np.random.default_rng(0)), [0.055, 0.5, 0.945])
    shares = [f"{100 * -np.expm1(-value):.1f}" for value in (median, low, high)]
    return f"{shares[0]}% lower (89% interval {shares[1]} to {shares[2]}%)"
