"""How runs may depart from every law: structural discrepancy along curves and over several inputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from scalebayes.priors import LogNormal, Pooling, Share, pooled, repool, with_pooling
from scalebayes.runs.curves import curves
from scalebayes.runs.runs import Runs

PARAMETERS = ("drift", "kappa", "rho", "ell")
STILL = {"drift": 0.0, "kappa": 1.0}  # of a curve that keeps to its law
_MOST_RUNS = 200
_OF_LEVEL = 3  # runs at the end of a curve whose median is its level there


def _around(median: float, spread: float) -> Pooling:
    return pooled(LogNormal(median, spread), spread=spread / 2)


@dataclass(frozen=True)
class Drift:
    r"""Curves whose local exponent wanders, and whose residuals are correlated.

    .. math:: \log y = d + \log(E + (f - E) e^{g(h)}) + o(h) + \epsilon, \qquad h = \log x - \log x_c

    with :math:`x_c` the largest scale of the curve. The slope of g is an Ornstein-Uhlenbeck process,
    :math:`dg' = -\kappa g' dh + s\, dW` from :math:`g = g' = 0` at the frontier to either side; o is one of length ell.
    A run scatters by sigma about the drifted law, of which o has a share :math:`\rho` and its own noise the rest:
    variances :math:`\rho \sigma^2` and :math:`(1 - \rho) \sigma^2`. d, of standard deviation .15, scales the whole curve: E
    and A are up to this factor. g, o and d are integrated out. For laws of one input.

    With it, what priors state relative to the responses is relative to the level of *each curve* at its own frontier
    (the median of the last three runs): a `FloorShare`, also a pooled one, is a share of that level, a `ResponseShare`
    one of that level above the floor, and an `Anchored` amplitude is anchored there. The built-in laws have default priors of
    their own beside it, `scalebayes.laws.ALONG_CURVES`.

    Parameters
    ----------
    drift : prior or None
        Of s: far from the frontier the slope of g has standard deviation :math:`s / \sqrt{2 \kappa}`. None for curves that keep
        to their law, g = 0, whose residuals are correlated nevertheless.
    kappa : prior
        1 means that a slope is forgotten over an e-fold, 2 over half of one. None without drift.
    rho : prior
        Between 0 and 1, a `Share`.
    ell : prior
        In natural logs of x.

    Examples
    --------
    >>> Drift().kappa
    shared(LogNormal(median=2.0, spread=0.3))
    >>> sorted(Drift(drift=None).priors(["D"]))
    ['ell', 'rho']
    """

    drift: Pooling | None = field(default_factory=lambda: _around(0.12, 1.0))
    kappa: Pooling | None = field(default_factory=lambda: with_pooling(LogNormal(2.0, 0.3)))
    rho: Pooling = field(default_factory=lambda: pooled(Share(logit=0.0, sd=1.5), spread=0.75))
    ell: Pooling = field(default_factory=lambda: _around(0.4, 0.7))

    def __post_init__(self) -> None:
        if self.drift is None:
            object.__setattr__(self, "kappa", None)
        for name, prior in self.priors(()).items():
            object.__setattr__(self, name, with_pooling(prior))

    def priors(self, inputs: Sequence[str]) -> dict[str, Pooling]:
        """Of each of its parameters, for a law of these inputs."""
        return {name: getattr(self, name) for name in PARAMETERS if getattr(self, name) is not None}

    def repooled(self, how: str) -> Drift:
        """The same, pooled otherwise."""
        return replace(self, **{name: repool(prior, how) for name, prior in self.priors(()).items()})


@dataclass(frozen=True)
class Surface:
    r"""Runs of several inputs that lie off their law by a smooth surface, which may drift beyond the frontier.

    .. math:: \log y = \log(E + (f - E) e^{g}) + \epsilon, \qquad g = u + v

    u is a Gaussian process over the log inputs with covariance
    :math:`a^2 \exp(-\tfrac12 \sum_i (\Delta \log x_i / l_i)^2)`. v drifts with compute: with :math:`h = \log C - \log C_c`,
    C the product of the inputs and :math:`C_c` the group's largest, it is the drift of `Drift` with kappa = 1, and of
    another course at another ratio of the inputs (Matern's covariance of order 5/2 with a length over the log ratio). Each
    group has its own surface.

    Parameters
    ----------
    misfit : prior
        Of a, the standard deviation of the log reducible loss about the law.
    length : prior
        Of every l, in natural logs of the input.
    drift : prior or None
        Of s, as `Drift` has it; None for a surface that does not drift.
    ratio : prior
        Of the length over the log ratio.

    Examples
    --------
    >>> Surface(drift=None).misfit
    pooled(LogNormal(median=0.03, spread=0.7), spread=0.35)
    """

    misfit: Pooling = field(default_factory=lambda: _around(0.03, 0.7))
    length: Pooling = field(default_factory=lambda: _around(2.0, 0.5))
    drift: Pooling | None = field(default_factory=lambda: _around(0.08, 1.0))
    ratio: Pooling = field(default_factory=lambda: _around(2.0, 0.5))

    def __post_init__(self) -> None:
        for name in ("misfit", "length", "drift", "ratio"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, with_pooling(getattr(self, name)))

    def priors(self, inputs: Sequence[str]) -> dict[str, Pooling]:
        """Of each of its parameters, for a law of these inputs."""
        lengths = {f"length_{name}": self.length for name in inputs}
        drifting = {"drift": self.drift, "length_ratio": self.ratio} if self.drift is not None else {}
        return {"misfit": self.misfit, **lengths, **drifting}

    def repooled(self, how: str) -> Surface:
        """The same, pooled otherwise."""
        drift = None if self.drift is None else repool(self.drift, how)
        return Surface(repool(self.misfit, how), repool(self.length, how), drift, repool(self.ratio, how))


Discrepancy = Drift | Surface
_WORDS: dict[str, Callable[[], Discrepancy]] = {
    "drift": Drift,
    "correlated": lambda: Drift(drift=None),
    "surface": Surface,
    "still surface": lambda: Surface(drift=None),
}


def word(discrepancy: object) -> str:
    """What it is called: drift, correlated, surface or still surface."""
    if isinstance(discrepancy, Drift):
        return "correlated" if discrepancy.drift is None else "drift"
    return "still surface" if getattr(discrepancy, "drift", 0) is None else "surface"


def named(discrepancy: object) -> object:
    """A discrepancy that is told by its word; anything else as it is."""
    made = _WORDS.get(discrepancy) if isinstance(discrepancy, str) else None
    return made() if made else discrepancy


def checked(discrepancy: object, runs: Runs) -> Discrepancy | None:
    """A discrepancy that suits the runs, or None.

    Raises
    ------
    ValueError
        If it is none of those there are, or does not suit the runs.
    """
    if discrepancy is None:
        return None
    discrepancy = named(discrepancy)
    if not isinstance(discrepancy, Drift | Surface):
        raise ValueError(
            f"discrepancy is {', '.join(map(repr, _WORDS))}, a sb.Drift or sb.Surface, or None, got {discrepancy!r}."
        )
    columns = ", ".join(runs.inputs.values())
    if isinstance(discrepancy, Surface):
        if len(runs.inputs) < 2:
            raise ValueError(
                f"a surface is over several inputs, and the runs have one ({columns}): runs along a curve have "
                "discrepancy='drift'."
            )
        return discrepancy
    if len(runs.inputs) != 1:
        raise ValueError(
            f"a drift is along one input, and the runs have {len(runs.inputs)} ({columns}): runs of several inputs have no "
            "order to drift along. Use discrepancy='surface'."
        )
    (column,) = runs.inputs.values()
    for label, rows in curves(runs):
        x = runs.x(next(iter(runs.inputs)))[rows]
        curve = f" of {label}" if label else ""
        if len(np.unique(x)) < len(x):
            values, counts = np.unique(x, return_counts=True)
            raise ValueError(
                f"a drift needs one run at each {column}{curve}, and there are {counts.max()} at {values[counts.argmax()]:g}; "
                "name the group that tells the curves apart, or average them."
            )
        if len(rows) > _MOST_RUNS:
            raise ValueError(
                f"{len(rows)} runs{curve} are more than the {_MOST_RUNS} that a drift takes per curve; two or three dozen, "
                "spread evenly in logs, say as much: sb.thin(runs, 24)."
            )
    return discrepancy


def drifts(discrepancy: object) -> bool:
    """Whether curves drift beyond their runs."""
    return isinstance(discrepancy, Drift) and discrepancy.drift is not None


def wanders(discrepancy: object) -> bool:
    """Whether what lies beyond the runs may depart from the law."""
    return isinstance(discrepancy, Surface) or drifts(discrepancy)


@dataclass(frozen=True, eq=False)
class Frontier:
    """Where curves end.

    Parameters
    ----------
    scale, level : array, shape (curve,)
        The largest x, and the response there.
    distance : array, shape (run,)
        ``log scale - log x``.
    slots : array of int, shape (curve, place)
        The runs of each curve from its end backwards, -1 where there are none left.
    """

    scale: np.ndarray
    level: np.ndarray
    distance: np.ndarray
    slots: np.ndarray


def frontier(runs: Runs) -> Frontier:
    """Where the curves of some runs of one input end."""
    (name,) = runs.inputs
    x, y = runs.x(name), runs.y
    backwards = [rows[np.argsort(-x[rows], kind="stable")] for _, rows in curves(runs)]
    longest = max(map(len, backwards))
    # A few sizes, so that curves of almost equal length share a compilation.
    slots = np.full((len(backwards), -(-longest // 8) * 8), -1)
    for slot, rows in zip(slots, backwards, strict=True):
        slot[: len(rows)] = rows
    scale = np.asarray([x[rows[0]] for rows in backwards])
    level = np.asarray([np.median(y[rows[:_OF_LEVEL]]) for rows in backwards])
    of_run = scale[runs.group_index] if runs.group else scale[0]
    return Frontier(scale, level, np.log(of_run) - np.log(x), slots)
