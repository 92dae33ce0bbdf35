"""The contract of a discrepancy: how runs depart from every law beyond their noise.

A discrepancy is a tuple of terms. A term is a frozen dataclass whose fields are priors. It owns the data that it
derives from the runs, its part of the likelihood, and its draws at new points. A *sampled* term has coordinates of its
own in the posterior. An *integrated* term is Gaussian on the observation's scale and is integrated out. No code outside
its module depends on which term it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, cast, runtime_checkable

import numpy as np

from scalebayes.observations import Observation
from scalebayes.priors import Pooling
from scalebayes.runs import Runs
from scalebayes.runs.curves import Frontier


class AtRuns(NamedTuple):
    """The runs as a sampled term sees them, in JAX.

    Parameters
    ----------
    mean, floor, observed : array, shape (run,) or (1,)
        The law's mean and floor, and the data.
    observation : Observation
    values, columns : mapping of str to array
        The observation's parameters and columns at the runs.
    own : mapping of str to array
        The term's parameters, of shape (1,) or (group,).
    data : mapping of str to array
        The term's data.
    inputs : tuple of str
    """

    mean: Any
    floor: Any
    observed: Any
    observation: Observation
    values: Mapping[str, Any]
    columns: Mapping[str, Any]
    own: Mapping[str, Any]
    data: Mapping[str, Any]
    inputs: tuple[str, ...]


class Errors(NamedTuple):
    """Errors of runs about their law on the observation's scale, where a term is integrated out.

    Parameters
    ----------
    error : array, shape (..., run)
        Observed less expected response.
    above : array, shape (..., run)
        The share of a departure that reaches the scale.
    sd : array, shape (..., run)
        The observation's standard deviation.
    noise : array, shape (..., run)
        The same for these very runs: wider for outliers, and with what other terms have added.
    """

    error: Any
    above: Any
    sd: Any
    noise: Any


@dataclass(frozen=True, eq=False)
class Situation:
    """New points of one group, with draws of the parameters and the group's runs.

    Parameters
    ----------
    runs : Runs
        All runs that were fitted.
    level : str or None
        The group.
    x : mapping of str to array, shape (point,)
        The inputs at the new points.
    cost : array, shape (point,), or None
        In FLOPs.
    parameters : mapping of str to array, shape (sample,)
        The parameters of law, observation and terms.
    known : Errors
        The errors of the group's runs, shape (sample, run).
    draws : mapping of str to array
        The group's further variables of the posterior, shape (sample, ...).
    data : mapping of str to array
        The term's data.
    others : array, shape (sample, run, run), or 0
        Covariance that other terms add to the errors of the group's runs.
    sinks_from : float
        The multiple of the largest scale from which the floor lies lower than it seems from the runs.
    """

    runs: Runs
    level: str | None
    x: Mapping[str, np.ndarray]
    cost: np.ndarray | None
    parameters: Mapping[str, np.ndarray]
    known: Errors
    draws: Mapping[str, np.ndarray] = field(default_factory=dict)
    data: Mapping[str, np.ndarray] = field(default_factory=dict)
    others: Any = 0.0
    sinks_from: float = np.inf


class Departure(NamedTuple):
    """What a term draws at new points, each of shape (sample, point) or zero.

    Parameters
    ----------
    bend : array
        g, the departure of the mean response above the floor.
    floor : array
        The log of the factor by which the floor is another one.
    level : array
        The departure of the whole mean response, on the scale.
    residual : array
        The departure of a new run alone, on the scale.
    variance : array
        What the term adds to the variance of the observation's own noise; negative where the term takes a share of it.
    """

    bend: Any = 0.0
    floor: Any = 0.0
    level: Any = 0.0
    residual: Any = 0.0
    variance: Any = 0.0


@runtime_checkable
class Term(Protocol):
    """What a model needs from a term of the discrepancy, sampled or integrated out."""

    @property
    def word(self) -> str:
        """Its name in arguments and files."""

    @property
    def sampled(self) -> bool:
        """Whether it is a `SampledTerm`; otherwise it is an `IntegratedTerm`."""

    @property
    def stated(self) -> str:
        """Which default priors a law has beside it, see `scalebayes.laws.Law`; empty for the usual ones."""

    @property
    def moves_mean(self) -> bool:
        """Whether the mean response departs from the law."""

    @property
    def departs_beyond(self) -> bool:
        """Whether the mean response beyond the runs may depart from the law."""

    @property
    def takes_horizon(self) -> bool:
        """Whether it matters how far beyond the runs a forecast goes."""

    @property
    def modeless(self) -> bool:
        """Whether the density has a peak without mass where the noise tends to zero."""

    @property
    def alone(self) -> bool:
        """Whether a table is better sampled alone than in a batch."""

    @property
    def across_evaluations(self) -> bool:
        """Whether groups that were measured in different evaluations become comparable."""

    @property
    def influential(self) -> tuple[str, ...]:
        """The fields whose priors matter most at points far from the runs."""

    @property
    def data_names(self) -> tuple[str, ...]:
        """Names of the arrays that its likelihood needs."""

    def priors(self, inputs: tuple[str, ...]) -> Mapping[str, Pooling]:
        """Priors of its parameters, for a law of these inputs."""

    def repooled(self, how: str) -> Term:
        """The same term with another pooling."""

    def observation(self) -> Observation | None:
        """The default observation beside it; None for the usual one."""

    def check(self, runs: Runs) -> None:
        """Raises a ValueError if it does not suit the runs."""

    def stated_at(self, runs: Runs) -> Frontier | None:
        """Where priors relative to the responses are stated; None for the middle of the runs."""

    def data(self, runs: Runs) -> dict[str, np.ndarray]:
        """The arrays that its likelihood needs, by ``data_names``."""

    def padded(self, data: Mapping[str, np.ndarray], size: int, grouped: bool) -> dict[str, np.ndarray]:
        """The same arrays for a table padded to a number of runs, by copies that do not count."""

    def before_runs(self, at: Situation, rng: np.random.Generator) -> Departure:
        """Draws at new points from the prior, each point by itself."""

    def given_runs(self, at: Situation, rng: np.random.Generator) -> Departure:
        """Joint draws at new points given the runs."""


@runtime_checkable
class SampledTerm(Term, Protocol):
    """A term with coordinates of its own in the posterior."""

    @property
    def helpers(self) -> tuple[str, ...]:
        """Its free variables, which are not kept."""

    @property
    def published(self) -> Mapping[str, tuple[str, ...]]:
        """Its variables that are kept, and their dimensions besides the group."""

    def variables(self, data: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The initial values of its free variables."""

    def dims(self, data: Mapping[str, np.ndarray]) -> dict[str, int]:
        """Sizes of the dimensions of its variables, besides the group."""

    def departed(self, seen: AtRuns, free: Mapping[str, Any]) -> tuple[Any, dict[str, Any], Any, dict[str, Any]]:
        """The runs after the departure given by the term's free variables, in JAX.

        Returns the mean, the observation's parameters beside it, the log prior density of the free variables, and the
        variables that are kept.
        """


@runtime_checkable
class IntegratedTerm(Term, Protocol):
    """A term that is Gaussian on the observation's scale and is integrated out."""

    @property
    def of_runs(self) -> tuple[str, ...]:
        """Names of those of its data that have a value for each run and that ``covariance`` needs."""

    def loglik(self, errors: Errors, own: Mapping[str, Any], data: Mapping[str, Any]) -> Any:
        """Log likelihood of each run given the earlier ones, if no other term is integrated out; in JAX."""

    def covariance(
        self, errors: Errors, own: Mapping[str, Any], data: Mapping[str, Any], xp: Any = np
    ) -> tuple[Any, Any]:
        """Covariance of the errors of a group's runs, shape (..., run, run), and the variance that the noise loses."""


def sampled_of(terms: Iterable[Term]) -> list[SampledTerm]:
    """The terms that are sampled."""
    return [cast(SampledTerm, term) for term in terms if term.sampled]


def integrated_of(terms: Iterable[Term]) -> list[IntegratedTerm]:
    """The terms that are integrated out."""
    return [cast(IntegratedTerm, term) for term in terms if not term.sampled]
