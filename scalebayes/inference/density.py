"""The density of a PyMC model as a JAX function of position and data.

It is taken from the model's own log-probability graph. The graph's shared variables (data, prior constants) become
arguments, so that one compilation serves every table of the same shape.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import pymc as pm
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.graph.traversal import ancestors

from scalebayes.inference.data import REAL, Data
from scalebayes.inference.powers import cheap_powers
from scalebayes.numerics.graphs import to_jax


@dataclass(frozen=True, eq=False)
class Density:
    """A posterior density and related functions, all of an unconstrained position and the data.

    Parameters
    ----------
    size : int
        Length of a position.
    slices : mapping of str to slice
        The part of a position that belongs to each free variable, by its name before transformation.
    data : tuple of str
        Names of the data that the functions need; `REAL` may be added to them.
    logp : Callable
        (position, data) to the log posterior density up to a constant, Jacobians included.
    expand : Callable
        (position, data) to a dict of all variables, each on its natural scale.
    pointwise : Callable
        (position, data) to the log likelihood of each run, zero for a run that is not real.
    """

    size: int
    slices: Mapping[str, slice]
    data: tuple[str, ...]
    logp: Callable[[jax.Array, Data], jax.Array]
    expand: Callable[[jax.Array, Data], dict[str, jax.Array]]
    pointwise: Callable[[jax.Array, Data], jax.Array]

    def position(self, values: Data) -> jax.Array:
        """The position with these unconstrained values, by the names of the free variables."""
        position = jnp.empty(self.size)
        for name, part in self.slices.items():
            position = position.at[part].set(values[name])
        return position


def from_pymc(model: pm.Model, helpers: Collection[str] = (), positive: Collection[str] = ()) -> Density:
    """The density of a PyMC model with one observed variable.

    Parameters
    ----------
    model : pymc.Model
    helpers : collection of str
        Free variables that are not kept, since the variables of interest derive from them.
    positive : collection of str
        Names of data known to be positive, whose powers are then cheap.

    Returns
    -------
    Density
        Its functions must be called with 64-bit JAX enabled.
    """
    initial = model.initial_point()
    variables = model.value_vars
    shapes = [np.shape(initial[v.name]) for v in variables]
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes])
    transformed = [v for v in variables if model.values_to_rvs[v].name != v.name]
    natural = [v for v in model.unobserved_value_vars if v not in transformed and v.name not in helpers]
    names = tuple(v.name for v in natural)
    observed = model.observed_RVs[0]

    prior, of_prior = _to_jax(model, [model.logp(vars=model.free_RVs)])
    expand, of_expand = _to_jax(model, natural)
    # Together with the potentials, so that what both need is computed and differentiated once.
    pointwise, of_pointwise = _to_jax(model, model.logp(vars=[observed, *model.potentials], sum=False))

    def split(position):
        parts = jnp.split(position, ends[:-1])
        return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]

    def arguments(position, data, needed):
        return [*split(position), *(data[name] for name in needed)]

    def signs(position, data):
        return False, {name: name in positive for name in data}

    def replayed(function, needed):
        called = cheap_powers(lambda position, data: function(*arguments(position, data, needed)), signs)
        return lambda position, data: called(position, {name: data[name] for name in needed})

    log_prior, log_each = replayed(prior, of_prior), replayed(pointwise, of_pointwise)
    natural_values = replayed(expand, of_expand)

    def likelihood(position, data):
        each, *others = log_each(position, data)
        return jnp.where(data[REAL], each, 0.0) if REAL in data else each, others

    def logp(position, data):
        log_density, (each, others) = log_prior(position, data)[0], likelihood(position, data)
        return log_density + sum((other.sum() for other in others), each.sum())

    return Density(
        size=int(ends[-1]),
        slices={
            model.values_to_rvs[v].name: slice(int(end) - int(np.prod(shape)), int(end))
            for v, shape, end in zip(variables, shapes, ends, strict=True)
        },
        data=tuple(dict.fromkeys(of_prior + of_expand + of_pointwise)),
        # Traced once, for all programs.
        logp=jax.jit(logp),
        expand=jax.jit(lambda position, data: dict(zip(names, natural_values(position, data), strict=True))),
        pointwise=jax.jit(lambda position, data: likelihood(position, data)[0]),
    )


def _to_jax(model: pm.Model, outputs: Sequence) -> tuple[Callable, tuple[str, ...]]:
    # Shared variables that are not data are lengths of dimensions, which are part of the shape.
    data = [v for v in ancestors(outputs) if isinstance(v, SharedVariable) and v in model.data_vars]
    return to_jax([*model.value_vars, *data], outputs), tuple(str(v.name) for v in data)
