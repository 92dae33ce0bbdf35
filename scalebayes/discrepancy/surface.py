"""Surface: runs of several inputs depart from their law by a smooth surface."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np

from scalebayes.discrepancy.contract import AtRuns, Departure, Situation
from scalebayes.discrepancy.drift import around
from scalebayes.discrepancy.inducing import Scales, Surroundings, ahead, departures, number_of_points, surroundings
from scalebayes.discrepancy.walk import integrated
from scalebayes.numerics.padding import fill_last_axis, repeat_last
from scalebayes.observations.contract import sd_of
from scalebayes.observations.noise import Gaussian, gaussian_beside
from scalebayes.priors import Pooling, repool, with_pooling
from scalebayes.runs.cost import needed_cost
from scalebayes.runs.curves import curves
from scalebayes.runs.runs import Runs


@dataclass(frozen=True)
class Surface:
    r"""Runs of several inputs depart from their law by a smooth surface, which may drift beyond the frontier.

    .. math:: \log y = \log(E + (f - E) e^{g}) + \epsilon, \qquad g = u + v

    u is a Gaussian process over the log inputs with covariance
    :math:`a^2 \exp(-\tfrac12 \sum_i (\Delta \log x_i / l_i)^2)`. v drifts with cost as in `Drift`, with kappa = 1
    and :math:`h = \log C - \log C_c`, where C is the cost of a run and :math:`C_c` the largest of its group. At another
    ratio of the inputs v takes another course (Matern's covariance of order 5/2, with a length over the log ratio).
    Each group has its own surface. It is given by g at inducing points: all runs of a group of up to 40, otherwise 32
    to 128 of them, the more the less neighbouring runs scatter.

    Parameters
    ----------
    misfit : prior
        Prior of a, the standard deviation of the log reducible loss about the law.
    length : prior
        Prior of every l, in natural logs of the input.
    drift : prior or None
        Prior of s, as in `Drift`; None for a surface that does not drift.
    ratio : prior
        Prior of the length over the log ratio.

    Examples
    --------
    >>> Surface(drift=None).misfit
    pooled(LogNormal(median=0.03, spread=0.7), spread=0.35)
    """

    sampled: ClassVar[bool] = True
    stated: ClassVar[str] = "surface"
    moves_mean: ClassVar[bool] = True
    departs_beyond: ClassVar[bool] = True
    takes_horizon: ClassVar[bool] = False
    data_names: ClassVar[tuple[str, ...]] = tuple(f"surface_{name}" for name in Surroundings._fields)
    modeless: ClassVar[bool] = False
    # A gradient of a surface takes long by itself, and its chains use all processors.
    across_evaluations: ClassVar[bool] = False
    alone: ClassVar[bool] = True
    influential: ClassVar[tuple[str, ...]] = ("misfit", "drift")
    helpers: ClassVar[tuple[str, ...]] = ("surface_coordinates",)
    published: ClassVar[dict[str, tuple[str, ...]]] = {"surface": ("inducing_point",)}

    misfit: Pooling = field(default_factory=lambda: around(0.03, 0.7))
    length: Pooling = field(default_factory=lambda: around(2.0, 0.5))
    drift: Pooling | None = field(default_factory=lambda: around(0.08, 1.0))
    ratio: Pooling = field(default_factory=lambda: around(2.0, 0.5))

    def __post_init__(self) -> None:
        for name in ("misfit", "length", "drift", "ratio"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, with_pooling(getattr(self, name)))

    @property
    def word(self) -> str:
        """surface, or still surface if it does not drift."""
        return "still surface" if self.drift is None else "surface"

    def priors(self, inputs: tuple[str, ...]) -> dict[str, Pooling]:
        """Priors of its parameters, for a law of these inputs."""
        lengths = {f"length_{name}": self.length for name in inputs}
        drifting = {"drift": self.drift, "length_ratio": self.ratio} if self.drift is not None else {}
        return {"misfit": self.misfit, **lengths, **drifting}

    def repooled(self, how: str) -> Surface:
        """The same surface with another pooling."""
        drift = None if self.drift is None else repool(self.drift, how)
        return Surface(repool(self.misfit, how), repool(self.length, how), drift, repool(self.ratio, how))

    def observation(self) -> Gaussian:
        """Gaussian noise, narrow and pooled."""
        return gaussian_beside(0.8)

    def check(self, runs: Runs) -> None:
        """Refuse runs of one input, of inputs that have no logarithm, and of unknown cost."""
        columns = ", ".join(each.label for each in runs.inputs.values())
        if len(runs.inputs) < 2:
            raise ValueError(
                f"a surface is over several inputs, and the runs have one ({columns}): runs along a curve have "
                "discrepancy='drift'."
            )
        others = [name for name in runs.inputs if name not in runs.scales]
        if others:
            raise ValueError(
                f"a surface is over the logarithms of scales, and {', '.join(others)} "
                f"{'is' if len(others) == 1 else 'are'} none; fit without discrepancy."
            )
        if not (runs.y > 0).all():
            raise ValueError(
                f"a surface is about responses above zero, and {runs.response!r} goes down to {runs.y.min():g}; fit "
                "without discrepancy."
            )
        needed_cost(runs)

    def stated_at(self, runs: Runs) -> None:
        """In the middle of the runs."""
        return

    def data(self, runs: Runs) -> dict[str, np.ndarray]:
        """Where the runs and inducing points of every group lie."""
        log_x = np.log([runs.x(name) for name in runs.inputs]).T
        log_y, log_cost, groups = np.log(runs.y), np.log(needed_cost(runs)), [rows for _, rows in curves(runs)]
        n_points = max(number_of_points(log_x[rows], log_y[rows], log_cost[rows]) for rows in groups)
        near = surroundings(log_x, log_cost, groups, n_points)
        return {f"surface_{name}": value for name, value in near._asdict().items()}

    def padded(self, data: Mapping[str, np.ndarray], size: int, grouped: bool) -> dict[str, np.ndarray]:
        """The same arrays for a padded table; a group that is the whole table has a slot for each of its runs."""
        fill = {"surface_slots": -1, "surface_squared": 0, "surface_ratio": 0, "surface_drifted": 0}
        more = {} if grouped else {name: fill_last_axis(data[name], size, nothing) for name, nothing in fill.items()}
        copies = np.full(size - len(data["surface_slot_of_run"]), -1)
        slot_of_run = np.concatenate([data["surface_slot_of_run"], copies])
        return {
            **data,
            **more,
            "surface_slot_of_run": slot_of_run,
            "surface_alone": repeat_last(data["surface_alone"], size),
        }

    def variables(self, data: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The initial values of its free variables."""
        groups, points = data["surface_ratio"].shape[:2]
        return {"surface_coordinates": np.zeros(groups * points)}

    def dims(self, data: Mapping[str, np.ndarray]) -> dict[str, int]:
        """Sizes of the dimensions of its variables, besides the group."""
        return {"inducing_point": data["surface_ratio"].shape[1]}

    def departed(self, seen: AtRuns, free: Mapping[str, Any]):
        """The runs after the surface given by its coordinates.

        The observation's parameters include in the noise the variance that the inducing points leave out.
        """
        scale, near = seen.observation.scale, self._surroundings(seen.data)
        groups, points = near.ratio.shape[:2]
        xi = free["surface_coordinates"]
        # To first order about the response and not about the law, since the noise is much smaller than g.
        error, above_response = scale.seen(seen.observed, seen.mean, seen.floor, jnp)
        sd = jnp.broadcast_to(sd_of(seen.observation, seen.mean, seen.values, seen.columns), error.shape)
        own = {name: jnp.broadcast_to(value, (groups,)) for name, value in seen.own.items()}
        g, left_out, log_density, at_points = departures(
            xi.reshape(groups, points), error, above_response, sd, self._scales(seen.inputs, own), near
        )
        above = scale.above(seen.mean, seen.floor, jnp)
        values = seen.observation.widened(seen.mean, seen.values, above**2 * left_out, jnp)
        return scale.bent(seen.mean, seen.floor, g, jnp), values, log_density, {"surface": at_points}

    def _surroundings(self, data: Mapping[str, Any]) -> Surroundings:
        return Surroundings(**{name: data[f"surface_{name}"] for name in Surroundings._fields})

    def before_runs(self, at: Situation, rng: np.random.Generator) -> Departure:
        """g at each point's distance in cost from the frontier of the group's runs, each point by itself."""
        h = np.abs(self._beyond(at))
        misfit = at.parameters["misfit"][:, None]
        drift = at.parameters.get("drift", np.zeros(1))[:, None]
        sd = np.sqrt(drift**2 * integrated(h, h, 1.0) + misfit**2)
        return Departure(sd * rng.standard_normal(sd.shape))

    def given_runs(self, at: Situation, rng: np.random.Generator) -> Departure:
        """Draws of g given the surface's values at its inducing points."""
        log_x = np.log([at.x[name] for name in at.runs.inputs]).T
        known = np.log([at.runs.x(name) for name in at.runs.inputs]).T
        group = 0 if at.level is None else at.runs.levels.index(at.level)
        slots, cost = at.data["surface_slots"][group], np.log(needed_cost(at.runs))
        g = ahead(
            (log_x, np.log(needed_cost(at.runs, at.x, at.cost))),
            (known, cost),
            at.draws["surface"],
            self._scales(tuple(at.runs.inputs), at.parameters),
            slots,
            rng,
        )
        return Departure(g)

    def _beyond(self, at: Situation) -> np.ndarray:
        largest = np.log(needed_cost(at.runs)[at.runs.rows(at.level)]).max()
        return np.log(needed_cost(at.runs, at.x, at.cost)) - largest

    def _scales(self, inputs: tuple[str, ...], values: Mapping[str, Any]) -> Scales:
        lengths = [values[f"length_{name}"] for name in inputs]
        return Scales(values["misfit"], lengths, values.get("drift"), values.get("length_ratio"))
