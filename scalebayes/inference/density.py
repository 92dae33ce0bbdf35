"""The density of a model as the sampler sees it: functions of an unconstrained position and the data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax.numpy as jnp
import numpy as np

from scalebayes.inference.data import REAL, Data


@dataclass(frozen=True, eq=False)
class Density:
    """A posterior density of an unconstrained position.

    Parameters
    ----------
    slices : mapping of str to slice
        The part of a position that belongs to each free variable.
    runs : int
        Number of runs, with those that only pad the table.
    published : mapping of str to tuple of int
        Shapes of the variables to keep that the likelihood returns.
    log_prior : Callable
        (position, data) to the log prior density.
    likelihood : Callable
        Without arguments; returns the function from (free variables, data) to the log likelihood of each run, the log
        density of further terms, and variables to keep. It is called when a program is traced, and is slow.
    """

    slices: Mapping[str, slice]
    runs: int
    published: Mapping[str, tuple[int, ...]]
    log_prior: Callable[[Any, Data], Any]
    likelihood: Callable[[], Callable[[Mapping[str, Any], Data], tuple[Any, Any, dict[str, Any]]]]

    @property
    def size(self) -> int:
        """Length of a position."""
        return max(part.stop for part in self.slices.values())

    def free(self, position: Any, xp: Any = np) -> dict[str, Any]:
        """The free variables of positions, shape (..., size)."""
        names = sorted(self.slices, key=lambda name: self.slices[name].start)
        # Split, since the gradient of a split is one operation, and that of slices is one for each.
        parts = xp.split(position, [self.slices[name].start for name in names[1:]], axis=-1)
        return dict(zip(names, parts, strict=True))

    def position(self, values: Mapping[str, np.ndarray]) -> np.ndarray:
        """The position with these values of the free variables."""
        position = np.empty(self.size)
        for name, part in self.slices.items():
            position[part] = values[name]
        return position

    @cached_property
    def _likelihood(self) -> Callable:
        return self.likelihood()

    def logp(self, position: Any, data: Data) -> tuple[Any, tuple[Any, dict[str, Any]]]:
        """The log posterior density in JAX; beside it the log likelihood of each run, and variables to keep.

        The log likelihood of a run that only pads the table is zero.
        """
        each, departures, published = self._likelihood(self.free(position, jnp), data)
        each = jnp.where(data[REAL], each, 0.0) if REAL in data else each
        return self.log_prior(position, data) + departures + each.sum(), (each, published)
