"""Is the risk that an order turns round calibrated on published curves?

``python benchmarks/reversals.py`` takes every pair of comparable curves (one task, metric and test set) of nine tables.
It fits the runs below 3, 10 or 30% of their common largest scale, and forecasts the probability that the curve ahead
there is behind at that largest scale. Every curve is fitted alone with the defaults, by three laws that drift and by
one that does not; four ways to use these fits are scored. With ``--folder`` the forecasts are kept there, and a second
run continues where the first stopped. It rewrites tables and the picture of ``decisions.md``.
"""

from __future__ import annotations

import argparse
import hashlib
import time
import warnings
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
from page import HERE, commit, written
from pairs import CUTOFFS, Pair, curves, pairs
from scipy.optimize import minimize
from scipy.special import expit

import scalebayes as sb
from scalebayes.questions.along import side_by_side

PAGE, PICTURE = "decisions.md", "reliability.png"
DRAWS, RESAMPLES = 500, 2000
FITS = {
    "drift": (sb.laws.power_floor, "drift"),
    "shifted": (sb.laws.shifted_power, "drift"),
    "sigmoid": (sb.laws.sigmoid, "drift"),
    "law alone": (sb.laws.power_floor, None),
    "as it comes": (sb.laws.power_floor, "auto"),
}
# The fits that each forecaster averages; the risk of the first forecaster is shown. The one who knows nothing takes the
# default fit, which does not know how far it will be asked.
DEFAULT = {"as it comes": ("as it comes",)}
KINDS = {
    "average": ("drift", "shifted", "sigmoid", "law alone"),
    "three that drift": ("drift", "shifted", "sigmoid"),
    "drift": ("drift",),
    "law alone": ("law alone",),
}
SHOWN = next(iter(KINDS))
# Language models whose learning rate falls along a cosine by the target, according to the papers; the tables do not say
# how far. The gain of such a schedule is known from other language models (Luo et al. 2025, arXiv:2503.12811), and
# forecasts of a loss use it.
SCHEDULED, GAIN = ("datablations", "routing, tokens"), sb.LogNormal(median=0.023, spread=0.5)
NAMED = ("vision", "translation", "porian recipes", "xlstm", "openclip curves", "openclip upstream", "datablations")
EDGES = (0.0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.65, 1.0)


def forecasts(some: Sequence[Pair], kinds: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """The risk of each pair by each forecaster, with every curve fitted alone, and how the bands cover."""
    wanted = tuple(dict.fromkeys(name for names in kinds.values() for name in names))
    fits = _fitted(some, wanted)

    @cache
    def fit_of(kind: str, curve: str) -> sb.Fit | sb.Average:
        own = {name: fits[f"{name} {curve}"] for name in kinds[kind]}
        return sb.average(own) if len(own) > 1 else own[kinds[kind][0]]

    @cache
    def far_out(kind: str, curve: str, to: float, gain: sb.LogNormal | None) -> dict[str, np.ndarray]:
        return _at_target(fit_of(kind, curve), to, gain)

    def of_pair(pair: Pair) -> list[dict]:
        rows, keys = [], {curve: _key(known, pair.cutoff) for curve, known in pair.known.items()}
        for kind in kinds:
            apart = {gain: [far_out(kind, key, pair.to, gain) for key in keys.values()] for gain in {None, _gain(pair)}}
            drawn = {
                gain: {name: side_by_side([own[name][:, None] for own in of_both], 0)[0].T for name in of_both[0]}
                for gain, of_both in apart.items()
            }
            own = {curve: fit_of(kind, key) for curve, key in keys.items()}
            rows.append({**_described(pair), "kind": kind, **_judged(own, pair, drawn)})
        return rows

    with ThreadPoolExecutor(2) as pool:
        return pd.DataFrame([row for rows in pool.map(of_pair, some) for row in rows])


def _at_target(fit: sb.Fit | sb.Average, to: float, gain: sb.LogNormal | None) -> dict[str, np.ndarray]:
    """Logs of the draws of a curve at the target: of the mean response and of a new run."""
    change = to if gain is not None else None
    draws = sb.forecast(fit, at={"D": [to]}, schedule_change=change, schedule_gain=gain).draws
    return {str(name): np.log(values.to_numpy().ravel()) for name, values in draws.items()}


def _gain(pair: Pair) -> sb.LogNormal | None:
    """The known gain of a schedule that ends at the target, if there is one."""
    return GAIN if pair.source in SCHEDULED else None


def _described(pair: Pair) -> dict:
    return {
        "source": pair.source,
        "cluster": pair.cluster,
        "pair": pair.name,
        "cutoff": pair.cutoff,
        "to": pair.to,
        "margin": pair.margin,
        "reversed": pair.reversed,
        "regret_naive": max(0.0, np.log(pair.leader / pair.other)),
    }


def _key(known: pd.DataFrame, cutoff: float) -> str:
    """The key of a curve with its known runs, which is the same in all its pairs."""
    values = known[["x", "y"]].to_numpy()
    return f"{cutoff:g} {hashlib.sha256(values.tobytes()).hexdigest()[:16]}"


def _fitted(some: Sequence[Pair], names: Sequence[str]) -> dict[str, sb.Fit]:
    """Every curve fitted alone with the defaults; those that have not converged once more and more carefully."""
    every = {_key(known, pair.cutoff): (known, pair.cutoff) for pair in some for known in pair.known.values()}
    models = {}
    for key, (known, cutoff) in every.items():
        runs = sb.thin(sb.read_runs(known, inputs={"D": "x"}, response="y"), 24)
        for name in names:
            law, discrepancy = FITS[name]
            # How far the forecast reaches is known when the curve is fitted.
            horizon = 1 / cutoff if discrepancy == "drift" else None
            models[f"{name} {key}"] = sb.Model(law, runs, discrepancy=discrepancy, horizon=horizon)
    return _sampled(models)


def _sampled(models: Mapping[str, sb.Model]) -> dict[str, sb.Fit]:
    fleet = sb.fit_many(models, draws=DRAWS)
    again = {name: models[name] for name, done in fleet.table["converged"].items() if not done}
    careful = sb.fit_many(again, draws=4 * DRAWS, target_accept=0.99) if again else {}
    return {name: careful[name] if name in again else fleet[name] for name in models}


def _judged(
    fit: Mapping[str, sb.Fit | sb.Average], pair: Pair, drawn: Mapping[sb.LogNormal | None, Mapping[str, np.ndarray]]
) -> dict:
    """Risk, regret and coverage, from draws at the target with the schedule stated and not stated."""
    two = list(fit)
    found = sb.crossover(fit, groups=two, axis="D", start=pair.at, to=pair.to)
    (of_pair,) = found.pairs.to_dict("records")
    mean = np.log(found.draws.isel(scale=-1).transpose("group", "sample").sel(group=two).to_numpy())
    winner, ahead = two.index(found.winner), of_pair["p_a_ahead_at_target"]
    # In logs, like the observed regret: the mean of the loss itself depends on the tail of a drift far out.
    expected = (mean[winner] - mean.min(0)).mean()
    judged = {
        "risk": 1 - ahead if of_pair["a"] == two[0] else ahead,
        "ordered": found.ordered,
        "expected_regret_log": expected,
        "regret": max(0.0, np.log((pair.leader, pair.other)[winner] / min(pair.leader, pair.other))),
        "converged": not found.diagnostics.problems,
        "max_r_hat": found.diagnostics.max_r_hat,
    }
    truth = np.log([pair.leader, pair.other])
    stated, new = drawn[_gain(pair)], drawn[None]["new_run"]
    # The gain of a schedule is the same for both, and no part of their difference.
    for called, values in (("mean", mean), ("new", new)):
        ends = np.quantile(values[0] - values[1], [0.055, 0.945])
        judged[f"covers_gap_{called}"] = bool(ends[0] <= truth[0] - truth[1] <= ends[1])
    for called, values in (("mean", stated["mean_response"]), ("new", stated["new_run"]), ("unstated", new)):
        low, high = np.quantile(values, [0.055, 0.945], axis=1)
        judged[f"covers_{called}"] = float(((low <= truth) & (truth <= high)).mean())
    return judged


def _squared(risk: np.ndarray, happened: np.ndarray) -> np.ndarray:
    return (risk - happened) ** 2


def _log(risk: np.ndarray, happened: np.ndarray) -> np.ndarray:
    """Minus the log probability of what happened; a share of draws is never quite 0 or 1."""
    p = np.clip(risk, 0.5 / (4 * DRAWS), 1 - 0.5 / (4 * DRAWS))
    return -np.where(happened, np.log(p), np.log1p(-p))


def baselines(one: pd.DataFrame) -> dict[str, np.ndarray]:
    """The risk of the same pairs by forecasters without a law.

    They are the base rate of reversals of these pairs at each cut-off, which nobody knows in advance; the base rate of
    the other clusters; zero, as if the order stays; and a logistic regression on the margin at the decision scale,
    fitted to the other clusters.
    """
    happened, cluster = one["reversed"].to_numpy(float), one["cluster"].to_numpy()
    log_margin = np.log(np.maximum(one["margin"].to_numpy(), 1e-5))
    cut = pd.get_dummies(one["cutoff"]).to_numpy(float)
    design = np.column_stack([cut, one["margin"], log_margin])
    rate = one.groupby("cutoff")["reversed"].transform("mean").to_numpy(float)
    others, regressed = np.empty(len(one)), np.empty(len(one))
    for name in np.unique(cluster):
        rest, own = cluster != name, cluster == name
        others[own] = [happened[rest & (one["cutoff"] == c)].mean() for c in one["cutoff"][own]]
        regressed[own] = expit(design[own] @ _logistic(design[rest], happened[rest]))
    return {
        "base rate of these pairs": rate,
        "base rate of the other clusters": others,
        "order stays": np.zeros(len(one)),
        "margin, logistic": regressed,
    }


def _logistic(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Coefficients, with a slight penalty so that they exist."""

    def loss(b):
        eta = x @ b
        return np.logaddexp(0, eta).sum() - y @ eta + 0.01 * b @ b, x.T @ (expit(eta) - y) + 0.02 * b

    return minimize(loss, np.zeros(x.shape[1]), jac=True, method="BFGS").x


def resampled(value: np.ndarray, cluster: np.ndarray) -> tuple[float, float]:
    """89% bootstrap interval of a mean, from resampled clusters."""
    rng, codes = np.random.default_rng(0), pd.factorize(cluster)[0]
    total, count = np.bincount(codes, value), np.bincount(codes)
    drawn = rng.integers(len(total), size=(RESAMPLES, len(total)))
    low, high = np.quantile(total[drawn].sum(1) / count[drawn].sum(1), [0.055, 0.945])
    return float(low), float(high)


def scored(frame: pd.DataFrame, called: str, cutoffs: Sequence[float] = ()) -> list[str]:
    """Rows of the table of scores for some pairs: each forecaster at each cut-off and over all."""
    one = frame[frame["kind"] == frame["kind"].iloc[0]].reset_index(drop=True)
    forecasters = {kind: part["risk"].to_numpy() for kind, part in frame.groupby("kind", sort=False)} | baselines(one)
    happened, cluster = one["reversed"].to_numpy(float), one["cluster"].to_numpy()
    # A pair at several cut-offs or shots counts as one.
    names = one["pair"].str.partition(": ")[2].map(lambda pair: " ".join(sorted(pair.split(", "))))
    lines = []
    for cutoff in (*cutoffs, None):
        rows = np.ones(len(one), bool) if cutoff is None else (one["cutoff"] == cutoff).to_numpy()
        distinct = len(set(zip(cluster[rows & one["reversed"]], names[rows & one["reversed"]], strict=True)))
        which = "all cut-offs" if cutoff is None else f"{cutoff:.0%}"
        part = f"{called}, {which} | {rows.sum()} | {len(np.unique(cluster[rows]))}"
        held = f"{part} | {happened[rows].mean():.3f} ({distinct} distinct)"
        for name, risk in forecasters.items():
            brier, log = _squared(risk, happened)[rows], _log(risk, happened)[rows]
            apart = ["", ""]
            if name in KINDS or name in DEFAULT:
                for i, other in enumerate(("base rate of these pairs", "margin, logistic")):
                    less = brier - _squared(forecasters[other], happened)[rows]
                    low, high = resampled(less, cluster[rows])
                    apart[i] = f"{less.mean():+.4f} [{low:+.4f}, {high:+.4f}]"
            lines.append(f"| {held} | {name} | {brier.mean():.4f} | {log.mean():.3f} | {' | '.join(apart)} |")
    return lines


def all_scores(frame: pd.DataFrame) -> list[str]:
    """Scores of the tables named in advance, of all tables, and of parts on which the whole might rest."""
    shown = frame[frame["kind"] == SHOWN].set_index(["cutoff", "pair"])["ordered"]
    ordered = shown[pd.MultiIndex.from_frame(frame[["cutoff", "pair"]])].to_numpy(bool)
    return [
        *scored(frame[frame["source"].isin(NAMED)], "named", CUTOFFS),
        *scored(frame, "all", CUTOFFS),
        *scored(frame[frame["source"] != "datablations"], "all but datablations"),
        *scored(frame[ordered], "ordered"),
    ]


def by_source(frame: pd.DataFrame) -> list[str]:
    """Rows by source: where the forecasts help and where they do not."""
    lines = []
    for (source, cutoff), part in frame.groupby(["source", "cutoff"], sort=False):
        own = part[part["kind"] == SHOWN]
        rate, happened = own["reversed"].mean(), own["reversed"].to_numpy(float)
        scores = [f"{_squared(p['risk'].to_numpy(), happened).mean():.4f}" for _, p in part.groupby("kind", sort=False)]
        lines.append(
            f"| {source} | {cutoff:.0%} | {len(own)} | {int(own['reversed'].sum())} | {own['risk'].sum():.1f} | "
            f"{' | '.join(scores)} | {rate * (1 - rate):.4f} | {own['covers_new'].mean():.2f} | "
            f"{own['covers_gap_new'].mean():.2f} | {own['converged'].mean():.2f}, {own['max_r_hat'].max():.3f} |"
        )
    return lines


def reliability(risk: np.ndarray, happened: np.ndarray, cluster: np.ndarray) -> pd.DataFrame:
    """Forecast risk and observed frequency, in bins of the risk."""
    rows = []
    for low, high in pairwise(EDGES):
        own = (risk >= low) & ((risk < high) | (high == 1.0))
        if own.any():
            ends = resampled(happened[own], cluster[own])
            rows.append(
                {
                    "from": low,
                    "to": high,
                    "pairs": int(own.sum()),
                    "forecast": risk[own].mean(),
                    "observed": happened[own].mean(),
                    "lower": ends[0],
                    "upper": ends[1],
                }
            )
    return pd.DataFrame(rows)


def alarms(one: pd.DataFrame) -> list[str]:
    """Rows of false alarms and misses over thresholds."""
    risk, happened = one["risk"].to_numpy(), one["reversed"].to_numpy()
    lines = []
    for threshold in (0.05, 0.1, 0.25, 0.5):
        flagged = risk > threshold
        false = (~happened[flagged]).mean() if flagged.any() else np.nan
        lines.append(
            f"| {threshold} | {flagged[~happened].mean():.3f} | {(~flagged[happened]).mean():.3f} | {false:.3f} | "
            f"{int(flagged.sum())} |"
        )
    return lines


def covered(frame: pd.DataFrame) -> list[str]:
    """Rows of how nominal 89% intervals cover at the target, by cut-off."""
    lines = []
    for (kind, cutoff), part in frame.groupby(["kind", "cutoff"], sort=False):
        cells = []
        for name in ("covers_mean", "covers_new", "covers_unstated", "covers_gap_mean", "covers_gap_new"):
            low, high = resampled(part[name].to_numpy(float), part["cluster"].to_numpy())
            cells.append(f"{part[name].mean():.2f} [{low:.2f}, {high:.2f}]")
        regret = " | ".join(f"{part[name].mean():.4f}" for name in ("expected_regret_log", "regret", "regret_naive"))
        lines.append(f"| {kind} | {cutoff:.0%} | {' | '.join(cells)} | {regret} |")
    return lines


def drawn(table: pd.DataFrame, path: Path) -> None:
    """The reliability diagram."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.2, 4.6), layout="constrained", dpi=150)
    panel = figure.subplots()
    panel.plot([0, 1], [0, 1], color="0.7", lw=1)
    error = np.abs(table[["lower", "upper"]].to_numpy().T - table["observed"].to_numpy())
    panel.errorbar(table["forecast"], table["observed"], error, fmt="o", color="C0", ms=5, lw=1.2)
    for row in table.to_dict("records"):
        panel.annotate(
            f"{row['pairs']}",
            (row["forecast"], row["upper"]),
            (0, 3),
            textcoords="offset points",
            fontsize=7,
            ha="center",
            color="0.4",
        )
    panel.set(
        xlim=(-0.02, 1.02),
        ylim=(-0.02, 1.06),
        xlabel="forecast risk of reversal",
        ylabel="observed frequency of reversal",
    )
    panel.set_title("pairs of published curves; 89% intervals by cluster, number of pairs", fontsize=8.5)
    figure.savefig(path)


SCORES = (
    "| pairs of | pairs | clusters | reversed | forecaster | Brier | log score | Brier less that of the base rate | "
    "less that of the logistic |\n"
    "|---|---:|---:|---|---|---:|---:|---|---|"
)
SOURCES = (
    "| source | cut-off | pairs | reversed | forecast | Brier, average | three that drift | drift | law alone | "
    "base rate of these pairs | loss covered | difference covered | converged, r-hat |\n"
    "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|"
)
ALARMS = (
    "| flagged above | false alarms | misses | of the flagged, did not reverse | flagged |\n|---:|---:|---:|---:|---:|"
)
COVERED = (
    "| forecaster | cut-off | loss, mean response | loss, new run | new run, schedule not stated | difference, mean | "
    "difference, new runs | regret, forecast | regret of its choice | regret of the leader |\n"
    "|---|---|---|---|---|---|---|---:|---:|---:|"
)
RELIABLE = "| risk | pairs | forecast | observed |\n|---|---:|---:|---|"


def answers(folder: Path | None, at: str, kinds: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """The forecast of every pair, one source and cut-off after the other, with the commit that made it."""
    table, found = curves(), []
    for cutoff in CUTOFFS:
        every = list(pairs(table, cutoff))
        for source in dict.fromkeys(pair.source for pair in every):
            some = [pair for pair in every if pair.source == source]
            kept = None if folder is None else folder / f"{cutoff:g} {source}.csv"
            if kept is not None and kept.is_file():
                found.append(pd.read_csv(kept))
                continue
            start = time.perf_counter()
            made = forecasts(some, kinds)
            found.append(made.assign(commit=at, seconds=(time.perf_counter() - start) / len(made)))
            print(f"{cutoff:.0%} {source}: {len(some)} pairs, {found[-1]['seconds'].sum():.0f} s", flush=True)
            if kept is not None:
                found[-1].to_csv(kept, index=False)
    return pd.concat(found, ignore_index=True)


def main() -> None:
    """Forecast, score, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, help="keep answers here, and continue from those kept")
    parser.add_argument(
        "--default", action="store_true", help="only the fit as it comes; its own tables, nothing else rewritten"
    )
    parser.add_argument(
        "--pythia", action="store_true", help="3%% with Pythia's curves, which are left out; printed only"
    )
    arguments = parser.parse_args()
    if arguments.pythia:
        some = list(pairs(curves(pythia=True), CUTOFFS[0]))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", sb.ConvergenceWarning)
            frame = forecasts(some, {"drift": ("drift",)})
        print("\n".join(scored(frame, "3%, with Pythia")))
        return
    folder = arguments.folder
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", sb.ConvergenceWarning)
        frame = answers(folder, commit(PAGE, PICTURE), DEFAULT if arguments.default else KINDS)
    at, seconds = ", ".join(frame["commit"].unique()), float(frame["seconds"].sum())
    if arguments.default:
        lines = [*scored(frame[frame["source"].isin(NAMED)], "named", CUTOFFS), *scored(frame, "all", CUTOFFS)]
        written(PAGE, "Reversals: scores of the default fit", SCORES, lines, seconds, at)
        written(PAGE, "Reversals: coverage and regret of the default fit", COVERED, covered(frame), seconds, at)
        return
    one = frame[frame["kind"] == SHOWN].reset_index(drop=True)
    bins = reliability(one["risk"].to_numpy(), one["reversed"].to_numpy(float), one["cluster"].to_numpy())
    rows = [
        f"| {row['from']:g} to {row['to']:g} | {row['pairs']} | {row['forecast']:.3f} | "
        f"{row['observed']:.3f} [{row['lower']:.3f}, {row['upper']:.3f}] |"
        for row in bins.to_dict("records")
    ]
    drawn(bins, HERE / PICTURE)
    for title, head, lines in (
        ("Reversals: scores", SCORES, all_scores(frame)),
        ("Reversals: reliability of the risk", RELIABLE, rows),
        ("Reversals: false alarms and misses", ALARMS, alarms(one)),
        ("Reversals: coverage and regret", COVERED, covered(frame)),
        ("Reversals: by source", SOURCES, by_source(frame)),
    ):
        written(PAGE, title, head, lines, seconds, at)


if __name__ == "__main__":
    main()
