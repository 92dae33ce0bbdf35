"""Splits of the runs for a back-test: which are known, and which are forecast."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from scalebayes.arguments import nearest
from scalebayes.runs.cost import order_of_runs
from scalebayes.runs.curves import curves
from scalebayes.runs.runs import Runs

_FEWEST = 4


def subset(runs: Runs, rows: np.ndarray, grouped: bool) -> Runs:
    """Some of the runs, with or without their groups."""
    return replace(runs, table=runs.table.iloc[rows], group=runs.group if grouped else ())


def _column(runs: Runs, name: str, role: str) -> pd.Series:
    if name not in runs.table:
        raise ValueError(
            f"{role}={name!r} is no column of {runs.source}{nearest(name, runs.table.columns)}; "
            f"it has {', '.join(map(str, runs.table.columns))}."
        )
    return runs.table[name]


def of_curves(runs: Runs, name: str, role: str) -> dict[str, str]:
    """The value of a column for each curve, which must have only one."""
    given = _column(runs, name, role)
    if given.isna().any():
        first = runs.labels[given.isna().to_numpy()][0]
        raise ValueError(f"{role}={name!r} is empty in {given.isna().sum()} of {len(runs)} runs, first run {first}.")
    column = given.astype(str).to_numpy()
    found = {}
    for level, rows in curves(runs):
        values = np.unique(column[rows])
        if len(values) > 1:
            raise ValueError(f"{role}={name!r} has several values within {level}: {', '.join(values[:4])}.")
        found[level] = str(values[0])
    return found


def masks(
    runs: Runs, train: str | None, cutoffs: float | Sequence[float] | None, top: float | Sequence[float] | None
) -> dict[str, np.ndarray]:
    """Which runs are known, by setting."""
    if sum(kind is not None for kind in (train, cutoffs, top)) != 1:
        raise ValueError(
            "say what is known by one of train= (a column of 0 and 1), cutoffs= or top= (command line: --train-column, "
            "--cutoffs or --holdout-top)."
        )
    if train is not None:
        column = _column(runs, train, "train")
        known = pd.to_numeric(column, errors="coerce").to_numpy(float)
        wrong = ~np.isin(known, [0.0, 1.0])
        if wrong.any():
            raise ValueError(
                f"train={train!r} must be 1 (known) or 0 (to forecast); {wrong.sum()} of {len(runs)} runs have another "
                f"value, first {column.to_numpy()[wrong].tolist()[0]!r} (run {runs.labels[wrong][0]})."
            )
        return {train: known == 1.0}
    given = cutoffs if cutoffs is not None else top
    shares: list = np.atleast_1d(np.asarray(given, dtype=object)).tolist()
    names = [f"{share:g}" if isinstance(share, int | float) else "" for share in shares]
    if not shares or not all(isinstance(share, int | float) and 0 < share < 1 for share in shares):
        raise ValueError(f"{'cutoffs' if cutoffs is not None else 'top'} are shares between 0 and 1, got {shares}.")
    if len(set(names)) < len(names):
        raise ValueError(f"two of the shares are as good as equal: {', '.join(names)}.")
    if cutoffs is not None and len(runs.scales) != 1:
        raise ValueError(
            f"cutoffs are along one input, and the law has {', '.join(runs.inputs)}; hold out the largest runs, top=."
        )
    scale, found = order_of_runs(runs), {}
    for name, share in zip(names, shares, strict=True):
        known = np.zeros(len(runs), bool)
        for _, rows in curves(runs):
            bound = share * scale[rows].max() if cutoffs is not None else np.quantile(scale[rows], 1 - share)
            known[rows] = scale[rows] <= bound
        found[name if cutoffs is not None else f"top {name}"] = known
    return found


def split(runs: Runs, known_by: dict[str, np.ndarray], drifts: bool, skip: bool):
    """Known rows and rows to forecast, by setting and curve, and the curves that were skipped."""
    parts: dict[tuple[str, str], tuple[np.ndarray, np.ndarray]] = {}
    skipped: list[tuple[str, str, str]] = []
    scale = order_of_runs(runs)
    for setting, mask in known_by.items():
        for level, rows in curves(runs):
            known, ahead = rows[mask[rows]], rows[~mask[rows]]
            reason = ""
            if len(known) < _FEWEST:
                reason = f"{len(known)} known run{'s' if len(known) != 1 else ''}, and {_FEWEST} are needed"
            elif not len(ahead):
                reason = "no run to forecast"
            elif len(runs.scales) == 1 and scale[ahead].min() < scale[known].max():
                below = ahead[scale[ahead] < scale[known].max()]
                reason = (
                    f"{len(below)} of its {len(ahead)} runs to forecast lie below its largest known one, first run "
                    f"{runs.labels[below[0]]}"
                )
            elif drifts and len(np.unique(scale[known])) < len(known):
                reason = f"{len(known) - len(np.unique(scale[known]))} known runs share their scale with another"
            if not reason:
                parts[setting, level] = known, ahead
            else:
                skipped.append((setting, level or "all runs", reason))
    check_skipped(skipped, skip, len(parts))
    return parts, skipped


def check_skipped(skipped: Sequence[tuple[str, str, str]], skip: bool, left: int) -> None:
    """Refuse curves that cannot be tested, unless they may be left out and others remain.

    Parameters
    ----------
    skipped : sequence of (setting, curve, reason)
    skip : bool
        Whether the caller allows leaving curves out.
    left : int
        Number of curves that can be tested.
    """
    if skipped and not skip:
        first = "; ".join(f"{setting}, {level}: {reason}" for setting, level, reason in skipped[:5])
        more = f"; and {len(skipped) - 5} more" if len(skipped) > 5 else ""
        many = len({level for _, level, _ in skipped})
        raise ValueError(
            f"{'1 curve' if many == 1 else f'{many} curves'} cannot be tested: {first}{more}. "
            "skip=True (--skip) leaves them out."
        )
    if not left:
        raise ValueError(f"no curve can be tested: {skipped[0][0]}, {skipped[0][1]}: {skipped[0][2]}.")
