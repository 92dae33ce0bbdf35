"""Compute-optimal plans: how a budget divides into parameters and tokens, and how flat the optimum is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import xarray as xr

from scalebayes import laws
from scalebayes.fits.fit import Fit, check_prob
from scalebayes.inference.diagnostics import Diagnostics
from scalebayes.numerics.precision import double_precision
from scalebayes.questions.along import largest_scale, parameters_of
from scalebayes.questions.paths import FLOPS_PER_TOKEN, optimum
from scalebayes.questions.points import check_group, check_one, factor, number, quantiles, response

REPEATED = 15.39  # R*_D of Muennighoff et al. 2023, arXiv:2305.16264: repetitions after which a token is worth 1/e
_FLOPS_SERVED = 2.0  # per parameter and token: forward only
_GRID, _HALVINGS, _OF_REGION = 64, 60, 500
_UNSPENT = 0.01  # of a budget; a cost may go in steps
_STEPS = 40  # of the region on either side of the optimum
_WIDEST = np.log(1e4)


@dataclass(frozen=True, eq=False, repr=False)
class Allocation:
    """The answer of `allocate`.

    Parameters
    ----------
    table : pandas.DataFrame
        A row per group and budget: group (if there are groups), C, and mean, median, lower and upper of n_opt, d_opt and loss
        (each as n_opt_mean, ...); plan_n, plan_d (of the lowest expected loss), plan_loss (that loss); near_n_lower, near_n_upper, near_d_lower,
        near_d_upper, near_ratio_lower, near_ratio_upper (plans whose expected loss is within ``within`` of it); extrapolation
        (6 N D of the plan over the largest of the runs).
    profile : pandas.DataFrame
        Being off the optimum: group, C, N, D, loss (expected), excess (over the plan).
    draws : xarray.Dataset
        ``n_opt``, ``d_opt``, ``loss``, dims (sample, group, budget).
    exponents : pandas.DataFrame
        a_opt and b_opt, N* and D* going as these powers of C at the budgets: group, name, mean, lower, upper.
    within, prob : float
    response : str
    law_only : bool
        Whether the fit departs from its law, which plans leave out.
    diagnostics : Diagnostics
    """

    table: pd.DataFrame
    profile: pd.DataFrame
    draws: xr.Dataset
    exponents: pd.DataFrame
    within: float
    prob: float
    response: str
    law_only: bool
    diagnostics: Diagnostics

    def __str__(self) -> str:
        lines = [f"NOT CONVERGED: {'; '.join(self.diagnostics.problems)}."] if self.diagnostics.problems else []
        for row in self.table.head(12).to_dict("records"):
            group = f"{row['group']}: " if "group" in row else ""
            reach = f", {factor(row['extrapolation'])} the largest run" if row["extrapolation"] > 1 else ""
            lines.append(
                f"{group}with {number(row['C'])} FLOPs{reach}, train {number(row['plan_n'])} parameters on {number(row['plan_d'])} "
                f"tokens (D/N = {number(row['plan_d'] / row['plan_n'])}) for an expected {self.response} of "
                f"{response(row['plan_loss'])}. Anything from {number(row['near_n_lower'])} to {number(row['near_n_upper'])} "
                f"parameters comes within {number(self.within)} of it."
            )
            lines.append(
                f"  The optimum itself: N* {number(row['n_opt_median'])} ({100 * self.prob:g}% {number(row['n_opt_lower'])} to "
                f"{number(row['n_opt_upper'])}), D* {number(row['d_opt_median'])} ({number(row['d_opt_lower'])} to "
                f"{number(row['d_opt_upper'])}), {self.response} {response(row['loss_median'])} "
                f"({response(row['loss_lower'])} to {response(row['loss_upper'])})."
            )
        if len(self.table) > 12:
            lines.append(f"... and {len(self.table) - 12} more plans, in .table.")
        if self.law_only:
            lines.append("(of the law alone: what runs depart from it by is left out)")
        return "\n".join([*lines, f"({self.diagnostics})"])

    __repr__ = __str__


def allocate(
    fit: Fit,
    C: float | Sequence[float],
    *,
    group: str | tuple | None = None,
    within: float = 0.005,
    cost: Callable | None = None,
    served: float = 0.0,
    most_n: float | None = None,
    most_d: float | None = None,
    ratio: tuple[float, float] | None = None,
    unique: float | None = None,
    prob: float = 0.89,
) -> Allocation:
    r"""Divide a training budget between parameters and tokens.

    .. math:: N^*, D^* = \arg\min_{N, D} L(N, D) \quad \text{subject to} \quad C(N, D) = C

    for every draw of the posterior; closed for ``chinchilla`` and C = 6 N D (Hoffmann et al. 2022, arXiv:2203.15556), else by search
    along the budget. The optimum is flat: the plan is of the lowest *expected* loss, and beside it stands every size whose
    expected loss is almost as low.

    Parameters
    ----------
    fit : Fit
        Of a law of N and D.
    C : float or sequence of float
        Budgets in FLOPs.
    group : str, optional
        One group; by default each.
    within : float
        Units of the response above the lowest expected loss that count as almost optimal.
    cost : Callable, optional
        FLOPs of training N parameters on D tokens, rising in both, of JAX arrays; by default 6 N D.
    served : float
        Tokens that the model will serve, at 2 N FLOPs each, which the budget has to pay for too.
    most_n, most_d : float, optional
        Largest model, and most tokens.
    ratio : (float, float), optional
        Least and most tokens per parameter.
    unique : float, optional
        Distinct tokens there are. More are repetitions, worth :math:`U R (1 - e^{-(D/U - 1)/R})` tokens together with
        R = 15.39 (Muennighoff et al. 2023, arXiv:2305.16264).
    prob : float
        Of the intervals.

    Returns
    -------
    Allocation

    Raises
    ------
    ValueError
        If the law has other inputs than N and D, or no plan at a budget meets the constraints.
    """
    check_prob(prob)
    check_one(fit, "a plan")
    runs, law = fit.model.runs, fit.model.law
    inputs = tuple(runs.inputs)
    if set(inputs) != {"N", "D"}:
        raise ValueError(f"a budget is divided between N and D; {fit.model.name} has {', '.join(inputs)}.")
    budgets = np.atleast_1d(np.asarray(C, float))
    if not (np.isfinite(budgets).all() and (budgets > 0).all() and budgets.ndim == 1 and len(budgets)):
        raise ValueError(f"C is a positive finite number of FLOPs, or several, got {C!r}.")
    _check(within=within, served=served, most_n=most_n, most_d=most_d, unique=unique)
    if ratio is not None and not (np.shape(ratio) == (2,) and 0 < ratio[0] <= ratio[1]):
        raise ValueError(f"ratio is the least and the most tokens per parameter, got {ratio!r}.")
    level = check_group(runs, group, False)
    levels = (level,) if level is not None else runs.levels or (None,)
    low, high = _sizes(budgets, cost, served, most_n, most_d, ratio)
    bound = cost is not None or served or unique or most_n or most_d or ratio
    tokens = _tokens(cost, served)
    loss_at = _losses(law, inputs, unique)
    rows, profiles, found, powers = [], [], [], []
    for label in levels:
        theta = parameters_of(fit, label)
        wide = {name: value[:, None] for name, value in theta.items()}
        if bound:
            with double_precision():
                n = np.exp(np.asarray(_searched(law, inputs, cost, served, unique)(low, high, budgets, theta)))
        else:
            n, _ = optimum(law, inputs, budgets[None], wide)
        n = np.broadcast_to(n, (len(next(iter(theta.values()))), len(budgets)))
        with double_precision():
            d = np.asarray(tokens(n, budgets[None]))
            loss = np.asarray(loss_at(n, d, wide))
        found.append((n, d, loss))
        largest = largest_scale(runs, "C", label)
        for j, budget in enumerate(budgets):
            named = {} if label is None else {"group": label}
            profile = _profile(loss_at, tokens, theta, n[:, j], budget, (low[j], high[j]) if bound else None)
            row = named | {"C": budget, **_spread("n_opt", n[:, j], prob), **_spread("d_opt", d[:, j], prob)}
            plan = _plan(profile, within)
            beyond = FLOPS_PER_TOKEN * plan["plan_n"] * plan["plan_d"] / largest
            row |= _spread("loss", loss[:, j], prob) | plan | {"extrapolation": beyond}
            rows.append(row)
            profiles.append(pd.DataFrame(named | {"C": budget} | profile, index=range(len(profile["N"]))))
        powers += _powers(law, theta, label, n, d, budgets, prob, bool(bound))
    stacked = {
        name: (("sample", "group", "budget"), np.stack([of[i] for of in found], 1))
        for i, name in enumerate(("n_opt", "d_opt", "loss"))
    }
    coords = {"group": ["" if label is None else label for label in levels], "budget": budgets}
    return Allocation(
        pd.DataFrame(rows), pd.concat(profiles, ignore_index=True), xr.Dataset(stacked, coords), pd.DataFrame(powers), float(within),
        prob, runs.response, fit.model.discrepancy is not None, fit.diagnostics,
    )  # fmt: skip


def _check(**values: float | None) -> None:
    for name, value in values.items():
        if value is None or (name == "served" and value == 0):
            continue
        if not (isinstance(value, int | float | np.number) and np.isfinite(value) and value > 0):
            raise ValueError(f"{name} is a positive finite number, got {value!r}.")


def _tokens(cost: Callable | None, served: float) -> Callable:
    """Tokens that a budget pays for at a size."""
    if cost is None:
        return lambda n, c: (c - _FLOPS_SERVED * n * served) / (FLOPS_PER_TOKEN * n)

    def solved(n, c):
        c = c - _FLOPS_SERVED * n * served

        def halve(_, ends):
            low, high = ends
            middle = (low + high) / 2
            over = cost(n, jnp.exp(middle)) > c
            return jnp.where(over, low, middle), jnp.where(over, middle, high)

        shape = jnp.broadcast_shapes(jnp.shape(n), jnp.shape(c))
        ends = (jnp.zeros(shape), jnp.full(shape, np.log(1e30)))
        low, high = jax.lax.fori_loop(0, 2 * _HALVINGS, halve, ends)
        return jnp.exp((low + high) / 2)

    return solved


def _worth(unique: float | None) -> Callable:
    """Of tokens some of which are repetitions."""
    if unique is None:
        return lambda d: d
    return lambda d: (
        jnp.minimum(d, unique) - unique * REPEATED * jnp.expm1(-jnp.maximum(d / unique - 1, 0.0) / REPEATED)
    )


@lru_cache(maxsize=32)
def _losses(law: Callable, inputs: tuple[str, ...], unique: float | None) -> Callable:
    worth = _worth(unique)

    def loss(n, d, theta):
        both = {"N": n, "D": worth(d)}
        return law(*(both[name] for name in inputs), **theta) + 0 * n

    return jax.jit(loss)


@lru_cache(maxsize=32)
def _searched(
    law: Callable, inputs: tuple[str, ...], cost: Callable | None, served: float, unique: float | None
) -> Callable:
    tokens, loss_at = _tokens(cost, served), _losses(law, inputs, unique)

    def one(low, high, c, theta):
        def loss(log_n):
            n = jnp.exp(log_n)
            return loss_at(n, tokens(n, c), theta)

        grid = jnp.linspace(low, high, _GRID)
        best = jnp.argmin(jax.vmap(loss)(grid))
        # Golden section: a user's cost need not be smooth, and the minimum may lie at an end.
        golden = (np.sqrt(5) - 1) / 2

        def narrow(_, ends):
            a, b = ends
            x, y = b - golden * (b - a), a + golden * (b - a)
            left = loss(x) < loss(y)
            return jnp.where(left, a, x), jnp.where(left, y, b)

        a, b = jax.lax.fori_loop(
            0, _HALVINGS, narrow, (grid[jnp.maximum(best - 1, 0)], grid[jnp.minimum(best + 1, _GRID - 1)])
        )
        return (a + b) / 2

    return jax.jit(jax.vmap(jax.vmap(one, (0, 0, 0, None)), (None, None, None, 0)))


def _sizes(budgets, cost, served, most_n, most_d, ratio) -> tuple[np.ndarray, np.ndarray]:
    """Between which log N a budget buys at least one token and meets the constraints."""
    grid = np.linspace(0.0, np.log(1e20), 20_001)
    low, high = np.empty(len(budgets)), np.empty(len(budgets))
    tokens = _tokens(cost, served)
    for j, c in enumerate(budgets):
        with double_precision():
            n, d = np.exp(grid), np.asarray(tokens(np.exp(grid), c))
        pays = d > 1
        if not pays.any():
            after = f" after serving {number(served)}" if served else ""
            raise ValueError(
                f"{number(c)} FLOPs do not pay for training any model on one token{after}; raise C{' or lower served' if served else ''}."
            )
        if cost is not None:
            with double_precision():
                spent = np.asarray(cost(n, d)) + _FLOPS_SERVED * n * served
            pays &= np.abs(spent / c - 1) < _UNSPENT
            if not pays.any():
                raise ValueError(
                    f"the cost given comes to {number(c)} FLOPs at no N up to 1e20 and D up to 1e30; it has to rise in both."
                )
        fine = pays & (n < (most_n or np.inf)) & (d < (most_d or np.inf))
        if ratio is not None:
            slack = np.exp(grid[1] - grid[0])  # a narrow band lies between two points of the grid
            fine &= (d / n >= ratio[0] / slack) & (d / n <= ratio[1] * slack)
        if not fine.any():
            limits = {"most_n": most_n, "most_d": most_d, "ratio": ratio, "served": served or None}
            asked = ", ".join(f"{name}={value}" for name, value in limits.items() if value is not None)
            raise ValueError(
                f"no plan spends {number(c)} FLOPs and meets {asked}; a smaller budget leaves some unspent, or loosen them."
            )
        low[j], high[j] = grid[np.flatnonzero(fine)[[0, -1]]]
        if ratio is not None:  # D/N falls along N
            ends = np.interp(-np.log(ratio), -np.log(d / n)[pays], grid[pays])
            low[j], high[j] = max(low[j], ends[1]), min(high[j], ends[0])
            low[j] = min(low[j], high[j])
    return low, high


def _profile(
    loss_at, tokens, theta: Mapping, n: np.ndarray, budget: float, ends: tuple[float, float] | None
) -> dict[str, np.ndarray]:
    """Expected loss over sizes about the optima, from some of the draws."""
    centre = float(np.median(np.log(n)))
    low, high = (
        (centre - _WIDEST, centre + _WIDEST)
        if ends is None
        else (max(ends[0], centre - _WIDEST), min(ends[1], centre + _WIDEST))
    )
    sizes = np.exp(np.linspace(low, high, 2 * _STEPS + 1))
    some = np.linspace(0, len(n) - 1, min(len(n), _OF_REGION)).astype(int)
    few = {name: value[some][:, None] for name, value in theta.items()}
    with double_precision():
        d = np.asarray(tokens(sizes, budget))
        loss = np.asarray(loss_at(sizes[None], d[None], few)).mean(0)
    return {"N": sizes, "D": d, "loss": loss, "excess": loss - loss.min()}


def _plan(profile: Mapping[str, np.ndarray], within: float) -> dict[str, float]:
    sizes, d, excess = profile["N"], profile["D"], profile["excess"]
    best = int(excess.argmin())
    log_n = np.log(sizes)
    refined = log_n[best]
    if 0 < best < len(sizes) - 1:  # the top of a parabola through three
        before, at, after = excess[best - 1 : best + 2]
        refined += 0.5 * (before - after) / (before - 2 * at + after) * (log_n[1] - log_n[0])

    def edge(side: int) -> float:
        i = best
        while 0 <= i + side < len(sizes) and excess[i + side] <= within:
            i += side
        if not 0 <= i + side < len(sizes):
            return float(log_n[i])
        share = (within - excess[i]) / (excess[i + side] - excess[i])
        return float(log_n[i] + share * (log_n[i + side] - log_n[i]))

    lower, upper = edge(-1), edge(1)
    of_d = lambda x: float(np.exp(np.interp(x, log_n, np.log(d))))  # noqa: E731
    n_lower, n_upper, plan = np.exp(lower), np.exp(upper), np.exp(refined)
    return {
        "plan_n": float(plan), "plan_d": of_d(refined), "plan_loss": float(profile["loss"].min()),
        "near_n_lower": float(n_lower), "near_n_upper": float(n_upper), "near_d_lower": of_d(upper), "near_d_upper": of_d(lower),
        "near_ratio_lower": of_d(upper) / float(n_upper), "near_ratio_upper": of_d(lower) / float(n_lower),
    }  # fmt: skip


def _spread(name: str, values: np.ndarray, prob: float) -> dict[str, float]:
    lower, median, upper = quantiles(values, prob)
    return {
        f"{name}_mean": float(values.mean()),
        f"{name}_median": float(median),
        f"{name}_lower": float(lower),
        f"{name}_upper": float(upper),
    }


def _powers(law, theta, label, n, d, budgets, prob, bound) -> list[dict[str, Any]]:
    """Exponents of N* and D*: exact for chinchilla without constraints, else between the smallest and largest budget."""
    if law is laws.chinchilla and not bound:
        a = theta["beta"] / (theta["alpha"] + theta["beta"])
        both = {"a_opt": a, "b_opt": 1 - a}
    elif budgets.max() > budgets.min():
        apart = np.log(budgets.max() / budgets.min())
        i, j = budgets.argmin(), budgets.argmax()
        both = {"a_opt": np.log(n[:, j] / n[:, i]) / apart, "b_opt": np.log(d[:, j] / d[:, i]) / apart}
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
