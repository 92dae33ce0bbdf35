"""Evaluation effects: all models measured in one evaluation share a departure from the law."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np

from scalebayes.arguments import quoted
from scalebayes.discrepancy.contract import Departure, Errors, Situation
from scalebayes.discrepancy.run_effects import given_earlier, of_its_own
from scalebayes.observations.noise import Gaussian
from scalebayes.priors import Gamma, LogNormal, Pooled, Pooling, Separate, shared, with_pooling
from scalebayes.runs.runs import Runs


@dataclass(frozen=True)
class EvaluationEffects:
    r"""Runs that were measured in one evaluation depart from the law by a common effect, whatever their group.

    .. math:: \mathrm{scale}(y_{ei}) = \mathrm{scale}(f) + b_e + \epsilon_{ei}, \qquad b_e \sim \mathrm{Normal}(0, \tau)

    An evaluation is a sample of test items, a date, a version of a benchmark: the column that `read_runs` calls
    ``evaluation``. b is integrated out, as in `RunEffects`. Between groups that were measured together it cancels, so a
    comparison is sharper than the noise of a single measurement; groups that share their evaluations are comparable. A
    new run is measured in an evaluation of its own. Beside another term, each group has its own effect of an
    evaluation.

    Parameters
    ----------
    effect : prior
        Prior of tau, on the observation's scale, shared by all groups.

    Raises
    ------
    ValueError
        If the prior is not shared.

    Examples
    --------
    >>> EvaluationEffects().effect
    shared(LogNormal(median=0.01, spread=1.0))
    """

    word: ClassVar[str] = "evaluation effects"
    sampled: ClassVar[bool] = False
    stated: ClassVar[str] = ""
    moves_mean: ClassVar[bool] = False
    departs_beyond: ClassVar[bool] = False
    takes_horizon: ClassVar[bool] = False
    modeless: ClassVar[bool] = False
    across_evaluations: ClassVar[bool] = True
    alone: ClassVar[bool] = False
    influential: ClassVar[tuple[str, ...]] = ()
    data_names: ClassVar[tuple[str, ...]] = ("evaluation_number", "evaluation_order", "evaluation_begin")
    of_runs: ClassVar[tuple[str, ...]] = ("evaluation_number",)

    effect: Pooling = field(default_factory=lambda: shared(LogNormal(0.01, 1.0)))

    def __post_init__(self) -> None:
        object.__setattr__(self, "effect", with_pooling(self.effect))
        if isinstance(self.effect, Pooled | Separate) or isinstance(self.effect.prior, Gamma):
            raise ValueError(f"groups share the effect of an evaluation, and so its prior; got {quoted(self.effect)}.")

    def priors(self, inputs: tuple[str, ...]) -> dict[str, Pooling]:
        """The prior of tau."""
        return {"evaluation_effect": self.effect}

    def repooled(self, how: str) -> EvaluationEffects:
        """The same term: its prior is shared."""
        return self

    def observation(self) -> Gaussian:
        """Gaussian noise, since the effect is integrated out."""
        return Gaussian()

    def check(self, runs: Runs) -> None:
        """Refuse a table without evaluations, and one in which no two runs share theirs."""
        if runs.evaluation is None:
            raise ValueError(
                "evaluation effects need the column that says in which evaluation a run was measured: name it in "
                "read_runs, evaluation=."
            )
        count = runs.table[runs.evaluation].nunique()
        if not 1 < count < len(runs):
            raise ValueError(
                f"evaluation effects need two evaluations or more, of several runs each, and column "
                f"{runs.evaluation!r} has {count} different values in {len(runs)} rows."
            )

    def stated_at(self, runs: Runs) -> None:
        """In the middle of the runs."""
        return

    def data(self, runs: Runs) -> dict[str, np.ndarray]:
        """The number of each row's evaluation, the order of rows by it, and where in that order each one begins."""
        assert runs.evaluation is not None
        number = np.unique(runs.table[runs.evaluation].astype(str), return_inverse=True)[1]
        order = np.argsort(number, kind="stable")
        begin = np.searchsorted(number[order], number[order])
        return {"evaluation_number": number, "evaluation_order": order, "evaluation_begin": begin}

    def padded(self, data: Mapping[str, np.ndarray], size: int, grouped: bool) -> dict[str, np.ndarray]:
        """The same arrays for a padded table, whose copies are measured by themselves."""
        more = np.arange(len(data["evaluation_number"]), size)
        return {name: np.concatenate([data[name], more]) for name in self.data_names}

    def loglik(self, errors: Errors, own: Mapping[str, Any], data: Mapping[str, Any]):
        """Log likelihood of each row given the earlier ones of its evaluation, in JAX."""
        order = data["evaluation_order"]
        variance = jnp.broadcast_to(errors.noise, errors.error.shape)[order] ** 2
        tau2 = jnp.broadcast_to(own["evaluation_effect"], errors.error.shape)[order] ** 2
        each = given_earlier(errors.error[order], variance, tau2, data["evaluation_begin"])
        return jnp.zeros_like(errors.error).at[order].set(each)

    def covariance(self, errors: Errors, own: Mapping[str, Any], data: Mapping[str, Any], xp: Any = np):
        """Covariance of the errors of a group's rows, shape (..., run, run); the noise loses no variance to it."""
        number = data["evaluation_number"]
        together = number[..., :, None] == number[..., None, :]
        return own["evaluation_effect"] ** 2 * together, xp.zeros_like(errors.sd)

    def before_runs(self, at: Situation, rng: np.random.Generator) -> Departure:
        """An evaluation of its own for each new run."""
        return of_its_own(at, at.parameters["evaluation_effect"], rng)

    def given_runs(self, at: Situation, rng: np.random.Generator) -> Departure:
        """An evaluation of its own for each new run."""
        return self.before_runs(at, rng)
