"""Paths: how a law's inputs grow along one axis of scale, held, in a ratio, or compute-optimal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from numbers import Real
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from scalebayes.arguments import check_positive, quoted
from scalebayes.laws import Law
from scalebayes.model import Model
from scalebayes.numerics.precision import double_precision
from scalebayes.numerics.roots import bisect
from scalebayes.questions.wording import number
from scalebayes.runs import Runs
from scalebayes.runs.cost import FLOPS_PER_TOKEN, cost_of_runs

_GRID, _HALVINGS = 48, 60
_WIDEST = 46.0  # range of log N on either side of equal N and D: twenty decades

type Held = Mapping[str, Any] | Callable | str | None


@dataclass(frozen=True)
class Path:
    """Inputs as a function of the scale.

    Parameters
    ----------
    said : str
        The path in words, to follow "along": "its own compute-optimal path", "D/N = 20", "D".
    inputs : Callable
        A function (scale, parameters) to a tuple of arrays, one per input in the law's order. Scale and parameters
        broadcast.
    of_draw : bool
        Whether the path depends on the parameters, and so differs between draws.
    """

    said: str
    inputs: Callable[[np.ndarray, Mapping[str, np.ndarray]], tuple[np.ndarray, ...]]
    of_draw: bool = False


def path_along(model: Model, axis: str, path: Held, level: str | None = None) -> Path:
    """The path that an axis and a caller's ``path`` describe.

    Parameters
    ----------
    model : Model
        The model; its law has the inputs, and its runs hold the constants of groups.
    axis : str
        A scale among the inputs, or ``"C"`` for a law of N and D, FLOPs by C = 6 N D.
    path : mapping, Callable, "optimal" or None
        The values to hold (``{"D/N": 20}``, ``{"N": 1e9}``), or a function of the scale to a mapping of all inputs. A
        vector is held at all its parts, a schedule by its name. None is the optimal path along C, and no held value
        along another axis; along C, values of all inputs besides N and D are held on the optimal path. Each group keeps
        its own value of an input that is constant in each group.
    level : str or None
        The group.

    Returns
    -------
    Path

    Raises
    ------
    ValueError
        If the axis does not exist, if the path does not determine all inputs, or if it holds a constant of the groups.
    """
    runs, name = model.runs, model.name
    constants = {key: runs.x(key)[runs.rows(level)][0] for key, each in runs.inputs.items() if each.kind == "constant"}
    moving = tuple(key for key in runs.inputs if key not in constants)

    def every(found: Mapping[str, np.ndarray]) -> tuple[np.ndarray, ...]:
        values = {key: np.asarray(value, float) for key, value in {**found, **constants}.items()}
        # Parts of a vector and segments of a schedule have axes of their own, after those of the scale.
        wide = {key: runs.x(key).ndim - 1 for key in runs.inputs}
        shape = np.broadcast_shapes(*(v.shape[: v.ndim - wide[key]] for key, v in values.items()))
        return tuple(
            np.broadcast_to(values[k], (*shape, *values[k].shape[values[k].ndim - n :])) for k, n in wide.items()
        )

    if callable(path):
        several = tuple(key for key in moving if runs.x(key).ndim > 1)
        given = _of_caller(path, moving, runs.scales, several)
        return Path("the path given", lambda scale, theta: every(given(scale)))
    further = set(moving) - {"N", "D"}
    splits = axis == "C" and {"N", "D"} <= set(moving)
    held = (
        {key: held_value(runs, key, value, constants) for key, value in path.items()}
        if isinstance(path, Mapping)
        else {}
    )
    if path == "optimal" or (splits and further == set(held) and (path is None or further)):
        if not splits or further != set(held):
            lacking = ", ".join(sorted(further - set(held)))
            raise ValueError(
                f"a compute-optimal path is along C, for a law of N and D; {name} has {', '.join(runs.inputs)} and the "
                f"axis is {axis!r}."
                + (f" Hold {lacking} as well: path={{{lacking.split(',')[0]!r}: value}}." if splits else "")
            )

        def optimal(flops, theta):
            n, d = optimum(model, flops, theta, constants | held)
            return every({"N": n, "D": d, **held})

        said = "".join(f" at {key} = {_said(path[key])}" for key in held) if isinstance(path, Mapping) else ""
        return Path(f"its own compute-optimal path{said}", optimal, of_draw=True)
    if path is not None and not isinstance(path, Mapping):
        kind = ValueError if isinstance(path, str) else TypeError
        raise kind(f"a path is 'optimal', what is held, for example {{'D/N': 20}}, or a function, got {quoted(path)}.")
    along = _held_path(name, moving, axis, held)
    said = ", ".join(f"{key} = {_said(value)}" for key, value in (path or {}).items()) or axis
    return Path(said, lambda scale, theta: every(along(scale)))


def held_value(runs: Runs, key: str, value: Any, constants: Mapping[str, Any]) -> Any:
    """A value that is held along a path, as the law takes it."""
    if key in constants:
        raise ValueError(
            f"{key} is a constant of each group, and each keeps its own along a path; leave it out of the path."
        )
    each = runs.inputs.get(key)
    if each is not None and each.schedules is not None:
        names, steps = ([value], None) if isinstance(value, str) else ([value[0]], np.asarray([value[1]], float))
        problem = each.schedules.problems(names, steps)[0]
        if problem:
            raise ValueError(f"a path holds {key} at a schedule, or a schedule and a step: {problem}.")
        return each.schedules.at(names, steps)[0]
    if each is not None and each.kind == "plain":
        held = np.asarray(value, float)
        if held.shape != np.shape(runs.x(key))[1:] or not np.isfinite(held).all():
            parts = f"{len(each.columns)} finite numbers" if each.is_vector else "a finite number"
            raise ValueError(f"{key} must be {parts}, got {quoted(value)}.")
        return held if each.is_vector else float(held)
    return check_positive(value, key)


def _said(value: Any) -> str:
    return number(float(value)) if isinstance(value, Real) else str(value)


def _of_caller(
    path: Callable, inputs: tuple[str, ...], positive: tuple[str, ...], several: tuple[str, ...]
) -> Callable:
    """A caller's path as a function of the scale; ``several`` are the inputs that are vectors or schedules."""

    def at(scale):
        found = path(scale)
        if not isinstance(found, Mapping) or set(found) != set(inputs):
            given = ", ".join(map(str, found)) if isinstance(found, Mapping) else type(found).__name__
            raise ValueError(f"a path takes a scale to a mapping of {', '.join(inputs)}; got {given}.")
        values = {name: np.asarray(found[name], float) for name in inputs}
        values |= {name: np.broadcast_to(values[name], np.shape(scale)) for name in inputs if name not in several}
        for key, value in values.items():
            if key in several:
                continue
            wrong = ~(np.isfinite(value) & ((value > 0) | (key not in positive)))
            if wrong.any():
                place = np.flatnonzero(wrong.ravel())[0]
                where, got = (float(np.ravel(of)[place]) for of in (scale, value))
                raise ValueError(
                    f"a path gives positive finite inputs; at a scale of {number(where)} {key} is {got:g}."
                )
        return values

    return at


def _held_path(law: str, inputs: tuple[str, ...], axis: str, held: Mapping[str, float]) -> Callable:
    """A function of the scale along the axis to the inputs that are not constant in each group."""
    if axis in inputs:
        others = [name for name in inputs if name != axis]
        if set(others) != set(held):
            raise ValueError(
                f"to move along {axis}, {law} needs {', '.join(others) or 'no other input'} held; "
                f"got {', '.join(held) or 'nothing'}."
            )
        return lambda x: {name: x if name == axis else held[name] for name in inputs}
    if axis == "C" and {"N", "D"} <= set(inputs):
        further = {name: held[name] for name in inputs if name in held and name not in ("N", "D")}
        missing = [name for name in inputs if name not in ("N", "D", *further)]
        split = {name: value for name, value in held.items() if name not in further}
        if missing or len(split) != 1 or not set(split) <= {"N", "D", "D/N"}:
            more = f" and {', '.join(missing)}" if missing else ""
            raise ValueError(
                f"C alone does not determine N and D: hold one of N, D or D/N (tokens per parameter){more}, for "
                f"example {{'D/N': 20}}; got {', '.join(held) or 'nothing'}."
            )
        ((name, value),) = split.items()

        def divided(flops):
            if name == "D/N":
                n = (flops / (FLOPS_PER_TOKEN * value)) ** 0.5
                return {"N": n, "D": value * n, **further}
            return {name: value, "D" if name == "N" else "N": flops / (FLOPS_PER_TOKEN * value), **further}

        return divided
    raise ValueError(
        f"{law} has no axis {axis!r}; it has {', '.join(inputs)}{' and C' if {'N', 'D'} <= set(inputs) else ''}."
    )


def largest_scale(runs: Runs, axis: str, level: str | None) -> float:
    """The largest observed value along an axis; along C the largest cost; see `observed_scales`."""
    return float(observed_scales(runs, axis, level).max())


def observed_scales(runs: Runs, axis: str, level: str | None) -> np.ndarray:
    """The observed values along an axis; along C the costs.

    Raises
    ------
    ValueError
        If the axis is neither a scale among the inputs nor C with a known cost.
    """
    rows = runs.rows(level)
    if axis in runs.scales:
        return runs.x(axis)[rows]
    cost = cost_of_runs(runs) if axis == "C" else None
    if cost is None:
        raise ValueError(
            f"how far the runs go along {axis!r} is not known; it is no positive scale among the inputs "
            f"({', '.join(runs.inputs)}), nor C for N and D."
        )
    return cost[rows]


def optimum(
    model: Model, flops: np.ndarray, theta: Mapping[str, np.ndarray], constants: Mapping[str, Any] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    r"""N and D of the best response at a compute of C = 6 N D.

    A law with a closed form gives it (`Law.optimum`). For any other law the optimum is the root of the derivative along
    the budget.

    Parameters
    ----------
    model : Model
    flops : array, shape (..., budget)
    theta : mapping of str to array
        Draws of the parameters, which broadcast against ``flops``.
    constants : mapping of str to float, optional
        Values of the other inputs.

    Returns
    -------
    N, D : array
    """
    if model.law.optimum is not None and model.runs.better == "lower":
        return model.law.optimum(flops, **{name: np.asarray(theta[name]) for name in model.parameters})
    n = lowest(model.law, np.asarray(flops, float), theta, model.runs.sign, constants or {})
    return n, flops / (FLOPS_PER_TOKEN * n)


def lowest(
    law: Law,
    flops: np.ndarray,
    theta: Mapping[str, np.ndarray],
    sign: float = 1.0,
    constants: Mapping[str, Any] | None = None,
) -> np.ndarray:
    """N of the lowest response, or of the highest if the sign is -1.

    The search is a grid of log N, then bisection of the derivative.
    """
    names = tuple(theta)
    arrays = np.broadcast_arrays(flops, *(np.asarray(theta[name], float) for name in names))
    held = {name: np.asarray(value, float) for name, value in sorted((constants or {}).items())}
    with double_precision():
        found = _search(law.function, law.inputs, names, sign)(held, *(array.ravel() for array in arrays))
    return np.asarray(found).reshape(arrays[0].shape)


@lru_cache(maxsize=32)
def _search(law: Callable, inputs: tuple[str, ...], names: tuple[str, ...], sign: float) -> Callable:
    def one(held, flops, *values):
        theta, middle = dict(zip(names, values, strict=True)), 0.5 * jnp.log(flops / FLOPS_PER_TOKEN)

        def loss(log_n):
            x = {"N": jnp.exp(log_n), "D": jnp.exp(2 * middle - log_n), **held}
            return sign * law(*(x[name] for name in inputs), **theta)

        grid = middle + jnp.linspace(-_WIDEST, _WIDEST, _GRID)
        best = jnp.clip(jnp.argmin(jax.vmap(loss)(grid)), 1, _GRID - 2)
        rising = jax.grad(loss)
        return jnp.exp(bisect(lambda log_n: rising(log_n) > 0, grid[best - 1], grid[best + 1], _HALVINGS))

    return jax.jit(lambda held, *arrays: jax.vmap(lambda *each: one(held, *each))(*arrays))
