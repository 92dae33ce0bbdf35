"""A digest of everything that a file of a fit holds: numbers, labels and words."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np
import xarray as xr

CONTENT = "content_digest"


def content_digest(tree: xr.DataTree) -> str:
    """A hash of all variables, coordinates and attributes; the same in memory and after it was read from a file."""
    found = hashlib.sha256()
    for node in sorted(tree.subtree, key=lambda each: each.path):
        dataset = node.to_dataset(inherit=False)
        found.update(f"group {node.path}\n{_of_attributes(dataset.attrs)}\n".encode())
        for name in sorted(map(str, dataset.variables)):
            variable = dataset.variables[name]
            found.update(f"{name} {variable.dims} {variable.shape} {_of_attributes(variable.attrs)}\n".encode())
            found.update(_bytes(variable.to_numpy()))
    return found.hexdigest()


def _of_attributes(attributes: Any) -> str:
    plain = {str(name): _plain(value) for name, value in attributes.items() if name != CONTENT}
    return json.dumps(plain, sort_keys=True, default=str)


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, list | tuple):
        # A file keeps a list of one as a scalar.
        return _plain(value[0]) if len(value) == 1 else [_plain(each) for each in value]
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else str(value)


def _bytes(values: np.ndarray) -> bytes:
    # In eight bytes each: a file may hold a narrower type of the same values.
    if values.dtype.kind in "iub":
        return np.ascontiguousarray(values, np.int64).tobytes()
    if values.dtype.kind == "f":
        return np.ascontiguousarray(values, np.float64).tobytes()
    return "\0".join(map(str, values.ravel())).encode()
