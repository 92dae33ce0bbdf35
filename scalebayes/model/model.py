"""Model: the declaration of a fit. Frozen, checked when made, and never sampling by itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from numbers import Real
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from scalebayes import laws
from scalebayes.discrepancy.discrepancy import Discrepancy, Drift, Surface, checked, drifts
from scalebayes.model.structure import Structure, describe, safe
from scalebayes.observations.noise import Gaussian, Noise, StudentT
from scalebayes.priors import (
    WORDS,
    Anchored,
    LogNormal,
    Pooled,
    Pooling,
    Prior,
    Separate,
    Shared,
    needs,
    pooled,
    repool,
    with_pooling,
)
from scalebayes.runs.runs import Runs, check_group_sizes, select_inputs

if TYPE_CHECKING:
    import pymc as pm
    import xarray as xr

# ln of a vocabulary of a million words: the loss of a uniform guess.
_LARGEST_LOSS = 13.8


@dataclass(frozen=True, eq=False)
class Model:
    r"""A law, runs, priors and noise: everything about a fit that is decided before it.

    .. math:: \log y_i \sim \mathrm{noise}(\log f(x_i; \theta_{g(i)}), \sigma_{g(i)})

    Parameters
    ----------
    law : Callable
        A plain function: inputs before ``*``, parameters after it; built in (`scalebayes.laws`) or your own.
    runs : Runs
        From `read_runs`.
    priors : mapping of str to prior, optional
        For some or, with a law of your own, all parameters of the law. A bare prior such as
        ``LogNormal(median=0.3, spread=0.5)`` is shared by all groups; `pooled` and `separate` say otherwise. The rest
        are the law's defaults. After creation this holds the prior of every parameter.
    pooling : {"shared", "pooled", "crossed", "separate"}, optional
        How groups divide every parameter not named in ``priors``; by default pooled. "crossed" is for several group columns,
        such as architecture and task: what is pooled has a deviation for every level of each column and one for the group
        itself, which add up, see `pooled`; each has an equal part of the prior variance that groups have otherwise. Noise and
        discrepancy stay as they are by default. The default noise scale is shared, pooled beside a discrepancy, or separate
        if everything is.
    noise : {"student_t", "gaussian"} or StudentT or Gaussian, optional
        Of a run about the law, on the log response; by default Student-t, or Gaussian beside a discrepancy.
    discrepancy : "drift", "correlated", "surface" or "still surface", or Drift or Surface, optional
        How runs depart from the law beyond their noise: along a curve of one input (each group is a curve), or over
        several inputs (each group has its surface). "correlated" is for curves that keep to their law, with residuals that are
        correlated: ``Drift(drift=None)``.
    horizon : float, optional
        For curves that drift: how far they will be asked about, in multiples of their largest scale. Beyond 2 the default
        prior of the floor of `scalebayes.laws.power_floor` and `sigmoid` is lower and wider, unless curves are pooled, which
        learn it from each other: what looks like a floor from near by seldom is one far out. Of few-shot curves fitted by
        themselves and forecast to 33 times their scale errors fell by a quarter (`benchmarks/extrapolation.md`). `backtest` knows
        how far it asks.

    Raises
    ------
    TypeError
        If the law cannot be read or an argument is of the wrong kind.
    ValueError
        If runs, priors and law do not fit each other.

    Examples
    --------
    >>> import pandas as pd
    >>> from scalebayes import laws, read_runs
    >>> table = pd.DataFrame({"flops": [1e18, 1e19, 1e20, 1e21], "loss": [3.4, 2.9, 2.5, 2.2]})
    >>> Model(laws.power_floor, read_runs(table)).priors["alpha"]
    shared(LogNormal(median=0.25, spread=0.7))
    """

    law: Callable
    runs: Runs
    priors: Mapping[str, Prior | Pooling] = field(default_factory=dict)
    pooling: Literal["shared", "pooled", "crossed", "separate"] | None = None
    noise: Noise | Literal["student_t", "gaussian"] | None = None
    discrepancy: Discrepancy | str | None = None
    horizon: float | None = None

    def __post_init__(self) -> None:
        declared = laws.signature(self.law)
        if not isinstance(self.runs, Runs):
            raise TypeError(f"runs are needed, from sb.read_runs(table, ...), got {type(self.runs).__name__}.")
        runs = select_inputs(self.runs, declared.name, declared.inputs)
        renamed = dict(zip(declared.inputs, runs.inputs, strict=True))
        discrepancy = checked(self.discrepancy, runs)
        noise = _noise(self.noise, discrepancy)
        if self.pooling == "separate" and not isinstance(self.noise, Noise):
            noise = replace(noise, sigma=repool(noise.sigma, "separate"))
        if self.pooling not in (None, "crossed") and isinstance(self.discrepancy, str):
            assert discrepancy is not None
            discrepancy = discrepancy.repooled(self.pooling)
        beside = {Drift: "drift", Surface: "surface"}.get(type(discrepancy), "")
        _check_horizon(self.horizon, discrepancy)
        # Of curves that are pooled the floors' population is learned; there the other prior was no gain.
        learned = len(runs.levels) > 1 and self.pooling not in ("shared", "separate")
        defaults = laws.priors(self.law, beside, 1.0 if learned else self.horizon or 1.0)
        priors = _complete(declared, self.priors, self.pooling, renamed, runs, defaults)
        taken = set(declared.parameters) & set(discrepancy.priors(tuple(runs.inputs)) if discrepancy else ())
        if taken:
            raise ValueError(f"{declared.name} has a parameter {min(taken)!r}, a name of the {beside}; rename it.")
        for name, value in (
            ("runs", runs), ("noise", noise), ("priors", MappingProxyType(priors)), ("discrepancy", discrepancy),
        ):  # fmt: skip
            object.__setattr__(self, name, value)
        _check_counts(declared, runs)
        if self.law in laws.PRIORS:
            _check_is_loss(declared.name, runs)

    @property
    def name(self) -> str:
        """The law's name."""
        return laws.signature(self.law).name

    @property
    def parameters(self) -> tuple[str, ...]:
        """The law's parameters, in its order."""
        return laws.signature(self.law).parameters

    def describe(self) -> tuple[Structure, dict[str, np.ndarray]]:
        """The model's structure, and its data and prior constants as arrays."""
        assert isinstance(self.noise, Noise)
        poolings = {n: p for n, p in self._poolings().items() if n in self.parameters}
        assert not isinstance(self.discrepancy, str)
        return describe(self.law, self.runs, poolings, self.noise, self.discrepancy)

    def _poolings(self) -> dict[str, Pooling]:
        assert isinstance(self.noise, Noise)
        assert not isinstance(self.discrepancy, str)
        departs = self.discrepancy.priors(tuple(self.runs.inputs)) if self.discrepancy else {}
        sigma = {"sigma": with_pooling(self.noise.sigma), **departs}
        return {n: p for n, p in {**self.priors, **sigma}.items() if isinstance(p, Shared | Pooled | Separate)}

    def __getstate__(self) -> dict:
        # A read-only view cannot be pickled; without this no model could be sent to another process.
        return {**vars(self), "priors": dict(self.priors)}

    def coords(self) -> dict[str, np.ndarray]:
        """Labels of the dimensions: ``run``, and the groups under the name of their column."""
        groups = {self.runs.group_name: np.asarray(self.runs.levels)} if self.runs.group else {}
        factors = {
            safe(column): np.asarray(self.runs.factor(column)[0])
            for prior in self._poolings().values()
            if isinstance(prior, Pooled) and self.runs.group
            for column in prior.spreads(self.runs.group_name)
            if column != self.runs.group_name
        }
        surface = self.describe()[0].surface if isinstance(self.discrepancy, Surface) else 0
        places = {"place": np.arange(surface)} if surface else {}
        return {"run": self.runs.labels, **groups, **factors, **places}

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

        model = build(*self.describe(), self.coords())
        jax.config.update("jax_enable_x64", True)
        return model

    def prior(self, draws: int = 500, *, seed: int = 0) -> xr.DataTree:
        """What the priors mean, before anything is fitted.

        Parameters
        ----------
        draws : int
        seed : int
            Shares no random numbers with ``numpy.random.default_rng(seed)``, from which a simulation may draw its noise.

        Returns
        -------
        xarray.DataTree
            ``prior``: parameters, dims (chain, draw[, group]); ``prior_predictive``: the expected response at the
            runs, dims (chain, draw, run).
        """
        from scalebayes.model.prediction import prior_draws

        return prior_draws(self, draws, seed)


def _check_horizon(horizon: object, discrepancy: Discrepancy | None) -> None:
    if horizon is None:
        return
    if isinstance(horizon, bool) or not isinstance(horizon, Real) or not 1 <= float(horizon) < np.inf:
        raise ValueError(
            f"horizon is how far the curves will be asked about, in multiples of their largest scale: from 1 on, got {horizon!r}."
        )
    if not drifts(discrepancy):
        raise ValueError("horizon is about curves that drift: with discrepancy='drift', or leave it out.")


def _noise(noise: object, discrepancy: Discrepancy | None) -> Noise:
    if isinstance(discrepancy, Drift):
        if noise not in (None, "gaussian") and not isinstance(noise, Gaussian):
            raise ValueError(
                f"with a drift, which is integrated out, the noise is 'gaussian' or a Gaussian, got {noise!r}."
            )
        return noise if isinstance(noise, Gaussian) else Gaussian(pooled(LogNormal(0.006, 1.2), spread=0.6))
    if noise is None and discrepancy:
        return Gaussian(pooled(LogNormal(0.006, 0.8), spread=0.4))
    if noise is None:
        return StudentT()
    if isinstance(noise, StudentT | Gaussian):
        return noise
    if noise in ("student_t", "gaussian"):
        return StudentT() if noise == "student_t" else Gaussian()
    raise ValueError(f"noise is 'student_t' or 'gaussian', or a StudentT or Gaussian, got {noise!r}.")


def _complete(
    declared: laws.Signature, given: Mapping, pooling: str | None, renamed: Mapping, runs: Runs, defaults: Mapping
) -> dict[str, Pooling]:
    if not isinstance(given, Mapping):
        raise TypeError(f"priors are a mapping from parameters to priors, got {type(given).__name__}.")
    if pooling not in (None, *WORDS):
        raise ValueError(f"pooling is {', '.join(map(repr, WORDS[:-1]))} or {WORDS[-1]!r}, got {pooling!r}.")
    if pooling == "crossed" and len(runs.group) < 2:
        grouped = f"by {runs.group_name!r} alone" if runs.group else "not at all"
        raise ValueError(
            f"pooling='crossed' is over several group columns, and the runs are grouped {grouped}; name what crosses in "
            "read_runs, such as group=['architecture', 'task'], or leave it out."
        )
    unknown = [name for name in given if name not in declared.parameters]
    if unknown:
        raise ValueError(
            f"a prior is given for {', '.join(map(repr, unknown))}, but {declared.name} has the parameters "
            f"{', '.join(declared.parameters)}."
        )
    missing = [name for name in declared.parameters if name not in given and name not in defaults]
    if missing:
        raise ValueError(
            f"{declared.name} is not built in, so every parameter needs a prior; missing: {', '.join(missing)}. "
            f"For example priors={{{missing[0]!r}: sb.LogNormal(median=0.3, spread=0.5)}}."
        )
    complete: dict[str, Pooling] = {}
    for name in declared.parameters:
        if name in given:
            prior = given[name]
            complete[name] = with_pooling(prior)
            if not runs.group and isinstance(prior, Pooled | Separate):
                raise ValueError(
                    f"the prior of {name} is {type(prior).__name__.lower()}, but the runs have no group. "
                    "Name a group in read_runs, or use shared(...)."
                )
        else:
            complete[name] = repool(defaults[name], pooling, runs.factors) if pooling else defaults[name]
            if not runs.group:
                complete[name] = with_pooling(complete[name].prior)
        anchor = complete[name].prior
        if isinstance(anchor, Anchored):
            anchor = replace(anchor, input=renamed.get(anchor.input, anchor.input))
            if anchor.input not in runs.inputs:
                raise ValueError(
                    f"the prior of {name} is anchored by input {anchor.input!r}, which {declared} does not have."
                )
            complete[name] = replace(complete[name], prior=anchor)
    for name, prior in complete.items():
        for other in needs(prior.prior):
            if other not in declared.parameters:
                raise ValueError(f"the prior of {name} refers to {other!r}, which {declared} does not have.")
            if needs(complete[other].prior):
                raise ValueError(f"the prior of {name} refers to {other}, whose own prior refers to another parameter.")
    for name, prior in complete.items():
        _check_factors(name, prior, runs)
    if any(_of_combinations(prior, runs) for prior in complete.values()):
        check_group_sizes(runs)
    taken = [name for name in declared.parameters if name in ("sigma", "nu")]
    if taken:
        raise ValueError(f"{declared.name} has a parameter {taken[0]!r}, a name of the noise; rename it.")
    if runs.response in {*declared.parameters, *runs.inputs, "run", "group"}:
        raise ValueError(f"the response column {runs.response!r} has the name of an input or parameter; rename it.")
    for column in dict.fromkeys([runs.group_name, *map(str, runs.group)]):
        if column in {*declared.parameters, *runs.inputs, "sigma", "nu"}:
            raise ValueError(f"the group column {column!r} has the name of a parameter or input; rename it.")
    return complete


def _of_combinations(pooling: Pooling, runs: Runs) -> bool:
    """Whether a parameter differs between the groups as they are, not only between the levels of their columns."""
    if isinstance(pooling, Pooled):
        return len(runs.group) > 1 and runs.group_name in pooling.spreads(runs.group_name)
    return len(runs.group) > 1 and isinstance(pooling, Separate)


def _check_factors(name: str, pooling: Pooling, runs: Runs) -> None:
    if not isinstance(pooling, Pooled):
        return
    columns = [*dict.fromkeys([*map(str, runs.group), runs.group_name])]
    for column in pooling.spreads(runs.group_name):
        if column not in columns:
            raise ValueError(
                f"the prior of {name} has a spread over {column!r}, which is no group column of the runs; "
                f"there {'is' if len(columns) == 1 else 'are'} {', '.join(map(repr, columns))}."
            )


def _check_counts(declared: laws.Signature, runs: Runs) -> None:
    if len(runs) < len(declared.parameters):
        raise ValueError(
            f"{declared.name} has {len(declared.parameters)} parameters ({', '.join(declared.parameters)}) and there "
            f"{'is' if len(runs) == 1 else 'are'} {len(runs)} run{'s' if len(runs) != 1 else ''}. "
            "Add runs, or take a law with fewer parameters."
        )


def _check_is_loss(law: str, runs: Runs) -> None:
    """The built-in laws fall with scale and are stated in losses: refuse accuracies and percentages."""
    y = runs.y
    what = f"response {runs.response!r} runs from {y.min():g} to {y.max():g}"
    if y.max() > _LARGEST_LOSS:
        raise ValueError(
            f"{what}, and {law} is a law for losses (a uniform guess over a million words costs {_LARGEST_LOSS} nats): "
            "this looks like per cent or a perplexity. Divide per cent by 100 (an accuracy first becomes 100 - accuracy), "
            "or take the logarithm of a perplexity."
        )
    if len(y) < 4 or y.max() > 1:
        return
    ranks = [_rank_correlation(runs.x(name), y) for name in runs.inputs]
    if min(ranks) > 0.5:
        rises = " and ".join(f"{name} ({rank:.2f})" for name, rank in zip(runs.inputs, ranks, strict=True))
        raise ValueError(
            f"{what} and rises with {rises}, rank correlation in brackets: this looks like an accuracy, and {law} is a law "
            f"for losses, which fall. Use the error, 1 - {runs.response}."
        )


def _rank_correlation(x: np.ndarray, y: np.ndarray) -> float:
    # By pandas: scipy.stats would add a second to the start.
    return float(pd.DataFrame({"x": x, "y": y}).corr("spearman").to_numpy()[0, 1]) if y.min() < y.max() else 0.0
