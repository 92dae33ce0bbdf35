"""Compute-optimal paths: the published optimum, and the search for it."""

import numpy as np
import pandas as pd
import pytest

import scalebayes as sb
from scalebayes.questions.paths import lowest, optimum


def test_published_optimum_and_the_search_for_it(hoffmann):
    table = pd.DataFrame({"N": np.geomspace(1e8, 1e10, 6), "D": np.geomspace(2e10, 2e9, 6), "loss": 3.0})
    model = sb.Model(sb.laws.chinchilla, sb.read_runs(table), discrepancy=None)
    n, d = optimum(model, np.array([5.76e23]), hoffmann)
    assert (n[0], d[0]) == pytest.approx((3.22e10, 2.98e12), rel=2e-3)
    flops = np.geomspace(1e18, 1e27, 10)
    closed, _ = optimum(model, flops, hoffmann)
    np.testing.assert_allclose(lowest(model.law, flops, hoffmann), closed, rtol=1e-8)
