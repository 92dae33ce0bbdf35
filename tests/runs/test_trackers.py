"""Small exports of trackers, made after their documentation."""

import numpy as np
import pandas as pd
import pytest

import scalebayes as sb

# The table of a project's page, saved as CSV.
PAGE = """"Name","State","Created","Runtime","n_params","n_tokens","lr","val/loss"
"fine-wave-1","finished","2026-01-01T00:00:00.000Z","3600","100000000","2000000000","0.001","3.25"
"bold-sun-2","finished","2026-01-01T00:00:00.000Z","7200","200000000","4000000000","0.001","3.0"
"calm-sky-3","crashed","2026-01-01T00:00:00.000Z","60","400000000","8000000000","0.001","5.0"
"warm-sea-4","finished","2026-01-01T00:00:00.000Z","9000","800000000","16000000000","0.001","2.5"
"""
# A script that writes run.summary, run.config and run.name of every run to a CSV.
SCRIPT = """,summary,config,name
0,"{'loss': 3.25, '_step': 1000, 'grad': nan}","{'n_params': 100000000, 'model': {'layers': 6}}",one
1,"{'loss': 3.0, '_step': 2000, 'grad': 0.1}","{'n_params': 200000000, 'model': {'layers': 8}}",two
"""
SEARCH = pd.DataFrame(
    {
        "run_id": ["a1", "b2", "c3"],
        "status": ["FINISHED", "FAILED", "FINISHED"],
        "metrics.loss": [3.25, np.nan, 2.5],
        "params.n_params": ["100000000", "200000000", "800000000"],
        "tags.mlflow.runName": ["one", "two", "three"],
    }
)
HISTORY = """run_id,key,value,step,timestamp
a1,loss,4.0,0,0
a1,loss,3.25,1000,1
a1,accuracy,0.5,1000,1
c3,loss,2.5,2000,3
c3,loss,3.5,1000,2
"""
CHART = """"Step","one - loss","one - loss__MIN","one - loss__MAX","three - loss","three - loss__MIN","three - loss__MAX"
"0","4.0","4.0","4.0","3.9","3.9","3.9"
"1000","3.25","3.2","3.3","3.5","3.5","3.5"
"2000","","","","2.5","2.5","2.5"
"""


def file(folder, name, content):
    (folder / name).write_text(content)
    return folder / name


def test_the_table_of_a_page_becomes_runs(tmp_path):
    with pytest.warns(sb.RunsWarning, match=r"1 of 4 runs of page\.csv are left out.*'State' says 1 crashed"):
        table = sb.tracker_runs(file(tmp_path, "page.csv", PAGE))
    runs = sb.read_runs(table, group=None)
    assert runs.response == "val/loss"
    assert {name: each.column for name, each in runs.inputs.items()} == {"N": "n_params", "D": "n_tokens"}
    assert len(sb.tracker_runs(tmp_path / "page.csv", unfinished=True)) == 4


def test_dictionaries_are_columns(tmp_path):
    table = sb.tracker_runs(file(tmp_path, "project.csv", SCRIPT))
    assert table["loss"].tolist() == [3.25, 3.0]
    assert table["model.layers"].tolist() == [6, 8]
    assert np.isnan(table["grad"][0])


def test_code_in_a_dictionary_is_not_run(tmp_path):
    content = SCRIPT.replace("{'n_params': 200000000", "{'n_params': __import__('os').mkdir('x')")
    with pytest.raises(ValueError, match=r"column 'config' of project\.csv holds dictionaries, but .* in row 1"):
        sb.tracker_runs(file(tmp_path, "project.csv", content))


def test_a_search_loses_its_prefixes():
    with pytest.warns(sb.RunsWarning, match="1 of 3 runs of table are left out"):
        table = sb.tracker_runs(SEARCH)
    assert list(table) == ["run_id", "status", "loss", "n_params", "mlflow.runName"]


@pytest.mark.parametrize(("name", "content"), [("history.csv", HISTORY), ("chart.csv", CHART)])
def test_a_history_keeps_the_last_value(tmp_path, name, content):
    with pytest.warns(sb.RunsWarning, match="none of their settings"):
        table = sb.tracker_runs(file(tmp_path, name, content))
    assert table["loss"].tolist() == [3.25, 2.5]
    assert table["step"].tolist() == [1000, 2000]


@pytest.mark.parametrize(("name", "content"), [("history.csv", HISTORY), ("chart.csv", CHART)])
def test_a_history_is_joined_with_settings(tmp_path, name, content):
    with pytest.warns(sb.RunsWarning, match="1 of 3 runs of table are left out"):
        table = sb.tracker_runs(file(tmp_path, name, content), configs=SEARCH)
    runs = sb.read_runs(table, inputs={"N": "n_params"}, response="loss")
    assert runs.y.tolist() == [3.25, 2.5]
    assert runs.x("N").tolist() == [1e8, 8e8]


def test_rows_of_steps_keep_the_last_one():
    table = pd.DataFrame({"run": list("aabb"), "_step": [2, 1, 1, 2], "n_params": [1, 1, 2, 2], "loss": [3.0, 4, 5, 2]})
    assert sb.tracker_runs(table).set_index("run")["loss"].to_dict() == {"a": 3.0, "b": 2.0}


@pytest.mark.parametrize(
    ("source", "settings", "said"),
    [
        (pd.DataFrame({"_step": [1, 2], "loss": [3.0, 2.0]}), {}, "no column names its runs; name it: run="),
        (SEARCH, {"run": "name"}, "run='name' is no column of table"),
        (SEARCH, {"configs": SEARCH}, "holds no history: configs= is not needed"),
        (SEARCH.assign(status="RUNNING"), {}, "none of the 3 runs of table is finished"),
        (pd.DataFrame({"run": list("aabb"), "_step": [1, 2, 1, 2]}), {}, "a history without a metric"),
        (
            pd.DataFrame({"run": list("aabb"), "_step": [1, 2, 1, 2], "loss": 1.0}),
            {"configs": pd.DataFrame({"name": ["x", "y"], "n_params": [1, 2]})},
            "no column of table names the runs of table",
        ),
    ],
)
def test_what_is_no_export_is_refused(source, settings, said):
    with pytest.raises(ValueError, match=said):
        sb.tracker_runs(source, **settings)
