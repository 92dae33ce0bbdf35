"""Counts: how many of a known number of items a run gets right."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from scalebayes.observations.scales import LOGIT, Scale
from scalebayes.priors import LogNormal, Pooling, shared, with_pooling

_ROUNDED = 0.1  # items by which the rounding of an accuracy may move a whole count
_TINY = 1e-12  # smallest distance of a probability from 0 and from 1


@dataclass(frozen=True)
class BetaBinomial:
    r"""Accuracies on a known number of items, which scatter more than with independent answers.

    .. math:: n y \sim \mathrm{BetaBinomial}(n,\ \phi f,\ \phi (1 - f))

    with y the accuracy (or the error), n the number of items and f the law's mean, between 0 and 1. The variance of y
    is :math:`f (1 - f) (\phi + n) / (n (\phi + 1))`. If the concentration :math:`\phi` is large, it is that of a
    binomial.

    Parameters
    ----------
    items : str
        Name of the column with the number of items.
    concentration : prior
        Prior of :math:`\phi`: bare (shared), pooled or separate.

    Raises
    ------
    TypeError
        If ``items`` is not a name.

    Notes
    -----
    A discrepancy acts on a scale on which each run has a standard deviation. Counts have none, so they are fitted
    without a discrepancy.

    Examples
    --------
    >>> BetaBinomial(items="n_questions").concentration
    shared(LogNormal(median=300.0, spread=1.5))
    """

    word: ClassVar[str] = "beta_binomial"
    scale: ClassVar[Scale] = LOGIT
    is_gaussian: ClassVar[bool] = False
    needs: ClassVar[str] = "shares of the items, between 0 and 1, which times the items are whole numbers"
    sd: ClassVar[None] = None

    items: str
    concentration: Pooling = field(default_factory=lambda: shared(LogNormal(median=300.0, spread=1.5)))

    def __post_init__(self) -> None:
        if not isinstance(self.items, str):
            raise TypeError(f"items is the column with the number of items, got {self.items!r}.")
        object.__setattr__(self, "concentration", with_pooling(self.concentration))

    @property
    def columns(self) -> dict[str, str]:
        """The column with the number of items."""
        return {"items": self.items}

    def priors(self) -> dict[str, Pooling]:
        """The prior of the concentration."""
        return {"concentration": self.concentration}

    def name(self, response: str) -> str:
        """Name of the observed variable."""
        return f"{response}_count"

    def observed(self, response: np.ndarray, columns: Mapping) -> np.ndarray:
        """The counts, NaN where there is none; as floats, so that their density is computed in double precision."""
        items = np.asarray(columns["items"], float)
        counts = np.round(response * items)
        possible = (np.abs(response * items - counts) <= _ROUNDED) & (counts >= 0) & (counts <= items)
        return np.where(possible & (items == np.round(items)), counts, np.nan)

    def distribution(self, mean, values: Mapping, columns: Mapping):
        """A PyMC distribution of the counts."""
        import pymc as pm

        phi = values["concentration"]
        return pm.BetaBinomial.dist(n=columns["items"], alpha=phi * mean, beta=phi * (1 - mean))

    def draw(self, mean: np.ndarray, values: Mapping, columns: Mapping, rng: np.random.Generator) -> np.ndarray:
        """Accuracies of new runs about a mean, of the mean's shape."""
        inside = np.clip(mean, _TINY, 1 - _TINY)
        phi, items = np.asarray(values["concentration"]), np.asarray(columns["items"]).astype(int)
        chance = rng.beta(phi * inside, phi * (1 - inside))
        return rng.binomial(items, chance) / items

    def widened(self, values: Mapping, variance, xp: Any = np) -> dict:
        """Raises a ValueError: counts have no variance on a scale, to which another could be added."""
        raise ValueError("a beta-binomial observation has no variance on a scale to add to.")
