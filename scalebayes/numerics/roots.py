"""Roots and minima of many functions at once, by bisection and golden section, in NumPy or inside a JAX program."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

_GOLDEN = (np.sqrt(5) - 1) / 2


def bisect(beyond: Callable, low, high, steps: int = 60):
    """Where between two ends a condition begins to hold, elementwise.

    Parameters
    ----------
    beyond : Callable
        From an array of points to an array of bool: whether the root lies before each point.
    low, high : array
        The ends; NumPy arrays, or JAX arrays inside a compiled program.
    steps : int
        Each halves the interval.

    Returns
    -------
    array

    Examples
    --------
    >>> bisect(lambda x: x**2 > 2, np.zeros(1), np.full(1, 2.0)).round(6)
    array([1.414214])
    """
    xp = _module(low, high)

    def halve(ends):
        low, high = ends
        middle = (low + high) / 2
        passed = beyond(middle)
        return xp.where(passed, low, middle), xp.where(passed, middle, high)

    low, high = _repeated(halve, (low, high), steps, xp)
    return (low + high) / 2


def golden_section(function: Callable, low, high, steps: int = 60):
    """Where between two ends a function of one variable is lowest, elementwise; it need not be smooth.

    Parameters
    ----------
    function : Callable
    low, high : array
    steps : int
        Each keeps 0.62 of the interval.

    Returns
    -------
    array

    Examples
    --------
    >>> float(golden_section(lambda x: abs(x - 1), np.array(0.0), np.array(3.0)).round(6))
    1.0
    """
    xp = _module(low, high)

    def narrow(ends):
        low, high = ends
        left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
        lower = function(left) < function(right)
        return xp.where(lower, low, left), xp.where(lower, right, high)

    low, high = _repeated(narrow, (low, high), steps, xp)
    return (low + high) / 2


def _module(*arrays) -> Any:
    return jnp if any(isinstance(array, jax.Array) for array in arrays) else np


def _repeated(step: Callable, state, times: int, xp: Any):
    if xp is jnp:
        return jax.lax.fori_loop(0, times, lambda _, state: step(state), state)
    for _ in range(times):
        state = step(state)
    return state
