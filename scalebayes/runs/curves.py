"""The curves of a table: each group of runs is one, or all runs are."""

from __future__ import annotations

import numpy as np

from scalebayes.runs.runs import Runs


def curves(runs: Runs) -> list[tuple[str, np.ndarray]]:
    """Label and rows of every curve: each group is one, or all runs are."""
    if not runs.group:
        return [("", np.arange(len(runs)))]
    return [(label, np.flatnonzero(runs.group_index == g)) for g, label in enumerate(runs.levels)]
