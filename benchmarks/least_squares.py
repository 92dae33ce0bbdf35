"""What most papers do: a robust least-squares fit of each group alone, refitted to bootstrap samples."""

from __future__ import annotations

import numpy as np
from cases import Case
from scipy.optimize import minimize
from threadpoolctl import threadpool_limits

DELTA = 1e-3


def refits(case: Case, count: int, seed: int) -> np.ndarray:
    """Huber loss on log residuals by L-BFGS.

    A good user centres log N and log D, gives the gradient, and measures the loss in units of DELTA squared, so that
    L-BFGS does not stop early at its absolute tolerances.

    Parameters
    ----------
    case : Case
    count, seed : int

    Returns
    -------
    array, shape (count, group, 5)
        log E, the logarithms of the two terms at the group's centre, alpha and beta.
    """
    rng = np.random.default_rng(seed)
    index = case.runs.group_index if case.groups else np.zeros(len(case.runs), int)
    parts = []
    for group in range(max(case.groups, 1)):
        rows = index == group
        n, d, y = (np.log(values[rows]) for values in (case.runs.x("N"), case.runs.x("D"), case.runs.y))
        n, d = n - n.mean(), d - d.mean()
        resampled = [rng.integers(len(y), size=len(y)) for _ in range(count)]
        # On a busy machine, threads that wait for each other over five numbers make this 20 times slower.
        with threadpool_limits(1):
            first = best_of(starts(y), n, d, y)
            parts.append([best_of([first], n[i], d[i], y[i]) for i in resampled])
    return np.asarray(parts).transpose(1, 0, 2)


def starts(y: np.ndarray) -> list[list[float]]:
    """A small grid about what is plausible: the share of the smallest loss that is floor, and the two exponents."""
    found = []
    for share in (0.6, 0.85):
        term = np.log((np.exp(y.mean()) - share * np.exp(y.min())) / 2)
        floor = np.log(share) + y.min()
        found += [[floor, term, term, alpha, beta] for alpha in (0.2, 0.5) for beta in (0.2, 0.5)]
    return found


def best_of(starting: list, n: np.ndarray, d: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The lowest minimum reached."""
    results = [minimize(objective, start, args=(n, d, y), jac=True, method="L-BFGS-B") for start in starting]
    return min(results, key=lambda result: result.fun).x


def objective(theta: np.ndarray, n: np.ndarray, d: np.ndarray, y: np.ndarray) -> tuple[float, np.ndarray]:
    """Huber loss over DELTA squared, and its gradient."""
    e, a, b, alpha, beta = theta
    floor, of_size, of_tokens = np.exp(e), np.exp(a - alpha * n), np.exp(b - beta * d)
    law = floor + of_size + of_tokens
    residual = (np.log(law) - y) / DELTA
    clipped = np.clip(residual, -1, 1)
    value = (clipped * (residual - clipped / 2)).sum()
    weight = clipped / law / DELTA
    by_size, by_tokens = weight * of_size, weight * of_tokens
    gradient = (weight.sum() * floor, by_size.sum(), by_tokens.sum(), -(by_size @ n), -(by_tokens @ d))
    return value, np.asarray(gradient)
