"""Do bands cover beyond the runs? Published curves and tables of final runs, cut off and forecast.

``python benchmarks/extrapolation.py`` back-tests learning curves at several cut-offs (few-shot error, translation,
language modelling, and curves of two other sources), tables of final runs in model size and data, and a simulated
design. Laws are fitted as they come and without a discrepancy. It rewrites the tables of ``extrapolation.md``, each as
soon as it is done; averages and pooled fits, which take as long again, only where ``--part`` names them.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from cases import table_at
from page import commit, written
from scipy.stats import binomtest

import scalebayes as sb

CHOSEN_ON = ("birds", "cifar100")
DATA_SETS = (*CHOSEN_ON, "caltech101", "imagenet")
AVERAGED = [(sb.laws.power_floor, "drift"), (sb.laws.shifted_power, "drift"), (sb.laws.power_floor, None)]
# One fit to all curves of a data set, whose architectures and numbers of shots cross, and one to each curve alone.
POOLED = [(sb.laws.power_floor, "drift"), (sb.laws.shifted_power, "drift", "separate")]
SURFACE, STILL = (sb.laws.chinchilla, "surface"), (sb.laws.chinchilla, "still surface")
CUTOFFS = ("is_train", 0.3, 0.1, 0.03)
ENOUGH = 6  # known runs; curves with four or five are few and err most, so the others are also shown alone
TOPS = (0.1, 0.3)
DESIGNS = 200
DRAWS = 400
FINAL_RUNS = {
    "chinchilla": ("chinchilla_besiroglu.csv", "epoch_excluded == 0", []),
    "gadre": ("gadre_overtraining.csv", None, ["dataset"]),
    "porian": ("porian_isoflop.csv", "param_count == 'standard' and loss_split == 'val'", ["dataset", "recipe"]),
    "xlstm": ("xlstm_vs_llama.csv", "experiment != 'isoflop_large_batch'", ["architecture", "context_length"]),
    "datablations": ("datablations_final.csv", "epochs <= 1", []),
}
OTHER_CURVES = {
    "ColPret": ("colpret_curves.csv", "n_tokens", "loss", ["family", "model", "dataset"]),
    "OpenCLIP": ("openclip_imagenet_curves.csv", "n_samples", "error", ["model_name"]),
}
NUMBERS = {"rmsle": 4, "coverage_50": 2, "coverage_89": 2, "width_89": 3, "crps": 4, "log_score": 2}
HEADER = "RMSLE | 50% covers | 89% covers | width of 89% | CRPS | log score | converged, r-hat, diverging, s"


def state_of(table: pd.DataFrame, seconds: float | None) -> str:
    """The state of the sampling of some fits: converged, r-hat, diverging, seconds."""
    time_ = "" if seconds is None else f", {seconds:.0f}"
    converged = f"{int(table['converged'].sum())} of {len(table)}"
    return f"{converged}, {table['max_r_hat'].max():.3f}, {table['diverging'].max():.2%}{time_}"


def cells(row: pd.Series) -> str:
    """Means with the cluster-bootstrap interval of error and coverage."""
    shown = []
    for name, digits in NUMBERS.items():
        text = f"{row[name]:.{digits}f}"
        if name in ("rmsle", "coverage_89") and pd.notna(row[f"{name}_lower"]):  # an interval needs two clusters
            text += f" [{row[f'{name}_lower']:.{digits}f}, {row[f'{name}_upper']:.{digits}f}]"
        shown.append(text)
    return " | ".join(shown)


def timed(**arguments) -> tuple[sb.Backtest, float]:
    """A back-test and how long it took."""
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", sb.ConvergenceWarning)
        result = sb.backtest(**arguments)
    for setting, curve, reason in result.skipped:
        print(f"skipped: {setting}, {curve}: {reason}", flush=True)
    return result, time.perf_counter() - start


def lines_of(
    result: sb.Backtest, seconds: float, name: str, domains: dict[str, str], called: str = "average"
) -> list[str]:
    """Rows of every method, by domain: the average, its members, and the baselines without a posterior.

    Curves without a domain are left out.
    """
    named = {called: result.curves} | dict(list(result.members.groupby("method", sort=False)))
    own = [table.assign(pool=table["curve"].map(domains), method=method) for method, table in named.items()]
    whole = replace(result, curves=own[0], members=pd.concat([own[0].iloc[:0], *own[1:]]))
    lines = []
    for _, row in whole.table.iterrows():
        table = next(table for table in own if table["method"].iloc[0] == row["method"])
        took = seconds if row["method"] == own[0]["method"].iloc[0] else None
        went = state_of(table[table["pool"] == row["pool"]], took)
        lines.append(f"| {name} | {row['pool']} | {row['curves']} | {row['method']} | {cells(row)} | {went} |")
    others = result.baselines.assign(pool=result.baselines["curve"].map(domains))
    for (pool, method), part in others.groupby(["pool", "method"], sort=False):
        means = part[["rmsle", "coverage_89", "width_89"]].mean()
        shown = [f"{means[c]:.{d}f}" if means[c] == means[c] else "" for c, d in (("coverage_89", 2), ("width_89", 3))]
        left = f"| {name} | {pool} | {part['rmsle'].notna().sum()} | {method.replace('_', ' ')} | {means['rmsle']:.4f}"
        lines.append(f"{left} |  | {' | '.join(shown)} |  |  |  |")
    print("\n".join(lines), flush=True)
    return lines


def curves(settings: Sequence[float | str] = CUTOFFS, data_sets: Sequence[str] = ()) -> list[str]:
    """Rows of the table of curves, each fitted alone as the law comes, and without a discrepancy."""
    return [
        *_of_curves(settings, data_sets, "power_floor+drift", sb.laws.power_floor),
        *_of_curves(settings, data_sets, "power_floor", (sb.laws.power_floor, None), baselines=False),
    ]


def averages(settings: Sequence[float | str] = CUTOFFS, data_sets: Sequence[str] = ()) -> list[str]:
    """Rows of the table of averages, each curve fitted alone by several laws."""
    return _of_curves(settings, data_sets, "average", AVERAGED, baselines=False)


def pooled(settings: Sequence[float | str] = CUTOFFS, data_sets: Sequence[str] = ()) -> list[str]:
    """Rows of the table of few-shot curves, with one fit to all curves of a data set."""
    return _of_curves(
        settings, data_sets, "average, one pooled", POOLED, "dataset", ["dataset", "shots", "architecture"], False
    )


def _of_curves(
    settings: Sequence[float | str],
    data_sets: Sequence[str],
    called: str,
    law: Any,
    pool: str | None = None,
    group: Sequence[str] = ("curve_id",),
    baselines: bool = True,
) -> list[str]:
    table = pd.read_csv(table_at("curves", "revisiting_benchmark.csv"))
    table["cluster"] = table["architecture"].astype(str) + " " + table["dataset"].astype(str)
    table.loc[table["domain"] != "IC", "cluster"] = table["curve_id"]
    if data_sets:
        table = table.query("dataset in @data_sets and domain == 'IC'")
    lines = []
    for setting in settings:
        # The domains with few curves are tested at the official split only, and each curve is fitted alone.
        here = table if setting == "is_train" and not pool else table[table["domain"] == "IC"]
        where = {"train": setting} if isinstance(setting, str) else {"cutoffs": [setting]}
        name = "official" if setting == "is_train" else f"{setting:.0%}"
        runs = sb.read_runs(here, inputs={"D": "n_samples"}, response="loss", group=group)
        domains = dict(zip(runs.group_labels, here["domain"], strict=True))
        result, seconds = timed(
            law=law,
            runs=runs,
            pool=pool,
            pooling="crossed" if pool else None,
            baselines=baselines,
            cluster="cluster",
            skip=True,
            draws=DRAWS,
            **where,
        )
        lines += lines_of(result, seconds, name, domains, called)
        enough = result.curves.query("known >= @ENOUGH")["curve"]
        if len(enough) < len(result.curves):
            some = {curve: f"{domains[curve]}, {ENOUGH} or more known" for curve in enough}
            lines += lines_of(result, seconds, name, some, called)
    return lines


def other_curves() -> list[str]:
    """Rows of curves of other sources, with the same priors."""
    lines = []
    for name, (file, scale, response, group) in OTHER_CURVES.items():
        table = pd.read_csv(table_at(name, file)).sort_values(scale)
        # Some are perplexities, which the laws refuse. They are in units of each curve's first value; no score changes.
        table[response] = table[response] / table.groupby(group)[response].transform("first")
        runs = sb.read_runs(table, inputs={"D": scale}, response=response, group=group)
        for cutoff in (0.3, 0.1):
            for called, law in (
                ("power_floor+drift", sb.laws.power_floor),
                ("power_floor", (sb.laws.power_floor, None)),
            ):
                found = timed(law=law, runs=runs, cutoffs=[cutoff], skip=True, draws=DRAWS, baselines=False)
                lines += lines_of(*found, f"{cutoff:.0%}", dict.fromkeys(found[0].curves["curve"], name), called)
    return lines


def final_runs(names: Sequence[str] = tuple(FINAL_RUNS), surfaces: Any = sb.laws.chinchilla) -> list[str]:
    """Rows of the table of final runs: means over groups within a table, and the mean of the tables."""
    lines = []
    for top in TOPS:
        held, of_tables = f"largest {top:.0%}", []
        for name in names:
            file, where, group = FINAL_RUNS[name]
            runs = sb.read_runs(
                table_at(name, file),
                inputs={"N": "n_params", "D": "n_tokens"},
                response="loss",
                where=where,
                group=group or None,
            )
            departs = timed(law=surfaces, runs=runs, top=[top], tested=10_000, draws=DRAWS)
            alone = timed(
                law=(sb.laws.chinchilla, None), runs=runs, top=[top], tested=10_000, draws=DRAWS, baselines=False
            )
            first = "chinchilla+surface" if surfaces is sb.laws.chinchilla else "average"
            for (result, seconds), called in ((departs, first), (alone, "chinchilla")):
                lines += lines_of(result, seconds, held, dict.fromkeys(result.curves["curve"], name), called)
                of_tables.append(result.table.replace({"method": {result.curves["method"].iloc[0]: called}}))
        means = pd.concat(of_tables).groupby("method", sort=False)[list(NUMBERS)].mean()
        for method, mean in means.iterrows():
            shown = " | ".join(f"{mean[name]:.{digits}f}" for name, digits in NUMBERS.items())
            lines.append(f"| {held} | all {len(names)} | | {method} | {shown} | |")
            print(lines[-1], flush=True)
    return lines


def design() -> list[str]:
    """Coverage of 95% bands of the mean response in a published design, with default priors and with vaguer ones."""

    def truth(N, D):
        return 1.0 + 2.0 * N**-0.3 + 1.5 * D**-0.25

    N, D = (axis.ravel() for axis in np.meshgrid(np.geomspace(1e6, 1e8, 3), np.geomspace(1e3, 1e5, 3)))
    tables = []
    for seed in range(DESIGNS):
        rng = np.random.default_rng(seed)
        tables.append(
            pd.DataFrame({"N": N, "D": D, "loss": truth(N, D) + rng.normal(0, 0.02, 9) + rng.normal(0, 0.03, 9)})
        )

    def amplitude(name, exponent):
        return sb.Anchored(sb.ResponseShare(0.3, 2.0), input=name, exponent=exponent)

    vague = {"E": sb.FloorShare(1.7, 1.0), "A": amplitude("N", "alpha"), "B": amplitude("D", "beta")}
    lines = []
    for called, priors in (("default", {}), ("vague amplitudes and floor", vague)):
        start = time.perf_counter()
        models = [
            sb.Model(sb.laws.chinchilla, sb.read_runs(table), priors=priors, discrepancy=None) for table in tables
        ]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", sb.ConvergenceWarning)
            fleet = sb.fit_many(models, draws=DRAWS)
        bands = pd.concat([sb.forecast(fleet[name], at={"N": 1e9, "D": 1e4}, prob=0.95).table for name in fleet])
        inside = int(bands["lower"].le(truth(1e9, 1e4)).mul(bands["upper"].ge(truth(1e9, 1e4))).sum())
        low, high = binomtest(inside, DESIGNS).proportion_ci(0.89)
        lines.append(
            f"| {called} | {DESIGNS} | {inside / DESIGNS:.3f} [{low:.3f}, {high:.3f}] | "
            f"{binomtest(inside, DESIGNS, 0.95).pvalue:.2g} | {(bands['upper'] - bands['lower']).mean():.3f} | "
            f"{int(fleet.table['converged'].sum())} of {len(fleet)}, {fleet.table['max_r_hat'].max():.3f}, "
            f"{time.perf_counter() - start:.0f} |"
        )
        print(lines[-1], flush=True)
    return lines


def cost() -> list[str]:
    """Rows of the cost of fitting a curve a second time, as in a notebook: with drift and without."""
    table = pd.read_csv(table_at("curves", "revisiting_benchmark.csv"))
    lines = []
    for curve in table.query("domain == 'IC' and dataset in @CHOSEN_ON")["curve_id"].unique()[:3]:
        own = table[(table["curve_id"] == curve) & (table["is_train"] == 1)]
        runs = sb.thin(sb.read_runs(own, inputs={"D": "n_samples"}, response="loss"), 24)
        for called, discrepancy in (("with drift", "drift"), ("law alone", None)):
            sb.fit(sb.laws.power_floor, runs, discrepancy=discrepancy)
            start = time.perf_counter()
            fit = sb.fit(sb.laws.power_floor, runs, discrepancy=discrepancy, seed=1)
            seconds = time.perf_counter() - start
            steps = float(fit.idata["sample_stats"]["n_steps"].mean())
            ess = fit.diagnostics.min_ess_bulk
            lines.append(
                f"| {curve.replace('|', ' ')} | {called} | {seconds:.2f} | {ess:.0f} | {ess / seconds:.0f} | "
                f"{steps:.1f} |"
            )
            print(lines[-1], flush=True)
    return lines


SCORED = f"| cut-off | domain | curves | method | {HEADER} |\n|---|---|---:|---|---:|---:|---:|---:|---:|---:|---|"
DESIGNED = "| priors | tables | 95% covers | p of 0.95 | width | converged, r-hat, s |\n|---|---:|---:|---:|---:|---|"
COSTS = (
    "| curve | model | s, second fit | smallest bulk ESS | ESS per s | leapfrogs per draw |\n"
    "|---|---|---:|---:|---:|---:|"
)
BY_NAME = ("averages", "pooled")
PARTS = {
    "curves": ("Curves", SCORED, curves),
    "averages": ("Averages of fits to a curve", SCORED, averages),
    "pooled": ("Curves, one fit to all of a data set", SCORED, pooled),
    "other": ("Curves of other sources", SCORED, other_curves),
    "final": ("Final runs", SCORED.replace("cut-off | domain | curves", "held back | table | groups"), final_runs),
    "design": ("A simulated design", DESIGNED, design),
    "cost": ("What it costs", COSTS, cost),
}


def main() -> None:
    """Write the tables of the page, or those that are named, or print a part of one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", action="append", choices=PARTS, help="only this table; repeat")
    parser.add_argument("--setting", action="append", help="curves at is_train, 0.3, 0.1 or 0.03; nothing written")
    parser.add_argument("--data-set", action="append", choices=DATA_SETS, help="curves of this one; nothing written")
    parser.add_argument("--table", action="append", choices=FINAL_RUNS, help="final runs of this one; nothing written")
    parser.add_argument(
        "--still", action="store_true", help="with --table: also surfaces without drift, and both mixed"
    )
    arguments = parser.parse_args()
    if arguments.setting or arguments.data_set:
        settings = [s if s == "is_train" else float(s) for s in arguments.setting or CUTOFFS]
        # Curves of one data set have no data sets to cross.
        for part in (curves, averages) if len(arguments.data_set or DATA_SETS) == 1 else (curves, averages, pooled):
            part(settings, arguments.data_set or [])
    if arguments.table:
        final_runs(arguments.table, (SURFACE, STILL) if arguments.still else sb.laws.chinchilla)
    if arguments.setting or arguments.data_set or arguments.table:
        return
    at = commit("extrapolation.md")
    for name in arguments.part or (name for name in PARTS if name not in BY_NAME):
        if not arguments.part:  # each in its own process, without what the one before compiled
            subprocess.run([sys.executable, __file__, "--part", name], check=True)
            continue
        title, head, of_part = PARTS[name]
        start = time.perf_counter()
        lines = of_part()
        written("extrapolation.md", title, head, lines, time.perf_counter() - start, at)


if __name__ == "__main__":
    main()
