"""The export of an experiment tracker as a plain table of runs: configurations, metrics, histories."""

from __future__ import annotations

import ast
import re
import warnings
from typing import Any

import numpy as np
import pandas as pd

from scalebayes.arguments import quoted
from scalebayes.runs.checks import RunsWarning
from scalebayes.runs.tables import columns_of, read_table

_ENDED = ("finished", "completed", "complete", "success", "succeeded", "done")
_STATE = ("state", "status")
_NAMES = ("run_id", "run id", "id", "run", "name", "run_name", "run name", "mlflow.runname")
_STEPS = ("_step", "step", "global_step", "trainer/global_step")
_PREFIXES = re.compile(r"^(config|summary|params|metrics|param|metric|tags)[./]", re.IGNORECASE)
_BLANK = re.compile(r"\b(nan|NaN|inf|Infinity|null)\b")


def tracker_runs(source: Any, *, configs: Any = None, run: str | None = None, unfinished: bool = False) -> pd.DataFrame:
    """One row per run, with its settings and its last metrics, from the export of an experiment tracker.

    It reads what Weights & Biases and MLflow export: the table of runs from the page (a column for each setting and
    metric); the table that a script makes of ``run.config`` and ``run.summary`` (dictionaries in two columns);
    ``mlflow.search_runs()`` (``params.``, ``metrics.``); and histories, of which each run's last value is kept: a row
    for each run and step, a row for each value (``run_id``, ``key``, ``value``, ``step``), or a chart's CSV with a
    column ``run - metric`` for each run.

    Parameters
    ----------
    source : data frame or path
        As for `read_runs`.
    configs : data frame or path, optional
        The settings of the runs of a history, by the same names of runs; a table of runs from the same tracker.
    run : str, optional
        The column that names runs; recognised by name by default.
    unfinished : bool
        Whether to keep runs whose state is not finished. They are left out, and counted in a warning.

    Returns
    -------
    pandas.DataFrame
        Prefixes such as ``config.`` and ``metrics.`` are taken off names where that leaves them different. A history
        adds ``step``, where the last value of a run was written.

    Raises
    ------
    TypeError, ValueError, OSError
        As `read_runs`; or if no column names the runs of a history, or they are not those of ``configs``.

    Warns
    -----
    RunsWarning
        If unfinished runs are left out, or a history comes without settings.

    Examples
    --------
    >>> import pandas as pd
    >>> exported = pd.DataFrame({"Name": ["a", "b"], "State": ["finished", "finished"],
    ...                          "config.n_params": [1e8, 1e9], "summary.val/loss": [3.1, 2.7]})
    >>> list(tracker_runs(exported))
    ['Name', 'State', 'n_params', 'val/loss']
    """
    table, name = read_table(source)
    table = _without_prefixes(_unfolded(table, name))
    naming = _naming(table, run, name)
    history = _last_of_history(table, naming, name)
    if history is None:
        if configs is not None:
            raise ValueError(f"{name} has one row per run and holds no history: configs= is not needed.")
        return _ended(table, unfinished, name)
    if configs is None:
        if not len(set(history) - {naming or "run", "step"}):
            raise ValueError(f"{name} is a history without a metric; its columns are {columns_of(table)}.")
        if not _has_settings(table, naming):
            warnings.warn(
                f"{name} holds histories of {len(history)} runs and none of their settings; give the table of runs "
                "too, tracker_runs(history, configs='runs.csv'), or add the columns of the law's inputs yourself.",
                RunsWarning,
                stacklevel=2,
            )
        return history
    return _joined(history, naming or "run", configs, run, unfinished, name)


def _unfolded(table: pd.DataFrame, name: str) -> pd.DataFrame:
    """Columns of dictionaries, or of their text, as columns of their own."""
    parts = []
    for column in table.columns:
        values = table[column]
        filled = values.dropna()
        first = filled.iloc[0] if len(filled) else None
        if isinstance(first, dict) or (isinstance(first, str) and first.lstrip().startswith("{")):
            found = [_dictionary(value, column, row, name) for row, value in values.items()]
            part = pd.DataFrame.from_records(found, index=table.index)
            parts.append(part.add_prefix(f"{column}."))
        else:
            parts.append(values.to_frame())
    return pd.concat(parts, axis=1)


def _dictionary(value: object, column: str, row: object, name: str) -> dict:
    """A dictionary of plain values from its text; nothing in it is run."""
    if isinstance(value, float) and np.isnan(value):
        return {}
    try:
        found = value if isinstance(value, dict) else ast.literal_eval(_BLANK.sub("None", str(value)))
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
        found = None
    if not isinstance(found, dict):
        raise ValueError(f"column {column!r} of {name} holds dictionaries, but {quoted(value)} in row {row}.")
    # Nested settings are flat names, as a tracker writes them itself.
    flat: dict[str, Any] = {}
    for key, inner in found.items():
        flat |= {f"{key}.{k}": v for k, v in inner.items()} if isinstance(inner, dict) else {str(key): inner}
    return flat


def _without_prefixes(table: pd.DataFrame) -> pd.DataFrame:
    """Shorter names, where they stay different; MLflow's parameters, which it keeps as text, are numbers again."""
    for column in table.columns:
        if str(column).lower().startswith("params."):
            values = pd.to_numeric(table[column], errors="coerce")
            if values.notna().equals(table[column].notna()):
                table = table.assign(**{column: values})
    short = [_PREFIXES.sub("", str(column)) for column in table.columns]
    kept = [s if short.count(s) == 1 else str(c) for s, c in zip(short, table.columns, strict=True)]
    return table.set_axis(kept, axis=1)


def _naming(table: pd.DataFrame, run: str | None, name: str) -> str | None:
    if run is not None:
        if run not in table.columns:
            raise ValueError(f"run={run!r} is no column of {name}; its columns are {columns_of(table)}.")
        return run
    lower = {str(column).lower(): column for column in table.columns}
    # Names are unique to a run only where there is no identifier.
    return next((lower[each] for each in _NAMES if each in lower), None)


def _step(table: pd.DataFrame) -> str | None:
    return next((column for column in table.columns if str(column).lower() in _STEPS), None)


def _last_of_history(table: pd.DataFrame, naming: str | None, name: str) -> pd.DataFrame | None:
    """The last value of each metric of each run; None if the table has one row per run."""
    step = _step(table)
    if {"key", "value"} <= set(table.columns) and naming is not None:
        ordered = table.sort_values(step, kind="stable") if step else table
        last = ordered.pivot_table(index=naming, columns="key", values="value", aggfunc="last", sort=False)
        steps = ordered.groupby(naming, sort=False)[step].last() if step else None
        last = last.assign(step=steps) if steps is not None else last
        return last.rename_axis(columns=None).reset_index()
    charted = [column for column in table.columns if " - " in str(column)]
    if step is not None and charted and naming is None:
        return _of_chart(table, step, charted)
    if step is None:
        return None
    if naming is None:
        raise ValueError(
            f"{name} is a history, with a column {step!r}, and no column names its runs; name it: run='...'. Its "
            f"columns are {columns_of(table)}."
        )
    if not table[naming].duplicated().any():
        return None
    ordered = table.sort_values(step, kind="stable")
    return ordered.groupby(naming, sort=False).last().rename(columns={step: "step"}).reset_index()


def _of_chart(table: pd.DataFrame, step: str, charted: list[str]) -> pd.DataFrame:
    """The CSV of a chart: a column for each run, beside its smallest and largest values."""
    rows: dict[str, dict[str, Any]] = {}
    for column in charted:
        run, _, metric = str(column).rpartition(" - ")
        values = table[column].dropna()
        if metric.endswith(("__MIN", "__MAX")) or metric in _STEPS or not len(values):
            continue
        at = table.loc[values.index[-1], step]
        row = rows.setdefault(run, {"run": run, "step": at})
        row[metric], row["step"] = values.iloc[-1], max(row["step"], at)
    return pd.DataFrame(list(rows.values()))


def _has_settings(table: pd.DataFrame, naming: str | None) -> bool:
    """Whether a history repeats settings: a column, neither text nor a metric, with one value in each run."""
    if naming is None or naming not in table.columns or "key" in table.columns:
        return False
    numeric = [c for c in table.columns if c != naming and pd.api.types.is_numeric_dtype(table[c])]
    counts = table.groupby(naming)[numeric].nunique()
    return bool(((counts <= 1).all() & (table[numeric].nunique() > 1)).any())


def _ended(table: pd.DataFrame, unfinished: bool, name: str) -> pd.DataFrame:
    """The runs that are finished; those that are not are counted in a warning."""
    state = next((column for column in table.columns if str(column).lower() in _STATE), None)
    if unfinished or state is None:
        return table
    found = table[state].astype(str).str.lower()
    ended = found.isin(_ENDED)
    if ended.all():
        return table
    if not ended.any():
        raise ValueError(
            f"none of the {len(table)} runs of {name} is finished, by column {state!r}: "
            f"{', '.join(sorted(set(found)))}; keep them with unfinished=True."
        )
    counts = ", ".join(f"{n} {what}" for what, n in found[~ended].value_counts().items())
    warnings.warn(
        f"{(~ended).sum()} of {len(table)} runs of {name} are left out, since column {state!r} says {counts}; keep "
        "them with unfinished=True.",
        RunsWarning,
        stacklevel=3,
    )
    return table[ended].reset_index(drop=True)


def _joined(
    history: pd.DataFrame, naming: str, configs: Any, run: str | None, unfinished: bool, name: str
) -> pd.DataFrame:
    """The last metrics beside the settings of the same runs."""
    table, called = read_table(configs)
    table = _ended(_without_prefixes(_unfolded(table, called)), unfinished, called)
    named = {str(each) for each in history[naming]}
    by = [c for c in table.columns if named & set(table[c].astype(str))] if run is None else [run]
    by = [c for c in by if not table[c].duplicated().any()]
    if not by:
        raise ValueError(
            f"no column of {called} names the runs of {name} ({', '.join(sorted(named)[:3])}, ...), each once; its "
            f"columns are {columns_of(table)}."
        )
    settings = table.assign(**{by[0]: table[by[0]].astype(str)}).set_index(by[0])
    lacking = sorted(named - set(settings.index))
    if lacking:
        warnings.warn(
            f"{len(lacking)} of {len(history)} runs of {name} are left out, since {called} has no finished run of that "
            f"name, first: {lacking[0]}.",
            RunsWarning,
            stacklevel=3,
        )
    metrics = history.assign(**{naming: history[naming].astype(str)})
    metrics = metrics[metrics[naming].isin(settings.index)]
    both = metrics.join(settings.drop(columns=[c for c in metrics.columns if c in settings.columns]), on=naming)
    return both.reset_index(drop=True)
