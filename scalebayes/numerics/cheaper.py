"""Powers and log-gamma functions of positive numbers in a form that is cheaper to run and to compile.

A law is written in its published form, ``N**-alpha``. Where the base is known to be positive, the power is evaluated as
``exp(-alpha log N)``, in which the logarithm does not change between steps. Known to be positive are inputs of the law,
exponentials, and products, quotients, sums and powers of these. Any other power stays as it is. The log-gamma function
of a positive number is Stirling's series; the general one has ten times the kernels.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Literal

_ALL_POSITIVE = {"mul", "div", "add", "pow", "sqrt", "rsqrt", "integer_pow", "max", "concatenate"}
_SAME = {"broadcast_in_dim", "reshape", "convert_element_type", "squeeze", "expand_dims", "transpose", "copy"}
_SAME |= {"slice", "split", "gather", "dynamic_slice"}


def cheaper(function: Callable, positive: Callable) -> Callable:
    """The same function with powers and log-gamma functions of positive numbers in a cheaper form.

    Parameters
    ----------
    function : Callable
        Its arguments are trees of arrays.
    positive : Callable
        From the arguments to the same trees of bool, True where an array is positive.

    Returns
    -------
    Callable
    """

    traced: dict = {}

    def call(*arguments):
        leaves, tree = jax.tree.flatten(arguments)
        # Traced once for each shape and then replayed, which is faster than running the Python code again.
        key = (tree, tuple((jnp.shape(x), jnp.result_type(x)) for x in leaves))
        if key not in traced:
            plain = [jax.ShapeDtypeStruct(jnp.shape(x), jnp.result_type(x)) for x in leaves]
            traced[key] = jax.make_jaxpr(function, return_shape=True)(*jax.tree.unflatten(tree, plain))
        closed, shape = traced[key]
        values, _ = _evaluate(closed.jaxpr, closed.consts, leaves, jax.tree.leaves(positive(*arguments)))
        return jax.tree.unflatten(jax.tree.structure(shape), values)

    return call


def _evaluate(jaxpr, constants: list, arguments: list, known: list[bool]) -> tuple[list, list[bool]]:
    values = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*constants, *arguments], strict=True))
    signs = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*map(_constant, constants), *known], strict=True))

    def read(atom):
        return (atom.val, _constant(atom.val)) if isinstance(atom, Literal) else (values[atom], signs.get(atom, False))

    for equation in jaxpr.eqns:
        name = equation.primitive.name
        inputs, positive = zip(*map(read, equation.invars), strict=True) if equation.invars else ((), ())
        if name == "pow" and positive[0]:
            outputs, sign = [jnp.exp(inputs[1] * jnp.log(inputs[0]))], [True]
        elif name == "lgamma" and positive[0]:
            outputs, sign = [log_gamma(inputs[0])], [False]
        elif name in ("jit", "pjit"):
            inner = equation.params["jaxpr"]
            outputs, sign = _evaluate(inner.jaxpr, inner.consts, list(inputs), list(positive))
        else:
            bound = equation.primitive.get_bind_params(equation.params)
            functions, parameters = bound if isinstance(bound, tuple) else ((), bound)  # before and since JAX 0.10
            found = equation.primitive.bind(*functions, *inputs, **parameters)
            outputs = list(found) if equation.primitive.multiple_results else [found]
            sure = name in ("exp", "logistic") or (name in _ALL_POSITIVE and all(positive))
            sure = sure or (name in _SAME and positive[0])
            sign = [sure] * len(outputs)
        values.update(zip(equation.outvars, outputs, strict=True))
        signs.update(zip(equation.outvars, sign, strict=True))
    results, positive = zip(*map(read, jaxpr.outvars), strict=True)
    return list(results), list(positive)


_STIRLING = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360)
_SHIFT = 8  # the series is evaluated at x + 8, where the first term left out is about 1e-14


@jax.custom_jvp
def log_gamma(x):
    """The logarithm of the gamma function of a positive number, to about 1e-14.

    Examples
    --------
    >>> round(float(log_gamma(5.0)), 5)
    3.17805
    """
    y = x + _SHIFT
    r = 1 / y
    series = sum(c * r ** (2 * i + 1) for i, c in enumerate(_STIRLING))
    return (y - 0.5) * jnp.log(y) - y + 0.5 * np.log(2 * np.pi) + series - jnp.log(_product(x))


@log_gamma.defjvp
def _log_gamma_jvp(primals, tangents):
    (x,), (change,) = primals, tangents
    r = 1 / (x + _SHIFT)
    series = sum((2 * i + 1) * c * r ** (2 * i + 2) for i, c in enumerate(_STIRLING))
    below = sum(1 / (x + i) for i in range(_SHIFT))
    return log_gamma(x), (jnp.log(x + _SHIFT) - 0.5 * r - series - below) * change


def _product(x):
    found = x
    for i in range(1, _SHIFT):
        found = found * (x + i)
    return found


def _constant(value) -> bool:
    return not isinstance(value, jax.core.Tracer) and bool(np.all(np.asarray(value) > 0))
