"""Laws of two or more resources, such as model size and data, beyond `chinchilla` and `kaplan`."""

import jax
import jax.numpy as jnp

from scalebayes.laws import usual
from scalebayes.laws.law import Law
from scalebayes.priors import Anchored, LogNormal, Normal, RangeShare, Share, pooled

__all__ = [
    "critical_batch",
    "droppo",
    "encoder_decoder",
    "farseer",
    "outer_power",
    "over_training",
    "rosenfeld",
    "vocabulary",
]

_ROUNDS = 8  # of Newton's method, which leave nothing but rounding


def droppo(N, D, *, L_inf, N_c, D_c, alpha_N, alpha_D, alpha):
    r"""Loss as a bracket of size, data and a floor, all under one outer power.

    .. math::

        L(N, D) = \left[ L_\infty^{1/\alpha} + (N_c / N)^{\alpha_N/\alpha}
        + (D_c / D)^{\alpha_D/\alpha} \right]^{\alpha}

    Parameters
    ----------
    N : array_like
        Model size, parameters, a count.
    D : array_like
        Training data, a count.
    L_inf : array_like
        Irreducible loss, in the response's units; > 0.
    N_c, D_c : array_like
        Size and data at which their terms alone would be 1, in the units of N and D; > 0.
    alpha_N, alpha_D : array_like
        Exponents, > 0.
    alpha : array_like
        Outer exponent, > 0; a small one makes the largest term a bottleneck.

    Returns
    -------
    array
        Expected loss, broadcast over everything.

    Notes
    -----
    Droppo and Elibol (2021), acoustic models, arXiv:2106.09488; `kaplan` with a floor inside the bracket.

    Examples
    --------
    Without a limit of size and data the floor is left:

    >>> constants = {"N_c": 1e6, "D_c": 1e6, "alpha_N": 0.5, "alpha_D": 0.5, "alpha": 0.8}
    >>> round(float(droppo(1e300, 1e300, L_inf=0.7, **constants)), 6)
    0.7
    """
    logs = jnp.stack(
        jnp.broadcast_arrays(jnp.log(L_inf), alpha_N * jnp.log(N_c / N), alpha_D * jnp.log(D_c / D)), axis=-1
    )
    return jnp.exp(alpha * jax.nn.logsumexp(logs / jnp.asarray(alpha)[..., None], axis=-1))


def outer_power(N, D, *, E, A, B, alpha, beta, gamma):
    r"""Loss with a floor, in which the prices of few parameters and of few tokens add up under an outer power.

    .. math:: L(N, D) = E + \left[ (A N^{-\alpha})^{1/\gamma} + (B D^{-\beta})^{1/\gamma} \right]^{\gamma}

    With a = alpha / gamma and b = beta / gamma this is the published :math:`E + (A' N^{-a} + B' D^{-b})^{\gamma}`. The
    runs determine alpha and beta, and gamma hardly; for gamma = 1 it is `chinchilla`.

    Parameters
    ----------
    N : array_like
        Model size, parameters, a count.
    D : array_like
        Training data, tokens, a count.
    E : array_like
        Irreducible loss, nats per token; > 0.
    A, B : array_like
        Nats per token: the prices extrapolated to N = 1 and to D = 1; > 0.
    alpha, beta : array_like
        Exponents of the loss above the floor where one of both is scarce, > 0.
    gamma : array_like
        Outer exponent, > 0; below 1 the scarcer of both is a bottleneck.

    Returns
    -------
    array
        Expected loss in nats per token, broadcast over everything.

    Notes
    -----
    Beck et al. (2025), arXiv:2510.02228, with alpha, beta and gamma as parameters in place of a, b and gamma; of
    distillation Busbridge et al. (2025), arXiv:2502.08606.

    Examples
    --------
    >>> from scalebayes.laws import chinchilla
    >>> at = {"E": 1.7, "A": 400.0, "B": 400.0, "alpha": 0.34, "beta": 0.28}
    >>> round(float(outer_power(1e9, 2e10, **at, gamma=1.0) - chinchilla(1e9, 2e10, **at)), 5)
    0.0
    """
    of_size = jnp.log(A) - alpha * jnp.log(N)
    of_data = jnp.log(B) - beta * jnp.log(D)
    return E + jnp.exp(gamma * jnp.logaddexp(of_size / gamma, of_data / gamma))


def over_training(C, M, *, E, a, b, eta):
    r"""Loss over compute and tokens for each parameter.

    .. math:: L(C, M) = E + \left( a M^{\eta} + b M^{-\eta} \right) C^{-\eta}

    It is `chinchilla` with both exponents 2 eta, where C = 6 N D and M = D / N.

    Parameters
    ----------
    C : array_like
        Training compute, FLOPs.
    M : array_like
        Tokens for each parameter, D / N.
    E : array_like
        Irreducible loss, nats per token; > 0.
    a, b : array_like
        Prices of few parameters and of few tokens, > 0.
    eta : array_like
        Exponent over compute, > 0.

    Returns
    -------
    array
        Expected loss in nats per token, broadcast over everything.

    Notes
    -----
    Gadre et al. (2024), eq. 4, arXiv:2403.08540.

    Examples
    --------
    At M = sqrt(b / a) the loss of a budget is lowest:

    >>> at = {"E": 1.6, "a": 50.0, "b": 5000.0, "eta": 0.13}
    >>> best = (5000.0 / 50.0) ** (1 / 0.26)
    >>> bool(over_training(1e21, best, **at) < over_training(1e21, 1.1 * best, **at))
    True
    """
    return E + (a * jnp.power(M, eta) + b * jnp.power(M, -eta)) * jnp.power(C, -eta)


def rosenfeld(n, m, *, eps_0, a, b, c_inf, alpha, beta, eta):
    r"""Error over data and model size, from the level of a random guess to a floor.

    .. math::

        \tilde\varepsilon = a n^{-\alpha} + b m^{-\beta} + c_\infty, \qquad
        \varepsilon(n, m) = \varepsilon_0 \frac{\tilde\varepsilon}{\sqrt{\tilde\varepsilon^2 + \eta^2}}

    Parameters
    ----------
    n : array_like
        Training data, a count.
    m : array_like
        Model size, parameters, a count.
    eps_0 : array_like
        Error of a random guess; known for classes, 1 - 1 / classes.
    a, b, c_inf : array_like
        Of the power law; > 0, in units of eta.
    alpha, beta : array_like
        Exponents, > 0.
    eta : array_like
        Where the error leaves the level of a guess, > 0. It is confounded with a and b unless some runs are that small.

    Returns
    -------
    array
        Expected error between 0 and eps_0, broadcast over everything.

    Notes
    -----
    Rosenfeld et al. (2020), eq. 5, arXiv:1909.12673.

    Examples
    --------
    Of small models on few data it is a guess:

    >>> at = {"a": 100.0, "b": 30.0, "c_inf": 0.1, "alpha": 0.7, "beta": 0.6, "eta": 1.0}
    >>> round(float(rosenfeld(1.0, 1.0, eps_0=0.9, **at)), 3)
    0.9
    """
    free = a * jnp.power(n, -alpha) + b * jnp.power(m, -beta) + c_inf
    return eps_0 / jnp.sqrt(1 + (eta / free) ** 2)


def encoder_decoder(N_e, N_d, *, L_inf, a, p_e, p_d):
    r"""Loss of a translation model over the sizes of its encoder and decoder.

    .. math:: L(N_e, N_d) = L_\infty + a N_e^{-p_e} N_d^{-p_d}

    Parameters
    ----------
    N_e, N_d : array_like
        Parameters of encoder and decoder, counts.
    L_inf : array_like
        Irreducible loss, nats per token; > 0.
    a : array_like
        Reducible loss extrapolated to one parameter in each, > 0.
    p_e, p_d : array_like
        Exponents, > 0; of a given sum of sizes the loss is lowest at N_e / N_d = p_e / p_d.

    Returns
    -------
    array
        Expected loss in nats per token, broadcast over everything.

    Notes
    -----
    Ghorbani et al. (2021), arXiv:2109.07740. Group runs by the direction of their test sets.

    Examples
    --------
    >>> round(float(encoder_decoder(1e8, 1e8, L_inf=1.2, a=1e4, p_e=0.2, p_d=0.3)), 3)
    2.2
    """
    return L_inf + a * jnp.power(N_e, -p_e) * jnp.power(N_d, -p_d)


def critical_batch(N, S, B, *, N_c, S_c, alpha_N, alpha_S, B_star, alpha_B):
    r"""Loss over model size, steps and batch, with the batch beyond which steps are not saved.

    .. math::

        L = \left(\frac{N_c}{N}\right)^{\alpha_N} + \left(\frac{S_c}{S_\min}\right)^{\alpha_S}, \qquad
        S_\min = \frac{S}{1 + B_\mathrm{crit}(L) / B}, \qquad B_\mathrm{crit}(L) = B_* L^{-1/\alpha_B}

    Parameters
    ----------
    N : array_like
        Model size, non-embedding parameters, a count.
    S : array_like
        Training steps, a count.
    B : array_like
        Batch, tokens.
    N_c : array_like
        Parameters at which the first term alone would be 1 nat per token; > 0.
    S_c : array_like
        Steps at which the second term alone would be 1 nat per token; > 0.
    alpha_N, alpha_S : array_like
        Exponents, > 0.
    B_star : array_like
        Critical batch at a loss of 1, tokens; > 0.
    alpha_B : array_like
        Of the critical batch, > 0; published is 0.21.

    Returns
    -------
    array
        Expected loss in nats per token, broadcast over everything.

    Notes
    -----
    Kaplan et al. (2020), eq. 5.3 to 5.6, arXiv:2001.08361; McCandlish et al. (2018), arXiv:1812.06162. The loss is
    found by Newton's method, because the critical batch depends on it.

    Examples
    --------
    Of a batch far beyond the critical one it is a sum of two powers:

    >>> at = {"N_c": 8.8e13, "S_c": 2.1e3, "alpha_N": 0.076, "alpha_S": 0.76, "B_star": 2e8, "alpha_B": 0.21}
    >>> round(float(critical_batch(1e9, 1e5, 1e12, **at)), 3)
    2.429
    """
    of_size = jnp.power(N_c / N, alpha_N)

    def again(_, log_loss):
        critical = B_star * jnp.exp(-log_loss / alpha_B)
        found = jnp.log(of_size + jnp.power(S_c / S * (1 + critical / B), alpha_S))
        slope = -_slope(found, of_size, critical / B, alpha_S, alpha_B)
        return log_loss + (found - log_loss) / (1 + slope)

    start = jnp.log(of_size + jnp.power(S_c / S, alpha_S) + 0.0 * B * B_star * alpha_B)
    return jnp.exp(jax.lax.fori_loop(0, _ROUNDS, again, start))


def _slope(log_loss, of_size, ratio, alpha_S, alpha_B):
    """The derivative of the next logarithm of the loss by the last one, by Newton's method; negative."""
    share = 1 - of_size * jnp.exp(-log_loss)
    return -share * alpha_S / alpha_B * ratio / (1 + ratio)


def farseer(N, D, *, a_1, b_1, alpha, a_2, b_2, beta, a_3, b_3, gamma):
    r"""Loss in which the floor, the price of few tokens and the exponent of tokens depend on the size.

    .. math::

        L(N, D) = e^{a_3 N^{\gamma} + b_3} + e^{a_2 N^{\beta} + b_2} D^{-\exp(a_1 N^{\alpha} + b_1)}

    Parameters
    ----------
    N : array_like
        Model size, parameters, a count.
    D : array_like
        Training data, tokens, a count.
    a_1, b_1, alpha : array_like
        Of the exponent of D: a_1 of either sign, alpha > 0.
    a_2, b_2, beta : array_like
        Of the price of few tokens.
    a_3, b_3, gamma : array_like
        Of the loss on infinite data.

    Returns
    -------
    array
        Expected loss, broadcast over everything.

    Notes
    -----
    Li et al. (2025), Farseer, arXiv:2506.10972.

    Examples
    --------
    With a_1 = a_2 = 0 size and data are additive:

    >>> at = {"a_1": 0.0, "b_1": -1.0, "alpha": 0.1, "a_2": 0.0, "b_2": 3.0, "beta": 0.1}
    >>> at |= {"a_3": -0.02, "b_3": 1.0, "gamma": 0.17}
    >>> one, other = (float(farseer(N, 1e9, **at) - farseer(N, 1e10, **at)) for N in (1e8, 1e9))
    >>> round(one - other, 4)
    0.0
    """
    exponent = jnp.exp(a_1 * jnp.power(N, alpha) + b_1)
    of_data = a_2 * jnp.power(N, beta) + b_2 - exponent * jnp.log(D)
    return jnp.exp(a_3 * jnp.power(N, gamma) + b_3) + jnp.exp(of_data)


def vocabulary(N_nv, N_v, D, *, E, A_1, A_2, B, alpha_1, alpha_2, beta):
    r"""Loss relative to a unigram model over the parameters outside and inside the vocabulary, and data.

    .. math:: L_u(N_{nv}, N_v, D) = -E + A_1 N_{nv}^{-\alpha_1} + A_2 N_v^{-\alpha_2} + B D^{-\beta}

    Parameters
    ----------
    N_nv : array_like
        Parameters outside the embeddings, a count.
    N_v : array_like
        Parameters of the embeddings: words times width, a count. For a given width the number of words serves too.
    D : array_like
        Training data, characters, so that vocabularies are comparable.
    E : array_like
        What an infinite model gains over a unigram model, nats; > 0.
    A_1, A_2, B : array_like
        Prices extrapolated to one parameter and one character, > 0.
    alpha_1, alpha_2, beta : array_like
        Exponents, > 0.

    Returns
    -------
    array
        Expected loss less that of a unigram model, nats, negative; broadcast over everything.

    Notes
    -----
    Tao et al. (2024), arXiv:2407.13623.

    Examples
    --------
    >>> at = {"E": 6.0, "A_1": 30.0, "A_2": 2.0, "B": 90.0, "alpha_1": 0.2, "alpha_2": 0.2, "beta": 0.2}
    >>> bool(vocabulary(1e9, 1e8, 1e11, **at) < vocabulary(1e8, 1e7, 1e10, **at))
    True
    """
    of_sizes = A_1 * jnp.power(N_nv, -alpha_1) + A_2 * jnp.power(N_v, -alpha_2)
    return -E + of_sizes + B * jnp.power(D, -beta)


def _range_share(input: str, exponent: str, share: float):
    return pooled(Anchored(RangeShare(share, 1.0), input=input, exponent=exponent), spread=0.5)


_NEGATIVE_OR_NOT = Normal(0.0, 0.5)

LAWS = (
    Law(
        droppo,
        floor="L_inf",
        priors={
            "L_inf": usual.floor(),
            "N_c": usual.scale("N", "alpha_N", 0.3),
            "D_c": usual.scale("D", "alpha_D", 0.3),
            "alpha_N": usual.exponent(0.15, 0.6),
            "alpha_D": usual.exponent(0.15, 0.6),
            "alpha": usual.positive(0.6, 0.6),
        },
    ),
    Law(
        outer_power,
        floor="E",
        priors={
            "E": usual.floor(),
            "A": usual.amplitude("N", "alpha"),
            "B": usual.amplitude("D", "beta"),
            "alpha": usual.exponent(0.25, 0.5),
            "beta": usual.exponent(0.25, 0.5),
            "gamma": usual.positive(0.7, 0.5, groups=0.1),
        },
    ),
    Law(
        over_training,
        floor="E",
        priors={
            "E": usual.floor(),
            "a": usual.amplitude(("C", "M"), ("eta", "-eta")),
            "b": usual.amplitude(("C", "M"), ("eta", "eta")),
            "eta": usual.exponent(0.15, 0.5),
        },
    ),
    Law(
        rosenfeld,
        scale="logit",
        priors={
            "eps_0": pooled(Share(logit=2.5, sd=1.0), spread=0.1),
            "a": pooled(Anchored(LogNormal(0.3, 1.0), input="n", exponent="alpha"), spread=0.5),
            "b": pooled(Anchored(LogNormal(0.3, 1.0), input="m", exponent="beta"), spread=0.5),
            "c_inf": usual.positive(0.1, 1.0),
            "alpha": usual.exponent(0.6, 0.5),
            "beta": usual.exponent(0.5, 0.5),
            "eta": usual.positive(1.0, 0.7),
        },
    ),
    Law(
        encoder_decoder,
        floor="L_inf",
        priors={
            "L_inf": usual.floor(),
            "a": usual.amplitude(("N_e", "N_d"), ("p_e", "p_d"), 0.5),
            "p_e": usual.exponent(0.2, 0.5),
            "p_d": usual.exponent(0.3, 0.5),
        },
    ),
    Law(
        critical_batch,
        priors={
            "N_c": usual.scale("N", "alpha_N", 0.8),
            "S_c": usual.scale("S", "alpha_S", 0.2),
            "alpha_N": usual.exponent(0.08, 0.5),
            "alpha_S": usual.exponent(0.7, 0.5),
            "B_star": usual.positive(2e8, 1.0),
            "alpha_B": usual.positive(0.21, 0.2, groups=0.1),
        },
    ),
    Law(
        farseer,
        priors={
            "a_1": pooled(Anchored(_NEGATIVE_OR_NOT, "N", "-alpha"), spread=0.1),
            "b_1": pooled(Normal(-1.2, 0.7), spread=0.1),
            "alpha": usual.positive(0.15, 0.5, groups=0.1),
            "a_2": pooled(Anchored(Normal(0.0, 2.0), "N", "-beta"), spread=0.3),
            "b_2": pooled(Normal(5.0, 5.0), spread=0.5),
            "beta": usual.positive(0.15, 0.5, groups=0.1),
            "a_3": pooled(Anchored(Normal(-0.5, 0.5), "N", "-gamma"), spread=0.1),
            "b_3": pooled(Normal(0.0, 1.0), spread=0.1),
            "gamma": usual.positive(0.15, 0.5, groups=0.1),
        },
    ),
    Law(
        vocabulary,
        scale="identity",
        priors={
            "E": pooled(RangeShare(1.0, 1.0), spread=0.1),
            "A_1": _range_share("N_nv", "alpha_1", 0.3),
            "A_2": _range_share("N_v", "alpha_2", 0.1),
            "B": _range_share("D", "beta", 0.3),
            "alpha_1": usual.exponent(0.3, 0.5),
            "alpha_2": usual.exponent(0.3, 0.5),
            "beta": usual.exponent(0.3, 0.5),
        },
    ),
)
