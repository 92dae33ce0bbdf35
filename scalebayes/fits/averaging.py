"""Averages of fits: the posterior predictives of several models of the same runs, mixed by weight."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal

import numpy as np
import xarray as xr

from scalebayes.arguments import quoted
from scalebayes.fits.fit import Fit
from scalebayes.fits.sampling import sample
from scalebayes.inference.diagnostics import Diagnostics
from scalebayes.model import Model
from scalebayes.model.model import with_runs
from scalebayes.model.prediction import leave_one_out, points_at_runs, predict
from scalebayes.notebook import shown
from scalebayes.numerics.scores import log_score
from scalebayes.runs import Runs
from scalebayes.runs.splits import masks, split, subset

NO_WEIGHT = 0.01  # below it a fit does not show in an answer, which is said
_STEPS = 1000
_ENOUGH = 2e-4


@dataclass(frozen=True, eq=False, repr=False)
class Average:
    """Fits of the same runs, each with a weight, whose predictions are mixed; made by `average`.

    Parameters
    ----------
    fits : mapping of str to Fit
        The fits by name.
    weights : mapping of str to float
        The weight of each fit: at least 0, and 1 in sum.
    how : str
        How the weights were chosen: "equal", "loo", "bootstrap", "holdout" or "given".
    """

    fits: Mapping[str, Fit]
    weights: Mapping[str, float]
    how: str

    @property
    def runs(self) -> Runs:
        """The runs that all fits share."""
        return next(iter(self.fits.values())).model.runs

    @property
    def diagnostics(self) -> Diagnostics:
        """The worst of all fits: the largest share of divergences, the largest r-hat, the smallest ESS; and remarks."""
        found = pooled_diagnostics([fit.diagnostics for fit in self.fits.values()])
        dropped = [name for name, weight in self.weights.items() if weight < NO_WEIGHT]
        if not dropped:
            return found
        have = "has a weight" if len(dropped) == 1 else "have weights"
        said = f"{', '.join(dropped)} {have} below {NO_WEIGHT:g}: the answer is that of the other fits."
        return replace(found, remarks=(said, *found.remarks))

    def _repr_html_(self) -> str:
        return shown(repr(self))

    def __repr__(self) -> str:
        parts = ", ".join(f"{name} {weight:.2f}" for name, weight in self.weights.items())
        first = f"Average of {len(self.fits)} fits to {len(self.runs)} runs ({self.how} weights): {parts}"
        return f"{first}\n  {self.diagnostics}"


def average(
    fits: Mapping[str, Fit] | Sequence[Fit],
    *,
    weights: Literal["equal", "loo", "bootstrap", "holdout"] | Mapping[str, float] = "equal",
    share: float = 0.3,
    seed: int = 0,
) -> Average:
    r"""Mix the predictions of several fits of the same runs.

    .. math:: p(y^* \mid y) = \sum_k w_k\, p_k(y^* \mid y)

    Equal weights are the default, and the robust choice for extrapolation. Stacking (Yao et al. 2018, arXiv:1704.02030)
    chooses the weights that predict the known runs best: each run from all others (``"loo"``), or the largest runs from
    the smaller ones (``"holdout"``). Known runs lie at smaller scales, where curves bend more than they do beyond.
    Weights from held-out runs gave nearly all weight to the most flexible law, and predicted no better than equal ones.
    Stacking may leave a fit without any weight though the runs hardly distinguish it from another. ``"bootstrap"`` asks
    how sure the runs are: the weights are the means of those by the leave-one-out density of bootstrapped runs
    (pseudo-BMA+ of the same paper). A fit then loses its weight only if the runs speak clearly. It is the rule for "do
    the groups differ at all?", with one law for each group and one law for all.

    Parameters
    ----------
    fits : mapping of str to Fit, or sequence of Fit
        In a sequence each fit is named by its law and discrepancy, such as ``power_floor+drift``.
    weights : {"equal", "loo", "bootstrap", "holdout"} or mapping of str to float
        A rule, or a weight for each name; given weights are divided by their sum.
    share : float
        Share of each group's runs, the largest by compute, that ``"holdout"`` holds out. Every model is fitted again to
        the other runs.
    seed : int
        Seed of these fits.

    Returns
    -------
    Average

    Raises
    ------
    ValueError
        If the fits are of different runs, two have the same name, the weights do not match the names, or too few runs
        would be left.

    Warns
    -----
    UserWarning
        ArviZ's own, where leave-one-out cross-validation is unreliable.

    Examples
    --------
    With the fit of `fit`'s example, and the same of one law for all groups:

    >>> one = sb.fit(sb.laws.power_floor, runs, pooling="shared", draws=500, discrepancy=None)
    >>> both = sb.average({"each": fit, "one": one})
    >>> dict(both.weights)
    {'each': 0.5, 'one': 0.5}
    """
    named = named_fits(fits)
    checked_alike(named)
    if isinstance(weights, Mapping):
        found, how = _given(weights, named), "given"
    elif weights == "equal":
        found, how = np.full(len(named), 1 / len(named)), weights
    elif weights == "loo":
        found, how = _by_loo(named, "stacking"), weights
    elif weights == "bootstrap":
        found, how = _by_loo(named, "BB-pseudo-BMA"), weights
    elif weights == "holdout":
        found, how = stacked(held_back(named, share, seed)), weights
    else:
        raise ValueError(
            "weights are 'equal', 'loo', 'bootstrap', 'holdout' or a mapping of names to numbers, got "
            f"{quoted(weights)}."
        )
    by_name = dict(zip(named, map(float, found), strict=True))
    return Average(MappingProxyType(named), MappingProxyType(by_name), how)


def name_of(model: Model) -> str:
    """Law and discrepancy in one word, such as ``power_floor+drift``."""
    return model.name + (f"+{model.said_discrepancy}" if model.discrepancy else "")


def members(fit: Fit | Average) -> list[tuple[Fit, float]]:
    """The fits of positive weight, each with its weight; a single fit has weight 1."""
    if isinstance(fit, Fit):
        return [(fit, 1.0)]
    return [(member, fit.weights[name]) for name, member in fit.fits.items() if fit.weights[name] > 0]


def mixed(drawn: Sequence[np.ndarray], weights: Sequence[float]) -> np.ndarray:
    """Draws of a mixture: evenly spaced draws of each part, in proportion to its weight.

    Parameters
    ----------
    drawn : sequence of array, shape (sample, ...)
    weights : sequence of float

    Returns
    -------
    array, shape (sample, ...)
    """
    most = min(len(part) / weight for part, weight in zip(drawn, weights, strict=True))
    counts = [max(1, round(weight * most)) for weight in weights]
    chosen = [np.linspace(0, len(part) - 1, n).round().astype(int) for part, n in zip(drawn, counts, strict=True)]
    return np.concatenate([part[rows] for part, rows in zip(drawn, chosen, strict=True)])


def stacked(log_density: np.ndarray) -> np.ndarray:
    """Weights of a mixture that give held-out runs the highest density, by expectation maximisation.

    Parameters
    ----------
    log_density : array, shape (run, fit)

    Returns
    -------
    array, shape (fit,)
    """
    density = np.exp(log_density - log_density.max(1, keepdims=True))
    weights = np.full(density.shape[1], 1 / density.shape[1])
    for _ in range(_STEPS):
        shares = weights * density
        weights = (shares / shares.sum(1, keepdims=True)).mean(0)
    weights[weights < _ENOUGH] = 0.0
    return weights / weights.sum()


def pooled_diagnostics(parts: Sequence[Diagnostics]) -> Diagnostics:
    """The worst of several fits in each respect.

    Draws and divergences are those of the fit with the largest share of divergences.
    """
    most = max(parts, key=lambda d: d.divergences / d.draws)
    return Diagnostics(
        draws=most.draws,
        divergences=most.divergences,
        max_r_hat=max(d.max_r_hat for d in parts),
        min_ess_bulk=min(d.min_ess_bulk for d in parts),
        min_ess_tail=min(d.min_ess_tail for d in parts),
        remarks=tuple(dict.fromkeys(remark for d in parts for remark in d.remarks)),
    )


def named_fits(fits: Mapping[str, Fit] | Sequence[Fit]) -> dict[str, Fit]:
    """Fits by name; in a sequence each is named by its law and discrepancy."""
    if not isinstance(fits, Mapping):
        if not all(isinstance(fit, Fit) for fit in fits):
            raise TypeError(f"fits are needed, got {', '.join(type(fit).__name__ for fit in fits)}.")
        names = [name_of(fit.model) for fit in fits]
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise ValueError(f"two of the fits are {twice[0]}; name them: {{'one': ..., 'another': ...}}.")
        fits = dict(zip(names, fits, strict=True))
    return dict(fits)


def checked_alike(named: Mapping[str, Fit]) -> None:
    """Refuse fewer than two fits, and fits of different runs."""
    for name, fit in named.items():
        if not isinstance(fit, Fit):
            raise TypeError(f"fits are needed, not their idata; {name} is {type(fit).__name__}.")
    if len(named) < 2:
        raise ValueError(f"two fits or more are needed, got {len(named)}.")
    first = next(iter(named.values())).model.runs
    for name, fit in named.items():
        if fit.model.runs.digest != first.digest:
            raise ValueError(
                f"fits of the same runs are needed; {name} has {len(fit.model.runs)} from {fit.model.runs.source}, "
                f"{next(iter(named))} has {len(first)} from {first.source}, and they are not the same."
            )


def _given(weights: Mapping[str, float], named: Mapping[str, Fit]) -> np.ndarray:
    if set(weights) != set(named):
        raise ValueError(f"weights are given for {', '.join(weights)}, and the fits are {', '.join(named)}.")
    values = np.asarray([float(weights[name]) for name in named])
    if not (np.isfinite(values).all() and (values >= 0).all() and values.sum() > 0):
        raise ValueError(f"weights are numbers from 0 on, not all of them 0; got {dict(weights)}.")
    return values / values.sum()


def _by_loo(named: Mapping[str, Fit], method: str) -> np.ndarray:
    from arviz_stats import compare

    table = compare(densities(named), method=method, round_to="none")
    return table["weight"].reindex(list(named)).to_numpy(float)


def for_loo(fit: Fit) -> xr.DataTree:
    """The tree of a fit with the log density of each run given the parameters and *all other runs* of its curve.

    ArviZ's LOO needs this density (Buerkner, Gabry and Vehtari 2021, arXiv:1810.10559). Where no discrepancy is
    integrated out, runs are independent given the parameters, and it is the log likelihood itself.
    """
    likelihood = fit.idata["log_likelihood"].to_dataset()
    name = fit.model.structure.block.observed
    if fit.model.also and fit.model.discrepancy:
        raise ValueError("leaving one run out is not known for several responses beside a discrepancy.")
    if fit.model.also:  # a run is left out with all its responses
        together = sum(each.fillna(0.0) for each in likelihood.data_vars.values())
        tree = fit.idata.copy()
        tree["log_likelihood"] = xr.DataTree(likelihood[[name]].assign({name: together}))
        return tree
    if all(term.sampled for term in fit.model.discrepancy):
        return fit.idata
    tree = fit.idata.copy()
    draws = fit.posterior.sel(draw=likelihood["draw"])
    each = likelihood[name].copy(data=leave_one_out(fit.model, draws).reshape(likelihood[name].shape))
    tree["log_likelihood"] = xr.DataTree(likelihood.assign({name: each}))
    return tree


def jacobians(named: Mapping[str, Fit]) -> dict[str, np.ndarray]:
    """What is added to the log densities of each fit's runs, shape (run,), so that all are densities of one quantity.

    Nothing where all fits observe on one scale. A density of log y is one of y after the Jacobian, the slope of the
    scale there; the chance of a count has no such counterpart.
    """
    models = {name: fit.model for name, fit in named.items()}
    scales = {name: model.observation.scale.name for name, model in models.items()}
    counts = {name for name, model in models.items() if model.observation.sd is None}
    if counts and len(counts) < len(models):
        other = next(name for name in models if name not in counts)
        raise ValueError(
            f"{min(counts)} gives chances of counts, and {other} densities of a response: they are not comparable. "
            "Give both fits the same kind of observation."
        )
    runs = next(iter(models.values())).runs
    if len(set(scales.values())) == 1 or counts:
        return {name: np.zeros(len(runs)) for name in models}
    return {
        name: np.log(np.broadcast_to(model.observation.scale.slope(runs.y), runs.y.shape))
        for name, model in models.items()
    }


def densities(named: Mapping[str, Fit]) -> dict[str, xr.DataTree]:
    """Trees of fits for ArviZ's LOO, with log densities of one quantity; see `for_loo` and `jacobians`."""
    found = {name: for_loo(fit) for name, fit in named.items()}
    for name, added in jacobians(named).items():
        if added.any():
            tree, observed = found[name].copy(), named[name].model.structure.block.observed
            likelihood = tree["log_likelihood"].to_dataset()
            moved = likelihood[observed] + xr.DataArray(added, dims="run")
            tree["log_likelihood"] = xr.DataTree(
                likelihood.assign({observed: moved.transpose(*likelihood[observed].dims)})
            )
            found[name] = tree
    return found


def held_back(named: Mapping[str, Fit], share: float, seed: int) -> np.ndarray:
    """Log density of the largest runs under fits to the other runs, shape (run, fit)."""
    runs = next(iter(named.values())).model.runs
    if not 0 < share < 1:
        raise ValueError(f"share is the part of each group's runs to hold out, between 0 and 1, got {quoted(share)}.")
    along = any(term.stated == "curves" for fit in named.values() for term in fit.model.discrepancy)
    parts, short = split(runs, masks(runs, None, None, [share]), along, skip=True)
    if short:
        _, level, reason = short[0]
        raise ValueError(f"share={share:g} cannot be held out{f' of {level}' if level else ''}: {reason}.")
    known = np.sort(np.concatenate([rows for rows, _ in parts.values()]))
    ahead = np.concatenate([rows for _, rows in parts.values()])
    scores, added = [], jacobians(named)
    for name, fit in named.items():
        model = with_runs(fit.model, subset(runs, known, grouped=True))
        again = sample(model, draws=fit.posterior.sizes["draw"], chains=fit.posterior.sizes["chain"], seed=seed)
        forward, found = model.observation.scale.forward, np.empty(len(ahead))
        for level in runs.levels or (None,):
            own = ahead[np.isin(ahead, runs.rows(level))]
            at = points_at_runs(runs, model.observation, own)
            drawn = predict(model, again.posterior, at, level, seed=seed).new_run
            found[np.isin(ahead, own)] = log_score(forward(drawn), forward(runs.y[own]))
        scores.append(found + added[name][ahead])
    return np.stack(scores, 1)
