"""The contract of an observation: how a run's response scatters about the law's mean.

An observation is a frozen dataclass whose fields are priors and names of columns. A user's own is as good as a built-in
one. Nothing outside its module asks which one it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, cast, runtime_checkable

import numpy as np

from scalebayes.observations.scales import Scale
from scalebayes.priors import Pooling


@runtime_checkable
class Observation(Protocol):
    """What a model asks of an observation. All arrays broadcast over the runs.

    ``values`` maps the observation's own parameters to their values at each run, ``columns`` the roles of its columns to
    theirs.
    """

    def __hash__(self) -> int:
        """Of its fields."""

    @property
    def word(self) -> str:
        """Its name in arguments and files."""

    @property
    def scale(self) -> Scale:
        """On which a discrepancy acts, and between whose bounds a mean may lie."""

    @property
    def needs(self) -> str:
        """What its response must be, for messages: "positive finite numbers"."""

    @property
    def is_gaussian(self) -> bool:
        """Whether it is exactly normal on the scale with standard deviation ``sd``."""

    @property
    def columns(self) -> Mapping[str, str]:
        """Columns of the table it reads besides the response, by their roles."""

    def priors(self) -> Mapping[str, Pooling]:
        """Of its own parameters."""

    def name(self, response: str) -> str:
        """Of the observed variable, from the name of the response's column."""

    def observed(self, response: np.ndarray, columns: Mapping[str, np.ndarray]) -> np.ndarray:
        """The data of the graph, float64; NaN for a response that is not possible."""

    def distribution(self, mean: Any, values: Mapping[str, Any], columns: Mapping[str, Any]) -> Any:
        """A PyMC distribution (``pm.Normal.dist(...)``) of what is observed."""

    def draw(
        self, mean: np.ndarray, values: Mapping[str, Any], columns: Mapping[str, Any], rng: np.random.Generator
    ) -> np.ndarray:
        """New runs about a mean, on the natural scale and of the mean's shape."""

    @property
    def sd(self) -> Callable[..., Any] | None:
        """(mean, values, columns) to the standard deviation on the scale; None for one that has none, nor a discrepancy."""

    def widened(self, values: Mapping[str, Any], variance: Any, xp: Any = np) -> dict[str, Any]:
        """The parameters of the same observation with a variance added on the scale (or taken away, if negative)."""


def sd_of(observation: Observation, mean: Any, values: Mapping[str, Any], columns: Mapping[str, Any]) -> Any:
    """The standard deviation of an observation that has one, which is checked where a discrepancy is combined with it."""
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
    """An observation that has every function of the contract.

    Raises
    ------
    TypeError
        With the functions that are missing.
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
