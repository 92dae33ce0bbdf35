"""The best of a sweep: runs that differ only in tuned settings become one, with the error of its best response."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import pandas as pd

from scalebayes.arguments import nearest, quoted
from scalebayes.runs.bowls import LEAST_NOISE, Sweep, bottoms
from scalebayes.runs.runs import Runs, numbers

_FEWEST = 3  # values of a setting, for a bowl


def best_of(runs: Runs, over: Sequence[str] | str, *, how: Literal["bowl", "minimum"] = "bowl") -> Runs:
    r"""Reduce a sweep of settings such as the learning rate to one run for each cell, its best response with an error.

    A cell is what has the same group and the same other inputs. The minimum of n noisy runs is biased in two ways: the
    luckiest of them is below the best setting's mean, and the settings tried miss the best one. The bowl models both:

    .. math:: \log y = m_i + \tfrac12 (z - c_i)' Q (z - c_i) + \epsilon, \qquad c_i = c + K u_i,
              \qquad \mathrm{sd}(\epsilon)^2 = \sigma^2 + (\kappa q)^2,

    with z the logarithms of the settings, u_i those of the cell's other inputs, one curvature Q and one drift K of the
    best setting for all cells of a group, and q the excess of a run over the bottom of its bowl: runs far up the bowl
    say little about its bottom. It is fitted by reweighted least squares.

    Parameters
    ----------
    runs : Runs
        Settings may be inputs or other columns of numbers.
    over : sequence of str
        The columns (or inputs) that were swept.
    how : {"bowl", "minimum"}
        ``"minimum"`` takes the lowest run of each cell as it is; its error is the gap between the two best runs of a
        cell, in the median cell. ``"bowl"`` falls back to it in groups where a setting has fewer than three values.

    Returns
    -------
    Runs
        One row per cell: the group's columns, the other inputs, the response (the best one), its standard error in the
        column ``<response>_error``, ``swept``, the number of runs, and the best value of each setting. Read by
        ``Gaussian(error="<response>_error")``.

    Raises
    ------
    ValueError
        If a column does not exist, holds no positive numbers, or has one value only.

    Examples
    --------
    >>> import pandas as pd
    >>> from scalebayes import read_runs
    >>> rates = [1e-4, 3e-4, 1e-3] * 2
    >>> table = pd.DataFrame({"N": [1e8] * 3 + [1e9] * 3, "lr": rates, "loss": [3.1, 3.0, 3.1, 2.6, 2.5, 2.6]})
    >>> best_of(read_runs(table, inputs={"N": "N", "lr": "lr"}), "lr").table["loss"].round(2).tolist()
    [3.0, 2.5]
    """
    columns = _columns(runs, over)
    if how not in ("bowl", "minimum"):
        raise ValueError(f"how is 'bowl' or 'minimum', got {quoted(how)}.")
    swept = np.stack([np.log(_values(runs, column)) for column in columns], 1)
    others = [name for name in runs.inputs if not set(runs.inputs[name].columns) & set(columns)]
    kept = [column for name in others for column in runs.inputs[name].columns] + list(runs.group)
    keys = runs.table[kept].astype(str).agg("\0".join, axis=1) if kept else pd.Series("", index=runs.table.index)
    cells, cell = np.unique(keys.to_numpy(str), return_inverse=True)
    first = np.unique(cell, return_index=True)[1]
    scale = _scale_of(runs)
    y = np.log(scale * runs.y) if scale else runs.sign * runs.y
    sign = runs.sign if scale else 1.0
    u = np.concatenate([np.zeros((len(runs), 0)), *(runs.features(n) for n in others if n in runs.scales)], axis=1)
    found = pd.DataFrame(index=range(len(cells)), columns=["best", "error", *columns], dtype=float)
    for level in runs.levels or (None,):
        rows = runs.rows(level)
        own, of = np.unique(cell[rows], return_inverse=True)
        z = swept[rows]
        few = [c for c, values in zip(columns, z.T, strict=True) if len(np.unique(values.round(6))) < _FEWEST]
        sweep = Sweep(sign * y[rows], of, z, u[first[own]])
        best, error, at = _minimum(sweep) if how == "minimum" or few else bottoms(sweep)
        found.loc[own, "best"], found.loc[own, "error"] = best, error
        found.loc[own, columns] = np.exp(at)
    response = np.exp(sign * found["best"].to_numpy()) / scale if scale else runs.sign * found["best"].to_numpy()
    error = response * found["error"].to_numpy() if scale else found["error"].to_numpy()
    table = runs.table.iloc[first][list(dict.fromkeys(kept))].reset_index(drop=True)
    table = table.assign(
        **{runs.response: response, f"{runs.response}_error": error, "swept": np.bincount(cell)},
        **{column: found[column].to_numpy() for column in columns},
    )
    told = {
        name: column for name in ("tokenizer", "evaluation", "cost") if isinstance(column := getattr(runs, name), str)
    }
    for column in set(told.values()) - set(table):
        of_cells = runs.table.groupby(cell)[column].first()
        if runs.table.groupby(cell)[column].nunique().max() > 1:
            raise ValueError(f"column {column!r} differs within a sweep; best_of reduces runs of one kind.")
        table[column] = of_cells.to_numpy()
    said = f"best of a sweep of {', '.join(columns)} ({how})"
    return replace(
        runs,
        table=table,
        inputs={name: runs.inputs[name] for name in others},
        named=runs.named & set(others),
        run=None,
        seed=None,
        where=f"{runs.where}; {said}" if runs.where else said,
        excluded=runs.excluded + len(runs) - len(table),
    )


def _columns(runs: Runs, over: Sequence[str] | str) -> list[str]:
    names = [over] if isinstance(over, str) else list(over)
    found = []
    for name in names:
        column = runs.inputs[name].columns[0] if name in runs.inputs else name
        if column not in runs.table:
            raise ValueError(f"the runs have no column {name!r}{nearest(name, runs.table.columns)} that was swept.")
        found.append(column)
    if not found or len(set(found)) < len(found):
        raise ValueError(f"over names the columns that were swept, each once; got {quoted(over)}.")
    if runs.response in found or set(found) & set(runs.group):
        raise ValueError("over names settings that were swept, not the response or the group.")
    return found


def _values(runs: Runs, column: str) -> np.ndarray:
    values = numbers(runs.table[column])
    bad = ~(np.isfinite(values) & (values > 0))
    if bad.any():
        raise ValueError(
            f"column {column!r} (swept) must hold positive numbers; {bad.sum()} of {len(values)} rows are not, first: "
            f"row {runs.labels[np.flatnonzero(bad)[0]]}."
        )
    if np.ptp(np.log(values)) < 1e-9:
        raise ValueError(f"column {column!r} has one value, {values[0]:g}: it was not swept.")
    return values


def _scale_of(runs: Runs) -> float:
    """1 where the bowl acts on the logarithm of the response, 0 where it acts on the response itself."""
    return 1.0 if (runs.y > 0).all() else 0.0


def _minimum(sweep: Sweep) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The lowest run of each cell; its error is the gap between the two best runs of a cell, in the median cell."""
    n = int(sweep.cell.max()) + 1
    best, at, gaps = np.empty(n), np.empty((n, sweep.z.shape[1])), []
    for i in range(n):
        own = np.flatnonzero(sweep.cell == i)
        ordered = own[np.argsort(sweep.y[own], kind="stable")]
        best[i], at[i] = sweep.y[ordered[0]], sweep.z[ordered[0]]
        gaps += [sweep.y[ordered[1]] - best[i]] if len(own) > 1 else []
    return best, np.full(n, max(float(np.median(gaps or [0.0])), LEAST_NOISE)), at
