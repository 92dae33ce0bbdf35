"""The gate: whether a candidate replaces the baseline, by its effective speed-up at the target scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
import xarray as xr

from scalebayes.arguments import check_positive, check_prob, check_seed, nearest, quoted
from scalebayes.fits.averaging import Average, pooled_diagnostics
from scalebayes.fits.fit import Fit
from scalebayes.inference.diagnostics import Diagnostics
from scalebayes.notebook import shown
from scalebayes.questions.along import Together, compared, first_reached, mean_along, side_by_side
from scalebayes.questions.distance import in_inputs, with_distance
from scalebayes.questions.groups import Group, label_of
from scalebayes.questions.paths import Held, observed_scales
from scalebayes.questions.prices import Price, price_of
from scalebayes.questions.rungs import next_rung_of, start_and_ladder
from scalebayes.questions.wording import factor, number, plain, quantiles, sentences

_FINE, _COARSE = 150, 60  # points of the search, for a law alone and for a fit that departs from it
_WIDER = 1e3  # factor beyond the runs and the target up to which the baseline's scale is searched
_SHOWN = 40
VERDICTS = ("promote", "hold", "drop")


@dataclass(frozen=True, eq=False, repr=False)
class Gate:
    """The answer of `gate`.

    Parameters
    ----------
    table : pandas.DataFrame
        One row per candidate:

        - candidate, verdict ("promote", "hold" or "drop");
        - median, lower, upper of the speed-up at the target; infinite where the baseline never reaches that response;
        - p_faster and p_enough: the probability that it exceeds 1, and the threshold;
        - now_median, now_lower, now_upper: the speed-up at the decision scale; p_enough_now;
        - p_gone: the probability that it exceeds the threshold there and no longer does so at some scale up to the
          target; gone_median, gone_lower, gone_upper: where that first happens, in these draws;
        - regret_promote, regret_drop: the expected regret of either decision, and cost, that of the next rung, all as
          a share of one run at the target.
    curve : pandas.DataFrame
        One row per candidate and scale: candidate, scale, median, lower, upper of the speed-up, and p_enough.
    draws : xarray.DataArray
        The speed-up at the target, dims (sample, candidate).
    baseline : str
    axis, unit, path : str
        The scale that grows, its unit, and the path along which it grows.
    start, to, next_rung : float
        The decision scale (the largest at which all groups have runs), the target, and the scale of the next rung.
    threshold, sure : float
        The speed-up that is enough, and how probable it has to be.
    price : str
        What the speed-up is in, in words: the axis, or the column of a price.
    extrapolation : float
        The target divided by the decision scale.
    prob : float
    response : str
    diagnostics : Diagnostics
    """

    table: pd.DataFrame
    curve: pd.DataFrame
    draws: xr.DataArray
    baseline: str
    axis: str
    unit: str
    path: str
    start: float
    to: float
    next_rung: float
    threshold: float
    sure: float
    price: str
    extrapolation: float
    prob: float
    response: str
    diagnostics: Diagnostics

    @property
    def verdict(self) -> str:
        """The best verdict of all candidates: "promote" if one is promoted, else "hold" if one is held."""
        return next(each for each in VERDICTS if (self.table["verdict"] == each).any())

    def __str__(self) -> str:
        lines: list[str] = []
        prob = f"{100 * self.prob:g}%"
        reach = f", {factor(self.extrapolation)} the largest at which all have runs" if self.extrapolation > 1 else ""
        for row in self.table.to_dict("records"):
            name = row["candidate"]
            if np.isfinite(row["median"]):
                fast = (
                    f"{self.baseline} needs {number(row['median'])} times the {self.price} of {name} for the same "
                    f"{self.response} ({prob} {number(row['lower'])} to {number(row['upper'])})"
                )
            else:
                fast = f"{self.baseline} more likely than not never reaches the {self.response} of {name}"
            enough = f", above {number(self.threshold)} with {row['p_enough']:.2f}" if self.threshold != 1 else ""
            lines.append(
                f"{name}: {row['verdict'].upper()}. At {self.axis} = {number(self.to)}{reach}, {fast}: faster with "
                f"probability {row['p_faster']:.2f}{enough}."
            )
            gone = f"with probability {row['p_gone']:.2f} it is gone before the target"
            if np.isfinite(row["gone_median"]) and row["p_gone"] >= 0.05:
                gone += (
                    f", if so at {number(row['gone_median'])} ({prob} {number(row['gone_lower'])} to "
                    f"{number(row['gone_upper'])})"
                )
            lines.append(
                f"  At {self.axis} = {number(self.start)} the speed-up is {number(row['now_median'])} ({prob} "
                f"{number(row['now_lower'])} to {number(row['now_upper'])}); {gone}."
            )
            lines.append(
                f"  Expected regret, as a share of one run at the target: {row['regret_promote']:.2g} if promoted, "
                f"{row['regret_drop']:.2g} if dropped. The next rung, a run of each at {self.axis} = "
                f"{number(self.next_rung)}, costs {row['cost']:.2g}."
            )
        lines.append(rule(self.threshold, self.sure))
        return sentences(self.diagnostics, lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return shown(str(self), self.table)

    def to_dict(self) -> dict[str, Any]:
        """Everything except the draws and the curve, as nested dictionaries of numbers and strings."""
        names = ("verdict", "baseline", "axis", "unit", "path", "start", "to", "next_rung", "threshold", "sure")
        found = {name: getattr(self, name) for name in (*names, "price", "extrapolation", "prob", "response")}
        return plain(
            {
                **found,
                "rule": rule(self.threshold, self.sure),
                "candidates": self.table,
                "converged": not self.diagnostics.problems,
            }
        )


def rule(threshold: float, sure: float) -> str:
    """The rule of the verdicts, in a sentence."""
    return (
        f"Rule: promote if the speed-up at the target exceeds {number(threshold)} with a probability of at least "
        f"{number(sure)} and the expected regret of promoting is at most the cost of the next rung; drop if the "
        f"expected regret of dropping is at most this cost, or the probability is below {number(1 - sure)}; else hold, "
        "and train the next rung."
    )


def gate(
    fit: Fit | Average | Mapping[str, Fit | Average],
    *,
    baseline: Group,
    to: float,
    axis: str = "C",
    candidates: Sequence[Group] | Group | None = None,
    path: Held = None,
    price: str | None = None,
    threshold: float = 1.0,
    sure: float = 0.95,
    next_rung: float | None = None,
    prob: float = 0.89,
    seed: int = 0,
) -> Gate:
    r"""Whether a candidate should replace the baseline: promote, hold or drop.

    Let f_b and f_c be the mean responses of baseline and candidate along their paths. The effective speed-up at a scale
    x is

    .. math:: s(x) = f_b^{-1}(f_c(x)) / x,

    how many times the scale the baseline needs for the candidate's response (of a run that costs more or less per unit
    of scale, how many times its price). Exponents and floors are those of the joint posterior, so what runs or
    evaluations share cancels draw by draw.

    A candidate that is promoted although s < 1 wastes the share 1 - s of a run at the target. One that is dropped
    although s > 1 costs the share 1 - 1/s that it would have saved. The expected regret of either decision is the mean
    over the draws, with s divided by the threshold. The candidate is promoted if s exceeds the threshold with a
    probability of at least ``sure`` and promoting regrets no more than the next rung costs. It is dropped if dropping
    regrets no more than that, or if the probability is below 1 - ``sure``. Otherwise it is held: the next rung is worth
    its cost. The burden of proof lies with the candidate: one that changes nothing is promoted with a probability of at
    most 1 - ``sure``, as far as the posterior is calibrated.

    Parameters
    ----------
    fit : Fit or Average, or mapping of str to them
        As in `crossover`: one fit of baseline and candidates as groups, or several fits of one curve each.
    baseline : str or tuple
        The group, or the name of the fit, that is in use.
    to : float
        Target scale.
    axis : str
        The scale that grows: C for a law of N and D, or an input of the law.
    candidates : sequence of str, optional
        All other groups by default.
    path : mapping, "optimal" or Callable, optional
        As in `crossover`.
    price : str, optional
        A column with what a run cost (hours, dollars), or ``"tokens_per_second"``, from which it is D over this
        column. Then the speed-up is in this price instead of the scale. The price of each group is a power of the
        scale, by least squares in logs, or proportional to the scale where it is known at one scale only.
    threshold : float
        The speed-up that is worth a change.
    sure : float
        How probable it has to be, above 0.5.
    next_rung : float, optional
        The scale of the next rung; by default as far above the largest as that is above the one before it, or 4 times
        the largest where these are closer than a factor of 2; at most the target.
    prob : float
        Probability of the intervals.
    seed : int
        Random seed of drifts and surfaces.

    Returns
    -------
    Gate

    Raises
    ------
    TypeError
        If a value is not a fit.
    ValueError
        If a group does not exist; if one has runs at one scale only; if the target does not lie beyond the runs; if the
        price of a group is not known; or if the groups are not comparable (see `crossover`).

    Examples
    --------
    With the fit of `fit`'s example:

    >>> answer = sb.gate(fit, baseline="Pythia", candidates="Cerebras-GPT", to=1e24)
    >>> answer.verdict, answer.table["candidate"].tolist()
    ('hold', ['Cerebras-GPT'])
    """
    check_prob(prob)
    check_seed(seed)
    check_positive(threshold, "threshold", "speed-up")
    if isinstance(sure, bool) or not isinstance(sure, int | float) or not 0.5 < sure < 1:
        raise ValueError(f"sure is a probability above 0.5 and below 1, got {quoted(sure)}.")
    sources, names = _groups(fit, baseline, candidates)
    runs = sources[0].runs
    prices = _prices(sources, names, axis, price)
    start, ladder = start_and_ladder(sources, names, axis, to)
    rung = next_rung_of(next_rung, start, ladder, to, axis)
    departs = any(each.model.departs for source in sources for each, _ in source.parts)
    smallest = min(float(observed_scales(s.runs, axis, level).min()) for s in sources for level in s.levels)
    ends = smallest / _WIDER, to * _WIDER
    grid = np.unique([*np.geomspace(*ends, _COARSE if departs else _FINE), start, float(to)])
    paths = [source.paths(axis, path) for source in sources]
    drawn = [
        source.mixed(
            [
                mean_along(each, source.levels, along, grid, seed)
                for (each, _), along in zip(source.parts, own, strict=True)
            ]
        )
        for source, own in zip(sources, paths, strict=True)
    ]
    response, _ = side_by_side(drawn, seed)
    among = np.flatnonzero((grid >= smallest) & (grid <= to))
    shown_at = np.unique([*among[:: max(1, len(among) // _SHOWN)], *np.flatnonzero((grid == start) | (grid == to))])
    beyond = [i for i in shown_at if grid[i] >= start]
    rows, curves, draws = [], [], []
    for k in range(1, len(names)):
        speed = np.stack([_speed_up(response, k, grid, i, prices, runs.sign) for i in shown_at], 1)
        at_target, now = speed[:, -1], speed[:, list(shown_at).index(beyond[0])]
        ahead = speed[:, [list(shown_at).index(i) for i in beyond]]
        cost = 2 * (float(prices[0].at(rung) / prices[0].at(to)) if price else rung / to)
        rows.append(
            {"candidate": names[k]} | _decided(at_target, now, ahead, grid[beyond], threshold, sure, cost, prob)
        )
        lower, median, upper = quantiles(speed, prob)
        curves.append(
            pd.DataFrame(
                {
                    "candidate": names[k],
                    "scale": grid[shown_at],
                    "median": median,
                    "lower": lower,
                    "upper": upper,
                    "p_enough": (speed > threshold).mean(0),
                }
            )
        )
        draws.append(at_target)
    beyond_by = float(to / start)
    return Gate(
        pd.DataFrame(rows),
        pd.concat(curves, ignore_index=True),
        xr.DataArray(np.stack(draws, 1), {"candidate": list(names[1:])}, ("sample", "candidate"), name="speed_up"),
        names[0],
        axis,
        runs.unit(axis),
        "; ".join(dict.fromkeys(of[0][0].said for of in paths)),
        start,
        float(to),
        rung,
        float(threshold),
        float(sure),
        axis if price is None else price if price != "tokens_per_second" else "seconds",
        beyond_by,
        prob,
        runs.response,
        pooled_diagnostics([with_distance(s.fit, in_inputs(s.runs, axis, beyond_by)) for s in sources]),
    )


def _groups(
    fit: Fit | Average | Mapping[str, Fit | Average], baseline: Group, candidates: Sequence[Group] | Group | None
) -> tuple[list[Together], tuple[str, ...]]:
    """Baseline and candidates, the baseline first."""
    first = label_of(baseline)
    if isinstance(fit, Mapping):
        every: Sequence[str] = tuple(map(str, fit))
    elif isinstance(fit, Fit | Average):
        runs = Together(fit, ()).runs
        if not runs.group:
            raise ValueError("the fit has no groups: name the column of baseline and candidates in read_runs.")
        every = runs.levels
    else:
        raise TypeError(f"a gate is of a Fit, an Average, or several of them by name, got {type(fit).__name__}.")
    if first not in every:
        raise ValueError(f"there is no baseline {first!r}{nearest(first, every)}; there are {', '.join(every)}.")
    named = (candidates,) if isinstance(candidates, str) else candidates
    others = [label_of(each) for each in named] if named is not None else [each for each in every if each != first]
    if first in others or not others:
        raise ValueError(f"candidates are other groups than the baseline {first!r}, got {', '.join(others) or 'none'}.")
    sources, _ = compared(fit, (first, *others))
    return sources, (first, *others)


def _prices(sources: Sequence[Together], names: Sequence[str], axis: str, column: str | None) -> list[Price]:
    if column is None:
        return [Price(1.0, 0.0)] * len(names)
    levels = [(source, level) for source in sources for level in source.levels]
    return [price_of(s.runs, axis, level, column, name) for (s, level), name in zip(levels, names, strict=True)]


def _speed_up(
    response: np.ndarray, k: int, grid: np.ndarray, i: int, prices: Sequence[Price], sign: float
) -> np.ndarray:
    """The speed-up of a candidate at one scale of the grid, shape (sample,)."""
    needed = first_reached(response[:, 0], response[:, k, i], grid, sign)
    needed = np.where(np.isclose(needed, grid[i], rtol=1e-12), grid[i], needed)  # equal curves are equally fast
    if not prices[0].exponent:
        return needed / grid[i]
    return prices[0].at(needed) / prices[k].at(grid[i])


def _decided(
    at_target: np.ndarray,
    now: np.ndarray,
    ahead: np.ndarray,
    scales: np.ndarray,
    threshold: float,
    sure: float,
    cost: float,
    prob: float,
) -> dict[str, Any]:
    with np.errstate(divide="ignore"):
        worth = at_target / threshold
        promote = float(np.maximum(1 - worth, 0).mean())
        drop = float(np.maximum(1 - 1 / np.maximum(worth, 1), 0).mean())
    p = float((worth > 1).mean() + 0.5 * (worth == 1).mean())
    if p >= sure and promote <= cost:
        verdict: Literal["promote", "hold", "drop"] = "promote"
    elif drop <= cost or p < 1 - sure:
        verdict = "drop"
    else:
        verdict = "hold"
    gone = (now > threshold) & (ahead <= threshold).any(1)
    where = _where_gone(ahead[gone], scales, threshold)
    ends = dict(zip(("lower", "median", "upper"), quantiles(at_target, prob), strict=True))
    at_start = dict(zip(("now_lower", "now_median", "now_upper"), quantiles(now, prob), strict=True))
    of_gone = quantiles(where, prob) if len(where) else (np.nan, np.nan, np.nan)
    return {
        "verdict": verdict,
        **{name: float(ends[name]) for name in ("median", "lower", "upper")},
        "p_faster": float((at_target > 1).mean() + 0.5 * (at_target == 1).mean()),
        "p_enough": p,
        **{name: float(value) for name, value in at_start.items()},
        "p_enough_now": float((now > threshold).mean()),
        "p_gone": float(gone.mean()),
        **dict(zip(("gone_lower", "gone_median", "gone_upper"), map(float, of_gone), strict=True)),
        "regret_promote": promote,
        "regret_drop": drop,
        "cost": float(cost),
    }


def _where_gone(speed: np.ndarray, scales: np.ndarray, threshold: float) -> np.ndarray:
    """The first scale at which the speed-up is no longer above the threshold, linear in logs between scales."""
    if not len(speed):
        return np.empty(0)
    with np.errstate(divide="ignore"):
        logs = np.log(np.clip(speed, 1e-12, 1e12) / threshold)
    at = np.maximum((logs <= 0).argmax(1), 1)
    rows = np.arange(len(logs))
    before, after = logs[rows, at - 1], logs[rows, at]
    share = before / np.where(before > after, before - after, 1.0)
    log_x = np.log(scales)
    return np.exp(log_x[at - 1] + np.clip(share, 0, 1) * (log_x[at] - log_x[at - 1]))
