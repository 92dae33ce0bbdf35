"""Laws of model size and data: L(N, D)."""

import jax.numpy as jnp
import numpy as np

from scalebayes.laws.law import Law
from scalebayes.priors import Anchored, FloorShare, LogNormal, ResponseShare, pooled

FLOPS_PER_TOKEN = 6.0  # and per parameter, forward and backward (Kaplan et al. 2020)

__all__ = ["chinchilla", "kaplan"]


def chinchilla(N, D, *, E, A, B, alpha, beta):
    r"""Loss as irreducible entropy plus a price for few parameters and a price for few tokens.

    .. math:: L(N, D) = E + A N^{-\alpha} + B D^{-\beta}

    Parameters
    ----------
    N : array_like
        Model size, parameters, a count (70e9, not 70).
    D : array_like
        Training data, tokens, a count.
    E : array_like
        Irreducible loss of an infinite model on infinite data, nats per token; > 0.
    A, B : array_like
        Nats per token: the prices extrapolated to N = 1 and to D = 1; > 0.
    alpha, beta : array_like
        Exponents, > 0.

    Returns
    -------
    array
        Expected loss in nats per token, broadcast over everything.

    Notes
    -----
    Hoffmann et al. (2022), eq. 2, arXiv:2203.15556; refitted by Besiroglu et al. (2024), arXiv:2404.10102. With
    C = 6 N D the compute-optimal size grows as ``C**a_opt``, ``a_opt = beta / (alpha + beta)``.

    Examples
    --------
    Hoffmann's constants for a model of 70e9 parameters trained on 1.4e12 tokens:

    >>> round(float(chinchilla(70e9, 1.4e12, E=1.69, A=406.4, B=410.7, alpha=0.34, beta=0.28)), 2)
    1.94
    """
    return E + A * jnp.power(N, -alpha) + B * jnp.power(D, -beta)


def kaplan(N, D, *, N_c, D_c, alpha_N, alpha_D):
    r"""Loss without a floor, in which the scarcer of parameters and tokens is the bottleneck.

    .. math:: L(N, D) = \left[ (N_c / N)^{\alpha_N / \alpha_D} + D_c / D \right]^{\alpha_D}

    Parameters
    ----------
    N : array_like
        Model size, non-embedding parameters, a count (70e9, not 70).
    D : array_like
        Training data, tokens, a count.
    N_c, D_c : array_like
        Parameters and tokens at which the loss would be 1 nat per token if the other were infinite; > 0.
    alpha_N, alpha_D : array_like
        Exponents, > 0.

    Returns
    -------
    array
        Expected loss in nats per token, broadcast over everything.

    Notes
    -----
    Kaplan et al. (2020), eq. 1.5, arXiv:2001.08361.

    Examples
    --------
    Kaplan's joint constants at a billion parameters and 20e9 tokens:

    >>> round(float(kaplan(1e9, 20e9, N_c=6.4e13, D_c=1.8e13, alpha_N=0.076, alpha_D=0.103)), 2)
    2.37
    """
    return jnp.power(jnp.power(N_c / N, alpha_N / alpha_D) + D_c / D, alpha_D)


def a_opt(*, alpha, beta):
    """Exponent of the compute-optimal size, N_opt ~ C**a_opt, for C proportional to N D (Hoffmann et al., eq. 4)."""
    return beta / (alpha + beta)


def _optimum(flops, *, E, A, B, alpha, beta):
    r"""N and D of the lowest loss where C = 6 N D.

    :math:`N^* = G (C/6)^{\beta/(\alpha+\beta)}`, :math:`G = (\alpha A / \beta B)^{1/(\alpha+\beta)}` (Hoffmann et al.,
    eq. 4).
    """
    # In logs: A and B may be as large as 1e300.
    log_g = (np.log(alpha) + np.log(A) - np.log(beta) - np.log(B)) / (alpha + beta)
    n = np.exp(log_g + beta / (alpha + beta) * np.log(np.asarray(flops) / FLOPS_PER_TOKEN))
    return n, flops / (FLOPS_PER_TOKEN * n)


_PRIORS = {
    chinchilla: {
        # Wide: where the largest runs have few tokens per parameter, they say little about the floor.
        "E": pooled(FloorShare(logit=0.6, sd=1.0), spread=0.1),
        "A": pooled(Anchored(ResponseShare(0.3, 1.0), input="N", exponent="alpha"), spread=0.5),
        "B": pooled(Anchored(ResponseShare(0.3, 1.0), input="D", exponent="beta"), spread=0.5),
        "alpha": pooled(LogNormal(median=0.3, spread=0.5), spread=0.3),
        "beta": pooled(LogNormal(median=0.3, spread=0.5), spread=0.2),
    },
    kaplan: {
        "N_c": pooled(
            Anchored(ResponseShare(0.9, 0.5, floor=None), input="N", exponent="alpha_N", form="scale"),
            spread=0.1,
        ),
        "D_c": pooled(
            Anchored(ResponseShare(0.9, 0.5, floor=None), input="D", exponent="alpha_D", form="scale"),
            spread=0.1,
        ),
        "alpha_N": pooled(LogNormal(median=0.08, spread=0.5), spread=0.3),
        "alpha_D": pooled(LogNormal(median=0.08, spread=0.5), spread=0.3),
    },
}

LAWS = (
    Law(
        chinchilla,
        floor="E",
        priors=_PRIORS[chinchilla],
        optimum=_optimum,
        derived={"a_opt": a_opt},
    ),
    Law(kaplan, priors=_PRIORS[kaplan]),
)
