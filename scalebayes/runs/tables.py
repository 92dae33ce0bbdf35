"""Tables as people have them: pandas and other data frames, CSV with any usual separator, parquet, JSON lines."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from scalebayes.arguments import quoted
from scalebayes.files import check_regular

if TYPE_CHECKING:
    import pandas as pd

_MOST_SHOWN, _MOST_COLUMNS = 200, 30  # characters of a reason, and columns, in a message
_HEAD = 65_536  # bytes of a file that are looked at before it is read
LONGEST = 200  # characters of a column's name, or of a label
_PARQUET, _JSON = (".parquet", ".pq"), (".jsonl", ".ndjson", ".json")
_OPENED: MappingProxyType[str, Callable[[Path], Any]] = MappingProxyType(
    {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
)
_MARKS = ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"), (b"\xef\xbb\xbf", "utf-8-sig"))


def read_table(source: Any, labels: Sequence[str] = ()) -> tuple[pd.DataFrame, str]:
    """A copy of a table as a pandas frame, and its name for messages.

    In a text file, columns of labels are read as text: 1.1 and 1.10, or 007 and 7, are different labels.

    Parameters
    ----------
    source : data frame or path
        A frame of pandas, polars, pyarrow or another library that narwhals knows; or a file. Files are CSV (divided by
        commas, semicolons or tabs; UTF-8 or UTF-16), parquet, or JSON (a record in each line, or a list of records);
        text may be compressed (gz, bz2, xz).
    labels : sequence of str
        Columns of labels.

    Raises
    ------
    OSError
        If there is no such file, or it is a folder or a pipe.
    TypeError
        If it is neither a frame nor a path.
    ValueError
        If the file cannot be read, or has no header that is a list of names.
    """
    import pandas as pd

    if not isinstance(source, str | os.PathLike):
        table, name = _of_frame(source), "table"
    else:
        path = Path(source)
        check_regular(path)
        table, name = _of_file(path, labels), path.name
        if not isinstance(table.index, pd.RangeIndex) and not _kinds(path) & {*_PARQUET, *_JSON}:
            raise ValueError(
                f"the rows of {name} have more values than its header has names ({columns_of(table)}), so that names "
                "and values do not match; complete the header."
            )
    _check_header(table, name)
    return table, name


def _of_frame(source: Any) -> pd.DataFrame:
    """A pandas frame from one of another library; a copy."""
    import narwhals as nw
    import pandas as pd

    if isinstance(source, pd.DataFrame):
        return source.copy()
    try:
        frame = nw.from_native(source)
    except TypeError:
        raise TypeError(f"runs are read from a data frame or a file, got {type(source).__name__}.") from None
    if isinstance(frame, nw.LazyFrame):
        frame = frame.collect()
    # Column by column, since polars itself needs pyarrow to become pandas.
    columns = {
        name: frame[name].to_numpy() if frame[name].dtype.is_numeric() else frame[name].to_list()
        for name in frame.columns
    }
    return pd.DataFrame(columns)


def _of_file(path: Path, labels: Sequence[str]) -> pd.DataFrame:
    import pandas as pd

    kinds = _kinds(path)
    try:
        if kinds & {*_PARQUET}:
            return pd.read_parquet(path)
        return _of_json(path) if kinds & {*_JSON} else _of_text(path, labels)
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


def _kinds(path: Path) -> set[str]:
    return {suffix.lower() for suffix in path.suffixes}


def _of_text(path: Path, labels: Sequence[str]) -> pd.DataFrame:
    import pandas as pd

    with _opened(path) as file:
        head = file.read(_HEAD)
    encoding = next((name for mark, name in _MARKS if head.startswith(mark)), "utf-8")
    first = head.decode(encoding, errors="ignore")
    between, decimal = divided_by(first)
    with _opened(path) as file:
        return pd.read_csv(file, sep=between, decimal=decimal, encoding=encoding, dtype=dict.fromkeys(labels, str))


def _opened(path: Path) -> Any:
    return _OPENED.get(path.suffix.lower(), lambda path: path.open("rb"))(path)


def divided_by(text: str) -> tuple[str, str]:
    """What divides the values of a text table, and the sign before its decimals.

    Semicolons are used where decimals are commas, so these are taken for decimals if no value has a point.

    >>> divided_by("N;loss\\n1e9;2,71"), divided_by("N,loss\\n1e9,2.71"), divided_by("N\\tloss")
    ((';', ','), (',', '.'), ('\\t', '.'))
    """
    header, _, rest = text.partition("\n")
    bare = re.sub(r'"[^"]*"', "", header)  # names in quotes may have commas of their own
    between = max(",;\t", key=bare.count)
    with_commas = between == ";" and re.search(r"\d,\d", rest) and not re.search(r"\d\.\d", rest)
    return between, "," if with_commas else "."


def _of_json(path: Path) -> pd.DataFrame:
    """One record in each line, or a list of them; texts stay texts."""
    import pandas as pd

    with _opened(path) as file:
        text = file.read().decode("utf-8-sig")
    try:
        read = json.loads(text)
        records = [read] if isinstance(read, dict) else read
    except json.JSONDecodeError:
        records = [json.loads(line) for line in text.splitlines() if line.strip()]
    if not isinstance(records, list) or not records or not all(isinstance(record, dict) for record in records):
        raise ValueError("a record, {name: value, ...}, is needed in each line")
    return pd.DataFrame.from_records(records)


def _check_header(table: pd.DataFrame, name: str) -> None:
    """Refuse a header that is no list of names."""
    if table.columns.nlevels > 1:
        raise ValueError(
            f"{name} has columns of {table.columns.nlevels} levels; give them one name each, such as "
            "table.columns = ['_'.join(map(str, c)) for c in table.columns]."
        )
    for i, column in enumerate(table.columns):
        if len(str(column)) > LONGEST:
            raise ValueError(
                f"column {i} of {name} has a name of {len(str(column)):,} characters, {quoted(column)}; at most "
                f"{LONGEST} are possible. Is the first row a header?"
            )


def columns_of(table: pd.DataFrame) -> str:
    """The columns of a table, for messages."""
    more = len(table.columns) - _MOST_COLUMNS
    listed = ", ".join(map(repr, table.columns[:_MOST_COLUMNS]))
    return f"{listed} and {more} more" if more > 0 else listed


def stacked(table: pd.DataFrame, responses: Sequence[str], response: str, kind: str) -> pd.DataFrame:
    """A row for each run and each of its responses, which are then in one column, with their names in another.

    Rows without a value of one of several responses are left out for it, since not every run has every metric.
    """
    import pandas as pd

    others = [column for column in table.columns if column not in responses]
    parts = []
    for name in responses:
        part = table[others].copy()
        part[response], part[kind] = table[name], name
        parts.append(part[np.asarray(table[name].notna())] if len(responses) > 1 else part)
    return pd.concat(parts, ignore_index=True)
