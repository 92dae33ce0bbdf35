"""Misfit: how each run lies about the fit, which runs are surprising, and whether runs bend away from the law."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from scalebayes.arguments import check_prob
from scalebayes.fits.draws import new_runs, some_of
from scalebayes.fits.fit import Fit
from scalebayes.fits.remarks import outliers
from scalebayes.inference.diagnostics import Diagnostics
from scalebayes.notebook import shown
from scalebayes.questions.wording import plain, sentences

_SURPRISING = 4.0  # predictive standard deviations from the median: one normal run in 16,000
_MOST_NAMED = 5


@dataclass(frozen=True, eq=False, repr=False)
class Misfit:
    """The answer of `misfit`.

    Parameters
    ----------
    table : pandas.DataFrame
        A row per run: run, group (if there are groups), the inputs, response, median, lower and upper of a new run
        there, residual (the response less the median, on the observation's scale), off (on the logarithm the response
        over the median, less 1; else the response less the median), score (the residual over the standard deviation of
        a new run), outlier (whether its noise is widened).
    tests : pandas.DataFrame
        A row per axis along which the runs were tested for bending away from the law, the most surprising first: along,
        group, p, and the runs at the end that lie on one side of the law, with their median distance from it.
    p : float or None
        Probability of as surprising a bend if the runs followed the law, over all tests, or an upper bound of 0.1 or
        more; None if it is not known.
    bends : bool
        Whether the runs bend away from the law so clearly that answers say it.
    prob : float
        Probability of the interval of a new run.
    response : str
    scale : str
        The observation's scale: "log", "identity" or "logit".
    units : mapping of str to str
        The units of the inputs.
    diagnostics : Diagnostics
    """

    table: pd.DataFrame
    tests: pd.DataFrame
    p: float | None
    bends: bool
    prob: float
    response: str
    scale: str
    units: Mapping[str, str]
    diagnostics: Diagnostics

    @property
    def surprising(self) -> pd.DataFrame:
        """The runs that are outliers, or four standard deviations of a new run or more from the median."""
        far = self.table["outlier"] | (self.table["score"].abs() >= _SURPRISING)
        return self.table[far].sort_values("residual", key=np.abs, ascending=False)

    def __str__(self) -> str:
        inside = self.table["response"].between(self.table["lower"], self.table["upper"]).mean()
        half = self._size(self.table["off"].abs().median())
        lines = [
            f"{inside:.0%} of {len(self.table)} runs lie in the {100 * self.prob:g}% bands of a new run; half of them "
            f"are less than {half} off the median."
        ]
        if self.p is not None and not self.bends:
            lines.append(f"No bend away from the law was found in {len(self.tests)} tests.")
        far = self.surprising
        if len(far):
            named = [
                f"{row['run']} ({self._size(row['off'], '+')})" for row in far.head(_MOST_NAMED).to_dict("records")
            ]
            more = f" and {len(far) - _MOST_NAMED} more" if len(far) > _MOST_NAMED else ""
            lines.append(f"Surprising runs, with their distance from the median: {', '.join(named)}{more}.")
        return sentences(self.diagnostics, lines)

    def _size(self, off: float, sign: str = "") -> str:
        return f"{100 * off:{sign}.2g}%" if self.scale == "log" else f"{off:{sign}.2g}"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return shown(str(self), self.table)

    def to_dict(self) -> dict[str, Any]:
        """The tables as nested dictionaries of numbers and strings."""
        return plain(
            {
                "prob": self.prob,
                "converged": not self.diagnostics.problems,
                "p": self.p,
                "remarks": self.diagnostics.remarks,
                "tests": self.tests,
                "surprising": self.surprising["run"].tolist(),
                "runs": self.table,
            }
        )


def misfit(fit: Fit, *, prob: float = 0.89) -> Misfit:
    """Say how each run lies about the fit, which runs are surprising, and whether runs bend away from the law.

    Runs were tested, when the fit was made, for bending away from the best line of the law
    alone along each scale, compute and the order of the table; a discrepancy may follow such bends. A run is an outlier
    if it lies far from all others, whatever the law; its noise is widened, so that it does not rule the fit.

    Parameters
    ----------
    fit : Fit
    prob : float
        Probability of the equal-tailed interval of a new run.

    Returns
    -------
    Misfit

    Raises
    ------
    TypeError
        If it is no fit.
    ValueError
        If ``prob`` does not lie between 0 and 1.

    Examples
    --------
    With the fit of `fit`'s example:

    >>> answer = sb.misfit(fit)
    >>> len(answer.table), bool(answer.table["off"].abs().max() < 0.05)
    (20, True)
    """
    if not isinstance(fit, Fit):
        raise TypeError(f"misfit is about a fit, from sb.fit, got {type(fit).__name__}.")
    check_prob(prob)
    model, runs = fit.model, fit.model.runs
    drawn = new_runs(model, some_of(fit.posterior, len(runs)), int(fit.idata.attrs.get("seed", 0)))
    forward = model.observation.scale.forward
    lower, median, upper = np.quantile(drawn, [(1 - prob) / 2, 0.5, (1 + prob) / 2], axis=0)
    residual = forward(runs.y) - forward(median)
    table = {
        "run": runs.labels,
        **({"group": runs.group_labels} if runs.group else {}),
        **{name: runs.x(name) for name in runs.inputs if runs.x(name).ndim == 1},
        "response": runs.y,
        "median": median,
        "lower": lower,
        "upper": upper,
        "residual": residual,
        "off": runs.y / median - 1 if model.observation.scale.name == "log" else runs.y - median,
        "score": residual / forward(drawn).std(axis=0),
        "outlier": np.isin(np.arange(len(runs)), [each.row for each in outliers(model)]),
    }
    found = fit.bending
    columns = ["along", "group", "p", "runs", "of", "off"]
    tests = [(b.along, b.group, b.p, b.runs, b.of, b.off[0]) for b in found.bends] if found else []
    return Misfit(
        pd.DataFrame(table),
        pd.DataFrame(tests, columns=columns),
        found.p if found else None,
        found is not None and found.is_clear,
        prob,
        runs.response,
        model.observation.scale.name,
        MappingProxyType({name: runs.unit(name) for name in runs.inputs}),
        fit.diagnostics,
    )
