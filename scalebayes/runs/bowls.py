"""Bowls: how the response of a sweep rises from its best setting, with one shape that cells share and depart from."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_ndtr

LEAST_NOISE = 1e-5  # in logs
_ROUNDS = 30
_LUCK = 2.0  # times the noise, by which the best of several runs may lie below the best setting
_WIDEST = 1e6  # variance of what is not shrunk


class Sweep(NamedTuple):
    """The runs of a sweep in cells.

    Parameters
    ----------
    y : array, shape (run,)
        Lower is better; in logs where responses are positive.
    cell : array of int, shape (run,)
    z : array, shape (run, setting)
        The settings, in logs.
    u : array, shape (cell, input)
        The other inputs of each cell, in logs.
    """

    y: np.ndarray
    cell: np.ndarray
    z: np.ndarray
    u: np.ndarray


class _Bowls(NamedTuple):
    """A bowl for each cell, up to its height: coefficients of z and of its squares, and the noise about it."""

    tilt: np.ndarray  # (cell, setting)
    squares: np.ndarray  # (square,)
    terms: np.ndarray  # of each run, (run, coefficient)
    covariance: np.ndarray  # of their coefficients
    drift: np.ndarray  # the inputs with which the best setting moves, (cell, input)
    excess: np.ndarray  # of each run over the bottom, (run,)
    noise: float
    slack: float


def bottoms(sweep: Sweep) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The best response of each cell, its error and the setting where it lies.

    Returns
    -------
    best, error : array, shape (cell,)
    at : array, shape (cell, setting)
    """
    middle = sweep.z.mean(0)
    centred = sweep._replace(z=sweep.z - middle)
    shared = _shared(centred)
    best, error, at = _own(centred, shared)
    # The best setting is hardly worse than the best run, which may have been lucky: the distribution about the bottom
    # is cut off there, as softly as the noise says.
    lowest = np.array([sweep.y[sweep.cell == i].min() for i in range(len(best))])
    both = np.hypot(error, shared.noise)
    beyond = (lowest + _LUCK * shared.noise - best) / both
    hazard = np.exp(-0.5 * beyond**2 - 0.5 * np.log(2 * np.pi) - log_ndtr(beyond))
    left = 1 - (error / both) ** 2 * hazard * (beyond + hazard)
    return best - error**2 / both * hazard, error * np.sqrt(np.clip(left, 0.05, 1)), at + middle


def _shared(sweep: Sweep) -> _Bowls:
    """One curvature, and one drift of the best setting with the inputs, for all cells, by reweighted least squares."""
    y, cell, z, n, k = sweep.y, sweep.cell, sweep.z, int(sweep.cell.max()) + 1, sweep.z.shape[1]
    u = sweep.u - sweep.u.mean(0)
    u = u[:, np.ptp(u, axis=0) > 1e-9] if n > 2 * sweep.u.shape[1] + 2 else u[:, :0]
    terms = np.concatenate([z, *[z[:, [a]] * u[cell] for a in range(k)], _squared(z)], axis=1)
    lowest = np.array([y[cell == i].min() for i in range(n)])
    excess = y - lowest[cell]
    noise, slack = max(float(np.median(excess)) / 4, LEAST_NOISE), 0.5
    for _ in range(_ROUNDS):
        precision = 1 / (noise**2 + (slack * excess) ** 2)
        root = np.sqrt(precision)
        # The height of each cell is taken out of both sides.
        both = np.concatenate([terms, y[:, None]], axis=1)
        means = np.stack([np.bincount(cell, precision * column, n) for column in both.T], 1)
        both = (both - (means / np.bincount(cell, precision, n)[:, None])[cell]) * root[:, None]
        beta = np.linalg.lstsq(both[:, :-1], both[:, -1], rcond=1e-10)[0]
        covariance = np.linalg.pinv(both[:, :-1].T @ both[:, :-1], rcond=1e-10)
        slopes, of_u, squares = np.split(beta, [k, k + k * u.shape[1]])
        squares = _as_squares(_curved(squares, k))
        tilt = slopes + (of_u.reshape(k, -1) @ u.T).T if u.shape[1] else np.tile(slopes, (n, 1))
        fitted = (z * tilt[cell]).sum(1) + _squared(z) @ squares
        curved = _matrix(squares, k)
        excess = np.maximum(fitted + 0.5 * np.einsum("ia,ab,ib->i", tilt, np.linalg.inv(curved), tilt)[cell], 0.0)
        residual = y - fitted
        height = np.bincount(cell, precision * residual, n) / np.bincount(cell, precision, n)
        noise, slack = _noise(residual - height[cell], excess, n + len(beta))
    return _Bowls(tilt, squares, terms, covariance, u, excess, noise, slack)


def _own(sweep: Sweep, shared: _Bowls) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Each cell's bowl, which departs from the shared one as much as those of other cells do."""
    n, k = int(sweep.cell.max()) + 1, sweep.z.shape[1]
    precision = 1 / (shared.noise**2 + (shared.slack * shared.excess) ** 2)
    terms = np.concatenate([np.ones((len(sweep.z), 1)), sweep.z, _squared(sweep.z)], axis=1)
    known, told, rows = [], [], [np.flatnonzero(sweep.cell == i) for i in range(n)]
    for i, own in enumerate(rows):
        rest = sweep.y[own] - sweep.z[own] @ shared.tilt[i] - terms[own, 1 + k :] @ shared.squares
        weighted = terms[own].T * precision[own]
        known.append(weighted @ terms[own])
        told.append(weighted @ rest)
    spread = np.full(terms.shape[1], 1e-4)
    spread[0] = _WIDEST
    for _ in range(_ROUNDS):
        covariance = [np.linalg.inv(each + np.diag(1 / spread)) for each in known]
        means = np.stack([c @ t for c, t in zip(covariance, told, strict=True)])
        squares = means**2 + np.stack([np.diag(c) for c in covariance])
        spread[1:] = np.maximum(squares[:, 1:].mean(0), 1e-10)
    best, error, at = np.empty(n), np.empty(n), np.empty((n, k))
    for i, own in enumerate(rows):
        coefficients = means[i].copy()
        coefficients[1 : 1 + k] += shared.tilt[i]
        coefficients[1 + k :] += shared.squares
        curved = _curved(coefficients[1 + k :], k)
        z = sweep.z[own]
        place = np.clip(-np.linalg.solve(curved, coefficients[1 : 1 + k]), z.min(0), z.max(0))
        there = np.concatenate([[1.0], place, _squared(place[None])[0]])
        # The shared bowl is not known exactly either; it matters as far as the bottom lies from the middle of the runs.
        moving = np.concatenate([place, *[place[[a]] * shared.drift[i] for a in range(k)], _squared(place[None])[0]])
        away = moving - np.average(shared.terms[own], axis=0, weights=precision[own])
        variance = there @ covariance[i] @ there + away @ shared.covariance @ away
        best[i], error[i], at[i] = there @ coefficients, np.sqrt(variance), place
    return best, error, at


def _pairs(k: int) -> list[tuple[int, int]]:
    return [(a, b) for a in range(k) for b in range(a, k)]


def _squared(z: np.ndarray) -> np.ndarray:
    """Products of the settings, shape (run, square)."""
    return np.stack([z[:, a] * z[:, b] for a, b in _pairs(z.shape[1])], 1)


def _matrix(squares: np.ndarray, k: int) -> np.ndarray:
    """The curvature whose half quadratic form has these coefficients of the products."""
    curved = np.zeros((k, k))
    for value, (a, b) in zip(squares, _pairs(k), strict=True):
        curved[a, b] += value
        curved[b, a] += value
    return curved


def _as_squares(curved: np.ndarray) -> np.ndarray:
    return np.array([curved[a, b] * (0.5 if a == b else 1.0) for a, b in _pairs(len(curved))])


def _curved(squares: np.ndarray, k: int) -> np.ndarray:
    """The curvature, made positive definite."""
    values, vectors = np.linalg.eigh(_matrix(squares, k))
    return vectors @ np.diag(np.maximum(values, max(values.max(), 1e-6) * 1e-3)) @ vectors.T


def _noise(residual: np.ndarray, excess: np.ndarray, fitted: int) -> tuple[float, float]:
    """The noise at the bottom, and the share of the excess by which a bowl is off there, by maximum likelihood."""
    used = np.sqrt(len(residual) / max(len(residual) - fitted, 1))  # what was fitted uses up part of the residuals
    spread = max(float(np.median(np.abs(residual))) * used, LEAST_NOISE)

    def unlikely(logs: np.ndarray) -> float:
        variance = np.exp(2 * logs[0]) + (np.exp(logs[1]) * excess) ** 2
        scaled = (used * residual) ** 2 / variance
        return float((2.5 * np.log1p(scaled / 4) + 0.5 * np.log(variance)).mean())  # Student-t of 4, for stray runs

    found = minimize(unlikely, [np.log(spread), np.log(0.3)], method="Nelder-Mead", options={"maxiter": 200})
    noise, slack = np.exp(np.clip(found.x, [np.log(LEAST_NOISE), -5], [2, 1]))
    return float(noise), float(slack)
