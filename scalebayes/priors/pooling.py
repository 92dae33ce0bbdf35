"""How the groups of a table divide a parameter: shared by all, pooled around a common value, or separate."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from numbers import Real
from typing import Any

from scalebayes.arguments import quoted
from scalebayes.priors.elsewhere import from_elsewhere
from scalebayes.priors.values import LAWS_FLOOR, Anchored, Gamma, Normal, Prior, ResponseShare


@dataclass(frozen=True, repr=False)
class Shared:
    """One value for all groups (complete pooling); made by `shared`."""

    prior: Prior

    def __repr__(self) -> str:
        return f"shared({self.prior!r})"


@dataclass(frozen=True, repr=False)
class Pooled:
    """Groups around a common value (partial pooling); made by `pooled`."""

    prior: Prior
    spread: float | Mapping[str, float]
    on: Mapping[str, Normal] = field(default_factory=dict)

    def __repr__(self) -> str:
        on = f", on={dict(self.on)!r}" if self.on else ""
        return f"pooled({self.prior!r}, spread={self.spread!r}{on})"

    def spreads(self, group: str) -> dict[str, float]:
        """The spread over each factor; a single number is the spread over the groups themselves."""
        return dict(self.spread) if isinstance(self.spread, Mapping) else {group: self.spread}


@dataclass(frozen=True, repr=False)
class Separate:
    """One value per group, of which none informs another (no pooling); made by `separate`."""

    prior: Prior

    def __repr__(self) -> str:
        return f"separate({self.prior!r})"


Pooling = Shared | Pooled | Separate


def shared(prior: Prior) -> Shared:
    """One value of the parameter for all groups.

    Parameters
    ----------
    prior : Normal, LogNormal, Gamma, FloorShare, Share, ResponseShare, ResponseLevel, RangeShare or Anchored
        Prior of that value.

    Returns
    -------
    Shared

    Raises
    ------
    TypeError
        If ``prior`` is not a prior.

    Examples
    --------
    >>> from scalebayes.priors import LogNormal
    >>> shared(LogNormal(median=1.7, spread=0.3))
    shared(LogNormal(median=1.7, spread=0.3))
    """
    return Shared(_a_prior(prior))


def pooled(prior: Prior, *, spread: float | Mapping[str, float], on: Mapping[str, Normal] | None = None) -> Pooled:
    r"""A value per group, around a value common to the population of groups.

    .. math:: \log x_g \sim \mathrm{Normal}(\log x_\mathrm{population}, \tau), \quad
              \tau \sim \mathrm{HalfNormal}(\mathrm{spread})

    For a `Normal` prior this is without logarithms; for an `Anchored` one it is about the value at the reference. With
    several group columns, crossed or nested, the deviations of a group's factors add up:

    .. math:: \log x_g = \log x_\mathrm{population} + \sum_f u_{f, \mathrm{level}_f(g)}, \quad
              u_{f,l} \sim \mathrm{Normal}(0, \tau_f), \quad \tau_f \sim \mathrm{HalfNormal}(\mathrm{spread}_f)

    A parameter may also depend on covariates z of the groups, such as the dimension of a data set:
    :math:`\log x_g` then has the further terms :math:`c_z (\log z_g - \overline{\log z})`.

    Parameters
    ----------
    prior : Normal, LogNormal, Gamma, FloorShare, Share, ResponseShare, ResponseLevel, RangeShare or Anchored
        Prior of the population's value.
    spread : float or mapping of str to float
        Scale of the half-normal prior of tau: 0.3 means "groups differ by some 30%". One number is for the groups
        themselves (every combination of the group columns). A mapping has one number for each factor: a group column,
        or the columns' names joined by ``_`` for their combinations.
    on : mapping of str to Normal, optional
        For each column on which the parameter depends the prior of its slope c. The column is positive, and constant
        in each group; the population's value is that at the mean of its logarithms.

    Returns
    -------
    Pooled

    Raises
    ------
    TypeError
        If ``prior`` is not a prior.
    ValueError
        If ``spread`` is not positive.

    Examples
    --------
    >>> from scalebayes.priors import LogNormal
    >>> pooled(LogNormal(median=0.3, spread=0.5), spread=0.2)
    pooled(LogNormal(median=0.3, spread=0.5), spread=0.2)
    >>> pooled(LogNormal(median=0.3, spread=0.5), spread={"architecture": 0.2, "dataset": 0.1})
    pooled(LogNormal(median=0.3, spread=0.5), spread={'architecture': 0.2, 'dataset': 0.1})
    """
    spreads = spread if isinstance(spread, Mapping) else {"spread": spread}
    if not spreads:
        raise ValueError("pooled needs a spread for at least one factor, got none.")
    for factor, value in spreads.items():
        where = f"spread of {factor!r}" if isinstance(spread, Mapping) else "spread"
        if not isinstance(value, Real) or isinstance(value, bool):
            raise TypeError(f"pooled needs a number for {where}, got {quoted(value)} ({type(value).__name__}).")
        if not math.isfinite(value) or value <= 0:
            raise ValueError(f"pooled needs a positive number for {where}, got {quoted(value)}.")
    for column, slope in (on or {}).items():
        if not isinstance(slope, Normal):
            raise TypeError(f"on has a Normal prior for the slope on {column!r}, got {quoted(slope)}.")
    return Pooled(_a_prior(prior), dict(spread) if isinstance(spread, Mapping) else spread, dict(on or {}))


def separate(prior: Prior) -> Separate:
    """A value of the parameter per group; all have the same prior, and none informs another.

    Parameters
    ----------
    prior : Normal, LogNormal, Gamma, FloorShare, Share, ResponseShare, ResponseLevel, RangeShare or Anchored
        Prior of each value.

    Returns
    -------
    Separate

    Raises
    ------
    TypeError
        If ``prior`` is not a prior.

    Examples
    --------
    >>> from scalebayes.priors import LogNormal
    >>> separate(LogNormal(median=0.3, spread=0.1))
    separate(LogNormal(median=0.3, spread=0.1))
    """
    return Separate(_a_prior(prior))


def _a_prior(prior: object) -> Prior:
    prior = from_elsewhere(prior)
    if isinstance(prior, Prior):
        return prior
    outside = isinstance(prior, type) and prior.__module__.partition(".")[0] == "pymc"
    meant = f"; of PyMC's write pm.{prior.__name__}.dist(...)" if outside else ""
    raise TypeError(
        f"a prior is needed, such as LogNormal(median=0.3, spread=0.5), got {quoted(prior)} "
        f"({type(prior).__name__}){meant}."
    )


def with_pooling(prior: Prior | Pooling) -> Pooling:
    """The prior itself if it states its pooling, else the prior shared by all groups."""
    return prior if isinstance(prior, Shared | Pooled | Separate) else shared(prior)


def with_floor[T](prior: T, floor: str | None) -> T:
    """The same prior, with the law's floor as that of a `ResponseShare` that refers to it; None counts from zero."""
    if isinstance(prior, Shared | Pooled | Separate | Anchored):
        field = "value" if isinstance(prior, Anchored) else "prior"
        return replace(prior, **{field: with_floor(getattr(prior, field), floor)})
    if isinstance(prior, ResponseShare) and prior.floor == LAWS_FLOOR:
        return replace(prior, floor=floor)
    return prior


_BLANK = Shared(Normal(0.0, 1.0))


def without_numbers[T](value: T) -> T:
    """A frozen value with all priors among its fields replaced by one; what is left decides what is compiled."""
    part: Any = value
    return replace(part, **{f.name: _BLANK for f in fields(part) if isinstance(getattr(part, f.name), Pooling)})


WORDS = ("shared", "pooled", "crossed", "separate")


def repool(pooling: Pooling, how: str, factors: tuple[str, ...] = ()) -> Pooling:
    """The same prior with another pooling; a parameter that becomes pooled gets a spread of 0.3.

    ``"crossed"`` changes pooled priors only: it divides their variance evenly among the factors.
    """
    match how:
        case "shared":
            return Shared(pooling.prior)
        case "separate":
            return Separate(pooling.prior)
        case "pooled":
            return pooling if isinstance(pooling, Pooled) else Pooled(pooling.prior, 0.3)
        case "crossed":
            if not isinstance(pooling, Pooled) or isinstance(pooling.spread, Mapping):
                return pooling
            each = pooling.spread / math.sqrt(len(factors))
            return Pooled(pooling.prior, dict.fromkeys(factors, each), pooling.on)
    raise ValueError(f"there is no pooling {how!r}.")


def repool_fields[T](value: T, how: str) -> T:
    """A frozen value with another pooling for every prior among its fields; a `Gamma` stays shared."""
    part: Any = value
    own = {f.name: getattr(part, f.name) for f in fields(part)}
    pooled_otherwise = {
        name: repool(prior, how)
        for name, prior in own.items()
        if isinstance(prior, Pooling) and not isinstance(prior.prior, Gamma)
    }
    return replace(part, **pooled_otherwise)
