"""Large tables and questions: processor seconds and memory of each, in a process of its own.

``python benchmarks/large.py`` rewrites the table of ``large.md``; ``--part`` measures one row.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
import warnings
from collections.abc import Callable

import numpy as np
import pandas as pd

import scalebayes as sb

PAGE = "large.md"
SEED = 1


def one_scale(n: int, groups: int = 1) -> sb.Runs:
    """Simulated losses about a power with floor; tables of so many real runs are not published."""
    rng = np.random.default_rng(SEED)
    group = np.arange(n) % groups
    floor, alpha = 1.7 + 0.05 * rng.normal(size=groups), 0.2 * np.exp(0.1 * rng.normal(size=groups))
    C = np.exp(rng.uniform(np.log(1e18), np.log(1e22), n))
    loss = (floor[group] + 0.8 * (C / 1e20) ** -alpha[group]) * np.exp(0.01 * rng.normal(size=n))
    table = pd.DataFrame({"flops": C, "loss": loss, "family": group.astype(str)})
    return sb.read_runs(table, inputs={"C": "flops"}, response="loss", group="family" if groups > 1 else None)


def two_scales(n: int) -> sb.Runs:
    """Simulated losses about Chinchilla's law."""
    rng = np.random.default_rng(SEED)
    N, D = (np.exp(rng.uniform(np.log(low), np.log(high), n)) for low, high in ((5e7, 1e10), (1e9, 3e11)))
    loss = (1.8 + 480 * N**-0.35 + 2000 * D**-0.37) * np.exp(0.005 * rng.normal(size=n))
    return sb.read_runs(pd.DataFrame({"N": N, "D": D, "loss": loss}), response="loss")


def _stored(fit: sb.Fit) -> str:
    stored = sum(node.to_dataset(inherit=False).nbytes for node in fit.idata.subtree) / 1e6
    found = fit.diagnostics
    return f"{found.draws} draws, r-hat {found.max_r_hat:.3f}, {found.divergences} divergences; stored {stored:.0f} MB"


def runs_100_000() -> str:
    return _stored(sb.fit(sb.laws.power_floor, one_scale(100_000), discrepancy=None))


def groups_500() -> str:
    return _stored(sb.fit(sb.laws.power_floor, one_scale(5_000, 500), discrepancy=None))


def points(n: int) -> str:
    fit = sb.fit(sb.laws.power_floor, one_scale(100), draws=1000, discrepancy=None)
    answer = sb.forecast(fit, at={"C": np.geomspace(1e19, 1e24, n)})
    return f"{len(answer.table)} bands of {fit.diagnostics.draws} draws; {answer.draws.sizes['draw'] * 4} draws kept"


def points_beside_a_drift() -> str:
    fit = sb.fit(sb.laws.power_floor, one_scale(100), draws=1000)
    answer = sb.forecast(fit, at={"C": np.geomspace(1.01e22, 1e26, 40_000)})
    return f"{len(answer.table)} bands of {fit.diagnostics.draws} draws; {answer.draws.sizes['draw'] * 4} draws kept"


def groups_in_a_crossover() -> str:
    fit = sb.fit(sb.laws.power_floor, one_scale(300, 30), draws=1000, discrepancy=None)
    answer = sb.crossover(fit, axis="C", to=1e24)
    return f"{fit.diagnostics.draws} draws; {len(str(answer).splitlines())} lines"


def budgets() -> str:
    fit = sb.fit(sb.laws.chinchilla, two_scales(100), draws=1000, discrepancy=None)
    answer = sb.allocate(fit, C=np.geomspace(1e20, 1e26, 10_000))
    return f"{len(answer.table)} budgets of {fit.diagnostics.draws} draws"


PARTS: dict[str, tuple[str, Callable[[], str]]] = {
    "runs": ("fit 100,000 runs", runs_100_000),
    "groups": ("fit 5,000 runs in 500 groups", groups_500),
    "points": ("fit 100 runs, forecast 40,000 points", lambda: points(40_000)),
    "more points": ("the same, 200,000 points", lambda: points(200_000)),
    "drift": ("40,000 points beyond the runs, with a drift", points_beside_a_drift),
    "crossover": ("fit 300 runs, crossover of 30 groups", groups_in_a_crossover),
    "budgets": ("fit 100 runs, allocate 10,000 budgets", budgets),
}


def measured(part: str) -> str:
    """A row of the table, from a new process."""
    done = subprocess.run([sys.executable, __file__, "--part", part], capture_output=True, text=True, check=True)
    return done.stdout.strip().splitlines()[-1]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", choices=PARTS, help="only this row, in this process")
    part = parser.parse_args().part
    if part:
        title, question = PARTS[part]
        began, wall = time.process_time(), time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            said = question()
        used, peak = time.process_time() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        print(f"| {title} | {used:.0f} | {time.perf_counter() - wall:.0f} | {peak:.2f} | {said} |")
    else:
        from page import commit, written

        at, begun = commit(PAGE), time.perf_counter()
        lines = []
        for name in PARTS:
            lines.append(measured(name))
            print(lines[-1], flush=True)
        head = "| question | processor seconds | seconds | GB at most | |\n|---|---:|---:|---:|---|"
        written(PAGE, "Large tables and questions", head, lines, time.perf_counter() - begun, at)
