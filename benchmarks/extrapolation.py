"""Do bands cover beyond the runs? Few-shot error curves, fitted up to a cut-off and forecast to their end.

``python benchmarks/extrapolation.py`` fits every curve by itself, with and without drift, and rewrites
``extrapolation.md``. Only two of the benchmark's four data sets are looked at, those that settings may be chosen on.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
from cases import table_at

import scalebayes as sb

HERE = Path(__file__).parent
DATA_SETS = ("birds", "cifar100")
CUTOFFS = {"official": None, "30%": 0.3, "10%": 0.1, "3%": 0.03}
FEWEST, POINTS, TESTED = 5, 24, 40


def split(curves: pd.DataFrame, cutoff: float | None) -> list[tuple[str, pd.DataFrame, pd.DataFrame]]:
    """Name, runs to fit and runs to forecast of every curve with enough of the former."""
    found = []
    for name, curve in curves.groupby("curve_id"):
        curve = curve.sort_values("n_samples")
        known = curve["is_train"] == 1 if cutoff is None else curve["n_samples"] <= cutoff * curve["n_samples"].max()
        ahead = curve[~known]
        some = np.unique(np.linspace(0, len(ahead) - 1, TESTED).round().astype(int))
        if known.sum() >= FEWEST:
            found.append((str(name).replace("/", " "), curve[known], ahead.iloc[some]))
    return found


def by_fits(parts: list[tuple[str, pd.DataFrame, pd.DataFrame]], discrepancy: str | None) -> tuple[pd.DataFrame, str]:
    """Scores of the posterior predictive distribution of each curve, and how the sampling went."""
    models = {}
    for name, known, _ in parts:
        runs = sb.read_runs(known, inputs={"D": "n_samples"}, response="loss")
        models[name] = sb.Model(sb.laws.power_floor, sb.thin(runs, POINTS), discrepancy=discrepancy)
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", sb.ConvergenceWarning)
        fleet = sb.fit_many(models, draws=500)
    seconds = (time.perf_counter() - start) / len(models)
    rows = []
    for name, _, ahead in parts:
        found = sb.forecast(fleet[name], ahead[["n_samples"]], seed=1).draws["new_run"].to_numpy()
        rows.append(scores(np.log(found.reshape(-1, len(ahead))), np.log(ahead["loss"].to_numpy())))
    share = fleet.table["divergences"].sum() / (2000 * len(models))
    said = f"{int(fleet.table['converged'].sum())} of {len(models)}, {fleet.table['max_r_hat'].max():.3f}, {share:.2%}"
    return pd.DataFrame(rows), f"{said}, {seconds:.1f}"


def scores(drawn: np.ndarray, y: np.ndarray) -> dict[str, float]:
    """Of draws of the log response, shape (sample, point)."""
    lower, upper = np.quantile(drawn, [0.055, 0.945], axis=0)
    near, far = np.quantile(drawn, [0.25, 0.75], axis=0)
    return {
        "rmsle": float(np.sqrt(np.mean((np.median(drawn, 0) - y) ** 2))),
        "50%": float(((near <= y) & (y <= far)).mean()),
        "89%": float(((lower <= y) & (y <= upper)).mean()),
        "width": float((upper - lower).mean()),
    }


def by_rule(parts: list[tuple[str, pd.DataFrame, pd.DataFrame]], rule: Callable) -> pd.DataFrame:
    """Errors of a rule of thumb."""
    rows = []
    for _, known, ahead in parts:
        x, y = (np.log(known[column].to_numpy()) for column in ("n_samples", "loss"))
        error = rule(x, y, np.log(ahead["n_samples"].to_numpy())) - np.log(ahead["loss"].to_numpy())
        rows.append({"rmsle": float(np.sqrt(np.mean(error**2)))})
    return pd.DataFrame(rows)


def carried(x: np.ndarray, y: np.ndarray, new: np.ndarray) -> np.ndarray:
    """The last value, for ever."""
    return np.full(len(new), y[-1])


def line(x: np.ndarray, y: np.ndarray, new: np.ndarray) -> np.ndarray:
    """A straight line in logs through the last third of the curve's decades."""
    late = x >= x[-1] - (x[-1] - x[0]) / 3
    late[-2:] = True
    return np.polyval(np.polyfit(x[late], y[late], 1), new)


def main() -> None:
    """Every cut-off, every method."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cutoff", choices=CUTOFFS, action="append", help="only this one, nothing written")
    arguments = parser.parse_args()
    curves = pd.read_csv(table_at("curves", "revisiting_benchmark.csv")).query(
        "domain == 'IC' and dataset in @DATA_SETS"
    )
    lines = [
        "| cut-off | curves | method | RMSLE | 50% covers | 89% covers | its width | converged, r-hat, diverging, s per curve |",
        "|---|---:|---|---:|---:|---:|---:|---|",
    ]
    for label in arguments.cutoff or CUTOFFS:
        parts = split(curves, CUTOFFS[label])
        methods: dict[str, Callable[[], tuple[pd.DataFrame, str]]] = {
            "power law with floor, drift": lambda p=parts: by_fits(p, "drift"),  # type: ignore[misc]
            "power law with floor": lambda p=parts: by_fits(p, None),  # type: ignore[misc]
            "log-log line, last third": lambda p=parts: (by_rule(p, line), ""),  # type: ignore[misc]
            "last value carried forward": lambda p=parts: (by_rule(p, carried), ""),  # type: ignore[misc]
        }
        for method, score in methods.items():
            table, said = score()
            mean = table.mean()
            cells = [
                f"{mean[c]:.{d}f}" if c in mean else "" for c, d in (("rmsle", 4), ("50%", 2), ("89%", 2), ("width", 3))
            ]
            lines.append(f"| {label} | {len(parts)} | {method} | {' | '.join(cells)} | {said} |")
            print(lines[-1], flush=True)
    if arguments.cutoff:
        return
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=HERE, capture_output=True, text=True)
    readme = HERE / "extrapolation.md"
    before, _, _ = readme.read_text().partition("<!-- written by make bench-extrapolation -->")
    note = f"Commit {commit.stdout.strip()}; Python {sys.version.split()[0]}; {datetime.now(UTC):%Y-%m-%d}."
    readme.write_text(f"{before}<!-- written by make bench-extrapolation -->\n\n{note}\n\n" + "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
