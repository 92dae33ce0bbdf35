"""Sealed forecasts: written before the results are known, in a file in which no byte can be changed unnoticed."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from scalebayes.arguments import quoted
from scalebayes.checks.ledger import enter, path_of
from scalebayes.files import check_free, check_regular, write
from scalebayes.fits.averaging import Average, members
from scalebayes.fits.digests import content_digest
from scalebayes.fits.fit import Fit
from scalebayes.notebook import shown as in_notebook
from scalebayes.questions.forecast import Forecast
from scalebayes.questions.wording import plain, response, where

FORMAT = 1
_QUANTILES = 199  # of a new run at each point: enough for its CRPS
_BLANK = "0" * 64
_VERSIONS = ("scalebayes", "pymc", "jax", "numpy")
_KEYS = ("format", "seal", "id", "sealed_at", "response", "inputs", "groups", "prob", "levels", "points")


@dataclass(frozen=True, eq=False, repr=False)
class Sealed:
    """The answer of `seal`: what the file says.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    contents : mapping
        Nested dictionaries of numbers and strings:

        - seal, the SHA-256 digest of the file's bytes (with zeros in its own place), and id, which a copy keeps;
        - sealed_at, the time (UTC), and note;
        - law, discrepancy, response, better, inputs and groups with their columns; data and draws, the digests of the
          runs and of the posterior; converged; versions;
        - prob, levels, and points: for each its inputs, group, median and interval of the mean response, and quantiles
          of a new run at these levels.
    """

    path: Path
    contents: Mapping[str, Any]

    def __post_init__(self) -> None:
        object.__setattr__(self, "contents", MappingProxyType(dict(self.contents)))

    def __str__(self) -> str:
        c = self.contents
        lines = [
            f"Sealed on {date(c['sealed_at'])}: {len(c['points'])} forecast{'s' * (len(c['points']) > 1)} of "
            f"{c['response']} by {c['law']}, from data {c['data']}."
        ]
        for point in c["points"][:12]:
            group = f"{point['group']}: " if point["group"] else ""
            lower, upper = point["new_run_lower"], point["new_run_upper"]
            lines.append(
                f"{group}at {where(point['inputs'])} a new run is forecast between {response(lower)} and "
                f"{response(upper)} ({100 * c['prob']:g}%; the mean {response(point['median'])})."
            )
        if len(c["points"]) > 12:
            lines.append(f"... and {len(c['points']) - 12} more points.")
        lines += ["NOT CONVERGED when it was sealed."] if not c["converged"] else []
        lines.append(f"Seal {c['seal'][:16]}; in {self.path}.")
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return in_notebook(str(self))

    def to_dict(self) -> dict[str, Any]:
        """What the file says."""
        return plain(dict(self.contents))


def seal(
    fit: Fit | Average,
    answer: Forecast,
    path: str | os.PathLike,
    *,
    ledger: str | os.PathLike | None = None,
    note: str = "",
    overwrite: bool = False,
) -> Sealed:
    """Write a forecast to a file, before the runs that it is about are trained.

    The file holds the forecast, the digests of data and draws, the law, the versions and the time. Its seal is the
    SHA-256 digest of all its bytes: `score` refuses a file in which one of them was changed. Who changes a forecast and
    seals it again is noticed by the ledger, which remembers every seal.

    Parameters
    ----------
    fit : Fit or Average
        What the forecast was made from.
    answer : Forecast
        The answer of `forecast`.
    path : path
        The file to write, by convention ``.json``.
    ledger : path, optional
        An SQLite file in which all sealed forecasts and their scores accumulate; made if it is not there. Several
        processes may write it at once.
    note : str
        Anything to be kept with the forecast.
    overwrite : bool
        Whether a file of that name may be replaced.

    Returns
    -------
    Sealed

    Raises
    ------
    TypeError
        If it is no fit, or no forecast.
    ValueError
        If the forecast was not made from this fit.
    OSError
        If the file exists and ``overwrite`` is false, or if it or the ledger cannot be written.

    Examples
    --------
    With the fit of `fit`'s example:

    >>> import tempfile, pathlib
    >>> file = pathlib.Path(tempfile.mkdtemp()) / "sealed.json"
    >>> sealed = sb.seal(fit, sb.forecast(fit, at={"C": 1e23}, group="Pythia"), file)
    >>> sealed.contents["law"], len(sealed.contents["points"])
    ('power_floor', 1)
    """
    target, parts = Path(path), members(_fit_of(fit))
    if not isinstance(answer, Forecast):
        raise TypeError(f"what is sealed is the answer of sb.forecast, got {type(answer).__name__}.")
    models = [each.model for each, _ in parts]
    runs = models[0].runs
    name = models[0].name if isinstance(fit, Fit) else f"average of {', '.join(fit.fits)}"
    if answer.law != name or answer.response != runs.response:
        raise ValueError(
            f"the forecast is of {answer.response} by {answer.law}, and the fit is of {runs.response} by {name}: seal "
            "a forecast with the fit it was made from."
        )
    check_free(target, overwrite, "overwrite=True")
    book = None if ledger is None else path_of(ledger)
    levels = (np.arange(_QUANTILES) + 0.5) / _QUANTILES
    new_run = answer.draws["new_run"].to_numpy().reshape(-1, len(answer.table))
    spread = np.quantile(new_run, levels, axis=0).T
    known = (*answer.inputs, "group")
    points = [
        {
            "inputs": {name: row[name] for name in answer.inputs},
            "group": str(row.get("group", "")),
            **{key: value for key, value in row.items() if key not in known},
            "quantiles": spread[i],
        }
        for i, row in enumerate(answer.table.to_dict("records"))
    ]
    attributes = parts[0][0].idata.attrs
    contents = plain(
        {
            "format": FORMAT,
            "seal": _BLANK,
            "id": secrets.token_hex(8),
            "sealed_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "note": note,
            "law": name,
            "discrepancy": [model.said_discrepancy or "none" for model in models],
            "response": runs.response,
            "better": runs.better,
            "inputs": {
                key: {"columns": list(each.columns), "original": list(each.original or ()), "unit": each.unit}
                for key, each in runs.inputs.items()
            },
            "groups": list(map(str, runs.group)),
            "data": "; ".join(dict.fromkeys(model.digest for model in models)),
            "draws": "; ".join(content_digest(each.idata)[:16] for each, _ in parts),
            "weights": [weight for _, weight in parts],
            "seed": attributes["seed"],
            "converged": not answer.diagnostics.problems,
            "versions": {key: str(attributes[key]) for key in _VERSIONS if key in attributes},
            "prob": answer.prob,
            "levels": levels,
            "points": points,
        }
    )
    blank = json.dumps(contents, indent=1, allow_nan=False).encode()
    contents["seal"] = hashlib.sha256(blank).hexdigest()
    write(target, blank.replace(_BLANK.encode(), contents["seal"].encode(), 1))
    sealed = Sealed(target, contents)
    if book is not None:
        enter(book, sealed.contents)
    return sealed


def read_sealed(path: str | os.PathLike) -> Sealed:
    """What a sealed file says.

    Raises
    ------
    OSError
        If there is no such file.
    ValueError
        If it is no sealed forecast, or if a byte of it was changed after it was sealed.
    """
    source = Path(path)
    check_regular(source)
    content = source.read_bytes()
    try:
        contents = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{source.name} is no sealed forecast ({quoted(str(error))}); sb.seal writes one.") from None
    if not isinstance(contents, dict) or not set(contents) >= set(_KEYS):
        raise ValueError(f"{source.name} is no sealed forecast; sb.seal writes one.")
    if not isinstance(contents["format"], int) or contents["format"] > FORMAT:
        raise ValueError(f"{source.name} was sealed by a newer version (format {quoted(contents['format'])}); update.")
    own = str(contents["seal"])
    blank = content.replace(f'"seal": "{own}"'.encode(), f'"seal": "{_BLANK}"'.encode(), 1)
    if hashlib.sha256(blank).hexdigest() != own:
        raise ValueError(
            f"{source.name} was changed after it was sealed on {quoted(date(contents['sealed_at']))}: its bytes do not "
            f"give its seal {quoted(own[:16])}. Score the file as it was sealed."
        )
    return Sealed(source, contents)


def _fit_of(fit: object) -> Fit | Average:
    if not isinstance(fit, Fit | Average):
        raise TypeError(f"the forecast was made from a Fit or Average, got {type(fit).__name__}.")
    return fit


def date(sealed_at: object) -> str:
    """The time of a seal as a person writes it.

    >>> date("2026-12-01T12:12:44+00:00")
    '2026-12-01 12:12 UTC'
    """
    return f"{str(sealed_at)[:16].replace('T', ' ')} UTC"
