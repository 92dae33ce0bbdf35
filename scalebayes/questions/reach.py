"""The scale at which a target response is reached: the inverse of a forecast."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from scalebayes.arguments import check_prob, check_seed, quoted
from scalebayes.fits.fit import Fit
from scalebayes.inference.diagnostics import Diagnostics
from scalebayes.model.prediction import parameters_of, stream
from scalebayes.notebook import shown
from scalebayes.questions.along import (
    along_draws,
    ends_about,
    first_reached,
    inverted,
    mean_along,
    points_along,
    scales_about,
)
from scalebayes.questions.distance import unseen_response, with_distance
from scalebayes.questions.groups import NO_RUNS, Group, check_group, check_one
from scalebayes.questions.paths import Held, largest_scale, path_along
from scalebayes.questions.points import extrapolation
from scalebayes.questions.wording import factor, number, plain, quantiles, sentences, where


@dataclass(frozen=True, eq=False, repr=False)
class Reach:
    """The answer of `reach`.

    Parameters
    ----------
    table : pandas.DataFrame
        One row per group:

        - target, axis;
        - median, lower, upper of the scale at which the mean response reaches the target; infinite where it never does;
        - p_never: the probability that it never does;
        - earliest: the lower end of the interval among the draws that reach the target;
        - extrapolation, extrapolated, extrapolation_cost of the median, as in `Forecast`.
    draws : xarray.DataArray
        The scale, dims (chain, draw, group); infinite where the target is never reached.
    prob : float
        Probability of the equal-tailed interval.
    response : str
        Name of the response.
    held : dict of str to float or str
        The inputs that were held, with their values.
    path : str
        The path in words.
    unit : str
        The unit of the scale; empty if it has none.
    diagnostics : Diagnostics
        Diagnostics of the fit.
    """

    table: pd.DataFrame
    draws: xr.DataArray
    prob: float
    response: str
    held: dict[str, float | str]
    path: str
    unit: str
    diagnostics: Diagnostics

    def __str__(self) -> str:
        lines = []
        held = f" at {where(self.held)}" if self.held else f" along {self.path}" if self.path != self.draws.name else ""
        for row in self.table.to_dict("records"):
            group = f"{row['group']}: " if row.get("group") else ""
            target = f"{group}{self.response} {number(row['target'])}{held}"
            if row["p_never"] > 0.995:
                lines.append(f"{target} is never reached by any {row['axis']} (probability {row['p_never']:.3f}).")
                continue
            unit = f" {self.unit}" if self.unit else ""
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
                f"{number(row['lower'])} to {number(row['upper'])}), {reach}; never, with probability "
                f"{row['p_never']:.3f}."
            )
        return sentences(self.diagnostics, lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return shown(str(self), self.table)

    def to_dict(self) -> dict[str, Any]:
        """The table as nested dictionaries of numbers and strings."""
        return plain(
            {
                "prob": self.prob,
                "converged": not self.diagnostics.problems,
                "held": self.held,
                "path": self.path,
                "targets": self.table,
            }
        )


def reach(
    fit: Fit,
    *,
    target: float,
    axis: str,
    path: Held = None,
    group: Group | None = None,
    new_group: bool = False,
    prob: float = 0.89,
    seed: int = 0,
) -> Reach:
    r"""The scale at which the mean response is as good as a target, and the probability that it never is.

    The equation :math:`f(x; \theta) = \mathrm{target}` is solved along one axis for every draw of the posterior. The
    law has to improve along this axis. With a drift or surface the response is drawn at four scales for each decade, up
    to 1e12 times the largest; the first that is as good counts.

    Parameters
    ----------
    fit : Fit
    target : float
        Target of the mean response, in its units.
    axis : str
        A scale among the law's inputs, or ``"C"`` for a law of N and D, FLOPs by C = 6 N D.
    path : mapping, Callable or "optimal", optional
        The values to hold: the other inputs; for ``axis="C"`` one of N, D or ``"D/N"`` (tokens per parameter), such as
        ``path={"D/N": 20}``. Without a path, each draw divides the budget C at its own optimum (see `allocate`).
    group : str or tuple, optional
        A known group; by default every group.
    new_group : bool
        Answer for a group that has no runs, drawn from the population.
    prob : float
        Probability of the equal-tailed interval.
    seed : int
        Random seed of new groups.

    Returns
    -------
    Reach

    Raises
    ------
    TypeError
        If the fit is an average of fits.
    ValueError
        If axis and path do not determine the inputs, if the target is not a possible response, or if a group without
        runs is to depart from the law.

    Examples
    --------
    With the fit of `fit`'s example:

    >>> answer = sb.reach(fit, target=1.6, axis="C", group="Pythia")
    >>> 1e22 < float(answer.table["median"].iloc[0]) < 3e22
    True
    """
    check_prob(prob)
    check_seed(seed)
    check_one(fit, "reach")
    model = fit.model
    if model.departs and new_group:
        raise ValueError(NO_RUNS)
    runs, (low, high) = model.runs, model.observation.scale.bounds
    if isinstance(target, bool) or not isinstance(target, int | float | np.number) or not low < target < high:
        kind = {"log": "positive finite", "identity": "finite"}.get(model.observation.scale.name, "0-to-1")
        raise ValueError(f"the target is a {kind} {runs.response}, got {quoted(target)}.")
    level = check_group(runs, group, new_group)
    levels = ("(new)",) if new_group else (level,) if level is not None else runs.levels or (None,)
    paths = [path_along(model, axis, path, None if new_group else label) for label in levels]
    posterior = fit.posterior
    chains, draws = posterior.sizes["chain"], posterior.sizes["draw"]
    found, rows = [], []
    for label, along in zip(levels, paths, strict=True):
        known, wanted = None if new_group else label, np.full(chains * draws, float(target))
        parameters = parameters_of(model, posterior, known, new_group=new_group, rng=stream(runs, label, seed))
        theta = {name: parameters[name] for name in model.parameters}
        if model.departs:
            scales = scales_about(runs, axis, known)
            drawn = mean_along(fit, [label], [along], scales, seed)[:, 0]
            scale = first_reached(drawn, wanted, scales, runs.sign)
        else:
            ends = ends_about(largest_scale(runs, axis, None))
            scale = inverted(along_draws(model, along, theta), wanted, ends, runs.sign)
        lower, median, upper = quantiles(scale, prob)
        beyond: dict[Any, Any] = {
            "extrapolation": np.inf if np.isinf(median) else 1.0,
            "extrapolated": axis,
            "extrapolation_cost": np.nan,
        }
        if 0 < median < np.inf:
            at = points_along(model, along, np.asarray([median]), theta)
            beyond = extrapolation(runs, at, known).iloc[0].to_dict()
        finite = scale[np.isfinite(scale)]
        earliest = float(np.quantile(finite, (1 - prob) / 2)) if finite.size else np.inf
        named = {} if label is None else {"group": label}
        rows.append(
            named
            | {
                "target": float(target),
                "axis": axis,
                "median": float(median),
                "lower": float(lower),
                "upper": float(upper),
                "p_never": float(np.isinf(scale).mean()),
                "earliest": earliest,
                **{name: beyond[name] for name in ("extrapolation", "extrapolated", "extrapolation_cost")},
            }
        )
        found.append(scale.reshape(chains, draws))
    coords = {"chain": posterior["chain"], "draw": posterior["draw"], "group": ["" if g is None else g for g in levels]}
    array = xr.DataArray(np.stack(found, -1), coords, ("chain", "draw", "group"), name=axis)
    held = {n: float(v) if isinstance(v, Real) else str(v) for n, v in path.items()} if isinstance(path, dict) else {}
    table = pd.DataFrame(rows)
    unseen = unseen_response(runs, levels if not new_group else (None,), float(target))
    diagnostics = with_distance(fit, float(table["extrapolation"].max()), unseen)
    return Reach(table, array, prob, runs.response, held, along.said, runs.unit(axis), diagnostics)
