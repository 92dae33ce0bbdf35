"""The structure of a model, which decides what is compiled, and its numbers.

Two models with an equal `Structure` have the same density function and differ in its arguments only, so one
compilation serves both.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from scalebayes.discrepancy import Term, integrated_of, sampled_of, solver
from scalebayes.laws import Law
from scalebayes.model.outliers import outlying
from scalebayes.model.responses import Measured, owners
from scalebayes.observations import Observation
from scalebayes.priors import (
    Anchored,
    FloorShare,
    Gamma,
    LogNormal,
    Normal,
    Pooled,
    Pooling,
    Prior,
    ResponseShare,
    Separate,
    Share,
    Shared,
    without_numbers,
)
from scalebayes.runs import Runs

Link = Literal["identity", "log", "floor", "gamma"]
OBSERVED, GROUP = "observed_data", "group_index"
# How far each outlier lies from what the other runs say, on the observation's scale; 0 for all other runs.
OUTLYING = "outlying"
KNOWN = "known"  # which runs have a further response
ERROR = "_error"  # an ending: of the standard error of an input, as a share of it


@dataclass(frozen=True)
class Parameter:
    """How one parameter is built: its link, its pooling, and its anchor if it has one.

    Parameters
    ----------
    name : str
    owner : {"law", "observation", "discrepancy"}
        The part of the model that has the parameter.
    link : {"identity", "log", "floor", "gamma"}
        Kind of the free value: normal, log-normal, a logistic share of the smallest response, or a gamma variable above
        a bound.
    pooling : {"shared", "pooled", "separate"}
    factors : tuple of str
        The dimensions over which a pooled parameter varies; its deviations along them add up.
    anchor : tuple of (input, exponent, form) or None
    relative : {"", "response", "level"}
        Whether the free value is a share of the typical response, or the log-odds of a share of a curve's level.
    floor : str or None
        The parameter above which the typical response is counted, if any.
    slopes : tuple of str
        Names of the slopes on covariates of the groups; `covariate` has the name of the covariate itself.
    """

    name: str
    owner: Literal["law", "observation", "discrepancy"]
    link: Link
    pooling: str
    factors: tuple[str, ...] = ()
    anchor: tuple[str, str, str] | None = None
    relative: Literal["", "response", "level"] = ""
    floor: str | None = None
    slopes: tuple[str, ...] = ()

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
    def base(self) -> str:
        """Name of the quantity that the prior's numbers are about: the population's value, or the value itself."""
        return f"{self.free}_population" if self.pooling == "pooled" else self.free

    @property
    def variable(self) -> str:
        """Name of the free variable of the graph that ``base`` is made of."""
        return self.base + {"floor": "_logit", "gamma": "_above"}.get(self.link, "")

    @property
    def helpers(self) -> tuple[str, ...]:
        """Names of free variables that only build this parameter: offsets, log-odds, the excess over a bound."""
        own = (self.variable,) if self.variable != self.base else ()
        return own + tuple(offset for _, _, offset in self.deviations)

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
class Block:
    """One response: its law, its observation and how its runs depart from the law.

    Parameters
    ----------
    law : Callable
    floor : str, Callable or None
        The floor, as the law declares it.
    inputs : tuple of str
        Names of the law's inputs, in its order.
    parameters : tuple of str
        Names of the law's parameters, in its order.
    response : str
        Name of the response column.
    observation : Observation
        Without the numbers of its priors.
    terms : tuple of Term
        Without the numbers of their priors.
    n_runs : int
    shapes : tuple of (str, tuple of int)
        Names and shapes of the terms' data.
    positive : tuple of str
        Inputs that are positive.
    widened : bool
        Whether some runs are outliers, whose noise is widened.
    suffix : str
        What the names of its data and of its observation's parameters end with; empty for the first response.
    partial : bool
        Whether some runs do not have the response.
    uncertain : tuple of str
        Inputs that are known with an error.
    """

    law: Callable
    floor: Any
    inputs: tuple[str, ...]
    parameters: tuple[str, ...]
    response: str
    observation: Observation
    terms: tuple[Term, ...]
    n_runs: int
    shapes: tuple[tuple[str, tuple[int, ...]], ...] = ()
    positive: tuple[str, ...] = ()
    widened: bool = False
    suffix: str = ""
    partial: bool = False
    uncertain: tuple[str, ...] = ()

    @property
    def of_runs(self) -> tuple[str, ...]:
        """Names of its data with a value for each run, besides the inputs."""
        further = [OUTLYING] * self.widened + [KNOWN] * self.partial
        return tuple(map(self.key, [OBSERVED, *further, *(f"{role}_column" for role in self.observation.columns)]))

    def key(self, name: str) -> str:
        """The name in the graph of one of its data."""
        return f"{name}{self.suffix}"

    def columns(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """What the observation reads besides the response, by role."""
        return {role: data[self.key(f"{role}_column")] for role in self.observation.columns}

    @property
    def observed(self) -> str:
        """Name of the observed variable."""
        return self.observation.name(self.response)

    def floor_of(self, values: Mapping[str, Any]) -> Any:
        """The irreducible response for values of the law's parameters."""
        return Law(self.law, self.floor).floor_of(values)

    def own_of(self, term: Term, values: Mapping[str, Any]) -> dict[str, Any]:
        """A term's parameters among all values."""
        return {name: values[name] for name in term.priors(self.inputs) if name in values}

    def observed_with(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The observation's parameters among all values."""
        return {name: values[f"{name}{self.suffix}"] for name in self.observation.priors()}

    def widened_by(
        self, mean: Any, values: Mapping[str, Any], data: Mapping[str, Any], xp: Any, of_inputs: Any = 0.0
    ) -> Mapping[str, Any]:
        """The observation's parameters with the variance that errors of inputs bring.

        The noise of an outlier is as wide as the outlier is far from the others.
        """
        if not self.widened and not self.uncertain:
            return values
        variance = of_inputs + (data[self.key(OUTLYING)] ** 2 if self.widened else 0.0)
        return self.observation.widened(mean, values, variance, xp)

    def with_errors(self, x: Sequence[Any], theta: Mapping[str, Any], errors: Mapping[str, Any]) -> tuple[Any, Any]:
        """The law's mean, and on the observation's scale the variance that the errors of inputs bring; in JAX."""
        import jax
        import jax.numpy as jnp

        def on_scale(*x):
            return self.observation.scale.forward(self.law(*x, **theta), jnp)

        variance: Any = 0.0
        for i, name in enumerate(self.inputs):
            if name in self.uncertain:
                moved = [x[i] * errors[name] if j == i else jnp.zeros_like(each) for j, each in enumerate(x)]
                variance = variance + jax.jvp(on_scale, tuple(x), tuple(moved))[1] ** 2
        return self.law(*x, **theta), variance


@dataclass(frozen=True)
class Structure:
    """Everything about a model that shapes its graph.

    Parameters
    ----------
    blocks : tuple of Block
        The responses; they share groups, and parameters of equal name.
    parameters : tuple of Parameter
        Those of the laws, then of the observations, then of the discrepancies.
    group : str
        Name of the group dimension ("" for none).
    n_groups : int
    factors : tuple of (str, int)
        Factors other than the groups themselves, with their numbers of levels.
    """

    blocks: tuple[Block, ...]
    parameters: tuple[Parameter, ...]
    group: str
    n_groups: int
    factors: tuple[tuple[str, int], ...] = ()

    @property
    def block(self) -> Block:
        """The first response; most models have no other."""
        return self.blocks[0]

    @property
    def n_runs(self) -> int:
        """Number of runs; all responses are of the same ones."""
        return self.block.n_runs

    @property
    def kind(self) -> Structure:
        """The structure without parts that are padded or do not change programs: tables of a kind share compilations.

        It is without the number of runs, the names of columns and, where there are no groups, the last axis of the
        terms' data. The names of several factors stay, because they are part of the names of variables.
        """
        blocks = tuple(
            replace(
                block,
                response=block.response if block.suffix else "response",
                n_runs=0,
                shapes=block.shapes if self.group else tuple((name, shape[:-1]) for name, shape in block.shapes),
            )
            for block in self.blocks
        )
        plain = replace(self, blocks=blocks)
        if not self.group or self.factors or any(len(p.factors) > 1 for p in self.parameters):
            return plain
        parameters = tuple(replace(p, factors=("group",) * len(p.factors)) for p in self.parameters)
        return replace(plain, group="group", parameters=parameters)

    def owned_by(self, owner: str) -> tuple[str, ...]:
        """Names of the parameters of laws, observations or discrepancies."""
        return tuple(p.name for p in self.parameters if p.owner == owner)

    def levels(self, factor: str) -> int:
        """Number of levels of a factor."""
        return self.n_groups if factor == self.group else dict(self.factors)[factor]

    @property
    def helpers(self) -> tuple[str, ...]:
        """Free variables that need not be kept."""
        own = [name for p in self.parameters for name in p.helpers]
        return (*own, *(name for block in self.blocks for term in sampled_of(block.terms) for name in term.helpers))


def safe(column: str) -> str:
    """A column's name without what PyMC and netCDF refuse in names: val/loss becomes val_loss."""
    return re.sub(r"\W", "_", str(column))


def describe(
    priors: Mapping[str, Pooling], first: Measured, terms: tuple[Term, ...], further: tuple[Measured, ...] = ()
) -> tuple[Structure, dict[str, np.ndarray]]:
    """A model's structure, and its data and prior constants by the names they have in the graph.

    Parameters
    ----------
    priors : mapping of str to prior
        Of the laws' parameters.
    first : Measured
        The first response.
    terms : tuple of Term
        How its runs depart from its law.
    further : tuple of Measured
    """
    runs = first.runs
    inputs = tuple(runs.inputs)
    numbers: dict[str, np.ndarray] = {name: runs.x(name) for name in inputs}
    for name in inputs:
        if (error := runs.error(name)) is not None:
            numbers[f"{name}{ERROR}"] = error
    if runs.group:
        numbers[GROUP] = runs.group_index
    of_terms = {name: value for term in terms for name, value in term.data(runs).items()}
    of_terms |= solver.data_of(integrated_of(terms), runs)
    numbers |= of_terms
    shapes = tuple((name, value.shape) for name, value in of_terms.items())
    blocks, typical = [], {}
    for each in (first, *further):
        suffix = "" if each is first else f"_{safe(each.runs.response)}"
        block, own, ordinary = _block(each, () if suffix else terms, () if suffix else shapes, suffix)
        blocks.append(block)
        numbers |= own
        typical[id(each)] = each.runs, ordinary
    end = next((end for term in terms if (end := term.stated_at(runs)) is not None), None)
    stated = owners(first, further)
    owned = [("law", name, prior, stated[name]) for name, prior in priors.items()]
    owned += [
        ("observation", name + block.suffix, prior, each)
        for block, each in zip(blocks, (first, *further), strict=True)
        for name, prior in each.observation.priors().items()
    ]
    owned += [("discrepancy", name, prior, first) for term in terms for name, prior in term.priors(inputs).items()]
    parameters, factors = [], {}
    for owner, name, pooling, each in _with_slopes(owned):
        parameter, constants = _parameter(name, owner, pooling, *typical[id(each)], end if each is first else None)
        for column in pooling.spreads(runs.group_name) if isinstance(pooling, Pooled) and runs.group else ():
            if column != runs.group_name and safe(column) not in factors:
                levels, index = runs.factor(column)
                factors[safe(column)] = len(levels)
                numbers[f"{safe(column)}_of_group"] = index
        for column in pooling.on if isinstance(pooling, Pooled) and runs.group else ():
            numbers[covariate(slope_name(name, column))] = centred(runs, column)
        parameters.append(parameter)
        numbers |= constants
    return Structure(
        tuple(blocks), tuple(parameters), runs.group_name, len(runs.levels), tuple(factors.items())
    ), numbers


def _with_slopes(owned: list) -> Iterator[tuple[str, str, Pooling, Measured]]:
    """The parameters of a model, each after the slopes on covariates that it is built from."""
    for owner, name, pooling, each in owned:
        for column, slope in pooling.on.items() if isinstance(pooling, Pooled) and each.runs.group else ():
            yield owner, slope_name(name, column), Shared(slope), each
        yield owner, name, pooling, each


def slope_name(parameter: str, column: str) -> str:
    """The name of a parameter's slope on a covariate."""
    return f"{parameter}_on_{safe(column)}"


def covariate(slope: str) -> str:
    """The name in the graph of the covariate that a slope is about, shape (group,)."""
    return f"{slope}_of_group"


def centred(runs: Runs, column: str) -> np.ndarray:
    """The logarithm of a column that is constant in each group, less its mean over groups."""
    _, first = np.unique(runs.group_index, return_index=True)
    logs = np.log(runs.column(column)[first])
    return logs - logs.mean()


def _block(
    each: Measured, terms: tuple[Term, ...], shapes: tuple, suffix: str
) -> tuple[Block, dict[str, np.ndarray], np.ndarray]:
    """A response as a block, its data, and which of its runs are no outliers."""
    runs, observation, known = each.runs, each.observation, each.known
    columns = {role: runs.column(column) for role, column in observation.columns.items()}
    observed = observation.observed(runs.y, columns)
    far = np.zeros(len(runs))
    if observation.sd is not None:
        far[known] = outlying(each.of_known, observed[known])
    numbers = {OBSERVED: observed} | {f"{role}_column": value for role, value in columns.items()}
    if far.any():
        numbers[OUTLYING] = far
    if not known.all():
        numbers[KNOWN] = known
        # What is not known counts for nothing, but must be a number.
        for name in (OBSERVED, *(f"{role}_column" for role in columns)):
            numbers[name] = np.where(known, numbers[name], numbers[name][known][0])
    block = Block(
        each.law.function,
        each.law.floor,
        each.inputs,
        each.law.parameters,
        safe(runs.response),
        without_numbers(observation),
        tuple(map(without_numbers, terms)),
        len(runs),
        shapes,
        runs.scales,
        bool(far.any()),
        suffix,
        not known.all(),
        tuple(name for name in each.inputs if runs.error(name) is not None),
    )
    return block, {block.key(name): value for name, value in numbers.items()}, (far == 0) & known


def _parameter(
    name: str, owner: Any, pooling: Pooling, runs: Runs, ordinary: np.ndarray, end: Any
) -> tuple[Parameter, dict[str, np.ndarray]]:
    """How a parameter is built, and its constants.

    Priors are stated at ``end``, or amid the runs if it is None, by the responses of the runs that are no outliers.
    """
    grouped = bool(runs.group)
    word = type(pooling).__name__.lower() if grouped else "shared"
    # A separate parameter uses the runs of its own group only.
    apart = grouped and isinstance(pooling, Separate)
    parts = [runs.rows(level) for level in runs.levels] if apart else [runs.rows(None)]
    prior, anchor, numbers = pooling.prior, None, {}
    if isinstance(prior, Anchored):
        anchor = (prior.input, prior.exponent, prior.form)
        x = runs.x(prior.input)
        typical = end.scale if end else np.exp([np.log(x[rows]).mean() for rows in parts])
        per_group = grouped if end else apart
        typical = np.asarray(prior.reference) if prior.reference else typical if per_group else typical[0]
        numbers[f"{name}_reference"] = np.asarray(typical, float)
        prior = prior.value
    link, constants = _constants(prior)
    spreads = pooling.spreads(runs.group_name) if isinstance(pooling, Pooled) and grouped else {}
    numbers[f"{name}_prior"] = np.asarray([*constants, *spreads.values()], float)
    relative: Literal["", "response", "level"] = ""
    if isinstance(prior, Share):
        link, relative = "identity", "level"
        numbers[f"{name}_level"] = np.asarray(1.0)
    counted = [rows[ordinary[rows]] if ordinary[rows].any() else rows for rows in parts]
    level = end.level(runs.y, ordinary) if end else np.zeros(0)
    if link == "floor" and end:
        link, relative = "identity", "level"
        numbers[f"{name}_level"] = level if grouped else level[0]
    if link == "floor":
        smallest = np.asarray([np.nanmin(runs.y[rows]) for rows in counted])
        numbers[f"{name}_bound"] = smallest if apart else smallest[0]
    if isinstance(prior, Gamma):
        numbers[f"{name}_bound"] = np.asarray(prior.above)
    floor = None
    if isinstance(prior, ResponseShare):
        relative, floor = "response", prior.floor
        typical = level if end else np.exp([np.nanmean(np.log(runs.y[rows])) for rows in counted])
        numbers[f"{name}_typical"] = typical if apart or (end and grouped) else typical[0]
    on = pooling.on if isinstance(pooling, Pooled) and grouped else {}
    slopes = tuple(slope_name(name, column) for column in on)
    return Parameter(name, owner, link, word, tuple(map(safe, spreads)), anchor, relative, floor, slopes), numbers


def _constants(prior: Prior) -> tuple[Link, tuple[float, ...]]:
    match prior:
        case Normal(mean, sd):
            return "identity", (mean, sd)
        case LogNormal(median, spread):
            return "log", (float(np.log(median)), spread)
        case FloorShare(logit, sd) | Share(logit, sd):
            return "floor", (logit, sd)
        case ResponseShare(share, spread, _):
            return "log", (float(np.log(share)), spread)
        case Gamma(shape, rate, _):
            return "gamma", (shape, rate)
    raise TypeError(f"unknown prior {prior!r}.")


def unlink(link: Link, u, bound, xp):
    """The free value at u on its unconstrained scale; xp supplies exp (numpy, jax.numpy or pytensor.tensor)."""
    if link == "floor":
        return bound / (1 + xp.exp(-u))
    if link == "gamma":
        return bound + xp.exp(u)
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
