"""The command line: what it answers, and the one line with which it refuses."""

import json
import math
import subprocess
import sys
import warnings
from pathlib import Path

import jax
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from matplotlib.image import imread

import scalebayes as sb
from scalebayes.cli import app
from scalebayes.inference import sampling

README = Path(__file__).parents[2] / "README.md"
COMMANDS = (
    "fit", "summary", "backtest", "forecast", "reach", "crossover", "compare", "allocate", "next-run", "plot", "laws", "demo",
)  # fmt: skip
CALLBACKS = {info.name or info.callback.__name__: info.callback for info in app.app.registered_commands}
FAMILIES = ["Cerebras-GPT", "Cerebras-GPT-muP", "Pythia"]
FILE_NEEDED = "a file written by 'scalebayes fit' or Fit.save is needed"
POINT_NEEDED = "--at takes numbers by name, for example --at N=70e9,D=1.4e12"
WIGGLE = (
    "discrepancy is 'drift', 'correlated', 'surface', 'still surface', a sb.Drift or sb.Surface, or None, got 'wiggle'."
)
EXISTS = "exists; choose another name or say --force to replace it."


@pytest.fixture
def run(monkeypatch, capsys, tmp_path_factory):
    """Runs a command in this process; returns its exit code, standard output and standard error."""

    def command(*arguments):
        # Set here so that what main() sets is undone after the test.
        monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path_factory.getbasetemp() / "jax"))
        monkeypatch.setenv("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.2")
        monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
        monkeypatch.setattr(sys, "argv", ["scalebayes", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            app.main()
        printed = capsys.readouterr()
        return ended.value.code, printed.out, printed.err

    return command


@pytest.fixture
def answer(run):
    """Runs a command that must succeed quietly; returns what it printed."""

    def printed(*arguments):
        code, out, err = run(*arguments)
        assert (code, err) == (0, "")
        return out

    return printed


@pytest.fixture
def ask(answer):
    """Runs a command with --json; returns the object. NaN and Infinity are no JSON."""

    def of(*arguments):
        return json.loads(answer(*arguments, "--json"), parse_constant=pytest.fail)

    return of


@pytest.fixture
def refuses(run, monkeypatch):
    """Runs a command that must fail with one line, before a function is traced for JAX or the sampler is reached."""

    def sampled(*arguments, **settings):
        raise AssertionError("the sampler was reached")

    def whole(message, *arguments):
        monkeypatch.setattr(sampling, "sample", sampled)
        monkeypatch.delenv("SCALEBAYES_TRACEBACK", raising=False)
        before = jax.config.jax_no_tracing
        jax.config.update("jax_no_tracing", True)
        try:
            code, out, err = run(*arguments)
        finally:
            jax.config.update("jax_no_tracing", before)
        assert (code, out, err) == (2, "", f"scalebayes: {message}\n")

    return whole


@pytest.fixture(scope="module")
def table_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("tables") / "pile.csv"
    sb.pile_families().to_csv(path, index=False)
    return path


def by_group(rows):
    return {row["group"]: row for row in rows}


# Answers


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
    assert "noise: Gaussian, drift;" in said


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
def test_a_law_is_told_with_its_discrepancy(word, rest):
    assert app._law(sb.laws, word, "surface") == (sb.laws.power_floor, *rest)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "say what is known by one of train= (a column of 0 and 1), cutoffs= or top= (command line: --train-column, --cutoffs or --holdout-top)."),
        (("--cutoffs", "a few"), "--cutoffs takes numbers between 0 and 1, for example --cutoffs 0.1,0.3; got 'a few'."),
        (("--cutoffs", "0.3"), "1 curve cannot be tested: 0.3, short: 0 known runs, and 4 are needed. skip=True (--skip) leaves them out."),
        (("--cutoffs", "0.3", "--pooling", "crossed"), "pooling='crossed' is about curves that are fitted together: say which, pool=."),
        (("--cutoffs", "0.3", "--input", "D=error"), "--input names D twice: n_samples and error."),
        (("--cutoffs", "0.3", "-o", "b.jpeg"), "a picture is written as .png, .pdf, .svg; got 'b.jpeg'."),
    ],
)  # fmt: skip
def test_a_backtest_is_refused_in_one_line(run, curves_file, options, message):
    columns = ("--law", "power_floor", "--input", "D=n_samples", "--response", "error", "--curve", "curve")
    code, out, err = run("backtest", curves_file, *columns, *options)
    assert (code, out) == (2, "")
    assert err.strip() == f"scalebayes: {message}"


def test_weights_are_of_several_fits(run, fit_file):
    code, out, err = run("forecast", fit_file, "--at", "N=1e10,D=1e11", "--weights", "loo")
    assert (code, out) == (2, "")
    assert "--weights loo is about several fits, which are averaged; got" in err


def test_summary_has_every_parameter_with_interval_and_diagnostics(ask, fit_file):
    found = ask("summary", fit_file)
    assert found["law"] == "power_floor"
    assert found["n_runs"] == 20
    assert found["divergences"] == 0
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
    assert lines[0].startswith("Fit of power_floor: 0 divergences, max r-hat 1.0")
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
    row = sb.forecast(sb.load(fit_file), {"C": 1e23}, group="Pythia", prob=0.5, seed=7).table.iloc[0]
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


def test_a_schedule_told_of_lowers_a_forecast_beyond_its_change(ask, answer, fit_file):
    places = ("--at", "C=1e22", "--at", "C=2.4e23", "--group", "Pythia")
    plain = ask("forecast", fit_file, *places)["points"]
    told = ("--schedule-change", "1e23", "--schedule-gain", "0.03", "0.000001")
    found = ask("forecast", fit_file, *places, *told)["points"]
    assert [point["schedule_change"] for point in found] == [False, True]
    ratios = [a["median"] / b["median"] for a, b in zip(found, plain, strict=True)]
    assert ratios == pytest.approx([1.0, math.exp(-0.03)], rel=1e-5)
    assert "there the response is taken to be 3.0% lower" in answer("forecast", fit_file, *places, *told)


def test_forecast_in_words_is_a_sentence_for_each_group_and_one_on_the_draws(answer, fit_file):
    *sentences, warned, draws = answer("forecast", fit_file, "--at", "C=2.4e23").splitlines()
    assert warned == (
        "These bands take the form of power_floor for true; on published runs 89% bands of a law alone held 69% at twice the known scale "
        "and 27% at 33 times. Fit with discrepancy= to let runs depart from it."
    )
    for sentence, family in zip(sentences, FAMILIES, strict=True):
        assert sentence.startswith(f"{family}: at C = 2.4e23 the expected loss is ")
        assert "(89% interval " in sentence
        assert "; a single new run " in sentence
    assert sentences[-1].endswith("; extrapolates 10x beyond the largest C.")
    assert draws.startswith("(0 divergences, max r-hat 1.0")


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


def test_plot_replaces_a_picture_if_told_to(answer, fit_file, tmp_path):
    path = tmp_path / "curves.svg"
    path.write_text("mine")
    assert answer("plot", fit_file, "-o", path, "--force") == f"drawn to {path}\n"
    assert "<svg" in path.read_text()


def test_laws_lists_the_built_in_laws(ask, answer):
    laws = {law["name"]: law for law in ask("laws")["laws"]}
    one_axis = {"power", "power_floor", "shifted_power", "saturating_power", "sigmoid", "broken_power"}
    assert set(laws) == {"chinchilla", "kaplan"} | one_axis
    assert laws["chinchilla"]["inputs"] == ["N", "D"]
    assert laws["chinchilla"]["parameters"] == ["E", "A", "B", "alpha", "beta"]
    assert "chinchilla(N, D; E, A, B, alpha, beta)\n" in answer("laws")


@pytest.mark.filterwarnings("ignore::scalebayes.ConvergenceWarning")
def test_fit_writes_a_file_that_summary_reads(ask, answer, tmp_path):
    table, output = tmp_path / "pythia.csv", tmp_path / "fit.nc"
    sb.pile_families().query("family == 'Pythia'").to_csv(table, index=False)
    options = ("--law", "power", "-o", output, "--input", "N=n_params", "--draws", 200, "--chains", 2)
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


def test_the_commands_tested_here_are_all_there_are():
    assert set(CALLBACKS) == set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_named_in_the_readme(command):
    assert f"scalebayes {command}" in README.read_text(encoding="utf-8")


# Another process


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


# Refusals


def test_fit_refuses_an_unknown_law(refuses, table_file, tmp_path):
    message = "unknown law 'hyperbola'; the built-in laws are broken_power, chinchilla, kaplan, power, power_floor, saturating_power, shifted_power, sigmoid."
    refuses(message, "fit", table_file, "--law", "hyperbola", "-o", tmp_path / "fit.nc", "--input", "C=flops")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", ["fit", "summary", "forecast", "reach", "plot"])
def test_a_file_that_is_not_there_is_refused(refuses, tmp_path, command):
    rest = {
        "fit": ("--law", "power", "-o", tmp_path / "fit.nc"),
        "summary": (),
        "forecast": ("--at", "C=1e23"),
        "reach": ("--target", "1.5", "--axis", "C"),
        "plot": ("-o", tmp_path / "curves.png"),
    }
    refuses(f"there is no file '{tmp_path / 'nothing'}'.", command, tmp_path / "nothing", *rest[command])
    assert not list(tmp_path.iterdir())


def test_forecast_refuses_a_file_of_points_that_is_not_there(refuses, fit_file, tmp_path):
    path = tmp_path / "plan.csv"
    refuses(f"there is no file '{path}'.", "forecast", fit_file, "--at-file", path)


def test_fit_refuses_to_replace_a_file(refuses, table_file, tmp_path):
    output = tmp_path / "mine.nc"
    output.write_bytes(b"years of work")
    refuses(f"'{output}' {EXISTS}", "fit", table_file, "--law", "power", "-o", output, "--input", "C=flops")
    assert output.read_bytes() == b"years of work"


def test_plot_refuses_to_replace_a_file(refuses, fit_file, tmp_path):
    output = tmp_path / "mine.png"
    output.write_bytes(b"years of work")
    refuses(f"'{output}' {EXISTS}", "plot", fit_file, "-o", output)
    assert output.read_bytes() == b"years of work"


def test_plot_refuses_to_replace_the_fit_it_draws(refuses, fit_file):
    before = fit_file.read_bytes()
    refuses(f"'{fit_file}' {EXISTS}", "plot", fit_file, "-o", fit_file)
    assert fit_file.read_bytes() == before


@pytest.mark.parametrize("command", ["fit", "plot"])
def test_an_output_in_a_folder_that_is_not_there_is_refused(refuses, fit_file, table_file, tmp_path, command):
    folder = tmp_path / "results"
    given = {"fit": (table_file, "--law", "power", "--input", "C=flops", "-o", folder / "fit.nc")}
    given["plot"] = (fit_file, "-o", folder / "curves.png")
    name = given[command][-1].name
    refuses(f"there is no folder '{folder}' to write '{name}' into.", command, *given[command])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", ["fit", "plot"])
def test_an_output_that_is_a_folder_is_refused(refuses, fit_file, table_file, tmp_path, command):
    folder = tmp_path / "results.png"
    folder.mkdir()
    given = {"fit": (table_file, "--law", "power", "--input", "C=flops"), "plot": (fit_file,)}
    refuses(f"'{folder}' is a folder; name a file.", command, *given[command], "-o", folder, "--force")


@pytest.mark.parametrize("name", ["curves.gif", "curves"])
def test_plot_refuses_a_kind_of_picture_it_cannot_write(refuses, fit_file, tmp_path, name):
    message = f"a picture is written as .png, .pdf, .svg; got '{name}'."
    refuses(message, "plot", fit_file, "-o", tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_forecast_refuses_a_point_without_an_input_of_the_law(refuses, fit_file):
    message = "the points name 'N', which power_floor does not take; it takes C (FLOPs) and the group family, for example C=4e20."
    refuses(message, "forecast", fit_file, "--at", "N=70e9")


def test_forecast_refuses_a_file_of_points_without_an_input_of_the_law(refuses, fit_file, tmp_path):
    pd.DataFrame({"family": ["Pythia"], "N": [70e9]}).to_csv(tmp_path / "plan.csv", index=False)
    message = "power_floor needs C at each point; C (FLOPs) is missing, given: family, N. For example C=4e20."
    refuses(message, "forecast", fit_file, "--at-file", tmp_path / "plan.csv")


def test_forecast_refuses_points_of_different_inputs(refuses, fit_file):
    message = "every --at names the same inputs; got 'C=1e23' and 'N=70e9'."
    refuses(message, "forecast", fit_file, "--at", "C=1e23", "--at", "N=70e9")


@pytest.mark.parametrize("point", ["C=plenty", "C=", "C", "1e23", "C=1e23,N=some"])
def test_forecast_refuses_a_point_that_is_no_number(refuses, fit_file, point):
    refuses(f"{POINT_NEEDED}; got '{point}'.", "forecast", fit_file, "--at", point)


@pytest.mark.parametrize(("value", "shown"), [("-1e23", "-1e+23"), ("0", "0.0"), ("nan", "nan"), ("inf", "inf")])
def test_forecast_refuses_a_number_that_is_no_scale(refuses, fit_file, value, shown):
    message = f"C must be a positive finite number; 1 of 1 points is not, first: row 0: {shown}."
    refuses(message, "forecast", fit_file, "--at", f"C={value}")


@pytest.mark.parametrize("where", [(), ("--at", "C=1e23", "--at-file", "plan.csv")], ids=["neither", "both"])
def test_forecast_refuses_no_points_and_two_sources_of_them(refuses, fit_file, where):
    message = "say where to forecast: either --at N=70e9,D=1.4e12 or --at-file plan.csv."
    refuses(message, "forecast", fit_file, *where)


@pytest.mark.parametrize("question", [("forecast", "--at", "C=1e23"), ("reach", "--target", "1.5", "--axis", "C")])
def test_an_unknown_group_is_refused(refuses, fit_file, question):
    message = "family has no group 'Llama'; the groups are Cerebras-GPT, Cerebras-GPT-muP, Pythia."
    refuses(message, question[0], fit_file, *question[1:], "--group", "Llama")


def test_an_unknown_group_in_a_file_of_points_is_refused(refuses, fit_file, tmp_path):
    pd.DataFrame({"family": ["Pythia", "Llama"], "C": [1e23, 1e23]}).to_csv(tmp_path / "plan.csv", index=False)
    message = "family has no group 'Llama'; the groups are Cerebras-GPT, Cerebras-GPT-muP, Pythia."
    refuses(message, "forecast", fit_file, "--at-file", tmp_path / "plan.csv")


def test_a_known_and_a_new_group_together_are_refused(refuses, fit_file):
    message = "a known group and a new one exclude each other; give group or new_group."
    refuses(message, "forecast", fit_file, "--at", "C=1e23", "--group", "Pythia", "--new-group")


def test_a_truncated_fit_is_refused(refuses, fit_file, tmp_path):
    path = tmp_path / "cut.nc"
    path.write_bytes(fit_file.read_bytes()[:2000])
    # In brackets, what HDF5 says.
    said = f"truncated file: eof = 2000, sblock->base_addr = 0, stored_eof = {fit_file.stat().st_size}"
    reason = f"Unable to synchronously open file ({said})"
    message = f"cut.nc cannot be read ({reason}); it is truncated or no netCDF file: {FILE_NEEDED}."
    refuses(message, "summary", path)


def test_a_table_in_place_of_a_fit_is_refused(refuses, table_file):
    reason = "Unable to synchronously open file (file signature not found)"
    message = f"pile.csv cannot be read ({reason}); it is truncated or no netCDF file: {FILE_NEEDED}."
    refuses(message, "summary", table_file)


@pytest.mark.parametrize("command", [("summary",), ("forecast", "--at", "C=1e23")], ids=lambda c: c[0])
def test_a_netcdf_file_of_something_else_is_refused(refuses, tmp_path, command):
    path = tmp_path / "weather.nc"
    xr.Dataset({"rain": ("day", np.arange(3.0))}).to_netcdf(path, engine="h5netcdf")
    message = f"weather.nc is a netCDF file, but holds no fit of scalebayes; {FILE_NEEDED}."
    refuses(message, command[0], path, *command[1:])


def test_fit_refuses_a_loss_that_is_missing(refuses, tmp_path):
    table = sb.pile_families()
    table.loc[3, "loss"] = np.nan
    table.to_csv(tmp_path / "runs.csv", index=False)
    message = (
        "column 'loss' (the response) must hold positive finite numbers; 1 of 20 rows is missing (NaN) (row 3: nan). "
        "Correct them, or leave them out with where (command line: --where)."
    )
    options = ("--law", "power_floor", "-o", tmp_path / "fit.nc", "--input", "C=flops", "--group", "family")
    refuses(message, "fit", tmp_path / "runs.csv", *options)
    assert not (tmp_path / "fit.nc").exists()


@pytest.mark.parametrize("given", ["flops", "C=", "=flops"])
def test_fit_refuses_an_input_that_is_no_pair(refuses, table_file, tmp_path, given):
    message = f"--input takes NAME=COLUMN, for example --input N=n_params; got '{given}'."
    refuses(message, "fit", table_file, "--law", "power", "-o", tmp_path / "fit.nc", "--input", given)


def test_fit_refuses_a_column_that_is_not_there(refuses, table_file, tmp_path):
    message = (
        "input C is to be column 'compute', which pile.csv does not have; its columns are "
        "'family', 'model', 'n_params', 'n_tokens', 'flops', 'loss', 'source'."
    )
    refuses(message, "fit", table_file, "--law", "power", "-o", tmp_path / "fit.nc", "--input", "C=compute")


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--noise", "cauchy", "noise is 'student_t' or 'gaussian', or a StudentT or Gaussian, got 'cauchy'."),
        ("--pooling", "some", "pooling is 'shared', 'pooled', 'crossed' or 'separate', got 'some'."),
        ("--draws", 1, "draws is a whole number from 4 on, got 1."),
        ("--chains", 0, "chains is a whole number from 1 on, got 0."),
        ("--seed", -1, "seed is a whole number from 0 on, got -1."),
        ("--thin", 1, "points is a whole number from 2 on, got 1."),
        ("--discrepancy", "wiggle", WIGGLE),
    ],
)
def test_fit_refuses_a_setting_out_of_range(refuses, table_file, tmp_path, option, value, message):
    options = ("--law", "power", "-o", tmp_path / "fit.nc", "--input", "C=flops", "--group", "family")
    refuses(message, "fit", table_file, *options, option, value)


@pytest.mark.parametrize(
    "question",
    [
        ("summary",),
        ("summary", "--json"),
        ("forecast", "--at", "C=1e23"),
        ("reach", "--target", "1.5", "--axis", "C"),
        ("plot", "-o", "curves.png"),
    ],
    ids=lambda question: " ".join(question[:2]),
)
def test_a_probability_above_1_is_refused(refuses, fit_file, tmp_path, monkeypatch, question):
    monkeypatch.chdir(tmp_path)
    message = "prob lies between 0 and 1, got 1.5; for 89% say 0.89."
    refuses(message, question[0], fit_file, *question[1:], "--prob", "1.5")
    assert not list(tmp_path.iterdir())


def test_plot_refuses_an_axis_that_the_law_does_not_have(refuses, fit_file, tmp_path):
    message = "power_floor has no input 'N' to plot along; it has C."
    refuses(message, "plot", fit_file, "-o", tmp_path / "curves.png", "--axis", "N")


@pytest.mark.parametrize(
    ("question", "message"),
    [
        (("--target", "-1", "--axis", "C"), "the target is a positive finite loss, got -1.0."),
        (("--target", "1.5", "--axis", "N"), "power_floor has no axis 'N'; it has C."),
        (
            ("--target", "1.5", "--axis", "C", "--at", "D/N=20"),
            "to move along C, power_floor needs no other input held; got D/N.",
        ),
        (("--target", "1.5", "--axis", "C", "--at", "D=many"), f"{POINT_NEEDED}; got 'D=many'."),
    ],
)
def test_reach_refuses_a_question_without_an_answer(refuses, fit_file, question, message):
    refuses(message, "reach", fit_file, *question)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nope",), "No such command 'nope'; see 'scalebayes --help'."),
        (("plot",), "Missing argument 'FIT.nc'; see 'scalebayes plot --help'."),
        (("fit", "x.csv", "--law", "power"), "Missing option '-o' / '--output'; see 'scalebayes fit --help'."),
        (("forecast", "fit.nc", "--at", "C=1,C=2"), "--at names C twice in 'C=1,C=2'; repeat --at for another point."),
    ],
)
def test_a_misspelt_command_is_one_line(refuses, fit_file, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(fit_file.parent)
    refuses(message, *(fit_file if argument == "fit.nc" else argument for argument in arguments))
