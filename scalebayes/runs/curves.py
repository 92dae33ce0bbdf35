"""The curves of a table, and where they end. Each group of runs is a curve; without groups all runs are one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scalebayes.numerics.padding import padded_size
from scalebayes.runs.runs import Runs

_OF_LEVEL = 3  # runs at the end of a curve whose median is its level there


def curves(runs: Runs) -> list[tuple[str, np.ndarray]]:
    """Label and rows of every curve."""
    return [(level, runs.rows(level)) for level in runs.levels] or [("", np.arange(len(runs)))]


@dataclass(frozen=True, eq=False)
class Frontier:
    """Where curves end.

    Parameters
    ----------
    scale : array, shape (curve,)
        The largest x.
    distance : array, shape (run,)
        ``log scale - log x``.
    slots : array of int, shape (curve, slot)
        The runs of each curve from its end backwards, -1 where there are none left.
    """

    scale: np.ndarray
    distance: np.ndarray
    slots: np.ndarray

    def level(self, y: np.ndarray, ordinary: np.ndarray) -> np.ndarray:
        """The response at the end of each curve: the median of its last three runs that are ordinary."""
        ends = [rows[rows >= 0] for rows in self.slots]
        counted = [rows[ordinary[rows]] if ordinary[rows].any() else rows for rows in ends]
        return np.asarray([np.median(y[rows[:_OF_LEVEL]]) for rows in counted])


def frontier(runs: Runs) -> Frontier:
    """Where the curves end, for runs that have one scale."""
    x = runs.x(runs.scales[0])
    backwards = [rows[np.argsort(-x[rows], kind="stable")] for _, rows in curves(runs)]
    # Padded to a few sizes, so that curves of almost equal length share a compilation.
    slots = slots_of(backwards)
    scale = np.asarray([x[rows[0]] for rows in backwards])
    return Frontier(scale, np.log(scale[runs.group_index]) - np.log(x), slots)


def slots_of(parts: list[np.ndarray]) -> np.ndarray:
    """Rows of several parts as one padded array of shape (part, slot); -1 where a part has none left."""
    slots = np.full((len(parts), padded_size(max(map(len, parts)))), -1)
    for slot, rows in zip(slots, parts, strict=True):
        slot[: len(rows)] = rows
    return slots
