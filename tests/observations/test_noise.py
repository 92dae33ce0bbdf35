"""Noise: its priors, and the messages that refuse impossible numbers."""

import pytest

import scalebayes as sb

pytestmark = pytest.mark.usefixtures("nothing_is_compiled")


def test_a_bare_prior_of_the_noise_is_shared(refuses):
    assert sb.Gaussian(sigma=sb.LogNormal(0.01, 1.0)).sigma == sb.shared(sb.LogNormal(0.01, 1.0))
    with refuses(ValueError, "Gamma needs a positive number for shape, got -1."):
        sb.StudentT(nu=sb.Gamma(-1, 0.2))
    with refuses(
        ValueError, "nu of a Student-t is shared by all groups, got separate(LogNormal(median=9.0, spread=1.0))."
    ):
        sb.StudentT(nu=sb.separate(sb.LogNormal(9.0, 1.0)))
