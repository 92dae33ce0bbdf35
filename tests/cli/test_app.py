"""The command line: the answers of its commands."""

import json
import math
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import typer
from matplotlib.image import imread

import scalebayes as sb
from scalebayes.cli import app

README = Path(__file__).parents[2] / "README.md"
COMMANDS = (
    "fit",
    "summary",
    "misfit",
    "backtest",
    "sensitivity",
    "forecast",
    "reach",
    "crossover",
    "compare",
    "allocate",
    "tune",
    "next-run",
    "design",
    "enough-runs",
    "in-flight",
    "gate",
    "floor-report",
    "isoflop",
    "seal",
    "score",
    "ledger",
    "frontier",
    "best-of",
    "plot",
    "report",
    "record",
    "redo",
    "laws",
    "datasets",
    "demo",
)
CALLBACKS = {info.name or info.callback.__name__: info.callback for info in app.app.registered_commands}
FAMILIES = ["Cerebras-GPT", "Cerebras-GPT-muP", "Pythia"]


def by_group(rows):
    return {row["group"]: row for row in rows}


@pytest.mark.fits
def test_a_curve_is_thinned_and_fitted_with_drift(answer, tmp_path):
    D = np.geomspace(1e6, 1e9, 40)
    table = tmp_path / "curve.csv"
    noise = np.exp(0.01 * np.random.default_rng(0).normal(size=40))
    pd.DataFrame({"n_samples": D, "error": (0.2 + 30 * D**-0.3) * noise}).to_csv(table, index=False)
    options = ("--law", "power_floor", "--input", "D=n_samples", "--response", "error", "--draws", 200)
    path = tmp_path / "fit.nc"
    said = answer("fit", table, *options, "--thin", 12, "--discrepancy", "drift", "--horizon", 10, "-o", path)
    assert sb.load(path).model.horizon == 10
    assert "runs: 12 from curve.csv, 28 rows left out (thinned to 12 along each curve)" in said
    assert "discrepancy: drift\n" in said


def test_summary_has_every_parameter_with_interval_and_diagnostics(ask, fit_file):
    found = ask("summary", fit_file)
    assert found["law"] == "power_floor"
    assert found["n_runs"] == 20
    assert found["divergences"] <= 10
    assert found["max_r_hat"] < 1.01
    assert found["min_ess_bulk"] > 400
    parameters = found["parameters"]
    for row in parameters:
        assert {"name", "group", "mean", "sd", "lower", "upper", "r_hat", "ess_bulk"} <= set(row)
        assert row["lower"] < row["upper"]
    for name in ("E", "A", "alpha"):
        assert [row["group"] for row in parameters if row["name"] == name] == FAMILIES
    assert [row["group"] for row in parameters if row["name"] == "sigma"] == [None]


def test_summary_of_a_higher_probability_is_wider(ask, fit_file):
    usual, wider = (ask("summary", fit_file, "--prob", prob)["parameters"] for prob in (0.89, 0.95))
    for a, b in zip(usual, wider, strict=True):
        assert (a["name"], a["group"], a["mean"]) == (b["name"], b["group"], b["mean"])
        assert b["lower"] < a["lower"] < a["upper"] < b["upper"]


def test_summary_in_words_has_a_line_for_every_parameter(answer, ask, fit_file):
    lines = answer("summary", fit_file).splitlines()
    assert re.match(r"Fit of power_floor: \d+ divergences?.*, max r-hat 1\.0", lines[0])
    header = next(i for i, line in enumerate(lines) if line.split()[:2] == ["name", "group"])
    assert len(lines) - header - 1 == len(ask("summary", fit_file)["parameters"])
    assert len({len(line) for line in lines[header:]}) == 1


def test_forecast_has_both_bands_and_says_how_far_it_goes(ask, fit_file):
    found = ask("forecast", fit_file, "--at", "C=2.4e21")
    assert found["prob"] == 0.89
    points = by_group(found["points"])
    assert list(points) == FAMILIES
    for point in points.values():
        assert point["inputs"] == {"C": 2.4e21}
        assert point["new_run_lower"] < point["lower"] < point["median"] < point["upper"] < point["new_run_upper"]
        assert point["lower"] < point["mean"] < point["upper"]
    assert points["Pythia"]["extrapolation"] == 1
    assert points["Cerebras-GPT-muP"]["extrapolation"] == pytest.approx(2.4e21 / 1.1e21)


def test_forecast_equals_the_library(ask, fit_file):
    point = ask("forecast", fit_file, "--at", "C=1e23", "--group", "Pythia", "--prob", "0.5", "--seed", "7")["points"][
        0
    ]
    row = sb.forecast(sb.load(fit_file), at={"C": 1e23}, group="Pythia", prob=0.5, seed=7).table.iloc[0]
    for name in ("mean", "median", "lower", "upper", "new_run_lower", "new_run_upper", "extrapolation"):
        assert point[name] == row[name]


def test_forecast_at_is_repeated_for_more_points(ask, fit_file):
    points = ask("forecast", fit_file, "--at", "C=1e22", "--at", "C=1e23", "--group", "Pythia")["points"]
    assert [(point["inputs"]["C"], point["group"]) for point in points] == [(1e22, "Pythia"), (1e23, "Pythia")]
    assert points[0]["median"] > points[1]["median"]


def test_forecast_reads_points_and_their_families_from_a_file(ask, fit_file, tmp_path):
    plan = pd.DataFrame({"family": ["Pythia", "Cerebras-GPT"], "flops": [1e23, 3e22]})
    plan.to_csv(tmp_path / "plan.csv", index=False)
    points = ask("forecast", fit_file, "--at-file", tmp_path / "plan.csv")["points"]
    assert [(point["group"], point["inputs"]["C"]) for point in points] == [("Pythia", 1e23), ("Cerebras-GPT", 3e22)]


def test_forecast_of_a_new_group_is_wider_than_of_a_known_one(ask, fit_file):
    (new,) = ask("forecast", fit_file, "--at", "C=1e22", "--new-group")["points"]
    (known,) = ask("forecast", fit_file, "--at", "C=1e22", "--group", "Pythia")["points"]
    assert new["group"] not in FAMILIES
    assert new["upper"] - new["lower"] > 2 * (known["upper"] - known["lower"])


def test_a_change_of_schedule_lowers_a_forecast_beyond_it(ask, answer, fit_file):
    points = ("--at", "C=1e22", "--at", "C=2.4e23", "--group", "Pythia")
    plain = ask("forecast", fit_file, *points)["points"]
    change = ("--schedule-change", "1e23", "--schedule-gain", "0.03", "0.000001")
    found = ask("forecast", fit_file, *points, *change)["points"]
    assert [point["schedule_change"] for point in found] == [False, True]
    ratios = [a["median"] / b["median"] for a, b in zip(found, plain, strict=True)]
    assert ratios == pytest.approx([1.0, math.exp(-0.03)], rel=1e-5)
    assert "there the response is taken to be 3.0% lower" in answer("forecast", fit_file, *points, *change)


def test_forecast_in_words_is_a_sentence_for_each_group_and_one_on_the_draws(answer, fit_file):
    *sentences, warned, draws = answer("forecast", fit_file, "--at", "C=2.4e23").splitlines()
    assert warned == (
        "89% bands of power_floor alone held 21% of the runs of published few-shot curves up to 33x beyond the known "
        "ones, and farther out they have not been tested. They take the form of power_floor for true; "
        "discrepancy='auto' does not."
    )
    for sentence, family in zip(sentences, FAMILIES, strict=True):
        assert sentence.startswith(f"{family}: at C = 2.4e23 the expected loss is ")
        assert "(89% interval " in sentence
        assert "; a single new run " in sentence
    assert sentences[-1].endswith("; extrapolates 10x beyond the largest C.")
    assert re.match(r"\(\d+ divergences?.*, max r-hat 1\.0", draws)


def test_reach_has_null_for_a_scale_that_is_infinite(ask, fit_file):
    found = ask("reach", fit_file, "--target", "1.0", "--axis", "C")
    assert found["prob"] == 0.89
    targets = by_group(found["targets"])
    assert list(targets) == FAMILIES
    never = targets["Pythia"]
    assert (never["target"], never["axis"]) == (1.0, "C")
    assert never["p_never"] > 0.9
    assert never["median"] is never["upper"] is never["extrapolation"] is None


def test_reach_of_a_published_loss_is_near_its_compute(ask, answer, fit_file):
    question = ("reach", fit_file, "--target", "1.626", "--axis", "C", "--group", "Pythia")
    (target,) = ask(*question)["targets"]
    assert target["lower"] < 1.4e22 < target["upper"]
    assert target["p_never"] == 0
    assert answer(*question).startswith("Pythia: loss 1.626 is reached at C = ")


def test_plot_writes_a_picture_and_says_where(ask, fit_file, tmp_path):
    path = tmp_path / "curves.png"
    found = ask("plot", fit_file, "-o", path, "--to", "1e24")
    assert Path(found["figure"]) == path
    picture = imread(path)
    assert len(np.unique(picture.reshape(-1, picture.shape[-1]), axis=0)) > 100
    assert list(tmp_path.iterdir()) == [path]


def test_plot_replaces_a_picture_by_force(answer, fit_file, tmp_path):
    path = tmp_path / "curves.svg"
    path.write_text("mine")
    assert answer("plot", fit_file, "-o", path, "--force") == f"drawn to {path}\n"
    assert "<svg" in path.read_text()


def test_laws_lists_the_built_in_laws(ask, answer):
    laws = {law["name"]: law for law in ask("laws")["laws"]}
    assert set(laws) == {law.name for law in sb.laws.BUILT_IN}
    assert laws["chinchilla"]["inputs"] == ["N", "D"]
    assert laws["chinchilla"]["parameters"] == ["E", "A", "B", "alpha", "beta"]
    assert laws["chinchilla"]["family"] == "Laws of model size and data: L(N, D)"
    assert laws["chinchilla"]["source"] == ["arXiv:2203.15556", "arXiv:2404.10102"]
    for law in laws.values():
        assert all(law[part] for part in ("equation", "says", "source")), law["name"]
    said = answer("laws")
    assert "  chinchilla(N, D; E, A, B, alpha, beta)\n" in said
    assert said.count("\nLaws ") == len({law["family"] for law in laws.values()}) - 1


@pytest.mark.filterwarnings("ignore::scalebayes.ConvergenceWarning")
def test_fit_writes_a_file_that_summary_reads(ask, answer, tmp_path):
    table, output = tmp_path / "pythia.csv", tmp_path / "fit.nc"
    sb.pile_families().query("family == 'Pythia'").to_csv(table, index=False)
    options = (
        "--law",
        "power",
        "-o",
        output,
        "--input",
        "N=n_params",
        "--draws",
        200,
        "--chains",
        2,
        "--discrepancy",
        "none",
    )
    fitted = ask("fit", table, *options)
    assert (fitted["law"], fitted["n_runs"], fitted["divergences"]) == ("power", 8, 0)
    assert fitted == ask("summary", output)
    alpha = next(row for row in fitted["parameters"] if row["name"] == "alpha")
    assert alpha["group"] is None
    assert 0.05 < alpha["lower"] < alpha["upper"] < 0.12
    assert answer("fit", table, *options, "--force").endswith(f"\nwritten to {output}\n")
    assert fitted == ask("summary", output)


@pytest.mark.parametrize("command", [(), *((name,) for name in COMMANDS)], ids=lambda c: " ".join(c) or "scalebayes")
def test_every_command_has_help(answer, command):
    text = answer(*command, "--help")
    assert "Usage: " in text
    described = CALLBACKS[command[0]].__doc__ if command else "Bayesian inference for scaling laws"
    assert " ".join(described.split()[:3]) in text


@pytest.mark.fits
def test_a_forecast_is_made_again_with_another_prior(ask, answer, fit_file):
    options = ("--at", "C=1e23", "--group", "Pythia", "--of", "alpha")
    rows = ask("sensitivity", fit_file, *options)["rows"]
    assert [(row["prior"], row["factor"]) for row in rows[1:]] == [("alpha", 0.5), ("alpha", 2.0)]
    assert "with the prior of alpha moved by 2" in answer("sensitivity", fit_file, *options)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_an_example_that_its_options_understand(command):
    tree = typer.main.get_command(app.app)
    words = app.EXAMPLES[CALLBACKS[command]].split()
    assert words[:2] == ["scalebayes", command]
    context = tree.commands[command].make_context(command, words[2:], resilient_parsing=False)
    assert context.params


def test_help_says_what_exit_codes_mean_and_completion_is_offered(answer):
    said = " ".join(answer("--help").split())
    assert "0 done (gate: promote); 3 and 4 for gate's hold and drop; 2 bad input" in said
    assert "130 interrupted" in said
    assert "--install-completion" in said


def test_a_shell_completes_commands():
    environment = {"_SCALEBAYES_COMPLETE": "complete_bash", "COMP_WORDS": "scalebayes fore", "COMP_CWORD": "1"}
    script = "import sys; sys.argv[:] = ['scalebayes']; from scalebayes.__main__ import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env={**os.environ, **environment}
    )
    assert done.stdout.strip() == "forecast"


def test_tables_to_learn_on_are_listed_and_written(answer, ask, tmp_path):
    assert "overtraining (26 rows, comes with the package; MIT)" in answer("datasets")
    path = tmp_path / "runs.csv"
    assert answer("datasets", "overtraining", "-o", path).startswith(f"26 rows written to {path}: model, n_params")
    pd.testing.assert_frame_equal(pd.read_csv(path), sb.datasets.load("overtraining"))
    assert len(ask("datasets")["datasets"]) == len(sb.datasets.catalogue())


def test_the_commands_tested_here_are_all_there_are():
    assert set(CALLBACKS) == set(COMMANDS)


def test_a_record_is_written_and_the_fit_made_again_from_it(answer, ask, fit_file, tmp_path):
    said = answer("record", fit_file, "-o", tmp_path / "record.json")
    assert "Law: power_floor(x; E, A, alpha)" in said
    assert said.endswith(f"written to {tmp_path / 'record.json'}\n")
    assert ask("record", fit_file)["digests"] == json.loads((tmp_path / "record.json").read_text())["digests"]
    said = answer("redo", tmp_path / "record.json", "-o", tmp_path / "again.nc")
    assert said.endswith(f"written to {tmp_path / 'again.nc'}\n")
    assert sb.load(tmp_path / "again.nc").posterior.identical(sb.load(fit_file).posterior)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_named_in_the_readme(command):
    assert f"scalebayes {command}" in README.read_text(encoding="utf-8")


def test_another_process_gives_the_same_answer(ask, fit_file):
    question = ("forecast", str(fit_file), "--at", "C=1e23", "--json")
    done = subprocess.run([sys.executable, "-m", "scalebayes", *question], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert json.loads(done.stdout) == ask(*question[:-1])


def test_another_process_refuses_with_exit_code_2_and_one_line(tmp_path):
    question = ("summary", str(tmp_path / "nothing.nc"))
    done = subprocess.run([sys.executable, "-m", "scalebayes", *question], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"scalebayes: there is no file '{tmp_path / 'nothing.nc'}'.\n"
