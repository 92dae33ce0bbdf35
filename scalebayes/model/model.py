"""Model: everything that a fit is made from. It is frozen, resolved once when it is made, and never samples."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import dataclass
from functools import cached_property
from numbers import Real
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

import numpy as np

from scalebayes.arguments import nearest, quoted
from scalebayes.discrepancy import Term, sampled_of
from scalebayes.discrepancy.resolve import AUTO, Discrepancy, as_terms, check_together, chosen, words
from scalebayes.laws import Law, as_law, is_built_in
from scalebayes.laws.powers import NEAR
from scalebayes.model.checks import (
    check_counts,
    check_direction,
    check_domain,
    check_is_loss,
    check_names,
    check_pooling,
    complete_priors,
)
from scalebayes.model.describing import describe
from scalebayes.model.prior import prior_draws
from scalebayes.model.responses import Measured, Response, check_response, measured, with_floors
from scalebayes.model.structure import Structure, safe
from scalebayes.notebook import shown
from scalebayes.observations import WORDS as OBSERVATIONS
from scalebayes.observations import Gaussian, Observation, StudentT, check_observation
from scalebayes.observations.scales import as_scale
from scalebayes.priors import Pooled, Pooling, Prior, repool_fields, with_pooling
from scalebayes.runs import Runs
from scalebayes.runs.reading import select_inputs

if TYPE_CHECKING:
    import pymc as pm
    import xarray as xr

type PoolingWord = Literal["shared", "pooled", "crossed", "separate"]


@dataclass(frozen=True, eq=False, init=False, repr=False)
class Model:
    r"""A law, runs, priors and an observation: everything about a fit that is decided before it.

    .. math:: y_i \sim \mathrm{observation}(f(x_i; \theta_{g(i)}))

    Parameters
    ----------
    law : Callable or Law
        A plain function, built in (`scalebayes.laws`) or your own, with inputs before ``*`` and parameters after it; or
        a `Law`, which also says which parameter is the floor.
    runs : Runs
        From `read_runs`. A run that lies far from all others, whatever the law, is an outlier: its noise is as wide as
        its distance from them, and priors relative to the responses leave it out.
    priors : mapping of str to prior, optional
        Priors of some parameters of the law, or of all for a law of your own. A bare prior such as
        ``LogNormal(median=0.3, spread=0.5)`` is shared by all groups; `pooled` and `separate` say otherwise. The other
        parameters have the law's defaults. After creation this holds the prior of every parameter.
    pooling : {"shared", "pooled", "crossed", "separate"}, optional
        How groups divide every parameter not named in ``priors``; by default pooled. "crossed" is for several group
        columns, such as architecture and task: a pooled parameter has a deviation for every level of each column and
        one for the group itself. These add up, see `pooled`, and divide the prior variance between groups equally.
        "crossed" leaves observation and discrepancy at their defaults. The default noise scale is shared; it is pooled
        beside a discrepancy, and separate if everything is.
    observation : {"student_t", "gaussian"} or Observation, optional
        How a run scatters about the law; by default a Student-t on the law's scale, which is the log response for
        losses, or a Gaussian beside a discrepancy.
    discrepancy : str, Term, tuple of them, or None
        How runs depart from the law beyond their noise: "drift" along a curve of one input (each group is a curve), or
        "surface" over several inputs (each group has its surface), "run effects" where runs have several rows. "auto",
        the default, chooses: a drift for one scale, a surface for two, run effects beside either where some runs have
        several rows, and otherwise nothing; ``why`` says what was chosen and why. None takes the law for true: its
        parameters are then those of the best line through all runs, and bands beyond the runs are too narrow.
        "correlated" is for curves that follow their law, with correlated residuals: ``Drift(drift=None)``. "still
        surface" is for a surface that does not drift.
    also : mapping of str to law or Response, optional
        Further responses of the same runs, by column, each with a law that shares parameters with ``law``: of loss and
        accuracy, both inform the exponents. Answers are about the first response;
        `scalebayes.with_response` turns to another one. A run may lack a further response (NaN). Beside them, a
        discrepancy is of the first response alone.
    horizon : float, optional
        For curves that drift: the multiple of their largest scale that matters most; 2 if not given. Nobody has to give
        it: forecasts to any distance are made from the same fit, and from twice the horizon on the floor of
        `scalebayes.laws.power_floor` and `sigmoid` lies lower, see `Drift`. For a larger horizon their default prior of
        the floor is lower and wider. Pooled curves learn the floor from each other, and keep the usual prior.

    Attributes
    ----------
    law : Law
    runs : Runs
        The runs, with the law's inputs in its order.
    priors : mapping of str to Pooling
    given : frozenset of str
        The parameters whose priors the caller gave.
    pooling : str or None
    observation : Observation
    discrepancy : tuple of Term
    also : mapping of str to Response
    why : str
        Why the discrepancy is this one, if it was chosen for the caller; else empty.
    horizon : float or None
    floor_horizon : float or None
        The horizon for which the default prior of the floor is stated, where that prior depends on one.

    Raises
    ------
    TypeError
        If the law cannot be read or an argument is of the wrong kind.
    ValueError
        If runs, priors and law do not match.

    Examples
    --------
    >>> import pandas as pd
    >>> from scalebayes import laws, read_runs
    >>> table = pd.DataFrame({"flops": [1e18, 1e19, 1e20, 1e21], "loss": [3.4, 2.9, 2.5, 2.2]})
    >>> model = Model(laws.power_floor, read_runs(table))
    >>> model.said_discrepancy, model.why
    ('drift', 'the runs lie along one scale, flops')
    >>> Model(laws.power_floor, read_runs(table), discrepancy=None).priors["alpha"]
    shared(LogNormal(median=0.25, spread=0.7))
    """

    law: Law
    runs: Runs
    priors: Mapping[str, Pooling]
    given: frozenset[str]
    pooling: PoolingWord | None
    observation: Observation
    discrepancy: tuple[Term, ...]
    also: Mapping[str, Response]
    why: str
    horizon: float | None
    floor_horizon: float | None

    def __init__(
        self,
        law: Callable | Law,
        runs: Runs,
        *,
        priors: Mapping[str, Prior | Pooling] | None = None,
        pooling: PoolingWord | None = None,
        observation: Observation | str | None = None,
        discrepancy: Discrepancy | None = AUTO,
        also: Mapping[str, Callable | Law | Response] | None = None,
        horizon: float | None = None,
    ) -> None:
        law = as_law(law)
        name, inputs = law.name, law.inputs
        if not isinstance(runs, Runs):
            raise TypeError(f"runs are needed, from sb.read_runs(table, ...), got {type(runs).__name__}.")
        runs = select_inputs(runs, name, inputs)
        check_pooling(pooling, runs)
        if isinstance(discrepancy, str) and discrepancy == AUTO:
            usual = observation is None and law.scale == "log"
            terms, why = chosen(runs, None if usual else _resolved_observation(observation, (), law))
        else:
            terms, why = as_terms(discrepancy), ""
        seen = _resolved_observation(observation, terms, law)
        check_response(runs, seen)
        check_together(terms, seen, runs)
        if pooling == "separate" and (observation is None or isinstance(observation, str)):
            seen = repool_fields(seen, "separate")
        if pooling not in (None, "crossed") and not any(isinstance(part, Term) for part in _parts(discrepancy)):
            terms = tuple(term.repooled(pooling) for term in terms)
        _check_horizon(horizon, terms)
        # Pooled curves learn the population of their floors; for these the other prior was no gain.
        learned = len(runs.levels) > 1 and pooling not in ("shared", "separate")
        stated = next((term.stated for term in terms if term.stated), "")
        defaults = law.default_priors(stated, 1.0 if learned else horizon or 1.0)
        further = measured(also, law, runs)
        first = Measured(law, seen, runs, tuple(runs.inputs))
        complete = complete_priors(first, tuple(further.values()), priors, pooling, defaults)
        law, others = with_floors(first, further, complete)
        check_names(law, runs, seen, terms, others)
        check_counts(law, runs)
        check_domain(law, dict(zip(inputs, map(runs.x, runs.inputs), strict=True)), tuple(map(str, runs.labels)))
        check_direction(law, runs)
        if is_built_in(law) and seen.scale.name == "log" and runs.better == "lower":
            check_is_loss(name, runs)
        for attribute, value in (
            ("law", law),
            ("runs", runs),
            ("priors", MappingProxyType(complete)),
            ("given", frozenset(priors or {})),
            ("pooling", pooling),
            ("observation", seen),
            ("discrepancy", terms),
            ("also", MappingProxyType(others)),
            ("why", why),
            ("horizon", None if horizon is None else float(horizon)),
        ):
            object.__setattr__(self, attribute, value)
        object.__setattr__(self, "floor_horizon", _floor_horizon(self, stated))

    def __getstate__(self) -> dict:
        # A read-only view cannot be pickled; without this no model could be sent to another process.
        return {**vars(self), "priors": dict(self.priors), "also": dict(self.also)}

    def __setstate__(self, state: dict) -> None:
        views = {name: MappingProxyType(state[name]) for name in ("priors", "also")}
        self.__dict__.update(state | views)

    @property
    def name(self) -> str:
        """The law's name."""
        return self.law.name

    @property
    def parameters(self) -> tuple[str, ...]:
        """The law's parameters, in its order."""
        return self.law.parameters

    def on(self, parameter: str) -> tuple[str, ...]:
        """The columns on which a parameter of the laws depends."""
        pooling = self.priors.get(parameter)
        return tuple(pooling.on) if isinstance(pooling, Pooled) and self.runs.group else ()

    @property
    def covariates(self) -> tuple[str, ...]:
        """The columns on which some parameters depend."""
        return tuple(dict.fromkeys(column for name in self.priors for column in self.on(name)))

    @property
    def across_evaluations(self) -> bool:
        """Whether groups that were measured in different evaluations are comparable."""
        return any(term.across_evaluations for term in self.discrepancy)

    @property
    def departs(self) -> bool:
        """Whether the mean response may depart from the law."""
        return any(term.moves_mean for term in self.discrepancy)

    @property
    def sinks_from(self) -> float:
        """The multiple of the largest scale from which the floor lies lower than the runs say, see `Drift`."""
        return np.inf if self.floor_horizon is None else 2 * self.floor_horizon

    def __repr__(self) -> str:
        priors = [
            f"  {name} ~ {prior!r}{'' if name in self.given else ' (default)'}" for name, prior in self.priors.items()
        ]
        departs = self.said_discrepancy or "none"
        return "\n".join(
            [
                f"Model of {self.name}({', '.join(self.law.inputs)}; {', '.join(self.law.parameters)}) for {self.runs}",
                *priors,
                f"  observation: {self.observation!r}",
                f"  discrepancy: {departs}" + (f" (chosen: {self.why})" if self.why else ""),
                *(f"  also {column}: {as_law(each.law).name}" for column, each in self.also.items()),
            ]
        )

    def _repr_html_(self) -> str:
        return shown(repr(self))

    @property
    def said_discrepancy(self) -> str:
        """The discrepancy in words, empty for none."""
        return words(self.discrepancy)

    @cached_property
    def _described(self) -> tuple[Structure, dict[str, np.ndarray]]:
        further = tuple(measured(self.also, self.law, self.runs).values())
        return describe(self.priors, self._first, self.discrepancy, further)

    @property
    def _first(self) -> Measured:
        return Measured(self.law, self.observation, self.runs, tuple(self.runs.inputs))

    @property
    def structure(self) -> Structure:
        """Everything about the model that shapes its graph."""
        return self._described[0]

    @property
    def numbers(self) -> Mapping[str, np.ndarray]:
        """Its data and prior constants, by the names they have in the graph."""
        return MappingProxyType(self._described[1])

    @cached_property
    def digest(self) -> str:
        """A hash of every number of the runs that the likelihood uses, and of the labels of the groups."""
        data = {name: value for name, value in self.numbers.items() if not name.endswith("_prior")}
        parts = [
            f"{name} {value.dtype} {value.shape}".encode() + value.tobytes() for name, value in sorted(data.items())
        ]
        return hashlib.sha256(b"".join([*parts, self.runs.digest.encode()])).hexdigest()[:16]

    def coords(self) -> dict[str, np.ndarray]:
        """Labels of the dimensions: ``run``, and the groups under the name of their column."""
        runs = self.runs
        groups = {runs.group_name: np.asarray(runs.levels)} if runs.group else {}
        own = [self.priors, self.observation.priors(), *(t.priors(tuple(runs.inputs)) for t in self.discrepancy)]
        own += [check_observation(each.observation).priors() for each in self.also.values()]
        factors = {
            safe(column): np.asarray(runs.factor(column)[0])
            for each in own
            for prior in each.values()
            if isinstance(prior, Pooled) and runs.group
            for column in prior.spreads(runs.group_name)
            if column != runs.group_name
        }
        further = {
            dim: np.arange(size)
            for term in sampled_of(self.discrepancy)
            for dim, size in term.dims(self.numbers).items()
        }
        return {"run": runs.labels, **groups, **factors, **further}

    def prior(self, draws: int = 500, *, seed: int = 0) -> xr.DataTree:
        """What the priors mean, before anything is fitted.

        Parameters
        ----------
        draws : int
        seed : int
            The draws share no random numbers with ``numpy.random.default_rng(seed)``, from which a simulation may draw
            its noise.

        Returns
        -------
        xarray.DataTree
            ``prior``: parameters, dims (chain, draw[, group]); ``prior_predictive``: the expected response at the
            runs, dims (chain, draw, run).
        """
        return prior_draws(self.structure, self.numbers, self.runs, draws, seed)

    def pymc(self) -> pm.Model:
        """The model as an ordinary `pymc.Model`, for everything that is not offered here.

        Turns on JAX's 64-bit mode for the process, as PyTensor's own JAX backend does: without it the law would be
        evaluated in single precision.

        Returns
        -------
        pymc.Model
            With named dims, data and prior constants as `pymc.Data`.
        """
        import jax

        from scalebayes.model.graph import build

        model = build(self.structure, self.numbers, self.coords())
        jax.config.update("jax_enable_x64", True)
        return model


def with_runs(model: Model, runs: Runs) -> Model:
    """The same model of other runs; priors stated relative to the runs are stated relative to these."""
    return with_parts(model, runs=runs)


def with_parts(
    model: Model,
    *,
    runs: Runs | None = None,
    priors: Mapping[str, Pooling] | None = None,
    observation: Observation | None = None,
    discrepancy: tuple[Term, ...] | None = None,
) -> Model:
    """The same model with some of its parts replaced."""
    runs = model.runs if runs is None else runs
    complete: Mapping = model.priors if priors is None else priors
    if not runs.group:  # without groups the words of pooling have no effect, and are refused from a caller
        complete = {name: pooling.prior for name, pooling in complete.items()}
    changed = Model(
        model.law,
        runs,
        priors=complete,
        observation=model.observation if observation is None else observation,
        discrepancy=model.discrepancy if discrepancy is None else discrepancy,
        also=model.also,
        horizon=model.horizon,
    )
    return recorded(changed, model.given, model.why if discrepancy is None else "")


def recorded(model: Model, given: frozenset[str], why: str) -> Model:
    """The same model, with a record of the priors that the caller gave, and of why its discrepancy was chosen."""
    same = copy(model)
    object.__setattr__(same, "given", given)
    object.__setattr__(same, "why", why)
    return same


def _parts(discrepancy: object) -> tuple:
    return tuple(discrepancy) if isinstance(discrepancy, tuple | list) else (discrepancy,)


def _check_horizon(horizon: object, terms: tuple[Term, ...]) -> None:
    if horizon is None:
        return
    if isinstance(horizon, bool) or not isinstance(horizon, Real) or not 1 <= float(horizon) < np.inf:
        raise ValueError(
            "horizon is how far the curves will be forecast, in multiples of their largest scale: from 1 on, "
            f"got {quoted(horizon)}."
        )
    if not any(term.takes_horizon for term in terms):
        raise ValueError("horizon is about curves that drift: with discrepancy='drift', or leave it out.")


def _floor_horizon(model: Model, stated: str) -> float | None:
    floor = model.law.floor
    if not isinstance(floor, str) or isinstance(model.priors[floor], Pooled):
        return None
    near, far, own = (model.law.default_priors(stated, h) for h in (1.0, np.inf, model.horizon or 1.0))
    if floor not in own or near[floor] == far[floor]:
        return None
    same = model.priors[floor].prior == with_pooling(own[floor]).prior
    return max(model.horizon or 1.0, NEAR) if same else None


def _resolved_observation(observation: object, terms: tuple[Term, ...], law: Law) -> Observation:
    beside = next((found for term in terms if (found := term.observation()) is not None), None)
    if observation is None and law.scale != "log":
        integrated = any(not term.sampled for term in terms)
        return Gaussian(scale=as_scale(law.scale)) if integrated else StudentT(scale=as_scale(law.scale))
    if observation is None:
        return beside or StudentT()
    if isinstance(observation, str):
        if beside is not None and beside.word == observation:
            return beside
        if observation in OBSERVATIONS:
            return OBSERVATIONS[observation]()
        raise ValueError(
            f"observation is {', '.join(map(repr, OBSERVATIONS))}, or a value such as sb.StudentT(), "
            f"got {quoted(observation)}{nearest(observation, OBSERVATIONS)}."
        )
    return check_observation(observation)
