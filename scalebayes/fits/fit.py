"""Fit: a model and its posterior, summarised and written to a file."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from scalebayes.arguments import check_prob
from scalebayes.files import check_free, write
from scalebayes.fits.bending import Bending
from scalebayes.fits.netcdf import netcdf
from scalebayes.fits.remarks import of_places, remarks, restored
from scalebayes.inference.diagnostics import Diagnostics, diagnose, r_hat_and_ess
from scalebayes.laws import as_law, keywords
from scalebayes.model import Model
from scalebayes.model.structure import Parameter
from scalebayes.notebook import shown

_FEW_GROUPS = 4  # whose parameters are shown one by one


@dataclass(frozen=True, eq=False, repr=False)
class Fit:
    """The posterior of a law given runs.

    Parameters
    ----------
    model : Model
        Law, runs, priors and observation.
    idata : xarray.DataTree
        ``posterior``, ``sample_stats``, ``log_likelihood``, ``observed_data``, ``constant_data``, ``prior``; ready for
        ArviZ's summaries, diagnostics and LOO. The dimensions ``run`` and the group's column carry the labels of the
        table. Attributes hold versions, seed, settings and a hash of the data.
    """

    model: Model
    idata: xr.DataTree

    @property
    def posterior(self) -> xr.Dataset:
        """Draws of every variable, dims (chain, draw[, group])."""
        return self.idata["posterior"].to_dataset()

    @cached_property
    def diagnostics(self) -> Diagnostics:
        """Divergences, r-hat and effective sample size, and remarks on how the runs follow the law."""
        said = (*remarks(self.model, self.bending), *of_places(self.model, self.posterior))
        return replace(diagnose(self.idata), remarks=said)

    @cached_property
    def bending(self) -> Bending | None:
        """Whether the runs follow the law, as `misfit` says it; None if that could not be tested."""
        return restored(self.idata.attrs.get("bending", ""))

    @property
    def modes(self) -> tuple[dict[str, Any], ...]:
        """Separate modes of the posterior that the search for starting points found, the heaviest first.

        Each mode has its ``share`` of the mass (by Laplace's approximation, which is rough), its ``height`` (log
        density) and the law's parameters there, as lists where they have a value per group. Empty if there is only one
        mode.
        """
        return tuple(sorted(json.loads(self.idata.attrs.get("modes", "[]")), key=lambda mode: -mode["share"]))

    def summary(self, prob: float = 0.89) -> pd.DataFrame:
        """Mean, spread and diagnostics of every parameter.

        Parameters of the law are in published units, spreads between groups in logarithms.

        Parameters
        ----------
        prob : float
            Probability of the equal-tailed interval from ``lower`` to ``upper``.

        Returns
        -------
        pandas.DataFrame
            Columns name, group (None where all groups share the value), mean, sd, lower, upper, r_hat, ess_bulk. The
            law's parameters come first, then quantities derived from them, the noise, and the population of the groups.

        Raises
        ------
        ValueError
            If ``prob`` does not lie between 0 and 1.
        """
        check_prob(prob)
        draws = self._reported()
        r_hat, ess = r_hat_and_ess(draws)
        rows = []
        for name in draws.data_vars:
            grouped = self.model.runs.group_name in draws[name].dims
            for level in self.model.runs.levels if grouped else (None,):
                at = {} if level is None else {self.model.runs.group_name: level}
                values = draws[name].sel(at).to_numpy()
                lower, upper = np.quantile(values, [(1 - prob) / 2, (1 + prob) / 2])
                numbers = (values.mean(), values.std(ddof=1), lower, upper, r_hat[name].sel(at), ess[name].sel(at))
                rows.append((name, level, *map(float, numbers)))
        columns = ["name", "group", "mean", "sd", "lower", "upper", "r_hat", "ess_bulk"]
        # As objects, so that pandas does not turn None into NaN.
        return pd.DataFrame(rows, columns=columns).assign(group=pd.Series([row[1] for row in rows], dtype=object))

    def _reported(self) -> xr.Dataset:
        posterior = self.posterior
        derived = {
            name: quantity(**{needed: posterior[needed] for needed in keywords(quantity)})
            for name, quantity in self.model.law.derived.items()
        }
        structure = self.model.structure
        noise = [*structure.owned_by("observation"), *structure.owned_by("discrepancy")]
        pooled = [p for p in structure.parameters if p.pooling == "pooled"]
        population = [name for p in pooled for name in (p.base, *(spread for _, spread, _ in p.deviations))]
        first = posterior[list(structure.owned_by("law"))].assign(derived)
        return first.assign(posterior[[*noise, *sorted(population)]].data_vars)

    def save(self, path: str | os.PathLike, *, overwrite: bool = False) -> None:
        """Write everything to one netCDF file.

        The file is written whole or not at all. `load` reads the fit in another process.

        Parameters
        ----------
        path : path
        overwrite : bool
            Whether a file of that name may be replaced.

        Raises
        ------
        FileExistsError
            If the file exists and ``overwrite`` is false.
        OSError
            If the disk is full or the folder cannot be written; nothing is left, and the fit can be saved elsewhere.
        """
        target = Path(path)
        check_free(target, overwrite, "overwrite=True")
        write(target, netcdf(self.idata))

    def _by_group(self, p: Parameter) -> str:
        """Medians of a parameter of each group, of a few groups; of more their range."""
        name, at = self._named(p)
        levels = self.model.runs.levels
        medians = self.posterior[p.at_reference if at else p.name].median(("chain", "draw")).to_numpy()
        if len(levels) > _FEW_GROUPS:
            return f"{name} {medians.min():.4g} to {medians.max():.4g} in {len(levels)} groups{at}"
        each = ", ".join(f"{level} {value:.4g}" for level, value in zip(levels, medians, strict=True))
        return f"{name} of {each}{at}"

    def _named(self, p: Parameter) -> tuple[str, str]:
        """A parameter's name; of an amplitude its term at a reference scale, which the runs determine, and where."""
        if p.anchor is None or p.anchor.form != "amplitude" or len(p.anchor.terms) > 1:
            return p.name, ""
        ((name, exponent, _),) = p.anchor.terms
        reference = np.ravel(self.model.numbers[f"{p.name}_reference"])
        if np.ptp(reference) > 0:  # separate groups have references of their own
            return p.name, ""
        return f"{p.name} {name}^-{exponent}", f" at {name} = {reference[0]:.3g}"

    def _is_shared(self, name: str) -> bool:
        return self.posterior[name].dims == ("chain", "draw")

    def _said(self, p: Parameter) -> str:
        """A parameter with its interval."""
        name, at = self._named(p)
        return f"{name} {_interval(self.posterior[p.at_reference if at else p.name])}{at}"

    def _repr_html_(self) -> str:
        table = self.summary()
        law = {*self.model.structure.owned_by("law"), *self.model.law.derived}
        table = table[table["name"].isin(law)]
        return shown(repr(self), table.drop(columns="group") if table["group"].isna().all() else table)

    def __repr__(self) -> str:
        runs, attrs = self.model.runs, self.idata.attrs
        groups = f", {len(runs.levels)} groups by {runs.group_name}" if runs.group else ""
        left_out = f", {runs.excluded} rows left out ({runs.where})" if runs.excluded else ""
        shared = [p for p in self.model.structure.parameters if p.owner == "law" and self._is_shared(p.at_reference)]
        apart = [p for p in self.model.structure.parameters if p.owner == "law" and p not in shared]
        values = "; ".join([*map(self._said, shared), *map(self._by_group, apart)])
        departs = self.model.said_discrepancy or "none"
        departs += f" (chosen: {self.model.why})" if self.model.why else ""
        modes = [
            f"  {len(self.modes)} separate modes (shares of the mass about "
            f"{', '.join(f'{mode["share"]:.2f}' for mode in self.modes)}): means and intervals mix them; see modes"
        ]
        return "\n".join(
            [
                f"Fit of {self.model.name}: {self.diagnostics}",
                f"  runs: {len(runs)} from {runs.source}{groups}{left_out}",
                *(modes if self.modes else []),
                f"  parameters (89%): {values}",
                f"  discrepancy: {departs}",
                *(f"  {remark}" for remark in self.diagnostics.remarks),
                *(f"  also {column}: {as_law(each.law).name}" for column, each in self.model.also.items()),
                f"  observation: {attrs['observation']}; seed {attrs['seed']}; data {attrs['data_hash']}",
                f"  scalebayes {attrs['scalebayes']}, pymc {attrs['pymc']}, jax {attrs['jax']}",
            ]
        )


def _interval(draws: xr.DataArray) -> str:
    lower, median, upper = np.quantile(draws, [0.055, 0.5, 0.945])
    return f"{median:.4g} ({lower:.4g} to {upper:.4g})"
