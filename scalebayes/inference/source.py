"""What the sampler needs from a model: a density and its map, under a name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np

from scalebayes.inference.data import Data
from scalebayes.inference.transport import Transport


class Source(Protocol):
    """The source of a density, hashable; equal sources share compiled programs."""

    @property
    def name(self) -> str:
        """A name that is the same in every process; empty if the programs of the density are not kept."""

    def __hash__(self) -> int:
        """The hash of what defines the density."""

    def values(self, position: np.ndarray, published: Mapping[str, np.ndarray], data: Data) -> dict[str, np.ndarray]:
        """Every variable to keep on its natural scale, at positions of shape (..., size)."""

    def transport(self) -> Transport:
        """The density and its map; the same object for every equal source."""
