"""The built-in laws in words: what their docstrings say of them, for a list or a page."""

from __future__ import annotations

import inspect
import re
from typing import Any

from scalebayes.laws import FAMILIES
from scalebayes.laws.law import Law


def catalogue() -> list[dict[str, Any]]:
    """Every built-in law, in the order of the families.

    Returns
    -------
    list of dict
        With ``family``, ``name``, ``inputs``, ``parameters``, ``says`` (a sentence), ``equation`` (TeX) and ``source``
        (papers).

    Examples
    --------
    >>> first = catalogue()[0]
    >>> first["name"], first["equation"], first["source"]
    ('power', 'L(x) = A x^{-\\\\alpha}', ['arXiv:2001.08361'])
    """
    return [described(law) for family in FAMILIES for law in family.LAWS]


def described(law: Law) -> dict[str, Any]:
    """A built-in law in words, see `catalogue`."""
    family = next(each for each in FAMILIES if any(law.function is own.function for own in each.LAWS))
    text = inspect.getdoc(law.function) or ""
    # An equation is on the line of the directive, or the paragraph after it.
    after = text.split(".. math::")[1].split("\n\n")
    equation = next(part for part in after if part.strip())
    notes = text.split("Notes\n-----\n")[1].split("\n\nExamples")[0]
    return {
        "family": (family.__doc__ or "").splitlines()[0].rstrip("."),
        "name": law.name,
        "inputs": law.inputs,
        "parameters": law.parameters,
        "says": text.splitlines()[0],
        "equation": " ".join(equation.replace("&=", "=").replace("\\\\", "").split()).rstrip(","),
        "source": [f"arXiv:{found}" for found in dict.fromkeys(re.findall(r"arXiv:(\d+\.\d+)", notes))],
    }
