"""Laws of one scale that are no falling power: logarithms, ratings, sigmoids that rise, U-shapes."""

import math

import jax
import jax.numpy as jnp

from scalebayes.laws import usual
from scalebayes.laws.law import Law
from scalebayes.priors import Anchored, LogNormal, RangeShare, ResponseLevel, ResponseShare, Share, pooled, shared

__all__ = ["delayed_power", "elo", "log_law", "rectified_power", "rising_sigmoid", "u_shape"]


def log_law(x, *, p, q):
    r"""Loss that falls by the same amount for every factor of scale.

    .. math:: L(x) = p - q \ln x

    It has no floor, so it holds over a limited range only: it is negative beyond ``exp(p / q)``.

    Parameters
    ----------
    x : array_like
        Any one scale, a count.
    p : array_like
        Response extrapolated to x = 1, in its units.
    q : array_like
        What a factor of e gains, in the response's units; > 0.

    Returns
    -------
    array
        Expected response, broadcast over everything.

    Notes
    -----
    The limit of `power_floor` for a small exponent (Hestness et al. 2017, arXiv:1712.00409).

    Examples
    --------
    >>> round(float(log_law(1e9, p=5.0, q=0.1)), 3)
    2.928
    """
    return p - q * jnp.log(x)


def rectified_power(x, *, E, B, D_l, beta):
    r"""Fine-tuning loss: flat while the data are fewer than what pre-training is worth, then a power above a floor.

    .. math:: L(x) = E + \frac{B}{D_l + x^{\beta}}

    Parameters
    ----------
    x : array_like
        Fine-tuning examples or tokens, a count.
    E : array_like
        Irreducible loss, in the response's units; >= 0.
    B : array_like
        Of the reducible part, in units of response times ``x**beta``; > 0.
    D_l : array_like
        What pre-training is worth, in units of ``x**beta``; > 0.
    beta : array_like
        Exponent, > 0.

    Returns
    -------
    array
        Expected response, broadcast over everything.

    Notes
    -----
    Lin et al. (2024), the rectified scaling law, arXiv:2402.02314.

    Examples
    --------
    Far beyond D_l it is a power above its floor:

    >>> far = rectified_power(1e12, E=1.0, B=500.0, D_l=100.0, beta=0.5)
    >>> round(float(far - 1.0) / (500.0 * 1e12**-0.5), 3)
    1.0
    """
    return E + B / (D_l + jnp.power(x, beta))


def delayed_power(x, *, E, K, x_0, alpha):
    r"""Error that begins at a level of its own and falls as a power of scale towards a floor.

    .. math:: L(x) = E + K (x + x_0)^{-\alpha}

    Parameters
    ----------
    x : array_like
        Any one scale, such as training compute.
    E : array_like
        Irreducible error, in the response's units; >= 0.
    K : array_like
        Reducible error extrapolated to a scale of 1, in the response's units; > 0.
    x_0 : array_like
        Scale below which little is gained, in the units of x; > 0.
    alpha : array_like
        Exponent, > 0.

    Returns
    -------
    array
        Expected response, broadcast over everything.

    Notes
    -----
    Zhai et al. (2022), vision transformers, arXiv:2106.04560.

    Examples
    --------
    Their constants of fine-tuning, at ten times the unit of compute:

    >>> round(float(delayed_power(10.0, E=0.09, K=0.26, x_0=0.01, alpha=0.35)), 3)
    0.206
    """
    return E + K * jnp.power(x + x_0, -alpha)


def elo(N, *, c, alpha):
    r"""Rating of a player whose odds of winning are a power of its size.

    .. math:: \mathrm{Elo}(N) = c + 400\, \alpha \log_{10} N

    Parameters
    ----------
    N : array_like
        Model size or compute, a count.
    c : array_like
        Rating extrapolated to N = 1, of either sign; ratings have no zero of their own.
    alpha : array_like
        Exponent of the playing strength, > 0: a player of size N beats one of size M with odds ``(N / M)**alpha``.

    Returns
    -------
    array
        Expected Elo rating, broadcast over everything.

    Notes
    -----
    Neumann and Gros (2022), AlphaZero, arXiv:2210.00849.

    Examples
    --------
    Ten times the size gains 400 alpha:

    >>> round(float(elo(1e6, c=0.0, alpha=0.88) - elo(1e5, c=0.0, alpha=0.88)), 6)
    352.0
    """
    return c + 400 * alpha * jnp.log10(N)


def u_shape(x, *, y_0, k, x_0):
    r"""Response that falls and rises again, a parabola in the logarithm of scale.

    .. math:: y(x) = y_0 + k \ln^2 (x / x_0)

    Which way it goes beyond the last run is seen only if the runs turn; where they do not, the prior of x_0 says it.

    Parameters
    ----------
    x : array_like
        Any one scale, a count.
    y_0 : array_like
        Lowest response, in its units.
    k : array_like
        Curvature, in the response's units for each e-fold squared; > 0.
    x_0 : array_like
        Scale of the lowest response, in the units of x; > 0.

    Returns
    -------
    array
        Expected response, broadcast over everything.

    Notes
    -----
    Of inverse scaling that turns: Wei et al. (2022), arXiv:2211.02011; of a sweep at one budget: Hoffmann et al.
    (2022), approach 2, arXiv:2203.15556.

    Examples
    --------
    >>> round(float(u_shape(1e8, y_0=0.4, k=0.02, x_0=1e8)), 3)
    0.4
    """
    return y_0 + k * jnp.log(x / x_0) ** 2


def rising_sigmoid(C, *, R_0, A, B, C_mid):
    r"""Rate that rises from a level to a ceiling, a logistic curve in the logarithm of compute.

    .. math:: R(C) = R_0 + \frac{A - R_0}{1 + (C_\mathrm{mid} / C)^{B}}

    Parameters
    ----------
    C : array_like
        Compute of training, or any one scale.
    R_0 : array_like
        Rate before training, or of a random guess; between 0 and 1.
    A : array_like
        Ceiling, between 0 and 1.
    B : array_like
        Exponent: how abruptly the rate rises; > 0.
    C_mid : array_like
        Scale at which half of the way is gone, in the units of C; > 0.

    Returns
    -------
    array
        Expected rate between R_0 and A, broadcast over everything.

    Notes
    -----
    Reward over compute in reinforcement learning: Khatri et al. (2025), ScaleRL, arXiv:2510.13786. Accuracies of
    families of models over compute have the same form, with the guess level as R_0: Ruan et al. (2024),
    arXiv:2405.10938. By default groups differ by C_mid alone; where recipes differ by their ceilings too, say
    ``priors={"A": sb.pooled(sb.Share(1.0, 1.0), spread=0.3)}``.

    Examples
    --------
    >>> round(float(rising_sigmoid(1e4, R_0=0.25, A=0.75, B=0.8, C_mid=1e4)), 3)
    0.5
    """
    return R_0 + (A - R_0) * jax.nn.sigmoid(B * jnp.log(C / C_mid))


LAWS = (
    Law(
        log_law,
        priors={
            "p": pooled(Anchored(ResponseShare(1.0, 0.3, floor=None), "x", "q", "intercept", factor=-1.0), spread=0.1),
            "q": pooled(ResponseShare(0.05, 1.0, floor=None), spread=0.3),
        },
    ),
    Law(
        rectified_power,
        floor="E",
        priors={
            "E": usual.floor(),
            "B": usual.amplitude("x", "beta", 0.5),
            "D_l": pooled(Anchored(LogNormal(0.5, 1.5), input="x", exponent="beta"), spread=0.5),
            "beta": usual.exponent(0.4, 0.6),
        },
    ),
    Law(
        delayed_power,
        floor="E",
        priors={
            "E": usual.floor(),
            "K": usual.amplitude("x", "alpha", 0.5),
            "x_0": pooled(Anchored(LogNormal(0.1, 1.5), input="x", exponent=1.0), spread=0.5),
            "alpha": usual.exponent(0.35, 0.5),
        },
    ),
    Law(
        elo,
        scale="identity",
        rises=True,
        priors={
            "c": pooled(
                Anchored(ResponseLevel(0.0, 0.5), "N", "alpha", "intercept", factor=400 / math.log(10)), spread=0.2
            ),
            "alpha": usual.exponent(0.6, 0.6),
        },
    ),
    Law(
        u_shape,
        scale="identity",
        tuned=("x",),
        places={"x_0": "x"},
        priors={
            "y_0": pooled(ResponseLevel(-0.3, 0.5), spread=0.1),
            "k": pooled(RangeShare(0.1, 1.5), spread=0.3),
            "x_0": usual.place("x", 0.7),
        },
    ),
    Law(
        rising_sigmoid,
        scale="logit",
        rises=True,
        places={"C_mid": "C"},
        priors={
            # Guess level, ceiling and slope belong to a benchmark; few models of a family do not determine them.
            "R_0": shared(Share(logit=-1.5, sd=1.0)),
            "A": shared(Share(logit=1.0, sd=1.0)),
            "B": shared(LogNormal(0.7, 0.7)),
            "C_mid": usual.place("C", 0.7, groups=1.0),
        },
    ),
)
