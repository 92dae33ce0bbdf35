"""Further responses of the same runs, whose laws share parameters with the law of the first response."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from scalebayes.arguments import nearest, quoted
from scalebayes.laws import Law, as_law, with_floor
from scalebayes.observations import Observation, check_observation
from scalebayes.observations.noise import StudentT
from scalebayes.priors import Pooling
from scalebayes.runs import Runs
from scalebayes.runs.checks import check_numbers, refuse_rows


@dataclass(frozen=True)
class Response:
    """A further response of the same runs, from a law that shares parameters with the first one.

    Parameters
    ----------
    law : Callable or Law
        Its law, of inputs that the law of the first response also has.
    observation : Observation, optional
        How a run scatters about it; by default a Student-t on the logarithm.
    better : {"lower", "higher"}
        Which of its values are better.

    Examples
    --------
    >>> from scalebayes import laws
    >>> Response(laws.chinchilla).better
    'lower'
    """

    law: Callable | Law
    observation: Observation | None = None
    better: Literal["lower", "higher"] = "lower"


@dataclass(frozen=True, eq=False)
class Measured:
    """One response of a model: its law, its observation, and the runs with it as their response.

    Parameters
    ----------
    law : Law
    observation : Observation
    runs : Runs
        All runs of the model; its response may be missing (NaN) in some of them.
    inputs : tuple of str
        The runs' names of the law's inputs, in the law's order.
    """

    law: Law
    observation: Observation
    runs: Runs
    inputs: tuple[str, ...]

    @property
    def known(self) -> np.ndarray:
        """Which runs have the response, shape (run,)."""
        return ~np.isnan(self.runs.y)

    @property
    def of_known(self) -> Runs:
        """The runs that have the response."""
        return self.runs if self.known.all() else replace(self.runs, table=self.runs.table[self.known])


def measured(also: object, law: Law, runs: Runs) -> dict[str, Measured]:
    """The further responses of a model, by their columns.

    Raises
    ------
    TypeError, ValueError
        If a column is missing or not numeric, or a law does not share inputs and parameters with the first one.
    """
    if also is None:
        return {}
    if not isinstance(also, Mapping):
        raise TypeError(
            f"also is a mapping from columns to laws, such as {{'bpb': sb.laws.chinchilla}}, got {quoted(also)}."
        )
    return {column: _measured(column, given, law, runs) for column, given in also.items()}


def _measured(column: str, given: object, first: Law, runs: Runs) -> Measured:
    each = given if isinstance(given, Response) else Response(given)  # type: ignore[arg-type]
    if column not in runs.table.columns:
        raise ValueError(
            f"also names the response {column!r}, which {runs.source} does not have"
            f"{nearest(column, runs.table.columns)}; its columns are {', '.join(map(repr, runs.table.columns))}."
        )
    if column in (runs.response, *runs.group, *(c for given in runs.inputs.values() for c in given.columns)):
        raise ValueError(f"also names {column!r} as a further response, which is used already; name another column.")
    if each.better not in ("lower", "higher"):
        raise ValueError(f"better is 'lower' or 'higher', got {quoted(each.better)}.")
    law = as_law(each.law)
    strange = [name for name in law.inputs if name not in first.inputs]
    if strange:
        raise ValueError(
            f"{law.signature}, the law of {column!r}, has the input {strange[0]!r}, which {first.signature} does not "
            "have; laws of several responses have inputs in common."
        )
    if not set(law.parameters) & set(first.parameters):
        raise ValueError(
            f"{law.signature}, the law of {column!r}, shares no parameter with {first.signature}: neither learns from "
            "the other. Fit them apart, or compose one into the other, sb.laws.composed."
        )
    own = replace(runs, response=column, better=each.better)
    observation = StudentT() if each.observation is None else check_observation(each.observation)
    renamed = dict(zip(first.inputs, runs.inputs, strict=True))
    found = Measured(law, observation, own, tuple(renamed[name] for name in law.inputs))
    if found.known.sum() < 2:
        raise ValueError(f"column {column!r} (a further response) holds fewer than two numbers.")
    check_numbers(found.of_known, column, "a further response", "finite")
    check_response(found.of_known, observation, "a further response")
    text = runs.table[column].notna().to_numpy() & ~found.known
    refuse_rows(runs, column, "a further response", "numbers, or nothing where it is not known", {"no number": text})
    return found


def check_response(runs: Runs, observation: Observation, role: str = "the response") -> None:
    """Refuse responses that the observation cannot have produced."""
    columns = {}
    for of, column in observation.columns.items():
        if column not in runs.table.columns:
            raise ValueError(
                f"{of} is to be column {column!r}, which {runs.source} does not have"
                f"{nearest(column, runs.table.columns)}; its columns are {', '.join(map(repr, runs.table.columns))}."
            )
        check_numbers(runs, column, of)
        columns[of] = runs.column(column)
    uncertain = [name for name in runs.inputs if runs.error(name) is not None]
    if uncertain and observation.sd is None:
        raise ValueError(
            f"input {uncertain[0]} is known with an error, which widens the noise, and a "
            f"{observation.word.replace('_', '-')} observation has none to widen; take sb.StudentT() or sb.Gaussian()."
        )
    with np.errstate(divide="ignore", invalid="ignore"):
        wrong = ~np.isfinite(observation.observed(runs.y, columns))
    problem = "zero or negative" if observation.scale.name == "log" and (runs.y[wrong] <= 0).all() else "not possible"
    refuse_rows(runs, runs.response, role, observation.needs, {problem: wrong})


def owners(first: Measured, further: Iterable[Measured]) -> dict[str, Measured]:
    """The response by which each parameter's prior is stated: that of the smallest law that has the parameter."""
    found: dict[str, Measured] = {}
    for each in sorted((first, *further), key=lambda of: -len(of.law.parameters)):
        found |= dict.fromkeys(each.law.parameters, each)
    return found


def with_floors(
    first: Measured, further: Mapping[str, Measured], priors: Mapping[str, Pooling]
) -> tuple[Law, dict[str, Response]]:
    """The law of the first response and the further responses, with the floors that their own priors declare."""
    stated = owners(first, further.values())

    def floored(each: Measured) -> Law:
        own = {name: priors[name] for name in each.law.parameters if stated[name] is each}
        return with_floor(each.law, own)

    others = {c: Response(floored(each), each.observation, each.runs.better) for c, each in further.items()}
    return floored(first), others
