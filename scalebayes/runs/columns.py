"""Choosing the rows of a table, and recognising its columns."""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from scalebayes.runs.inputs import UNITS
from scalebayes.runs.tables import columns_of

if TYPE_CHECKING:
    import pandas as pd

_MOST_SHOWN = 200  # characters of a condition in a message
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
    return table.loc[pd.Series(chosen).astype("boolean").to_numpy(bool, na_value=False)].copy()


def _advice(where: str, reason: str) -> str:
    """What to change in a condition that pandas does not understand."""
    if re.search(r"(?<![=<>!])=(?!=)", where):
        return " (a comparison is ==)"
    undefined = re.search(r"name '(\w+)' is not defined", reason)
    is_text = undefined and re.search(rf"[=!]=\s*{undefined[1]}\b", where)
    return f" (text needs quotes: '{undefined[1]}')" if undefined and is_text else ""


def candidates_for(table: pd.DataFrame, key: str) -> list[str]:
    """Columns that may hold an input or the response: the one of that name, else those with a known synonym."""
    known = SYNONYMS.get(key, ())
    exact = [column for column in table.columns if column == key]
    return exact or [c for c in table.columns if re.sub(r"[ /.-]", "_", str(c).strip().lower()) in known]


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
