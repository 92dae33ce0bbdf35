"""The built-in laws: refits of published values, what each family costs, and their calibration.

``python benchmarks/laws.py`` rewrites the tables of ``laws.md``; ``--part`` one of them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from cases import table_at
from page import run_parts
from schedules import EVERY, rates_of, table

import scalebayes as sb

PAGE = "laws.md"
LAWS = sb.laws


def rows(file: str, query: str | None = None) -> pd.DataFrame:
    found = pd.read_csv(table_at("laws", file))
    return found.query(query) if query else found


# Refits of published values. Each gives lines of (quantity, published or refitted by others, found).


def broken() -> list[tuple[str, str, str]]:
    curve = rows("nonmonotone_curves.csv", "curve_id == 'bnsl-4digit-addition'").sort_values("x")
    known, ahead = curve.iloc[:14], curve.iloc[14:]
    runs = sb.read_runs(known, inputs={"x": "x"}, response="loss")
    fit = sb.fit(LAWS.broken_power, runs, discrepancy=None)
    found = sb.forecast(fit, at={"x": ahead["x"].to_numpy()}).table
    off = np.abs(found["median"].to_numpy() / ahead["loss"].to_numpy() - 1).max()
    far = np.abs(found["median"].to_numpy() / [0.760584, 0.638400, 0.563978] - 1).max()
    seen = " ".join(f"{v:.4f}" for v in ahead["loss"])
    return [
        ("broken law, the three last points", f"{seen} observed", several(found["median"])),
        ("the farthest of them from the refit by least squares, .7606 .6384 .5640", "2%", f"{far:.2%}"),
        ("the farthest of them from what was observed", "1.4% by least squares", f"{off:.2%}; {state(fit)}"),
    ]


def over_training() -> list[tuple[str, str, str]]:
    runs_of = rows("gadre_overtraining.csv").assign(M=lambda t: t["n_tokens"] / t["n_params"])
    runs = sb.read_runs(runs_of, inputs={"C": "flops_6nd", "M": "M"}, response="loss", group="dataset")
    fit = sb.fit(LAWS.over_training, runs, discrepancy=None)
    published = {"c4_original": 0.128531, "redpajama": 0.129467, "refinedweb": 0.127076}
    lines = []
    for level, value in zip(runs.levels, published.values(), strict=True):
        eta = fit.posterior["eta"].sel({runs.group_name: level}).to_numpy()
        far = abs(eta.mean() - value) / eta.std()
        lines.append(
            (f"over-training, eta of {level}", f"{value:.4f}", f"{eta.mean():.4f} (sd {eta.std():.4f}; {far:.1f} sd)")
        )
    return [*lines, ("", "", state(fit))]


def routed() -> list[tuple[str, str, str]]:
    own = rows("routing_dense_sbase.csv", "is_final == 1 and k == 1 and routing_frequency == 0.5")
    own = own.assign(num_experts=own["num_experts"].astype(float))
    runs = sb.read_runs(own, inputs={"N": "n_params", "E": "num_experts"}, response="loss")
    fit = sb.fit(LAWS.routed_experts, runs, discrepancy=None)
    mean = sb.forecast(fit, at=own).table["median"].to_numpy()
    rmse = float(np.sqrt(np.mean((np.log10(mean) - np.log10(own["loss"])) ** 2)))
    said = ", ".join(f"{name} {value(fit, name)}" for name in ("a", "b", "c", "d", "E_start", "E_max"))
    return [
        ("S-Base, rmse in log10", ".0033 at most; .003203 by least squares", f"{rmse:.6f}; {state(fit)}"),
        ("S-Base, constants", "-.0838, -.1234, .0104, 1.1216, 2.39, 218", said),
    ]


def contrastive() -> list[tuple[str, str, str]]:
    own = rows("openclip_scaling.csv", "downstream_dataset == 'imagenet1k'")
    own = own[own["metric"] == own["metric"].iloc[0]]
    lines = []
    for name, published in (("LAION", 0.111), ("WIT", 0.164)):
        of = own[own["upstream_dataset"].str.contains("WIT") == (name == "WIT")].sort_values("gmacs_total")
        frontier = of[of["error"] <= of["error"].cummin()]
        fit = sb.fit(
            LAWS.power, sb.read_runs(frontier, inputs={"x": "gmacs_total"}, response="error"), discrepancy=None
        )
        lines.append(
            (
                f"contrastive, slope of {name}, {len(frontier)} runs",
                f"{published}",
                f"{value(fit, 'alpha')}; {state(fit)}",
            )
        )
    return lines


def repeated() -> list[tuple[str, str, str]]:
    lines = []
    for said, query in (
        ("epochs < 100 and loss < 5", "dataset == 'c4' and epochs < 100 and loss < 5"),
        (
            "and at most 1.5 parameters a unique token",
            "dataset == 'c4' and epochs < 100 and loss < 5 and n_params < 1.5 * n_unique_tokens",
        ),
        (
            "at most 30 epochs, 0.5 parameters a unique token",
            "dataset == 'c4' and epochs <= 30 and n_params < 0.5 * n_unique_tokens",
        ),
    ):
        own = rows("datablations_final.csv", query)
        runs = sb.read_runs(own, inputs={"N": "n_params", "D": "n_tokens", "U": "n_unique_tokens"}, response="loss")
        fit = sb.fit(LAWS.repeated_data, runs)
        found = ", ".join(f"{name} {value(fit, name)}" for name in ("alpha", "beta", "R_D", "R_N"))
        lines.append((f"repeated data, {said}, {len(own)} runs", ".353, .353, 15.39, 5.31", f"{found}; {state(fit)}"))
    return lines


def schedules() -> list[tuple[str, str, str]]:
    published = {
        LAWS.multi_power: {"L_0": "3.040 2.651 2.375", "alpha": ".508 .453 .429", "gamma": ".641 .655 .635"},
        LAWS.annealing: {
            "L_0": "3.158 2.789 2.525 without warm-up falls, 3.07 2.69 2.42 with",
            "alpha": ".513 .455 .420",
        },
    }
    lines = []
    for law, constants in published.items():
        fit = of_schedules(law)
        lines += [
            (f"{law.__name__}, {name}, 25M 100M 400M", said, value(fit, name)) for name, said in constants.items()
        ]
        lines.append(("", "", state(fit)))
    return lines


@cache
def of_schedules(law: Callable) -> sb.Fit:
    known = table()[table()["split"] == "train"]
    known = known[known.groupby("run").cumcount() % EVERY == 0]
    rates = {name: rates_of(name) for name in table()["schedule"].unique()}
    inputs = {"eta": sb.schedule("schedule", rates, step="step")}
    known = known.assign(size=known["n_params"] / 1e6)
    runs = sb.read_runs(known, inputs=inputs, response="loss", group="size", run="run")
    return sb.fit(law, runs, discrepancy=sb.RunEffects(along="step"))


def errors() -> list[tuple[str, str, str]]:
    own = rows("gadre_overtraining.csv").dropna(subset=["error_46tasks"])
    runs = sb.read_runs(own, inputs={"L": "loss"}, response="error_46tasks", group="dataset")
    fit = sb.fit(LAWS.error_from_loss, runs, discrepancy=None)
    found = "; ".join(f"{name} {value(fit, name)}" for name in ("eps", "k", "gamma"))
    return [
        ("error from loss, three corpora", ".758 .757 .754; 1.88 2.13 2.90; 1.10 1.07 1.19", f"{found}; {state(fit)}")
    ]


def outer() -> list[tuple[str, str, str]]:
    own = rows("xlstm_vs_llama.csv", "experiment == 'tokenparam'")
    runs = sb.read_runs(own, inputs={"N": "n_params", "D": "n_tokens"}, response="loss", group="architecture")
    fit = sb.fit(LAWS.outer_power, runs, discrepancy=None)
    found = "; ".join(f"{name} {value(fit, name)}" for name in ("alpha", "beta", "gamma"))
    return [("outer power, llama and mLSTM", ".163 .182; .158 .168; .253 .258", f"{found}; {state(fit)}")]


def steps() -> list[tuple[str, str, str]]:
    fit = sb.fit(*_swept())
    found = "; ".join(f"{name} {value(fit, name)}" for name in ("p", "q", "r"))
    published = ".713, .307, .571 through the best of each sweep"
    return [("step law, a fifth of the runs within 5% of the best", published, f"{found}; {state(fit)}")]


def value(fit: sb.Fit, name: str) -> str:
    own = fit.summary()
    own = own[own["name"] == name]
    if fit.model.runs.group_name == "size":
        own = own.sort_values("group", key=lambda sizes: sizes.astype(float))
    return " ".join(f"{m:.4g} ({s:.2g})" for m, s in zip(own["mean"], own["sd"], strict=True))


def several(values: pd.Series) -> str:
    return " ".join(f"{v:.4f}" for v in values)


def state(fit: sb.Fit) -> str:
    steps = float(fit.idata["sample_stats"]["n_steps"].mean())
    problems = "; ".join(fit.diagnostics.problems) or "converged"
    return f"{problems}, {steps:.0f} gradients a draw"


REFITS = (broken, over_training, routed, contrastive, repeated, schedules, errors, outer, steps)


def refits() -> list[str]:
    return [f"| {quantity} | {published} | {found} |" for refit in REFITS for quantity, published, found in refit()]


# One law of each family with its default settings, and chinchilla beside them.


def _few_shot() -> tuple[Any, sb.Runs]:
    own = rows("revisiting_benchmark.csv", "is_train == 1 and domain == 'IC'")
    own = own[own["curve_id"] == own["curve_id"].iloc[0]]
    return LAWS.power_floor, sb.thin(sb.read_runs(own, inputs={"x": "n_samples"}, response="loss"), 24)


def _addition() -> tuple[Any, sb.Runs]:
    own = rows("nonmonotone_curves.csv", "curve_id == 'bnsl-4digit-addition'").sort_values("x")
    return LAWS.broken_power, sb.read_runs(own, inputs={"x": "x"}, response="loss")


def _families_of_models() -> tuple[Any, sb.Runs]:
    own = rows("observational_llms.csv").dropna(subset=["flops", "mmlu"])
    own = own[own.groupby("family")["family"].transform("size") > 1]
    return LAWS.rising_sigmoid, sb.read_runs(
        own, inputs={"C": "flops"}, response="mmlu", group="family", better="higher"
    )


def _chinchilla() -> tuple[Any, sb.Runs]:
    own = rows("chinchilla_besiroglu.csv", "epoch_excluded == 0")
    return LAWS.chinchilla, sb.read_runs(own, inputs={"N": "n_params", "D": "n_tokens"}, response="loss")


def _over_trained() -> tuple[Any, sb.Runs]:
    own = rows("gadre_overtraining.csv").assign(M=lambda t: t["n_tokens"] / t["n_params"])
    inputs = {"C": "flops_6nd", "M": "M"}
    return LAWS.over_training, sb.read_runs(own, inputs=inputs, response="loss", group="dataset", cost="flops_6nd")


def _repeated() -> tuple[Any, sb.Runs]:
    own = rows("datablations_final.csv", "epochs < 100 and loss < 5")
    inputs = {"N": "n_params", "D": "n_tokens", "U": "n_unique_tokens"}
    return LAWS.repeated_data, sb.read_runs(own, inputs=inputs, response="loss")


def _routed() -> tuple[Any, sb.Runs]:
    own = rows("routing_dense_sbase.csv", "is_final == 1 and k == 1 and routing_frequency == 0.5")
    own = own.assign(num_experts=own["num_experts"].astype(float))
    return LAWS.routed_experts, sb.read_runs(own, inputs={"N": "n_params", "E": "num_experts"}, response="loss")


def _mixed() -> tuple[Any, sb.Runs]:
    columns = [f"proportion_domain_{i}" for i in range(1, 6)]
    own = rows("scalebench_mixture.csv")
    law = LAWS.data_mixing([f"d{i}" for i in range(1, 6)])
    return law, sb.read_runs(own, inputs={"r": columns}, response="loss_domain_1", group="group")


def _scheduled() -> tuple[Any, sb.Runs]:
    known = table()[table()["split"] == "train"]
    known = known[known.groupby("run").cumcount() % EVERY == 0]
    rates = {name: rates_of(name) for name in table()["schedule"].unique()}
    inputs = {"eta": sb.schedule("schedule", rates, step="step")}
    return LAWS.multi_power, sb.read_runs(known, inputs=inputs, response="loss", group="size", run="run")


def _swept() -> tuple[Any, sb.Runs]:
    own = rows("scalebench_lr_batch.csv")
    best = own.groupby(["n_params", "n_tokens"])["loss"].transform("min")
    own = own[own["loss"] < 1.05 * best].iloc[::5]
    inputs = {"N": "n_params", "D": "n_tokens", "lr": "lr", "batch": "batch_size_seq"}
    return LAWS.step_law, sb.read_runs(own, inputs=inputs, response="loss")


def _downstream() -> tuple[Any, sb.Runs]:
    own = rows("gadre_overtraining.csv").dropna(subset=["error_46tasks"])
    return LAWS.error_from_loss, sb.read_runs(own, inputs={"L": "loss"}, response="error_46tasks", group="dataset")


FAMILIES: dict[str, Callable[[], tuple[Any, sb.Runs]]] = {
    "powers": _few_shot,
    "breaks": _addition,
    "one_scale": _families_of_models,
    "size_and_data": _chinchilla,
    "two_resources": _over_trained,
    "effective": _repeated,
    "experts": _routed,
    "data_quality": _mixed,
    "schedules": _scheduled,
    "hyper_parameters": _swept,
    "downstream": _downstream,
}
_ALONE = "chinchilla alone"


def timed(name: str) -> dict[str, Any]:
    """A first and a second fit of a family's law in this process: processor seconds, imports left out."""
    law, runs = FAMILIES["size_and_data" if name == _ALONE else name]()
    settings: dict[str, Any] = {"discrepancy": None} if name == _ALONE else {}
    if name == "schedules":  # rows of a run are not independent
        settings = {"discrepancy": sb.RunEffects(along="step")}
    seconds = []
    for seed in (0, 1):
        begun = time.process_time()
        fit = sb.fit(law, runs, seed=seed, **settings)
        seconds.append(time.process_time() - begun)
    stats = fit.idata["sample_stats"]
    return {
        "law": LAWS.as_law(law).name,
        "runs": len(runs),
        "discrepancy": fit.model.said_discrepancy or "none",
        "first": seconds[0],
        "second": seconds[1],
        "gradients": float(stats["n_steps"].mean()),
        "divergences": fit.diagnostics.divergences / stats["n_steps"].size,
        "r-hat": fit.diagnostics.max_r_hat,
    }


def families() -> list[str]:
    """Each in a process of its own with an empty cache, and once more with a warm one."""
    found = {}
    for name in (_ALONE, *FAMILIES):
        with tempfile.TemporaryDirectory() as folder:
            found[name] = [_in_process(name, folder) for _ in range(2)]
    usual = found["size_and_data"][0]["first"]
    lines = []
    for name, (cold, cached) in found.items():
        reasons = [
            *(["more than 63 gradients"] if cold["gradients"] > 63 else []),
            *(["more than 0.5% divergences"] if cold["divergences"] > 0.005 else []),
            *(["more than 4 times chinchilla's cold seconds"] if cold["first"] > 4 * usual else []),
        ]
        lines.append(
            f"| {name} | {cold['law']} | {cold['runs']} | {cold['discrepancy']} | {cold['first']:.1f} | "
            f"{cached['first']:.1f} | {cold['second']:.2f} | {cold['gradients']:.0f} | {cold['divergences']:.2%} | "
            f"{cold['r-hat']:.3f} | {'; '.join(reasons)} |"
        )
    return lines


def _in_process(name: str, folder: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, str(Path(__file__).resolve()), "--job", name],
        capture_output=True,
        text=True,
        env=os.environ | {"XDG_CACHE_HOME": folder},
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


PARTS = {
    "refits": ("Published values", "| quantity | published | posterior mean (sd) |\n|---|---|---|", refits),
    "families": (
        "One law of each family, default settings",
        "| family | law | runs | discrepancy | first fit, empty cache, processor s | cache warm | second fit in a process "
        "| gradients a draw | divergences | r-hat | listed for |\n|---|---|---:|---|---:|---:|---:|---:|---:|---:|---|",
        families,
    ),
}

if __name__ == "__main__":
    if sys.argv[1:2] == ["--job"]:
        print(json.dumps(timed(sys.argv[2])))
    else:
        run_parts(__doc__, PAGE, PARTS)
