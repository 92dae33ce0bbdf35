"""Benchmarks: scalebayes beside what a user would otherwise write by hand, on the same runs and the same posterior.

``python benchmarks/run.py`` rewrites the table in benchmarks/README.md; ``--smoke`` runs everything on its smallest
setting and writes nothing.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import time
import warnings
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd

import scalebayes as sb

HERE = Path(__file__).parent
DATA = Path(os.environ.get("SCALEBAYES_DATA", HERE.parents[1] / "shared" / "data"))
MARK = "<!-- the table below is written by make bench -->"


def chinchilla_runs():
    """240 real runs if the public tables are there, else the bundled 20."""
    columns = {"N": "n_params", "D": "n_tokens"}
    path = DATA / "chinchilla_besiroglu.csv"
    if path.is_file():
        return sb.read_runs(path, inputs=columns, response="loss", where="epoch_excluded == 0")
    return sb.read_runs(sb.pile_families(), inputs=columns, response="loss")


def smallest_ess(posterior) -> float:
    from arviz_stats import ess

    values = ess(posterior[["E", "A", "B", "alpha", "beta", "sigma", "nu"]])
    return min(float(values[name].min()) for name in values)


def with_scalebayes(runs, draws: int, repeats: int) -> list[dict]:
    """First fit of the process (compiling) and the median of the following ones."""
    rows = []
    for repeat in range(repeats + 1):
        start = time.perf_counter()
        fit = sb.fit(sb.laws.chinchilla, runs, draws=draws, seed=repeat)
        seconds = time.perf_counter() - start
        steps = float(fit.idata["sample_stats"]["n_steps"].mean())
        rows.append({"seconds": seconds, "ess": smallest_ess(fit.posterior), "steps": steps})
    warm = pd.DataFrame(rows[1:]).median().to_dict()
    return [{"what": "scalebayes, first fit of a process", **rows[0]}, {"what": "scalebayes, later fits", **warm}]


def textbook_model(runs):
    """The same posterior as a good user writes it in PyMC: logarithms of the parameters, amplitudes at the centre."""
    import pymc as pm

    model = sb.Model(sb.laws.chinchilla, runs)
    _, numbers = model.describe()
    N, D, y = runs.x("N"), runs.x("D"), np.log(runs.y)
    with pm.Model() as by_hand:
        logit = pm.Normal("E_logit", *numbers["E_prior"])
        E = pm.Deterministic("E", numbers["E_bound"] * pm.math.sigmoid(logit))
        alpha = pm.LogNormal("alpha", *numbers["alpha_prior"])
        beta = pm.LogNormal("beta", *numbers["beta_prior"])
        left = pm.math.maximum(numbers["A_typical"] - E, numbers["A_typical"] / 20)
        a = pm.LogNormal("a", *numbers["A_prior"]) * left
        b = pm.LogNormal("b", *numbers["B_prior"]) * left
        pm.Deterministic("A", a * numbers["A_reference"] ** alpha)
        pm.Deterministic("B", b * numbers["B_reference"] ** beta)
        sigma = pm.LogNormal("sigma", *numbers["sigma_prior"])
        nu = pm.Deterministic("nu", 2 + pm.Gamma("nu_above_2", *numbers["nu_prior"]))
        law = E + a * (N / numbers["A_reference"]) ** -alpha + b * (D / numbers["B_reference"]) ** -beta
        pm.StudentT("log_loss", nu=nu, mu=pm.math.log(law), sigma=sigma, observed=y)
    return by_hand


def with_pymc(runs, draws: int) -> list[dict]:
    """PyMC's own NUTS at its defaults, compilation included as the user meets it."""
    import logging

    import pymc as pm

    logging.getLogger("pymc").setLevel(logging.ERROR)
    start = time.perf_counter()
    with textbook_model(runs), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        drawn = pm.sample(draws, tune=draws, chains=4, cores=2, progressbar=False, random_seed=0, nuts_sampler="pymc")
    seconds = time.perf_counter() - start
    steps = float(drawn["sample_stats"]["n_steps"].mean())
    ess = smallest_ess(drawn["posterior"].to_dataset())
    return [{"what": "PyMC written by hand, its default NUTS", "seconds": seconds, "ess": ess, "steps": steps}]


def with_least_squares(runs, refits: int) -> list[dict]:
    """What the field does: Huber loss on log residuals by L-BFGS, refitted to bootstrap samples."""
    from scipy.optimize import minimize
    from scipy.special import huber

    N, D, y = np.log(runs.x("N")), np.log(runs.x("D")), np.log(runs.y)
    rng = np.random.default_rng(0)

    def objective(theta, rows):
        e, a, b, alpha, beta = theta
        law = np.logaddexp(np.logaddexp(a - alpha * N[rows], b - beta * D[rows]), e)
        return huber(1e-3, law - y[rows]).sum()

    start = time.perf_counter()
    first = minimize(objective, [0.6, 6.0, 7.0, 0.35, 0.35], args=(np.arange(len(y)),), method="L-BFGS-B").x
    for _ in range(refits):
        minimize(objective, first, args=(rng.integers(len(y), size=len(y)),), method="L-BFGS-B")
    seconds = time.perf_counter() - start
    what = f"least squares, {refits} bootstrap refits"
    return [{"what": what, "seconds": seconds, "ess": float(refits), "steps": np.nan}]


def table(rows: list[dict]) -> str:
    """The results as Markdown."""
    lines = ["| what | seconds | min ESS | min ESS per s | leapfrog steps per draw |", "|---|---:|---:|---:|---:|"]
    for row in rows:
        steps = "" if np.isnan(row["steps"]) else f"{row['steps']:.0f}"
        rate = row["ess"] / row["seconds"]
        lines.append(f"| {row['what']} | {row['seconds']:.2f} | {row['ess']:.0f} | {rate:.0f} | {steps} |")
    return "\n".join(lines)


def main() -> None:
    """Run all of them and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--smoke", action="store_true", help="smallest setting, nothing written")
    smoke = parser.parse_args().smoke
    runs = chinchilla_runs()
    draws, repeats, refits = (50, 1, 5) if smoke else (1000, 5, 4000)
    with warnings.catch_warnings():
        if smoke:  # fifty draws cannot converge and need not
            warnings.simplefilter("ignore", sb.ConvergenceWarning)
        rows = with_scalebayes(runs, draws, repeats) + with_pymc(runs, draws) + with_least_squares(runs, refits)
    written = table(rows)
    print(written)
    if smoke:
        return
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=HERE, capture_output=True, text=True
    ).stdout.strip()
    machine = f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()}, Python {platform.python_version()}"
    note = f"chinchilla, {len(runs)} runs, 4 chains x {draws} draws; commit {commit}; {machine}; {datetime.now(UTC):%Y-%m-%d}."
    readme = HERE / "README.md"
    kept = readme.read_text().split(MARK)[0]
    readme.write_text(f"{kept}{MARK}\n\n{note}\n\n{written}\n")


if __name__ == "__main__":
    main()
