"""What runs cost: one place for splits, surfaces, extrapolation and next runs."""

import numpy as np
import pandas as pd
import pytest

import scalebayes as sb
from scalebayes.runs.cost import cost_at, cost_of_runs, needed_cost, order_of_runs
from scalebayes.runs.splits import masks


def _sweep():
    """Runs of several sizes, learning rates and batches."""
    rng = np.random.default_rng(0)
    N, D = np.exp(rng.uniform(np.log(1e8), np.log(1e9), 200)), np.exp(rng.uniform(np.log(1e9), np.log(1e11), 200))
    lr, b = np.exp(rng.uniform(-9, -4, 200)), np.exp(rng.uniform(3, 8, 200))
    return pd.DataFrame({"N": N, "D": D, "lr": lr, "b": b, "loss": 2 + rng.uniform(size=200)})


def test_the_largest_runs_are_those_that_cost_most_whatever_else_they_have():
    table = _sweep()
    runs = sb.read_runs(table, inputs={name: name for name in ("N", "D", "lr", "b")}, response="loss")
    held_back = ~masks(runs, None, None, [0.1])["top 0.1"]
    flops = 6 * table["N"] * table["D"]
    assert (held_back == (flops > np.quantile(flops, 0.9))).all()
    # Their product with rate and batch, which was once taken for compute, orders them otherwise.
    product = flops * table["lr"] * table["b"]
    assert (held_back & (product > np.quantile(product, 0.9))).sum() < 12


def test_a_column_or_a_function_says_what_a_run_costs():
    table = _sweep().assign(paid=lambda t: t["N"] * 1e3)
    inputs = {"N": "N", "D": "D"}
    by_column = sb.read_runs(table, inputs=inputs, response="loss", cost="paid")
    by_function = sb.read_runs(table, inputs=inputs, response="loss", cost=lambda N, D: 2 * N * D)
    np.testing.assert_allclose(cost_of_runs(by_column), table["paid"])
    np.testing.assert_allclose(cost_of_runs(by_function), 2 * table["N"] * table["D"])
    assert cost_at(by_column, {"N": np.ones(1), "D": np.ones(1)}) is None
    assert cost_at(by_function, {"N": np.ones(1), "D": np.ones(1)}).tolist() == [2.0]


def test_an_unknown_cost_is_asked_for(refuses):
    table = _sweep()
    runs = sb.read_runs(table, inputs={"lr": "lr", "b": "b"}, response="loss")
    runs = sb.Model(lambda lr, b, *, A: A + 0 * lr * b, runs, priors={"A": sb.LogNormal(2, 1)}, discrepancy=None).runs
    message = "what a run of lr, b costs is not known: name a column or a function of the inputs, read_runs(..., cost='flops')."
    with refuses(ValueError, message):
        order_of_runs(runs)
    wrong = sb.read_runs(table, inputs={"N": "N", "D": "D"}, response="loss", cost=lambda n: n)
    with refuses(ValueError, "the cost is a function of inputs by their names, N, D; the one given takes n."):
        needed_cost(wrong)


def test_a_forecast_says_how_far_it_goes_in_compute(point_fit):
    found = sb.forecast(point_fit, at={"N": 1e11, "D": 2e11})
    assert found.table["extrapolation"].item() == pytest.approx(10.0)
    largest = (6 * point_fit.model.runs.x("N") * point_fit.model.runs.x("D")).max()
    assert found.table["extrapolation_cost"].item() == pytest.approx(6e11 * 2e11 / largest)
    assert "in compute" in str(found)
