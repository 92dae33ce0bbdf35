"""Inputs of a law: their columns, their kinds and their units."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from numbers import Real
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

from scalebayes.arguments import quoted
from scalebayes.runs.schedules import Schedules

if TYPE_CHECKING:
    import pandas as pd

Kind = Literal["scale", "plain", "constant", "sequence"]

UNITS: Mapping[str, str] = MappingProxyType({"N": "parameters", "D": "tokens", "C": "FLOPs"})
_MANY: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(("b", "bn", "billion", "billions"), "billion"),
        **dict.fromkeys(("m", "mn", "million", "millions"), "million"),
    }
)
FACTORS: Mapping[str, float] = MappingProxyType({"million": 1e6, "billion": 1e9})
_COUNTED = ("tokens", "samples", "examples", "images", "characters", "bytes", "steps")


@dataclass(frozen=True)
class Input:
    """An input of a law: its column or columns, and its kind.

    Parameters
    ----------
    column : str or tuple of str
        Its column. Several columns are the parts of a vector; they lie along the last axis of the array that the law
        receives.
    kind : {"scale", "plain", "constant", "sequence"}
        A *scale* is positive and counted in logarithms: parameters, tokens, FLOPs. A *plain* input is any finite
        number, also zero or negative: a share, epochs - 1. A *constant* is a plain number that all runs of a group have
        in common; new points get their group's. A vector is never a scale: its default kind is plain. A *sequence* is
        the learning rate of a schedule; `schedule` makes it.
    unit : str
        For messages and pictures.
    schedules : Schedules, optional
        Of a sequence: the rates of every schedule by its name.
    error : float or str
        How well a scale is known: its standard error as a share of it, or the column with that. 0.05 is five per cent,
        of a size read from a figure, for example. To first order it widens the noise by the law's slope times the
        error.
    original : (str, float), optional
        Set by `read_runs` for a column that counts millions or billions: that column, and the factor by which it was
        multiplied. Points may name it, in its own unit.

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
    schedules: Schedules | None = None
    error: float | str = 0.0
    original: tuple[str, float] | None = None

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            kinds = ", ".join(map(repr, get_args(Kind)))
            raise ValueError(f"an input is one of {kinds}, got {quoted(self.kind)}.")
        if isinstance(self.column, list):
            object.__setattr__(self, "column", tuple(self.column))
        if self.is_vector and self.kind == "scale":
            object.__setattr__(self, "kind", "plain")
        if self.error != 0.0 and self.kind != "scale":
            raise ValueError(f"only a scale has an error, a share of it; this input is {self.kind!r}.")
        if not isinstance(self.error, str) and not (isinstance(self.error, Real) and 0 <= self.error < 1):
            raise ValueError(f"error is a share of the input from 0 to 1, or a column, got {quoted(self.error)}.")
        if (self.kind == "sequence") != (self.schedules is not None):
            raise ValueError("an input that is a sequence is made by sb.schedule('column', rates).")

    @property
    def is_vector(self) -> bool:
        """Whether it has several columns, the parts of a vector."""
        return isinstance(self.column, tuple) and self.kind != "sequence"

    @property
    def columns(self) -> tuple[str, ...]:
        """All its columns."""
        return self.column if isinstance(self.column, tuple) else (self.column,)

    @property
    def label(self) -> str:
        """Its column, or columns, in words."""
        return ", ".join(map(str, self.columns))


def schedule(column: str, rates: Mapping[str, Any] | pd.DataFrame, *, step: str | None = None) -> Input:
    """A learning-rate schedule as an input of a law.

    Rates are stored once for each schedule. The law receives an array of shape (..., 64, 4), which
    `scalebayes.laws.segments` takes apart: a few of the schedule's steps with weights, by which sums over all steps
    come out to a millionth.

    Parameters
    ----------
    column : str
        The column with the name of each row's schedule.
    rates : mapping of str to array, or pandas.DataFrame
        For each schedule the learning rates at steps 1, 2, ..., warm-up included; in a table, one column for each, with
        empty cells after the end of a shorter one.
    step : str, optional
        The column with the step at which the row was measured; the end of its schedule if not given.

    Returns
    -------
    Input

    Raises
    ------
    TypeError, ValueError
        If rates are missing, negative or not finite.

    Examples
    --------
    >>> import numpy as np
    >>> warm_up, decay = np.linspace(3e-6, 3e-4, 100), np.linspace(3e-4, 3e-5, 900)
    >>> schedule("schedule", {"linear": np.concatenate([warm_up, decay])}, step="step").columns
    ('schedule', 'step')
    """
    columns = (column,) if step is None else (column, step)
    for each in columns:
        if not isinstance(each, str):
            raise TypeError(f"column and step are names of columns, got {quoted(each)}.")
    return Input(columns, "sequence", schedules=rates if isinstance(rates, Schedules) else Schedules(cast(Any, rates)))


def as_input(name: str, given: object) -> Input:
    """An `Input` from what the caller mapped: a column, several, a column with schedules, or an `Input`.

    Raises
    ------
    TypeError
        If it is none of these.
    """
    if isinstance(given, Input):
        return given if given.unit else replace(given, unit=unit_of(name, given.label))
    unit = unit_of(name, given) if isinstance(given, str) else UNITS.get(name, "")
    if isinstance(given, tuple) and len(given) in (2, 3) and not isinstance(given[1], str):
        return schedule(given[0], given[1], step=given[2] if len(given) == 3 else None)
    if isinstance(given, list | tuple) and given:
        return Input(tuple(given), "plain", unit)
    if given is None or isinstance(given, Mapping | set | list | tuple | dict):
        raise TypeError(f"input {name} is a column, a list of columns or an sb.Input, got {quoted(given)}.")
    return Input(cast(str, given), unit=unit)


def unit_of(name: str, column: str) -> str:
    """The unit of an input: what its column's name says it counts, else the usual one.

    >>> unit_of("D", "n_samples"), unit_of("C", "train_gflops"), unit_of("C", "model_flops"), unit_of("N", "size")
    ('samples', 'GFLOPs', 'FLOPs', 'parameters')
    >>> unit_of("N", "params_B"), unit_of("D", "tokens (millions)")
    ('billion parameters', 'million tokens')
    """
    usual, words = UNITS.get(name, ""), re.split(r"[\W_]+", column.lower().strip(" )]"))
    if name == "C":
        named = (re.fullmatch("([kmgtpez]?)(flop|mac)s?", word) for word in words)
        return next((f"{found[1].upper()}{found[2].upper()}s" for found in named if found), usual)
    counted = usual
    if name == "D":
        counted = next((each for each in _COUNTED if each in words or each[:-1] in words), usual)
    many = next((_MANY[word] for word in words[1:] if word in _MANY), "") if counted else ""
    return f"{many} {counted}" if many else counted
