"""Laws of which data: mixtures of domains, filtered pools that are repeated, pruned data sets."""

from __future__ import annotations

import inspect
from collections.abc import Sequence

import jax.numpy as jnp

from scalebayes.arguments import quoted
from scalebayes.laws import usual
from scalebayes.laws.law import Law
from scalebayes.priors import Normal, ResponseShare, pooled

__all__ = ["data_mixing", "filtered_data", "pruned_data"]

_MOST_EPOCHS = 64


def data_mixing(domains: Sequence[str]) -> Law:
    r"""Loss of one domain over the proportions of all domains in training.

    .. math:: L(r) = c + k \exp\left( \sum_j t_j r_j \right)

    Parameters
    ----------
    domains : sequence of str
        Short names of the domains, in the order of the proportions. Parameters ``t_<domain>`` are named after them.

    Returns
    -------
    Law
        Of one vector ``r``, declared as ``inputs={"r": [columns]}``; proportions sum to one. c is the loss that no
        mixture avoids and k > 0 the rest at proportions of zero, in the response's units; t_j is negative where the
        domain helps. Group by the size of the model where there are several.

    Raises
    ------
    ValueError
        If there are fewer than two domains, or two of one name.
    TypeError
        If ``domains`` is not a sequence of names.

    Notes
    -----
    Ye et al. (2024), eq. 6, arXiv:2403.16952. It takes positions on proportions only, not on the amount of data.

    Examples
    --------
    >>> law = data_mixing(["web", "code"])
    >>> law
    Law(data_mixing(r; c, k, t_web, t_code))
    >>> r = jnp.array([0.7, 0.3])
    >>> round(float(law.function(r, c=2.0, k=1.0, t_web=-0.5, t_code=-1.0)), 3)
    2.522
    """
    if isinstance(domains, str) or not all(isinstance(name, str) and name.isidentifier() for name in domains):
        raise TypeError(f"domains are names, such as ['web', 'code'], got {quoted(domains)}.")
    if len(domains) < 2 or len(set(domains)) < len(domains):
        raise ValueError(f"a mixture has two or more domains, each of its own name; got {quoted(list(domains))}.")
    names = tuple(f"t_{name}" for name in domains)

    def law(r, **theta):
        t = jnp.stack(jnp.broadcast_arrays(*(jnp.asarray(theta[name]) for name in names)), axis=-1)
        return theta["c"] + theta["k"] * jnp.exp((t * r).sum(-1))

    law.__name__, law.__doc__ = "data_mixing", data_mixing.__doc__
    keyword, position = inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD
    parameters = [inspect.Parameter(name, keyword) for name in ("c", "k", *names)]
    law.__signature__ = inspect.Signature([inspect.Parameter("r", position), *parameters])  # type: ignore[attr-defined]
    priors = {
        "c": usual.floor(),
        "k": pooled(ResponseShare(0.5, 1.0), spread=0.3),
        **{name: pooled(Normal(-0.5, 1.5), spread=0.3) for name in names},
    }
    return Law(law, floor="c", priors=priors)


def filtered_data(n, U, *, d, a, b, tau):
    r"""Error over samples seen of a pool, whose use decays with every time it is seen.

    .. math::

        y = d + a\, n_1^{-b_1} \prod_{j \ge 2} \left( \frac{n_j}{n_{j-1}} \right)^{-b_j}, \qquad
        b_j = b\, 2^{-(j-1)/\tau}

    with :math:`n_j = \min(n, j U)` the samples after the j-th time.

    Parameters
    ----------
    n : array_like
        Samples seen in training, repeated ones included, a count.
    U : array_like
        Samples in the pool, a count.
    d : array_like
        Irreducible error, > 0.
    a : array_like
        Reducible error extrapolated to one sample, > 0.
    b : array_like
        Exponent the first time, > 0.
    tau : array_like
        Times after which a sample is worth half, > 0.

    Returns
    -------
    array
        Expected error, broadcast over everything; the 65th and later times gain nothing.

    Notes
    -----
    Goyal et al. (2024), eq. 3, arXiv:2404.07177, with b positive. Group by pool: a better filter has a smaller pool and
    a larger b.

    Examples
    --------
    Up to the size of the pool it is a power above a floor:

    >>> from scalebayes.laws import power_floor
    >>> seen = float(filtered_data(1e7, 1e8, d=0.2, a=20.0, b=0.3, tau=3.0))
    >>> round(seen - float(power_floor(1e7, E=0.2, A=20.0, alpha=0.3)), 6)
    0.0
    """
    n, U, tau = (jnp.asarray(each)[..., None] for each in (n, U, tau))
    j = jnp.arange(2, _MOST_EPOCHS + 1)
    gained = jnp.log(jnp.minimum(n, j * U)) - jnp.log(jnp.minimum(n, (j - 1) * U))
    worth = jnp.log(jnp.minimum(n, U))[..., 0] + (gained * jnp.exp2(-(j - 1) / tau)).sum(-1)
    return d + a * jnp.exp(-b * worth)


def pruned_data(P, f, *, E, A, alpha, kappa, rate):
    r"""Error over the size of a pruned data set, whose exponent depends on the share that was kept.

    .. math:: \varepsilon(P, f) = E + A f^{-\kappa} P^{-\alpha f^{-\mathrm{rate}}}

    Parameters
    ----------
    P : array_like
        Examples left after pruning, a count.
    f : array_like
        Share of the examples that was kept, above 0 and at most 1.
    E : array_like
        Irreducible error, > 0.
    A, alpha : array_like
        Of the power law without pruning, > 0.
    kappa, rate : array_like
        How amplitude and exponent change with the logarithm of the share, of either sign. Where pruning is better
        than a power of the data, rate is positive.

    Returns
    -------
    array
        Expected error, broadcast over everything.

    Notes
    -----
    After Sorscher et al. (2022), arXiv:2206.14486, whose exponent at each share is a smooth curve here.

    Examples
    --------
    Without pruning it is a power above a floor:

    >>> from scalebayes.laws import power_floor
    >>> kept = float(pruned_data(1e6, 1.0, E=0.1, A=20.0, alpha=0.4, kappa=0.5, rate=0.2))
    >>> abs(kept - float(power_floor(1e6, E=0.1, A=20.0, alpha=0.4))) < 1e-6
    True
    """
    log_f = jnp.log(f)
    return E + A * jnp.exp(-kappa * log_f - alpha * jnp.exp(-rate * log_f) * jnp.log(P))


_UP_TO_ONE = (5e-324, 1.0000000000000002)

LAWS = (
    Law(
        filtered_data,
        floor="d",
        priors={
            "d": usual.floor(),
            "a": usual.amplitude("n", "b", 0.5),
            "b": usual.exponent(0.3, 0.5),
            "tau": usual.positive(5.0, 1.0),
        },
    ),
    Law(
        pruned_data,
        floor="E",
        domain={"f": _UP_TO_ONE},
        priors={
            "E": usual.floor(),
            "A": usual.amplitude("P", "alpha", 0.5),
            "alpha": usual.exponent(0.4, 0.5),
            "kappa": pooled(Normal(0.0, 1.0), spread=0.2),
            "rate": pooled(Normal(0.0, 0.3), spread=0.1),
        },
    ),
)
