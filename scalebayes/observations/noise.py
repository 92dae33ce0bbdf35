"""Noise on a scale: Student-t and Gaussian on the logarithm, the response or the log-odds, and a one-sided excess."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from scalebayes.arguments import quoted
from scalebayes.observations.scales import LOG, Scale, as_scale
from scalebayes.priors import Gamma, LogNormal, Pooling, RangeShare, Shared, pooled, shared, with_pooling

_NEEDS = {
    "log": "positive finite numbers",
    "identity": "finite numbers",
    "logit": "numbers between 0 and 1, both excluded",
}
_FAR = 6.0  # standard deviations
# Of the losses and errors of trained models: half a per cent; a tenth in log-odds is 0.025 of an accuracy of one half.
# In units of the response nothing is known but their range.
_SIGMA = {
    "log": LogNormal(median=0.005, spread=1.0),
    "logit": LogNormal(median=0.1, spread=1.0),
    "identity": RangeShare(share=0.02, spread=1.5),
}


@dataclass(frozen=True)
class StudentT:
    r"""Heavy-tailed noise: most runs are close to the law, a few are not.

    .. math:: s(y) \sim t_\nu(s(f), \sigma), \quad \nu = 2 + \mathrm{Gamma}(4, 0.4)

    with s the scale: the logarithm, the identity or the log-odds.

    Parameters
    ----------
    sigma : prior, optional
        Prior of the width: bare (shared), pooled or separate. On the logarithm 0.005 is half a per cent. The default is
        LogNormal(0.005, 1) there, LogNormal(0.1, 1) in log-odds, and RangeShare(0.02, 1.5) on the identity, two per
        cent of the range of the responses.
    nu : prior
        Prior of the degrees of freedom, which all groups share. Near 2 a fit would take runs that bend away from the
        law for outliers, and ignore them; single outliers are found before, see `Model`.
    scale : {"log", "identity", "logit"}

    Raises
    ------
    ValueError
        If the prior of ``nu`` is not shared, or if there is no such scale.

    Examples
    --------
    >>> StudentT().nu
    shared(Gamma(shape=4.0, rate=0.4, above=2.0))
    """

    word: ClassVar[str] = "student_t"
    is_gaussian: ClassVar[bool] = False

    sigma: Pooling | None = None
    nu: Pooling = field(default_factory=lambda: shared(Gamma(4.0, 0.4, above=2.0)))
    scale: Scale = LOG

    def __post_init__(self) -> None:
        _resolve(self)
        object.__setattr__(self, "nu", with_pooling(self.nu))
        if not isinstance(self.nu, Shared):
            raise ValueError(f"nu of a Student-t is shared by all groups, got {quoted(self.nu)}.")

    @property
    def needs(self) -> str:
        """What its response must be."""
        return _NEEDS[self.scale.name]

    @property
    def columns(self) -> dict[str, str]:
        """No columns."""
        return {}

    def priors(self) -> dict[str, Pooling]:
        """The priors of sigma and nu."""
        return {"sigma": _given(self.sigma), "nu": self.nu}

    def name(self, response: str) -> str:
        """Name of the observed variable."""
        return _name(self.scale, response)

    def observed(self, response: np.ndarray, columns: Mapping) -> np.ndarray:
        """The responses on the scale; NaN where there is none."""
        return _observed(self.scale, response)

    def distribution(self, mean, values: Mapping, columns: Mapping):
        """A PyMC distribution of the responses on the scale."""
        import pymc as pm
        import pytensor.tensor as pt

        return pm.StudentT.dist(nu=values["nu"], mu=self.scale.forward(mean, pt), sigma=values["sigma"])

    def draw(self, mean: np.ndarray, values: Mapping, columns: Mapping, rng: np.random.Generator) -> np.ndarray:
        """Responses of new runs about a mean, of the mean's shape."""
        nu = np.broadcast_to(values["nu"], np.shape(mean))
        return self.scale.moved(mean, np.asarray(values["sigma"]) * rng.standard_t(nu))

    def sd(self, mean, values: Mapping, columns: Mapping):
        """The standard deviation of the Gaussian that has the same information about the mean on the scale."""
        nu = values["nu"]
        return values["sigma"] * ((nu + 3) / (nu + 1)) ** 0.5

    def widened(self, mean, values: Mapping, variance, xp: Any = np) -> dict:
        """The parameters of the same noise with a variance added on the scale."""
        return {**values, "sigma": xp.sqrt(values["sigma"] ** 2 + variance)}


@dataclass(frozen=True)
class Gaussian:
    r"""Normal noise on a scale s, of which a part may be known for each run and a part may grow with the response.

    .. math:: s(y) \sim \mathrm{Normal}\left(s(f),\ \sqrt{\sigma^2 f^{2 g} + (s'(f)\, e)^2}\right)

    Parameters
    ----------
    sigma : prior, optional
        Prior of the width: bare (shared), pooled or separate. On the logarithm 0.005 is half a per cent. The default is
        LogNormal(0.005, 1) there, LogNormal(0.1, 1) in log-odds, and RangeShare(0.02, 1.5) on the identity, two per
        cent of the range of the responses.
    scale : {"log", "identity", "logit"}
        The logarithm for losses and errors, the identity for ratings, the log-odds for accuracies.
    error : str, optional
        Column with the known standard error e of each response, in units of the response.
    growth : prior, optional
        Prior of the power g with which the width grows with the law's mean; without it g is 0.

    Raises
    ------
    ValueError
        If there is no such scale.
    TypeError
        If ``error`` is not a name.

    Examples
    --------
    >>> Gaussian().sigma
    shared(LogNormal(median=0.005, spread=1.0))
    >>> Gaussian(LogNormal(median=10, spread=1), scale="identity").scale
    Scale(name='identity')
    """

    word: ClassVar[str] = "gaussian"
    is_gaussian: ClassVar[bool] = True

    sigma: Pooling | None = None
    scale: Scale = LOG
    error: str | None = None
    growth: Pooling | None = None

    def __post_init__(self) -> None:
        _resolve(self)
        if not (self.error is None or isinstance(self.error, str)):
            raise TypeError(f"error is the column with the standard error of each response, got {quoted(self.error)}.")
        if self.growth is not None:
            object.__setattr__(self, "growth", with_pooling(self.growth))

    @property
    def needs(self) -> str:
        """What its response must be."""
        return _NEEDS[self.scale.name]

    @property
    def columns(self) -> dict[str, str]:
        """The column with the standard errors, if they are known."""
        return {"error": self.error} if self.error is not None else {}

    def priors(self) -> dict[str, Pooling]:
        """The priors of sigma, and of the growth if there is one."""
        return {"sigma": _given(self.sigma)} | ({"growth": self.growth} if self.growth is not None else {})

    def name(self, response: str) -> str:
        """Name of the observed variable."""
        return _name(self.scale, response)

    def observed(self, response: np.ndarray, columns: Mapping) -> np.ndarray:
        """The responses on the scale; NaN where there is none, or where a standard error is negative."""
        found = _observed(self.scale, response)
        return np.where(np.asarray(columns["error"]) >= 0, found, np.nan) if self.error is not None else found

    def distribution(self, mean, values: Mapping, columns: Mapping):
        """A PyMC distribution of the responses on the scale."""
        import pymc as pm
        import pytensor.tensor as pt

        return pm.Normal.dist(mu=self.scale.forward(mean, pt), sigma=self.sd(mean, values, columns))

    def draw(self, mean: np.ndarray, values: Mapping, columns: Mapping, rng: np.random.Generator) -> np.ndarray:
        """Responses of new runs about a mean, of the mean's shape."""
        return self.scale.moved(mean, np.asarray(self.sd(mean, values, columns)) * rng.standard_normal(np.shape(mean)))

    def sd(self, mean, values: Mapping, columns: Mapping):
        """The standard deviation on the scale."""
        own = values["sigma"]
        if self.growth is not None:
            own = own * mean ** values["growth"]
        if self.error is None:
            return own
        total = own**2 + (columns["error"] * self.scale.slope(mean)) ** 2 + values.get("added", 0.0)
        return ((total + abs(total)) / 2) ** 0.5

    def widened(self, mean, values: Mapping, variance, xp: Any = np) -> dict:
        """The parameters of the same noise with a variance added on the scale."""
        if self.error is not None:  # what is subtracted may be more than sigma's part: it is of the whole
            return {**values, "added": values.get("added", 0.0) + variance}
        if self.growth is not None:
            variance = variance / mean ** (2 * values["growth"])
        return {**values, "sigma": xp.sqrt(values["sigma"] ** 2 + variance)}


@dataclass(frozen=True)
class ExGaussian:
    r"""Noise of runs that may be under-tuned: normal, plus an excess over the law that is never negative.

    .. math:: \log y \sim \mathrm{Normal}(\log f, \sigma) + \mathrm{Exponential}(\text{mean } \epsilon)

    The law is then the frontier of well-tuned runs, and a new run is one that may be under-tuned like the others. For
    responses of which low ones are better.

    Parameters
    ----------
    sigma : prior
        Prior of the normal width in natural logs: bare (shared), pooled or separate.
    excess : prior
        Prior of the mean excess :math:`\epsilon` in natural logs: bare (shared), pooled or separate.

    Examples
    --------
    >>> ExGaussian().excess
    shared(LogNormal(median=0.01, spread=1.0))
    """

    word: ClassVar[str] = "ex_gaussian"
    scale: ClassVar[Scale] = LOG
    needs: ClassVar[str] = _NEEDS["log"]
    is_gaussian: ClassVar[bool] = False

    sigma: Pooling = field(default_factory=lambda: shared(LogNormal(0.005, 1.0)))
    excess: Pooling = field(default_factory=lambda: shared(LogNormal(0.01, 1.0)))

    def __post_init__(self) -> None:
        for name in ("sigma", "excess"):
            object.__setattr__(self, name, with_pooling(getattr(self, name)))

    @property
    def columns(self) -> dict[str, str]:
        """No columns."""
        return {}

    def priors(self) -> dict[str, Pooling]:
        """The priors of sigma and of the mean excess."""
        return {"sigma": self.sigma, "excess": self.excess}

    def name(self, response: str) -> str:
        """Name of the observed variable."""
        return _name(self.scale, response)

    def observed(self, response: np.ndarray, columns: Mapping) -> np.ndarray:
        """The logarithms of the responses; NaN where there is none."""
        return _observed(self.scale, response)

    def distribution(self, mean, values: Mapping, columns: Mapping):
        """A PyMC distribution of the logarithms."""
        import pymc as pm
        import pytensor.tensor as pt

        return pm.CustomDist.dist(pt.log(mean), values["sigma"], values["excess"], logp=_ex_gaussian)

    def draw(self, mean: np.ndarray, values: Mapping, columns: Mapping, rng: np.random.Generator) -> np.ndarray:
        """Responses of new runs about a mean, of the mean's shape."""
        shape = np.shape(mean)
        normal = np.asarray(values["sigma"]) * rng.standard_normal(shape)
        return mean * np.exp(normal + np.asarray(values["excess"]) * rng.standard_exponential(shape))

    def sd(self, mean, values: Mapping, columns: Mapping):
        """The standard deviation of the logarithm."""
        return (values["sigma"] ** 2 + values["excess"] ** 2) ** 0.5

    def widened(self, mean, values: Mapping, variance, xp: Any = np) -> dict:
        """The parameters of the same noise with a variance added on the scale."""
        return {**values, "sigma": xp.sqrt(values["sigma"] ** 2 + variance)}


def _ex_gaussian(value, mu, sigma, excess):
    """The log density of an exponentially modified Gaussian.

    Of PyMC's own the scaled complementary error function has no quick gradient in JAX.
    """
    import pytensor.tensor as pt

    z = (value - mu) / sigma - sigma / excess
    # Far below the mean the normal integral is too small; its logarithm is that of Mills' ratio.
    near, far = pt.maximum(z, -_FAR), pt.minimum(z, -_FAR)
    log_integral = pt.switch(
        z > -_FAR,
        pt.log(pt.erfc(-near / np.sqrt(2)) / 2),
        -(far**2) / 2 - pt.log(-far) - np.log(2 * np.pi) / 2 + pt.log1p(-1 / far**2 + 3 / far**4 - 15 / far**6),
    )
    return -pt.log(excess) + (mu - value) / excess + (sigma / excess) ** 2 / 2 + log_integral


def gaussian_beside(spread: float) -> Gaussian:
    """The default noise beside a discrepancy that takes most of the scatter: narrower than without one, and pooled."""
    return Gaussian(pooled(LogNormal(0.006, spread), spread=spread / 2))


def _resolve(noise: Any) -> None:
    """Set the scale of a word, and the default prior of the width."""
    scale = as_scale(noise.scale)
    object.__setattr__(noise, "scale", scale)
    sigma = noise.sigma
    if sigma is None:
        sigma = _SIGMA[scale.name]
    object.__setattr__(noise, "sigma", with_pooling(sigma))


def _given(sigma: Pooling | None) -> Pooling:
    assert sigma is not None  # `_resolve` has set it
    return sigma


def _name(scale: Scale, response: str) -> str:
    return response if scale.name == "identity" else f"{scale.name}_{response}"


def _observed(scale: Scale, response: np.ndarray) -> np.ndarray:
    low, high = scale.bounds
    return scale.forward(np.where((low < response) & (response < high), response, np.nan))
