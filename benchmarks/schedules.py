"""Losses under learning-rate schedules that no run had: the multi-power and the annealing law as a user's own.

``python benchmarks/schedules.py`` rewrites the tables of ``schedules.md``.
"""

from __future__ import annotations

from functools import cache

import jax.numpy as jnp
import numpy as np
import pandas as pd
from cases import table_at
from page import run_parts

import scalebayes as sb

PAGE = "schedules.md"
PEAK, END, WARM_UP = 3e-4, 3e-5, 2160
EVERY = 9  # of the known rows
# Of the published fit, arXiv:2503.12811: L_0, A, alpha, B, C, beta, gamma.
PUBLISHED = {
    "25M": (3.04045406, 0.52468604, 0.50786857, 363.7875, 2.06560812, 0.58279013, 0.64142257),
    "100M": (2.6514477, 0.60115152, 0.45295811, 437.9465, 2.13245612, 0.59785199, 0.65523644),
    "400M": (2.37474466, 0.65421216, 0.42878731, 523.4246, 2.02462735, 0.59350493, 0.63472457),
}


def multi_power(eta, *, L_0, A, alpha, B, C, beta, gamma):
    """Luo et al. 2025, arXiv:2503.12811."""
    s = sb.laws.segments(eta)
    C, beta, gamma = (jnp.asarray(each)[..., None] for each in (C, beta, gamma))
    return L_0 + A * s.total**-alpha - B * (s.drop * (1 - (1 + C * s.rate**-gamma * s.left) ** -beta)).sum(-1)


def annealing(eta, *, L_0, A, alpha, C, tau):
    """Tissue, Wang and Wang 2024, arXiv:2408.11029, with lambda = exp(-1 / tau)."""
    s = sb.laws.segments(eta)
    tau = jnp.asarray(tau)[..., None]
    return L_0 + A * s.total**-alpha - C * (s.drop * tau * -jnp.expm1(-s.steps / tau)).sum(-1)


COMMON = {
    "L_0": sb.pooled(sb.LogNormal(2.5, 0.2), spread=0.2),
    "A": sb.pooled(sb.LogNormal(0.6, 0.5), spread=0.2),
    "alpha": sb.pooled(sb.LogNormal(0.45, 0.3), spread=0.2),
}
LAWS = {
    multi_power: COMMON
    | {
        "B": sb.pooled(sb.LogNormal(400, 0.7), spread=0.3),
        "C": sb.pooled(sb.LogNormal(2, 0.7), spread=0.3),
        "beta": sb.pooled(sb.LogNormal(0.6, 0.3), spread=0.2),
        "gamma": sb.pooled(sb.LogNormal(0.6, 0.3), spread=0.2),
    },
    annealing: COMMON
    | {
        "C": sb.pooled(sb.LogNormal(0.5, 0.7), spread=0.3),
        "tau": sb.pooled(sb.LogNormal(1000, 1.0), spread=0.3),
    },
}


def rates_of(schedule: str) -> np.ndarray:
    """The learning rates of a schedule by its formula, at every step."""
    kind, *numbers = schedule.split("_")
    steps = 16000 if kind == "wsdcon" else int(numbers[-1])
    k = np.arange(1, steps + 1)
    first = int(numbers[0]) if len(numbers) > 1 else WARM_UP
    u = np.clip((k - first) / (steps - first), 0, 1)
    down = {
        "constant": np.full(steps, PEAK),
        "cosine": END + (PEAK - END) * 0.5 * (1 + np.cos(np.pi * u)),
        "wsd": PEAK * (END / PEAK) ** u,
        "wsdld": PEAK - (PEAK - END) * u,
        "wsdcon": np.where(k >= 8000, int(numbers[0]) * 1e-5, PEAK),
    }[kind]
    return np.where(k <= WARM_UP, PEAK * k / WARM_UP, down)


@cache
def table() -> pd.DataFrame:
    found = pd.read_csv(table_at("schedules", "lr_schedules_mpl.csv")).sort_values(["n_params", "schedule", "step"])
    size = (found["n_params"] / 1e6).astype(int).astype(str) + "M"
    return found.assign(size=size, run=size + " " + found["schedule"])


def fitted(law) -> sb.Fit:
    """One fit of three sizes, from the three schedules of the published fit; rows of a run are not independent."""
    known = table()[table()["split"] == "train"]
    known = known[known.groupby("run").cumcount() % EVERY == 0]
    rates = {name: rates_of(name) for name in table()["schedule"].unique()}
    runs = sb.read_runs(
        known, inputs={"eta": sb.schedule("schedule", rates, step="step")}, response="loss", group="size", run="run"
    )
    return sb.fit(law, runs, priors=LAWS[law], discrepancy=sb.RunEffects(along="step"))


def published(size: str, rates: np.ndarray) -> float:
    """The loss at the end of the rates by the published constants, summed over all steps."""
    L_0, A, alpha, B, C, beta, gamma = PUBLISHED[size]
    drop, left = -np.diff(rates, prepend=0.0), np.cumsum(rates[::-1])[::-1]
    return L_0 + A * left[0] ** -alpha - B * (drop * (1 - (1 + C * rates**-gamma * left) ** -beta)).sum()


def schedules() -> list[str]:
    """Root mean squared errors of every curve, every third row of it."""
    found = {law: fitted(law) for law in LAWS}
    rows = []
    for schedule, own in table().groupby("schedule"):
        own = own[own.groupby("run").cumcount() % 3 == 0]
        y, rates = own["loss"].to_numpy(), rates_of(str(schedule))
        by_constants = [published(size, rates[:step]) for size, step in zip(own["size"], own["step"], strict=True)]
        row = {"schedule": schedule, "split": own["split"].iloc[0], "published": np.asarray(by_constants) - y}
        for law, fit in found.items():
            band = sb.forecast(fit, at=own[["schedule", "step", "size"]]).table
            error = band["median"].to_numpy() - y
            about = y - own.groupby("size")["loss"].transform("mean").to_numpy()
            r2 = [
                1 - (error[at] ** 2).sum() / (about[at] ** 2).sum()
                for at in ((own["size"] == size).to_numpy() for size in PUBLISHED)
            ]
            inside = ((band["new_run_lower"] <= y) & (y <= band["new_run_upper"])).mean()
            row |= {f"{law.__name__} error": error, f"{law.__name__} r2": min(r2), f"{law.__name__} inside": inside}
        rows.append(row)
    rows.sort(key=lambda row: (row["split"] != "train", row["schedule"]))
    lines = [_line(f"{row['schedule']}, {'fitted' if row['split'] == 'train' else 'another'}", [row]) for row in rows]
    others = [row for row in rows if row["split"] != "train"]
    lines.append(_line("the six others, all rows", others))
    lines += [
        f"| {law.__name__}: r-hat {fit.diagnostics.max_r_hat:.3f}, {fit.diagnostics.divergences} divergences, "
        f"{float(fit.idata['sample_stats']['n_steps'].mean()):.0f} gradients a draw | | | | | | |"
        for law, fit in found.items()
    ]
    return lines


def _line(name: str, rows: list[dict]) -> str:
    def rmse(key: str) -> float:
        return float(np.sqrt(np.mean(np.concatenate([row[key] for row in rows]) ** 2)))

    by = rmse("published")
    cells = [f"{by:.4f}"]
    for law in LAWS:
        own, weights = rmse(f"{law.__name__} error"), [len(row["published"]) for row in rows]
        inside = np.average([row[f"{law.__name__} inside"] for row in rows], weights=weights)
        r2 = min(row[f"{law.__name__} r2"] for row in rows)
        cells.append(f"{own:.4f} ({own / by:.2f}) | {r2:.4f} | {inside:.2f}")
    return f"| {name} | {' | '.join(cells)} |"


PARTS = {
    "schedules": (
        "Nine schedules at three sizes",
        "| schedule | published constants | multi-power (ratio) | lowest R2 | 89% covers | annealing (ratio) | lowest R2 | "
        "89% covers |\n|---|---:|---:|---:|---:|---:|---:|---:|",
        schedules,
    ),
}


if __name__ == "__main__":
    run_parts(__doc__, PAGE, PARTS)
