"""The prediction: joint draws of the mean response and of new runs, from the posterior or the prior.

Every answer is a presentation of it. The draws of a group depend on its runs, the points and the seed alone, not on
other groups or on the names of groups.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import reduce
from typing import Any, Literal

import numpy as np
import xarray as xr

from scalebayes.discrepancy import Departure, Errors, Situation, integrated_of, sampled_of, solver
from scalebayes.discrepancy.contract import IntegratedTerm
from scalebayes.model.evaluation import expected, variance_of_inputs
from scalebayes.model.model import Model
from scalebayes.model.structure import (
    ERROR,
    OBSERVED,
    OUTLYING,
    Parameter,
    build_order,
    deviate,
    publish,
    slope_name,
    unlink,
)
from scalebayes.observations import Observation
from scalebayes.observations.contract import sd_of
from scalebayes.runs import Runs

_MOST_AT_ONCE = 4_000_000  # numbers of an intermediate array
_PRIOR_SEED = 1


@dataclass(frozen=True, eq=False)
class Points:
    """New points of one group.

    Parameters
    ----------
    x : mapping of str to array, shape (point,)
        Values of every input.
    columns : mapping of str to array, shape (point,)
        What the observation reads besides the response, by role; needed for new runs only.
    cost : array, shape (point,), or None
        Cost in FLOPs, where it is not a function of the inputs.
    covariates : mapping of str to float
        Of a new group: the columns on which its parameters depend.
    """

    x: Mapping[str, np.ndarray]
    columns: Mapping[str, np.ndarray] = field(default_factory=dict)
    cost: np.ndarray | None = None
    covariates: Mapping[str, float] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(next(iter(self.x.values())))


def points_at_runs(runs: Runs, observation: Observation, rows: np.ndarray) -> Points:
    """Some runs as points: their inputs, the columns of the observation, and their cost."""
    columns = {role: runs.column(column)[rows] for role, column in observation.columns.items()}
    cost = runs.column(runs.cost)[rows] if isinstance(runs.cost, str) else None
    return Points({name: runs.x(name)[rows] for name in runs.inputs}, columns, cost)


@dataclass(frozen=True, eq=False)
class Prediction:
    """Joint draws at new points of one group, in the order of the draws they come from.

    Parameters
    ----------
    mean, new_run : array, shape (sample, point)
        The mean response, and single new runs that scatter about it.
    """

    mean: np.ndarray
    new_run: np.ndarray


def predict(
    model: Model,
    draws: xr.Dataset,
    at: Points,
    level: str | None = None,
    *,
    given: Literal["runs", "prior"] = "runs",
    new_group: bool = False,
    seed: int = 0,
    new_runs: bool = True,
) -> Prediction:
    """Draw the mean response and new runs of one group at some points.

    Parameters
    ----------
    model : Model
    draws : xarray.Dataset
        Draws of the posterior, or of the prior.
    at : Points
    level : str, optional
        The group; None where there is none.
    given : {"runs", "prior"}
        Whether departures are drawn given the runs, or from their prior.
    new_group : bool
        Whether the group is new: its pooled parameters are drawn from the population, separate ones from their prior,
        and it has no departure.
    seed : int
        Seed of departures, new groups and new runs.
    new_runs : bool
        Whether new runs are wanted; without them ``new_run`` is empty.

    Returns
    -------
    Prediction
    """
    rng = stream(model.runs, level, seed, given == "prior")
    block, observation = model.structure.block, model.observation
    found = parameters_of(model, draws, level, new_group=new_group, rng=rng, covariates=at.covariates)
    samples = len(next(iter(found.values())))
    further = {} if new_group else _variables(model, draws, level)
    rows = model.runs.rows(None if new_group else level)
    x = [np.asarray(at.x[name], float) for name in block.inputs]
    mean, new_run = np.empty((samples, len(at))), np.empty((samples if new_runs else 0, len(at)))
    several = len(integrated_of(model.discrepancy)) > 1  # whose covariances between the runs are added
    for some in _chunks(samples, len(at) + len(rows) ** (1 + several)):
        parameters = {name: value[some] for name, value in found.items()}
        law = {name: parameters[name] for name in model.parameters}
        f = expected(model.law.function, x, law)
        floor = np.reshape(model.law.floor_of(law), (-1, 1))
        # Some draws of the prior are so steep that an infinite amplitude meets a power of 0; they tend to the floor.
        f = np.where(np.isnan(f), floor, f) if given == "prior" else f
        departures = []
        if model.discrepancy and not new_group:
            own = {name: value[some] for name, value in further.items()}
            departures = _departures(model, at, level, given, parameters, own, rng)
        scale = observation.scale
        moved = f
        if any(np.ndim(each.bend) for each in departures):
            sunk = floor * np.exp(sum(each.floor for each in departures))
            moved = scale.bent(f, floor, sum(each.bend for each in departures)) - floor + sunk
        if any(np.ndim(each.level) for each in departures):
            moved = scale.moved(moved, sum(each.level for each in departures))
        mean[some] = moved
        if not new_runs:
            continue
        values = {name: parameters[name][:, None] for name in observation.priors()}
        variance = sum(each.variance for each in departures)
        if np.ndim(variance):
            values = observation.widened(moved, values, variance)
        if any(np.ndim(each.residual) for each in departures):
            moved = scale.moved(moved, sum(each.residual for each in departures))
        new_run[some] = observation.draw(moved, values, at.columns, rng)
    return Prediction(mean, new_run)


def parameters_of(
    model: Model,
    draws: xr.Dataset,
    level: str | None,
    *,
    new_group: bool = False,
    rng: np.random.Generator | None = None,
    covariates: Mapping[str, float] | None = None,
) -> dict[str, np.ndarray]:
    """Parameters of law, observation and discrepancy for one group, each of shape (sample,).

    Parameters
    ----------
    model : Model
    draws : xarray.Dataset
    level : str or None
        The group; None where there is none.
    new_group : bool
        Whether the group is new, which needs random numbers.
    rng : numpy.random.Generator, optional
    covariates : mapping of str to float, optional
        Of a new group: the columns on which its parameters depend.
    """
    if new_group:
        return _of_new_group(model, draws, rng or np.random.default_rng(0), covariates or {})
    structure = model.structure
    chosen = draws[[p.name for p in structure.parameters]]
    if level is not None and structure.group in chosen.dims:  # a model may share everything
        chosen = chosen.sel({structure.group: level})
    return {p.name: chosen[p.name].to_numpy().reshape(-1) for p in structure.parameters}


def law_parameters(model: Model, draws: xr.Dataset, level: str | None) -> dict[str, np.ndarray]:
    """The law's parameters for one group, each of shape (sample,)."""
    found = parameters_of(model, draws, level)
    return {name: found[name] for name in model.parameters}


def leave_one_out(model: Model, draws: xr.Dataset) -> np.ndarray:
    """Log density of each run given all others of its group, where terms are integrated out, shape (sample, run).

    Raises
    ------
    ValueError
        If a term is sampled.
    """
    terms = integrated_of(model.discrepancy)
    if len(terms) < len(model.discrepancy):
        raise ValueError(f"leaving one run out is not known for {model.said_discrepancy}; compare by the largest runs.")
    found = np.empty((draws.sizes["chain"] * draws.sizes["draw"], len(model.runs)))
    for level in model.runs.levels or (None,):
        rows = model.runs.rows(level)
        every = parameters_of(model, draws, level)
        for some in _chunks(len(found), len(rows) ** 2):
            parameters = {name: value[some] for name, value in every.items()}
            known = _errors(model, level, parameters)
            covariance, lost = _covariance(model, terms, known, parameters, rows)
            noise = (known.noise**2 - lost)[:, :, None] * np.eye(len(rows))
            found[some, rows] = solver.leave_one_out(known.error, covariance + noise)
    return found


def stream(runs: Runs, level: str | None, seed: int, of_prior: bool = False) -> np.random.Generator:
    """Random numbers of a group: they differ between groups and do not depend on the names of groups."""

    def digest(of: str | None) -> int:
        rows = runs.rows(of)
        return zlib.crc32(b"".join([runs.y[rows].tobytes(), *(runs.x(name)[rows].tobytes() for name in runs.inputs)]))

    known = level if level in runs.levels else None
    own = digest(known)
    # One curve under two names departs independently for each.
    before = [other for other in runs.levels[: runs.levels.index(known)] if digest(other) == own] if known else []
    key = [seed, own, len(before)] + ([_PRIOR_SEED] if of_prior else [])
    return np.random.default_rng(np.random.SeedSequence(key))


def _chunks(samples: int, width: int) -> Iterator[slice]:
    """Slices of the samples, so that arrays with a row of this width for each sample stay small."""
    step = max(1, _MOST_AT_ONCE // max(width, 1))
    return (slice(first, min(first + step, samples)) for first in range(0, samples, step))


def _variables(model: Model, draws: xr.Dataset, level: str | None) -> dict[str, np.ndarray]:
    """Further variables of sampled terms for a group, shape (sample, ...); draws of the prior have none."""
    found = {}
    for term in sampled_of(model.discrepancy):
        for name in term.published:
            if name in draws:
                values = draws[name] if level is None else draws[name].sel({model.structure.group: level})
                found[name] = values.to_numpy().reshape(-1, *values.shape[2:])
    return found


def _departures(
    model: Model,
    at: Points,
    level: str | None,
    given: str,
    parameters: Mapping[str, np.ndarray],
    further: Mapping[str, np.ndarray],
    rng: np.random.Generator,
) -> list[Departure]:
    """The departure that each term draws at new points."""
    terms, rows = model.discrepancy, model.runs.rows(level)
    nothing = np.empty((0, 0))
    known = _errors(model, level, parameters) if given == "runs" else Errors(nothing, nothing, nothing, nothing)
    found = []
    for term in terms:
        others = 0.0
        rest = [other for other in integrated_of(terms) if other is not term]
        if given == "runs" and rest and not term.sampled:
            others, _ = _covariance(model, rest, known, parameters, rows)
        own = {name: model.numbers[name] for name in term.data_names}
        situation = Situation(
            model.runs, level, at.x, at.cost, parameters, known, further, own, others, model.sinks_from
        )
        draw: Callable = term.given_runs if given == "runs" else term.before_runs
        found.append(draw(situation, rng))
    return found


def _errors(model: Model, level: str | None, parameters: Mapping[str, np.ndarray]) -> Errors:
    """Errors of a group's runs about the law on the observation's scale, shape (sample, run)."""
    runs, observation, rows = model.runs, model.observation, model.runs.rows(level)
    law = {name: parameters[name] for name in model.parameters}
    x = [runs.x(name)[rows] for name in runs.inputs]
    f = expected(model.law.function, x, law)
    block = model.structure.block
    of_inputs: Any = 0.0
    if block.uncertain:
        errors = {name: model.numbers[f"{name}{ERROR}"][rows] for name in block.uncertain}
        of_inputs = variance_of_inputs(block, x, law, errors)
    floor = np.reshape(model.law.floor_of(law), (-1, 1))
    values = {name: parameters[name][:, None] for name in observation.priors()}
    columns = {role: runs.column(column)[rows] for role, column in observation.columns.items()}
    own = {name: value[rows] for name, value in model.numbers.items() if name == OUTLYING}
    wide = block.widened_by(f, values, own, np, of_inputs)
    sd, noise = (np.broadcast_to(sd_of(observation, f, each, columns), f.shape) for each in (values, wide))
    error = model.numbers[OBSERVED][rows] - observation.scale.forward(f)
    return Errors(error, observation.scale.above(f, floor), sd, noise)


def _covariance(model: Model, terms: list[IntegratedTerm], known: Errors, parameters: Mapping, rows: np.ndarray):
    """Covariance of a group's errors under integrated terms, and the variance that the noise loses to them."""
    inputs = tuple(model.runs.inputs)
    parts = []
    for term in terms:
        own = {name: parameters[name] for name in term.priors(inputs)}
        of_runs = {name: model.numbers[name][rows] for name in term.of_runs}
        parts.append(solver.covariance_of(term, known, own, of_runs))
    return reduce(lambda one, other: (one[0] + other[0], one[1] + other[1]), parts)


def _of_new_group(
    model: Model, draws: xr.Dataset, rng: np.random.Generator, covariates: Mapping[str, float]
) -> dict[str, np.ndarray]:
    """Parameters of a new group: pooled ones drawn from the population, separate ones from their prior."""
    structure = model.structure
    samples = draws.sizes["chain"] * draws.sizes["draw"]
    # A group without runs has no typical response or scale of its own; it gets the mean of all groups.
    numbers = dict(model.numbers)
    for name, own in numbers.items():
        if name.endswith(("_typical", "_level", "_reference")):
            numbers[name] = np.asarray(np.exp(np.log(own).mean()))
        elif name.endswith("_middle"):
            numbers[name] = np.asarray(own.mean())
    values: dict[str, np.ndarray] = {}
    for parameter in build_order(structure.parameters):
        if parameter.pooling == "pooled":
            population = draws[parameter.base].to_numpy().reshape(-1)
            spreads = [draws[spread].to_numpy().reshape(-1) for _, spread, _ in parameter.deviations]
            deviation = sum(s * rng.standard_normal(samples) for s in spreads)
            for slope, z in _covariates(model, parameter, covariates).items():
                deviation = deviation + draws[slope].to_numpy().reshape(-1) * z
            value = deviate(parameter.link, population, deviation, np)
        elif parameter.pooling == "separate":
            centre, scale, *_ = numbers[f"{parameter.name}_prior"]
            bound = np.min(numbers.get(f"{parameter.name}_bound", 1.0))
            value = unlink(parameter.link, centre + scale * rng.standard_normal(samples), bound, np)
        else:
            value = draws[parameter.free].to_numpy().reshape(-1)
        values[parameter.name], _ = publish(parameter, value, numbers, values, np)
    return values


def _covariates(model: Model, parameter: Parameter, given: Mapping[str, float]) -> dict[str, float]:
    """The covariates of a new group, centred as those of the known ones, by the slopes on them."""
    found = {}
    for column in model.on(parameter.name):
        if column not in given:
            raise ValueError(
                f"{parameter.name} of a new group depends on {column!r}: give it with the points, "
                f"at={{..., {column!r}: value}}."
            )
        mean = float(np.log(model.runs.column(column)[_first_rows(model.runs)]).mean())
        found[slope_name(parameter.name, column)] = float(np.log(given[column])) - mean
    return found


def _first_rows(runs: Runs) -> np.ndarray:
    return np.unique(runs.group_index, return_index=True)[1]
