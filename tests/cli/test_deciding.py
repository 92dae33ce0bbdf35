"""Commands for decisions: their answers and pictures."""

import itertools
import json

import numpy as np
import pandas as pd
import pytest

import scalebayes as sb


def _with_noise(runs):
    rng = np.random.default_rng(0)
    worse = np.where(runs.table["arch"] == "b", 1.01, 1.0)
    return sb.read_runs(
        runs.table.assign(loss=runs.y * worse * np.exp(0.004 * rng.normal(size=len(runs)))), group="arch"
    )


@pytest.mark.fits
def test_pictures_and_commands(run, grid_runs, tmp_path):
    fit = sb.fit(sb.laws.chinchilla, _with_noise(grid_runs()), draws=300, discrepancy=None)
    fit.save(tmp_path / "fit.nc")
    rows = itertools.product("ab", [1e9, 1e10], [2e10, 2e11])
    pd.DataFrame(rows, columns=["arch", "N", "D"]).to_csv(tmp_path / "plan.csv", index=False)

    file, picture = tmp_path / "fit.nc", tmp_path / "picture.png"
    for words, keys in (
        (
            ("crossover", file, "--axis", "C", "--from", "1e21", "--to", "1e24"),
            {
                "winner",
                "ordered",
                "decision_risk",
                "reversal_risk",
                "prior_decision_risk",
                "p_cross_before_target",
                "crossing_quantiles",
                "expected_regret",
                "p_best",
                "extrapolation",
            },
        ),
        (("crossover", file, "a", "b", "--to", "1e24", "--path", "ratio=20"), {"path"}),
        (("compare", file, "--margin", "alpha=0.01", "--target", "2.4"), {"pairs", "speed", "axis"}),
        (
            ("allocate", file, "--compute", "1e24", "--group", "a", "--margin", "0.005"),
            {"n_opt", "d_opt", "loss", "near_optimal"},
        ),
        (
            (
                "next-run",
                file,
                "--candidates",
                tmp_path / "plan.csv",
                "--goal",
                "decision",
                "--axis",
                "C",
                "--to",
                "1e24",
            ),
            {"candidates"},
        ),
    ):
        code, out, err = run(*words, "--json", "-o", picture, "--force")
        assert code == 0, err
        assert keys <= set(json.loads(out))
        assert picture.stat().st_size > 5000
        code, out, err = run(*words)
        assert code == 0
        assert len(out.strip()) > 100
    code, out, err = run("crossover", file, "--to", "1e24", "--path", "square")
    assert (code, err.strip()) == (2, "scalebayes: --path is optimal, ratio=20, N=1e9 or D=2e10; got 'square'.")
    fit.save(tmp_path / "other.nc")
    for option in (("--axis", "D"), ("--path", "ratio=20"), ("--margin", "alpha=0.01")):
        code, out, err = run("compare", file, tmp_path / "other.nc", *option)
        assert code == 2
        assert err.startswith(
            "scalebayes: --margin, --target, --to, --axis, --path and -o are for the groups of one fit;"
        )


def test_a_fit_that_has_not_converged_leads_with_it(run, power_runs, powers, tmp_path):
    fit = powers([30.0, 31.0], [0.05, 0.05])
    fit.idata.attrs["max_r_hat"] = 1.2
    bad = sb.Fit(fit.model, fit.idata)
    assert str(sb.crossover(bad, axis="C", to=1e24)).startswith("NOT CONVERGED: r-hat reaches 1.2")
    real = sb.fit(sb.laws.power, power_runs(), draws=300, discrepancy=None)
    real.idata.attrs["max_r_hat"] = 1.2
    sb.Fit(real.model, real.idata).save(tmp_path / "bad.nc")
    code, _, err = run("crossover", tmp_path / "bad.nc", "--to", "1e24", "--strict")
    assert code == 2
    assert "holds a fit that has not converged: r-hat reaches 1.2" in err
