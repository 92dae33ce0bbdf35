"""The command line: refusals, each of one line."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import scalebayes as sb
from scalebayes.discrepancy import WORDS
from scalebayes.fits.netcdf import seal_of

FILE_NEEDED = "a file written by 'scalebayes fit' or Fit.save is needed"
POINT_NEEDED = "--at takes numbers by name, for example --at N=70e9,D=1.4e12"
WIGGLE = (
    f"discrepancy is 'auto', {', '.join(map(repr, WORDS))}, a value such as sb.Drift(), a tuple of them, or None, "
    "got 'wiggle'."
)
EXISTS = "exists; choose another name or say --force to replace it."


def test_fit_refuses_an_unknown_law(refuses, table_file, tmp_path):
    n = len(sb.laws.BUILT_IN)
    message = f"unknown law 'hyperbola'; 'scalebayes laws' lists the {n} built-in ones."
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
    message = (
        "the points name 'N', which power_floor does not take; it takes C (FLOPs) and the group family, for example "
        "C=4e20."
    )
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
    message = "family has no group 'Llama'; the groups are 'Cerebras-GPT', 'Cerebras-GPT-muP', 'Pythia'."
    refuses(message, question[0], fit_file, *question[1:], "--group", "Llama")


def test_an_unknown_group_in_a_file_of_points_is_refused(refuses, fit_file, tmp_path):
    pd.DataFrame({"family": ["Pythia", "Llama"], "C": [1e23, 1e23]}).to_csv(tmp_path / "plan.csv", index=False)
    message = "family has no group 'Llama'; the groups are 'Cerebras-GPT', 'Cerebras-GPT-muP', 'Pythia'."
    refuses(message, "forecast", fit_file, "--at-file", tmp_path / "plan.csv")


def test_a_known_and_a_new_group_together_are_refused(refuses, fit_file):
    message = "a known group and a new one exclude each other; give group or new_group."
    refuses(message, "forecast", fit_file, "--at", "C=1e23", "--group", "Pythia", "--new-group")


def test_a_truncated_fit_is_refused(refuses, fit_file, tmp_path):
    path = tmp_path / "cut.nc"
    path.write_bytes(fit_file.read_bytes()[:2000])
    # HDF5's own message stands in brackets.
    said = (
        f"truncated file: eof = 2000, sblock->base_addr = 0, stored_eof = {fit_file.stat().st_size - len(seal_of(b''))}"
    )
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
        "column 'loss' (the response) must hold finite numbers; 1 of 20 rows is missing (NaN) (row 3: nan). "
        'where="loss.notna()" leaves missing values out. '
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
        (
            "--observation",
            "cauchy",
            "observation is 'student_t', 'gaussian', 'ex_gaussian', or a value such as sb.StudentT(), got 'cauchy'.",
        ),
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
            ("--target", "1.5", "--axis", "C", "--path", "ratio=20"),
            "to move along C, power_floor needs no other input held; got D/N.",
        ),
        (
            ("--target", "1.5", "--axis", "C", "--path", "D=many"),
            "--path is optimal, ratio=20, N=1e9 or D=2e10; got 'D=many'.",
        ),
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


def test_weights_are_of_several_fits(run, fit_file):
    code, out, err = run("forecast", fit_file, "--at", "N=1e10,D=1e11", "--weights", "loo")
    assert (code, out) == (2, "")
    assert "--weights loo is about several fits, which are averaged; got" in err
