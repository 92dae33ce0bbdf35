"""isoFLOP curves: the best size at each budget by parabolas, beside the law's own path."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from scalebayes.arguments import check_positive, check_prob, check_seed, nearest, quoted
from scalebayes.fits.fit import Fit
from scalebayes.inference.diagnostics import Diagnostics
from scalebayes.model.evaluation import expected
from scalebayes.notebook import shown
from scalebayes.questions.along import parameters_along
from scalebayes.questions.groups import Group, check_levels, check_one
from scalebayes.questions.paths import optimum
from scalebayes.questions.wording import number, plain, sentences
from scalebayes.runs.cost import FLOPS_PER_TOKEN, needed_cost
from scalebayes.runs.runs import Runs, numbers

_SAME = 0.1  # in logs: costs closer than this are one budget
_FEWEST = 4  # sizes for a parabola with an error
_DRAWS = 4000
_APART = 0.05  # probability at which parabola and law are said to disagree
_OFF = 0.05  # bias of a parabola that is said


@dataclass(frozen=True, eq=False, repr=False)
class IsoFlop:
    """The answer of `isoflop`.

    Parameters
    ----------
    table : pandas.DataFrame
        One row per group and budget:

        - group, C, runs (those in the parabola), smallest_n, largest_n;
        - n_opt_median, n_opt_lower, n_opt_upper, d_opt_median: the size with the lowest response by the parabola, and
          its tokens C / 6N; NaN where more than half of its draws have no minimum;
        - p_no_minimum: the probability that the parabola opens downwards or has its minimum beyond ten times the sizes;
        - law_median, law_lower, law_upper: the law's optimum N at this budget;
        - bias: where a parabola through the law's own values at these sizes has its minimum, divided by the law's
          optimum. It is not 1 because a law is no parabola and the sizes do not lie evenly about the optimum.
        - p_law_larger: the probability that the law's optimum is larger than the parabola's.
    exponents : pandas.DataFrame
        The powers of C with which N* and D* grow: group, name ("a_opt", "b_opt"), by ("parabolas", "law", and
        "parabolas of the law", which differs from "law" by their bias only), median, lower, upper.
    parabolas : pandas.DataFrame
        One row per group, budget and point of a curve: group, C, N, median, lower, upper of the response.
    runs : pandas.DataFrame
        group, C, N and response of the runs; whether they are in a parabola (``used``).
    draws : xarray.Dataset
        Exponent a_opt by draw and group, of the ``parabolas`` and of the ``law``.
    response, law : str
    prob : float
    diagnostics : Diagnostics
    """

    table: pd.DataFrame
    exponents: pd.DataFrame
    parabolas: pd.DataFrame
    runs: pd.DataFrame
    draws: xr.Dataset
    response: str
    law: str
    prob: float
    diagnostics: Diagnostics

    def __str__(self) -> str:
        lines: list[str] = []
        prob = f"{100 * self.prob:g}%"
        for group in self.table["group"].unique():
            named, own = (f"{group}: " if group else ""), self.table[self.table["group"] == group]
            a = self.exponents[(self.exponents["group"] == group) & (self.exponents["name"] == "a_opt")]
            of = {row["by"]: row for row in a.to_dict("records")}
            said = [
                f"C^{of[by]['median']:.3f} by {what} ({prob} {of[by]['lower']:.3f} to {of[by]['upper']:.3f})"
                for by, what in (("parabolas", f"{len(own)} parabolas"), ("law", self.law))
                if by in of
            ]
            lines.append(f"{named}the best N grows as {' and '.join(said)}.")
            lines.append(f"  {self._agreement(of, own)}")
            if "parabolas of the law" in of and "law" in of:
                off = of["parabolas of the law"]["median"] - of["law"]["median"]
                most = own.iloc[int(np.abs(np.log(own["bias"].to_numpy())).argmax())]
                if abs(np.log(most["bias"])) > _OFF:
                    lines.append(
                        f"  If {self.law} is true, parabolas on these sizes are off by themselves: the exponent by "
                        f"{off:+.3f}, and N at C = {number(most['C'])} by a factor of {most['bias']:.2f}."
                    )
            unseen = own[own["p_no_minimum"] > 0.5]
            if len(unseen):
                lines.append(
                    f"  {len(unseen)} of {len(own)} budgets show no minimum: their sizes lie on one side of it."
                )
        return sentences(self.diagnostics, lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return shown(str(self), self.table)

    def to_dict(self) -> dict[str, Any]:
        """The tables as nested dictionaries of numbers and strings."""
        return plain(
            {
                "response": self.response,
                "law": self.law,
                "prob": self.prob,
                "budgets": self.table,
                "exponents": self.exponents,
                "converged": not self.diagnostics.problems,
            }
        )

    def _agreement(self, of: dict[str, Any], own: pd.DataFrame) -> str:
        p = own["p_law_larger"]
        apart = own[(p < _APART) | (p > 1 - _APART)]
        if not len(apart):
            return f"Parabolas and {self.law} agree on the best N at every budget, within their errors."
        far = np.abs(np.log(apart["law_median"].to_numpy() / apart["n_opt_median"].to_numpy()))
        most = apart.iloc[int(far.argmax())]
        return (
            f"They disagree on the best N at {len(apart)} of {len(own)} budgets, most at C = {number(most['C'])}: "
            f"{number(most['n_opt_median'])} by the parabola and {number(most['law_median'])} by {self.law}."
        )


def isoflop(
    fit: Fit,
    *,
    budget: str | None = None,
    group: Group | None = None,
    window: float | None = None,
    prob: float = 0.89,
    seed: int = 0,
) -> IsoFlop:
    r"""Fit a parabola to the runs of each budget, and compare their minima with the law's compute-optimal path.

    At each budget the response is :math:`b_0 + b_1 z + b_2 z^2` in :math:`z = \log N`, with one noise for all budgets
    of a group and a flat prior (approach 2 of Hoffmann et al. 2022, arXiv:2203.15556); the minimum is at
    :math:`-b_1 / 2 b_2`, and the exponent is the slope of the minima against log C, each weighted by its own variance.

    Parameters
    ----------
    fit : Fit
        Of a law of N and D.
    budget : str, optional
        The column with the nominal budget of each run. By default runs whose costs lie within a tenth of each other
        share a budget.
    group : str or tuple, optional
        One group; all by default.
    window : float, optional
        Only runs whose N lies within this factor of the best run's take part in a parabola. A narrow window has less
        bias and a larger error; all runs by default.
    prob : float
        Probability of the intervals.
    seed : int
        Random seed of the parabolas' draws.

    Returns
    -------
    IsoFlop

    Raises
    ------
    TypeError
        If it is no single fit.
    ValueError
        If the law is not of N and D, there is no such column, or fewer than two budgets have runs of four sizes or
        more.

    Examples
    --------
    With a fit to seven sizes at each of three budgets:

    >>> answer = sb.isoflop(fit)
    >>> answer.table["runs"].tolist(), list(answer.exponents["by"].unique())
    ([7, 7, 7], ['parabolas', 'law', 'parabolas of the law'])
    """
    check_prob(prob)
    check_seed(seed)
    check_one(fit, "isoflop")
    model, runs = fit.model, fit.model.runs
    if set(runs.inputs) != {"N", "D"}:
        raise ValueError(f"isoFLOP curves are of a law of N and D; {model.name} has {', '.join(runs.inputs)}.")
    if window is not None and check_positive(window, "window", "factor") <= 1:
        raise ValueError(f"window is a factor above 1, got {quoted(window)}.")
    levels: Sequence[str | None] = check_levels(runs, [group], 1) if group is not None else runs.levels or (None,)
    cost, rng = _budgets(runs, budget), np.random.default_rng(seed)
    tables, exponents, curves, kept, draws = [], [], [], [], {}
    for level in levels:
        found = _group(fit, level, cost, window, prob, rng)
        tables.append(found[0])
        exponents += found[1]
        curves += found[2]
        kept.append(found[3])
        draws[level or ""] = found[4]
    names = list(draws)
    return IsoFlop(
        pd.concat(tables, ignore_index=True),
        pd.DataFrame(exponents),
        pd.concat(curves, ignore_index=True),
        pd.concat(kept, ignore_index=True),
        xr.Dataset(
            {
                by: (("sample", "group"), np.stack([draws[name][by] for name in names], 1))
                for by in ("parabolas", "law")
            },
            {"group": names},
        ),
        runs.response,
        model.name,
        prob,
        fit.diagnostics,
    )


def _budgets(runs: Runs, column: str | None) -> np.ndarray:
    """The budget of each run: its column, or the geometric mean of the costs that lie close together."""
    if column is not None:
        if column not in runs.table:
            raise ValueError(
                f"the runs have no column {column!r}{nearest(column, runs.table.columns)} with their budgets."
            )
        values = numbers(runs.table[column])
        if not (np.isfinite(values) & (values > 0)).all():
            raise ValueError(f"column {column!r} (budget) must hold positive finite numbers.")
        return values
    cost = needed_cost(runs)
    order = np.argsort(cost, kind="stable")
    cluster = np.empty(len(cost), int)
    cluster[order] = np.concatenate([[0], np.cumsum(np.diff(np.log(cost[order])) > _SAME)])
    return np.exp((np.bincount(cluster, np.log(cost)) / np.bincount(cluster))[cluster])


def _group(
    fit: Fit, level: str | None, cost: np.ndarray, window: float | None, prob: float, rng: np.random.Generator
) -> tuple[pd.DataFrame, list[dict[str, Any]], list[pd.DataFrame], pd.DataFrame, dict[str, np.ndarray]]:
    model, runs, label = fit.model, fit.model.runs, level or ""
    rows = runs.rows(level)
    n, y, c = runs.x("N")[rows], runs.y[rows], cost[rows]
    theta = parameters_along(fit, level)
    used, budgets = np.zeros(len(rows), bool), []
    for value in np.unique(c):
        own = np.flatnonzero(c == value)
        if window is not None:
            best = n[own[np.argmin(runs.sign * y[own])]]
            own = own[np.abs(np.log(n[own] / best)) <= np.log(window) * (1 + 1e-9)]
        if len(np.unique(n[own].round(6))) >= _FEWEST:
            used[own] = True
            budgets.append((value, own))
    if len(budgets) < 2:
        raise ValueError(
            f"{label or 'the table'} has {len(budgets)} budgets with runs of {_FEWEST} sizes or more; isoFLOP curves "
            "need two. Name the column of nominal budgets with budget=; allocate needs no budgets."
        )
    parabolas = [_Parabola.through(np.log(n[own]), runs.sign * y[own]) for _, own in budgets]
    freedom = sum(each.freedom for each in parabolas)
    noise = sum(each.squares for each in parabolas) / freedom
    scale = np.sqrt(noise * freedom / rng.chisquare(freedom, _DRAWS))
    law = _law_optimum(fit, theta, np.array([value for value, _ in budgets]))
    table, curves, minima, exact = [], [], [], []
    for j, ((value, own), each) in enumerate(zip(budgets, parabolas, strict=True)):
        coefficients = each.drawn(scale, rng)
        place, lost = each.minimum(coefficients)
        minima.append(place)
        middle = {name: np.median(values) for name, values in theta.items()}
        tokens = value / (FLOPS_PER_TOKEN * n[own])
        of_law = expected(model.law.function, [{"N": n[own], "D": tokens}[k] for k in runs.inputs], _single(middle))[0]
        there, _ = _Parabola.through(np.log(n[own]), runs.sign * of_law).best()
        best_n = float(_law_optimum(fit, _single(middle), np.array([value]))[0, 0])
        exact.append(there)
        known = ~np.isnan(place)
        ends = np.full(3, np.nan) if lost > 0.5 else np.quantile(place[known], [(1 - prob) / 2, 0.5, (1 + prob) / 2])
        of_law_ends = np.quantile(law[:, j], [(1 - prob) / 2, 0.5, (1 + prob) / 2])
        other = np.log(rng.permutation(law[:, j])[np.arange(_DRAWS) % len(law)])
        table.append(
            {
                "group": label,
                "C": value,
                "runs": len(own),
                "smallest_n": n[own].min(),
                "largest_n": n[own].max(),
                "n_opt_median": np.exp(ends[1]),
                "n_opt_lower": np.exp(ends[0]),
                "n_opt_upper": np.exp(ends[2]),
                "d_opt_median": value / (FLOPS_PER_TOKEN * np.exp(ends[1])),
                "p_no_minimum": lost,
                "law_median": of_law_ends[1],
                "law_lower": of_law_ends[0],
                "law_upper": of_law_ends[2],
                "bias": np.exp(there) / best_n,
                "p_law_larger": float((other[known] > place[known]).mean()) if known.any() else np.nan,
            }
        )
        curves.append(_curve(each, coefficients, label, value, n[own], runs.sign, prob))
    log_c = np.log([value for value, _ in budgets])
    spread = [np.nanvar(place) if np.isfinite(place).mean() > 0.5 else np.inf for place in minima]
    weight = 1 / np.maximum(spread, 1e-12)
    exponents, drawn = [], {}
    by_parabola = _slope(log_c, np.stack(minima, 1), weight)
    by_law = _slope(log_c, np.log(law), np.ones(len(log_c)))
    of_law_parabola = _slope(log_c, np.asarray(exact)[None], weight)
    for by, values in (("parabolas", by_parabola), ("law", by_law), ("parabolas of the law", of_law_parabola)):
        for name, of in (("a_opt", values), ("b_opt", 1 - values)):
            low, middle_, high = np.nanquantile(of, [(1 - prob) / 2, 0.5, (1 + prob) / 2])
            exponents.append({"group": label, "name": name, "by": by, "median": middle_, "lower": low, "upper": high})
    some = np.linspace(0, len(by_law) - 1, _DRAWS).astype(int)
    drawn = {"parabolas": by_parabola, "law": by_law[some]}
    of_runs = pd.DataFrame({"group": label, "C": c, "N": n, "response": y, "used": used})
    return pd.DataFrame(table), exponents, curves, of_runs, drawn


@dataclass(frozen=True)
class _Parabola:
    """A least-squares parabola in log N, about a middle."""

    middle: float
    width: float
    coefficients: np.ndarray
    root: np.ndarray  # of the inverse of X'X
    squares: float
    freedom: int

    @classmethod
    def through(cls, z: np.ndarray, y: np.ndarray) -> _Parabola:
        middle, width = float(z.mean()), float(np.ptp(z)) or 1.0
        scaled = (z - middle) / width
        design = np.stack([np.ones_like(scaled), scaled, scaled**2], 1)
        coefficients = np.linalg.lstsq(design, y, rcond=None)[0]
        left = float(((y - design @ coefficients) ** 2).sum())
        root = np.linalg.cholesky(np.linalg.inv(design.T @ design))
        return cls(middle, width, coefficients, root, left, len(z) - 3)

    def drawn(self, scale: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Draws of the coefficients, shape (draw, 3)."""
        return self.coefficients + scale[:, None] * (rng.standard_normal((len(scale), 3)) @ self.root.T)

    def minimum(self, coefficients: np.ndarray) -> tuple[np.ndarray, float]:
        """Log N of the minimum in each draw, NaN where there is none near the sizes; and the share of these."""
        _, slope, curve = coefficients.T
        with np.errstate(divide="ignore", invalid="ignore"):
            place = self.middle + self.width * -slope / (2 * curve)
        far = np.abs(place - self.middle) > 0.5 * self.width + np.log(10)
        place = np.where((curve > 0) & ~far, place, np.nan)
        return place, float(np.isnan(place).mean())

    def best(self) -> tuple[float, float]:
        """Log N of the minimum of the parabola itself, and the share that is lost: 0 or 1."""
        place, lost = self.minimum(self.coefficients[None])
        return float(place[0]), lost


def _single(values: Any) -> dict[str, np.ndarray]:
    return {name: np.atleast_1d(np.asarray(value, float)) for name, value in values.items()}


def _law_optimum(fit: Fit, theta: Any, budgets: np.ndarray) -> np.ndarray:
    """N of the law's best response, shape (draw, budget)."""
    wide = {name: np.asarray(value)[:, None] for name, value in theta.items()}
    return np.asarray(optimum(fit.model, budgets[None], wide)[0])


def _slope(log_c: np.ndarray, place: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Slope of the minima against log C in each draw; budgets without a minimum in a draw are left out of it."""
    w = np.where(np.isnan(place), 0.0, weight)
    filled = np.nan_to_num(place)
    with np.errstate(divide="ignore", invalid="ignore"):
        middle_c = (w * log_c).sum(1) / w.sum(1)
        middle_n = (w * filled).sum(1) / w.sum(1)
        away = log_c - middle_c[:, None]
        slope = (w * away * (filled - middle_n[:, None])).sum(1) / (w * away**2).sum(1)
    return np.where((w > 0).sum(1) >= 2, slope, np.nan)


def _curve(
    each: _Parabola, coefficients: np.ndarray, label: str, value: float, n: np.ndarray, sign: float, prob: float
) -> pd.DataFrame:
    z = np.linspace(np.log(n.min()), np.log(n.max()), 41)
    scaled = (z - each.middle) / each.width
    drawn = sign * (coefficients @ np.stack([np.ones_like(scaled), scaled, scaled**2]))
    lower, median, upper = np.quantile(drawn, [(1 - prob) / 2, 0.5, (1 + prob) / 2], axis=0)
    return pd.DataFrame({"group": label, "C": value, "N": np.exp(z), "median": median, "lower": lower, "upper": upper})
