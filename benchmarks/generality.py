"""Laws of the field as a user would write them: which of them fit, in what time, and with which values.

``python benchmarks/generality.py`` rewrites the table of ``generality.md``.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from cases import table_at
from page import run_parts

import scalebayes as sb

PAGE = "generality.md"
L, P = sb.LogNormal, sb.pooled


def rows(file: str, query: str | None = None) -> pd.DataFrame:
    table = pd.read_csv(table_at("generality", file))
    return table.query(query) if query else table


def spread(low: float, high: float, n: int, rng: np.random.Generator) -> np.ndarray:
    return np.exp(rng.uniform(np.log(low), np.log(high), n))


# Each case returns a fit, and in words what was found beside what is known.


def repeated_data():
    def law(N, D, U, *, E, A, B, alpha, beta, R_D, R_N):
        G = ((alpha * A) / (beta * B)) ** (1 / (alpha + beta))
        best = jnp.minimum(N, G * (G * U) ** (beta / alpha))
        tokens = U * (1 - R_D * jnp.expm1(-jnp.maximum(D / U - 1, 0.0) / R_D))
        size = best * (1 - R_N * jnp.expm1(-jnp.maximum(N / best - 1, 0.0) / R_N))
        return E + A * size**-alpha + B * tokens**-beta

    table = rows("datablations_final.csv", "dataset == 'c4' and epochs < 100 and loss < 5")
    runs = sb.read_runs(table, inputs={"N": "n_params", "D": "n_tokens", "U": "n_unique_tokens"}, response="loss")
    priors = {
        "E": sb.FloorShare(0.6, 1.0),
        "A": sb.Anchored(sb.ResponseShare(0.3, 1.0), input="N", exponent="alpha"),
        "B": sb.Anchored(sb.ResponseShare(0.3, 1.0), input="D", exponent="beta"),
        "alpha": L(0.35, 0.3),
        "beta": L(0.35, 0.3),
        "R_D": L(15, 0.7),
        "R_N": L(5, 0.7),
    }
    fit = sb.fit(law, runs, priors=priors)
    return fit, f"{said(fit, 'alpha', 'R_D', 'R_N')} (.353, 15.4, 5.3 published)"


def routed_experts():
    def law(N, X, *, a, b, c, d, start, most):
        saturated = 1 / (1 / (X - 1 + 1 / (1 / start - 1 / most)) + 1 / most)
        n, e = jnp.log10(N / 1e8), jnp.log10(saturated)
        return 10 ** (a * n + b * e + c * n * e + d)

    table = rows("routing_dense_sbase.csv", "is_final == 1 and k == 1 and routing_frequency == 0.5")
    table = table.assign(num_experts=table["num_experts"].astype(float))
    runs = sb.read_runs(table, inputs={"N": "n_params", "X": "num_experts"}, response="loss")
    priors = {
        "a": sb.Normal(-0.08, 0.05),
        "b": sb.Normal(-0.1, 0.1),
        "c": sb.Normal(0, 0.02),
        "d": sb.Normal(0.45, 0.2),
        "start": L(2, 0.4),
        "most": L(350, 0.6),
    }
    fit = sb.fit(law, runs, priors=priors, discrepancy=None)
    return fit, f"{said(fit, 'a', 'c', 'start', 'most')} (-.0838, .0104, 2.39, 218 by least squares)"


def fine_grained():
    def law(N, D, G, *, c, a, g, b, alpha, beta, gamma):
        return c + (g * G**-gamma + a) * (N / 1e8) ** -alpha + b * (D / 1e10) ** -beta

    truth = {"c": 0.5, "a": 1.4, "g": 0.2, "b": 1.2, "alpha": 0.115, "beta": 0.147, "gamma": 0.58}
    return simulated(law, truth, {"N": (1e7, 3e9), "D": (1e9, 1e11), "G": (1, 32)}, 60, "beta")


def step_law():
    def law(N, D, lr, b, *, E, A, B, alpha, beta, k, p, q, m, r, wide, high):
        u = jnp.log(lr / (k * (N / 1e9) ** -p * (D / 1e10) ** q))
        v = jnp.log(b / (m * (D / 1e10) ** r))
        return (E + A * (N / 1e9) ** -alpha + B * (D / 1e10) ** -beta) * jnp.exp(0.5 * (wide * u**2 + high * v**2))

    table = rows("scalebench_lr_batch.csv")
    best = table.groupby(["n_params", "n_tokens"])["loss"].transform("min")
    table = table[table["loss"] < 1.05 * best].iloc[::5]
    inputs = {"N": "n_params", "D": "n_tokens", "lr": "lr", "b": "batch_size_seq"}
    runs = sb.read_runs(table, inputs=inputs, response="loss", cost=lambda N, D: 6 * N * D)
    priors = {
        "E": sb.FloorShare(0.6, 1.0),
        "A": L(0.4, 1),
        "B": L(0.4, 1),
        "alpha": L(0.3, 0.5),
        "beta": L(0.3, 0.5),
        "k": L(1e-3, 1),
        "p": sb.Normal(0.6, 0.3),
        "q": sb.Normal(0.3, 0.2),
        "m": L(200, 1),
        "r": sb.Normal(0.6, 0.3),
        "wide": L(0.01, 1.5),
        "high": L(0.01, 1.5),
    }
    fit = sb.fit(law, runs, priors=priors)
    return fit, f"{said(fit, 'p', 'q', 'r')} (.713, .307, .571 published, of all runs)"


def error_from_loss():
    def law(loss, *, eps, k, gamma):
        return eps - k * jnp.exp(-gamma * loss)

    table = rows("gadre_overtraining.csv").dropna(subset=["error_46tasks"])
    runs = sb.read_runs(table, inputs={"loss": "loss"}, response="error_46tasks", group="dataset")
    priors = {"eps": P(L(0.76, 0.1), spread=0.05), "k": P(L(2, 0.5), spread=0.3), "gamma": P(L(1.1, 0.3), spread=0.2)}
    fit = sb.fit(law, runs, priors=priors, discrepancy=None, observation=sb.StudentT(L(0.005, 1), scale="identity"))
    return fit, f"{said(fit, 'eps', 'gamma')} (.757 .757 .754, 1.10 1.07 1.19 by least squares)"


def over_training():
    def law(C, M, *, E, a, b, eta):
        return E + (a * M**eta + b * M**-eta) * (C / 1e19) ** -eta

    table = rows("gadre_overtraining.csv").assign(M=lambda t: t["n_tokens"] / t["n_params"])
    runs = sb.read_runs(table, inputs={"C": "flops_6nd", "M": "M"}, response="loss", group="dataset")
    priors = {
        "E": P(sb.FloorShare(1.2, 1), spread=0.1),
        "a": P(L(0.3, 1), spread=0.3),
        "b": P(L(0.8, 1), spread=0.3),
        "eta": P(L(0.13, 0.4), spread=0.2),
    }
    fit = sb.fit(law, runs, priors=priors, discrepancy=None)
    return fit, f"{said(fit, 'eta')} (.129 .129 .127 by least squares)"


def passing(N, *, c, alpha):
    return jnp.exp(-c * (N / 1e9) ** -alpha)


def pass_at_k():
    rng = np.random.default_rng(0)
    n = np.repeat(np.geomspace(1e7, 3e9, 12), 4)
    passes = rng.binomial(200, np.exp(-4.0 * (n / 1e9) ** -0.12))
    table = pd.DataFrame({"n": n, "rate": passes / 200, "samples": 200, "seed": np.arange(48)})
    runs = sb.read_runs(table, inputs={"N": "n"}, response="rate", better="higher", run="seed")
    priors = {"c": L(4, 0.7), "alpha": L(0.15, 0.7)}
    fit = sb.fit(passing, runs, priors=priors, observation=sb.Binomial("samples"))
    return fit, f"{(passes == 0).sum()} of 48 counts are zero: {said(fit, 'alpha')} (.12)"


def until_passed():
    rng = np.random.default_rng(0)
    n = np.repeat(np.geomspace(1e7, 3e9, 12), 4)
    failures = rng.negative_binomial(3, np.exp(-4.0 * (n / 1e9) ** -0.12))
    runs = sb.read_runs(
        pd.DataFrame({"n": n, "rate": 3 / (3 + failures), "seed": np.arange(48)}),
        inputs={"N": "n"},
        response="rate",
        better="higher",
        run="seed",
    )
    priors = {"c": L(4, 0.7), "alpha": L(0.15, 0.7)}
    fit = sb.fit(passing, runs, priors=priors, observation=sb.NegativeBinomial(3))
    return fit, f"{said(fit, 'alpha')} (.12)"


def encoder_decoder():
    def law(N_e, N_d, *, floor, a, p_e, p_d):
        return floor + a * (N_e / 1e8) ** -p_e * (N_d / 1e8) ** -p_d

    truth = {"floor": 1.2, "a": 0.9, "p_e": 0.18, "p_d": 0.31}
    return simulated(law, truth, {"N_e": (1e7, 1e9), "N_d": (1e7, 1e9)}, 40, "p_e")


def broken():
    def law(x, *, a, b, c0, c1, d1, f1):
        return a + b * x**-c0 * (1 + (x / d1) ** (1 / f1)) ** (-c1 * f1)

    table = rows("nonmonotone_curves.csv", "curve_id == 'bnsl-4digit-addition'").sort_values("x")
    known, ahead = table.iloc[:14], table.iloc[14:]
    runs = sb.read_runs(known, inputs={"x": "x"}, response="loss")
    priors = {
        "a": sb.FloorShare(0.0, 1.5),
        "b": L(2, 1),
        "c0": L(0.06, 0.5),
        "c1": L(2, 1),
        "d1": L(500, 0.5),
        "f1": L(0.2, 0.8),
    }
    fit = sb.fit(law, runs, priors=priors, discrepancy=None)
    found = sb.forecast(fit, at={"x": ahead["x"].to_numpy()}).table["median"]
    return fit, f"{' '.join(f'{v:.4f}' for v in found)} ({' '.join(f'{v:.4f}' for v in ahead['loss'])} observed)"


def elo():
    def law(N, *, c, alpha):
        return c + 400 * alpha * jnp.log10(N / 1e6)

    rng = np.random.default_rng(0)
    n = np.repeat(np.geomspace(1e3, 1e7, 20), 2)
    table = pd.DataFrame({"n": n, "elo": law(n, c=200.0, alpha=0.88) + 30 * rng.normal(size=len(n))})
    runs = sb.read_runs(table, inputs={"N": "n"}, response="elo", better="higher")
    priors = {"c": sb.Normal(0, 500), "alpha": L(0.8, 0.5)}
    fit = sb.fit(law, runs, priors=priors, observation=sb.Gaussian(L(30, 1), scale="identity"))
    reached = sb.reach(fit, axis="N", target=1500.0).table["median"].item()
    true = 1e6 * 10 ** ((1500 - 200) / 352)
    return fit, f"down to {table['elo'].min():.0f}: {said(fit, 'alpha')} (.88); 1500 at {reached:.2g} ({true:.2g})"


def smallest_steps():
    def law(N, S, B, *, N_c, S_c, alpha_N, alpha_S, B_star, alpha_B):
        def with_batch(loss):
            least = S / (1 + B_star * loss ** (-1 / alpha_B) / B)
            return (N_c / (N / 1e9)) ** alpha_N + (S_c / least) ** alpha_S

        return jax.lax.fori_loop(0, 12, lambda _, loss: with_batch(loss), jnp.full_like(N * S * B, 3.0))

    truth = {"N_c": 8.8e4, "S_c": 2.1e3, "alpha_N": 0.077, "alpha_S": 0.76, "B_star": 2e8, "alpha_B": 0.21}
    ranges = {"N": (1e7, 1e9), "S": (3e3, 3e5), "B": (3e4, 3e6)}
    return simulated(law, truth, ranges, 80, "alpha_N", "B_star", sd=0.002)


def retrieval():
    def law(N, R, *, E, A, alpha, B, gamma):
        return E + A * (N / 1e8) ** -alpha + B * (1 + R / 1e9) ** -gamma

    rng = np.random.default_rng(0)
    n, store = spread(1e7, 1e10, 60, rng), np.where(np.arange(60) % 4 == 0, 0.0, spread(1e8, 1e12, 60, rng))
    truth = {"E": 1.5, "A": 0.8, "alpha": 0.2, "B": 0.4, "gamma": 0.3}
    loss = law(n, store, **truth) * np.exp(0.005 * rng.normal(size=60))
    table = pd.DataFrame({"n": n, "store": store, "loss": np.asarray(loss)})
    inputs = {"N": "n", "R": sb.Input("store", kind="plain")}
    runs = sb.read_runs(table, inputs=inputs, response="loss")
    priors = {name: L(value, 0.5) for name, value in truth.items()}
    fit = sb.fit(law, runs, priors=priors)
    return fit, f"{(store == 0).sum()} stores are empty: {said(fit, 'gamma')} (.3)"


def dimension():
    def law(D, *, E, A, alpha):
        return E + A * (D / 1e5) ** -alpha

    rng = np.random.default_rng(0)
    dims = np.repeat([4.0, 6.0, 9.0, 14.0, 20.0, 30.0, 45.0, 60.0], 8)
    D = np.tile(np.geomspace(1e3, 1e7, 8), 8)
    loss = law(D, E=0.2, A=0.5, alpha=3 / dims) * np.exp(0.01 * rng.normal(size=len(D)))
    table = pd.DataFrame({"D": D, "loss": loss, "dim": dims, "task": [f"{d:g}" for d in dims]})
    runs = sb.read_runs(table, inputs={"D": "D"}, response="loss", group="task")
    priors = {
        "E": P(L(0.2, 0.5), spread=0.2),
        "A": P(L(0.5, 0.5), spread=0.3),
        "alpha": P(L(0.2, 0.7), spread=0.2, on={"dim": sb.Normal(-1, 0.3)}),
    }
    fit = sb.fit(law, runs, priors=priors, discrepancy=None)
    new = sb.forecast(fit, at={"D": [1e8], "dim": [100.0]}, new_group=True).table.iloc[0]
    true = law(1e8, E=0.2, A=0.5, alpha=0.03)
    return fit, (
        f"{said(fit, 'alpha_on_dim')} (-1); a new task of dimension 100: {new['median']:.3f} "
        f"({new['lower']:.3f} to {new['upper']:.3f}; {true:.3f})"
    )


def precision():
    def law(N, D, bits, *, E, A, B, alpha, beta, gamma):
        return E + A * (N / 1e8 * -jnp.expm1(-bits / gamma)) ** -alpha + B * (D / 1e10) ** -beta

    truth = {"E": 1.8, "A": 0.8, "B": 0.6, "alpha": 0.5, "beta": 0.45, "gamma": 2.6}
    return simulated(law, truth, {"N": (1e7, 1e9), "D": (1e9, 1e11), "bits": (2, 16)}, 60, "gamma")


def outer_power():
    def law(N, D, *, E, A, B, alpha, beta, gamma):
        return E + (A * (N / 1e9) ** -(alpha / gamma) + B * (D / 1e10) ** -(beta / gamma)) ** gamma

    table = rows("xlstm_vs_llama.csv", "experiment == 'tokenparam'")
    inputs = {"N": "n_params", "D": "n_tokens"}
    runs = sb.read_runs(table, inputs=inputs, response="loss", group="architecture")
    priors = {
        "E": P(sb.FloorShare(0.0, 1.0), spread=0.1),
        "A": P(L(1, 1), spread=0.3),
        "B": P(L(1, 1), spread=0.3),
        "alpha": P(L(0.17, 0.3), spread=0.1),
        "beta": P(L(0.16, 0.3), spread=0.1),
        "gamma": P(L(0.3, 0.5), spread=0.1),
    }
    fit = sb.fit(law, runs, priors=priors, discrepancy=None)
    return fit, f"{said(fit, 'alpha', 'gamma')} (.163 .182, .253 .258 published)"


def known_errors():
    def law(N, *, E, A, alpha):
        return E + A * (N / 1e8) ** -alpha

    rng = np.random.default_rng(0)
    n, error = np.geomspace(1e7, 1e10, 40), np.where(np.arange(40) % 2, 0.002, 0.05)
    loss = law(n, E=1.5, A=1.0, alpha=0.3) * np.exp(error * rng.normal(size=40))
    table = pd.DataFrame({"n": n, "loss": loss, "error": error})
    runs = sb.read_runs(table, inputs={"N": "n"}, response="loss")
    priors = {"E": L(1.5, 0.3), "A": L(1, 0.5), "alpha": L(0.3, 0.5)}
    fit = sb.fit(law, runs, priors=priors, discrepancy=None, observation=sb.Gaussian(error="error"))
    return fit, f"{said(fit, 'alpha')} (.3)"


def simulated(law: Callable, truth: dict, ranges: dict, n: int, *shown: str, sd: float = 0.003):
    """A fit to runs drawn from a law over ranges of its inputs, with log noise."""
    rng = np.random.default_rng(0)
    table = pd.DataFrame({name: spread(*ends, n, rng) for name, ends in ranges.items()})
    loss = law(*(jnp.asarray(table[name].to_numpy()) for name in ranges), **truth)
    table["loss"] = np.asarray(loss) * np.exp(sd * rng.normal(size=n))
    runs = sb.read_runs(table, inputs={name: name for name in ranges}, response="loss")
    fit = sb.fit(law, runs, priors={name: L(value, 0.4) for name, value in truth.items()}, discrepancy=None)
    return fit, f"{said(fit, *shown)} ({', '.join(f'{truth[name]:.3g}' for name in shown)})"


def said(fit: sb.Fit, *names: str) -> str:
    summary = fit.summary()
    found = []
    for name in names:
        own = summary[summary["name"] == name]
        found.append(f"{name} {' '.join(f'{m:.3g}({s:.2g})' for m, s in zip(own['mean'], own['sd'], strict=True))}")
    return "; ".join(found)


# In the order of the table before: what the state was, and the case.
CASES: dict[str, tuple[str, Callable]] = {
    "repeated data": ("works, 42 s, 5 gradients", repeated_data),
    "Clark's routed experts": ("works, centred by hand, 31 s, 6", routed_experts),
    "fine-grained experts (simulated)": ("works", fine_grained),
    "step law, four inputs": ("works, 66 s, 25", step_law),
    "error from loss, three corpora": ("works, 38 s, 5", error_from_loss),
    "over-training": ("works", over_training),
    "pass@k, counts with zeros (simulated)": ("impossible: zeros refused", pass_at_k),
    "PassUntil (simulated)": ("impossible", until_passed),
    "encoder x decoder (simulated)": ("works", encoder_decoder),
    "broken law, 14 points": ("works, slow: 78 s, 948", broken),
    "Elo below zero (simulated)": ("negative refused", elo),
    "L(N, S_min), a fixed point inside": ("works, 65 s, 4", smallest_steps),
    "retrieval, empty stores (simulated)": ("zero refused", retrieval),
    "exponent by intrinsic dimension": ("as an input, 69 s, 58; no new task", dimension),
    "precision (simulated)": ("works, 22 s, 16", precision),
    "outer power": ("works, 144 s, 146", outer_power),
    "known standard error of a run": ("no argument", known_errors),
}
ELSEWHERE = [
    "| multi-power over schedules | impossible: needs a sequence per run | [schedules.md](schedules.md) | | | |",
    "| compute to loss to accuracy, jointly | by hand | [responses.md](responses.md) | | | |",
    "| MMLU as a sigmoid, 39 families | not converged, 124 s, 419 | [responses.md](responses.md) | | | |",
    "| mixture proportions | zeros refused, no vector | [responses.md](responses.md) | | | |",
    "| several checkpoints of a run | only as the group | [dependent.md](dependent.md) | | | |",
]


@cache
def laws() -> list[str]:
    """Every law fitted once in this process, with compilation."""
    lines = []
    for name, (before, case) in CASES.items():
        began, cpu = time.perf_counter(), time.process_time()
        try:
            fit, values = case()
        except Exception as error:  # what does not work is a row too
            lines.append(f"| {name} | {before} | **{type(error).__name__}: {error}** | | | |")
            continue
        seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
        steps = float(fit.idata["sample_stats"]["n_steps"].mean())
        state = "; ".join(fit.diagnostics.problems) or f"r-hat {fit.diagnostics.max_r_hat:.3f}"
        lines.append(f"| {name} | {before} | {state} | {seconds:.0f} ({cpu:.0f}) | {steps:.0f} | {values} |")
    return lines + ELSEWHERE


PARTS = {
    "laws": (
        "Laws as users write them",
        "| law | before (229b2ed) | today | seconds with compilation (of processor) | gradients a draw | values (known) |\n"
        "|---|---|---|---:|---:|---|",
        laws,
    )
}


if __name__ == "__main__":
    run_parts(__doc__, PAGE, PARTS)
