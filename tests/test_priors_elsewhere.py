"""Distributions of PyMC and PreliZ where a prior is expected."""

import sys
from dataclasses import dataclass
from types import ModuleType

import numpy as np
import pymc as pm
import pytest

import scalebayes as sb


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        (lambda: pm.Normal.dist(0.3, 0.1), sb.Normal(0.3, 0.1)),
        (lambda: pm.Normal.dist(mu=0.0, tau=4.0), sb.Normal(0.0, 0.5)),
        (lambda: pm.LogNormal.dist(np.log(0.3), 0.5), sb.LogNormal(0.3, 0.5)),
        (lambda: pm.Gamma.dist(alpha=2.0, beta=0.1), sb.Gamma(2.0, 0.1)),
        (lambda: pm.LogitNormal.dist(0.5, 1.5), sb.Share(0.5, 1.5)),
    ],
)
def test_a_distribution_of_pymc_is_the_prior_that_says_the_same(theirs, ours):
    for made, expected in ((sb.shared, ours), (sb.separate, ours)):
        prior = made(theirs()).prior
        assert type(prior) is type(expected)
        np.testing.assert_allclose(list(vars(prior).values()), list(vars(expected).values()), rtol=1e-6)
    assert sb.pooled(theirs(), spread=0.2).spread == 0.2


def test_its_draws_are_the_same_in_the_model(pile_runs):
    given = {"alpha": pm.LogNormal.dist(np.log(0.3), 0.4), "E": pm.Normal.dist(1.2, 0.2)}
    theirs = sb.Model(sb.laws.power_floor, pile_runs, priors=given, discrepancy=None)
    ours = {"alpha": sb.LogNormal(0.3, 0.4), "E": sb.Normal(1.2, 0.2)}
    same = sb.Model(sb.laws.power_floor, pile_runs, priors=ours, discrepancy=None)
    drawn, expected = (model.prior(20, seed=1)["prior"] for model in (theirs, same))
    for name in ("alpha", "E"):
        np.testing.assert_allclose(drawn[name], expected[name], rtol=1e-6)


@pytest.mark.parametrize(
    ("theirs", "said"),
    [
        (lambda: pm.HalfNormal.dist(1.0), "pymc.HalfNormal has no counterpart among the priors here"),
        (lambda: pm.Normal.dist([0.0, 1.0], 1.0), "each of its parameters is a single known number"),
        (lambda: pm.Normal.dist(pm.Normal.dist(0, 1), 1.0), "each of its parameters is a single known number"),
        (lambda: pm.math.exp(1.0), "is no prior here: write pm.Normal.dist"),
    ],
)
def test_other_distributions_are_refused_by_name(theirs, said):
    with pytest.raises(ValueError, match=said):
        sb.shared(theirs())


def test_a_distribution_of_preliz_is_known_by_its_module(monkeypatch):
    """PreliZ is not needed for it; these have its names of classes and parameters."""
    module = ModuleType("preliz.distributions.made")
    monkeypatch.setitem(sys.modules, module.__name__, module)

    @dataclass
    class LogNormal:
        mu: float
        sigma: float

    @dataclass
    class Gamma:
        alpha: float
        beta: float

    @dataclass
    class Weibull:
        alpha: float
        beta: float

    for each in (LogNormal, Gamma, Weibull):
        each.__module__ = module.__name__
    assert sb.shared(LogNormal(0.0, 0.5)).prior == sb.LogNormal(1.0, 0.5)
    assert sb.shared(Gamma(np.float64(2.0), np.array(0.5))).prior == sb.Gamma(2.0, 0.5)
    with pytest.raises(ValueError, match=r"preliz\.Weibull has no counterpart"):
        sb.shared(Weibull(1.0, 2.0))
    with pytest.raises(ValueError, match="single known number"):
        sb.shared(LogNormal(None, 0.5))
