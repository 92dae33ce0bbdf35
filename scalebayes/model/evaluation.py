"""A law evaluated for many draws of its parameters, compiled once."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np

from scalebayes.model.structure import Block
from scalebayes.numerics.fingerprint import fingerprint
from scalebayes.numerics.padding import padded_size, repeat_last
from scalebayes.numerics.precision import double_precision

# What JAX says of an array with several elements where Python needs a number.
_AS_ONE_NUMBER = re.compile("truth value of an array|scalar arrays can be converted")


def expected(law: Callable, x: Sequence[np.ndarray], parameters: Mapping[str, np.ndarray]) -> np.ndarray:
    """The law at every point for every draw.

    Parameters
    ----------
    law : Callable
    x : sequence of array, shape (point,)
        The law's inputs, in its order.
    parameters : mapping of str to array, shape (sample,)

    Returns
    -------
    array, shape (sample, point)
    """
    points = len(x[0])
    size = padded_size(points)  # each size is compiled once
    with double_precision():
        theta = {name: np.asarray(value, float) for name, value in parameters.items()}
        padded = [repeat_last(np.asarray(values, float), size) for values in x]
        return np.asarray(_over_draws(law, _code(law))(padded, theta))[:, :points]


def variance_of_inputs(
    block: Block, x: Sequence[np.ndarray], parameters: Mapping[str, np.ndarray], errors: Mapping[str, np.ndarray]
) -> np.ndarray:
    """The variance on the observation's scale that errors of inputs bring, shape (sample, point)."""
    points = len(x[0])
    size = padded_size(points)
    with double_precision():
        theta = {name: np.asarray(value, float) for name, value in parameters.items()}
        padded = [repeat_last(np.asarray(values, float), size) for values in x]
        known = {name: repeat_last(np.asarray(value, float), size) for name, value in errors.items()}
        of_draw = jax.vmap(lambda one: block.with_errors(padded, one, known)[1])
        return np.asarray(jax.jit(of_draw)(theta))[:, :points]


def called(law: Callable, x: Sequence, theta: Mapping) -> jax.Array:
    """The law at abstract arrays.

    Raises
    ------
    ValueError
        If it is written with NumPy, `math` or a condition on an array, which cannot be differentiated.
    """
    name = getattr(law, "__name__", "the law")
    try:
        found = law(*x, **theta)
    except jax.errors.TracerArrayConversionError:
        raise ValueError(
            f"{name} uses NumPy where JAX is needed to differentiate it: write it with jax.numpy, which has the same "
            "functions (import jax.numpy as jnp; jnp.log10 for np.log10)."
        ) from None
    except (TypeError, ValueError) as error:
        if not isinstance(error, jax.errors.ConcretizationTypeError) and not _AS_ONE_NUMBER.search(str(error)):
            raise
        raise ValueError(
            f"{name} uses an array as one number, in math.log(x) or 'if x > 0': write it with jax.numpy, "
            "jnp.log(x) and jnp.where(x > 0, ..., ...), so that it holds for all runs at once."
        ) from None
    if found is None:
        raise ValueError(f"{name} returns nothing; it ends with 'return' and the expected response.")
    if jnp.ndim(found) == 0 and any(jnp.ndim(each) for each in x):
        raise ValueError(
            f"{name} returns one number for all runs, perhaps by jnp.sum; a law returns a response for each run."
        )
    return found


def elementwise(law: Callable) -> Callable:
    """A law, compiled, for arrays that broadcast; a vector has one axis more than the parameters."""
    return _elementwise(law, _code(law))


def _code(law: Callable) -> object:
    """What a law computes; of one that cannot be known, something that is never the same."""
    return fingerprint(law) or object()


@lru_cache(maxsize=32)
def _over_draws(law: Callable, code: object) -> Callable:
    return jax.jit(jax.vmap(lambda x, theta: called(law, x, theta), (None, 0)))


@lru_cache(maxsize=32)
def _elementwise(law: Callable, code: object) -> Callable:
    def of_every_element(x, theta):
        rank = max([value.ndim for value in theta.values()], default=0) or min(each.ndim for each in x)
        # A law need not depend on every array.
        found = jnp.asarray(called(law, x, theta))
        return jnp.broadcast_to(
            found,
            jnp.broadcast_shapes(found.shape, *(each.shape for each in (*x, *theta.values()) if each.ndim <= rank)),
        )

    return jax.jit(of_every_element)
