"""Are designs, stops and forecasts of runs in flight worth anything? On ScaleBench's pools, simulations, and schedules.

``python benchmarks/planning.py`` rewrites the tables of ``planning.md``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd
import scalebench
from cases import DATA
from page import run_parts
from promoting import FIRST, STEP, TARGET, regret, speed_up, truth_of
from schedules import rates_of

import scalebayes as sb
from scalebayes.questions.candidates import costed
from scalebayes.questions.design import _joint, _targets

PAGE = "planning.md"
SEED = 20261202
PILOT = 0.2  # share of the budget, spent on the cheapest runs, that the design is made from
REPEATS = 10

# Designs

POOLS: dict[str, tuple[str, str, tuple[float, float]]] = {
    "parallel": ("parallel", "parallel", (0.05, 0.10)),
    "sparsity": ("sparsity", "mean size", (0.35, 0.50)),
    "farseer": ("farseer", "outer power", (0.05, 0.10)),
    "lr_batch": ("lr_batch", "step law", (0.05, 0.10)),
    "vocabulary": ("vocabulary", "vocabulary that needs data", (0.05, 0.10)),
    "mixture": ("mixture, domain 1", "data mixing", (0.35, 0.50)),
}
# Where the budget pays for fewer runs than each group alone would need: so many of each group to begin with, and the
# posterior median for the final fit of every method.
PILOTS = {"parallel": 2, "mixture": 3}
PUBLISHED = {"lr_batch": 0.22, "mixture": 0.95, "vocabulary": 0.98, "parallel": 0.99, "sparsity": 0.53, "farseer": 0.93}


def _pool(name: str) -> list[str]:
    label, law, shares = POOLS[name]
    task = scalebench.TASKS[label]
    candidate = _without_departure(task.candidates[law])
    if name == "mixture":  # what a domain does is the same for models of all sizes; each has a floor and an amplitude
        priors = sb.laws.as_law(candidate.law).priors
        shared = {each: sb.shared(given.prior) for each, given in priors.items() if each.startswith("t_")}
        candidate = scalebench.Candidate(candidate.law, candidate.inputs, candidate.settings | {"priors": shared})
    cost = task.cost or (lambda t: pd.Series(1.0, index=t.index))
    lines = []
    for share in shares:
        scores: dict[str, list[float]] = {how: [] for how in ("design", "random", "cheapest", "D-optimal")}
        unlike, runs, before = 0, [], np.array([])
        for repeat in range(REPEATS):
            rng = np.random.default_rng((SEED, repeat))
            known, ahead = scalebench.split(task.table(), task, seed=repeat)
            known = candidate.rows(known).reset_index(drop=True)
            price = cost(known).to_numpy(float)
            budget = share * float(cost(task.table()).sum())
            pilot = _pilot(task, known, price, budget, PILOTS.get(name, 0), rng)
            again, before = np.array_equal(pilot, before) and task.cost is not None, pilot
            if not again:
                fit = scalebench.fitted(task, candidate, known.iloc[pilot])
                unlike += bool(fit.diagnostics.problems)
            for how in scores:
                if how == "cheapest" and task.cost is None:  # the same as random
                    scores[how].append(np.nan)
                    continue
                if again and how != "random":  # from the same pilot the same runs
                    scores[how].append(scores[how][-1])
                    continue
                rows = _choice(how, task, fit, known, ahead, price, budget, pilot, rng)
                runs += [len(rows)] if how == "design" else []
                if name in PILOTS:
                    last = scalebench.fitted(task, candidate, known.iloc[rows])
                    unlike += bool(last.diagnostics.problems)
                    at = ahead if task.cost is None else ahead.assign(cost=task.cost(ahead))
                    found = sb.forecast(last, at=at).table["median"].to_numpy()
                else:
                    found = scalebench.by_least_squares(task, candidate, known.iloc[rows], ahead)
                scores[how].append(scalebench.r2(ahead[task.response].to_numpy(float), found))
                print(name, share, repeat, how, len(rows), round(scores[how][-1], 3), flush=True)
        cells = ["" if np.isnan(of).all() else f"{np.median(of):.2f} ({min(of):.2f})" for of in scores.values()]
        lines.append(
            f"| {name} | {100 * share:g}% | {' | '.join(cells)} | {PUBLISHED[name]:.2f} | {len(pilot)}, "
            f"{np.median(runs):g} of {len(known)} | {unlike} |"
        )
        print(lines[-1], flush=True)
    return lines


def _without_departure(candidate: scalebench.Candidate) -> scalebench.Candidate:
    settings = {key: value for key, value in candidate.settings.items() if key != "discrepancy"}
    return scalebench.Candidate(candidate.law, candidate.inputs, settings | {"discrepancy": None}, run=candidate.run)


def _pilot(task, known, price, budget, of_each: int, rng) -> np.ndarray:
    """The cheapest runs within a share of the budget, in a random order among equals; a few of each group at least."""
    order = np.lexsort((rng.random(len(known)), price))
    first = np.zeros(len(known), bool)
    if of_each:
        first[order] = known[task.group].iloc[order].groupby(known[task.group]).cumcount() < of_each
    order = np.concatenate([order[first[order]], order[~first[order]]])
    spent = np.cumsum(price[order])
    return order[: max(int((spent <= PILOT * budget).sum()), int(first.sum()))]


def _choice(how, task, fit, known, ahead, price, budget, pilot, rng) -> np.ndarray:
    left = budget - price[pilot].sum()
    rest = np.setdiff1d(np.arange(len(known)), pilot)
    groups = [] if task.group is None else sorted(known[task.group].unique())
    if how == "cheapest":
        return _within(np.argsort(price, kind="stable"), price, budget)
    if how == "random":
        while True:
            rows = _within(rng.permutation(len(known)), price, budget)
            if (
                task.group is None
                or known[task.group].iloc[rows].value_counts().reindex(groups, fill_value=0).min() > 1
            ):
                return rows  # two runs of each group at least, without which no law is fitted
    table = known.iloc[rest].assign(cost=price[rest])
    if how == "design":
        at = ahead if task.cost is None else ahead.assign(cost=task.cost(ahead))
        chosen = sb.design(fit, candidates=table, budget=left, at=at.iloc[:: max(1, len(at) // 60)])
        return np.concatenate([pilot, chosen.table["candidate"].to_numpy(int)])
    points = costed(fit, table, left)
    joint = _joint(fit, points, _targets(fit, table.iloc[:1], "width"), "width", 0)
    return np.concatenate(
        [pilot, points["candidate"].to_numpy(int)[_informative(joint, points["cost"].to_numpy(), left)]]
    )


def _within(order: np.ndarray, price: np.ndarray, budget: float) -> np.ndarray:
    """Runs in an order, without those that what is left does not pay for."""
    taken, spent = [], 0.0
    for i in order:
        if spent + price[i] <= budget:
            taken.append(i)
            spent += price[i]
    return np.array(taken)


def _informative(joint, cost: np.ndarray, budget: float) -> list[int]:
    """Greedy Bayesian D-optimality: the information on the parameters for each unit of cost."""
    among, order, spent = joint.of_candidates.copy(), [], 0.0
    free = np.ones(len(cost), bool)
    while True:
        rows = np.flatnonzero(free & (cost <= budget - spent))
        if not len(rows):
            return order
        gains = np.log1p(np.maximum(among[rows, rows], 0) / joint.noise[rows]) / cost[rows]
        i = int(rows[gains.argmax()])
        column = among[:, i] / np.sqrt(max(among[i, i] + joint.noise[i], 1e-12))
        among -= np.outer(column, column)
        free[i] = False
        spent += cost[i]
        order.append(i)


# When to stop

PROGRAMMES, FEWEST, MOST = 200, 4, 8  # rungs of a ladder
USES = 1.0


def stops() -> list[str]:
    """Two recipes on a ladder; the rule asks after each rung whether a run of either at the next is worth its cost."""
    rng = np.random.default_rng(SEED)
    kinds = ("lasts", "worse", "fades beyond them", "fades among the runs")
    truths = [truth_of(kinds[i % len(kinds)], rng) for i in range(PROGRAMMES)]
    stopped = np.full(PROGRAMMES, MOST)
    choice: dict[int, np.ndarray] = {}
    for rungs in range(FEWEST, MOST + 1):
        models = {str(i): _one_floor(truth, rungs, SEED + i) for i, truth in enumerate(truths)}
        fleet = sb.fit_many(models, seed=SEED, progress=False)
        picked = np.zeros(PROGRAMMES, bool)
        following = FIRST * STEP**rungs
        for i in range(PROGRAMMES):
            fit = fleet[str(i)]
            plan = pd.DataFrame({"C": following, "recipe": ["baseline", "candidate"], "cost": 2 * following})
            answer = sb.enough_runs(fit, candidates=plan, to=TARGET, uses=USES, seed=0)
            picked[i] = answer.choice == "candidate"
            if answer.enough and stopped[i] == MOST and rungs < MOST:
                stopped[i] = rungs
        choice[rungs] = picked
    lines = []
    s = np.array([float(speed_up(truth, TARGET)) for truth in truths])
    for name, ends in [
        ("the rule", stopped),
        *((f"{n} rungs", np.full(PROGRAMMES, n)) for n in range(FEWEST, MOST + 1)),
    ]:
        wasted = np.array([regret(bool(choice[n][i]), s[i]) for i, n in enumerate(ends)])
        paid = np.array([2 * FIRST * (STEP**n - 1) / (STEP - 1) / TARGET for n in ends])
        runs = 2.0 * np.asarray(ends)
        lines.append(
            f"| {name} | {runs.mean():.1f} | {paid.mean():.4f} | {wasted.mean():.4f} | {(wasted + paid).mean():.4f} |"
        )
    return lines


def _one_floor(truth: dict, rungs: int, seed: int) -> sb.Model:
    from promoting import runs_of

    model = sb.Model(sb.laws.power_floor, runs_of(truth, rungs, seed), discrepancy=None)
    return sb.Model(model.law, model.runs, priors={"E": sb.shared(model.priors["E"].prior)}, discrepancy=None)


# Runs in flight

SHARES = (0.2, 0.4, 0.6, 0.8)
EVERY = 9  # of the ladder's points


def flights() -> list[str]:
    """The end of every curve of one size, from the three known schedules of the two other sizes and its own first part."""
    table = pd.read_csv(DATA / "lr_schedules_mpl.csv")
    table["size"] = (table["n_params"] // 10**6).astype(str) + "M"
    rates = {name: rates_of(name) for name in table["schedule"].unique()}
    rows = []
    for size in table["size"].unique():
        ladder = table[(table["size"] != size) & (table["split"] == "train")].iloc[::EVERY]
        inputs = {"eta": sb.schedule("schedule", rates, step="step")}
        runs = sb.read_runs(ladder, inputs=inputs, response="loss", group="size")
        fit = sb.fit(sb.laws.annealing, runs, discrepancy=None, seed=1, progress=False)
        if fit.diagnostics.problems:
            raise RuntimeError(f"without {size}: {fit.diagnostics.problems}")
        for name, own in table[table["size"] == size].groupby("schedule"):
            own = own.sort_values("step")
            own = own.iloc[np.unique(np.linspace(0, len(own) - 1, 100).round().astype(int))]
            for share in SHARES:
                curve = own[["schedule", "step", "loss"]].copy()
                curve["loss"] = curve["loss"].where(curve["step"] <= share * curve["step"].max())
                answer = sb.in_flight(fit, curve)
                e, end = answer.end, float(own["loss"].iloc[-1])
                rows.append(
                    {
                        "size": size,
                        "schedule": name,
                        "share": share,
                        "inside": e["lower"] <= end <= e["upper"],
                        "width": e["upper"] - e["lower"],
                        "before": e["before_upper"] - e["before_lower"],
                        "off": e["median"] - end,
                        "alarm": answer.alarm,
                    }
                )
    found = pd.DataFrame(rows)
    steps = found["schedule"].str.startswith("wsdcon")
    return [
        f"| {100 * share:g}% | {len(own)} | {own['inside'].mean():.2f} | {own['inside'][~steps].mean():.2f} | "
        f"{own['width'].mean():.3f} | {own['before'].mean():.2f} | {np.sqrt((own['off'] ** 2).mean()):.4f} | "
        f"{int(own['alarm'].sum())} |"
        for share, own in found.groupby("share")
    ]


PARTS: dict[str, tuple[str, str, Callable[[], list[str]]]] = {
    "flights": (
        "Runs in flight",
        "| seen | curves | 89% band of the end holds | without the stepped schedules | width | by the ladder alone | "
        "root mean square error | alarms |\n|---|---:|---:|---:|---:|---:|---:|---:|",
        flights,
    ),
    "stops": (
        "When to stop",
        "| ladder | runs | spent | wasted by the choice | both |\n|---|---:|---:|---:|---:|",
        stops,
    ),
} | {
    name: (
        f"Designs: {name}",
        "| pool | budget | design | random | cheapest | D-optimal | published, on other targets | first, all runs | "
        "fits not converged |\n|---|---:|---:|---:|---:|---:|---:|---:|---:|",
        partial(_pool, name),
    )
    for name in POOLS
}

if __name__ == "__main__":
    run_parts(__doc__, PAGE, PARTS)
