"""What the sampler needs of a model: a density with its map, under a name."""

from __future__ import annotations

from typing import Protocol

from scalebayes.inference.transport import Transport


class Source(Protocol):
    """A density, hashable; equal ones share all that is compiled."""

    @property
    def name(self) -> str:
        """The same in every process; empty for a density whose programs are not kept."""

    def __hash__(self) -> int:
        """Of what shapes the density."""

    def transport(self) -> Transport:
        """The density and its map; the same object for every equal source."""
