"""Convergence diagnostics: r-hat, bulk ESS and divergences, as numbers and as a sentence."""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import xarray as xr
from scipy.fft import irfft, next_fast_len, rfft
from scipy.special import ndtri

from scalebayes.inference.settings import SMALLEST_ESS

LARGEST_R_HAT = 1.01
LARGEST_DIVERGING_SHARE = 0.005
_TAILS = (0.05, 0.95)  # probabilities of the quantiles whose ESS is that of the tails
_AT_ONCE = 16  # numbers per task: fewer gain nothing from a thread, and more would fill the memory


class ConvergenceWarning(UserWarning):
    """The draws do not represent the posterior well."""


@dataclass(frozen=True)
class Diagnostics:
    """Convergence diagnostics of the draws of a posterior.

    Parameters
    ----------
    draws : int
        Number of draws of all chains.
    divergences : int
    max_r_hat, min_ess_bulk, min_ess_tail : float
        The worst of all variables of the posterior.
    remarks : tuple of str
        What else to know before believing an answer, in sentences.
    """

    draws: int
    divergences: int
    max_r_hat: float
    min_ess_bulk: float
    min_ess_tail: float
    remarks: tuple[str, ...] = ()

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong; empty if nothing is."""
        found = []
        if self.divergences > LARGEST_DIVERGING_SHARE * self.draws:
            found.append(f"{self.divergences} of {self.draws} draws diverged")
        if not self.max_r_hat < LARGEST_R_HAT:
            found.append(f"r-hat reaches {self.max_r_hat:.4f} (below {LARGEST_R_HAT} is needed)")
        for kind, ess in (("bulk", self.min_ess_bulk), ("tail", self.min_ess_tail)):
            if not ess >= SMALLEST_ESS:
                found.append(f"the smallest {kind} ESS is {ess:.0f} ({SMALLEST_ESS} or more is needed)")
        return tuple(found)

    def __str__(self) -> str:
        one = "" if self.divergences == 1 else "s"
        allowed = f" (up to {int(LARGEST_DIVERGING_SHARE * self.draws)} are fine)" if self.divergences else ""
        numbers = (
            f"{self.divergences} divergence{one}{allowed}, max r-hat {self.max_r_hat:.3f}, "
            f"min bulk ESS {self.min_ess_bulk:.0f}, min tail ESS {self.min_ess_tail:.0f} over {self.draws} draws"
        )
        return f"NOT CONVERGED: {'; '.join(self.problems)}. {numbers}" if self.problems else numbers


class Worst(NamedTuple):
    """The largest r-hat and the smallest bulk and tail ESS of several variables."""

    r_hat: float
    bulk: float
    tail: float


def r_hat_and_ess(posterior: xr.Dataset) -> tuple[xr.Dataset, xr.Dataset]:
    """Rank-normalised split r-hat and bulk ESS of every variable."""
    from arviz_stats import ess, rhat

    return rhat(posterior), ess(posterior)


def worst(posterior: xr.Dataset) -> Worst:
    """The largest r-hat and the smallest ESS of all variables."""
    return worst_of({str(name): array.transpose("chain", "draw", ...).to_numpy() for name, array in posterior.items()})


def worst_of(variables: Mapping[str, np.ndarray]) -> Worst:
    """The largest r-hat and the smallest ESS of arrays with leading dimensions (chain, draw); NaN if any is.

    The values are those of ArviZ, computed for many numbers at once.
    """
    numbers = [number for v in variables.values() for number in np.moveaxis(v.reshape(*v.shape[:2], -1), -1, 0)]
    pieces = [np.stack(numbers[i : i + _AT_ONCE]) for i in range(0, len(numbers), _AT_ONCE)]
    if len(pieces) == 1:
        found = [_rank_normalised(pieces[0])]
    else:
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            found = list(pool.map(_rank_normalised, pieces))
    r_hat, bulk, tail = map(np.concatenate, zip(*found, strict=True))
    return Worst(float(r_hat.max()), float(bulk.min()), float(tail.min()))


def _rank_normalised(x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Split r-hat (the larger of values and folded values), bulk and tail ESS (Vehtari et al. 2021, arXiv:1903.08008).

    Parameters
    ----------
    x : array, shape (number, chain, draw)

    Returns
    -------
    r_hat, bulk, tail : array, shape (number,)
    """
    half = x.shape[2] // 2
    if half < 2:
        return (np.full(len(x), np.nan),) * 3
    ends = np.quantile(x, _TAILS, axis=(1, 2))[..., None, None]
    x = np.concatenate([x[:, :, :half], x[:, :, -half:]], axis=1).astype(float)
    unknown = ~np.isfinite(x).all((1, 2))
    with np.errstate(invalid="ignore", divide="ignore"):
        z = _normal_scores(x)
        folded = _normal_scores(np.abs(x - np.median(x, axis=(1, 2), keepdims=True)))
        r_hat, bulk = np.fmax(_r_hat(z), _r_hat(folded)), _ess(z)
        tail = np.minimum(*(_ess((x <= end).astype(float)) for end in ends))
    few = x.shape[1] < 4  # a single chain, split into halves
    bulk, tail = (np.where(unknown, np.nan, ess) for ess in (bulk, tail))
    return np.where(unknown | few, np.nan, r_hat), bulk, tail


def _normal_scores(x: np.ndarray) -> np.ndarray:
    """Quantiles of the normal distribution at the ranks among all draws of a number; ties share their mean rank."""
    flat = x.reshape(len(x), -1)
    n, order = flat.shape[1], np.argsort(flat, axis=1)
    ordered = np.take_along_axis(flat, order, axis=1)
    first = np.concatenate([np.ones((len(x), 1), bool), ordered[:, 1:] != ordered[:, :-1]], axis=1)
    last = np.concatenate([first[:, 1:], np.ones((len(x), 1), bool)], axis=1)
    begin = np.maximum.accumulate(np.where(first, np.arange(n), 0), axis=1)
    end = np.minimum.accumulate(np.where(last, np.arange(n), n)[:, ::-1], axis=1)[:, ::-1]
    # Mean ranks are multiples of 0.5, from 1 on.
    quantiles = ndtri((np.arange(2, 2 * n + 1) / 2 - 3 / 8) / (n + 1 / 4))
    scores = np.empty_like(flat)
    np.put_along_axis(scores, order, quantiles[begin + end], axis=1)
    return scores.reshape(x.shape)


def _r_hat(z: np.ndarray) -> np.ndarray:
    n = z.shape[2]
    return np.sqrt((n * z.mean(2).var(1, ddof=1) / z.var(2, ddof=1).mean(1) + n - 1) / n)


def _ess(z: np.ndarray) -> np.ndarray:
    """Effective sample size by Geyer's initial monotone sequence of the pairs of autocorrelations."""
    chains, n = z.shape[1:]
    means = z.mean(2)
    power = (np.abs(rfft(z - means[:, :, None], next_fast_len(2 * n, True), axis=2)) ** 2).mean(1)
    covariance = irfft(power, next_fast_len(2 * n, True), axis=1)[:, :n] / n
    within = covariance[:, 0] * n / (n - 1)
    total = covariance[:, 0] + means.var(1, ddof=1)
    rho = 1 - (within[:, None] - covariance) / total[:, None]
    rho[:, 0] = 1.0
    even = rho[:, : max(n - 2, 1) : 2]
    pairs = even + rho[:, 1::2][:, : even.shape[1]]
    ends = np.where((pairs <= 0).any(1), np.argmax(pairs <= 0, axis=1), pairs.shape[1] - 1)
    before = np.arange(pairs.shape[1]) < ends[:, None]
    kept = np.where(before, np.minimum.accumulate(pairs, axis=1), 0.0).sum(1)
    time = 2 * kept - 1 + np.maximum(even[np.arange(len(z)), ends], 0.0)
    size = chains * n
    return np.where(total > 0, size / np.maximum(time, 1 / np.log10(size)), size)


def diagnose(idata: xr.DataTree) -> Diagnostics:
    """The diagnostics that the sampler stored; computed from the posterior if another sampler drew it."""
    noted = idata.attrs
    if "max_r_hat" in noted:
        found = Worst(*(float(noted[name]) for name in ("max_r_hat", "min_ess_bulk", "min_ess_tail")))
    else:
        found = worst(idata["posterior"].to_dataset())
    diverging = idata["sample_stats"]["diverging"].to_numpy()
    return Diagnostics(diverging.size, int(diverging.sum()), *found)
