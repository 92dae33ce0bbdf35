"""Scaling laws: a module for each family, a plain function for each law, and beside it what the other rooms need.

A law is a function of its inputs (before ``*``) and its parameters (after it). It returns the expected response. A
function of your own is as good as these::

    def my_law(N, D, U, *, L_inf, A, B, alpha, beta): ...
    sb.fit(sb.Law(my_law, floor="L_inf"), runs, priors={"L_inf": ..., "A": ..., ...})
"""

from collections.abc import Callable, Mapping

from scalebayes.arguments import nearest, quoted
from scalebayes.laws import (
    breaks,
    composition,
    data_quality,
    downstream,
    effective,
    experts,
    hyper_parameters,
    one_scale,
    powers,
    schedules,
    size_and_data,
    two_resources,
)
from scalebayes.laws.breaks import *
from scalebayes.laws.data_quality import *
from scalebayes.laws.downstream import *
from scalebayes.laws.effective import *
from scalebayes.laws.experts import *
from scalebayes.laws.hyper_parameters import *
from scalebayes.laws.law import Law, Signature, keywords, signature, with_floor
from scalebayes.laws.one_scale import *
from scalebayes.laws.powers import *
from scalebayes.laws.schedules import *
from scalebayes.laws.sequences import Segments, segments
from scalebayes.laws.size_and_data import *
from scalebayes.laws.two_resources import *

FAMILIES = (
    powers,
    breaks,
    one_scale,
    size_and_data,
    two_resources,
    effective,
    experts,
    data_quality,
    schedules,
    hyper_parameters,
    downstream,
)
BUILT_IN = tuple(law for family in FAMILIES for law in family.LAWS)
_BY_FUNCTION = {law.function: law for law in BUILT_IN}

__all__ = [
    "BUILT_IN",
    "FAMILIES",
    "Law",
    "Segments",
    "Signature",
    "as_law",
    "composed",
    "is_built_in",
    "keywords",
    "named",
    "segments",
    "signature",
    "with_floor",
    *(name for family in FAMILIES for name in family.__all__),
]


def as_law(law: Callable | Law) -> Law:
    """The `Law` of a function: of a built-in one with floor, priors and more, of a user's own with nothing further."""
    if isinstance(law, Law):
        return law
    if isinstance(law, str):
        instead = f"sb.laws.{law}" if law in {each.name for each in BUILT_IN} else "sb.laws.power_floor"
        raise TypeError(f"a law is a function, such as {instead}, and not its name; got {quoted(law)}.")
    try:
        return _BY_FUNCTION.get(law) or Law(law)
    except TypeError:  # not hashable, hence not a function
        return Law(law)


def composed(outer: Callable | Law, parts: Mapping[str, Callable | Law]) -> Law:
    """A law of which some inputs are the responses of other laws: accuracy from loss, loss from N and D.

    Parameters
    ----------
    outer : Callable or Law
    parts : mapping of str to law
        For some inputs of ``outer``, the law whose response it is.

    Returns
    -------
    Law
        Its inputs are those of the parts and the remaining ones of ``outer``; its parameters are those of all.

    Raises
    ------
    ValueError
        If ``outer`` has no such input, or two laws have a parameter of one name.

    Examples
    --------
    >>> def accuracy(L, *, low, high, k, middle):
    ...     return low + (high - low) / (1 + jnp.exp(k * (L - middle)))
    >>> composed(accuracy, {"L": chinchilla})
    Law(accuracy_of_chinchilla(N, D; E, A, B, alpha, beta, low, high, k, middle))
    """
    return composition.composed(as_law(outer), {name: as_law(part) for name, part in parts.items()})


def is_built_in(law: Law) -> bool:
    """Whether its function is one of this package."""
    return law.function in _BY_FUNCTION


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
        If there is none.

    Examples
    --------
    >>> named("power").__name__
    'power'
    """
    known = {law.name: law.function for law in BUILT_IN}
    if name not in known:
        raise ValueError(
            f"unknown law {name!r}{nearest(name, known)}; 'scalebayes laws' lists the {len(known)} built-in ones."
        )
    return known[name]
