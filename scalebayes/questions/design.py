"""Designs: which set of affordable runs to train next, together, by how much it is expected to reduce a goal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd

from scalebayes.arguments import check_positive, check_seed, is_whole, quoted
from scalebayes.fits.fit import Fit
from scalebayes.inference.diagnostics import Diagnostics
from scalebayes.model import Model
from scalebayes.model.prediction import Points, parameters_of, predict
from scalebayes.notebook import shown
from scalebayes.questions.candidates import costed, points_by_group
from scalebayes.questions.groups import check_comparable, check_one
from scalebayes.questions.points import Points as Given
from scalebayes.questions.points import points_of, read_points
from scalebayes.questions.wording import number, plain, sentences, where

_MOST_DRAWS = 2000
_OUTCOMES = 400
_SHOWN = 12
_SMALL = 1e-12
_ALMOST = 0.05  # share of the reduction that the last runs may add, to be named as hardly needed
_MOST_STARTS, _MOST_EXCHANGES, _MOST_PAIRS = 60, 600, 12


@dataclass(frozen=True, eq=False, repr=False)
class Design:
    """The answer of `design`.

    Parameters
    ----------
    table : pandas.DataFrame
        The chosen runs, in the order in which they were chosen: group (if there are groups), the inputs, candidate (the
        label of its row), cost, and after, the uncertainty expected once it and those before it are known.
    goal : {"width", "decision"}
    now, after : float
        The uncertainty now and once all chosen runs are known: the root mean square of the standard deviations of the
        targets in logs (on the observation's scale), or the expected regret in units of the response.
    least : float
        No affordable set is expected to leave less, if runs say less the more others are known.
    cost, budget : float
        FLOPs of the chosen runs, and those that could be spent.
    affordable : int
        Number of candidates that the budget pays for by themselves.
    inputs : tuple of str
    response : str
    diagnostics : Diagnostics
    """

    table: pd.DataFrame
    goal: str
    now: float
    after: float
    least: float
    cost: float
    budget: float
    affordable: int
    inputs: tuple[str, ...]
    response: str
    diagnostics: Diagnostics

    def __str__(self) -> str:
        what = "expected regret" if self.goal == "decision" else "the standard deviation at the targets, in logs,"
        n = len(self.table)
        lines = [
            f"Train {n} run{'s' * (n != 1)} for {number(self.cost)} of {number(self.budget)} FLOPs: {what} is expected "
            f"to fall from {number(self.now)} to {number(self.after)}; no affordable set leaves less than "
            f"{number(self.least)}."
        ]
        lines += self._most()
        if self.after >= (1 - 1e-3) * self.now:
            lines = [
                f"No run that {number(self.budget)} FLOPs pay for is expected to reduce it: {what} {number(self.now)}."
            ]
        for row in self.table.head(_SHOWN).to_dict("records"):
            group = f"{row['group']} at " if "group" in row else ""
            point = where({name: row[name] for name in self.inputs})
            lines.append(f"  {group}{point}: {number(row['cost'])} FLOPs, then {number(row['after'])}.")
        if n > _SHOWN:
            lines.append(f"  ... and {n - _SHOWN} more, in .table.")
        return sentences(self.diagnostics, lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return shown(str(self), self.table)

    def _most(self) -> list[str]:
        """A sentence if the first few of the runs give almost all of the reduction."""
        left = self.table["after"].to_numpy(float)
        if len(left) < 2:
            return []
        k = int((left - self.after <= _ALMOST * (self.now - self.after)).argmax()) + 1
        if k == len(left):
            return []
        spent = number(float(self.table["cost"].iloc[:k].sum()))
        return [f"The first {f'{k} give' if k > 1 else 'one gives'} 95% of that for {spent} FLOPs."]

    def to_dict(self) -> dict[str, Any]:
        """The table as nested dictionaries of numbers and strings."""
        names = ("goal", "now", "after", "least", "cost", "budget", "affordable", "response")
        found = {name: getattr(self, name) for name in names}
        return plain({**found, "runs": self.table, "converged": not self.diagnostics.problems})


def design(
    fit: Fit,
    *,
    candidates: pd.DataFrame,
    budget: float,
    at: Given,
    goal: Literal["width", "decision"] = "width",
    most: int | None = None,
    seed: int = 0,
) -> Design:
    r"""Choose the set of affordable runs that most reduces an uncertainty, all of them before any is trained.

    The mean responses of targets and candidates are taken as jointly normal, with the covariance of their posterior
    draws. A run adds the noise of the observation. Given the runs S, the covariance of the targets is

    .. math:: \Sigma_{TT} - \Sigma_{TS} (\Sigma_{SS} + N_S)^{-1} \Sigma_{ST}.

    Runs are added one by one, by the reduction of the goal and by the reduction per FLOP, from nothing and (of at most
    60 candidates) from each of them; the best set counts (Krause and Guestrin 2005, tech. rep. CMU-CALD-05-103), and is
    improved by exchanging runs where there are few. The bound on what any affordable
    set leaves adds, to what the chosen runs gain, the largest further gains that the whole budget could buy: it holds
    where the gain of a run does not grow with what is known.

    Parameters
    ----------
    fit : Fit
    candidates : pandas.DataFrame
        As in `next_run`: one row per run that could be trained, each at most once.
    budget : float
        FLOPs for all of them.
    at : mapping, pandas.DataFrame or xarray.Dataset
        The targets: points as in `forecast`. For ``"decision"`` one point of each group.
    goal : {"width", "decision"}
        The variance of the targets' mean responses in logs, averaged; or the expected regret of the best choice among
        the targets' groups.
    most : int, optional
        Most runs to choose.
    seed : int
        Random seed of drifts and surfaces.

    Returns
    -------
    Design

    Raises
    ------
    TypeError
        If it is no single fit, or the candidates are no DataFrame.
    ValueError
        If a candidate has no cost or group, none is affordable, or the targets of a decision are not of several groups.

    Examples
    --------
    With the fit of `fit`'s example:

    >>> import pandas as pd
    >>> candidates = pd.DataFrame({"family": "Pythia", "C": [1e21, 1e22, 3e22, 1e23]})
    >>> chosen = sb.design(fit, candidates=candidates, budget=4e22, at={"C": 1e24, "family": "Pythia"})
    >>> chosen.cost <= 4e22, chosen.after < chosen.now
    (True, True)
    """
    check_seed(seed)
    check_one(fit, "a design")
    check_positive(budget, "budget", "number of FLOPs")
    if goal not in ("width", "decision"):
        raise ValueError(f"goal is 'width' or 'decision', got {quoted(goal)}.")
    if most is not None and not is_whole(most, 1):
        raise ValueError(f"most is a whole number from 1 on, got {quoted(most)}.")
    points = costed(fit, candidates, budget)
    joint = _joint(fit, points, _targets(fit, at, goal), goal, seed)
    cost = points["cost"].to_numpy(float)
    order, left = _chosen(joint, cost, float(budget), most or len(points), goal)
    now = _uncertainty(joint, [], goal)
    bound = _bound(joint, order, cost, float(budget), left[-1] if left else now, now, goal)
    table = points.iloc[order].assign(after=left).reset_index(drop=True)
    return Design(
        table,
        goal,
        now,
        left[-1] if left else now,
        bound,
        float(cost[order].sum()),
        float(budget),
        len(points),
        tuple(fit.model.runs.inputs),
        fit.model.runs.response,
        fit.diagnostics,
    )


class _Joint(NamedTuple):
    """Targets and candidates as jointly normal."""

    mean: np.ndarray  # of the targets, lower is better
    of_targets: np.ndarray  # covariance (target, target)
    across: np.ndarray  # covariance (target, candidate)
    of_candidates: np.ndarray  # covariance (candidate, candidate)
    noise: np.ndarray  # variance of a new run about its mean, (candidate,)
    z: np.ndarray  # normal numbers (outcome, target), for expected regrets


def _targets(fit: Fit, at: Given, goal: str) -> pd.DataFrame:
    runs = fit.model.runs
    points = read_points(fit.model, at)
    if runs.group and runs.group_name not in points:
        points = points.merge(pd.DataFrame({runs.group_name: runs.levels}), how="cross")
    if goal == "decision":
        levels = points[runs.group_name].tolist() if runs.group else []
        if len(levels) < 2 or len(set(levels)) < len(levels):
            raise ValueError(f"a decision is between one point of each of several groups, got {len(points)} points.")
        check_comparable({level: (runs, level) for level in levels}, fit.model.across_evaluations)
    return points


def _joint(fit: Fit, candidates: pd.DataFrame, targets: pd.DataFrame, goal: str, seed: int) -> _Joint:
    """Means, covariances and noise from the draws; targets of a decision on the natural scale, others in logs."""
    model, runs = fit.model, fit.model.runs
    thin = max(1, -(-fit.posterior.sizes["chain"] * fit.posterior.sizes["draw"] // _MOST_DRAWS))
    draws = fit.posterior.isel(draw=slice(None, None, thin))
    forward = model.observation.scale.forward
    samples = draws.sizes["chain"] * draws.sizes["draw"]
    f, y = np.empty((samples, len(targets))), np.empty((samples, len(candidates)))
    noise = np.empty(len(candidates))
    named = targets.rename(columns={runs.group_name: "group"}) if runs.group else targets
    for level, (of_targets, of_candidates) in points_by_group(runs, [named, candidates]).items():
        parts = [
            points_of(model, table.iloc[rows], level, new_runs=new) if len(rows) else None
            for table, rows, new in ((named, of_targets, False), (candidates, of_candidates, True))
        ]
        x = {n: np.concatenate([p.x[n] for p in parts if p is not None]) for n in runs.inputs}
        mean = predict(model, draws, Points(x, cost=_costs(parts)), level, seed=seed, new_runs=False).mean
        first, second = mean[:, : len(of_targets)], mean[:, len(of_targets) :]
        f[:, of_targets] = runs.sign * first if goal == "decision" else forward(first)
        y[:, of_candidates] = forward(second)
        if parts[1] is not None:
            noise[of_candidates] = _noise(model, draws, level, second, parts[1])
    both = np.cov(np.concatenate([f, y], axis=1), rowvar=False)
    t = len(targets)
    z = np.random.default_rng(seed).standard_normal((_OUTCOMES, t))
    return _Joint(f.mean(0), both[:t, :t], both[:t, t:], both[t:, t:], noise, z)


def _costs(parts: Sequence[Points | None]) -> np.ndarray | None:
    given = [part.cost for part in parts if part is not None]
    return None if any(cost is None for cost in given) else np.concatenate([c for c in given if c is not None])


def _noise(model: Model, draws: Any, level: str | None, mean: np.ndarray, at: Points) -> np.ndarray:
    """The variance of a new run about its mean, on the observation's scale."""
    observation, found = model.observation, parameters_of(model, draws, level)
    values = {name: found[name][:, None] for name in observation.priors()}
    if observation.sd is not None:
        sd = np.asarray(observation.sd(mean, values, at.columns))
        return np.broadcast_to((sd**2).mean(0), mean.shape[1:])
    drawn = observation.draw(mean, values, at.columns, np.random.default_rng(0))
    forward = observation.scale.forward
    low, high = np.quantile(forward(drawn) - forward(mean), [0.16, 0.84], axis=0)
    return ((high - low) / 2) ** 2


def _uncertainty(joint: _Joint, chosen: Sequence[int], goal: str) -> float:
    """What is left once the chosen runs are known."""
    left, gained = _left(joint, list(chosen))
    if goal == "width":
        return float(np.sqrt(max(np.trace(left), 0.0) / len(left)))
    return _regret(joint, gained)


def _left(joint: _Joint, chosen: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """The covariance of the targets that is left, and the part that is explained."""
    if not chosen:
        return joint.of_targets, np.zeros_like(joint.of_targets)
    among = joint.of_candidates[np.ix_(chosen, chosen)] + np.diag(joint.noise[chosen])
    across = joint.across[:, chosen]
    gained = across @ np.linalg.solve(among, across.T)
    return joint.of_targets - gained, gained


def _regret(joint: _Joint, gained: np.ndarray) -> float:
    """The expected regret that is left: of the best mean over its distribution, less that of the best target."""
    best = _expected_best(joint, joint.of_targets)
    return float(max(_expected_best(joint, gained) - best, 0.0))


def _expected_best(joint: _Joint, covariance: np.ndarray) -> float:
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    z = np.concatenate([joint.z, -joint.z])  # in pairs: no covariance gives the best mean itself
    return float((joint.mean + z @ root.T).min(1).mean())


def _chosen(joint: _Joint, cost: np.ndarray, budget: float, most: int, goal: str) -> tuple[list[int], list[float]]:
    """The best of several greedy sets, by gain and by gain per cost, improved by exchanges while there are few runs."""
    starts: list[list[int]] = [[]] + [[i] for i in range(len(cost)) if len(cost) <= _MOST_STARTS]
    found = [
        _greedily(joint, cost, budget, most, goal, per_cost, start) for start in starts for per_cost in (True, False)
    ]
    order = min(found, key=lambda each: _uncertainty(joint, each, goal))
    if len(order) * len(cost) <= _MOST_EXCHANGES:
        order = _exchanged(joint, order, cost, budget, most, goal)
    order = _greedily(joint, cost, budget, len(order), goal, False, [], order)  # the most telling first
    return order, [_uncertainty(joint, order[: k + 1], goal) for k in range(len(order))]


def _greedily(
    joint: _Joint,
    cost: np.ndarray,
    budget: float,
    most: int,
    goal: str,
    per_cost: bool,
    start: Sequence[int],
    among_only: Sequence[int] | None = None,
) -> list[int]:
    """A set that grows from a start by the run of the largest gain, or gain per cost, that is still affordable."""
    # Covariances given the runs chosen so far, updated run by run.
    across, among = joint.across.copy(), joint.of_candidates.copy()
    gained, spent = np.zeros_like(joint.of_targets), 0.0
    order: list[int] = []
    free = np.ones(len(cost), bool) if among_only is None else np.isin(np.arange(len(cost)), among_only)
    least = 1e-9 * max(_uncertainty(joint, [], goal) ** (2 if goal == "width" else 1), _SMALL)
    while len(order) < most:
        rows = np.flatnonzero(free & (cost <= (budget - spent) * (1 + 1e-12)))
        if not len(rows):
            break
        step = across[:, rows] / np.sqrt(np.maximum(among[rows, rows] + joint.noise[rows], _SMALL))
        if len(order) < len(start):
            best = int(np.flatnonzero(rows == start[len(order)])[0])
        else:
            gains = _gains(joint, gained, step, goal)
            best = int((gains / cost[rows] if per_cost else gains).argmax())
            if gains[best] <= least and among_only is None:
                break
        i = int(rows[best])
        gained = gained + np.outer(step[:, best], step[:, best])
        column = among[:, i] / np.sqrt(max(among[i, i] + joint.noise[i], _SMALL))
        across = across - np.outer(step[:, best], column)
        among = among - np.outer(column, column)
        free[i] = False
        spent += cost[i]
        order.append(i)
    return order


def _exchanged(joint: _Joint, order: list[int], cost: np.ndarray, budget: float, most: int, goal: str) -> list[int]:
    """The set with runs exchanged, one or two for one, and added, as long as that leaves less."""
    left = _uncertainty(joint, order, goal)
    for _ in range(2 * len(order) + 2):
        others = [j for j in range(len(cost)) if j not in order]
        moves = [
            [*(i for i in order if i not in out), *into] for out in _up_to_two(order) for into in _up_to_two(others)
        ]
        fits = [m for m in moves if 0 < len(m) <= most and cost[m].sum() <= budget * (1 + 1e-12) and m != order]
        if not fits:
            return order
        best = min(fits, key=lambda m: _uncertainty(joint, m, goal))
        after = _uncertainty(joint, best, goal)
        if after >= left * (1 - 1e-9):
            return order
        order, left = best, after
    return order


def _up_to_two(rows: Sequence[int]) -> list[tuple[int, ...]]:
    return [(), *((i,) for i in rows), *(combinations(rows, 2) if len(rows) <= _MOST_PAIRS else ())]


def _gains(joint: _Joint, gained: np.ndarray, step: np.ndarray, goal: str) -> np.ndarray:
    """By how much each run reduces the goal: variances are added up, so that gains of a width diminish."""
    if goal == "width":
        return (step**2).sum(0)
    before = _regret(joint, gained)
    return np.array([before - _regret(joint, gained + np.outer(s, s)) for s in step.T])


def _bound(
    joint: _Joint, order: list[int], cost: np.ndarray, budget: float, left: float, now: float, goal: str
) -> float:
    """What no affordable set is expected to undercut, by the further gains that the budget could buy."""
    candidates = [_further(joint, chosen, cost, budget, goal) for chosen in ([], order)]
    if goal == "width":
        n = len(joint.of_targets)
        variances = [n * now**2 - candidates[0], n * left**2 - candidates[1]]
        return float(np.sqrt(max(*variances, 0.0) / n))
    return float(max(now - candidates[0], left - candidates[1], 0.0))


def _further(joint: _Joint, chosen: list[int], cost: np.ndarray, budget: float, goal: str) -> float:
    """The largest sum of single gains, given some runs, of a set that the budget pays for, with shares of runs."""
    across, among = joint.across, joint.of_candidates
    if chosen:
        known = among[np.ix_(chosen, chosen)] + np.diag(joint.noise[chosen])
        solved = np.linalg.solve(known, among[chosen])
        across = across - across[:, chosen] @ solved
        variance = np.diag(among) - (among[chosen] * solved).sum(0)
    else:
        variance = np.diag(among)
    step = across / np.sqrt(np.maximum(variance + joint.noise, _SMALL))
    gains = np.maximum(_gains(joint, _left(joint, chosen)[1], step, goal), 0.0)
    gains[chosen] = 0.0
    order = np.argsort(-gains / cost)
    spent = np.cumsum(cost[order])
    shares = np.clip((budget - (spent - cost[order])) / cost[order], 0, 1)
    return float((gains[order] * shares).sum())
