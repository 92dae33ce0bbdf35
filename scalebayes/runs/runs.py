"""Runs: a validated table of training runs, immutable, whose arrays are computed once."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

import numpy as np

from scalebayes.notebook import shown
from scalebayes.runs.inputs import Input

if TYPE_CHECKING:
    import pandas as pd

_LARGEST = 10**300
_SHOWN = 5  # rows in a notebook
RESERVED = frozenset({"chain", "draw", "run", "point", "inducing_point"})


@dataclass(frozen=True, eq=False)
class Runs:
    """A table of training runs and what its columns mean; made by `read_runs`.

    Parameters
    ----------
    table : pandas.DataFrame
        One row per run, the caller's own columns and index. A copy: later changes to the original do not matter.
    inputs : mapping of str to Input
        The law's inputs (``"N"``), as far as they are known.
    response : str
        Column of the response: loss, error, accuracy.
    group : tuple of str
        Columns whose values together name a group (architecture, data set); empty for none.
    run, seed : str or None
        Columns with a run's identity and its random seed. Rows of one run are its checkpoints.
    tokenizer, evaluation : str or None
        Columns that say how a loss is measured; losses that differ in these are not comparable.
    better : {"lower", "higher"}
        Which responses are better.
    cost : str, Callable or None
        What a run costs in FLOPs: a column, or a function of inputs by name. If None, 6 N D where both are inputs, else
        C.
    named : frozenset of str
        The inputs that the caller mapped; the others were recognised by name.
    where : str or None
        The expression that selected the rows.
    excluded : int
        Number of rows it left out.
    source : str
        Where the table came from, for messages.
    """

    table: pd.DataFrame = field(repr=False)
    inputs: Mapping[str, Input]
    response: str
    group: tuple[str, ...] = ()
    run: str | None = None
    seed: str | None = None
    tokenizer: str | None = None
    evaluation: str | None = None
    better: Literal["lower", "higher"] = "lower"
    cost: str | Callable | None = None
    named: frozenset[str] = frozenset()
    where: str | None = None
    excluded: int = 0
    source: str = "table"

    def __post_init__(self) -> None:
        object.__setattr__(self, "inputs", MappingProxyType(dict(self.inputs)))

    def __len__(self) -> int:
        return len(self.table)

    def __getstate__(self) -> dict:
        # A read-only view cannot be pickled, and computing the arrays again is faster than sending them.
        return {f.name: getattr(self, f.name) for f in fields(self)} | {"inputs": dict(self.inputs)}

    def __setstate__(self, state: dict) -> None:
        self.__dict__.update(state | {"inputs": MappingProxyType(state["inputs"])})

    def __str__(self) -> str:
        columns = ", ".join(
            f"{name} = {each.label}" + (f" ({each.unit})" if each.unit else "") for name, each in self.inputs.items()
        )
        lines = [f"{len(self)} runs from {self.source}: {columns}; response {self.response}"]
        if self.group:
            counts = ", ".join(f"{level} ({n})" for level, n in zip(self.levels, self.group_sizes, strict=True))
            lines.append(f"groups by {self.group_name}: {counts}")
        if self.excluded:
            lines.append(f"{self.excluded} rows left out by where: {self.where}")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        return shown(str(self), self.table, _SHOWN)

    @cached_property
    def labels(self) -> np.ndarray:
        """A label for each run: the run column where one was named, else the table's index."""
        labels = np.asarray(self.table.index if self.run is None else self.table[self.run])
        return labels if labels.dtype.kind in "iu" else labels.astype(str)

    @property
    def group_name(self) -> str:
        """Name of the group dimension: the column's, or the columns' joined by an underscore."""
        return re.sub(r"\W", "_", "_".join(map(str, self.group)))

    @cached_property
    def group_labels(self) -> np.ndarray:
        """The group of each run, as a string."""
        parts = [self.table[column].astype(str) for column in self.group]
        return np.asarray([", ".join(row) for row in zip(*parts, strict=True)], dtype=str)

    @cached_property
    def levels(self) -> tuple[str, ...]:
        """The groups, sorted."""
        return tuple(np.unique(self.group_labels).tolist()) if self.group else ()

    @cached_property
    def group_index(self) -> np.ndarray:
        """Position in `levels` of each run's group; zero without groups."""
        if not self.group:
            return np.zeros(len(self), int)
        return np.searchsorted(np.asarray(self.levels), self.group_labels)

    @property
    def factors(self) -> tuple[str, ...]:
        """What groups differ in: columns with several levels, but fewer than groups; then the groups themselves."""
        crossing = [c for c in self.group if 1 < len(self.factor(c)[0]) < len(self.levels)]
        return (*map(str, crossing), self.group_name)

    def factor(self, column: str) -> tuple[tuple[str, ...], np.ndarray]:
        """Levels of one of the group's columns, sorted, and the position of each group's level among them."""
        labels = np.asarray(self.table[column].astype(str), dtype=str)
        levels, index = np.unique(labels, return_inverse=True)
        _, first = np.unique(self.group_index, return_index=True)
        return tuple(levels.tolist()), index[first]

    @cached_property
    def group_sizes(self) -> tuple[int, ...]:
        """Number of runs in each group."""
        return tuple(np.bincount(self.group_index, minlength=len(self.levels)).tolist())

    def rows(self, level: str | None) -> np.ndarray:
        """Positions of the runs of a group; of all runs if it is None."""
        return np.arange(len(self)) if level is None else np.flatnonzero(self.group_labels == level)

    @cached_property
    def y(self) -> np.ndarray:
        """The response, as numbers."""
        return numbers(self.table[self.response])

    @property
    def sign(self) -> float:
        """1 where lower responses are better, -1 where higher ones are: of a response times this, lower is better."""
        return 1.0 if self.better == "lower" else -1.0

    @cached_property
    def _arrays(self) -> dict[str, np.ndarray]:
        return {}

    def x(self, name: str) -> np.ndarray:
        """An input, as numbers, shape (run,); of a vector (run, part), of a schedule (run, segment, 4)."""
        if name not in self._arrays:
            each = self.inputs[name]
            if each.schedules is not None:
                self._arrays[name] = each.schedules.at(*schedule_of(self.table, each))
            else:
                parts = [numbers(self.table[column]) for column in each.columns]
                self._arrays[name] = np.stack(parts, 1) if each.is_vector else parts[0]
        return self._arrays[name]

    def features(self, name: str) -> np.ndarray:
        """An input as a few numbers that vary as it does, shape (run, number): scales as logarithms.

        Of a schedule these are the logarithm of the sum of its rates, and its last rate.
        """
        x = self.x(name)
        if self.inputs[name].schedules is not None:
            return np.stack([np.log(x[:, 0, 2]), -x[:, :, 1].sum(1)], 1)
        return np.log(x)[:, None] if name in self.scales else x.reshape(len(self), -1)

    def error(self, name: str) -> np.ndarray | None:
        """The standard error of an input as a share of it, shape (run,); None if it is known exactly."""
        error = self.inputs[name].error
        if isinstance(error, str):
            return self.column(error)
        return np.full(len(self), float(error)) if error else None

    def column(self, column: str) -> np.ndarray:
        """Any column, as numbers."""
        return numbers(self.table[column])

    @property
    def scales(self) -> tuple[str, ...]:
        """The inputs that are positive scales."""
        return tuple(name for name, each in self.inputs.items() if each.kind == "scale")

    def unit(self, axis: str) -> str:
        """The unit of an input, or of compute; empty if it has none."""
        return self.inputs[axis].unit if axis in self.inputs else {"C": "FLOPs"}.get(axis, "")

    def axis_label(self, axis: str) -> str:
        """An input's name with its unit: ``D (tokens)``."""
        return f"{axis} ({unit})" if (unit := self.unit(axis)) else axis

    @cached_property
    def digest(self) -> str:
        """A hash of every number and group label that a fit uses."""
        parts = [self.y.tobytes(), *(name.encode() + self.x(name).tobytes() for name in sorted(self.inputs))]
        errors = [(name, self.error(name)) for name in sorted(self.inputs)]
        parts += [f"error of {name}".encode() + error.tobytes() for name, error in errors if error is not None]
        return hashlib.sha256(b"".join([*parts, *(g.encode() + b"\0" for g in self.group_labels)])).hexdigest()[:16]


def schedule_of(table: pd.DataFrame, each: Input) -> tuple[list[str], np.ndarray | None]:
    """The schedule of each row, and the step at which it was measured; None for the end of its schedule."""
    column, *step = each.columns
    names = table[column].astype(str).tolist()
    return names, numbers(table[step[0]]) if step and step[0] in table else None


def numbers(column: pd.Series) -> np.ndarray:
    """A column as numbers, NaN where it holds none."""
    import pandas as pd

    try:
        return pd.to_numeric(column, errors="coerce").to_numpy(float, na_value=np.nan)
    except OverflowError:  # a whole number of hundreds of digits
        large = column.map(lambda value: isinstance(value, int) and abs(value) > _LARGEST)
        return numbers(column.where(~large.astype(bool), np.inf))
