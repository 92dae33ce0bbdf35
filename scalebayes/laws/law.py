"""What a law is: its function and signature, floor, default priors, optimum and derived quantities."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

from scalebayes.arguments import quoted
from scalebayes.priors import FloorShare, Pooling, Prior
from scalebayes.priors import with_floor as with_named_floor

_LONGEST = 100  # characters of a value in a message

type Priors = Mapping[str, Prior | Pooling]


@dataclass(frozen=True)
class Signature:
    """The inputs and parameters that a law declares.

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
        If it is not a function, or its signature does not separate inputs from parameters.

    Examples
    --------
    >>> print(signature(lambda N, D, *, E, A: E + A / N))
    <lambda>(N, D; E, A)
    """
    name = getattr(law, "__name__", repr(law))
    example = "for example 'def f(N, D, *, E, A, alpha)'"
    if not callable(law):
        got = repr(law) if len(repr(law)) < _LONGEST else "a value"
        raise TypeError(f"a law is a function and comes first, {example}; got {got} ({type(law).__name__}).")
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
    """Names of a function's keyword-only parameters, which a derived quantity needs."""
    return tuple(p.name for p in inspect.signature(function).parameters.values() if p.kind == p.KEYWORD_ONLY)


@dataclass(frozen=True, eq=False)
class Law:
    """A law and what the other rooms need to know of it; nothing is guessed from the name of a parameter.

    Parameters
    ----------
    function : Callable
        A plain function: inputs before ``*``, parameters after it; returns the expected response.
    floor : str or Callable, optional
        The irreducible response: a parameter, or a function of parameters (keyword-only). A discrepancy on the
        logarithm acts on the response above the floor, and on the whole response if there is no floor.
    priors : mapping of str to prior
        Default priors of the parameters.
    beside : mapping of str to priors, or to a function of the horizon
        Default priors beside a discrepancy, by how the discrepancy states priors: "curves" relative to the end of each
        curve, "surface" relative to all runs. Those in ``priors`` where there are none.
    optimum : Callable, optional
        (C, parameters) to N and D of the lowest response where C = 6 N D; found by search if not given.
    derived : mapping of str to Callable
        Further quantities, each a function of parameters (keyword-only).
    scale : {"log", "identity", "logit"}
        The scale on which runs scatter about the law where no observation is given: the logarithm for losses, the
        log-odds for rates between 0 and 1, the identity for what may be negative.
    rises : bool
        Whether it is a law of a response of which high values are good.
    tuned : tuple of str
        Inputs along which the response has an optimum, which `scalebayes.tune` finds.
    places : mapping of str to str
        Parameters, or derived quantities, that are a place on an input, such as that of a break: known only if it lies
        amid the runs.
    domain : mapping of str to (float, float)
        Values of an input that the law covers: from the first to below the second.

    Examples
    --------
    >>> law = Law(lambda x, *, L_inf, A: L_inf + A / x, floor="L_inf")
    >>> law.inputs, law.parameters, law.floor_of({"L_inf": 0.2, "A": 3.0})
    (('x',), ('L_inf', 'A'), 0.2)
    """

    function: Callable
    floor: str | Callable | None = None
    priors: Priors = field(default_factory=dict)
    beside: Mapping[str, Priors | Callable[[float], Priors]] = field(default_factory=dict)
    optimum: Callable | None = None
    derived: Mapping[str, Callable] = field(default_factory=dict)
    scale: Literal["log", "identity", "logit"] = "log"
    rises: bool = False
    tuned: tuple[str, ...] = ()
    places: Mapping[str, str] = field(default_factory=dict)
    domain: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        parameters = self.signature.parameters
        if isinstance(self.floor, str) and self.floor not in parameters:
            raise ValueError(f"the floor of {self.signature} is one of its parameters, got {quoted(self.floor)}.")
        for name in self.priors:
            if name not in parameters:
                raise ValueError(f"{self.signature} has no parameter {name!r} to have a prior.")
        for name in (*self.domain, *self.tuned, *self.places.values()):
            if name not in self.inputs:
                raise ValueError(f"{self.signature} has no input {name!r} to have a domain, a place or an optimum.")
        for name in self.places:
            if name not in {*parameters, *self.derived}:
                raise ValueError(f"{self.signature} has no parameter {name!r} to be a place.")
        if self.scale not in ("log", "identity", "logit"):
            raise ValueError(f"the scale of {self.name} is 'log', 'identity' or 'logit', got {quoted(self.scale)}.")
        if isinstance(self.floor, str):
            stated = {name: with_named_floor(prior, self.floor) for name, prior in self.priors.items()}
            object.__setattr__(self, "priors", stated)

    @cached_property
    def signature(self) -> Signature:
        """Name, inputs and parameters."""
        return signature(self.function)

    @property
    def name(self) -> str:
        """Name of the function."""
        return self.signature.name

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the inputs, in the law's order."""
        return self.signature.inputs

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the parameters, in the law's order."""
        return self.signature.parameters

    def __repr__(self) -> str:
        return f"Law({self.signature})"

    def floor_of(self, values: Mapping[str, Any]) -> Any:
        """The irreducible response at values of the parameters; 0 for a law without a floor."""
        if self.floor is None:
            return 0.0
        if isinstance(self.floor, str):
            return values[self.floor]
        return self.floor(**{name: values[name] for name in keywords(self.floor)})

    def default_priors(self, stated: str, horizon: float) -> Priors:
        """Default priors, for forecasts up to a horizon, beside a discrepancy that states them so ("" for none)."""
        found = self.beside.get(stated, self.priors) if stated else self.priors
        return found(horizon) if callable(found) else found


def with_floor(law: Law, priors: Mapping) -> Law:
    """The same law; if it declares no floor, its floor is the parameter with a `FloorShare` prior.

    Raises
    ------
    ValueError
        If several parameters have such a prior.
    """
    if law.floor is not None:
        return law
    floors = [name for name, pooling in priors.items() if isinstance(pooling.prior, FloorShare)]
    if len(floors) > 1:
        raise ValueError(
            f"{law.name} has {len(floors)} parameters whose prior is a FloorShare, {', '.join(floors)}; say which is "
            f"its floor: sb.Law({law.name}, floor={floors[0]!r})."
        )
    return replace(law, floor=floors[0]) if floors else law
