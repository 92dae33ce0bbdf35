"""Drift: curves whose local exponent wanders, and whose residuals are correlated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np

from scalebayes.discrepancy.contract import Departure, Errors, Situation
from scalebayes.discrepancy.walk import LEVEL, ahead, between, integrated, loglik
from scalebayes.numerics.padding import fill_last_axis, repeat_last
from scalebayes.observations.noise import Gaussian, gaussian_beside
from scalebayes.priors import LogNormal, Pooling, Share, pooled, repool, with_pooling
from scalebayes.runs.curves import Frontier, curves, frontier
from scalebayes.runs.runs import Runs

_PARAMETERS = ("drift", "kappa", "rho", "ell")
# The log-odds of the floor's share fall by so much for an e-fold of the scale, up to the farthest multiple tested.
_SINKS, _FARTHEST = 1 / 3, 33.0
_STILL = {"drift": 0.0, "kappa": 1.0}  # for a curve that follows its law
_MOST_RUNS = 200


def around(median: float, spread: float) -> Pooling:
    """A pooled log-normal prior; groups differ by half of its spread."""
    return pooled(LogNormal(median, spread), spread=spread / 2)


@dataclass(frozen=True)
class Drift:
    r"""Curves whose local exponent wanders, and whose residuals are correlated.

    .. math:: \log y = d + \log(E + (f - E) e^{g(h)}) + o(h) + \epsilon, \qquad h = \log x - \log x_c

    with :math:`x_c` the largest scale of the curve, its frontier. The slope of g is an Ornstein-Uhlenbeck process,
    :math:`dg' = -\kappa g' dh + s\, dW`, which starts from :math:`g = g' = 0` at the frontier and runs to either side.
    o is an Ornstein-Uhlenbeck process of length ell. A run scatters by sigma about the drifted law: o has the variance
    :math:`\rho \sigma^2`, and the run's own noise the rest, :math:`(1 - \rho) \sigma^2`. d, of standard deviation 0.15,
    scales the whole curve, so that E and A are known up to this factor. g, o and d are integrated out. A drift is for
    laws of one scale.

    A power law that is fitted to a short stretch takes what bends the curve for a floor. The default prior of a floor
    is stated for forecasts to twice the largest scale, or to ``horizon``, see `Model`. From twice that multiple on, up
    to 33 times the largest scale, the log-odds of the floor's share of the law's response at :math:`x_c` fall by a
    third for each e-fold of x. A floor with a prior of the caller's own, or one that is learned from several curves,
    stays.

    With a drift, priors that are relative to the responses are relative to the level of *each curve* at its own
    frontier (the median of the last three runs). A `FloorShare`, also a pooled one, is a share of that level. A
    `ResponseShare` is a share of that level above the floor. An `Anchored` amplitude is anchored at the frontier. The
    built-in laws have default priors of their own beside a drift.

    Parameters
    ----------
    drift : prior or None
        Prior of s. Far from the frontier the slope of g has standard deviation :math:`s / \sqrt{2 \kappa}`. None for
        curves that follow their law, g = 0; their residuals are correlated nevertheless.
    kappa : prior
        Prior of kappa: with 1 a slope is forgotten over an e-fold of x, with 2 over half an e-fold. None without drift.
    rho : prior
        Prior of rho, a `Share` between 0 and 1.
    ell : prior
        Prior of ell, in natural logs of x.

    Examples
    --------
    >>> Drift().kappa
    shared(LogNormal(median=2.0, spread=0.3))
    >>> sorted(Drift(drift=None).priors(("D",)))
    ['ell', 'rho']
    """

    sampled: ClassVar[bool] = False
    stated: ClassVar[str] = "curves"
    moves_mean: ClassVar[bool] = True
    data_names: ClassVar[tuple[str, ...]] = ("curve_slots", "curve_distance")
    # If only its drift moves a curve from run to run, its density is high and its mass small.
    modeless: ClassVar[bool] = True
    across_evaluations: ClassVar[bool] = False
    alone: ClassVar[bool] = False
    influential: ClassVar[tuple[str, ...]] = ("drift",)
    of_runs: ClassVar[tuple[str, ...]] = ("curve_distance",)

    drift: Pooling | None = field(default_factory=lambda: around(0.12, 1.0))
    kappa: Pooling | None = field(default_factory=lambda: with_pooling(LogNormal(2.0, 0.3)))
    rho: Pooling = field(default_factory=lambda: pooled(Share(logit=0.0, sd=1.5), spread=0.75))
    ell: Pooling = field(default_factory=lambda: around(0.4, 0.7))

    def __post_init__(self) -> None:
        if self.drift is None:
            object.__setattr__(self, "kappa", None)
        for name, prior in self.priors(()).items():
            object.__setattr__(self, name, with_pooling(prior))

    @property
    def word(self) -> str:
        """drift, or correlated for curves that follow their law."""
        return "correlated" if self.drift is None else "drift"

    @property
    def departs_beyond(self) -> bool:
        """Whether curves drift."""
        return self.drift is not None

    @property
    def takes_horizon(self) -> bool:
        """Whether curves drift."""
        return self.drift is not None

    def priors(self, inputs: tuple[str, ...]) -> dict[str, Pooling]:
        """Priors of its parameters."""
        return {name: getattr(self, name) for name in _PARAMETERS if getattr(self, name) is not None}

    def repooled(self, how: str) -> Drift:
        """The same drift with another pooling."""
        return replace(self, **{name: repool(prior, how) for name, prior in self.priors(()).items()})

    def observation(self) -> Gaussian:
        """Gaussian noise, narrow and pooled."""
        return gaussian_beside(1.2)

    def check(self, runs: Runs) -> None:
        """Refuse runs of several inputs, several runs at one scale of a curve, and very long curves."""
        columns = ", ".join(each.label for each in runs.inputs.values())
        moving = [name for name, each in runs.inputs.items() if each.kind != "constant"]
        if len(moving) != 1 or len(runs.scales) != 1:
            raise ValueError(
                f"a drift is along one input, and the runs have {len(runs.inputs)} ({columns}): runs of several inputs "
                "have no order to drift along. Use discrepancy='surface'."
            )
        column = runs.inputs[runs.scales[0]].label
        for label, rows in curves(runs):
            x = runs.x(runs.scales[0])[rows]
            curve = f" of {label}" if label else ""
            if len(np.unique(x)) < len(x):
                values, counts = np.unique(x, return_counts=True)
                raise ValueError(
                    f"a drift needs one run at each {column}{curve}, and there are {counts.max()} at "
                    f"{values[counts.argmax()]:g}; name the group that tells the curves apart, or average them."
                )
            if len(rows) > _MOST_RUNS:
                raise ValueError(
                    f"{len(rows)} runs{curve} are more than the {_MOST_RUNS} that a drift takes per curve; two or "
                    "three dozen, spread evenly in logs, say as much: sb.thin(runs, 24)."
                )

    def stated_at(self, runs: Runs) -> Frontier:
        """The frontier of each curve."""
        return frontier(runs)

    def data(self, runs: Runs) -> dict[str, np.ndarray]:
        """The runs of each curve from its frontier backwards, and their distances from the frontier."""
        end = frontier(runs)
        return {"curve_slots": end.slots, "curve_distance": end.distance}

    def padded(self, data: Mapping[str, np.ndarray], size: int, grouped: bool) -> dict[str, np.ndarray]:
        """The same arrays for a padded table; a curve that is the whole table has a slot for each of its runs."""
        slots = data["curve_slots"] if grouped else fill_last_axis(data["curve_slots"], size, -1)
        return {"curve_slots": slots, "curve_distance": repeat_last(data["curve_distance"], size)}

    def loglik(self, errors: Errors, own: Mapping[str, Any], data: Mapping[str, Any]):
        """Log likelihood of each run given the runs nearer to its curve's frontier, in JAX."""
        drift, kappa, rho, ell = (own.get(name, _STILL.get(name)) for name in _PARAMETERS)
        return loglik(errors, drift, kappa, rho, ell, data["curve_slots"], data["curve_distance"])

    def covariance(self, errors: Errors, own: Mapping[str, Any], data: Mapping[str, Any], xp: Any = np):
        """Covariance of the errors of a curve's runs, shape (..., run, run), and the variance that the noise loses."""
        drift, kappa, rho, ell = (own.get(name, _STILL.get(name)) for name in _PARAMETERS)
        found = between(data["curve_distance"], errors.above, errors.sd, drift, kappa, rho, ell, xp)
        return found, xp.asarray(rho)[..., 0] * errors.sd**2

    def before_runs(self, at: Situation, rng: np.random.Generator) -> Departure:
        """g at each point's distance from the frontier, each point by itself, and the level."""
        drift, kappa = (at.parameters.get(name, np.full(1, _STILL[name]))[:, None] for name in ("drift", "kappa"))
        h = np.abs(self._distance(at))
        samples = len(at.parameters["rho"])
        sd = np.broadcast_to(np.sqrt(drift**2 * integrated(h, h, kappa)), (samples, len(h)))
        return Departure(sd * rng.standard_normal(sd.shape), level=LEVEL * rng.standard_normal((samples, 1)))

    def given_runs(self, at: Situation, rng: np.random.Generator) -> Departure:
        """Joint draws at points beyond the frontier or among the runs."""
        samples = len(at.parameters["rho"])
        still = {name: np.full(samples, value) for name, value in _STILL.items()}
        scales = still | {name: at.parameters[name] for name in _PARAMETERS if name in at.parameters}
        rows = at.runs.rows(at.level)
        distance = at.runs.x(at.runs.scales[0])[rows]
        distance = np.log(distance.max()) - np.log(distance)
        order = np.argsort(distance, kind="stable")
        known = Errors(*(part[:, order] for part in at.known))
        others = at.others if np.ndim(at.others) == 0 else at.others[:, order[:, None], order]
        h = self._distance(at)
        g, o, d = ahead(h, known, distance[order], scales, others, rng)
        taken = -scales["rho"][:, None] * known.sd[:, :1] ** 2
        floor, above = _sunk(h, 1 - known.above[:, :1], at.sinks_from)
        return Departure(bend=g + above, floor=floor, level=d, residual=o, variance=taken)

    def _distance(self, at: Situation) -> np.ndarray:
        """h of the new points."""
        (name,) = at.runs.scales
        return np.log(at.x[name]) - np.log(at.runs.x(name)[at.runs.rows(at.level)].max())


def _sunk(h: np.ndarray, share: np.ndarray, sinks_from: float) -> tuple[np.ndarray, np.ndarray]:
    """Logs of the factors by which the floor, and the response above it, are other ones far out.

    Parameters
    ----------
    h : array, shape (point,)
        Distances from the frontier.
    share : array, shape (sample, 1)
        The floor's share of the law's response at the frontier.
    sinks_from : float
    """
    if not np.isfinite(sinks_from):
        return np.zeros(1), np.zeros(1)
    fall = _SINKS * np.clip(np.minimum(h, np.log(_FARTHEST)) - np.log(sinks_from), 0.0, None)
    # With odds s / (1 - s) times e^-fall, the shares s' / s and (1 - s') / (1 - s).
    of_both = np.log(1 - share + share * np.exp(-fall))
    return -fall - of_both, -of_both
