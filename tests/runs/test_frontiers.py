"""Frontiers and the best of sweeps."""

import numpy as np
import pandas as pd
import pytest

import scalebayes as sb


def _many(groups="ab", per_group=60):
    rng = np.random.default_rng(0)
    C = np.exp(rng.uniform(np.log(1e18), np.log(1e21), per_group * len(groups)))
    excess = rng.exponential(0.1, size=len(C))
    table = pd.DataFrame({"flops": C, "loss": 2 + 3 * (C / 1e18) ** -0.1 + excess, "arch": np.repeat(list(groups), 60)})
    return sb.read_runs(table, inputs={"C": "flops"}, response="loss", group="arch")


def test_a_frontier_is_the_best_of_each_bin_that_no_cheaper_run_equals():
    runs = _many()
    kept = sb.frontier(runs, per_decade=4)
    assert kept.excluded == len(runs) - len(kept)
    assert "frontier along the cost, 4 bins a decade" in str(kept)
    for level in "ab":
        own = kept.table[kept.table["arch"] == level].sort_values("flops")
        assert (np.diff(own["loss"]) < 0).all()
        every = runs.table[runs.table["arch"] == level]
        for row in own.to_dict("records"):
            cheaper = every[every["flops"] < row["flops"]]["loss"]
            assert not (cheaper <= row["loss"]).any() or (row["loss"] == own["loss"].iloc[0])


def test_a_quantile_is_not_the_luckiest_run():
    runs = _many()
    best, typical = (sb.frontier(runs, per_decade=1, quantile=q).table["loss"].mean() for q in (0.0, 0.5))
    assert typical > best + 0.02


def test_what_a_frontier_refuses(refuses):
    runs = _many()
    with refuses(ValueError, "the runs have no scale 'N'; there are C, C."):
        sb.frontier(runs, axis="N")
    with refuses(ValueError, "per_decade is a positive number of bins, got 0."):
        sb.frontier(runs, per_decade=0)
    with refuses(ValueError, "quantile lies from 0 (the best run of a bin) to below 1, got 1.0."):
        sb.frontier(runs, quantile=1.0)


def _swept(noise=0.001, seed=0, drop=0.0):
    """Cells with a bowl in log rate and log batch, whose best rate falls with N; the best response is known."""
    rng = np.random.default_rng(seed)
    rows = []
    for N in np.geomspace(1e8, 3e9, 6):
        best = 3e-3 * (N / 1e8) ** -0.3
        floor = 2 + 1.5 * (N / 1e8) ** -0.2
        for lr in np.geomspace(3e-4, 1e-2, 7):
            for batch in (64, 128, 256, 512):
                z, b = np.log(lr / best), np.log(batch / 200)
                rows.append((N, lr, batch, floor, floor * np.exp(0.02 * z**2 + 0.01 * b**2 - 0.01 * z * b)))
    table = pd.DataFrame(rows, columns=["n_params", "lr", "batch", "floor", "loss"])
    table["loss"] *= np.exp(noise * rng.normal(size=len(table)))
    return table[rng.random(len(table)) >= drop]


def test_the_bowl_finds_the_best_response_and_setting_of_each_cell():
    runs = sb.read_runs(_swept(), inputs={"N": "n_params", "lr": "lr", "batch": "batch"}, response="loss")
    found = sb.best_of(runs, ["lr", "batch"])
    N = found.table["n_params"].to_numpy()
    truth = 2 + 1.5 * (N / 1e8) ** -0.2
    assert len(found) == 6
    assert (found.table["swept"] == 28).all()
    assert np.abs(np.log(found.table["loss"] / truth)).max() < 0.002
    assert np.abs(np.log(found.table["lr"] / (3e-3 * (N / 1e8) ** -0.3))).max() < 0.15
    assert np.abs(np.log(found.table["batch"] / 200)).max() < 0.3
    assert found.excluded == 6 * 27
    assert tuple(found.inputs) == ("N",)
    assert "best of a sweep of lr, batch (bowl)" in str(found)


def test_errors_of_the_bowl_hold_the_truth_and_it_is_nearer_than_the_minimum():
    z, bowl, lowest = [], [], []
    for seed in range(15):
        table = _swept(noise=0.003, seed=seed, drop=0.5)
        runs = sb.read_runs(table, inputs={"N": "n_params", "lr": "lr", "batch": "batch"}, response="loss")
        own = sb.best_of(runs, ["lr", "batch"]).table
        truth = 2 + 1.5 * (own["n_params"] / 1e8) ** -0.2
        z += ((own["loss"] - truth) / own["loss_error"]).tolist()
        bowl += np.log(own["loss"] / truth).tolist()
        lowest += np.log(table.groupby("n_params")["loss"].min().to_numpy() / np.sort(truth)[::-1]).tolist()
    rms = lambda e: np.sqrt(np.mean(np.square(e)))  # noqa: E731
    assert rms(bowl) < 0.7 * rms(lowest)
    # 90 errors: of a calibrated 95% interval fewer than 72 hold the truth with a probability below 1e-6.
    assert (np.abs(z) < 2).sum() >= 72


def test_two_values_of_a_setting_make_no_bowl():
    table = pd.DataFrame(
        {"N": [1e8] * 2 + [1e9] * 2, "lr": [1e-3, 2e-3] * 2, "loss": [3.0, 3.1, 2.5, 2.4], "set": "c4"}
    )
    runs = sb.read_runs(table, inputs={"N": "N", "lr": "lr"}, response="loss", evaluation="set")
    found = sb.best_of(runs, "lr")
    assert found.table["loss"].tolist() == pytest.approx([3.0, 2.4], rel=0.03)
    assert found.table["lr"].tolist() == pytest.approx([1e-3, 2e-3])
    assert found.evaluation == "set"


def test_higher_responses_and_negative_ones():
    table = _swept().assign(loss=lambda t: 1 / t["loss"])
    runs = sb.read_runs(table, inputs={"N": "n_params", "lr": "lr", "batch": "batch"}, response="loss", better="higher")
    found = sb.best_of(runs, ["lr", "batch"]).table
    truth = 1 / (2 + 1.5 * (found["n_params"] / 1e8) ** -0.2)
    assert found["loss"].to_numpy() == pytest.approx(truth.to_numpy(), rel=0.002)
    below = sb.read_runs(
        _swept().assign(loss=lambda t: t["loss"] - 6),
        inputs={"N": "n_params", "lr": "lr", "batch": "batch"},
        response="loss",
    )
    found = sb.best_of(below, ["lr", "batch"]).table
    assert found["loss"].to_numpy() == pytest.approx(
        2 + 1.5 * (found["n_params"] / 1e8).to_numpy() ** -0.2 - 6, abs=0.01
    )


def test_what_best_of_refuses(refuses):
    runs = sb.read_runs(_swept(), inputs={"N": "n_params", "lr": "lr", "batch": "batch"}, response="loss")
    with refuses(ValueError, "the runs have no column 'lrate' that was swept."):
        sb.best_of(runs, "lrate")
    one = sb.read_runs(
        _swept().assign(lr=1e-3), inputs={"N": "n_params", "lr": "lr", "batch": "batch"}, response="loss"
    )
    with refuses(ValueError, "column 'lr' has one value, 0.001: it was not swept."):
        sb.best_of(one, "lr")
    with refuses(ValueError, "over names settings that were swept, not the response or the group."):
        sb.best_of(runs, "loss")
    with refuses(ValueError, "how is 'bowl' or 'minimum', got 'mean'."):
        sb.best_of(runs, "lr", how="mean")


def test_a_picture_shows_all_runs_and_those_kept():
    runs = _many()
    figure = sb.plot_reduction(runs, sb.frontier(runs))
    (panel,) = figure.axes
    assert panel.get_xlabel() == "C (FLOPs)"
    drawn = [line for line in panel.get_lines() if line.get_alpha() == 0.25]
    assert sum(len(line.get_xdata()) for line in drawn) == len(runs)
