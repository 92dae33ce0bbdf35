"""The report of a fit: one file to send to a colleague, as a page with controls, as Markdown or as LaTeX."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from scalebayes.arguments import check_prob, quoted
from scalebayes.checks.answer import Backtest
from scalebayes.checks.record import record
from scalebayes.files import check_free, write
from scalebayes.fits.fit import Fit
from scalebayes.questions.distance import tested
from scalebayes.questions.groups import check_one
from scalebayes.questions.misfit import misfit
from scalebayes.questions.paths import observed_scales
from scalebayes.questions.wording import monte_carlo, number, plain, response
from scalebayes.runs.cost import needed_cost
from scalebayes.runs.runs import numbers
from scalebayes.show.answers import parts_of
from scalebayes.show.axes import COLOURS
from scalebayes.show.curves import ahead_of
from scalebayes.show.grid import Grid, grid_of, words
from scalebayes.show.page import page
from scalebayes.show.plain_report import latex, markdown

KINDS = (".html", ".md", ".tex")
_BINS = 40
_WIDE = 30  # times the smallest value: then a parameter is drawn in logs
_MOST_GROUPS = 12  # whose densities are drawn
_MOST_RUNS = 5000  # that are drawn


@dataclass(frozen=True, eq=False, repr=False)
class Report:
    """The answer of `report`.

    Parameters
    ----------
    contents : mapping
        Nested dictionaries of numbers and strings: title, problems (of convergence; empty if there are none), said
        (sentences under headings), targets (what is said at each target scale), curves, runs, misfit, densities,
        surprising, excluded, record.
    """

    contents: Mapping[str, Any]

    def __post_init__(self) -> None:
        object.__setattr__(self, "contents", MappingProxyType(dict(self.contents)))

    def __str__(self) -> str:
        return self.to_markdown()

    __repr__ = __str__

    def to_dict(self) -> dict[str, Any]:
        """Nested dictionaries of numbers and strings, for JSON."""
        return plain(dict(self.contents))

    def to_html(self) -> str:
        """One page that needs no network: sentences, pictures, tables and controls."""
        return page(self.to_dict())

    def to_markdown(self) -> str:
        """Sentences and tables for a pull request."""
        return markdown(self.to_dict())

    def to_latex(self) -> str:
        """A section for an appendix; it needs the package booktabs."""
        return latex(self.to_dict())

    def save(self, path: str | os.PathLike, *, overwrite: bool = False) -> None:
        """Write the report, in the form that the file's name ends with: ``.html``, ``.md`` or ``.tex``.

        Parameters
        ----------
        path : path
        overwrite : bool
            Whether a file of that name may be replaced.

        Raises
        ------
        OSError
            If the file exists and ``overwrite`` is false, or cannot be written.
        ValueError
            If the name ends otherwise.
        """
        target = Path(path)
        check_free(target, overwrite, "overwrite=True")
        check_kind(target)
        made = {".html": self.to_html, ".md": self.to_markdown, ".tex": self.to_latex}[target.suffix]
        write(target, made().encode())


def check_kind(path: Path) -> None:
    """Refuse a file whose name does not say what a report is written as."""
    if path.suffix not in KINDS:
        raise ValueError(f"a report is written as {', '.join(KINDS)}; got {quoted(path.name)}.")


def report(
    fit: Fit,
    *,
    axis: str | None = None,
    to: float | None = None,
    held: Mapping[str, Any] | None = None,
    held_back: pd.DataFrame | None = None,
    backtest: Backtest | None = None,
    answers: Sequence[Any] = (),
    title: str | None = None,
    prob: float = 0.89,
) -> Report:
    """Everything that a colleague needs to judge a fit and to use it.

    ``report(fit).save("report.html")`` writes a page that needs no network. The answers along one axis of scale are
    computed here, for a grid of targets; a reader of the page chooses among them.

    Parameters
    ----------
    fit : Fit
    axis : str, optional
        The scale that grows. By default ``"C"`` for a law of N and D, which grow as is optimal; else the law's last
        scale.
    to : float, optional
        The target that is shown first; by default ten times the largest run.
    held : mapping, optional
        Values of further inputs. By default the geometric mean of the runs for a scale, and the mean for others; a
        schedule has to be named.
    held_back : pandas.DataFrame, optional
        Runs that were not fitted, with the columns of those that were; drawn as open circles.
    backtest : Backtest, optional
        The answer of `backtest`, to be part of the record.
    answers : sequence, optional
        Answers of other questions about the fit (of `gate`, `floor_report`, `design`, ...), each with its sentences and
        its picture after the report's own.
    title : str, optional
    prob : float
        Probability of every interval.

    Returns
    -------
    Report

    Raises
    ------
    TypeError
        If the fit is an average of fits, or something among the answers is none.
    ValueError
        If the law has no such axis, the target does not lie beyond the runs, or an input cannot be held.

    Examples
    --------
    With the fit of `fit`'s example:

    >>> written = sb.report(fit, to=1e24).to_markdown()
    >>> written.splitlines()[0].endswith("loss of 20 runs")
    True
    """
    check_prob(prob)
    check_one(fit, "a report")
    runs, further = fit.model.runs, parts_of(answers)
    grid = grid_of(fit, axis, to, held, prob)
    ahead = None if held_back is None else ahead_of(fit, held_back)
    found = misfit(fit, prob=prob)
    return Report(
        {
            "title": title or f"{fit.model.name}: {runs.response} of {len(runs)} runs",
            "problems": list(fit.diagnostics.problems),
            "prob": prob,
            "response": runs.response,
            "log": fit.model.observation.scale.name == "log",
            "axis": {"name": grid.axis, "unit": grid.unit, "said": grid.said},
            "groups": list(runs.levels) or [""],
            "colours": [COLOURS[i % len(COLOURS)] for i in range(max(1, len(runs.levels)))],
            "said": [*_said(fit, grid, found), *further],
            "chosen": grid.chosen,
            "scales": grid.targets,
            "targets": [words(grid, i) for i in range(len(grid.targets))],
            "curves": _curves(grid),
            "best": _best(grid),
            "optimum": _optimum(grid),
            "runs": _runs(fit, grid.axis),
            "held_back": None if ahead is None else _ahead(fit, ahead, held_back, grid.axis),
            "misfit": _residuals(fit, found, grid.axis),
            "densities": _densities(fit),
            "surprising": _surprising(found),
            "excluded": _excluded(fit),
            "record": str(record(fit, backtest=backtest)),
        }
    )


def _said(fit: Fit, grid: Grid, found: Any) -> list[dict[str, Any]]:
    """The sentences, under headings."""
    runs = fit.model.runs
    beyond = grid.targets[grid.chosen] / observed_scales(runs, grid.axis, None).max()
    first, prob = words(grid, grid.chosen), f"{100 * found.prob:g}%"
    lines = [
        f"{row[0] + ': ' if row[0] else ''}{runs.response} {row[1]}; {prob} of the mean {row[2]}, of a single new run "
        f"{row[3]}."
        for row in first["forecast"]
    ]
    along = f", {grid.said}" if grid.said else ""
    largest = max(beyond, float(first["extrapolation"]))
    far = [
        f"In {grid.axis} this is {number(float(f'{beyond:.3g}'))} times the largest run.",
        tested(fit.model, largest),
    ]
    parts = [
        {
            "heading": f"Forecast at {first['scale']}{along}",
            "lines": [*lines, *far],
        }
    ]
    if "risk" in first:
        parts.append({"heading": "Which group will be best?", "lines": [first["risk"]]})
    elif grid.without:
        parts.append({"heading": "Which group will be best?", "lines": list(grid.without)})
    if "optimum" in first:
        lines = [
            f"{row[0] + ': ' if row[0] else ''}N = {row[1]} ({row[2]}), D = {row[3]} ({row[4]})."
            for row in first["optimum"]
        ]
        parts.append({"heading": "How to spend the budget", "lines": lines})
    # What is said of convergence has a section of its own.
    followed = str(found).splitlines()[1 if fit.diagnostics.problems else 0 : -1]
    parts.append({"heading": "Does the law fit the runs?", "lines": followed})
    diagnostics = fit.diagnostics
    lines = [f"{problem}." for problem in diagnostics.problems] or ["All checks of convergence pass."]
    lines.append(
        f"{diagnostics.draws} draws, {diagnostics.divergences} divergences, max r-hat {diagnostics.max_r_hat:.3f}, "
        f"min ESS {diagnostics.min_ess_bulk:.0f} (bulk) and {diagnostics.min_ess_tail:.0f} (tail); "
        f"{monte_carlo(diagnostics)}."
    )
    parts.append({"heading": "Can the draws be trusted?", "lines": lines})
    return parts


def _curves(grid: Grid) -> list[dict[str, Any]]:
    columns = ["scale", "median", "lower", "upper", "new_run_lower", "new_run_upper"]
    return [
        {"group": str(group), **{name: own[name].to_numpy() for name in columns}}
        for group, own in grid.table.groupby("group", sort=False)
    ]


def _best(grid: Grid) -> dict[str, Any] | None:
    if grid.crossover is None:
        return None
    curve = grid.crossover.curve
    groups = [str(group) for group in grid.crossover.draws["group"].values]
    return {
        "scale": curve.index.to_numpy(),
        "p": {group: curve[group].to_numpy() for group in groups},
        "said": str(grid.crossover).splitlines()[0],
    }


def _optimum(grid: Grid) -> list[dict[str, Any]] | None:
    if grid.plans is None:
        return None
    columns = ["C", "plan_n", "n_opt_lower", "n_opt_upper", "plan_d", "d_opt_lower", "d_opt_upper"]
    table = grid.plans.table.assign(group=grid.plans.table.get("group", ""))
    return [
        {"group": str(group), **{name: own[name].to_numpy() for name in columns}}
        for group, own in table.groupby("group", sort=False)
    ]


def _runs(fit: Fit, axis: str) -> list[dict[str, Any]]:
    """The runs of each group along the axis, and what is said of one where a pointer rests on it."""
    runs, found = fit.model.runs, []
    some = np.linspace(0, len(runs) - 1, min(len(runs), _MOST_RUNS)).astype(int)
    at = observed_scales(runs, axis, None)
    for i, level in enumerate(runs.levels or ("",)):
        own = some[runs.group_index[some] == i]
        said = [
            ", ".join(
                [
                    f"run {runs.labels[row]}",
                    *(f"{name} = {number(float(runs.x(name)[row]))}" for name in runs.scales),
                    f"{runs.response} = {response(float(runs.y[row]))}",
                ]
            )
            for row in own
        ]
        found.append({"group": level, "scale": at[own], "response": runs.y[own], "said": said})
    return found


def _ahead(fit: Fit, ahead: pd.DataFrame, table: Any, axis: str) -> dict[str, Any] | None:
    """The runs that were held back, along the axis."""
    runs = fit.model.runs
    if axis in ahead:
        at = ahead[axis].to_numpy()
    else:  # compute, as of the runs that were fitted
        given = numbers(table[runs.cost]) if isinstance(runs.cost, str) and runs.cost in table else None
        at = needed_cost(runs, {name: ahead[name].to_numpy() for name in runs.scales}, given)
    return {"scale": at, "response": ahead.iloc[:, -1].to_numpy()}


def _residuals(fit: Fit, found: Any, axis: str) -> dict[str, Any]:
    table = found.table
    in_percent = found.scale == "log"
    times = 100.0 if in_percent else 1.0
    some = np.linspace(0, len(table) - 1, min(len(table), _MOST_RUNS)).astype(int)
    own = table.iloc[some]
    return {
        "scale": observed_scales(fit.model.runs, axis, None)[some],
        "off": times * own["off"].to_numpy(),
        "group": own["group"].astype(str).to_numpy() if "group" in own else np.full(len(own), ""),
        "run": own["run"].astype(str).to_numpy(),
        "outlier": own["outlier"].to_numpy(bool),
        "label": f"{found.response} over its median, less 1 (%)" if in_percent else f"{found.response} less its median",
    }


def _densities(fit: Fit) -> list[dict[str, Any]]:
    """Prior and posterior of every parameter of the law and the noise, as histograms over the posterior's range."""
    posterior, prior, found = fit.posterior, fit.idata["prior"].to_dataset(), []
    dim = fit.model.runs.group_name
    wanted = [p.name for p in fit.model.structure.parameters if p.name in posterior and p.name in prior]
    for name in wanted:
        levels = [str(v) for v in posterior[name][dim].values] if dim in posterior[name].dims else [""]
        values = posterior[name].to_numpy().reshape(-1, len(levels))
        before = prior[name].to_numpy().reshape(-1, *([len(levels)] if dim in prior[name].dims else [1]))[:, 0]
        low, high = np.quantile(values, [0.002, 0.998])
        in_logs = bool((values > 0).all() and high > _WIDE * low)  # amplitudes of several groups
        if in_logs:
            values, before = np.log10(values), np.log10(np.maximum(before, np.finfo(float).tiny))
            low, high = np.log10(low), np.log10(high)
        low, high = low - 0.5 * (high - low), high + 0.5 * (high - low)
        if not in_logs and (values > 0).all():
            low = max(low, 0.0)
        edges = np.linspace(low, high, _BINS + 1) if high > low else np.array([low, low + 1e-12])
        width = np.diff(edges)
        density = {
            level: np.histogram(values[:, i], edges)[0] / len(values) / width
            for i, level in enumerate(levels[:_MOST_GROUPS])
        }
        found.append(
            {
                "name": f"log10 {name}" if in_logs else name,
                "at": (edges[1:] + edges[:-1]) / 2,
                "prior": np.histogram(before, edges)[0] / len(before) / width,
                "posterior": density,
            }
        )
    return found


def _surprising(found: Any) -> list[list[str]]:
    times, unit = (100, "%") if found.scale == "log" else (1, "")
    return [
        [
            str(row["run"]),
            str(row.get("group", "")),
            response(row["response"]),
            response(row["median"]),
            f"{times * row['off']:+.2g}{unit}",
        ]
        for row in found.surprising.head(30).to_dict("records")
    ]


def _excluded(fit: Fit) -> str:
    runs = fit.model.runs
    if runs.excluded:
        return f"{runs.excluded} rows of {runs.source} were left out: they do not meet the condition {runs.where}."
    return f"No row of {runs.source} was left out."
