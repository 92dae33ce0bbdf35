"""Can promotions be relied on? The gate on simulated candidates and on published optimizers, and the best of sweeps.

``python benchmarks/promoting.py`` rewrites the tables of ``promoting.md``.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
from cases import DATA
from page import run_parts
from scipy.optimize import minimize
from scipy.stats import binomtest

import scalebayes as sb

PAGE = "promoting.md"
SEED, CASES = 20261201, 500
FIRST, RUNGS, STEP, TARGET = 1e18, 6, 10 ** (2 / 5), 1e22
KINDS = ("fades among the runs", "fades beyond them", "lasts", "worse", "null")
MOST_RUNGS = 2  # that a held candidate may still get
CONFOUNDED = ("adamh", "muonh", "muonh_2025", "muonremez")  # see the table's own description
DIVERGED = "kimi_style_muon"  # its loss rises with compute
NOISE_OF_BPB = 0.002
SIZES = ("130m", "300m", "520m", "1_2b")  # at which optimizers were compared


# Simulated candidates


def truth_of(kind: str, rng: np.random.Generator) -> dict:
    """A baseline's law along C, and a candidate whose speed-up is a power of the scale."""
    E, A, alpha = 1.7 + 0.1 * rng.normal(), 1.5 * np.exp(0.2 * rng.normal()), 0.15 * np.exp(0.1 * rng.normal())
    first = {"worse": 1 / 1.2, "null": 1.0}.get(kind, 1.3)
    largest = FIRST * STEP ** (RUNGS - 1)
    crossing = {
        "fades among the runs": np.exp(rng.uniform(np.log(FIRST * STEP**2), np.log(largest))),
        "fades beyond them": np.exp(rng.uniform(np.log(largest * 2), np.log(TARGET / 2))),
    }.get(kind, np.inf)
    fades = np.log(first) / np.log(crossing / FIRST) if np.isfinite(crossing) else 0.0
    sigma = 0.002 * np.exp(0.3 * rng.normal())
    return {"kind": kind, "E": E, "A": A, "alpha": alpha, "first": first, "fades": fades, "sigma": sigma}


def speed_up(truth: dict, C: np.ndarray | float) -> np.ndarray:
    """The speed-up of the candidate."""
    return truth["first"] * (np.asarray(C) / FIRST) ** -truth["fades"]


def runs_of(truth: dict, rungs: int, seed: int) -> sb.Runs:
    """Runs of both at some rungs; an evaluation's error is shared, that of each run is its own."""
    rng = np.random.default_rng(seed)
    C = FIRST * STEP ** np.arange(rungs)
    shared = 0.005 * rng.normal()
    noise = rng.normal(size=(2, 12))[:, :rungs]
    rows = []
    for k, (name, factor) in enumerate((("baseline", 1.0), ("candidate", speed_up(truth, C)))):
        loss = truth["E"] + truth["A"] * (C * factor / FIRST) ** -truth["alpha"]
        rows.append(pd.DataFrame({"C": C, "recipe": name, "loss": (loss + shared) * np.exp(truth["sigma"] * noise[k])}))
    return sb.read_runs(pd.concat(rows, ignore_index=True), inputs={"C": "C"}, response="loss", group="recipe")


def gates(truths: list[dict], rungs: int, seeds: list[int], one_floor: bool) -> list[sb.Gate | None]:
    """The gate's answer for each case; None where the fit has not converged."""
    models = {}
    for i, (truth, seed) in enumerate(zip(truths, seeds, strict=True)):
        model = sb.Model(sb.laws.power_floor, runs_of(truth, rungs, seed), discrepancy=None)
        if one_floor:
            model = sb.Model(model.law, model.runs, priors={"E": sb.shared(model.priors["E"].prior)}, discrepancy=None)
        models[str(i)] = model
    fleet = sb.fit_many(models, seed=SEED, progress=False)
    found = []
    for name in models:
        fit = fleet[name] if fleet.table.loc[name, "max_r_hat"] == fleet.table.loc[name, "max_r_hat"] else None
        good = fit is not None and not fit.diagnostics.problems
        found.append(sb.gate(fit, baseline="baseline", to=TARGET) if good else None)
    return found


def least_squares(runs: sb.Runs, level: str, at: float) -> float:
    """The loss at a scale by a power law with a floor, by least squares in logs from several starts."""
    rows = runs.rows(level)
    x, y = np.log(runs.x("C")[rows] / FIRST), np.log(runs.y[rows])

    def off(theta: np.ndarray) -> float:
        return float(((np.log(np.exp(theta[0]) + np.exp(theta[1] - np.exp(theta[2]) * x)) - y) ** 2).sum() * 1e4)

    starts = [
        [np.log(share) + y.min(), np.log(np.exp(y.max()) * (1.01 - share)), np.log(alpha)]
        for share in (0.4, 0.7, 0.9)
        for alpha in (0.1, 0.3)
    ]
    best = min(
        (minimize(off, start, method="Nelder-Mead", options={"maxiter": 2000}) for start in starts), key=lambda r: r.fun
    )
    e, a, alpha = best.x
    return float(np.exp(e) + np.exp(a - np.exp(alpha) * np.log(at / FIRST)))


def regret(promoted: bool, s: float) -> float:
    """The share of a run at the target that a decision wastes."""
    return max(1 - s, 0.0) if promoted else max(1 - 1 / s, 0.0)


def simulated(one_floor: bool = False) -> list[str]:
    rng = np.random.default_rng(SEED)
    truths = [truth_of(KINDS[i % len(KINDS)], rng) for i in range(CASES)]
    seeds = [SEED + i for i in range(CASES)]
    answers = gates(truths, RUNGS, seeds, one_floor)
    rows = []
    for truth, seed, answer in zip(truths, seeds, answers, strict=True):
        if answer is None:
            continue
        row, s, runs = answer.table.iloc[0], float(speed_up(truth, TARGET)), runs_of(truth, RUNGS, seed)
        last = runs.table[runs.table["C"] == runs.table["C"].max()].set_index("recipe")["loss"]
        by_line = least_squares(runs, "candidate", TARGET) < least_squares(runs, "baseline", TARGET)
        rows.append(
            {
                "kind": truth["kind"],
                "seed": seed,
                "s": s,
                "verdict": row["verdict"],
                "p": row["p_faster"],
                "p_now": row["p_enough_now"],
                "now": float(speed_up(truth, runs.table["C"].max())),
                "covers": row["lower"] <= s <= row["upper"],
                "gate": regret(row["verdict"] == "promote", s),
                "cost": row["cost"],
                "by_posterior": regret(row["regret_promote"] < row["regret_drop"], s),
                "largest": regret(last["candidate"] < last["baseline"], s),
                "least": regret(bool(by_line), s),
            }
        )
    table = pd.DataFrame(rows)
    table = followed(table, dict(zip(seeds, truths, strict=True)), one_floor)
    return [*_by_kind(table), "", *_calibration(table)]


def followed(table: pd.DataFrame, truths: dict[int, dict], one_floor: bool) -> pd.DataFrame:
    """Held candidates get further rungs, whose cost is charged, until they are decided; then what is held is dropped."""
    table = table.assign(final=table["verdict"], paid=0.0)
    for more in range(1, MOST_RUNGS + 1):
        held = table[table["final"] == "hold"]
        if not len(held):
            break
        answers = gates([truths[s] for s in held["seed"]], RUNGS + more, held["seed"].tolist(), one_floor)
        for i, answer in zip(held.index, answers, strict=True):
            table.loc[i, "paid"] += 2 * FIRST * STEP ** (RUNGS + more - 1) / TARGET
            table.loc[i, "final"] = "hold" if answer is None else answer.table["verdict"].iloc[0]
    wasted = [regret(final == "promote", s) for final, s in zip(table["final"], table["s"], strict=True)]
    return table.assign(programme=np.asarray(wasted) + table["paid"])


def _by_kind(table: pd.DataFrame) -> list[str]:
    lines = [
        "| candidates | cases | promote | hold | drop | after rungs: promote | 89% band holds | gate | with rungs | smaller expected regret | best at the largest | least squares |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for kind, own in [*((k, table[table["kind"] == k]) for k in KINDS), ("all", table)]:
        shares = [(own["verdict"] == v).mean() for v in ("promote", "hold", "drop")]
        after = (own["final"] == "promote").mean()
        means = [own[name].mean() for name in ("gate", "programme", "by_posterior", "largest", "least")]
        cells = [*(f"{v:.2f}" for v in (*shares, after, own["covers"].mean())), *(f"{v:.3f}" for v in means)]
        lines.append(f"| {kind} | {len(own)} | {' | '.join(cells)} |")
    return lines


def _calibration(table: pd.DataFrame) -> list[str]:
    """Stated probabilities of a speed-up above 1 at the target and at the largest rung, against how often it was."""
    own = table[table["kind"] != "null"]
    lines = [
        "| stated P(speed-up > 1) | at the target: cases, stated, true, p | at the largest rung: cases, stated, true, p |",
        "|---|---|---|",
    ]
    for low, high in ((0.0, 0.05), (0.05, 0.2), (0.2, 0.5), (0.5, 0.8), (0.8, 0.95), (0.95, 1.0001)):
        cells = []
        for p, s in (("p", "s"), ("p_now", "now")):
            inside = own[(own[p] >= low) & (own[p] < high)]
            if len(inside):
                hits, stated = int((inside[s] > 1).sum()), float(inside[p].mean())
                value = binomtest(hits, len(inside), min(max(stated, 1e-4), 1 - 1e-4)).pvalue
                cells.append(f"{len(inside)}, {stated:.2f}, {hits / len(inside):.2f}, {value:.2g}")
            else:
                cells.append("none")
        lines.append(f"| {low:g} to {min(high, 1):g} | {' | '.join(cells)} |")
    return lines


# Published optimizers


def optimizer_runs() -> dict[str, pd.DataFrame]:
    """The best run of each optimizer and size by architecture; of swept sizes the best rate."""
    table = pd.read_csv(DATA / "optimizer_speedruns.csv")
    table = table.sort_values("c4_en_bpb").drop_duplicates(["architecture", "optimizer", "size"])
    table = table[table["size"].isin(SIZES)]
    return {
        name: own.sort_values("model_flops").rename(columns={"model_flops": "C", "c4_en_bpb": "bpb"})
        for name, own in table.groupby("architecture")
    }


def measured_speed_up(baseline: pd.DataFrame, candidate: pd.DataFrame, C: float) -> float:
    """How many times the compute the baseline needs for the candidate's loss, between its own runs, linear in logs."""
    wanted = float(candidate.loc[candidate["C"] == candidate["C"].max(), "bpb"].iloc[0])
    x, y = np.log(baseline["C"].to_numpy(float)), np.log(baseline["bpb"].to_numpy(float))
    i = int(np.clip(np.searchsorted(-y, -np.log(wanted)), 1, len(y) - 1))
    slope = (y[i] - y[i - 1]) / (x[i] - x[i - 1])
    return float(np.exp(x[i - 1] + (np.log(wanted) - y[i - 1]) / slope) / C)


def optimizers() -> list[str]:
    tables, rows = optimizer_runs(), []
    whole = {
        name: [
            optimizer
            for optimizer, own in table.groupby("optimizer")
            if set(own["size"]) >= set(SIZES) and optimizer != DIVERGED
        ]
        for name, table in tables.items()
    }
    for cut in (2, 3):
        known = pd.concat(
            [t[t["size"].isin(SIZES[:cut]) & t["optimizer"].isin(whole[name])] for name, t in tables.items()]
        )
        columns = ["architecture", "optimizer"]
        runs = sb.read_runs(known[["C", "bpb", *columns]], inputs={"C": "C"}, response="bpb", group=columns)
        # Two runs of each say nothing of its floor: there all have one.
        law = sb.laws.power_floor
        priors = {"E": sb.shared(sb.Model(law, runs, discrepancy=None).priors["E"].prior)} if cut == 2 else {}
        fit = sb.fit(law, runs, pooling="pooled", priors=priors, seed=1, progress=False)
        if fit.diagnostics.problems:
            raise RuntimeError(f"cut off at rung {cut}: {fit.diagnostics.problems}")
        for name, optimizers_of in whole.items():
            for a, b in combinations(optimizers_of, 2):
                rows.append({"cut": cut, **_pair(fit, name, tables[name], list(SIZES), cut, a, b)})
    table = pd.DataFrame(rows)
    lines = [
        "| pairs | cut off at | pairs | reversals | Brier: gate | naive | base rate | 89% of the speed-up holds | P(turns) where it turned | where it did not | shrinking, not turned: P > 0.5 |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for clean in (False, True):
        for cut in (2, 3):
            own = table[(table["cut"] == cut) & (table["clean"] | (not clean))]
            turned = own["turned"].to_numpy(bool)
            brier = np.mean((own["p_turns"] - turned) ** 2)
            naive, base = np.mean(turned**2.0), turned.mean() * (1 - turned.mean())
            shrinking = own[own["shrinks"] & ~own["turned"]]
            cells = [
                "clean" if clean else "all",
                f"rung {cut}",
                str(len(own)),
                str(int(turned.sum())),
                f"{brier:.3f}",
                f"{naive:.3f}",
                f"{base:.3f}",
                f"{own['covers'].mean():.2f}",
                f"{own['p_turns'][turned].mean():.2f}" if turned.any() else "",
                f"{own['p_turns'][~turned].mean():.2f}",
                f"{int((shrinking['p_turns'] > 0.5).sum())} of {len(shrinking)}",
            ]
            lines.append(f"| {' | '.join(cells)} |")
    return lines


def _pair(fit: sb.Fit, architecture: str, table: pd.DataFrame, sizes: list[str], cut: int, a: str, b: str) -> dict:
    """Whoever is ahead at the cut-off is the baseline; the other may overtake it."""
    of = {name: table[table["optimizer"] == name].set_index("size") for name in (a, b)}
    there = {name: float(own.loc[sizes[cut - 1], "bpb"]) for name, own in of.items()}
    ahead, behind = sorted((a, b), key=lambda name: there[name])
    C = float(of[ahead].loc[sizes[-1], "C"])
    label = {name: f"{architecture}, {name}" for name in (a, b)}
    answer = sb.gate(fit, baseline=label[ahead], candidates=[label[behind]], to=C)
    row = answer.table.iloc[0]
    last = {name: float(own.loc[sizes[-1], "bpb"]) for name, own in of.items()}
    gaps = there[behind] - there[ahead], last[behind] - last[ahead]
    s = measured_speed_up(of[ahead].reset_index(), of[behind].reset_index(), C)
    return {
        "turned": gaps[1] < 0,
        "shrinks": abs(gaps[1]) < gaps[0],
        "near": abs(gaps[1]) < NOISE_OF_BPB,
        "p_turns": row["p_faster"],
        "covers": row["lower"] <= s <= row["upper"],
        "clean": not {a, b} & set(CONFOUNDED),
    }


# Sweeps


def sweeps() -> list[str]:
    table = pd.read_csv(DATA / "scalebench_lr_batch.csv")
    cell, swept = ["n_params", "n_tokens"], ["lr", "batch_size_seq"]
    full = table.groupby(cell)["loss"].min().rename("full").reset_index()
    inputs = {"N": "n_params", "D": "n_tokens", "lr": "lr", "batch": "batch_size_seq"}
    rng, rows = np.random.default_rng(SEED), []
    for _ in range(20):
        some = table[rng.random(len(table)) < 0.5]
        runs = sb.read_runs(some, inputs=inputs, response="loss")
        of_bowls = some.groupby(cell)[[*swept, "loss"]].apply(_own_bowl).rename("loss").reset_index()
        answers = {
            "`best_of`": sb.best_of(runs, swept).table,
            "plain minimum": some.groupby(cell)["loss"].min().reset_index(),
            "a parabola for each cell": of_bowls,
        }
        for name, found in answers.items():
            both = found.merge(full, on=cell)
            off = np.log(both["loss"] / both["full"])
            rows.append({"by": name, "rms": np.sqrt((off**2).mean()), "mean": off.mean(), "largest": off.abs().max()})
    found = pd.DataFrame(rows).groupby("by", sort=False).mean()
    wins = pd.DataFrame(rows).assign(draw=np.repeat(np.arange(20), 3)).pivot(index="draw", columns="by", values="rms")
    nearest = wins.idxmin(axis=1).value_counts()
    return [
        f"| {name} | {1e3 * row['rms']:.2f} | {1e3 * row['mean']:+.2f} | {1e3 * row['largest']:.1f} | "
        f"{nearest.get(name, 0)} of 20 |"
        for name, row in found.iterrows()
    ]


def _own_bowl(own: pd.DataFrame) -> float:
    """The bottom of a parabola through the runs of a cell within 5% of its best; the best where there is none."""
    z, y = np.log(own[["lr", "batch_size_seq"]].to_numpy(float)), np.log(own["loss"].to_numpy(float))
    near = y < y.min() + 0.05
    z, y = z[near] - z[near].mean(0), y[near]
    design = np.column_stack([np.ones(len(z)), z, z[:, 0] ** 2, z[:, 0] * z[:, 1], z[:, 1] ** 2])
    if len(y) < 8:
        return float(np.exp(y.min()))
    b = np.linalg.lstsq(design, y, rcond=None)[0]
    curved = np.array([[2 * b[3], b[4]], [b[4], 2 * b[5]]])
    if np.linalg.eigvalsh(curved).min() <= 0:
        return float(np.exp(y.min()))
    return float(np.exp(b[0] - 0.5 * b[1:3] @ np.linalg.solve(curved, b[1:3])))


PARTS = {
    "simulated": ("Simulated candidates, a floor of their own", "", simulated),
    "one floor": ("Simulated candidates, one floor", "", lambda: simulated(one_floor=True)),
    "optimizers": ("Optimizers", "", optimizers),
    "sweeps": (
        "The best of half a sweep",
        "| by | root mean square, 1e-3 in logs | mean | largest of 41 cells | nearest |\n|---|---:|---:|---:|---:|",
        sweeps,
    ),
}

if __name__ == "__main__":
    run_parts(__doc__, PAGE, PARTS)
