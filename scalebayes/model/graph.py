"""A structure and its numbers as an ordinary `pymc.Model`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from pytensor import wrap_jax

from scalebayes import laws
from scalebayes.discrepancy.discrepancy import PARAMETERS, STILL
from scalebayes.discrepancy.drift import loglik
from scalebayes.discrepancy.surface import Surroundings, departures
from scalebayes.model.structure import Parameter, Structure, build_order, deviate, publish, scales, unlink
from scalebayes.numerics.precision import double_precision


def build(structure: Structure, numbers: Mapping[str, np.ndarray], coords: Mapping[str, Any]) -> pm.Model:
    """The graph: named dims, data and prior constants as `pm.Data`, the law through `wrap_jax`.

    Parameters
    ----------
    structure : Structure
    numbers : mapping of str to array
        From `scalebayes.model.structure.describe`.
    coords : mapping of str to sequence
        Labels of ``run`` and of the group dimension.

    Returns
    -------
    pymc.Model
    """
    with double_precision(), pm.Model(coords=dict(coords)) as model:
        data = {name: _data(name, value, structure) for name, value in numbers.items()}
        values: dict[str, pt.TensorVariable] = {}
        for parameter in build_order(structure.parameters):
            values[parameter.name] = _parameter(parameter, data, values, structure)
        at_runs = {
            name: value[data[f"{structure.group}_index"]] if value.ndim else value for name, value in values.items()
        }
        names = structure.of_law
        width = len(structure.inputs)

        def law(*arguments):
            return structure.law(*arguments[:width], **dict(zip(names, arguments[width:], strict=True)))

        law.__name__ = getattr(structure.law, "__name__", "law")
        expected = wrap_jax(law)(*(data[name] for name in structure.inputs), *(at_runs[name] for name in names))
        sigma, nu = at_runs["sigma"], None
        if structure.student_t:
            shape, rate = data["nu_prior"][0], data["nu_prior"][1]
            nu = pm.Deterministic("nu", 2 + pm.Gamma("nu_above_2", shape, rate))
        observed = data[f"{structure.observed}_data"]
        # What is above the floor departs; all of the response, for a law without one.
        floor = laws.floor(structure.law, at_runs)
        above = 1 - floor / expected
        if structure.places:
            own = STILL | at_runs
            along = [pt.broadcast_to(own[name], expected.shape) for name in ("sigma", *PARAMETERS)]
            places = (data["curve_slots"], data["curve_distance"])

            def logp(value, log_f, above, *along):
                return wrap_jax(loglik)(value, log_f, above, *along, *places)

            pm.CustomDist(structure.observed, pt.log(expected), above, *along, logp=logp, observed=observed, dims="run")
            return model
        if structure.surface:
            # To first order about the response, not about the law: the noise is much smaller than g.
            of_run = pt.maximum(1 - floor / pt.exp(observed), 0.02)
            error = of_run * (observed + pt.log(of_run) - pt.log(expected * above))
            g, left_out = _surface(structure, data, values, error, of_run, sigma, nu)
            expected = expected * (1 - above + above * pt.exp(g))
            sigma = pt.sqrt(sigma**2 + above**2 * left_out)
        noise = {"mu": pt.log(expected), "sigma": sigma, "observed": observed, "dims": "run"}
        pm.Normal(structure.observed, **noise) if nu is None else pm.StudentT(structure.observed, nu=nu, **noise)
    return model


def _surface(structure: Structure, data: Mapping, values: Mapping, error, above, sigma, nu):
    """g at the runs and the variance that its places leave out; declares the surface and its prior."""
    groups = max(structure.n_groups, 1)
    grouped = (structure.group,) if structure.group else ()
    shape = (structure.n_groups, structure.surface) if grouped else (structure.surface,)
    xi = pm.Flat("surface_coordinates", shape=shape)
    of_noise = pt.ones(()) if nu is None else (nu + 1) / (nu + 3)
    near = Surroundings(**{name: data[f"surface_{name}"] for name in Surroundings._fields})
    of_groups = {name: pt.broadcast_to(values[name], (groups,)) for name in structure.of_discrepancy}
    g, left_out, log_density, at_places = wrap_jax(departures)(
        pt.reshape(xi, (groups, structure.surface)), error, above, pt.broadcast_to(sigma, error.shape), of_noise,
        scales(structure, of_groups), near,
    )  # fmt: skip
    pm.Potential("surface_prior", log_density)
    pm.Deterministic("surface", pt.reshape(at_places, shape), dims=(*grouped, "place"))
    return g, left_out


def _data(name: str, value: np.ndarray, structure: Structure):
    # A static shape, because wrap_jax traces the law when the graph is built.
    shape = np.shape(value)
    apart = ("_prior", "_bound", "_level", "_reference", "_typical", "_of_group")
    dims = "run" if shape == (structure.n_runs,) and not name.endswith(apart) else None
    return pm.Data(name, value, dims=dims, shape=shape)


def _parameter(parameter: Parameter, data: Mapping, values: Mapping, structure: Structure):
    name, link, group = parameter.free, parameter.link, structure.group
    place, scale = data[f"{parameter.name}_prior"][0], data[f"{parameter.name}_prior"][1]
    bound = data.get(f"{parameter.name}_bound")
    if parameter.pooling == "pooled":
        population = _free(parameter.base, link, place, scale, bound, None)
        deviation: Any = 0
        for i, (factor, spread_name, offset_name) in enumerate(parameter.deviations):
            spread = pm.HalfNormal(spread_name, data[f"{parameter.name}_prior"][2 + i])
            offset = pm.Normal(offset_name, 0, 1, dims=factor)
            deviation += spread * (offset if factor == group else offset[data[f"{factor}_of_group"]])
        value = pm.Deterministic(name, deviate(link, population, deviation, pt), dims=group)
    else:
        value = _free(name, link, place, scale, bound, group if parameter.pooling == "separate" else None)
    if parameter.free == parameter.name:
        return value
    published, at_reference = publish(parameter, value, data, values, pt)
    dims = group if published.ndim else None
    if parameter.at_reference not in (parameter.free, parameter.name):
        pm.Deterministic(parameter.at_reference, at_reference, dims=group if at_reference.ndim else None)
    return pm.Deterministic(parameter.name, published, dims=dims)


def _free(name: str, link: str, place, scale, bound, dims):
    if link == "identity":
        return pm.Normal(name, place, scale, dims=dims)
    if link == "log":
        return pm.LogNormal(name, place, scale, dims=dims)
    logit = pm.Normal(f"{name}_logit", place, scale, dims=dims)
    return pm.Deterministic(name, unlink("floor", logit, bound, pt), dims=dims)
