"""Further learning-rate schedules that a fit can be asked about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from scalebayes.fits.draws import redescribed
from scalebayes.fits.fit import Fit
from scalebayes.model.model import with_runs

if TYPE_CHECKING:
    import pandas as pd


def with_schedules(fit: Fit, rates: Mapping[str, Any] | pd.DataFrame) -> Fit:
    """The same fit, which also knows further learning-rate schedules.

    Parameters
    ----------
    fit : Fit
        Of a law with a schedule among its inputs.
    rates : mapping of str to array, or pandas.DataFrame
        The rates at steps 1, 2, ... of each further schedule.

    Returns
    -------
    Fit
        With the same draws; its forecasts may name these schedules.

    Raises
    ------
    ValueError
        If no input is a schedule, or another schedule has the same name.

    Examples
    --------
    With a fit of ``annealing`` to runs under a cosine:

    >>> import numpy as np
    >>> other = sb.with_schedules(fit, {"constant": np.full(1000, 3e-4)})
    >>> answer = sb.forecast(other, at={"schedule": ["constant"], "step": [1000]})
    >>> round(float(answer.table["median"].iloc[0]), 3)
    3.243
    """
    model = fit.model
    of = {name: each for name, each in model.runs.inputs.items() if each.schedules is not None}
    if not of:
        raise ValueError(f"{model.name} has no input that is a schedule; it has {', '.join(model.runs.inputs)}.")
    more = {n: replace(each, schedules=each.schedules.with_more(rates)) for n, each in of.items() if each.schedules}
    runs = replace(model.runs, inputs={**model.runs.inputs, **more})
    known = with_runs(model, runs)
    return Fit(known, redescribed(known, fit.idata))
