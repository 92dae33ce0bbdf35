"""Laws in which data or parameters count for less, or more, than their number: an effective size enters a power law."""

import jax.numpy as jnp

from scalebayes.laws import usual
from scalebayes.laws.law import Law
from scalebayes.priors import Anchored, LogNormal, Normal, Pooled, ResponseShare, pooled

__all__ = [
    "average_size",
    "parallel",
    "precision",
    "quantised",
    "repeated_data",
    "retrieval",
    "sparse",
    "transfer",
    "upcycled",
]


def repeated_data(N, D, U, *, E, A, B, alpha, beta, R_D, R_N):
    r"""Loss of a model that sees its data several times: repeated tokens, and parameters beyond them, count for less.

    .. math::

        L(N, D, U) &= E + A N'^{-\alpha} + B D'^{-\beta}, \\
        D' &= U \left[1 + R_D (1 - e^{-(D/U - 1) / R_D})\right], \\
        N' &= U_N \left[1 + R_N (1 - e^{-(N/U_N - 1) / R_N})\right], \quad
        U_N = \min\left(N,\ G (G U)^{\beta/\alpha}\right), \quad
        G = \left(\frac{\alpha A}{\beta B}\right)^{1/(\alpha+\beta)}

    Parameters
    ----------
    N : array_like
        Model size, parameters, a count.
    D : array_like
        Tokens seen in training, repeated ones included, a count.
    U : array_like
        Unique tokens, at most D.
    E, A, B, alpha, beta : array_like
        As in `chinchilla`, of data that are not repeated.
    R_D : array_like
        Number of repetitions after which a token is worth little, > 0; 15.4 is published.
    R_N : array_like
        The same of excess parameters, > 0; 5.3 is published.

    Returns
    -------
    array
        Expected loss in nats per token, broadcast over everything. Runs that overfit, whose loss rises again, do not
        follow it.

    Notes
    -----
    Muennighoff et al. (2023), eq. 5 and 6, arXiv:2305.16264.

    Examples
    --------
    Their 8.67e9 parameters on 178e9 tokens, of which 25e9 are unique:

    >>> at = {"E": 1.86914368, "A": 520.82495, "B": 1487.71609, "alpha": 0.3526596, "beta": 0.3526596}
    >>> round(float(repeated_data(8.67e9, 178e9, 25e9, **at, R_D=15.387756, R_N=5.309743)), 4)
    2.227
    """
    # In logs: A and B may be as large as 1e300.
    log_g = (jnp.log(alpha) + jnp.log(A) - jnp.log(beta) - jnp.log(B)) / (alpha + beta)
    log_best = jnp.minimum(jnp.log(N), log_g + beta / alpha * (log_g + jnp.log(U)))
    repeats = jnp.maximum(D / U - 1, 0.0)
    tokens = U * (1 - R_D * jnp.expm1(-repeats / R_D))
    excess = jnp.maximum(jnp.expm1(jnp.log(N) - log_best), 0.0)
    log_size = log_best + jnp.log1p(-R_N * jnp.expm1(-excess / R_N))
    return E + A * jnp.exp(-alpha * log_size) + B * jnp.power(tokens, -beta)


def transfer(N, D_F, *, N_c, D_c, alpha_N, alpha_D, k, alpha, beta):
    r"""Fine-tuning loss: pre-training is worth a number of tokens that grows with the data and the size.

    .. math::

        L(N, D_F) = \left[ (N_c / N)^{\alpha_N / \alpha_D} + \frac{D_c}{D_F + D_T} \right]^{\alpha_D}, \qquad
        D_T = k D_F^{\alpha} N^{\beta}

    Parameters
    ----------
    N : array_like
        Model size, parameters, a count.
    D_F : array_like
        Fine-tuning data, a count.
    N_c, D_c, alpha_N, alpha_D : array_like
        As in `kaplan`, of models trained from scratch.
    k : array_like
        Transferred data extrapolated to one unit of both, > 0.
    alpha, beta : array_like
        Exponents of the transferred data, > 0; 0.18 and 0.38 for text to code.

    Returns
    -------
    array
        Expected loss, broadcast over everything.

    Notes
    -----
    Hernandez et al. (2021), eq. 1 and 2, arXiv:2102.01293. Runs from scratch have the law `kaplan` with the same
    parameters; both together determine k.

    Examples
    --------
    >>> from scalebayes.laws import kaplan
    >>> at = {"N_c": 6.4e13, "D_c": 1.8e13, "alpha_N": 0.076, "alpha_D": 0.103}
    >>> bool(transfer(1e8, 1e7, **at, k=1e3, alpha=0.18, beta=0.38) < kaplan(1e8, 1e7, **at))
    True
    """
    transferred = k * jnp.exp(alpha * jnp.log(D_F) + beta * jnp.log(N))
    of_size = alpha_N / alpha_D * jnp.log(N_c / N)
    return jnp.exp(alpha_D * jnp.logaddexp(of_size, jnp.log(D_c) - jnp.log(D_F + transferred)))


def sparse(N, D, S, *, c, a_S, b_S, c_S, b_N, a_D, b_D):
    r"""Loss of a model of which a share of the weights is zero.

    .. math:: L(N, D, S) = c + \left(a_S (1 - S)^{b_S} + c_S\right) N^{-b_N} + (a_D / D)^{b_D}

    Parameters
    ----------
    N : array_like
        Weights that are not zero, a count.
    D : array_like
        Training data, a count.
    S : array_like
        Share of weights that are zero, from 0 to below 1.
    c : array_like
        Irreducible loss, > 0.
    a_S, c_S : array_like
        Prices of few weights: what sparsity saves of it, and what is left; > 0.
    b_S : array_like
        Exponent of the density, > 0.
    b_N, b_D : array_like
        Exponents, > 0.
    a_D : array_like
        Data at which their term would be 1, in the units of D; > 0.

    Returns
    -------
    array
        Expected loss, broadcast over everything.

    Notes
    -----
    Frantar et al. (2023), eq. 1, arXiv:2309.08520.

    Examples
    --------
    For as many weights that are not zero, a sparser model is better:

    >>> at = {"c": 0.6, "a_S": 17.0, "b_S": 0.7, "c_S": 45.0, "b_N": 0.245, "a_D": 7e8, "b_D": 0.2}
    >>> bool(sparse(1e8, 1e10, 0.75, **at) < sparse(1e8, 1e10, 0.0, **at))
    True
    """
    of_size = a_S * jnp.power(1 - S, b_S) + c_S
    return c + of_size * jnp.power(N, -b_N) + jnp.power(a_D / D, b_D)


def average_size(N_1, N_2, D_1, D_2, *, E, A, B, alpha, beta):
    r"""Loss of a model whose size changes during training: what counts is its mean size over all tokens.

    .. math::

        L = E + A \bar N^{-\alpha} + B (D_1 + D_2)^{-\beta}, \qquad
        \bar N = \frac{N_1 D_1 + N_2 D_2}{D_1 + D_2}

    Parameters
    ----------
    N_1, N_2 : array_like
        Parameters in a first and a second part of training, counts; before and after pruning.
    D_1, D_2 : array_like
        Tokens of these parts, counts.
    E, A, B, alpha, beta : array_like
        As in `chinchilla`.

    Returns
    -------
    array
        Expected loss in nats per token, broadcast over everything.

    Notes
    -----
    Jin et al. (2025), arXiv:2501.12486.

    Examples
    --------
    >>> from scalebayes.laws import chinchilla
    >>> at = {"E": 1.69, "A": 406.4, "B": 410.7, "alpha": 0.34, "beta": 0.28}
    >>> round(float(average_size(1e9, 1e9, 1e10, 3e10, **at) - chinchilla(1e9, 4e10, **at)), 5)
    0.0
    """
    tokens = D_1 + D_2
    size = N_1 * (D_1 / tokens) + N_2 * (D_2 / tokens)
    return E + A * jnp.power(size, -alpha) + B * jnp.power(tokens, -beta)


def upcycled(N, P, D_1, D_2, *, E, A, B, alpha_1, alpha_2, alpha_3, beta_1, beta_2):
    r"""Loss of a mixture of experts made of a dense model and trained further.

    .. math::

        L = E + A D_1^{-\alpha_1} D_2^{-\alpha_2 + \alpha_3 \ln D_1} + B P^{-\beta_1} N^{-\beta_2}

    Parameters
    ----------
    N : array_like
        Parameters that a token uses, a count.
    P : array_like
        Sparsity: all parameters for each one that a token uses, from 1 on.
    D_1 : array_like
        Tokens of the dense model, a count.
    D_2 : array_like
        Tokens after it was made a mixture of experts, a count.
    E : array_like
        Irreducible loss, nats per token; > 0.
    A, B : array_like
        Prices extrapolated to one token and one parameter, > 0.
    alpha_1, alpha_2, beta_1, beta_2 : array_like
        Exponents, > 0.
    alpha_3 : array_like
        Interaction: how much less further tokens gain after longer dense training; of either sign.

    Returns
    -------
    array
        Expected loss in nats per token, broadcast over everything.

    Notes
    -----
    Liew et al. (2025), arXiv:2502.03009, with its laws of data and of configuration added up. The interaction is small
    and in the units of D_1.

    Examples
    --------
    >>> at = {"E": 1.5, "A": 80.0, "B": 30.0, "alpha_1": 0.1, "alpha_2": 0.2, "alpha_3": 0.0, "beta_1": 0.1}
    >>> bool(upcycled(1e9, 8, 1e10, 1e10, **at, beta_2=0.2) < upcycled(1e9, 1, 1e10, 1e10, **at, beta_2=0.2))
    True
    """
    of_data = -alpha_1 * jnp.log(D_1) + (-alpha_2 + alpha_3 * jnp.log(D_1)) * jnp.log(D_2)
    return E + A * jnp.exp(of_data) + B * jnp.power(P, -beta_1) * jnp.power(N, -beta_2)


def precision(N, D, P_w, P_a, P_kv, *, E, A, B, alpha, beta, gamma_w, gamma_a, gamma_kv):
    r"""Loss of a model trained in few bits, which make it a smaller one.

    .. math::

        L = E + A N_\mathrm{eff}^{-\alpha} + B D^{-\beta}, \qquad
        N_\mathrm{eff} = N \prod_{i \in \{w, a, kv\}} \left(1 - e^{-P_i / \gamma_i}\right)

    Parameters
    ----------
    N : array_like
        Model size, parameters, a count.
    D : array_like
        Training data, tokens, a count.
    P_w, P_a, P_kv : array_like
        Bits of weights, activations and the cache of keys and values; > 0.
    E, A, B, alpha, beta : array_like
        As in `chinchilla`, of full precision.
    gamma_w, gamma_a, gamma_kv : array_like
        Bits after which little is gained, > 0.

    Returns
    -------
    array
        Expected loss in nats per token, broadcast over everything.

    Notes
    -----
    Kumar et al. (2024), eq. 3, arXiv:2411.04330. Where all are trained in the same number of bits, name its column
    three times: only the product is then known.

    Examples
    --------
    >>> from scalebayes.laws import chinchilla
    >>> at = {"E": 1.69, "A": 406.4, "B": 410.7, "alpha": 0.34, "beta": 0.28}
    >>> few = precision(1e9, 2e10, 4.0, 16.0, 16.0, **at, gamma_w=2.7, gamma_a=2.2, gamma_kv=1.0)
    >>> bool(few > chinchilla(1e9, 2e10, **at))
    True
    """
    kept = jnp.expm1(-P_w / gamma_w) * jnp.expm1(-P_a / gamma_a) * -jnp.expm1(-P_kv / gamma_kv)
    return E + A * jnp.power(N * kept, -alpha) + B * jnp.power(D, -beta)


def quantised(N, D, P, *, E, A, B, alpha, beta, C_T, gamma_D, gamma_N, gamma):
    r"""Loss of a model that is quantised after training, which costs the more, the longer it was trained.

    .. math:: L = E + A N^{-\alpha} + B D^{-\beta} + C_T D^{\gamma_D} N^{-\gamma_N} e^{-P / \gamma}

    Parameters
    ----------
    N : array_like
        Model size, parameters, a count.
    D : array_like
        Training data, tokens, a count.
    P : array_like
        Bits of the weights after training; 16 for none quantised.
    E, A, B, alpha, beta : array_like
        As in `chinchilla`.
    C_T : array_like
        Price of quantisation extrapolated to one token, one parameter and no bits; > 0.
    gamma_D, gamma_N : array_like
        Exponents, > 0.
    gamma : array_like
        Bits after which little is lost, > 0.

    Returns
    -------
    array
        Expected loss in nats per token, broadcast over everything.

    Notes
    -----
    Kumar et al. (2024), eq. 2, arXiv:2411.04330. Beyond some D more data make the quantised model worse.

    Examples
    --------
    >>> at = {"E": 1.69, "A": 406.4, "B": 410.7, "alpha": 0.34, "beta": 0.28}
    >>> at |= {"C_T": 1.0, "gamma_D": 0.5, "gamma_N": 0.5, "gamma": 0.6}
    >>> bool(quantised(1e8, 1e13, 3.0, **at) > quantised(1e8, 1e11, 3.0, **at))
    True
    """
    lost = C_T * jnp.exp(gamma_D * jnp.log(D) - gamma_N * jnp.log(N) - P / gamma)
    return E + A * jnp.power(N, -alpha) + B * jnp.power(D, -beta) + lost


def parallel(N, P, *, E, A, alpha, k):
    r"""Loss of a model that runs several streams at once, which make it a larger one.

    .. math:: L(N, P) = E + A \left[ N (1 + k \ln P) \right]^{-\alpha}

    Parameters
    ----------
    N : array_like
        Model size, parameters, a count.
    P : array_like
        Number of parallel streams, from 1 on.
    E : array_like
        Irreducible loss, nats per token; > 0.
    A, alpha : array_like
        Of the power law of one stream, > 0.
    k : array_like
        What e times the streams add, as a share of the parameters; > 0.

    Returns
    -------
    array
        Expected loss in nats per token, broadcast over everything.

    Notes
    -----
    Chen et al. (2025), eq. 5, arXiv:2505.10475, with A for their A**alpha.

    Examples
    --------
    >>> from scalebayes.laws import power_floor
    >>> at = {"E": 1.2, "A": 60.0, "alpha": 0.2}
    >>> round(float(parallel(1e9, 1, **at, k=0.35) - power_floor(1e9, **at)), 5)
    0.0
    """
    return E + A * jnp.power(N * (1 + k * jnp.log(P)), -alpha)


def retrieval(N, D, R, *, E, A, B, C, R_0, alpha, beta, gamma):
    r"""Loss of a model with a store of text from which it retrieves.

    .. math:: L(N, D, R) = E + A N^{-\alpha} + B D^{-\beta} + C (1 + R / R_0)^{-\gamma}

    Parameters
    ----------
    N : array_like
        Model size, parameters, a count.
    D : array_like
        Training data, tokens, a count.
    R : array_like
        Tokens in the store, a count; 0 for none.
    E : array_like
        Irreducible loss, nats per token; > 0.
    A, B, alpha, beta : array_like
        As in `chinchilla`.
    C : array_like
        What a store without end would gain, nats per token; > 0.
    R_0 : array_like
        Tokens from which on a store is of use, > 0.
    gamma : array_like
        Exponent of the store, > 0.

    Returns
    -------
    array
        Expected loss in nats per token, broadcast over everything.

    Notes
    -----
    A third additive power, as in Shao et al. (2024), arXiv:2407.12854, with R_0 so that the store may be empty: declare
    R as ``sb.Input("store", kind="plain")``.

    Examples
    --------
    >>> at = {"E": 1.5, "A": 400.0, "B": 400.0, "C": 0.3, "R_0": 1e9, "alpha": 0.34, "beta": 0.28, "gamma": 0.3}
    >>> round(float(retrieval(1e9, 2e10, 0.0, **at) - retrieval(1e9, 2e10, 1e300, **at)), 3)
    0.3
    """
    return E + A * jnp.power(N, -alpha) + B * jnp.power(D, -beta) + C * jnp.power(1 + R / R_0, -gamma)


def _chinchilla(size: str = "N", data: str | tuple = "D") -> dict[str, Pooled]:
    # A third or fourth input takes runs away from what determines the exponents: their priors are as for chinchilla.
    return {
        "E": usual.floor(),
        "A": usual.amplitude(size, "alpha"),
        "B": usual.amplitude(data, "beta"),
        "alpha": usual.exponent(0.3, 0.5),
        "beta": pooled(LogNormal(0.3, 0.5), spread=0.2),
    }


_BITS = {"gamma_w": usual.positive(2.2, 0.4), "gamma_a": usual.positive(2.2, 0.4), "gamma_kv": usual.positive(1.0, 0.4)}

LAWS = (
    Law(
        repeated_data,
        floor="E",
        priors=_chinchilla() | {"R_D": usual.positive(15.0, 0.7), "R_N": usual.positive(5.0, 0.7)},
    ),
    Law(
        transfer,
        priors={
            "N_c": usual.scale("N", "alpha_N", 0.8, spread=0.5),
            "D_c": usual.scale("D_F", "alpha_D", 0.8, spread=0.5),
            "alpha_N": usual.exponent(0.08, 0.5),
            "alpha_D": usual.exponent(0.1, 0.5),
            # What is transferred is stated as a multiple of the fine-tuning data.
            "k": pooled(Anchored(LogNormal(3.0, 2.0), ("D_F", "D_F", "N"), (1.0, "-alpha", "-beta")), spread=0.5),
            "alpha": usual.exponent(0.18, 0.5),
            "beta": usual.exponent(0.35, 0.5),
        },
    ),
    Law(
        sparse,
        floor="c",
        domain={"S": (0.0, 1.0)},
        priors={
            "c": usual.floor(),
            "a_S": usual.amplitude("N", "b_N", 0.1),
            "b_S": usual.exponent(0.7, 0.5),
            "c_S": usual.amplitude("N", "b_N", 0.3),
            "b_N": usual.exponent(0.25, 0.5),
            "a_D": pooled(Anchored(ResponseShare(0.3, 1.0), input="D", exponent="b_D", form="scale"), spread=0.1),
            "b_D": usual.exponent(0.25, 0.5),
        },
    ),
    Law(average_size, floor="E", priors=_chinchilla("N_1", "D_1")),
    Law(
        upcycled,
        floor="E",
        domain={"P": usual.FROM_ONE},
        priors={
            "E": usual.floor(),
            "A": usual.amplitude(("D_1", "D_2"), ("alpha_1", "alpha_2")),
            "B": usual.amplitude(("N", "P"), ("beta_2", "beta_1")),
            "alpha_1": usual.exponent(0.1, 0.7),
            "alpha_2": usual.exponent(0.2, 0.7),
            "alpha_3": pooled(Normal(0.0, 0.01), spread=0.005),
            "beta_1": usual.exponent(0.1, 0.7),
            "beta_2": usual.exponent(0.3, 0.5),
        },
    ),
    Law(precision, floor="E", priors=_chinchilla() | _BITS),
    Law(
        quantised,
        floor="E",
        priors=_chinchilla()
        | {
            # At no bits: e to the bits over gamma more than amid the runs.
            "C_T": pooled(Anchored(ResponseShare(20.0, 2.0), ("D", "N"), ("-gamma_D", "gamma_N")), spread=0.5),
            "gamma_D": usual.exponent(0.5, 0.5),
            "gamma_N": usual.exponent(0.5, 0.5),
            "gamma": usual.positive(0.6, 0.5),
        },
    ),
    Law(
        parallel,
        floor="E",
        domain={"P": usual.FROM_ONE},
        priors={
            "E": usual.floor(),
            "A": usual.amplitude("N", "alpha"),
            "alpha": usual.exponent(0.25, 0.6),
            "k": usual.positive(0.3, 0.7),
        },
    ),
    Law(
        retrieval,
        floor="E",
        domain={"R": usual.FROM_ZERO},
        priors=_chinchilla()
        | {
            "C": pooled(ResponseShare(0.15, 1.0), spread=0.3),
            "R_0": usual.place("R", 0.7),
            "gamma": usual.exponent(0.3, 0.5),
        },
    ),
)
