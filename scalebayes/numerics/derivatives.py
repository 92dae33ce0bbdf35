"""Functions in JAX with derivatives written out, since those that JAX derives take longer to run and to compile."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np


@jax.custom_jvp
def roots(matrix: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The lower Cholesky factor of a positive definite matrix, and its inverse.

    Examples
    --------
    >>> [x.tolist() for x in roots(jnp.asarray([[4.0, 0.0], [0.0, 0.25]]))]
    [[[2.0, 0.0], [0.0, 0.5]], [[0.5, 0.0], [0.0, 2.0]]]
    """
    factor = jnp.linalg.cholesky(matrix)
    return factor, jax.lax.linalg.triangular_solve(factor, jnp.eye(len(matrix)), left_side=True, lower=True)


@roots.defjvp
def _roots_jvp(primals, tangents):
    # With C C' = P: dC = C phi(C^-1 dP C^-T), where phi keeps the lower triangle and half of the diagonal.
    factor, inverse = roots(*primals)
    k = len(factor)
    half = (np.tril(np.ones((k, k))) - np.eye(k) / 2) * (inverse @ tangents[0] @ inverse.T)
    return (factor, inverse), (factor @ half, -half @ inverse)


@jax.custom_vjp
def weighed_square(a: jax.Array, weights: jax.Array) -> jax.Array:
    """``a @ diag(weights) @ a.T``.

    Examples
    --------
    >>> weighed_square(jnp.asarray([[1.0, 2.0]]), jnp.asarray([3.0, 0.5])).tolist()
    [[5.0]]
    """
    return (a * weights) @ a.T


def _weighed_square_forward(a, weights):
    return weighed_square(a, weights), (a, weights)


def _weighed_square_backward(kept, slope):
    a, weights = kept
    turned = (slope + slope.T) @ a
    return turned * weights, (a * turned).sum(0) / 2


weighed_square.defvjp(_weighed_square_forward, _weighed_square_backward)


@jax.custom_vjp
def moved(x: jax.Array, to: jax.Array, back: jax.Array) -> jax.Array:
    """The elements along the last axis in the order, and of the shape, of ``to``; 0 where that has none.

    Parameters
    ----------
    x : array, shape (..., from)
    to : array of int
        For each new index the old one, -1 for none. No old index occurs twice.
    back : array of int, shape (from,)
        For each old index the new one, in a flat order, -1 for none: so that the derivative also only looks up.

    Examples
    --------
    >>> moved(jnp.asarray([5.0, 7.0]), jnp.asarray([[1, -1, 0]]), jnp.asarray([2, 0])).tolist()
    [[7.0, 0.0, 5.0]]
    """
    return jnp.where(to >= 0, x[..., jnp.maximum(to, 0)], 0.0)


def _moved_forward(x, to, back):
    return moved(x, to, back), (to, back)


def _moved_backward(kept, slope):
    to, back = kept
    flat = slope.reshape(*slope.shape[: slope.ndim - to.ndim], -1)
    return jnp.where(back >= 0, flat[..., jnp.maximum(back, 0)], 0.0), None, None


moved.defvjp(_moved_forward, _moved_backward)
