"""The pages that the benchmarks write: tables by title; HISTORY.md keeps the commit that each was made at."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import scalebayes as sb

type Part = tuple[str, str, Callable[[], list[str]]]  # title, head, and what makes the lines

HERE = Path(__file__).parent
WRITTEN = "<!-- below: written by the benchmarks -->"
HISTORY, COMMITS = "HISTORY.md", "<!-- below: one row for each table that the benchmarks write -->"


def commit(*written: str) -> str:
    """The commit that is run; dirty if anything has changed since, except what benchmarks write."""
    found, but = _git("rev-parse", "--short", "HEAD"), [f":(exclude){name}" for name in (HISTORY, *written)]
    return found + ("-dirty" if _git("status", "--porcelain", "--", ":/", *but) else "")


def written(page: str, title: str, head: str, lines: Sequence[str], seconds: float, at: str) -> None:
    """Write a table to a page: over the one with its title, else at the end."""
    path = HERE / page
    before, mark, after = path.read_text().partition(WRITTEN)
    tables = {part.partition("\n")[0]: part.strip() for part in after.split("\n## ")[1:]}
    note = f"Python {sys.version.split()[0]}; {datetime.now(UTC):%Y-%m-%d}; {seconds / 60:.1f} minutes."
    tables[title] = f"{title}\n\n{note}\n\n{head}\n" + "\n".join(lines)
    path.write_text(before + mark + "".join(f"\n\n## {table}" for table in tables.values()) + "\n")
    recorded(page, title, at)


def run_parts(said: str | None, page: str, parts: Mapping[str, Part], *also: str) -> None:
    """The command line of a page: all its tables or some, each printed and written as soon as it is done.

    ``also`` names what else the page's benchmarks write.
    """
    parser = argparse.ArgumentParser(description=said)
    parser.add_argument("--part", action="append", choices=parts, help="only this table; repeat")
    at = commit(page, *also)
    for name in parser.parse_args().part or parts:
        title, head, of_part = parts[name]
        start = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", sb.ConvergenceWarning)
            lines = of_part()
        print("\n".join([title, head, *lines]), flush=True)
        written(page, title, head, lines, time.perf_counter() - start, at)


def recorded(page: str, title: str, at: str) -> None:
    """Add the commit of a table to the last table of HISTORY.md."""
    path = HERE / HISTORY
    before, mark, after = path.read_text().partition(COMMITS)
    row = f"| {page} | {title} | {datetime.now(UTC):%Y-%m-%d} | {at} |"
    path.write_text(f"{before}{mark}{after.rstrip()}\n{row}\n")


def _git(*words: str) -> str:
    return subprocess.run(["git", *words], cwd=HERE, capture_output=True, text=True).stdout.strip()
