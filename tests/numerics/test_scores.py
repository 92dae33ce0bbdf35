"""Scores of forecasts against closed forms."""

import numpy as np
import pytest
from scipy import stats

from scalebayes.numerics import scores


def test_scores_are_those_of_the_normal_distribution():
    drawn = np.random.default_rng(0).normal(1.0, 2.0, (200_000, 1))
    y = np.array([2.5])
    z = (2.5 - 1.0) / 2.0
    # Gneiting and Raftery (2007), the CRPS of a normal distribution.
    expected = 2.0 * (z * (2 * stats.norm.cdf(z) - 1) + 2 * stats.norm.pdf(z) - 1 / np.sqrt(np.pi))
    assert scores.crps(drawn, y)[0] == pytest.approx(expected, rel=0.01)
    # Four standard deviations of a kernel estimate of that width, relative to the density: 4 * 0.0077.
    assert scores.log_score(drawn, y)[0] == pytest.approx(stats.norm(1, 2).logpdf(2.5), abs=0.03)
    assert scores.transform(drawn, y)[0] == pytest.approx(stats.norm.cdf(z), abs=0.005)
    inside, width = scores.covered(drawn, np.array([1.0]), 0.89)
    assert inside.all()
    assert width[0] == pytest.approx(2 * 2.0 * stats.norm.ppf(0.945), rel=0.01)
    outside, _ = scores.covered(drawn, np.array([5.0]), 0.89)
    assert not outside.any()
