"""A structure and its numbers as an ordinary `pymc.Model`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from pytensor import wrap_jax

from scalebayes.discrepancy import AtRuns, Errors, integrated_of, sampled_of, solver
from scalebayes.discrepancy.contract import SampledTerm
from scalebayes.model.structure import (
    ERROR,
    GROUP,
    KNOWN,
    OBSERVED,
    Block,
    Parameter,
    Structure,
    build_order,
    covariate,
    deviate,
    publish,
    unlink,
)
from scalebayes.numerics.precision import double_precision
from scalebayes.observations.contract import sd_of


def build(structure: Structure, numbers: Mapping[str, np.ndarray], coords: Mapping[str, Any]) -> pm.Model:
    """The graph: named dims, data and prior constants as `pm.Data`, the law through `wrap_jax`.

    Parameters
    ----------
    structure : Structure
    numbers : mapping of str to array
        From `scalebayes.model.describing.describe`.
    coords : mapping of str to sequence
        Labels of ``run`` and of the group dimension.

    Returns
    -------
    pymc.Model
    """
    of_runs = {GROUP, *(name for block in structure.blocks for name in (*block.inputs, block.key(OBSERVED)))}
    with double_precision(), pm.Model(coords=dict(coords)) as model:
        # A static shape, because wrap_jax traces the law when the graph is built.
        data = {
            name: pm.Data(
                name, value, dims=("run",) if name in of_runs and np.ndim(value) == 1 else None, shape=np.shape(value)
            )
            for name, value in numbers.items()
        }
        values: dict[str, pt.TensorVariable] = {}
        for parameter in build_order(structure.parameters):
            values[parameter.name] = _parameter(parameter, data, values, structure)
        for block in structure.blocks:
            _observe(block, structure, data, values)
        return model


def _observe(block: Block, structure: Structure, data: Mapping, values: Mapping) -> None:
    """Declare the observed variable of a response."""
    at_runs = {name: value[data[GROUP]] if value.ndim else value for name, value in values.items()}
    law = _with_positions(block)
    arguments = [data[name] for name in block.inputs] + [at_runs[name] for name in block.parameters]
    mean, of_inputs = wrap_jax(law)(*arguments), 0.0
    if block.uncertain:
        errors = {name: data[f"{name}{ERROR}"] for name in block.uncertain}
        of_inputs = wrap_jax(_of_inputs(block))(*arguments, *errors.values())
    floor, observed, observation = block.floor_of(at_runs), data[block.key(OBSERVED)], block.observation
    own, columns = block.observed_with(at_runs), block.columns(data)
    wide = block.widened_by(mean, own, data, pt, of_inputs)
    for term in sampled_of(block.terms):
        mean, wide = _departed(term, block, structure, mean, floor, wide, columns, data, values)
    integrated = integrated_of(block.terms)
    if not integrated:
        if block.partial:
            rows = np.flatnonzero(data[block.key(KNOWN)].get_value())
            mean, observed = pt.broadcast_to(mean, observed.shape)[rows], observed[rows]
            wide, columns = ({n: v[rows] if v.ndim else v for n, v in of.items()} for of in (wide, columns))
        distribution = observation.distribution(mean, wide, columns)
        dims = None if block.partial else ("run",)
        pm.modelcontext(None).register_rv(distribution, block.observed, observed=observed, dims=dims)
        return
    owns = [block.own_of(term, at_runs) for term in integrated]
    arguments = [value for own_of_term in owns for value in own_of_term.values()]
    needed = {name: value for name, value in data.items() if name in dict(block.shapes)}

    def logp(value, centre, above, sd, noise, *flat):
        rest = iter(flat)
        unpacked = [{name: next(rest) for name in own_of_term} for own_of_term in owns]

        def of_errors(errors, owns, data):
            return solver.loglik(integrated, errors, owns, data)

        return wrap_jax(of_errors)(Errors(value - centre, above, sd, noise), unpacked, needed)

    scale = observation.scale
    pm.CustomDist(
        block.observed,
        scale.forward(mean, pt),
        scale.above(mean, floor, pt),
        sd_of(observation, mean, own, columns),
        sd_of(observation, mean, wide, columns),
        *arguments,
        logp=logp,
        observed=observed,
        dims=("run",),
    )


def _departed(term: SampledTerm, block: Block, structure: Structure, mean, floor, own, columns, data, values):
    """Declare the variables of a sampled term; returns the mean and the observation's parameters after it."""
    observation, dims = block.observation, ((structure.group,) if structure.group else ())
    first = {name: data[name].get_value() for name in term.data_names}
    sizes = term.dims(first)
    free = {name: pm.Flat(name, shape=value.shape) for name, value in term.variables(first).items()}
    needed = {name: data[name] for name in term.data_names}
    of_term = {name: pt.atleast_1d(value) for name, value in block.own_of(term, values).items()}

    def departed(mean, floor, observed, own, columns, of_term, needed, free):
        seen = AtRuns(mean, floor, observed, observation, own, columns, of_term, needed, block.inputs)
        return term.departed(seen, free)

    floor = pt.as_tensor_variable(floor)
    arguments = (mean, floor, data[OBSERVED], own, columns, of_term, needed, free)
    mean, own, density, published = wrap_jax(departed)(*arguments)
    pm.Potential(f"{term.word.replace(' ', '_')}_prior", density)
    for name, value in published.items():
        further = term.published[name]
        shape = ((structure.n_groups,) if structure.group else ()) + tuple(sizes[dim] for dim in further)
        pm.Deterministic(name, pt.reshape(value, shape), dims=(*dims, *further))
    return mean, own


def _of_inputs(block: Block):
    """The variance that errors of inputs bring, called by position: inputs, parameters, errors."""
    width, end = len(block.inputs), len(block.inputs) + len(block.parameters)

    def variance(*arguments):
        theta = dict(zip(block.parameters, arguments[width:end], strict=True))
        errors = dict(zip(block.uncertain, arguments[end:], strict=True))
        return block.with_errors(arguments[:width], theta, errors)[1]

    return variance


def _with_positions(block: Block):
    """The law, called by position: first its inputs, then its parameters."""
    width = len(block.inputs)

    def law(*arguments):
        return block.law(*arguments[:width], **dict(zip(block.parameters, arguments[width:], strict=True)))

    law.__name__ = getattr(block.law, "__name__", "law")
    return law


def _parameter(parameter: Parameter, data: Mapping, values: Mapping, structure: Structure):
    name, link, group = parameter.free, parameter.link, structure.group
    prior, bound = data[f"{parameter.name}_prior"], data.get(f"{parameter.name}_bound")
    if parameter.pooling == "pooled":
        population = _free(parameter.base, link, prior, bound, None)
        deviation: Any = 0
        for i, (factor, spread_name, offset_name) in enumerate(parameter.deviations):
            spread = pm.HalfNormal(spread_name, prior[2 + i])
            offset = pm.Normal(offset_name, 0, 1, dims=factor)
            deviation += spread * (offset if factor == group else offset[data[f"{factor}_of_group"]])
        for slope in parameter.slopes:
            deviation += values[slope] * data[covariate(slope)]
        value = pm.Deterministic(name, deviate(link, population, deviation, pt), dims=group)
    else:
        value = _free(name, link, prior, bound, group if parameter.pooling == "separate" else None)
    if parameter.free == parameter.name:
        return value
    published, at_reference = publish(parameter, value, data, values, pt)
    dims = group if published.ndim else None
    if parameter.at_reference not in (parameter.free, parameter.name):
        pm.Deterministic(parameter.at_reference, at_reference, dims=group if at_reference.ndim else None)
    return pm.Deterministic(parameter.name, published, dims=dims)


def _free(name: str, link: str, prior, bound, dims):
    match link:
        case "identity":
            return pm.Normal(name, prior[0], prior[1], dims=dims)
        case "log":
            return pm.LogNormal(name, prior[0], prior[1], dims=dims)
        case "gamma":
            return pm.Deterministic(name, bound + pm.Gamma(f"{name}_above", prior[0], prior[1]))
    logit = pm.Normal(f"{name}_logit", prior[0], prior[1], dims=dims)
    return pm.Deterministic(name, unlink("floor", logit, bound, pt), dims=dims)
