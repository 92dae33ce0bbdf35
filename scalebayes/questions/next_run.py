"""Which run to train next: by how much each candidate is expected to reduce an uncertainty that matters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from scalebayes.arguments import check_positive, check_prob, check_seed, is_whole, quoted
from scalebayes.fits.fit import Fit
from scalebayes.inference.diagnostics import Diagnostics
from scalebayes.model.prediction import Points, parameters_of
from scalebayes.notebook import shown
from scalebayes.questions.along import alongside
from scalebayes.questions.candidates import costed
from scalebayes.questions.distance import in_inputs, with_distance
from scalebayes.questions.groups import Group, check_comparable, check_group, check_levels, check_one
from scalebayes.questions.outcomes import weights_of
from scalebayes.questions.paths import Held, largest_scale, optimum, path_along
from scalebayes.questions.points import points_of
from scalebayes.questions.wording import number, plain, sentences, where

_FEWEST = 50  # effective draws that a simulated outcome has to leave
_NOTICED = 1e-3  # smallest share of the uncertainty that counts as a reduction
_UNITS = {"decision": "of expected regret", "width": "of the band's width in logs", "optimum": "of the sd of log N*"}


@dataclass(frozen=True, eq=False, repr=False)
class NextRun:
    """The answer of `next_run`.

    Parameters
    ----------
    table : pandas.DataFrame
        One row per candidate, the best first:

        - group (if there are groups), the inputs, candidate (the label of its row), and cost (FLOPs);
        - before: the uncertainty now; after: the uncertainty expected once the run is known;
        - reduction, its Monte Carlo error se, and per_flop;
        - risk_after: the expected decision risk, for the goal "decision";
        - effective: the effective number of draws given an outcome (the median over outcomes). A small number means
          that the run would teach more than the draws can resolve.
    goal : str
    now : float
        The uncertainty now: expected regret in units of the response, width of the band in logs, or sd of log N*.
    inputs : tuple of str
        Names of the inputs.
    response : str
        Name of the response.
    diagnostics : Diagnostics
    """

    table: pd.DataFrame
    goal: str
    now: float
    inputs: tuple[str, ...]
    response: str
    diagnostics: Diagnostics

    def __str__(self) -> str:
        lines = []
        best = self.table.iloc[0]
        cheap = self.table.iloc[int(self.table["per_flop"].to_numpy().argmax())]
        lines.append(f"Now: {number(self.now)} {_UNITS[self.goal]}.")
        if best["reduction"] <= _NOTICED * self.now:
            none = f"None of these {len(self.table)} candidates is" if len(self.table) > 1 else "This candidate is not"
            then = ": a single such run would hardly change the choice" if self.goal == "decision" else ""
            return sentences(self.diagnostics, [*lines, f"{none} expected to reduce it{then}."])
        lines.append(
            f"{self.run_in_words(best)} would reduce it most, by {number(best['reduction'])} +- {number(best['se'])} "
            f"to {number(best['after'])}, for {number(best['cost'])} FLOPs."
        )
        if cheap.name != best.name:
            lines.append(
                f"Most per FLOP: {self.run_in_words(cheap)}, by {number(cheap['reduction'])} +- {number(cheap['se'])} "
                f"for {number(cheap['cost'])}."
            )
        near = self.table.iloc[1:]
        tied = near[near["reduction"] + 2 * np.hypot(near["se"], best["se"]) > best["reduction"]]
        if len(tied):
            lines.append(
                f"{len(tied)} other candidate{'s' if len(tied) > 1 else ''} cannot be distinguished from the best."
            )
        if (self.table["effective"] < _FEWEST).any():
            lines.append(
                f"For {int((self.table['effective'] < _FEWEST).sum())} candidates an outcome leaves fewer than "
                f"{_FEWEST} effective draws: fit with more draws."
            )
        return sentences(self.diagnostics, lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return shown(str(self), self.table)

    def to_dict(self) -> dict[str, Any]:
        """The table as nested dictionaries of numbers and strings."""
        return plain(
            {
                "goal": self.goal,
                "now": self.now,
                "candidates": self.table,
                "converged": not self.diagnostics.problems,
            }
        )

    def run_in_words(self, row: pd.Series) -> str:
        """A row of the table in words: its group and inputs."""
        group = f"{row['group']} at " if "group" in row else ""
        return f"{group}{where({name: row[name] for name in self.inputs})}"


def next_run(
    fit: Fit,
    *,
    candidates: pd.DataFrame,
    goal: Literal["decision", "width", "optimum"],
    axis: str,
    to: float,
    groups: Sequence[Group] | Group | None = None,
    group: Group | None = None,
    path: Held = None,
    budget: float | None = None,
    outcomes: int = 200,
    prob: float = 0.89,
    seed: int = 0,
) -> NextRun:
    r"""Rank candidate runs by how much each is expected to reduce an uncertainty.

    For each candidate, outcomes y are drawn from the posterior predictive. Each outcome gives the posterior draws the
    weights :math:`p(y \mid \theta)`, and the uncertainty is computed again with them. This is nested Monte Carlo on the
    posterior's own draws; nothing is fitted again.

    For ``"decision"`` the uncertainty is the expected regret of the best choice at the target. Its reduction is the
    expected value of sample information, :math:`\min_k E f_k - E_y \min_k E[f_k \mid y]`.

    Parameters
    ----------
    fit : Fit
    candidates : pandas.DataFrame
        One row per run that could be trained: the inputs, by the law's names or the columns' names; the group's columns
        if there are groups; and ``cost`` in FLOPs. Without a column ``cost``, the cost is that of the fit's runs, by
        default 6 N D.
    goal : {"decision", "width", "optimum"}
        The uncertainty to reduce: which group is best at the target, the width of the band of one group's mean response
        there, or one group's N* at the budget ``to``.
    axis, to, path
        The target, see `crossover`. For ``"optimum"`` the axis is C.
    groups : sequence of str, optional
        The groups of the decision; all by default.
    group : str, optional
        The group of the width or the optimum.
    budget : float, optional
        Candidates with a higher cost are left out.
    outcomes : int
        Number of outcomes to simulate for each candidate.
    prob : float
        Probability of the band.
    seed : int
        Random seed of the outcomes, and of drifts and surfaces.

    Returns
    -------
    NextRun

    Raises
    ------
    ValueError
        If a candidate has no cost, no group or an unknown group, or if the target is not determined.

    Examples
    --------
    With the fit of `fit`'s example:

    >>> import pandas as pd
    >>> candidates = pd.DataFrame({"family": ["Cerebras-GPT", "Pythia"], "C": 1e23})
    >>> answer = sb.next_run(fit, candidates=candidates, goal="decision", axis="C", to=1e24)
    >>> len(answer.table), bool((answer.table["reduction"] >= 0).all())
    (2, True)
    """
    check_prob(prob)
    check_seed(seed)
    check_one(fit, "the next run")
    runs, model = fit.model.runs, fit.model
    if goal not in _UNITS:
        raise ValueError(f"goal is 'decision', 'width' or 'optimum', got {quoted(goal)}.")
    check_positive(to, "to", axis)
    if not is_whole(outcomes, 2):
        raise ValueError(f"two outcomes or more are simulated, got {quoted(outcomes)}.")
    if goal == "optimum" and (axis != "C" or set(runs.inputs) != {"N", "D"}):
        raise ValueError(
            f"an optimum is at a budget: axis='C', for a law of N and D; {model.name} has {', '.join(runs.inputs)}."
        )
    if (group is not None and goal == "decision") or (groups is not None and goal != "decision"):
        raise ValueError("groups= names the groups of a decision; group= names the one group of a width or an optimum.")
    if goal == "decision":
        levels: tuple = check_levels(runs, groups)
        check_comparable({level: (runs, level) for level in levels}, fit.model.across_evaluations)
    else:
        check_group(runs, group, False)
        levels = check_levels(runs, [group] if group is not None else None, fewest=1) if runs.group else (None,)
        if len(levels) != 1:
            raise ValueError(f"the {goal} is of one group; name it, group={levels[0]!r}.")
    points = costed(fit, candidates, budget)
    of_candidates = points["group"].tolist() if "group" in points else [None] * len(points)
    at_target, at_runs, known = [], np.empty((0, 0)), {}
    columns: dict[int, dict[str, float]] = {}
    for level in dict.fromkeys([*levels, *of_candidates]):
        rows = [i for i, of in enumerate(of_candidates) if of == level]
        along = path_along(model, axis, path, level)
        own = points_of(model, points.iloc[rows], level) if rows else Points({n: np.empty(0) for n in runs.inputs})
        there, response = alongside(fit, level, along, float(to), own, seed)
        if level in levels:
            at_target.append(there)
        at_runs = np.empty((len(there), len(points))) if not at_runs.size else at_runs
        at_runs[:, rows] = response
        known[level] = parameters_of(model, fit.posterior, level)
        columns |= {i: {role: of[j] for role, of in own.columns.items()} for j, i in enumerate(rows)}
    f = np.stack(at_target, 1)
    if goal == "optimum":
        theta = {name: known[levels[0]][name][:, None] for name in model.parameters}
        f = np.log(optimum(model, np.asarray([float(to)]), theta)[0])
    else:
        f = runs.sign * f if goal == "decision" else model.observation.scale.forward(f)
    rng, rows_ = np.random.default_rng(seed), []
    for i, level in enumerate(of_candidates):
        weights = weights_of(model, at_runs[:, i], known[level], columns[i], outcomes, rng)
        rows_.append(_learnt(f, weights, goal, prob) | {"effective": float(np.median(1 / (weights**2).sum(1)))})
    uniform = np.full((1, len(f)), 1 / len(f))
    now = _learnt(f, uniform, goal, prob)["after"]
    table = points.assign(before=now, **pd.DataFrame(rows_))
    # For a decision the expected loss is reduced; for the other goals the uncertainty itself.
    table["reduction"] = now - table["after"]
    # A reduction that is only rounding error is zero.
    table.loc[table["reduction"].abs() < 1e-12 * abs(now), "reduction"] = 0.0
    if goal == "decision":
        now = float((f - f.min(1, keepdims=True)).mean(0).min())
        table["before"], table["after"] = now, now - table["reduction"]
    table["per_flop"] = table["reduction"] / table["cost"]
    table = table.sort_values("reduction", ascending=False, kind="stable").reset_index(drop=True)
    far = in_inputs(runs, axis, float(to) / min(largest_scale(runs, axis, level) for level in levels))
    return NextRun(table, goal, float(now), tuple(runs.inputs), runs.response, with_distance(fit, far))


def _learnt(f: np.ndarray, weights: np.ndarray, goal: str, prob: float) -> dict[str, float]:
    """The uncertainty that is left, on average over outcomes, and its Monte Carlo error."""
    if goal == "decision":
        means, now = weights @ f, f.mean(0)
        # The gain over the choice made now is never negative, and its mean has far less error than that of the losses.
        left = now.min() - (means[:, now.argmin()] - means.min(1))
        chosen = means.argmin(1)
        behind = np.stack([f[:, k] > np.delete(f, k, axis=1).min(1) for k in range(f.shape[1])], 1)
        risk = (weights @ behind.astype(float))[np.arange(len(weights)), chosen]
        return {"after": float(left.mean()), "se": _error(left), "risk_after": float(risk.mean())}
    values = f[:, 0]
    if goal == "width":
        order = np.argsort(values)
        below, last = np.cumsum(weights[:, order], axis=1), len(values) - 1
        low, high = (
            values[order][np.minimum((below < level).sum(1), last)] for level in ((1 - prob) / 2, (1 + prob) / 2)
        )
        left = high - low
    else:
        mean = weights @ values
        left = np.sqrt(np.maximum(weights @ values**2 - mean**2, 0.0))
    return {"after": float(left.mean()), "se": _error(left)}


def _error(values: np.ndarray) -> float:
    return float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else 0.0
