"""Fits in files: a loaded fit equals the saved one, and no file is left half written."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import scalebayes as sb
from scalebayes.fits.netcdf import netcdf, read_netcdf, seal_of
from scalebayes.fits.storage import _law


def test_saved_fit_forecasts_identically_in_a_new_process(pile_fit, fit_file):
    script = (
        "import sys, json, scalebayes as sb\n"
        "table = sb.forecast(sb.load(sys.argv[1]), at={'C': [1e23, 1e24]}, seed=3).table\n"
        "print(table.to_json(double_precision=15))"
    )
    printed = subprocess.run([sys.executable, "-c", script, fit_file], capture_output=True, text=True, check=True)
    here = sb.forecast(pile_fit, at={"C": [1e23, 1e24]}, seed=3).table
    assert json.loads(printed.stdout) == json.loads(here.to_json(double_precision=15))


def test_loaded_fit_keeps_everything(pile_fit, fit_file):
    loaded = sb.load(fit_file)
    assert repr(loaded) == repr(pile_fit)
    assert loaded.model.priors == pile_fit.model.priors
    assert loaded.model.observation == pile_fit.model.observation
    assert loaded.model.runs.digest == pile_fit.model.runs.digest
    assert loaded.idata.attrs["seed"] == 1
    assert list(loaded.posterior["alpha"].coords["family"].values) == list(pile_fit.model.runs.levels)
    np.testing.assert_array_equal(loaded.idata["log_likelihood"]["run"], pile_fit.idata["log_likelihood"]["run"])


def test_failed_save_leaves_the_old_file(pile_fit, tmp_path, monkeypatch):
    path = tmp_path / "fit.nc"
    path.write_bytes(b"old")
    with pytest.raises(FileExistsError, match="exists"):
        pile_fit.save(path)

    def fails(handle):
        raise OSError("disk full")

    monkeypatch.setattr("scalebayes.files.os.fsync", fails)
    with pytest.raises(OSError, match="disk full"):
        pile_fit.save(path, overwrite=True)
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["fit.nc"]


@pytest.mark.fits
def test_several_group_columns_survive_saving(tmp_path):
    table = sb.pile_families().assign(lab=lambda t: np.where(t["family"] == "Pythia", "Eleuther", "Cerebras"))
    runs = sb.read_runs(table, inputs={"C": "flops"}, response="loss", group=["lab", "family"])
    fit = sb.fit(sb.laws.power_floor, runs, discrepancy=None)
    fit.save(tmp_path / "fit.nc")
    points = table[["flops", "lab", "family"]].tail(2)
    before, after = sb.forecast(fit, at=points).table, sb.forecast(sb.load(tmp_path / "fit.nc"), at=points).table
    assert len(before) == 2
    assert before.equals(after)


@pytest.mark.fits
@pytest.mark.filterwarnings("ignore::scalebayes.ConvergenceWarning")
def test_a_mixture_is_stored_by_what_it_is_made_of(tmp_path):
    p = np.array([[0.1, 0.9], [0.5, 0.5], [0.8, 0.2], [0.3, 0.7], [0.6, 0.4]])
    table = pd.DataFrame({"web": p[:, 0], "code": p[:, 1], "loss": 2 + np.exp(-0.5 * p[:, 0])})
    runs = sb.read_runs(table, inputs={"r": ["web", "code"]}, response="loss")
    law = sb.laws.data_mixing(["web", "code"])
    fit = sb.sample(sb.Model(law, runs), draws=50, seed=0)
    fit.save(tmp_path / "fit.nc")
    with pytest.raises(ValueError, match="data_mixing"):
        sb.load(tmp_path / "fit.nc")
    again = sb.load(tmp_path / "fit.nc", law=sb.laws.data_mixing(["web", "code"]))
    assert again.model.law.parameters == ("c", "k", "t_web", "t_code")
    with pytest.raises((ValueError, TypeError), match="data_mixing"):
        sb.load(tmp_path / "fit.nc", law=sb.laws.data_mixing(["web", "text"]))


def test_a_file_that_was_changed_is_refused(fit_file, tmp_path):
    """One draw, one loss, one label or one word: none gives another number without a word, also with a new seal."""
    import h5py

    def changed(edit):
        path = tmp_path / "changed.nc"
        path.write_bytes(Path(fit_file).read_bytes())
        with h5py.File(path, "r+") as file:
            edit(file)
        for _ in range(2):
            with pytest.raises(ValueError, match=r"changed\.nc was damaged or changed after it was written"):
                sb.load(path)
            path.write_bytes(path.read_bytes() + seal_of(path.read_bytes()))

    def draw(file):
        file["posterior/alpha"][0, 0, 0] += 1e-12

    def loss(file):
        file["constant_data/response"][0] *= 2

    def word(file):
        file.attrs["model"] = file.attrs["model"].replace("0.25", "0.35", 1)

    def without(file):
        del file.attrs["content_digest"]

    for edit in (draw, loss, word, without):
        changed(edit)
    assert sb.load(fit_file).idata.attrs.get("content_digest") is None


def test_other_readers_of_the_format_see_no_seal(fit_file):
    tree = xr.open_datatree(fit_file, engine="h5netcdf").load()
    assert tree["posterior"].to_dataset().identical(sb.load(fit_file).posterior)


def test_a_file_of_an_older_format_says_so(fit_file, tmp_path):
    import h5py

    path = tmp_path / "older.nc"
    path.write_bytes(Path(fit_file).read_bytes()[: -len(seal_of(b""))])
    with h5py.File(path, "r+") as file:
        file.attrs["format_version"] = 5
    with pytest.raises(ValueError, match=r"older\.nc is in format 5, of an older scalebayes"):
        sb.load(path)


def test_a_dimension_without_labels_takes_no_room(tmp_path):
    tree = xr.DataTree.from_dict({"posterior": xr.Dataset({"rates": ("step", np.linspace(0.0, 1.0, 5000))})})
    (tmp_path / "long.nc").write_bytes(netcdf(tree))
    assert read_netcdf(tmp_path / "long.nc")["posterior"].to_dataset().identical(tree["posterior"].to_dataset())


def test_the_column_of_runs_is_known_after_loading(fit_file, pile_fit):
    loaded = sb.load(fit_file).model.runs
    assert loaded.run == pile_fit.model.runs.run == "model"
    assert loaded.labels.tolist() == pile_fit.model.runs.labels.tolist()


def test_a_function_whose_source_cannot_be_read_is_known_by_its_name(monkeypatch):
    monkeypatch.setattr("scalebayes.fits.storage.digest_of", lambda function: "")
    names: dict = {}
    exec("def mine(C, *, A): return A / C\ndef other(C, *, A): return 2 * A / C", names)
    described = {"built_in": False, "law": "mine", "law_digest": "", "floor": ""}
    assert _law(described, names["mine"], "law={0}", "own.nc").name == "mine"
    with pytest.raises(ValueError, match=r"own\.nc holds a fit of mine, and the function given is called other"):
        _law(described, names["other"], "law={0}", "own.nc")
