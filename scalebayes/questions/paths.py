"""How the inputs of a law grow along one axis of scale: held, in a ratio, or compute-optimal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from numbers import Real

import jax
import jax.numpy as jnp
import numpy as np

from scalebayes import laws
from scalebayes.numerics.precision import double_precision
from scalebayes.questions.points import number

FLOPS_PER_TOKEN = 6.0  # and parameter: forward and backward (Kaplan et al. 2020)
_GRID, _HALVINGS = 48, 60
_WIDEST = 46.0  # of log N on either side of equal N and D: twenty decades


@dataclass(frozen=True)
class Path:
    """Inputs as a function of the scale.

    Parameters
    ----------
    said : str
        In words, after "along": "its own compute-optimal path", "D/N = 20", "D".
    inputs : Callable
        (scale, parameters) to a tuple of arrays, one for each input in the law's order. Scale and parameters broadcast.
    of_draw : bool
        Whether it depends on the parameters.
    """

    said: str
    inputs: Callable[[np.ndarray, Mapping[str, np.ndarray]], tuple[np.ndarray, ...]]
    of_draw: bool = False


def path_along(
    law: Callable, inputs: tuple[str, ...], axis: str, path: Mapping[str, float] | Callable | str | None
) -> Path:
    """The path that a caller means.

    Parameters
    ----------
    law : Callable
    inputs : tuple of str
        Names of the law's inputs, in its order.
    axis : str
        An input, or ``"C"`` for a law of N and D, FLOPs by C = 6 N D.
    path : mapping, Callable, "optimal" or None
        What is held (``{"D/N": 20}``, ``{"N": 1e9}``), or a function of the scale to a mapping of all inputs. None is the
        optimal path for C, and nothing held otherwise.

    Returns
    -------
    Path

    Raises
    ------
    ValueError
        If there is no such axis, or the path does not determine all inputs.
    """
    name = laws.signature(law).name
    if callable(path):
        return Path("the path given", _of_caller(path, inputs))
    splits = axis == "C" and set(inputs) == {"N", "D"}
    if path == "optimal" or (path is None and splits):
        if not splits:
            raise ValueError(
                f"a compute-optimal path is along C, for a law of N and D; {name} has {', '.join(inputs)} and the axis is {axis!r}."
            )

        def optimal(flops, theta):
            both = dict(zip(("N", "D"), optimum(law, inputs, flops, theta), strict=True))
            return tuple(both[key] for key in inputs)

        return Path("its own compute-optimal path", optimal, of_draw=True)
    if path is not None and not isinstance(path, Mapping):
        kind = ValueError if isinstance(path, str) else TypeError
        raise kind(f"a path is 'optimal', what is held, for example {{'D/N': 20}}, or a function, got {path!r}.")
    held = dict(path or {})
    for key, value in held.items():
        if not (isinstance(value, Real) and np.isfinite(value) and value > 0):
            raise ValueError(f"{key} must be a positive finite number, got {value!r}.")
    along = held_path(name, inputs, axis, held)
    said = ", ".join(f"{key} = {number(value)}" for key, value in held.items()) or axis
    return Path(said, lambda scale, theta: tuple(np.broadcast_arrays(*along(scale))))


def _of_caller(path: Callable, inputs: tuple[str, ...]) -> Callable:
    def at(scale, theta):
        found = path(scale)
        if not isinstance(found, Mapping) or set(found) != set(inputs):
            given = ", ".join(map(str, found)) if isinstance(found, Mapping) else type(found).__name__
            raise ValueError(f"a path takes a scale to a mapping of {', '.join(inputs)}; got {given}.")
        values = tuple(np.broadcast_to(np.asarray(found[name], float), np.shape(scale)) for name in inputs)
        for key, value in zip(inputs, values, strict=True):
            if not (np.isfinite(value) & (value > 0)).all():
                place = np.flatnonzero(~(np.isfinite(value) & (value > 0)).ravel())[0]
                where, got = (float(np.ravel(of)[place]) for of in (scale, value))
                raise ValueError(
                    f"a path gives positive finite inputs; at a scale of {number(where)} {key} is {got:g}."
                )
        return values

    return at


def held_path(law: str, inputs: tuple[str, ...], axis: str, held: Mapping[str, float]) -> Callable:
    """The law's inputs, in its order, as a function of the scale along the axis."""
    if axis in inputs:
        others = [name for name in inputs if name != axis]
        if set(others) != set(held):
            raise ValueError(
                f"to move along {axis}, {law} needs {', '.join(others) or 'no other input'} held; "
                f"got {', '.join(held) or 'nothing'}."
            )
        return lambda x: tuple(x if name == axis else held[name] for name in inputs)
    if axis == "C" and set(inputs) == {"N", "D"}:
        if len(held) != 1 or not set(held) <= {"N", "D", "D/N"}:
            raise ValueError(
                "C alone does not determine N and D: hold one of N, D or D/N (tokens per parameter), for example "
                f"{{'D/N': 20}}; got {', '.join(held) or 'nothing'}."
            )
        ((name, value),) = held.items()

        def split(flops):
            if name == "D/N":
                n = (flops / (FLOPS_PER_TOKEN * value)) ** 0.5
                both = {"N": n, "D": value * n}
            else:
                both = {name: value, "D" if name == "N" else "N": flops / (FLOPS_PER_TOKEN * value)}
            return tuple(both[key] for key in inputs)

        return split
    raise ValueError(
        f"{law} has no axis {axis!r}; it has {', '.join(inputs)}{' and C' if set(inputs) == {'N', 'D'} else ''}."
    )


def optimum(
    law: Callable, inputs: tuple[str, ...], flops: np.ndarray, theta: Mapping[str, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    r"""N and D of the lowest loss at a compute of C = 6 N D.

    For ``chinchilla`` in closed form, :math:`N^* = G (C/6)^{\beta/(\alpha+\beta)}` with
    :math:`G = (\alpha A / \beta B)^{1/(\alpha+\beta)}` (Hoffmann et al. 2022, arXiv:2203.15556, eq. 4); for any other law
    from the root of its derivative along the budget.

    Parameters
    ----------
    law : Callable
    inputs : tuple of str
        N and D, in its order.
    flops : array, shape (..., budget)
    theta : mapping of str to array
        Broadcasting against it.

    Returns
    -------
    N, D : array
    """
    if law is laws.chinchilla:
        A, B, alpha, beta = (np.asarray(theta[name]) for name in ("A", "B", "alpha", "beta"))
        # In logs: A and B may be as large as 1e300.
        log_g = (np.log(alpha) + np.log(A) - np.log(beta) - np.log(B)) / (alpha + beta)
        n = np.exp(log_g + beta / (alpha + beta) * np.log(np.asarray(flops) / FLOPS_PER_TOKEN))
        return n, flops / (FLOPS_PER_TOKEN * n)
    n = lowest(law, inputs, np.asarray(flops, float), theta)
    return n, flops / (FLOPS_PER_TOKEN * n)


def lowest(law: Callable, inputs: tuple[str, ...], flops: np.ndarray, theta: Mapping[str, np.ndarray]) -> np.ndarray:
    """N of the lowest loss by search: a grid of log N, then bisection of the derivative."""
    names = tuple(theta)
    arrays = np.broadcast_arrays(flops, *(np.asarray(theta[name], float) for name in names))
    with double_precision():
        found = _search(law, inputs, names)(*(array.ravel() for array in arrays))
    return np.asarray(found).reshape(arrays[0].shape)


@lru_cache(maxsize=32)
def _search(law: Callable, inputs: tuple[str, ...], names: tuple[str, ...]) -> Callable:
    def one(flops, *values):
        theta, middle = dict(zip(names, values, strict=True)), 0.5 * jnp.log(flops / FLOPS_PER_TOKEN)

        def loss(log_n):
            both = {"N": jnp.exp(log_n), "D": jnp.exp(2 * middle - log_n)}
            return law(*(both[name] for name in inputs), **theta)

        grid = middle + jnp.linspace(-_WIDEST, _WIDEST, _GRID)
        best = jnp.clip(jnp.argmin(jax.vmap(loss)(grid)), 1, _GRID - 2)
        rising = jax.grad(loss)

        def halve(_, ends):
            low, high = ends
            centre = (low + high) / 2
            up = rising(centre) > 0
            return jnp.where(up, low, centre), jnp.where(up, centre, high)

        low, high = jax.lax.fori_loop(0, _HALVINGS, halve, (grid[best - 1], grid[best + 1]))
        return jnp.exp((low + high) / 2)

    return jax.jit(jax.vmap(one))
