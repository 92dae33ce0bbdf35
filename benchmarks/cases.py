"""The four tables that the benchmarks fit, each with its law, its settings and the parameters that are judged."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

import scalebayes as sb

DATA = Path(os.environ.get("SCALEBAYES_DATA", Path(__file__).parents[2] / "shared" / "data"))
COLUMNS = {"N": "n_params", "D": "n_tokens"}

LAW_PARAMETERS = ("E", "A", "B", "alpha", "beta")
NOISE_PARAMETERS = ("sigma", "nu")
# Instead of A and B at N = D = 1, a population has their terms at the reference, as shares of the loss above the floor.
POOLED = ("E", "A_share", "B_share", "alpha", "beta")

# The truth of six_groups: the population's centre, and the standard deviation of the groups' logarithms about it.
# a and b are the two terms of the law at N = REFERENCE["N"] and D = REFERENCE["D"], in nats per token.
CENTRE = {"E": 1.8, "a": 0.40, "b": 0.40, "alpha": 0.35, "beta": 0.37}
SPREAD = {"E": 0.05, "a": 0.20, "b": 0.20, "alpha": 0.10, "beta": 0.10}
REFERENCE = {"N": 1e9, "D": 2e10}
SIGMA, NU = 0.005, 5.0
GROUPS, RUNS_PER_GROUP, SEED = 6, 40, 20240611


@dataclass(frozen=True, eq=False)
class Case:
    """One fit.

    Parameters
    ----------
    name : str
    law : Callable
    runs : scalebayes.Runs
    arguments : mapping
        Further keyword arguments of `scalebayes.Model` and `scalebayes.fit`.
    keys : tuple of str
        Variables of the posterior whose effective sample size counts.
    """

    name: str
    law: Callable
    runs: sb.Runs
    arguments: Mapping
    keys: tuple[str, ...]

    @property
    def groups(self) -> int:
        """Number of groups, 0 for none."""
        return len(self.runs.levels)

    def __str__(self) -> str:
        by = f", {self.groups} groups by {self.runs.group_name}, all five parameters pooled" if self.groups else ""
        return f"{len(self.runs)} runs{by}"


def named(name: str) -> Case:
    """The case of that name; FileNotFoundError if its table is missing."""
    return CASES[name]()


def chinchilla() -> Case:
    """240 real runs without groups, or the 20 bundled ones where the public table is missing."""
    try:
        table, where = table_at("chinchilla", "chinchilla_besiroglu.csv"), "epoch_excluded == 0"
    except FileNotFoundError:
        table, where = sb.pile_families(), None
    runs = sb.read_runs(table, inputs=COLUMNS, response="loss", where=where)
    return Case("chinchilla", sb.laws.chinchilla, runs, {"discrepancy": None}, (*LAW_PARAMETERS, *NOISE_PARAMETERS))


def six_groups() -> Case:
    """Six simulated groups of 40 runs that differ in all five parameters."""
    return pooled_case("six_groups", simulated(), "group", None)


def gadre() -> Case:
    """Three training corpora; the paper's extrapolation targets are left out."""
    return pooled_case("gadre", table_at("gadre", "gadre_overtraining.csv"), "dataset", "split != 'target'")


def xlstm() -> Case:
    """Two architectures at one context length; the large-batch runs are a nuisance set with other learning rates."""
    where = "context_length == 8192 and experiment != 'isoflop_large_batch'"
    return pooled_case("xlstm", table_at("xlstm", "xlstm_vs_llama.csv"), "architecture", where)


CASES = {"chinchilla": chinchilla, "six_groups": six_groups, "gadre": gadre, "xlstm": xlstm}


def pooled_case(name: str, table: Path | pd.DataFrame, group: str, where: str | None) -> Case:
    """The Chinchilla law with every parameter pooled over one grouping column."""
    runs = sb.read_runs(table, inputs=COLUMNS, response="loss", group=group, where=where)
    population = tuple(f"{parameter}_{part}" for parameter in POOLED for part in ("population", "spread"))
    keys = (*LAW_PARAMETERS, *NOISE_PARAMETERS, *population)
    return Case(name, sb.laws.chinchilla, runs, {"pooling": "pooled", "discrepancy": None}, keys)


def table_at(case: str, file: str) -> Path:
    """Path of a public table."""
    path = DATA / file
    if not path.is_file():
        raise FileNotFoundError(f"case {case} needs {file}, which is not in {DATA}; set SCALEBAYES_DATA to its folder.")
    return path


def simulated() -> pd.DataFrame:
    """The table of `six_groups`, the same at every call."""
    rng = np.random.default_rng(SEED)
    tables = []
    for group in range(GROUPS):
        own = {name: CENTRE[name] * np.exp(SPREAD[name] * rng.standard_normal()) for name in CENTRE}
        size = np.exp(rng.uniform(np.log(5e7), np.log(1e10), RUNS_PER_GROUP))
        tokens = size * np.exp(rng.uniform(np.log(3), np.log(300), RUNS_PER_GROUP))
        of_size = own["a"] * (size / REFERENCE["N"]) ** -own["alpha"]
        of_tokens = own["b"] * (tokens / REFERENCE["D"]) ** -own["beta"]
        loss = (own["E"] + of_size + of_tokens) * np.exp(SIGMA * rng.standard_t(NU, RUNS_PER_GROUP))
        tables.append(pd.DataFrame({"group": f"g{group}", "n_params": size, "n_tokens": tokens, "loss": loss}))
    return pd.concat(tables, ignore_index=True)
