"""Fits whose noise acts on different scales are compared by densities of one quantity."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import scalebayes as sb
from scalebayes.fits.averaging import densities, jacobians

C = np.geomspace(1e18, 1e21, 8)
TABLE = pd.DataFrame({"flops": C, "loss": 2.0 + (C / 1e18) ** -0.2, "items": 100})
VALUES = {"E": 2.0, "A": 1e18**0.2, "alpha": 0.2, "sigma": 0.01, "nu": 8.0}


@pytest.fixture(scope="module")
def on_scale(made_fit):
    """Makes a fit whose noise acts on a scale."""

    def fit(scale):
        runs = sb.read_runs(TABLE, inputs={"C": "flops"}, response="loss")
        observation = sb.StudentT(scale=scale)
        return made_fit(sb.Model(sb.laws.power_floor, runs, observation=observation, discrepancy=None), VALUES)

    return fit


def test_densities_on_the_logarithm_get_its_jacobian(on_scale):
    added = jacobians({"log": on_scale("log"), "identity": on_scale("identity")})
    np.testing.assert_allclose(added["log"], -np.log(TABLE["loss"]))
    assert not added["identity"].any()


def test_of_one_scale_nothing_is_added(on_scale):
    assert not any(each.any() for each in jacobians({"a": on_scale("log"), "b": on_scale("log")}).values())


def test_the_tree_for_leave_one_out_holds_them(pile_fit):
    other = sb.Model(
        sb.laws.power_floor, pile_fit.model.runs, observation=sb.StudentT(scale="identity"), discrepancy=None
    )
    both = {"log": pile_fit, "identity": sb.Fit(other, pile_fit.idata.copy())}
    both["identity"].idata["log_likelihood"] = xr.DataTree(
        pile_fit.idata["log_likelihood"].to_dataset().rename({"log_loss": "loss"})
    )
    found = densities(both)
    moved = found["log"]["log_likelihood"]["log_loss"] - pile_fit.idata["log_likelihood"]["log_loss"]
    np.testing.assert_allclose(moved.mean(("chain", "draw")), -np.log(pile_fit.model.runs.y), rtol=1e-9)
    assert found["identity"] is both["identity"].idata


def test_counts_have_no_density_to_compare(on_scale, made_fit):
    table = TABLE.assign(rate=np.round(100 / (1 + np.exp(TABLE["loss"]))) / 100)
    runs = sb.read_runs(table, inputs={"C": "flops"}, response="rate", better="higher")
    values = {"R_0": 0.02, "A": 0.6, "B": 0.3, "C_mid": 1e20}
    counts, rates = (
        made_fit(sb.Model(sb.laws.rising_sigmoid, runs, observation=o, discrepancy=None), values | more)
        for o, more in (
            (sb.Binomial("items"), {}),
            (sb.Gaussian(sigma=sb.LogNormal(0.1, 0.5), scale="logit"), {"sigma": 0.1}),
        )
    )
    with pytest.raises(ValueError, match="counts gives chances of counts, and rates densities of a response"):
        jacobians({"counts": counts, "rates": rates})
