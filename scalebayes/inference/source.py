"""What the sampler needs from a model: a density and its map, under a name."""

from __future__ import annotations

from typing import Protocol

from scalebayes.inference.transport import Transport


class Source(Protocol):
    """The source of a density, hashable; equal sources share compiled programs."""

    @property
    def name(self) -> str:
        """A name that is the same in every process; empty if the programs of the density are not kept."""

    def __hash__(self) -> int:
        """The hash of what defines the density."""

    def transport(self) -> Transport:
        """The density and its map; the same object for every equal source."""
