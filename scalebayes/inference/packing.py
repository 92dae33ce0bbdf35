"""Arrays packed into a few: a call of a compiled program takes time in proportion to the number of its arguments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from scalebayes.inference.data import Data

Layout = tuple[tuple[str, tuple[int, ...], str], ...]


def layout_of(data: Mapping[str, np.ndarray]) -> Layout:
    """Name, shape and kind of every array: "f" for float64, "i" for int64, "b" for bool.

    Examples
    --------
    >>> layout_of({"x": np.zeros(3), "n": np.asarray(2)})
    (('x', (3,), 'f'), ('n', (), 'i'))
    """
    return tuple((name, value.shape, value.dtype.kind) for name, value in data.items())


def packed(tables: Sequence[Data], layout: Layout) -> dict[str, np.ndarray]:
    """Arrays of several tables as one of each kind, shape (table, number).

    Examples
    --------
    >>> data = {"x": np.zeros(3), "y": np.ones((1, 2))}
    >>> packed([data], layout_of(data))["f"]
    array([[0., 0., 0., 1., 1.]])
    """
    types = {"f": np.float64, "i": np.int64, "b": np.bool_}
    found: dict[str, np.ndarray] = {}
    for kind in sorted({kind for _, _, kind in layout}):
        names = [name for name, _, own in layout if own == kind]
        flat = [np.concatenate([np.ravel(table[name]) for name in names]) for table in tables]
        found[kind] = np.stack(flat).astype(types[kind])
    return found


def unpacked(arrays: Mapping[str, Any], layout: Layout) -> dict[str, Any]:
    """The arrays of one table by name, in NumPy or in JAX.

    Examples
    --------
    >>> data = {"x": np.zeros(3), "y": np.ones((1, 2))}
    >>> row = {kind: value[0] for kind, value in packed([data], layout_of(data)).items()}
    >>> unpacked(row, layout_of(data))["y"]
    array([[1., 1.]])
    """
    found, at = {}, dict.fromkeys(arrays, 0)
    for name, shape, kind in layout:
        size = int(np.prod(shape))
        found[name] = arrays[kind][at[kind] : at[kind] + size].reshape(shape)
        at[kind] += size
    return found
