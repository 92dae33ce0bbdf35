r"""The likelihood of integrated terms: Gaussian departures on the observation's scale, which add up.

.. math:: e \sim \mathrm{Normal}\bigl(0,\ \textstyle\sum_k K_k + \mathrm{diag}(v)\bigr)

with e the errors about the law, K_k the covariance of a term, and v what is left of the observation's variance. A
single term has a faster likelihood of its own. For several terms, the covariances of each group's runs are added and
factored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from scalebayes.discrepancy.contract import Errors, IntegratedTerm
from scalebayes.numerics.padding import fill_last_axis
from scalebayes.runs.curves import curves, slots_of
from scalebayes.runs.runs import Runs

SLOTS = "group_slots"


def data_of(terms: Sequence[IntegratedTerm], runs: Runs) -> dict[str, np.ndarray]:
    """What several integrated terms need besides their own data: the rows of each group."""
    return {SLOTS: slots_of([rows for _, rows in curves(runs)])} if len(terms) > 1 else {}


def padded(data: Mapping[str, np.ndarray], size: int, grouped: bool) -> dict[str, np.ndarray]:
    """The same arrays for a padded table."""
    if SLOTS not in data:
        return {}
    return {SLOTS: data[SLOTS] if grouped else fill_last_axis(data[SLOTS], size, -1)}


def loglik(terms: Sequence[IntegratedTerm], errors: Errors, owns: Sequence[Mapping[str, Any]], data: Mapping[str, Any]):
    """Log likelihood of each run given the earlier ones of its group, in JAX, shape (run,).

    Parameters
    ----------
    terms : sequence of IntegratedTerm
    errors : Errors
        Each of shape (run,).
    owns : sequence of mapping of str to array
        The parameters of each term at the runs, shape (run,) or ().
    data : mapping of str to array
    """
    n = len(errors.error)
    errors = Errors(*(jnp.broadcast_to(part, (n,)) for part in errors))
    if len(terms) == 1:
        return terms[0].loglik(errors, owns[0], data)
    slots = data[SLOTS]
    there = slots >= 0
    at = jnp.where(there, slots, slots[:, :1])
    known = Errors(*(part[at] for part in errors))
    covariance, lost = 0.0, jnp.zeros(())
    for term, own in zip(terms, owns, strict=True):
        wide = {name: jnp.broadcast_to(value, (n,))[at[:, 0]][:, None, None] for name, value in own.items()}
        of_runs = {name: jnp.asarray(data[name])[at] for name in term.of_runs}
        more, taken = term.covariance(known, wide, of_runs, jnp)
        covariance, lost = covariance + more, lost + taken
    both = there[:, :, None] & there[:, None, :]
    noise = jnp.where(there, known.noise**2 - lost, 1.0)
    root = jnp.linalg.cholesky(jnp.where(both, covariance, 0.0) + noise[:, :, None] * jnp.eye(at.shape[1]))
    z = jax.scipy.linalg.solve_triangular(root, jnp.where(there, known.error, 0.0)[:, :, None], lower=True)[:, :, 0]
    each = -0.5 * (z**2 + jnp.log(2 * jnp.pi)) - jnp.log(jnp.diagonal(root, axis1=1, axis2=2))
    return jnp.zeros(n).at[jnp.where(there, at, n)].add(each, mode="drop")


def covariance_of(
    term: IntegratedTerm, known: Errors, parameters: Mapping[str, np.ndarray], data: Mapping[str, np.ndarray]
):
    """Covariance of a group's errors under one term, shape (sample, run, run), and the variance that the noise loses.

    Parameters
    ----------
    term : IntegratedTerm
    known : Errors
        The errors of the group's runs, each of shape (sample, run).
    parameters : mapping of str to array, shape (sample,)
    data : mapping of str to array, shape (run,)
        The term's data at the group's runs.
    """
    wide = {name: value[:, None, None] for name, value in parameters.items()}
    return term.covariance(known, wide, {name: data[name] for name in term.of_runs}, np)


def leave_one_out(error: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """Log density of each run of a group given all others, shape (sample, run).

    It follows from the inverse of the covariance of their errors (Sundararajan and Keerthi 2001, eq. 12).

    Parameters
    ----------
    error : array, shape (sample, run)
    covariance : array, shape (sample, run, run)
    """
    precision = np.linalg.inv(covariance)
    own = np.diagonal(precision, axis1=1, axis2=2)
    away = np.einsum("sab,sb->sa", precision, error)
    return 0.5 * (np.log(own / (2 * np.pi)) - away**2 / own)
