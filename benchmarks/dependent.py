"""Several rows of one run: do bands of final values cover, with rows taken for independent and with effects of runs?

``python benchmarks/dependent.py`` rewrites the tables of ``dependent.md``.
"""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pandas as pd
from cases import table_at
from page import run_parts

import scalebayes as sb

PAGE = "dependent.md"
REPEATS, SHARE = 5, 1 / 3
WAYS = {
    "rows independent": None,
    "run effects, default prior": sb.RunEffects(),
    "run effects of about a percent": sb.RunEffects(sb.LogNormal(0.01, 0.5)),
    "effects that change along a run": sb.RunEffects(along="n_tokens"),
}


def isoflop() -> list[str]:
    """Runs of eight recipes at several budgets: a third of the models of each recipe held back, at random."""
    table = pd.read_csv(table_at("isoflop", "porian_isoflop.csv"))
    table = table[(table["param_count"] == "standard") & (table["loss_split"] == "val")]
    recipe = table["dataset"] + " " + table["recipe"]
    table = table.assign(group=recipe, run=recipe + " " + table["n_params"].astype(str))
    return _covered(table, sb.laws.chinchilla, {"N": "n_params", "D": "n_tokens"}, {}, WAYS)


def repeated(N, D, U, *, E, A, B, alpha, beta, R_D):
    """Muennighoff et al. 2023, arXiv:2305.16264, without excess parameters: repeated tokens are worth less."""
    unique = jnp.minimum(D, U)
    worth = unique - unique * R_D * jnp.expm1(-jnp.maximum(D / unique - 1, 0) / R_D)
    return E + A * N**-alpha + B * worth**-beta


def epochs() -> list[str]:
    """Checkpoints of runs on repeated data: a third of the runs of each data set held back, at random."""
    # Runs of 44 epochs overfit, which the law, as its authors say, does not describe.
    table = pd.read_csv(table_at("epochs", "datablations_curves.csv")).query("epochs_at_end < 44")
    table = table.rename(columns={"curve_id": "run"})
    last = table.groupby("run")["n_tokens"].transform("max")
    # The first part of a run, its warm-up, follows no law of final values.
    table = table.assign(unique=last / table["epochs_at_end"], group=table["dataset"])[table["n_tokens"] > 0.05 * last]
    priors = {
        "E": sb.pooled(sb.FloorShare(0.6, 1.0), spread=0.1),
        "A": sb.pooled(sb.Anchored(sb.ResponseShare(0.3, 1.0), input="N", exponent="alpha"), spread=0.5),
        "B": sb.pooled(sb.Anchored(sb.ResponseShare(0.3, 1.0), input="D", exponent="beta"), spread=0.5),
        "alpha": sb.LogNormal(0.3, 0.5),
        "beta": sb.LogNormal(0.3, 0.5),
        "R_D": sb.LogNormal(15.0, 1.0),
    }
    return _covered(table, repeated, {"N": "n_params", "D": "n_tokens", "U": "unique"}, priors, WAYS)


def curves() -> list[str]:
    """The final value of each curve from its first 30%, by the law alone and by default."""
    table = pd.read_csv(table_at("curves", "openclip_imagenet_curves.csv"))
    runs = sb.read_runs(table, inputs={"D": "n_samples"}, response="error", group="model_name")
    lines = []
    for name, discrepancy in (("law alone, rows independent", None), ("drift (default)", "auto")):
        found = sb.backtest(
            sb.laws.power_floor, runs, cutoffs=[0.3], discrepancy=discrepancy, baselines=False, skip=True
        )
        points = found.points
        final = points.loc[points.groupby("curve")["scale"].idxmax()]
        inside = (final["lower"] <= final["response"]) & (final["response"] <= final["upper"])
        good = found.curves["converged"].mean()
        lines.append(f"| {name} | {len(final)} | {inside.mean():.2f} | | {good:.0%} |")
    return lines


def _covered(table: pd.DataFrame, law, inputs: dict, priors: dict, ways: dict) -> list[str]:
    """How many final values of held-back runs lie in the bands, by how rows of a run are taken to depend."""
    rng = np.random.default_rng(0)
    rows: dict[str, list[dict]] = {name: [] for name in ways}
    for _ in range(REPEATS):
        held = {
            run
            for _, own in table.groupby("group")["run"]
            for run in rng.choice(own.unique(), round(SHARE * own.nunique()), replace=False)
        }
        ahead = table["run"].isin(held)
        final = table[ahead].loc[table[ahead].groupby("run")["n_tokens"].idxmax()]
        runs = sb.read_runs(table[~ahead], inputs=inputs, response="loss", group="group", run="run")
        for name, discrepancy in ways.items():
            fit = sb.fit(law, runs, priors=priors, discrepancy=discrepancy, observation=_noise(discrepancy))
            band = sb.forecast(fit, at=final[[*inputs.values(), "group"]]).table
            y = final["loss"].to_numpy()
            rows[name].append(
                {
                    "runs": len(y),
                    "inside": ((band["new_run_lower"] <= y) & (y <= band["new_run_upper"])).mean(),
                    "width": np.log(band["new_run_upper"] / band["new_run_lower"]).mean(),
                    "converged": not fit.diagnostics.problems,
                }
            )
    lines = []
    for name, found in rows.items():
        frame = pd.DataFrame(found)
        lines.append(
            f"| {name} | {frame['runs'].sum()} | {np.average(frame['inside'], weights=frame['runs']):.2f} | "
            f"{frame['width'].mean():.3f} | {frame['converged'].mean():.0%} |"
        )
    return lines


def _noise(discrepancy) -> str | None:
    return "gaussian" if isinstance(discrepancy, sb.RunEffects) else None


HEAD = "| | final values | 89% covers | width in logs | converged |\n|---|---:|---:|---:|---:|"
PARTS = {
    "isoflop": ("Recipes at several budgets (Porian et al.)", HEAD, isoflop),
    "epochs": ("Runs on repeated data (Muennighoff et al.)", HEAD, epochs),
    "curves": ("Curves of OpenCLIP from their first 30%", HEAD, curves),
}


if __name__ == "__main__":
    run_parts(__doc__, PAGE, PARTS)
