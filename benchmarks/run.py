"""One fit beside what a good user writes by hand, on the same runs and the same posterior.

``python benchmarks/run.py`` rewrites the tables in benchmarks/README.md; ``--smoke`` runs everything on its smallest
setting and writes nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from statistics import median

from cases import CASES, Case, named
from page import commit, recorded

HERE = Path(__file__).parent
MARK = "<!-- the tables below are written by make bench -->"
END = "<!-- end of what make bench writes -->"
GROUPED_ONLY = ("pymc_centred", "nutpie_centred", "numpyro_centred")
METHODS = ("scalebayes", "pymc", "nutpie", "numpyro", *GROUPED_ONLY, "least_squares")
SMOKE_CASES = ("chinchilla", "six_groups")
SMOKE_METHODS = ("scalebayes", "pymc", "numpyro", "least_squares")
# An alternative that is farther from convergence has no effective draws to compare with.
LARGEST_R_HAT, LARGEST_DIVERGING_SHARE = 1.05, 0.005

LABELS = {
    "scalebayes": "scalebayes",
    "pymc": "PyMC by hand, its own NUTS",
    "nutpie": "PyMC by hand, nutpie",
    "numpyro": "NumPyro by hand",
    "pymc_centred": "the same centred, PyMC's own NUTS",
    "nutpie_centred": "the same centred, nutpie",
    "numpyro_centred": "the same centred, NumPyro",
    "least_squares": "least squares, bootstrap refits",
}
# Heading, key of the row, format.
COLUMNS = (
    ("s cold", "seconds_cold", ".1f"),
    ("s warm", "seconds_warm", ".2f"),
    ("s cold - warm", "seconds_compile", ".1f"),
    ("s sampling", "seconds_sampling", ".2f"),
    ("min ESS", "min_ess", ".0f"),
    ("ESS/s warm", "rate_whole", ".0f"),
    ("ESS/s sampling", "rate_sampling", ".0f"),
    ("steps/draw", "steps_per_draw", ".0f"),
    ("gradients/effective draw", "gradients_per_effective_draw", ".0f"),
    ("diverging", "diverging", ".2%"),
    ("max r-hat", "max_r_hat", ".3f"),
    ("peak MiB", "peak_mib", ".0f"),
)
Row = dict[str, float | str | None]


def in_fresh_process(arguments: list[str], cache: str) -> str:
    """What a script of this folder prints, with empty compilation caches, so that cold is cold."""
    flags = [os.environ.get("PYTENSOR_FLAGS", ""), f"base_compiledir={cache}"]
    environment = {**os.environ, "PYTENSOR_FLAGS": ",".join(filter(None, flags)), "XDG_CACHE_HOME": cache}
    command = [sys.executable, str(HERE / arguments[0]), *arguments[1:]]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError((done.stderr.strip() or f"exit code {done.returncode}").splitlines()[-1])
    return done.stdout.strip().splitlines()[-1]


def measured(case: str, method: str, draws: int, repeats: int) -> Row:
    """The numbers of one method on one case, or what stopped it."""
    arguments = ["samplers.py", case, method, "--draws", str(draws), "--repeats", str(repeats)]
    with tempfile.TemporaryDirectory() as cache:
        try:
            row = json.loads(in_fresh_process(arguments, cache))
        except RuntimeError as reason:
            return {"method": method, "error": str(reason)}
    return row | {
        "rate_whole": row["ess_per_second_warm"],
        "rate_sampling": row["min_ess"] / row["seconds_sampling"],
        "diverging": row["divergences"] / row["draws"],
    }


def measured_rounds(case: Case, methods: list[str], draws: int, repeats: int, rounds: int) -> list[list[Row]]:
    """All methods one after another; in later rounds those that might be the best alternative, and scalebayes."""
    found: list[list[Row]] = []
    for i in range(rounds):
        rows = []
        if i == 1:
            methods = contenders(found[0])
        for method in methods:
            print(f"{case.name}, {LABELS[method]}, round {i + 1} of {rounds}", file=sys.stderr, flush=True)
            rows.append(measured(case.name, method, draws, repeats if method == "scalebayes" else 1))
        found.append(rows)
    return found


def contenders(rows: list[Row]) -> list[str]:
    """Methods that reach by some rate at least a third of the best alternative's, in their order."""
    others = [row for row in rows if "error" not in row and row["method"] not in ("scalebayes", "least_squares")]
    near = {
        row["method"]
        for rate in ("rate_whole", "rate_sampling")
        for row in others
        if row[rate] >= max(other[rate] for other in others) / 3
    }
    return [row["method"] for row in rows if row["method"] in near | {"scalebayes"}]


def sound(row: Row) -> bool:
    """Whether the draws are near enough to convergence for their effective number to mean something."""
    small = row.get("max_r_hat") is not None and row["max_r_hat"] <= LARGEST_R_HAT
    return small and row["diverging"] <= LARGEST_DIVERGING_SHARE


def ratio(rows: list[Row], rate: str, among: tuple[str, ...]) -> tuple[float, str] | None:
    """scalebayes' min ESS per second over that of the best of some others, and which other that is."""
    by_name = {row["method"]: row for row in rows if "error" not in row}
    others = {name: by_name[name] for name in among if name in by_name}
    others = {name: row for name, row in others.items() if name == "least_squares" or sound(row)}
    if "scalebayes" not in by_name or not others:
        return None
    best = max(others, key=lambda name: others[name][rate])
    return by_name["scalebayes"]["ess_per_second_warm"] / others[best][rate], best


def ratios(rounds: list[list[Row]]) -> str:
    """The line under a table: how many times as many effective draws per second as the best alternative."""
    by_hand = tuple(method for method in METHODS if method not in ("scalebayes", "least_squares"))
    sentences = []
    for what, rate, among in (
        ("sampling alone (stricter)", "rate_sampling", by_hand),
        ("the whole call, compilation included, as a user meets it", "rate_whole", by_hand),
        ("bootstrap refits of least squares, which are no posterior", "rate_whole", ("least_squares",)),
    ):
        found = [one for one in (ratio(rows, rate, among) for rows in rounds) if one]
        best = " or ".join(dict.fromkeys(LABELS[name] for _, name in found))
        measured_any = any(row["method"] in among for rows in rounds for row in rows)
        none = "none has converged" if measured_any else "not measured"
        number = f"{median(number for number, _ in found):.1f}x ({best})" if found else none
        sentences.append(f"{what}: {number}")
    if not all(sound(row) for rows in rounds for row in rows if row["method"] == "scalebayes"):
        sentences.append("but scalebayes' own draws are not sound by the rule for the alternatives")
    return f"Warm scalebayes' min ESS per second over the best alternative's: {'; '.join(sentences)}."


def table(rounds: list[list[Row]]) -> str:
    """Medians over the rounds as Markdown."""
    headings = ["method", *(heading for heading, _, _ in COLUMNS)]
    lines = [f"| {' | '.join(headings)} |", f"|---|{'---:|' * len(COLUMNS)}"]
    for method in (row["method"] for row in rounds[0]):
        rows = tuple(row for each in rounds for row in each if row["method"] == method)
        failed = [row["error"] for row in rows if "error" in row]
        cells = [f"failed: {failed[0]}", *[""] * (len(COLUMNS) - 1)] if failed else [cell(rows, c) for c in COLUMNS]
        once = " (1 round)" if len(rows) == 1 < len(rounds) else ""
        lines.append(f"| {LABELS[method]}{once} | {' | '.join(cells)} |")
    return "\n".join(lines)


def cell(rows: tuple[Row, ...], column: tuple[str, str, str]) -> str:
    """One number."""
    _, key, form = column
    values = [row[key] for row in rows if row[key] is not None]
    return format(median(values), form) if values else ""


def section(case: Case, rounds: list[list[Row]], draws: int, repeats: int) -> str:
    """What the README says of a case."""
    machine = f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()}, Python {platform.python_version()}"
    note = (
        f"{case}. 4 chains x {draws} draws; rounds: {len(rounds)}, "
        f"warm fits of scalebayes in each: {repeats}, medians; {machine}; {datetime.now(UTC):%Y-%m-%d}."
    )
    return "\n\n".join([f"## {case.name}", note, table(rounds), ratios(rounds)])


def write(sections: Mapping[str, str]) -> None:
    """Write the sections to the README, over the older ones of these cases."""
    readme = HERE / "README.md"
    before, _, rest = readme.read_text().partition(MARK)
    old, _, after = rest.partition(END)
    kept = {part.split("\n", 1)[0].strip(): f"## {part.strip()}" for part in old.split("## ")[1:]}
    merged = {**kept, **sections}
    parts = [merged[name] for name in CASES if name in merged]
    readme.write_text("\n\n".join([f"{before}{MARK}", *parts, f"{END}{after.rstrip()}"]) + "\n")


def run_case(name: str, among: Sequence[str], smoke: bool, rounds: int) -> None:
    """Prove, measure and print one case, and write it unless this is a trial."""
    try:
        case = named(name)
    except FileNotFoundError as missing:
        print(f"skipped: {missing}")
        return
    methods = [m for m in among if case.groups or m not in GROUPED_ONLY]
    if any(m.startswith("nutpie") for m in methods) and find_spec("nutpie") is None:
        print("skipped: nutpie is not installed (pip install nutpie), and it may be the best alternative")
        methods = [m for m in methods if not m.startswith("nutpie")]
    draws, repeats = (10, 1) if smoke else (1000, 5)
    with tempfile.TemporaryDirectory() as cache:
        proof = in_fresh_process(["same_posterior.py", name], cache)
    found = measured_rounds(case, methods, draws, repeats, rounds)
    text = section(case, found, draws, repeats)
    if absent := [LABELS[m] for m in METHODS if m not in methods and (case.groups or m not in GROUPED_ONLY)]:
        text += f"\n\nNot measured this time: {'; '.join(absent)}."
    print(f"{proof}\n\n{text}\n", flush=True)
    failed = [row["method"] for rows in found for row in rows if "error" in row]
    if smoke and failed:
        raise RuntimeError(f"{name}: {', '.join(failed)} failed; see the table")
    if not smoke and len(methods) > 1:
        write({name: text})
        recorded("README.md", name, commit("README.md"))


def main() -> None:
    """Run the cases and write their tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--smoke", action="store_true", help="smallest setting, nothing written")
    parser.add_argument("--case", choices=CASES, action="append", help="only this case; may be repeated")
    parser.add_argument(
        "--method",
        choices=METHODS,
        action="append",
        help="only this method; may be repeated; one alone is printed, not written",
    )
    parser.add_argument("--rounds", type=int, default=1, help="how often all methods of a case are run")
    arguments = parser.parse_args()
    names = arguments.case or (SMOKE_CASES if arguments.smoke else tuple(CASES))
    methods = arguments.method or (SMOKE_METHODS if arguments.smoke else METHODS)
    # Side by side only where times do not matter.
    with ThreadPoolExecutor(2 if arguments.smoke else 1) as pool:
        list(pool.map(lambda name: run_case(name, methods, arguments.smoke, arguments.rounds), names))


if __name__ == "__main__":
    main()
