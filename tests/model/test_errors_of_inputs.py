"""Inputs that are known with an error."""

import numpy as np
import pandas as pd
import pytest

import scalebayes as sb
from scalebayes.fits.preparing import prepare
from scalebayes.numerics.precision import double_precision

PRIORS = {"A": sb.LogNormal(3.0, 0.5), "alpha": sb.LogNormal(0.3, 0.5)}


def power(N, *, A, alpha):
    return A * (N / 1e8) ** -alpha


def _table(seed=0, error=0.2, runs=24):
    rng = np.random.default_rng(seed)
    n = np.geomspace(1e7, 1e9, runs)
    loss = power(n, A=3.0, alpha=0.3) * np.exp(0.002 * rng.normal(size=runs))
    return pd.DataFrame({"n": n * np.exp(error * rng.normal(size=runs)), "loss": loss, "error": error})


def _model(table, error=0.2, **arguments):
    runs = sb.read_runs(table, inputs={"N": sb.Input("n", error=error)}, response="loss")
    settings = {"priors": PRIORS, "discrepancy": None, "observation": sb.Gaussian()} | arguments
    return sb.Model(power, runs, **settings)


def test_an_error_widens_the_noise_by_the_slope_of_the_law():
    model = _model(_table())
    ready = prepare(model)
    density = ready.source.transport().density
    with double_precision():
        position = density.position(ready.initial)
        _, (each, _) = density.logp(position, ready.numbers)
        values = ready.source.values(position, {}, ready.numbers)
    mean = np.log(power(model.runs.x("N"), A=float(values["A"]), alpha=float(values["alpha"])))
    sd = np.hypot(float(values["sigma"]), 0.2 * float(values["alpha"]))
    expected = -0.5 * ((np.log(model.runs.y) - mean) / sd) ** 2 - np.log(sd * np.sqrt(2 * np.pi))
    np.testing.assert_allclose(np.asarray(each)[: len(expected)], expected, rtol=1e-9)


def test_a_column_of_errors_is_the_same_as_a_number():
    by_column, by_number = (_model(_table(), error=error) for error in ("error", 0.2))
    np.testing.assert_array_equal(by_column.numbers["N_error"], by_number.numbers["N_error"])
    assert by_number.runs.digest == by_column.runs.digest
    assert by_number.runs.digest != _model(_table(), error=0.0).runs.digest


@pytest.mark.parametrize(
    ("error", "message"),
    [
        ("eror", r"column 'eror', which table does not have .did you mean 'error'"),
        (1.5, "error is a share of the input from 0 to 1"),
        (-0.1, "error is a share"),
    ],
)
def test_an_error_that_is_none_is_refused(error, message):
    with pytest.raises(ValueError, match=message):
        _model(_table(), error=error)


def test_errors_that_nothing_can_carry_are_refused():
    table = _table()
    with pytest.raises(ValueError, match="only a scale has an error"):
        sb.Input("share", kind="plain", error=0.1)
    with pytest.raises(ValueError, match="24 of 24 rows are outside"):
        _model(table.assign(error=2.0), error="error")
    with pytest.raises(ValueError, match="known with an error, which widens the noise, and a binomial"):
        _model(table.assign(loss=0.5, items=10), observation=sb.Binomial("items"))


@pytest.mark.fits
def test_noise_is_not_taken_for_what_errors_of_inputs_explain(tmp_path):
    table = _table()
    with_error, without = (sb.sample(_model(table, error=error)) for error in (0.2, 0.0))
    sigma = [fit.summary().set_index("name").loc["sigma", "mean"] for fit in (with_error, without)]
    assert sigma[0] < 0.6 * sigma[1]
    alpha = with_error.summary().set_index("name").loc["alpha"]
    assert abs(alpha["mean"] - 0.3) < 4 * alpha["sd"]
    with_error.save(tmp_path / "errors.nc")
    again = sb.load(tmp_path / "errors.nc", law=power)
    assert again.model.runs.inputs["N"].error == 0.2
    drifted = sb.sample(_model(table, discrepancy=sb.Drift()))
    assert np.isfinite(sb.forecast(drifted, at={"N": [1e10]}).table["upper"]).all()
