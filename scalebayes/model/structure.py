"""The structure of a model, which decides what is compiled, and its numbers.

Two models with an equal `Structure` have the same density function and differ in its arguments only, so one
compilation serves both.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from scalebayes.discrepancy import Term, sampled_of
from scalebayes.laws import Law
from scalebayes.observations import Observation

Link = Literal["identity", "log", "floor", "gamma"]
OBSERVED, GROUP = "observed_data", "group_index"
# How far each outlier lies from what the other runs say, on the observation's scale; 0 for all other runs.
OUTLYING = "outlying"
KNOWN = "known"  # which runs have a further response
ERROR = "_error"  # an ending: of the standard error of an input, as a share of it


@dataclass(frozen=True)
class Anchor:
    """Where and how the prior of an anchored parameter is stated, without numbers; see `scalebayes.priors.Anchored`.

    Parameters
    ----------
    form : {"amplitude", "scale", "intercept", "place"}
    terms : tuple of (str, str, float)
        For each input its name, the parameter that is its exponent, and its sign; "" and a number if it is known.
    factor : float
    """

    form: str
    terms: tuple[tuple[str, str, float], ...]
    factor: float = 1.0

    @property
    def exponents(self) -> tuple[str, ...]:
        """Names of the exponents."""
        return tuple(exponent for _, exponent, _ in self.terms if exponent)


def reference_of(name: str, term: int, anchor: Anchor) -> str:
    """The name in the graph of the reference of one of the inputs by which a parameter is anchored."""
    return f"{name}_by_{anchor.terms[term][0]}_reference" if term else f"{name}_reference"


def at_one(anchor: Anchor, value, exponents: Mapping, references: Sequence, breadth, xp):
    """An anchored parameter from the value of its term at the references of its inputs."""
    if anchor.form == "place":
        return references[0] * value**breadth
    if anchor.form == "scale":
        return references[0] * value ** (1 / exponents[anchor.exponents[0]])
    signed = [(exponents[e] if sign > 0 else -exponents[e]) if e else sign for _, e, sign in anchor.terms]
    if anchor.form == "intercept":
        return value - anchor.factor * sum(e * xp.log(x) for e, x in zip(signed, references, strict=True))
    for exponent, reference in zip(signed, references, strict=True):
        value = value * reference**exponent
    return value


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
    anchor : Anchor or None
    relative : {"", "response", "level", "range"}
        Whether the free value is a share of the typical response, the log-odds of a share of a curve's level, or
        counted in ranges of the responses.
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
    anchor: Anchor | None = None
    relative: Literal["", "response", "level", "range"] = ""
    floor: str | None = None
    slopes: tuple[str, ...] = ()

    @property
    def at_reference(self) -> str:
        """Name of the term's value at the reference scale, or of the parameter if it is not anchored."""
        return f"{self.name}_at_ref" if self.anchor else self.name

    @property
    def free(self) -> str:
        """Name of the quantity that has the prior."""
        ending = {"": "", "response": "_share", "level": "_logit", "range": "_in_ranges"}[self.relative]
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
        exponents = self.anchor.exponents if self.anchor else ()
        return tuple(name for name in (*exponents, self.floor) if name)


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
        variance = data[self.key(OUTLYING)] ** 2 if self.widened else 0.0
        variance = variance + of_inputs if self.uncertain else variance
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


def slope_name(parameter: str, column: str) -> str:
    """The name of a parameter's slope on a covariate."""
    return f"{parameter}_on_{safe(column)}"


def covariate(slope: str) -> str:
    """The name in the graph of the covariate that a slope is about, shape (group,)."""
    return f"{slope}_of_group"


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
    if parameter.relative == "range":
        middle = numbers.get(f"{parameter.name}_middle", 0.0)
        at_reference = middle + free * numbers[f"{parameter.name}_range"]
    if parameter.relative == "response":
        typical = numbers[f"{parameter.name}_typical"]
        left = typical if parameter.floor is None else xp.maximum(typical - values[parameter.floor], typical / 20)
        at_reference = free * left
    if parameter.anchor is None:
        return at_reference, at_reference
    anchor, name = parameter.anchor, parameter.name
    references = [numbers[reference_of(name, i, anchor)] for i in range(len(anchor.terms))]
    breadth = numbers.get(f"{name}_breadth")
    return at_one(anchor, at_reference, values, references, breadth, xp), at_reference


def build_order(parameters: tuple[Parameter, ...]) -> list[Parameter]:
    """The parameters, each after those it is built from."""
    return sorted(parameters, key=lambda parameter: bool(parameter.needs))
