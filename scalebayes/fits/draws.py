"""The draws and data of a fit under the caller's labels, in the groups that ArviZ expects."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from scipy.special import gammaln

from scalebayes.discrepancy import sampled_of
from scalebayes.fits.description import columns_of, describe_model, plain_number
from scalebayes.model import Model
from scalebayes.model.prediction import points_at_runs, predict
from scalebayes.model.structure import KNOWN, OBSERVED, Parameter

if TYPE_CHECKING:
    from scalebayes.inference.sampling import Sample

MOST_RUNS = 10_000  # of tables whose posterior predictive draws are kept
_MOST_DRAWS, _MOST_NUMBERS = 400, 1_000_000  # kept of them


def tree_of(model: Model, found: Sample, prior: xr.Dataset, seed: int) -> xr.DataTree:
    """Draws and data under the caller's labels, in the groups that ArviZ expects."""
    runs, per_draw = model.runs, ("chain", "draw")
    grouped = (runs.group_name,) if runs.group else ()
    further = {name: dims for term in sampled_of(model.discrepancy) for name, dims in term.published.items()}
    chains, draws = found.stats["lp"].shape
    coords = {"chain": np.arange(chains), "draw": np.arange(draws), **model.coords()}
    groups: dict[str, dict] = {
        "posterior": {
            name: (per_draw + ((*grouped, *further[name]) if name in further else grouped[: value.ndim - 2]), value)
            for name, value in sorted(found.variables.items())
        },
        "sample_stats": {name: (per_draw, value) for name, value in found.stats.items()},
        "log_likelihood": {name: ((*per_draw, "run"), each) for name, each in _likelihoods(model, found).items()},
        "observed_data": _observed(model),
        "constant_data": columns_of(model),
    }
    datasets = {name: _dataset(variables, coords) for name, variables in groups.items() if name != "log_likelihood"}
    # Of large tables it is kept at some of the draws.
    datasets["log_likelihood"] = _dataset(groups["log_likelihood"], coords | {"draw": np.arange(draws)[found.known]})
    datasets["log_prior"] = log_prior(model, datasets["posterior"])
    if len(runs) <= MOST_RUNS:
        datasets["posterior_predictive"] = _predictive(model, datasets["posterior"], coords["run"], seed)
    return xr.DataTree.from_dict({**datasets, "prior": prior})


def redescribed(model: Model, tree: xr.DataTree) -> xr.DataTree:
    """The same draws, described and with data as those of another model, so that a file of them comes back as it is."""
    changed = tree.copy()
    coords = {"run": model.coords()["run"]}
    changed["constant_data"] = xr.DataTree(_dataset(columns_of(model), coords))
    about = {
        "data_hash": model.digest,
        "law": model.name,
        "observation": model.observation.word,
        "model": json.dumps(describe_model(model), default=plain_number),
    }
    changed.attrs = {**tree.attrs, **about}
    return changed


def _likelihoods(model: Model, found: Sample) -> dict[str, np.ndarray]:
    """Log likelihood of the runs by the name of what is observed, NaN where a run does not have the response."""
    blocks = model.structure.blocks
    # Of every response without the copies that pad the table.
    parts = np.split(found.log_likelihood, len(blocks), axis=2)
    each = {block.observed: part[:, :, : len(model.runs)] for block, part in zip(blocks, parts, strict=True)}
    for block in blocks:
        if block.partial:
            each[block.observed] = np.where(model.numbers[block.key(KNOWN)], each[block.observed], np.nan)
    return each


def _observed(model: Model) -> dict[str, tuple[str, np.ndarray]]:
    found = {}
    for block in model.structure.blocks:
        values = model.numbers[block.key(OBSERVED)]
        values = np.where(model.numbers[block.key(KNOWN)], values, np.nan) if block.partial else values
        found[block.observed] = "run", values
    return found


def _dataset(variables: Mapping, coords: Mapping) -> xr.Dataset:
    used = {dim for dims, *_ in variables.values() for dim in ((dims,) if isinstance(dims, str) else dims)}
    return xr.Dataset(dict(variables), coords={name: value for name, value in coords.items() if name in used})


def _predictive(model: Model, posterior: xr.Dataset, labels: np.ndarray, seed: int) -> xr.Dataset:
    """New runs at the known ones, as the data are observed: for some draws."""
    some = some_of(posterior, len(model.runs))
    columns = {role: model.runs.column(column) for role, column in model.observation.columns.items()}
    observed = model.observation.observed(new_runs(model, some, seed), columns)
    shaped = observed.reshape(some.sizes["chain"], -1, len(model.runs))
    coords = {"chain": some["chain"], "draw": some["draw"], "run": labels}
    return xr.Dataset({model.structure.block.observed: (("chain", "draw", "run"), shaped)}, coords=coords)


def some_of(posterior: xr.Dataset, n_runs: int) -> xr.Dataset:
    """Evenly spaced draws, so few that as many numbers for each run are no burden."""
    chains, draws = posterior.sizes["chain"], posterior.sizes["draw"]
    most = max(1, min(_MOST_DRAWS, _MOST_NUMBERS // n_runs) // chains)
    return posterior.isel(draw=np.linspace(0, draws - 1, min(most, draws)).astype(int))


def new_runs(model: Model, posterior: xr.Dataset, seed: int) -> np.ndarray:
    """New runs at the known ones on the natural scale, shape (draw, run)."""
    runs = model.runs
    found = np.empty((posterior.sizes["chain"] * posterior.sizes["draw"], len(runs)))
    for level in runs.levels or (None,):
        rows = runs.rows(level)
        at = points_at_runs(runs, model.observation, rows)
        found[:, rows] = predict(model, posterior, at, level, seed=seed).new_run
    return found


def log_prior(model: Model, posterior: xr.Dataset) -> xr.Dataset:
    """The log density of every quantity that has a prior, at the draws: of populations and spreads where it is pooled.

    The deviations of groups from their population are no part of it.
    """
    found = {}
    for p in model.structure.parameters:
        constants = model.numbers[f"{p.name}_prior"]
        own = posterior[p.base].variable
        found[p.base] = (own.dims, _log_density(p, own.values, constants, model.numbers))
        for (_, spread, _), scale in zip(p.deviations, constants[2:], strict=True):
            drawn = posterior[spread].variable
            each = 0.5 * np.log(2 / np.pi) - np.log(scale) - 0.5 * (drawn.values / scale) ** 2
            found[spread] = (drawn.dims, each)
    used = {dim for dims, _ in found.values() for dim in dims}
    return xr.Dataset(found, {name: posterior[name] for name in used})


def _log_density(p: Parameter, value: np.ndarray, constants: np.ndarray, numbers: Mapping) -> np.ndarray:
    first, second = map(float, constants[:2])
    at: Any = value
    jacobian: Any = 0.0
    if p.link == "gamma":
        above = value - float(numbers[f"{p.name}_bound"])
        return first * np.log(second) - gammaln(first) + (first - 1) * np.log(above) - second * above
    if p.link == "floor":
        bound = np.asarray(numbers[f"{p.name}_bound"])
        share = value / bound
        at, jacobian = np.log(share / (1 - share)), -np.log(share * (1 - share) * bound)
    if p.link == "log":
        at, jacobian = np.log(value), -np.log(value)
    return -0.5 * ((at - first) / second) ** 2 - np.log(second) - 0.5 * np.log(2 * np.pi) + jacobian
