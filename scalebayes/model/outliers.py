"""Single runs that lie far from all others: found before a fit, so that none of them can rule it."""

from __future__ import annotations

import numpy as np
from scipy.special import stdtrit

from scalebayes.runs.runs import Runs

CHANCE = 1e-4  # that any run of a table of normal errors is taken for an outlier
_MOST, _MOST_SHARE = 20, 0.1  # outliers looked for in a group, at most
_CUBIC = 12  # runs from which a group of one input may have a cubic
_PER_TERM = 3  # runs from which a group has a polynomial of its own, for each of its coefficients


def outlying(runs: Runs, observed: np.ndarray) -> np.ndarray:
    r"""How far each outlier lies from what the other runs say, on the observation's scale; 0 for all other runs.

    A polynomial in the logarithms of the scales, and in the other inputs, stands for any law: linear, quadratic, or
    cubic along a single input, whichever predicts left-out runs best in the median. A group with few runs shares its
    polynomial with the other such groups, up to a constant. The outliers are those of the generalized extreme
    Studentized deviate test, for residuals of a regression: the run with the largest Studentized residual is taken out,
    the others are fitted again, and so on, up to a tenth of the runs. The outliers are all up to the last one that is
    significant, so that one does not hide another.

    Parameters
    ----------
    runs : Runs
    observed : array, shape (run,)
        The responses on the observation's scale.

    Returns
    -------
    array, shape (run,)

    Notes
    -----
    Rosner (1983), Percentage points for a generalized ESD many-outlier procedure, Technometrics 25, 165.
    """
    found = np.zeros(len(runs))
    inputs = _inputs(runs)
    few = []
    for level in runs.levels or (None,):
        rows = runs.rows(level)
        if len(rows) >= _PER_TERM * (1 + _quadratic(inputs[rows]).shape[1]):
            found[rows] = _of_group(inputs[rows], observed[rows], np.ones((len(rows), 1)))
        else:
            few.append(rows)
    if few:
        rows = np.concatenate(few)
        own = np.repeat(np.eye(len(few)), list(map(len, few)), axis=0)
        found[rows] = _of_group(inputs[rows], observed[rows], own)
    return found


def _inputs(runs: Runs) -> np.ndarray:
    """The inputs that vary, shape (run, input): scales as logarithms, all standardised."""
    u = np.concatenate([runs.features(name) for name in runs.inputs], axis=1)
    sd = u.std(axis=0)
    return (u[:, sd > 0] - u[:, sd > 0].mean(axis=0)) / sd[sd > 0]


def _quadratic(u: np.ndarray) -> np.ndarray:
    pairs = [u[:, i] * u[:, j] for i in range(u.shape[1]) for j in range(i, u.shape[1])]
    return np.stack([*u.T, *pairs], axis=1)


def _of_group(u: np.ndarray, observed: np.ndarray, constants: np.ndarray) -> np.ndarray:
    """The outliers of one polynomial; zeros if the runs are too few to tell."""
    designs = [u, _quadratic(u)]
    if u.shape[1] == 1 and len(u) >= _CUBIC:
        designs.append(np.concatenate([designs[-1], u**3], axis=1))
    bases = [_basis(np.concatenate([constants, design], axis=1)) for design in designs]
    misses = [np.median(np.abs(_left_out(basis, observed))) for basis in bases if basis.shape[1] + 2 < len(u)]
    if not misses:
        return np.zeros(len(u))
    return _tested(bases[int(np.argmin(misses))], observed)


def _basis(design: np.ndarray) -> np.ndarray:
    """An orthonormal basis of the columns, of which some may depend on others."""
    left, size, _ = np.linalg.svd(design, full_matrices=False)
    return left[:, size > 1e-9 * size[0]]


def _left_out(basis: np.ndarray, observed: np.ndarray) -> np.ndarray:
    """Residual of each run about the fit to all others."""
    residual = observed - basis @ (basis.T @ observed)
    return residual / np.maximum(1 - (basis**2).sum(axis=1), 1e-9)


def _tested(basis: np.ndarray, observed: np.ndarray) -> np.ndarray:
    left, order, last = np.arange(len(observed)), [], 0
    for k in range(1, min(_MOST, max(1, int(_MOST_SHARE * len(observed)))) + 1):
        own, _ = np.linalg.qr(basis[left])
        residual = observed[left] - own @ (own.T @ observed[left])
        room = np.maximum(1 - (own**2).sum(axis=1), 1e-9)
        freedom = len(left) - own.shape[1] - 1
        if freedom < 2:
            break
        # The variance of the others, without the run itself; below the rounding of numbers nothing is an outlier.
        variance = np.maximum(residual @ residual - residual**2 / room, 0.0) / freedom + 1e-18
        t = np.abs(residual) / np.sqrt(variance * room)
        farthest = int(t.argmax())
        order.append(left[farthest])
        if t[farthest] > stdtrit(freedom, 1 - CHANCE / (2 * len(left))):
            last = k
        left = np.delete(left, farthest)
    found = np.zeros(len(observed))
    if last:
        out = np.asarray(order[:last])
        kept = np.setdiff1d(np.arange(len(observed)), out)
        coefficients, *_ = np.linalg.lstsq(basis[kept], observed[kept], rcond=None)
        found[out] = observed[out] - basis[out] @ coefficients
    return found
