"""Differences between the groups of a fit: in parameters, and in the scale that each needs for a response."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from scalebayes.arguments import check_positive, check_prob, is_positive, quoted
from scalebayes.fits.fit import Fit
from scalebayes.inference.diagnostics import Diagnostics
from scalebayes.model import Model
from scalebayes.notebook import shown
from scalebayes.priors import Anchored, Pooled
from scalebayes.questions.along import (
    along_draws,
    ends_about,
    first_reached,
    inverted,
    mean_along,
    parameters_along,
    scales_about,
)
from scalebayes.questions.distance import in_inputs, unseen_response, with_distance
from scalebayes.questions.groups import Group, check_comparable, check_levels, check_one
from scalebayes.questions.paths import Held, Path, largest_scale, path_along
from scalebayes.questions.wording import factor, number, plain, sentences


@dataclass(frozen=True, eq=False, repr=False)
class Comparison:
    """The answer of `compare`.

    Parameters
    ----------
    table : pandas.DataFrame
        One row per parameter and pair of groups:

        - parameter, a, b;
        - scale: "difference" (a minus b), or "log ratio" (of a over b) for an amplitude;
        - at: where the terms of an amplitude are compared, such as "N = 1e9"; empty for other parameters;
        - mean, sd, median, lower, upper;
        - p_larger, the probability that a's is larger, and p_direction, that of the more probable sign;
        - margin, and p_equivalent, the probability that the difference is smaller than it; NaN without a margin;
        - prior_sd: the standard deviation of the difference under the prior.

        With ``target`` or ``to`` a further row for each pair has the parameter "speed" and the scale "factor": how many
        times the scale of a b needs for the same response. Its mean and sd are NaN, and p_larger is p_faster.
    draws : xarray.Dataset
        The differences, log ratios or factors, one variable per parameter and "speed", dims (sample, pair).
    equal : tuple of str
        Parameters that all groups share, which cannot differ.
    pooled : tuple of str
        Parameters whose differences the hierarchy shrinks towards zero.
    speed : pandas.DataFrame
        One row per pair of groups; empty without ``target`` and ``to``:

        - a, b, and at, where they are compared: "loss = 2.2";
        - median, lower, upper of the ratio of b's scale to a's for the same response. It is infinite where only a
          reaches the response, or a is better at every scale; it is 0 where this holds for b;
        - p_faster, the probability that a needs less;
        - p_a_never, p_b_never and p_neither. Draws in which neither reaches the response count only here;
        - extrapolation, the larger of both groups' median scale over the largest at which that group was seen.
    axis, path : str
        The axis and the path of the speed.
    prob : float
        Probability of the intervals.
    diagnostics : Diagnostics
    """

    table: pd.DataFrame
    draws: xr.Dataset
    equal: tuple[str, ...]
    pooled: tuple[str, ...]
    speed: pd.DataFrame
    axis: str
    path: str
    prob: float
    diagnostics: Diagnostics

    def __str__(self) -> str:
        lines = [self._speed(row) for row in self.speed.to_dict("records")]
        for row in self.table[self.table["scale"] != "factor"].to_dict("records"):
            ratio = row["scale"] == "log ratio"
            middle, low, high = (np.exp(row[k]) if ratio else row[k] for k in ("mean", "lower", "upper"))
            said = f"is {number(middle)} times {row['b']}'s" if ratio else f"minus {row['b']}'s is {number(middle)}"
            named = f"Term of {row['parameter']} at {row['at']}" if row["at"] else row["parameter"]
            sign = "larger" if row["p_larger"] >= 0.5 else "smaller"
            same = (
                f"; within {number(row['margin'])} with probability {row['p_equivalent']:.2f}"
                if row["margin"] == row["margin"]
                else ""
            )
            lines.append(
                f"{named}: {row['a']}'s {said} ({100 * self.prob:g}% {number(low)} to {number(high)}), {sign} with "
                f"probability {row['p_direction']:.2f}{same}."
            )
        if self.equal:
            lines.append(f"All groups share {', '.join(self.equal)}.")
        if self.pooled:
            lines.append(
                f"{', '.join(self.pooled)} are pooled: differences that the runs do not show are shrunk towards zero, "
                "so that many pairs need no further correction."
            )
        return sentences(self.diagnostics, lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return shown(str(self), self.table)

    def to_dict(self) -> dict[str, Any]:
        """The tables as nested dictionaries of numbers and strings."""
        return plain(
            {
                "prob": self.prob,
                "converged": not self.diagnostics.problems,
                "pairs": self.table,
                "shared": self.equal,
                "pooled": self.pooled,
                "speed": self.speed,
                "axis": self.axis,
                "path": self.path,
            }
        )

    def _speed(self, row: dict) -> str:
        a, b, place = row["a"], row["b"], f"At {row['at']}" + (f" along {self.path}" if self.path != self.axis else "")
        if not row["median"] >= 0:
            return f"{place}, neither {a} nor {b} gets there."
        if row["median"] in (0.0, np.inf) and row["p_neither"] < 0.5:
            (soon, late), p = ((a, b), row["p_b_never"]) if row["median"] else ((b, a), row["p_a_never"])
            if p < 0.5:
                return f"{place}, {soon} is more likely than not there at every scale, and {late} is not."
            return f"{place}, {late} more likely than not never gets there (probability {p:.2f})."
        never = [f"{name} with probability {row[k]:.2f}" for name, k in ((a, "p_a_never"), (b, "p_b_never")) if row[k]]
        factors = (
            f"{b} needs {number(row['median'])} times the {self.axis} of {a} ({100 * self.prob:g}% "
            f"{number(row['lower'])} to {number(row['upper'])}); {a} is the faster with probability "
            f"{row['p_faster']:.2f}"
        )
        if row["p_neither"] >= 0.5:
            rare = f"it is {a if row['median'] else b}" if row["median"] in (0.0, np.inf) else factors
            return (
                f"{place}, neither {a} nor {b} gets there, with probability {row['p_neither']:.2f}. If either does, "
                f"{rare}."
            )
        return (
            f"{place}, {factors}"
            + (f" if either gets there; never does {', '.join(never)}" if never else "")
            + (f"; extrapolates {factor(row['extrapolation'])} beyond the runs." if row["extrapolation"] > 1 else ".")
        )


def compare(
    fit: Fit,
    *,
    groups: Sequence[Group] | Group | None = None,
    margin: Mapping[str, float] | None = None,
    target: float | None = None,
    to: float | None = None,
    axis: str | None = None,
    path: Held = None,
    prob: float = 0.89,
) -> Comparison:
    """Compare the groups of a fit.

    The difference of each parameter is taken draw by draw. An amplitude by itself describes the law at N = 1, far from
    any run, so for amplitudes the terms of the law are compared: their log ratio at the geometric mean of the runs'
    inputs. `compare_laws` compares several laws.

    Parameters
    ----------
    fit : Fit
    groups : sequence of str or tuple, optional
        All by default.
    margin : mapping of str to float, optional
        For some parameters: a difference (or log ratio) smaller than this counts as none.
    target : float, optional
        A response at which to compare speeds. The answer is the scale that the second group of a pair needs for this
        response, divided by the scale that the first group needs.
    to : float, optional
        A scale at which to compare speeds, instead of a response. The answer is the same ratio, for the response that
        the first group has at this scale.
    axis : str, optional
        The scale in which speed is measured; by default C for a law of N and D, else the law's first input.
    path : mapping, "optimal" or Callable, optional
        As in `crossover`.
    prob : float
        Probability of the intervals.

    Returns
    -------
    Comparison

    Raises
    ------
    TypeError
        If the fit is an average of fits.
    ValueError
        If there is nothing to compare; if a margin names no parameter that differs; if speeds are to be compared at
        both a target and a scale, or at a value that is not positive; or if the path does not determine the inputs.

    Examples
    --------
    With the fit of `fit`'s example:

    >>> answer = sb.compare(fit, margin={"alpha": 0.01}, groups=["Cerebras-GPT", "Pythia"])
    >>> answer.table["parameter"].tolist()
    ['E', 'A', 'alpha']
    """
    check_prob(prob)
    check_one(fit, "compare")
    if target is None and to is None and not (axis is None and path is None):
        raise ValueError(
            "axis and path say along what speed is compared; say where, target= a response or to= a scale."
        )
    margin = dict(margin or {})
    model, posterior = fit.model, fit.posterior
    levels = check_levels(model.runs, groups)
    check_comparable({level: (model.runs, level) for level in levels}, model.across_evaluations)
    prior, dim = fit.idata["prior"].to_dataset(), model.runs.group_name
    unlike = [name for name in model.parameters if dim in posterior[name].dims]
    for name, width in margin.items():
        if name not in unlike:
            raise ValueError(
                f"margin is of parameters that differ between groups, {', '.join(unlike)}; got {quoted(name)}."
            )
        check_positive(width, f"margin of {name}", "difference")
    if not unlike:
        raise ValueError("the groups share every parameter; nothing can differ. Fit with pooling='pooled'.")
    rows: list[dict[str, Any]] = []
    differences: dict[str, list[np.ndarray]] = {}
    for name in unlike:
        anchor = model.priors[name].prior
        logs = isinstance(anchor, Anchored) and anchor.positive
        terms = anchor.terms if isinstance(anchor, Anchored) and anchor.form != "place" else ()
        place = ", ".join(f"{x} = {number(np.exp(_middle(model, x)))}" for x, _, _ in terms)
        for a, b in combinations(levels, 2):
            difference, before = (
                _of_level(model, draws, name, a) - _of_level(model, draws, name, b) for draws in (posterior, prior)
            )
            differences.setdefault(name, []).append(difference)
            lower, upper = np.quantile(difference, [(1 - prob) / 2, (1 + prob) / 2])
            within = float((np.abs(difference) < margin[name]).mean()) if name in margin else np.nan
            up = float((difference > 0).mean() + 0.5 * (difference == 0).mean())
            rows.append(
                {
                    "parameter": name,
                    "a": a,
                    "b": b,
                    "scale": "log ratio" if logs else "difference",
                    "at": place,
                    "mean": difference.mean(),
                    "sd": difference.std(ddof=1),
                    "median": np.median(difference),
                    "lower": lower,
                    "upper": upper,
                    "p_larger": up,
                    "p_direction": max(up, 1 - up),
                    "margin": margin.get(name, np.nan),
                    "p_equivalent": within,
                    "prior_sd": before[np.isfinite(before)].std(),
                }
            )
    speed, ratios, axis, said = _speeds(fit, levels, target, to, axis, path, prob)
    if ratios:
        differences["speed"] = ratios
        rows += [_speed_row(row) for row in speed.to_dict("records")]
    pairs = [f"{a} - {b}" for a, b in combinations(levels, 2)]
    draws = xr.Dataset(
        {name: (("sample", "pair"), np.stack(each, 1)) for name, each in differences.items()}, {"pair": pairs}
    )
    equal = tuple(name for name in model.parameters if name not in unlike)
    pooled = tuple(n for n in unlike if isinstance(model.priors[n], Pooled))
    far = float(speed["extrapolation"].max()) if len(speed) else 1.0
    unseen = unseen_response(model.runs, levels, target) if target is not None else ""
    diagnostics = with_distance(fit, in_inputs(model.runs, axis, far), unseen)
    return Comparison(pd.DataFrame(rows), draws, equal, pooled, speed, axis, said, prob, diagnostics)


def _speeds(
    fit: Fit, levels: Sequence[str], target: float | None, to: float | None, axis: str | None, path: Held, prob: float
) -> tuple[pd.DataFrame, list[np.ndarray], str, str]:
    """The ratio of b's scale to a's for each pair, summed up and by draw; the axis; and the path in words."""
    columns = ["a", "b", "at", "median", "lower", "upper", "p_faster"]
    columns += ["p_a_never", "p_b_never", "p_neither", "extrapolation"]
    if target is None and to is None:
        return pd.DataFrame(columns=columns), [], "", ""
    model, runs = fit.model, fit.model.runs
    axis = axis or ("C" if {"N", "D"} <= set(runs.inputs) else runs.scales[0])
    if target is not None and to is not None:
        raise ValueError(f"speeds are compared at one {runs.response}, target=, or at one {axis}, to=; got both.")
    if to is not None:
        where, value = axis, check_positive(to, "to", axis)
    elif target is not None:
        where, value = runs.response, float(target)
        low, high = model.observation.scale.bounds
        if not low < value < high or (low == 0 and not is_positive(target)):
            raise ValueError(f"target is a possible {runs.response}, got {quoted(target)}.")
    paths = {level: path_along(model, axis, path, level) for level in levels}
    at, reached = _inverses(fit, paths, axis, value if where == axis else None)
    given, rows, ratios = np.full(fit.posterior.sizes["chain"] * fit.posterior.sizes["draw"], value), [], []
    for a, b in combinations(levels, 2):
        wanted = at[a] if where == axis else given
        # Both scales come from the same search, so that equal curves have equal speed to the last digit.
        one, other = (reached[level](wanted) for level in (a, b))
        known = ~(np.isinf(one) & np.isinf(other)) & ~((one == 0) & (other == 0))
        with np.errstate(divide="ignore", invalid="ignore"):
            ratios.append(np.where(known, other / one, np.nan))
        ratio = ratios[-1][known]
        quantiles = [(1 - prob) / 2, 0.5, (1 + prob) / 2]
        lower, median, upper = np.quantile(ratio, quantiles, method="nearest") if len(ratio) else [np.nan] * 3
        faster = (ratio > 1).mean() + 0.5 * (ratio == 1).mean() if len(ratio) else np.nan
        never = np.isinf(one).mean(), np.isinf(other).mean(), (np.isinf(one) & np.isinf(other)).mean()
        # Each scale's median over the largest at which its own group was seen.
        beyond = [
            np.quantile(scale, 0.5, method="nearest") / largest_scale(runs, axis, level)
            for scale, level in ((one, a), (other, b))
        ]
        values = [a, b, f"{where} = {number(value)}", median, lower, upper, faster, *never, max(beyond)]
        rows.append(dict(zip(columns, values, strict=True)))
    return pd.DataFrame(rows), ratios, axis, paths[levels[0]].said


def _speed_row(row: Mapping[Any, Any]) -> dict[str, Any]:
    """The row of a speed in the table of parameters."""
    up = row["p_faster"]
    return {name: row[name] for name in ("a", "b", "at", "median", "lower", "upper")} | {
        "parameter": "speed",
        "scale": "factor",
        "p_larger": up,
        "p_direction": max(up, 1 - up),
    }


def _inverses(
    fit: Fit, paths: Mapping[str, Path], axis: str, to: float | None
) -> tuple[dict[str, np.ndarray], dict[str, Callable[[np.ndarray], np.ndarray]]]:
    """The mean response of every group at a scale, and functions of a response to the scale where it is reached."""
    model, runs = fit.model, fit.model.runs
    at: dict[str, np.ndarray] = {}
    if model.departs:
        scales = scales_about(runs, axis, None, to)
        drawn = mean_along(fit, list(paths), list(paths.values()), scales, 0)
        of = dict(zip(paths, np.moveaxis(drawn, 1, 0), strict=True))
        if to is not None:
            at = {level: response[:, np.argmin(np.abs(scales - to))] for level, response in of.items()}
        return at, {level: partial(first_reached, each, scales=scales, sign=runs.sign) for level, each in of.items()}
    ends = ends_about(largest_scale(runs, axis, None))
    laws = {level: along_draws(model, along, parameters_along(fit, level)) for level, along in paths.items()}
    if to is not None:
        every = np.full(fit.posterior.sizes["chain"] * fit.posterior.sizes["draw"], to)
        at = {level: law(every) for level, law in laws.items()}
    return at, {level: partial(inverted, law, ends=ends, sign=runs.sign) for level, law in laws.items()}


def _middle(model: Model, name: str) -> float:
    """Log of an input at which terms are compared: the mean over the runs."""
    return float(np.log(model.runs.x(name)).mean())


def _of_level(model: Model, draws: xr.Dataset, name: str, level: str) -> np.ndarray:
    """Draws of a parameter of one group; where it is anchored, of its term amid all runs (in logs if positive)."""
    dim, anchor = model.runs.group_name, model.priors[name].prior

    def drawn(of: str) -> np.ndarray:
        values = draws[of]
        return (values.sel({dim: level}) if dim in values.dims else values).to_numpy().ravel()

    if not isinstance(anchor, Anchored):
        return drawn(name)
    # The logarithm of the product of powers that the inputs of the term make where it is compared.
    powers = sum(
        (sign * drawn(e) if e else sign) * _middle(model, x) for x, e, sign in anchor.terms if anchor.form != "place"
    )
    if anchor.form == "intercept":
        return drawn(name) + anchor.factor * powers
    if not anchor.positive:
        return drawn(name) * np.exp(-powers)
    with np.errstate(divide="ignore", invalid="ignore"):  # extreme draws of a wide prior
        log = np.log(drawn(name))
        return log - powers if anchor.form != "scale" else drawn(anchor.terms[0][1]) * log - powers
