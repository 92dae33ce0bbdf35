"""Whole messages about priors that are refused before anything is compiled."""

import numpy as np
import pytest

import scalebayes as sb

pytestmark = pytest.mark.usefixtures("nothing_is_compiled")

PRIOR = sb.LogNormal(median=0.3, spread=0.5)


@pytest.mark.parametrize(("prior", "shown"), [(0.3, "0.3 (float)"), ("narrow", "'narrow' (str)")])
def test_what_is_no_prior_is_refused(prior, shown, refuses, table):
    message = f"a prior is needed, such as LogNormal(median=0.3, spread=0.5), got {shown}."
    with refuses(TypeError, message):
        sb.Model(sb.laws.chinchilla, sb.read_runs(table()), priors={"alpha": prior}, discrepancy=None)


@pytest.mark.parametrize(
    ("prior", "numbers", "message"),
    [
        (sb.LogNormal, {"median": -1, "spread": 0.5}, "LogNormal needs a positive number for median, got -1."),
        (sb.LogNormal, {"median": 1, "spread": 0}, "LogNormal needs a positive number for spread, got 0."),
        (sb.LogNormal, {"median": np.inf, "spread": 1}, "LogNormal needs a positive number for median, got inf."),
        (sb.Normal, {"mean": np.nan, "sd": 1}, "Normal needs a finite number for mean, got nan."),
        (sb.Normal, {"mean": 0, "sd": -1}, "Normal needs a positive number for sd, got -1."),
        (sb.FloorShare, {"logit": np.inf, "sd": 1}, "FloorShare needs a finite number for logit, got inf."),
        (sb.FloorShare, {"logit": 1.7, "sd": 0.0}, "FloorShare needs a positive number for sd, got 0.0."),
        (sb.ResponseShare, {"share": -0.3, "spread": 1}, "ResponseShare needs a positive number for share, got -0.3."),
        (
            sb.Anchored,
            {"value": PRIOR, "input": "N", "exponent": "alpha", "reference": -1e9},
            "Anchored needs a positive number for reference, got -1000000000.0.",
        ),
        (
            sb.Anchored,
            {"value": PRIOR, "input": "N", "exponent": "alpha", "form": "offset"},
            "Anchored needs form 'amplitude', 'scale', 'intercept' or 'place', got 'offset'.",
        ),
        (
            sb.Anchored,
            {"value": PRIOR, "input": ("N", "D"), "exponent": "alpha"},
            "Anchored with form 'amplitude' needs an exponent for 'N' and 'D', got 'alpha'.",
        ),
        (
            sb.Anchored,
            {"value": PRIOR, "input": "N", "exponent": "alpha", "form": "place"},
            "Anchored with form 'place' needs no exponent, got 'alpha'.",
        ),
        (
            sb.Anchored,
            {"value": PRIOR, "input": ("N", "D"), "exponent": ("a", "b"), "form": "scale"},
            "Anchored with form 'scale' needs one input, got ('N', 'D').",
        ),
        (sb.ResponseLevel, {"at": 0, "sd": 0}, "ResponseLevel needs a positive number for sd, got 0."),
        (sb.RangeShare, {"share": 0, "spread": 1}, "RangeShare needs a positive number for share, got 0."),
        (sb.pooled, {"prior": PRIOR, "spread": 0}, "pooled needs a positive number for spread, got 0."),
    ],
)
def test_a_number_that_makes_no_prior_is_refused(prior, numbers, message, refuses):
    with refuses(ValueError, message):
        prior(**numbers)


def test_a_prior_of_something_else_than_numbers_is_refused(refuses):
    with refuses(TypeError, "LogNormal needs a number for spread, got 'wide' (str)."):
        sb.LogNormal(median=0.3, spread="wide")


def test_an_anchored_scale_that_may_be_negative_is_refused(refuses):
    message = "Anchored needs a LogNormal or ResponseShare value, got Normal(mean=0.0, sd=1.0)."
    with refuses(TypeError, message):
        sb.Anchored(sb.Normal(mean=0.0, sd=1.0), input="N", exponent="alpha", form="scale")
    with refuses(
        TypeError, "Anchored needs a prior such as LogNormal or ResponseShare, got FloorShare(logit=0, sd=1)."
    ):
        sb.Anchored(sb.FloorShare(0, 1), input="N", exponent="alpha")


@pytest.mark.parametrize(
    ("spread", "kind", "message"),
    [
        ({}, ValueError, "pooled needs a spread for at least one factor, got none."),
        ({"lab": 0}, ValueError, "pooled needs a positive number for spread of 'lab', got 0."),
        ({"lab": "x"}, TypeError, "pooled needs a number for spread of 'lab', got 'x' (str)."),
    ],
)
def test_spreads_over_factors_are_positive_numbers(spread, kind, message, refuses):
    with refuses(kind, message):
        sb.pooled(sb.LogNormal(0.3, 0.5), spread=spread)
