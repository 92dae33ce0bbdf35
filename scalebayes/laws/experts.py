"""Laws of mixtures of experts: size, data, and the number or the granularity of experts."""

import math

import jax.numpy as jnp

from scalebayes.laws import usual
from scalebayes.laws.law import Law
from scalebayes.priors import Anchored, Normal, pooled

__all__ = ["fine_grained_experts", "joint_experts", "routed_experts"]


def _saturated(E, E_start, E_max):
    """The number of experts that count: E_start for one expert, E_max for any number."""
    return 1 / (1 / (E - 1 + 1 / (1 / E_start - 1 / E_max)) + 1 / E_max)


def routed_experts(N, E, *, a, b, c, d, E_start, E_max):
    r"""Loss over the size of a token's model and the number of experts, whose gain shrinks with the size.

    .. math::

        \log_{10} L = a \log_{10} N + b \log_{10} \hat E + c \log_{10} N \log_{10} \hat E + d, \qquad
        \frac{1}{\hat E} = \frac{1}{E - 1 + \left(\frac{1}{E_\mathrm{start}} - \frac{1}{E_\max}\right)^{-1}}
        + \frac{1}{E_\max}

    Parameters
    ----------
    N : array_like
        Parameters that a token uses, a count.
    E : array_like
        Number of experts, from 1 on; 1 for a dense model.
    a, b, c, d : array_like
        Of either sign; a and b are negative where size and experts help, c is positive where experts help less the
        larger the model.
    E_start, E_max : array_like
        Experts from which on and up to which they count, > 0.

    Returns
    -------
    array
        Expected loss in nats per token, broadcast over everything.

    Notes
    -----
    Clark et al. (2022), eq. 1 and 2, arXiv:2202.01169. Beyond N = 10**(-b / c) routing does not help, at the number of
    tokens of these runs.

    Examples
    --------
    >>> at = {"a": -0.082, "b": -0.108, "c": 0.009, "d": 1.104, "E_start": 1.847, "E_max": 314.478}
    >>> round(float(routed_experts(1.3e9, 64, **at)), 2)
    2.05
    """
    n, e = jnp.log10(N), jnp.log10(_saturated(E, E_start, E_max))
    return jnp.power(10.0, a * n + b * e + c * n * e + d)


def fine_grained_experts(N, D, G, *, c, a, g, b, alpha, beta, gamma):
    r"""Loss over size, data and granularity: into how many small ones each expert is divided.

    .. math:: L(N, D, G) = c + (g G^{-\gamma} + a) N^{-\alpha} + b D^{-\beta}

    Parameters
    ----------
    N : array_like
        Parameters of the model, a count.
    D : array_like
        Training data, tokens, a count.
    G : array_like
        Granularity, from 1 on.
    c : array_like
        Irreducible loss, nats per token; > 0.
    a, g, b : array_like
        Prices of few parameters, of coarse experts and of few tokens, > 0.
    alpha, beta, gamma : array_like
        Exponents, > 0.

    Returns
    -------
    array
        Expected loss in nats per token, broadcast over everything.

    Notes
    -----
    Krajewski et al. (2024), eq. 9, arXiv:2402.07871.

    Examples
    --------
    >>> at = {"c": 0.5, "a": 18.0, "g": 2.0, "b": 31.0, "alpha": 0.115, "beta": 0.147, "gamma": 0.58}
    >>> bool(fine_grained_experts(1e9, 2e10, 16, **at) < fine_grained_experts(1e9, 2e10, 1, **at))
    True
    """
    return c + (g * jnp.power(G, -gamma) + a) * jnp.power(N, -alpha) + b * jnp.power(D, -beta)


def joint_experts(N, D, E, *, c, a, b, alpha, beta, gamma, delta, zeta, omega, E_start, E_max):
    r"""Loss over size, data and the number of experts, dense models included.

    .. math::

        L(N, D, E) = c + a \hat E^{\delta} N^{-\alpha + \gamma \ln \hat E}
        + b \hat E^{\omega} D^{-\beta + \zeta \ln \hat E}

    with :math:`\hat E` as in `routed_experts`.

    Parameters
    ----------
    N : array_like
        Parameters that a token uses, a count.
    D : array_like
        Training data, tokens, a count.
    E : array_like
        Number of experts, from 1 on; 1 for a dense model.
    c : array_like
        Irreducible loss, nats per token; > 0.
    a, b : array_like
        Prices of few parameters and of few tokens, > 0.
    alpha, beta : array_like
        Exponents of size and data, > 0.
    gamma, zeta : array_like
        How the exponents change with the logarithm of the experts, of either sign.
    delta, omega : array_like
        Exponents of the experts in both prices, of either sign.
    E_start, E_max : array_like
        Experts from which on and up to which they count, > 0.

    Returns
    -------
    array
        Expected loss in nats per token, broadcast over everything.

    Notes
    -----
    Ludziejewski et al. (2025), eq. 4, arXiv:2502.05172, with the exponents alpha and beta positive.

    Examples
    --------
    Their constants for a dense model, with E_start = 1:

    >>> at = {"c": 1.3637, "a": 35.91, "b": 35.98, "alpha": 0.1889, "beta": 0.1775, "gamma": 0.0098}
    >>> at |= {"delta": -0.2285, "zeta": -0.0259, "omega": 0.5529, "E_start": 1.0, "E_max": 1e9}
    >>> round(float(joint_experts(1e9, 2e10, 1, **at)), 4)
    2.6141
    """
    e = jnp.log(_saturated(E, E_start, E_max))
    of_size = a * jnp.exp(delta * e + (gamma * e - alpha) * jnp.log(N))
    return c + of_size + b * jnp.exp(omega * e + (zeta * e - beta) * jnp.log(D))


_PER_DECADE = 1 / math.log(10)
_EXPERTS = {"E_start": usual.positive(2.0, 0.4, groups=0.1), "E_max": usual.positive(350.0, 0.6, groups=0.1)}

LAWS = (
    Law(
        routed_experts,
        domain={"E": usual.FROM_ONE},
        priors={
            "a": pooled(Normal(-0.08, 0.05), spread=0.02),
            # Both stated amid the sizes: at N = 1 they are of no meaning.
            "b": pooled(Anchored(Normal(-0.05, 0.05), "N", "c", "intercept", factor=_PER_DECADE), spread=0.02),
            "c": pooled(Normal(0.0, 0.02), spread=0.01),
            "d": pooled(Anchored(Normal(0.4, 0.3), "N", "a", "intercept", factor=_PER_DECADE), spread=0.05),
        }
        | _EXPERTS,
    ),
    Law(
        fine_grained_experts,
        floor="c",
        domain={"G": usual.FROM_ONE},
        priors={
            "c": usual.floor(),
            "a": usual.amplitude("N", "alpha"),
            "g": usual.amplitude(("N", "G"), ("alpha", "gamma"), 0.1),
            "b": usual.amplitude("D", "beta"),
            "alpha": usual.exponent(0.2, 0.5),
            "beta": usual.exponent(0.2, 0.5),
            "gamma": usual.exponent(0.5, 0.5),
        },
    ),
    Law(
        joint_experts,
        floor="c",
        domain={"E": usual.FROM_ONE},
        priors={
            "c": usual.floor(),
            "a": usual.amplitude("N", "alpha"),
            "b": usual.amplitude("D", "beta"),
            "alpha": usual.exponent(0.25, 0.5),
            "beta": usual.exponent(0.25, 0.5),
            "gamma": pooled(Normal(0.0, 0.02), spread=0.01),
            "delta": pooled(Anchored(Normal(-0.05, 0.1), "N", "gamma", "intercept"), spread=0.05),
            "zeta": pooled(Normal(0.0, 0.02), spread=0.01),
            "omega": pooled(Anchored(Normal(-0.05, 0.1), "D", "zeta", "intercept"), spread=0.05),
        }
        | _EXPERTS,
    ),
)
