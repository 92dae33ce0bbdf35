"""Padding: the few lengths that arrays are extended to, so that tables of similar length share a compilation."""

from __future__ import annotations

import numpy as np


def padded_size(n: int, *, coarse: bool = False) -> int:
    """The next of a few sizes.

    Parameters
    ----------
    n : int
    coarse : bool
        Powers of two and one and a half times these, from 16 on: fewer sizes, hence larger batches. Otherwise multiples of
        8, from 64 on at most an eighth larger.

    Examples
    --------
    >>> padded_size(97), padded_size(103), padded_size(97, coarse=True)
    (104, 104, 128)
    """
    if not coarse:
        step = max(8, 1 << max(n.bit_length() - 4, 0))
        return -(-n // step) * step
    power = 16
    while power < n:
        power *= 2
    return power * 3 // 4 if power > 16 and n <= power * 3 // 4 else power


def repeat_last(values: np.ndarray, size: int) -> np.ndarray:
    """The array with its last row repeated along the first axis up to a size.

    Examples
    --------
    >>> repeat_last(np.array([1.0, 2.0]), 4)
    array([1., 2., 2., 2.])
    """
    return values[np.minimum(np.arange(size), len(values) - 1)]


def fill_last_axis(values: np.ndarray, size: int, value: float) -> np.ndarray:
    """The array with a value added along its last axis up to a size; longer ones stay.

    Examples
    --------
    >>> fill_last_axis(np.array([[0, 1]]), 3, -1)
    array([[ 0,  1, -1]])
    """
    missing = max(size - values.shape[-1], 0)
    return np.pad(values, [(0, 0)] * (values.ndim - 1) + [(0, missing)], constant_values=value)
