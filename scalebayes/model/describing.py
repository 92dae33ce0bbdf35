"""What a model's parts say of its structure, and of its numbers: data and prior constants."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

import numpy as np

from scalebayes.discrepancy import Term, integrated_of, solver
from scalebayes.model.outliers import outlying
from scalebayes.model.responses import Measured, owners
from scalebayes.model.structure import (
    ERROR,
    GROUP,
    KNOWN,
    OBSERVED,
    OUTLYING,
    Anchor,
    Block,
    Link,
    Parameter,
    Structure,
    covariate,
    reference_of,
    safe,
    slope_name,
)
from scalebayes.priors import (
    Anchored,
    FloorShare,
    Gamma,
    LogNormal,
    Normal,
    Pooled,
    Pooling,
    Prior,
    RangeShare,
    ResponseLevel,
    ResponseShare,
    Separate,
    Share,
    Shared,
    without_numbers,
)
from scalebayes.runs import Runs


def describe(
    priors: Mapping[str, Pooling], first: Measured, terms: tuple[Term, ...], further: tuple[Measured, ...] = ()
) -> tuple[Structure, dict[str, np.ndarray]]:
    """A model's structure, and its data and prior constants by the names they have in the graph.

    Parameters
    ----------
    priors : mapping of str to prior
        Of the laws' parameters.
    first : Measured
        The first response.
    terms : tuple of Term
        How its runs depart from its law.
    further : tuple of Measured
    """
    runs = first.runs
    inputs = tuple(runs.inputs)
    numbers: dict[str, np.ndarray] = {name: runs.x(name) for name in inputs}
    for name in inputs:
        if (error := runs.error(name)) is not None:
            numbers[f"{name}{ERROR}"] = error
    if runs.group:
        numbers[GROUP] = runs.group_index
    of_terms = {name: value for term in terms for name, value in term.data(runs).items()}
    of_terms |= solver.data_of(integrated_of(terms), runs)
    numbers |= of_terms
    shapes = tuple((name, value.shape) for name, value in of_terms.items())
    blocks, typical = [], {}
    for each in (first, *further):
        suffix = "" if each is first else f"_{safe(each.runs.response)}"
        block, own, ordinary = _block(each, () if suffix else terms, () if suffix else shapes, suffix)
        blocks.append(block)
        numbers |= own
        typical[id(each)] = each.runs, ordinary
    end = next((end for term in terms if (end := term.stated_at(runs)) is not None), None)
    stated = owners(first, further)
    owned = [("law", name, prior, stated[name]) for name, prior in priors.items()]
    owned += [
        ("observation", name + block.suffix, prior, each)
        for block, each in zip(blocks, (first, *further), strict=True)
        for name, prior in each.observation.priors().items()
    ]
    owned += [("discrepancy", name, prior, first) for term in terms for name, prior in term.priors(inputs).items()]
    parameters, factors = [], {}
    for owner, name, pooling, each in _with_slopes(owned):
        parameter, constants = _parameter(name, owner, pooling, *typical[id(each)], end if each is first else None)
        for column in pooling.spreads(runs.group_name) if isinstance(pooling, Pooled) and runs.group else ():
            if column != runs.group_name and safe(column) not in factors:
                levels, index = runs.factor(column)
                factors[safe(column)] = len(levels)
                numbers[f"{safe(column)}_of_group"] = index
        for column in pooling.on if isinstance(pooling, Pooled) and runs.group else ():
            numbers[covariate(slope_name(name, column))] = centred(runs, column)
        parameters.append(parameter)
        numbers |= constants
    return Structure(
        tuple(blocks), tuple(parameters), runs.group_name, len(runs.levels), tuple(factors.items())
    ), numbers


def _with_slopes(owned: list) -> Iterator[tuple[str, str, Pooling, Measured]]:
    """The parameters of a model, each after the slopes on covariates that it is built from."""
    for owner, name, pooling, each in owned:
        for column, slope in pooling.on.items() if isinstance(pooling, Pooled) and each.runs.group else ():
            yield owner, slope_name(name, column), Shared(slope), each
        yield owner, name, pooling, each


def centred(runs: Runs, column: str) -> np.ndarray:
    """The logarithm of a column that is constant in each group, less its mean over groups."""
    _, first = np.unique(runs.group_index, return_index=True)
    logs = np.log(runs.column(column)[first])
    return logs - logs.mean()


def _block(
    each: Measured, terms: tuple[Term, ...], shapes: tuple, suffix: str
) -> tuple[Block, dict[str, np.ndarray], np.ndarray]:
    """A response as a block, its data, and which of its runs are no outliers."""
    runs, observation, known = each.runs, each.observation, each.known
    columns = {role: runs.column(column) for role, column in observation.columns.items()}
    observed = observation.observed(runs.y, columns)
    far = np.zeros(len(runs))
    if observation.sd is not None:
        far[known] = outlying(each.of_known, observed[known])
    numbers = {OBSERVED: observed} | {f"{role}_column": value for role, value in columns.items()}
    if far.any():
        numbers[OUTLYING] = far
    if not known.all():
        numbers[KNOWN] = known
        # What is not known counts for nothing, but must be a number.
        for name in (OBSERVED, *(f"{role}_column" for role in columns)):
            numbers[name] = np.where(known, numbers[name], numbers[name][known][0])
    block = Block(
        each.law.function,
        each.law.floor,
        each.inputs,
        each.law.parameters,
        safe(runs.response),
        without_numbers(observation),
        tuple(map(without_numbers, terms)),
        len(runs),
        shapes,
        runs.scales,
        bool(far.any()),
        suffix,
        not known.all(),
        tuple(name for name in each.inputs if runs.error(name) is not None),
    )
    return block, {block.key(name): value for name, value in numbers.items()}, (far == 0) & known


def _parameter(
    name: str, owner: Any, pooling: Pooling, runs: Runs, ordinary: np.ndarray, end: Any
) -> tuple[Parameter, dict[str, np.ndarray]]:
    """How a parameter is built, and its constants.

    Priors are stated at ``end``, or amid the runs if it is None, by the responses of the runs that are no outliers.
    """
    grouped = bool(runs.group)
    word = type(pooling).__name__.lower() if grouped else "shared"
    # A separate parameter uses the runs of its own group only.
    apart = grouped and isinstance(pooling, Separate)
    parts = [runs.rows(level) for level in runs.levels] if apart else [runs.rows(None)]
    prior, anchor, numbers = pooling.prior, None, {}
    if isinstance(prior, Anchored):
        anchor = Anchor(prior.form, prior.terms, prior.factor)
        for i, (column, _, _) in enumerate(prior.terms):
            x = runs.x(column)
            x = np.where(x > 0, x, np.nan) if prior.form == "place" else x
            typical = end.scale if end else np.exp([np.nanmean(np.log(x[rows])) for rows in parts])
            per_group = grouped if end else apart
            typical = np.asarray(prior.reference) if prior.reference else typical if per_group else typical[0]
            numbers[reference_of(name, i, anchor)] = np.asarray(typical, float)
        if prior.form == "place":
            numbers[f"{name}_breadth"] = np.asarray(max(np.log(np.nanmax(x) / np.nanmin(x)) / 2, 1.0))
        prior = prior.value
    link, constants = _constants(prior)
    spreads = pooling.spreads(runs.group_name) if isinstance(pooling, Pooled) and grouped else {}
    numbers[f"{name}_prior"] = np.asarray([*constants, *spreads.values()], float)
    relative: Literal["", "response", "level", "range"] = ""
    if isinstance(prior, Share):
        link, relative = "identity", "level"
        numbers[f"{name}_level"] = np.asarray(1.0)
    counted = [rows[ordinary[rows]] if ordinary[rows].any() else rows for rows in parts]
    level = end.level(runs.y, ordinary) if end else np.zeros(0)
    if link == "floor" and end:
        link, relative = "identity", "level"
        numbers[f"{name}_level"] = level if grouped else level[0]
    if link == "floor":
        smallest = np.asarray([np.nanmin(runs.y[rows]) for rows in counted])
        numbers[f"{name}_bound"] = smallest if apart else smallest[0]
    if isinstance(prior, Gamma):
        numbers[f"{name}_bound"] = np.asarray(prior.above)
    floor = None
    if isinstance(prior, ResponseShare):
        relative, floor = "response", prior.floor
        typical = level if end else np.exp([np.nanmean(np.log(runs.y[rows])) for rows in counted])
        numbers[f"{name}_typical"] = typical if apart or (end and grouped) else typical[0]
    if isinstance(prior, ResponseLevel | RangeShare):
        relative = "range"
        own = runs.y[ordinary] if ordinary.any() else runs.y
        numbers[f"{name}_range"] = np.asarray(np.nanmax(own) - np.nanmin(own) or 1.0)
    if isinstance(prior, ResponseLevel):
        middle = np.asarray([np.nanmean(runs.y[rows]) for rows in counted])
        numbers[f"{name}_middle"] = middle if apart else middle[0]
    on = pooling.on if isinstance(pooling, Pooled) and grouped else {}
    slopes = tuple(slope_name(name, column) for column in on)
    return Parameter(name, owner, link, word, tuple(map(safe, spreads)), anchor, relative, floor, slopes), numbers


def _constants(prior: Prior) -> tuple[Link, tuple[float, ...]]:
    match prior:
        case Normal(mean, sd) | ResponseLevel(mean, sd):
            return "identity", (mean, sd)
        case LogNormal(median, spread):
            return "log", (float(np.log(median)), spread)
        case FloorShare(logit, sd) | Share(logit, sd):
            return "floor", (logit, sd)
        case ResponseShare(share, spread, _) | RangeShare(share, spread):
            return "log", (float(np.log(share)), spread)
        case Gamma(shape, rate, _):
            return "gamma", (shape, rate)
    raise TypeError(f"unknown prior {prior!r}.")
