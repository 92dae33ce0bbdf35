"""The floor report: shares of variance that are known, and floors that are pinned."""

import numpy as np
import pytest

import scalebayes as sb


def test_the_share_of_the_floor_is_that_of_its_variance(floors):
    # Far out the forecast is the floor plus a term of its own: a share of 0.8 by construction.
    rng = np.random.default_rng(0)
    E = 1.5 + 0.02 * rng.normal(size=4000)
    A = (0.5 + 0.01 * rng.normal(size=4000)) * 1e21**0.1
    fit = floors(np.stack([E, E]), np.stack([A, A]), np.full((2, 4000), 0.1))
    found = sb.floor_report(fit, at={"C": 1e21}, pins=())
    assert found.table["share"].to_numpy() == pytest.approx([0.8, 0.8], abs=0.03)
    assert found.table["floor_median"].to_numpy() == pytest.approx(np.median(E))
    curve = found.curve[found.curve["point"] == 0]
    assert len(curve) == 20
    assert np.polyfit(curve["floor"], curve["median"], 1)[0] == pytest.approx(1.0, abs=0.05)
    share = found.table["share"].iloc[0]
    assert f"{100 * share:.0f}% of the forecast's variance is the floor's" in str(found)
    assert "interval is 1.00 times as wide as before they were seen" in str(found)  # the prior made by hand is the same


@pytest.mark.fits
def test_a_pinned_floor_is_fitted_again(pile_fit):
    found = sb.floor_report(pile_fit, at={"C": 1e24}, group="Pythia", pins=[0, 1.3])
    pins = found.pinned.set_index("floor")
    assert pins.loc[1.3, "narrower"] < 0.7
    assert pins.loc[0.0, "median"] < found.table["lower"].iloc[0]
    assert pins.loc[0.0, "misses"]
    assert pins.loc[1.3, "p_below"] == pytest.approx(
        float((pile_fit.posterior["E"].sel(family="Pythia") < 1.3).mean()), abs=1e-9
    )
    assert "With the floor pinned at 1.300: " in str(found)
    assert not found.diagnostics.problems
    figure = sb.plot_floor_report(found)
    assert figure.axes[0].get_ylabel() == "expected loss"


def test_what_a_floor_report_refuses(powers, floors, refuses):
    with refuses(
        ValueError,
        "power has no floor that is one of its parameters (A, alpha); say which is: sb.Law(function, floor='E').",
    ):
        sb.floor_report(powers([30.0, 29.0], [0.05, 0.05]), at={"C": 1e22})
    fit = floors([1.0, 1.0], [30.0, 30.0], [0.1, 0.1])
    for value in (-1.0, 10.0):
        with pytest.raises(ValueError, match=r"a pinned floor lies from 0 to below the lowest response, 3\.504; got"):
            sb.floor_report(fit, at={"C": 1e22}, pins=[value])
