"""Compute-optimal paths: the published optimum, and the search for it."""

import numpy as np
import pytest

import scalebayes as sb
from scalebayes.questions.paths import lowest, optimum


def test_published_optimum_and_the_search_for_it(hoffmann):
    n, d = optimum(sb.laws.chinchilla, ("N", "D"), np.array([5.76e23]), hoffmann)
    assert (n[0], d[0]) == pytest.approx((3.22e10, 2.98e12), rel=2e-3)
    flops = np.geomspace(1e18, 1e27, 10)
    closed, _ = optimum(sb.laws.chinchilla, ("N", "D"), flops, hoffmann)
    np.testing.assert_allclose(lowest(sb.laws.chinchilla, ("N", "D"), flops, hoffmann), closed, rtol=1e-8)
