r"""The scale on which runs scatter and departures act: logarithm, identity or log-odds.

A departure g acts on what lies above the law's floor. On the logarithm it multiplies the reducible response,
:math:`E + (f - E) e^g`, which never falls below the floor; on the identity and on log-odds it is added.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

_LEAST_SHARE = 0.02  # of a response that is counted as above the floor


@dataclass(frozen=True)
class Scale:
    """A one-to-one map of the responses between two bounds to the whole line.

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
        """Between which values a mean may lie, both excluded."""
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

    def above(self, mean, floor, xp: Any = np):
        """The share of a departure g that reaches the scale, its derivative by g where g is zero."""
        return 1 - floor / mean if self.name == "log" else xp.ones_like(mean)

    def seen(self, observed, mean, floor, xp: Any = np):
        """A departure as a response has it, times the share of it that reaches the scale at the response; and that share.

        To first order about the response, whose noise is much smaller than the departure.
        """
        if self.name != "log":
            return observed - self.forward(mean, xp), xp.ones_like(mean)
        share = xp.maximum(1 - floor / xp.exp(observed), _LEAST_SHARE)
        return share * (observed + xp.log(share) - xp.log(mean * (1 - floor / mean))), share

    def bent(self, mean, floor, g, xp: Any = np):
        """The mean that a departure g makes of the law's."""
        if self.name == "log":
            return floor + (mean - floor) * xp.exp(g)
        return self.backward(self.forward(mean, xp) + g, xp)

    def moved(self, mean, shift, xp: Any = np):
        """The mean moved by so much on the scale."""
        if self.name == "log":
            return mean * xp.exp(shift)
        return self.backward(self.forward(mean, xp) + shift, xp)


LOG, IDENTITY, LOGIT = Scale("log"), Scale("identity"), Scale("logit")
