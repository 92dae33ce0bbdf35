"""How values are shown in a notebook: their sentences, and a table."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

_MOST_ROWS = 30


def shown(said: str, table: pd.DataFrame | None = None, rows: int = _MOST_ROWS) -> str:
    """Sentences and the first rows of a table as plain HTML, with all text escaped.

    >>> shown("a < b")
    '<p>a &lt; b</p>'
    """
    lines = "<br>".join(escape(line.strip()) for line in said.splitlines())
    if table is None:
        return f"<p>{lines}</p>"
    more = f"<p>{len(table) - rows} rows more</p>" if len(table) > rows else ""
    drawn = table.head(rows).to_html(border=0, float_format=_number, na_rep="")
    return f"<p>{lines}</p>{drawn}{more}"


def _number(value: Any) -> str:
    return f"{value:.4g}"
