"""Laws of settings of training that have an optimum: learning rate and batch."""

import jax.numpy as jnp

from scalebayes.laws import usual
from scalebayes.laws.law import Law
from scalebayes.priors import Anchored, LogNormal, Normal, pooled

__all__ = ["step_law"]


def step_law(N, D, lr, batch, *, E, A, B, alpha, beta, k, p, q, m, r, h_lr, h_batch, h_both):
    r"""Loss over size, data, learning rate and batch: a bowl about an optimum that moves with size and data.

    .. math::

        L &= \left( E + A N^{-\alpha} + B D^{-\beta} \right) \exp\left[ \tfrac12 h_\mathrm{lr} u^2
        + \tfrac12 h_\mathrm{batch} v^2 + h_\mathrm{both} \sqrt{h_\mathrm{lr} h_\mathrm{batch}}\, u v \right], \\
        u &= \ln \frac{\mathrm{lr}}{k N^{-p} D^{q}}, \qquad v = \ln \frac{\mathrm{batch}}{m D^{r}}

    Parameters
    ----------
    N : array_like
        Model size, parameters, a count.
    D : array_like
        Training data, tokens, a count.
    lr : array_like
        Peak learning rate.
    batch : array_like
        Batch, in tokens or sequences.
    E, A, B, alpha, beta : array_like
        As in `chinchilla`, at the best settings.
    k, p, q : array_like
        Of the best learning rate k N**-p D**q; p and q of either sign.
    m, r : array_like
        Of the best batch m D**r; r of either sign.
    h_lr, h_batch : array_like
        Curvatures along both, > 0: an error of a factor e costs about half of it, relatively.
    h_both : array_like
        Correlation of both, between -1 and 1: negative where a larger batch wants a larger rate.

    Returns
    -------
    array
        Expected loss, broadcast over everything.

    Notes
    -----
    The optimum of Li et al. (2025), step law, arXiv:2503.04715, fitted through all runs of a sweep and not through the
    best of each; runs far off the optimum, and diverged ones, do not follow a parabola: leave them out by a bound on
    the loss relative to the best of their size and data. ``sb.tune`` gives the optimum of a fit with its band.

    Examples
    --------
    >>> from scalebayes.laws import chinchilla
    >>> at = {"E": 1.69, "A": 406.4, "B": 410.7, "alpha": 0.34, "beta": 0.28}
    >>> bowl = {"k": 1.79, "p": 0.713, "q": 0.307, "m": 0.58, "r": 0.571}
    >>> bowl |= {"h_lr": 0.01, "h_batch": 0.01, "h_both": 0.0}
    >>> best = 1.79 * 1e9**-0.713 * 2e10**0.307, 0.58 * 2e10**0.571
    >>> round(float(step_law(1e9, 2e10, *best, **at, **bowl) - chinchilla(1e9, 2e10, **at)), 6)
    0.0
    """
    u = jnp.log(lr) - jnp.log(k) + p * jnp.log(N) - q * jnp.log(D)
    v = jnp.log(batch) - jnp.log(m) - r * jnp.log(D)
    bowl = (h_lr * u**2 + h_batch * v**2) / 2 + h_both * jnp.sqrt(h_lr * h_batch) * u * v
    return (E + A * jnp.power(N, -alpha) + B * jnp.power(D, -beta)) * jnp.exp(bowl)


LAWS = (
    Law(
        step_law,
        floor="E",
        tuned=("lr", "batch"),
        priors={
            "E": usual.floor(),
            "A": usual.amplitude("N", "alpha"),
            "B": usual.amplitude("D", "beta"),
            "alpha": usual.exponent(0.3, 0.5),
            "beta": usual.exponent(0.3, 0.5),
            # The optimum amid the runs is a multiple of the middle of the sweep.
            "k": pooled(Anchored(LogNormal(1.0, 1.5), ("lr", "N", "D"), (1.0, "p", "-q")), spread=0.3),
            "p": pooled(Normal(0.5, 0.4), spread=0.1),
            "q": pooled(Normal(0.2, 0.3), spread=0.1),
            "m": pooled(Anchored(LogNormal(1.0, 1.5), ("batch", "D"), (1.0, "-r")), spread=0.3),
            "r": pooled(Normal(0.5, 0.3), spread=0.1),
            "h_lr": usual.positive(0.01, 1.5),
            "h_batch": usual.positive(0.01, 1.5),
            "h_both": pooled(Normal(-0.2, 0.3), spread=0.1),
        },
    ),
)
