"""Many fits at once: the same numbers however they are run, and nothing lost when a sweep dies."""

import inspect
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

import numpy as np
import pandas as pd
import pytest

import scalebayes as sb
from scalebayes.fits import many as fleets
from scalebayes.fits import sweeps
from scalebayes.fits.description import FORMAT

SETTINGS = {"draws": 200, "chains": 2, "seed": 3}
pytestmark = pytest.mark.filterwarnings(
    "ignore::scalebayes.ConvergenceWarning"
)  # there are few draws: only their numbers matter


def simulated(seed, n=30):
    rng = np.random.default_rng(seed)
    C = np.exp(rng.uniform(np.log(1e18), np.log(1e22), n))
    return pd.DataFrame({"flops": C, "loss": (1.7 + 0.8 * (C / 1e20) ** -0.2) * np.exp(0.01 * rng.normal(size=n))})


def models(n=6):
    return {f"table {i}": sb.Model(sb.laws.power, sb.read_runs(simulated(i)), discrepancy=None) for i in range(n)}


class _Now(Executor):
    """Runs every batch immediately in this thread, and dies at the batch given."""

    def __init__(self, dies_at=None):
        self.submitted, self.dies_at = 0, dies_at

    def submit(self, function, /, *args, **kwargs):
        future = Future()
        if self.submitted == self.dies_at:
            future.set_exception(BrokenProcessPool("a worker was killed"))
        else:
            try:
                future.set_result(function(*args, **kwargs))
            except BaseException as error:
                future.set_exception(error)
        self.submitted += 1
        return future


@pytest.fixture(scope="module")
def fleet():
    return sb.fit_many(models(), **SETTINGS)


def _draws(fleet):
    return {name: fleet[name].posterior["alpha"].to_numpy().tobytes() for name in fleet}


def test_a_fleet_is_its_fits_by_name(fleet):
    assert list(fleet) == [f"table {i}" for i in range(6)]
    assert len(fleet) == 6
    assert list(fleet.table.columns) == [
        "converged",
        "divergences",
        "max_r_hat",
        "min_ess_bulk",
        "min_ess_tail",
        "problem",
    ]
    fit = fleet["table 2"]
    assert fit.model.runs.y.tolist() == simulated(2)["loss"].tolist()
    assert fit.diagnostics.max_r_hat == fleet.table.loc["table 2", "max_r_hat"]
    assert fit.idata["log_likelihood"]["log_loss"].shape == (2, 200, 30)
    other = sb.fit(sb.laws.power, fit.model.runs, draws=200, seed=1, discrepancy=None)
    assert abs(float(fit.posterior["alpha"].mean()) - float(other.posterior["alpha"].mean())) < 0.02
    assert "Fleet of 6 fits" in repr(fleet)


@pytest.mark.fits
def test_numbers_do_not_depend_on_folder_executor_or_interruption(fleet, tmp_path):
    alone = _draws(fleet)
    assert _draws(sb.fit_many(models(), folder=tmp_path / "a", executor=_Now(), **SETTINGS)) == alone
    for path in [*(tmp_path / "a").glob("table%*3*"), *(tmp_path / "a").glob("table 3*")]:
        path.unlink()
    again = _Now()
    assert _draws(sb.fit_many(models(), folder=tmp_path / "a", executor=again, **SETTINGS)) == alone
    assert again.submitted == 1
    nothing = _Now()
    sb.fit_many(models(), folder=tmp_path / "a", executor=nothing, **SETTINGS)
    assert nothing.submitted == 0


@pytest.mark.fits
@pytest.mark.parametrize("discrepancy", ["drift", None])
def test_a_table_that_needs_more_gets_the_same_whatever_the_others_do(tmp_path, discrepancy):
    named = {
        str(i): sb.Model(sb.laws.power_floor, sb.read_runs(simulated(i, 12)), discrepancy=discrepancy) for i in range(6)
    }
    settings = {"ess": 1200, "seed": 3}
    whole = sb.fit_many(named, folder=tmp_path / "a", **settings)
    assert whole.table["converged"].all()
    assert (whole.table["min_ess_bulk"] > 1200).all()
    made = {name: whole[name].posterior.sizes["draw"] for name in whole}
    assert len(set(made.values())) > 2  # each has as many as it needs
    for name in ("1", "4"):
        (tmp_path / "a" / f"{name}.json").unlink()
    assert _draws(sb.fit_many(named, folder=tmp_path / "a", **settings)) == _draws(whole)


def test_tables_too_few_to_fill_a_batch_join_those_of_the_next_size(grid_runs):
    plain, departing = (
        sb.Model(sb.laws.chinchilla, grid_runs(), discrepancy=d).structure.kind for d in (None, "surface")
    )

    def joined(sizes, kind=plain):
        alike = {(kind, size): [f"{size} {i}" for i in range(n)] for size, n in sizes.items()}
        fleets._together(alike)
        return {size: len(names) for (_, size), names in alike.items()}

    assert joined({16: 4, 24: 9}) == {24: 13}
    assert joined({16: 65, 24: 5}) == {16: 65, 24: 5}  # there are enough of them
    assert joined({64: 5, 96: 5}) == {64: 5, 96: 5}  # they are too large
    assert joined({16: 1, 64: 9}) == {16: 1, 64: 9}  # the sizes are too far apart
    assert joined({16: 1, 32: 1, 64: 1, 128: 1}) == {32: 2, 128: 2}  # each moves once
    assert joined({16: 1, 24: 9}, departing) == {16: 1, 24: 9}  # these are fitted one by one anyway


def test_tables_that_join_others_are_fitted_with_them():
    lengths = [12] * 3 + [20] * 9 + [100] * 2
    named = {
        str(i): sb.Model(sb.laws.power, sb.read_runs(simulated(i, n)), discrepancy=None) for i, n in enumerate(lengths)
    }
    batches = fleets._batches(named, 0)
    assert [(batch.size, len(batch.names), len(batch.models)) for batch in batches] == [
        (24, 8, 8),
        (24, 4, 8),
        (128, 1, 1),
        (128, 1, 1),
    ]
    assert sorted(name for batch in batches for name in batch.names) == sorted(named)


@pytest.mark.fits
def test_a_failed_fit_is_recorded_and_the_rest_go_on(tmp_path):
    def law(C, *, A, alpha):
        import jax.numpy as jnp

        return A * (C / 1e20) ** -alpha + 0 * jnp.sqrt(0.7 - alpha)

    good = {"A": sb.LogNormal(1.0, 0.5), "alpha": sb.LogNormal(0.1, 0.1)}
    bad = good | {"alpha": sb.LogNormal(0.7, 0.5)}
    runs = sb.read_runs(simulated(0))
    tables = {name: sb.Model(law, runs, priors=bad if name == "c" else good, discrepancy=None) for name in "abcdef"}
    with pytest.warns(sb.ConvergenceWarning, match=r"of 6 fits failed or have not converged"):
        fleet = sb.fit_many(tables, folder=tmp_path / "sweep", **SETTINGS)
    assert fleet.table["max_r_hat"].isna().tolist() == [name == "c" for name in "abcdef"]
    assert fleet.table.loc["c", "problem"].startswith("ValueError: law gives NaN at ")
    with pytest.raises(KeyError, match="the fit of 'c' failed: ValueError: law gives NaN"):
        fleet["c"]
    assert fleet["d"].diagnostics.divergences == 0


def test_an_executor_that_dies_is_reported_and_finished_fits_stay(tmp_path):
    tables = models(3)  # fewer than half a batch: one by one
    with pytest.raises(RuntimeError) as caught:
        sb.fit_many(tables, folder=tmp_path / "sweep", executor=_Now(dies_at=2), **SETTINGS)
    done = len(list((tmp_path / "sweep").glob("*.nc")))
    assert str(caught.value) == (
        f"the executor died (a worker was killed): {done} of 3 fits are whole in {str(tmp_path / 'sweep')!r}; "
        "call again with the same folder."
    )
    again = _Now()
    sb.fit_many(tables, folder=tmp_path / "sweep", executor=again, **SETTINGS)
    assert again.submitted == 3 - done


def test_a_full_disk_stops_the_sweep_with_what_is_done_intact(tmp_path, monkeypatch):
    tables, real = models(3), sweeps.write
    saved = []

    def write(path, content):
        if path.suffix == ".nc":
            if len(saved) == 2:
                raise OSError(f"{str(path)!r} could not be written: No space left on device; nothing was left.")
            saved.append(path)
        real(path, content)

    monkeypatch.setattr(sweeps, "write", write)
    with pytest.raises(OSError, match=r"No space left on device; nothing was left\. 2 of 3 fits are whole in"):
        sb.fit_many(tables, folder=tmp_path / "sweep", executor=_Now(), **SETTINGS)
    monkeypatch.undo()
    assert len(sb.fit_many(tables, folder=tmp_path / "sweep", executor=_Now(), **SETTINGS)) == 3


def test_bad_input(tmp_path):
    with pytest.raises(ValueError, match=r"^there are no models to fit\.$"):
        sb.fit_many([])
    with pytest.raises(TypeError, match=r"^models are sb.Model by names that are strings, got '0': DataFrame\.$"):
        sb.fit_many([simulated(0)])
    with pytest.raises(ValueError, match=r"^ess is a whole number from 1 on, got 0\.$"):
        sb.fit_many(models(1), ess=0)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("")
    with pytest.raises(ValueError, match=r"is not empty and holds no sweep; name a new one\.$"):
        sb.fit_many(models(1), folder=tmp_path / "mine")
    with pytest.raises(NotADirectoryError, match="is a file; name a folder for the fits"):
        sb.fit_many(models(1), folder=tmp_path / "mine" / "thesis.txt")
    assert [p.name for p in (tmp_path / "mine").iterdir()] == ["thesis.txt"]


def test_a_folder_with_another_sweep_is_refused_with_the_difference(tmp_path):
    plan = {"format": FORMAT, "settings": {"draws": 500, "seed": 3}, "fits": {"x": "1", "table 0": "2"}}
    (tmp_path / "@sweep.json").write_text(json.dumps(plan))
    with pytest.raises(ValueError, match="holds another sweep") as caught:
        sb.fit_many(models(2), folder=tmp_path, **SETTINGS)
    message = str(caught.value)
    assert "draws 500 there and 200 here; " in message
    assert (
        "1 fit only there ('x'); 1 fit only here ('table 1'); 1 fit with other runs, priors or law ('table 0')"
        in message
    )
    assert message.endswith("Name another folder, or make the models and settings the same to go on with it.")


SWEEP = """
import warnings
import numpy as np
import pandas as pd
import scalebayes as sb
{functions}
warnings.simplefilter("ignore")
if __name__ == "__main__":
    sb.fit_many(models({n}), folder={folder!r}, draws=200, chains=2, seed=3)
    print("finished")
"""


@pytest.mark.fits
def test_a_sweep_killed_midway_goes_on_where_it_stopped(tmp_path):
    n, folder = 32, tmp_path / "sweep"
    functions = "".join(map(inspect.getsource, (simulated, models)))
    code = SWEEP.format(functions=functions, n=n, folder=str(folder))
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.DEVNULL)
    while len(list(folder.glob("table*.json"))) < n // 2:
        assert process.poll() is None
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    done = {path: path.stat().st_mtime_ns for path in folder.glob("table*.json")}
    assert n // 2 <= len(done) < n
    fleet = sb.fit_many(models(n), folder=folder, **SETTINGS)
    assert {path: path.stat().st_mtime_ns for path in done} == done
    assert all(np.isfinite(fleet[name].posterior["alpha"]).all() for name in fleet)
    assert not list(folder.glob(".*"))  # unfinished files are removed
    whole = _draws(sb.fit_many(models(n), **SETTINGS))
    assert _draws(fleet) == whole


@pytest.mark.fits
def test_files_that_are_not_those_that_were_written_are_made_again(tmp_path):
    folder, tables = tmp_path / "sweep", models(4)
    fleet = sb.fit_many(tables, folder=folder, executor=_Now(), **SETTINGS)
    whole = _draws(fleet)
    cut, other, row, gone = (folder / sweeps.fit_file(name) for name in fleet)
    cut.write_bytes(cut.read_bytes()[:-1000])
    other.write_bytes((folder / "table 2.nc").read_bytes())
    row.with_suffix(".json").write_text("{")
    gone.unlink()
    with pytest.raises(ValueError, match=r"table 0\.nc cannot be read"):
        fleet["table 0"]
    with pytest.raises(ValueError, match="holds a fit of another model than that of 'table 1'"):
        fleet["table 1"]
    with pytest.raises(FileNotFoundError, match=r"table 3\.nc"):
        fleet["table 3"]
    with pytest.warns(
        UserWarning, match=r"^the files of 4 fits in .* \('table 0', 'table 1', 'table 2', \.\.\.\): fitted"
    ):
        again = sb.fit_many(tables, folder=folder, executor=_Now(), **SETTINGS)
    assert _draws(again) == whole
    (folder / sweeps.PLAN).write_text("[1]")
    with pytest.raises(ValueError, match="is damaged"):
        sb.fit_many(tables, folder=folder, executor=_Now(), **SETTINGS)


def test_a_forked_pool_is_refused_at_once():
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("fork")) as pool, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # JAX and Python warn of forks
        with pytest.raises(RuntimeError, match="Start processes by spawn"):
            sb.fit_many(models(2), executor=pool, **SETTINGS)


@pytest.mark.fits
def test_a_spawned_pool_gives_the_same_numbers(fleet):
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        assert _draws(sb.fit_many(models(), executor=pool, **SETTINGS)) == _draws(fleet)
        runs = sb.read_runs(pd.DataFrame({"C": np.geomspace(1e18, 1e21, 6), "loss": np.geomspace(3, 2, 6)}))
        priors = {"A": sb.LogNormal(30.0, 1.0), "alpha": sb.LogNormal(0.1, 0.5)}
        local = sb.Model(_scaled(1.0), runs, priors=priors, discrepancy=None)
        with pytest.raises(TypeError, match="cannot be sent to another process"):
            sb.fit_many([local], executor=pool, **SETTINGS)


def test_names_become_files(tmp_path):
    assert sweeps.fit_file("IC/bird 10-shot") == "IC%2Fbird 10-shot.nc"
    with pytest.raises(ValueError, match="is too long for a file"):
        sb.fit_many({"x" * 300: models(1)["table 0"]}, folder=tmp_path)


def test_a_fit_may_be_called_as_the_sweep():
    assert sweeps.row_file("sweep") == "sweep.json" != sweeps.PLAN
    assert sweeps.row_file("@sweep") != sweeps.PLAN


def _scaled(k):
    def law(C, *, A, alpha):
        return k * A * C**-alpha

    return law


def test_laws_that_differ_in_what_they_were_made_with_are_not_taken_for_each_other():
    runs = sb.read_runs(pd.DataFrame({"C": np.geomspace(1e18, 1e21, 6), "loss": np.geomspace(3, 2, 6)}))
    priors = {"A": sb.LogNormal(30.0, 1.0), "alpha": sb.LogNormal(0.1, 0.5)}
    one, same, other = (
        sweeps.digest(sb.Model(_scaled(k), runs, priors=priors, discrepancy=None)) for k in (1.0, 1.0, 5.0)
    )
    assert one == same != other


def test_numbers_of_numpy_are_written_as_others_are():
    runs = sb.read_runs(pd.DataFrame({"D": np.geomspace(1e3, 1e6, 8), "loss": np.geomspace(3, 2, 8)}))
    given = {"horizon": np.int64(10), "priors": {"alpha": sb.LogNormal(np.float32(0.5), 0.5)}}
    plain = {"horizon": 10, "priors": {"alpha": sb.LogNormal(0.5, 0.5)}}
    one, other = (sb.Model(sb.laws.power_floor, runs, discrepancy="drift", **each) for each in (given, plain))
    assert sweeps.digest(one) == sweeps.digest(other)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # a cluster that loses a worker warns
def test_a_cluster_that_loses_a_worker_gives_the_same_numbers(tmp_path):
    distributed = pytest.importorskip("distributed")
    tables = models(40)
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        victim = next(iter(client.run(os.getpid).values()))
        folder = tmp_path / "sweep"
        # A daemon: where the sweep fails, nothing waits for the fits that it was to see.
        killer = threading.Thread(target=_kill_once_begun, args=(victim, folder), daemon=True)
        killer.start()
        fleet = sb.fit_many(tables, folder=folder, executor=client.get_executor(), **SETTINGS)
        killer.join()
        assert victim not in client.run(os.getpid).values()
    assert fleet.table["max_r_hat"].notna().all()
    assert _draws(fleet) == _draws(sb.fit_many(tables, **SETTINGS))


def _kill_once_begun(pid, folder):
    while len(list(folder.glob("table*.json"))) < 8:
        time.sleep(0.05)
    os.kill(pid, signal.SIGKILL)
