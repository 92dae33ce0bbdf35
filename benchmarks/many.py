"""Many fits at once, many groups in one fit, and a surface over many runs: wall seconds warm, convergence, memory.

``python benchmarks/many.py`` prints a Markdown table and, unless given ``--smoke``, writes it into
benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from cases import CENTRE, COLUMNS, SPREAD, pooled_case, simulated, table_at
from page import commit, recorded

import scalebayes as sb

HERE = Path(__file__).parent
MARK, END = "<!-- many fits: written by make bench -->", "<!-- end of many fits -->"


def small_tables(tables: int) -> dict[str, sb.Model]:
    """Simulated tables of 60 runs under a power law with floor, with new parameters for each table."""
    models = {}
    for seed in range(tables):
        rng = np.random.default_rng(seed)
        C = np.exp(rng.uniform(np.log(1e18), np.log(1e22), 60))
        E, A, alpha = (rng.lognormal(np.log(m), s) for m, s in ((1.7, 0.1), (0.8, 0.3), (0.2, 0.3)))
        loss = (E + A * (C / 1e20) ** -alpha) * np.exp(0.01 * rng.standard_t(5, 60))
        models[str(seed)] = sb.Model(
            sb.laws.power_floor, sb.read_runs(pd.DataFrame({"flops": C, "loss": loss})), discrepancy=None
        )
    return models


def curves(most: int) -> dict[str, sb.Model]:
    """The published curves of vision and language models, each up to its official split."""
    table = pd.read_csv(table_at("curves", "revisiting_benchmark.csv"))
    models = {}
    for name, rows in table[table["is_train"] == 1].groupby("curve_id"):
        runs = sb.read_runs(rows, inputs={"D": "n_samples"}, response="loss")
        models[str(name).replace("/", " ")] = sb.Model(sb.laws.power_floor, runs, discrepancy=None)
    return dict(list(models.items())[:most])


def fleet(models: dict[str, sb.Model], draws: int) -> dict:
    """Seconds of a first and a second call, and what the second one found."""
    seconds = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", sb.ConvergenceWarning)
        for seed in range(2):
            start = time.perf_counter()
            found = sb.fit_many(models, draws=draws, seed=seed)
            seconds.append(time.perf_counter() - start)
    return {
        "fits": len(models),
        "cold": seconds[0],
        "warm": seconds[1],
        "converged": int(found.table["converged"].sum()),
    }


def groups(n: int, draws: int) -> dict:
    """One pooled fit of n groups of 40 runs."""
    tables, rng = [], np.random.default_rng(1)
    template = simulated().query("group == 'g0'")
    for group in range(n):
        own = {name: CENTRE[name] * np.exp(SPREAD[name] * rng.standard_normal()) for name in CENTRE}
        N, D = template["n_params"].to_numpy(), template["n_tokens"].to_numpy()
        law = own["E"] + own["a"] * (N / 1e9) ** -own["alpha"] + own["b"] * (D / 2e10) ** -own["beta"]
        loss = law * np.exp(0.005 * rng.standard_t(5, len(N)))
        tables.append(pd.DataFrame({"group": f"g{group:03}", "n_params": N, "n_tokens": D, "loss": loss}))
    case = pooled_case(f"{n} groups", pd.concat(tables, ignore_index=True), "group", None)
    return {"fits": n} | twice(
        lambda seed: sb.fit(case.law, case.runs, pooling="pooled", draws=draws, seed=seed, discrepancy=None)
    )


def surface(n: int, draws: int) -> dict:
    """One pooled fit of n published final runs, evenly spaced in order of compute, with a surface per corpus (two)."""
    table = pd.read_csv(table_at("surface", "porian_isoflop.csv")).query("loss_split == 'val'")
    table = table.assign(C=table["n_params"] * table["n_tokens"]).sort_values("C")
    some = table.iloc[np.linspace(0, len(table) - 1, n).round().astype(int)]
    runs = sb.read_runs(some, inputs={"N": "n_params", "D": "n_tokens"}, response="loss", group="dataset")
    return {"fits": n} | twice(
        lambda seed: sb.fit(sb.laws.chinchilla, runs, discrepancy="surface", draws=draws, seed=seed)
    )


def twice(fitted: Callable[[int], sb.Fit]) -> dict:
    """Seconds of a first and a second fit, and how the second one went."""
    seconds = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", sb.ConvergenceWarning)
        for seed in range(2):
            start = time.perf_counter()
            fit = fitted(seed)
            seconds.append(time.perf_counter() - start)
    return {
        "cold": seconds[0],
        "warm": seconds[1],
        "converged": int(not fit.diagnostics.problems),
        "steps": float(fit.idata["sample_stats"]["n_steps"].mean()),
        "ess": fit.diagnostics.min_ess_bulk,
    }


def one(job: str, smoke: bool) -> dict:
    """A job by its name, in this process."""
    kind, _, n = job.partition(" ")
    if kind == "tables":
        found = fleet(small_tables(16 if smoke else int(n)), 500)
    elif kind == "curves":
        found = fleet(curves(4 if smoke else 54), 500)
    elif kind == "surface":
        found = surface(int(n), 250 if smoke else 500)
    else:
        found = groups(int(n), 250 if smoke else 1000)
    return found | {"peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def row(job: str, found: dict) -> str:
    """A line of the table."""
    kind, _, n = job.partition(" ")
    if kind in ("groups", "surface"):
        what, each = f"one pooled fit of {n} published final runs, a surface for each of two corpora", ""
        if kind == "groups":
            what = f"one pooled fit of {n} groups x {len(COLUMNS) * 20} runs"
            each = f"{1e3 * found['warm'] / found['fits']:.0f} ms per group"
        steps, converged = f"{found['steps']:.0f}", "yes" if found["converged"] else "no"
    else:
        tables = "simulated tables of 60 runs" if kind == "tables" else "published curves"
        what = f"{found['fits']} {tables}, power with floor"
        each, steps = f"{1e3 * found['warm'] / found['fits']:.0f} ms per fit", ""
        converged = f"{found['converged']} of {found['fits']}"
    return (
        f"| {what} | {found['cold']:.1f} | {found['warm']:.1f} | {each} | {converged} | {steps} | {found['peak']:.0f} |"
    )


def main() -> None:
    """Every job in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--job")
    arguments = parser.parse_args()
    if arguments.job:
        print(json.dumps(one(arguments.job, arguments.smoke)))
        return
    jobs = ["tables 200", "curves", "groups 6", "groups 30", "groups 200", "groups 500", "surface 500"]
    lines = [
        "| what | s cold | s warm | each | converged | steps per draw | peak MiB |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for job in ["tables 200"] if arguments.smoke else jobs:
        command = [sys.executable, __file__, "--job", job, *(["--smoke"] if arguments.smoke else [])]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            print(f"{job}: left out. {done.stderr.strip().splitlines()[-1]}")
            continue
        lines.append(row(job, json.loads(done.stdout.splitlines()[-1])))
        print(lines[-1], flush=True)
    if not arguments.smoke:
        readme = HERE / "README.md"
        before, rest = readme.read_text().split(MARK)
        readme.write_text(f"{before}{MARK}\n\n" + "\n".join(lines) + f"\n\n{END}{rest.split(END)[1]}")
        recorded("README.md", "Many fits, many groups", commit("README.md"))


if __name__ == "__main__":
    main()
