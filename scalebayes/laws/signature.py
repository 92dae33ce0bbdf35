"""The signature of a law is its declaration: inputs before ``*``, parameters after it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Signature:
    """What a law's signature declares.

    Parameters
    ----------
    name : str
    inputs, parameters : tuple of str
        In the law's own order.
    """

    name: str
    inputs: tuple[str, ...]
    parameters: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.name}({', '.join(self.inputs)}; {', '.join(self.parameters)})"


def signature(law: Callable) -> Signature:
    """Read a law's inputs and parameters.

    Parameters
    ----------
    law : Callable
        Inputs before ``*``, parameters after it, no defaults.

    Returns
    -------
    Signature

    Raises
    ------
    TypeError
        If it is no function, or its signature does not separate inputs from parameters.

    Examples
    --------
    >>> print(signature(lambda N, D, *, E, A: E + A / N))
    <lambda>(N, D; E, A)
    """
    name = getattr(law, "__name__", repr(law))
    example = "for example 'def f(N, D, *, E, A, alpha)'"
    if not callable(law):
        raise TypeError(f"a law is a function, {example}; got {law!r} ({type(law).__name__}).")
    try:
        declared = inspect.signature(law)
    except (TypeError, ValueError):
        raise TypeError(f"law {name} cannot be read: it has no signature. Write a function, {example}.") from None
    shown = f"law {name}{declared} cannot be read"
    rule = f"inputs go before '*', parameters after it, {example}."
    inputs: list[str] = []
    parameters: list[str] = []
    for parameter in declared.parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
            raise TypeError(f"{shown}: {str(parameter)!r} hides what it takes; {rule}")
        if parameter.default is not parameter.empty:
            raise TypeError(
                f"{shown}: {parameter.name!r} has a default, a constant nobody would see; make it a parameter."
            )
        (parameters if parameter.kind == parameter.KEYWORD_ONLY else inputs).append(parameter.name)
    if not inputs or not parameters:
        raise TypeError(f"{shown}: {rule}")
    return Signature(name, tuple(inputs), tuple(parameters))


def keywords(function: Callable) -> tuple[str, ...]:
    """Names of a function's keyword-only parameters: what a derived quantity needs."""
    return tuple(p.name for p in inspect.signature(function).parameters.values() if p.kind == p.KEYWORD_ONLY)
