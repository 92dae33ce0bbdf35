"""Several points of one run: bands with and without run effects, on Porian et al.'s interpolated losses.

One model contributes to several FLOP budgets, so that its residuals are alike. Each of eight recipes on a data set is
fitted by itself, its points of largest compute held back, and these are forecast as points of new runs.
"""

from __future__ import annotations

import argparse
import sys
import warnings

import pandas as pd
from cases import table_at

import scalebayes as sb

SHARES = (0.1, 0.3)
WAYS = {"independent points": None, "run effects": "run effects"}


def runs() -> sb.Runs:
    """Validation losses by the standard count of parameters, a group for each recipe on a data set."""
    table = pd.read_csv(table_at("porian", "porian_isoflop.csv"))
    table = table[(table["param_count"] == "standard") & (table["loss_split"] == "val")]
    table = table.assign(model=table["dataset"] + " " + table["recipe"] + " " + table["n_params"].astype(str))
    return sb.read_runs(
        table, inputs={"N": "n_params", "D": "n_tokens"}, response="loss", group=["dataset", "recipe"], run="model"
    )


def compared(draws: int) -> pd.DataFrame:
    """Scores of both ways, by how much was held back."""
    rows, table = [], runs()
    for way, discrepancy in WAYS.items():
        found = sb.backtest(
            sb.laws.chinchilla, table, top=list(SHARES), observation="gaussian", discrepancy=discrepancy, baselines=False,
            draws=draws,
        )  # fmt: skip
        rows.append(found.table.assign(way=way, unconverged=int((~found.curves["converged"]).sum())))
    columns = [
        "way",
        "setting",
        "curves",
        "rmsle",
        "coverage_50",
        "coverage_89",
        "width_89",
        "log_score",
        "unconverged",
    ]
    return pd.concat(rows)[columns].sort_values(["setting", "way"], kind="stable")


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=500)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", sb.ConvergenceWarning)
    print(compared(arguments.draws).round(4).to_string(index=False))
    return 0


if __name__ == "__main__":
    sys.exit(main())
