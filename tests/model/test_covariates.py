"""Parameters that depend on covariates of the groups."""

import numpy as np
import pandas as pd
import pytest

import scalebayes as sb

DIMENSIONS = (4.0, 8.0, 16.0, 32.0, 64.0, 128.0)
PRIORS = {
    "A": sb.pooled(sb.LogNormal(5.0, 1.0), spread=0.3),
    "alpha": sb.pooled(sb.LogNormal(0.2, 0.5), spread=0.1, on={"dim": sb.Normal(-0.5, 0.5)}),
}


def power(N, *, A, alpha):
    return A * (N / 1e8) ** -alpha


def _table(seed=0):
    rng = np.random.default_rng(seed)
    rows = pd.DataFrame([(f"{d:g}d", d, n) for d in DIMENSIONS for n in np.geomspace(1e7, 1e9, 6)])
    rows.columns = ["data", "dim", "n"]
    alpha = 0.2 * (rows["dim"] / 22.6) ** -0.8
    return rows.assign(loss=power(rows["n"], A=2.0, alpha=alpha) * np.exp(0.005 * rng.normal(size=len(rows))))


def _model(table=None, **priors):
    table = _table() if table is None else table
    runs = sb.read_runs(table, inputs={"N": "n"}, response="loss", group="data")
    return sb.Model(power, runs, priors=PRIORS | priors, discrepancy=None)


def test_a_covariate_that_cannot_have_a_slope_is_refused():
    table = _table()
    with pytest.raises(ValueError, match=r"depends on column 'dime', which table does not have .did you mean 'dim'"):
        _model(alpha=sb.pooled(sb.LogNormal(0.2, 0.5), spread=0.1, on={"dime": sb.Normal(0, 1)}))
    with pytest.raises(ValueError, match="must be constant in each group, and '128d' has 2 values"):
        _model(table.assign(dim=table["dim"].where(table.index < len(table) - 1, 5.0)))
    with pytest.raises(ValueError, match="1 different values in 6 groups"):
        _model(table.assign(dim=3.0))
    with pytest.raises(ValueError, match="zero or negative"):
        _model(table.assign(dim=table["dim"] - 4.0))
    with pytest.raises(TypeError, match="a Normal prior for the slope on 'dim'"):
        sb.pooled(sb.LogNormal(0.2, 0.5), spread=0.1, on={"dim": sb.LogNormal(1, 1)})


def test_a_prior_with_a_covariate_says_so_and_comes_back_from_words():
    from scalebayes.priors import from_plain, to_plain

    prior = PRIORS["alpha"]
    assert "on={'dim': Normal" in repr(prior)
    assert from_plain(to_plain(prior)) == prior
    assert "on" not in to_plain(PRIORS["A"])


def test_draws_of_the_prior_follow_the_covariate():
    prior = _model().prior(4000)["prior"]
    alpha = np.log(prior["alpha"].to_numpy()[0])
    logs = np.log([float(level.removesuffix("d")) for level in prior["data"].to_numpy()])
    logs -= logs.mean()
    slopes = (alpha * logs).sum(1) / (logs**2).sum()
    np.testing.assert_allclose(slopes.mean(), -0.5, atol=0.05)


@pytest.mark.fits
def test_a_slope_is_recovered_and_a_new_group_is_forecast_by_its_covariate(tmp_path):
    fit = sb.sample(_model())
    assert not fit.diagnostics.problems
    slope = fit.summary().set_index("name").loc["alpha_on_dim"]
    assert slope["lower"] < -0.8 < slope["upper"]
    with pytest.raises(ValueError, match="alpha of a new group depends on 'dim': give it with the points"):
        sb.forecast(fit, at={"N": [1e9]}, new_group=True)
    low, high = (
        sb.forecast(fit, at={"N": [1e10], "dim": [dim]}, new_group=True).table.iloc[0] for dim in (10.0, 100.0)
    )
    for band, dim in ((low, 10.0), (high, 100.0)):
        assert band["lower"] < power(1e10, A=2.0, alpha=0.2 * (dim / 22.6) ** -0.8) < band["upper"]
    fit.save(tmp_path / "covariate.nc")
    again = sb.load(tmp_path / "covariate.nc", law=power)
    at = {"N": [1e10], "dim": [10.0]}
    pd.testing.assert_frame_equal(
        sb.forecast(again, at=at, new_group=True).table, sb.forecast(fit, at=at, new_group=True).table
    )
