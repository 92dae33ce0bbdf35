"""What differs between groups, and which law describes the runs better."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from numbers import Real

import numpy as np
import pandas as pd
import xarray as xr

from scalebayes.fits.averaging import Average, checked_alike, for_loo, held_back, named_fits, stacked
from scalebayes.fits.fit import Fit, check_prob
from scalebayes.inference.diagnostics import Diagnostics
from scalebayes.model.model import Model
from scalebayes.priors import Anchored, Pooled
from scalebayes.questions.along import along_draws, ends_about, inverted, largest_scale, parameters_of
from scalebayes.questions.paths import path_along
from scalebayes.questions.points import check_comparable, check_levels, number


@dataclass(frozen=True, eq=False, repr=False)
class Comparison:
    """The answer of `compare` for the groups of one fit.

    Parameters
    ----------
    table : pandas.DataFrame
        A row per parameter and pair: parameter, a, b, scale ("difference" or "log ratio", of a over b), at (of an amplitude, where
        its term is compared: "N = 1e9"; else empty), mean, sd, lower, upper,
        p_larger (probability that a's is), p_direction (of the sign that is likelier), rope and p_equivalent (that the difference is smaller, NaN where no
        region was given), prior_sd (of the difference before the runs were seen).
    equal : tuple of str
        Parameters that all groups share, which cannot differ.
    pooled : tuple of str
        Those whose differences the hierarchy draws together.
    speed : pandas.DataFrame
        A row per pair: a, b, at ("loss = 2.2"), median, lower, upper of how many times a's scale b needs to reach the same
        (infinite where only a gets there or is below it at every scale, 0 where only b does or is), p_faster (that a needs less),
        p_a_never and p_b_never. Draws in which neither gets there are only in the last two. Empty if not asked for.
    axis, path : str
        Of the speed.
    prob : float
    diagnostics : Diagnostics
    """

    table: pd.DataFrame
    equal: tuple[str, ...]
    pooled: tuple[str, ...]
    speed: pd.DataFrame
    axis: str
    path: str
    prob: float
    diagnostics: Diagnostics

    def __str__(self) -> str:
        lines = [f"NOT CONVERGED: {'; '.join(self.diagnostics.problems)}."] if self.diagnostics.problems else []
        for row in self.table.to_dict("records"):
            ratio = row["scale"] == "log ratio"
            middle, low, high = (np.exp(row[k]) if ratio else row[k] for k in ("mean", "lower", "upper"))
            said = f"is {number(middle)} times {row['b']}'s" if ratio else f"less {row['b']}'s is {number(middle)}"
            named = f"Term of {row['parameter']} at {row['at']}" if row["at"] else row["parameter"]
            sign = "larger" if row["p_larger"] >= 0.5 else "smaller"
            same = (
                f"; within {number(row['rope'])} with probability {row['p_equivalent']:.2f}"
                if row["rope"] == row["rope"]
                else ""
            )
            lines.append(
                f"{named}: {row['a']}'s {said} ({100 * self.prob:g}% {number(low)} to {number(high)}), {sign} with "
                f"probability {row['p_direction']:.2f}{same}."
            )
        lines += [self._speed(row) for row in self.speed.to_dict("records")]
        if self.equal:
            lines.append(f"All groups share {', '.join(self.equal)}.")
        if self.pooled:
            lines.append(
                f"{', '.join(self.pooled)} are pooled: what the runs do not tell apart is drawn together, so that many pairs need "
                "no further correction."
            )
        return "\n".join([*lines, f"({self.diagnostics})"])

    __repr__ = __str__

    def _speed(self, row: dict) -> str:
        a, b, place = row["a"], row["b"], f"At {row['at']}" + (f" along {self.path}" if self.path != self.axis else "")
        if not row["median"] >= 0:
            return f"{place}, neither {a} nor {b} gets there."
        if row["median"] in (0.0, np.inf):
            (soon, late), p = ((a, b), row["p_b_never"]) if row["median"] else ((b, a), row["p_a_never"])
            if p < 0.5:
                return f"{place}, {soon} is more likely than not there at every scale, and {late} is not."
            return f"{place}, {late} more likely than not never gets there (probability {p:.2f})."
        never = [f"{name} with probability {row[k]:.2f}" for name, k in ((a, "p_a_never"), (b, "p_b_never")) if row[k]]
        return (
            f"{place}, {b} needs {row['median']:.3g} times the {self.axis} of {a} ({100 * self.prob:g}% {row['lower']:.3g} to "
            f"{row['upper']:.3g}); {a} is the faster with probability {row['p_faster']:.2f}"
            + (f" if either gets there; never does {', '.join(never)}." if never else ".")
        )


@dataclass(frozen=True, eq=False, repr=False)
class LawComparison:
    """The answer of `compare` for several fits of the same runs.

    Parameters
    ----------
    table : pandas.DataFrame
        A row per fit, the best first: ArviZ's elpd_loo, its standard error and what it reports beside them, weight_loo (stacking),
        log_score (of the largest runs, from a fit to the others; per run) and weight_holdout, NaN where that was not asked for;
        and problem, what is wrong with the fit's sampling, empty if nothing is.
    share : float
        Of the runs held back.
    """

    table: pd.DataFrame
    share: float

    def __str__(self) -> str:
        best = self.table.index[0]
        lines = [f"NOT CONVERGED: {name}: {problem}." for name, problem in self.table["problem"].items() if problem]
        lines += [f"{best} foretells a run best that is left out (LOO)."]
        for name, row in self.table.iloc[1:].iterrows():
            difference = abs(row["elpd_diff"])
            if difference <= 2 * row["dse"]:
                said = "less than twice the standard error: too little to tell them apart by LOO."
            else:
                said = f"more than twice the standard error: LOO favours {best}."
            lines.append(f"{name} loses {difference:.1f} +- {row['dse']:.1f} of log density to it, {said}")
        if self.table["log_score"].notna().all():
            ahead = self.table["log_score"].idxmax()
            lines.append(
                f"{ahead} foretells the largest {100 * self.share:g}% best from the others, which is what a forecast has to do."
            )
        lines += [f"LOO of {name}: {row['diag_elpd']}." for name, row in self.table.iterrows() if row["diag_elpd"]]
        return "\n".join(lines)

    __repr__ = __str__


def compare(
    what: Fit | Average | Mapping[str, Fit] | Sequence[Fit],
    *,
    groups: Sequence[str] | None = None,
    rope: Mapping[str, float] | None = None,
    at: Mapping[str, float] | None = None,
    axis: str | None = None,
    path: Mapping[str, float] | Callable | str | None = None,
    share: float | None = None,
    prob: float = 0.89,
    seed: int = 0,
) -> Comparison | LawComparison:
    """Compare the groups of a fit, or several fits of the same runs.

    Groups are compared by the difference of each parameter, draw by draw; amplitudes, which say little at N = 1, by the log
    ratio of their terms at one place amid the runs. Fits are compared by leave-one-out cross-validation with ArviZ, and by what they
    foretell of the largest runs.

    Parameters
    ----------
    what : Fit, Average, mapping of str to Fit, or sequence of Fit
        The fits of an average are compared with each other.
    groups : sequence of str, optional
        Of a fit; all by default.
    rope : mapping of str to float, optional
        For parameters of a fit: differences (or log ratios) smaller than this count as none.
    at : mapping of str to float, optional
        Where the groups' speed is compared, at a response (``{"loss": 2.2}``) or at a scale of the first of each pair (``{"C":
        1e22}``): how many times as much the second needs to reach the same response.
    axis : str, optional
        What the speed is in, by default C for a law of N and D, else its first input.
    path : mapping, "optimal" or Callable, optional
        As in `crossover`.
    share : float, optional
        For several fits: how much of the largest runs to hold back, which fits each again; not done by default.
    prob : float
        Of the intervals.
    seed : int

    Returns
    -------
    Comparison or LawComparison

    Raises
    ------
    TypeError
        If ``at`` is no mapping.
    ValueError
        If there is nothing to compare, a region is of no parameter, the fits are of different runs; or ``at`` is neither of
        response nor axis, not positive, or asked of a fit with drift or surface; or the path does not determine the inputs.
    """
    check_prob(prob)
    if at is None and not (axis is None and path is None):
        raise ValueError('axis and path say along what speed is compared; say where, for example at={"loss": 2.2}.')
    if isinstance(what, Average):
        what = what.fits
    if isinstance(what, Fit):
        if share is not None:
            raise ValueError("share holds back runs to compare several fits; here is one, whose groups are compared.")
        return _of_groups(what, groups, dict(rope or {}), at, axis, path, prob)
    if not isinstance(what, Mapping):
        what = named_fits(what)
    if groups is not None or rope or at is not None:
        raise ValueError(
            "groups, rope and at are for the groups of one fit; several fits are compared by what they foretell."
        )
    return _of_fits(dict(what), share, seed)


def _of_groups(
    fit: Fit, groups: Sequence[str] | None, rope: dict[str, float], at: Mapping[str, float] | None, axis: str | None,
    path: Mapping[str, float] | Callable | str | None, prob: float,
) -> Comparison:  # fmt: skip
    model, posterior = fit.model, fit.posterior
    levels = check_levels(model.runs, groups)
    check_comparable({level: (model.runs, level) for level in levels})
    prior, dim = fit.idata["prior"].to_dataset(), model.runs.group_name
    unlike = [name for name in model.parameters if dim in posterior[name].dims]
    for name, width in rope.items():
        if name not in unlike:
            raise ValueError(f"rope is of parameters that differ between groups, {', '.join(unlike)}; got {name!r}.")
        if not (np.isfinite(width) and width > 0):
            raise ValueError(f"rope of {name} is a positive finite difference, got {width!r}.")
    rows = []
    for name in unlike:
        anchor = model.priors[name].prior  # type: ignore[union-attr]
        logs = isinstance(anchor, Anchored)
        place = f"{anchor.input} = {number(np.exp(_middle(model, anchor)))}" if isinstance(anchor, Anchored) else ""
        for a, b in combinations(levels, 2):
            difference, before = (
                _of_level(model, draws, name, a) - _of_level(model, draws, name, b) for draws in (posterior, prior)
            )
            lower, upper = np.quantile(difference, [(1 - prob) / 2, (1 + prob) / 2])
            within = float((np.abs(difference) < rope[name]).mean()) if name in rope else np.nan
            up = float((difference > 0).mean() + 0.5 * (difference == 0).mean())
            rows.append(
                {"parameter": name, "a": a, "b": b, "scale": "log ratio" if logs else "difference",
                 "at": place, "mean": difference.mean(), "sd": difference.std(ddof=1), "lower": lower, "upper": upper, "p_larger": up, "p_direction": max(up, 1 - up),
                 "rope": rope.get(name, np.nan), "p_equivalent": within, "prior_sd": before[np.isfinite(before)].std()}
            )  # fmt: skip
    speed, axis, said = _speeds(fit, levels, at, axis, path, prob)
    if not rows:
        raise ValueError("the groups share every parameter; nothing can differ. Fit with pooling='pooled'.")
    equal = tuple(name for name in model.parameters if name not in unlike)
    pooled = tuple(n for n in unlike if isinstance(model.priors[n], Pooled))
    return Comparison(pd.DataFrame(rows), equal, pooled, speed, axis, said, prob, fit.diagnostics)


def _speeds(
    fit: Fit, levels: Sequence[str], at: Mapping[str, float] | None, axis: str | None,
    path: Mapping[str, float] | Callable | str | None, prob: float,
) -> tuple[pd.DataFrame, str, str]:  # fmt: skip
    """How many times a's scale b needs, for each pair; the axis, and along what."""
    columns = ["a", "b", "at", "median", "lower", "upper", "p_faster", "p_a_never", "p_b_never"]
    if at is None:
        return pd.DataFrame(columns=columns), "", ""
    model, inputs = fit.model, tuple(fit.model.runs.inputs)
    response = model.runs.response
    example = f"for example {{{response!r}: {number(float(np.median(model.runs.y)))}}}"
    if not isinstance(at, Mapping):
        raise TypeError(f"at is a mapping, {example}, got {at!r}.")
    scales = [name for name in at if name in inputs or (name == "C" and {"N", "D"} == set(inputs))]
    axis = axis or (scales[0] if scales else "C" if {"N", "D"} == set(inputs) else inputs[0])
    if len(at) != 1 or not set(at) <= {response, axis}:
        raise ValueError(f"at is one {response} or one {axis}, {example}, got {', '.join(map(str, at)) or 'nothing'}.")
    ((where, value),) = at.items()
    if not (isinstance(value, Real) and np.isfinite(value) and value > 0):
        raise ValueError(f"{where} must be a positive finite number, got {value!r}.")
    if model.discrepancy:
        raise ValueError(
            "a speed inverts the law, and this fit departs from it; crossover gives the compute-equivalent gain with it."
        )
    along = path_along(model.law, inputs, axis, path)
    of = {level: along_draws(model.law, along, parameters_of(fit, level)) for level in levels}
    samples, rows = fit.posterior.sizes["chain"] * fit.posterior.sizes["draw"], []
    given, ends = np.full(samples, float(value)), ends_about(largest_scale(model.runs, axis, None))
    for a, b in combinations(levels, 2):
        wanted = of[a](given) if where == axis else given
        # Both by the same search: equal curves are then equally fast to the last digit.
        one, other = (inverted(of[level], wanted, ends) for level in (a, b))
        told = ~(np.isinf(one) & np.isinf(other)) & ~((one == 0) & (other == 0))
        with np.errstate(divide="ignore"):
            ratio = other[told] / one[told]
        quantiles = [(1 - prob) / 2, 0.5, (1 + prob) / 2]
        lower, median, upper = np.quantile(ratio, quantiles, method="nearest") if len(ratio) else [np.nan] * 3
        faster = (ratio > 1).mean() + 0.5 * (ratio == 1).mean() if len(ratio) else np.nan
        never = np.isinf(one).mean(), np.isinf(other).mean()
        values = [a, b, f"{where} = {number(value)}", median, lower, upper, faster, *never]
        rows.append(dict(zip(columns, values, strict=True)))
    return pd.DataFrame(rows), axis, along.said


def _middle(model: Model, anchor: Anchored) -> float:
    """Log of where the terms of an amplitude are compared, amid the runs."""
    return float(np.log(model.runs.x(anchor.input)).mean())


def _of_level(model: Model, draws: xr.Dataset, name: str, level: str) -> np.ndarray:
    """Draws of a parameter of one group; of an amplitude the log of its term, at one place for all groups."""
    dim, anchor = model.runs.group_name, model.priors[name].prior  # type: ignore[union-attr]

    def drawn(of: str) -> np.ndarray:
        values = draws[of]
        return (values.sel({dim: level}) if dim in values.dims else values).to_numpy().ravel()

    if not isinstance(anchor, Anchored):
        return drawn(name)
    middle, exponent = _middle(model, anchor), drawn(anchor.exponent)
    with np.errstate(divide="ignore", invalid="ignore"):  # far out in a wide prior
        log = np.log(drawn(name))
        return log - exponent * middle if anchor.form == "amplitude" else exponent * (log - middle)


def _of_fits(fits: dict[str, Fit], share: float | None, seed: int) -> LawComparison:
    import arviz_stats

    checked_alike(fits)
    table = arviz_stats.compare({name: for_loo(fit) for name, fit in fits.items()}, method="stacking", round_to="none")
    table = table.rename(columns={"elpd": "elpd_loo", "weight": "weight_loo"})
    score, weights = pd.Series(np.nan, index=list(fits)), pd.Series(np.nan, index=list(fits))
    if share is not None:
        density = held_back(fits, share, seed)
        score[:], weights[:] = density.mean(0), stacked(density)
    problems = pd.Series({name: "; ".join(fit.diagnostics.problems) for name, fit in fits.items()})
    return LawComparison(table.assign(log_score=score, weight_holdout=weights, problem=problems), share or 0.0)
