"""A model as a file stores it: words, numbers and columns, and no code."""

from __future__ import annotations

import ast
import hashlib
import inspect
import textwrap
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import numpy as np

from scalebayes import laws
from scalebayes.discrepancy import BUILT_IN as TERMS
from scalebayes.laws import Law, as_law
from scalebayes.model import Model
from scalebayes.observations import BUILT_IN as OBSERVATIONS
from scalebayes.observations import Scale, check_observation
from scalebayes.priors import from_plain, to_plain
from scalebayes.runs.runs import schedule_of

FORMAT = 6
_PARTS = {cls.__name__: cls for cls in (*OBSERVATIONS, *TERMS)}


def describe_model(model: Model) -> dict[str, Any]:
    """A model without the columns of its runs, as nested dictionaries of numbers and strings."""
    runs = model.runs
    response = _law_of(as_law(model.law)) | {
        "inputs": {
            name: {
                "columns": list(map(str, each.columns)),
                "vector": each.is_vector,
                "kind": each.kind,
                "unit": each.unit,
                "error": each.error,
                **({"original": list(each.original)} if each.original else {}),
                "schedules": {} if each.schedules is None else {n: len(r) for n, r in each.schedules.rates.items()},
            }
            for name, each in runs.inputs.items()
        },
        "response": runs.response,
        "better": runs.better,
        "observation": described(model.observation),
        "discrepancy": [described(term) for term in model.discrepancy],
    }
    further = [
        _law_of(as_law(each.law))
        | {"response": column, "better": each.better, "observation": described(each.observation)}
        for column, each in model.also.items()
    ]
    return {
        "responses": [response, *further],
        "group": list(runs.group),
        "run": runs.run,
        "tokenizer": runs.tokenizer,
        "evaluation": runs.evaluation,
        "cost": runs.cost if runs.cost is None or isinstance(runs.cost, str) else {"function": digest_of(runs.cost)},
        "where": runs.where,
        "excluded": runs.excluded,
        "source": runs.source,
        "priors": {name: to_plain(prior) for name, prior in model.priors.items()},
        "given": sorted(model.given),
        "horizon": model.horizon,
        "why": model.why,
    }


def _law_of(law: Law) -> dict[str, Any]:
    return {
        "law": law.name,
        "built_in": laws.is_built_in(law),
        "law_source": source_of(law.function),
        "law_digest": digest_of(law.function),
        "floor": law.floor if isinstance(law.floor, str) else "",
    }


def columns_of(model: Model) -> dict[str, tuple]:
    """The columns of the runs that a fit uses, as variables of a dataset along ``run``."""
    runs = model.runs
    found: dict[str, tuple] = {}
    for name, each in runs.inputs.items():
        if each.schedules is not None:
            names, steps = schedule_of(runs.table, each)
            found[name] = ("run", np.asarray(names, str), {"column": each.columns[0]})
            if steps is not None:
                found[f"{name}_step"] = ("run", steps, {"column": each.columns[1]})
            found[f"{name}_rates"] = (f"{name}_rate", np.concatenate(list(each.schedules.rates.values())))
            continue
        dims = ("run", f"{name}_part") if each.is_vector else ("run",)
        found[name] = (dims, runs.x(name), {"column": each.label})
    for i, column in enumerate(runs.group):
        found[f"group_{i}"] = ("run", np.asarray(runs.table[column].astype(str), str))
    found["response"] = ("run", runs.y, {"column": runs.response})
    for role, named in (("tokenizer", runs.tokenizer), ("evaluation", runs.evaluation)):
        if named is not None:
            found[role] = ("run", np.asarray(runs.table[named].astype(str), str), {"column": named})
    for role, name in model.observation.columns.items():
        found[f"{role}_column"] = ("run", runs.column(name), {"column": name})
    for name, each in runs.inputs.items():
        if isinstance(each.error, str):
            found[f"{name}_error_column"] = ("run", runs.column(each.error), {"column": each.error})
    for i, column in enumerate(model.covariates):
        found[f"covariate_{i}"] = ("run", runs.column(column), {"column": column})
    for i, (column, further) in enumerate(model.also.items(), 2):
        found[f"response_{i}"] = ("run", runs.column(column), {"column": column})
        for role, name in check_observation(further.observation).columns.items():
            found[f"{role}_{i}_column"] = ("run", runs.column(name), {"column": name})
    if isinstance(runs.cost, str):
        found["cost"] = ("run", runs.column(runs.cost), {"column": runs.cost})
    return found


def described(part: Any) -> dict[str, Any]:
    """An observation or a discrepancy term: the name of its class, and its fields."""
    values = {f.name: getattr(part, f.name) for f in fields(part)}
    plain = {name: value.name if isinstance(value, Scale) else to_plain(value) for name, value in values.items()}
    return {"is": type(part).__name__} | plain


def made(description: dict[str, Any], given: Any, what: str, file: str) -> Any:
    """The observation or term that `described` wrote down.

    Parameters
    ----------
    description : dict
        From `described`.
    given : object
        The caller's own observation or term, where its class is not the package's.
    what, file : str
        The kind of the part and the name of the file, for messages.

    Raises
    ------
    ValueError
        If the class is not the package's and nothing was given, or if what was given differs.
    """
    name = description["is"]
    if name in _PARTS:
        return _PARTS[name](**{key: from_plain(value) for key, value in description.items() if key != "is"})
    if given is None:
        raise ValueError(
            f"{file} holds a fit with the {what} {name}, which is not built in; pass it: "
            f"sb.load({file!r}, {what}={name}(...))."
        )
    if described(given) != description:
        raise ValueError(f"{file} holds a fit with the {what} {description}; the one given is {described(given)}.")
    return given


def source_of(function: Callable) -> str:
    """The source of a function; empty where there is none."""
    try:
        return inspect.getsource(function)
    except (OSError, TypeError):
        return ""


def digest_of(function: Callable) -> str:
    """A hash of a function: of its source without comments and layout, and of the constants in its closure.

    Empty where there is no source.
    """
    try:
        written = ast.dump(ast.parse(textwrap.dedent(source_of(function)).strip()))
    except SyntaxError:  # a lambda inside a call
        written = source_of(function)
    if not written or written == "Module()":
        return ""
    return hashlib.sha256(f"{written} {sorted(constants_of(function).items())}".encode()).hexdigest()[:16]


def constants_of(function: Callable) -> dict[str, str]:
    """What is in a function's closure, which its source does not show: numbers, strings, functions, lists."""
    found = {}
    for name, cell in (
        zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
        if hasattr(function, "__code__")
        else ()
    ):
        if said := _said(cell.cell_contents):
            found[name] = said
    return found


def _said(value: Any) -> str:
    if isinstance(value, str | int | float | np.generic):
        return repr(value)
    if isinstance(value, dict):
        return repr(sorted((str(name), _said(each)) for name, each in value.items()))
    if isinstance(value, list | tuple):
        return repr([_said(each) for each in value])
    return digest_of(value) if inspect.isfunction(value) else ""


def plain_number(value: Any) -> Any:
    """A NumPy number as a Python number, for JSON."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{value!r} ({type(value).__name__}) cannot be written to a file.")
