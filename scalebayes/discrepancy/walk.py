r"""The mathematics of a drift: a slope that wanders and returns, correlated residuals, and draws beyond the runs.

With :math:`h = \log x - \log x_c` and :math:`x_c` the curve's largest observed scale, its frontier,

.. math:: \log y = d + \log(E + (f - E) e^{g(h)}) + o(h) + \epsilon, \qquad
          \epsilon \sim \mathrm{Normal}(0, \sqrt{1 - \rho}\, \sigma)

g is the drift of the log reducible loss. Its slope wanders and returns, :math:`dg' = -\kappa g' dh + s\, dW`, on either
side of the frontier. At the frontier g and its slope are zero, so that the law's exponent *is* the local one there. o
is an Ornstein-Uhlenbeck process of length :math:`\ell` and variance :math:`\rho \sigma^2`; the noise has the rest of
:math:`\sigma^2`. :math:`d \sim \mathrm{Normal}(0, 0.15)` is the level of the whole curve. Without d the last run would
fix this level to within sigma, which makes a funnel.

Among the runs g is taken to first order, :math:`\log y \approx d + \log f + r g + o + \epsilon` with
:math:`r = (f - E) / f`, and integrated out together with o and d. On another scale of the observation the errors are
those on that scale, and r is 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from scalebayes.discrepancy.contract import Errors

LEVEL = 0.15  # standard deviation of d
_TOGETHER, _AT_ONCE = 128, 250  # points among the runs drawn jointly, and samples drawn at once, to limit memory
_JITTER, _TINY = 1e-9, 1e-14  # relative and absolute, added to variances so that a singular covariance has a factor


def integrated(p, q, kappa, xp: Any = np):
    """Covariance between distances p and q of the integral of an Ornstein-Uhlenbeck slope from zero, for s = 1.

    For small kappa it tends to ``min(p, q)**2 * (3 max(p, q) - min(p, q)) / 6``, that of an integrated Wiener process.
    """
    near, far = kappa * xp.minimum(p, q), kappa * xp.maximum(p, q)
    # With expm1, since for small kappa the terms cancel to third order.
    a, b = xp.expm1(-near), xp.expm1(-far)
    gap = xp.expm1(near - far)
    return (near + a + b - gap + (gap - (a + b + a * b)) / 2) / kappa**3


def moved(step, drift, kappa, xp: Any = np):
    """A step of g and its slope v: what v keeps, what v gives to g, and the added variances gg, gv and vv."""
    shift = -xp.expm1(-kappa * step) / kappa
    come = (
        drift**2 * integrated(step, step, kappa, xp),
        (drift * shift) ** 2 / 2,
        -(drift**2) * xp.expm1(-2 * kappa * step) / (2 * kappa),
    )
    return xp.exp(-kappa * step), shift, come


def loglik(errors: Errors, drift, kappa, rho, ell, slots, distance):
    """Log likelihood of each run given the runs nearer to its curve's frontier, with g, o and d integrated out.

    It is a Kalman filter over g, its slope, o and d, from the frontier backwards and for all curves at once. Its cost
    is linear in the runs.

    Parameters
    ----------
    errors : Errors
        Of the runs, each of shape (run,) or ().
    drift, kappa, rho, ell : array, shape (run,) or ()
        The scales; at every run the value of its curve.
    slots : array of int, shape (curve, slot)
        The runs of each curve, from the frontier backwards; -1 where there are none left.
    distance : array, shape (run,)
        ``-h``.

    Returns
    -------
    array, shape (run,)
    """
    there = (slots >= 0).T
    at = jnp.where(there, slots.T, slots[:, 0])
    error, weight = errors.error, errors.above
    parts = (errors.sd, errors.noise, drift, kappa, rho, ell)
    sigma, noise, drift, kappa, rho, ell = (jnp.broadcast_to(part, error.shape) for part in parts)
    s, k, length = (value[at[0]] for value in (drift, kappa, ell))
    of_o, of_noise = (rho * sigma**2)[at[0]], (noise**2 - rho * sigma**2)[at]
    step = jnp.where(there, jnp.diff(distance[at], axis=0, prepend=0.0), 0.0)
    keep, shift, come = moved(step, s, k, jnp)
    stay, grown = jnp.exp(-step / length), (*come, -of_o * jnp.expm1(-2 * step / length))

    def advance(state, x):
        (g, v, o, d), (gg, gv, go, gd, vv, vo, vd, oo, od, dd) = state
        keep, stay, shift, (more_gg, more_gv, more_vv, more_oo), r, error, of_noise, there = x
        g, v, o = g + shift * v, keep * v, stay * o
        gg, gv = gg + 2 * shift * gv + shift**2 * vv + more_gg, keep * (gv + shift * vv) + more_gv
        go, gd, vv = stay * (go + shift * vo), gd + shift * vd, keep**2 * vv + more_vv
        vo, vd, oo, od = keep * stay * vo, keep * vd, stay**2 * oo + more_oo, stay * od
        # Covariances of g, its slope, o and d with the run's error, and the error that earlier runs do not explain.
        with_g, with_v, with_o, with_d = r * gg + go + gd, r * gv + vo + vd, r * go + oo + od, r * gd + od + dd
        variance, left = r * with_g + with_o + with_d + of_noise, error - r * g - o - d
        gain = jnp.where(there, 1 / variance, 0.0)
        ga, va, oa, da = gain * with_g, gain * with_v, gain * with_o, gain * with_d
        mean = (g + ga * left, v + va * left, o + oa * left, d + da * left)
        spread = (
            gg - ga * with_g,
            gv - ga * with_v,
            go - ga * with_o,
            gd - ga * with_d,
            vv - va * with_v,
            vo - va * with_o,
            vd - va * with_d,
            oo - oa * with_o,
            od - oa * with_d,
            dd - da * with_d,
        )
        return (mean, spread), -0.5 * (left**2 / variance + jnp.log(2 * jnp.pi * variance))

    zero = jnp.zeros(slots.shape[0])
    begin = ((zero,) * 4, ((zero,) * 7 + (of_o, zero, zero + LEVEL**2)))
    _, each = jax.lax.scan(advance, begin, (keep, stay, shift, grown, weight[at], error[at], of_noise, there))
    return jnp.zeros_like(error).at[jnp.where(there, at, len(error))].add(each, mode="drop")


def between(distance, weight, sigma, drift, kappa, rho, ell, xp: Any = np):
    """Covariance of r g + o + d between the runs of a curve, shape (..., run, run).

    Parameters
    ----------
    distance, weight, sigma : array, shape (..., run)
    drift, kappa, rho, ell : array, broadcasting against (..., run, run)
    """
    p, q = distance[..., :, None], distance[..., None, :]
    of_g = weight[..., :, None] * weight[..., None, :] * drift**2 * integrated(p, q, kappa, xp)
    of_o = rho * sigma[..., :, None] * sigma[..., None, :] * xp.exp(-xp.abs(p - q) / ell)
    return of_g + of_o + LEVEL**2


def ahead(
    h: np.ndarray,
    known: Errors,
    distance: np.ndarray,
    scales: Mapping[str, np.ndarray],
    others: Any,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Joint draws of g, o and d at new points of one curve, given its runs.

    Parameters
    ----------
    h : array, shape (point,)
        h of the new points: positive beyond the frontier, else among the runs.
    known : Errors
        The errors of the curve's runs, each of shape (sample, run).
    distance : array, shape (run,)
        ``-h`` of the runs.
    scales : mapping of str to array, shape (sample,)
        drift, kappa, rho, ell.
    others : array, shape (sample, run, run), or 0
        Covariance of further departures of the runs.
    rng : numpy.random.Generator

    Returns
    -------
    g, o, d : array, shape (sample, point)
        Drawn jointly. More than 128 points among the runs are drawn 128 at a time, independently of each other.
    """
    error = known.error
    samples, points = len(error), len(h)
    g, o, d = np.empty((3, samples, points))
    inside = np.flatnonzero(h <= 0)
    # The frontier's own o and d are drawn with the first points; beyond the frontier nothing else of the runs matters.
    some = inside[:_TOGETHER]
    first = _among(np.concatenate([[0.0], -h[some]]), known, distance, scales, others, rng)
    residual, d[:] = first[1][:, :1], first[2][:, :1]
    g[:, some], o[:, some] = first[0][:, 1:], first[1][:, 1:]
    for start in range(_TOGETHER, len(inside), _TOGETHER):
        some = inside[start : start + _TOGETHER]
        g[:, some], o[:, some], d[:, some] = _among(-h[some], known, distance, scales, others, rng)
    s, k, length = (scales[name] for name in ("drift", "kappa", "ell"))
    t = np.sqrt(scales["rho"]) * known.sd[:, 0]
    position, slope, residual, at = np.zeros(samples), np.zeros(samples), residual[:, 0], 0.0
    order = np.flatnonzero(h > 0)[np.argsort(h[h > 0], kind="stable")]
    for j in order:
        step = h[j] - at
        keep, shift, (gg, gv, vv) = moved(step, s, k)
        # The factor of a 2 x 2 covariance in closed form; it is zero for a step so short that nothing moves.
        of_g = np.sqrt(np.maximum(gg, 0.0))
        of_both = np.divide(gv, of_g, out=np.zeros(samples), where=of_g > 0)
        of_slope = np.sqrt(np.maximum(vv - of_both**2, 0.0))
        first_shock, second_shock = rng.standard_normal((2, samples))
        position = position + slope * shift + of_g * first_shock
        slope = slope * keep + of_both * first_shock + of_slope * second_shock
        fresh = t * np.sqrt(-np.expm1(-2 * step / length)) * rng.standard_normal(samples)
        residual = residual * np.exp(-step / length) + fresh
        g[:, j], o[:, j], at = position, residual, h[j]
    return g, o, d


def _among(
    points: np.ndarray, known: Errors, distance: np.ndarray, scales: Mapping, others: Any, rng: np.random.Generator
) -> np.ndarray:
    """Joint draws of g, o and d among the runs, at distances from the frontier, shape (3, sample, point)."""
    parts = []
    for first in range(0, len(known.error), _AT_ONCE):
        some = slice(first, first + _AT_ONCE)
        own = {name: value[some] for name, value in scales.items()}
        other = others if np.ndim(others) == 0 else others[some]
        parts.append(_of_samples(points, Errors(*(part[some] for part in known)), distance, own, other, rng))
    return np.concatenate(parts, axis=1)


def _of_samples(points, known: Errors, distance, scales, others, rng) -> np.ndarray:
    drift, kappa, rho, ell = (scales[name][:, None, None] for name in ("drift", "kappa", "rho", "ell"))
    samples, runs, n = len(known.error), len(distance), len(points)
    sd, to, at = known.sd[:, :1, None], points[:, None], slice(n, 2 * n)
    cross = np.empty((samples, 2 * n + 1, runs))  # g and o of every point, then d
    cross[:, :n] = drift**2 * integrated(to, distance, kappa) * known.above[:, None]
    cross[:, at] = rho * (sd * known.sd[:, None]) * np.exp(-np.abs(to - distance) / ell)
    cross[:, -1] = LEVEL**2
    before = np.zeros((samples, 2 * n + 1, 2 * n + 1))
    before[:, :n, :n] = drift**2 * integrated(to, points, kappa)
    before[:, at, at] = rho * sd**2 * np.exp(-np.abs(to - points) / ell)
    before[:, -1, -1] = LEVEL**2
    noise = (known.noise**2 - rho[:, 0] * known.sd**2)[:, None] * np.eye(runs)
    covariance = between(distance, known.above, known.sd, drift, kappa, rho, ell) + noise + others
    solved = np.linalg.solve(covariance, np.swapaxes(cross, 1, 2))
    mean = np.einsum("snk,sn->sk", solved, known.error)
    after = before - cross @ solved
    # g is known at the frontier, and o is almost known at a run.
    own = np.diagonal(before, axis1=1, axis2=2)
    after[:, np.arange(2 * n + 1), np.arange(2 * n + 1)] += _JITTER * own + _TINY
    normal = rng.standard_normal((samples, 2 * n + 1, 1))
    drawn = mean + (np.linalg.cholesky(after) @ normal)[..., 0]
    return np.stack([drawn[:, :n], drawn[:, at], np.broadcast_to(drawn[:, -1:], (samples, n))])
