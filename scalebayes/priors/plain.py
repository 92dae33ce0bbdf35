"""Priors as nested dictionaries of numbers and strings, for a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from scalebayes.priors.pooling import Pooled, Separate, Shared
from scalebayes.priors.values import (
    Anchored,
    FloorShare,
    Gamma,
    LogNormal,
    Normal,
    RangeShare,
    ResponseLevel,
    ResponseShare,
    Share,
)

_WORDS = {
    cls.__name__: cls
    for cls in (
        *(Shared, Pooled, Separate, Normal, LogNormal, Gamma, FloorShare, Share),
        *(ResponseShare, ResponseLevel, RangeShare, Anchored),
    )
}


def to_plain(value: Any) -> Any:
    """A prior as nested dictionaries of numbers and strings, for a file.

    >>> to_plain(LogNormal(median=0.3, spread=0.5))
    {'is': 'LogNormal', 'median': 0.3, 'spread': 0.5}
    """
    if type(value).__name__ in _WORDS:
        own = {f.name: to_plain(getattr(value, f.name)) for f in fields(value)}
        return {"is": type(value).__name__} | {name: each for name, each in own.items() if name != "on" or each}
    return {name: to_plain(each) for name, each in value.items()} if isinstance(value, Mapping) else value


def from_plain(value: Any) -> Any:
    """The prior that `to_plain` wrote down."""
    if isinstance(value, Mapping) and "is" in value:
        return _WORDS[value["is"]](**{name: from_plain(v) for name, v in value.items() if name != "is"})
    return {name: from_plain(each) for name, each in value.items()} if isinstance(value, Mapping) else value
