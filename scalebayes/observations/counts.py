"""Counts: how many of a known number of items a run gets right, and how many tries it needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from scalebayes.arguments import is_whole, quoted
from scalebayes.observations.scales import LOGIT, Scale
from scalebayes.priors import LogNormal, Pooling, shared, with_pooling

_ROUNDED = 0.1  # items by which the rounding of an accuracy may move a whole count
_TINY = 1e-12  # smallest distance of a probability from 0 and from 1
_SHARES = "shares of the items, between 0 and 1, which times the items are whole numbers"


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
    rounded : bool
        Whether accuracies are rounded, or means over tests, so that the nearest whole number of items counts.

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
    needs: ClassVar[str] = _SHARES
    sd: ClassVar[None] = None

    items: str
    concentration: Pooling = field(default_factory=lambda: shared(LogNormal(median=300.0, spread=1.5)))
    rounded: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.items, str):
            raise TypeError(f"items is the column with the number of items, got {quoted(self.items)}.")
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
        """The counts, NaN where there is none."""
        return _counts(response, columns, self.rounded)

    def distribution(self, mean, values: Mapping, columns: Mapping):
        """A PyMC distribution of the counts."""
        import pymc as pm
        import pytensor.tensor as pt

        phi, inside = values["concentration"], _inside(mean, pt)
        return pm.BetaBinomial.dist(n=columns["items"], alpha=phi * inside, beta=phi * (1 - inside))

    def draw(self, mean: np.ndarray, values: Mapping, columns: Mapping, rng: np.random.Generator) -> np.ndarray:
        """Accuracies of new runs about a mean, of the mean's shape."""
        inside = _inside(mean)
        phi, items = np.asarray(values["concentration"]), np.asarray(columns["items"]).astype(int)
        chance = rng.beta(phi * inside, phi * (1 - inside))
        return rng.binomial(items, chance) / items

    def widened(self, mean, values: Mapping, variance, xp: Any = np) -> dict:
        """Raises a ValueError: counts have no variance on a scale, to which another could be added."""
        raise ValueError("a beta-binomial observation has no variance on a scale to add to.")


@dataclass(frozen=True)
class Binomial:
    r"""Accuracies on a known number of independent items, of which none or all may be right.

    .. math:: n y \sim \mathrm{Binomial}(n,\ f)

    with y the accuracy (or the error, or the share of samples that pass), n the number of items and f the law's mean,
    between 0 and 1. Items of one test set are seldom independent: `BetaBinomial` takes more scatter.

    Parameters
    ----------
    items : str
        Name of the column with the number of items.
    rounded : bool
        Whether accuracies are rounded, so that the nearest whole number of items counts.

    Raises
    ------
    TypeError
        If ``items`` is not a name.

    Examples
    --------
    >>> Binomial(items="n_samples").columns
    {'items': 'n_samples'}
    """

    word: ClassVar[str] = "binomial"
    scale: ClassVar[Scale] = LOGIT
    is_gaussian: ClassVar[bool] = False
    needs: ClassVar[str] = _SHARES
    sd: ClassVar[None] = None

    items: str
    rounded: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.items, str):
            raise TypeError(f"items is the column with the number of items, got {quoted(self.items)}.")

    @property
    def columns(self) -> dict[str, str]:
        """The column with the number of items."""
        return {"items": self.items}

    def priors(self) -> dict[str, Pooling]:
        """None: it has no parameters of its own."""
        return {}

    def name(self, response: str) -> str:
        """Name of the observed variable."""
        return f"{response}_count"

    def observed(self, response: np.ndarray, columns: Mapping) -> np.ndarray:
        """The counts, NaN where there is none."""
        return _counts(response, columns, self.rounded)

    def distribution(self, mean, values: Mapping, columns: Mapping):
        """A PyMC distribution of the counts."""
        import pymc as pm
        import pytensor.tensor as pt

        return pm.Binomial.dist(n=columns["items"], p=_inside(mean, pt))

    def draw(self, mean: np.ndarray, values: Mapping, columns: Mapping, rng: np.random.Generator) -> np.ndarray:
        """Accuracies of new runs about a mean, of the mean's shape."""
        items = np.asarray(columns["items"]).astype(int)
        return rng.binomial(items, _inside(mean)) / items

    def widened(self, mean, values: Mapping, variance, xp: Any = np) -> dict:
        """Raises a ValueError: counts have no variance on a scale, to which another could be added."""
        raise ValueError("a binomial observation has no variance on a scale to add to.")


@dataclass(frozen=True)
class NegativeBinomial:
    r"""Pass rates of runs that were sampled until a number of passes: PassUntil (Hu et al. 2024, arXiv:2310.03262).

    .. math:: r (1 / y - 1) \sim \mathrm{NegativeBinomial}(r,\ f)

    with r the number of passes, y = r / (number of samples) the pass rate and f the law's mean, between 0 and 1. Where
    sampling ended without a pass, take `Binomial`, for which the rate may be zero.

    Parameters
    ----------
    passes : int or str
        The number of passes at which sampling ended, or the name of the column with it.

    Raises
    ------
    TypeError
        If ``passes`` is neither a whole number from 1 on nor a name.

    Examples
    --------
    >>> NegativeBinomial(passes=3).columns
    {}
    """

    word: ClassVar[str] = "negative_binomial"
    scale: ClassVar[Scale] = LOGIT
    is_gaussian: ClassVar[bool] = False
    needs: ClassVar[str] = "pass rates, passes over samples: above 0 and at most 1"
    sd: ClassVar[None] = None

    passes: int | str = 1

    def __post_init__(self) -> None:
        if not isinstance(self.passes, str) and not is_whole(self.passes, 1):
            raise TypeError(f"passes is a whole number from 1 on, or the column with it, got {quoted(self.passes)}.")

    @property
    def columns(self) -> dict[str, str]:
        """The column with the number of passes, if it differs between runs."""
        return {"passes": self.passes} if isinstance(self.passes, str) else {}

    def priors(self) -> dict[str, Pooling]:
        """None: it has no parameters of its own."""
        return {}

    def name(self, response: str) -> str:
        """Name of the observed variable."""
        return f"{response}_failures"

    def observed(self, response: np.ndarray, columns: Mapping) -> np.ndarray:
        """The samples that did not pass, NaN where there is no such number."""
        passes = np.asarray(self._passes(columns), float)
        possible = (response > 0) & (response <= 1) & (passes >= 1)
        return np.where(possible, np.round(passes / np.where(possible, response, 1.0) - passes), np.nan)

    def distribution(self, mean, values: Mapping, columns: Mapping):
        """A PyMC distribution of the samples that did not pass."""
        import pymc as pm
        import pytensor.tensor as pt

        return pm.NegativeBinomial.dist(n=self._passes(columns), p=_inside(mean, pt))

    def draw(self, mean: np.ndarray, values: Mapping, columns: Mapping, rng: np.random.Generator) -> np.ndarray:
        """Pass rates of new runs about a mean, of the mean's shape."""
        passes = np.asarray(self._passes(columns))
        return passes / (passes + rng.negative_binomial(passes, _inside(mean)))

    def widened(self, mean, values: Mapping, variance, xp: Any = np) -> dict:
        """Raises a ValueError: counts have no variance on a scale, to which another could be added."""
        raise ValueError("a negative binomial observation has no variance on a scale to add to.")

    def _passes(self, columns: Mapping) -> Any:
        return columns["passes"] if isinstance(self.passes, str) else float(self.passes)


def _counts(response: np.ndarray, columns: Mapping, rounded: bool) -> np.ndarray:
    """Whole numbers of items, NaN where there is none; as floats, so that densities are in double precision."""
    items = np.asarray(columns["items"], float)
    counts = np.round(response * items)
    possible = (rounded | (np.abs(response * items - counts) <= _ROUNDED)) & (counts >= 0) & (counts <= items)
    return np.where(possible & (items == np.round(items)), counts, np.nan)


def _inside(mean, xp: Any = np):
    """A probability that is neither 0 nor 1, of which the density and its gradient would not be finite."""
    return xp.clip(mean, _TINY, 1 - _TINY)
