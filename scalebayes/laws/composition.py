"""Laws made of laws: an input of one is the response of another."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping

from scalebayes.laws.law import Law


def composed(outer: Law, parts: Mapping[str, Law]) -> Law:
    """A law of which some inputs are the responses of other laws; see `scalebayes.laws.composed`."""
    for name in parts:
        if name not in outer.inputs:
            raise ValueError(f"{outer.signature} has no input {name!r} to be replaced by a law.")
    own = [parameter for part in parts.values() for parameter in part.parameters] + list(outer.parameters)
    twice = sorted({name for name in own if own.count(name) > 1})
    if twice:
        raise ValueError(
            f"{' and '.join(str(each.signature) for each in (*parts.values(), outer))} both have the parameter "
            f"{twice[0]!r}; write one of them with other names."
        )
    needed = [n for name in outer.inputs for n in (parts[name].inputs if name in parts else (name,))]
    inputs = tuple(dict.fromkeys(needed))
    functions = {name: part.function for name, part in parts.items()}
    names = {name: (part.inputs, part.parameters) for name, part in parts.items()}
    law = _function(outer.function, outer.inputs, outer.parameters, functions, names, inputs)
    law.__name__ = f"{outer.name}_of_{'_'.join(part.name for part in parts.values())}"
    kinds = [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in inputs]
    kinds += [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY) for name in own]
    law.__signature__ = inspect.Signature(kinds)  # type: ignore[attr-defined]
    priors = {name: prior for each in (*parts.values(), outer) for name, prior in each.priors.items()}
    domains = [part.domain for part in parts.values()] + [outer.domain]
    domain = {name: ends for each in domains for name, ends in each.items() if name in inputs}
    return Law(law, floor=outer.floor, priors=priors, scale=outer.scale, rises=outer.rises, domain=domain)


def _function(
    outer: Callable,
    outer_inputs: tuple[str, ...],
    outer_parameters: tuple[str, ...],
    parts: dict[str, Callable],
    names: dict[str, tuple[tuple[str, ...], tuple[str, ...]]],
    inputs: tuple[str, ...],
) -> Callable:
    # Its signature is stated where it is made, and every part is called with its own names only.
    def law(*arrays, **theta):
        x = dict(zip(inputs, arrays, strict=True))
        for name, part in parts.items():
            of_part, own = names[name]
            x[name] = part(*(x[n] for n in of_part), **{n: theta[n] for n in own})
        return outer(*(x[n] for n in outer_inputs), **{n: theta[n] for n in outer_parameters})

    return law
