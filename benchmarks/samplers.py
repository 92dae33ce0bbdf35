"""One method on one case in this process: ``python benchmarks/samplers.py CASE METHOD`` prints one line of JSON.

The first call of a process is cold, the following ones are warm. Imports count in neither.
"""

from __future__ import annotations

import argparse
import json
import logging
import resource
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from statistics import median

import numpy as np
import xarray as xr
from by_hand import in_numpyro, in_pymc
from cases import CASES, Case, named
from least_squares import refits

import scalebayes as sb

CHAINS, CORES = 4, 2


@dataclass(frozen=True, eq=False)
class Draws:
    """What a call returns.

    Parameters
    ----------
    posterior : xarray.Dataset or None
        None for what is no posterior: independent refits.
    count : int
        Draws kept, over all chains.
    gradients : float
        Gradient evaluations while these were drawn, warm-up left out.
    divergences : int
    sampling : float or None
        Seconds of warm-up and draws alone; None if that is the whole of a warm call.
    """

    posterior: xr.Dataset | None
    count: int
    gradients: float
    divergences: int
    sampling: float | None


@dataclass(frozen=True)
class Method:
    """How a case is sampled.

    Parameters
    ----------
    prepare : Callable
        From a case and the draws per chain to the function of a seed whose calls are timed.
    imports : tuple of str
        Loaded before the clock starts.
    """

    prepare: Callable[[Case, int], Callable[[int], Draws]]
    imports: tuple[str, ...]


def with_scalebayes(case: Case, draws: int) -> Callable[[int], Draws]:
    """The package at its defaults."""

    def call(seed: int) -> Draws:
        fit = sb.fit(case.law, case.runs, **case.arguments, draws=draws, chains=CHAINS, seed=seed, progress=False)
        return from_stats(fit.posterior, fit.idata["sample_stats"], None)

    return call


def with_pymc(case: Case, draws: int, centred: bool, sampler: str) -> Callable[[int], Draws]:
    """PyMC by hand, each call from model to draws as in a user's script; 1000 draws follow PyMC's 1000 of tuning."""
    import pymc as pm

    def call(seed: int) -> Draws:
        with in_pymc(case, centred):
            tree = pm.sample(
                draws, tune=draws, chains=CHAINS, cores=CORES, random_seed=seed, nuts_sampler=sampler, progressbar=False
            )
        sampling = float(tree["posterior"].attrs["sampling_time"])
        return from_stats(tree["posterior"].to_dataset(), tree["sample_stats"], sampling)

    return call


def from_stats(posterior: xr.Dataset, stats: xr.DataTree, sampling: float | None) -> Draws:
    """Draws with the statistics by ArviZ's names."""
    steps, diverging = stats["n_steps"].to_numpy(), stats["diverging"].to_numpy()
    return Draws(posterior, steps.size, float(steps.sum()), int(diverging.sum()), sampling)


def with_numpyro(case: Case, draws: int, centred: bool) -> Callable[[int], Draws]:
    """NumPyro by hand, all chains in one program. It compiles its loop at every run, also with the same MCMC object."""
    import jax
    import numpyro
    from numpyro.infer import MCMC, NUTS, init_to_median

    numpyro.enable_x64()
    model, arguments = in_numpyro(case, centred)
    # Starts at random, its default, overflow in some groups and end in an error.
    kernel = NUTS(model, init_strategy=init_to_median)
    mcmc = MCMC(
        kernel,
        num_warmup=draws,
        num_samples=draws,
        num_chains=CHAINS,
        chain_method="vectorized",
        progress_bar=False,
        jit_model_args=True,
    )
    compiling: list[float] = []
    jax.monitoring.register_event_duration_secs_listener(partial(note_compilation, compiling))

    def call(seed: int) -> Draws:
        compiling.clear()
        start = time.perf_counter()
        mcmc.run(jax.random.key(seed), *arguments, extra_fields=("num_steps", "diverging"))
        values = {name: np.asarray(value) for name, value in mcmc.get_samples(group_by_chain=True).items()}
        sampling = time.perf_counter() - start - sum(compiling)
        fields = mcmc.get_extra_fields(group_by_chain=True)
        variables = {
            name: (("chain", "draw", *(f"{name}_{i}" for i in range(value.ndim - 2))), value)
            for name, value in values.items()
        }
        steps = np.asarray(fields["num_steps"])
        diverging = int(np.asarray(fields["diverging"]).sum())
        return Draws(xr.Dataset(variables), steps.size, float(steps.sum()), diverging, sampling)

    return call


def note_compilation(compiling: list[float], event: str, seconds: float, **_: object) -> None:
    """Keep the seconds that JAX reports of compilations; tracing is left out, as its reports overlap."""
    if event.endswith(("/jaxpr_to_mlir_module_duration", "/backend_compile_duration")):
        compiling.append(seconds)


def with_least_squares(case: Case, draws: int) -> Callable[[int], Draws]:
    """As many bootstrap refits as the others draw over all chains; one refit of every group is one effective draw."""

    def call(seed: int) -> Draws:
        return Draws(None, len(refits(case, CHAINS * draws, seed)), np.nan, 0, None)

    return call


# The centred ones differ from the others only for groups.
METHODS = {
    "scalebayes": Method(with_scalebayes, ("pymc", "jax")),
    "pymc": Method(partial(with_pymc, centred=False, sampler="pymc"), ("pymc",)),
    "pymc_centred": Method(partial(with_pymc, centred=True, sampler="pymc"), ("pymc",)),
    "nutpie": Method(partial(with_pymc, centred=False, sampler="nutpie"), ("pymc", "nutpie")),
    "nutpie_centred": Method(partial(with_pymc, centred=True, sampler="nutpie"), ("pymc", "nutpie")),
    "numpyro": Method(partial(with_numpyro, centred=False), ("jax", "numpyro")),
    "numpyro_centred": Method(partial(with_numpyro, centred=True), ("jax", "numpyro")),
    "least_squares": Method(with_least_squares, ()),
}


def measure(case: Case, method: str, draws: int, repeats: int) -> dict[str, float | str | None]:
    """One cold call and some warm ones, as flat numbers: medians of the warm calls, or the worst where small is good.

    Parameters
    ----------
    case : Case
    method : str
    draws, repeats : int
        Draws per chain, and warm calls.

    Returns
    -------
    dict
        ``seconds_warm`` is a whole call as a user meets it, from model to draws: scalebayes has compiled before, models
        by hand compile again. ``seconds_sampling`` leaves compilation out.
    """
    for module in ("arviz_stats", *METHODS[method].imports):
        import_module(module)
    call = METHODS[method].prepare(case, draws)
    cold, _ = timed(call, 0)
    warm = [one_call(call, seed, case.keys) for seed in range(1, repeats + 1)]
    seconds = median(row["seconds"] for row in warm)
    middle = {name: median(row[name] for row in warm) for name in ("sampling", "ess", "rate", "steps", "per_effective")}
    row = {
        "case": case.name,
        "method": method,
        "draws": warm[0]["draws"],
        "seconds_cold": cold,
        "seconds_warm": seconds,
        "seconds_compile": cold - seconds,
        "seconds_sampling": middle["sampling"],
        "min_ess": middle["ess"],
        "ess_per_second_warm": middle["rate"],
        "steps_per_draw": middle["steps"],
        "gradients_per_effective_draw": middle["per_effective"],
        "divergences": max(row["divergences"] for row in warm),
        "max_r_hat": max(row["r_hat"] for row in warm),
        "peak_mib": peak_mib(),
    }
    return {name: None if isinstance(value, float) and np.isnan(value) else value for name, value in row.items()}


def one_call(call: Callable[[int], Draws], seed: int, keys: tuple[str, ...]) -> dict[str, float]:
    """The numbers of one call."""
    seconds, found = timed(call, seed)
    ess, r_hat = float(found.count), np.nan
    if found.posterior is not None:
        ess, r_hat = worst(found.posterior, keys)
    return {
        "seconds": seconds,
        "sampling": seconds if found.sampling is None else found.sampling,
        "draws": found.count,
        "ess": ess,
        "rate": ess / seconds,
        "steps": found.gradients / found.count,
        "per_effective": found.gradients / ess,
        "divergences": found.divergences,
        "r_hat": r_hat,
    }


def timed(call: Callable[[int], Draws], seed: int) -> tuple[float, Draws]:
    """Wall seconds of a call, and its result."""
    start = time.perf_counter()
    found = call(seed)
    return time.perf_counter() - start, found


def worst(posterior: xr.Dataset, keys: tuple[str, ...]) -> tuple[float, float]:
    """The smallest bulk effective sample size and the largest r-hat of the parameters that count."""
    from arviz_stats import ess, rhat

    chosen = posterior[list(keys)]
    sizes, r_hats = ess(chosen), rhat(chosen)
    return min(float(sizes[name].min()) for name in keys), max(float(r_hats[name].max()) for name in keys)


def peak_mib() -> float:
    """The most memory that this process, or the largest of its children, has held."""
    usage = [resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return max(usage) / (1024**2 if sys.platform == "darwin" else 1024)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("case", choices=CASES)
    parser.add_argument("method", choices=METHODS)
    parser.add_argument("--draws", type=int, default=1000, help="per chain, of 4")
    parser.add_argument("--repeats", type=int, default=1, help="warm calls")
    arguments = parser.parse_args()
    # The numbers show the quality of the draws.
    warnings.simplefilter("ignore")
    logging.getLogger("pymc").setLevel(logging.ERROR)
    print(json.dumps(measure(named(arguments.case), arguments.method, arguments.draws, arguments.repeats)))


if __name__ == "__main__":
    main()
