"""Fixtures of the tests and of the examples in docstrings."""

import os
import re
from pathlib import Path

import jax
import numpy as np
import pandas as pd
import pytest
import xarray as xr

import scalebayes as sb

_FOLDER = Path(os.environ.get("SCALEBAYES_DATA", Path(__file__).parents[1] / "shared" / "data"))


@pytest.fixture(scope="session")
def public_data():
    """Folder of the public tables; tests that need it are skipped where it is absent, and CI does not allow that."""
    if not _FOLDER.is_dir():
        if os.environ.get("SCALEBAYES_REQUIRE_DATA"):
            pytest.fail(f"the public tables are required, and there is no folder {_FOLDER}")
        pytest.skip("no public tables: set SCALEBAYES_DATA to their folder")
    return _FOLDER


def pytest_terminal_summary(terminalreporter):
    skipped = [r for r in terminalreporter.stats.get("skipped", []) if "no public tables" in str(r.longrepr)]
    if skipped:
        terminalreporter.write_line(f"{len(skipped)} tests skipped: they need the public tables (SCALEBAYES_DATA)")
    unopened = [r for r in terminalreporter.stats.get("skipped", []) if "no Chromium" in str(r.longrepr)]
    if unopened:
        terminalreporter.write_line(f"{len(unopened)} tests skipped: they open a page in Chromium, and there is none")


# Fits that several files share


@pytest.fixture(scope="session")
def pile_runs():
    return sb.read_runs(sb.pile_families(), inputs={"C": "flops"}, response="loss", group="family", run="model")


@pytest.fixture(scope="session")
def pile_fit(pile_runs):
    """The one real fit that tests of questions, plots and the command line share."""
    return sb.fit(sb.laws.power_floor, pile_runs, draws=500, chains=4, seed=1, discrepancy=None)


@pytest.fixture(scope="session")
def fit_file(pile_fit, tmp_path_factory):
    path = tmp_path_factory.mktemp("fits") / "pile.nc"
    pile_fit.save(path)
    return path


@pytest.fixture(scope="session")
def chinchilla_runs(public_data):
    return sb.read_runs(
        public_data / "chinchilla_besiroglu.csv",
        inputs={"N": "n_params", "D": "n_tokens"},
        response="loss",
        where="epoch_excluded == 0",
    )


@pytest.fixture(scope="session")
def chinchilla_fit(chinchilla_runs):
    return sb.fit(sb.laws.chinchilla, chinchilla_runs, draws=1000, discrepancy=None)


@pytest.fixture(scope="session")
def one_curve():
    """Makes the runs of a curve with a floor."""

    def runs(n=16, seed=0):
        D = np.geomspace(1e6, 1e9, n)
        loss = (0.4 + 30 * D**-0.3) * np.exp(0.01 * np.random.default_rng(seed).normal(size=n))
        table = pd.DataFrame({"n_tokens": D, "loss": loss})
        return sb.read_runs(table, inputs={"D": "n_tokens"}, response="loss")

    return runs


@pytest.fixture(scope="session")
def two_fits(one_curve):
    """One law fitted to one curve, with drift and without."""
    runs = one_curve()
    return [sb.fit(sb.laws.power_floor, runs, discrepancy=d, draws=500, seed=1) for d in ("drift", None)]


# Refusals


@pytest.fixture
def nothing_is_compiled():
    """Bad input is refused at once: tracing a function for JAX is an error in a test that uses this."""
    before = jax.config.jax_no_tracing
    jax.config.update("jax_no_tracing", True)
    yield
    jax.config.update("jax_no_tracing", before)


@pytest.fixture(scope="session")
def table():
    """Makes six good runs, with columns replaced or added."""

    def runs(**columns):
        good = {
            "params": [1e8, 2e8, 4e8, 8e8, 16e8, 32e8],
            "tokens": [2e9, 8e9, 4e9, 3e10, 1e10, 6e10],
            "loss": [3.6, 3.2, 3.1, 2.7, 2.6, 2.3],
        }
        return pd.DataFrame(good | columns)

    return runs


@pytest.fixture(scope="session")
def refuses():
    """Expects an error whose message is, as a whole, the one given."""

    def whole(error, message):
        return pytest.raises(error, match="^" + re.escape(message) + "$")

    return whole


@pytest.fixture
def a_fit(table):
    """Makes a fit without draws, enough for questions that are refused."""

    def of(**columns):
        group = "family" if "family" in columns else None
        return sb.Fit(
            sb.Model(sb.laws.chinchilla, sb.read_runs(table(**columns), group=group), discrepancy=None), xr.DataTree()
        )

    return of


# Posteriors made by hand


@pytest.fixture(scope="session")
def hoffmann():
    """Constants of a chinchilla law, published by Hoffmann et al. (2022)."""
    return {"E": 1.69, "A": 406.4, "B": 410.7, "alpha": 0.34, "beta": 0.28}


@pytest.fixture(scope="session")
def power_runs():
    """Makes six runs of each group along C."""

    def runs(groups="ab"):
        C = np.tile(np.geomspace(1e18, 1e21, 6), len(groups))
        table = pd.DataFrame({"flops": C, "loss": 2 + 3 * (C / 1e18) ** -0.1, "family": np.repeat(list(groups), 6)})
        return sb.read_runs(table, inputs={"C": "flops"}, response="loss", group="family")

    return runs


@pytest.fixture(scope="session")
def grid_runs(hoffmann):
    """Makes runs of each group at every combination of four N and four D, without noise."""

    def runs(groups="ab"):
        N, D = (axis.ravel() for axis in np.meshgrid(np.geomspace(1e8, 1e10, 4), np.geomspace(1e9, 1e11, 4)))
        table = pd.concat([pd.DataFrame({"N": N, "D": D, "arch": g}) for g in groups], ignore_index=True)
        table["loss"] = np.asarray(sb.laws.chinchilla(table["N"].to_numpy(), table["D"].to_numpy(), **hoffmann), float)
        return sb.read_runs(table, group="arch")

    return runs


@pytest.fixture(scope="session")
def made_fit():
    """Makes a fit whose posterior has the values given by name, and whose prior has them too unless others are given.

    A value is a number; a number for each group; a row of draws, for each group if there are groups; or a DataArray of
    draws, which keeps its dimensions. Every chain has the same, but for what a relative jitter adds to them.
    """

    def fit(model, values, *, chains=1, draws=None, jitter=0.0, prior=None):
        runs = model.runs
        levels = {runs.group_name: list(runs.levels)} if runs.group else {}

        def whole(values):
            found = {}
            for name, value in ({"sigma": 0.01, "nu": 8.0} | values).items():
                if not isinstance(value, xr.DataArray):
                    value = np.asarray(value, float)
                    dims = [*levels, "draw"][: value.ndim]
                    value = xr.DataArray(value, {dim: levels[dim] for dim in dims if dim in levels}, dims)
                found[name] = value
            return found

        posterior, before = whole(values), whole(prior or values)
        draws = draws or max(value.sizes.get("draw", 1) for value in posterior.values())
        of_draws = {"chain": range(chains), "draw": range(draws)}
        noise = np.random.default_rng(0).normal(size=(chains, draws))
        factor = xr.DataArray(1 + jitter * noise, of_draws, list(of_draws))
        tree = xr.DataTree.from_dict(
            {
                "posterior": xr.Dataset({name: factor * value for name, value in posterior.items()}),
                "prior": xr.Dataset({name: factor * value for name, value in before.items()}),
                "sample_stats": xr.Dataset({"diverging": xr.zeros_like(factor, bool)}),
            }
        )
        if not jitter:  # constants have no r-hat
            tree.attrs = {"max_r_hat": 1.0, "min_ess_bulk": 1000.0, "min_ess_tail": 1000.0}
        return sb.Fit(model, tree)

    return fit


@pytest.fixture(scope="session")
def powers(made_fit, power_runs):
    """Makes a fit of a power law to each group."""

    def fit(A, alpha, groups="ab"):
        return made_fit(sb.Model(sb.laws.power, power_runs(groups), discrepancy=None), {"A": A, "alpha": alpha})

    return fit


@pytest.fixture(scope="session")
def floors(made_fit, power_runs):
    """Makes a fit of a power law with a floor to each group."""

    def fit(E, A, alpha, groups="ab"):
        return made_fit(
            sb.Model(sb.laws.power_floor, power_runs(groups), discrepancy=None), {"E": E, "A": A, "alpha": alpha}
        )

    return fit


@pytest.fixture(scope="session")
def point_fit(made_fit, hoffmann):
    """A posterior of one point: every draw is Hoffmann's constants, without noise to speak of."""
    table = pd.DataFrame({"N": np.geomspace(1e8, 1e10, 6), "D": np.geomspace(2e10, 2e9, 6), "loss": 3.0})
    model = sb.Model(sb.laws.chinchilla, sb.read_runs(table), discrepancy=None)
    return made_fit(model, hoffmann | {"sigma": 1e-12, "nu": 30.0}, chains=2, draws=50, jitter=1e-13)


@pytest.fixture(scope="session")
def isoflop_runs(hoffmann):
    """Makes runs of seven sizes at each of three budgets, of the chinchilla law unless another response is given."""

    def runs(around=1.0, response=None, noise=0.0, span=4.0):
        C = np.repeat([1e19, 1e20, 1e21], 7)
        N = np.sqrt(C / 120) * around * np.tile(np.geomspace(1 / span, span, 7), 3)
        D = C / (6 * N)
        loss = np.asarray(sb.laws.chinchilla(N, D, **hoffmann), float) if response is None else response(N, C)
        loss = loss * np.exp(noise * np.random.default_rng(0).normal(size=len(C)))
        return sb.read_runs(pd.DataFrame({"n_params": N, "n_tokens": D, "budget": C, "loss": loss}))

    return runs


@pytest.fixture(scope="session")
def isoflop_fit(made_fit, hoffmann, isoflop_runs):
    return made_fit(sb.Model(sb.laws.chinchilla, isoflop_runs(noise=0.002), discrepancy=None), hoffmann)


# What the examples of docstrings call fit and runs: what the example of `fit` makes, or a fit of another law
_EXAMPLES = {
    "scalebayes.questions.allocate": {"fit": "point_fit"},
    "scalebayes.show.allocation": {"fit": "point_fit"},
    "scalebayes.questions.in_flight": {"fit": "scheduled_fit"},
    "scalebayes.show.in_flight": {"fit": "scheduled_fit"},
    "scalebayes.questions.isoflop": {"fit": "isoflop_fit"},
    "scalebayes.show.isoflop": {"fit": "isoflop_fit"},
    "scalebayes.questions.tune": {"fit": "swept_fit"},
    "scalebayes.show.tuning": {"fit": "swept_fit"},
    "scalebayes.questions.schedules": {"fit": "scheduled_fit"},
    "scalebayes.questions.responses": {"fit": "joint_fit"},
}


@pytest.fixture(autouse=True)
def _names_in_examples(request, doctest_namespace):
    """The shared fit under the names that examples use; no example has to make one of its own."""
    test = getattr(request.node, "dtest", None)
    source = "".join(each.source for each in test.examples) if test else ""
    if not re.search(r"\b(fit|runs)\b", source) or " = sb.read_runs(" in source or "fit = " in source:
        return
    named = _EXAMPLES.get(test.name.rpartition(".")[0], {"fit": "pile_fit"})
    doctest_namespace.update({name: request.getfixturevalue(fixture) for name, fixture in named.items()})
    doctest_namespace.update(sb=sb, runs=doctest_namespace["fit"].model.runs)


@pytest.fixture(scope="session")
def swept_fit(made_fit, hoffmann):
    """A fit of a sweep of learning rates and batches, with the constants of Li et al. (2025), Step Law."""
    axes = np.meshgrid([1e8, 3e8], [2e9, 6e9], np.geomspace(3e-4, 3e-3, 4), [2.0**17, 2.0**18, 2.0**19])
    table = pd.DataFrame(dict(zip(("N", "D", "lr", "batch"), (axis.ravel() for axis in axes), strict=True)))
    values = hoffmann | {"k": 1.79, "p": 0.713, "q": 0.307, "m": 0.58, "r": 0.571}
    values |= {"h_lr": 0.04, "h_batch": 0.02, "h_both": 0.0}
    table["loss"] = np.asarray(sb.laws.step_law(*(table[name].to_numpy() for name in table), **values), float)
    runs = sb.read_runs(table, inputs={name: name for name in ("N", "D", "lr", "batch")}, response="loss")
    return made_fit(sb.Model(sb.laws.step_law, runs), values | {"sigma": 0.001, "nu": 30.0}, draws=50)


@pytest.fixture(scope="session")
def scheduled_fit(made_fit):
    """A fit of the annealing law to one run under a cosine."""
    steps = np.arange(1, 1001)
    rates = {"cosine": 3e-4 * np.minimum(steps / 100, 1.0) * (0.55 + 0.45 * np.cos(np.pi * steps / 1000))}
    values = {"L_0": 2.6, "A": 0.3, "alpha": 0.5, "C": 0.5, "lam": 0.999}
    table = pd.DataFrame({"schedule": "cosine", "step": np.arange(200, 1001, 100), "loss": 3.0})
    runs = sb.read_runs(
        table, inputs={"eta": sb.schedule("schedule", rates, step="step")}, response="loss", run="schedule"
    )
    return made_fit(sb.Model(sb.laws.annealing, runs, discrepancy=None), values, draws=50)


@pytest.fixture(scope="session")
def joint_fit(made_fit):
    """A fit of accuracy and loss together."""
    C = np.geomspace(1e18, 1e21, 9)
    loss = 1.5 + 2.0 * (C / 1e18) ** -0.2
    table = pd.DataFrame({"flops": C, "loss": loss, "items": 500, "right": np.round(500 / (1 + np.exp(2 * loss - 5)))})
    table["accuracy"] = table["right"] / table["items"]
    runs = sb.read_runs(table, inputs={"C": "flops"}, response="accuracy", better="higher")
    law = sb.laws.composed(sb.laws.accuracy_from_loss, {"L": sb.laws.power_floor})
    model = sb.Model(
        law, runs, also={"loss": sb.laws.power_floor}, observation=sb.BetaBinomial("items"), discrepancy=None
    )
    values = {"low": 0.05, "high": 0.95, "k": 2.0, "L_mid": 2.5, "E": 1.5, "A": 2.0 * 1e18**0.2, "alpha": 0.2}
    fit = made_fit(model, values | {"concentration": 300.0, "sigma_loss": 0.01, "nu_loss": 8.0}, draws=50)
    own = {
        name: node.to_dataset().drop_vars(["sigma", "nu"], errors="ignore") for name, node in fit.idata.children.items()
    }
    tree = xr.DataTree.from_dict(own | dict.fromkeys(("log_prior", "log_likelihood"), xr.Dataset()))
    tree.attrs = dict(fit.idata.attrs)
    return sb.Fit(model, tree)
