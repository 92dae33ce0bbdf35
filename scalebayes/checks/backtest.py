"""Back-tests: forecasts of held-out runs, and how well they score and cover."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from scalebayes.arguments import check_seed, is_whole, quoted
from scalebayes.checks.answer import SCORES, Backtest
from scalebayes.checks.baselines import without_posterior
from scalebayes.checks.plan import LawOrMember, Method, averaged_laws, checked_priors, own_priors, plan
from scalebayes.discrepancy.resolve import AUTO, Discrepancy
from scalebayes.fits.averaging import mixed
from scalebayes.fits.fit import Fit
from scalebayes.fits.many import Fleet, fit_many
from scalebayes.laws import Law
from scalebayes.model import Model
from scalebayes.model.model import PoolingWord
from scalebayes.model.prediction import points_at_runs, predict
from scalebayes.model.responses import Response
from scalebayes.numerics import scores
from scalebayes.observations import Observation
from scalebayes.priors import Pooling, Prior
from scalebayes.runs import Runs
from scalebayes.runs.cost import order_of_runs
from scalebayes.runs.curves import curves
from scalebayes.runs.reading import select_inputs
from scalebayes.runs.splits import check_skipped, masks, of_curves, split, subset
from scalebayes.runs.thinning import spread

_WENT = ("converged", "max_r_hat", "min_ess_bulk", "min_ess_tail", "divergences", "problem")


def backtest(
    law: LawOrMember | Sequence[LawOrMember] | Fit,
    runs: Runs | None = None,
    *,
    train: str | None = None,
    cutoffs: float | Sequence[float] | None = None,
    top: float | Sequence[float] | None = None,
    pool: str | None = None,
    pooling: PoolingWord | None = None,
    cluster: str | None = None,
    priors: Mapping[str, Prior | Pooling] | None = None,
    observation: Observation | str | None = None,
    discrepancy: Discrepancy | None = AUTO,
    also: Mapping[str, Callable | Law | Response] | None = None,
    horizon: float | None = None,
    points: int | None = None,
    tested: int = 40,
    baselines: bool = True,
    draws: int = 500,
    skip: bool = False,
    seed: int = 0,
    progress: bool | None = None,
) -> Backtest:
    """Fit the runs up to a cut-off, forecast those beyond it, and score the forecast.

    Every group of the runs is a curve, or a table of final runs, and has a fit of its own; with ``pool``, the curves of
    one pool are fitted together. Nothing beyond the cut-off enters a fit, a prior or a scale.

    Parameters
    ----------
    law : Callable or Law, (law, discrepancy), (law, discrepancy, "separate"), a list of these, or Fit
        A fit stands for its law, runs, observation, discrepancy and the priors that were given for it. Several laws are
        each fitted, and their forecasts are mixed with equal weights, see `average`:
        ``[(power_floor, "drift"), (shifted_power, "drift"), (power_floor, None)]``. With ``pool``, a "separate" law is
        fitted to each curve alone: ``[(power_floor, "drift"), (shifted_power, "drift", "separate")]``. To forecast in
        this way, average a pooled fit to all curves with a fit to the same runs that has ``pooling="separate"`` (and
        `separate` priors, if any are given).
    runs : Runs
        Not needed if ``law`` is a fit.
    train : str, optional
        A column that is 1 for known runs and 0 for those to forecast.
    cutoffs : float or sequence of float, optional
        For a law of one input: fit the runs up to this share of a curve's largest scale. Each share is one setting.
    top : float or sequence of float, optional
        Hold out this share of the runs of every curve, the largest by cost, see `read_runs`. Each share is one setting.
    pool : str, optional
        A column; curves with the same value of it are fitted together.
    pooling : {"pooled", "crossed", "shared", "separate"}, optional
        How the curves of a pool divide the parameters, see `Model`.
    cluster : str, optional
        A column; curves with the same value of it are not independent, and are resampled together for intervals.
    priors, observation, discrepancy, also, horizon
        See `Model`. Of runs that are held out, no further response is known either. The discrepancy is for every law
        that names none, a prior for every law with that parameter. Least
        squares use the first law.
    points : int, optional
        For laws of one input: most runs of a curve to fit, see `thin`; by default 24, or 12 in a fit to a pool.
    tested : int
        Most runs of a curve to forecast, spread evenly over the logarithm of their scale (compute) as in `thin`.
    baselines : bool
        Whether to compare with rules of thumb and least squares.
    draws : int
        Draws of each chain.
    skip : bool
        Whether to leave out, and count, curves that cannot be tested: those with too few runs on either side of the
        cut-off, and those that the law refuses. Otherwise they are an error.
    seed : int
    progress : bool, optional

    Returns
    -------
    Backtest

    Raises
    ------
    ValueError
        If there is not exactly one kind of cut-off, if a column is missing or not what it must be, or if ``tested`` is
        below 1. Also if a curve has fewer than four known runs, no run to forecast, or a run to forecast below its
        largest known one, or if the law refuses it.

    Examples
    --------
    With the runs of `fit`'s example:

    >>> tested = sb.backtest((sb.laws.power_floor, None), runs, top=[0.3], skip=True, baselines=False)
    >>> tested.points["curve"].unique().tolist()
    ['Cerebras-GPT', 'Pythia']
    """
    check_seed(seed)
    if isinstance(law, Fit):
        runs, priors, observation, discrepancy = _of_fit(law.model, runs, priors, observation, discrepancy)
        horizon = law.model.horizon if horizon is None else horizon
        also = law.model.also if also is None else also
    if runs is None:
        raise TypeError("runs are needed, from sb.read_runs(table, ...), or a fit instead of the law.")
    if not is_whole(tested, 1):
        raise ValueError(f"tested is a whole number from 1 on, got {quoted(tested)}.")
    averaged = averaged_laws(law.model.law if isinstance(law, Fit) else law, discrepancy)
    first, priors = averaged[0].law, priors or {}
    further = [each.law if isinstance(each, Response) else each for each in (also or {}).values()]
    checked_priors(priors, [*(each.law for each in averaged), *further])
    runs = select_inputs(runs, first.name, first.inputs)
    known_by = masks(runs, train, cutoffs, top)
    pools, clusters = _columns(runs, pool, pooling, cluster)
    along = any(term.stated == "curves" for each in averaged for term in each.discrepancy or ())
    parts, skipped = split(runs, known_by, along, skip)
    models, methods, refused = plan(
        averaged,
        parts,
        runs,
        pools,
        pooled=bool(pool),
        points=points,
        priors=priors,
        pooling=pooling,
        observation=observation,
        also=also,
        horizon=horizon,
    )
    if not methods and len(reasons := set(refused.values())) == 1:  # the reason lies in the arguments, not in a curve
        raise ValueError(reasons.pop())
    skipped += [(setting, level or "all runs", why.rstrip(".")) for (setting, level), why in refused.items()]
    check_skipped(skipped, skip, len(methods))
    fleet = fit_many(models, draws=draws, seed=seed, progress=progress)
    scale = order_of_runs(runs)
    points_of, judged, by_member, others, fitted = [], [], [], [], []
    for (setting, level), of_curve in methods.items():
        known, ahead = parts[setting, level]
        names = {"setting": setting, "pool": pools[level], "curve": level}
        rows = ahead[spread(np.log(scale[ahead]), tested)][::-1]
        fitted.append(pd.DataFrame({**names, "scale": scale[known], "response": runs.y[known]}))
        counts = {
            "known": len(known),
            "fitted": _fitted(models, of_curve),
            "ahead": len(ahead),
            "tested": len(rows),
        }
        by_run, row, of_each = _judged(fleet, models, of_curve, runs, rows, counts, seed)
        judged.append({**names, **row})
        by_member += [{**names, **each} for each in of_each]
        if by_run is not None:
            where = _inputs(runs, rows)
            distance = {"scale": scale[rows], "reach": scale[rows] / scale[known].max()}
            points_of.append(pd.DataFrame({**names, **where, **distance}).join(by_run))
        if baselines:
            seen = models[of_curve[0].fit].observation
            others += [{**names, **each} for each in _baselines(first, runs, known, rows, priors, seen, seed)]
    columns = ["setting", "pool", "curve", "method", "rmsle", "coverage_89", "width_89", "converged", "problem"]
    return Backtest(
        pd.concat(points_of, ignore_index=True) if points_of else pd.DataFrame(),
        _with_scores(judged, columns),
        _with_scores(by_member, columns),
        pd.DataFrame(others, columns=columns),
        pd.concat(fitted, ignore_index=True),
        tuple(skipped),
        "; ".join(dict.fromkeys(each.name for of_curve in methods.values() for each in of_curve)),
        runs.response,
        "curve" if len(runs.scales) == 1 else "group",
        next(iter(models.values())).observation.scale.name,
        MappingProxyType(clusters),
    )


def _inputs(runs: Runs, rows: np.ndarray) -> dict[str, np.ndarray]:
    """The inputs of some runs, by name; the parts of a vector and what tells a schedule by their columns."""
    found: dict[str, np.ndarray] = {}
    for name, each in runs.inputs.items():
        if runs.x(name).ndim == 1:
            found[name] = runs.x(name)[rows]
        else:
            found |= {column: runs.table[column].to_numpy()[rows] for column in each.columns}
    return found


def _of_fit(model: Model, runs: Any, priors: Any, observation: Any, discrepancy: Any) -> tuple[Any, ...]:
    """What a fit was given: runs, priors, observation and discrepancy, unless the caller gives others."""
    return (
        model.runs if runs is None else runs,
        {name: model.priors[name] for name in model.given} if priors is None else priors,
        model.observation if observation is None else observation,
        discrepancy if discrepancy != AUTO or model.why else model.discrepancy,
    )


def _columns(
    runs: Runs, pool: str | None, pooling: str | None, cluster: str | None
) -> tuple[dict[str, str], dict[str, str]]:
    """The pool and the cluster of each curve."""
    levels = [level for level, _ in curves(runs)]
    pools = of_curves(runs, pool, "pool") if pool else dict.fromkeys(levels, "")
    clusters = of_curves(runs, cluster, "cluster") if cluster else {level: level for level in levels}
    if pool and not runs.group:
        raise ValueError(f"pool={pool!r} pools curves, and the runs have no group that distinguishes curves.")
    if pooling and not pool:
        raise ValueError(f"pooling={pooling!r} is about curves that are fitted together: say which, pool=.")
    return pools, clusters


def _judged(
    fleet: Fleet,
    models: Mapping[str, Model],
    methods: Sequence[Method],
    runs: Runs,
    rows: np.ndarray,
    counts: Mapping[str, int],
    seed: int,
) -> tuple[pd.DataFrame | None, dict[str, Any], list[dict[str, Any]]]:
    """Scores of a curve by run, on average, and by member; without those that need draws where a fit has none."""
    drawn, went = _forecasts(fleet, models, methods, runs, rows, seed)
    fits = list(dict.fromkeys(each.of for each in methods))
    row = {
        "method": went[0]["method"] if len(went) == 1 else "average",
        "fit": fits[0] if len(fits) == 1 else "",  # each member has its own
        **counts,
        **_worst(went),
    }
    forward = models[methods[0].fit].observation.scale.forward
    there = [each for each in drawn if each is not None]
    by_run = None
    if len(there) == len(drawn):
        mixture = there[0] if len(there) == 1 else mixed(there, [1 / len(there)] * len(there))
        by_run, means = _scored(mixture, runs.y[rows], forward)
        row |= means
    if len(went) == 1:
        return by_run, row, []
    of_each = [{} if each is None else _scored(each, runs.y[rows], forward)[1] for each in drawn]
    return by_run, row, [{**state, **means} for state, means in zip(went, of_each, strict=True)]


def _baselines(
    law: Law,
    runs: Runs,
    known: np.ndarray,
    rows: np.ndarray,
    priors: Mapping[str, Prior | Pooling],
    observation: Observation,
    seed: int,
) -> list[dict[str, Any]]:
    """Errors of forecasts without a posterior."""
    x = {name: runs.x(name)[rows] for name in runs.inputs}
    cost = runs.column(runs.cost)[rows] if isinstance(runs.cost, str) else None
    here = subset(runs, known, grouped=False)
    return without_posterior(law, here, own_priors(law, priors), x, runs.y[rows], seed, cost, observation)


def _fitted(models: Mapping[str, Model], of_curve: Sequence[Method]) -> int:
    """Number of runs of a curve in its fits; the largest, where they differ."""
    of_each = ((models[each.fit].runs, each.group) for each in of_curve)
    return max(len(runs) if group is None else int((runs.group_labels == group).sum()) for runs, group in of_each)


def _with_scores(rows: list[dict], columns: list[str]) -> pd.DataFrame:
    """A table that has its columns even where nothing could be scored."""
    table = pd.DataFrame(rows, columns=None if rows else columns)
    return table.reindex(columns=[*table.columns, *(name for name in SCORES if name not in table.columns)])


def _forecasts(
    fleet: Fleet, models: Mapping[str, Model], methods: Sequence[Method], runs: Runs, rows: np.ndarray, seed: int
) -> tuple[list[np.ndarray | None], list[dict[str, Any]]]:
    """Draws of new runs by each method (None where its fit failed), and how its sampling went."""
    drawn: list[np.ndarray | None] = []
    went = []
    for each in methods:
        state = {"method": each.name, "fit": each.of, **fleet.table.loc[each.fit, list(_WENT)]} | {
            "diverging": np.nan,
            "draws": 0,
        }
        drawn.append(None)
        if np.isfinite(state["max_r_hat"]):
            fit, model = fleet[each.fit], models[each.fit]
            at = points_at_runs(runs, model.observation, rows)
            drawn[-1] = predict(model, fit.posterior, at, each.group, seed=seed).new_run
            state["draws"] = fit.diagnostics.draws
            state["diverging"] = fit.diagnostics.divergences / fit.diagnostics.draws
        went.append(state)
    return drawn, went


def _worst(states: Sequence[Mapping]) -> dict[str, Any]:
    """How the sampling of all members of an average went."""
    named = [f"{s['method']}: {s['problem']}" if len(states) > 1 else s["problem"] for s in states if s["problem"]]
    return {
        "converged": all(s["converged"] for s in states),
        "max_r_hat": np.max([s["max_r_hat"] for s in states]),
        "min_ess_bulk": np.min([s["min_ess_bulk"] for s in states]),
        "min_ess_tail": np.min([s["min_ess_tail"] for s in states]),
        "draws": sum(s["draws"] for s in states),
        "divergences": sum(s["divergences"] for s in states),
        "problem": "; ".join(named),
        "diverging": np.max([s["diverging"] for s in states]),
    }


def _scored(
    new_runs: np.ndarray, response: np.ndarray, forward: Callable[[np.ndarray], np.ndarray]
) -> tuple[pd.DataFrame, dict[str, float]]:
    """Scores of draws of new runs on the observation's scale, by run and on average."""
    drawn, y = forward(new_runs), forward(response)
    median = np.median(drawn, axis=0)
    _, widths = scores.covered(drawn, y, scores.BAND)
    ends = [(1 - scores.BAND) / 2, 0.5, (1 + scores.BAND) / 2]
    lower, middle, upper = np.quantile(new_runs, ends, axis=0)
    table = pd.DataFrame(
        {
            "response": response,
            "median": middle,
            "lower": lower,
            "upper": upper,
            "error": median - y,
            "crps": scores.crps(drawn, y),
            "log_score": scores.log_score(drawn, y),
            "pit": scores.transform(drawn, y),
        }
    )
    coverage = {f"coverage_{100 * p:g}": float(scores.covered(drawn, y, p)[0].mean()) for p in scores.PROBS}
    own = {
        "rmsle": float(np.sqrt(np.mean(table["error"] ** 2))),
        "crps": float(table["crps"].mean()),
        "log_score": float(table["log_score"].mean()),
    }
    return table, {**own, **coverage, "width_89": float(widths.mean())}
