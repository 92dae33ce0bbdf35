"""What one law would mix unnoticed: sweeps that are not reduced, and groups that were not named."""

import warnings

import numpy as np
import pandas as pd
import pytest

import scalebayes as sb


def _table(**columns):
    N = np.repeat(np.geomspace(1e8, 1e10, 5), 4)
    return pd.DataFrame({"N": N, "loss": 1.8 + 60 * N**-0.25} | columns)


def test_a_sweep_is_named_with_what_reduces_it(recwarn):
    rates = np.tile([1e-4, 3e-4, 1e-3, 3e-3], 5)
    table = _table(learning_rate=rates).assign(loss=lambda t: t["loss"] + 0.02 * np.log(rates / 5e-4) ** 2)
    said = "runs with the same N differ in 'learning_rate': a sweep that is not reduced"
    with pytest.warns(sb.RunsWarning, match=said):
        sb.read_runs(table, inputs={"N": "N"})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        runs = sb.read_runs(table, inputs={"N": "N", "lr": "learning_rate"})
        assert len(sb.best_of(runs, "lr")) == 5
        # One rate per size is no sweep, nor are seeds at one rate.
        sb.read_runs(table.iloc[::4].assign(learning_rate=[1e-3, 8e-4, 6e-4, 4e-4, 3e-4]), inputs={"N": "N"})
        noisy = table.assign(learning_rate=1e-3, loss=table["loss"] + np.arange(20) * 1e-4)
        sb.read_runs(noisy, inputs={"N": "N"})


def test_a_forgotten_group_is_named():
    rng = np.random.default_rng(0)
    arch = np.tile(["dense", "sparse"], 10)
    noise = np.exp(0.003 * rng.normal(size=20))
    table = _table(arch=arch).assign(loss=lambda t: t["loss"] * np.where(arch == "dense", 1.02, 1.0) * noise)
    said = "column 'arch' (dense, sparse) was not named, and its 2 levels lie on different curves"
    with pytest.warns(sb.RunsWarning) as warned:
        sb.read_runs(table, inputs={"N": "N"})
    assert said in str(warned[0].message)
    assert "group='arch' fits each" in str(warned[0].message)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sb.read_runs(table, inputs={"N": "N"}, group="arch")
        same = table.assign(loss=1.8 + 60 * table["N"] ** -0.25 * noise)
        sb.read_runs(same, inputs={"N": "N"})  # levels that do not differ


def test_a_name_of_a_size_is_no_group():
    # The four levels lie on curves of their own only as every size does.
    N = np.repeat([1e8, 3e8, 6e8, 1.2e9], 5)
    loss = 1.8 + 60 * N**-0.25 + np.repeat([0.02, -0.02, -0.02, 0.02], 5) + 1e-4 * np.tile(np.arange(5), 4)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sb.read_runs(pd.DataFrame({"N": N, "size": np.repeat(["100m", "300m", "600m", "1b"], 5), "loss": loss}))


def test_levels_that_do_not_differ_are_seldom_called_groups():
    # 400 tables of noise: at a p-value of 1e-4 more than two would have a probability of 1e-5.
    rng, found = np.random.default_rng(1), 0
    table = _table(arch=np.tile(["a", "b"], 10))
    for _ in range(400):
        noisy = table.assign(loss=table["loss"] * np.exp(0.01 * rng.normal(size=20)))
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            sb.read_runs(noisy, inputs={"N": "N"})
        found += len(said)
    assert found <= 2
