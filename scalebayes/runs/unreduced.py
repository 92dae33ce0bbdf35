"""Sweeps that are not reduced, and columns of groups that were not named: what one law would mix unnoticed."""

from __future__ import annotations

import re

import numpy as np
from scipy.special import fdtrc

from scalebayes.runs.runs import Runs, numbers

_SETTINGS = re.compile(
    r"(^|_)(lr|learning_?rates?|peak_lr|max_lr|batch|batch_?size|bs|weight_?decay|wd|warm_?up|dropout|momentum"
    r"|beta_?[12])"
    r"(_|$)",
    re.IGNORECASE,
)
_IDENTITY = re.compile(r"(^|_)(run|name|id|model|seed|eval\w*|tokenizer|split|source)(_|$)", re.IGNORECASE)
_FEWEST = 3  # runs of a cell, levels of a setting, runs of a level
_MOST_LEVELS = 20
_SURE = 1e-4  # p-value from which on levels are said to differ
_EXPLAINED = 0.1  # share of the variance about a common curve that the levels explain at least


def sweep_of(runs: Runs) -> str:
    """A sentence if runs of the same inputs differ in a setting such as the learning rate; else an empty string."""
    used = _used(runs)
    swept = []
    if not runs.inputs or any(each.schedules is not None for each in runs.inputs.values()):
        return ""
    same = [column for each in runs.inputs.values() for column in each.columns] + list(runs.group)
    cells = runs.table.groupby(same, sort=False, dropna=False)
    shared = cells[runs.response].transform("size").to_numpy() >= _FEWEST
    if shared.mean() < 0.5:
        return ""
    for column in runs.table.columns:
        if column in used or not _SETTINGS.search(str(column)):
            continue
        values = numbers(runs.table[column])
        several = runs.table.assign(**{"": values}).groupby(same, sort=False, dropna=False)[""].transform("nunique")
        if np.isfinite(values).all() and (several.to_numpy()[shared] >= _FEWEST).mean() > 0.5:
            swept.append(str(column))
    if not swept:
        return ""
    names = ", ".join(map(repr, swept))
    return (
        f"runs with the same {', '.join(map(str, same))} differ in {names}: a sweep that is not reduced mixes runs far "
        f"from their best setting with others. sb.best_of(runs, {swept}) keeps the best of each (scalebayes best-of); "
        "a law of them needs them as inputs."
    )


def forgotten_group_of(runs: Runs) -> str:
    """A sentence if the levels of a column that was not named clearly lie on curves of their own; else empty."""
    y = runs.y
    good = all((np.isfinite(runs.x(name)) & (runs.x(name) > 0)).all() for name in runs.scales)
    if not runs.scales or not np.isfinite(y).all() or not good:
        return ""
    used = _used(runs)
    response = np.log(y) if (y > 0).all() else y
    x = np.stack([np.log(runs.x(name)) for name in runs.scales], 1)
    x = (x - x.mean(0)) / np.where(x.std(0) > 0, x.std(0), 1.0)
    groups = np.eye(max(len(runs.levels), 1))[runs.group_index]
    common = np.concatenate([x, x**2, groups], axis=1)
    for column in runs.table.columns:
        if column in used or _IDENTITY.search(str(column)) or not _is_text(runs, column):
            continue
        labels, level, sizes = np.unique(runs.table[column].astype(str), return_inverse=True, return_counts=True)
        if not 2 <= len(labels) <= _MOST_LEVELS or sizes.min() < _FEWEST or _names_an_input(x, level, len(labels)):
            continue
        apart = np.concatenate([common, np.eye(len(labels))[level][:, 1:]], axis=1)
        left, still = _squares(common, response), _squares(apart, response)
        more = np.linalg.matrix_rank(apart) - np.linalg.matrix_rank(common)
        free = len(y) - np.linalg.matrix_rank(apart)
        if more < 1 or free < 3 or left <= 0 or still >= (1 - _EXPLAINED) * left:
            continue
        if fdtrc(more, free, (left - still) / more / max(still / free, 1e-300)) < _SURE:
            shown = ", ".join(labels[:4]) + (", ..." if len(labels) > 4 else "")
            group = [*map(str, runs.group), str(column)] if runs.group else str(column)
            return (
                f"column {column!r} ({shown}) was not named, and its {len(labels)} levels lie on different curves, "
                f'which one law mixes: group={group!r} fits each, where="..." keeps one.'
            )
    return ""


def _names_an_input(x: np.ndarray, level: np.ndarray, levels: int) -> bool:
    """Whether each level is one value of an input, and another than the other levels': a name such as '7B'."""
    for values in x.T:
        _, value = np.unique(values, return_inverse=True)
        if value.max() + 1 == levels == len(np.unique(np.stack([value, level]), axis=1).T):
            return True
    return False


def _used(runs: Runs) -> set:
    named = (runs.response, runs.run, runs.seed, runs.tokenizer, runs.evaluation, runs.cost)
    inputs = [column for each in runs.inputs.values() for column in each.columns]
    return {*inputs, *runs.group, *(column for column in named if isinstance(column, str))}


def _is_text(runs: Runs, column: str) -> bool:
    values = runs.table[column]
    return not np.isfinite(numbers(values)).any() and bool(values.notna().all())


def _squares(design: np.ndarray, y: np.ndarray) -> float:
    return float(((y - design @ np.linalg.lstsq(design, y, rcond=None)[0]) ** 2).sum())
