"""Noise on the log response: how a single run scatters about the law."""

from __future__ import annotations

from dataclasses import dataclass, field

from scalebayes.priors import LogNormal, Pooling, check_numbers, shared, with_pooling


def _default_sigma() -> Pooling:
    return shared(LogNormal(median=0.005, spread=1.0))


@dataclass(frozen=True)
class StudentT:
    r"""Heavy-tailed noise: most runs are close to the law, a few are not.

    .. math:: \log y \sim t_\nu(\log f, \sigma), \quad \nu = 2 + \mathrm{Gamma}(\mathrm{nu\_shape}, \mathrm{nu\_rate})

    Parameters
    ----------
    sigma : prior
        Of the scale, bare (shared) or pooled or separate, in natural logs: 0.005 is half a per cent.
    nu_shape, nu_rate : float
        Of the gamma prior of the degrees of freedom above 2.

    Examples
    --------
    >>> StudentT().nu_rate
    0.2
    """

    sigma: Pooling = field(default_factory=_default_sigma)
    nu_shape: float = 2.0
    nu_rate: float = 0.2

    def __post_init__(self) -> None:
        check_numbers(self, "nu_shape", "nu_rate")
        object.__setattr__(self, "sigma", with_pooling(self.sigma))


@dataclass(frozen=True)
class Gaussian:
    r"""Normal noise, :math:`\log y \sim \mathrm{Normal}(\log f, \sigma)`.

    Parameters
    ----------
    sigma : prior
        Of the scale, bare (shared) or pooled or separate, in natural logs: 0.005 is half a per cent.

    Examples
    --------
    >>> Gaussian().sigma
    shared(LogNormal(median=0.005, spread=1.0))
    """

    sigma: Pooling = field(default_factory=_default_sigma)

    def __post_init__(self) -> None:
        object.__setattr__(self, "sigma", with_pooling(self.sigma))


Noise = StudentT | Gaussian
