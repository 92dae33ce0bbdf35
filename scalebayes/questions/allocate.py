"""Compute-optimal plans: how to divide a budget into parameters and tokens, and how flat the optimum is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from scalebayes.arguments import check_positive, check_prob, quoted
from scalebayes.fits.fit import Fit
from scalebayes.inference.diagnostics import Diagnostics
from scalebayes.laws import keywords
from scalebayes.model import Model
from scalebayes.model.evaluation import expected
from scalebayes.notebook import shown
from scalebayes.numerics.precision import double_precision
from scalebayes.questions.along import parameters_along
from scalebayes.questions.budgets import N_AND_D, Problem, plan_of, profile_of, responses, searched, sizes, tokens_at
from scalebayes.questions.distance import with_distance
from scalebayes.questions.groups import Group, check_group, check_one
from scalebayes.questions.paths import held_value, optimum
from scalebayes.questions.wording import factor, number, plain, quantiles, response, sentences
from scalebayes.runs import Runs
from scalebayes.runs.cost import FLOPS_PER_TOKEN, cost_of_runs, of_function

_MOST_NUMBERS = 5_000_000  # of draws in an array
_CELLS, _OF_MAP, _BORDER = 60, 200, 0.7  # contours: cells per axis, draws, margin in logs


@dataclass(frozen=True, eq=False, repr=False)
class Allocation:
    """The answer of `allocate`.

    Parameters
    ----------
    table : pandas.DataFrame
        One row per group and budget:

        - group (if there are groups) and C;
        - mean, median, lower and upper of n_opt, d_opt and loss (as n_opt_mean, ...); n is the first of the inputs that
          the budget is divided between, d the second;
        - plan_n and plan_d, the plan with the lowest expected loss, and plan_loss, that loss;
        - near_n_lower, near_n_upper, near_d_lower, near_d_upper, near_ratio_lower, near_ratio_upper: the range of the
          plans whose expected loss is within ``margin`` of plan_loss;
        - extrapolation: the cost of the plan divided by the largest one of the runs.
    profile : pandas.DataFrame
        The cost of missing the optimum: group, C, N, D, loss (expected), excess (expected loss above the plan's).
    draws : xarray.Dataset
        ``n_opt``, ``d_opt``, ``loss``, dims (sample, group, budget); fewer draws of very many budgets.
    exponents : pandas.DataFrame
        a_opt and b_opt, the powers of C with which N* and D* grow over the budgets: group, name, mean, lower, upper.
    contours : xarray.DataArray
        Expected response over the sizes and tokens around the runs and plans, dims (group, D, N).
    runs : pandas.DataFrame
        N and D of the runs, with their group if there are groups.
    margin, prob : float
    response, law : str
        The response and the law.
    over : tuple of str
        The two inputs that the budget is divided between.
    units : tuple of str
        What they count.
    held : mapping of str to float
        Values of the other inputs.
    law_only : bool
        True if the fit departs from its law; plans leave the departure out.
    diagnostics : Diagnostics
    """

    table: pd.DataFrame
    profile: pd.DataFrame
    draws: xr.Dataset
    exponents: pd.DataFrame
    contours: xr.DataArray
    runs: pd.DataFrame
    margin: float
    prob: float
    response: str
    law: str
    over: tuple[str, str]
    units: tuple[str, str]
    held: Mapping[str, Any]
    law_only: bool
    diagnostics: Diagnostics

    def __str__(self) -> str:
        lines, (n, d) = [], self.units
        held = "".join(f", {name} = {value if np.ndim(value) else number(value)}" for name, value in self.held.items())
        for row in self.table.head(12).to_dict("records"):
            group = f"{row['group']}: " if "group" in row else ""
            reach = f", {factor(row['extrapolation'])} the largest run" if row["extrapolation"] > 1 else ""
            lines.append(
                f"{group}with {number(row['C'])} FLOPs{reach}{held}, {self._plan(row)} for an expected "
                f"{self.response} of {response(row['plan_loss'])}. Anything from {number(row['near_n_lower'])} to "
                f"{number(row['near_n_upper'])} {n} comes within {number(self.margin)} of it." + self._unlike(row)
            )
            lines.append(
                f"  {100 * self.prob:g}% of the draws have their own optimum at {number(row['n_opt_lower'])} to "
                f"{number(row['n_opt_upper'])} {n} and {number(row['d_opt_lower'])} to "
                f"{number(row['d_opt_upper'])} {d}, with a {self.response} of {response(row['loss_lower'])} to "
                f"{response(row['loss_upper'])}."
            )
        if len(self.table) > 12:
            lines.append(f"... and {len(self.table) - 12} more plans, in .table.")
        if self.law_only:
            lines.append("(for the law alone; the fit's departure from it is left out)")
        return sentences(self.diagnostics, lines)

    def _plan(self, row: dict) -> str:
        first, second = self.over
        ratio = f"{second}/{first} = {number(row['plan_d'] / row['plan_n'])}"
        if self.over == N_AND_D:
            return f"train {number(row['plan_n'])} parameters on {number(row['plan_d'])} {self.units[1]} ({ratio})"
        return f"take {first} = {number(row['plan_n'])} and {second} = {number(row['plan_d'])} ({ratio})"

    def _unlike(self, row: dict) -> str:
        """A sentence where the tokens per parameter of a plan lie outside those of the runs."""
        own = self.runs[self.runs["group"] == row["group"]] if "group" in row else self.runs
        ratio, seen = row["plan_d"] / row["plan_n"], own[self.over[1]] / own[self.over[0]]
        if seen.min() <= ratio <= seen.max():
            return ""
        if self.over != N_AND_D:
            return (
                f" No run had such a ratio (the runs have {number(seen.min())} to {number(seen.max())}): the plan "
                "rests on the form of the law."
            )
        few = "few" if ratio < seen.min() else "many"
        return (
            f" No run had so {few} {self.units[1]} per parameter (the runs have {number(seen.min())} to "
            f"{number(seen.max())}): the plan rests on the form of the law."
        )

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return shown(str(self), self.table)

    def to_dict(self) -> dict[str, Any]:
        """The plans as nested dictionaries of numbers and strings; a single plan also at the top level."""
        plans = [_plan_as_dict(row) for row in self.table.to_dict("records")]
        first = plans[0] if len(plans) == 1 else {}
        return plain(
            {
                "margin": self.margin,
                "over": self.over,
                "held": self.held,
                "law_only": self.law_only,
                "prob": self.prob,
                "converged": not self.diagnostics.problems,
                "plans": plans,
                **first,
                "exponents": self.exponents,
            }
        )


def _plan_as_dict(row: Mapping[Any, Any]) -> dict[str, Any]:
    spread = {
        name: {k: row[f"{name}_{k}"] for k in ("mean", "median", "lower", "upper")}
        for name in ("n_opt", "d_opt", "loss")
    }
    near = {name: [row[f"near_{name}_lower"], row[f"near_{name}_upper"]] for name in ("n", "d", "ratio")}
    return {
        "group": row.get("group"),
        "compute": row["C"],
        **spread,
        "near_optimal": near,
        "plan": {"n": row["plan_n"], "d": row["plan_d"], "loss": row["plan_loss"]},
        "extrapolation": row["extrapolation"],
    }


def allocate(
    fit: Fit,
    *,
    C: float | Sequence[float],
    group: Group | None = None,
    over: tuple[str, str] = N_AND_D,
    at: Mapping[str, Any] | None = None,
    margin: float = 0.005,
    cost: Callable | None = None,
    served: float = 0.0,
    most_n: float | None = None,
    most_d: float | None = None,
    ratio: tuple[float, float] | None = None,
    unique: float | None = None,
    prob: float = 0.89,
) -> Allocation:
    r"""Divide a training budget between parameters and tokens, or between two other inputs of the law.

    .. math:: N^*, D^* = \arg\min_{N, D} L(N, D) \quad \text{subject to} \quad C(N, D) = C

    for every draw of the posterior. The optimum has a closed form for ``chinchilla`` with C = 6 N D (Hoffmann et al.
    2022, arXiv:2203.15556); otherwise it is searched along the budget. The optimum is flat. The plan therefore has the
    lowest *expected* loss, and the answer also gives the range of sizes whose expected loss is almost as low.

    Parameters
    ----------
    fit : Fit
        A fit of a law of N and D, or of the inputs in ``over``.
    C : float or sequence of float
        Budgets in FLOPs.
    group : str, optional
        One group; by default every group.
    over : (str, str)
        The two inputs that the budget is divided between, both positive scales.
    at : mapping of str to float, optional
        Values of the law's other inputs; constants of a group are known.
    margin : float
        A plan counts as almost optimal if it is worse than the best by at most this, in units of the response.
    cost : Callable, optional
        FLOPs of training N parameters on D tokens: a function of JAX arrays named N and D, or as the inputs in ``over``
        and others that it needs, that rises in both. By default the runs' own cost if that is a function, else 6 N D.
    served : float
        Tokens that the model will serve. Each costs 2 N FLOPs, and the budget pays for them too.
    most_n, most_d : float, optional
        Largest number of parameters, and largest number of tokens; or of the first and the second input in ``over``.
    ratio : (float, float), optional
        Fewest and most tokens per parameter; or the second input over the first.
    unique : float, optional
        Number U of distinct tokens. Beyond U tokens are repeated, and all repetitions together are worth
        :math:`U R (1 - e^{-(D/U - 1)/R})` tokens, with R = 15.39 (Muennighoff et al. 2023, arXiv:2305.16264).
    prob : float
        Probability of the intervals.

    Returns
    -------
    Allocation

    Raises
    ------
    ValueError
        If the law does not have the inputs, another input has no value, the cost is not known, or no plan at a budget
        meets the constraints.

    Examples
    --------
    With a fit of ``chinchilla`` that has the published constants:

    >>> plan = sb.allocate(fit, C=1e21).table.iloc[0]
    >>> f"{plan['plan_n']:.2g} parameters, {plan['plan_d']:.2g} tokens"
    '1.8e+09 parameters, 9.1e+10 tokens'
    """
    check_prob(prob)
    check_one(fit, "a plan")
    model, runs = fit.model, fit.model.runs
    over = _checked_over(runs, model.name, over)
    cost = cost or (runs.cost if callable(runs.cost) else None)
    if over != N_AND_D:
        if cost is None:
            raise ValueError(
                f"what {over[0]} and {over[1]} cost is not known: give a function of them, "
                f"cost=lambda {over[0]}, {over[1]}: ..."
            )
        if served or unique:
            raise ValueError("served and unique are about N parameters and D tokens; leave them out.")
    budgets = np.atleast_1d(np.asarray(C, float))
    if not (np.isfinite(budgets).all() and (budgets > 0).all() and budgets.ndim == 1 and len(budgets)):
        raise ValueError(f"C is a positive finite number of FLOPs, or several, got {quoted(C)}.")
    given = {"margin": margin, "most_n": most_n, "most_d": most_d, "unique": unique, "served": served or None}
    for name, value in given.items():
        if value is not None:
            check_positive(value, name)
    if ratio is not None and not (np.shape(ratio) == (2,) and 0 < ratio[0] <= ratio[1]):
        raise ValueError(f"ratio is the least and the most tokens per parameter, got {quoted(ratio)}.")
    level = check_group(runs, group, False)
    levels = (level,) if level is not None else runs.levels or (None,)
    others = {label: _others(model, over, at or {}, label) for label in levels}
    bound = cost is not None or served or unique or most_n or most_d or ratio
    problem = Problem(model.law.function, tuple(runs.inputs), cost, served, unique, runs.sign, over)
    rows, profiles, found, powers = [], [], [], []
    for label in levels:
        theta, held = parameters_along(fit, label), others[label]
        wide = {name: value[:, None] for name, value in theta.items()}
        low, high = sizes(budgets, cost, served, most_n, most_d, ratio, over, held)
        tokens, loss_at = tokens_at(cost, served, over, held), _with(responses(problem), held)
        samples = len(next(iter(theta.values())))
        thin = -(-samples * len(budgets) * len(levels) // _MOST_NUMBERS)
        extremes, kept = [int(budgets.argmin()), int(budgets.argmax())], []
        sizes_at_extremes = {}
        largest = float(_costs(runs, cost, runs.rows(label)).max())
        most = max(1, _MOST_NUMBERS // samples)
        for first in range(0, len(budgets), most):
            some = slice(first, first + most)
            if bound:
                with double_precision():
                    n = np.exp(np.asarray(searched(problem)(low[some], high[some], budgets[some], theta, held)))
            else:
                n, _ = optimum(model, budgets[None, some], wide, held)
            n = np.broadcast_to(n, (samples, len(budgets[some])))
            with double_precision():
                d = np.asarray(tokens(n, budgets[None, some]))
                loss = np.asarray(loss_at(n, d, wide))
            kept.append((n[::thin], d[::thin], loss[::thin]))
            for j, budget in enumerate(budgets[some]):
                at_budget = first + j
                if at_budget in extremes:
                    sizes_at_extremes[at_budget] = n[:, j].copy(), d[:, j].copy()
                named = {} if label is None else {"group": label}
                ends = (low[at_budget], high[at_budget]) if bound else None
                profile = profile_of(loss_at, tokens, theta, n[:, j], budget, ends, runs.sign, over)
                row = named | {"C": budget, **_spread("n_opt", n[:, j], prob), **_spread("d_opt", d[:, j], prob)}
                plan = plan_of(profile, margin, over)
                both = {**held, over[0]: np.asarray(plan["plan_n"]), over[1]: np.asarray(plan["plan_d"])}
                beyond = float(_cost(cost, both)) / largest
                row |= _spread("loss", loss[:, j], prob) | plan | {"extrapolation": beyond}
                rows.append(row)
                profiles.append(pd.DataFrame(named | {"C": budget} | profile, index=range(len(profile[over[0]]))))
        found.append([np.concatenate(of, 1) for of in zip(*kept, strict=True)])
        n, d = (np.stack([sizes_at_extremes[i][of] for i in extremes], 1) for of in (0, 1))
        powers += _powers(model, theta, label, n, d, budgets[extremes], prob, bool(bound))
    stacked = {
        name: (("sample", "group", "budget"), np.stack([of[i] for of in found], 1))
        for i, name in enumerate(("n_opt", "d_opt", "loss"))
    }
    coords = {"group": ["" if label is None else label for label in levels], "budget": budgets}
    table = pd.DataFrame(rows)
    own = {"group": runs.group_labels} if runs.group else {}
    return Allocation(
        table,
        pd.concat(profiles, ignore_index=True),
        xr.Dataset(stacked, coords),
        pd.DataFrame(powers),
        _contours(fit, levels, table, over, others),
        pd.DataFrame({**{name: runs.x(name) for name in over}, **own}),
        float(margin),
        prob,
        runs.response,
        model.name,
        over,
        (runs.unit(over[0]) or over[0], runs.unit(over[1]) or over[1]),
        MappingProxyType(dict(at or {})),
        model.departs,
        with_distance(fit, float(np.sqrt(max(table["extrapolation"].max(), 1.0)))),
    )


def _checked_over(runs: Runs, law: str, over: object) -> tuple[str, str]:
    """The two inputs that a budget is divided between."""
    named = tuple(over) if isinstance(over, tuple | list) else (over,)
    if len(named) != 2 or len(set(named)) != 2 or not set(named) <= set(runs.scales):
        wanted = "N and D" if named == N_AND_D else f"two scales, and over is {over!r}"
        raise ValueError(f"a budget is divided between {wanted}; {law} has {', '.join(runs.inputs)}.")
    return str(named[0]), str(named[1])


def _others(model: Model, over: tuple[str, str], at: Mapping[str, Any], level: str | None) -> dict[str, Any]:
    """Values of the inputs that the budget is not divided between."""
    runs = model.runs
    rest = [name for name in runs.inputs if name not in over]
    constants = {n: runs.x(n)[runs.rows(level)][0] for n in rest if runs.inputs[n].kind == "constant"}
    strange = [name for name in at if name not in rest]
    if strange:
        raise ValueError(
            f"at names {strange[0]!r}, which is no other input of {model.name}; those are {', '.join(rest)}."
        )
    lacking = [name for name in rest if name not in {*constants, *at}]
    if lacking:
        raise ValueError(f"a plan needs a value of {lacking[0]}: at={{{lacking[0]!r}: value}}.")
    return {**constants, **{name: held_value(runs, name, value, constants) for name, value in at.items()}}


def _with(loss_at: Callable, held: Mapping[str, Any]) -> Callable:
    return lambda n, d, theta: loss_at(n, d, theta, held)


def _cost(cost: Callable | None, x: Mapping[str, Any]) -> np.ndarray:
    return np.asarray(FLOPS_PER_TOKEN * x["N"] * x["D"] if cost is None else of_function(cost, x), float)


def _costs(runs: Runs, cost: Callable | None, rows: np.ndarray) -> np.ndarray:
    """The costs of some runs by the cost of the plan; by their own where it is the usual one."""
    known = cost_of_runs(runs) if cost is None else None
    return known[rows] if known is not None else _cost(cost, {name: runs.x(name)[rows] for name in runs.inputs})


def _contours(
    fit: Fit, levels: Sequence[str | None], table: pd.DataFrame, over: tuple[str, str], others: Mapping
) -> xr.DataArray:
    """Expected response, from some of the draws, over a grid of sizes and tokens that spans the runs and the plans."""
    runs, grid = fit.model.runs, {}
    for name, near in zip(over, ("near_n", "near_d"), strict=True):
        low = np.log(min(runs.x(name).min(), table[f"{near}_lower"].min())) - _BORDER
        high = np.log(max(runs.x(name).max(), table[f"{near}_upper"].max())) + _BORDER
        grid[name] = np.exp(np.linspace(low, high, _CELLS))
    first, second = over
    both = dict(zip(over, (axis.ravel() for axis in np.meshgrid(grid[first], grid[second])), strict=True))
    found = []
    for level in levels:
        held = {n: np.broadcast_to(v, (_CELLS**2, *np.shape(v))) for n, v in others[level].items()}
        theta = {name: v[:: max(1, len(v) // _OF_MAP)] for name, v in parameters_along(fit, level).items()}
        response = expected(fit.model.law.function, [{**held, **both}[name] for name in runs.inputs], theta)
        found.append(response.mean(0).reshape(_CELLS, _CELLS))
    coords = {"group": ["" if level is None else level for level in levels], second: grid[second], first: grid[first]}
    return xr.DataArray(np.stack(found), coords, ("group", second, first), name=runs.response)


def _spread(name: str, values: np.ndarray, prob: float) -> dict[str, float]:
    lower, median, upper = quantiles(values, prob)
    return {
        f"{name}_mean": float(values.mean()),
        f"{name}_median": float(median),
        f"{name}_lower": float(lower),
        f"{name}_upper": float(upper),
    }


def _powers(model: Model, theta, label, n, d, budgets, prob, bound) -> list[dict[str, Any]]:
    """Exponents of N* and D*.

    Exact for a law that derives them, if nothing constrains the plan; else the slope from the smallest to the largest
    budget, which are given with their sizes.
    """
    if "a_opt" in model.law.derived and not bound:
        exponent = model.law.derived["a_opt"]
        a = exponent(**{name: theta[name] for name in keywords(exponent)})
        both = {"a_opt": a, "b_opt": 1 - a}
    elif budgets.max() > budgets.min():
        apart = np.log(budgets.max() / budgets.min())
        both = {"a_opt": np.log(n[:, 1] / n[:, 0]) / apart, "b_opt": np.log(d[:, 1] / d[:, 0]) / apart}
    else:
        return []
    named = {} if label is None else {"group": label}
    return [
        named
        | {
            "name": name,
            "mean": float(v.mean()),
            "lower": float(np.quantile(v, (1 - prob) / 2)),
            "upper": float(np.quantile(v, (1 + prob) / 2)),
        }
        for name, v in both.items()
    ]
