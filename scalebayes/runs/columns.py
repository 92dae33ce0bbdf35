"""Reading the caller's table, choosing its rows, and recognising its columns."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from scalebayes.arguments import shown
from scalebayes.files import check_regular
from scalebayes.runs.inputs import UNITS

if TYPE_CHECKING:
    import pandas as pd

_MOST_SHOWN, _MOST_COLUMNS = 200, 30  # characters of a condition, and columns, in a message
LONGEST = 200  # characters of a column's name, or of a label
SYNONYMS = MappingProxyType(
    {
        "N": (
            "n",
            "n_params",
            "params",
            "parameters",
            "n_parameters",
            "num_params",
            "model_size",
            "params_n",
            "n_params_no_embed",
            "n_params_non_embedding",
            "non_embedding_params",
            "n_params_total",
        ),
        "D": (
            "d",
            "n_tokens",
            "tokens",
            "num_tokens",
            "training_tokens",
            "train_tokens",
            "tokens_d",
            "n_samples",
            "samples_seen",
            "seen_examples",
            "n_examples",
            "dataset_size",
        ),
        "C": ("c", "flops", "flop", "compute", "training_flops", "training_flop", "train_flops", "flops_6nd"),
        "response": (
            "loss",
            "l",
            "test_loss",
            "val_loss",
            "valid_loss",
            "validation_loss",
            "eval_loss",
            "final_loss",
            "bpb",
        ),
    }
)


def read_table(source: pd.DataFrame | str | os.PathLike, labels: Sequence[str] = ()) -> tuple[pd.DataFrame, str]:
    """A copy of a table, or the table in a CSV or parquet file, and its name for messages.

    In a CSV file, columns of labels are read as text: 1.1 and 1.10, or 007 and 7, are different labels.
    """
    import pandas as pd

    if isinstance(source, pd.DataFrame):
        _check_header(source, "table")
        return source.copy(), "table"
    if not isinstance(source, str | os.PathLike):
        raise TypeError(f"runs are read from a DataFrame or a file, got {type(source).__name__}.")
    path = Path(source)
    check_regular(path)
    try:
        if path.suffix in (".parquet", ".pq"):
            table = pd.read_parquet(path)
        else:
            table = pd.read_csv(path, dtype=dict.fromkeys(labels, str))
    except UnicodeDecodeError:
        raise ValueError(
            f"{path.name} cannot be read as a table: it is no UTF-8 text. Save it as CSV in UTF-8."
        ) from None
    except ImportError:
        raise ValueError(
            f"{path.name} is a parquet file, which needs pyarrow: pip install 'scalebayes[parquet]'."
        ) from None
    except Exception as error:  # readers of damaged files raise whatever they meet
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ValueError(f"{path.name} cannot be read as a table: {reason[:_MOST_SHOWN].rstrip('.')}.") from None
    _check_header(table, path.name)
    if path.suffix not in (".parquet", ".pq") and not isinstance(table.index, pd.RangeIndex):
        raise ValueError(
            f"the rows of {path.name} have more values than its header has names ({columns_of(table)}), so that names "
            "and values do not match; complete the header."
        )
    return table, path.name


def _check_header(table: pd.DataFrame, name: str) -> None:
    """Refuse a header that is no list of names."""
    if table.columns.nlevels > 1:
        raise ValueError(
            f"{name} has columns of {table.columns.nlevels} levels; give them one name each, such as "
            "table.columns = ['_'.join(map(str, c)) for c in table.columns]."
        )
    only = str(table.columns[0]) if len(table.columns) == 1 and name != "table" else ""
    for sign, called in ((";", "semicolons"), ("\t", "tabs")):
        if sign in only:
            raise ValueError(
                f"the columns of {name} are divided by {called}; save it with commas, or give the table: "
                f"sb.read_runs(pd.read_csv({name!r}, sep={sign!r}))."
            )
    for i, column in enumerate(table.columns):
        if len(str(column)) > LONGEST:
            raise ValueError(
                f"column {i} of {name} has a name of {len(str(column)):,} characters, {shown(column)}; at most "
                f"{LONGEST} are possible. Is the first row a header?"
            )


def chosen_rows(table: pd.DataFrame, where: str, name: str) -> pd.DataFrame:
    """The rows for which a condition holds."""
    if not isinstance(where, str):
        raise TypeError(
            f"where is a condition as text, such as \"split == 'train'\", got {type(where).__name__}; rows chosen in "
            "another way are given as a table, read_runs(table[mask], ...)."
        )
    import pandas as pd

    from scalebayes.runs.conditions import evaluated

    shown = repr(where if len(where) <= _MOST_SHOWN else f"{where[:_MOST_SHOWN]}...")
    try:
        chosen: Any = evaluated(where, table)
    except ValueError as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(
            f"where {shown} cannot be applied to {name}: {reason}{_advice(where, reason)}; its columns are "
            f"{columns_of(table)}."
        ) from None
    if np.shape(chosen) != (len(table),) or not pd.api.types.is_bool_dtype(getattr(chosen, "dtype", type(chosen))):
        raise ValueError(
            f"where {shown} is no condition: it gives values, not true or false for each row{_advice(where, '')}."
        )
    # A missing value of a nullable column meets no condition, as NaN does not.
    return table.loc[pd.Series(chosen).fillna(False).to_numpy(bool)].copy()


def _advice(where: str, reason: str) -> str:
    """What to change in a condition that pandas does not understand."""
    if re.search(r"(?<![=<>!])=(?!=)", where):
        return " (a comparison is ==)"
    undefined = re.search(r"name '(\w+)' is not defined", reason)
    is_text = undefined and re.search(rf"[=!]=\s*{undefined[1]}\b", where)
    return f" (text needs quotes: '{undefined[1]}')" if undefined and is_text else ""


def columns_of(table: pd.DataFrame) -> str:
    """The columns of a table, for messages."""
    more = len(table.columns) - _MOST_COLUMNS
    shown = ", ".join(map(repr, table.columns[:_MOST_COLUMNS]))
    return f"{shown} and {more} more" if more > 0 else shown


def candidates_for(table: pd.DataFrame, key: str) -> list[str]:
    """Columns that may hold an input or the response: the one of that name, else those with a known synonym."""
    known = SYNONYMS.get(key, ())
    exact = [column for column in table.columns if column == key]
    return exact or [c for c in table.columns if str(c).strip().lower().replace(" ", "_").replace("-", "_") in known]


def recognised(table: pd.DataFrame, key: str, needing: str) -> str:
    """The only column that may hold an input or the response."""
    candidates = candidates_for(table, key)
    if len(candidates) == 1:
        return candidates[0]
    column = candidates[0] if candidates else "COLUMN"
    if key == "response":
        what, how = "a response (loss or error)", f"response={column!r} (command line: --response {column})"
    else:
        what = f"input {key}" + (f" ({UNITS[key]})" if key in UNITS else "")
        how = f"inputs={{{key!r}: {column!r}}} (command line: --input {key}={column})"
    if candidates:
        raise ValueError(
            f"{needing} needs {what}, and {len(candidates)} columns fit: {', '.join(map(repr, candidates))}. "
            f"Say which: {how}."
        )
    raise ValueError(
        f"{needing} needs {what}, and no column is known to hold it; the columns are {columns_of(table)}. "
        f"Say which: {how}."
    )
