"""The command that tests forecasts on held-out runs."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.image import imread

import scalebayes as sb
from scalebayes.cli import checking


@pytest.fixture(scope="module")
def curves_file(tmp_path_factory):
    D, tables = np.geomspace(1e6, 1e9, 14), []
    for name, seed in (("a", 0), ("b", 1), ("short", 2)):
        noise = np.exp(0.01 * np.random.default_rng(seed).normal(size=14))
        table = pd.DataFrame({"curve": name, "n_samples": D, "error": (0.2 + 30 * D**-0.3) * noise, "kind": "made"})
        tables.append(table.iloc[11:] if name == "short" else table)
    path = tmp_path_factory.mktemp("curves") / "curves.csv"
    pd.concat(tables).to_csv(path, index=False)
    return path


@pytest.mark.fits
def test_a_backtest_scores_every_curve_beside_the_baselines(ask, curves_file, tmp_path):
    columns = ("--law", "power_floor", "--input", "D=n_samples", "--response", "error", "--curve", "curve")
    options = ("--cutoffs", "0.1,0.3", "--discrepancy", "drift", "--pool", "kind", "--draws", 200)
    found = ask("backtest", curves_file, *columns, *options, "--skip", "-o", tmp_path / "backtest.png")
    assert [setting["cutoff"] for setting in found["settings"]] == ["0.1", "0.3"]
    assert imread(tmp_path / "backtest.png").std() > 0.05
    for setting in found["settings"]:
        (group,) = setting["groups"]
        assert (group["name"], group["curves"]) == ("made", 2)
        assert set(group["coverage"]) == {"0.5", "0.8", "0.89", "0.95"}
        assert {"rmsle", "log_score", "crps", "width_89"} <= set(group)
        assert {curve["name"] for curve in setting["curves"]} == {"a", "b"}
        assert all({"rmsle", "coverage_89"} <= set(curve) for curve in setting["curves"])
        assert {"carry_forward", "log_log_line", "bootstrap", "least_squares_power"} <= set(setting["baselines"])
        assert setting["baselines"]["carry_forward"]["rmsle"] > group["rmsle"]
        assert setting["max_r_hat"] < 1.05
        assert setting["skipped"][0]["name"] == "short"
        assert setting["divergences"] >= 0


@pytest.mark.parametrize(
    ("word", "rest"),
    [
        ("power_floor", ("surface",)),
        ("power_floor+drift", ("drift",)),
        ("power_floor+none", (None,)),
        ("power_floor+drift+separate", ("drift", "separate")),
        ("power_floor+none+separate", (None, "separate")),
        ("power_floor+separate", ("surface", "separate")),
        ("power_floor+still surface", ("still surface",)),
    ],
)
def test_a_law_is_given_with_its_discrepancy(word, rest):
    assert checking._law(sb.laws, word, "surface") == (sb.laws.power_floor, *rest)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            (),
            "say what is known by one of train= (a column of 0 and 1), cutoffs= or top= (command line: --train-column, "
            "--cutoffs or --holdout-top).",
        ),
        (
            ("--cutoffs", "a few"),
            "--cutoffs takes numbers between 0 and 1, for example --cutoffs 0.1,0.3; got 'a few'.",
        ),
        (
            ("--cutoffs", "0.3"),
            "1 curve cannot be tested: 0.3, short: 0 known runs, and 4 are needed. skip=True (--skip) leaves them out.",
        ),
        (
            ("--cutoffs", "0.3", "--pooling", "crossed"),
            "pooling='crossed' is about curves that are fitted together: say which, pool=.",
        ),
        (("--cutoffs", "0.3", "--input", "D=error"), "--input names D twice: n_samples and error."),
        (("--cutoffs", "0.3", "-o", "b.jpeg"), "a picture is written as .png, .pdf, .svg; got 'b.jpeg'."),
    ],
)
def test_a_backtest_is_refused_in_one_line(run, curves_file, options, message):
    columns = ("--law", "power_floor", "--input", "D=n_samples", "--response", "error", "--curve", "curve")
    code, out, err = run("backtest", curves_file, *columns, *options)
    assert (code, out) == (2, "")
    assert err.strip() == f"scalebayes: {message}"
