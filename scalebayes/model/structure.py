"""What a model is apart from its numbers, and its numbers.

Two models with an equal `Structure` have the same density function and differ in its arguments only, so one
compilation serves both.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from scalebayes.discrepancy.discrepancy import Discrepancy, Drift, Surface, frontier
from scalebayes.discrepancy.surface import Scales, surroundings
from scalebayes.observations.noise import Noise, StudentT
from scalebayes.priors import Anchored, FloorShare, LogNormal, Normal, Pooled, Pooling, ResponseShare, Separate, Share
from scalebayes.runs.curves import curves
from scalebayes.runs.runs import Runs

Link = Literal["identity", "log", "floor"]


@dataclass(frozen=True)
class Parameter:
    """How one parameter is built: its link, its pooling, and its anchor if it has one.

    Parameters
    ----------
    name : str
    link : {"identity", "log", "floor"}
        Of the free value: normal, log-normal, or a logistic share of the smallest response.
    pooling : {"shared", "pooled", "separate"}
    factors : tuple of str
        The dimensions over which a pooled parameter varies; its deviations along them add up.
    anchor : tuple of (input, exponent, form) or None
    relative : {"", "response", "level"}
        Whether the free value is a share of the typical response, or the log-odds of one of a curve's level.
    floor : str or None
        The parameter above which that response is counted, if any.
    """

    name: str
    link: Link
    pooling: str
    factors: tuple[str, ...] = ()
    anchor: tuple[str, str, str] | None = None
    relative: Literal["", "response", "level"] = ""
    floor: str | None = None

    @property
    def at_reference(self) -> str:
        """Name of the term's value at the reference scale, or of the parameter if it is not anchored."""
        return f"{self.name}_at_ref" if self.anchor else self.name

    @property
    def free(self) -> str:
        """Name of the quantity that has the prior."""
        ending = {"": "", "response": "_share", "level": "_logit"}[self.relative]
        return f"{self.name}{ending}" if ending else self.at_reference

    @property
    def helpers(self) -> tuple[str, ...]:
        """Names of free variables that only serve to build this parameter: offsets and log-odds."""
        logit = (f"{self.base}_logit",) if self.link == "floor" else ()
        return logit + tuple(offset for _, _, offset in self.deviations)

    @property
    def base(self) -> str:
        """Name of what the prior's own numbers are about: the population's value, or the value itself."""
        return f"{self.free}_population" if self.pooling == "pooled" else self.free

    @property
    def deviations(self) -> tuple[tuple[str, str, str], ...]:
        """Each factor with the names of the spread over it and of its levels' standard offsets."""
        if len(self.factors) == 1:
            return ((self.factors[0], f"{self.free}_spread", f"{self.free}_offset"),)
        return tuple((f, f"{self.free}_spread_{f}", f"{self.free}_offset_{f}") for f in self.factors)

    @property
    def needs(self) -> tuple[str, ...]:
        """Parameters that this one is built from."""
        return tuple(name for name in (self.anchor and self.anchor[1], self.floor) if name)


@dataclass(frozen=True)
class Structure:
    """Everything about a model that shapes its graph.

    Parameters
    ----------
    law : Callable
    inputs : tuple of str
        Names of the law's inputs, in its order.
    response, group : str
        Names of the response column and of the group dimension ("" for none).
    parameters : tuple of Parameter
        The law's, then the noise scale, then the discrepancy's.
    student_t : bool
        Whether the noise has heavy tails.
    n_runs, n_groups : int
    factors : tuple of (str, int)
        Factors other than the groups as they are, with their numbers of levels.
    places : int
        Longest curve that may drift, made up to a size; 0 for none.
    surface : int
        Places that stand for the surface of each group; 0 for none.
    """

    law: Callable
    inputs: tuple[str, ...]
    response: str
    group: str
    parameters: tuple[Parameter, ...]
    student_t: bool
    n_runs: int
    n_groups: int
    factors: tuple[tuple[str, int], ...] = ()
    places: int = 0
    surface: int = 0

    @property
    def of_law(self) -> tuple[str, ...]:
        """Names of the law's parameters."""
        names = [p.name for p in self.parameters]
        return tuple(names[: names.index("sigma")])

    @property
    def observed(self) -> str:
        """Name of the observed variable."""
        return f"log_{self.response}"

    @property
    def of_discrepancy(self) -> tuple[str, ...]:
        """Names of the discrepancy's parameters."""
        names = [p.name for p in self.parameters]
        return tuple(names[names.index("sigma") + 1 :])

    @property
    def kind(self) -> Structure:
        """Without what programs do not depend on, or are made up to: tables of one kind share what is compiled.

        The names of columns go, but for those of several factors, which names of variables have in them; so do the number
        of runs, and the length of a curve that is a table by itself.
        """
        plain = replace(self, response="response", n_runs=0)
        if not self.group:
            return replace(plain, places=int(self.places > 0))
        if self.factors or any(len(p.factors) > 1 for p in self.parameters):
            return plain
        parameters = tuple(replace(p, factors=("group",) * len(p.factors)) for p in self.parameters)
        return replace(plain, group="group", parameters=parameters)

    def levels(self, factor: str) -> int:
        """Number of levels of a factor."""
        return self.n_groups if factor == self.group else dict(self.factors)[factor]


def safe(column: str) -> str:
    """A column's name without what PyMC and netCDF refuse in names: val/loss becomes val_loss."""
    return re.sub(r"\W", "_", str(column))


def describe(
    law: Callable, runs: Runs, priors: Mapping[str, Pooling], noise: Noise, discrepancy: Discrepancy | None = None
) -> tuple[Structure, dict[str, np.ndarray]]:
    """A model's structure, and its data and prior constants by the names they have in the graph."""
    y, grouped = runs.y, bool(runs.group)
    inputs = tuple(runs.inputs)
    structure_parameters = []
    numbers: dict[str, np.ndarray] = {name: runs.x(name) for name in inputs}
    numbers[f"log_{safe(runs.response)}_data"] = np.log(y)
    if grouped:
        numbers[f"{runs.group_name}_index"] = runs.group_index
    end = frontier(runs) if isinstance(discrepancy, Drift) else None
    if end:
        numbers |= {"curve_slots": end.slots, "curve_distance": end.distance}
    if isinstance(discrepancy, Surface):
        near = surroundings(np.log([runs.x(name) for name in inputs]).T, [rows for _, rows in curves(runs)])
        numbers |= {f"surface_{name}": value for name, value in near._asdict().items()}
    factors: dict[str, int] = {}
    for name, pooling in {
        **priors,
        "sigma": noise.sigma,
        **(discrepancy.priors(inputs) if discrepancy else {}),
    }.items():
        word = type(pooling).__name__.lower() if grouped else "shared"
        prior, anchor = pooling.prior, None
        if isinstance(prior, Anchored):
            anchor = (prior.input, prior.exponent, prior.form)
            typical = (end.scale if grouped else end.scale[0]) if end else np.exp(np.log(runs.x(prior.input)).mean())
            numbers[f"{name}_reference"] = np.asarray(prior.reference or typical, float)
            prior = prior.value
        link, place, scale = _place(prior)
        spreads = pooling.spreads(runs.group_name) if isinstance(pooling, Pooled) and grouped else {}
        numbers[f"{name}_prior"] = np.asarray([place, scale, *spreads.values()], float)
        for column in spreads:
            if column != runs.group_name and safe(column) not in factors:
                levels, index = runs.factor(column)
                factors[safe(column)] = len(levels)
                numbers[f"{safe(column)}_of_group"] = index
        # What is separate looks at the runs of its own group only.
        apart = grouped and isinstance(pooling, Separate)
        parts = [y[runs.group_index == g] for g in range(len(runs.levels))] if apart else [y]
        relative: Literal["", "response", "level"] = ""
        if isinstance(prior, Share):
            link, relative = "identity", "level"
            numbers[f"{name}_level"] = np.asarray(1.0)
        if link == "floor" and end:
            link, relative = "identity", "level"
            numbers[f"{name}_level"] = end.level if grouped else end.level[0]
        if link == "floor":
            smallest = np.asarray([part.min() for part in parts])
            numbers[f"{name}_bound"] = smallest if apart else smallest[0]
        floor = None
        if isinstance(prior, ResponseShare):
            relative, floor = "response", prior.floor
            typical = end.level if end else np.exp([np.log(part).mean() for part in parts])
            numbers[f"{name}_typical"] = typical if apart or (end and grouped) else typical[0]
        structure_parameters.append(Parameter(name, link, word, tuple(map(safe, spreads)), anchor, relative, floor))
    if isinstance(noise, StudentT):
        numbers["nu_prior"] = np.asarray([noise.nu_shape, noise.nu_rate])
    structure = Structure(
        law, inputs, safe(runs.response), runs.group_name, tuple(structure_parameters), isinstance(noise, StudentT),
        len(runs), len(runs.levels), tuple(factors.items()), end.slots.shape[1] if end else 0,
        numbers["surface_ratio"].shape[1] if isinstance(discrepancy, Surface) else 0,
    )  # fmt: skip
    return structure, numbers


def _place(prior: Normal | LogNormal | FloorShare | Share | ResponseShare) -> tuple[Link, float, float]:
    match prior:
        case Normal(mean, sd):
            return "identity", mean, sd
        case LogNormal(median, spread):
            return "log", np.log(median), spread
        case FloorShare(logit, sd) | Share(logit, sd):
            return "floor", logit, sd
        case ResponseShare(share, spread, _):
            return "log", np.log(share), spread
    raise TypeError(f"unknown prior {prior!r}.")


def scales(structure: Structure, values: Mapping) -> Scales:
    """The scales of a surface among the values of parameters."""
    lengths = [values[f"length_{name}"] for name in structure.inputs]
    return Scales(values["misfit"], lengths, values.get("drift"), values.get("length_ratio"))


def initial_values(structure: Structure, numbers: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The centre of the prior of every free variable, on its unconstrained scale."""
    values: dict[str, np.ndarray] = {}
    if structure.student_t:
        shape, rate = numbers["nu_prior"]
        values["nu_above_2"] = np.log(shape / rate)
    if structure.surface:
        values["surface_coordinates"] = np.zeros(max(structure.n_groups, 1) * structure.surface)
    for p in structure.parameters:
        prior = numbers[f"{p.name}_prior"]
        groups = structure.n_groups if p.pooling == "separate" else 1
        values[f"{p.base}_logit" if p.link == "floor" else p.base] = np.full(groups, prior[0])
        for (factor, spread, offset), scale in zip(p.deviations, prior[2:], strict=True):
            values[spread] = np.log(0.67 * scale)  # the median of a half-normal
            values[offset] = np.zeros(structure.levels(factor))
    return values


def unlink(link: Link, u, bound, xp):
    """The free value for a standard position u; xp supplies exp (numpy or pytensor.tensor)."""
    if link == "floor":
        return bound / (1 + xp.exp(-u))
    return xp.exp(u) if link == "log" else u


def deviate(link: Link, population, deviation, xp):
    """A group's value: the population's, moved by a deviation (in logs for positive values)."""
    return population + deviation if link == "identity" else population * xp.exp(deviation)


def publish(parameter: Parameter, free, numbers: Mapping, values: Mapping, xp):
    """A parameter, and its term's value at the reference, from the quantity that has the prior.

    Parameters
    ----------
    parameter : Parameter
    free : array
    numbers : mapping
        Data and prior constants.
    values : mapping
        The parameters that this one needs.
    xp : module
        numpy or pytensor.tensor.
    """
    at_reference = free
    if parameter.relative == "level":
        at_reference = numbers[f"{parameter.name}_level"] / (1 + xp.exp(-free))
    if parameter.relative == "response":
        typical = numbers[f"{parameter.name}_typical"]
        left = typical if parameter.floor is None else xp.maximum(typical - values[parameter.floor], typical / 20)
        at_reference = free * left
    if parameter.anchor is None:
        return at_reference, at_reference
    _, exponent, form = parameter.anchor
    reference = numbers[f"{parameter.name}_reference"]
    if form == "amplitude":
        return at_reference * reference ** values[exponent], at_reference
    return reference * at_reference ** (1 / values[exponent]), at_reference


def build_order(parameters: tuple[Parameter, ...]) -> list[Parameter]:
    """The parameters, each after those it is built from."""
    return sorted(parameters, key=lambda parameter: bool(parameter.needs))
