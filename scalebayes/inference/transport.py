r"""Transport: a map from nearly standard normal coordinates to the positions of a density.

It has three layers, each whitened given the layers before it:

1. phi, what no group owns (spreads, noise, shared parameters, other factors), by the curvature at its mode; a spread
   has a coordinate in which its half-normal prior is nearly normal;
2. mu, the population's centre;
3. theta = mu + T o, what each group owns, with T = diag(tau).

H_g is the information of a group's own runs, s_g their score, and X_g the score's derivative with respect to phi, at an
expansion point (theta_0, phi_0). With b_g = H_g theta_0 + s_g + X_g (phi - phi_0),

.. math:: Q_g &= I + T H_g T = C_g C_g^\top, \quad W_g = T^{-1} Q_g^{-1} T \\
          \mu &\sim \mathrm{Normal}(P^{-1} (\textstyle\sum_g W_g b_g + \Lambda m), P^{-1}), \quad
          P = \textstyle\sum_g W_g H_g + \Lambda \\
          o_g &= Q_g^{-1} T (b_g - H_g \mu) + C_g^{-\top} w_g

where Lambda and m are the prior's precision and mean. This would whiten exactly if the likelihood were normal in theta.
w is then nearly standard normal for *every* phi and mu: there is no funnel, and no choice between centred and
non-centred. Since the Jacobian is included, the posterior is exact for any likelihood; a poor expansion point costs
time, never correctness.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from scalebayes.inference.data import Data
from scalebayes.inference.density import Density

_MOST_DENSE = 64  # coordinates that are all whitened together
_STEEPNESS = 1.702  # of the logistic curve closest to a normal distribution function


@dataclass(frozen=True)
class Block:
    """One parameter of which every group owns a value.

    Parameters
    ----------
    prior : str
        Name of the data with centre and scale of the prior of the population's centre, or of each separate value.
    pooled : bool
        Whether the groups have a population with a spread; otherwise their values are separate.
    level : Callable, optional
        From the population's free variable (and data, module) to the quantity mu to which deviations are added; the
        variable itself if None.
    """

    prior: str
    pooled: bool = True
    level: Callable[[Any, Data, Any], Any] | None = None


class Geometry(NamedTuple):
    """The constants of the map; arrays only, so that they are arguments of what is compiled.

    Parameters
    ----------
    information : array, shape (block, block, group)
        H.
    pull : array, shape (block, group)
        ``H theta_0 + s``.
    cross : array, shape (block, group, free)
        X.
    expanded_at : array, shape (free,)
        phi_0.
    centre : array, shape (centre,)
        The population's free variables at the expansion point.
    slope : array, shape (centre,)
        Derivative of mu with respect to these variables.
    shift, outer : array, shapes (dense + block * group,) and (dense + block * group, dense)
        ``shift + outer z``, over the first coordinates of z, are phi, the coordinates of the later layers, and b. One
        product makes all that is linear, since small products cost by their number.
    """

    information: Any
    pull: Any
    cross: Any
    expanded_at: Any
    centre: Any
    slope: Any
    shift: Any
    outer: Any


def constants(expanded: tuple[np.ndarray, ...], shift: np.ndarray, outer: np.ndarray) -> Geometry:
    """A `Geometry` in which one product makes all that is linear.

    Parameters
    ----------
    expanded : tuple of array
        The fields of a `Geometry` from information to slope.
    shift, outer : array, shapes (dense,) and (dense, dense)
        From the first coordinates of z to phi and the coordinates of the later layers.
    """
    information, pull, cross, expanded_at, centre, slope = expanded
    n = len(expanded_at)
    across = cross.reshape(pull.size, n)
    below = pull.reshape(-1) + across @ (shift[:n] - expanded_at)
    shift, outer = np.concatenate([shift, below]), np.concatenate([outer, across @ outer[:n]])
    return Geometry(information, pull, cross, expanded_at, centre, slope, shift, outer)


@dataclass(frozen=True, eq=False)
class Transport:
    """The map of one density. Functions with an argument ``xp`` are for NumPy and for JAX.

    A position consists of phi, then the free variables of the populations' centres, then what the groups own: for each
    block a standard offset of every group, or its separate value. phi begins with the spreads, those of the pooled
    blocks first.

    Parameters
    ----------
    density : Density
    blocks : sequence of Block
        What the groups own; empty for a model without groups. Pooled ones come first.
    groups : int
        Number of groups.
    scales : sequence of (str, int)
        For each spread: name and index of the data with the scale of its half-normal prior.
    modeless : sequence of int
        Further coordinates along which the density has a peak without mass, such as the scale of a noise that vanishes.
    """

    density: Density
    blocks: Sequence[Block]
    groups: int
    scales: Sequence[tuple[str, int]]
    modeless: Sequence[int] = ()

    @cached_property
    def pooled(self) -> int:
        """Number of pooled blocks."""
        return sum(block.pooled for block in self.blocks)

    @cached_property
    def centred(self) -> int:
        """Where in a position the groups' own values begin."""
        return self.density.size - len(self.blocks) * self.groups

    @cached_property
    def free(self) -> int:
        """Length of phi."""
        return self.centred - self.pooled

    @cached_property
    def dense(self) -> int:
        """How many coordinates are whitened together once there are draws: all, unless there are very many."""
        size = self.density.size
        return size if size <= _MOST_DENSE else self.centred

    @cached_property
    def held(self) -> np.ndarray:
        """Which coordinates have no mode to climb to, shape (size,) of bool."""
        return np.isin(np.arange(self.density.size), [*range(self.pooled), *self.modeless])

    @cached_property
    def plain(self) -> Geometry:
        """The geometry under which z is phi, then the standardised centres, then the standard offsets of the groups."""
        k, groups, n, m = len(self.blocks), self.groups, self.free, self.pooled
        zeros = np.zeros((k, groups))
        expanded = np.zeros((k, k, groups)), zeros, np.zeros((k, groups, n)), np.zeros(n), np.zeros(m), np.ones(m)
        return constants(expanded, np.zeros(self.dense), np.eye(self.dense))

    def unwarp(self, phi, data: Data, xp: Any = np):
        """Free variables from coordinates in which the spreads' priors are nearly normal, and the log Jacobian.

        With x the spread over its prior's scale and v its coordinate, ``(1 + p(v)) / 2 = p(x)`` where p is the logistic
        curve closest to the normal distribution function, hence ``x = log(1 + 2 exp(s v)) / s``.
        """
        n = len(self.scales)
        if not n:
            return phi, xp.zeros(phi.shape[:-1])
        steep = _STEEPNESS * phi[..., :n] + np.log(2.0)
        # log(1 + exp(s)), which must not overflow
        soft = xp.maximum(steep, 0.0) + xp.log1p(xp.exp(-xp.abs(steep)))
        log_x = xp.log(soft / _STEEPNESS)
        spreads = xp.log(self._of_spreads(data, xp)) + log_x
        return xp.concatenate([spreads, phi[..., n:]], axis=-1), (steep - soft - log_x).sum(-1)

    def warp(self, free, data: Data):
        """The inverse of `unwarp`."""
        n = len(self.scales)
        if not n:
            return free
        steep = _STEEPNESS * np.exp(free[..., :n]) / self._of_spreads(data, np)
        # log(exp(s) - 1), which must not overflow
        spreads = (steep + np.log(-np.expm1(-steep)) - np.log(2.0)) / _STEEPNESS
        return np.concatenate([spreads, free[..., n:]], axis=-1)

    def _of_spreads(self, data: Data, xp: Any):
        return xp.stack([data[name][index] for name, index in self.scales])

    def taus(self, free, data: Data, xp: Any = np):
        """tau of every block, shape (..., block)."""
        spreads = xp.exp(free[..., : self.pooled])
        return self._with_separate(spreads, 1, data, xp)

    def mus(self, centre, data: Data, xp: Any = np):
        """mu of every block, shape (..., block), given the populations' free variables."""
        levels = [block.level for block in self.blocks[: self.pooled]]
        if any(levels):
            columns = xp.unstack(centre, axis=-1)
            found = [u if level is None else level(u, data, xp) for u, level in zip(columns, levels, strict=True)]
            centre = xp.stack(found, axis=-1)
        return self._with_separate(centre, 0, data, xp)

    def _with_separate(self, pooled, index: int, data: Data, xp: Any):
        """Values of the pooled blocks, and those of the separate blocks' priors beside them."""
        separate = self.blocks[self.pooled :]
        if not separate:
            return pooled
        constant = xp.stack([data[block.prior][index] for block in separate])
        return xp.concatenate([pooled, xp.broadcast_to(constant, (*pooled.shape[:-1], len(separate)))], axis=-1)

    def owned_from(self, offsets, mu, tau, xp: Any = np):
        """What the groups own, shape (..., block, group), from standard offsets of all blocks."""
        k = self.pooled
        if k == len(self.blocks):
            return offsets
        separate = mu[..., k:, None] + tau[..., k:, None] * offsets[..., k:, :]
        return xp.concatenate([offsets[..., :k, :], separate], axis=-2)

    def offsets_from(self, own, mu, tau):
        """The inverse of `owned_from`."""
        k = self.pooled
        separate = (own[..., k:, :] - mu[..., k:, None]) / tau[..., k:, None]
        return np.concatenate([own[..., :k, :], separate], axis=-2)

    def position(self, z, geometry: Geometry, data: Data, xp: Any = np):
        """The positions at z, shape (..., size), and the log Jacobian up to a constant."""
        both = geometry.shift + z[..., : self.dense] @ geometry.outer.T
        straight = xp.concatenate([both[..., : self.dense], z[..., self.dense :]], axis=-1)
        free, warped = self.unwarp(straight[..., : self.free], data, xp)
        if not self.blocks:
            return free, warped
        shape = (*z.shape[:-1], len(self.blocks), self.groups)
        tau = self.taus(free, data, xp)
        given = conditional(tau, geometry.information, both[..., self.dense :].reshape(shape), xp)
        centring = self._centring(given, geometry, data, xp)
        centre = centring.centre(straight[..., self.free : self.centred])
        mu = self.mus(centre, data, xp)
        offsets = given.solve(mu, straight[..., self.centred :].reshape(shape))
        own = self.owned_from(offsets, mu, tau, xp).reshape(*z.shape[:-1], -1)
        log_jacobian = warped + centring.log_jacobian + given.log_jacobian
        return xp.concatenate([free, centre, own], axis=-1), log_jacobian

    def standardise(self, position, geometry: Geometry, data: Data):
        """The z of positions: the inverse of `position`, in NumPy."""
        free, centre, own = np.split(position, [self.free, self.centred], axis=-1)
        phi = self.warp(free, data)
        if not self.blocks:
            return self._within(phi, geometry)
        own = own.reshape(*own.shape[:-1], len(self.blocks), self.groups)
        tau, mu = self.taus(free, data), self.mus(centre, data)
        pull = geometry.pull + np.einsum("kgn,...n->...kg", geometry.cross, phi - geometry.expanded_at)
        given = conditional(tau, geometry.information, pull)
        w_centre = self._centring(given, geometry, data).uncentre(centre)
        w = given.unsolve(mu, self.offsets_from(own, mu, tau)).reshape(*phi.shape[:-1], -1)
        return self._within(np.concatenate([phi, w_centre, w], axis=-1), geometry)

    def logp(self, z, geometry: Geometry, data: Data):
        """The log density of one z in JAX; beside it the position, the log likelihoods, and variables to keep."""
        position, log_jacobian = self.position(z, geometry, data, jnp)
        log_density, (each, published) = self.density.logp(position, data)
        return log_density + log_jacobian, (position, each, published)

    def _within(self, z, geometry: Geometry):
        dense = self.dense
        inside = np.linalg.solve(geometry.outer[:dense], (z[..., :dense] - geometry.shift[:dense])[..., None])[..., 0]
        return np.concatenate([inside, z[..., dense:]], axis=-1)

    def _centring(self, given: Conditional, geometry: Geometry, data: Data, xp: Any = np) -> _Centring:
        """The map of the populations' free variables given the spreads."""
        k, lead = self.pooled, given.log_jacobian.shape
        if not k:
            return _Centring(xp.zeros((*lead, 0)), xp.zeros((*lead, 0, 0)), xp.zeros(lead))
        level = self.mus(geometry.centre, data, xp)
        slope = geometry.slope
        # mu = level + slope (centre - where it was expanded)
        offset = xp.concatenate([level[:k] - slope * geometry.centre, level[k:]])
        m, scale = xp.stack([data[block.prior][:2] for block in self.blocks[:k]]).T
        target = slope * (given.drawn - given.precision @ offset)[..., :k] + m / scale**2
        precision = slope[:, None] * given.precision[..., :k, :k] * slope + xp.eye(k) / scale**2
        inverse = inverse_factor(precision[..., None], xp)[..., 0]
        log_jacobian = _log_diagonal(inverse[..., None], xp)
        return _Centring((inverse @ target[..., None])[..., 0], inverse, log_jacobian)


class _Centring(NamedTuple):
    """The populations' free variables given the spreads: ``inverse' (target + w)`` for standard normal w."""

    target: Any
    inverse: Any
    log_jacobian: Any

    def centre(self, w):
        return ((self.target + w)[..., None, :] @ self.inverse)[..., 0, :]

    def uncentre(self, centre):
        return np.linalg.solve(np.swapaxes(self.inverse, -1, -2), centre[..., None])[..., 0] - self.target


class Conditional(NamedTuple):
    """What the groups own given everything else, and their information about its centre.

    Parameters
    ----------
    inverse : array, shape (..., block, block, group)
        C^-1.
    shrunk : array, shape (..., block, block, group)
        C^-1 T H.
    pulled : array, shape (..., block, group)
        C^-1 T b.
    log_jacobian : array, shape (...)
        The log Jacobian of ``solve``.
    precision : array, shape (..., block, block)
        The precision of the centre: the sum of W H.
    drawn : array, shape (..., block)
        The sum of W b.
    """

    inverse: Any
    shrunk: Any
    pulled: Any
    log_jacobian: Any
    precision: Any
    drawn: Any

    def solve(self, mu, w):
        """Offsets, shape (..., block, group), from mu and standard normal w."""
        right = self.pulled - (self.shrunk * mu[..., None, :, None]).sum(-2) + w
        return (self.inverse * right[..., :, None, :]).sum(-3)

    def unsolve(self, mu, offsets):
        """The w of offsets, in NumPy: C' o, by back substitution in C^-1, which is lower triangular."""
        k = offsets.shape[-2]
        v = np.zeros_like(offsets)
        for j in reversed(range(k)):
            later = (self.inverse[..., j + 1 :, j, :] * v[..., j + 1 :, :]).sum(-2)
            v[..., j, :] = (offsets[..., j, :] - later) / self.inverse[..., j, j, :]
        return v - self.pulled + (self.shrunk * mu[..., None, :, None]).sum(-2)


def conditional(tau, information, pull, xp: Any = np) -> Conditional:
    """The map of all groups' offsets given the spreads.

    Parameters
    ----------
    tau : array, shape (..., block)
    information : array, shape (block, block, group)
    pull : array, shape (..., block, group)
        b.
    """
    k = tau.shape[-1]
    scaled = tau[..., :, None, None] * information
    inverse = inverse_factor(scaled * tau[..., None, :, None] + xp.eye(k)[:, :, None], xp)
    shrunk = _product(inverse, scaled)
    pulled = (inverse * (tau[..., :, None] * pull)[..., None, :, :]).sum(-2)
    return Conditional(
        inverse=inverse,
        shrunk=shrunk,
        pulled=pulled,
        log_jacobian=_log_diagonal(inverse, xp),
        precision=_product(xp.swapaxes(inverse, -3, -2), shrunk).sum(-1) / tau[..., :, None],
        drawn=(inverse * pulled[..., :, None, :]).sum(-3).sum(-1) / tau,
    )


def _product(a, b):
    """Matrix products over the last axes but one, elementwise over the last."""
    return (a[..., :, :, None, :] * b[..., None, :, :, :]).sum(-3)


def _log_diagonal(matrix, xp: Any):
    """The sum of the logarithms of the diagonals; by a product, since looking elements up is slow to differentiate."""
    return xp.log((xp.eye(matrix.shape[-2])[:, :, None] * matrix).sum(-2)).sum((-1, -2))


def inverse_factor(matrix, xp: Any):
    """The inverse of the Cholesky factor of matrices, shape (..., row, row, group), elementwise over the groups.

    By elimination: LAPACK takes ten times as long for many small matrices.
    """
    # The barrier keeps the compiler from computing the derivative anew for each element that uses it.
    return jax.lax.optimization_barrier(_inverse_factor(matrix)) if xp is jnp else _eliminated(matrix)


def _eliminated(matrix: np.ndarray) -> np.ndarray:
    k = matrix.shape[-2]
    # Elimination beside the identity leaves D L' and the inverse of L.
    left = np.concatenate([matrix, np.broadcast_to(np.eye(k)[:, :, None], matrix.shape)], axis=-2)
    for i in range(k):
        first = left[..., i, :, :] / np.sqrt(left[..., i, i, :])[..., None, :]
        left[..., i, :, :] = first
        left[..., i + 1 :, :, :] -= (
            left[..., i + 1 :, i, None, :] / first[..., None, i, None, :] * first[..., None, :, :]
        )
    return left[..., :, k:, :]


@jax.custom_jvp
def _inverse_factor(matrix: jax.Array) -> jax.Array:
    k = matrix.shape[-2]
    rows = np.arange(k)
    left = jnp.concatenate([matrix, jnp.broadcast_to(jnp.eye(k)[:, :, None], matrix.shape)], axis=-2)

    # A loop, since steps written one after another take several times as long to compile.
    def step(i, left):
        first = jax.lax.dynamic_index_in_dim(left, i, axis=left.ndim - 3, keepdims=True)
        pivot = jax.lax.dynamic_index_in_dim(first, i, axis=left.ndim - 2, keepdims=True)
        column = jax.lax.dynamic_index_in_dim(left, i, axis=left.ndim - 2, keepdims=True)
        below = (rows > i)[:, None, None]
        share = jnp.where(below, column / pivot, jnp.where((rows == i)[:, None, None], 1 - 1 / jnp.sqrt(pivot), 0.0))
        return left - share * first

    return jax.lax.fori_loop(0, k, step, left)[..., :, k:, :]


@_inverse_factor.defjvp
def _inverse_factor_jvp(primals, tangents):
    # With Y = C^-1, dY = -phi(Y dP Y') Y where phi keeps the lower triangle and half the diagonal: a few products
    # instead of the derivative of every step above.
    inverse = _inverse_factor(*primals)
    k = inverse.shape[-2]
    change = _product(_product(inverse, tangents[0]), jnp.swapaxes(inverse, -3, -2))
    lower = np.tril(np.ones((k, k))) - np.eye(k) / 2
    return inverse, -_product(lower[:, :, None] * change, inverse)
