"""The parameters of a model from its free variables, and the log prior of these, in NumPy or in JAX.

A free variable has no bounds. Its array has the shape (..., 1), or (..., level) if it has a value for each level of a
factor.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.special import gammaln

from scalebayes.discrepancy import sampled_of
from scalebayes.model.structure import Parameter, Structure, build_order, covariate, publish, unlink

PRIOR = "log_prior_terms"


def free_variables(structure: Structure, numbers: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The free variables of a structure in their order, each at the centre of its prior, shape (level,) or (1,)."""
    found: dict[str, np.ndarray] = {}
    for p in structure.parameters:
        prior = numbers[f"{p.name}_prior"]
        centre = np.log(prior[0] / prior[1]) if p.link == "gamma" else prior[0]
        found[p.variable] = np.full(structure.n_groups if p.pooling == "separate" else 1, centre)
        for (factor, spread, offset), scale in zip(p.deviations, prior[2:], strict=False):
            found[spread] = np.log(np.full(1, 0.67 * scale))  # the median of a half-normal
            found[offset] = np.zeros(structure.levels(factor))
    for block in structure.blocks:
        for term in sampled_of(block.terms):
            found |= term.variables(numbers)
    return found


def prior_terms(structure: Structure, numbers: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    r"""The log prior density of every free variable u, as the coefficients of one formula, shape (6, level).

    .. math:: \log p(u) = c + l u - q (u - m)^2 - e \exp(k u)

    The rows are c, l, q, m, e and k. The formula holds for the normal prior of a log, a log-odds or a standard offset,
    for the log of a half-normal spread, and for the log of a gamma variable. Of a term's own variables the coefficients
    are zero: the term adds their density to the likelihood.
    """
    columns: dict[str, tuple[float, ...]] = {}
    half_log_2pi = np.log(2 * np.pi) / 2
    standard = (-half_log_2pi, 0.0, 0.5, 0.0, 0.0, 0.0)
    for p in structure.parameters:
        first, second, *spreads = numbers[f"{p.name}_prior"]
        if p.link == "gamma":
            constant = first * np.log(second) - gammaln(first)
            columns[p.variable] = (constant, first, 0.0, 0.0, second, 1.0)
        else:
            columns[p.variable] = (-half_log_2pi - np.log(second), 0.0, 0.5 / second**2, first, 0.0, 0.0)
        for (_, spread, offset), scale in zip(p.deviations, spreads, strict=False):
            constant = np.log(2 / np.pi) / 2 - np.log(scale)
            columns[spread] = (constant, 1.0, 0.0, 0.0, 0.5 / scale**2, 2.0)
            columns[offset] = standard
    variables = free_variables(structure, numbers)
    return {name: np.tile(columns.get(name, (0.0,) * 6), (v.size, 1)).T for name, v in variables.items()}


def log_prior(position: Any, terms: Any, xp: Any) -> Any:
    """The log prior of positions, shape (..., variable), by the coefficients of `prior_terms`."""
    c, linear, quadratic, m, exponential, k = terms
    each = c + linear * position - quadratic * (position - m) ** 2 - exponential * xp.exp(k * position)
    return each.sum(-1)


def values(structure: Structure, free: Mapping[str, Any], numbers: Mapping[str, Any], xp: Any) -> dict[str, Any]:
    """Every kept quantity of the parameters on its natural scale, shape (..., 1) or (..., group).

    Parameters
    ----------
    structure : Structure
    free : mapping of str to array
        The free variables.
    numbers : mapping of str to array
        Data and prior constants.
    xp : module
        numpy or jax.numpy.
    """
    found: dict[str, Any] = {}
    published: dict[str, Any] = {}
    exponentials = _exponentials(structure, free, xp)
    centres = {p.name: _centre(p, free, exponentials, numbers) for p in structure.parameters}
    pooled = _pooled(structure, centres, free, exponentials, numbers, xp)
    for p in build_order(structure.parameters):
        value = centres[p.name]
        if p.pooling == "pooled":
            found[p.base] = value
            found |= {spread: exponentials[spread] for _, spread, _ in p.deviations}
            value = pooled[p.name]
        found[p.free] = value
        if p.free != p.name:
            published[p.name], found[p.at_reference] = publish(p, value, numbers, published, xp)
        else:
            published[p.name] = value
        found[p.name] = published[p.name]
    return found


# All exponentials of one kind are taken together: in a compiled program each would be a kernel of its own.
def _exponentials(structure: Structure, free: Mapping[str, Any], xp: Any) -> dict[str, Any]:
    """The exponential of every variable that needs one; of minus the variable where it is a log-odds."""
    needed = {p.variable: -free[p.variable] for p in structure.parameters if p.link == "floor"}
    needed |= {p.variable: free[p.variable] for p in structure.parameters if p.link in ("log", "gamma")}
    needed |= {spread: free[spread] for p in structure.parameters for _, spread, _ in p.deviations}
    return _each(xp.exp, needed, xp)


def _centre(p: Parameter, free, exponentials, numbers: Mapping[str, Any]) -> Any:
    """A parameter before it is pooled and anchored."""
    value = free[p.variable] if p.link == "identity" else exponentials[p.variable]
    if p.link == "floor":
        return numbers[f"{p.name}_bound"] / (1 + value)
    return numbers[f"{p.name}_bound"] + value if p.link == "gamma" else value


def _pooled(structure: Structure, centres, free, exponentials, numbers, xp: Any) -> dict[str, Any]:
    """Every pooled parameter in each group; all are calculated together, as in `_exponentials`."""
    pooled = [p for p in structure.parameters if p.deviations]
    added: dict[str, Any] = dict.fromkeys((p.name for p in pooled), 0.0)
    for factor in dict.fromkeys(factor for p in pooled for factor, _, _ in p.deviations):
        names, spreads, offsets = zip(
            *((p.name, spread, offset) for p in pooled for own, spread, offset in p.deviations if own == factor),
            strict=True,
        )
        of_levels = xp.stack([free[offset] for offset in offsets], axis=-2)
        of_levels = xp.concatenate([exponentials[spread] for spread in spreads], axis=-1)[..., None] * of_levels
        if factor != structure.group:
            of_levels = of_levels[..., numbers[f"{factor}_of_group"]]
        for name, of_groups in zip(names, xp.unstack(of_levels, axis=-2), strict=True):
            added[name] = added[name] + of_groups
    for p in pooled:
        for slope in p.slopes:
            added[p.name] = added[p.name] + free[slope] * numbers[covariate(slope)]
    found = {p.name: centres[p.name] + added[p.name] for p in pooled if p.link == "identity"}
    positive = [p.name for p in pooled if p.link != "identity"]
    if positive:
        centre = xp.concatenate([centres[name] for name in positive], axis=-1)[..., None]
        of_groups = centre * xp.exp(xp.stack([added[name] for name in positive], axis=-2))
        found |= dict(zip(positive, xp.unstack(of_groups, axis=-2), strict=True))
    return found


def _each(function: Any, arrays: Mapping[str, Any], xp: Any) -> dict[str, Any]:
    """A function of several arrays, applied to all of them at once."""
    if not arrays:
        return {}
    ends = np.cumsum([array.shape[-1] for array in arrays.values()])
    together = function(xp.concatenate(list(arrays.values()), axis=-1))
    return dict(zip(arrays, xp.split(together, ends[:-1], axis=-1), strict=True))


def squeezed(structure: Structure, found: Mapping[str, Any], numbers: Mapping[str, Any]) -> dict[str, Any]:
    """The same quantities, those without a value per group without the last axis."""
    per_group = _per_group(structure, numbers)
    return {name: value if name in per_group else value[..., 0] for name, value in found.items()}


def _per_group(structure: Structure, numbers: Mapping[str, Any]) -> set[str]:
    found: set[str] = set()
    for p in build_order(structure.parameters):
        if p.pooling != "shared":
            found.add(p.free)
        stated = any(np.ndim(numbers.get(f"{p.name}_{of}", 0)) for of in ("typical", "level", "reference", "middle"))
        if p.free in found or stated or found & set(p.needs):
            found |= {p.name, p.at_reference} if p.free != p.name else {p.name}
    return found


def level_of(p: Parameter, u: Any, numbers: Mapping[str, Any], xp: Any) -> Any:
    """The quantity to which the deviations of groups are added: the value itself, or its log where it is positive.

    >>> import numpy as np
    >>> level_of(Parameter("E", "law", "log", "pooled"), np.array(0.3), {"E_prior": np.zeros(3)}, np)
    array(0.3)
    """
    if p.link in ("identity", "log"):
        return u
    return xp.log(unlink(p.link, u, numbers[f"{p.name}_bound"], xp))
