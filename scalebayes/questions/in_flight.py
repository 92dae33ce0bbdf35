"""A run in flight: the band of its end, from the ladder's posterior and the first part of its own curve."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from scalebayes.arguments import check_prob, check_seed, is_whole, quoted
from scalebayes.fits.fit import Fit
from scalebayes.inference.diagnostics import Diagnostics
from scalebayes.notebook import shown
from scalebayes.questions.departures import OfRun, departure_of, features, spread
from scalebayes.questions.groups import Group, check_group, check_one
from scalebayes.questions.points import points_of, read_points
from scalebayes.questions.wording import number, plain, response, sentences
from scalebayes.runs.runs import Runs, numbers

_FEWEST = 4  # observed points
_ALARM = 1e-3  # probability of newest points as far off, from which on an alarm is given


@dataclass(frozen=True, eq=False, repr=False)
class InFlight:
    """The answer of `in_flight`.

    Parameters
    ----------
    table : pandas.DataFrame
        One row per point of the run: the columns of its inputs, observed (NaN ahead), and median, lower, upper of the
        measured response there: for observed points by the ladder alone, ahead by the ladder and the points observed.
    end : mapping of str to float
        median, lower, upper of the measured response at the last point, before_median, before_lower, before_upper by
        the ladder alone.
    draws : xarray.DataArray
        The response at the points ahead, dims (sample, point).
    progress : float
        The share of the run that was observed, by its steps or its input.
    alarm : bool
        Whether the newest points leave the band that was forecast before them.
    surprise : float
        The probability of newest points as far from their forecast as these.
    newest : int
        Number of these points.
    along : str
        What the run goes along: a step or an input.
    prob : float
    response, law : str
    diagnostics : Diagnostics
    """

    table: pd.DataFrame
    end: Mapping[str, float]
    draws: xr.DataArray
    progress: float
    alarm: bool
    surprise: float
    newest: int
    along: str
    prob: float
    response: str
    law: str
    diagnostics: Diagnostics

    def __str__(self) -> str:
        e, prob = self.end, f"{100 * self.prob:g}%"
        last = self.table.iloc[-1]
        lines = [
            f"After {100 * self.progress:.0f}% of the run, its end at {self.along} = {number(last[self.along])} is "
            f"forecast at {response(e['median'])} ({prob} {response(e['lower'])} to {response(e['upper'])}); by the "
            f"ladder alone {response(e['before_lower'])} to {response(e['before_upper'])}."
        ]
        unlike = f"{self.newest} newest point{'s' * (self.newest != 1)}"
        lines.append(
            f"ALARM: the {unlike} left the band that was forecast before (probability {self.surprise:.1g}). Look at "
            "the run before you trust its forecast."
            if self.alarm
            else f"The {unlike} are as was forecast before (probability {self.surprise:.2g} of points as far off)."
        )
        return sentences(self.diagnostics, lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return shown(str(self), self.table)

    def to_dict(self) -> dict[str, Any]:
        """The table as nested dictionaries of numbers and strings."""
        names = ("end", "progress", "alarm", "surprise", "newest", "along", "prob", "response", "law")
        found = {name: getattr(self, name) for name in names}
        return plain({**found, "points": self.table, "converged": not self.diagnostics.problems})


def in_flight(
    fit: Fit,
    curve: pd.DataFrame,
    *,
    group: Group | None = None,
    constant_rate: bool = False,
    newest: int | None = None,
    prob: float = 0.89,
    seed: int = 0,
) -> InFlight:
    r"""Forecast the end of a run from a ladder of other runs and from what the run has shown so far.

    The ladder's posterior gives the parameters of the run's law: those of a known group, or of a new group drawn from
    the population. They are updated by the points observed, in six rounds of an ensemble Kalman filter, each with a
    part of the data's information (Emerick and Reynolds 2013, Computers and Geosciences 55), which costs seconds and no
    sampling. About the law a run departs by an offset and two random walks, one in the logarithm of the
    sum of its rates (or of its input), one in how far its rate has fallen. Their sizes are those of the ladder's own
    curves about their fit, and the departure seen so far is carried on to the end. Where the newest points lie farther
    from their forecast by the ones before than it allows, the variances of the departure are multiplied by the mean
    square of what they are off (the ratio of Birge 1932, Phys. Rev. 40).

    Parameters
    ----------
    fit : Fit
        Of curves: a law with a schedule, such as `laws.annealing`, or of one input at a constant rate.
    curve : pandas.DataFrame
        The run, one row per point, in order: the inputs' columns for the whole of it, and the response, empty (NaN)
        ahead. The last row is its end. A schedule that the fit does not know is added by `with_schedules` first.
    group : str or tuple, optional
        A group of the fit that the run belongs to; a new group by default, or the one curve's law of a fit without
        groups.
    constant_rate : bool
        States that the law has no schedule since all curves, also this one, have a constant rate.
    newest : int, optional
        How many of the observed points are compared with the forecast before them; by default the last fifth.
    prob : float
        Probability of the intervals.
    seed : int

    Returns
    -------
    InFlight

    Raises
    ------
    TypeError
        If it is no single fit, or the curve is no DataFrame.
    ValueError
        If the law has no schedule and ``constant_rate`` was not stated; if a column is missing; if fewer than four
        points are observed, or none is ahead; or if the fit has a discrepancy.

    Examples
    --------
    With a fit of schedules:

    >>> import pandas as pd
    >>> curve = pd.DataFrame({"schedule": "cosine", "step": [200, 300, 400, 500, 1000], "loss": None})
    >>> curve.loc[:3, "loss"] = [4.05, 3.71, 3.54, 3.44]
    >>> answer = sb.in_flight(fit, curve)
    >>> answer.progress
    0.5
    """
    check_prob(prob)
    check_seed(seed)
    check_one(fit, "a run in flight")
    model, runs = fit.model, fit.model.runs
    if not isinstance(curve, pd.DataFrame):
        raise TypeError(f"the run is a DataFrame with a row per point, got {type(curve).__name__}.")
    if model.discrepancy:
        raise ValueError(
            f"the departure of a run from its law is found here; fit the ladder with discrepancy=None, not "
            f"{model.said_discrepancy}."
        )
    _check_rate(runs, model.name, constant_rate)
    level = check_group(runs, group)
    if runs.response not in curve:
        raise ValueError(f"the run needs its response so far, a column {runs.response!r}, empty ahead.")
    y = numbers(curve[runs.response])
    seen, ahead = np.flatnonzero(np.isfinite(y)), np.flatnonzero(~np.isfinite(y))
    if len(seen) < _FEWEST or not len(ahead) or ahead.min() < seen.max():
        raise ValueError(
            f"a run in flight has {_FEWEST} observed points or more, then points ahead with an empty {runs.response}, "
            f"the last of which is its end; got {len(seen)} observed and {len(ahead)} empty."
        )
    recent = max(1, len(seen) // 5) if newest is None else newest
    if not is_whole(recent, 1) or recent > len(seen) - 2:
        raise ValueError(f"newest is a number of points from 1 to {len(seen) - 2}, got {quoted(newest)}.")
    new = bool(runs.group) and level is None
    points = read_points(model, curve.drop(columns=[runs.response, *(set(runs.group) & set(curve.columns))]))
    at = points_of(model, points, None if new else level, new_runs=False)
    scale, rng = model.observation.scale, np.random.default_rng(seed)
    law = OfRun.of(fit, [np.asarray(at.x[name], float) for name in runs.inputs], None if new else level, new, seed)
    departure, where, observed = departure_of(fit), features(runs, at.x), scale.forward(y)
    before = law.at(law.unbounded) + departure.drawn(where, len(law.unbounded), rng)
    surprise, off = law.surprise(spread(seen[:-recent]), seen[-recent:], observed, departure, where, rng)
    departure = departure.widened(max(off, 1.0))
    known = spread(seen)
    mean = law.at(law.updated(known, observed, departure, where, rng))
    after = mean[:, ahead] + departure.given(where, known, observed - mean, ahead, rng)
    levels = [(1 - prob) / 2, 0.5, (1 + prob) / 2]
    ends = scale.backward(np.quantile(before, levels, axis=0))
    early = dict(zip(("before_lower", "before_median", "before_upper"), ends[:, -1], strict=True))
    ends[:, ahead] = scale.backward(np.quantile(after, levels, axis=0))
    along = _along(runs)
    position = numbers(curve[along])
    table = points.assign(**{along: position, "observed": y, "median": ends[1], "lower": ends[0], "upper": ends[2]})
    end = {"median": ends[1, -1], "lower": ends[0, -1], "upper": ends[2, -1], **early}
    return InFlight(
        table,
        {name: float(value) for name, value in end.items()},
        xr.DataArray(scale.backward(after), {"point": ahead}, ("sample", "point"), name=runs.response),
        float(position[seen[-1]] / position[-1]),
        bool(surprise < _ALARM),
        surprise,
        int(recent),
        along,
        prob,
        runs.response,
        model.name,
        fit.diagnostics,
    )


def _check_rate(runs: Runs, law: str, constant_rate: bool) -> None:
    """Refuse a law that does not know of a schedule, unless all curves have a constant rate."""
    has = any(each.schedules is not None for each in runs.inputs.values())
    if not has and not constant_rate:
        raise ValueError(
            f"{law} knows of no learning-rate schedule, so what a run loses or gains by its own is not known: fit the "
            "ladder with a law of the schedule (sb.laws.annealing), or say constant_rate=True if no rate changes."
        )
    if has and constant_rate:
        raise ValueError("constant_rate=True is for laws without a schedule; this one reads that of the run.")
    if not has and len(runs.scales) != 1:
        raise ValueError(f"a curve goes along one input; {law} has {', '.join(runs.inputs)}.")


def _along(runs: Runs) -> str:
    """The column that a run goes along: the step of its schedule, or its input."""
    for each in runs.inputs.values():
        if each.schedules is not None:
            return each.columns[-1]
    return runs.inputs[runs.scales[0]].columns[0]
