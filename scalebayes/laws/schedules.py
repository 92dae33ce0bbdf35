"""Laws of a learning-rate schedule: the loss at any step of any schedule."""

import jax.numpy as jnp

from scalebayes.laws import usual
from scalebayes.laws.law import Law
from scalebayes.laws.sequences import segments
from scalebayes.priors import ResponseShare, Share, pooled

__all__ = ["annealing", "multi_power"]


def annealing(eta, *, L_0, A, alpha, C, lam):
    r"""Loss over the sum of learning rates so far, and what their fall has gained.

    .. math::

        L(s) = L_0 + A S_1^{-\alpha} - C S_2, \qquad S_1 = \sum_{i \le s} \eta_i, \qquad
        S_2 = \sum_{i \le s} \sum_{k \le i} (\eta_{k-1} - \eta_k) \lambda^{i-k}

    Parameters
    ----------
    eta : array_like
        The schedule, declared with `scalebayes.schedule`; see `segments`.
    L_0 : array_like
        Loss of endless training without annealing, nats per token; > 0.
    A, alpha : array_like
        Of the power of the sum of rates, > 0.
    C : array_like
        What annealing gains, nats per token and unit of rate; > 0.
    lam : array_like
        The decay of a fall's momentum, between 0 and 1; about 0.999.

    Returns
    -------
    array
        Expected loss in nats per token.

    Notes
    -----
    Tissue, Wang and Wang (2024), eq. 1, arXiv:2408.11029, with the rise of the warm-up among the falls.

    Examples
    --------
    >>> law = annealing  # fit with inputs={"eta": sb.schedule("schedule", rates, step="step")}
    """
    s = segments(eta)
    tau = -1 / jnp.log(jnp.asarray(lam)[..., None])
    gained = (s.drop * -jnp.expm1(-s.steps / tau)).sum(-1) / (1 - jnp.asarray(lam))
    return L_0 + A * jnp.power(s.total, -alpha) - C * gained


def multi_power(eta, *, L_0, A, alpha, B, C, beta, gamma):
    r"""Loss over the sum of learning rates so far, with a saturating gain of every fall of the rate.

    .. math::

        L(s) = L_0 + A S_1^{-\alpha}
        - B \sum_{k \le s} (\eta_{k-1} - \eta_k) \left[ 1 - (1 + C \eta_k^{-\gamma} S_k)^{-\beta} \right], \qquad
        S_k = \sum_{i=k}^{s} \eta_i

    Parameters
    ----------
    eta : array_like
        The schedule, declared with `scalebayes.schedule`; see `segments`.
    L_0 : array_like
        Loss of endless training without annealing, nats per token; > 0.
    A, alpha : array_like
        Of the power of the sum of rates, > 0.
    B : array_like
        What a fall gains in the end, nats per token and unit of rate; > 0.
    C, beta, gamma : array_like
        How fast it gains it, > 0.

    Returns
    -------
    array
        Expected loss in nats per token.

    Notes
    -----
    Luo et al. (2025), eq. 2, arXiv:2503.12811. The sum over k includes the warm-up, whose falls are negative.

    Examples
    --------
    >>> law = multi_power  # fit with inputs={"eta": sb.schedule("schedule", rates, step="step")}
    """
    s = segments(eta)
    C, beta, gamma = (jnp.asarray(each)[..., None] for each in (C, beta, gamma))
    gone = 1 - jnp.power(1 + C * jnp.power(s.rate, -gamma) * s.left, -beta)
    return L_0 + A * jnp.power(s.total, -alpha) - B * (s.drop * gone).sum(-1)


# Of rates of the order of 3e-4, as in both papers; the sum of rates is then between 1 and 30.
_COMMON = {
    "L_0": pooled(ResponseShare(0.85, 0.15, floor=None), spread=0.2),
    "A": pooled(ResponseShare(0.2, 0.6, floor=None), spread=0.2),
    "alpha": usual.exponent(0.45, 0.3),
}

LAWS = (
    Law(
        annealing,
        priors=_COMMON | {"C": usual.positive(0.5, 0.7), "lam": pooled(Share(logit=6.9, sd=1.0), spread=0.1)},
    ),
    Law(
        multi_power,
        priors=_COMMON
        | {
            "B": usual.positive(400.0, 0.8),
            "C": usual.positive(2.0, 0.7),
            "beta": usual.exponent(0.6, 0.3),
            "gamma": usual.exponent(0.6, 0.3),
        },
    ),
)
