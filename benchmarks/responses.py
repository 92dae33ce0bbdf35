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


CHANCE = {"arc_challenge": 1 / 4, "arc_easy": 1 / 4, "boolq": 1 / 2, "csqa": 1 / 5, "hellaswag": 1 / 4}
CHANCE |= {"openbookqa": 1 / 4, "piqa": 1 / 2, "socialiqa": 1 / 3, "winogrande": 1 / 2}


def score(L, chance, *, level, k):
    """Accuracy as a logistic curve in the loss of a task, from the level of a guess to 1."""
    return chance + (1 - chance) / (1 + jnp.exp(k * (L - 1) - level))


def ladder() -> list[str]:
    """Nine tasks at four sizes: the losses and accuracies of the largest from the three smaller ones."""
    table = pd.read_csv(table_at("ladder", "olmo_ladder.csv"))
    largest = table["size"] == "1B"
    # Losses of different tasks are counted in the mean of their known runs, so that tasks have floors in common.
    typical = table["task"].map(table[~largest].groupby("task")["bpb"].mean())
    table = table.assign(chance=table["task"].map(CHANCE), typical=typical, relative=table["bpb"] / typical)
    table = table.rename(columns={"n_params": "N", "n_tokens": "D"})
    known, ahead = table[~largest], table[largest]
    runs = sb.read_runs(
        known,
        inputs={"N": "N", "D": "D", "chance": sb.Input("chance", kind="constant")},
        response="accuracy",
        group="task",
        better="higher",
    )
    fit = sb.fit(
        sb.laws.composed(score, {"L": sb.laws.chinchilla}),
        runs,
        priors={
            "level": sb.pooled(sb.Normal(-1, 1.5), spread=1.0),
            "k": sb.pooled(sb.LogNormal(4, 0.7), spread=0.5),
        },
        observation=sb.BetaBinomial("items", rounded=True),
        also={"relative": sb.laws.chinchilla},
    )
    squares = _two_steps(known, ahead)
    rows = []
    for column, unit in (("accuracy", 1.0), ("relative", ahead["typical"].to_numpy())):
        of = fit if column == "accuracy" else sb.with_response(fit, column)
        band = sb.forecast(of, at=ahead[["N", "D", "task", "items", "chance"]]).table
        y, middle = ahead[column].to_numpy() * unit, band["median"].to_numpy() * unit
        inside = (band["new_run_lower"] * unit <= y) & (y <= band["new_run_upper"] * unit)
        rows.append(
            f"| {'accuracy' if column == 'accuracy' else 'bits per byte'} | {np.abs(middle - y).mean():.4f} | "
            f"{np.abs(squares[column] * unit - y).mean():.4f} | {inside.mean():.2f} | {fit.diagnostics.max_r_hat:.3f}, "
            f"{fit.diagnostics.divergences} | {float(fit.idata['sample_stats']['n_steps'].mean()):.0f} |"
        )
    return rows


def _two_steps(known: pd.DataFrame, ahead: pd.DataFrame) -> dict[str, np.ndarray]:
    """The same two laws by least squares, one after the other, each task by itself."""
    found = {name: np.empty(len(ahead)) for name in ("relative", "accuracy")}
    for task, own in known.groupby("task"):
        rows = (ahead["task"] == task).to_numpy()
        found["relative"][rows], found["accuracy"][rows] = _of_task(own, ahead[rows], CHANCE[str(task)])
    return found


def _of_task(known: pd.DataFrame, ahead: pd.DataFrame, chance: float) -> tuple[np.ndarray, np.ndarray]:
    def loss(theta, of):
        e, a, b, alpha, beta = theta
        return np.exp(e) + np.exp(a) * (of["N"] / 5e8) ** -alpha + np.exp(b) * (of["D"] / 2e10) ** -beta

    def accuracy(theta, x):
        return chance + (1 - chance) / (1 + np.exp(theta[0] * (x - 1) - theta[1]))

    def off(theta):
        return np.log(loss(theta, known)) - np.log(known["relative"])

    starts = [[np.log(0.7), -2, -2, alpha, alpha] for alpha in (0.2, 0.4, 0.8)]
    first = min((least_squares(off, start, max_nfev=5000) for start in starts), key=lambda end: end.cost).x
    second = least_squares(lambda t: accuracy(t, known["relative"]) - known["accuracy"], [4.0, -1.0]).x
    predicted = loss(first, ahead)
    return predicted, accuracy(second, predicted)


PARTS = {
    "ladder": (
        "Losses and accuracies of nine tasks together",
        "| | mean absolute error | by least squares in two steps | 89% covers | r-hat, diverging | gradients a draw |\n"
        "|---|---:|---:|---:|---|---:|",
        ladder,
    ),
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
