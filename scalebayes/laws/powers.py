"""Laws of one axis: a power of scale, with and without a floor."""

import jax.numpy as jnp

from scalebayes.priors import Anchored, FloorShare, LogNormal, ResponseShare, pooled, separate

__all__ = ["power", "power_floor"]


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
        Reducible part extrapolated to x = 1, in the response's units; > 0.
    alpha : array_like
        Exponent of the reducible part, > 0.

    Returns
    -------
    array
        Expected response, broadcast over everything.

    Notes
    -----
    Hestness et al. (2017), arXiv:1712.00409; called M2 by Alabdulmohsin et al. (2022), arXiv:2209.06640. Under 1.5
    decades of x any floor fits and alpha rises with it.

    Examples
    --------
    The compute law published for Cerebras-GPT (Dey et al. 2023, arXiv:2304.03208) at 2.3e22 FLOPs:

    >>> round(float(power_floor(2.3e22, E=0.5066, A=5.984e22**0.0737, alpha=0.0737)), 2)
    1.58
    """
    return E + A * jnp.power(x, -alpha)


PRIORS = {
    power: {
        "A": pooled(Anchored(ResponseShare(1.0, 1.0, floor=None), input="x", exponent="alpha"), spread=0.5),
        "alpha": pooled(LogNormal(median=0.08, spread=0.5), spread=0.3),
    },
    power_floor: {
        "E": pooled(FloorShare(logit=1.2, sd=1.3), spread=0.1),
        "A": pooled(Anchored(ResponseShare(0.3, 1.0), input="x", exponent="alpha"), spread=0.5),
        "alpha": pooled(LogNormal(median=0.25, spread=0.7), spread=0.3),
    },
}

# With a drift: relative to the level of each curve at its own frontier, where alpha is the local exponent.
ALONG_CURVES = {
    power: {
        "A": separate(Anchored(ResponseShare(1.0, 0.1, floor=None), input="x", exponent="alpha")),
        "alpha": pooled(LogNormal(median=0.2, spread=0.9), spread=0.45),
    },
    power_floor: {
        "E": pooled(FloorShare(logit=0.0, sd=1.5), spread=0.75),
        "A": separate(Anchored(ResponseShare(1.0, 0.1), input="x", exponent="alpha")),
        "alpha": pooled(LogNormal(median=0.4, spread=0.7), spread=0.35),
    },
}

DERIVED: dict = {}
