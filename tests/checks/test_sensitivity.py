"""How far an answer depends on a prior."""

import re

import pytest

import scalebayes as sb


@pytest.mark.fits
def test_a_forecast_moves_with_the_prior_that_is_moved(two_fits):
    found = sb.sensitivity(two_fits[0], at={"D": [1e10, 1e12]}, of=["drift", "alpha"], factor=3.0)
    table = found.table.set_index(["D", "prior", "factor"])
    assert len(table) == 2 * 5
    assert table["converged"].all()
    far = table.loc[1e12]
    assert far.loc[("as it is", 1.0), ["moved", "widened"]].tolist() == [0.0, 1.0]
    # More drift gives a wider band, and steeper laws a lower median.
    assert far.loc[("drift", 3.0), "widened"] > 1.05
    assert far.loc[("alpha", 3.0), "median"] != far.loc[("alpha", 1 / 3), "median"]
    assert "with the prior of drift moved by 3: " in str(found)


@pytest.mark.fits
@pytest.mark.parametrize(
    ("index", "options", "message"),
    [
        (
            0,
            {"of": ["gamma"]},
            "there is no prior of 'gamma'; there are those of E, A, alpha, sigma, drift, kappa, rho, ell.",
        ),
        (0, {"factor": 0.5}, "factor is above 1 (the prior is moved by it and by its inverse), got 0.5."),
        (1, {}, "the fit has no drift and no misfit; name the priors to move, of=['E']."),
    ],
)
def test_what_cannot_be_moved_is_refused(two_fits, index, options, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        sb.sensitivity(two_fits[index], at={"D": 1e10}, **options)
