"""Pairs of published curves, cut off at the scale of a decision: what is known there, and the outcome."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from cases import table_at

CUTOFFS = (0.03, 0.1, 0.3)
FEWEST = 4  # known scales of each curve
SAME = 0.15  # in log scale; nearer values count as of one scale
# One expert for each token in every second layer: the settings that all sizes have.
ROUTED = "k == 1 and routing_frequency == 0.5"


def curves(pythia: bool = False) -> pd.DataFrame:
    """Every curve: source, task, cluster (pairs within it share runs), group, x and y; optionally Pythia's."""
    return pd.concat(
        [
            _vision(),
            _translation(),
            _porian(),
            _xlstm(),
            _clip(),
            _upstream(),
            _repeated(),
            _routing(),
            _corpora(),
            _families(pythia),
        ],
        ignore_index=True,
    )


def _of(source: str, table: pd.DataFrame, task, group, x: str, y: str, cluster=None) -> pd.DataFrame:
    task = task if isinstance(task, str) else task.astype(str)
    parts = {
        "source": source,
        "task": task,
        "cluster": task if cluster is None else cluster.astype(str),
        "group": group.astype(str),
        "x": table[x].astype(float),
        "y": table[y].astype(float),
    }
    found = pd.DataFrame(parts).dropna()
    found["cluster"] = source + " " + found["cluster"]
    # Mean over seeds, and over values logged twice at one scale.
    by = ["source", "task", "cluster", "group", "x"]
    return found.groupby(by, as_index=False)["y"].agg(lambda y: np.exp(np.log(y).mean()))


def _frontier(table: pd.DataFrame, by: list[str], x: str, y: str) -> pd.DataFrame:
    """Runs that are at least as good as every run of the same group with less compute."""
    lowest = table.groupby([*by, x], as_index=False)[y].min().sort_values([*by, x])
    return lowest[lowest[y] <= lowest.groupby(by)[y].cummin()]


def _vision() -> pd.DataFrame:
    t = pd.read_csv(table_at("reversals", "revisiting_benchmark.csv")).query("domain == 'IC'")
    # Few-shot errors at 5, 10 and 25 shots are of the same runs.
    return _of(
        "vision", t, t["dataset"] + " " + t["shots"].astype(str), t["architecture"], "n_samples", "loss", t["dataset"]
    )


def _translation() -> pd.DataFrame:
    t = pd.read_csv(table_at("reversals", "revisiting_benchmark.csv")).query("domain == 'NMT'")
    return _of("translation", t, "translation", t["architecture"], "n_samples", "loss")


def _porian() -> pd.DataFrame:
    t = pd.read_csv(table_at("reversals", "porian_isoflop.csv"))
    t = t.query("param_count == 'standard' and loss_split == 'val'")
    t = t.groupby(["dataset", "recipe", "flops"], as_index=False)["loss"].min()
    return _of("porian recipes", t, t["dataset"], t["recipe"], "flops", "loss")


def _xlstm() -> pd.DataFrame:
    t = pd.read_csv(table_at("reversals", "xlstm_vs_llama.csv")).query("experiment == 'tokenparam'")
    size = t["n_params"].map(lambda n: f"{n:.1g}")
    t = t.assign(size=size).loc[t.groupby(["architecture", "n_params", "n_tokens"])["loss"].idxmin()]
    return _of("xlstm", t, t["size"], t["architecture"], "n_tokens", "loss")


def _clip() -> pd.DataFrame:
    t = pd.read_csv(table_at("reversals", "openclip_imagenet_curves.csv"))
    task = t["upstream_dataset"] + " " + t["samples_seen_nominal"]
    return _of("openclip curves", t, task, t["model_name"], "n_samples", "error")


def _upstream() -> pd.DataFrame:
    t = pd.read_csv(table_at("reversals", "openclip_scaling.csv"))
    t["task"] = t["downstream_dataset"] + " " + t["metric"]
    t = _frontier(t, ["task", "upstream_dataset"], "gmacs_total", "error")
    return _of(
        "openclip upstream",
        t,
        t["task"],
        t["upstream_dataset"],
        "gmacs_total",
        "error",
        t["task"].str.partition(" ")[0],
    )


def _repeated() -> pd.DataFrame:
    t = pd.read_csv(table_at("reversals", "datablations_curves.csv"))
    task = t["dataset"] + " " + t["n_params"].astype(str)
    return _of("datablations", t, task, t["epochs_at_end"], "n_tokens", "loss")


def _routing() -> pd.DataFrame:
    t = pd.read_csv(table_at("reversals", "routing_dense_sbase.csv")).query(ROUTED)
    group = t["architecture"] + " " + t["num_experts"].astype(str)
    last = t["is_final"] == 1
    return pd.concat(
        [
            _of("routing, tokens", t, t["size_label"], group, "n_tokens", "loss"),
            _of("routing, size", t[last], "sizes", group[last], "n_params", "loss"),
        ]
    )


def _corpora() -> pd.DataFrame:
    t = pd.read_csv(table_at("reversals", "gadre_overtraining.csv"))
    metrics = [name for name in t.columns if name.startswith(("loss", "error_"))]
    found = []
    for metric in metrics:
        best = _frontier(t.dropna(subset=[metric]), ["dataset"], "flops_6nd", metric)
        one = pd.Series("all", best.index)  # the same models by every metric
        found.append(_of("gadre corpora", best, metric, best["dataset"], "flops_6nd", metric, one))
    return pd.concat(found)


def _families(pythia: bool) -> pd.DataFrame:
    # Pythia's figure is a mean of losses and perplexities, which is no metric for a choice.
    t = pd.read_csv(table_at("reversals", "colpret_curves.csv"))
    if not pythia:
        t = t.query("metric != 'mean_over_reported_losses'").copy()
    task = t["family"] + " " + t["dataset"]
    # Some are perplexities, which the laws refuse. They are in units of a task's first value.
    t["loss"] = t["loss"] / t.sort_values("n_tokens").groupby(task)["loss"].transform("first")
    return _of("colpret sizes", t, task, t["model"], "n_tokens", "loss", t["family"].str.partition("|")[0])


def at_scale(x: np.ndarray, y: np.ndarray, scale: float) -> float:
    """The median of what lies at a scale; with fewer than three values there, between its neighbours."""
    near = np.abs(np.log(x / scale)) <= SAME
    if near.sum() >= 3:
        return float(np.exp(np.median(np.log(y[near]))))
    return float(np.exp(np.interp(np.log(scale), np.log(x), np.log(y))))


@dataclass(frozen=True, eq=False)
class Pair:
    """Two curves, first the one ahead at the decision scale, with their known runs and the outcome."""

    source: str
    cluster: str
    task: str
    cutoff: float
    known: Mapping[str, pd.DataFrame]
    at: float
    to: float
    margin: float
    leader: float
    other: float

    @property
    def name(self) -> str:
        """The task and both curves."""
        return f"{self.task}: {', '.join(self.known)}"

    @property
    def reversed(self) -> bool:
        """Whether the leader is behind at the target."""
        return self.leader > self.other


def pairs(table: pd.DataFrame, cutoff: float) -> Iterator[Pair]:
    """Every pair within a task that has enough runs below the cut-off."""
    for (source, task), of_task in table.groupby(["source", "task"], sort=False):
        every = {name: part.sort_values("x") for name, part in of_task.groupby("group")}
        for a, b in combinations(every, 2):
            to = min(every[a]["x"].max(), every[b]["x"].max())
            known = {name: every[name][every[name]["x"] <= cutoff * to] for name in (a, b)}
            if min(map(len, known.values())) < FEWEST:
                continue
            at = min(part["x"].max() for part in known.values())
            first, last = (
                {name: at_scale(of[name]["x"].to_numpy(), of[name]["y"].to_numpy(), scale) for name in (a, b)}
                for of, scale in ((known, at), (every, to))
            )
            leader, other = sorted((a, b), key=first.__getitem__)
            yield Pair(
                source,
                of_task["cluster"].iloc[0],
                task,
                cutoff,
                {leader: known[leader], other: known[other]},
                at,
                to,
                float(np.log(first[other] / first[leader])),
                last[leader],
                last[other],
            )
