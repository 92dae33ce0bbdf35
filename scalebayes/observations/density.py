"""The log density of an observation at given responses, derived from the observation's own distribution."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from scalebayes.numerics.graphs import to_jax
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
        found = _compiled(without_numbers(observation), names, roles)(*(np.asarray(a, float).ravel() for a in arrays))
    return np.asarray(found[0]).reshape(arrays[0].shape)


@lru_cache(maxsize=16)
def _compiled(observation: Any, names: tuple[str, ...], roles: tuple[str, ...]) -> Callable:
    import jax
    import pymc as pm
    import pytensor.tensor as pt

    with double_precision():
        observed, mean, *rest = arguments = [
            pt.vector(name, dtype="float64") for name in ("observed", "mean", *names, *roles)
        ]
        values, columns = dict(zip(names, rest, strict=False)), dict(zip(roles, rest[len(names) :], strict=True))
        log_density = pm.logp(observation.distribution(mean, values, columns), observed)
        return jax.jit(to_jax(arguments, [log_density]))
