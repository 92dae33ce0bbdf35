r"""The scale on which runs scatter and departures act: logarithm, identity or log-odds.

On the logarithm a departure g multiplies the reducible response, :math:`E + (f - E) e^g`, which never falls below the
floor. On the identity and on log-odds it is added.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from scalebayes.arguments import quoted

_SMALLEST, _NEAREST = 1e-300, 1e-12  # a response's least distance from a bound of the logarithm and of log-odds
_LEAST_SHARE = 0.02  # the least share of a response that counts as above the floor


@dataclass(frozen=True)
class Scale:
    """A one-to-one map from the responses between two bounds to all real numbers.

    Parameters
    ----------
    name : {"log", "identity", "logit"}

    Examples
    --------
    >>> LOG.forward(np.exp(2.0)), LOGIT.backward(0.0)
    (np.float64(2.0), np.float64(0.5))
    """

    name: Literal["log", "identity", "logit"]

    @property
    def bounds(self) -> tuple[float, float]:
        """The values between which a mean may lie, both excluded."""
        return {"log": (0.0, np.inf), "identity": (-np.inf, np.inf), "logit": (0.0, 1.0)}[self.name]

    def forward(self, response, xp: Any = np):
        """From the natural scale; ``xp`` supplies ``log`` (numpy, jax.numpy or pytensor.tensor)."""
        if self.name == "log":
            return xp.log(response)
        return response if self.name == "identity" else xp.log(response) - xp.log1p(-response)

    def backward(self, value, xp: Any = np):
        """To the natural scale."""
        if self.name == "log":
            return xp.exp(value)
        return value if self.name == "identity" else 1 / (1 + xp.exp(-value))

    def inside(self, response, xp: Any = np):
        """The response, or the value next to it that lies between the bounds, so that it has a value on the scale."""
        if self.name == "identity":
            return response
        return xp.maximum(response, _SMALLEST) if self.name == "log" else xp.clip(response, _NEAREST, 1 - _NEAREST)

    def slope(self, mean):
        """The derivative of the scale at a mean."""
        if self.name == "identity":
            return 1.0
        return 1 / mean if self.name == "log" else 1 / (mean * (1 - mean))

    def above(self, mean, floor, xp: Any = np):
        """The share of a departure g that reaches the scale: the derivative with respect to g at g = 0."""
        return 1 - floor / mean if self.name == "log" else xp.ones_like(mean)

    def seen(self, observed, mean, floor, xp: Any = np):
        """The departure that a response shows, times the share of it that reaches the scale there; and that share.

        This is to first order about the response, whose noise is much smaller than the departure.
        """
        if self.name != "log":
            return observed - self.forward(mean, xp), xp.ones_like(mean)
        share = xp.maximum(1 - floor / xp.exp(observed), _LEAST_SHARE)
        return share * (observed + xp.log(share) - xp.log(mean * (1 - floor / mean))), share

    def bent(self, mean, floor, g, xp: Any = np):
        """The law's mean after a departure g."""
        if self.name == "log":
            return floor + (mean - floor) * xp.exp(g)
        return self.backward(self.forward(mean, xp) + g, xp)

    def moved(self, mean, shift, xp: Any = np):
        """The mean after a shift on the scale."""
        if self.name == "log":
            return mean * xp.exp(shift)
        return self.backward(self.forward(mean, xp) + shift, xp)


LOG, IDENTITY, LOGIT = Scale("log"), Scale("identity"), Scale("logit")


def as_scale(scale: object) -> Scale:
    """The scale of a word.

    Raises
    ------
    ValueError
        If there is none.
    """
    if isinstance(scale, Scale):
        return scale
    known = {each.name: each for each in (LOG, IDENTITY, LOGIT)}
    if not isinstance(scale, str) or scale not in known:
        raise ValueError(f"scale is {', '.join(map(repr, known))}, got {quoted(scale)}.")
    return known[scale]
