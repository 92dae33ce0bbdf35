"""The best settings of inputs that have an optimum of their own, such as learning rate and batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import xarray as xr

from scalebayes.arguments import check_positive, check_prob
from scalebayes.fits.fit import Fit
from scalebayes.inference.diagnostics import Diagnostics
from scalebayes.model import Model
from scalebayes.model.evaluation import called
from scalebayes.notebook import shown
from scalebayes.numerics.precision import double_precision
from scalebayes.questions.along import parameters_along
from scalebayes.questions.distance import with_distance
from scalebayes.questions.groups import Group, check_group, check_one
from scalebayes.questions.paths import held_value
from scalebayes.questions.wording import number, plain, quantiles, response, sentences

_POINTS, _ROUNDS, _SHRINK = 15, 12, 0.35  # of the search: values along each input, refinements, the factor of each
_BEYOND = float(np.log(10.0))  # how far beyond the runs' own settings the search goes
_OF_PLAN, _OF_CURVE = 300, 81  # draws for an expected response; values along each input in a picture
_AT_EDGE = 0.02  # share of the range of the search


@dataclass(frozen=True, eq=False, repr=False)
class Tuning:
    """The answer of `tune`.

    Parameters
    ----------
    table : pandas.DataFrame
        One row per group and point:

        - group (if there are groups) and the inputs that are held;
        - for each tuned input mean, median, lower and upper of its optimum (as lr_median, ...), best, the setting with
          the best expected response, near_lower and near_upper: the range, the others at their best, whose expected
          response is within ``margin`` of it; and unbounded, the share of draws whose optimum lies at the end of the
          range that was searched;
        - response: the expected response at the best setting, with lower and upper; regret: by how much it is expected
          to be worse than the unknown optimum.
    draws : xarray.Dataset
        The optimum of each draw: one variable per tuned input, dims (sample, group, point).
    curves : pandas.DataFrame
        Expected response along each tuned input, the others at their best: group, point, input, value, response.
    runs : pandas.DataFrame
        The runs' own settings, with their group.
    over, held : tuple of str
        The inputs that are tuned, and those that are held.
    margin, prob : float
    response, law : str
    law_only : bool
        True if the fit departs from its law; the departure is left out.
    diagnostics : Diagnostics
    """

    table: pd.DataFrame
    draws: xr.Dataset
    curves: pd.DataFrame
    runs: pd.DataFrame
    over: tuple[str, ...]
    held: tuple[str, ...]
    margin: float
    prob: float
    response: str
    law: str
    law_only: bool
    diagnostics: Diagnostics

    def __str__(self) -> str:
        lines = []
        for row in self.table.head(12).to_dict("records"):
            group = f"{row['group']}: " if "group" in row else ""
            where = ", ".join(f"{name} = {number(row[name])}" for name in self.held)
            best = " and ".join(f"{name} = {number(row[f'{name}_best'])}" for name in self.over)
            lines.append(
                f"{group}{f'at {where}, ' if where else ''}the best setting is {best}, for an expected {self.response} "
                f"of {response(row['response'])}; it loses about {number(row['regret'])} to the unknown optimum."
            )
            for name in self.over:
                lines.append(
                    f"  The optimum of {name} is {number(row[f'{name}_median'])} ({100 * self.prob:g}%: "
                    f"{number(row[f'{name}_lower'])} to {number(row[f'{name}_upper'])}). Anything from "
                    f"{number(row[f'{name}_near_lower'])} to {number(row[f'{name}_near_upper'])} comes within "
                    f"{number(self.margin)} of it.{self._outside(row, name)}"
                )
        if len(self.table) > 12:
            lines.append(f"... and {len(self.table) - 12} more points, in .table.")
        if self.law_only:
            lines.append("(for the law alone; the fit's departure from it is left out)")
        return sentences(self.diagnostics, lines)

    def _outside(self, row: dict, name: str) -> str:
        if row[f"{name}_unbounded"] > 0.05:
            return (
                f" {row[f'{name}_unbounded']:.0%} of the draws have no optimum within a factor of 10 of the runs: the "
                "runs do not show where it lies."
            )
        own = self.runs[self.runs["group"] == row["group"]] if "group" in row else self.runs
        low, high = own[name].min(), own[name].max()
        if low <= row[f"{name}_best"] <= high:
            return ""
        return f" No run had such a value (the runs have {number(low)} to {number(high)})."

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return shown(str(self), self.table)

    def to_dict(self) -> dict[str, Any]:
        """The settings as nested dictionaries of numbers and strings; a single one also at the top level."""
        settings = self.table.to_dict("records")
        return plain(
            {
                "over": self.over,
                "held": self.held,
                "margin": self.margin,
                "prob": self.prob,
                "law_only": self.law_only,
                "converged": not self.diagnostics.problems,
                "settings": settings,
                **(settings[0] if len(settings) == 1 else {}),
            }
        )


def tune(
    fit: Fit,
    *,
    over: str | Sequence[str] | None = None,
    at: Mapping[str, float | Sequence[float]] | None = None,
    group: Group | None = None,
    margin: float = 0.005,
    prob: float = 0.89,
) -> Tuning:
    r"""The settings with the best response, such as learning rate and batch, at a size and an amount of data.

    .. math:: \eta^* = \arg\min_\eta L(\eta; x, \theta)

    for every draw of the posterior, by search on the logarithm, up to ten times beyond the runs' own settings. The
    setting to use has the best *expected* response; the answer also says which settings are almost as good, and what is
    expected to be lost because the optimum is not known.

    Parameters
    ----------
    fit : Fit
        A fit of a law that has an optimum along some inputs, such as `scalebayes.laws.step_law` or ``u_shape``.
    over : str or sequence of str, optional
        The inputs to tune, one to three, all positive scales; by default those that the law names.
    at : mapping of str to float or sequence of float, optional
        Values of the other inputs, of one length where there are several. Constants of a group are known.
    group : str, optional
        One group; by default every group.
    margin : float
        A setting counts as almost optimal if it is worse than the best by at most this, in units of the response.
    prob : float
        Probability of the intervals.

    Returns
    -------
    Tuning

    Raises
    ------
    ValueError
        If the law names no inputs with an optimum and ``over`` is not given, or an input is no positive scale, or the
        value of another input is lacking.

    Examples
    --------
    >>> import scalebayes as sb
    >>> plan = sb.tune(fit, at={"N": 7e9, "D": 1.4e12})  # doctest: +SKIP
    >>> plan.table[["lr_best", "lr_lower", "lr_upper"]]  # doctest: +SKIP
    """
    check_prob(prob)
    check_one(fit, "a setting")
    check_positive(margin, "margin")
    model, runs = fit.model, fit.model.runs
    over = _checked_over(model, over)
    level = check_group(runs, group, False)
    levels = (level,) if level is not None else runs.levels or (None,)
    held = tuple(name for name in runs.inputs if name not in over and runs.inputs[name].kind != "constant")
    points = _points(model, over, held, dict(at or {}))
    logs = [np.log(runs.x(name)) for name in over]
    ends = np.asarray([[x.min() - _BEYOND, x.max() + _BEYOND] for x in logs])
    rows, curves, optima = [], [], []
    for label in levels:
        theta = parameters_along(fit, label)
        constants = {n: runs.x(n)[runs.rows(label)][0] for n in runs.inputs if runs.inputs[n].kind == "constant"}
        few = {name: value[:: max(1, len(value) // _OF_PLAN)] for name, value in theta.items()}
        of_group = []
        for i, point in enumerate(points):
            fixed = {**constants, **point}
            named = ({} if label is None else {"group": label}) | {name: point[name] for name in held}
            row, along, optimum = _tuned(model, over, fixed, theta, few, ends, margin, prob)
            rows.append(named | row)
            curves.append(along.assign(point=i, **({} if label is None else {"group": label})))
            of_group.append(optimum)
        optima.append(np.stack(of_group, axis=-1))  # input, sample, point
    stacked = np.stack(optima, axis=2)  # input, sample, group, point
    draws = xr.Dataset(
        {name: (("sample", "group", "point"), np.exp(stacked[i])) for i, name in enumerate(over)},
        {"group": ["" if label is None else label for label in levels]},
    )
    beyond = max((max(p[n] / runs.x(n).max() for n in held if n in runs.scales) for p in points if held), default=1.0)
    return Tuning(
        pd.DataFrame(rows),
        draws,
        pd.concat(curves, ignore_index=True),
        pd.DataFrame({name: runs.x(name) for name in over} | ({"group": runs.group_labels} if runs.group else {})),
        over,
        held,
        float(margin),
        prob,
        runs.response,
        model.name,
        model.departs,
        with_distance(fit, float(max(beyond, 1.0))),
    )


def _checked_over(model: Model, over: str | Sequence[str] | None) -> tuple[str, ...]:
    """The inputs to tune, by the names of the runs."""
    runs, law = model.runs, model.law
    renamed = dict(zip(law.inputs, runs.inputs, strict=True))
    if over is None:
        if not law.tuned:
            raise ValueError(
                f"{law.name} does not say which of its inputs have an optimum: name those that do, "
                f"over={runs.scales[:1]!r}; it has {', '.join(runs.inputs)}."
            )
        return tuple(renamed[name] for name in law.tuned)
    named = (over,) if isinstance(over, str) else tuple(over)
    if not 1 <= len(named) <= 3 or len(set(named)) != len(named) or not set(named) <= set(runs.scales):
        raise ValueError(
            f"one to three positive scales of {law.name} are tuned, out of {', '.join(runs.scales) or 'none'}; got "
            f"{over!r}."
        )
    return named


def _points(model: Model, over: tuple[str, ...], held: tuple[str, ...], at: dict[str, Any]) -> list[dict[str, Any]]:
    """The values of the inputs that are held, one mapping for each point."""
    strange = [name for name in at if name not in held]
    if strange:
        raise ValueError(
            f"at names {strange[0]!r}, which is no input of {model.name} that is held; those are "
            f"{', '.join(held) or 'none'}."
        )
    lacking = [name for name in held if name not in at]
    if lacking:
        raise ValueError(f"the best {' and '.join(over)} depends on {lacking[0]}: at={{{lacking[0]!r}: value}}.")
    several = {n: len(v) for n, v in at.items() if np.ndim(v) == 1 and not model.runs.inputs[n].is_vector}
    if len(set(several.values())) > 1:
        raise ValueError(f"at has values of different lengths: {several}.")
    n = next(iter(several.values()), 1)
    return [
        {name: held_value(model.runs, name, value[i] if name in several else value, {}) for name, value in at.items()}
        for i in range(n)
    ]


def _tuned(
    model: Model,
    over: tuple[str, ...],
    fixed: Mapping[str, Any],
    theta: Mapping[str, np.ndarray],
    few: Mapping[str, np.ndarray],
    ends: np.ndarray,
    margin: float,
    prob: float,
) -> tuple[dict[str, float], pd.DataFrame, np.ndarray]:
    """One row of the answer, the expected response along each tuned input, and the optimum of each draw."""
    search, expected = _searched(model.law.function, tuple(model.runs.inputs), over, model.runs.sign)
    held = {name: np.asarray(value, float) for name, value in fixed.items()}
    with double_precision():
        optimum = np.asarray(search(dict(theta), held, ends)).T
        best = np.asarray(expected(dict(few), held, ends))
        at_best, lost = _at(model, over, held, few, best), _at(model, over, held, few, optimum[:, :: _step(theta, few)])
        every = _at(model, over, held, theta, best)
    row: dict[str, float] = {}
    curves = []
    width = ends[:, 1] - ends[:, 0]
    for i, name in enumerate(over):
        lower, median, upper = quantiles(np.exp(optimum[i]), prob)
        along = np.linspace(ends[i, 0], ends[i, 1], _OF_CURVE)
        grid = np.repeat(best[:, None], _OF_CURVE, axis=1)
        grid[i] = along
        with double_precision():
            mean = np.stack([_at(model, over, held, few, point).mean() for point in grid.T])
        excess = model.runs.sign * (mean - at_best.mean())
        near = _near(along, excess, best[i], margin)
        edge = np.minimum(optimum[i] - ends[i, 0], ends[i, 1] - optimum[i]) < _AT_EDGE * width[i]
        row |= {
            f"{name}_mean": float(np.exp(optimum[i]).mean()),
            f"{name}_median": float(median),
            f"{name}_lower": float(lower),
            f"{name}_upper": float(upper),
            f"{name}_best": float(np.exp(best[i])),
            f"{name}_near_lower": float(np.exp(near[0])),
            f"{name}_near_upper": float(np.exp(near[1])),
            f"{name}_unbounded": float(edge.mean()),
        }
        curves.append(pd.DataFrame({"input": name, "value": np.exp(along), "response": mean}))
    lower, _, upper = quantiles(every, prob)
    row |= {"response": float(every.mean()), "response_lower": float(lower), "response_upper": float(upper)}
    row["regret"] = float(max(model.runs.sign * (at_best - lost).mean(), 0.0))
    return row, pd.concat(curves, ignore_index=True), optimum


def _step(theta: Mapping[str, np.ndarray], few: Mapping[str, np.ndarray]) -> int:
    return max(1, len(next(iter(theta.values()))) // _OF_PLAN)


def _near(along: np.ndarray, excess: np.ndarray, best: float, margin: float) -> tuple[float, float]:
    """The ends of the range about the best setting whose excess is within the margin."""
    fine = excess <= margin
    below, above = along[(along < best) & ~fine], along[(along > best) & ~fine]
    inside = along[fine]
    low = max(below.max(initial=-np.inf), along[0])
    high = min(above.min(initial=np.inf), along[-1])
    within = inside[(inside >= low) & (inside <= high)]
    return (min(within.min(initial=best), best), max(within.max(initial=best), best))


def _at(model: Model, over: tuple[str, ...], held: Mapping, theta: Mapping, logs: np.ndarray) -> np.ndarray:
    """The law for each draw at logs of the tuned inputs, shape (input,) or (input, draw)."""
    both = {**held, **{name: np.exp(logs[i]) for i, name in enumerate(over)}}
    n = len(next(iter(theta.values())))
    return np.broadcast_to(
        np.asarray(model.law.function(*(jnp.asarray(both[name]) for name in model.runs.inputs), **theta)), (n,)
    )


@lru_cache(maxsize=16)
def _searched(law: Callable, inputs: tuple[str, ...], over: tuple[str, ...], sign: float) -> tuple[Callable, Callable]:
    """Functions (parameters, held inputs, ends) to logs of the optimum: of each draw, and of the mean over draws."""
    offsets = jnp.stack(jnp.meshgrid(*[jnp.linspace(-1.0, 1.0, _POINTS)] * len(over), indexing="ij"), -1)
    offsets = offsets.reshape(-1, len(over))

    def at(logs, theta, held):
        both = {**held, **{name: jnp.exp(logs[i]) for i, name in enumerate(over)}}
        return sign * jnp.asarray(called(law, [both[name] for name in inputs], theta))

    def minimum(loss, ends):
        # No derivative: a user's law need not be smooth, and the minimum may lie at an end.
        centre, half = ends.mean(1), (ends[:, 1] - ends[:, 0]) / 2

        def refined(_, state):
            centre, half = state
            tried = jnp.clip(centre + half * offsets, ends[:, 0], ends[:, 1])
            return tried[jnp.argmin(jax.vmap(loss)(tried))], half * _SHRINK

        return jax.lax.fori_loop(0, _ROUNDS, refined, (centre, half))[0]

    def of_draw(theta, held, ends):
        return minimum(lambda logs: at(logs, theta, held), ends)

    def of_mean(theta, held, ends):
        return minimum(lambda logs: jax.vmap(at, (None, 0, None))(logs, theta, held).mean(), ends)

    return jax.jit(jax.vmap(of_draw, (0, None, None))), jax.jit(of_mean)
