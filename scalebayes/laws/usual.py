"""Default priors that many laws share: a floor, an amplitude anchored where the runs are, an exponent."""

from scalebayes.priors import Anchored, FloorShare, LogNormal, Pooled, ResponseShare, pooled

FROM_ZERO, FROM_ONE = (0.0, float("inf")), (1.0, float("inf"))  # domains of inputs


def floor(logit: float = 0.6, sd: float = 1.0) -> Pooled:
    """An irreducible loss below the smallest response; wide, since large runs say little of it."""
    return pooled(FloorShare(logit, sd), spread=0.1)


def amplitude(input: str | tuple, exponent: str | float | tuple, share: float = 0.3, spread: float = 1.0) -> Pooled:
    """A term that is about a share of the response above the floor, amid the runs."""
    return pooled(Anchored(ResponseShare(share, spread), input=input, exponent=exponent), spread=0.5)


def exponent(median: float = 0.3, spread: float = 0.5) -> Pooled:
    """A positive exponent."""
    return pooled(LogNormal(median, spread), spread=0.3)


def positive(median: float, spread: float, groups: float = 0.3) -> Pooled:
    """A positive constant, known to a factor."""
    return pooled(LogNormal(median, spread), spread=groups)


def scale(input: str, exponent: str, share: float, spread: float = 1.0) -> Pooled:
    """A scale at which a power alone would be 1, whose power is about a share of the response amid the runs."""
    value = ResponseShare(share, spread, floor=None)
    return pooled(Anchored(value, input=input, exponent=exponent, form="scale"), spread=0.1)


def place(input: str, spread: float = 0.6, groups: float = 0.1) -> Pooled:
    """A scale that lies amid the runs or at their edge, such as that of a break."""
    return pooled(Anchored(LogNormal(1.0, spread), input=input, form="place"), spread=groups)
