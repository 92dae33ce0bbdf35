"""Fit: a model and its posterior. How one is made, summarised and looked at."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
import xarray as xr

from scalebayes import laws
from scalebayes.discrepancy.discrepancy import Discrepancy, word
from scalebayes.inference.caching import compilation_cache
from scalebayes.inference.diagnostics import ConvergenceWarning, Diagnostics, diagnose, r_hat_and_ess
from scalebayes.inference.settings import Settings
from scalebayes.model import Model
from scalebayes.observations.noise import Noise
from scalebayes.priors import Pooling, Prior
from scalebayes.runs.runs import Runs

if TYPE_CHECKING:
    from scalebayes.inference.sampling import Draws


@dataclass(frozen=True, eq=False, repr=False)
class Fit:
    """The posterior of a law given runs.

    Parameters
    ----------
    model : Model
        Law, runs, priors and noise.
    idata : xarray.DataTree
        ``posterior``, ``sample_stats``, ``log_likelihood``, ``observed_data``, ``constant_data``, ``prior``; ready for
        ArviZ's summaries, diagnostics and LOO. Dims ``run`` and the group's column carry the labels of the table. Attributes hold
        versions, seed, settings and a hash of the data.
    """

    model: Model
    idata: xr.DataTree

    @property
    def posterior(self) -> xr.Dataset:
        """Draws of every variable, dims (chain, draw[, group])."""
        return self.idata["posterior"].to_dataset()

    @cached_property
    def diagnostics(self) -> Diagnostics:
        """Divergences, r-hat and effective sample size."""
        return diagnose(self.idata)

    @property
    def modes(self) -> tuple[dict[str, Any], ...]:
        """Separate modes of the posterior that the search for starting points found, the heaviest first.

        Each with its ``share`` of the mass (Laplace's approximation, which is rough), its ``height`` (log density) and
        the law's parameters there, a list for those with a value per group. Empty if there is one mode.
        """
        return tuple(sorted(json.loads(self.idata.attrs.get("modes", "[]")), key=lambda mode: -mode["share"]))

    def summary(self, prob: float = 0.89) -> pd.DataFrame:
        """Mean, spread and diagnostics of every parameter: the law's in published units, spreads in logs.

        Parameters
        ----------
        prob : float
            Probability of the equal-tailed interval from ``lower`` to ``upper``.

        Returns
        -------
        pandas.DataFrame
            Columns name, group (None where all groups share the value), mean, sd, lower, upper, r_hat, ess_bulk. The
            law's parameters come first, then what derives from them, the noise, and the population of the groups.

        Raises
        ------
        ValueError
            If ``prob`` is not between 0 and 1.
        """
        check_prob(prob)
        draws = self._reported()
        r_hat, ess = r_hat_and_ess(draws)
        rows = []
        for name in draws.data_vars:
            grouped = self.model.runs.group_name in draws[name].dims
            for level in self.model.runs.levels if grouped else (None,):
                at = {} if level is None else {self.model.runs.group_name: level}
                values = draws[name].sel(at).to_numpy()
                lower, upper = np.quantile(values, [(1 - prob) / 2, (1 + prob) / 2])
                numbers = (values.mean(), values.std(ddof=1), lower, upper, r_hat[name].sel(at), ess[name].sel(at))
                rows.append((name, level, *map(float, numbers)))
        columns = ["name", "group", "mean", "sd", "lower", "upper", "r_hat", "ess_bulk"]
        # As objects, lest pandas turns None into NaN.
        return pd.DataFrame(rows, columns=columns).assign(group=pd.Series([row[1] for row in rows], dtype=object))

    def _reported(self) -> xr.Dataset:
        posterior = self.posterior
        derived = {
            name: quantity(**{needed: posterior[needed] for needed in laws.keywords(quantity)})
            for name, quantity in laws.DERIVED.get(self.model.law, {}).items()
        }
        structure = self.model.describe()[0]
        noise = [name for name in ("sigma", "nu", *structure.of_discrepancy) if name in posterior]
        pooled = [p for p in structure.parameters if p.pooling == "pooled"]
        population = [name for p in pooled for name in (p.base, *(spread for _, spread, _ in p.deviations))]
        first = posterior[list(self.model.parameters)].assign(derived)
        return first.assign(posterior[[*noise, *sorted(population)]].data_vars)

    def save(self, path: str | os.PathLike, *, overwrite: bool = False) -> None:
        """Write everything to one netCDF file.

        The file appears whole or not at all. `load` makes the fit again in another process.

        Parameters
        ----------
        path : path
        overwrite : bool
            Whether a file of that name may be replaced.

        Raises
        ------
        FileExistsError
            If there is such a file and ``overwrite`` is false.
        """
        from scalebayes.fits.storage import save

        save(self, path, overwrite)

    def __repr__(self) -> str:
        runs, attrs = self.model.runs, self.idata.attrs
        groups = f", {len(runs.levels)} groups by {runs.group_name}" if runs.group else ""
        left_out = f", {runs.excluded} rows left out ({runs.where})" if runs.excluded else ""
        draws = {name: self.posterior[name] for name in self.model.parameters}
        values = ", ".join(
            f"{name} {float(d.mean()):.4g} ± {float(d.std()):.2g}"
            for name, d in draws.items()
            if d.dims == ("chain", "draw")
        )
        values = values or "one value per group: see summary()"
        departs = f", {word(self.model.discrepancy)}" if self.model.discrepancy else ""
        modes = [
            f"  {len(self.modes)} separate modes (shares of the mass about "
            f"{', '.join(f'{mode["share"]:.2f}' for mode in self.modes)}): means and intervals mix them; see modes"
        ]
        return "\n".join(
            [
                f"Fit of {self.model.name}: {self.diagnostics}",
                f"  runs: {len(runs)} from {runs.source}{groups}{left_out}",
                *(modes if self.modes else []),
                f"  parameters: {values}",
                f"  noise: {attrs['noise_name']}{departs}; seed {attrs['seed']}; data {attrs['data_hash']}",
                f"  scalebayes {attrs['scalebayes']}, pymc {attrs['pymc']}, jax {attrs['jax']}, blackjax {attrs['blackjax']}",
            ]
        )


def fit(
    law: Callable,
    runs: Runs,
    *,
    priors: Mapping[str, Prior | Pooling] | None = None,
    pooling: Literal["shared", "pooled", "crossed", "separate"] | None = None,
    noise: Noise | Literal["student_t", "gaussian"] | None = None,
    discrepancy: Discrepancy | str | None = None,
    horizon: float | None = None,
    draws: int = 1000,
    chains: int = 4,
    warmup: int | None = None,
    target_accept: float | None = None,
    ess: int | None = None,
    max_draws: int | None = None,
    seed: int = 0,
    progress: bool | None = None,
) -> Fit:
    """Fit a law to runs: ``sample(Model(law, runs, ...), ...)``.

    Parameters
    ----------
    law : Callable
        Built in (``sb.laws.chinchilla``) or your own: inputs before ``*``, parameters after it.
    runs : Runs
        From `read_runs`.
    priors, pooling, noise, discrepancy, horizon
        See `Model`.
    draws, chains, warmup, target_accept, ess, max_draws, seed, progress
        See `sample`.

    Returns
    -------
    Fit

    Raises
    ------
    TypeError, ValueError
        If law, runs and priors do not fit each other; see `Model` and `sample`.

    Warns
    -----
    ConvergenceWarning
        If the draws do not represent the posterior well.
    """
    model = Model(
        law, runs, priors=priors or {}, pooling=pooling, noise=noise, discrepancy=discrepancy, horizon=horizon
    )
    return sample(
        model, draws=draws, chains=chains, warmup=warmup, target_accept=target_accept, ess=ess, max_draws=max_draws,
        seed=seed, progress=progress,
    )  # fmt: skip


def sample(
    model: Model,
    *,
    draws: int = 1000,
    chains: int = 4,
    warmup: int | None = None,
    target_accept: float | None = None,
    ess: int | None = None,
    max_draws: int | None = None,
    seed: int = 0,
    progress: bool | None = None,
) -> Fit:
    """Draw from a model's posterior by Hamiltonian Monte Carlo.

    In coordinates in which a posterior is nearly standard normal, trajectories of about one length are enough. Where a
    pilot or the draws show that it is not, the coordinates are made anew in a warm-up of NUTS (Hoffman and Gelman 2014,
    arXiv:1111.4246), which also draws if they are no better; ``idata.attrs["sampler"]`` says which of them drew. With 256
    coordinates or more trajectories are shorter, of steps that take two gradients; ``n_steps`` counts gradients.

    Parameters
    ----------
    model : Model
    draws, chains : int
        Draws kept of each chain, and number of chains. Chains that have not mixed by then (r-hat 1.01 or more, bulk ESS
        400 or less) go on for as long as that lacks, at most eight times as long, and ``draws`` of them are kept, evenly.
    warmup : int, optional
        Adapting steps before them, by NUTS; as many as the posterior needs if not given: 150, or 600 where whitening has to be
        improved, and more where draws that diverged, or told too little of each other, became the pilot of a better one.
    target_accept : float, optional
        Mean acceptance rate that the step size is adapted to. If not given 0.8, or 0.95 once NUTS has warmed up. At least
        0.99 after NUTS's own draws became a pilot.
    ess : int, optional
        Draw until the bulk ESS of every variable exceeds this, instead of a number of ``draws``.
    max_draws : int, optional
        Draws of each chain at which that ends; by default eight times ``draws``.
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
    """
    settings = Settings(draws, chains, warmup, target_accept, ess, max_draws)
    check_seed(seed)
    prior = checked_prior(model, seed)
    from scalebayes.fits.preparing import prepare
    from scalebayes.inference.sampling import sample as draw

    with compilation_cache():
        ready = prepare(model)
        with _progress(progress, model.name) as advanced:
            found = draw(
                ready.source, [ready.numbers], initial=[ready.initial], seeds=[seed], settings=settings,
                advanced=advanced,
            )  # fmt: skip
    result = assemble(model, found[0], prior, settings, seed)
    _warn(result, settings)
    return result


def checked_prior(model: Model, seed: int) -> xr.Dataset:
    """Draws from the prior, at which the law must be a number.

    Raises
    ------
    ValueError
        With the run and the parameters at which it is not.
    """
    from scalebayes.model.prediction import prior_parameters, undefined

    prior = prior_parameters(model, 500, seed)
    problem = undefined(model, prior)
    if problem:
        raise ValueError(problem)
    return prior


def assemble(model: Model, found: Draws, prior: xr.Dataset, settings: Settings, seed: int) -> Fit:
    """The fit of a model from what the sampler drew."""
    tree = _tree(model, found)
    tree["prior"] = xr.DataTree(prior)
    made = {
        "seed": seed,
        "sampler": found.sampler,
        "warmup": found.warmup,
        "target_accept": found.target_accept,
        "thin": found.thin,
    }
    modes = [
        {"share": mode.share, "height": mode.height, **{n: mode.values[n].tolist() for n in model.parameters}}
        for mode in found.modes
    ]
    judged = {"max_r_hat": found.max_r_hat, "min_ess_bulk": found.min_ess_bulk}
    tree.attrs = _attributes(model) | made | judged | {"modes": json.dumps(modes), "ess": settings.ess or 0}
    return Fit(model, tree)


def _warn(fit: Fit, settings: Settings) -> None:
    problems, name = fit.diagnostics.problems, fit.model.name
    if problems:
        message = (
            f"the fit of {name} has not converged: {'; '.join(problems)}. "
            "More draws or warm-up, or narrower priors, may help; do not use it as it is."
        )
    elif settings.ess and fit.diagnostics.min_ess_bulk <= settings.ess:
        message = (
            f"the fit of {name} was to reach a bulk ESS of {settings.ess}; its {fit.diagnostics.draws // settings.chains} "
            f"draws of each chain reach {fit.diagnostics.min_ess_bulk:.0f}. A larger max_draws goes on."
        )
    else:
        return
    warnings.warn(message, ConvergenceWarning, stacklevel=3)


def _tree(model: Model, found: Draws) -> xr.DataTree:
    """Draws and data under the caller's labels, in the groups that ArviZ expects."""
    runs, per_draw = model.runs, ("chain", "draw")
    grouped = (runs.group_name,) if runs.group else ()
    observed = model.describe()[0].observed
    chains, draws = found.stats["lp"].shape
    coords = {"chain": np.arange(chains), "draw": np.arange(draws), **model.coords()}
    groups: dict[str, dict] = {
        "posterior": {
            name: (per_draw + ((*grouped, "place") if name == "surface" else grouped[: value.ndim - 2]), value)
            for name, value in sorted(found.variables.items())
        },
        "sample_stats": {name: (per_draw, value) for name, value in found.stats.items()},
        # Without the copies that make up a size.
        "log_likelihood": {observed: ((*per_draw, "run"), found.log_likelihood[:, :, : len(runs)])},
        "observed_data": {observed: ("run", np.log(runs.y))},
        "constant_data": {
            **{name: ("run", runs.x(name), {"column": column}) for name, column in runs.inputs.items()},
            **{f"group_{i}": ("run", np.asarray(runs.table[c].astype(str), str)) for i, c in enumerate(runs.group)},
            "response": ("run", runs.y, {"column": runs.response}),
            **{
                role: ("run", np.asarray(runs.table[column].astype(str), str), {"column": column})
                for role, column in (("tokenizer", runs.tokenizer), ("evaluation", runs.evaluation))
                if column is not None
            },
        },
    }
    return xr.DataTree.from_dict({name: _dataset(variables, coords) for name, variables in groups.items()})


def _dataset(variables: Mapping, coords: Mapping) -> xr.Dataset:
    used = {dim for dims, *_ in variables.values() for dim in ((dims,) if isinstance(dims, str) else dims)}
    return xr.Dataset(dict(variables), coords={name: value for name, value in coords.items() if name in used})


def _attributes(model: Model) -> dict[str, str]:
    from scalebayes.fits.storage import describe_model, plain_number

    versions = _versions()
    return {
        "inference_library": "scalebayes",
        "inference_library_version": versions["scalebayes"],
        "data_hash": model.runs.digest,
        "law": model.name,
        "noise_name": type(model.noise).__name__,
        "model": json.dumps(describe_model(model), default=plain_number),
        **versions,
    }


@lru_cache(maxsize=1)  # a file is read for each
def _versions() -> dict[str, str]:
    packages = ("scalebayes", "pymc", "pytensor", "jax", "blackjax", "arviz", "numpy")
    return {name: version(name) for name in packages}


@contextmanager
def _progress(wanted: bool | None, what: str) -> Iterator[Callable[[int, int], None]]:
    from rich.console import Console

    console = Console(stderr=True)
    if not (console.is_terminal if wanted is None else wanted):
        yield lambda made, total: None
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f}%"))
    with Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=console, transient=True) as bar:
        task = bar.add_task(f"fitting {what} (compiling)", total=None)

        def advanced(made: int, total: int) -> None:
            bar.update(task, completed=made, total=total, description=f"fitting {what}")

        yield advanced


def check_prob(prob: float) -> None:
    """Refuse what is no probability of an interval."""
    if not 0 < prob < 1:
        raise ValueError(f"prob lies between 0 and 1, got {prob!r}; for 89% say 0.89.")


def check_seed(seed: int) -> None:
    """Refuse what is no seed."""
    if not isinstance(seed, int | np.integer) or seed < 0:
        raise ValueError(f"seed is a whole number from 0 on, got {seed!r}.")
