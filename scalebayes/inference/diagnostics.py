"""Whether a sampler converged, in numbers and in a sentence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import xarray as xr

LARGEST_R_HAT = 1.01
SMALLEST_ESS = 400
LARGEST_DIVERGING_SHARE = 0.005


class ConvergenceWarning(UserWarning):
    """The draws do not represent the posterior well."""


@dataclass(frozen=True)
class Diagnostics:
    """What the draws say about themselves.

    Parameters
    ----------
    draws : int
        Over all chains.
    divergences : int
    max_r_hat, min_ess_bulk : float
        Over every variable of the posterior.
    """

    draws: int
    divergences: int
    max_r_hat: float
    min_ess_bulk: float

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong, empty if nothing is."""
        found = []
        if self.divergences > LARGEST_DIVERGING_SHARE * self.draws:
            found.append(f"{self.divergences} of {self.draws} draws diverged")
        if not self.max_r_hat < LARGEST_R_HAT:
            found.append(f"r-hat reaches {self.max_r_hat:.4f} (below {LARGEST_R_HAT} is needed)")
        if not self.min_ess_bulk > SMALLEST_ESS:
            found.append(f"the smallest bulk ESS is {self.min_ess_bulk:.0f} (above {SMALLEST_ESS} is needed)")
        return tuple(found)

    def __str__(self) -> str:
        one = "" if self.divergences == 1 else "s"
        numbers = (
            f"{self.divergences} divergence{one}, max r-hat {self.max_r_hat:.3f}, min bulk ESS {self.min_ess_bulk:.0f} "
            f"over {self.draws} draws"
        )
        return f"NOT CONVERGED: {'; '.join(self.problems)}. {numbers}" if self.problems else numbers


def r_hat_and_ess(posterior: xr.Dataset) -> tuple[xr.Dataset, xr.Dataset]:
    """Rank-normalised split r-hat and bulk ESS of every variable."""
    from arviz_stats import ess, rhat

    return rhat(posterior), ess(posterior)


def worst(posterior: xr.Dataset) -> tuple[float, float]:
    """The largest r-hat and the smallest bulk ESS of all variables."""
    r_hat, ess = r_hat_and_ess(posterior)
    largest = max(float(r_hat[name].max(skipna=False)) for name in r_hat)
    return largest, min(float(ess[name].min(skipna=False)) for name in ess)


def worst_of(variables: Mapping[str, np.ndarray]) -> tuple[float, float]:
    """The largest r-hat and the smallest bulk ESS of arrays with leading dimensions (chain, draw)."""
    return worst(
        xr.Dataset(
            {
                name: (("chain", "draw", *(f"{name}_{i}" for i in range(value.ndim - 2))), value)
                for name, value in variables.items()
            }
        )
    )


def diagnose(idata: xr.DataTree) -> Diagnostics:
    """Read the diagnostics off what the sampler noted, or off the posterior if it is another's."""
    noted = idata.attrs
    if "max_r_hat" in noted:
        largest, smallest = float(noted["max_r_hat"]), float(noted["min_ess_bulk"])
    else:
        largest, smallest = worst(idata["posterior"].to_dataset())
    diverging = idata["sample_stats"]["diverging"].to_numpy()
    return Diagnostics(draws=diverging.size, divergences=int(diverging.sum()), max_r_hat=largest, min_ess_bulk=smallest)
