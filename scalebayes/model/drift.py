r"""Runs along curves that drift away from their law: covariances, likelihood, and the way ahead.

With :math:`h = \log x - \log x_c` and :math:`x_c` the curve's largest observed scale,

.. math:: \log y = \log(E + (f - E) e^{g(h)}) + o(h) + \epsilon, \qquad \epsilon \sim \mathrm{Normal}(0, \sigma)

g, the drift of the log reducible loss, has a slope that wanders and returns, :math:`dg' = -\kappa g' dh + s\, dW`, on
either side of the frontier, where it and its slope are zero; so the law's exponent *is* the local one there. o is an
Ornstein-Uhlenbeck process of variance :math:`\tau^2` and length :math:`\ell`. Among the runs g is taken to first order,
:math:`\log y \approx \log f + r g + o + \epsilon` with :math:`r = (f - E) / f`, and integrated out with o.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


def integrated(p, q, kappa, xp: Any = np):
    """Covariance of the integral of an Ornstein-Uhlenbeck slope that starts at zero, at distances p and q, for s = 1.

    Tends to ``min(p, q)**2 * (3 max(p, q) - min(p, q)) / 6``, that of an integrated Wiener process, for small kappa.
    """
    near, far = kappa * xp.minimum(p, q), kappa * xp.maximum(p, q)
    # Written with expm1: for small kappa the terms cancel to the third order.
    a, b = xp.expm1(-near), xp.expm1(-far)
    gap = xp.expm1(near - far)
    return (near + a + b - gap + (gap - (a + b + a * b)) / 2) / kappa**3


def loglik(log_y, log_f, weight, sigma, drift, tau, ell, kappa, slots, distance):
    """Log likelihood of each run given those nearer to its curve's frontier, g and o integrated out.

    Parameters
    ----------
    log_y, log_f, weight, sigma, drift, tau, ell, kappa : array, shape (run,) or ()
        Observed and expected log response, r, and the scales, each with its curve's value at every run.
    slots : array of int, shape (curve, place)
        The runs of each curve, from the frontier backwards; -1 where there are none left.
    distance : array, shape (run,)
        ``-h``.

    Returns
    -------
    array, shape (run,)
    """
    there = slots >= 0
    at = jnp.where(there, slots, 0)
    first = at[:, :1]

    def of_curve(value):
        return jnp.broadcast_to(value, log_y.shape)[first][:, :, None]

    covariance = between(
        distance[at], weight[at], of_curve(drift), of_curve(tau), of_curve(ell), of_curve(kappa), xp=jnp
    )
    unit = jnp.eye(slots.shape[1])
    covariance = jnp.where(there[:, :, None] & there[:, None, :], covariance + of_curve(sigma) ** 2 * unit, unit)
    factor = jnp.linalg.cholesky(covariance)
    error = jnp.where(there, (log_y - log_f)[at], 0.0)
    z = jax.scipy.linalg.solve_triangular(factor, error[:, :, None], lower=True)[:, :, 0]
    each = -0.5 * z**2 - jnp.log(jnp.diagonal(factor, axis1=1, axis2=2)) - 0.5 * jnp.log(2 * jnp.pi)
    return jnp.zeros_like(log_y).at[jnp.where(there, slots, len(log_y))].add(each, mode="drop")


def between(distance, weight, drift, tau, ell, kappa, xp: Any = np):
    """Covariance of r g + o between the runs of a curve, shape (..., place, place).

    Parameters
    ----------
    distance, weight : array, shape (..., place)
    drift, tau, ell, kappa : array, broadcasting against (..., place, place)
    xp : module
        numpy or jax.numpy.
    """
    p, q = distance[..., :, None], distance[..., None, :]
    of_g = weight[..., :, None] * weight[..., None, :] * drift**2 * integrated(p, q, kappa, xp)
    return of_g + tau**2 * xp.exp(-xp.abs(p - q) / ell)


def ahead(h, error, distance, weight, scales, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draws of g and o at new places of one curve given its runs.

    Parameters
    ----------
    h : array, shape (point,)
        Of the new places, beyond the frontier (positive) or among the runs.
    error, weight : array, shape (sample, run)
        ``log y - log f`` and r of the curve's runs for each draw of the parameters.
    distance : array, shape (run,)
    scales : mapping of str to array, shape (sample,)
        sigma, drift, tau, ell, kappa.
    rng : numpy.random.Generator

    Returns
    -------
    g, o : array, shape (sample, point)
        Jointly drawn at all points beyond the frontier; among the runs each by itself.
    """
    samples, points = len(error), len(h)
    sigma, drift, tau, ell, kappa = (scales[name][:, None] for name in ("sigma", "drift", "tau", "ell", "kappa"))
    g, o = np.empty((samples, points)), np.empty((samples, points))
    # The frontier's own o comes first: beyond it nothing else of the runs matters.
    inside = np.concatenate([[0.0], -h[h <= 0]])
    wide = (slice(None), slice(None), None)
    covariance = between(distance, weight, drift[wide], tau[wide], ell[wide], kappa[wide])
    covariance = covariance + sigma[wide] ** 2 * np.eye(len(distance))
    of_g = drift[wide] ** 2 * integrated(inside[:, None], distance, kappa[wide]) * weight[:, None]
    of_o = tau[wide] ** 2 * np.exp(-np.abs(inside[:, None] - distance) / ell[wide])
    cross = np.stack([of_g, of_o], axis=2)  # sample, place, (g, o), run
    before = np.zeros((samples, len(inside), 2, 2))
    before[:, :, 0, 0] = drift**2 * integrated(inside, inside, kappa)
    before[:, :, 1, 1] = tau**2
    flat = cross.reshape(samples, -1, len(distance))
    solved = np.linalg.solve(covariance, np.swapaxes(flat, 1, 2))
    mean = np.einsum("snk,sn->sk", solved, error).reshape(samples, -1, 2)
    after = before - np.einsum("spar,srpb->spab", cross, solved.reshape(samples, len(distance), -1, 2))
    drawn = mean + np.einsum("spab,spb->spa", _root(after), rng.standard_normal(mean.shape))
    g[:, h <= 0], o[:, h <= 0] = drawn[:, 1:, 0], drawn[:, 1:, 1]
    order = np.flatnonzero(h > 0)[np.argsort(h[h > 0], kind="stable")]
    position, slope, residual, at = np.zeros(samples), np.zeros(samples), drawn[:, 0, 1], 0.0
    s, t, length, k = drift[:, 0], tau[:, 0], ell[:, 0], kappa[:, 0]
    for j in order:
        step = h[j] - at
        keep, stay = np.exp(-k * step), np.exp(-step / length)
        noise = np.zeros((samples, 2, 2))
        noise[:, 0, 0] = s**2 * integrated(step, step, k)
        noise[:, 1, 1] = -(s**2) * np.expm1(-2 * k * step) / (2 * k)
        noise[:, 0, 1] = noise[:, 1, 0] = s**2 * np.expm1(-k * step) ** 2 / (2 * k**2)
        shock = np.einsum("sab,sb->sa", _root(noise), rng.standard_normal((samples, 2)))
        position, slope = position - slope * np.expm1(-k * step) / k + shock[:, 0], slope * keep + shock[:, 1]
        residual = residual * stay + t * np.sqrt(-np.expm1(-2 * step / length)) * rng.standard_normal(samples)
        g[:, j], o[:, j], at = position, residual, h[j]
    return g, o


def _root(matrix: np.ndarray) -> np.ndarray:
    """A square root of 2 x 2 covariances, singular ones too, shape (..., 2, 2)."""
    a = np.sqrt(np.maximum(matrix[..., 0, 0], 0.0))
    b = np.divide(matrix[..., 1, 0], a, out=np.zeros_like(a), where=a > 0)
    c = np.sqrt(np.maximum(matrix[..., 1, 1] - b**2, 0.0))
    return np.stack([np.stack([a, np.zeros_like(a)], -1), np.stack([b, c], -1)], -2)
