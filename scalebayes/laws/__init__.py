"""What the field knows: one module per family, one plain function per law, default priors beside them.

A law is a function of its inputs (before ``*``) and its parameters (after it) and returns the expected response. A
function of your own is as good as these::

    def my_law(N, D, U, *, E, A, B, alpha, beta): ...
    sb.fit(my_law, runs, priors={"E": ..., "A": ..., ...})
"""

from collections.abc import Callable, Mapping
from typing import Any

from scalebayes.laws import powers, size_and_data
from scalebayes.laws.powers import *
from scalebayes.laws.signature import Signature, keywords, signature
from scalebayes.laws.size_and_data import *

_FAMILIES = (powers, size_and_data)
PRIORS = {law: priors for family in _FAMILIES for law, priors in family.PRIORS.items()}
ALONG_CURVES, NEAR = powers.ALONG_CURVES, powers.NEAR
OVER_SURFACES = size_and_data.OVER_SURFACES
DERIVED = {law: derived for family in _FAMILIES for law, derived in family.DERIVED.items()}

__all__ = ["DERIVED", "PRIORS", "Signature", "keywords", "named", "signature", *powers.__all__, *size_and_data.__all__]


def priors(law: Callable, beside: str = "", horizon: float = 1.0) -> Mapping:
    """The default priors of a law, empty for one that is not built in.

    Those beside a drift or a surface differ, and beside a drift those of what is asked about far beyond the runs.
    """
    if beside == "drift":
        return powers.along_curves(law, horizon)
    return {"": PRIORS, "surface": OVER_SURFACES}[beside].get(law, {})


def floor(law: Callable, parameters: Mapping, none: Any = 0.0) -> Any:
    """The irreducible loss: the parameter E or what stands for it; ``none`` for a law that falls to zero."""
    if "E" in parameters:
        return parameters["E"]
    derived = DERIVED.get(law, {}).get("E")
    return none if derived is None else derived(**{name: parameters[name] for name in keywords(derived)})


def named(name: str) -> Callable:
    """The built-in law of that name.

    Parameters
    ----------
    name : str
        Such as ``"chinchilla"``.

    Returns
    -------
    Callable

    Raises
    ------
    ValueError
        If there is none; lists those there are.

    Examples
    --------
    >>> named("power").__name__
    'power'
    """
    known = {law.__name__: law for law in PRIORS}
    if name not in known:
        raise ValueError(f"unknown law {name!r}; the built-in laws are {', '.join(sorted(known))}.")
    return known[name]
