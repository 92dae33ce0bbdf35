"""Scores of a predictive distribution, given by draws, against the values observed."""

from __future__ import annotations

import numpy as np
from scipy.special import logsumexp

PROBS = (0.5, 0.8, 0.89, 0.95)
BAND = 0.89  # the probability of the interval whose width is reported too


def covered(drawn: np.ndarray, y: np.ndarray, prob: float) -> tuple[np.ndarray, np.ndarray]:
    """Whether each y lies in its equal-tailed interval, and that interval's width, in logs.

    Parameters
    ----------
    drawn : array, shape (sample, point)
        In logs.
    y : array, shape (point,)
        In logs.
    prob : float
    """
    lower, upper = np.quantile(drawn, [(1 - prob) / 2, (1 + prob) / 2], axis=0)
    return (lower <= y) & (y <= upper), upper - lower


def crps(drawn: np.ndarray, y: np.ndarray) -> np.ndarray:
    r"""Continuous ranked probability score, :math:`E|X - y| - \tfrac12 E|X - X'|`; smaller is better.

    Gneiting and Raftery (2007), J. Amer. Statist. Assoc. 102, eq. 21.

    >>> float(crps(np.array([[0.0], [2.0]]), np.array([1.0]))[0])
    0.5
    """
    n, ordered = len(drawn), np.sort(drawn, axis=0)
    rank = (2 * np.arange(1, n + 1) - n - 1)[:, None]
    return np.abs(drawn - y).mean(0) - (rank * ordered).sum(0) / n**2


def log_score(drawn: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Log density of y under a normal kernel density of the draws, of Silverman's width; larger is better."""
    n = len(drawn)
    quartiles = np.subtract(*np.quantile(drawn, [0.75, 0.25], axis=0)) / 1.349
    scale = np.minimum(drawn.std(0, ddof=1), np.where(quartiles > 0, quartiles, np.inf))
    width = np.maximum(0.9 * scale * n**-0.2, 1e-12)
    z = (drawn - y) / width
    return logsumexp(-0.5 * z**2, axis=0) - np.log(n * width * np.sqrt(2 * np.pi))


def transform(drawn: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Probability integral transform: the share of draws below y, plus half the share of those equal to it."""
    return ((drawn < y).sum(0) + 0.5 * (drawn == y).sum(0)) / len(drawn)
