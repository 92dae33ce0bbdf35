r"""Runs that lie off their law by a smooth surface over the log inputs: covariances, likelihood, and new places.

.. math:: \log y = \log(E + (f - E) e^{g}) + \epsilon, \qquad g = u + v

with u a Gaussian process over the log inputs, :math:`\mathrm{Cov} = a^2 \exp(-\tfrac12 \sum_i (\Delta \log x_i / l_i)^2)`, and v
one that drifts with compute from the frontier on, differently for every ratio of the inputs: with
:math:`h = \log C - \log C_c`, C the product of the inputs and :math:`C_c` the largest of the group,
:math:`\mathrm{Cov} = s^2 c(h, h')\, m(\Delta \log \mathrm{ratio} / l_r)` with c that of the drift along a curve
(`scalebayes.model.drift.integrated`, kappa = 1; 0 on different sides of the frontier) and m Matern's of order 5/2.

g at a few dozen places, chosen among the runs, stands for the surface: :math:`g = K_{xz} K_{zz}^{-1} u_z`, and what this
leaves out of the variance is added to the noise (nothing, when every run is such a place). NUTS does not see
:math:`u_z = L v` but coordinates in which it would be standard normal if the noise were,

.. math:: v = Q^{-1} b + C^{-\top} \xi, \quad Q = I + P W P^\top = C C^\top, \quad b = P W \log\frac{y - E}{f - E}, \quad
          P = L^{-1} K_{zx}

to first order about the responses, W being the precision that the noise gives to g: the spread of log y over
:math:`(y - E) / y`. So the posterior is exact for heavy-tailed noise too; for Gaussian noise it is about as easy as if g were
integrated out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from scalebayes.model.drift import integrated
from scalebayes.precision import double_precision

ALL, PLACES = 40, 32  # so many runs or fewer are all places; of more, these: a step costs their square
_JITTER = 1e-6  # of the variance, so that near places have a factor
_SIZES = [factor << power for power in range(3, 20) for factor in (2, 3)]  # 16, 24, 32, 48, ...
_TOGETHER = 64  # new places drawn jointly


class Scales(NamedTuple):
    """Of the surface of one group or of each, shapes () or (group,).

    Parameters
    ----------
    misfit : array
        a, of the log reducible loss.
    lengths : sequence of array
        l of every input, in natural logs.
    drift, ratio : array or None
        s and the length over the log ratio; None for a surface that does not drift.
    """

    misfit: Any
    lengths: Sequence[Any]
    drift: Any = None
    ratio: Any = None


def coordinates(log_x: np.ndarray, frontier: Any) -> tuple[np.ndarray, np.ndarray]:
    """Distance beyond the frontier in log compute, shape (place,), and log ratios of the inputs, shape (place, input)."""
    # Scaled so that for two inputs the distance of two ratios is that of log D/N.
    return log_x.sum(-1) - frontier, np.sqrt(2) * (log_x - log_x.mean(-1, keepdims=True))


def together(h: np.ndarray, other: np.ndarray) -> np.ndarray:
    """c of the drift at distances h from the frontier, shape (..., place, other)."""
    p, q = h[..., :, None], other[..., None, :]
    return np.where(p * q > 0, integrated(np.abs(p), np.abs(q), 1.0), 0.0)


def covariance(log_x, ratio, other_x, other_ratio, drifted, scales: Scales):
    """Of g between places, shape (place, other).

    Parameters
    ----------
    log_x, ratio, other_x, other_ratio : array, shape (place, input)
    drifted : array, shape (place, other)
        From `together`.
    scales : Scales
        Of one group.
    """
    apart = sum(((log_x[:, i, None] - other_x[None, :, i]) / length) ** 2 for i, length in enumerate(scales.lengths))
    found = scales.misfit**2 * jnp.exp(-apart / 2)
    if scales.drift is None:
        return found
    squared = sum((ratio[:, i, None] - other_ratio[None, :, i]) ** 2 for i in range(ratio.shape[1]))
    # The small number keeps the root's derivative finite where two ratios agree.
    far = jnp.sqrt(5.0 * (squared + 1e-12)) / scales.ratio
    return found + scales.drift**2 * drifted * (1 + far + far**2 / 3) * jnp.exp(-far)


def chosen(log_x: np.ndarray, n: int) -> np.ndarray:
    """Rows of n runs spread over the others: the largest, then each next as far from those before it as there is."""
    scaled = (log_x - log_x.mean(0)) / np.maximum(np.ptp(log_x, axis=0), 1e-9)
    rows = [int(np.argmax(log_x.sum(-1)))]
    nearest = np.full(len(scaled), np.inf)
    while len(rows) < n:
        nearest = np.minimum(nearest, np.linalg.norm(scaled - scaled[rows[-1]], axis=1))
        nearest[rows] = -1.0
        rows.append(int(np.argmax(nearest)))
    return np.asarray(rows)


class Surroundings(NamedTuple):
    """Where the runs and places of every group lie: data of the likelihood.

    Parameters
    ----------
    log_x, ratio : array, shape (run, input)
    alone : array, shape (run,)
        c of the drift at the run itself.
    slots, places : array of int, shapes (group, slot) and (group, place)
        The runs of each group, and those of them that are places; -1 where there are none left.
    among, between : array, shapes (group, place, place) and (group, place, slot)
        c between them.
    """

    log_x: Any
    ratio: Any
    alone: Any
    slots: Any
    places: Any
    among: Any
    between: Any


def surroundings(log_x: np.ndarray, groups: Sequence[np.ndarray]) -> Surroundings:
    """Of runs with log inputs of shape (run, input), given the rows of each group."""
    longest = max(map(len, groups))
    n_slots = next(size for size in _SIZES if size >= longest)  # so that tables of similar length share a compilation
    n_places = min(ALL if longest <= ALL else PLACES, n_slots)
    slots, places = np.full((len(groups), n_slots), -1), np.full((len(groups), n_places), -1)
    frontier = np.empty(len(log_x))
    for slot, place, rows in zip(slots, places, groups, strict=True):
        slot[: len(rows)] = rows
        n = min(n_places, len(rows))
        place[:n] = rows[chosen(log_x[rows], n)]
        frontier[rows] = log_x[rows].sum(-1).max()
    h, ratio = coordinates(log_x, frontier)
    among, between = together(h[places], h[places]), together(h[places], h[slots])
    return Surroundings(log_x, ratio, integrated(np.abs(h), np.abs(h), 1.0), slots, places, among, between)


def departures(xi, error, weight, sigma, of_noise, scales: Scales, near: Surroundings):
    """g at the runs, what the places leave out, the density, and g at the places.

    Parameters
    ----------
    xi : array, shape (group, place)
        Coordinates of g.
    error, weight, sigma : array, shape (run,)
        g as the response has it, in logs of the response; the share of the response above the floor; the scale of the
        noise.
    of_noise : array, shape ()
        Information of the noise about its centre, as a multiple of ``sigma**-2``.
    scales : Scales
        Each of shape (group,).
    near : Surroundings

    Returns
    -------
    g, left_out : array, shape (run,)
        g, and the variance of it that the places do not explain.
    log_density : array, shape ()
        Of xi under the prior of g, up to a constant.
    values : array, shape (group, place)
    """
    drifts = scales.drift is not None

    def of_group(xi, slots, places, among, between, own):
        there, real = slots >= 0, places >= 0
        factor = _factor(near.log_x[places], near.ratio[places], among, real, own)
        k_zx = covariance(near.log_x[places], near.ratio[places], near.log_x[slots], near.ratio[slots], between, own)
        # A product with a small inverse costs half of solving for every run.
        inverse = jax.scipy.linalg.solve_triangular(factor, jnp.eye(len(places)), lower=True)
        shares = inverse @ jnp.where(real[:, None], k_zx, 0.0)
        before = own.misfit**2 + (own.drift**2 * near.alone[slots] if drifts else 0.0)
        left_out = jnp.maximum(before - (shares**2).sum(0), 0.0)
        r = weight[slots]
        spread = sigma[slots] ** 2 / of_noise + r**2 * left_out
        precision = jnp.where(there, r**2 / spread, 0.0)
        pull = shares @ jnp.where(there, r * error[slots] / spread, 0.0)
        root = jnp.linalg.cholesky(jnp.eye(len(places)) + (shares * precision) @ shares.T)
        half = jax.scipy.linalg.solve_triangular(root, pull, lower=True)
        v = jax.scipy.linalg.solve_triangular(root.T, half + xi, lower=False)
        log_density = -0.5 * (v**2).sum() - jnp.log(jnp.diagonal(root)).sum()
        return v @ shares, left_out, log_density, factor @ v

    g, left_out, log_density, values = jax.vmap(of_group)(xi, near.slots, near.places, near.among, near.between, scales)
    n, rows = len(error), jnp.where(near.slots >= 0, near.slots, len(error))
    at_runs = [jnp.zeros(n).at[rows].add(value, mode="drop") for value in (g, left_out)]
    return *at_runs, log_density.sum(), values


def _factor(log_x, ratio, among, real, scales: Scales):
    """Of the covariance of g between places; those that are not real are independent of all."""
    k_zz = covariance(log_x, ratio, log_x, ratio, among, scales)
    jitter = _JITTER * jnp.diagonal(k_zz).max()
    both = real[:, None] & real
    return jnp.linalg.cholesky(jnp.where(both, k_zz, 0.0) + jnp.diag(jnp.where(real, jitter, 1.0)))


def ahead(log_x: np.ndarray, values: np.ndarray, scales: Scales, near: Surroundings, group: int, rng) -> np.ndarray:
    """Draws of g at new places of one group given its values at the group's places, shape (sample, point).

    Joint over points, up to 64 of them; further ones independent of these.

    Parameters
    ----------
    log_x : array, shape (point, input)
    values : array, shape (sample, place)
    scales : Scales
        Of the group, shape (sample,).
    near : Surroundings
    group : int
    rng : numpy.random.Generator
    """
    real = near.places[group] >= 0
    z = near.log_x[near.places[group]]
    frontier = near.log_x[near.slots[group][near.slots[group] >= 0]].sum(-1).max()
    h, ratio = coordinates(z, frontier)
    found = np.empty((len(values), len(log_x)))
    for first in range(0, len(log_x), _TOGETHER):
        some = log_x[first : first + _TOGETHER]
        n = len(some)
        some = np.pad(some, ((0, -n % 8), (0, 0)), mode="edge")
        new_h, new_ratio = coordinates(some, frontier)
        cross, new = together(h, new_h), together(new_h, new_h)
        normal = rng.standard_normal((len(values), len(some)))
        with double_precision():
            drawn = _conditional(values, scales, normal, z, ratio, near.among[group], real, some, new_ratio, cross, new)
            found[:, first : first + n] = np.asarray(drawn)[:, :n]
    return found


@jax.jit
def _conditional(values, scales, normal, z, ratio, among, real, new_x, new_ratio, cross, new):
    def one(draw):
        values, scales, normal = draw
        factor = _factor(z, ratio, among, real, scales)
        k_zx = covariance(z, ratio, new_x, new_ratio, cross, scales)
        shares = jax.scipy.linalg.solve_triangular(factor, jnp.where(real[:, None], k_zx, 0.0), lower=True)
        mean = jax.scipy.linalg.solve_triangular(factor, values, lower=True) @ shares
        left = covariance(new_x, new_ratio, new_x, new_ratio, new, scales) - shares.T @ shares
        jitter = _JITTER * (scales.misfit**2 + jnp.diagonal(left).max())
        return mean + jnp.linalg.cholesky(left + jitter * jnp.eye(len(new_x))) @ normal

    return jax.lax.map(one, (values, scales, normal))
