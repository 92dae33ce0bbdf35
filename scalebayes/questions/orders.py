"""The order of groups in every draw: who is ahead, who crosses whom, and where; lower responses are better."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from scalebayes.numerics.roots import bisect
from scalebayes.questions.along import ends_about, first_reached, inverted

FARTHER = 1e3  # factor beyond the target up to which the scale for a rival's response is searched
_HALVINGS = 50


def p_best(f: np.ndarray) -> np.ndarray:
    """Share of draws in which each group (second axis) is lowest; ties are divided equally."""
    lowest = f == f.min(1, keepdims=True)
    return (lowest / lowest.sum(1, keepdims=True)).mean(0)


def risk(f: np.ndarray, w: int, margin: float) -> float:
    """Share of draws in which any other group is better than group ``w`` by more than a margin."""
    if not margin:
        return float(1 - p_best(f)[w])
    return float((f[:, w] > np.delete(f, w, axis=1).min(1) + margin).mean())


def before(delta: np.ndarray) -> np.ndarray:
    """1 where a difference is negative, 0.5 at a tie, else 0."""
    return (delta < 0) + 0.5 * (delta == 0)


def order_at_both(first: np.ndarray, last: np.ndarray) -> dict[str, float]:
    """Who is ahead at the decision scale and at the target, from draws of a - b; a tie counts half for either."""
    same = (first == 0) & (last == 0)  # no reversal, and half of the draw for either
    orders = {"ahead": before(first), "behind": before(-first)}, {"ahead": before(last), "behind": before(-last)}
    cells = {
        f"{one}_{other}": np.where(same, 0.5 * (one == other), at_first * at_last).mean()
        for one, at_first in orders[0].items()
        for other, at_last in orders[1].items()
    }
    return {
        "p_a_ahead": orders[0]["ahead"].mean(),
        "p_a_ahead_at_target": orders[1]["ahead"].mean(),
        "reversal_risk": cells["ahead_behind"] + cells["behind_ahead"],
        **cells,
    }


def crossings(
    delta: np.ndarray, scales: np.ndarray, exact: tuple[Callable, Callable] | None
) -> tuple[np.ndarray, np.ndarray]:
    """For each draw, the scale of the first change of sign (infinite without one) and the number of changes."""
    signs = np.sign(delta)
    # Where two curves meet at a point of the grid, the sign before it counts.
    last = np.maximum.accumulate(np.where(signs != 0, np.arange(signs.shape[1]), 0), axis=1)
    signs = np.take_along_axis(signs, last, axis=1)
    changes = signs[:, :-1] * signs[:, 1:] < 0
    count, at = changes.sum(1), changes.argmax(1)
    where, every, logs = np.full(len(delta), np.inf), np.arange(len(delta)), np.log(scales)
    rows = np.flatnonzero(count)
    low, high = logs[at], logs[at + 1]
    d_low, d_high = delta[every, at], delta[every, at + 1]
    # For all draws, also those that do not cross: one shape is compiled once.
    with np.errstate(divide="ignore", invalid="ignore"):
        root = low + (high - low) * d_low / (d_low - d_high)
    if exact is not None and len(rows):

        def turned(middle):
            f_a, f_b = (of_level(np.exp(middle)) for of_level in exact)
            return np.sign(f_a - f_b) != np.sign(d_low)

        root = bisect(turned, low, high, _HALVINGS)
    where[rows] = np.exp(root[rows])
    return where, count


def summed(where: np.ndarray, count: np.ndarray, prob: float) -> dict[str, float]:
    """Whether, where and how often two groups cross, as probabilities and quantiles."""
    quantiles = list(crossing_quantiles(where, prob).values()) or [np.nan] * 3
    found: dict[str, Any] = {"p_cross": np.isfinite(where).mean()}
    found |= dict(zip(("crossing_lower", "crossing_median", "crossing_upper"), quantiles, strict=True))
    return found | {
        "none": (count == 0).mean(),
        "once": (count == 1).mean(),
        "twice": (count == 2).mean(),
        "more": (count > 2).mean(),
    }


def crossing_quantiles(where: np.ndarray, prob: float) -> dict[float, float]:
    """Quantiles of the scale of the first crossing, among the draws that have one."""
    finite = where[np.isfinite(where)]
    levels = ((1 - prob) / 2, 0.5, (1 + prob) / 2)
    return {round(q, 6): float(np.quantile(finite, q)) for q in levels} if len(finite) else {}


def equivalent_gain(
    exact: Callable | None, winner: np.ndarray, wanted: np.ndarray, scales: np.ndarray, to: float, prob: float
) -> dict[str, float]:
    """The factor on the scale that the winner needs for the rival's response at the target.

    It is infinite in draws in which the winner never reaches that response.
    """
    if exact is not None:
        gain = inverted(exact, wanted, ends_about(to)) / to
        never = np.isinf(gain)
    else:
        gain = first_reached(winner, wanted, scales) / to
        never = np.isinf(gain)
    lower, median, upper = np.quantile(gain, [(1 - prob) / 2, 0.5, (1 + prob) / 2], method="nearest")
    within = FARTHER if exact is None else np.exp(ends_about(1.0)[1])
    found = {"median": median, "lower": lower, "upper": upper, "p_undefined": never.mean(), "within": within}
    return {name: float(value) for name, value in found.items()}
