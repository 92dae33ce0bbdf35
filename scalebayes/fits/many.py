"""Many fits at once: models of one shape in one batch, batches on any executor, fits written as they finish."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from pickle import PicklingError

import numpy as np
import pandas as pd
import xarray as xr

from scalebayes.arguments import check_seed, quoted
from scalebayes.fits.fit import Fit
from scalebayes.fits.sampling import assemble, checked_prior
from scalebayes.fits.sweeps import done_in, failed, open_folder, read_fit, write_fit
from scalebayes.inference.caching import compilation_cache
from scalebayes.inference.diagnostics import ConvergenceWarning
from scalebayes.inference.settings import Settings
from scalebayes.model import Model
from scalebayes.model.structure import Structure
from scalebayes.notebook import shown
from scalebayes.numerics.padding import padded_size
from scalebayes.numerics.precision import check_not_forked

WIDTH = 8  # tables in a batch
FEW = 8 * WIDTH  # up to so many tables are not worth a compilation of their own
SMALL = 64  # up to so many runs, padding a table hardly lengthens a step


@dataclass(frozen=True, eq=False, repr=False)
class Fleet(Mapping[str, Fit]):
    """A mapping of many fits by name: ``fleet[name]`` is a `Fit`, read from its file if there is a folder.

    Parameters
    ----------
    table : pandas.DataFrame
        A row per fit, index ``name``: ``converged`` (also False for a failed fit), ``divergences``, ``max_r_hat``,
        ``min_ess_bulk``, ``min_ess_tail``, ``problem`` (why it failed or has not converged, else empty).
    folder : Path or None
        The folder of the fits; None if they are kept in memory.
    """

    table: pd.DataFrame
    folder: Path | None
    _models: Mapping[str, Model]
    _fits: Mapping[str, Fit]

    def __len__(self) -> int:
        return len(self.table)

    def __iter__(self) -> Iterator[str]:
        return iter(self.table.index)

    def __getitem__(self, name: str) -> Fit:
        if name not in self.table.index:
            raise KeyError(f"there is no fit called {name!r}; there are {', '.join(map(repr, list(self)[:5]))}, ...")
        row = self.table.loc[name].to_dict()
        if failed(row):
            raise KeyError(f"the fit of {name!r} failed: {row['problem']}")
        if self.folder is None:
            return self._fits[name]
        return read_fit(self.folder, name, self._models[name])

    def _repr_html_(self) -> str:
        return shown(repr(self), self.table)

    def __repr__(self) -> str:
        failed = int(self.table["max_r_hat"].isna().sum())
        bad = int((~self.table["converged"]).sum()) - failed
        where = f" in {self.folder}" if self.folder else ""
        return f"Fleet of {len(self)} fits{where}: {len(self) - failed - bad} converged, {bad} not, {failed} failed"


def fit_many(
    models: Mapping[str, Model] | Sequence[Model],
    *,
    folder: str | os.PathLike | None = None,
    executor: Executor | None = None,
    draws: int | None = Settings.draws,
    chains: int = Settings.chains,
    warmup: int | None = Settings.warmup,
    target_accept: float | None = Settings.target_accept,
    ess: int | None = Settings.ess,
    max_draws: int | None = Settings.max_draws,
    seed: int = 0,
    progress: bool | None = None,
) -> Fleet:
    """Sample the posteriors of many models, for example of many tables, laws, priors or simulated tables.

    Models that differ only in their numbers are sampled together, eight in a batch. A model that needs more draws than
    the others continues until it has them. A model that fails is recorded, and the others continue. With a ``folder``,
    every fit is written there as soon as it is done, whole or not at all. A second call with the same models and
    settings fits only those that are missing or failed; its numbers are those of an uninterrupted call.

    Parameters
    ----------
    models : mapping of str to Model, or sequence of Model
        The models by name; in a sequence the names are ``"0"``, ``"1"``, ...
    folder : path, optional
        Folder for the fits, made if missing; only one sweep may use it at a time. Without it the fits are kept in
        memory.
    executor : concurrent.futures.Executor, optional
        What runs the batches: a pool of processes that are spawned
        (``ProcessPoolExecutor(mp_context=multiprocessing.get_context("spawn"))``; JAX cannot compute in forked ones),
        or ``dask.distributed.Client(...).get_executor()`` for a cluster, whose processes need no access to the folder.
        It is not shut down. By default a thread for each processor.
    draws, chains, warmup, target_accept, ess, max_draws
        See `sample`.
    seed : int
        Each fit derives its own seed from this one and from its position among the models.
    progress : bool, optional
        Whether to show a progress bar; by default only on a terminal.

    Returns
    -------
    Fleet

    Raises
    ------
    TypeError, ValueError
        If there are no models, a setting is out of range, the folder holds something else, or a model cannot be sent to
        the executor's processes.
    OSError
        If a fit cannot be written; fits written before stay.
    RuntimeError
        If the executor dies, or its processes are forked; fits written before stay.

    Warns
    -----
    ConvergenceWarning
        Once, if any fits failed or have not converged.
    UserWarning
        If files in the folder are not those that were written there: these fits are made again.

    Examples
    --------
    >>> import scalebayes as sb
    >>> table = sb.pile_families()
    >>> models = {
    ...     family: sb.Model(
    ...         sb.laws.power, sb.read_runs(rows, inputs={"C": "flops"}, response="loss"), discrepancy=None
    ...     )
    ...     for family, rows in table.groupby("family")
    ... }
    >>> fleet = sb.fit_many(models, draws=500)
    >>> list(fleet), fleet.table["problem"].tolist()
    (['Cerebras-GPT', 'Cerebras-GPT-muP', 'Pythia'], ['', '', ''])
    """
    settings = Settings(draws, chains, warmup, target_accept, ess, max_draws)
    check_seed(seed)
    named = _named(models)
    path = Path(folder) if folder is not None else None
    rows: dict[str, dict] = {}
    if path is not None:
        open_folder(path, named, settings, seed)
        rows = done_in(path, named)
    fits: dict[str, Fit] = {}

    def keep(name: str, result: Fit | str) -> None:
        rows[name] = _row(result)
        try:
            if path is not None:
                write_fit(path, name, result, rows[name])
            elif isinstance(result, Fit):
                fits[name] = result
        except OSError as error:
            del rows[name]
            raise OSError(
                f"{error} {len(rows)} of {len(named)} fits are whole in {str(path)!r}: mend this, and call again with "
                "the same folder to go on."
            ) from error

    batches = [batch for batch in _batches(named, seed) if any(name not in rows for name in batch.names)]
    # The cache is opened here, around all threads: if one of them closed it, it would be closed for all.
    with compilation_cache(), _progress(progress, len(named), len(rows)) as tick, _running(executor) as pool:
        waiting: dict[Future, _Batch] = {}
        try:
            for batch in batches:
                todo = [name not in rows for name in batch.names]
                waiting[pool.submit(_fit_batch, batch, todo, settings)] = batch
            for future in as_completed(waiting):
                for name, result in zip(waiting[future].names, future.result(), strict=False):
                    if result is not None and name not in rows:
                        keep(name, result)
                        tick()
        except (PicklingError, AttributeError, TypeError) as error:
            if "pickle" not in str(error):
                raise
            raise TypeError(
                f"a model cannot be sent to another process ({error}): its law, observation or cost is defined within "
                "a function. Define it at the top of a module, or fit on threads, which is the default."
            ) from None
        except BrokenExecutor as error:
            kept = f"are whole in {str(path)!r}; call again with the same folder" if path else "were done, and are lost"
            raise RuntimeError(
                f"the executor died ({error or type(error).__name__}): {len(rows)} of {len(named)} fits {kept}."
            ) from error
        finally:
            for future in waiting:
                future.cancel()
    columns = ["converged", "divergences", "max_r_hat", "min_ess_bulk", "min_ess_tail", "problem"]
    table = pd.DataFrame([rows[name] for name in named], index=pd.Index(list(named), name="name"), columns=columns)
    bad = table.index[~table["converged"]]
    if len(bad):
        first = "; ".join(f"{name}: {table.loc[name, 'problem']}" for name in bad[:3])
        warnings.warn(
            f"{len(bad)} of {len(table)} fits failed or have not converged ({first}{'; ...' if len(bad) > 3 else ''}). "
            "See the table of the fleet.",
            ConvergenceWarning,
            stacklevel=2,
        )
    return Fleet(table, path, named, fits)


@dataclass(frozen=True, eq=False)
class _Batch:
    """Models of one structure with their seeds; the last one is repeated to pad the batch."""

    names: tuple[str, ...]
    models: tuple[Model, ...]
    seeds: tuple[int, ...]
    size: int


def _named(models: Mapping[str, Model] | Sequence[Model]) -> dict[str, Model]:
    pairs = models.items() if isinstance(models, Mapping) else ((str(i), m) for i, m in enumerate(models))
    named = dict(pairs)
    for name, model in named.items():
        if not isinstance(name, str) or not isinstance(model, Model):
            raise TypeError(
                f"models are sb.Model by names that are strings, got {quoted(name)}: {type(model).__name__}."
            )
    if not named:
        raise ValueError("there are no models to fit.")
    return named


def _batches(named: Mapping[str, Model], seed: int) -> list[_Batch]:
    """Divide all models into batches, done or not: so a fit has the same slot and numbers after an interruption."""
    alike: dict[tuple, list[str]] = {}
    seeds = {name: int(np.random.SeedSequence((seed, i)).generate_state(1)[0] >> 1) for i, name in enumerate(named)}
    for name, model in named.items():
        size = padded_size(model.structure.n_runs, coarse=True)
        alike.setdefault((model.structure.kind, size), []).append(name)
    _together(alike)
    batches = []
    for (structure, size), names in alike.items():
        width = WIDTH if len(names) > WIDTH // 2 and not _by_itself(structure) else 1
        for first in range(0, len(names), width):
            chosen = names[first : first + width]
            filled = [*chosen, *[chosen[-1]] * (width - len(chosen))]
            batches.append(
                _Batch(tuple(chosen), tuple(named[n] for n in filled), tuple(seeds[n] for n in filled), size)
            )
    return batches


def _together(alike: dict[tuple, list[str]]) -> None:
    """Move the tables of a size to the next larger one, if they are few and it is at most twice as large.

    Their steps take longer, but batches are full, and fewer programs are compiled; compiling one takes as long as
    hundreds of fits. The steps of larger tables take time in proportion to their runs: these move only if they are at
    most half a batch. The largest sizes come first, so that each table moves once.
    """
    for structure, size in sorted(alike, key=lambda of: -of[1]):
        larger = min((to for other, to in alike if other == structure and to > size), default=np.inf)
        few = FEW if larger <= SMALL else WIDTH // 2
        if len(alike[structure, size]) <= few and larger <= 2 * size and not _by_itself(structure):
            alike[structure, larger] += alike.pop((structure, size))


def _by_itself(structure: Structure) -> bool:
    """Whether a table is better sampled alone than in a batch."""
    return any(term.alone for block in structure.blocks for term in block.terms)


def _fit_batch(batch: _Batch, todo: Sequence[bool], settings: Settings) -> list[Fit | str | None]:
    """Fit a batch, in any process: for each table a fit, the reason why it failed, or None if it is not wanted."""
    check_not_forked()  # of the whole sweep, not of each fit in it
    slots = [*todo, *[False] * (len(batch.models) - len(todo))]
    priors: dict[int, xr.Dataset] = {}
    results: list[Fit | str | None] = [None] * len(todo)
    for i in [i for i, wanted in enumerate(slots) if wanted]:
        try:
            priors[i] = checked_prior(batch.models[i], batch.seeds[i])
        except Exception as error:  # a caller's law may raise anything: it is recorded
            results[i] = _reason(error)
    good = sorted(priors)
    if not good:
        return results
    # A slot without work copies one with work, so that the others keep their positions.
    source = [i if i in priors else good[0] for i in range(len(slots))]
    try:
        found = _draw([batch.models[i] for i in source], [batch.seeds[i] for i in source], good, batch.size, settings)
    except Exception as error:  # the compiler or a caller's law may raise anything
        if len(good) == 1:
            results[good[0]] = _reason(error)
            return results
        for i in good:  # fitting one by one finds which of them failed
            only = [j == i for j in range(len(todo))]
            results[i] = _fit_batch(batch, only, settings)[i]
        return results
    for i in good:
        results[i] = assemble(batch.models[i], found[i], priors[i], settings, batch.seeds[i])
    return results


def _draw(models: list[Model], seeds: list[int], wanted: list[int], size: int, settings: Settings) -> dict:
    from scalebayes.fits.preparing import prepare
    from scalebayes.inference.sampling import sample

    with compilation_cache():
        ready = [prepare(model, size) for model in models]
        return sample(
            ready[0].source,
            [r.numbers for r in ready],
            initial=[r.initial for r in ready],
            seeds=seeds,
            settings=settings,
            report=lambda stage, made, total: None,
            wanted=wanted,
        )


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def _row(result: Fit | str) -> dict:
    if isinstance(result, str):
        numbers = {"divergences": 0, "max_r_hat": np.nan, "min_ess_bulk": np.nan, "min_ess_tail": np.nan}
        return {"converged": False, **numbers, "problem": result}
    found = result.diagnostics
    numbers = {
        "divergences": found.divergences,
        "max_r_hat": found.max_r_hat,
        "min_ess_bulk": found.min_ess_bulk,
        "min_ess_tail": found.min_ess_tail,
    }
    return {"converged": not found.problems, **numbers, "problem": "; ".join(found.problems)}


@contextmanager
def _running(executor: Executor | None) -> Iterator[Executor]:
    if executor is not None:
        yield executor
        return
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        yield pool


@contextmanager
def _progress(wanted: bool | None, total: int, done: int) -> Iterator[Callable[[], None]]:
    from rich.console import Console

    console = Console(stderr=True)
    if not (console.is_terminal if wanted is None else wanted):
        yield lambda: None
        return
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (TextColumn("fits"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    # The fits of a batch end together, so the speed is averaged over all of them.
    with Progress(*columns, console=console, transient=True, speed_estimate_period=1e9) as bar:
        task = bar.add_task("fits", total=total, completed=done)
        yield lambda: bar.advance(task)
