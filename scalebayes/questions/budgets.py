"""The search along a budget: which sizes it pays for, which of them is best, and how flat the optimum is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from scalebayes.numerics.precision import double_precision
from scalebayes.numerics.roots import bisect, golden_section
from scalebayes.questions.wording import number
from scalebayes.runs.cost import FLOPS_PER_TOKEN, of_function

REPEATED = 15.39  # R*_D of Muennighoff et al. 2023, arXiv:2305.16264: repetitions after which a token is worth 1/e
_FLOPS_SERVED = 2.0  # per parameter and token: the forward pass only
_GRID, _STEPS, _OF_REGION = 64, 60, 500
_UNSPENT = 0.01  # share of a budget that may stay unspent: a cost may grow in steps
_OF_PROFILE = 40  # steps of the profile on either side of the optimum
_WIDEST = np.log(1e4)


N_AND_D = ("N", "D")


def tokens_at(
    cost: Callable | None, served: float, over: tuple[str, str] = N_AND_D, held: Mapping[str, Any] | None = None
) -> Callable:
    """A function (N, budget) to the tokens that the budget pays for; of other inputs, the first to the second."""
    if cost is None:
        return lambda n, c: (c - _FLOPS_SERVED * n * served) / (FLOPS_PER_TOKEN * n)
    first, second = over
    others = dict(held or {})

    def solved(n, c):
        c = c - _FLOPS_SERVED * n * served
        shape = jnp.broadcast_shapes(jnp.shape(n), jnp.shape(c))
        low, high = jnp.zeros(shape), jnp.full(shape, np.log(1e30))
        return jnp.exp(
            bisect(
                lambda log_d: of_function(cost, {first: n, second: jnp.exp(log_d), **others}) > c, low, high, 2 * _STEPS
            )
        )

    return solved


def _worth(unique: float | None) -> Callable:
    """A function of D tokens, some of them repeated, to the number of new tokens that they are worth."""
    if unique is None:
        return lambda d: d
    return lambda d: (
        jnp.minimum(d, unique) - unique * REPEATED * jnp.expm1(-jnp.maximum(d / unique - 1, 0.0) / REPEATED)
    )


class Problem(NamedTuple):
    """What is searched along a budget: a law, its cost, and a sign, 1 if lower responses are better, -1 if higher.

    The budget is divided between the two inputs in ``over``; values of the others are arguments of its functions.
    """

    law: Callable
    inputs: tuple[str, ...]
    cost: Callable | None
    served: float
    unique: float | None
    sign: float
    over: tuple[str, str] = N_AND_D


@lru_cache(maxsize=32)
def responses(problem: Problem) -> Callable:
    """The law as a function of (N, D, parameters, other inputs), with repeated tokens counted at their worth."""
    worth = _worth(problem.unique)

    def loss(n, d, theta, held):
        both = {**held, problem.over[0]: n, problem.over[1]: worth(d)}
        return problem.law(*(both[name] for name in problem.inputs), **theta) + 0 * n

    return jax.jit(loss)


@lru_cache(maxsize=32)
def searched(problem: Problem) -> Callable:
    """A function (low, high, budgets, parameters, other inputs) to log N of the best response, by draw and budget."""
    loss_at = responses(problem)

    def one(low, high, c, theta, held):
        tokens = tokens_at(problem.cost, problem.served, problem.over, held)

        def loss(log_n):
            n = jnp.exp(log_n)
            return problem.sign * loss_at(n, tokens(n, c), theta, held)

        grid = jnp.linspace(low, high, _GRID)
        best = jnp.argmin(jax.vmap(loss)(grid))
        # No derivative: a user's cost need not be smooth, and the minimum may lie at an end.
        return golden_section(loss, grid[jnp.maximum(best - 1, 0)], grid[jnp.minimum(best + 1, _GRID - 1)], _STEPS)

    return jax.jit(jax.vmap(jax.vmap(one, (0, 0, 0, None, None)), (None, None, None, 0, None)))


def sizes(
    budgets, cost, served, most_n, most_d, ratio, over: tuple[str, str] = N_AND_D, held: Mapping[str, Any] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The lowest and highest log N at which each budget buys at least one token and meets the constraints."""
    grid = np.linspace(0.0, np.log(1e20), 20_001)
    low, high = np.empty(len(budgets)), np.empty(len(budgets))
    tokens = tokens_at(cost, served, over, held)
    for j, c in enumerate(budgets):
        with double_precision():
            n, d = np.exp(grid), np.asarray(tokens(np.exp(grid), c))
        pays = d > 1
        if not pays.any():
            after = f" after serving {number(served)}" if served else ""
            raise ValueError(
                f"{number(c)} FLOPs do not pay for training any model on one token{after}; raise C"
                f"{' or lower served' if served else ''}."
            )
        if cost is not None:
            with double_precision():
                at = {**(held or {}), over[0]: n, over[1]: d}
                spent = np.asarray(of_function(cost, at)) + _FLOPS_SERVED * n * served
            pays &= np.abs(spent / c - 1) < _UNSPENT
            if not pays.any():
                raise ValueError(
                    f"the cost given comes to {number(c)} FLOPs at no {over[0]} up to 1e20 and {over[1]} up to 1e30; "
                    "it has to rise in both."
                )
        fine = pays & (n < (most_n or np.inf)) & (d < (most_d or np.inf))
        if ratio is not None:
            slack = np.exp(grid[1] - grid[0])  # a narrow band lies between two points of the grid
            fine &= (d / n >= ratio[0] / slack) & (d / n <= ratio[1] * slack)
        if not fine.any():
            limits = {"most_n": most_n, "most_d": most_d, "ratio": ratio, "served": served or None}
            asked = ", ".join(f"{name}={value}" for name, value in limits.items() if value is not None)
            raise ValueError(
                f"no plan spends {number(c)} FLOPs and meets {asked}; lower C or loosen these constraints."
            )
        low[j], high[j] = grid[np.flatnonzero(fine)[[0, -1]]]
        if ratio is not None:  # D/N falls along N
            ends = np.interp(-np.log(ratio), -np.log(d / n)[pays], grid[pays])
            low[j], high[j] = max(low[j], ends[1]), min(high[j], ends[0])
            low[j] = min(low[j], high[j])
    return low, high


def profile_of(
    loss_at,
    tokens,
    theta: Mapping,
    n: np.ndarray,
    budget: float,
    ends: tuple[float, float] | None,
    sign: float,
    over: tuple[str, str] = N_AND_D,
) -> dict[str, np.ndarray]:
    """Expected loss, from some of the draws, over a range of sizes around the median optimum."""
    centre = float(np.median(np.log(n)))
    low, high = (
        (centre - _WIDEST, centre + _WIDEST)
        if ends is None
        else (max(ends[0], centre - _WIDEST), min(ends[1], centre + _WIDEST))
    )
    sizes = np.exp(np.linspace(low, high, 2 * _OF_PROFILE + 1))
    some = np.linspace(0, len(n) - 1, min(len(n), _OF_REGION)).astype(int)
    few = {name: value[some][:, None] for name, value in theta.items()}
    with double_precision():
        d = np.asarray(tokens(sizes, budget))
        loss = np.asarray(loss_at(sizes[None], d[None], few)).mean(0)
    return {over[0]: sizes, over[1]: d, "loss": loss, "excess": sign * loss - (sign * loss).min()}


def plan_of(profile: Mapping[str, np.ndarray], margin: float, over: tuple[str, str] = N_AND_D) -> dict[str, float]:
    """The plan with the best expected response, and the range of the plans that are almost as good."""
    sizes, d, excess = profile[over[0]], profile[over[1]], profile["excess"]
    best = int(excess.argmin())
    log_n = np.log(sizes)
    refined = log_n[best]
    if 0 < best < len(sizes) - 1:  # the vertex of a parabola through three points
        before, at, after = excess[best - 1 : best + 2]
        refined += 0.5 * (before - after) / (before - 2 * at + after) * (log_n[1] - log_n[0])

    def edge(side: int) -> float:
        i = best
        while 0 <= i + side < len(sizes) and excess[i + side] <= margin:
            i += side
        if not 0 <= i + side < len(sizes):
            return float(log_n[i])
        share = (margin - excess[i]) / (excess[i + side] - excess[i])
        return float(log_n[i] + share * (log_n[i + side] - log_n[i]))

    lower, upper = edge(-1), edge(1)
    of_d = lambda x: float(np.exp(np.interp(x, log_n, np.log(d))))  # noqa: E731
    n_lower, n_upper, plan = np.exp(lower), np.exp(upper), np.exp(refined)
    return {
        "plan_n": float(plan),
        "plan_d": of_d(refined),
        "plan_loss": float(profile["loss"][best]),
        "near_n_lower": float(n_lower),
        "near_n_upper": float(n_upper),
        "near_d_lower": of_d(upper),
        "near_d_upper": of_d(lower),
        "near_ratio_lower": of_d(upper) / float(n_upper),
        "near_ratio_upper": of_d(lower) / float(n_lower),
    }
