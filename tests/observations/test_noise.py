"""Noise: its priors, and what is said of numbers it cannot have."""

import pytest

import scalebayes as sb

pytestmark = pytest.mark.usefixtures("nothing_is_compiled")


def test_a_bare_prior_of_the_noise_is_shared(refuses):
    assert sb.Gaussian(sigma=sb.LogNormal(0.01, 1.0)).sigma == sb.shared(sb.LogNormal(0.01, 1.0))
    with refuses(ValueError, "StudentT needs a positive number for nu_shape, got -1."):
        sb.StudentT(nu_shape=-1)
