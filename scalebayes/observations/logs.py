"""Noise on the logarithm of a positive response: Student-t and Gaussian."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from scalebayes.observations.scales import LOG, Scale
from scalebayes.priors import Gamma, LogNormal, Pooling, Shared, pooled, shared, with_pooling


def _default_sigma() -> Pooling:
    return shared(LogNormal(median=0.005, spread=1.0))


@dataclass(frozen=True)
class StudentT:
    r"""Heavy-tailed noise: most runs are close to the law, a few are not.

    .. math:: \log y \sim t_\nu(\log f, \sigma), \quad \nu = 2 + \mathrm{Gamma}(4, 0.4)

    Parameters
    ----------
    sigma : prior
        Prior of the scale: bare (shared), pooled or separate. In natural logs, so that 0.005 is half a per cent.
    nu : prior
        Prior of the degrees of freedom, which all groups share. Near 2 a fit would take runs that bend away from the
        law for outliers, and ignore them; single outliers are found before, see `Model`.

    Raises
    ------
    ValueError
        If the prior of ``nu`` is not shared.

    Examples
    --------
    >>> StudentT().nu
    shared(Gamma(shape=4.0, rate=0.4, above=2.0))
    """

    word: ClassVar[str] = "student_t"
    scale: ClassVar[Scale] = LOG
    needs: ClassVar[str] = "positive finite numbers"
    is_gaussian: ClassVar[bool] = False

    sigma: Pooling = field(default_factory=_default_sigma)
    nu: Pooling = field(default_factory=lambda: shared(Gamma(4.0, 0.4, above=2.0)))

    def __post_init__(self) -> None:
        object.__setattr__(self, "sigma", with_pooling(self.sigma))
        object.__setattr__(self, "nu", with_pooling(self.nu))
        if not isinstance(self.nu, Shared):
            raise ValueError(f"nu of a Student-t is shared by all groups, got {self.nu!r}.")

    @property
    def columns(self) -> dict[str, str]:
        """No columns."""
        return {}

    def priors(self) -> dict[str, Pooling]:
        """The priors of sigma and nu."""
        return {"sigma": self.sigma, "nu": self.nu}

    def name(self, response: str) -> str:
        """Name of the observed variable."""
        return f"log_{response}"

    def observed(self, response: np.ndarray, columns: Mapping) -> np.ndarray:
        """The logarithms of the responses; NaN where there is none."""
        return np.log(np.where(response > 0, response, np.nan))

    def distribution(self, mean, values: Mapping, columns: Mapping):
        """A PyMC distribution of the logarithms."""
        import pymc as pm
        import pytensor.tensor as pt

        return pm.StudentT.dist(nu=values["nu"], mu=pt.log(mean), sigma=values["sigma"])

    def draw(self, mean: np.ndarray, values: Mapping, columns: Mapping, rng: np.random.Generator) -> np.ndarray:
        """Responses of new runs about a mean, of the mean's shape."""
        nu = np.broadcast_to(values["nu"], np.shape(mean))
        return mean * np.exp(np.asarray(values["sigma"]) * rng.standard_t(nu))

    def sd(self, mean, values: Mapping, columns: Mapping):
        """The standard deviation of the Gaussian that has the same information about log f."""
        nu = values["nu"]
        return values["sigma"] * ((nu + 3) / (nu + 1)) ** 0.5

    def widened(self, values: Mapping, variance, xp: Any = np) -> dict:
        """The parameters of the same noise with a variance added on the scale."""
        return {**values, "sigma": xp.sqrt(values["sigma"] ** 2 + variance)}


@dataclass(frozen=True)
class Gaussian:
    r"""Normal noise, :math:`\log y \sim \mathrm{Normal}(\log f, \sigma)`.

    Parameters
    ----------
    sigma : prior
        Prior of the scale: bare (shared), pooled or separate. In natural logs, so that 0.005 is half a per cent.

    Examples
    --------
    >>> Gaussian().sigma
    shared(LogNormal(median=0.005, spread=1.0))
    """

    word: ClassVar[str] = "gaussian"
    scale: ClassVar[Scale] = LOG
    needs: ClassVar[str] = "positive finite numbers"
    is_gaussian: ClassVar[bool] = True

    sigma: Pooling = field(default_factory=_default_sigma)

    def __post_init__(self) -> None:
        object.__setattr__(self, "sigma", with_pooling(self.sigma))

    @property
    def columns(self) -> dict[str, str]:
        """No columns."""
        return {}

    def priors(self) -> dict[str, Pooling]:
        """The prior of sigma."""
        return {"sigma": self.sigma}

    def name(self, response: str) -> str:
        """Name of the observed variable."""
        return f"log_{response}"

    def observed(self, response: np.ndarray, columns: Mapping) -> np.ndarray:
        """The logarithms of the responses; NaN where there is none."""
        return np.log(np.where(response > 0, response, np.nan))

    def distribution(self, mean, values: Mapping, columns: Mapping):
        """A PyMC distribution of the logarithms."""
        import pymc as pm
        import pytensor.tensor as pt

        return pm.Normal.dist(mu=pt.log(mean), sigma=values["sigma"])

    def draw(self, mean: np.ndarray, values: Mapping, columns: Mapping, rng: np.random.Generator) -> np.ndarray:
        """Responses of new runs about a mean, of the mean's shape."""
        return mean * np.exp(np.asarray(values["sigma"]) * rng.standard_normal(np.shape(mean)))

    def sd(self, mean, values: Mapping, columns: Mapping):
        """The standard deviation of the logarithm."""
        return values["sigma"]

    def widened(self, values: Mapping, variance, xp: Any = np) -> dict:
        """The parameters of the same noise with a variance added on the scale."""
        return {**values, "sigma": xp.sqrt(values["sigma"] ** 2 + variance)}


def gaussian_beside(spread: float) -> Gaussian:
    """The default noise beside a discrepancy that takes most of the scatter: narrower than without one, and pooled."""
    return Gaussian(pooled(LogNormal(0.006, spread), spread=spread / 2))
