"""Settings of the sampler, which check themselves; nothing heavy is imported, so that bad ones are refused at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Settings:
    """Settings of the sampler.

    Parameters
    ----------
    draws, chains : int
    warmup : int or None
        Adapting steps before the draws; as many as the posterior needs if None.
    target_accept : float or None
        Mean acceptance rate to adapt to; the sampler's choice if None.
    ess : int or None
        Bulk ESS that every variable must exceed; chains go on where ``draws`` are too few. If None, they go on only
        until a result may be used, and are thinned to ``draws``.
    max_draws : int or None
        Draws of each chain at which sampling for ``ess`` ends.
    """

    draws: int = 1000
    chains: int = 4
    warmup: int | None = None
    target_accept: float | None = None
    ess: int | None = None
    max_draws: int | None = None

    def __post_init__(self) -> None:
        least = {"draws": 4, "chains": 1, "warmup": 20, "ess": 1, "max_draws": 4}
        for name, smallest in least.items():
            value = getattr(self, name)
            if value is None and name in ("warmup", "ess", "max_draws"):
                continue
            if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < smallest:
                raise ValueError(f"{name} is a whole number from {smallest} on, got {value!r}.")
        if self.target_accept is not None and not 0 < self.target_accept < 1:
            raise ValueError(f"target_accept lies between 0 and 1, got {self.target_accept!r}.")
        if self.max_draws is not None and self.ess is None:
            raise ValueError(
                "max_draws limits the draws made to reach an effective sample size; say ess too, or draws alone."
            )
