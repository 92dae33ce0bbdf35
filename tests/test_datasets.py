"""Tables that come with the package, and those that are described."""

import pandas as pd
import pytest

import scalebayes as sb

MAPPED = {
    "pile_families": {"inputs": {"C": "flops"}, "response": "loss", "group": "family"},
    "overtraining": {"inputs": {"N": "n_params", "D": "n_tokens"}, "response": "loss"},
    "few_shot_curve": {"inputs": {"D": "n_samples"}, "response": "error"},
    "hellaswag_ladder": {"inputs": {"N": "n_params", "D": "n_tokens"}, "response": "accuracy", "better": "higher"},
}


def test_every_bundled_table_is_read_as_runs():
    bundled = sb.datasets.catalogue().query("bundled")
    assert set(bundled.index) == set(MAPPED)
    for name, mapped in MAPPED.items():
        runs = sb.read_runs(sb.datasets.load(name), **mapped)
        assert len(runs) == bundled.loc[name, "rows"]


def test_accuracies_are_counts_of_items():
    table = sb.datasets.load("hellaswag_ladder")
    right = table["accuracy"] * table["items"]
    assert (right - right.round()).abs().max() < 0.01


@pytest.mark.data
def test_values_are_those_of_the_public_tables(public_data):
    theirs = pd.read_csv(public_data / "gadre_overtraining.csv").query("dataset == 'c4'")
    ours = sb.datasets.load("overtraining").merge(theirs, on=["n_params", "n_tokens"])
    assert len(ours) == 26
    assert (ours["loss_x"] - ours["loss_y"]).abs().max() <= 0.0005001
    ladder = pd.read_csv(public_data / "olmo_ladder.csv").query("task == 'hellaswag'")
    both = sb.datasets.load("hellaswag_ladder").merge(ladder, on="run")
    assert (both["accuracy_x"] - both["accuracy_last"]).abs().max() < 1e-5
    curve = pd.read_csv(public_data / "revisiting_benchmark.csv").query("curve_id == 'IC|c_10|ViT/B/16'")
    points = sb.datasets.load("few_shot_curve").merge(curve, on="n_samples")
    assert len(points) == 16
    assert (points["error"] - points["loss"]).abs().max() <= 0.00005001


@pytest.mark.data
def test_a_described_table_is_read_from_the_folder(public_data, monkeypatch):
    monkeypatch.setenv("SCALEBAYES_DATA", str(public_data))
    described = sb.datasets.catalogue().query("not bundled")
    assert {f"{name}.csv" for name in described.index} <= {path.name for path in public_data.glob("*.csv")}
    for name in ("chinchilla_besiroglu", "scalebench_mixture"):
        assert len(sb.datasets.load(name)) == described.loc[name, "rows"]


@pytest.mark.parametrize("folder", [None, "empty"])
def test_without_the_table_its_place_is_said(monkeypatch, tmp_path, folder):
    monkeypatch.delenv("SCALEBAYES_DATA", raising=False)
    if folder:
        monkeypatch.setenv("SCALEBAYES_DATA", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="Nothing is downloaded: take it from allenai/OLMo-ladder"):
        sb.datasets.load("olmo_ladder")


def test_a_near_miss_is_named():
    with pytest.raises(ValueError, match="did you mean 'overtraining'"):
        sb.datasets.load("over_training")
