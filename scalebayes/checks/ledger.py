"""The ledger: every sealed forecast and every score of one, in an SQLite file that several processes may write."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from scalebayes.arguments import quoted
from scalebayes.notebook import shown as in_notebook
from scalebayes.questions.wording import plain

_WAIT = 60.0  # seconds for another process to finish its entry
_TABLES = """
CREATE TABLE IF NOT EXISTS sealed (
    seal TEXT PRIMARY KEY, id TEXT NOT NULL, sealed_at TEXT NOT NULL, entered_at TEXT NOT NULL, law TEXT NOT NULL,
    response TEXT NOT NULL, data TEXT NOT NULL, points INTEGER NOT NULL, note TEXT NOT NULL, contents TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS scored (
    seal TEXT NOT NULL, results TEXT NOT NULL, scored_at TEXT NOT NULL, runs INTEGER NOT NULL, inside INTEGER NOT NULL,
    prob REAL NOT NULL, crps REAL NOT NULL, interval_score REAL NOT NULL, PRIMARY KEY (seal, results));
"""
_IS_LEDGER = 1_935_892_588  # application id of the file


@dataclass(frozen=True, eq=False, repr=False)
class Ledger:
    """The answer of `ledger`.

    Parameters
    ----------
    table : pandas.DataFrame
        One row per sealed forecast, the oldest first: seal, id, sealed_at, law, response, data, points, note; and of
        its last score, NaN without one: scored_at, runs, inside, prob, crps, interval_score.
    resealed : tuple of str
        Identities that were sealed more than once: their forecasts were changed.
    """

    table: pd.DataFrame
    resealed: tuple[str, ...]

    def __str__(self) -> str:
        scored = self.table[self.table["runs"].notna()]
        n: int = len(self.table)
        lines = [f"{n} sealed forecast{'s' * (n != 1)}, {len(scored)} of them scored."]
        for prob in map(float, sorted(set(scored["prob"]))):
            own = scored[scored["prob"] == prob]
            inside, runs = int(own["inside"].sum()), int(own["runs"].sum())
            lines.append(
                f"{100 * prob:g}% bands of a new run: {inside} of {runs} results inside ({inside / runs:.2f})."
            )
        for row in self.table.tail(12).to_dict("records"):
            found = (
                "not scored"
                if row["runs"] != row["runs"]
                else f"{int(row['inside'])} of {int(row['runs'])} inside, CRPS {row['crps']:.3g}"
            )
            lines.append(f"{row['sealed_at']} {row['seal'][:12]} {row['response']} by {row['law']}: {found}.")
        if self.resealed:
            lines.append(f"Sealed more than once, with other contents: {', '.join(self.resealed)}.")
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return in_notebook(str(self), self.table)

    def to_dict(self) -> dict[str, Any]:
        """The table as nested dictionaries of numbers and strings."""
        return plain({"sealed": self.table, "resealed": list(self.resealed)})


def ledger(path: str | os.PathLike) -> Ledger:
    """All forecasts that were sealed with a ledger, and how they did.

    Parameters
    ----------
    path : path
        The ledger's file; see `seal` and `score`.

    Returns
    -------
    Ledger

    Raises
    ------
    OSError
        If there is no such file.
    ValueError
        If it is no ledger.

    Examples
    --------
    With the fit of `fit`'s example:

    >>> import tempfile, pathlib
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> answer = sb.forecast(fit, at={"C": 1e23}, group="Pythia")
    >>> sealed = sb.seal(fit, answer, folder / "sealed.json", ledger=folder / "ledger.sqlite")
    >>> str(sb.ledger(folder / "ledger.sqlite")).splitlines()[0]
    '1 sealed forecast, 0 of them scored.'
    """
    source = Path(path)
    if not source.is_file():
        raise FileNotFoundError(f"there is no ledger {quoted(str(source), 300)}; sb.seal(..., ledger=) makes one.")
    with _open(source) as book:
        columns = "seal, id, sealed_at, law, response, data, points, note"
        sealed = pd.read_sql_query(f"SELECT {columns} FROM sealed ORDER BY entered_at, rowid", book)
        scored = pd.read_sql_query("SELECT * FROM scored ORDER BY scored_at, rowid", book)
    last = scored.drop_duplicates("seal", keep="last").drop(columns="results")
    twice = sealed["id"][sealed["id"].duplicated()]
    return Ledger(sealed.merge(last, on="seal", how="left"), tuple(dict.fromkeys(twice)))


def path_of(path: str | os.PathLike) -> Path:
    """The path of a ledger that can be written, before anything is written for it.

    Raises
    ------
    OSError
        If its folder does not exist, or it is a folder.
    ValueError
        If the file is no ledger.
    """
    target = Path(path)
    if target.is_dir():
        raise IsADirectoryError(f"{str(target)!r} is a folder; name a file for the ledger.")
    if not target.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {str(target.parent)!r} for the ledger {target.name!r}.")
    with _open(target):
        return target


def enter(path: Path, contents: Mapping[str, Any]) -> None:
    """Enter a sealed forecast."""
    row = [contents[name] for name in ("seal", "id", "sealed_at")] + [_now()]
    row += [contents[name] for name in ("law", "response", "data")] + [len(contents["points"]), contents["note"]]
    with _open(path) as book:
        book.execute(f"INSERT OR IGNORE INTO sealed VALUES ({', '.join('?' * 10)})", [*row, json.dumps(dict(contents))])


def enter_score(path: Path, seal: str, results: str, summary: Mapping[str, Any]) -> None:
    """Enter a score; one of the same results is replaced."""
    row = [seal, results, _now(), *(summary[n] for n in ("runs", "inside", "prob", "crps", "interval_score"))]
    with _open(path) as book:
        book.execute(f"INSERT OR REPLACE INTO scored VALUES ({', '.join('?' * 8)})", row)


def known_seals(path: Path, identity: str) -> list[str]:
    """The seals under which a forecast of this identity was entered, the oldest first."""
    with _open(path) as book:
        found = book.execute("SELECT seal FROM sealed WHERE id = ? ORDER BY entered_at, rowid", [identity])
        return [row[0] for row in found.fetchall()]


@contextmanager
def _open(path: Path) -> Iterator[sqlite3.Connection]:
    """A ledger in one transaction, which is written whole or not at all."""
    try:
        book = sqlite3.connect(path, timeout=_WAIT, isolation_level=None)
        try:
            book.execute("BEGIN IMMEDIATE")
            known = book.execute("PRAGMA application_id").fetchone()[0]
            empty = not book.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
            if known != _IS_LEDGER and not (known == 0 and empty):
                raise ValueError(f"{path.name} is an SQLite file, and no ledger of scalebayes; name another one.")
            if empty:
                book.execute(f"PRAGMA application_id = {_IS_LEDGER}")
                for statement in filter(str.strip, _TABLES.split(";")):
                    book.execute(statement)
            yield book
            book.execute("COMMIT")
        finally:
            book.close()  # what was not committed is undone
    except sqlite3.DatabaseError as error:
        text = str(error)
        if "not a database" in text or "malformed" in text:
            raise ValueError(f"{path.name} is no ledger of scalebayes, or is damaged ({text}).") from None
        raise OSError(f"the ledger {str(path)!r} cannot be read or written: {text}.") from None


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")
