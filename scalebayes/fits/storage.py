"""One netCDF file that holds a fit and everything needed to use it in another process."""

from __future__ import annotations

import inspect
import json
import os
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr

from scalebayes import laws
from scalebayes.discrepancy.discrepancy import Discrepancy
from scalebayes.files import atomically, check_free
from scalebayes.model import Drift, Gaussian, Model, StudentT, Surface
from scalebayes.observations.noise import Noise
from scalebayes.priors import from_plain, to_plain
from scalebayes.runs.runs import Runs

if TYPE_CHECKING:
    from scalebayes.fits.fit import Fit

_PARTS = {cls.__name__: cls for cls in (StudentT, Gaussian, Drift, Surface)}


def describe_model(model: Model) -> dict[str, Any]:
    """A model without its numbers, as nested dictionaries of numbers and strings."""
    try:
        source = inspect.getsource(model.law)
    except (OSError, TypeError):
        source = ""
    runs, noise = model.runs, model.noise
    departs = model.discrepancy
    assert noise is not None
    assert not isinstance(noise, str)
    assert not isinstance(departs, str)
    return {
        "law": model.name,
        "built_in": model.law in laws.PRIORS,
        "law_source": source,
        "inputs": dict(runs.inputs),
        "response": runs.response,
        "group": list(runs.group),
        "tokenizer": runs.tokenizer,
        "evaluation": runs.evaluation,
        "where": runs.where,
        "excluded": runs.excluded,
        "source": runs.source,
        "priors": {name: to_plain(prior) for name, prior in model.priors.items()},
        "discrepancy": departs and _described(departs),
        "horizon": model.horizon,
        "noise": _described(noise),
    }


def plain_number(value: Any) -> Any:
    """A number of NumPy's as Python's own, for JSON."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{value!r} ({type(value).__name__}) has no place in a file.")


def save(fit: Fit, path: str | os.PathLike, overwrite: bool) -> None:
    """Write a fit; see `Fit.save`."""
    target = Path(path)
    check_free(target, overwrite, "overwrite=True")
    with atomically(target) as temporary:
        fit.idata.to_netcdf(temporary, engine="h5netcdf")


def load(path: str | os.PathLike, *, law: Callable | None = None) -> Fit:
    """Read a fit that `Fit.save` wrote.

    Parameters
    ----------
    path : path
    law : Callable, optional
        The law, if it is not built in: functions are not stored, only their source text for the record.

    Returns
    -------
    Fit

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is not one of `Fit.save`, or its law is not built in and not given, or does not match.
    """
    from scalebayes.fits.fit import Fit

    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {str(path)!r}.")
    advice = "a file written by 'scalebayes fit' or Fit.save is needed"
    try:
        with xr.open_datatree(path, engine="h5netcdf") as opened:
            tree = opened.load()
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ValueError(
            f"{path.name} cannot be read ({reason}); it is truncated or no netCDF file: {advice}."
        ) from None
    groups = {"posterior", "sample_stats", "log_likelihood", "observed_data", "constant_data", "prior"}
    if tree.attrs.get("inference_library") != "scalebayes" or not groups <= set(tree.children):
        raise ValueError(f"{path.name} is a netCDF file, but holds no fit of scalebayes; {advice}.")
    described = json.loads(tree.attrs["model"])
    if law is None:
        if not described["built_in"]:
            raise ValueError(
                f"{path.name} holds a fit of {described['law']}, which is not built in; pass the function: "
                f"sb.load({path.name!r}, law={described['law']})."
            )
        law = laws.named(described["law"])
    constants = tree["constant_data"].to_dataset()
    columns = {column: constants[name].to_numpy() for name, column in described["inputs"].items()}
    columns[described["response"]] = constants["response"].to_numpy()
    for place, column in enumerate(described["group"]):
        columns[column] = constants[f"group_{place}"].to_numpy().astype(str)
    for role in ("tokenizer", "evaluation"):
        if described.get(role):
            columns[described[role]] = constants[role].to_numpy().astype(str)
    runs = Runs(
        table=pd.DataFrame(columns, index=pd.Index(constants["run"].to_numpy())),
        inputs=MappingProxyType(described["inputs"]),
        response=described["response"],
        group=tuple(described["group"]),
        tokenizer=described.get("tokenizer"),
        evaluation=described.get("evaluation"),
        named=frozenset(described["inputs"]),
        where=described["where"],
        excluded=described["excluded"],
        source=described["source"],
    )
    priors = {name: from_plain(prior) for name, prior in described["priors"].items()}
    declared = laws.signature(law)
    if set(declared.parameters) != set(priors) or len(declared.inputs) != len(runs.inputs):
        raise ValueError(
            f"{path.name} holds a fit with inputs {', '.join(runs.inputs)} and parameters {', '.join(priors)}; "
            f"the law given is {declared}."
        )
    if not runs.group:
        # Without groups the pooling words have no effect, and Model refuses them from a caller.
        priors = {name: prior.prior for name, prior in priors.items()}
    noise, departs = _made(described["noise"]), _made(described["discrepancy"])
    return Fit(
        Model(law, runs, priors=priors, noise=noise, discrepancy=departs, horizon=described.get("horizon")), tree
    )


def _described(value: Noise | Discrepancy) -> dict[str, Any]:
    return {"is": type(value).__name__} | {f.name: to_plain(getattr(value, f.name)) for f in fields(value)}


def _made(described: dict[str, Any] | None) -> Any:
    if not described:
        return None
    return _PARTS[described["is"]](**{name: from_plain(v) for name, v in described.items() if name != "is"})
