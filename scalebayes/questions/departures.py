"""How single curves depart from their law: an offset and two random walks, with sizes found from a ladder's curves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize
from scipy.special import chdtrc

from scalebayes.fits.fit import Fit
from scalebayes.model import Model
from scalebayes.model.evaluation import expected
from scalebayes.model.prediction import parameters_of, stream
from scalebayes.priors import Share
from scalebayes.runs.runs import Runs

_ENSEMBLE = 1000  # draws of the parameters
_ROUNDS = 6  # of an update, each with its share of the data's information
_MOST = 40  # points of a curve that are used, spread over it
_TESTED = 8  # newest points that are compared with their forecast
# Prior of the standard deviations, in logs of the response: half a per cent, as of the noise of trained models, known
# to within a factor of about three; and what they are kept between.
_USUAL, _SPREAD = np.array([0.005, 0.005, 0.005, 0.002]), 1.0
_ENDS = np.log([1e-4, 0.3])


class Departure(NamedTuple):
    """Variances of a curve's departure from its law, on the observation's scale."""

    offset: float
    walk: float  # for each unit of the logarithm of the scale
    fall: float  # for a rate that falls from its peak to zero
    white: float

    def widened(self, times: float) -> Departure:
        """With larger variances, but for the white noise."""
        return self._replace(offset=times * self.offset, walk=times * self.walk, fall=times * self.fall)

    def covariance(self, here: np.ndarray, there: np.ndarray) -> np.ndarray:
        """The covariance of departures at points (log scale, fall of the rate), without the white noise."""
        log_x = np.minimum(here[:, None, 0], there[None, :, 0])
        fallen = np.minimum(here[:, None, 1], there[None, :, 1])
        return self.offset + self.walk * log_x + self.fall * fallen

    def of(self, points: np.ndarray) -> np.ndarray:
        """The covariance of measured departures, with the white noise."""
        return self.covariance(points, points) + self.white * np.eye(len(points))

    def drawn(self, points: np.ndarray, samples: int, rng: np.random.Generator) -> np.ndarray:
        """Draws of measured departures, shape (sample, point)."""
        return rng.standard_normal((samples, len(points))) @ _root(self.of(points)).T

    def given(
        self, points: np.ndarray, known: np.ndarray, residual: np.ndarray, ahead: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray:
        """Draws of measured departures ahead, given those at the known points in each sample, shape (sample, ahead)."""
        across = self.covariance(points[ahead], points[known])
        gain = np.linalg.solve(self.of(points[known]), across.T).T
        left = self.of(points[ahead]) - gain @ across.T
        return residual[:, known] @ gain.T + rng.standard_normal((len(residual), len(ahead))) @ _root(left).T


def departure_of(fit: Fit) -> Departure:
    """The sizes of departures among the fitted curves: the posterior mode at the middle of the law's draws."""
    model, runs = fit.model, fit.model.runs
    forward, where = model.observation.scale.forward, features(runs, {name: runs.x(name) for name in runs.inputs})
    parts: list[tuple[np.ndarray, np.ndarray]] = []
    for level in runs.levels or (None,):
        rows = runs.rows(level)
        found = parameters_of(model, fit.posterior, level)
        middle = {name: np.atleast_1d(np.median(found[name])) for name in model.parameters}
        mean = expected(model.law.function, [runs.x(name)[rows] for name in runs.inputs], middle)[0]
        residual = forward(runs.y[rows]) - forward(mean)
        for own in _curves(runs, rows):
            some = own[spread(np.arange(len(own)))]
            parts.append((where[rows[some]], residual[some]))

    def unlikely(logs: np.ndarray) -> float:
        departure = Departure(*np.exp(2 * np.clip(logs, *_ENDS)))
        # A few curves, to which the law was fitted, cannot rule a departure out: its sizes have a prior.
        total = 0.5 * (((logs - np.log(_USUAL)) / _SPREAD) ** 2).sum()
        for points, residual in parts:
            root = np.linalg.cholesky(departure.of(points))
            total += 0.5 * (np.linalg.solve(root, residual) ** 2).sum() + np.log(np.diag(root)).sum()
        return total

    found = minimize(
        unlikely, np.log(_USUAL), method="Nelder-Mead", options={"maxiter": 800, "xatol": 0.01, "fatol": 0.01}
    )
    return Departure(*(float(v) for v in np.exp(2 * np.clip(found.x, *_ENDS))))


def features(runs: Runs, x: Mapping[str, np.ndarray]) -> np.ndarray:
    """Where points lie along a curve: the logarithm of the scale from its smallest, and how far the rate has fallen."""
    for name, each in runs.inputs.items():
        if each.schedules is not None:
            total, last = x[name][:, 0, 2], -x[name][:, :, 1].sum(1)
            start = np.log(runs.x(name)[:, 0, 2]).min()
            peak = np.max(x[name][:, :, 0], axis=1)
            fallen = np.clip(1 - last / np.maximum(peak, 1e-300), 0, 1)
            return np.stack([np.maximum(np.log(total) - start, 0.0) + 1e-3, fallen], 1)
    name = runs.scales[0]
    log_x = np.log(x[name]) - np.log(runs.x(name)).min()
    return np.stack([np.maximum(log_x, 0.0) + 1e-3, np.zeros(len(log_x))], 1)


def _curves(runs: Runs, rows: np.ndarray) -> list[np.ndarray]:
    """Positions, among some rows, of each curve: of one schedule, or of one run where a column names it."""
    names = [each.columns[0] for each in runs.inputs.values() if each.schedules is not None]
    names += [runs.run] if runs.run else []
    if not names:
        return [np.arange(len(rows))]
    keys = runs.table[names].astype(str).agg("\0".join, axis=1).to_numpy(str)[rows]
    return [np.flatnonzero(keys == key) for key in np.unique(keys)]


def spread(positions: np.ndarray) -> np.ndarray:
    """At most forty positions, spread evenly, always with the first and the last."""
    return positions[np.unique(np.linspace(0, len(positions) - 1, min(len(positions), _MOST)).round().astype(int))]


class OfRun(NamedTuple):
    """A run's law at all of its points, as a function of draws of its parameters in unbounded coordinates."""

    model: Model
    x: list[np.ndarray]
    unbounded: np.ndarray  # (sample, parameter)
    kinds: tuple[str, ...]  # "share", "log" or "plain", for each parameter

    @classmethod
    def of(cls, fit: Fit, x: list[np.ndarray], level: str | None, new: bool, seed: int) -> OfRun:
        """With the draws of a known group, or of a new one drawn from the population."""
        rng = stream(fit.model.runs, level, seed)
        thin = max(1, -(-fit.posterior.sizes["chain"] * fit.posterior.sizes["draw"] // _ENSEMBLE))
        draws = fit.posterior.isel(draw=slice(None, None, thin))
        found = parameters_of(fit.model, draws, level, new_group=new, rng=rng)
        kinds = tuple(_kind(fit.model, name, found[name]) for name in fit.model.parameters)
        columns = [_free(kind, found[name]) for kind, name in zip(kinds, fit.model.parameters, strict=True)]
        return cls(fit.model, x, np.stack(columns, 1), kinds)

    def at(self, unbounded: np.ndarray) -> np.ndarray:
        """The law's mean on the observation's scale, shape (sample, point)."""
        names = zip(self.model.parameters, self.kinds, unbounded.T, strict=True)
        theta = {name: _bound(kind, values) for name, kind, values in names}
        return self.model.observation.scale.forward(expected(self.model.law.function, self.x, theta))

    def updated(
        self, known: np.ndarray, observed: np.ndarray, departure: Departure, where: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray:
        """Draws of the parameters given the response at some points (ensemble Kalman smoother, several rounds)."""
        draws, noise = self.unbounded.copy(), departure.of(where[known])
        root = _root(noise)
        for _ in range(_ROUNDS):
            mean = self.at(draws)[:, known]
            away, moved = mean - mean.mean(0), draws - draws.mean(0)
            n = len(draws) - 1
            inner = away.T @ away / n + _ROUNDS * noise
            wanted = observed[known] + np.sqrt(_ROUNDS) * rng.standard_normal(mean.shape) @ root.T
            draws = draws + (wanted - mean) @ np.linalg.solve(inner, away.T @ moved / n)
        return draws

    def surprise(
        self,
        known: np.ndarray,
        newest: np.ndarray,
        observed: np.ndarray,
        departure: Departure,
        where: np.ndarray,
        rng: np.random.Generator,
    ) -> tuple[float, float]:
        """How far newest points lie from their forecast by the ones before: its probability, and the mean square.

        The mean square is in units of the variance that was forecast, about 1 where the forecast holds.
        """
        tested = newest[np.unique(np.linspace(0, len(newest) - 1, min(len(newest), _TESTED)).round().astype(int))]
        mean = self.at(self.updated(known, observed, departure, where, rng))
        drawn = mean[:, tested] + departure.given(where, known, observed - mean, tested, rng)
        away = observed[tested] - drawn.mean(0)
        covariance = np.atleast_2d(np.cov(drawn, rowvar=False))
        squares = float(away @ np.linalg.solve(covariance, away))
        return float(chdtrc(len(tested), squares)), squares / len(tested)


def _kind(model: Model, name: str, draws: np.ndarray) -> str:
    if isinstance(model.priors[name].prior, Share):
        return "share"
    return "log" if (draws > 0).all() else "plain"


def _free(kind: str, value: np.ndarray) -> np.ndarray:
    if kind == "share":
        return np.log(value) - np.log1p(-value)
    return np.log(value) if kind == "log" else value


def _bound(kind: str, value: np.ndarray) -> np.ndarray:
    if kind == "share":
        return 1 / (1 + np.exp(-value))
    return np.exp(value) if kind == "log" else value


def _root(covariance: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(covariance)
    return vectors * np.sqrt(np.maximum(values, 0.0))
