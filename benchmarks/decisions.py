"""Are the decisions reliable? Nulls, simulated pairs with known truth, the next run against brute force, pairing."""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pandas as pd
from cases import table_at
from page import run_parts
from scipy.stats import binomtest, chisquare

import scalebayes as sb

SPLITS, OF_DEFAULT, HELD = 50, 10, 0.1
SIMULATED, KNOWN, BEYOND = 1000, 24, 10.0
TOGETHER = 100  # pairs fitted at once
CASES, OUTCOMES, UNDECIDED = 20, 60, 0.003
SIZES = {"N": "n_params", "D": "n_tokens"}


def nulls(discrepancy: str | None = None, splits: int = SPLITS) -> pd.DataFrame:
    """Runs of one architecture, divided at random under two names: do the answers say that neither is ahead?"""
    tables = {
        "chinchilla": pd.read_csv(table_at("nulls", "chinchilla_besiroglu.csv")).query("epoch_excluded == 0"),
        "llama": pd.read_csv(table_at("nulls", "xlstm_vs_llama.csv")).query(
            "architecture == 'llama' and context_length == 8192"
        ),
    }
    rows = []
    for called, table in tables.items():
        C = 6.0 * table["n_params"] * table["n_tokens"]
        edge = np.quantile(C, 1 - HELD)
        for split in range(splits):
            names = np.random.default_rng(split).permutation(np.resize(["a", "b"], len(table)))
            half = table.assign(half=names)
            known, held = half[edge >= C], half[edge < C]
            runs = sb.read_runs(known, inputs=SIZES, response="loss", group="half")
            at = {key: held[column].to_numpy() for key, column in SIZES.items()}
            fits = dict(zip(("a law each", "a law each, or one"), two_laws_or_one(runs, discrepancy), strict=True))
            for kind, fit in fits.items():
                found = sb.crossover(fit, axis="C", to=float(C.max()))
                expected = np.mean([np.log(sb.forecast(fit, at=at, group=g).table["median"]) for g in "ab"], axis=0)
                left = pd.Series(np.log(held["loss"].to_numpy()) - expected).groupby(held["half"].to_numpy()).mean()
                worse = left[found.winner] > left[found.rival]
                rows.append(
                    {
                        "table": called,
                        "fit": kind,
                        "ordered": found.ordered,
                        "risk": found.decision_risk,
                        "confident": not 0.05 <= found.decision_risk <= 0.95,
                        "reversal": found.reversal_risk,
                        "worse": worse,
                        "converged": not fit.diagnostics.problems,
                        "wrong": bool(
                            (found.decision_risk < 0.05 and worse) or (found.decision_risk > 0.95 and not worse)
                        ),
                    }
                )
    return pd.DataFrame(rows)


def two_laws_or_one(runs: sb.Runs, discrepancy: str | None) -> tuple[sb.Fit, sb.Average]:
    """A fit with a law for each group, and its average with one law for all of them, by bootstrapped runs."""
    each, one = (
        sb.fit(sb.laws.chinchilla, runs, pooling=how, draws=500, discrepancy=discrepancy)
        for how in ("pooled", "shared")
    )
    return each, sb.average({"each": each, "one": one}, weights="bootstrap")


def real_pairs() -> pd.DataFrame:
    """Groups that do differ: the risk by a law for each, and by its average with one law for both."""
    rows = []
    for table, column in published().values():
        for two in combinations(sorted(table[column].unique()), 2):
            known = table[table[column].isin(two)]
            to = 10 * float((6.0 * known["n_params"] * known["n_tokens"]).max())
            runs = sb.read_runs(known, inputs=SIZES, response="loss", group=column)
            for called, discrepancy in (("as it comes", "auto"), ("law alone", None)):
                _, average = found = two_laws_or_one(runs, discrepancy)
                each, mixed = (sb.crossover(fit, axis="C", to=to) for fit in found)
                rows.append(
                    {
                        "pair": ", ".join(two),
                        "fit": called,
                        "runs": len(known),
                        "winner": each.winner,
                        "one": average.weights["one"],
                        "risk": each.decision_risk,
                        "mixed": mixed.decision_risk,
                        "converged": not average.diagnostics.problems,
                    }
                )
    return pd.DataFrame(rows)


def published() -> dict[str, tuple[pd.DataFrame, str]]:
    """Tables of groups that differ, and the column that distinguishes them."""
    xlstm = pd.read_csv(table_at("pairs", "xlstm_vs_llama.csv")).query("experiment == 'tokenparam'")
    gadre = pd.read_csv(table_at("pairs", "gadre_overtraining.csv"))
    return {"xlstm": (xlstm, "architecture"), "gadre": (gadre, "dataset")}


def truths(kind: str, x: np.ndarray, at: dict[str, np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """Mean responses along rising x, 1 at the frontier, shape (curve, point): of the fitted form or of another."""
    wide = {name: value[:, None] for name, value in at.items()}
    curves, h = len(at["E"]), np.log(x)
    reducible = wide["A_at_frontier"] * x ** -wide["alpha"]
    if kind == "fitted":
        # An Ornstein-Uhlenbeck slope on either side of the frontier, in small steps.
        g = np.zeros((curves, len(x)))
        frontier = int(np.argmin(np.abs(h)))
        for order in (np.arange(frontier + 1, len(x)), np.arange(frontier - 1, -1, -1)):
            slope, position, before = np.zeros(curves), np.zeros(curves), h[frontier]
            for j in order:
                n = 60
                step = abs(h[j] - before) / n
                for _ in range(n):
                    position = position + slope * step
                    slope = slope * np.exp(-at["kappa"] * step) + at["drift"] * np.sqrt(step) * rng.normal(size=curves)
                g[:, j], before = position, h[j]
        return np.exp(wide["level"]) * (wide["E"] + reducible * np.exp(g))
    if kind == "broken":
        where, change = np.exp(rng.uniform(-2.3, 2.3, (curves, 1))), rng.uniform(-0.6, 1.0, (curves, 1)) * wide["alpha"]
        width = 0.3
        bend = (1 + (x / where) ** (1 / width)) ** (-width * change) * (1 + where ** (-1 / width)) ** (width * change)
        return wide["E"] + reducible * bend
    if kind == "shifted":
        shift = np.exp(rng.uniform(np.log(1e-3), np.log(0.3), (curves, 1)))
        return wide["E"] + wide["A_at_frontier"] * ((x + shift) / (1 + shift)) ** -wide["alpha"]
    steps = np.diff(h, prepend=h[0])
    tau = np.abs(rng.normal(0, 0.1, (curves, 1)))
    slopes = np.cumsum(tau * np.sqrt(steps) * rng.normal(size=(curves, len(x))), axis=1)
    drift = np.cumsum(slopes * steps, axis=1)
    return wide["E"] + reducible * np.exp(drift - drift[:, [int(np.argmin(np.abs(h)))]])


def simulated(
    kinds: Sequence[str] = ("fitted", "broken", "shifted", "drifting"), every: int = SIMULATED
) -> pd.DataFrame:
    """Pairs with known truth that lie near each other at the frontier, half of them of the fitted form."""
    known, beyond = np.geomspace(0.01, 1.0, KNOWN), np.geomspace(1.0, BEYOND, 49)[1:]
    x = np.concatenate([known, beyond])
    template = sb.read_runs(pd.DataFrame({"D": known, "loss": 1.7 + 0.6 * known**-0.2}), response="loss")
    options = {"discrepancy": "drift", "horizon": BEYOND}
    model = sb.Model(sb.laws.power_floor, template, **options)
    rows = []
    for number, kind in enumerate(kinds):
        pairs = every // 2 if kind == "fitted" else every // 2 // (len(kinds) - 1) + 1
        rng = np.random.default_rng(number)
        # There are more candidates than needed: known values of some are too large for losses.
        candidates = 5 * pairs
        prior = model.prior(candidates, seed=number)["prior"].to_dataset().isel(chain=0)
        at = {name: prior[name].to_numpy() for name in ("E", "A", "alpha", "sigma", "drift", "kappa", "rho", "ell")}
        at["A_at_frontier"], at["level"] = at["A"], 0.15 * rng.normal(size=candidates)
        f = truths(kind, x, at, rng)
        apart = np.abs(np.log(known)[:, None] - np.log(known))
        y = np.empty((candidates, KNOWN))
        for i in range(candidates):
            together = at["rho"][i] * np.exp(-apart / at["ell"][i]) + (1 - at["rho"][i]) * np.eye(KNOWN)
            noise = at["sigma"][i] * rng.multivariate_normal(np.zeros(KNOWN), together, method="cholesky")
            y[i] = np.log(f[i, :KNOWN]) + noise
        # Pairs are neighbours at the frontier as observed: known values choose them, so that their risks stay valid.
        possible = np.flatnonzero(y.max(1) < np.log(13))[: 2 * pairs]
        order = possible[np.argsort(np.median(y[possible, -3:], axis=1))]
        neighbours = order.reshape(-1, 2)
        for some in np.array_split(neighbours, -(-len(neighbours) // TOGETHER)):
            tables = {str(i): pd.DataFrame({"D": known, "loss": np.exp(y[i])}) for i in some.ravel()}
            fits = sb.fit_many(
                {
                    name: sb.Model(sb.laws.power_floor, sb.read_runs(table, response="loss"), **options)
                    for name, table in tables.items()
                },
                draws=300,
            )
            for a, b in some:
                found = sb.crossover({"a": fits[str(a)], "b": fits[str(b)]}, axis="D", to=BEYOND)
                rows.append({"kind": kind, **_against(found, f[[a, b], KNOWN - 1 :], rng)})
    return pd.DataFrame(rows)


def _against(found: sb.Crossover, f: np.ndarray, rng: np.random.Generator) -> dict:
    """The forecast of two curves beside their true course, from the frontier to the target."""
    gap = f[0] - f[1]
    changes = np.flatnonzero(gap[:-1] * gap[1:] < 0)
    scales = np.geomspace(1.0, BEYOND, f.shape[1])
    if len(changes):
        i = changes[0]
        share = gap[i] / (gap[i] - gap[i + 1])
        first = np.exp(np.log(scales[i]) + share * np.log(scales[i + 1] / scales[i]))
        position = float(np.interp(np.log(first), np.log(found.curve.index), found.curve["p_crossed"]))
    else:  # uniform in the probability that is left for no crossing
        position = found.p_cross_before_target + (1 - found.p_cross_before_target) * rng.uniform()
    last = np.log(found.draws.isel(scale=-1).to_numpy())
    low, high = np.quantile(last, [0.055, 0.945], axis=0)
    ends = np.quantile(last[:, 0] - last[:, 1], [0.055, 0.945])
    truth = np.log(f[:, -1])
    winner = 0 if found.winner == "a" else 1
    return {
        "risk": found.decision_risk,
        "behind": bool(f[winner, -1] > f[1 - winner, -1]),
        "crossed": len(changes) > 0,
        "p_cross": found.p_cross_before_target,
        "position": position,
        "covers": float(((low <= truth) & (truth <= high)).mean()),
        "covers_gap": bool(ends[0] <= truth[0] - truth[1] <= ends[1]),
        "converged": not found.diagnostics.problems,
    }


def by_brute_force() -> pd.DataFrame:
    """Does `next_run` choose like refitting to simulated outcomes? Two groups, powers of compute; four candidates."""
    rows, case = [], -1
    while len(rows) < CASES:
        case += 1
        rng = np.random.default_rng(case)
        C, noise = np.geomspace(1e18, 1e20, 6), 0.01
        A, alpha = 3.0 * np.exp(rng.normal(0, 0.02, 2)), rng.normal(0.05, 0.004, 2)
        tables = [
            pd.DataFrame({"C": C, "family": g, "loss": a * (C / 1e18) ** -s * np.exp(noise * rng.normal(size=6))})
            for g, a, s in zip("ab", A, alpha, strict=True)
        ]
        poor = int(rng.integers(2))  # one group has half the runs
        tables[poor] = tables[poor].iloc[::2]
        table = pd.concat(tables, ignore_index=True)
        candidates = pd.DataFrame({"family": list("abab"), "C": np.repeat([1e19, 1e21], 2)})

        def model(table):
            return sb.Model(sb.laws.power, sb.read_runs(table, response="loss", group="family"), discrepancy=None)

        fit = sb.sample(model(table), draws=1000)
        now = sb.crossover(fit, axis="C", to=1e23).value_of_information
        if now < UNDECIDED:  # nothing to learn
            continue
        answer = sb.next_run(fit, candidates=candidates, goal="decision", axis="C", to=1e23).table
        simulated = []
        for _, row in candidates.iterrows():
            drawn = (
                sb.forecast(fit, at={"C": [row["C"]]}, group=row["family"], seed=case)
                .draws["new_run"]
                .to_numpy()
                .ravel()
            )
            outcomes = rng.choice(drawn, OUTCOMES, replace=False)
            simulated += [
                model(pd.concat([table, pd.DataFrame([{**row, "loss": y}])], ignore_index=True)) for y in outcomes
            ]
        fleet = sb.fit_many(simulated, draws=300)
        after = np.asarray([sb.crossover(fleet[name], axis="C", to=1e23).value_of_information for name in fleet])
        brute = now - after.reshape(len(candidates), OUTCOMES)
        ours = (
            answer.set_index(["group", "C"])["reduction"]
            .loc[list(zip(candidates["family"], candidates["C"], strict=True))]
            .to_numpy()
        )
        best = brute.mean(1)
        se = np.std(brute[best.argmax()] - brute[ours.argmax()]) / OUTCOMES**0.5
        rows.append(
            {
                "case": case,
                "now": now,
                "ours": int(ours.argmax()),
                "brute": int(best.argmax()),
                "short": best.max() - best[ours.argmax()],
                "se": se,
            }
        )
    return pd.DataFrame(rows)


def pairing() -> pd.DataFrame:
    """How wide the difference of two groups is at the target, from one joint fit and from two."""
    rows = []
    for called, (table, column) in published().items():
        two = sorted(table[column].unique())[:2]
        table = table[table[column].isin(two)]
        C = 6.0 * table["n_params"] * table["n_tokens"]
        known = table[0.1 * C.max() >= C]
        runs = sb.read_runs(known, inputs=SIZES, response="loss", group=column)
        joint = sb.crossover(sb.fit(sb.laws.chinchilla, runs, discrepancy=None), axis="C", to=float(C.max()))
        apart = sb.crossover(
            {
                g: sb.fit(
                    sb.laws.chinchilla,
                    sb.read_runs(known[known[column] == g], inputs=SIZES, response="loss"),
                    discrepancy=None,
                )
                for g in two
            },
            axis="C",
            to=float(C.max()),
            start=joint.start,
        )
        widths = []
        for found in (joint, apart):
            last = found.draws.isel(scale=-1).to_numpy()
            widths.append(float(np.diff(np.quantile(last[:, 0] - last[:, 1], [0.055, 0.945]))[0]))
        rows.append({"table": called, "runs": len(known), "joint": widths[0], "apart": widths[1]})
    return pd.DataFrame(rows)


def _of_nulls(discrepancy: str | None = None, splits: int = SPLITS) -> list[str]:
    lines = []
    for (table, kind), part in nulls(discrepancy, splits).groupby(["table", "fit"], sort=False):
        near = part["risk"].between(0.25, 0.75).mean()
        lines.append(
            f"| {table} | {kind} | {len(part)} | {1 - part['ordered'].mean():.2f} | {part['risk'].mean():.2f} "
            f"({part['risk'].min():.2f} to {part['risk'].max():.2f}) | {near:.2f} | {part['reversal'].mean():.2f} | "
            f"{part['confident'].mean():.2f} | {part['wrong'].mean():.2f} | {part['converged'].mean():.2f} |"
        )
    return lines


def _of_real_pairs() -> list[str]:
    return [
        f"| {row['pair']} | {row['fit']} | {row['runs']} | {row['winner']} | {row['one']:.3f} | {row['risk']:.2f} | {row['mixed']:.2f} | "
        f"{'yes' if row['converged'] else 'no'} |"
        for row in real_pairs().to_dict("records")
    ]


def _of_simulated() -> list[str]:
    frame, lines = simulated(), []
    other = frame["kind"] != "fitted"
    for called, part in (
        ("fitted form", frame[~other]),
        *frame[other].groupby("kind", sort=False),
        ("all other forms", frame[other]),
        ("all", frame),
    ):
        risk, behind = part["risk"].to_numpy(), part["behind"].to_numpy()
        tenths = np.array_split(np.argsort(risk, kind="stable"), 10)
        bins = [rows for k in range(10) if len(rows := np.flatnonzero(np.minimum((10 * risk).astype(int), 9) == k))]
        within, of_bins = ([_surprise(risk[t], behind[t]) for t in parts] for parts in (tenths, bins))
        worst = tenths[int(np.argmin(within))]
        positions = chisquare(np.histogram(part["position"], bins=10, range=(0, 1))[0]).pvalue
        crossed = f"{part['p_cross'].mean():.3f}, {part['crossed'].mean():.3f}"
        lines.append(
            f"| {called} | {len(part)} | {risk.mean():.3f}, {behind.mean():.3f} | "
            f"{sum(p > 0.01 for p in within)} of 10 | "
            f"{min(within):.2g}: {risk[worst].sum():.1f}, {behind[worst].sum()} of {len(worst)} | "
            f"{sum(p > 0.01 for p in of_bins)} of {len(bins)}, {min(of_bins):.2g} | "
            f"{crossed} | {positions:.2g} | {part['covers'].mean():.3f} | {part['covers_gap'].mean():.3f} | "
            f"{((risk - behind) ** 2).mean():.4f}, {behind.mean() * (1 - behind.mean()):.4f} | "
            f"{part['converged'].mean():.2f} |"
        )
    return lines


def _surprise(risk: np.ndarray, behind: np.ndarray) -> float:
    """p value of the outcomes of some pairs, if each is behind with the mean of their risks."""
    return binomtest(int(behind.sum()), len(behind), float(np.clip(risk.mean(), 1e-4, 1 - 1e-4))).pvalue


def _of_brute_force() -> list[str]:
    frame = by_brute_force()
    same, close = frame["ours"] == frame["brute"], frame["short"] <= 2 * frame["se"]
    return [f"| {len(frame)} | {same.sum()} | {(same | close).sum()} | {(frame['short'] / frame['now']).max():.3f} |"]


def _of_pairing() -> list[str]:
    return [
        f"| {row['table']} | {row['runs']} | {row['joint']:.4f} | {row['apart']:.4f} | "
        f"{row['joint'] / row['apart']:.2f} |"
        for row in pairing().to_dict("records")
    ]


DIVIDED = (
    "| table | fit | splits | not ordered | decision risk | between 0.25 and 0.75 | reversal risk | confident | "
    "confident and wrong | converged |\n"
    "|---|---|---:|---:|---|---:|---:|---:|---:|---:|"
)


def _of_allocation() -> list[str]:
    """Our plans beside published ones.

    Hoffmann et al. (2022), arXiv:2203.15556, tables 2 and 3, and Besiroglu et al. (2024), arXiv:2404.10102.
    """
    table = pd.read_csv(table_at("allocation", "chinchilla_besiroglu.csv"))
    runs = sb.read_runs(table, inputs={"N": "n_params", "D": "n_tokens"}, response="loss", where="epoch_excluded == 0")
    fit = sb.fit(sb.laws.chinchilla, runs, discrepancy=None)
    budgets = np.geomspace(1e20, 1e26, 100)
    sb.allocate(fit, C=budgets)
    start = time.perf_counter()
    sb.allocate(fit, C=budgets)
    seconds = time.perf_counter() - start
    found = sb.allocate(fit, C=[5.76e23, 1e24])
    a = found.exponents.set_index("name").loc["a_opt"]
    gopher, large = found.table.to_dict("records")
    ours = f"{gopher['n_opt_median']:.3g} [{gopher['n_opt_lower']:.3g}, {gopher['n_opt_upper']:.3g}]"
    return [
        f"| scalebayes, 89% | {a['mean']:.3f} [{a['lower']:.3f}, {a['upper']:.3f}] | {ours} | "
        f"{large['near_n_lower']:.2g} to {large['near_n_upper']:.2g} | {seconds:.2f} s |",
        "| Hoffmann et al., approach 1 | 0.50 (0.488, 0.502) | 6.7e10 | | |",
        "| approach 2 | 0.49 (0.462, 0.534) | | | |",
        f"| approach 3 | 0.46 (0.454, 0.455) | {_published(1.69, 406.4, 410.7, 0.34, 0.28):.3g} "
        "by its rounded constants | | |",
        f"| Besiroglu et al. | {0.3658 / (0.3478 + 0.3658):.3f} | "
        f"{_published(1.8172, 482.01, 2085.43, 0.3478, 0.3658):.3g} | | |",
    ]


def _published(E: float, A: float, B: float, alpha: float, beta: float) -> float:
    """N* at the budget of Gopher from the constants of a paper."""
    return (alpha * A / (beta * B)) ** (1 / (alpha + beta)) * (5.76e23 / 6) ** (beta / (alpha + beta))


PARTS = {
    "allocation": (
        "Compute-optimal plans beside published ones",
        "| source | a in N* ~ C^a | N* at 5.76e23 FLOPs | within 0.005 of the best at 1e24 | "
        "4000 draws, 100 budgets |\n"
        "|---|---|---|---|---:|",
        _of_allocation,
    ),
    "nulls": ("Nulls: one architecture under two names", DIVIDED, _of_nulls),
    "pairs": (
        "Real pairs: a law each, or one law for both",
        "| pair | fit | runs | ahead | weight of one law | decision risk, a law each | averaged | converged |\n"
        "|---|---|---:|---|---:|---:|---:|---|",
        _of_real_pairs,
    ),
    "defaults": ("Nulls by default, with a surface", DIVIDED, lambda: _of_nulls("auto", OF_DEFAULT)),
    "simulated": (
        "Simulated pairs",
        "| truth | pairs | behind: forecast, observed | tenths of the risk with p > 0.01 | "
        "smallest p: forecast, observed | "
        "of risks 0 to 0.1, 0.1 to 0.2, ... with p > 0.01, smallest p | crossed: forecast, observed | p of the first "
        "crossing's position | loss covered | difference covered | Brier, of the rate | converged |\n"
        "|---|---:|---|---|---:|---|---|---:|---:|---:|---|---:|",
        _of_simulated,
    ),
    "brute": (
        "The next run against refitting",
        "| cases | same choice | same, or within two standard errors of the refits | "
        "largest loss by the choice, of what there was |\n"
        "|---:|---:|---:|---:|",
        _of_brute_force,
    ),
    "pairing": (
        "Pairing: width of the 89% interval of the difference at the target",
        "| table | runs | one joint fit | two fits | ratio |\n|---|---:|---:|---:|---:|",
        _of_pairing,
    ),
}


if __name__ == "__main__":
    run_parts(__doc__, "decisions.md", PARTS, "reliability.png")
