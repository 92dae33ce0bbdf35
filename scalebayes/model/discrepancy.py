"""How runs may depart from every law: structural discrepancy, integrated out of the likelihood."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np

from scalebayes.priors import LogNormal, Pooling, Share, pooled, with_pooling
from scalebayes.runs import Runs

PARAMETERS = ("drift", "kappa", "rho", "ell")
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
    drift : prior
        Of s: far from the frontier the slope of g has standard deviation :math:`s / \sqrt{2 \kappa}`.
    kappa : prior
        1 means that a slope is forgotten over an e-fold.
    rho : prior
        Between 0 and 1, a `Share`.
    ell : prior
        In natural logs of x.

    Examples
    --------
    >>> Drift().kappa
    shared(LogNormal(median=1.0, spread=0.7))
    """

    drift: Pooling = field(default_factory=lambda: _around(0.08, 1.0))
    kappa: Pooling = field(default_factory=lambda: with_pooling(LogNormal(1.0, 0.7)))
    rho: Pooling = field(default_factory=lambda: pooled(Share(logit=0.0, sd=1.5), spread=0.75))
    ell: Pooling = field(default_factory=lambda: _around(0.4, 0.7))

    def __post_init__(self) -> None:
        for name in PARAMETERS:
            object.__setattr__(self, name, with_pooling(getattr(self, name)))

    @property
    def priors(self) -> Mapping[str, Pooling]:
        """Of each of its parameters."""
        return MappingProxyType({name: getattr(self, name) for name in PARAMETERS})


def checked(discrepancy: object, runs: Runs) -> Drift | None:
    """A discrepancy that suits the runs, or None.

    Raises
    ------
    ValueError
        If it is none of those there are, or the runs are not along curves.
    """
    if discrepancy is None:
        return None
    if discrepancy == "drift":
        discrepancy = Drift()
    if not isinstance(discrepancy, Drift):
        raise ValueError(f"discrepancy is 'drift', a sb.Drift or None, got {discrepancy!r}.")
    if len(runs.inputs) != 1:
        raise ValueError(
            f"a drift is along one input, and the runs have {len(runs.inputs)} ({', '.join(runs.inputs.values())}): runs of "
            "several inputs have no order to drift along. Use discrepancy=None."
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


def curves(runs: Runs) -> list[tuple[str, np.ndarray]]:
    """Label and rows of every curve: each group is one, or all runs are."""
    if not runs.group:
        return [("", np.arange(len(runs)))]
    return [(label, np.flatnonzero(runs.group_index == g)) for g, label in enumerate(runs.levels)]


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
