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

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from scalebayes.inference.data import Data

if TYPE_CHECKING:
    from scalebayes.inference.density import Density

_MOST_DENSE = 64  # coordinates that are all whitened together
_STEEPNESS = 1.702  # of the logistic curve closest to a normal distribution function


@dataclass(frozen=True)
class Block:
    """Names of the variables of one parameter of which every group owns a value.

    Parameters
    ----------
    own : str
        What the groups own: standard offsets of a pooled parameter, or the values of a separate one.
    prior : str
        Name of the data with centre and scale of the prior of the population's centre, or of each separate value.
    centre, population, spread : str
        The free variable of the population's centre, its natural value, and the groups' spread about it. A group's
        value is ``population * exp(spread * own)`` or ``population + spread * own``. Empty for a separate parameter.
    log : bool
        Whether the first of these two holds.
    """

    own: str
    prior: str
    centre: str = ""
    population: str = ""
    spread: str = ""
    log: bool = False


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

    information: jax.Array
    pull: jax.Array
    cross: jax.Array
    expanded_at: jax.Array
    centre: jax.Array
    slope: jax.Array
    shift: jax.Array
    outer: jax.Array


def constants(expanded: tuple[jax.Array, ...], shift: jax.Array, outer: jax.Array) -> Geometry:
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
    shift, outer = jnp.concatenate([shift, below]), jnp.concatenate([outer, across @ outer[:n]])
    return Geometry(information, pull, cross, expanded_at, centre, slope, shift, outer)


@dataclass(frozen=True, eq=False)
class Transport:
    """The map of one density.

    Parameters
    ----------
    density : Density
    blocks : sequence of Block
        What the groups own; empty for a model without groups.
    scales : mapping of str to (str, int)
        For each spread, by its name: name and index of the data with the scale of its half-normal prior.
    modeless : sequence of str
        Further variables along which the density has a peak without mass, such as the scale of a noise that vanishes.
    """

    density: Density
    blocks: Sequence[Block]
    scales: Mapping[str, tuple[str, int]]
    modeless: Sequence[str] = ()

    def _indices(self, names: Sequence[str]) -> np.ndarray:
        everything = np.arange(self.density.size)
        return np.concatenate([everything[self.density.slices[name]] for name in names] or [np.empty(0, int)])

    @cached_property
    def owned(self) -> np.ndarray:
        """Indices of what the groups own in a position, shape (block, group)."""
        return self._indices([b.own for b in self.blocks]).reshape(len(self.blocks), -1 if self.blocks else 0)

    @cached_property
    def centres(self) -> np.ndarray:
        """Indices of the free variables of the populations' centres."""
        return self._indices([b.centre for b in self.blocks if b.centre])

    @cached_property
    def free(self) -> np.ndarray:
        """Indices of everything else."""
        return np.setdiff1d(np.arange(self.density.size), np.concatenate([self.owned.ravel(), self.centres]))

    @cached_property
    def dense(self) -> int:
        """How many coordinates are whitened together once there are draws: all, unless there are very many."""
        size = self.density.size
        return size if size <= _MOST_DENSE else len(self.free) + len(self.centres)

    @cached_property
    def spreads(self) -> np.ndarray:
        """Indices of the blocks' spreads in a position."""
        return self._indices([b.spread for b in self.blocks if b.spread])

    @cached_property
    def held(self) -> np.ndarray:
        """Indices of the variables that have no mode to climb to."""
        return np.concatenate([self.spreads, self._indices(self.modeless)])

    @cached_property
    def pooled(self) -> np.ndarray:
        """Which blocks are pooled."""
        return np.asarray([bool(b.spread) for b in self.blocks], bool)

    def unwarp(self, phi: jax.Array, data: Data) -> tuple[jax.Array, jax.Array]:
        """Free variables from coordinates in which the spreads' priors are nearly normal, and the log Jacobian.

        With x the spread over its prior's scale and v its coordinate, ``(1 + p(v)) / 2 = p(x)`` where p is the logistic
        curve closest to the normal distribution function, hence ``x = log(1 + 2 exp(s v)) / s``.
        """
        if not self.scales:
            return phi, jnp.zeros(())
        at, scale = self._of_spreads(data)
        steep = _STEEPNESS * phi[at] + np.log(2.0)
        log_x = jnp.log(jax.nn.softplus(steep) / _STEEPNESS)
        return phi.at[at].set(jnp.log(scale) + log_x), (jax.nn.log_sigmoid(steep) - log_x).sum()

    def warp(self, free: jax.Array, data: Data) -> jax.Array:
        """The inverse of `unwarp`."""
        if not self.scales:
            return free
        at, scale = self._of_spreads(data)
        steep = _STEEPNESS * jnp.exp(free[at]) / scale
        # log(exp(s) - 1), which must not overflow
        return free.at[at].set((steep + jnp.log(-jnp.expm1(-steep)) - np.log(2.0)) / _STEEPNESS)

    def _of_spreads(self, data: Data) -> tuple[np.ndarray, jax.Array]:
        at = np.searchsorted(self.free, self._indices(list(self.scales)))
        return at, jnp.stack([data[name][index] for name, index in self.scales.values()])

    def join(self, free: jax.Array, centre: jax.Array, own: jax.Array) -> jax.Array:
        """A position from its parts."""
        cuts, order = self._pieces
        # Cheaper than indexing, for the value and for the gradient.
        pieces = jnp.split(jnp.concatenate([free, centre, own.reshape(-1)]), cuts)
        return jnp.concatenate([pieces[i] for i in order])

    @cached_property
    def _pieces(self) -> tuple[np.ndarray, np.ndarray]:
        """The indices at which `join` cuts its parts, and the order in which the pieces make a position."""
        indices = np.concatenate([self.free, self.centres, self.owned.ravel()])
        cuts = np.flatnonzero(np.diff(indices) != 1) + 1
        return cuts, np.argsort(indices[np.concatenate([[0], cuts])])

    def taus(self, free: jax.Array, data: Data) -> jax.Array:
        """tau of every block, shape (block,)."""
        values = self._values(free, jnp.zeros(len(self.centres)), data)
        return jnp.stack([values[b.spread] if b.spread else data[b.prior][1] for b in self.blocks])

    def mus(self, free: jax.Array, centre: jax.Array, data: Data) -> jax.Array:
        """mu of every block, shape (block,)."""
        values = self._values(free, centre, data)
        mu = [values[b.population] if b.spread else data[b.prior][0] for b in self.blocks]
        return jnp.stack([jnp.log(m) if b.log else m for m, b in zip(mu, self.blocks, strict=True)])

    def _values(self, free, centre, data):
        return self.density.expand(self.join(free, centre, jnp.zeros(self.owned.shape)), data)

    def owned_from(self, offsets, mu, tau):
        """What the groups own, from standard offsets of all blocks."""
        return jnp.where(self.pooled[:, None], offsets, mu[:, None] + tau[:, None] * offsets)

    def offsets_from(self, own, mu, tau):
        """The inverse of `owned_from`."""
        return jnp.where(self.pooled[:, None], own, (own - mu[:, None]) / tau[:, None])

    @cached_property
    def position(self) -> Callable[[jax.Array, Geometry, Data], tuple[jax.Array, jax.Array]]:
        """(z, geometry, data) to the position at z, and the log Jacobian up to a constant."""
        return jax.jit(self._position)  # traced once, for all programs

    def _position(self, z, geometry, data):
        n, m = len(self.free), len(self.centres)
        first, rest = jnp.split(z, [self.dense])
        straight, below = jnp.split(geometry.shift + geometry.outer @ first, [self.dense])
        phi, w_centre, w = jnp.split(jnp.concatenate([straight, rest]), [n, n + m])
        free, warped = self.unwarp(phi, data)
        if not self.blocks:
            return free, warped
        tau = self.taus(free, data)
        given = conditional(tau, geometry.information, below.reshape(self.owned.shape))
        centre_of, _, stretched = self._centring(given, geometry, free, data)
        centre = centre_of(w_centre)
        mu = self.mus(free, centre, data)
        offsets = given.solve(mu, w.reshape(self.owned.shape))
        return self.join(free, centre, self.owned_from(offsets, mu, tau)), warped + stretched + given.log_jacobian

    def standardise(self, position: jax.Array, geometry: Geometry, data: Data) -> jax.Array:
        """The z of a position: the inverse of `position`."""
        free = position[self.free]
        phi = self.warp(free, data)
        if not self.blocks:
            return self._within(phi, geometry)
        tau, centre = self.taus(free, data), position[self.centres]
        given = conditional(tau, geometry.information, geometry.pull + geometry.cross @ (phi - geometry.expanded_at))
        _, uncentre, _ = self._centring(given, geometry, free, data)
        mu = self.mus(free, centre, data)
        w = given.unsolve(mu, self.offsets_from(position[self.owned], mu, tau))
        return self._within(jnp.concatenate([phi, uncentre(centre), w.reshape(-1)]), geometry)

    def _within(self, z: jax.Array, geometry: Geometry) -> jax.Array:
        dense = self.dense
        straight = z[:dense] - geometry.shift[:dense]
        return z.at[:dense].set(jnp.linalg.solve(geometry.outer[:dense], straight))

    def _centring(self, given: Conditional, geometry: Geometry, free: jax.Array, data: Data):
        """The map of the populations' free variables given the spreads, its inverse, and the log Jacobian."""
        pooled, apart = np.flatnonzero(self.pooled), np.flatnonzero(~self.pooled)
        if not len(pooled):
            return (lambda w: w), (lambda centre: centre), jnp.zeros(())
        level = self.mus(free, geometry.centre, data)
        pull, of_centre = given.drawn, given.precision
        if len(apart):
            pull = (pull - of_centre[:, apart] @ level[apart])[pooled]
            of_centre, level = of_centre[np.ix_(pooled, pooled)], level[pooled]
        m, scale = jnp.stack([data[b.prior][:2] for b in self.blocks if b.spread]).T
        slope = geometry.slope
        precision = slope[:, None] * of_centre * slope + jnp.diag(scale**-2)
        # mu = level + slope (centre - where it was expanded)
        offset = level - slope * geometry.centre
        target = slope * (pull - of_centre @ offset) + m / scale**2
        inverse = _inverse_factor(precision[:, :, None])[:, :, 0]

        def centre_of(w):
            return inverse.T @ (inverse @ target + w)

        def uncentre(centre):
            return jax.scipy.linalg.solve_triangular(inverse.T, centre, lower=False) - inverse @ target

        return centre_of, uncentre, jnp.log(jnp.diag(inverse)).sum()

    @cached_property
    def logp(self) -> Callable[[jax.Array, Geometry, Data], jax.Array]:
        """(z, geometry, data) to the log density of z."""
        return jax.jit(self._logp)

    def _logp(self, z, geometry, data):
        position, log_jacobian = self.position(z, geometry, data)
        return self.density.logp(position, data) + log_jacobian


class Conditional(NamedTuple):
    """What the groups own given everything else, and their information about its centre.

    Parameters
    ----------
    solve, unsolve : Callable
        From (mu, w) to offsets of shape (block, group), and from (mu, offsets) back to w.
    log_jacobian : array, shape ()
        The log Jacobian of ``solve``.
    precision : array, shape (block, block)
        The precision of the centre: the sum of W H.
    drawn : array, shape (block,)
        The sum of W b.
    """

    solve: Callable
    unsolve: Callable
    log_jacobian: jax.Array
    precision: jax.Array
    drawn: jax.Array


def conditional(tau: jax.Array, information: jax.Array, pull: jax.Array) -> Conditional:
    """The map of all groups' offsets given the spreads.

    Parameters
    ----------
    tau : array, shape (block,)
    information : array, shape (block, block, group)
    pull : array, shape (block, group)
        b.
    """
    k = len(tau)
    precision = tau[:, None, None] * tau[:, None] * information + jnp.eye(k)[:, :, None]
    inverse = _inverse_factor(precision)
    scaled = tau[:, None, None] * information
    shrunk = _dot(inverse, scaled)  # C^-1 T H
    drawn = (inverse * (tau[:, None] * pull)).sum(1)  # C^-1 T b

    def solve(mu, w):
        return (inverse * (drawn - (shrunk * mu[:, None]).sum(1) + w)[:, None]).sum(0)

    def unsolve(mu, offsets):
        # C^T o from o = C^-T v, by back substitution in C^-1, which is lower triangular.
        v = [jnp.zeros_like(offsets[0])] * k
        for j in reversed(range(k)):
            v[j] = (offsets[j] - sum((inverse[i, j] * v[i] for i in range(j + 1, k)), 0.0)) / inverse[j, j]
        return jnp.stack(v) - drawn + (shrunk * mu[:, None]).sum(1)

    return Conditional(
        solve=solve,
        unsolve=unsolve,
        log_jacobian=jnp.log((jnp.eye(k)[:, :, None] * inverse).sum(1)).sum(),
        precision=_dot(jnp.swapaxes(inverse, 0, 1), shrunk).sum(-1) / tau[:, None],
        drawn=(inverse * drawn[:, None]).sum(0).sum(-1) / tau,
    )


def _dot(a: jax.Array, b: jax.Array) -> jax.Array:
    """Matrix products over the first two axes, elementwise over the last."""
    return (a[:, :, None] * b[None]).sum(1)


@jax.custom_jvp
def _inverse_factor(matrix: jax.Array) -> jax.Array:
    """The inverse of the Cholesky factor of matrices over the first two axes.

    Unrolled over the few rows, elementwise over the last axis: LAPACK takes ten times as long for small matrices.
    """
    k = len(matrix)
    # Elimination beside the identity leaves D L' and the inverse of L. Finished rows and columns are dropped, since an
    # update in place is a copy on a CPU.
    left, done = jnp.concatenate([matrix, jnp.broadcast_to(jnp.eye(k)[:, :, None], matrix.shape)], axis=1), []
    for _ in range(k):
        first = left[0]
        done.append(first[-k:] / jnp.sqrt(first[0]))
        left = left[1:, 1:] - (left[1:, 0] / first[0])[:, None] * first[1:]
    return jnp.stack(done)


@_inverse_factor.defjvp
def _inverse_factor_jvp(primals, tangents):
    # With Y = C^-1, dY = -phi(Y dP Y') Y where phi keeps the lower triangle and half the diagonal: a few products
    # instead of the derivative of every step above.
    inverse = _inverse_factor(*primals)
    k = len(inverse)
    change = _dot(_dot(inverse, tangents[0]), jnp.swapaxes(inverse, 0, 1))
    lower = np.tril(np.ones((k, k))) - np.eye(k) / 2
    return inverse, -_dot(jnp.asarray(lower)[:, :, None] * change, inverse)
