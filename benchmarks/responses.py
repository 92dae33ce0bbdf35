"""Responses and inputs that are no losses over two scales: accuracies of families, and losses over mixtures.

``python benchmarks/responses.py`` rewrites the tables of ``responses.md``.
"""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pandas as pd
from cases import table_at
from page import run_parts
from scipy.optimize import least_squares

import scalebayes as sb

PAGE = "responses.md"
TASKS = {"mmlu": (0.25, 14042), "gsm8k": (0.0, 1319)}  # the level of a random guess, and the number of questions
AHEAD = 6  # models of the most compute that are held back
DOMAINS = range(1, 6)
REPEATS, SHARE, SEARCHES = 5, 0.2, 6


def families() -> list[str]:
    """Accuracies over compute with an intercept for each family; the models of most compute held back."""
    every = pd.read_csv(table_at("families", "observational_llms.csv")).dropna(subset=["flops"]).sort_values("flops")
    lines = []
    for task, (guess, items) in TASKS.items():
        table = every.dropna(subset=[task]).assign(items=items)
        known, held = table.iloc[:-AHEAD], table.iloc[-AHEAD:]
        runs = sb.read_runs(known, inputs={"C": "flops"}, response=task, group="family", better="higher")
        fit = sb.fit(
            accuracy_of(guess),
            runs,
            priors={"a": sb.pooled(sb.Normal(-1, 1.5), spread=1.5), "b": sb.Normal(1, 0.7)},
            observation=sb.BetaBinomial("items", rounded=True),
        )
        inside, highest = [], 0.0
        for row in held.to_dict("records"):
            of = {"group": row["family"]} if row["family"] in runs.levels else {"new_group": True}
            band = sb.forecast(fit, at={"C": [row["flops"]], "items": [items]}, **of).table.iloc[0]
            inside.append(band["new_run_lower"] <= row[task] <= band["new_run_upper"])
            highest = max(highest, band["new_run_upper"])
        steps, found = float(fit.idata["sample_stats"]["n_steps"].mean()), fit.diagnostics
        lines.append(
            f"| {task} | {len(runs)} | {len(runs.levels)} | {found.max_r_hat:.3f}, {found.divergences} | {steps:.1f} | "
            f"{highest:.2f} | {sum(inside)} of {len(inside)} |"
        )
    return lines


def accuracy_of(guess: float):
    """A logistic curve in log compute from the level of a guess to 1."""

    def accuracy(C, *, a, b):
        return guess + (1 - guess) / (1 + jnp.exp(-a - b * jnp.log10(C / 1e23)))

    return accuracy


def mixture(p, *, c, k, t_1, t_2, t_3, t_4, t_5):
    """A domain's loss over proportions (Ye et al. 2024, arXiv:2403.16952)."""
    weights = (t_1, t_2, t_3, t_4, t_5)
    return c + k * jnp.exp(sum(t * p[..., i] for i, t in enumerate(weights)))


def mixtures() -> list[str]:
    """Five domains' losses over five proportions at four sizes, with a random fifth held back, five times."""
    table = pd.read_csv(table_at("mixtures", "scalebench_mixture.csv"))
    columns, rng = [f"proportion_domain_{i}" for i in DOMAINS], np.random.default_rng(0)
    priors = {"c": sb.pooled(sb.LogNormal(2, 0.5), spread=0.3), "k": sb.pooled(sb.LogNormal(0.8, 0.7), spread=0.3)}
    priors |= {f"t_{i}": sb.Normal(0, 2) for i in DOMAINS}
    models, held = {}, {}
    for repeat in range(REPEATS):
        ahead = np.isin(np.arange(len(table)), rng.choice(len(table), round(SHARE * len(table)), replace=False))
        for i in DOMAINS:
            runs = sb.read_runs(table[~ahead], inputs={"p": columns}, response=f"loss_domain_{i}", group="group")
            models[f"{i}, {repeat}"] = sb.Model(mixture, runs, priors=priors)
            held[f"{i}, {repeat}"] = table[ahead]
    fits, rows = sb.fit_many(models, draws=500), []
    for name, model in models.items():
        ahead, response = held[name], model.runs.response
        y = ahead[response].to_numpy()
        band = sb.forecast(fits[name], at=ahead).table
        squares = _least_squares(model.runs.table, ahead, columns, response, rng)
        rows.append(
            {
                "domain": name.partition(",")[0],
                "r2": _r2(y, band["median"].to_numpy()),
                "covers": float(((band["new_run_lower"] <= y) & (y <= band["new_run_upper"])).mean()),
                "squares": _r2(y, squares),
                "converged": bool(fits.table.loc[name, "converged"]),
            }
        )
    frame = pd.DataFrame(rows)
    parts = [*frame.groupby("domain"), ("all", frame)]
    return [
        f"| {domain} | {part['r2'].mean():.3f} | {part['squares'].mean():.3f} | {part['covers'].mean():.2f} | "
        f"{part['converged'].sum()} of {len(part)} |"
        for domain, part in parts
    ]


def _least_squares(
    known: pd.DataFrame, ahead: pd.DataFrame, columns: list[str], response: str, rng: np.random.Generator
) -> np.ndarray:
    """The same law by least squares on log residuals: c and k of each size, the weights of all."""
    sizes = sorted(known["group"].unique())
    n = len(sizes)

    def law(theta: np.ndarray, of: pd.DataFrame) -> np.ndarray:
        at = of["group"].map(sizes.index).to_numpy()
        return np.exp(theta[:n])[at] + np.exp(theta[n : 2 * n])[at] * np.exp(of[columns].to_numpy() @ theta[2 * n :])

    def residuals(theta: np.ndarray) -> np.ndarray:
        return np.log(law(theta, known)) - np.log(known[response].to_numpy())

    starts = [
        np.concatenate([rng.normal(np.log(2), 0.2, n), rng.normal(np.log(0.8), 0.3, n), rng.normal(0, 1, len(columns))])
        for _ in range(SEARCHES)
    ]
    return law(min((least_squares(residuals, s, max_nfev=2000) for s in starts), key=lambda end: end.cost).x, ahead)


def _r2(y: np.ndarray, forecast: np.ndarray) -> float:
    return float(1 - ((forecast - y) ** 2).sum() / ((y - y.mean()) ** 2).sum())


PARTS = {
    "families": (
        "Accuracies of families",
        "| task | models | families | r-hat, diverging | gradients a draw | highest end of a band | held back in 89% bands |\n"
        "|---|---:|---:|---|---:|---:|---|",
        families,
    ),
    "mixtures": (
        "Losses over mixtures",
        "| domain | R2 | R2 of least squares | 89% covers | converged |\n|---|---:|---:|---:|---|",
        mixtures,
    ),
}


if __name__ == "__main__":
    run_parts(__doc__, PAGE, PARTS)
