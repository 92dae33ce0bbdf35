"""Powers, log1p and log-gamma functions of positive numbers in a form that is cheaper to run and to compile.

A law is written in its published form, ``N**-alpha``. Where the base is known to be positive, the power is evaluated as
``exp(-alpha log N)``, in which the logarithm does not change between steps. Known to be positive are inputs of the law,
exponentials, and products, quotients, sums and powers of these. Any other power stays as it is. The log-gamma function
of a positive number is Stirling's series; the general one has ten times the kernels. log1p of a number that is not
negative, such as a square, is a plain logarithm, which differs by 1e-16 and takes a third of the time.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Literal

_ALL_POSITIVE = {"mul", "div", "add", "pow", "sqrt", "rsqrt", "integer_pow", "max", "concatenate"}
_SAME = {"broadcast_in_dim", "reshape", "convert_element_type", "squeeze", "expand_dims", "transpose", "copy"}
_SAME |= {"slice", "split", "gather", "dynamic_slice", "square", "abs", "sign"}
_UNKNOWN, _NOT_NEGATIVE, _POSITIVE = range(3)  # what is known of the sign of every element


def cheaper(function: Callable, positive: Callable) -> Callable:
    """The same function with powers, log1p and log-gamma functions of positive numbers in a cheaper form.

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
        known = [_POSITIVE if yes else _UNKNOWN for yes in jax.tree.leaves(positive(*arguments))]
        values, _ = _evaluate(closed.jaxpr, closed.consts, leaves, known)
        return jax.tree.unflatten(jax.tree.structure(shape), values)

    return call


def _evaluate(jaxpr, constants: list, arguments: list, known: list[int]) -> tuple[list, list[int]]:
    values = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*constants, *arguments], strict=True))
    signs = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*map(_constant, constants), *known], strict=True))

    def read(atom):
        return (atom.val, _constant(atom.val)) if isinstance(atom, Literal) else (values[atom], signs[atom])

    for equation in jaxpr.eqns:
        name = equation.primitive.name
        inputs, of_inputs = zip(*map(read, equation.invars), strict=True) if equation.invars else ((), ())
        if name == "pow" and of_inputs[0] == _POSITIVE:
            outputs, sign = [jnp.exp(inputs[1] * jnp.log(inputs[0]))], [_POSITIVE]
        elif name == "lgamma" and of_inputs[0] == _POSITIVE:
            outputs, sign = [log_gamma(inputs[0])], [_UNKNOWN]
        elif name == "log1p" and of_inputs[0] != _UNKNOWN:
            outputs, sign = [jnp.log(1 + inputs[0])], [of_inputs[0]]
        elif name in ("jit", "pjit"):
            inner = equation.params["jaxpr"]
            outputs, sign = _evaluate(inner.jaxpr, inner.consts, list(inputs), list(of_inputs))
        else:
            bound = equation.primitive.get_bind_params(equation.params)
            functions, parameters = bound if isinstance(bound, tuple) else ((), bound)  # before and since JAX 0.10
            found = equation.primitive.bind(*functions, *inputs, **parameters)
            outputs = list(found) if equation.primitive.multiple_results else [found]
            sign = [_sign(equation, of_inputs)] * len(outputs)
        values.update(zip(equation.outvars, outputs, strict=True))
        signs.update(zip(equation.outvars, sign, strict=True))
    results, of_results = zip(*map(read, jaxpr.outvars), strict=True)
    return list(results), list(of_results)


def _sign(equation, known: tuple[int, ...]) -> int:
    """What is known of the sign of an operation's result, given what is known of its operands'."""
    name = equation.primitive.name
    if name in ("exp", "logistic"):
        return _POSITIVE
    found = min(known) if name in _ALL_POSITIVE else known[0] if name in _SAME else _UNKNOWN
    square = name in ("abs", "square") or (name == "integer_pow" and equation.params["y"] % 2 == 0)
    return max(found, _NOT_NEGATIVE) if square else found


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


def _constant(value) -> int:
    return _POSITIVE if not isinstance(value, jax.core.Tracer) and np.all(np.asarray(value) > 0) else _UNKNOWN
