"""The floor report: how much of a forecast is its irreducible loss, and what pinning it would have claimed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from scalebayes.arguments import check_prob, check_seed, is_positive, quoted
from scalebayes.fits.averaging import pooled_diagnostics
from scalebayes.fits.fit import Fit
from scalebayes.fits.many import fit_many
from scalebayes.inference.diagnostics import Diagnostics
from scalebayes.model import Model
from scalebayes.model.model import with_parts
from scalebayes.model.prediction import law_parameters
from scalebayes.notebook import shown
from scalebayes.priors import LogNormal, shared
from scalebayes.questions.forecast import forecast
from scalebayes.questions.groups import Group, check_one
from scalebayes.questions.points import Points
from scalebayes.questions.wording import plain, response, sentences, where

# Floors of language models' cross-entropy in nats per token that were fitted once and pinned since.
USUAL = MappingProxyType(
    {
        1.6: "Marin 2025",
        1.69: "Hoffmann et al. 2022",
        1.8172: "Besiroglu et al. 2024",
    }
)
_EXACTLY = 1e-3  # spread of a pinned floor, in logs
_NONE = 1e-4  # a floor of zero, as a share of the lowest response
_BINS = 20


@dataclass(frozen=True, eq=False, repr=False)
class FloorReport:
    """The answer of `floor_report`.

    Parameters
    ----------
    table : pandas.DataFrame
        One row per point: the inputs and group; floor_median, floor_lower, floor_upper (the irreducible response);
        median, lower, upper of the mean response; share, that of the variance of the forecast which is the floor's; and
        prior_share, the width of the floor's interval divided by its width before the runs were seen.
    curve : pandas.DataFrame
        The forecast against the floor, from the posterior alone: for each point, twenty groups of draws with similar
        floors: the inputs, group, floor (median), median, lower, upper.
    pinned : pandas.DataFrame
        One row per point and pinned floor, each fitted again: the inputs, group, floor, known_as, p_below (posterior
        probability of a smaller floor), median, lower, upper, moved (from the median with a free floor), narrower (the
        width of the interval divided by that with a free floor), misses (whether the free median lies outside).
    inputs : tuple of str
    floor, response, law : str
        The floor's name, the response and the law.
    prob : float
    diagnostics : Diagnostics
        The worst of all fits.
    """

    table: pd.DataFrame
    curve: pd.DataFrame
    pinned: pd.DataFrame
    inputs: tuple[str, ...]
    floor: str
    response: str
    law: str
    prob: float
    diagnostics: Diagnostics

    def __str__(self) -> str:
        lines, prob = [], f"{100 * self.prob:g}%"
        for i, row in enumerate(self.table.head(6).to_dict("records")):
            group = f"{row['group']}: " if row["group"] else ""
            lines.append(
                f"{group}at {where({name: row[name] for name in self.inputs})} the expected {self.response} is "
                f"{response(row['median'])} ({prob} {response(row['lower'])} to {response(row['upper'])}). Its floor "
                f"{self.floor} is {response(row['floor_median'])} ({response(row['floor_lower'])} to "
                f"{response(row['floor_upper'])}); {100 * row['share']:.0f}% of the forecast's variance is the floor's."
            )
            if row["prior_share"] > 0.5:
                lines.append(
                    f"  The runs say little about the floor: its interval is {row['prior_share']:.2f} times as wide as "
                    "before they were seen."
                )
            for pin in self._pins(i):
                known = f" ({pin['known_as']})" if pin["known_as"] else ""
                misses = ", which does not hold the free forecast" if pin["misses"] else ""
                lines.append(
                    f"  With the floor pinned at {response(pin['floor']) if pin['floor'] else '0'}{known}: "
                    f"{response(pin['median'])} ({response(pin['lower'])} to {response(pin['upper'])}), a band "
                    f"{pin['narrower']:.2f} times as wide{misses}; a smaller floor has a probability of "
                    f"{pin['p_below']:.2f}."
                )
        if len(self.table) > 6:
            lines.append(f"... and {len(self.table) - 6} more points, in .table.")
        return sentences(self.diagnostics, lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return shown(str(self), self.table)

    def to_dict(self) -> dict[str, Any]:
        """The tables as nested dictionaries of numbers and strings."""
        return plain(
            {
                "floor": self.floor,
                "response": self.response,
                "law": self.law,
                "prob": self.prob,
                "converged": not self.diagnostics.problems,
                "points": self.table,
                "pinned": self.pinned,
                "curve": self.curve,
            }
        )

    def _pins(self, point: int) -> list[dict[str, Any]]:
        rows: list[Any] = self.pinned[self.pinned["point"] == point].to_dict("records")
        return rows


def floor_report(
    fit: Fit,
    *,
    at: Points,
    pins: Sequence[float] | None = None,
    group: Group | None = None,
    prob: float = 0.89,
    seed: int = 0,
    progress: bool | None = None,
) -> FloorReport:
    r"""Forecast against every assumed floor, and again with the floor pinned.

    Far beyond the runs a forecast tends to its irreducible loss E, which short ranges of scale hardly determine. The
    posterior carries this: the report shows the forecast for every E that the runs allow, and the share of its variance
    that is E's, :math:`\mathrm{Var}\,E[f \mid E] / \mathrm{Var} f`. A pinned floor removes that part of the band; each
    pinned floor is fitted again, all of them by `fit_many`, to show what it would have claimed.

    Parameters
    ----------
    fit : Fit
    at : mapping, pandas.DataFrame or xarray.Dataset
        See `forecast`.
    pins : sequence of float, optional
        Floors to pin, from 0 on and below the lowest response. By default those usual for language models, 1.6, 1.69
        and 1.8172, where they lie between half the lowest response and the lowest, and 0. ``()`` pins none, which takes
        no further fit.
    group : str or tuple, optional
        See `forecast`.
    prob : float
        Probability of the intervals.
    seed : int
    progress : bool, optional
        Whether to show a progress bar; by default only on a terminal.

    Returns
    -------
    FloorReport

    Raises
    ------
    TypeError
        If it is no single fit.
    ValueError
        If the law has no floor that is one of its parameters, or a pinned floor does not lie from 0 to below every
        response.

    Examples
    --------
    With the fit of `fit`'s example:

    >>> answer = sb.floor_report(fit, at={"C": 1e24}, group="Pythia", pins=())
    >>> 0.5 < float(answer.table["share"].iloc[0]) < 1
    True
    """
    check_prob(prob)
    check_seed(seed)
    check_one(fit, "floor_report")
    model = fit.model
    floor = model.law.floor
    if not isinstance(floor, str):
        raise ValueError(
            f"{model.name} has no floor that is one of its parameters ({', '.join(model.parameters)}); say which is: "
            "sb.Law(function, floor='E')."
        )
    lowest = float(np.min(model.runs.y))
    known = _pinned(pins, lowest)
    free = forecast(fit, at=at, group=group, prob=prob, seed=seed)
    prior = fit.idata["prior"].to_dataset()
    table, curves = [], []
    ends = [(1 - prob) / 2, 0.5, (1 + prob) / 2]
    mean = free.draws["mean_response"].to_numpy().reshape(-1, len(free.table))
    floors = []
    for i, row in enumerate(free.table.to_dict("records")):
        level = row.get("group")
        e = law_parameters(model, fit.posterior, level)[floor]
        before = law_parameters(model, prior, level)[floor]
        floors.append(e)
        low, middle, high = np.quantile(e, ends)
        wide = np.quantile(before, ends)
        own = {name: row[name] for name in free.inputs} | {"group": level or ""}
        curve, share = _against(e, mean[:, i], prob)
        table.append(
            own
            | {"floor_median": middle, "floor_lower": low, "floor_upper": high}
            | {name: row[name] for name in ("median", "lower", "upper", "extrapolation")}
            | {"share": share, "prior_share": (high - low) / max(wide[2] - wide[0], 1e-300)}
        )
        curves.append(pd.DataFrame(curve).assign(**own, point=i))
    found, diagnostics = _again(fit, floor, known, lowest, at, group, prob, seed, progress)
    rows = []
    for value, again in found.items():
        for i, row in enumerate(again.to_dict("records")):
            width = free.table["upper"].iloc[i] - free.table["lower"].iloc[i]
            middle = float(free.table["median"].iloc[i])
            rows.append(
                {"point": i}
                | {name: row[name] for name in free.inputs}
                | {"group": row.get("group", ""), "floor": value, "known_as": known[value]}
                | {"p_below": float((floors[i] < value).mean())}
                | {name: row[name] for name in ("median", "lower", "upper")}
                | {
                    "moved": row["median"] - middle,
                    "narrower": (row["upper"] - row["lower"]) / width,
                    "misses": not row["lower"] <= middle <= row["upper"],
                }
            )
    columns = ["point", *free.inputs, "group", "floor", "known_as", "p_below", "median", "lower", "upper"]
    return FloorReport(
        pd.DataFrame(table),
        pd.concat(curves, ignore_index=True),
        pd.DataFrame(rows, columns=[*columns, "moved", "narrower", "misses"]),
        free.inputs,
        floor,
        free.response,
        model.name,
        prob,
        # What the other fits remark on follows from the floor that was pinned.
        replace(pooled_diagnostics([free.diagnostics, *diagnostics]), remarks=free.diagnostics.remarks),
    )


def _pinned(pins: Sequence[float] | None, lowest: float) -> dict[float, str]:
    """The floors to pin, and under what name each is known."""
    if pins is None:
        return {0.0: "no floor"} | {value: name for value, name in USUAL.items() if lowest / 2 < value < lowest}
    found = {}
    for value in np.atleast_1d(np.asarray(pins, dtype=object)) if not isinstance(pins, str) else [pins]:
        if not (is_positive(value) or value == 0) or float(value) >= lowest:
            raise ValueError(
                f"a pinned floor lies from 0 to below the lowest response, {response(lowest)}; got {quoted(value)}."
            )
        found[float(value)] = USUAL.get(float(value), "" if value else "no floor")
    return found


def _against(e: np.ndarray, f: np.ndarray, prob: float) -> tuple[dict[str, np.ndarray], float]:
    """The forecast in groups of draws with similar floors, and the share of its variance between them."""
    groups = np.array_split(np.argsort(e, kind="stable"), _BINS)
    means = np.array([f[g].mean() for g in groups])
    sizes = np.array([len(g) for g in groups])
    within = sum(((f[g] - m) ** 2).sum() for g, m in zip(groups, means, strict=True)) / (len(f) - _BINS)
    total = f.var(ddof=1)
    lower, median, upper = np.stack([np.quantile(f[g], [(1 - prob) / 2, 0.5, (1 + prob) / 2]) for g in groups], axis=1)
    curve = {
        "floor": np.array([np.median(e[g]) for g in groups]),
        "draws": sizes,
        "median": median,
        "lower": lower,
        "upper": upper,
    }
    return curve, float(np.clip(1 - within / total, 0, 1)) if total > 0 else 0.0


def _again(
    fit: Fit,
    floor: str,
    pins: dict[float, str],
    lowest: float,
    at: Points,
    group: Group | None,
    prob: float,
    seed: int,
    progress: bool | None,
) -> tuple[dict[float, pd.DataFrame], list[Diagnostics]]:
    """The forecast with each pinned floor, fitted again."""
    if not pins:
        return {}, []
    models = {f"{value:g}": _with_floor(fit.model, floor, value or _NONE * lowest) for value in pins}
    sizes = fit.posterior.sizes
    fleet = fit_many(models, draws=sizes["draw"], chains=sizes["chain"], seed=seed, progress=progress)
    found, diagnostics = {}, []
    for value in pins:
        state = fleet.table.loc[f"{value:g}"].to_dict()
        if not np.isfinite(state["max_r_hat"]):
            raise ValueError(f"with the floor pinned at {value:g} the fit failed: {state['problem']!s}")
        again = fleet[f"{value:g}"]
        found[value] = forecast(again, at=at, group=group, prob=prob, seed=seed).table
        diagnostics.append(again.diagnostics)
    return found, diagnostics


def _with_floor(model: Model, floor: str, value: float) -> Model:
    """The same model with its floor known, up to a tenth of a per cent, and shared by all groups."""
    return with_parts(model, priors={**model.priors, floor: shared(LogNormal(value, _EXACTLY))})
