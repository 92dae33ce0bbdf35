"""Sampling: from a model to a fit."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import lru_cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import xarray as xr

from scalebayes.arguments import check_seed
from scalebayes.discrepancy.resolve import AUTO, Discrepancy
from scalebayes.fits.bending import find_bending
from scalebayes.fits.description import FORMAT, describe_model, plain_number
from scalebayes.fits.draws import tree_of
from scalebayes.fits.fit import Fit
from scalebayes.fits.progress import reporting
from scalebayes.fits.remarks import stored
from scalebayes.inference.caching import compilation_cache
from scalebayes.inference.diagnostics import ConvergenceWarning
from scalebayes.inference.settings import Settings
from scalebayes.laws import Law
from scalebayes.model import Model
from scalebayes.model.model import PoolingWord
from scalebayes.model.responses import Response
from scalebayes.observations import Observation
from scalebayes.priors import Pooling, Prior
from scalebayes.runs import Runs

if TYPE_CHECKING:
    from scalebayes.inference.sampling import Sample


def fit(
    law: Callable | Law,
    runs: Runs,
    *,
    priors: Mapping[str, Prior | Pooling] | None = None,
    pooling: PoolingWord | None = None,
    observation: Observation | str | None = None,
    discrepancy: Discrepancy | None = AUTO,
    also: Mapping[str, Callable | Law | Response] | None = None,
    horizon: float | None = None,
    draws: int | None = Settings.draws,
    chains: int = Settings.chains,
    warmup: int | None = Settings.warmup,
    target_accept: float | None = Settings.target_accept,
    ess: int | None = Settings.ess,
    max_draws: int | None = Settings.max_draws,
    seed: int = 0,
    progress: bool | None = None,
) -> Fit:
    """Fit a law to runs: ``sample(Model(law, runs, ...), ...)``.

    Parameters
    ----------
    law : Callable or Law
        Built in (``sb.laws.chinchilla``) or your own: inputs before ``*``, parameters after it.
    runs : Runs
        From `read_runs`.
    priors, pooling, observation, discrepancy, also, horizon
        See `Model`.
    draws, chains, warmup, target_accept, ess, max_draws, seed, progress
        See `sample`.

    Returns
    -------
    Fit

    Raises
    ------
    TypeError, ValueError
        If law, runs and priors do not match; see `Model` and `sample`.

    Warns
    -----
    ConvergenceWarning
        If the draws do not represent the posterior well.

    Examples
    --------
    >>> import scalebayes as sb
    >>> runs = sb.read_runs(sb.pile_families(), inputs={"C": "flops"}, response="loss", group="family")
    >>> fit = sb.fit(sb.laws.power_floor, runs, draws=500, discrepancy=None)
    >>> fit.diagnostics.problems
    ()
    """
    model = Model(
        law,
        runs,
        priors=priors,
        pooling=pooling,
        observation=observation,
        discrepancy=discrepancy,
        also=also,
        horizon=horizon,
    )
    return sample(
        model,
        draws=draws,
        chains=chains,
        warmup=warmup,
        target_accept=target_accept,
        ess=ess,
        max_draws=max_draws,
        seed=seed,
        progress=progress,
    )


def sample(
    model: Model,
    *,
    draws: int | None = Settings.draws,
    chains: int = Settings.chains,
    warmup: int | None = Settings.warmup,
    target_accept: float | None = Settings.target_accept,
    ess: int | None = Settings.ess,
    max_draws: int | None = Settings.max_draws,
    seed: int = 0,
    progress: bool | None = None,
) -> Fit:
    """Draw from a model's posterior by Hamiltonian Monte Carlo.

    HMC runs in whitened coordinates, with trajectories of about one length. Where a pilot or the draws show that the
    coordinates are poor, they are whitened again from draws. With 256 coordinates or more, trajectories are shorter and
    each step takes two gradients; ``n_steps`` counts gradients.

    Parameters
    ----------
    model : Model
    draws : int, optional
        Draws kept of each chain. If not given, chains go on, from 500 draws to at most ``max_draws``, until r-hat is
        below 1.01 and the bulk and tail ESS of every variable reach ``ess``. Where given draws have not mixed (r-hat
        below 1.01, ESS of 400), chains continue, up to eight times as many; ``draws`` of these are kept, evenly spaced.
    chains : int
    warmup : int, optional
        Trajectories that adapt the step size before the draws. If not given, as many as the posterior needs: 150, and
        as many again, with the draws made so far, each time the whitening has to be improved.
    target_accept : float, optional
        Mean acceptance rate that the step size is adapted to. If not given, 0.8, then 0.9 or 0.95 where the whitening
        has to be improved.
    ess : int, optional
        Bulk and tail ESS that every variable must reach; 400 if not given.
    max_draws : int, optional
        Most draws of each chain; 8000 if not given.
    seed : int
        The same seed on the same machine gives the same bytes.
    progress : bool, optional
        Whether to show a progress bar; by default only on a terminal.

    Returns
    -------
    Fit

    Raises
    ------
    ValueError
        If a setting is out of range, or the law gives NaN where the priors allow its parameters.

    Warns
    -----
    ConvergenceWarning
        If the draws do not represent the posterior well.

    Examples
    --------
    With the runs of `fit`'s example:

    >>> model = sb.Model(sb.laws.power_floor, runs, discrepancy=None)
    >>> sorted(sb.sample(model, draws=500).posterior.data_vars)[:3]
    ['A', 'A_at_ref', 'A_share']
    """
    settings = Settings(draws, chains, warmup, target_accept, ess, max_draws)
    check_seed(seed)
    prior = checked_prior(model, seed)
    from scalebayes.fits.preparing import prepare
    from scalebayes.inference.sampling import sample as draw

    with compilation_cache():
        ready = prepare(model)
        with reporting(progress, model.name) as report:
            found = draw(
                ready.source,
                [ready.numbers],
                initial=[ready.initial],
                seeds=[seed],
                settings=settings,
                report=report,
            )
    result = assemble(model, found[0], prior, settings, seed)
    _warn(result, settings)
    return result


def checked_prior(model: Model, seed: int) -> xr.Dataset:
    """Draws from the prior, once the law has been checked at them.

    Raises
    ------
    ValueError
        If the law gives NaN, with the run and the parameters; or if most of its means lie where the observation allows
        none.
    """
    from scalebayes.model.prior import prior_parameters, undefined

    prior = prior_parameters(model.structure, model.numbers, model.runs.levels, 500, seed)
    problem = undefined(model.structure, model.runs, prior)
    if problem:
        raise ValueError(problem)
    return prior


def assemble(model: Model, found: Sample, prior: xr.Dataset, settings: Settings, seed: int) -> Fit:
    """The fit of a model, made from what the sampler drew."""
    with compilation_cache():
        tree = tree_of(model, found, prior, seed)
        bending = stored(find_bending(model, tree["posterior"].to_dataset()))
    made = {
        "settings": json.dumps(asdict(settings), default=plain_number),
        "seed": int(seed),
        "whitenings": found.whitenings,
        "warmup": found.warmup,
        "target_accept": found.target_accept,
        "thin": found.thin,
    }
    modes = [
        {"share": mode.share, "height": mode.height, **{n: mode.values[n].tolist() for n in model.parameters}}
        for mode in found.modes
    ]
    worst = found.worst
    judged = {"max_r_hat": worst.r_hat, "min_ess_bulk": worst.bulk, "min_ess_tail": worst.tail}
    about = {"modes": json.dumps(modes), "ess": settings.ess or 0, "bending": bending}
    tree.attrs = _attributes(model) | made | judged | about
    return Fit(model, tree)


def _warn(fit: Fit, settings: Settings) -> None:
    problems, name = fit.diagnostics.problems, fit.model.name
    if problems:
        message = (
            f"the fit of {name} has not converged: {'; '.join(problems)}. "
            "More draws or warm-up, or narrower priors, may help; do not use it as it is."
        )
    elif settings.ess and min(fit.diagnostics.min_ess_bulk, fit.diagnostics.min_ess_tail) < settings.ess:
        message = (
            f"the fit of {name} was to reach a bulk and tail ESS of {settings.ess}; its "
            f"{fit.diagnostics.draws // settings.chains} draws of each chain reach "
            f"{fit.diagnostics.min_ess_bulk:.0f} and {fit.diagnostics.min_ess_tail:.0f}. A larger max_draws goes on."
        )
    else:
        return
    warnings.warn(message, ConvergenceWarning, stacklevel=3)


def _attributes(model: Model) -> dict[str, Any]:
    versions = _versions()
    return {
        "inference_library": "scalebayes",
        "inference_library_version": versions["scalebayes"],
        "data_hash": model.digest,
        "law": model.name,
        "observation": model.observation.word,
        "format_version": FORMAT,
        "model": json.dumps(describe_model(model), default=plain_number),
        **versions,
    }


@lru_cache(maxsize=1)  # each version is read from a file
def _versions() -> dict[str, str]:
    packages = ("scalebayes", "pymc", "pytensor", "jax", "arviz", "numpy")
    return {name: version(name) for name in packages}
