"""Padding: arrays are extended to a few lengths, so that tables of similar length share a compilation."""

from __future__ import annotations

import numpy as np


def padded_size(n: int, *, coarse: bool = False) -> int:
    """The smallest of a few sizes that is at least n.

    Parameters
    ----------
    n : int
    coarse : bool
        Whether sizes are powers of two and 1.5 times these, from 16 on: fewer sizes, hence larger batches. Otherwise
        they are multiples of 8, from 64 on at most an eighth larger than n.

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
    """The array padded along the first axis to a size, by copies of its last row.

    Examples
    --------
    >>> repeat_last(np.array([1.0, 2.0]), 4)
    array([1., 2., 2., 2.])
    """
    return values[np.minimum(np.arange(size), len(values) - 1)]


def fill_last_axis(values: np.ndarray, size: int, value: float) -> np.ndarray:
    """The array padded along its last axis to a size, by a value; a longer array stays as it is.

    Examples
    --------
    >>> fill_last_axis(np.array([[0, 1]]), 3, -1)
    array([[ 0,  1, -1]])
    """
    missing = max(size - values.shape[-1], 0)
    return np.pad(values, [(0, 0)] * (values.ndim - 1) + [(0, missing)], constant_values=value)
