"""Settings of the sampler, which check themselves; nothing heavy is imported, so that bad ones are refused at once."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from scalebayes.arguments import quoted

LEAST_DRAWS = 500  # of each chain, where the number of draws is not given
MOST_DRAWS = 8000
MOST_LONGER = 8  # how many times as many draws as given are made, of which the given number is kept
SMALLEST_ESS = 400


@dataclass(frozen=True)
class Settings:
    """Settings of the sampler.

    Parameters
    ----------
    draws : int or None
        Draws kept of each chain; as many as ``ess`` needs if None.
    chains : int
    warmup : int or None
        Adapting trajectories before the draws; as many as the posterior needs if None.
    target_accept : float or None
        Mean acceptance rate to adapt to; the sampler's choice if None.
    ess : int or None
        Bulk and tail ESS that every variable must reach, 400 if None. A given one excludes ``draws``.
    max_draws : int or None
        Draws of each chain at which sampling for ``ess`` ends.
    """

    draws: int | None = None
    chains: int = 4
    warmup: int | None = None
    target_accept: float | None = None
    ess: int | None = None
    max_draws: int | None = None

    def __post_init__(self) -> None:
        least = {"draws": 4, "chains": 1, "warmup": 20, "ess": 1, "max_draws": 4}
        for name, smallest in least.items():
            value = getattr(self, name)
            if value is None and name != "chains":
                continue
            if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < smallest:
                raise ValueError(f"{name} is a whole number from {smallest} on, got {quoted(value)}.")
        if self.target_accept is not None and not 0 < self.target_accept < 1:
            raise ValueError(f"target_accept lies between 0 and 1, got {quoted(self.target_accept)}.")
        if self.draws is not None:
            for name in ("ess", "max_draws"):
                if getattr(self, name) is not None:
                    raise ValueError(
                        f"draws fixes the number of draws, and {name} lets it follow the effective sample size; "
                        f"got draws={self.draws} and {name}={getattr(self, name)}: give one of them."
                    )

    @property
    def first(self) -> int:
        """Draws of each chain that are made in any case."""
        if self.draws is not None:
            return self.draws
        most = self.max_draws or MOST_DRAWS
        # A little more than are needed if draws hardly depend on each other.
        return min(max(LEAST_DRAWS, math.ceil(1.2 * self.least_ess / self.chains)), most)

    @property
    def most(self) -> int:
        """Draws of each chain at which sampling ends."""
        return MOST_LONGER * self.draws if self.draws is not None else self.max_draws or max(MOST_DRAWS, self.first)

    @property
    def least_ess(self) -> int:
        """Bulk and tail ESS that every variable must reach."""
        return self.ess or SMALLEST_ESS
