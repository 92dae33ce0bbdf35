"""The cost of runs, and their order by it: for splits, frontiers, surfaces, extrapolation and next runs."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from scalebayes.runs.runs import Runs, numbers

FLOPS_PER_TOKEN = 6.0  # per token and parameter, forward and backward (Kaplan et al. 2020)


def cost_of_runs(runs: Runs) -> np.ndarray | None:
    """The cost of every run in FLOPs; None where it is not known."""
    if isinstance(runs.cost, str):
        return numbers(runs.table[runs.cost])
    return cost_at(runs, {name: runs.x(name) for name in runs.inputs})


def cost_at(runs: Runs, x: Mapping[str, np.ndarray], given: np.ndarray | None = None) -> np.ndarray | None:
    """The cost of runs at some values of the inputs; None where it is not known.

    Parameters
    ----------
    runs : Runs
        Says what a run costs.
    x : mapping of str to array
        Values of every input.
    given : array, optional
        The cost itself, where the points have its column.
    """
    if given is not None:
        return np.asarray(given, float)
    if callable(runs.cost):
        return np.asarray(of_function(runs.cost, x), float)
    if isinstance(runs.cost, str):
        return None
    if "N" in x and "D" in x:
        return FLOPS_PER_TOKEN * x["N"] * x["D"]
    return np.asarray(x["C"], float) if "C" in x else None


def of_function(cost: Callable, x: Mapping[str, Any]) -> Any:
    """The value of a function of inputs, called by name with those that it takes."""
    names = inspect.signature(cost).parameters
    missing = [name for name in names if name not in x]
    if missing:
        raise ValueError(
            f"the cost is a function of inputs by their names, {', '.join(x)}; the one given takes {', '.join(names)}."
        )
    return cost(**{name: x[name] for name in names})


def needed_cost(runs: Runs, x: Mapping[str, np.ndarray] | None = None, given: np.ndarray | None = None) -> np.ndarray:
    """The cost of the runs, or at some values of the inputs.

    Raises
    ------
    ValueError
        If it is not known.
    """
    found = cost_of_runs(runs) if x is None else cost_at(runs, x, given)
    if found is None:
        if isinstance(runs.cost, str):
            raise ValueError(f"the points need the column {runs.cost!r}, which says what a run costs.")
        raise ValueError(
            f"what a run of {', '.join(runs.inputs)} costs is not known: name a column or a function of the inputs, "
            "read_runs(..., cost='flops')."
        )
    return found


def order_of_runs(runs: Runs) -> np.ndarray:
    """The quantity that orders runs from small to large: the only scale, or the cost where there are several.

    Raises
    ------
    ValueError
        If there are several scales, and the cost is not known.
    """
    return runs.x(runs.scales[0]) if len(runs.scales) == 1 else needed_cost(runs)


def order_at(runs: Runs, x: Mapping[str, np.ndarray], given: np.ndarray | None = None) -> np.ndarray:
    """The quantity that orders runs, at some values of the inputs."""
    return np.asarray(x[runs.scales[0]], float) if len(runs.scales) == 1 else needed_cost(runs, x, given)
