"""The folder of a sweep: its plan, and of each fit a file and a row that says which file that is."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from urllib.parse import quote

import numpy as np

from scalebayes.discrepancy import BUILT_IN as TERMS
from scalebayes.files import write
from scalebayes.fits.description import FORMAT, describe_model, plain_number
from scalebayes.fits.fit import Fit
from scalebayes.fits.netcdf import netcdf
from scalebayes.fits.storage import load
from scalebayes.inference.settings import Settings
from scalebayes.model import Model

PLAN = "@sweep.json"  # never the file of a fit, in whose name @ is quoted
_LONGEST = 200  # characters of a file's name
_HOW = "Name another folder, or make the models and settings the same to go on with it."


def open_folder(folder: Path, named: Mapping[str, Model], settings: Settings, seed: int) -> None:
    """Make the folder and its plan, or check that the plan in it is the same.

    Raises
    ------
    ValueError
        If a name is too long, or the folder holds another sweep, a damaged plan or something else.
    """
    for name in named:
        if len(row_file(name)) > _LONGEST:
            raise ValueError(
                f"the name {name[:40]!r}... is too long for a file, whose name would have {len(row_file(name))} "
                f"characters; at most {_LONGEST} are possible."
            )
    plan = {
        "format": FORMAT,
        "settings": {**asdict(settings), "seed": seed},
        "fits": {name: digest(model) for name, model in named.items()},
    }
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"{str(folder)!r} is a file; name a folder for the fits.")
    if (folder / PLAN).is_file():
        _check_same(folder, _plan_of(folder), plan)
        return
    if folder.is_dir() and any(folder.iterdir()):
        raise ValueError(f"folder {str(folder)!r} is not empty and holds no sweep; name a new one.")
    folder.mkdir(parents=True, exist_ok=True)
    _write_json(folder / PLAN, plan)


def done_in(folder: Path, names: Iterable[str]) -> dict[str, dict]:
    """The rows of the fits that are done: those whose file is, byte by byte, the one that was written.

    Warns
    -----
    UserWarning
        If files were changed or damaged: these fits are made again.
    """
    rows, changed = {}, []
    for name in names:
        if not (folder / row_file(name)).is_file():
            continue
        row = _read_row(folder / row_file(name))
        if row is None or (not failed(row) and _bytes_digest(folder / fit_file(name)) != row["file"]):
            changed.append(name)
        elif not failed(row):
            rows[name] = row
    if changed:
        some = ", ".join(map(repr, changed[:3])) + (", ..." if len(changed) > 3 else "")
        warnings.warn(
            f"the files of {len(changed)} fit{'s' if len(changed) > 1 else ''} in {str(folder)!r} are missing, or not "
            f"those that were written ({some}): fitted again.",
            stacklevel=3,
        )
    return rows


def read_fit(folder: Path, name: str, model: Model) -> Fit:
    """A fit from its file.

    Raises
    ------
    FileNotFoundError, ValueError
        If the file is missing or damaged, or holds a fit of another model.
    """
    path = folder / fit_file(name)
    own = [term for term in model.discrepancy if type(term).__name__ not in {each.__name__ for each in TERMS}]
    fit = load(
        path,
        law=model.law,
        observation=model.observation,
        discrepancy=own[0] if own else None,
        also=model.also,
        cost=model.runs.cost if callable(model.runs.cost) else None,
    )
    if digest(fit.model) != digest(model):
        raise ValueError(
            f"{str(path)!r} holds a fit of another model than that of {name!r}: of {fit.model.name} with "
            f"{len(fit.model.runs)} runs. Remove the file, and call fit_many again with the same folder."
        )
    return fit


def write_fit(folder: Path, name: str, result: Fit | str, row: Mapping) -> None:
    """Write a fit and its row; of one that failed only the row."""
    plain = {key: None if isinstance(v, float) and np.isnan(v) else v for key, v in row.items()}
    if isinstance(result, Fit):
        content = netcdf(result.idata)
        write(folder / fit_file(name), content)
        plain["file"] = hashlib.sha256(content).hexdigest()
    # The row is written last: a fit is done once its row is there.
    _write_json(folder / row_file(name), plain)


def failed(row: Mapping) -> bool:
    """Whether a row is that of a fit that failed, and so has no file."""
    return bool(np.isnan(row["max_r_hat"]))


def fit_file(name: str) -> str:
    """The name of the file of a fit."""
    return f"{quote(name, safe=' ,=()+')}.nc"


def row_file(name: str) -> str:
    """The name of the file of a fit's row."""
    return f"{quote(name, safe=' ,=()+')}.json"


def digest(model: Model) -> str:
    """A hash of a model and its data."""
    description = describe_model(model)
    for response in description["responses"]:
        response["law_source"] = ""
    written = json.dumps(description, sort_keys=True, default=plain_number) + model.digest
    return hashlib.sha256(written.encode()).hexdigest()[:16]


def _read_row(path: Path) -> dict | None:
    """A row, or None if it is damaged."""
    try:
        row = json.loads(path.read_text())
        row = {name: np.nan if value is None else value for name, value in row.items()}
        known = failed(row) or isinstance(row["file"], str)
        complete = isinstance(row["converged"], bool) and isinstance(row["problem"], str)
    except (OSError, ValueError, TypeError, AttributeError, KeyError, RecursionError):
        return None
    return row if known and complete else None


def _bytes_digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


def _write_json(path: Path, value: Mapping) -> None:
    write(path, json.dumps(value, indent=1, default=plain_number).encode())


def _plan_of(folder: Path) -> dict:
    try:
        there = json.loads((folder / PLAN).read_text())
        other = there.get("format")
        found = {
            "settings": dict(there["settings"]),
            "fits": {str(name): str(each) for name, each in there["fits"].items()},
        }
    except (OSError, ValueError, TypeError, AttributeError, KeyError, RecursionError):
        raise ValueError(
            f"the plan {PLAN} of the sweep in {str(folder)!r} is damaged. Name another folder; the fits in this one "
            "can be read by sb.load."
        ) from None
    if other != FORMAT:
        raise ValueError(
            f"folder {str(folder)!r} holds a sweep of another version of scalebayes, in format {other} where this one "
            f"writes {FORMAT}. Name another folder."
        )
    return found


def _check_same(folder: Path, there: Mapping, plan: Mapping) -> None:
    differences = [
        f"{name} {there['settings'].get(name)!r} there and {value!r} here"
        for name, value in plan["settings"].items()
        if there["settings"].get(name) != value
    ]
    old, new = there["fits"], plan["fits"]
    for what, names in (
        ("only there", [n for n in old if n not in new]),
        ("only here", [n for n in new if n not in old]),
        ("with other runs, priors or law", [n for n in new if n in old and old[n] != new[n]]),
    ):
        if names:
            some = ", ".join(map(repr, names[:3])) + (", ..." if len(names) > 3 else "")
            differences.append(f"{len(names)} fit{'s' if len(names) > 1 else ''} {what} ({some})")
    if not differences and list(old) != list(new):
        differences.append("the fits in another order")
    if differences:
        raise ValueError(f"folder {str(folder)!r} holds another sweep: {'; '.join(differences)}. {_HOW}")
