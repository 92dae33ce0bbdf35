"""isoFLOP curves: exact parabolas, the law's path beside them, and the bias of sizes that lie to one side."""

import numpy as np
import pytest

import scalebayes as sb


def _fit(made_fit, hoffmann, runs):
    return made_fit(sb.Model(sb.laws.chinchilla, runs, discrepancy=None), hoffmann)


def test_an_exact_parabola_is_found_with_its_exponent(made_fit, hoffmann, isoflop_runs):
    best = lambda C: 0.03 * C**0.48  # noqa: E731
    runs = isoflop_runs(response=lambda N, C: 3 + 0.02 * np.log(N / best(C)) ** 2)
    found = sb.isoflop(_fit(made_fit, hoffmann, runs))
    assert found.table["C"].tolist() == pytest.approx([1e19, 1e20, 1e21])
    assert found.table["n_opt_median"].to_numpy() == pytest.approx(best(found.table["C"].to_numpy()), rel=1e-6)
    assert found.table["p_no_minimum"].tolist() == [0, 0, 0]
    a = found.exponents.set_index(["by", "name"])["median"]
    assert a["parabolas", "a_opt"] == pytest.approx(0.48, rel=1e-6)
    assert a["parabolas", "b_opt"] == pytest.approx(0.52, rel=1e-6)
    assert a["law", "a_opt"] == pytest.approx(0.28 / 0.62, rel=1e-6)
    assert found.table["law_median"].to_numpy() == pytest.approx(
        sb.allocate(_fit(made_fit, hoffmann, runs), C=found.table["C"].tolist()).table["n_opt_median"].to_numpy(),
        rel=1e-6,
    )
    assert "They disagree on the best N at 3 of 3 budgets" in str(found)


def test_sizes_to_one_side_of_the_optimum_bias_a_parabola_as_is_said(made_fit, hoffmann, isoflop_runs):
    for around in (0.3, 1.0, 3.0):
        runs = isoflop_runs(around=around, span=16.0)
        found = sb.isoflop(_fit(made_fit, hoffmann, runs))
        # The runs are the law's own: the parabola's minimum over the law's is the bias.
        off = found.table["n_opt_median"] / found.table["law_median"]
        # up to the error of the median of the parabola's draws
        assert off.to_numpy() == pytest.approx(found.table["bias"].to_numpy(), rel=2e-3)
    assert found.table["bias"].max() > 1.05
    assert "parabolas on these sizes are off by themselves" in str(found)


def test_a_window_lessens_the_bias(made_fit, hoffmann, isoflop_runs):
    fit = _fit(made_fit, hoffmann, isoflop_runs(around=1.6))
    wide, narrow = (np.abs(np.log(sb.isoflop(fit, window=w).table["bias"])).max() for w in (None, 2.6))
    assert narrow < 0.7 * wide
    assert sb.isoflop(fit, window=2.6).runs["used"].sum() < 21


def test_intervals_grow_with_the_noise(made_fit, hoffmann, isoflop_runs):
    widths = []
    for noise in (0.001, 0.01):
        found = sb.isoflop(_fit(made_fit, hoffmann, isoflop_runs(noise=noise)))
        row = found.exponents.set_index(["by", "name"]).loc[("parabolas", "a_opt")]
        widths.append(row["upper"] - row["lower"])
    assert widths[1] > 4 * widths[0]


def test_what_isoflop_refuses(made_fit, hoffmann, isoflop_runs, powers, refuses):
    with refuses(ValueError, "isoFLOP curves are of a law of N and D; power has C."):
        sb.isoflop(powers([30.0, 29.0], [0.05, 0.05]))
    fit = _fit(made_fit, hoffmann, isoflop_runs())
    with refuses(ValueError, "the runs have no column 'budgets' (did you mean 'budget'?) with their budgets."):
        sb.isoflop(fit, budget="budgets")
    with refuses(ValueError, "window is a factor above 1, got 0.5."):
        sb.isoflop(fit, window=0.5)
    with pytest.raises(ValueError, match="the table has 0 budgets with runs of 4 sizes or more"):
        sb.isoflop(fit, window=1.2)
