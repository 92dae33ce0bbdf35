"""Laws of one scale whose exponent changes, once or several times."""

import jax
import jax.numpy as jnp
import numpy as np

from scalebayes.laws import usual
from scalebayes.laws.law import Law
from scalebayes.priors import Normal, Pooled, pooled

__all__ = ["broken_power", "broken_power_2", "broken_power_3"]


def _bend(x, delta, d, f):
    """What a break takes from the logarithm of the response."""
    return delta * f * jax.nn.softplus(jnp.log(x / d) / f)


def broken_power(x, *, E, A, alpha, delta_1, d_1, f_1):
    r"""Response that falls as a power of scale whose exponent changes once.

    .. math:: L(x) = E + A x^{-\alpha} \left(1 + (x / d_1)^{1 / f_1}\right)^{-\delta_1 f_1}

    Parameters
    ----------
    x : array_like
        Any one scale, a count.
    E : array_like
        Irreducible loss, >= 0.
    A, alpha : array_like
        Of the power before the break, > 0.
    delta_1 : array_like
        Increase of the exponent at the break, of either sign.
    d_1 : array_like
        Scale of the break, in the units of x; > 0.
    f_1 : array_like
        Breadth of the break in natural logs of x, > 0; a small one is abrupt.

    Returns
    -------
    array
        Expected response, broadcast over everything.

    Notes
    -----
    Caballero et al. (2023), eq. 1 with one break, arXiv:2210.14891.

    Examples
    --------
    Published constants of four-digit addition:

    >>> constants = {"E": 0.41388453, "A": 2.27727229, "alpha": 0.05507735}
    >>> round(float(broken_power(800.0, **constants, delta_1=5.66290382, d_1=612.583617, f_1=0.05919304)), 3)
    0.76
    """
    return E + A * jnp.exp(-alpha * jnp.log(x) - _bend(x, delta_1, d_1, f_1))


def broken_power_2(x, *, E, A, alpha, delta_1, d_1, f_1, delta_2, gap_2, f_2):
    r"""Response that falls as a power of scale whose exponent changes twice.

    .. math::

        L(x) = E + A x^{-\alpha} \prod_{i=1}^{2} \left(1 + (x / d_i)^{1 / f_i}\right)^{-\delta_i f_i}, \qquad
        d_2 = d_1 e^{\mathrm{gap}_2}

    Parameters
    ----------
    x : array_like
        Any one scale, a count.
    E : array_like
        Irreducible loss, >= 0.
    A, alpha : array_like
        Of the power before the breaks, > 0.
    delta_1, delta_2 : array_like
        Increase of the exponent at each break, of either sign.
    d_1 : array_like
        Scale of the first break, in the units of x; > 0.
    f_1, f_2 : array_like
        Breadth of each break in natural logs of x, > 0; a small one is abrupt.
    gap_2 : array_like
        Natural logs of x between the breaks, > 0, so that they stay in order.

    Returns
    -------
    array
        Expected response, broadcast over everything.

    Notes
    -----
    Caballero et al. (2023), eq. 1 with two breaks, arXiv:2210.14891.

    Examples
    --------
    A second break that changes nothing leaves the law with one:

    >>> one = {"E": 0.4, "A": 2.3, "alpha": 0.06, "delta_1": 5.7, "d_1": 613.0, "f_1": 0.06}
    >>> two = broken_power_2(800.0, **one, delta_2=0.0, gap_2=2.0, f_2=0.3)
    >>> round(float(two - broken_power(800.0, **one)), 5)
    0.0
    """
    bends = _bend(x, delta_1, d_1, f_1) + _bend(x, delta_2, d_1 * jnp.exp(gap_2), f_2)
    return E + A * jnp.exp(-alpha * jnp.log(x) - bends)


def broken_power_3(x, *, E, A, alpha, delta_1, d_1, f_1, delta_2, gap_2, f_2, delta_3, gap_3, f_3):
    r"""Response that falls as a power of scale whose exponent changes three times.

    .. math::

        L(x) = E + A x^{-\alpha} \prod_{i=1}^{3} \left(1 + (x / d_i)^{1 / f_i}\right)^{-\delta_i f_i}, \qquad
        d_i = d_{i-1} e^{\mathrm{gap}_i}

    Parameters
    ----------
    x : array_like
        Any one scale, a count.
    E : array_like
        Irreducible loss, >= 0.
    A, alpha : array_like
        Of the power before the breaks, > 0.
    delta_1, delta_2, delta_3 : array_like
        Increase of the exponent at each break, of either sign.
    d_1 : array_like
        Scale of the first break, in the units of x; > 0.
    f_1, f_2, f_3 : array_like
        Breadth of each break in natural logs of x, > 0; a small one is abrupt.
    gap_2, gap_3 : array_like
        Natural logs of x from the break before, > 0, so that they stay in order.

    Returns
    -------
    array
        Expected response, broadcast over everything.

    Notes
    -----
    Caballero et al. (2023), eq. 1 with three breaks, arXiv:2210.14891. It has 12 parameters: a curve of several dozen
    runs is the least that determines them.

    Examples
    --------
    >>> two = {"E": 0.4, "A": 2.3, "alpha": 0.06, "delta_1": 0.5, "d_1": 600.0, "f_1": 0.1}
    >>> two |= {"delta_2": -0.4, "gap_2": 2.0, "f_2": 0.2}
    >>> three = broken_power_3(8e3, **two, delta_3=0.0, gap_3=2.0, f_3=0.3)
    >>> round(float(three - broken_power_2(8e3, **two)), 5)
    0.0
    """
    d_2 = d_1 * jnp.exp(gap_2)
    bends = _bend(x, delta_1, d_1, f_1) + _bend(x, delta_2, d_2, f_2) + _bend(x, delta_3, d_2 * jnp.exp(gap_3), f_3)
    return E + A * jnp.exp(-alpha * jnp.log(x) - bends)


def _second(*, d_1, gap_2):
    """Scale of the second break."""
    return d_1 * np.exp(gap_2)


def _third(*, d_1, gap_2, gap_3):
    """Scale of the third break."""
    return d_1 * np.exp(gap_2 + gap_3)


def _priors(breaks: int) -> dict[str, Pooled]:
    own = {
        "E": usual.floor(1.2, 1.3),
        "A": usual.amplitude("x", "alpha"),
        "alpha": usual.exponent(0.25, 0.7),
        "delta_1": pooled(Normal(mean=0.0, sd=2.0), spread=0.3),
        # The first of several breaks lies before the middle of the runs as often as behind it.
        "d_1": usual.place("x", 0.6),
        "f_1": usual.positive(0.3, 0.7),
    }
    for i in range(2, breaks + 1):
        own |= {
            f"delta_{i}": pooled(Normal(mean=0.0, sd=2.0), spread=0.3),
            f"gap_{i}": usual.positive(1.5, 0.8),
            f"f_{i}": usual.positive(0.3, 0.7),
        }
    return own


LAWS = (
    Law(broken_power, floor="E", priors=_priors(1), places={"d_1": "x"}),
    Law(
        broken_power_2,
        floor="E",
        priors=_priors(2),
        derived={"d_2": _second},
        places=dict.fromkeys(["d_1", "d_2"], "x"),
    ),
    Law(
        broken_power_3,
        floor="E",
        priors=_priors(3),
        derived={"d_2": _second, "d_3": _third},
        places=dict.fromkeys(["d_1", "d_2", "d_3"], "x"),
    ),
)
