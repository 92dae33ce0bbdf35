"""Laws of what a model can do: errors and accuracies from loss, pass rates, translation scores."""

import jax
import jax.numpy as jnp

from scalebayes.laws import usual
from scalebayes.laws.law import Law
from scalebayes.priors import Anchored, LogNormal, Share, pooled

__all__ = ["accuracy_from_loss", "bleu", "error_from_loss", "pass_rate"]


def error_from_loss(L, *, eps, k, gamma):
    r"""Mean error over many tasks, which falls with the loss from the level of a guess.

    .. math:: \mathrm{Err}(L) = \varepsilon - k e^{-\gamma L}

    Parameters
    ----------
    L : array_like
        Loss, nats per token.
    eps : array_like
        Error of a model without skill, between 0 and 1.
    k : array_like
        What skill gains, extrapolated to a loss of zero; > 0.
    gamma : array_like
        How fast, per nat; > 0.

    Returns
    -------
    array
        Expected error, broadcast over everything.

    Notes
    -----
    Gadre et al. (2024), eq. 5, arXiv:2403.08540. With the loss from compute in one fit:
    ``sb.laws.composed(sb.laws.error_from_loss, {"L": sb.laws.chinchilla})`` and ``also={"loss": ...}``.

    Examples
    --------
    >>> round(float(error_from_loss(3.0, eps=0.758, k=1.88, gamma=1.10)), 3)
    0.689
    """
    return eps - k * jnp.exp(-gamma * L)


def accuracy_from_loss(L, *, low, high, k, L_mid):
    r"""Accuracy of one task from its loss, between the level of a guess and a ceiling.

    .. math:: \mathrm{Acc}(L) = \mathrm{low} + \frac{\mathrm{high} - \mathrm{low}}{1 + e^{k (L - L_\mathrm{mid})}}

    Parameters
    ----------
    L : array_like
        Loss of the task, nats per token or bits per byte.
    low : array_like
        Accuracy of a guess, between 0 and 1; known where the number of choices is.
    high : array_like
        Ceiling, between 0 and 1.
    k : array_like
        Slope, per unit of loss; > 0.
    L_mid : array_like
        Loss at which half of the way is gone, > 0.

    Returns
    -------
    array
        Expected accuracy, broadcast over everything.

    Notes
    -----
    Bhagia et al. (2024), step 2, arXiv:2412.04403. Both steps in one fit:
    ``sb.laws.composed(sb.laws.accuracy_from_loss, {"L": sb.laws.chinchilla})`` and ``also={"bpb": ...}``.

    Examples
    --------
    >>> round(float(accuracy_from_loss(0.8, low=0.25, high=0.95, k=6.0, L_mid=0.8)), 3)
    0.6
    """
    return low + (high - low) * jax.nn.sigmoid(-k * (L - L_mid))


def pass_rate(x, *, c, alpha):
    r"""Chance that an answer passes, whose negative logarithm is a power of scale.

    .. math:: p(x) = \exp\left(-c\, x^{-\alpha}\right)

    Parameters
    ----------
    x : array_like
        Model size or compute; or the number k of samples, for pass@k.
    c : array_like
        The negative logarithm extrapolated to x = 1, > 0.
    alpha : array_like
        Exponent, > 0.

    Returns
    -------
    array
        Expected rate between 0 and 1, broadcast over everything.

    Notes
    -----
    Over size: Hu et al. (2024), PassUntil, arXiv:2310.03262, with ``sb.NegativeBinomial`` for samples until a pass.
    Over samples: Brown et al. (2024), arXiv:2407.21787, with ``sb.Binomial``. Rates of zero are data like others.

    Examples
    --------
    >>> round(float(pass_rate(100.0, c=3.0, alpha=0.5)), 3)
    0.741
    """
    return jnp.exp(-c * jnp.power(x, -alpha))


def bleu(D, *, A, alpha, beta):
    r"""Translation score over pre-training data.

    .. math:: \mathrm{BLEU}(D) = \left[ \ln (A D^{\alpha}) \right]^{\beta}

    Parameters
    ----------
    D : array_like
        Pre-training data, tokens, a count.
    A, alpha : array_like
        Of the power law inside, > 0.
    beta : array_like
        Outer exponent, > 0.

    Returns
    -------
    array
        Expected score, 0 to 100; 0 where ``A * D**alpha`` is below 1. Broadcast over everything.

    Notes
    -----
    Isik et al. (2024), eq. 1, arXiv:2402.04177. It holds where pre-training and task are alike; elsewhere scores may
    fall. From the loss of a translation model ``power`` serves: BLEU = A L**-alpha (Ghorbani et al. 2021,
    arXiv:2109.07740).

    Examples
    --------
    >>> round(float(bleu(1e9, A=0.01, alpha=0.6, beta=1.5)), 1)
    21.9
    """
    inside = jnp.log(A) + alpha * jnp.log(D)
    # Where the score is zero its gradient is too.
    above = jnp.where(inside > 0, inside, 1.0)
    return jnp.where(inside > 0, jnp.power(above, beta), 0.0)


LAWS = (
    Law(
        error_from_loss,
        scale="identity",
        priors={
            "eps": pooled(Share(logit=1.1, sd=0.7), spread=0.1),
            "k": usual.positive(2.0, 0.7),
            "gamma": usual.positive(1.1, 0.4, groups=0.2),
        },
    ),
    Law(
        accuracy_from_loss,
        scale="logit",
        rises=True,
        priors={
            "low": pooled(Share(logit=-1.1, sd=0.5), spread=0.3),
            "high": pooled(Share(logit=2.0, sd=1.0), spread=0.3),
            "k": usual.positive(3.0, 1.0, groups=0.5),
            "L_mid": usual.positive(1.2, 0.7, groups=0.5),
        },
    ),
    Law(
        pass_rate,
        scale="logit",
        rises=True,
        priors={
            "c": pooled(Anchored(LogNormal(1.0, 1.0), input="x", exponent="alpha"), spread=0.5),
            "alpha": usual.exponent(0.2, 0.7),
        },
    ),
    Law(
        bleu,
        scale="identity",
        rises=True,
        priors={
            "A": pooled(Anchored(LogNormal(2e4, 1.5), input="D", exponent="alpha"), spread=0.5),
            "alpha": usual.exponent(0.4, 0.7),
            "beta": usual.positive(1.5, 0.4),
        },
    ),
)
