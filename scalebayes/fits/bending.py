"""Whether the runs follow their law: computed when a fit is made, and stored with it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import xarray as xr
from numpy.polynomial.legendre import legvander
from scipy.special import fdtrc

from scalebayes.model import Model
from scalebayes.model.evaluation import elementwise
from scalebayes.model.structure import OBSERVED, OUTLYING
from scalebayes.numerics.padding import padded_size, repeat_last
from scalebayes.numerics.precision import double_precision
from scalebayes.runs.cost import cost_of_runs

SAID = 0.01  # p-values below it are said
_SIMULATED = 999  # tables that the p-values are calibrated on
_MOST_RUNS, _MOST_GROUPS = 1000, 24  # that are looked at, spread evenly over the table
_STEPS, _SMALL, _LONGEST = 15, 1e-3, 0.5  # of the least-squares fit: steps, differences for derivatives, longest step
_SURE = 0.1  # upper bounds of a p-value from here on need no simulation
_CLIPPED = 3.0  # standard deviations beyond which a residual counts no more
_OWN = 8  # runs from which a group is also looked at by itself


class Bend(NamedTuple):
    """How runs bend away from their law along one axis.

    Parameters
    ----------
    along : str
        An input, ``"compute"``, or ``"order"`` for the order of the table.
    group : str or None
        The only group that was looked at; None for all.
    p : float
        Probability of so large a bend, if the runs followed the law, by this test alone.
    runs : int
        The runs at the end of the axis that lie on one side of the law.
    of : int
        The runs that were looked at.
    off : sequence of float
        How far they lie off the law, on the observation's scale: the median, and the tenth and ninetieth percentiles.
    """

    along: str
    group: str | None
    p: float
    runs: int
    of: int
    off: Sequence[float]


@dataclass(frozen=True)
class Bending:
    """Whether the runs of a fit follow its law.

    Parameters
    ----------
    p : float
        Probability that the most surprising bend of all would be as surprising, if the runs followed the law: by
        simulated tables, or an upper bound of 0.1 or more.
    bends : tuple of Bend
        What was tested, the most surprising first.
    """

    p: float
    bends: tuple[Bend, ...]

    @property
    def is_clear(self) -> bool:
        """Whether the runs bend away so clearly that it has to be said."""
        return self.p < SAID


def find_bending(model: Model, posterior: xr.Dataset) -> Bending | None:
    r"""Test whether runs bend away from the law that was fitted to them.

    The law alone is fitted by least squares, from the medians of the posterior, with parameters for each group unless
    they are shared. With J its derivatives at the runs, the residuals of runs that follow it are those of normal (or
    Student-t) errors about the columns of J. Further columns are polynomials of the second and third degree in the
    logarithm of each scale, in the logarithm of compute, and in the order of the table: over all runs, and within each
    group. Each has an F test. The smallest of their p-values is compared with the smallest in 999 simulated tables of
    errors; where it is large, their number times it is an upper bound that is good enough. Outliers are left out.

    Parameters
    ----------
    model : Model
    posterior : xarray.Dataset

    Returns
    -------
    Bending or None
        None where there are too few runs to tell, or the observation has no scale on which errors are normal.
    """
    if model.observation.sd is None:
        return None
    rows = _looked_at(model)
    labels, index = np.unique(model.runs.group_index[rows], return_inverse=True)
    fitted = _least_squares(model, posterior, rows, labels, index)
    if fitted is None:
        return None
    error, derivatives = fitted
    law = _independent(derivatives)
    tested = []
    for direction in _directions(model, rows, labels, index):
        columns = np.where(direction.some[:, None], legvander(direction.position, 3)[:, 2:], 0.0)
        basis = _independent(_without(columns, law))
        if basis.shape[1] and len(rows) - law.shape[1] - basis.shape[1] >= 2:
            tested.append((direction, basis))
    if not tested:
        return None
    bases = [basis for _, basis in tested]
    own, bent = _tested(error[:, None], law, bases)
    bends = [_bend(each[0], *at, b[:, 0], error) for each, (at, _), b in zip(own, tested, bent, strict=True)]
    p = min(1.0, float(own.min()) * len(own))
    if p < _SURE:
        drawn = _drawn(len(rows), float(posterior["nu"].median()) if "nu" in posterior else np.inf)
        others, _ = _tested(drawn, law, bases)
        p = float((1 + (others.min(axis=0) <= own.min()).sum()) / (1 + _SIMULATED))
    return Bending(p, tuple(sorted(bends, key=lambda bend: bend.p)))


def _drawn(n: int, nu: float) -> np.ndarray:
    """Simulated errors, shape (run, table): normal, or Student-t where nu is finite."""
    rng = np.random.default_rng(0)
    normal = rng.standard_normal((n, _SIMULATED))
    return normal if np.isinf(nu) else normal / np.sqrt(rng.chisquare(nu, normal.shape) / nu)


def _tested(errors: np.ndarray, law: np.ndarray, bases: list[np.ndarray]) -> tuple[np.ndarray, list[np.ndarray]]:
    """The p-value of every direction, shape (direction, table), and the part of the errors along it."""
    residual = _without(_clipped(_without(errors, law)), law)
    total, freedom = (residual**2).sum(axis=0), len(law) - law.shape[1]
    p, bent = [], []
    for basis in bases:
        k, along = basis.shape[1], basis.T @ residual
        share = (along**2).sum(axis=0)
        ratio = share / k / (np.maximum(total - share, 1e-300) / (freedom - k))
        p.append(fdtrc(k, freedom - k, ratio))
        bent.append(basis @ along[:, :1])
    return np.asarray(p), bent


def _looked_at(model: Model) -> np.ndarray:
    """The runs that are no outliers; evenly spaced ones of evenly spaced groups if there are many."""
    runs = model.runs
    some = _evenly(len(runs.levels) or 1, _MOST_GROUPS)
    rows = np.flatnonzero(np.isin(runs.group_index, some) & (model.numbers.get(OUTLYING, np.zeros(len(runs))) == 0))
    return rows[_evenly(len(rows), _MOST_RUNS)]


def _evenly(n: int, most: int) -> np.ndarray:
    return np.linspace(0, n - 1, min(n, most)).astype(int)


def _least_squares(
    model: Model, posterior: xr.Dataset, rows: np.ndarray, labels: np.ndarray, index: np.ndarray
) -> tuple[np.ndarray, np.ndarray] | None:
    """Errors of the runs about the law alone, and its derivatives, shape (run, coefficient); None where it has none."""
    runs, names, groups = model.runs, model.parameters, len(labels)
    shared = {p.name for p in model.structure.parameters if p.pooling == "shared"}
    own = np.eye(groups)[index]
    # The coefficients: one for each shared parameter, and one for each group of any other.
    blocks = [np.ones((len(rows), 1)) if name in shared else own for name in names]
    widths = [block.shape[1] for block in blocks]
    positive, start = [], []
    for name in names:
        median = posterior[name].median(("chain", "draw")).to_numpy()
        positive.append(bool((posterior[name] > 0).all()))
        values = np.broadcast_to(np.log(median) if positive[-1] else median, (len(runs.levels) or 1,))[labels]
        start.append(values[:1] if name in shared else values)
    if sum(widths) + 4 > len(rows):
        return None
    size = padded_size(len(rows))
    x = [repeat_last(runs.x(name)[rows], size) for name in runs.inputs]
    observed, forward = model.numbers[OBSERVED][rows], model.observation.scale.forward

    def errors(at_runs: list[np.ndarray]) -> np.ndarray:
        theta = {n: np.exp(v) if log else v for n, v, log in zip(names, at_runs, positive, strict=True)}
        with np.errstate(all="ignore"), double_precision():
            mean = elementwise(model.law.function)(x, {name: repeat_last(value, size) for name, value in theta.items()})
            return observed - forward(np.asarray(mean)[: len(rows)])

    theta, best, last = np.concatenate(start), np.inf, None
    for _ in range(_STEPS):
        at_runs = [b @ part for b, part in zip(blocks, np.split(theta, np.cumsum(widths)[:-1]), strict=True)]
        error = errors(at_runs)
        moved = [errors([v + _SMALL * (i == k) for i, v in enumerate(at_runs)]) for k in range(len(names))]
        if not np.isfinite([error, *moved]).all():
            return last
        clipped = _clipped(error[:, None])[:, 0]
        miss = float(clipped @ clipped)
        derivatives = np.concatenate(
            [block * ((error - each) / _SMALL)[:, None] for block, each in zip(blocks, moved, strict=True)], axis=1
        )
        if miss < best:
            last = error, derivatives
        if not miss < best * (1 - 1e-4):
            return last
        best = miss
        step, *_ = np.linalg.lstsq(derivatives, clipped, rcond=1e-7)
        theta = theta + step * min(1.0, _LONGEST / np.abs(step).max())
    return last


def _clipped(residuals: np.ndarray) -> np.ndarray:
    """Residuals, shape (run, table), with those far out moved in, so that none of them decides."""
    spread = np.maximum(1.4826 * np.median(np.abs(residuals), axis=0), 1e-300)
    return np.clip(residuals, -_CLIPPED * spread, _CLIPPED * spread)


def _independent(columns: np.ndarray) -> np.ndarray:
    """An orthonormal basis of columns, of which some may depend on others or vanish."""
    size = np.sqrt((columns**2).sum(axis=0))
    columns = columns[:, size > 1e-9] / size[size > 1e-9]
    if not columns.shape[1]:
        return columns
    basis, singular, _ = np.linalg.svd(columns, full_matrices=False)
    return basis[:, singular > 1e-6]


def _without(columns: np.ndarray, basis: np.ndarray) -> np.ndarray:
    return columns - basis @ (basis.T @ columns)


class _Direction(NamedTuple):
    """An axis along which some runs may bend: its name, their group if it is only one, and positions from -1 to 1."""

    along: str
    group: str | None
    some: np.ndarray
    position: np.ndarray


def _directions(model: Model, rows: np.ndarray, labels: np.ndarray, index: np.ndarray) -> Iterator[_Direction]:
    """The scales, the compute and the order of the table, over all runs and within each group."""
    runs = model.runs
    axes = {name: np.log(runs.x(name)[rows]) for name in runs.scales}
    if len(axes) > 1 and (cost := cost_of_runs(runs)) is not None:
        axes["compute"] = np.log(cost[rows])
    order = np.arange(len(rows), dtype=float)
    if not any(_is_same_order(values, order, index) for values in axes.values()):
        axes["order"] = order
    for along, values in axes.items():
        position = np.zeros(len(rows))
        for g in range(len(labels)):
            here = index == g
            low, high = values[here].min(), values[here].max()
            position[here] = 2 * (values[here] - low) / (high - low) - 1 if high > low else 0.0
        yield _Direction(along, None, np.ones(len(rows), bool), position)
        for g in range(len(labels)) if len(labels) > 1 else ():
            if (index == g).sum() >= _OWN:
                yield _Direction(along, runs.levels[labels[g]], index == g, position)


def _is_same_order(values: np.ndarray, other: np.ndarray, index: np.ndarray) -> bool:
    """Whether the runs of every group are in the same order by both, or in the reverse order."""
    first, second = (np.lexsort((each, index)) for each in (values, other))
    return bool((first == second).all() or (first == np.lexsort((-other, index))).all())


def _bend(
    p: float, along: str, group: str | None, some: np.ndarray, position: np.ndarray, bend: np.ndarray, error: np.ndarray
) -> Bend:
    """A bend in numbers: the runs at the end of the axis that lie on one side of the law, and how far."""
    order = np.flatnonzero(some)[np.argsort(position[some], kind="stable")]
    signs = np.sign(bend[order])[::-1]
    last = int(np.argmax(signs != signs[0])) or len(order)
    off = np.quantile(error[order[-last:]], [0.5, 0.1, 0.9])
    return Bend(along, group, float(p), last, len(order), tuple(map(float, off)))
