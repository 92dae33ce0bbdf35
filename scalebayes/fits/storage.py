"""Reading a fit from its netCDF file, which holds everything that another process needs."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from scalebayes import laws
from scalebayes.arguments import quoted
from scalebayes.discrepancy import Term
from scalebayes.files import check_regular
from scalebayes.fits.description import FORMAT, digest_of, made
from scalebayes.fits.digests import CONTENT, content_digest
from scalebayes.fits.fit import Fit
from scalebayes.fits.netcdf import is_sealed, read_netcdf, root_attributes
from scalebayes.laws import Law, as_law
from scalebayes.model import Model
from scalebayes.model.model import recorded
from scalebayes.model.responses import Response
from scalebayes.observations import Observation
from scalebayes.priors import from_plain
from scalebayes.runs import Input, Runs
from scalebayes.runs.inputs import schedule

_GROUPS = {"posterior", "sample_stats", "log_likelihood", "observed_data", "constant_data", "prior"}
_LONGEST = 1000  # characters of an error
_ADVICE = "a file written by 'scalebayes fit' or Fit.save is needed"


def load(
    path: str | os.PathLike,
    *,
    law: Callable | Law | None = None,
    observation: Observation | None = None,
    discrepancy: Term | None = None,
    also: Mapping[str, Callable | Law | Response] | None = None,
    cost: Callable | None = None,
) -> Fit:
    """Read a fit that `Fit.save` wrote.

    Parameters
    ----------
    path : path
    law, observation, discrepancy : optional
        The caller's own, where they are not built in. A file stores no functions and classes, only their names and
        digests; what is given is compared with these.
    also : mapping of str to law or Response, optional
        The caller's own laws and observations of further responses, by column.
    cost : Callable, optional
        The cost of a run, where it is a function.

    Returns
    -------
    Fit

    Raises
    ------
    OSError
        If there is no such file, or it is a folder or a pipe.
    ValueError
        If the file was not written by `Fit.save`, has another format or was changed since, or if its law is not built
        in and was not given, or does not match.

    Examples
    --------
    With the fit of `fit`'s example:

    >>> from pathlib import Path
    >>> from tempfile import mkdtemp
    >>> path = Path(mkdtemp()) / "fit.nc"
    >>> fit.save(path)
    >>> sb.load(path).posterior.identical(fit.posterior)
    True
    """
    path = Path(path)
    check_regular(path)
    tree = _read(path)
    given = Given(law, observation, discrepancy, also, cost)
    try:
        described = json.loads(tree.attrs["model"])
        model = rebuilt(described, tree["constant_data"].to_dataset(), given, path.name)
    except (KeyError, AttributeError, IndexError, RecursionError, json.JSONDecodeError) as error:
        raise ValueError(
            f"{path.name} holds a fit that is not described as Fit.save does it ({type(error).__name__}: "
            f"{quoted(str(error))}); {_ADVICE}."
        ) from None
    return Fit(model, tree)


def _read(path: Path) -> xr.DataTree:
    """The tree of a file, if it holds a fit of this format as it was written."""
    changed = (
        f"{path.name} was damaged or changed after it was written, or not by Fit.save: its contents are not what was "
        "saved. Take another copy, or fit again."
    )
    try:
        sealed = is_sealed(path)
    except ValueError:
        raise ValueError(changed) from None
    try:
        tree = read_netcdf(path) if sealed else None
        attributes = tree.attrs if tree is not None else root_attributes(path)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError, RecursionError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ValueError(
            f"{path.name} cannot be read ({reason}); it is truncated or no netCDF file: {_ADVICE}."
        ) from None
    library = attributes.get("inference_library")
    if library != "scalebayes" or (tree is not None and not set(tree.children) >= _GROUPS):
        raise ValueError(f"{path.name} is a netCDF file, but holds no fit of scalebayes; {_ADVICE}.")
    check_format(attributes, path.name)
    if tree is None or tree.attrs.pop(CONTENT, None) != content_digest(tree):
        raise ValueError(changed)
    return tree


@dataclass(frozen=True)
class Given:
    """What a caller gives beside a description, which holds no functions and classes; see `load`."""

    law: Callable | Law | None = None
    observation: Observation | None = None
    discrepancy: Term | None = None
    also: Mapping[str, Callable | Law | Response] | None = None
    cost: Callable | None = None


def check_format(attributes: Mapping[Any, Any], file: str) -> None:
    """Refuse a file of another format, and say what to do."""
    found = attributes.get("format_version", 1)
    if found == FORMAT:
        return
    by = attributes.get("scalebayes", "of that time")
    if isinstance(found, int | np.integer) and found > FORMAT:
        raise ValueError(
            f"{file} was written by a newer scalebayes ({by}, format {found}); this one reads format {FORMAT}. Install "
            "that version or a later one."
        )
    raise ValueError(
        f"{file} is in format {quoted(found)}, of an older scalebayes, and this one reads format {FORMAT}: fit again, "
        f"or read it with scalebayes {by}."
    )


def rebuilt(described: dict[str, Any], columns: xr.Dataset, given: Given, file: str) -> Model:
    """A model from its description and the columns of its runs.

    Raises
    ------
    ValueError
        If what is not built in is not given, or does not match.
    """
    try:
        return _rebuilt(described, columns, given, file)
    except ValueError as error:
        if len(str(error)) <= _LONGEST:
            raise
        raise ValueError(f"{str(error)[:_LONGEST]} ...") from None  # words of a file may be of any length


def _rebuilt(described: dict[str, Any], columns: xr.Dataset, given: Given, file: str) -> Model:
    response, *others = described["responses"]
    runs = _runs(columns, described, response, given.cost, file)
    priors: dict[str, Any] = {name: from_plain(prior) for name, prior in described["priors"].items()}
    found = _law(response, given.law, "law={0}", file)
    further = {each["response"]: _further(each, (given.also or {}).get(each["response"]), file) for each in others}
    every = {*found.parameters, *(name for each in further.values() for name in as_law(each.law).parameters)}
    if every != set(priors) or len(found.inputs) != len(runs.inputs):
        raise ValueError(
            f"{file} holds a fit with inputs {', '.join(runs.inputs)} and parameters {', '.join(priors)}; "
            f"the law given is {found.signature}."
        )
    if not runs.group:
        # Without groups the pooling words have no effect, and Model refuses them from a caller.
        priors = {name: prior.prior for name, prior in priors.items()}
    model = Model(
        found,
        runs,
        priors=priors,
        observation=made(response["observation"], given.observation, "observation", file),
        discrepancy=tuple(made(term, given.discrepancy, "discrepancy", file) for term in response["discrepancy"]),
        also=further,
        horizon=described["horizon"],
    )
    return recorded(model, frozenset(described["given"]), described["why"])


def _law(response: dict[str, Any], given: Callable | Law | None, argument: str, file: str) -> Law:
    if given is None:
        if not response["built_in"]:
            raise ValueError(
                f"{file} holds a fit of {response['law']}, which is not built in; pass the function: "
                f"sb.load({file!r}, {argument.format(response['law'])})."
            )
        return as_law(laws.named(response["law"]))
    law = as_law(given)
    if not response["built_in"] and digest_of(law.function) == "" and law.name != response["law"]:
        raise ValueError(  # a function whose source cannot be read is known by its name alone
            f"{file} holds a fit of {response['law']}, and the function given is called {law.name}."
        )
    if not response["built_in"] and response["law_digest"] != digest_of(law.function) != "":
        raise ValueError(
            f"{file} holds a fit of another function called {response['law']}: the source or the constants of the "
            "one given differ. Pass the function that was fitted, or fit again."
        )
    return Law(law.function, floor=response["floor"] or None) if law.floor is None else law


def _further(response: dict[str, Any], given: Callable | Law | Response | None, file: str) -> Response:
    each = given if isinstance(given, Response) or given is None else Response(given)
    law = _law(response, None if each is None else each.law, f"also={{{response['response']!r}: {{0}}}}", file)
    observation = made(response["observation"], None if each is None else each.observation, "observation", file)
    return Response(law, observation, response["better"])


def _runs(columns: xr.Dataset, described: dict, response: dict, cost: Callable | None, file: str) -> Runs:
    table: dict[str, Any] = {}
    inputs = {}
    for name, each in response["inputs"].items():
        if each.get("schedules"):
            table[each["columns"][0]] = columns[name].to_numpy().astype(str)
            table |= {column: columns[f"{name}_step"].to_numpy() for column in each["columns"][1:]}
            ends = np.cumsum(list(each["schedules"].values()))[:-1]
            rates = dict(zip(each["schedules"], np.split(columns[f"{name}_rates"].to_numpy(), ends), strict=True))
            inputs[name] = schedule(each["columns"][0], rates, step=next(iter(each["columns"][1:]), None))
            continue
        values = columns[name].to_numpy()
        parts = values.T if each["vector"] else [values]
        table |= dict(zip(each["columns"], parts, strict=True))
        inputs[name] = Input(
            tuple(each["columns"]) if each["vector"] else each["columns"][0],
            each["kind"],
            each["unit"],
            error=each.get("error", 0.0),
            original=tuple(each["original"]) if "original" in each else None,
        )
    table[response["response"]] = columns["response"].to_numpy()
    for i, column in enumerate(described["group"]):
        table[column] = columns[f"group_{i}"].to_numpy().astype(str)
    if described.get("run"):
        table[described["run"]] = columns["run"].to_numpy()
    for role in ("tokenizer", "evaluation"):
        if described[role]:
            table[described[role]] = columns[role].to_numpy().astype(str)
    for name, variable in columns.items():
        if str(name).endswith("_column") or str(name).startswith(("response_", "covariate_")) or name == "cost":
            table[variable.attrs["column"]] = variable.to_numpy()
    by = described["cost"]
    if isinstance(by, dict):
        if cost is None or by["function"] != digest_of(cost) != "":
            raise ValueError(
                f"{file} holds a fit whose cost of a run is a function; pass it: sb.load({file!r}, cost=...)."
            )
        by = cost
    return Runs(
        table=pd.DataFrame(table, index=pd.Index(columns["run"].to_numpy())),
        inputs=inputs,
        response=response["response"],
        group=tuple(described["group"]),
        run=described.get("run"),
        tokenizer=described["tokenizer"],
        evaluation=described["evaluation"],
        better=response["better"],
        cost=by,
        named=frozenset(inputs),
        where=described["where"],
        excluded=described["excluded"],
        source=described["source"],
    )
