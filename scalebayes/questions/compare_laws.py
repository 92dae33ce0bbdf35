"""Which of several fits of the same runs predicts runs better."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from scalebayes.arguments import check_seed
from scalebayes.fits.averaging import (
    Average,
    checked_alike,
    densities,
    held_back,
    named_fits,
    pooled_diagnostics,
    stacked,
)
from scalebayes.fits.fit import Fit
from scalebayes.inference.diagnostics import Diagnostics
from scalebayes.notebook import shown
from scalebayes.questions.wording import plain


@dataclass(frozen=True, eq=False, repr=False)
class LawComparison:
    """The answer of `compare_laws`.

    Parameters
    ----------
    table : pandas.DataFrame
        One row per fit, the best first:

        - elpd_loo, its standard error, and the other columns of `arviz_stats.compare`;
        - weight_loo, from stacking;
        - log_score per run of the largest runs, predicted by a fit to the others, and weight_holdout; NaN without
          ``share``;
        - problem: what is wrong with the sampling of the fit; empty if nothing is.
    share : float
        Share of each group's runs that were held out; 0 if none.
    diagnostics : Diagnostics
        The worst value of each diagnostic over the fits.
    """

    table: pd.DataFrame
    share: float
    diagnostics: Diagnostics

    def __str__(self) -> str:
        best = self.table.index[0]
        lines = [f"NOT CONVERGED: {name}: {problem}." for name, problem in self.table["problem"].items() if problem]
        lines += [f"{best} predicts left-out runs best (LOO)."]
        for name, row in self.table.iloc[1:].iterrows():
            difference = abs(row["elpd_diff"])
            if difference <= 2 * row["dse"]:
                said = "less than twice the standard error: too little to tell them apart by LOO."
            else:
                said = f"more than twice the standard error: LOO favours {best}."
            lines.append(f"{name} loses {difference:.1f} +- {row['dse']:.1f} of log density to it, {said}")
        if self.table["log_score"].notna().all():
            ahead = self.table["log_score"].idxmax()
            lines.append(
                f"{ahead} predicts the largest {100 * self.share:g}% best from the others, which is what a forecast "
                "has to do."
            )
        lines += [f"LOO of {name}: {row['diag_elpd']}." for name, row in self.table.iterrows() if row["diag_elpd"]]
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return shown(str(self), self.table)

    def to_dict(self) -> dict[str, Any]:
        """The table as nested dictionaries of numbers and strings."""
        return plain({"converged": not self.table["problem"].any(), "fits": self.table.reset_index(names="fit")})


def compare_laws(
    fits: Average | Mapping[str, Fit] | Sequence[Fit], *, share: float | None = None, seed: int = 0
) -> LawComparison:
    """Compare several fits of the same runs, by leave-one-out cross-validation and by the largest runs.

    Log densities of fits whose noise acts on different scales are all made densities of the response itself. Fits of
    counts are compared with fits of counts.

    Parameters
    ----------
    fits : Average, mapping of str to Fit, or sequence of Fit
        The fits; those of an average are compared with each other.
    share : float, optional
        Share of each group's runs to hold out, the largest ones, and to predict from new fits to the others. By default
        no run is held out.
    seed : int
        Random seed of the new fits.

    Returns
    -------
    LawComparison

    Raises
    ------
    TypeError
        If a value is not a fit.
    ValueError
        If there are fewer than two fits, the fits are of different runs, some of counts and some not, or too few runs
        would be left.

    Examples
    --------
    With the fit of `fit`'s example, and one with one law for all groups:

    >>> import warnings
    >>> one = sb.fit(sb.laws.power_floor, runs, pooling="shared", draws=500, discrepancy=None)
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")  # leaving out a run of so few says little
    ...     answer = sb.compare_laws({"each": fit, "one": one})
    >>> sorted(answer.table.index)
    ['each', 'one']
    """
    import arviz_stats

    check_seed(seed)
    if isinstance(fits, Fit):
        raise TypeError("several fits of the same runs are compared; the groups of one fit by sb.compare(fit).")
    named = named_fits(fits.fits if isinstance(fits, Average) else fits)
    checked_alike(named)
    table = arviz_stats.compare(densities(named), method="stacking", round_to="none")
    table = table.rename(columns={"elpd": "elpd_loo", "weight": "weight_loo"})
    score, weights = (pd.Series(float("nan"), index=list(named)) for _ in range(2))
    if share is not None:
        density = held_back(named, share, seed)
        score[:], weights[:] = density.mean(0), stacked(density)
    problems = pd.Series({name: "; ".join(fit.diagnostics.problems) for name, fit in named.items()})
    diagnostics = pooled_diagnostics([fit.diagnostics for fit in named.values()])
    table = table.assign(log_score=score, weight_holdout=weights, problem=problems)
    return LawComparison(table, share or 0.0, diagnostics)
