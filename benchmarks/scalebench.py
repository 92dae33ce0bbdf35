"""Eight tasks of ScaleBench: laws chosen on the cheapest four fifths of the runs, scored once on the dearest fifth.

``python benchmarks/scalebench.py`` rewrites the tables of ``scalebench.md``; ``--inner`` only shows the choice, for which
the dearest fifth is not read.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from cases import table_at
from page import commit, written
from scipy.optimize import least_squares

import scalebayes as sb

PAGE = "scalebench.md"
SHARE, PROB = 0.2, 0.89
SEARCHES = 30  # of least squares, from draws of the prior
L, P = sb.LogNormal, sb.pooled


@dataclass(frozen=True)
class Candidate:
    """A law with priors and observation, and which of the known rows it is fitted to."""

    law: Any
    inputs: Mapping[str, Any]
    settings: Mapping[str, Any] = field(default_factory=dict)
    rows: Callable[[pd.DataFrame], pd.DataFrame] = lambda known: known
    run: str | None = None


@dataclass(frozen=True)
class Task:
    """A table, what a run costs (none: rows are held back at random), and what may be chosen."""

    table: Callable[[], pd.DataFrame]
    response: str
    published: float
    candidates: Mapping[str, Candidate]
    cost: Callable[[pd.DataFrame], pd.Series] | None = None
    group: str | None = None


def rows(file: str) -> pd.DataFrame:
    return pd.read_csv(table_at("scalebench", file))


def split(table: pd.DataFrame, task: Task, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The known rows and those ahead."""
    n = round(SHARE * len(table))
    if task.cost is None:
        ahead = np.isin(np.arange(len(table)), np.random.default_rng(seed).choice(len(table), n, replace=False))
        return table[~ahead], table[ahead]
    order = np.argsort(task.cost(table).to_numpy(), kind="stable")
    return table.iloc[order[:-n]], table.iloc[order[-n:]]


# Laws of a user's own beside the built-in ones: what the candidates of a task differ in.
def vocabulary_and_data(N, V, D, *, E, A_1, A_2, B, alpha_1, alpha_2, beta, delta):
    """`vocabulary`, in which a large vocabulary needs more data."""
    of_sizes = A_1 * N**-alpha_1 + A_2 * V**-alpha_2
    return -E + of_sizes + B * V**delta * D**-beta


def vocabulary_bracket(N, V, D, *, E, A_1, A_2, B, alpha_1, alpha_2, beta, delta, gamma):
    """The same, where the scarcer of size and data is a bottleneck."""
    of_size = jnp.log(A_1) - alpha_1 * jnp.log(N)
    of_data = jnp.log(B) + delta * jnp.log(V) - beta * jnp.log(D)
    return -E + A_2 * V**-alpha_2 + jnp.exp(gamma * jnp.logaddexp(of_size / gamma, of_data / gamma))


def upcycled(N, P, D, *, E, A, B, alpha, a, b):
    """`sb.laws.upcycled` where the dense model has always had the same tokens."""
    return E + A * D**-alpha + B * P**-a * N**-b


def mean_size(N, D, P, *, E, A, B, alpha, beta, a):
    """`sb.laws.average_size`, of sizes that experts multiply."""
    return E + A * N**-alpha * P**-a + B * D**-beta


def mean_size_by_ratio(N, D, P, r, *, E, A, B, alpha, beta, a, c):
    """The same, where experts gain less if a token's model is not larger than the dense one."""
    return E + A * N**-alpha * P ** -(a - c / r**2) + B * D**-beta


def overfitted(N, D, U, *, E, A, B, alpha, beta, R_D, R_N, H, c, k, s, j):
    """`sb.laws.repeated_data`, above which large models that see few data often end."""
    held = sb.laws.repeated_data(N, D, U, E=E, A=A, B=B, alpha=alpha, beta=beta, R_D=R_D, R_N=R_N)
    return held + H * jax.nn.sigmoid(c + k * jnp.log(N) + s * jnp.log(D) - j * jnp.log(U))


def routed_and_dense(N, E, *, floor, A, alpha, b, c, E_start, E_max):
    """A power with floor in a size that experts multiply."""
    e = jnp.log(1 / (1 / (E - 1 + 1 / (1 / E_start - 1 / E_max)) + 1 / E_max))
    return floor + A * jnp.exp(-alpha * jnp.log(N) - b * e + c * e * jnp.log(N))


def flattening_bowl(N, D, lr, batch, *, E, A, B, alpha, beta, k, p, q, m, r, h_lr, h_batch, h_both, s_lr, s_batch):
    """`step_law`, whose bowl is flatter the more data there are."""
    u = jnp.log(lr) - jnp.log(k) + p * jnp.log(N) - q * jnp.log(D)
    v = jnp.log(batch) - jnp.log(m) - r * jnp.log(D)
    h_lr, h_batch = h_lr * D**-s_lr, h_batch * D**-s_batch
    bowl = (h_lr * u**2 + h_batch * v**2) / 2 + h_both * jnp.sqrt(h_lr * h_batch) * u * v
    return (E + A * N**-alpha + B * D**-beta) * jnp.exp(bowl)


def _of(law: Callable) -> dict[str, Any]:
    return dict(sb.laws.as_law(law).priors)


def _vocabulary() -> dict[str, Any]:
    own = _of(sb.laws.vocabulary)
    renamed = {"N_nv": "N", "N_v": "V"}
    found = {}
    for name, pooling in own.items():
        prior = pooling.prior
        if isinstance(prior, sb.Anchored):
            prior = sb.Anchored(prior.value, renamed.get(prior.input, prior.input), prior.exponent)
        found[name] = prior
    return found


STUDENT_ONE = {"N_nv": "n_params", "N_v": "vocab_size", "D": "n_characters"}
LR_BATCH = {"N": "n_params", "D": "n_tokens", "lr": "lr", "batch": "batch_size_seq"}
MIXTURE = {"r": [f"proportion_domain_{i}" for i in range(1, 6)]}
UPCYCLED = {"N": "N_active", "P": "P", "D": "D2"}
ND = {"N": "N", "D": "D"}
REPEATED = {"N": "n_params", "D": "n_tokens", "U": "n_unique_tokens"}
EXPERTS = {"N": "n_params", "E": "num_experts"}


def _upcycled(inputs: tuple, exponents: tuple) -> dict[str, Any]:
    return {
        "E": sb.FloorShare(0.6, 1.0),
        "A": sb.Anchored(sb.ResponseShare(0.2, 1.0), "D", "alpha"),
        "B": sb.Anchored(sb.ResponseShare(0.3, 1.0), inputs, exponents),
        "alpha": L(0.2, 0.7),
        "a": L(0.1, 0.7),
        "b": L(0.3, 0.5),
    }


def _flattening() -> dict[str, Any]:
    return {name: each.prior for name, each in _of(sb.laws.step_law).items()} | {
        "h_lr": sb.Anchored(L(0.01, 1.5), "D", "s_lr"),
        "h_batch": sb.Anchored(L(0.01, 1.5), "D", "s_batch"),
        "s_lr": sb.Normal(0.0, 0.3),
        "s_batch": sb.Normal(0.0, 0.3),
    }


def _experts() -> pd.DataFrame:
    table = rows("routing_dense_sbase.csv").query("is_final == 1 and k == 1 and routing_frequency == 0.5")
    table = table[(table["num_experts"] <= 512) & (table["n_params"] < 400e6)]
    return table.assign(num_experts=table["num_experts"].astype(float))


def _vocabularies() -> pd.DataFrame:
    table = rows("scalebench_vocabulary.csv")
    return table.assign(run=table["n_params"].astype(str) + " " + table["vocab_size"].astype(str))


def _sweeps() -> pd.DataFrame:
    table = rows("scalebench_lr_batch.csv")
    return table.assign(cell=table["n_params"].astype(str) + " " + table["n_tokens"].astype(str))


def _last_parts(known: pd.DataFrame) -> pd.DataFrame:
    """Rows in the last two thirds of what is known of each run: early in training no law of final losses holds."""
    return known[known["n_characters"] > known.groupby("run")["n_characters"].transform("max") / 3]


def _sparsity() -> pd.DataFrame:
    table = rows("scalebench_sparsity.csv").drop(columns="group")
    tokens = table["D1"] + table["D2"]
    mean = (table["N_dense"] * table["D1"] + table["N_active"] * table["D2"]) / tokens
    return table.assign(tokens=tokens, N_mean=mean, ratio=table["N_active"] / table["N_dense"])


VOCABULARY = {
    "priors": _vocabulary()
    | {
        "B": sb.Anchored(sb.RangeShare(0.3, 1.0), ("D", "V"), ("beta", "-delta")),
        "delta": sb.Normal(0.1, 0.2),
    }
}
NVD = {"N": "n_params", "V": "vocab_size", "D": "n_characters"}
BRACKET = {
    "priors": VOCABULARY["priors"] | {"gamma": L(0.7, 0.5)},
    "observation": sb.StudentT(scale="identity"),
}
OVERFITTED = {name: each.prior for name, each in _of(sb.laws.repeated_data).items()} | {
    "H": L(5, 0.7),
    "c": sb.Anchored(sb.Normal(-3, 2), ("N", "D", "U"), ("k", "s", "-j"), "intercept"),
    "k": L(1, 0.7),
    "s": L(1, 0.7),
    "j": L(2, 0.7),
}
OF_EFFECTIVE_SIZE = {
    "priors": {
        "floor": sb.FloorShare(0.6, 1.0),
        "A": sb.Anchored(sb.ResponseShare(0.3, 1.0), "N", "alpha"),
        "alpha": L(0.2, 0.5),
        "b": sb.Anchored(sb.Normal(0.1, 0.1), "N", "c", "intercept", factor=-1.0),
        "c": sb.Normal(0.0, 0.02),
        "E_start": L(2, 0.4),
        "E_max": L(350, 0.6),
    }
}
MEAN_SIZE = {
    "E": sb.FloorShare(0.6, 1.0),
    "A": sb.Anchored(sb.ResponseShare(0.3, 1.0), "N", "alpha"),
    "B": sb.Anchored(sb.ResponseShare(0.3, 1.0), "D", "beta"),
    "alpha": L(0.3, 0.5),
    "beta": L(0.3, 0.5),
    "a": sb.Normal(0.05, 0.1),
}
SURFACE = {"discrepancy": "surface"}
WITHOUT = {"discrepancy": None}
SEPARATE = {"pooling": "separate"}  # losses on text and on code are not alike
PARALLEL = {"N": "n_params", "P": "n_streams"}

TASKS: dict[str, Task] = {
    "vocabulary": Task(
        _vocabularies,
        "loss_minus_unigram",
        0.93,
        {
            "vocabulary": Candidate(sb.laws.vocabulary, STUDENT_ONE),
            "vocabulary that needs data": Candidate(
                vocabulary_and_data,
                NVD,
                VOCABULARY | {"observation": sb.StudentT(scale="identity")},
            ),
            "the same, last two thirds of runs": Candidate(
                vocabulary_and_data,
                NVD,
                VOCABULARY | {"observation": sb.StudentT(scale="identity")},
                rows=_last_parts,
            ),
            "bracket": Candidate(vocabulary_bracket, NVD, BRACKET),
            "bracket, last two thirds of runs": Candidate(vocabulary_bracket, NVD, BRACKET, rows=_last_parts),
        },
        lambda t: t["n_params"] * t["n_characters"],
    ),
    "parallel": Task(
        lambda: rows("scalebench_parallel.csv"),
        "loss",
        0.99,
        {
            "parallel": Candidate(sb.laws.parallel, PARALLEL, WITHOUT | SEPARATE),
            "parallel, surface": Candidate(sb.laws.parallel, PARALLEL, SURFACE | SEPARATE),
        },
        lambda t: t["n_params"],
        "group",
    ),
    "sparsity": Task(
        _sparsity,
        "loss",
        0.37,
        {
            "upcycled": Candidate(upcycled, UPCYCLED, {"priors": _upcycled(("N", "P"), ("b", "a"))}),
            "mean size": Candidate(
                mean_size,
                {"N": "N_mean", "D": "tokens", "P": "P"},
                {"priors": MEAN_SIZE},
            ),
            "mean size, experts by ratio": Candidate(
                mean_size_by_ratio,
                {"N": "N_mean", "D": "tokens", "P": "P", "r": "ratio"},
                {"priors": MEAN_SIZE | {"c": sb.Normal(0.0, 0.1)}},
            ),
        },
        lambda t: 6.0 * t["N_dense"] * t["D1"] + 6.0 * t["N_active"] * t["D2"],
    ),
    "lr_batch": Task(
        _sweeps,
        "loss",
        0.04,
        {
            "step law": Candidate(sb.laws.step_law, LR_BATCH),
            "step law, one-sided noise": Candidate(sb.laws.step_law, LR_BATCH, {"observation": sb.ExGaussian()}),
            "bowl that flattens, one-sided noise": Candidate(
                flattening_bowl, LR_BATCH, {"priors": _flattening(), "observation": sb.ExGaussian()}
            ),
            "bowl that flattens, an effect of each size and data": Candidate(
                flattening_bowl,
                LR_BATCH,
                {
                    "priors": _flattening(),
                    "observation": sb.Gaussian(),
                    "discrepancy": sb.RunEffects(L(0.003, 1.0)),
                },
                run="cell",
            ),
        },
        lambda t: 6.0 * t["n_params"] * t["n_tokens"],
    ),
    "farseer": Task(
        lambda: rows("scalebench_farseer.csv"),
        "loss",
        0.91,
        {
            "chinchilla": Candidate(sb.laws.chinchilla, ND, WITHOUT),
            "chinchilla, surface": Candidate(sb.laws.chinchilla, ND),
            "farseer": Candidate(sb.laws.farseer, ND, WITHOUT),
            "outer power": Candidate(sb.laws.outer_power, ND, WITHOUT),
            "outer power, surface": Candidate(sb.laws.outer_power, ND),
        },
        lambda t: 6.0 * t["N"] * t["D"],
    ),
    "experts": Task(
        _experts,
        "loss",
        0.81,
        {
            "routed experts": Candidate(sb.laws.routed_experts, EXPERTS, WITHOUT),
            "routed experts, surface": Candidate(sb.laws.routed_experts, EXPERTS, SURFACE),
            "power with floor in an effective size": Candidate(
                sb.Law(routed_and_dense, floor="floor"),
                EXPERTS,
                OF_EFFECTIVE_SIZE | WITHOUT,
            ),
            "power with floor in an effective size, surface": Candidate(
                sb.Law(routed_and_dense, floor="floor"), EXPERTS, OF_EFFECTIVE_SIZE | SURFACE
            ),
        },
        lambda t: t["n_params"] * t["num_experts"],
    ),
    "repeated": Task(
        lambda: rows("datablations_final.csv"),
        "loss",
        0.79,
        {
            "repeated data": Candidate(sb.laws.repeated_data, REPEATED),
            "repeated data that overfit": Candidate(overfitted, REPEATED, {"priors": OVERFITTED}),
            "repeated data that overfit, Gaussian": Candidate(
                overfitted, REPEATED, {"priors": OVERFITTED, "observation": sb.Gaussian(L(0.02, 1.0))}
            ),
            "chinchilla": Candidate(sb.laws.chinchilla, {"N": "n_params", "D": "n_tokens"}, WITHOUT),
        },
        lambda t: 6.0 * t["n_params"] * t["n_tokens"],
    ),
}
for _i in range(1, 6):
    TASKS[f"mixture, domain {_i}"] = Task(
        lambda: rows("scalebench_mixture.csv"),
        f"loss_domain_{_i}",
        0.81,
        {"data mixing": Candidate(sb.laws.data_mixing([f"d{j}" for j in range(1, 6)]), MIXTURE)},
        group="group",
    )


def fitted(task: Task, candidate: Candidate, known: pd.DataFrame) -> sb.Fit:
    cost = None if task.cost is None else "cost"
    known = candidate.rows(known)
    known = known if task.cost is None else known.assign(cost=task.cost(known))
    runs = sb.read_runs(
        known, inputs=dict(candidate.inputs), response=task.response, group=task.group, cost=cost, run=candidate.run
    )
    return sb.fit(candidate.law, runs, **candidate.settings)


def scores(task: Task, fit: sb.Fit, ahead: pd.DataFrame) -> dict[str, Any]:
    """Of a fit on rows that it did not have."""
    ahead = ahead if task.cost is None else ahead.assign(cost=task.cost(ahead))
    y, table = ahead[task.response].to_numpy(float), sb.forecast(fit, at=ahead).table
    lower, upper = table["new_run_lower"].to_numpy(), table["new_run_upper"].to_numpy()
    penalty = 2 / (1 - PROB) * (np.maximum(lower - y, 0) + np.maximum(y - upper, 0))
    return {
        "r2": r2(y, table["median"].to_numpy()),
        "rmsle": rmsle(y, table["median"].to_numpy()),
        "covers": float(((lower <= y) & (y <= upper)).mean()),
        "interval score": float((upper - lower + penalty).mean()),
        "r-hat": fit.diagnostics.max_r_hat,
        "divergences": fit.diagnostics.divergences,
        "gradients": float(fit.idata["sample_stats"]["n_steps"].mean()),
    }


def r2(y: np.ndarray, forecast: np.ndarray) -> float:
    return float(1 - ((forecast - y) ** 2).sum() / ((y - y.mean()) ** 2).sum())


def rmsle(y: np.ndarray, forecast: np.ndarray) -> float:
    """Root mean squared error of logarithms; of a response that is negative, of its absolute value."""
    return float(np.sqrt(np.mean((np.log(np.abs(forecast)) - np.log(np.abs(y))) ** 2)))


def by_least_squares(task: Task, candidate: Candidate, known: pd.DataFrame, ahead: pd.DataFrame) -> np.ndarray:
    """The same law by least squares, each group alone, from draws of its prior."""
    found = np.empty(len(ahead))
    levels = [None] if task.group is None else sorted(known[task.group].unique())
    for level in levels:
        own, at = (t if level is None else t[t[task.group] == level] for t in (known, ahead))
        if len(at):
            where = slice(None) if level is None else (ahead[task.group] == level).to_numpy()
            found[where] = _squares(task, candidate, own, at)
    return found


def _squares(task: Task, candidate: Candidate, known: pd.DataFrame, ahead: pd.DataFrame) -> np.ndarray:
    settings = {k: v for k, v in candidate.settings.items() if k in ("priors", "observation")}
    runs = sb.read_runs(known, inputs=dict(candidate.inputs), response=task.response)
    law = sb.laws.as_law(candidate.law)
    model = sb.Model(law, runs, discrepancy=None, **settings)
    prior = model.prior(SEARCHES)["prior"].to_dataset().isel(chain=0)
    names = list(model.parameters)
    starts = np.stack([prior[name].to_numpy() for name in names], axis=1)
    positive = (starts > 0).all(axis=0)
    logs = task.response != "loss_minus_unigram"

    def theta(at):
        return {n: jnp.exp(v) if p else v for n, v, p in zip(names, at, positive, strict=True)}

    def arrays(table: pd.DataFrame) -> list[np.ndarray]:
        return [table[c].to_numpy(float) for c in candidate.inputs.values()]

    x, y = arrays(known), known[task.response].to_numpy(float)

    with jax.enable_x64(True):

        @jax.jit
        def residuals(at):
            mean = law.function(*x, **theta(at))
            return jnp.nan_to_num(jnp.log(mean) - jnp.log(y) if logs else mean - y, nan=1e3, posinf=1e3, neginf=-1e3)

        slope = jax.jit(jax.jacfwd(residuals))
        ends = []
        for start in np.where(positive, np.log(np.where(positive, starts, 1.0)), starts):
            try:
                ends.append(least_squares(residuals, start, slope, x_scale="jac", max_nfev=500))
            except ValueError:  # not a number along the way
                continue
        best = min(ends, key=lambda end: end.cost).x
        return np.asarray(law.function(*arrays(ahead), **theta(best)))


@cache
def chosen(name: str) -> tuple[str, dict[str, dict]]:
    """The candidate with the lowest interval score on the dearest fifth of the known rows, and all scores there."""
    task = TASKS[name]
    known, _ = split(task.table(), task, seed=0)
    inner, ahead = split(known, task, seed=1)
    found = {}
    for label, candidate in task.candidates.items():
        begun = time.perf_counter()
        found[label] = scores(task, fitted(task, candidate, inner), ahead)
        squares = by_least_squares(task, candidate, candidate.rows(inner), ahead)
        found[label]["squares"] = r2(ahead[task.response].to_numpy(), squares)
        print(
            name,
            label,
            {k: round(v, 4) for k, v in found[label].items()},
            round(time.perf_counter() - begun),
            flush=True,
        )
    return min(found, key=lambda label: found[label]["interval score"]), found


def scored(name: str) -> dict[str, Any]:
    """The chosen candidate on the dearest fifth, beside the same law by least squares."""
    task, (label, _) = TASKS[name], chosen(name)
    known, ahead = split(task.table(), task, seed=0)
    candidate = task.candidates[label]
    found = scores(task, fitted(task, candidate, known), ahead)
    squares = by_least_squares(task, candidate, candidate.rows(known), ahead)
    y = ahead[task.response].to_numpy(float)
    return {"law": label, "n": len(ahead), "squares r2": r2(y, squares), "squares rmsle": rmsle(y, squares), **found}


def tables(names: list[str]) -> tuple[list[str], list[str]]:
    """Lines of the choices and of the scores."""
    choices, lines = [], []
    for name in names:
        best, found = chosen(name)
        choices += [
            f"| {name} | {'**' + label + '**' if label == best else label} | {_cells(each)} | {each['squares']:.3f} |"
            for label, each in found.items()
        ]
        row = scored(name)
        lines.append(
            f"| {name} | {row['law']} | {row['n']} | {_cells(row)} | {row['squares r2']:.3f} | "
            f"{row['squares rmsle']:.4f} | {TASKS[name].published:.2f} |"
        )
        print(lines[-1], flush=True)
    return choices, lines


def _cells(each: Mapping[str, Any]) -> str:
    state = f"{each['r-hat']:.3f}, {each['divergences']}"
    return (
        f"{each['r2']:.3f} | {each['rmsle']:.4f} | {each['covers']:.2f} | {each['interval score']:.4g} | {state} | "
        f"{each['gradients']:.0f}"
    )


HEAD = "R^2 | RMSLE | 89% covers | interval score | r-hat, divergences | gradients a draw"
SHOWN = "---:|---:|---:|---:|---|---:"

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inner", action="store_true", help="only the choice")
    parser.add_argument("--task", action="append", choices=TASKS, help="only this task; repeat")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    at, begun = commit(PAGE), time.perf_counter()
    if given.inner:
        for name in given.task or TASKS:
            chosen(name)
    else:
        choices, lines = tables(list(given.task or TASKS))
        seconds = time.perf_counter() - begun
        if not given.task:
            head = f"| task | law | runs | {HEAD} | R^2, least squares | RMSLE | published R^2 |\n"
            written(PAGE, "The dearest fifth, once", f"{head}|---|---|---:|{SHOWN}|---:|---:|---:|", lines, seconds, at)
            head = f"| task | candidate | {HEAD} | R^2, least squares |\n"
            written(PAGE, "The choice", f"{head}|---|---|{SHOWN}|---:|", choices, seconds, at)
