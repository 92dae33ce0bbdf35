"""When to stop: whether any further run is worth its cost to a choice between groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from scalebayes.arguments import check_positive, check_seed, is_whole, quoted
from scalebayes.fits.fit import Fit
from scalebayes.inference.diagnostics import Diagnostics
from scalebayes.model.prediction import Points, parameters_of
from scalebayes.notebook import shown
from scalebayes.questions.along import first_reached, parameters_along, points_along
from scalebayes.questions.candidates import costed
from scalebayes.questions.distance import in_inputs, with_distance
from scalebayes.questions.groups import Group, check_comparable, check_levels, check_one
from scalebayes.questions.outcomes import weights_of, with_candidates
from scalebayes.questions.paths import Held, largest_scale, path_along
from scalebayes.questions.wording import number, plain, sentences, where
from scalebayes.runs.cost import cost_at

_POINTS, _WIDER = 60, 1e3


@dataclass(frozen=True, eq=False, repr=False)
class Enough:
    """The answer of `enough_runs`.

    Parameters
    ----------
    enough : bool
        Whether no candidate is expected to save more than it costs.
    choice : str
        The group with the smallest expected regret.
    regret : float
        The expected regret of this choice in FLOPs: the compute of runs at the target that choosing it wastes, which is
        what knowing the truth would save.
    table : pandas.DataFrame
        One row per candidate, the best first: group, the inputs, candidate, cost, saves (the expected reduction of the
        regret, in FLOPs), se (its Monte Carlo error), and net (saves less cost).
    shares : pandas.DataFrame
        One row per group: p_best, and wasted, the expected share of a run at the target that choosing it wastes.
    spent : float
        FLOPs of a run at the target.
    axis : str
    to : float
    uses : float
        Number of runs at the target that the choice is about.
    inputs : tuple of str
    response : str
    diagnostics : Diagnostics
    """

    enough: bool
    choice: str
    regret: float
    table: pd.DataFrame
    shares: pd.DataFrame
    spent: float
    axis: str
    to: float
    uses: float
    inputs: tuple[str, ...]
    response: str
    diagnostics: Diagnostics

    def __str__(self) -> str:
        share = 100 * self.regret / (self.spent * self.uses)
        best = self.table.iloc[0]
        group = f"{best['group']} at " if "group" in best else ""
        run = f"{group}{where({name: best[name] for name in self.inputs})}"
        lines = [
            f"{'Enough runs' if self.enough else 'Not enough runs'}: choosing {self.choice} at {self.axis} = "
            f"{number(self.to)} is expected to waste {number(self.regret)} FLOPs ({share:.2g}% of what is spent there)."
        ]
        if self.enough:
            lines.append(
                f"The best of {len(self.table)} candidate{'s' * (len(self.table) != 1)}, {run}, would save "
                f"{number(best['saves'])} and cost {number(best['cost'])}: stop, and choose {self.choice}."
            )
        else:
            costs, saves = number(best["cost"]), number(best["saves"])
            lines.append(f"Train {run}: it costs {costs} FLOPs and is expected to save {saves}.")
        chances = ", ".join(f"{row['group']} {row['p_best']:.2f}" for row in self.shares.to_dict("records"))
        lines.append(f"Best there: {chances}.")
        return sentences(self.diagnostics, lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return shown(str(self), self.table)

    def to_dict(self) -> dict[str, Any]:
        """Everything as nested dictionaries of numbers and strings."""
        names = ("enough", "choice", "regret", "spent", "axis", "to", "uses", "response")
        found = {name: getattr(self, name) for name in names}
        return plain(
            {**found, "candidates": self.table, "groups": self.shares, "converged": not self.diagnostics.problems}
        )


def enough_runs(
    fit: Fit,
    *,
    candidates: pd.DataFrame,
    to: float,
    axis: str = "C",
    groups: Sequence[Group] | Group | None = None,
    path: Held = None,
    uses: float = 1.0,
    outcomes: int = 200,
    seed: int = 0,
) -> Enough:
    r"""Whether there are enough runs to choose between groups, or which run is worth its cost.

    Choosing group k for a run at the target wastes the compute that the best group would not need for the same
    response. In a draw in which b is the best, this share is :math:`1 - x / f_k^{-1}(f_b(x))`, between 0 and 1; the
    expected regret of a choice is its mean, times the FLOPs of the run and the number of such runs. Outcomes of each
    candidate are simulated as in `next_run`, and its expected reduction of the regret is compared with its cost. If no
    candidate saves more than it costs, there are enough runs.

    Parameters
    ----------
    fit : Fit
    candidates : pandas.DataFrame
        As in `next_run`.
    to : float
        The scale at which the choice is used.
    axis : str
    groups : sequence of str, optional
        The groups to choose between; all by default.
    path : mapping, "optimal" or Callable, optional
        As in `crossover`.
    uses : float
        How many runs at the target the choice is about.
    outcomes : int
        Number of outcomes to simulate for each candidate.
    seed : int

    Returns
    -------
    Enough

    Raises
    ------
    TypeError
        If it is no single fit, or the candidates are no DataFrame.
    ValueError
        If there are fewer than two groups, a candidate has no cost, or the cost of a run at the target is not known.

    Examples
    --------
    With the fit of `fit`'s example:

    >>> import pandas as pd
    >>> candidates = pd.DataFrame({"family": ["Cerebras-GPT", "Pythia"], "C": 1e23})
    >>> answer = sb.enough_runs(fit, candidates=candidates, to=1e24, groups=["Cerebras-GPT", "Pythia"])
    >>> answer.enough
    False
    """
    check_seed(seed)
    check_one(fit, "enough_runs")
    model, runs = fit.model, fit.model.runs
    check_positive(to, "to", axis)
    check_positive(uses, "uses", "number of runs")
    if not is_whole(outcomes, 2):
        raise ValueError(f"two outcomes or more are simulated, got {quoted(outcomes)}.")
    levels = check_levels(runs, groups)
    check_comparable({level: (runs, level) for level in levels}, model.across_evaluations)
    points = costed(fit, candidates, None)
    paths = [path_along(model, axis, path, level) for level in levels]
    found = {level: parameters_of(model, fit.posterior, level) for level in set(points["group"])}
    target = points_along(model, paths[0], np.asarray([float(to)]), parameters_along(fit, levels[0]))
    spent = _spent(fit, target, axis, float(to))
    grid = np.geomspace(float(to), float(to) * _WIDER, _POINTS)
    along, at_runs, columns = with_candidates(fit, levels, paths, grid, points, seed)
    drawn = runs.sign * along
    wasted, there = _wasted(drawn, grid), drawn[:, :, 0]
    expected = wasted.mean(0)
    choice, rng, rows = int(expected.argmin()), np.random.default_rng(seed), []
    for i, level in enumerate(points["group"]):
        weights = weights_of(model, at_runs[:, i], found[level], columns[i], outcomes, rng)
        means = weights @ wasted
        gained = means[:, choice] - means.min(1)  # never negative, and with less error than a difference of means
        error = gained.std(ddof=1) / np.sqrt(len(gained))
        rows.append({"saves": float(gained.mean()) * spent * uses, "se": float(error) * spent * uses})
    table = points.assign(**pd.DataFrame(rows))
    table["net"] = table["saves"] - table["cost"]
    table = table.sort_values("net", ascending=False, kind="stable").reset_index(drop=True)
    best = there == there.min(1, keepdims=True)
    shares = pd.DataFrame(
        {"group": list(levels), "p_best": (best / best.sum(1, keepdims=True)).mean(0), "wasted": expected}
    )
    regret = float(expected[choice]) * spent * uses
    far = in_inputs(runs, axis, float(to) / min(largest_scale(runs, axis, level) for level in levels))
    return Enough(
        bool(table["net"].iloc[0] <= 0),
        levels[choice],
        regret,
        table,
        shares,
        spent,
        axis,
        float(to),
        float(uses),
        tuple(runs.inputs),
        runs.response,
        with_distance(fit, far),
    )


def _spent(fit: Fit, at: Points, axis: str, to: float) -> float:
    """FLOPs of a run at the target."""
    if axis == "C":
        return to
    cost = cost_at(fit.model.runs, at.x, at.cost)
    if cost is None:
        raise ValueError(
            f"what a run at {axis} = {number(to)} costs is not known: take axis='C', or a cost of the inputs."
        )
    return float(cost[0])


def _wasted(drawn: np.ndarray, grid: np.ndarray) -> np.ndarray:
    """The share of a run at the first scale of the grid that choosing each group wastes, shape (sample, group).

    Of draws of shape (sample, group, scale); lower responses are better.
    """
    there = drawn[:, :, 0]
    best = there.min(1)
    wasted = np.stack([1 - grid[0] / first_reached(drawn[:, k], best, grid) for k in range(drawn.shape[1])], 1)
    return np.where(there == best[:, None], 0.0, np.clip(wasted, 0.0, 1.0))
