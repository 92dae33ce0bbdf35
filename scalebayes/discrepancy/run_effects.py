"""Run effects: the checkpoints of one run share a departure from the law."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from scalebayes.arguments import nearest, quoted
from scalebayes.discrepancy.contract import Departure, Errors, Situation
from scalebayes.observations.noise import Gaussian
from scalebayes.priors import LogNormal, Pooling, pooled, repool, shared, with_pooling
from scalebayes.runs.checks import check_numbers
from scalebayes.runs.runs import Runs


@dataclass(frozen=True)
class RunEffects:
    r"""The rows of one run depart from the law by a common effect.

    .. math:: \mathrm{scale}(y_{ri}) = \mathrm{scale}(f) + b_r + \epsilon_{ri}, \qquad b_r \sim \mathrm{Normal}(0, \tau)

    b is integrated out. Over the earlier rows of a run, let S be the sum of :math:`1 / \sigma^2` and R the sum of
    :math:`e / \sigma^2`, with e their errors. Then the next error is normal with mean :math:`\tau^2 R / (1 + \tau^2 S)`
    and variance :math:`\sigma^2 + \tau^2 / (1 + \tau^2 S)`. A new run has an effect of its own.

    With ``along``, the effect changes along a run, in the logarithm of a column s: rows near each other have nearly the
    same one (an Ornstein-Uhlenbeck process, integrated out by a Kalman filter).

    .. math:: \mathrm{cov}(b_{ri}, b_{rj}) = \tau^2 \exp(-|\log s_i - \log s_j| / \ell)

    Parameters
    ----------
    effect : prior
        Prior of tau, on the observation's scale: 0.01 in natural logs is one per cent.
    along : str, optional
        The column along which the effect changes: steps or tokens.
    length : prior
        Prior of :math:`\ell`, in natural logarithms of that column.

    Raises
    ------
    TypeError
        If ``along`` is not a name.

    Examples
    --------
    >>> RunEffects().effect
    pooled(LogNormal(median=0.01, spread=1.0), spread=0.5)
    >>> sorted(RunEffects(along="step").priors(("eta",)))
    ['run_effect', 'run_length']
    """

    word: ClassVar[str] = "run effects"
    sampled: ClassVar[bool] = False
    stated: ClassVar[str] = ""
    moves_mean: ClassVar[bool] = False
    departs_beyond: ClassVar[bool] = False
    takes_horizon: ClassVar[bool] = False
    modeless: ClassVar[bool] = False
    across_evaluations: ClassVar[bool] = False
    alone: ClassVar[bool] = False
    influential: ClassVar[tuple[str, ...]] = ()
    data_names: ClassVar[tuple[str, ...]] = ("run_number", "run_order", "run_begin", "run_place")
    of_runs: ClassVar[tuple[str, ...]] = ("run_number", "run_place")

    effect: Pooling = field(default_factory=lambda: pooled(LogNormal(0.01, 1.0), spread=0.5))
    along: str | None = None
    length: Pooling = field(default_factory=lambda: shared(LogNormal(0.5, 1.0)))

    def __post_init__(self) -> None:
        for name in ("effect", "length"):
            object.__setattr__(self, name, with_pooling(getattr(self, name)))
        if self.along is not None and not isinstance(self.along, str):
            raise TypeError(f"along is the column along which an effect changes, got {quoted(self.along)}.")

    def priors(self, inputs: tuple[str, ...]) -> dict[str, Pooling]:
        """The prior of tau, and of the length if the effect changes."""
        return {"run_effect": self.effect} | ({} if self.along is None else {"run_length": self.length})

    def repooled(self, how: str) -> RunEffects:
        """The same term with another pooling."""
        return RunEffects(repool(self.effect, how), self.along, self.length)

    def observation(self) -> Gaussian:
        """Gaussian noise, since the effect is integrated out."""
        return Gaussian()

    def check(self, runs: Runs) -> None:
        """Refuse a table in which no run has several rows."""
        if len(np.unique(_numbers(runs))) == len(runs):
            by = (
                f"column {runs.run!r} has another value in every row"
                if runs.run
                else "no column says which rows are of one run"
            )
            raise ValueError(f"run effects need several rows of a run, and {by}: name it in read_runs, run=.")
        if self.along is not None:
            if self.along not in runs.table.columns:
                raise ValueError(
                    f"run effects are to change along column {self.along!r}, which {runs.source} does not have"
                    f"{nearest(self.along, runs.table.columns)}."
                )
            check_numbers(runs, self.along, "along which run effects change")

    def stated_at(self, runs: Runs) -> None:
        """In the middle of the runs."""
        return

    def data(self, runs: Runs) -> dict[str, np.ndarray]:
        """The number of each row's run, the order of rows by run, where in it each run begins, and places in a run."""
        number = _numbers(runs)
        place = np.zeros(len(runs)) if self.along is None else np.log(runs.column(self.along))
        order = np.lexsort((place, number))
        begin = np.searchsorted(number[order], number[order])
        return {"run_number": number, "run_order": order, "run_begin": begin, "run_place": place}

    def padded(self, data: Mapping[str, np.ndarray], size: int, grouped: bool) -> dict[str, np.ndarray]:
        """The same arrays for a padded table, whose copies are runs of their own."""
        more = np.arange(len(data["run_number"]), size)
        return {name: np.concatenate([data[name], more.astype(data[name].dtype)]) for name in self.data_names}

    def loglik(self, errors: Errors, own: Mapping[str, Any], data: Mapping[str, Any]):
        """Log likelihood of each row given the earlier ones of its run, in JAX."""
        order, begin = data["run_order"], data["run_begin"]
        variance = jnp.broadcast_to(errors.noise, errors.error.shape)[order] ** 2
        tau2 = jnp.broadcast_to(own["run_effect"], errors.error.shape)[order] ** 2
        error = errors.error[order]
        if self.along is not None:
            length = jnp.broadcast_to(own["run_length"], error.shape)[order]
            step = jnp.diff(data["run_place"][order], prepend=0.0)
            first = begin == jnp.arange(len(begin))
            stay = jnp.where(first, 0.0, jnp.exp(-jnp.where(first, 0.0, step) / length))
            return jnp.zeros_like(error).at[order].set(_filtered(error, variance, tau2, stay))

        return jnp.zeros_like(error).at[order].set(given_earlier(error, variance, tau2, begin))

    def covariance(self, errors: Errors, own: Mapping[str, Any], data: Mapping[str, Any], xp: Any = np):
        """Covariance of the errors of a group's rows, shape (..., run, run); the noise loses no variance to it."""
        number = data["run_number"]
        together = number[..., :, None] == number[..., None, :]
        if self.along is not None:
            place = data["run_place"]
            apart = xp.abs(place[..., :, None] - place[..., None, :])
            together = together * xp.exp(-apart / own["run_length"])
        return own["run_effect"] ** 2 * together, xp.zeros_like(errors.sd)

    def before_runs(self, at: Situation, rng: np.random.Generator) -> Departure:
        """An effect of its own for each new run."""
        return of_its_own(at, at.parameters["run_effect"], rng)

    def given_runs(self, at: Situation, rng: np.random.Generator) -> Departure:
        """An effect of its own for each new run; the known runs say nothing about it."""
        return self.before_runs(at, rng)


def of_its_own(at: Situation, tau: np.ndarray, rng: np.random.Generator) -> Departure:
    """An effect of its own for each new run, from standard deviations of shape (sample,)."""
    points = len(next(iter(at.x.values())))
    return Departure(residual=tau[:, None] * rng.standard_normal((len(tau), points)))


def given_earlier(error, variance, tau2, begin):
    """Log likelihood of rows in order of their effects, each given the earlier ones of its effect; in JAX.

    Parameters
    ----------
    error, variance, tau2 : array, shape (run,)
    begin : array of int, shape (run,)
        Where the rows of each row's effect begin.
    """

    def earlier(each):
        before = jnp.cumsum(each) - each
        return before - before[begin]

    shrunk = tau2 / (1 + tau2 * earlier(1 / variance))
    mean, total = shrunk * earlier(error / variance), variance + shrunk
    return -0.5 * ((error - mean) ** 2 / total + jnp.log(2 * jnp.pi * total))


def _filtered(error, variance, tau2, stay):
    """Log likelihood of rows in order, each given the earlier ones, by a Kalman filter of the effect.

    Parameters
    ----------
    error, variance, tau2 : array, shape (run,)
    stay : array, shape (run,)
        The correlation of a row's effect with that of the row before; 0 where a run begins.
    """

    def advance(state, x):
        mean, spread = state
        error, variance, tau2, stay = x
        mean, spread = stay * mean, stay**2 * spread + tau2 * (1 - stay**2)
        total, left = spread + variance, error - mean
        gain = spread / total
        return (mean + gain * left, spread * variance / total), -0.5 * (left**2 / total + jnp.log(2 * jnp.pi * total))

    zero = jnp.zeros((), error.dtype)
    return jax.lax.scan(advance, (zero, zero), (error, variance, tau2, stay))[1]


def _numbers(runs: Runs) -> np.ndarray:
    """The number of each row's run; runs of equal name in two groups are two runs."""
    parts = [runs.group_index, np.unique(runs.labels, return_inverse=True)[1]]
    return np.unique(np.stack(parts, 1), axis=0, return_inverse=True)[1].ravel()
