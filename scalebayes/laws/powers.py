"""Laws of one input: a power of scale, with or without a floor, a shift or a ceiling."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from scalebayes.laws.law import Law
from scalebayes.priors import Anchored, FloorShare, LogNormal, ResponseShare, pooled, separate

__all__ = ["power", "power_floor", "saturating_power", "shifted_power", "sigmoid"]

_NEWTON_STEPS = 8  # enough for rounding error, from where the equation is nearly linear
_LEAST_ROOM = 1e-6  # between E and L_0, as a share of L_0


def power(x, *, A, alpha):
    r"""Response that falls as a power of scale, without end.

    .. math:: L(x) = A x^{-\alpha}

    Parameters
    ----------
    x : array_like
        Any one scale: N parameters, D tokens, C FLOPs, examples; counts (70e9, not 70).
    A : array_like
        Response extrapolated to x = 1, in its units; > 0.
    alpha : array_like
        Exponent, > 0; doubling x multiplies the response by ``2**-alpha``.

    Returns
    -------
    array
        Expected response, broadcast over everything.

    Notes
    -----
    Kaplan et al. (2020), eq. 1.1 to 1.3, arXiv:2001.08361, where A = N_c**alpha.

    Examples
    --------
    Kaplan's L(N) at a billion parameters, nats per token:

    >>> round(float(power(1e9, A=8.8e13**0.076, alpha=0.076)), 2)
    2.38
    """
    return A * jnp.power(x, -alpha)


def power_floor(x, *, E, A, alpha):
    r"""Response that falls as a power of scale towards an irreducible floor.

    .. math:: L(x) = E + A x^{-\alpha}

    Parameters
    ----------
    x : array_like
        Any one scale: N parameters, D tokens, C FLOPs, examples; counts (70e9, not 70).
    E : array_like
        Irreducible loss, what is left at infinite scale, in the response's units; >= 0.
    A : array_like
        Reducible part of the response extrapolated to x = 1, in the response's units; > 0.
    alpha : array_like
        Exponent of the reducible part, > 0.

    Returns
    -------
    array
        Expected response, broadcast over everything.

    Notes
    -----
    Hestness et al. (2017), arXiv:1712.00409; called M2 by Alabdulmohsin et al. (2022), arXiv:2209.06640. Over less
    than 1.5 decades of x any floor fits, and alpha rises with it.

    Examples
    --------
    The compute law published for Cerebras-GPT (Dey et al. 2023, arXiv:2304.03208) at 2.3e22 FLOPs:

    >>> round(float(power_floor(2.3e22, E=0.5066, A=5.984e22**0.0737, alpha=0.0737)), 2)
    1.58
    """
    return E + A * jnp.power(x, -alpha)


def shifted_power(x, *, x_0, A, alpha):
    r"""Response that falls as a power of scale up to some scale, and no further.

    .. math:: L(x) = A (1/x + 1/x_0)^{\alpha}

    Parameters
    ----------
    x : array_like
        Any one scale: N parameters, D tokens, C FLOPs, examples; counts (70e9, not 70).
    x_0 : array_like
        Scale beyond which little is gained, in the units of x; > 0.
    A : array_like
        Response extrapolated to x = 1 without that limit, in its units; > 0.
    alpha : array_like
        Exponent, > 0.

    Returns
    -------
    array
        Expected response, broadcast over everything; its floor is ``A * x_0**-alpha``.

    Notes
    -----
    Bansal et al. (2022), arXiv:2202.01994; called M3 by Alabdulmohsin et al. (2022), arXiv:2209.06640.

    Examples
    --------
    At x_0 the response is what the power alone would reach at half of x_0:

    >>> float(shifted_power(1e6, x_0=1e6, A=2.0, alpha=0.5)) == float(power(0.5e6, A=2.0, alpha=0.5))
    True
    """
    return A * jnp.power(1 / x + 1 / x_0, alpha)


def saturating_power(x, *, E, L_0, A, alpha, delta):
    r"""Error that leaves the level of a random guess and falls as a power of scale towards a floor.

    .. math:: \frac{L - E}{(L_0 - L)^{\delta}} = A x^{-\alpha}

    Parameters
    ----------
    x : array_like
        Any one scale, a count.
    E : array_like
        Irreducible loss, below L_0.
    L_0 : array_like
        Response of a random guess: 1 for an error rate; above every response and above E (elsewhere the law is E).
    A, alpha : array_like
        Of the power, > 0.
    delta : array_like
        How abruptly the response leaves L_0, > 0.

    Returns
    -------
    array
        Expected response between E and L_0, broadcast over everything.

    Notes
    -----
    Alabdulmohsin et al. (2022), eq. M4, arXiv:2209.06640. Solved for the log-odds of L between E and L_0 by
    Newton's method.

    Examples
    --------
    For delta = 1 it is the mean of E and L_0, the latter with weight A x**-alpha:

    >>> t = 4.0 * 100.0**-0.5
    >>> L = saturating_power(100.0, E=0.2, L_0=1.0, A=4.0, alpha=0.5, delta=1.0)
    >>> round(float(L), 4), round((0.2 + t) / (1 + t), 4)
    (0.4286, 0.4286)
    """
    # A prior may put E above L_0, where no run lies: then there is nothing between them to fall through.
    room = jnp.maximum(L_0 - E, _LEAST_ROOM * L_0)
    target = jnp.log(A) - alpha * jnp.log(x) + (delta - 1) * jnp.log(room)
    odds = jnp.where(target < 0, target, target / delta)
    for _ in range(_NEWTON_STEPS):
        height = delta * jax.nn.softplus(odds) - jax.nn.softplus(-odds)
        odds = odds - (height - target) / (jax.nn.sigmoid(-odds) + delta * jax.nn.sigmoid(odds))
    return E + room * jax.nn.sigmoid(odds)


def sigmoid(x, *, E, L_0, A, alpha):
    r"""Error that leaves the level of a random guess for a floor, a logistic curve in the logarithm of scale.

    .. math:: L(x) = \frac{E + L_0 t}{1 + t}, \qquad t = A x^{-\alpha}

    At small scales it is flat; at large ones it is a power above its floor, :math:`E + (L_0 - E) A x^{-\alpha}`. In
    between, its local exponent grows.

    Parameters
    ----------
    x : array_like
        Any one scale, a count.
    E : array_like
        Irreducible loss, in the response's units; >= 0.
    L_0 : array_like
        Response of a random guess: its error rate, or the loss before anything is learned.
    A, alpha : array_like
        Of the power, > 0: the odds of L between E and L_0 are ``A * x**-alpha``.

    Returns
    -------
    array
        Expected response between E and L_0, broadcast over everything.

    Notes
    -----
    `saturating_power` with delta = 1, in closed form (Alabdulmohsin et al. 2022, eq. M4, arXiv:2209.06640). It is quick
    to sample with a drift.

    Examples
    --------
    Half way between guess and floor:

    >>> round(float(sigmoid(1e6, E=0.2, L_0=1.0, A=1e3, alpha=0.5)), 3)
    0.6
    """
    return E + (L_0 - E) * jax.nn.sigmoid(jnp.log(A) - alpha * jnp.log(x))


_PRIORS: dict[Callable, dict] = {
    power: {
        "A": pooled(Anchored(ResponseShare(1.0, 1.0, floor=None), input="x", exponent="alpha"), spread=0.5),
        "alpha": pooled(LogNormal(median=0.08, spread=0.5), spread=0.3),
    },
    power_floor: {
        "E": pooled(FloorShare(logit=1.2, sd=1.3), spread=0.1),
        "A": pooled(Anchored(ResponseShare(0.3, 1.0), input="x", exponent="alpha"), spread=0.5),
        "alpha": pooled(LogNormal(median=0.25, spread=0.7), spread=0.3),
    },
    shifted_power: {
        # The scale at which the fall ends is stated where the runs are, within about three e-folds.
        "x_0": pooled(Anchored(LogNormal(1.5, 1.0), input="x", exponent="alpha", form="scale"), spread=0.3),
        "A": pooled(Anchored(ResponseShare(0.8, 0.5, floor=None), input="x", exponent="alpha"), spread=0.5),
        "alpha": pooled(LogNormal(median=0.3, spread=0.5), spread=0.3),
    },
    saturating_power: {
        "E": pooled(FloorShare(logit=0.5, sd=1.3), spread=0.1),
        # Where the runs show no plateau, only this prior states it; take LogNormal(1.0, spread=0.01) for error rates.
        "L_0": pooled(ResponseShare(2.0, 0.5, floor=None), spread=0.1),
        "A": pooled(Anchored(ResponseShare(0.5, 1.0), input="x", exponent="alpha"), spread=0.5),
        "alpha": pooled(LogNormal(median=0.3, spread=0.7), spread=0.3),
        "delta": pooled(LogNormal(median=1.0, spread=0.7), spread=0.3),
    },
    sigmoid: {
        "E": pooled(FloorShare(logit=0.5, sd=1.3), spread=0.1),
        # Where the runs show no plateau, only this prior states it, as for `saturating_power`.
        "L_0": pooled(ResponseShare(2.0, 0.5, floor=None), spread=0.1),
        "A": pooled(Anchored(LogNormal(1.0, 1.0), input="x", exponent="alpha"), spread=0.5),
        "alpha": pooled(LogNormal(median=0.3, spread=0.7), spread=0.3),
    },
}


def _floor(farther: float):
    # Floors of curves differ widely: with a small spread, the floors of a few early curves would all be pulled to zero.
    return pooled(FloorShare(logit=0.5 - farther, sd=1.0 + farther), spread=1.5)


# With a drift, priors are relative to the level of each curve at its own frontier; alpha is the local exponent there.
_ALONG_CURVES = {
    power: {
        "A": separate(Anchored(ResponseShare(1.0, 0.1, floor=None), input="x", exponent="alpha")),
        "alpha": pooled(LogNormal(median=0.2, spread=0.9), spread=0.45),
    },
    power_floor: {
        "E": _floor(0.0),
        "A": separate(Anchored(ResponseShare(1.0, 0.1), input="x", exponent="alpha")),
        "alpha": pooled(LogNormal(median=0.4, spread=0.5), spread=0.5),
    },
    shifted_power: {
        "x_0": pooled(Anchored(LogNormal(1.5, 0.6), input="x", exponent="alpha", form="scale"), spread=0.6),
        # Without the limit x_0 the power would lie a little below the curve.
        "A": separate(Anchored(ResponseShare(0.85, 0.2, floor=None), input="x", exponent="alpha")),
        "alpha": pooled(LogNormal(median=0.4, spread=0.5), spread=0.5),
    },
    sigmoid: {
        "E": _floor(0.0),
        "L_0": pooled(ResponseShare(2.0, 0.5, floor=None), spread=0.5),
        "A": separate(Anchored(LogNormal(1.0, 1.0), input="x", exponent="alpha")),
        "alpha": pooled(LogNormal(median=0.4, spread=0.5), spread=0.5),
    },
}

# Horizons, in multiples of the largest scale. Up to the first, runs near by inform the floor. From the second on, its
# share of the level is nearly uniform, and no less can be known.
NEAR, _FAR = 2.0, 10.0


def _beside_curves(law: Callable) -> dict:
    """Default priors beside a drift, for forecasts of curves up to a horizon, in multiples of their largest scale.

    A power law finds the floor of the range of scales in question. For a farther range the floor lies lower, and less
    is known of it. For every e-fold of the horizon from 2 to 10, the floor's log-odds fall by a third, and their
    standard deviation grows by a third.
    """
    priors = _ALONG_CURVES.get(law)
    if priors is None:
        return {}
    if "E" not in priors:
        return {"curves": priors}

    return {"curves": partial(_at_horizon, priors)}


def _at_horizon(priors: dict, horizon: float) -> dict:
    farther = math.log(min(max(horizon, NEAR), _FAR) / NEAR) / 3
    return priors | {"E": _floor(farther)}


def _end(*, x_0, A, alpha):
    return A * x_0**-alpha


_FLOORS: dict[Callable, Any] = {power: None, shifted_power: _end}

LAWS = tuple(
    Law(
        law,
        floor=_FLOORS.get(law, "E"),
        priors=priors,
        beside=_beside_curves(law),
        derived={"E": _end} if law is shifted_power else {},
    )
    for law, priors in _PRIORS.items()
)
