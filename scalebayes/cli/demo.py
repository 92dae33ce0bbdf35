"""The demonstration: a forecast of the largest published models from the smaller ones, on the bundled table."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from scalebayes import laws
from scalebayes.fits.fit import Fit
from scalebayes.fits.sampling import fit
from scalebayes.questions.forecast import Forecast, forecast
from scalebayes.questions.wording import factor
from scalebayes.runs.published import pile_families
from scalebayes.runs.reading import read_runs


@dataclass(frozen=True, eq=False)
class Demo:
    """A fit to the smaller models, the forecast of the largest ones, and their published losses.

    Parameters
    ----------
    fit : Fit
    forecast : Forecast
        One point per family.
    held_back : pandas.DataFrame
        The largest model of each family.
    published : dict of str to float
        Test loss of each family's largest model.
    """

    fit: Fit
    forecast: Forecast
    held_back: pd.DataFrame
    published: dict[str, float]

    def __str__(self) -> str:
        lines = [
            "Three published families of language models, test loss on the Pile (nats per token) over training "
            "compute.",
            "The largest model of each was held out; this is its forecast from the smaller ones:",
            "",
        ]
        hits, outside = 0, []
        for row in self.forecast.table.to_dict("records"):
            reached = self.published[row["group"]]
            held = row["new_run_lower"] <= reached <= row["new_run_upper"]
            hits += held
            outside += [] if held else [self._why(row["group"])]
            lines.append(
                f"  {row['group']:<17} {factor(row['extrapolation']):>5} the compute: forecast {row['median']:.3f}, "
                f"89% for a new run {row['new_run_lower']:.3f} to {row['new_run_upper']:.3f}; "
                f"published {reached:.3f} ({'inside' if held else 'OUTSIDE'})"
            )
        lines += [
            "",
            f"{hits} of {len(self.published)} inside; of so many 89% bands one or more misses with probability "
            f"{1 - 0.89 ** len(self.published):.2f}.",
            *outside,
            f"({self.fit.diagnostics})",
        ]
        return "\n".join(lines)

    def _why(self, family: str) -> str:
        """How the step to the largest model differs from the last step before it, in powers of compute."""
        runs = self.fit.model.runs
        rows = runs.rows(family)
        order = rows[np.argsort(runs.x("C")[rows])][-2:]
        largest = self.held_back[self.held_back["family"] == family].iloc[0]
        both = (runs.x("C"), largest["flops"]), (runs.y, largest["loss"])
        c, y = (np.log([*known[order], last]) for known, last in both)
        before, after = -np.diff(y) / np.diff(c)
        return (
            f"{family} is outside because its last step is unlike the one before: its loss falls with compute to the "
            f"power {after:.3f}, after {before:.3f}; the bands expect slopes to go on, or to change slowly."
        )


def run(seed: int = 0) -> Demo:
    """Fit a power law with a floor, pooled over families, to the smaller models of each family.

    Parameters
    ----------
    seed : int

    Returns
    -------
    Demo
    """
    table = pile_families()
    largest = table.groupby("family")["flops"].transform("max") == table["flops"]
    runs = read_runs(table[~largest], inputs={"C": "flops"}, response="loss", group="family", run="model")
    posterior = fit(laws.power_floor, runs, seed=seed)
    targets = table[largest]
    return Demo(
        posterior,
        forecast(posterior, at=targets, seed=seed),
        targets,
        dict(zip(targets["family"], targets["loss"], strict=True)),
    )
