"""The record of a fit: what is needed to judge it and to make it again, as text and as JSON."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import xarray as xr

from scalebayes.arguments import quoted
from scalebayes.checks.answer import Backtest
from scalebayes.discrepancy import Term
from scalebayes.files import check_free, check_regular, write
from scalebayes.fits.description import FORMAT, columns_of, describe_model
from scalebayes.fits.digests import content_digest
from scalebayes.fits.fit import Fit
from scalebayes.fits.sampling import sample
from scalebayes.fits.storage import Given, check_format, rebuilt
from scalebayes.laws import Law
from scalebayes.laws.catalogue import described
from scalebayes.model.responses import Response
from scalebayes.observations import Observation
from scalebayes.questions.misfit import misfit
from scalebayes.questions.wording import number, plain
from scalebayes.questions.wording import response as of_response

_VERSIONS = ("scalebayes", "pymc", "pytensor", "jax", "arviz", "numpy")
_KEYS = ("format_version", "settings", "model", "data")


@dataclass(frozen=True, eq=False, repr=False)
class Record:
    """The answer of `record`.

    Parameters
    ----------
    contents : mapping
        Nested dictionaries of numbers and strings: law, inputs, response, runs, noise, priors, sampler, convergence,
        parameters, misfit, backtest, versions, digests; and what `redo` reads: format_version, settings, model, data.
    """

    contents: Mapping[str, Any]

    def __post_init__(self) -> None:
        object.__setattr__(self, "contents", MappingProxyType(dict(self.contents)))

    def __str__(self) -> str:
        c = self.contents
        law, runs, sampler, found = c["law"], c["runs"], c["sampler"], c["convergence"]
        lines = [f"Law: {law['name']}({', '.join(law['inputs'])}; {', '.join(law['parameters'])})"]
        if law["equation"]:
            lines.append(f"  {law['equation']}")
        lines += [f"  source: {', '.join(law['source'])}"] if law["source"] else []
        lines += [f"  code: {line}" for line in law["code"].splitlines()] if law["code"] else []
        for name, each in c["inputs"].items():
            unit = f", counted in {each['unit']}" if each["unit"] else ""
            error = f", with errors {each['error']}" if each["error"] else ""
            lines.append(f"Input {name}: column {each['column']}{unit}{_range(each)}{error}")
        for each in c["responses"]:
            lines.append(f"Response: column {each['column']}, {each['better']} is better{_range(each)}")
        by = f" by {', '.join(runs['grouped_by'])}" if runs["groups"] else ""
        groups = ", ".join(f"{name} ({n})" for name, n in runs["groups"].items())
        lines.append(f"Runs: {runs['number']} from {runs['source']}" + (f"; groups{by}: {groups}" if groups else ""))
        where = f"where {runs['where']}" if runs["where"] else "no condition"
        lines.append(f"  left out: {runs['left_out']} rows ({where})")
        lines.append(f"  outliers, whose noise is widened: {', '.join(map(str, runs['outliers'])) or 'none'}")
        lines.append(f"Noise: {c['noise']}")
        lines.append(f"Discrepancy: {c['discrepancy']}")
        lines.append("Priors (* given, others by default):")
        lines += [f"  {name}{'*' if each['given'] else ''}: {each['prior']}" for name, each in c["priors"].items()]
        lines.append(
            f"Sampler: {sampler['method']}, {sampler['chains']} chains of {sampler['draws']} draws after "
            f"{sampler['warmup']} of warm-up, target acceptance {sampler['target_accept']:g}, seed {sampler['seed']}"
        )
        lines.append(
            f"Convergence: max r-hat {found['max_r_hat']:.3f}, min ESS {found['min_ess_bulk']:.0f} (bulk) and "
            f"{found['min_ess_tail']:.0f} (tail), {found['divergences']} divergences"
            + ("" if not found["problems"] else f"; NOT CONVERGED: {'; '.join(found['problems'])}")
        )
        lines.append("Parameters (mean, 89% interval):")
        lines += [
            f"  {row['name']}{'[' + row['group'] + ']' if row.get('group') else ''}: {number(row['mean'])} "
            f"({number(row['lower'])} to {number(row['upper'])})"
            for row in c["parameters"]
        ]
        lines += [f"Misfit: {line}" for line in c["misfit"]["says"]]
        lines += [f"Back-test: {line}" for line in c["backtest"]] or ["Back-test: none given with this record"]
        lines.append(f"Versions: {', '.join(f'{name} {each}' for name, each in c['versions'].items())}")
        lines.append(f"Digests: data {c['digests']['data']}, draws {c['digests']['draws']}")
        return "\n".join(lines)

    __repr__ = __str__

    def to_dict(self) -> dict[str, Any]:
        """Nested dictionaries of numbers and strings, for JSON."""
        return plain(dict(self.contents))

    def save(self, path: str | os.PathLike, *, overwrite: bool = False) -> None:
        """Write the record to a JSON file, which `redo` reads.

        Parameters
        ----------
        path : path
        overwrite : bool
            Whether a file of that name may be replaced.

        Raises
        ------
        OSError
            If the file exists and ``overwrite`` is false, or cannot be written.
        """
        check_free(Path(path), overwrite, "overwrite=True")
        write(Path(path), json.dumps(self.to_dict(), indent=1, allow_nan=False).encode())


def record(fit: Fit, *, backtest: Backtest | None = None) -> Record:
    """Everything that a report of a fit needs, and what makes it again.

    The law with its equation, what each input counts, ranges of the runs, rows left out, noise, discrepancy, priors,
    sampler, convergence, parameters, misfit, versions, seed and digests. The data are part of the record (in `to_dict`
    and `save`, not in the text), so that `redo` needs nothing else.

    Parameters
    ----------
    fit : Fit
    backtest : Backtest, optional
        How such a fit forecast runs that were held out, see `backtest`.

    Returns
    -------
    Record

    Raises
    ------
    TypeError
        If it is no fit, or no back-test.

    Examples
    --------
    With the fit of `fit`'s example:

    >>> said = sb.record(fit)
    >>> said.contents["law"]["name"], said.contents["runs"]["number"]
    ('power_floor', 20)
    """
    if not isinstance(fit, Fit):
        raise TypeError(f"record is about a fit, from sb.fit, got {type(fit).__name__}.")
    if not (backtest is None or isinstance(backtest, Backtest)):
        raise TypeError(f"backtest is the answer of sb.backtest, got {type(backtest).__name__}.")
    model, attributes = fit.model, fit.idata.attrs
    runs, found, description = model.runs, fit.diagnostics, describe_model(model)
    misfits = misfit(fit)
    own = misfits.table["outlier"]
    table = fit.summary()
    written = _law(model.law, description["responses"][0])
    return Record(
        {
            "format_version": FORMAT,
            "law": written,
            "inputs": {
                name: {
                    "column": each.label,
                    "kind": each.kind,
                    "unit": each.unit,
                    "error": each.error,
                    **({} if each.schedules is not None else _ends(runs.x(name))),
                }
                for name, each in runs.inputs.items()
            },
            "responses": [
                {"column": column, "better": better, **_ends(runs.column(column))}
                for column, better in [
                    (runs.response, runs.better),
                    *((column, each.better) for column, each in model.also.items()),
                ]
            ],
            "runs": {
                "number": len(runs),
                "source": runs.source,
                "where": runs.where,
                "left_out": runs.excluded,
                "grouped_by": list(runs.group),
                "groups": dict(zip(runs.levels, runs.group_sizes, strict=True)) if runs.group else {},
                "tokenizer": runs.tokenizer,
                "evaluation": runs.evaluation,
                "outliers": misfits.table["run"][own].tolist(),
            },
            "noise": str(model.observation),
            "discrepancy": (model.said_discrepancy or "none") + (f" (chosen: {model.why})" if model.why else ""),
            "horizon": model.horizon,
            "priors": {
                name: {"prior": str(prior), "given": name in model.given} for name, prior in model.priors.items()
            },
            "sampler": {
                "method": "Hamiltonian Monte Carlo",
                "chains": fit.posterior.sizes["chain"],
                "draws": fit.posterior.sizes["draw"],
                "warmup": attributes["warmup"],
                "target_accept": attributes["target_accept"],
                "seed": attributes["seed"],
            },
            "convergence": {
                "max_r_hat": found.max_r_hat,
                "min_ess_bulk": found.min_ess_bulk,
                "min_ess_tail": found.min_ess_tail,
                "divergences": found.divergences,
                "problems": list(found.problems),
                "remarks": list(found.remarks),
            },
            "parameters": table.to_dict("records"),
            "misfit": {
                "says": str(misfits).splitlines()[:-1],
                "p": misfits.p,
                "surprising": misfits.surprising["run"].tolist(),
            },
            "backtest": [] if backtest is None else str(backtest).splitlines(),
            "versions": {"python": platform.python_version()}
            | {name: attributes[name] for name in _VERSIONS if name in attributes},
            "digests": {"data": attributes["data_hash"], "draws": content_digest(fit.idata)[:16]},
            "settings": json.loads(attributes["settings"]) | {"seed": attributes["seed"]},
            "model": description,
            "data": _columns(model),
        }
    )


def redo(
    source: Record | str | os.PathLike,
    *,
    law: Callable | Law | None = None,
    observation: Observation | None = None,
    discrepancy: Term | None = None,
    also: Mapping[str, Callable | Law | Response] | None = None,
    cost: Callable | None = None,
    progress: bool | None = None,
) -> Fit:
    """Make a fit again from its record alone.

    On the same machine with the same versions the draws are the same; elsewhere they agree within their Monte Carlo
    error.

    Parameters
    ----------
    source : Record or path
        A record, or the file that `Record.save` wrote.
    law, observation, discrepancy, also, cost : optional
        The caller's own, see `load`: a record holds no functions and classes.
    progress : bool, optional
        Whether to show a progress bar; by default only on a terminal.

    Returns
    -------
    Fit

    Raises
    ------
    OSError
        If there is no such file.
    ValueError
        If it is no record, if its data are not those of the digest in it, or if its law is not built in and was not
        given.

    Examples
    --------
    With the fit of `fit`'s example:

    >>> again = sb.redo(sb.record(fit))
    >>> again.posterior.identical(fit.posterior)
    True
    """
    contents, name = (source.to_dict(), "the record") if isinstance(source, Record) else _read(Path(source))
    try:
        check_format({**contents.get("versions", {}), "format_version": contents["format_version"]}, name)
        given = Given(law, observation, discrepancy, also, cost)
        model = rebuilt(contents["model"], _dataset(contents["data"]), given, name)
        settings, digest = dict(contents["settings"]), contents["digests"]["data"]
    except (KeyError, AttributeError, IndexError, TypeError, RecursionError) as error:
        reason = f"{type(error).__name__}: {quoted(str(error))}"
        raise ValueError(f"{name} is no record of a fit ({reason}); sb.record(fit).save writes one.") from None
    if model.digest != digest:
        raise ValueError(
            f"the data in {name} were changed: their digest is {model.digest}, and it says {quoted(digest)}."
        )
    known = ("draws", "chains", "warmup", "target_accept", "ess", "max_draws", "seed")
    if set(settings) != set(known):
        raise ValueError(f"{name} is no record of a fit: its settings are {', '.join(map(str, settings))}.")
    return sample(model, progress=progress, **{key: settings[key] for key in known})


def _read(path: Path) -> tuple[dict[str, Any], str]:
    check_regular(path)
    try:
        contents = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path.name} is no record of a fit ({quoted(str(error))}).") from None
    if not isinstance(contents, dict) or not set(contents) >= set(_KEYS):
        raise ValueError(f"{path.name} is no record of a fit; sb.record(fit).save writes one.")
    return contents, path.name


def _law(law: Law, description: Mapping[str, Any]) -> dict[str, Any]:
    words = {"name": law.name, "inputs": list(law.inputs), "parameters": list(law.parameters)}
    if not description["built_in"]:
        return words | {"equation": "", "source": [], "code": description["law_source"]}
    found = described(law)
    return words | {"equation": found["equation"], "source": found["source"], "code": ""}


def _ends(values: np.ndarray) -> dict[str, float]:
    return {"lowest": float(np.nanmin(values)), "highest": float(np.nanmax(values))}


def _range(each: Mapping[str, Any]) -> str:
    if "lowest" not in each:
        return ""
    return f", {of_response(each['lowest'])} to {of_response(each['highest'])}"


def _columns(model: Any) -> dict[str, Any]:
    """The columns of the runs, as lists."""
    found = {"run": {"dims": ["run"], "values": model.coords()["run"].tolist(), "attributes": {}}}
    for name, (dims, values, *attributes) in columns_of(model).items():
        found[name] = {
            "dims": [dims] if isinstance(dims, str) else list(dims),
            "values": np.asarray(values).tolist(),
            "attributes": attributes[0] if attributes else {},
        }
    return found


def _dataset(columns: Mapping[str, Any]) -> xr.Dataset:
    """The columns that `_columns` wrote down; None is a missing number."""
    variables = {}
    for name, each in columns.items():
        values = np.asarray(each["values"])
        values = values.astype(float) if values.dtype == object else values
        variables[name] = (tuple(each["dims"]), values, each["attributes"])
    try:
        return xr.Dataset({n: v for n, v in variables.items() if n != "run"}, coords={"run": variables["run"]})
    except ValueError as error:
        raise ValueError(f"the data of a record are columns of equal length: {quoted(str(error), 200)}.") from None
