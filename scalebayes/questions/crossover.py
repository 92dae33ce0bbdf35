"""The risk that the order of groups reverses at scale: decision risk, first crossing, regret, and who is best where."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from scalebayes.arguments import check_positive, check_prob, check_seed, quoted
from scalebayes.fits.averaging import Average, pooled_diagnostics
from scalebayes.fits.fit import Fit
from scalebayes.inference.diagnostics import Diagnostics
from scalebayes.notebook import shown
from scalebayes.questions import orders
from scalebayes.questions.along import (
    Together,
    along_draws,
    compared,
    mean_along,
    parameters_along,
    prior_along,
    settings_compared,
    side_by_side,
)
from scalebayes.questions.among import curves_among, named_groups
from scalebayes.questions.distance import in_inputs, with_distance
from scalebayes.questions.groups import Group
from scalebayes.questions.paths import Held, Path, largest_scale
from scalebayes.questions.wording import factor, number, plain, sentences

_POINTS = 61
ORDERED = 0.9
_SAID = (
    "winner",
    "rival",
    "contender",
    "ordered",
    "p_ahead",
    "decision_risk",
    "prior_decision_risk",
    "reversal_risk",
    "p_cross_before_target",
    "crossing_quantiles",
    "expected_regret",
    "value_of_information",
    "gain",
    "axis",
    "path",
    "start",
    "to",
    "margin",
    "extrapolation",
    "by_law",
    "prob",
    "response",
)


@dataclass(frozen=True, eq=False, repr=False)
class Crossover:
    """The answer of `crossover`.

    Parameters
    ----------
    table : pandas.DataFrame
        One row per group: p_best (probability of the best response at the target), expected_rank, response at the
        target (mean, median, lower, upper), p_best_prior.
    pairs : pandas.DataFrame
        One row per pair of groups a, b:

        - p_a_ahead and p_a_ahead_at_target: the probability that a is ahead, at the decision scale and at the target;
        - reversal_risk: the probability that the order at the two scales differs;
        - ahead_ahead, ahead_behind, behind_ahead, behind_behind: the probability that a is ahead or behind at the
          decision scale (first word) and at the target (second word);
        - p_cross, and crossing_median, crossing_lower, crossing_upper in the draws that cross before the target;
        - none, once, twice, more: the probability of this number of crossings.
    curve : pandas.DataFrame
        Indexed by the scale: the probability of each group to be best there, and p_crossed, the probability that winner
        and rival have crossed up to there.
    draws : xarray.DataArray
        Mean response, dims (sample, group, scale).
    among : pandas.DataFrame
        One row per group and scale among the runs, up to the decision scale: group, scale, and median, lower and upper
        of the mean response. Empty along a path given as a function, which need not be defined there.
    runs : pandas.DataFrame
        The runs of the groups: group, scale, response.
    winner, rival : str
        The winner has the best posterior mean at the decision scale. The rival is the other group that is most probably
        the best at the target.
    contender : str
        The other group that the winner is least surely ahead of at the decision scale; with two groups, the rival.
    ordered : bool
        Whether the winner is ahead of the contender, and so of every other group, at the decision scale with a
        probability of at least 0.9.
    p_ahead : float
        The probability that the winner is ahead of the contender at the decision scale.
    decision_risk, prior_decision_risk : float
        The probability that another group is better than the winner at the target by more than the margin, under the
        posterior and under the prior.
    reversal_risk, p_cross_before_target : float
        For winner and rival: the probability that their order at the two scales differs, and the probability that it
        changes anywhere in between.
    crossing_quantiles : mapping of float to float
        Quantiles of the scale of the first crossing, in the draws that cross before the target.
    expected_regret : float
        The expected difference between the winner's response at the target and the best one, in units of the response.
        Far beyond the runs of a fit with drift or surface, such means (also those in ``table``) rest on few draws in a
        heavy tail; risks, medians and intervals do not.
    value_of_information : float
        What knowing the truth would save: the expected regret of the group whose expected response is best.
    gain : mapping of str to float
        The rival's compute-equivalent gain at the target: the compute that the winner would need for the rival's
        response, divided by the compute of the target.

        - median, lower, upper of this ratio;
        - p_undefined: the probability that the winner does not reach that response within ``within`` times the target;
        - within: 1e60 for the law alone. It is 1000 for an average, with drift or surface, and along a path given as a
          function; scales below the decision scale are then not searched either.
    axis, unit, path : str
        The scale that grows, its unit (empty if it has none), and the path along which it grows.
    start, to, margin : float
        Decision scale, target scale, and the difference of responses below which two count as equal.
    extrapolation : float
        The target divided by the largest scale at which all groups have runs.
    by_law : mapping of str to float
        Decision risk under each fit of an average; empty without an average.
    prob : float
        Probability of the intervals.
    response : str
    diagnostics : Diagnostics
    """

    table: pd.DataFrame
    pairs: pd.DataFrame
    curve: pd.DataFrame
    draws: xr.DataArray
    among: pd.DataFrame
    runs: pd.DataFrame
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
    unit: str
    path: str
    start: float
    to: float
    margin: float
    extrapolation: float
    by_law: Mapping[str, float]
    prob: float
    response: str
    diagnostics: Diagnostics

    def __str__(self) -> str:
        lines = []
        place, target = (f"{self.axis} = {number(scale)}" for scale in (self.start, self.to))
        if self.ordered:
            lines.append(f"{self.winner} leads at {place} (probability {self.p_ahead:.2f} against {self.contender}).")
        else:
            lines.append(
                f"Not yet ordered at {place}: {self.winner} is ahead of {self.contender} with probability "
                f"{self.p_ahead:.2f} only."
            )
        equal = f" by more than {number(self.margin)}" if self.margin else ""
        lines.append(
            f"At {target} another is better than {self.winner}{equal} with probability {self.decision_risk:.2f} "
            f"(decision risk; {self.prior_decision_risk:.2f} before the runs were seen)."
        )
        if abs(self.decision_risk - 0.5) < 0.2 and len(self.table) == 2:
            lines.append("These runs do not show which of the two is better there.")
        crossing = f"{self.winner} and {self.rival} cross before it with probability {self.p_cross_before_target:.2f}"
        if self.crossing_quantiles:
            low, median, high = self.crossing_quantiles.values()
            crossing += f"; if so first at {number(median)} ({100 * self.prob:g}% {number(low)} to {number(high)})"
        lines.append(f"{crossing}; their order at the two scales differs with probability {self.reversal_risk:.2f}.")
        lines.append(
            f"Whoever chooses {self.winner} is expected to be {number(self.expected_regret)} of {self.response} away "
            f"from the best; who knew the truth would save {number(self.value_of_information)}."
        )
        lines.append(self._gain())
        best = ", ".join(f"{row['group']} {row['p_best']:.2f}" for row in self.table.to_dict("records"))
        lines.append(f"Best at {target}: {best}.")
        if self.by_law:
            lines.append("Decision risk by law: " + ", ".join(f"{k} {v:.2f}" for k, v in self.by_law.items()) + ".")
        reach = f"extrapolates {factor(self.extrapolation)} beyond" if self.extrapolation > 1 else "within"
        lines.append(f"({reach} the runs of all groups, along {self.path})")
        return sentences(self.diagnostics, lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return shown(str(self), self.table)

    def to_dict(self) -> dict[str, Any]:
        """Everything except the draws and the curve, as nested dictionaries of numbers and strings."""
        found = {name: getattr(self, name) for name in _SAID}
        found["crossing_quantiles"] = {f"{q:g}": value for q, value in self.crossing_quantiles.items()}
        return plain(
            {
                **found,
                "p_best": dict(zip(self.table["group"], self.table["p_best"], strict=True)),
                "groups": self.table,
                "pairs": self.pairs,
                "converged": not self.diagnostics.problems,
            }
        )

    def _gain(self) -> str:
        gain = self.gain
        never = (
            "never reaches"
            if gain["within"] > 1e6
            else f"does not reach, even with {number(gain['within'])} times the {self.axis},"
        )
        if not np.isfinite(gain["median"]):
            p = f"With probability {gain['p_undefined']:.2f}"
            return f"{p} {self.winner} {never} {self.rival}'s {self.response} there."
        left = f"; it {never} it with probability {gain['p_undefined']:.2f}" if gain["p_undefined"] else ""
        return (
            f"{self.winner} would need {gain['median']:.3g} times the {self.axis} for {self.rival}'s {self.response} "
            f"there ({100 * self.prob:g}% {gain['lower']:.3g} to {gain['upper']:.3g}{left})."
        )


def crossover(
    fit: Fit | Average | Mapping[str, Fit | Average],
    *,
    axis: str,
    to: float,
    groups: Sequence[Group] | Group | None = None,
    between: Mapping[str, Mapping[str, Any]] | None = None,
    start: float | None = None,
    path: Held = None,
    margin: float = 0.0,
    prob: float = 0.89,
    seed: int = 0,
) -> Crossover:
    r"""The risk that the group ahead at the scale of the runs is behind at a larger one.

    Let f_k be the mean response of group k along its path; where higher is better, f_k is its negative. Let w be the
    group with the best posterior mean at the decision scale x_o; this choice is fixed. The decision risk at the target
    x_T is

    .. math:: P(f_w(x_T) > \min_{k \ne w} f_k(x_T) + \rho).

    Everything is computed draw by draw from the joint posterior, with drift or surface if the fit has one. Two curves
    above floors may cross twice. The order at the two scales and a crossing between them are therefore different
    questions, and the answer gives both.

    A change of schedule (see `forecast`) that all groups go through before the target is assumed to keep their order.

    A fit with a law for each group always finds some difference, however small. Whether the groups differ at all is
    answered by the average of ``{"each": sb.fit(law, runs), "one": sb.fit(law, runs, pooling="shared")}`` with
    ``weights="bootstrap"``. Where one law is enough for all groups, the risk is 0.5.

    Parameters
    ----------
    fit : Fit or Average, or mapping of str to them, such as a Fleet
        One fit of two groups or more, or several fits of one curve each, by name. Several fits are treated as
        independent; with averages, the law that holds for one says nothing about the law that holds for another.
        Groups that declare different tokenizers or evaluations are not comparable.
    axis : str
        The scale that grows: a scale among the inputs of the law, or ``"C"`` for a law of N and D, FLOPs by C = 6 N D.
    to : float
        Target scale.
    groups : sequence of str or tuple, optional
        The groups, or the names of the fits, to compare; all by default.
    between : mapping of str to mapping, optional
        Settings of one group to compare instead, by name, each with the inputs that it holds:
        ``{"dense": {"X": 1}, "sparse": {"X": 64}}``.
    start : float, optional
        Decision scale; by default the largest scale at which all groups have runs.
    path : mapping, "optimal" or Callable, optional
        How the inputs grow. By default along C each group follows its own compute-optimal path. Else the values to
        hold, ``{"D/N": 20}`` or ``{"N": 1e9}``, or a function of the scale to all inputs.
    margin : float
        :math:`\rho`, in units of the response: a smaller difference counts as none. Twice the standard deviation
        between seeds is a usual choice.
    prob : float
        Probability of the intervals.
    seed : int
        Random seed of drifts and surfaces, and of the pairing of draws of several fits.

    Returns
    -------
    Crossover

    Raises
    ------
    TypeError
        If a value is not a fit.
    ValueError
        If there are fewer than two groups, or a group does not exist; if one of several fits has groups or another
        response; if axis and path do not determine all inputs; if the target does not lie beyond the decision scale; if
        the margin is negative; or if the groups are not comparable.

    Examples
    --------
    With the fit of `fit`'s example:

    >>> risk = sb.crossover(fit, axis="C", to=1e24, groups=["Cerebras-GPT", "Pythia"])
    >>> sorted([risk.winner, risk.rival]), 0 < risk.decision_risk < 1
    (['Cerebras-GPT', 'Pythia'], True)
    """
    check_prob(prob)
    check_seed(seed)
    sources, levels = compared(fit, groups) if between is None else settings_compared(fit, between, groups)
    runs = sources[0].runs
    if not (isinstance(margin, Real) and np.isfinite(margin) and margin >= 0):
        raise ValueError(f"margin is a difference of {runs.response} from 0 on, got {quoted(margin)}.")
    paths = [source.paths(axis, path) for source in sources]
    seen = min(largest_scale(source.runs, axis, level) for source in sources for level in source.levels)
    first_scale = _start(start, to, axis, seen)
    beyond = np.geomspace(to, to * orders.FARTHER, 13)[1:]
    scales = np.concatenate([np.geomspace(first_scale, to, _POINTS - len(beyond)), beyond])
    end = _POINTS - len(beyond) - 1
    drawn, before = (
        [
            source.drawn(lambda each, along, s=source, of=of, x=x: of(each, s.levels, along, x, seed), own)
            for source, own in zip(sources, paths, strict=True)
        ]
        for of, x in ((mean_along, scales), (prior_along, to))
    )
    response, kept = side_by_side([s.mixed(each) for s, each in zip(sources, drawn, strict=True)], seed)
    prior, _ = side_by_side([s.mixed(each) for s, each in zip(sources, before, strict=True)], seed)
    f, prior = runs.sign * response, runs.sign * prior  # lower is better
    first, last = f[:, :, 0], f[:, :, end]
    w = int(first.mean(0).argmin())
    p_best = orders.p_best(last)
    others = [k for k in range(len(levels)) if k != w]
    r = max(others, key=lambda k: (p_best[k], -last[:, k].mean()))
    exact = all(len(s.parts) == 1 and not s.parts[0][0].model.departs for s in sources)
    alone = _exactly(sources, paths, kept) if exact else None
    pairs, crossings = _pairs(levels, f[:, :, : end + 1], scales[: end + 1], alone, prob)
    of_both = min(w, r), max(w, r)
    own, where = pairs.iloc[list(crossings).index(of_both)], crossings[of_both]
    leads = {k: orders.before(first[:, w] - first[:, k]).mean() for k in others}
    # Of two groups with equal probability, the rival, which matters at the target.
    contender = min(leads, key=lambda k: (leads[k], k != r))
    regret = (last - last.min(1, keepdims=True)).mean(0)
    invertible = alone[w] if alone and not callable(path) else None
    return Crossover(
        table=pd.DataFrame(_by_group(levels, last, p_best, orders.p_best(prior), prob, runs.sign)),
        pairs=pairs,
        curve=_curve(f[:, :, : end + 1], where, levels, scales[: end + 1], axis),
        draws=xr.DataArray(
            response[:, :, : end + 1],
            {"group": list(levels), "scale": scales[: end + 1]},
            ("sample", "group", "scale"),
            name=runs.response,
        ),
        among=curves_among(sources, [] if callable(path) else paths, levels, axis, first_scale, prob, seed),
        runs=pd.concat([s.rows_along(axis, own) for s, own in named_groups(sources, levels)], ignore_index=True),
        winner=levels[w],
        rival=levels[r],
        contender=levels[contender],
        ordered=bool(leads[contender] >= ORDERED),
        p_ahead=float(leads[contender]),
        decision_risk=orders.risk(last, w, margin),
        prior_decision_risk=orders.risk(prior, w, margin),
        reversal_risk=float(own["reversal_risk"]),
        p_cross_before_target=float(own["p_cross"]),
        crossing_quantiles=orders.crossing_quantiles(where, prob),
        expected_regret=float(regret[w]),
        value_of_information=float(regret.min()),
        gain=orders.equivalent_gain(invertible, f[:, w], f[:, r, end], scales, to, prob),
        axis=axis,
        unit=sources[0].runs.unit(axis),
        path="; ".join(dict.fromkeys(of[0][0].said for of in paths)),
        start=first_scale,
        to=float(to),
        margin=float(margin),
        extrapolation=float(to / seen),
        by_law=_by_law(sources, [[runs.sign * each[:, :, end] for each in own] for own in drawn], w, margin, seed),
        prob=prob,
        response=runs.response,
        diagnostics=pooled_diagnostics(
            [with_distance(s.fit, in_inputs(s.runs, axis, float(to / seen))) for s in sources]
        ),
    )


def _start(start: float | None, to: float, axis: str, seen: float) -> float:
    """The decision scale, which lies below the target."""
    scale = check_positive(seen if start is None else start, "start", axis)
    check_positive(to, "to", axis)
    if to <= scale:
        raise ValueError(
            f"the target lies beyond the decision scale: to={number(to)}, start={number(scale)}"
            f"{', the largest at which all groups were seen' if start is None else ''}."
        )
    return scale


def _pairs(
    levels: Sequence[str], f: np.ndarray, scales: np.ndarray, alone: Sequence[Callable] | None, prob: float
) -> tuple[pd.DataFrame, dict[tuple[int, int], np.ndarray]]:
    """Order and crossings of every pair of groups, and the scale of the first crossing in each draw."""
    pairs, crossings = [], {}
    for a, b in combinations(range(len(levels)), 2):
        fa, fb = f[:, a], f[:, b]
        found = orders.crossings(fa - fb, scales, (alone[a], alone[b]) if alone else None)
        crossings[a, b] = found[0]
        order = orders.order_at_both(fa[:, 0] - fb[:, 0], fa[:, -1] - fb[:, -1])
        pairs.append({"a": levels[a], "b": levels[b], **order, **orders.summed(*found, prob)})
    return pd.DataFrame(pairs), crossings


def _curve(f: np.ndarray, where: np.ndarray, levels: Sequence[str], scales: np.ndarray, axis: str) -> pd.DataFrame:
    """The probability of each group to be best at each scale, and of a crossing of winner and rival up to there."""
    best = orders.p_best(f)
    curve = pd.DataFrame({level: best[i] for i, level in enumerate(levels)}, index=pd.Index(scales, name=axis))
    return curve.assign(p_crossed=[(where <= scale).mean() for scale in scales])


def _by_law(
    sources: Sequence[Together], last: Sequence[Sequence[np.ndarray]], w: int, margin: float, seed: int
) -> dict[str, float]:
    """Decision risk under each law with a positive weight, if all groups are averaged over the same laws."""
    names = [
        [] if isinstance(s.fit, Fit) else [name for name, weight in s.fit.weights.items() if weight > 0]
        for s in sources
    ]
    if not names[0] or any(other != names[0] for other in names):
        return {}
    of_laws = zip(names[0], zip(*last, strict=True), strict=True)
    return {name: orders.risk(side_by_side(each, seed)[0], w, margin) for name, each in of_laws}


def _exactly(
    sources: Sequence[Together], paths: Sequence[Sequence[Sequence[Path]]], kept: Sequence[np.ndarray]
) -> list[Callable]:
    """For each group a function of one scale per draw to the mean response, with the sign for which lower is better."""
    every = []
    for source, (of_levels,), rows in zip(sources, paths, kept, strict=True):
        ((fit, _),) = source.parts
        for level, path in zip(source.levels, of_levels, strict=True):
            theta = {name: value[rows] for name, value in parameters_along(fit, level).items()}
            every.append(_signed(along_draws(fit.model, path, theta), source.runs.sign))
    return every


def _signed(response: Callable[[np.ndarray], np.ndarray], sign: float) -> Callable[[np.ndarray], np.ndarray]:
    return lambda scale: sign * response(scale)


def _by_group(
    levels: Sequence[str], last: np.ndarray, p_best: np.ndarray, p_prior: np.ndarray, prob: float, sign: float
) -> list[dict[str, Any]]:
    apart = last[:, None, :] - last[:, :, None]
    ranks = orders.before(apart).sum(2) + 0.5  # each group counts half against itself
    lower, median, upper = np.quantile(sign * last, [(1 - prob) / 2, 0.5, (1 + prob) / 2], axis=0)
    return [
        {
            "group": level,
            "p_best": p_best[k],
            "expected_rank": ranks[:, k].mean(),
            "mean": sign * last[:, k].mean(),
            "median": median[k],
            "lower": lower[k],
            "upper": upper[k],
            "p_best_prior": p_prior[k],
        }
        for k, level in enumerate(levels)
    ]
