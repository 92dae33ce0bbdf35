"""The contract of an observation: how a run's response scatters about the law's mean.

An observation is a frozen dataclass whose fields are priors and names of columns. A user can write one that is as good
as a built-in one. No code outside its module depends on which one it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, cast, runtime_checkable

import numpy as np

from scalebayes.observations.scales import Scale
from scalebayes.priors import Pooling


@runtime_checkable
class Observation(Protocol):
    """What a model needs from an observation. All arrays broadcast over the runs.

    ``values`` maps the names of the observation's own parameters to their values at each run. ``columns`` maps the
    roles of its columns to their values at each run.
    """

    def __hash__(self) -> int:
        """The hash of its fields."""

    @property
    def word(self) -> str:
        """Its name in arguments and files."""

    @property
    def scale(self) -> Scale:
        """The scale on which a discrepancy acts; a mean lies between its bounds."""

    @property
    def needs(self) -> str:
        """What its response must be, as messages say it: "positive finite numbers"."""

    @property
    def is_gaussian(self) -> bool:
        """Whether it is exactly normal on the scale, with standard deviation ``sd``."""

    @property
    def columns(self) -> Mapping[str, str]:
        """Columns of the table that it reads besides the response, by their roles."""

    def priors(self) -> Mapping[str, Pooling]:
        """Priors of its own parameters."""

    def name(self, response: str) -> str:
        """Name of the observed variable, given the name of the response's column."""

    def observed(self, response: np.ndarray, columns: Mapping[str, np.ndarray]) -> np.ndarray:
        """The data of the graph, float64; NaN where a response is not possible."""

    def distribution(self, mean: Any, values: Mapping[str, Any], columns: Mapping[str, Any]) -> Any:
        """A PyMC distribution (``pm.Normal.dist(...)``) of what is observed."""

    def draw(
        self, mean: np.ndarray, values: Mapping[str, Any], columns: Mapping[str, Any], rng: np.random.Generator
    ) -> np.ndarray:
        """New runs about a mean, on the natural scale and of the mean's shape."""

    @property
    def sd(self) -> Callable[..., Any] | None:
        """(mean, values, columns) to the standard deviation on the scale; None if there is none, nor a discrepancy."""

    def widened(self, mean: Any, values: Mapping[str, Any], variance: Any, xp: Any = np) -> dict[str, Any]:
        """The parameters of the same observation with a variance added on the scale; a negative one is subtracted."""


def sd_of(observation: Observation, mean: Any, values: Mapping[str, Any], columns: Mapping[str, Any]) -> Any:
    """The standard deviation of an observation; one beside a discrepancy was checked to have it."""
    assert observation.sd is not None
    return observation.sd(mean, values, columns)


FUNCTIONS = (
    "columns",
    "priors",
    "name",
    "observed",
    "distribution",
    "draw",
    "sd",
    "widened",
    "scale",
    "needs",
    "is_gaussian",
    "word",
)


def check_observation(observation: object) -> Observation:
    """The same observation, if it has every function of the contract.

    Raises
    ------
    TypeError
        If functions are missing; names them.
    """
    missing = [name for name in FUNCTIONS if not hasattr(observation, name)]
    if missing or isinstance(observation, type):
        what = f"the class {observation.__name__}" if isinstance(observation, type) else repr(observation)
        lacks = "" if isinstance(observation, type) else f", which has no {', '.join(missing)}"
        raise TypeError(
            f"an observation is a value such as sb.StudentT() with the functions of "
            f"scalebayes.observations.Observation; got {what}{lacks}."
        )
    return cast(Observation, observation)
