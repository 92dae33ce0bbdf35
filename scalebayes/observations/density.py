"""The log density of an observation at given responses, derived from the observation's own distribution."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from scalebayes.numerics.precision import double_precision
from scalebayes.observations.contract import Observation
from scalebayes.priors import without_numbers


def log_density(
    observation: Observation, response: np.ndarray, mean: np.ndarray, values: Mapping, columns: Mapping
) -> np.ndarray:
    """Log density of responses about means (of counts: log probability), elementwise over arrays that broadcast.

    Parameters
    ----------
    observation : Observation
    response, mean : array
        On the natural scale.
    values, columns : mapping of str to array
        The observation's parameters, and its columns by their roles.

    Returns
    -------
    array
    """
    observed = observation.observed(np.asarray(response, float), columns)
    names, roles = tuple(sorted(observation.priors())), tuple(sorted(observation.columns))
    arrays = np.broadcast_arrays(
        observed, mean, *(np.asarray(values[name]) for name in names), *(np.asarray(columns[role]) for role in roles)
    )
    with double_precision():
        arguments = [np.asarray(a, float).ravel() for a in arrays]
        found = _compiled(without_numbers(observation), names, roles)(*arguments)
    return np.asarray(found).reshape(arrays[0].shape)


def traced(observation: Any) -> Callable:
    """A JAX function (observed, mean, values, columns) to the log density at every run, for use inside a program.

    Arrays have one axis, and broadcast. The observation's priors may be without numbers.
    """
    names, roles = tuple(sorted(observation.priors())), tuple(sorted(observation.columns))

    def log_density_at(observed, mean, values: Mapping, columns: Mapping):
        arrays = [observed, mean, *(values[name] for name in names), *(columns[role] for role in roles)]
        return _graph(observation, names, roles, tuple(len(array) == 1 for array in arrays))(*arrays)

    return log_density_at


@lru_cache(maxsize=16)
def _compiled(observation: Any, names: tuple[str, ...], roles: tuple[str, ...]) -> Callable:
    import jax

    return jax.jit(_graph(observation, names, roles, (False,) * (2 + len(names) + len(roles))))


def _graph(observation: Any, names: tuple[str, ...], roles: tuple[str, ...], single: tuple[bool, ...]) -> Callable:
    """The graph of the log density in JAX; ``single`` says which of its arrays have one element for all runs."""
    import pymc as pm
    import pytensor.tensor as pt

    from scalebayes.numerics.graphs import to_jax

    with double_precision():
        observed, mean, *rest = arguments = [
            pt.tensor(name, dtype="float64", shape=(1 if one else None,))
            for name, one in zip(("observed", "mean", *names, *roles), single, strict=True)
        ]
        values, columns = dict(zip(names, rest, strict=False)), dict(zip(roles, rest[len(names) :], strict=True))
        log_density = pm.logp(observation.distribution(mean, values, columns), observed)
        function = to_jax(arguments, [log_density])
    return lambda *arrays: function(*arrays)[0]
