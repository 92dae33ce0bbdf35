"""Do bands cover beyond the runs? Published curves and tables of final runs, cut off and forecast.

``python benchmarks/extrapolation.py`` back-tests learning curves (few-shot error, translation, language modelling) at four
cut-offs, each domain's curves fitted together with drift, each by itself, and by the law alone; and tables of final runs in
model size and data, each group by itself, with a surface and without. It rewrites ``extrapolation.md``.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
import warnings
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
from cases import table_at

import scalebayes as sb

HERE = Path(__file__).parent
CHOSEN_ON = ("birds", "cifar100")
CURVES = {"drift, pooled": ("drift", "domain"), "drift": ("drift", None), "law alone": (None, None)}
RUNS = {"surface": "surface", "law alone": None}
TOPS = (0.1, 0.3)
FINAL_RUNS = {
    "chinchilla": ("chinchilla_besiroglu.csv", "epoch_excluded == 0", []),
    "gadre": ("gadre_overtraining.csv", None, ["dataset"]),
    "porian": ("porian_isoflop.csv", "param_count == 'standard' and loss_split == 'val'", ["dataset", "recipe"]),
    "xlstm": ("xlstm_vs_llama.csv", "experiment != 'isoflop_large_batch'", ["architecture", "context_length"]),
    "datablations": ("datablations_final.csv", "epochs <= 1", []),
}
NUMBERS = {"rmsle": 4, "coverage_50": 2, "coverage_89": 2, "width_89": 3, "crps": 4, "log_score": 2}
HEADER = "RMSLE | 50% covers | 89% covers | width of 89% | CRPS | log score | converged, r-hat, diverging, s"
HERE_ONLY = "<!-- written by make bench-extrapolation -->"


def said(result: sb.Backtest, seconds: float, rows: pd.Series) -> str:
    """How the sampling of some curves went."""
    own = result.curves[rows]
    return f"{int(own['converged'].sum())} of {len(own)}, {own['max_r_hat'].max():.3f}, {own['diverging'].max():.2%}, {seconds:.0f}"


def cells(row: pd.Series) -> str:
    """Means with the cluster-bootstrap interval of error and coverage."""
    shown = []
    for name, digits in NUMBERS.items():
        text = f"{row[name]:.{digits}f}"
        if name in ("rmsle", "coverage_89"):
            text += f" [{row[f'{name}_lower']:.{digits}f}, {row[f'{name}_upper']:.{digits}f}]"
        shown.append(text)
    return " | ".join(shown)


def timed(**arguments) -> tuple[sb.Backtest, float]:
    """A back-test and how long it took."""
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", sb.ConvergenceWarning)
        result = sb.backtest(**arguments)
    return result, time.perf_counter() - start


def curves(settings: list[float | str], data_sets: list[str]) -> list[str]:
    """Rows of the table of curves."""
    table = pd.read_csv(table_at("curves", "revisiting_benchmark.csv"))
    table["cluster"] = table["architecture"].astype(str) + " " + table["dataset"].astype(str)
    table.loc[table["domain"] != "IC", "cluster"] = table["curve_id"]
    if data_sets:
        table = table.query("dataset in @data_sets and domain == 'IC'")
    lines = []
    for setting in settings:
        # Only the official split is asked of the domains with few curves.
        here = table if setting == "is_train" else table[table["domain"] == "IC"]
        runs = sb.read_runs(here, inputs={"D": "n_samples"}, response="loss", group="curve_id")
        where = {"train": setting} if isinstance(setting, str) else {"cutoffs": [setting]}
        for method, (discrepancy, pool) in CURVES.items():
            result, seconds = timed(
                law=sb.laws.power_floor, runs=runs, pool=pool, cluster="cluster", discrepancy=discrepancy,
                skip=True, baselines=method == "drift", **where,
            )  # fmt: skip
            domains = here.drop_duplicates("curve_id").set_index("curve_id")["domain"]
            result = replace(result, curves=result.curves.assign(pool=result.curves["curve"].map(domains)))
            for _, row in result.table.iterrows():
                chosen = result.curves["pool"] == row["pool"]
                name = "official" if setting == "is_train" else f"{setting:.0%}"
                lines.append(
                    f"| {name} | {row['pool']} | {row['curves']} | {method} | {cells(row)} | "
                    f"{said(result, seconds, chosen)} |"
                )
                print(lines[-1], flush=True)
            for setting_, curve, reason in result.skipped if method == "drift" else ():
                print(f"skipped: {setting_}, {curve}: {reason}")
            if method == "drift":
                lines += rivals(result, domains, name)
    return lines


def rivals(result: sb.Backtest, domains: pd.Series, name: str) -> list[str]:
    """What people do without a posterior."""
    others = result.baselines.assign(pool=result.baselines["curve"].map(domains))
    lines = []
    for (pool, method), part in others.groupby(["pool", "method"], sort=False):
        means = part[["rmsle", "coverage_89", "width_89"]].mean()
        shown = [f"{means[c]:.{d}f}" if means[c] == means[c] else "" for c, d in (("coverage_89", 2), ("width_89", 3))]
        left = f"| {name} | {pool} | {part['rmsle'].notna().sum()} | {method.replace('_', ' ')} | {means['rmsle']:.4f}"
        lines.append(f"{left} |  | {' | '.join(shown)} |  |  |  |")
        print(lines[-1], flush=True)
    return lines


def final_runs(names: list[str]) -> list[str]:
    """Rows of the table of final runs: means over groups within a table, and the mean of the tables."""
    lines = []
    for top in TOPS:
        for method, discrepancy in RUNS.items():
            means = []
            for name in names:
                file, where, group = FINAL_RUNS[name]
                runs = sb.read_runs(
                    table_at(name, file), inputs={"N": "n_params", "D": "n_tokens"}, response="loss", where=where,
                    group=group or None,
                )  # fmt: skip
                result, seconds = timed(
                    law=sb.laws.chinchilla, runs=runs, top=[top], tested=10_000, discrepancy=discrepancy,
                    baselines=method == "surface",
                )  # fmt: skip
                (row,) = (row for _, row in result.table.iterrows())
                means.append(row)
                points = int(result.curves["tested"].sum())
                lines.append(
                    f"| largest {top:.0%} | {name} | {points} | {method} | {cells(row)} | "
                    f"{said(result, seconds, result.curves['curve'].notna())} |"
                )
                print(lines[-1], flush=True)
                if method == "surface":
                    lines += rivals(
                        result, pd.Series(dict.fromkeys(result.curves["curve"], name)), f"largest {top:.0%}"
                    )
            mean = pd.DataFrame(means)[list(NUMBERS)].mean()
            shown = " | ".join(f"{mean[name]:.{digits}f}" for name, digits in NUMBERS.items())
            lines.append(f"| largest {top:.0%} | all {len(means)} | | {method} | {shown} | |")
            print(lines[-1], flush=True)
    return lines


def main() -> None:
    """Everything, or a part that is printed and not written."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--setting", action="append", help="is_train, 0.3, 0.1 or 0.03; nothing written")
    parser.add_argument(
        "--data-set", action="append", choices=CHOSEN_ON, help="curves of this one only; nothing written"
    )
    parser.add_argument("--table", action="append", choices=FINAL_RUNS, help="final runs of this one; nothing written")
    arguments = parser.parse_args()
    start = time.perf_counter()
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=HERE, capture_output=True, text=True)
    asked = [s if s == "is_train" else float(s) for s in arguments.setting or ("is_train", "0.3", "0.1", "0.03")]
    part = arguments.setting or arguments.data_set or arguments.table
    along = [] if arguments.table else curves(asked, arguments.data_set or [])
    final = [] if part and not arguments.table else final_runs(arguments.table or list(FINAL_RUNS))
    if part:
        return
    minutes = (time.perf_counter() - start) / 60
    note = f"Commit {commit.stdout.strip()}; Python {sys.version.split()[0]}; {datetime.now(UTC):%Y-%m-%d}; {minutes:.0f} minutes."
    rule = "|---|---|---:|---|---:|---:|---:|---:|---:|---:|---|"
    tables = [
        f"## Curves\n\n| cut-off | domain | curves | method | {HEADER} |\n{rule}\n" + "\n".join(along),
        f"## Final runs\n\n| held back | table | runs | method | {HEADER} |\n{rule}\n" + "\n".join(final),
    ]
    page = HERE / "extrapolation.md"
    before, _, _ = page.read_text().partition(HERE_ONLY)
    page.write_text(f"{before}{HERE_ONLY}\n\n{note}\n\n" + "\n\n".join(tables) + "\n")


if __name__ == "__main__":
    main()
