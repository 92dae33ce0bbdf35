"""Distributions of PyMC and PreliZ as priors, where a prior here says the same."""

from __future__ import annotations

import math
from typing import Any

from scalebayes.priors.values import Gamma, LogNormal, Normal, Prior, Share

_MAPPED = "Normal, LogNormal, Gamma and LogitNormal"


def from_elsewhere(prior: Any) -> Prior | Any:
    """The prior that says the same as a distribution of PyMC (``pm.Normal.dist(0.3, 0.1)``) or PreliZ.

    Whatever is no such distribution is returned as it is.

    Raises
    ------
    ValueError
        If it is a distribution of another kind, or of numbers that are not known, or of several.
    """
    module = type(prior).__module__.partition(".")[0]
    if module == "preliz":
        kind = type(prior).__name__
        names = {"Gamma": ("alpha", "beta")}.get(kind, ("mu", "sigma"))
        numbers = [getattr(prior, name, None) for name in names]
        return _prior(f"preliz.{kind}", kind, numbers)
    if module == "pytensor":
        return _of_pymc(prior)
    return prior


def _of_pymc(variable: Any) -> Prior:
    """A variable of PyMC's, whose numbers are constants of its graph."""
    owner = getattr(variable, "owner", None)
    kind = type(owner.op).__name__.removesuffix("RV") if owner else ""
    said = f"pymc.{kind}" if kind else "a variable that no distribution made"
    if owner is None or not hasattr(owner.op, "dist_params"):
        raise ValueError(f"{said} is no prior here: write pm.Normal.dist(...), or one of {_MAPPED}.")
    numbers = [_number(each) for each in owner.op.dist_params(owner)]
    if kind == "Gamma" and len(numbers) == 2 and numbers[1] is not None:
        numbers[1] = 1 / numbers[1]  # a scale in the graph, a rate in the prior
    return _prior(said, kind, numbers)


def _number(variable: Any) -> Any:
    """The value of a part of the graph; None if it depends on something that is not known."""
    from pytensor.graph.basic import Constant
    from pytensor.graph.traversal import ancestors

    unknown = any(each.owner is None and not isinstance(each, Constant) for each in ancestors([variable]))
    return None if unknown else variable.eval()


def _prior(said: str, kind: str, numbers: list[Any]) -> Prior:
    if kind not in ("Normal", "LogNormal", "Gamma", "LogitNormal"):
        raise ValueError(
            f"{said} has no counterpart among the priors here; {_MAPPED} have. For a positive parameter take "
            "sb.LogNormal(median=..., spread=...)."
        )
    if any(each is None or getattr(each, "size", 1) != 1 for each in numbers):
        raise ValueError(
            f"{said} is a prior here if each of its parameters is a single known number; for a value per group write "
            "sb.pooled(prior, spread=...) or sb.separate(prior)."
        )
    first, second = (float(str(each)) for each in numbers)  # 0.1 in single precision is meant as 0.1
    match kind:
        case "Normal":
            return Normal(first, second)
        case "LogNormal":
            return LogNormal(math.exp(first), second)
        case "Gamma":
            return Gamma(first, second)
    return Share(first, second)
