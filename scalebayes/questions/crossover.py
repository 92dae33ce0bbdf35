"""Will the order turn round? Decision risk, reversal risk, the first crossing, regret, and who is best at which scale."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from scalebayes.fits.averaging import Average, pooled_diagnostics
from scalebayes.fits.fit import Fit, check_prob, check_seed
from scalebayes.fits.many import Fleet
from scalebayes.inference.diagnostics import Diagnostics
from scalebayes.questions.along import (
    Together,
    along_draws,
    compared,
    ends_about,
    inverted,
    largest_scale,
    latent,
    latent_prior,
    parameters_of,
    side_by_side,
)
from scalebayes.questions.paths import Path
from scalebayes.questions.points import factor, number

_POINTS = 61
_FARTHER = 1e3  # beyond the target, in compute, a rival's loss is looked for
_HALVINGS = 50
ORDERED = 0.9


@dataclass(frozen=True, eq=False, repr=False)
class Crossover:
    """The answer of `crossover`.

    Parameters
    ----------
    table : pandas.DataFrame
        A row per group: p_best (of lowest loss at the target), expected_rank, loss at the target (mean, median, lower,
        upper), p_best_prior.
    pairs : pandas.DataFrame
        A row per pair a, b: p_a_ahead at the decision scale and at the target, reversal_risk, the four cells of the order at
        both (ahead_ahead, ahead_behind, behind_ahead, behind_behind: a's), p_cross, crossing_median, _lower, _upper (if it
        crosses before the target), none, once, twice, more (probabilities of so many crossings).
    curve : pandas.DataFrame
        Index the scale: the probability of each group to be best there, and p_crossed, that the winner and the rival have
        crossed by then.
    draws : xarray.DataArray
        Mean response, dims (sample, group, scale).
    winner, rival : str
        Ahead at the decision scale on the posterior's mean, and of the others the likeliest to be best at the target.
    contender : str
        Of the others the one that the winner is least surely ahead of at the decision scale; of two groups the rival.
    ordered : bool
        Whether the winner is ahead of the contender, and so of each other group, at the decision scale with probability .9 or more.
    p_ahead : float
        The probability that it is ahead of the contender.
    decision_risk, prior_decision_risk : float
        That another is better than the winner at the target by more than the margin; the same before the runs were seen.
    reversal_risk, p_cross_before_target : float
        Of winner and rival: that their order at the two scales differs; that it changes anywhere between.
    crossing_quantiles : mapping of float to float
        Of the scale of the first crossing, if there is one before the target.
    expected_regret : float
        Expected loss at the target above the best, for the winner; in units of the response. Far beyond the runs of a fit with
        drift or surface such means rest on few draws in a heavy tail, as those in ``table`` do; risks, medians and intervals
        do not.
    value_of_information : float
        What knowing the truth would save: expected regret of the group whose expected loss is lowest.
    gain : mapping of str to float
        The rival's compute-equivalent gain at the target: median, lower, upper of how many times the compute the winner would
        need for the rival's loss; p_undefined, that it does not reach it within so many times (``within``: 1e60 by the law alone;
        1000 for an average, with drift or surface, or along a path given as a function, where nothing below the decision scale is
        looked at either).
    axis, path : str
        What grows, and along what.
    at, to, margin : float
        Decision scale, target scale, and the loss below which two count as equal.
    extrapolation : float
        The target over the largest scale at which all groups were seen.
    by_law : mapping of str to float
        Decision risk under each fit of an average; empty where there is no average.
    prob : float
        Of the intervals.
    response : str
    diagnostics : Diagnostics
    """

    table: pd.DataFrame
    pairs: pd.DataFrame
    curve: pd.DataFrame
    draws: xr.DataArray
    winner: str
    rival: str
    contender: str
    ordered: bool
    p_ahead: float
    decision_risk: float
    prior_decision_risk: float
    reversal_risk: float
    p_cross_before_target: float
    crossing_quantiles: Mapping[float, float]
    expected_regret: float
    value_of_information: float
    gain: Mapping[str, float]
    axis: str
    path: str
    at: float
    to: float
    margin: float
    extrapolation: float
    by_law: Mapping[str, float]
    prob: float
    response: str
    diagnostics: Diagnostics

    def __str__(self) -> str:
        lines = [f"NOT CONVERGED: {'; '.join(self.diagnostics.problems)}."] if self.diagnostics.problems else []
        place, target = (f"{self.axis} = {number(scale)}" for scale in (self.at, self.to))
        if self.ordered:
            lines.append(f"{self.winner} leads at {place} (probability {self.p_ahead:.2f} against {self.contender}).")
        else:
            lines.append(
                f"Not yet ordered at {place}: {self.winner} is ahead of {self.contender} with probability {self.p_ahead:.2f} only."
            )
        equal = f" by more than {number(self.margin)}" if self.margin else ""
        lines.append(
            f"At {target} another is better than {self.winner}{equal} with probability {self.decision_risk:.2f} "
            f"(decision risk; {self.prior_decision_risk:.2f} before the runs were seen)."
        )
        if abs(self.decision_risk - 0.5) < 0.2 and len(self.table) == 2:
            lines.append("Which of the two is better there cannot be told from these runs.")
        crossing = f"{self.winner} and {self.rival} cross before it with probability {self.p_cross_before_target:.2f}"
        if self.crossing_quantiles:
            low, median, high = self.crossing_quantiles.values()
            crossing += f"; if so first at {number(median)} ({100 * self.prob:g}% {number(low)} to {number(high)})"
        lines.append(f"{crossing}; their order at the two scales differs with probability {self.reversal_risk:.2f}.")
        lines.append(
            f"Choosing {self.winner} costs {number(self.expected_regret)} of {self.response} in expectation; knowing the "
            f"truth would save {number(self.value_of_information)}."
        )
        lines.append(self._gain())
        best = ", ".join(f"{row['group']} {row['p_best']:.2f}" for row in self.table.to_dict("records"))
        lines.append(f"Best at {target}: {best}.")
        if self.by_law:
            lines.append("Decision risk by law: " + ", ".join(f"{k} {v:.2f}" for k, v in self.by_law.items()) + ".")
        reach = f"extrapolates {factor(self.extrapolation)} beyond" if self.extrapolation > 1 else "within"
        return "\n".join([*lines, f"({reach} the runs of all groups, along {self.path}; {self.diagnostics})"])

    __repr__ = __str__

    def _gain(self) -> str:
        gain = self.gain
        never = (
            "never reaches"
            if gain["within"] > 1e6
            else f"does not within {number(gain['within'])} times the {self.axis} reach"
        )
        if not np.isfinite(gain["median"]):
            return (
                f"{self.winner} more likely than not {never} {self.rival}'s {self.response} there "
                f"(probability {gain['p_undefined']:.2f})."
            )
        left = f"; it {never} it with probability {gain['p_undefined']:.2f}" if gain["p_undefined"] else ""
        return (
            f"{self.winner} would need {gain['median']:.3g} times the {self.axis} for {self.rival}'s {self.response} there "
            f"({100 * self.prob:g}% {gain['lower']:.3g} to {gain['upper']:.3g}{left})."
        )


def crossover(
    fit: Fit | Average | Mapping[str, Fit | Average] | Fleet,
    groups: Sequence[str] | None = None,
    *,
    axis: str,
    to: float,
    at: float | None = None,
    path: Mapping[str, float] | Callable | str | None = None,
    margin: float = 0.0,
    prob: float = 0.89,
    seed: int = 0,
) -> Crossover:
    r"""The risk that the group ahead at the scale of the runs is behind at a larger one.

    With f_k the mean response of group k along its path and w the group ahead on the posterior's mean at the decision
    scale x_o, a fixed choice, the decision risk at the target x_T is
    :math:`P(f_w(x_T) > \min_{k \ne w} f_k(x_T) + \rho)`. Everything is computed draw by draw from the joint posterior, with drift or
    surface if the fit has one. Two curves above floors may cross twice: the order at the two scales and any crossing
    between them are different questions, and both are answered.

    A change of schedule that all groups go through before the target, see `forecast`, is taken to leave their order alone.

    A fit says that groups differ by some amount, however little. Whether they differ at all is the question of
    ``average({"each": sb.fit(law, runs), "one": sb.fit(law, runs, pooling="shared")}, weights="loo")``; where one law does
    for all of them, the risk is one half.

    Parameters
    ----------
    fit : Fit or Average, or mapping of str to them, or Fleet
        Of two groups or more; or by name fits of one curve each, which are then taken to know nothing of each other (nor does
        the law that holds for one of them tell which holds for another). Groups that declare another tokenizer or evaluation
        are not comparable.
    groups : sequence of str, optional
        Some of its groups or names; all by default.
    axis : str
        What grows: an input of the law, or ``"C"`` for a law of N and D, FLOPs by C = 6 N D.
    to : float
        Target scale.
    at : float, optional
        Decision scale; by default the largest at which all groups were seen.
    path : mapping, "optimal" or Callable, optional
        For C, by default each group along its own compute-optimal path; else what is held, ``{"D/N": 20}``, ``{"N": 1e9}``, or a
        function of the scale to all inputs.
    margin : float
        :math:`\rho`, in units of the response: a smaller difference counts as none. Twice the standard deviation
        between seeds is a usual choice.
    prob : float
        Of the intervals.
    seed : int

    Returns
    -------
    Crossover

    Raises
    ------
    TypeError
        If something is no fit.
    ValueError
        If there are fewer than two groups, one is not there, of several fits one has groups or another response, the axis or
        path does not determine all inputs, the target lies not beyond the decision scale, the margin is negative, or the
        groups are not comparable.
    """
    check_prob(prob)
    check_seed(seed)
    sources, levels = compared(fit, groups)
    runs = sources[0].runs
    if not (isinstance(margin, Real) and np.isfinite(margin) and margin >= 0):
        raise ValueError(f"margin is a difference of {runs.response} from 0 on, got {margin!r}.")
    paths = [source.paths(axis, path) for source in sources]
    seen = min(largest_scale(source.runs, axis, level) for source in sources for level in source.levels)
    start = seen if at is None else at
    for name, scale in (("at", start), ("to", to)):
        if not (isinstance(scale, Real) and np.isfinite(scale) and scale > 0):
            raise ValueError(f"{name} is a positive finite {axis}, got {scale!r}.")
    if to <= start:
        raise ValueError(
            f"the target lies beyond the decision scale: to={number(to)}, at={number(start)}"
            f"{', the largest at which all groups were seen' if at is None else ''}."
        )
    beyond = np.geomspace(to, to * _FARTHER, 13)[1:]
    scales = np.concatenate([np.geomspace(start, to, _POINTS - len(beyond)), beyond])
    end = _POINTS - len(beyond) - 1

    drawn, before = (
        [source.drawn(lambda each, along, s=source, of=of, x=x: of(each, s.levels, along, x, seed), own)
         for source, own in zip(sources, paths, strict=True)]
        for of, x in ((latent, scales), (latent_prior, to))
    )  # fmt: skip
    f, kept = side_by_side([s.mixed(each) for s, each in zip(sources, drawn, strict=True)], seed)
    before, _ = side_by_side([s.mixed(each) for s, each in zip(sources, before, strict=True)], seed)
    first, last = f[:, :, 0], f[:, :, end]
    w = int(first.mean(0).argmin())
    p_best = _p_best(last)
    others = [k for k in range(len(levels)) if k != w]
    r = max(others, key=lambda k: (p_best[k], -last[:, k].mean()))
    plain = all(len(s.parts) == 1 and not s.parts[0][0].model.discrepancy for s in sources)
    alone = _exactly(sources, paths, kept) if plain else None
    pairs, crossings = [], {}
    for a, b in combinations(range(len(levels)), 2):
        found = _crossed(f[:, a, : end + 1] - f[:, b, : end + 1], scales[: end + 1], alone and (alone[a], alone[b]))
        crossings[a, b] = found
        pairs.append({"a": levels[a], "b": levels[b], **_order(first[:, a] - first[:, b], last[:, a] - last[:, b]), **_summed(*found, prob)})  # fmt: skip
    pairs_table = pd.DataFrame(pairs)
    of_both = min(w, r), max(w, r)
    own, (where, _) = pairs_table.iloc[list(crossings).index(of_both)], crossings[of_both]
    leads = {k: _before(first[:, w] - first[:, k]).mean() for k in others}
    # Of two that are as likely, the one that matters at the target.
    contender = min(leads, key=lambda k: (leads[k], k != r))
    ahead = float(leads[contender])
    table = pd.DataFrame(_by_group(levels, last, p_best, _p_best(before), prob))
    curve = pd.DataFrame({level: _p_best(f[:, :, : end + 1])[i] for i, level in enumerate(levels)}, index=pd.Index(scales[: end + 1], name=axis))  # fmt: skip
    curve["p_crossed"] = [(where <= scale).mean() for scale in scales[: end + 1]]
    regret = (last - last.min(1, keepdims=True)).mean(0)
    invertible = alone[w] if alone and not callable(path) else None
    draws = xr.DataArray(
        f[:, :, : end + 1],
        {"group": list(levels), "scale": scales[: end + 1]},
        ("sample", "group", "scale"),
        name=runs.response,
    )
    return Crossover(
        table=table, pairs=pairs_table, curve=curve, draws=draws, winner=levels[w], rival=levels[r],
        contender=levels[contender], ordered=ahead >= ORDERED, p_ahead=ahead, decision_risk=_risk(last, w, margin), prior_decision_risk=_risk(before, w, margin),
        reversal_risk=float(own["reversal_risk"]), p_cross_before_target=float(own["p_cross"]),
        crossing_quantiles=_quantiles(where, prob), expected_regret=float(regret[w]), value_of_information=float(regret.min()),
        gain=_equivalent(invertible, f[:, w], f[:, r, end], scales, to, prob), axis=axis,
        path="; ".join(dict.fromkeys(of[0].said for of in paths)), at=float(start), to=float(to),
        margin=float(margin), extrapolation=float(to / seen),
        by_law=_by_law(sources, [[each[:, :, end] for each in own] for own in drawn], w, margin, seed),
        prob=prob, response=runs.response, diagnostics=pooled_diagnostics([s.fit.diagnostics for s in sources]),
    )  # fmt: skip


def _by_law(
    sources: Sequence[Together], last: Sequence[Sequence[np.ndarray]], w: int, margin: float, seed: int
) -> dict[str, float]:
    """Decision risk under each law that has weight, if all groups are averaged over the same laws."""
    names = [
        [] if isinstance(s.fit, Fit) else [name for name, weight in s.fit.weights.items() if weight > 0]
        for s in sources
    ]
    if not names[0] or any(other != names[0] for other in names):
        return {}
    of_laws = zip(names[0], zip(*last, strict=True), strict=True)
    return {name: _risk(side_by_side(each, seed)[0], w, margin) for name, each in of_laws}


def _p_best(f: np.ndarray) -> np.ndarray:
    """Share of draws in which each group (second axis) is lowest; ties are divided."""
    lowest = f == f.min(1, keepdims=True)
    return (lowest / lowest.sum(1, keepdims=True)).mean(0)


def _risk(f: np.ndarray, w: int, margin: float) -> float:
    if not margin:
        return float(1 - _p_best(f)[w])
    return float((f[:, w] > np.delete(f, w, axis=1).min(1) + margin).mean())


def _before(delta: np.ndarray) -> np.ndarray:
    """1 where a difference is negative; a tie counts half."""
    return (delta < 0) + 0.5 * (delta == 0)


def _order(first: np.ndarray, last: np.ndarray) -> dict[str, float]:
    """Of a - b: who is ahead at the decision scale and at the target; a draw that is tied is half a's, half b's."""
    same = (first == 0) & (last == 0)  # is no reversal, whoever is ahead
    orders = {"ahead": _before(first), "behind": _before(-first)}, {"ahead": _before(last), "behind": _before(-last)}
    cells = {
        f"{one}_{other}": np.where(same, 0.5 * (one == other), at_first * at_last).mean()
        for one, at_first in orders[0].items()
        for other, at_last in orders[1].items()
    }
    return {
        "p_a_ahead": orders[0]["ahead"].mean(), "p_a_ahead_at_target": orders[1]["ahead"].mean(),
        "reversal_risk": cells["ahead_behind"] + cells["behind_ahead"], **cells,
    }  # fmt: skip


def _crossed(
    delta: np.ndarray, scales: np.ndarray, exact: tuple[Callable, Callable] | None
) -> tuple[np.ndarray, np.ndarray]:
    """Scale of the first change of sign, infinite if there is none, and the number of changes, for each draw."""
    signs = np.sign(delta)
    # Where two curves meet on a point of the grid, what counts is on which side they were before.
    last = np.maximum.accumulate(np.where(signs != 0, np.arange(signs.shape[1]), 0), axis=1)
    signs = np.take_along_axis(signs, last, axis=1)
    changes = signs[:, :-1] * signs[:, 1:] < 0
    count, at = changes.sum(1), changes.argmax(1)
    where, every, logs = np.full(len(delta), np.inf), np.arange(len(delta)), np.log(scales)
    rows = np.flatnonzero(count)
    low, high = logs[at], logs[at + 1]
    d_low, d_high = delta[every, at], delta[every, at + 1]
    # Of all draws, those that do not cross too: one shape, compiled once.
    with np.errstate(divide="ignore", invalid="ignore"):
        root = low + (high - low) * d_low / (d_low - d_high)
    if exact is not None and len(rows):
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            f_a, f_b = (of_level(np.exp(middle)) for of_level in exact)
            same = np.sign(f_a - f_b) == np.sign(d_low)
            low, high = np.where(same, middle, low), np.where(same, high, middle)
        root = (low + high) / 2
    where[rows] = np.exp(root[rows])
    return where, count


def _exactly(
    sources: Sequence[Together], paths: Sequence[Sequence[Path]], kept: Sequence[np.ndarray]
) -> list[Callable]:
    """Of each group the mean response of every draw, each at a scale of its own."""
    every = []
    for source, (path,), rows in zip(sources, paths, kept, strict=True):
        ((fit, _),) = source.parts
        for level in source.levels:
            theta = {name: value[rows] for name, value in parameters_of(fit, level).items()}
            every.append(along_draws(fit.model.law, path, theta))
    return every


def _summed(where: np.ndarray, count: np.ndarray, prob: float) -> dict[str, float]:
    quantiles = list(_quantiles(where, prob).values()) or [np.nan] * 3
    found: dict[str, Any] = {"p_cross": np.isfinite(where).mean()}
    found |= dict(zip(("crossing_lower", "crossing_median", "crossing_upper"), quantiles, strict=True))
    return found | {"none": (count == 0).mean(), "once": (count == 1).mean(), "twice": (count == 2).mean(), "more": (count > 2).mean()}  # fmt: skip


def _quantiles(where: np.ndarray, prob: float) -> dict[float, float]:
    finite = where[np.isfinite(where)]
    levels = ((1 - prob) / 2, 0.5, (1 + prob) / 2)
    return {round(q, 6): float(np.quantile(finite, q)) for q in levels} if len(finite) else {}


def _by_group(levels, last: np.ndarray, p_best: np.ndarray, p_prior: np.ndarray, prob: float) -> list[dict[str, Any]]:
    apart = last[:, None, :] - last[:, :, None]
    ranks = _before(apart).sum(2) + 0.5  # of itself each is half before
    lower, median, upper = np.quantile(last, [(1 - prob) / 2, 0.5, (1 + prob) / 2], axis=0)
    return [
        {"group": level, "p_best": p_best[k], "expected_rank": ranks[:, k].mean(), "mean": last[:, k].mean(), "median": median[k],
         "lower": lower[k], "upper": upper[k], "p_best_prior": p_prior[k]}
        for k, level in enumerate(levels)
    ]  # fmt: skip


def _equivalent(
    exact: Callable | None, winner: np.ndarray, wanted: np.ndarray, scales: np.ndarray, to: float, prob: float
) -> dict[str, float]:
    """How many times the scale the winner needs for the rival's loss at the target; infinite where it never gets there."""
    rows = np.arange(len(winner))
    if exact is not None:
        gain = inverted(exact, wanted, ends_about(to)) / to
        never = np.isinf(gain)
    else:
        reached, logs = winner <= wanted[:, None], np.log(scales)
        at, never = reached.argmax(1), ~reached.any(1)
        before = np.maximum(at - 1, 0)
        high, low = winner[rows, before], winner[rows, at]
        share = np.where(high > low, (high - wanted) / np.where(high > low, high - low, 1.0), 0.0)
        scale = np.where(at == 0, logs[0], logs[before] + (logs[at] - logs[before]) * np.clip(share, 0, 1))
        gain = np.where(never, np.inf, np.exp(scale - np.log(to)))
    lower, median, upper = np.quantile(gain, [(1 - prob) / 2, 0.5, (1 + prob) / 2], method="nearest")
    within = _FARTHER if exact is None else np.exp(ends_about(1.0)[1])
    found = {"median": median, "lower": lower, "upper": upper, "p_undefined": never.mean(), "within": within}
    return {name: float(value) for name, value in found.items()}
