r"""The mathematics of a surface: covariances, values at inducing points among the runs, and draws at new points.

.. math:: \log y = \log(E + (f - E) e^{g}) + \epsilon, \qquad g = u + v

u is a Gaussian process over the log inputs with
:math:`\mathrm{Cov} = a^2 \exp(-\tfrac12 \sum_i (\Delta \log x_i / l_i)^2)`. v is a Gaussian process that drifts with
cost from the frontier on, differently for every ratio of the inputs. With :math:`h = \log C - \log C_c`, C the cost of
a run and :math:`C_c` the largest of the group,
:math:`\mathrm{Cov} = s^2 c(h, h')\, m(\Delta \log \mathrm{ratio} / l_r)`. Here c is the covariance of the drift along a
curve (`scalebayes.discrepancy.walk.integrated`, kappa = 1; 0 on different sides of the frontier), and m is Matern's
covariance of order 5/2.

The surface is given by g at a few dozen inducing points, chosen among the runs: :math:`g = K_{xz} K_{zz}^{-1} u_z`. The
variance that this leaves out is added to the noise; it is zero if every run is an inducing point. HMC does not sample
:math:`u_z = L v`, but coordinates :math:`\xi` in which the posterior would be standard normal if the noise were normal,

.. math:: v = Q^{-1} b + C^{-\top} \xi, \quad Q = I + P W P^\top = C C^\top, \quad
          b = P W \log\frac{y - E}{f - E}, \quad P = L^{-1} K_{zx}

to first order about the responses. W is the precision that the noise gives to g: its inverse root is the standard
deviation of log y over :math:`(y - E) / y`. The posterior is exact for heavy-tailed noise too. For Gaussian noise it is
about as easy to sample as if g were integrated out.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from scalebayes.discrepancy.walk import integrated
from scalebayes.numerics.derivatives import moved, roots, weighed_square
from scalebayes.numerics.padding import padded_size, repeat_last
from scalebayes.numerics.precision import double_precision
from scalebayes.numerics.processors import linear_algebra_on_one_thread

# Up to ALL runs, each is an inducing point. Of more runs some are, since the cost of a step is their square: the fewest
# that leave out at most SHARE of the noise's variance, on average, of a surface that is hard to follow.
ALL, NUMBERS, SHARE = 40, (32, 48, 64, 96, 128), 0.5
_MISFIT, _LENGTH = 0.06, 1.2  # of such a surface
_MOST_LOOKED_AT = 200  # runs whose scatter is looked at
_JITTER = 1e-6  # share of the variance, so that the covariance of near points has a factor
_TOGETHER = 64  # new points drawn jointly


class Scales(NamedTuple):
    """The scales of the surface of one group or of every group, shapes () or (group,).

    Parameters
    ----------
    misfit : array
        a, the standard deviation of the log reducible loss.
    lengths : sequence of array
        l of every input, in natural logs.
    drift, ratio : array or None
        s and the length over the log ratio; None for a surface that does not drift.
    """

    misfit: Any
    lengths: Sequence[Any]
    drift: Any = None
    ratio: Any = None


class Apart(NamedTuple):
    """How far points are from other points, at any scales.

    Parameters
    ----------
    squared : array, shape (input, point, other)
        The squared distance in the log of each input.
    ratio : array, shape (point, other)
        sqrt(5) times the distance of their log ratios.
    drifted : array, shape (point, other)
        c, the covariance of the drift.
    """

    squared: Any
    ratio: Any
    drifted: Any


class Points(NamedTuple):
    """Log inputs, shape (point, input), and log cost, shape (point,)."""

    log_x: np.ndarray
    log_cost: np.ndarray


def distances(one: Points, other: Points, frontier: float) -> Apart:
    """How far points are from other points, given the largest log cost of the group."""
    between = one.log_x[:, None] - other.log_x
    # Scaled so that for two inputs the distance of two ratios is that of log D/N.
    ratio = np.sqrt(2) * (between - between.mean(-1, keepdims=True))
    h, other_h = one.log_cost[:, None] - frontier, other.log_cost - frontier
    drifted = np.where(h * other_h > 0, integrated(np.abs(h), np.abs(other_h), 1.0), 0.0)
    return Apart(np.moveaxis(between**2, -1, 0), np.sqrt(5 * (ratio**2).sum(-1)), drifted)


@jax.custom_vjp
def covariance(apart: Apart, scales: Scales):
    """Covariance of g between points, shape (point, other), at the scales of one group."""
    return _covariance_forward(apart, scales)[0]


def _covariance_forward(apart: Apart, scales: Scales):
    smooth = jnp.exp(-sum(s / length**2 for s, length in zip(apart.squared, scales.lengths, strict=True)) / 2)
    found = scales.misfit**2 * smooth
    if scales.drift is None:
        return found, (apart, scales, smooth, None, None)
    turned = apart.ratio / scales.ratio
    wandering = apart.drifted * jnp.exp(-turned)
    found = found + scales.drift**2 * (1 + turned + turned**2 / 3) * wandering
    return found, (apart, scales, smooth, turned, wandering)


def _covariance_backward(kept, slope):
    # Sums over all pairs of points as products, which are several times as fast.
    apart, scales, smooth, turned, wandering = kept
    pairs = smooth.size
    squared = jnp.concatenate([jnp.ones((1, pairs)), apart.squared.reshape(-1, pairs)])
    of_misfit, *of_lengths = squared @ (slope * smooth).reshape(pairs)
    lengths = [scales.misfit**2 * each / length**3 for each, length in zip(of_lengths, scales.lengths, strict=True)]
    drift = ratio = None
    if scales.drift is not None:
        wandered = slope * wandering
        drift = 2 * scales.drift * ((1 + turned + turned**2 / 3) * wandered).reshape(pairs) @ jnp.ones(pairs)
        ratio = (turned**2 * (1 + turned) / 3 * wandered).reshape(pairs) @ jnp.ones(pairs)
        ratio = scales.drift**2 / scales.ratio * ratio
    of_scales = Scales(2 * scales.misfit * of_misfit, type(scales.lengths)(lengths), drift, ratio)
    return jax.tree.map(jnp.zeros_like, apart), of_scales  # points do not move


covariance.defvjp(_covariance_forward, _covariance_backward)


def chosen(log_x: np.ndarray, log_cost: np.ndarray, n: int) -> np.ndarray:
    """Rows of n runs that are spread out: the largest run first, then always the run farthest from those chosen."""
    scaled = (log_x - log_x.mean(0)) / np.maximum(np.ptp(log_x, axis=0), 1e-9)
    rows = [int(np.argmax(log_cost))]
    nearest = np.full(len(scaled), np.inf)
    while len(rows) < n:
        nearest = np.minimum(nearest, np.linalg.norm(scaled - scaled[rows[-1]], axis=1))
        nearest[rows] = -1.0
        rows.append(int(np.argmax(nearest)))
    return np.asarray(rows)


class Surroundings(NamedTuple):
    """Where the runs and inducing points of every group lie: data of the likelihood.

    Parameters
    ----------
    slots : array of int, shape (group, slot)
        The runs of each group, the inducing points first; -1 where there are none left.
    slot_of_run : array of int, shape (run,)
        Where in ``slots``, in a flat order, each run is.
    alone : array, shape (run,)
        c of each run with itself.
    squared, ratio, drifted : array, shapes (group, input, point, slot) and (group, point, slot)
        How far the inducing points are from the runs, as in `Apart`.
    """

    slots: Any
    slot_of_run: Any
    alone: Any
    squared: Any
    ratio: Any
    drifted: Any

    @property
    def inducing(self):
        """The runs of each group that are inducing points, shape (group, point); -1 where there are none left."""
        return self.slots[:, : self.ratio.shape[1]]


def number_of_points(log_x: np.ndarray, log_y: np.ndarray, log_cost: np.ndarray) -> int:
    """How many inducing points the runs of one group need: the more, the smaller their noise is.

    It depends on the scatter of neighbouring runs, and on how well points describe a surface that is hard to follow,
    with a misfit and lengths one standard deviation from the medians of `Surface`'s default priors.

    Parameters
    ----------
    log_x, log_y, log_cost : array, shapes (run, input), (run,), (run,)
    """
    if len(log_x) <= ALL:
        return padded_size(len(log_x))
    rows = chosen(log_x, log_cost, min(NUMBERS[-1], len(log_x)))
    hard = _MISFIT**2 * np.exp(-((log_x[:, None] - log_x[rows]) ** 2).sum(-1) / (2 * _LENGTH**2))
    most = SHARE * scatter(log_x, log_y) ** 2
    for n in NUMBERS:
        among = hard[rows[:n], :n] + _JITTER * hard.max() * np.eye(len(rows[:n]))
        shares = np.linalg.solve(np.linalg.cholesky(among), hard[:, :n].T)
        if hard.max() - (shares**2).sum(0).mean() <= most:
            return n
    return NUMBERS[-1]


def scatter(log_x: np.ndarray, log_y: np.ndarray) -> float:
    """The standard deviation of log y about a quadratic function of the log inputs among neighbouring runs."""
    spread = np.maximum(np.ptp(log_x, axis=0), 1e-9)
    pairs = np.triu_indices(log_x.shape[1])
    n_terms = 1 + log_x.shape[1] + len(pairs[0])
    variances = []
    for row in np.unique(np.linspace(0, len(log_x) - 1, _MOST_LOOKED_AT).astype(int)):
        apart = (log_x - log_x[row]) / spread
        near = np.argsort((apart**2).sum(1))[: n_terms + n_terms // 2]
        apart = apart[near]
        terms = np.column_stack([np.ones(len(near)), apart, apart[:, pairs[0]] * apart[:, pairs[1]]])
        fitted, _, rank, _ = np.linalg.lstsq(terms, log_y[near])
        variances.append(((log_y[near] - terms @ fitted) ** 2).sum() / max(len(near) - rank, 1))
    return float(np.sqrt(np.median(variances)))


def surroundings(
    log_x: np.ndarray, log_cost: np.ndarray, groups: Sequence[np.ndarray], n_points: int = NUMBERS[0]
) -> Surroundings:
    """The surroundings of runs with log inputs (run, input) and log cost (run,), given the rows of each group.

    There are up to ``n_points`` inducing points in each group.
    """
    n_slots = max(padded_size(max(map(len, groups))), 16)
    n_points = min(n_points, n_slots)
    slots, alone, apart = np.full((len(groups), n_slots), -1), np.empty(len(log_x)), []
    for slot, rows in zip(slots, groups, strict=True):
        first = rows[chosen(log_x[rows], log_cost[rows], min(n_points, len(rows)))]
        slot[: len(rows)] = [*first, *np.setdiff1d(rows, first)]
        frontier = log_cost[rows].max()
        h = np.abs(log_cost[rows] - frontier)
        alone[rows] = integrated(h, h, 1.0)
        inducing, all_of_group = (Points(log_x[of], log_cost[of]) for of in (slot[:n_points], slot))
        apart.append(distances(inducing, all_of_group, frontier))
    slot_of_run = np.empty(len(log_x), int)
    slot_of_run[slots[slots >= 0]] = np.flatnonzero(slots.ravel() >= 0)
    return Surroundings(slots, slot_of_run, alone, *(np.stack(each) for each in zip(*apart, strict=True)))


def departures(xi, error, weight, sd, scales: Scales, near: Surroundings):
    """g at the runs, the variance that the inducing points leave out, the density, and g at the inducing points.

    Parameters
    ----------
    xi : array, shape (group, point)
        Coordinates of g.
    error, weight, sd : array, shape (run,)
        The departure that the response shows on the observation's scale, the share of g that reaches this scale, and
        the standard deviation of the noise.
    scales : Scales
        Each of shape (group,).
    near : Surroundings

    Returns
    -------
    g, left_out : array, shape (run,)
        g, and the variance of g that the inducing points do not explain.
    log_density : array, shape ()
        Log density of xi under the prior of g, up to a constant.
    values : array, shape (group, point)
        g at the inducing points.
    """
    points = xi.shape[1]
    in_slots = moved(jnp.stack([error, weight, sd]), near.slots, near.slot_of_run)
    alone = moved(near.alone, near.slots, near.slot_of_run)

    def of_group(xi, slots, apart, own, seen, alone):
        there, (error, r, sd) = slots >= 0, seen
        real, k_zx = there[:points], covariance(apart, own)
        factor, inverse = roots(_with_jitter(k_zx[:, :points], real))
        # A product with a small inverse costs half of solving for every run; at the inducing points it is known.
        of_others = inverse @ jnp.where(real[:, None], k_zx[:, points:], 0.0)
        shares = jnp.concatenate([factor.T, of_others], axis=1)
        before = own.misfit**2 + (own.drift**2 * alone if own.drift is not None else 0.0)
        left_out = jnp.maximum(before - (shares**2).sum(0), 0.0)
        gain = r / jnp.where(there, sd**2 + r**2 * left_out, 1.0)
        _, inverse = roots(jnp.eye(points) + weighed_square(shares, r * gain))
        v = (inverse @ (shares @ (gain * error)) + xi) @ inverse
        log_density = -0.5 * (v**2).sum() + jnp.log(jnp.diagonal(inverse)).sum()
        return jnp.stack([v @ shares, left_out]), log_density, factor @ v

    apart = Apart(near.squared, near.ratio, near.drifted)
    # A group's own arrays lie along the first axis, except where the second holds them.
    mapped = jax.vmap(of_group, in_axes=(0, 0, 0, 0, 1, 0), out_axes=(1, 0, 0))
    at_slots, log_density, values = mapped(xi, near.slots, apart, scales, in_slots, alone)
    g, left_out = moved(at_slots.reshape(2, -1), near.slot_of_run, near.slots.reshape(-1))
    return g, left_out, log_density.sum(), values


def _with_jitter(k_zz, real):
    """The covariance of g between points, with a jitter; points that are not real are independent of all others."""
    return _separated(k_zz, real, _JITTER * jnp.diagonal(k_zz).max())


def _separated(k_zz, real, jitter):
    both = real[:, None] & real
    return jnp.where(both, k_zz, 0.0) + jnp.diag(jnp.where(real, jitter, 1.0))


def ahead(
    new: tuple[np.ndarray, np.ndarray],
    known: tuple[np.ndarray, np.ndarray],
    values: np.ndarray,
    scales: Scales,
    slots: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """Draws of g at new points of one group given g at the group's inducing points, shape (sample, new point).

    The first 64 new points are drawn jointly. Further ones are drawn 64 at a time, given the very first one and not the
    others.

    Parameters
    ----------
    new, known : (array, array), shapes (new point, input) and (new point,), (run, input) and (run,)
        Log inputs and log cost of the new points, and of the runs.
    values : array, shape (sample, point)
        g at the inducing points.
    scales : Scales
        The scales of the group, each of shape (sample,).
    slots : array of int, shape (slot,)
        The runs of the group, the inducing points first.
    rng : numpy.random.Generator
    """
    n_points = values.shape[1]
    real = slots[:n_points] >= 0
    z, frontier = Points(*(of[slots[:n_points]] for of in known)), known[1][slots[slots >= 0]].max()
    found = np.empty((len(values), len(new[0])))
    for first in range(0, len(new[0]), _TOGETHER):
        some = Points(*(of[first : first + _TOGETHER] for of in new))
        n = len(some.log_cost)
        some = Points(*(repeat_last(of, padded_size(n)) for of in some))
        among, cross, own = (distances(a, b, frontier) for a, b in ((z, z), (z, some), (some, some)))
        normal = rng.standard_normal((len(values), len(some.log_cost)))
        with double_precision(), linear_algebra_on_one_thread():
            drawn = np.asarray(_conditional(values, scales, normal, real, among, cross, own, n_points))
        found[:, first : first + n] = drawn[:, :n]
        if not first:
            z = Points(*(np.concatenate([of, more[:1]]) for of, more in zip(z, some, strict=True)))
            values, real = np.concatenate([values, drawn[:, :1]], axis=1), np.append(real, True)
    return found


@partial(jax.jit, static_argnames="n_points")
def _conditional(values, scales, normal, real, among, cross, new, n_points):
    def one(draw):
        values, scales, normal = draw
        k_zz, k_zx = covariance(among, scales), covariance(cross, scales)
        # A draw far beyond the runs varies much more than the inducing points, which keep the jitter of the sampling.
        before, drawn = (_JITTER * k for k in jnp.split(jnp.diagonal(k_zz), [n_points]))
        jitter = jnp.concatenate([before.max() * jnp.ones_like(before), _JITTER * scales.misfit**2 + drawn])
        factor = jnp.linalg.cholesky(_separated(k_zz, real, jitter))
        shares = jax.scipy.linalg.solve_triangular(factor, jnp.where(real[:, None], k_zx, 0.0), lower=True)
        mean = jax.scipy.linalg.solve_triangular(factor, values, lower=True) @ shares
        left = covariance(new, scales) - shares.T @ shares
        jitter = _JITTER * (scales.misfit**2 + jnp.diagonal(left))
        return mean + jnp.linalg.cholesky(left + jnp.diag(jitter)) @ normal

    return jax.lax.map(one, (values, scales, normal))
