"""Inputs of a law: their columns, their kinds and their units."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, cast, get_args

Kind = Literal["scale", "plain", "constant"]

UNITS: Mapping[str, str] = MappingProxyType({"N": "parameters", "D": "tokens", "C": "FLOPs"})
_COUNTED = ("tokens", "samples", "examples", "images", "characters", "bytes", "steps")


@dataclass(frozen=True)
class Input:
    """An input of a law: its column or columns, and its kind.

    Parameters
    ----------
    column : str or tuple of str
        Its column. Several columns are the parts of a vector; they lie along the last axis of the array that the law
        receives.
    kind : {"scale", "plain", "constant"}
        A *scale* is positive and counted in logarithms: parameters, tokens, FLOPs. A *plain* input is any finite
        number, also zero or negative: a share, epochs - 1. A *constant* is a plain number that all runs of a group have
        in common; new points get their group's. A vector is never a scale: its default kind is plain.
    unit : str
        For messages and pictures.

    Raises
    ------
    ValueError
        If there is no such kind.

    Examples
    --------
    >>> Input("epochs_minus_1", kind="plain").columns
    ('epochs_minus_1',)
    """

    column: str | tuple[str, ...]
    kind: Kind = "scale"
    unit: str = ""

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            kinds = ", ".join(map(repr, get_args(Kind)))
            raise ValueError(f"an input is one of {kinds}, got {self.kind!r}.")
        if isinstance(self.column, list):
            object.__setattr__(self, "column", tuple(self.column))
        if self.is_vector and self.kind == "scale":
            object.__setattr__(self, "kind", "plain")

    @property
    def is_vector(self) -> bool:
        """Whether it has several columns."""
        return isinstance(self.column, tuple)

    @property
    def columns(self) -> tuple[str, ...]:
        """All its columns."""
        return self.column if isinstance(self.column, tuple) else (self.column,)

    @property
    def label(self) -> str:
        """Its column, or columns, in words."""
        return ", ".join(map(str, self.columns))


def as_input(name: str, given: object) -> Input:
    """An `Input` from what the caller mapped: a column, several, or an `Input`.

    Raises
    ------
    TypeError
        If it is none of these.
    """
    if isinstance(given, Input):
        return given if given.unit else Input(given.column, given.kind, unit_of(name, given.label))
    unit = unit_of(name, given) if isinstance(given, str) else UNITS.get(name, "")
    if isinstance(given, list | tuple) and given:
        return Input(tuple(given), "plain", unit)
    if given is None or isinstance(given, Mapping | set | list | tuple | dict):
        raise TypeError(f"input {name} is a column, a list of columns or an sb.Input, got {given!r}.")
    return Input(cast(str, given), unit=unit)


def unit_of(name: str, column: str) -> str:
    """The unit of an input: what its column's name says it counts, else the usual one.

    >>> unit_of("D", "n_samples"), unit_of("C", "train_gflops"), unit_of("C", "model_flops"), unit_of("N", "size")
    ('samples', 'GFLOPs', 'FLOPs', 'parameters')
    """
    usual, words = UNITS.get(name, ""), re.split(r"[\W_]+", column.lower())
    if name == "D":
        return next((each for each in _COUNTED if each in words or each[:-1] in words), usual)
    if name == "C":
        named = (re.fullmatch("([kmgtpez]?)(flop|mac)s?", word) for word in words)
        return next((f"{found[1].upper()}{found[2].upper()}s" for found in named if found), usual)
    return usual
