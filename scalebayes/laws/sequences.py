"""Laws of a learning-rate schedule: the sums they take over it."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax.numpy as jnp


class Segments(NamedTuple):
    """A schedule up to a step, as a few of its steps; each of shape (..., segment).

    Parameters
    ----------
    rate : array
        The learning rate, above 0.
    drop : array
        The drop of the rate that the step stands for; zero for segments that are not needed.
    left : array
        The sum of the rates from this step on.
    steps : array
        The number of steps from this one on.
    """

    rate: Any
    drop: Any
    left: Any
    steps: Any

    @property
    def total(self) -> Any:
        """The sum of all rates, shape (...)."""
        return self.left[..., 0]


def segments(eta: Any) -> Segments:
    r"""Take apart an input that is a learning-rate schedule.

    A sum over all steps k, :math:`\sum_k (\eta_{k-1} - \eta_k)\, g(\eta_k, S_k, n_k)` with
    :math:`S_k = \sum_{i \ge k} \eta_i` and :math:`n_k` the number of steps from k on, is
    ``(drop * g(rate, left, steps)).sum(-1)``, to a millionth of the size of its terms for smooth g.

    Parameters
    ----------
    eta : array, shape (..., segment, 4)

    Returns
    -------
    Segments

    Examples
    --------
    The law of Luo et al. (2025, arXiv:2503.12811):

    >>> def multi_power(eta, *, L_0, A, alpha, B, C, beta, gamma):
    ...     s = segments(eta)
    ...     C, beta, gamma = (jnp.asarray(each)[..., None] for each in (C, beta, gamma))
    ...     gone = 1 - (1 + C * s.rate**-gamma * s.left) ** -beta
    ...     return L_0 + A * s.total**-alpha - B * (s.drop * gone).sum(-1)
    """
    return Segments(*jnp.moveaxis(eta, -1, 0))
