"""Sensitivity to priors: the forecast again, with one prior moved at a time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, cast

import numpy as np
import pandas as pd

from scalebayes.arguments import check_prob, check_seed, nearest, quoted
from scalebayes.fits.averaging import pooled_diagnostics
from scalebayes.fits.fit import Fit
from scalebayes.fits.many import fit_many
from scalebayes.inference.diagnostics import Diagnostics
from scalebayes.model import Model
from scalebayes.model.model import with_parts
from scalebayes.notebook import shown
from scalebayes.priors import (
    Anchored,
    FloorShare,
    Gamma,
    LogNormal,
    Normal,
    Pooling,
    Prior,
    RangeShare,
    ResponseLevel,
    ResponseShare,
    Share,
)
from scalebayes.questions.forecast import forecast
from scalebayes.questions.groups import Group, check_one
from scalebayes.questions.points import Points
from scalebayes.questions.wording import plain, response, where


@dataclass(frozen=True, eq=False, repr=False)
class Sensitivity:
    """The answer of `sensitivity`.

    Parameters
    ----------
    table : pandas.DataFrame
        A row per point and prior: the inputs, the group (if there are groups), prior ("as it is", or the parameter
        whose prior was moved), factor, median, lower and upper of the mean response, new_run_lower, new_run_upper,
        moved, widened, converged. ``moved`` is the log of the median over the median as it is, or their difference on
        another scale of the observation. ``widened`` is the width of the new run's band, on the observation's scale,
        over the width as it is.
    diagnostics : Diagnostics
        The worst of all fits in each respect.
    prob : float
        Probability of the intervals.
    inputs : tuple of str
    response : str
    """

    table: pd.DataFrame
    diagnostics: Diagnostics
    prob: float
    inputs: tuple[str, ...]
    response: str

    def __str__(self) -> str:
        lines = []
        for _, row in self.table.iterrows():
            band = (
                f"{100 * self.prob:g}% of new runs {response(row['new_run_lower'])} to {response(row['new_run_upper'])}"
            )
            if row["prior"] == "as it is":
                group = f"{row['group']}: " if "group" in row else ""
                point = where({name: row[name] for name in self.inputs})
                lines.append(
                    f"{group}at {point} the expected {self.response} is {response(row['median'])}, {band}"
                    + (";" if row["converged"] else ", NOT CONVERGED;")
                )
                continue
            lines.append(
                f"  with the prior of {row['prior']} moved by {row['factor']:g}: {response(row['median'])}, {band} "
                f"(median {100 * np.expm1(row['moved']):+.1f}%, band {row['widened']:.2f} times as wide)"
                + ("" if row["converged"] else ", NOT CONVERGED")
            )
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return shown(str(self), self.table)

    def to_dict(self) -> dict[str, Any]:
        """The table as nested dictionaries of numbers and strings."""
        return plain({"prob": self.prob, "converged": bool(self.table["converged"].all()), "rows": self.table})


def sensitivity(
    fit: Fit,
    *,
    at: Points,
    of: Sequence[str] | None = None,
    factor: float = 2.0,
    group: Group | None = None,
    prob: float = 0.89,
    seed: int = 0,
    progress: bool | None = None,
) -> Sensitivity:
    r"""Forecast again with priors moved down and up, one at a time.

    The factor multiplies the quantity that a prior is about: the median of a log-normal, or the odds of a share. The
    mean of a normal moves by ``factor - 1`` of its standard deviations. Every moved prior is fitted again, all of them
    by `fit_many`.

    Parameters
    ----------
    fit : Fit
    at : mapping, pandas.DataFrame or xarray.Dataset
        See `forecast`.
    of : sequence of str, optional
        Parameters of law, observation (sigma) or discrepancy. By default the scales of the discrepancy (drift, misfit):
        a few runs say little about them, and they set the width of bands far out.
    factor : float
        Above 1; every prior is moved by it and by its inverse.
    group : str, optional
        See `forecast`.
    prob : float
    seed : int
    progress : bool, optional

    Returns
    -------
    Sensitivity

    Raises
    ------
    ValueError
        If there is no such parameter, or none was named and the fit has no discrepancy.

    Examples
    --------
    With the fit of `fit`'s example:

    >>> answer = sb.sensitivity(fit, at={"C": 1e23}, of=["E"], group="Pythia")
    >>> answer.table[["prior", "factor"]].to_numpy().tolist()[1:]
    [['E', 0.5], ['E', 2.0]]
    """
    check_prob(prob)
    check_seed(seed)
    check_one(fit, "sensitivity")
    if not (math.isfinite(factor) and factor > 1):
        raise ValueError(f"factor is above 1 (the prior is moved by it and by its inverse), got {quoted(factor)}.")
    model = fit.model
    priors = _priors(model)
    influential = [name for term in model.discrepancy for name in term.influential if name in priors]
    names = list(of) if of is not None else influential
    if not names:
        raise ValueError(
            f"the fit has no drift and no misfit; name the priors to move, of={list(model.parameters)[:1]}."
        )
    for name in names:
        if name not in priors:
            raise ValueError(
                f"there is no prior of {name!r}{nearest(name, priors)}; there are those of {', '.join(priors)}."
            )
    variants = {f"{name} {by:g}": (name, by) for name in names for by in (1 / factor, factor)}
    models = {label: _moved(model, priors, name, by) for label, (name, by) in variants.items()}
    sizes = fit.posterior.sizes
    fleet = fit_many(models, draws=sizes["draw"], chains=sizes["chain"], seed=seed, progress=progress)
    first = forecast(fit, at=at, group=group, prob=prob, seed=seed)
    tables = [_rows(model, first.table, first.table, "as it is", 1.0, not fit.diagnostics.problems)]
    diagnostics = [fit.diagnostics]
    for label, (name, by) in variants.items():
        state = fleet.table.loc[label].to_dict()
        if not np.isfinite(state["max_r_hat"]):
            raise ValueError(f"with the prior of {name} moved by {by:g} the fit failed: {state['problem']!s}")
        again = fleet[label]
        found = forecast(again, at=at, group=group, prob=prob, seed=seed).table
        tables.append(_rows(model, found, first.table, name, by, not again.diagnostics.problems))
        diagnostics.append(again.diagnostics)
    table = pd.concat(tables).sort_index(kind="stable").reset_index(drop=True)
    return Sensitivity(table, pooled_diagnostics(diagnostics), prob, first.inputs, first.response)


def _rows(
    model: Model, found: pd.DataFrame, first: pd.DataFrame, name: str, by: float, converged: bool
) -> pd.DataFrame:
    forward = model.observation.scale.forward
    width, before = (forward(t["new_run_upper"]) - forward(t["new_run_lower"]) for t in (found, first))
    kept = [c for c in found.columns if not c.startswith(("prior_", "extrapol", "mean", "schedule", "outside"))]
    moved = forward(found["median"]) - forward(first["median"])
    return found[kept].assign(prior=name, factor=by, moved=moved, widened=width / before, converged=converged)


def _priors(model: Model) -> dict[str, Pooling]:
    """Priors of the law by parameter, and of observation and discrepancy by field."""
    parts: tuple[Any, ...] = (model.observation, *model.discrepancy)
    own = {f.name: getattr(part, f.name) for part in parts for f in fields(part)}
    return {**model.priors, **{name: prior for name, prior in own.items() if isinstance(prior, Pooling)}}


def _moved(model: Model, priors: dict[str, Pooling], name: str, by: float) -> Model:
    prior = replace(priors[name], prior=_shifted(priors[name].prior, by))
    if name in model.parameters:
        return with_parts(model, priors={**model.priors, name: prior})
    if hasattr(model.observation, name):
        observation: Any = model.observation
        return with_parts(model, observation=replace(observation, **{name: prior}))
    terms: list[Any] = list(model.discrepancy)
    terms = [replace(term, **{name: prior}) if hasattr(term, name) else term for term in terms]
    return with_parts(model, discrepancy=tuple(terms))


def _shifted(prior: Prior, by: float) -> Prior:
    match prior:
        case LogNormal():
            return replace(prior, median=prior.median * by)
        case ResponseShare() | RangeShare():
            return replace(prior, share=prior.share * by)
        case FloorShare() | Share():
            return replace(prior, logit=prior.logit + math.log(by))
        case Anchored():
            return replace(prior, value=cast(Any, _shifted(prior.value, by)))
        case Gamma():
            return replace(prior, rate=prior.rate / by)
        case ResponseLevel():
            return replace(prior, at=prior.at + prior.sd * (by - 1 if by > 1 else 1 - 1 / by))
        case Normal():
            return replace(prior, mean=prior.mean + prior.sd * (by - 1 if by > 1 else 1 - 1 / by))
