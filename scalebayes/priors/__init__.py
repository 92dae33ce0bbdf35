"""Priors are values in natural units; pooling is a word.

A prior says what is believed of one parameter. ``shared``, ``pooled`` and ``separate`` say how the groups of a
table divide it. Nothing here samples or needs more than the standard library.

>>> pooled(LogNormal(median=0.3, spread=0.5), spread=0.3)
pooled(LogNormal(median=0.3, spread=0.5), spread=0.3)
"""

from scalebayes.priors.plain import from_plain, to_plain
from scalebayes.priors.pooling import (
    WORDS,
    Pooled,
    Pooling,
    Separate,
    Shared,
    pooled,
    repool,
    repool_fields,
    separate,
    shared,
    with_floor,
    with_pooling,
    without_numbers,
)
from scalebayes.priors.values import (
    LAWS_FLOOR,
    Anchored,
    FloorShare,
    Gamma,
    LogNormal,
    Normal,
    Prior,
    RangeShare,
    ResponseLevel,
    ResponseShare,
    Share,
    check_numbers,
    needs,
)

__all__ = [
    "LAWS_FLOOR",
    "WORDS",
    "Anchored",
    "FloorShare",
    "Gamma",
    "LogNormal",
    "Normal",
    "Pooled",
    "Pooling",
    "Prior",
    "RangeShare",
    "ResponseLevel",
    "ResponseShare",
    "Separate",
    "Share",
    "Shared",
    "check_numbers",
    "from_plain",
    "needs",
    "pooled",
    "repool",
    "repool_fields",
    "separate",
    "shared",
    "to_plain",
    "with_floor",
    "with_pooling",
    "without_numbers",
]
