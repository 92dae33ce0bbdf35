"""What it takes to reach a target: the inverse of a forecast."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real

import numpy as np
import pandas as pd
import xarray as xr

from scalebayes.fits.fit import Fit, check_prob
from scalebayes.inference.diagnostics import Diagnostics
from scalebayes.model.prediction import of_group, of_new_group
from scalebayes.questions.along import along_draws, ends_about, inverted, largest_scale
from scalebayes.questions.paths import path_along
from scalebayes.questions.points import check_group, check_one, extrapolation, factor, number, quantiles, where
from scalebayes.runs.columns import UNITS


@dataclass(frozen=True, eq=False, repr=False)
class Reach:
    """The answer of `reach`.

    Parameters
    ----------
    table : pandas.DataFrame
        One row per group: target, axis, median, lower and upper of the scale at which the mean response reaches the
        target (infinite where it never does), p_never, earliest (lower end among the draws that reach it), and
        extrapolation of the median: factor beyond the largest observed value of the input (extrapolated) exceeded most.
    draws : xarray.DataArray
        The scale, dims (chain, draw, group); infinite where the target is never reached.
    prob : float
        Of the equal-tailed interval.
    response : str
        What is to be reached.
    held : dict of str to float
        The inputs that were held.
    path : str
        Along what, in words.
    diagnostics : Diagnostics
        Of the fit.
    """

    table: pd.DataFrame
    draws: xr.DataArray
    prob: float
    response: str
    held: dict[str, float]
    path: str
    diagnostics: Diagnostics

    def __str__(self) -> str:
        lines = [f"NOT CONVERGED: {'; '.join(self.diagnostics.problems)}."] if self.diagnostics.problems else []
        held = f" at {where(self.held)}" if self.held else f" along {self.path}" if self.path != self.draws.name else ""
        for row in self.table.to_dict("records"):
            group = f"{row['group']}: " if row.get("group") else ""
            target = f"{group}{self.response} {number(row['target'])}{held}"
            if row["p_never"] > 0.995:
                lines.append(f"{target} is never reached by any {row['axis']} (probability {row['p_never']:.3f}).")
                continue
            unit = f" {UNITS[row['axis']]}" if row["axis"] in UNITS else ""
            beyond = row["extrapolation"]
            if not np.isfinite(row["median"]):
                lines.append(
                    f"{target} is more likely than not never reached by any {row['axis']} (probability "
                    f"{row['p_never']:.3f}; if it is, hardly before {number(row['earliest'])}{unit})."
                )
                continue
            reach = (
                "not beyond the largest runs"
                if beyond <= 1
                else f"{factor(beyond)} beyond the largest {row['extrapolated']}"
            )
            lines.append(
                f"{target} is reached at {row['axis']} = {number(row['median'])}{unit} ({100 * self.prob:g}% interval "
                f"{number(row['lower'])} to {number(row['upper'])}), {reach}; never, with probability {row['p_never']:.3f}."
            )
        return "\n".join([*lines, f"({self.diagnostics})"])

    __repr__ = __str__


def reach(
    fit: Fit,
    target: float,
    axis: str,
    *,
    at: Mapping[str, float] | None = None,
    group: str | tuple | None = None,
    new_group: bool = False,
    prob: float = 0.89,
    seed: int = 0,
) -> Reach:
    r"""The scale at which the mean response falls to a target, and the probability that it never does.

    Solves :math:`f(x; \theta) = \mathrm{target}` along one axis for every draw of the posterior, for laws that fall
    along it.

    Parameters
    ----------
    fit : Fit
    target : float
        Of the response, in its units.
    axis : str
        An input of the law; or ``"C"`` for a law of N and D, FLOPs by C = 6 N D.
    at : mapping of str to float, optional
        The other inputs. For ``axis="C"`` one of N, D or ``"D/N"`` (tokens per parameter), ``at={"D/N": 20}``; without it the
        budget is divided optimally (see `allocate`), by each draw at its own optimum.
    group : str, optional
        A known group; by default every group.
    new_group : bool
        A group that was not seen, drawn from the population.
    prob : float
        Of the equal-tailed interval.
    seed : int
        Of new groups.

    Returns
    -------
    Reach

    Raises
    ------
    TypeError
        If it is an average of fits.
    ValueError
        If the axis or what is held does not determine the inputs, or the target is not positive.
    """
    check_prob(prob)
    check_one(fit, "reach")
    if fit.model.discrepancy:
        raise ValueError(
            "reach solves the law, and this fit departs from it; forecast over a grid of scales instead, "
            "sb.forecast(fit, {...}), or fit without discrepancy."
        )
    if not isinstance(target, Real) or not (np.isfinite(target) and target > 0):
        raise ValueError(f"the target is a positive finite {fit.model.runs.response}, got {target!r}.")
    runs = fit.model.runs
    held = {name: float(value) for name, value in (at or {}).items()}
    path = path_along(fit.model.law, tuple(runs.inputs), axis, held or None)
    level = check_group(runs, group, new_group)
    levels = ("(new)",) if new_group else (level,) if level is not None else runs.levels or (None,)
    structure, numbers = fit.model.describe()
    posterior, rng = fit.posterior, np.random.default_rng(seed)
    chains, draws = posterior.sizes["chain"], posterior.sizes["draw"]
    found, rows = [], []
    for label in levels:
        known = None if new_group else label
        parameters = (
            of_new_group(structure, numbers, posterior, rng) if new_group else of_group(structure, posterior, known)
        )
        theta = {name: parameters[name] for name in fit.model.parameters}
        wanted = np.full(chains * draws, float(target))
        of_draw = along_draws(fit.model.law, path, theta)
        scale = inverted(of_draw, wanted, ends_about(largest_scale(runs, axis, None)))
        lower, median, upper = quantiles(scale, prob)
        beyond, which = (np.inf, axis) if np.isinf(median) else (1.0, "")
        if 0 < median < np.inf:
            there = path.inputs(np.asarray(median), theta)
            at_median = {n: np.asarray([np.median(value)]) for n, value in zip(runs.inputs, there, strict=True)}
            beyond, which = (values[0] for values in extrapolation(runs, at_median, known))
        finite = scale[np.isfinite(scale)]
        earliest = float(np.quantile(finite, (1 - prob) / 2)) if finite.size else np.inf
        named = {} if label is None else {"group": label}
        rows.append(
            named | {"target": float(target), "axis": axis, "median": float(median), "lower": float(lower),
                     "upper": float(upper), "p_never": float(np.isinf(scale).mean()), "earliest": earliest,
                     "extrapolation": float(beyond), "extrapolated": str(which)}
        )  # fmt: skip
        found.append(scale.reshape(chains, draws))
    coords = {"chain": posterior["chain"], "draw": posterior["draw"], "group": ["" if g is None else g for g in levels]}
    array = xr.DataArray(np.stack(found, -1), coords, ("chain", "draw", "group"), name=axis)
    return Reach(pd.DataFrame(rows), array, prob, runs.response, held, path.said, fit.diagnostics)
