r"""Learning-rate schedules as an input: a sequence of rates for each, condensed for the sums that laws take over it.

Laws of a schedule are sums over steps, of the drop of the rate times a smooth function of the rate and of what is still
to come. Over a stretch where the rate is smooth such a sum is a quadrature: a few steps with suitable weights give it
as exactly as all steps do.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from types import MappingProxyType
from typing import Any

import numpy as np

from scalebayes.arguments import nearest

SEGMENTS, FIELDS = 64, 4
_ACCURACY = 1e-6  # of every sum, relative to the sum of its terms' sizes
_LEAST = 1e-9  # of the highest rate: what counts as a rate of zero in a power
_ORDERS = (12, 9, 16, 7, 20, 5)  # steps in a stretch
# Sums by which a stretch is judged: 1 - (1 + C rate^-gamma left)^-beta, and how far exp(-steps / T) has fallen.
_POWERS = ((0.5, 0.4, 0.4), (2.0, 0.6, 0.64), (8.0, 0.7, 0.8))
_DECAYS = (30.0, 300.0, 3000.0)


@dataclass(frozen=True, eq=False)
class Schedules:
    """The learning rates of several schedules, at every step.

    Parameters
    ----------
    rates : mapping of str to array, shape (step,)
        The rate at steps 1, 2, ... of every schedule; the first step follows a rate of zero.

    Raises
    ------
    TypeError, ValueError
        If rates are missing, negative or not finite.
    """

    rates: Mapping[str, Any]
    _condensed: dict[tuple[str, int], np.ndarray] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        import pandas as pd

        given: Any = self.rates
        if isinstance(given, pd.DataFrame):
            given = {str(name): _without_end(given[name].to_numpy(float)) for name in given}
        if not isinstance(given, Mapping) or not given:
            raise TypeError(
                "schedules are a mapping from names to learning rates, or a table with a column of rates for each, got "
                f"{type(given).__name__}."
            )
        checked = {str(name): _checked(str(name), each) for name, each in given.items()}
        object.__setattr__(self, "rates", MappingProxyType(checked))

    def __getstate__(self) -> dict:
        return {"rates": dict(self.rates), "_condensed": {}}

    def __setstate__(self, state: dict) -> None:
        self.__dict__.update(state | {"rates": MappingProxyType(state["rates"])})

    def length(self, name: str) -> int:
        """Number of steps of a schedule.

        Raises
        ------
        ValueError
            If there is no such schedule.
        """
        if name not in self.rates:
            raise ValueError(
                f"there is no schedule {name!r}{nearest(name, self.rates)}; there are "
                f"{', '.join(map(repr, self.rates))}. sb.with_schedules(fit, {{{name!r}: rates}}) adds one."
            )
        return len(self.rates[name])

    def at(self, names: Iterable[str], steps: np.ndarray | None = None) -> np.ndarray:
        """Several schedules up to a step each (whole if not given), condensed, shape (row, segment, 4)."""
        labels = [str(name) for name in names]
        ends = [self.length(name) for name in labels] if steps is None else steps
        return np.stack([self.up_to(name, int(end)) for name, end in zip(labels, ends, strict=True)])

    def problems(self, names: Iterable[str], steps: np.ndarray | None) -> list[str]:
        """What is wrong with each row: a schedule that does not exist, or a step that it does not have; else empty."""
        found = []
        for i, name in enumerate(map(str, names)):
            if name not in self.rates:
                found.append(f"there is no schedule {name!r}{nearest(name, self.rates)}")
                continue
            end, last = self.length(name), self.length(name) if steps is None else float(steps[i])
            wrong = not (last == int(last) if np.isfinite(last) else False) or not 1 <= last <= end
            found.append(f"{name} has steps 1 to {end}, got {last:g}" if wrong else "")
        return found

    def with_more(self, more: Any) -> Schedules:
        """These schedules and others; one of a known name is refused unless it is the same."""
        others = Schedules(more)
        for name, rates in others.rates.items():
            if name in self.rates and not np.array_equal(self.rates[name], rates):
                raise ValueError(f"there is another schedule {name!r} already; give this one another name.")
        return Schedules({**self.rates, **others.rates})

    def up_to(self, name: str, step: int) -> np.ndarray:
        """A schedule up to a step, condensed, shape (segment, 4); see `segments`."""
        key = name, int(step)
        if key not in self._condensed:
            self._condensed[key] = condensed(self.rates[name][: int(step)], name)
        return self._condensed[key]


def _without_end(rates: np.ndarray) -> np.ndarray:
    """A column of a table without the empty cells at its end: a shorter schedule."""
    known = np.flatnonzero(~np.isnan(rates))
    return rates[: known[-1] + 1] if len(known) else rates[:0]


def _checked(name: str, given: object) -> np.ndarray:
    rates = np.asarray(given, float)
    if rates.ndim != 1 or not len(rates):
        raise ValueError(f"schedule {name!r} is a sequence of learning rates, got an array of shape {rates.shape}.")
    bad = ~np.isfinite(rates) | (rates < 0)
    if bad.any():
        first = int(np.flatnonzero(bad)[0])
        raise ValueError(
            f"schedule {name!r} has learning rates that are negative or no numbers in {bad.sum()} of {len(rates)} "
            f"steps, first: step {first + 1}: {rates[first]:g}. Rates are 0 or more; a schedule that ends earlier than "
            "others is a shorter sequence."
        )
    if not rates.any():
        raise ValueError(f"schedule {name!r} has a learning rate of zero at every step.")
    rates.flags.writeable = False
    return rates


def condensed(rates: np.ndarray, name: str = "") -> np.ndarray:
    r"""A schedule as at most 64 of its steps, each with the drop of the rate that it stands for.

    Parameters
    ----------
    rates : array, shape (step,)
    name : str
        For messages.

    Returns
    -------
    array, shape (64, 4)
        For each step kept: its rate; the drop of the rate, :math:`\eta_{k-1} - \eta_k` summed with weights over the
        stretch; the rates still to come, :math:`S_k = \sum_{i \ge k} \eta_i`; and the number of steps still to come,
        itself included. The first one is step 1. Rows that are not needed have a drop of zero.

    Raises
    ------
    ValueError
        If no 64 steps give the sums to 1e-6.
    """
    n, highest = len(rates), rates.max()
    drop = -np.diff(rates, prepend=0.0)
    left = np.cumsum(rates[::-1])[::-1]
    seen = np.maximum(rates, _LEAST * highest)
    tests = _tests(seen / highest, left / highest, np.arange(n, 0, -1.0), highest)
    scale = np.maximum(np.abs(tests) @ np.abs(drop), 1e-300)
    best: tuple[np.ndarray, np.ndarray, float] = (np.zeros(0, int), np.zeros(0), np.inf)
    for order in _ORDERS:
        best = min(best, _chosen(drop, tests, scale, order), key=lambda found: found[2])
        if best[2] <= _ACCURACY / 50:
            break
    kept, weights, error = best
    if error <= _ACCURACY:
        found = np.tile([highest, 0.0, 1.0, 1.0], (SEGMENTS, 1))
        found[: len(kept)] = np.stack([seen[kept], weights, left[kept], n - kept], 1)
        return found
    raise ValueError(
        f"schedule {name!r} changes its rate too often to be condensed: {SEGMENTS} steps give the sums of a law to "
        f"{error:.1g} only ({_ACCURACY:g} is needed). Give rates by their formula, not as logged or rounded; of one "
        "with many restarts, leave out the first ones."
    )


def _tests(rate: np.ndarray, left: np.ndarray, steps: np.ndarray, highest: float) -> np.ndarray:
    """Terms of the sums by which steps are chosen, shape (sum, step)."""
    powers = [1 - (1 + c * (highest * rate) ** -gamma * highest * left) ** -beta for c, beta, gamma in _POWERS]
    return np.stack([np.ones_like(rate), *powers, *(-np.expm1(-steps / length) for length in _DECAYS)])


def _chosen(drop: np.ndarray, tests: np.ndarray, scale: np.ndarray, order: int) -> tuple[np.ndarray, np.ndarray, float]:
    """Steps and their weights, by stretches that are halved where they are worst; and the largest error of a sum."""
    stretches = [_Stretch.of(ends, drop, tests, order) for ends in _smooth(drop)]
    while True:
        kept = np.concatenate([[0], *(each.kept for each in stretches)]).astype(int)
        error = np.abs(sum((each.error for each in stretches), np.zeros(len(tests)))) / scale
        total = sum((np.abs(each.error) for each in stretches), np.zeros(len(tests))) / scale
        if total.max(initial=0.0) <= _ACCURACY / 50 or not stretches:
            break
        worst = max(range(len(stretches)), key=lambda i: float((np.abs(stretches[i].error) / scale).max()))
        first, last = stretches[worst].ends
        if len(kept) + order > SEGMENTS or last - first <= order:
            break
        # Halved by steps, or by what is left to come (near the end), or by what is over (as the rate rises from zero).
        ahead = len(drop) - last
        near_end = last - (round(np.sqrt((ahead + 1) * (ahead + last - first))) - ahead)
        near_start = round(np.sqrt((first + 1) * last))
        middles = {min(max(m, first + 1), last - 1) for m in ((first + last) // 2, near_end, near_start)}
        halvings = [[_Stretch.of(ends, drop, tests, order) for ends in ((first, m), (m, last))] for m in middles]
        halves = min(halvings, key=lambda two: (sum(np.abs(each.error) for each in two) / scale).max())
        stretches[worst : worst + 1] = halves
    weights = np.concatenate([[0.0], *(each.weights for each in stretches)])
    return kept, weights, float(error.max(initial=0.0)) if len(kept) <= SEGMENTS else np.inf


@dataclass(frozen=True)
class _Stretch:
    """Steps between two ends, those of them that are kept, their weights, and the errors of the sums."""

    ends: tuple[int, int]
    kept: np.ndarray
    weights: np.ndarray
    error: np.ndarray

    @staticmethod
    def of(ends: tuple[int, int], drop: np.ndarray, tests: np.ndarray, order: int) -> _Stretch:
        """The best of three: polynomials in the step, in its logarithm, and in the logarithm of the steps to come."""
        first, last = ends
        if last - first <= order:
            kept = np.arange(first, last)
            return _Stretch(ends, kept, drop[kept], np.zeros(len(tests)))
        every, n = np.arange(first, last), len(drop)
        coordinates = (every.astype(float), np.log(every + 1.0), -np.log(n - every))
        found = [_Stretch.along(u, ends, drop, tests, order) for u in coordinates]
        return min(found, key=lambda each: (np.abs(each.error) / (np.abs(tests) @ np.abs(drop))).max())

    @staticmethod
    def along(u: np.ndarray, ends: tuple[int, int], drop: np.ndarray, tests: np.ndarray, order: int) -> _Stretch:
        """The quadrature that is exact for polynomials in a coordinate, given at every step of the stretch."""
        at = 2 * (u - u[0]) / (u[-1] - u[0]) - 1
        nodes = -np.cos((np.arange(order) + 0.5) * np.pi / order)
        kept = np.unique(np.round(np.interp(nodes, at, np.arange(len(u)))).astype(int))
        chebyshev, degree = np.polynomial.chebyshev.chebvander, len(kept) - 1
        own = slice(*ends)
        weights = np.linalg.solve(chebyshev(at[kept], degree).T, drop[own] @ chebyshev(at, degree))
        kept = kept + ends[0]
        return _Stretch(ends, kept, weights, tests[:, kept] @ weights - tests[:, own] @ drop[own])


def _smooth(drop: np.ndarray) -> Iterator[tuple[int, int]]:
    """The stretches over which the drop is smooth and not zero."""
    largest = np.abs(drop).max()
    bend = np.abs(np.diff(drop))
    around = np.max([np.roll(bend, shift) for shift in (-3, -2, 2, 3)], axis=0)
    kinks = np.flatnonzero(bend > 20 * around + 1e-7 * largest) + 1
    ends = [0, *(int(k) for k in kinks), len(drop)]
    for first, last in pairwise(ends):
        if last > first and np.abs(drop[first:last]).max() > 1e-12 * largest:
            yield first, last
