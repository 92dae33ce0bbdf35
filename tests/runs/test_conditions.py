"""Conditions on rows are those of pandas, as far as they go, and run nothing."""

import re
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest

import scalebayes as sb
from scalebayes.runs.conditions import evaluated

TABLE = pd.DataFrame(
    {
        "loss": [3.1, 2.4, np.nan, 2.9],
        "n": [1e8, 1e9, 2e9, 5e8],
        "Model Size": [1, 2, 3, 4],
        "split": ["train", "target", "train", None],
        "kept": [True, False, True, True],
    }
)


@pytest.mark.parametrize(
    "where",
    [
        "loss > 2.5",
        "loss > 2.5 & n < 5e8",
        "loss > 2.5 and n < 5e8 or loss < 2.5",
        "(loss > 2.5) | (n == 2e9)",
        "not loss > 3",
        "~(loss > 3) & n > 1e8",
        "split == 'train'",
        "split in ['train', 'valid']",
        "split not in ['train']",
        "split == ['train', 'valid']",
        "split != 'train'",
        "1e8 < n <= 1e9",
        "n / 2 + 1 > loss * 1e8 - 3",
        "-n < -4e8",
        "n ** 2 > 1e17",
        "`Model Size` % 2 == 1",
        "index < 2",
        "kept",
        "kept and loss.notna()",
        "loss.isna()",
        "n == n.max()",
        "loss < loss.mean()",
        "loss.between(2, 3)",
        "split.str.contains('tr')",
        "split.str.startswith('t')",
        "loss.round(0) == 3",
        "n.isin([1e8, 2e9])",
        "`Model Size`.duplicated()",
    ],
)
def test_a_condition_means_what_it_means_in_pandas(where):
    expected = TABLE.eval(where, engine="python")
    found = evaluated(where, TABLE)
    as_truth = lambda rows: pd.Series(rows).astype("boolean").fillna(False).astype(bool).tolist()  # noqa: E731
    assert as_truth(found) == as_truth(expected)


@pytest.mark.parametrize(
    "where",
    [
        "@os.system('touch ran')",
        "@Path('ran').touch()",
        "loss.to_csv('ran')",
        "__import__('os').system('touch ran')",
        "open('ran', 'w')",
        "loss.__class__.__init__.__globals__",
        "loss.apply(print)",
        "loss.eval('1')",
        "loss.map(lambda x: x)",
        "loss.str.cat.__self__",
        "[x for x in n]",
        "n if kept else n",
        "(n := 3)",
        "f'{n}'",
        "n[0]",
        "lambda: 1",
        "loss.sum(axis=0)",
        "loss.quantile()",
        "split * 3",
        "'a' * 1000000000 == split",
        "9 ** 9 ** 9 ** 9 > n",
        "1" * 5000,
        "(" * 300 + "1" + ")" * 300,
        "not " * 200 + "kept",
        "n > 1 and " * 900 + "kept",
        "kept or " * 20_000,
        "split.str.contains(split)",
        "n in 3",
        "n is None",
        "n >",
        "nothing > 3",
        "n > 1; n",
        "\0",
        "split > 3",
    ],
    ids=lambda where: where[:30],
)
def test_what_is_no_condition_is_one_sentence(where):
    begun = time.perf_counter()
    with pytest.raises(ValueError, match=r"^where ") as refused:
        sb.read_runs(TABLE, inputs={"N": "n"}, response="loss", where=where)
    assert time.perf_counter() - begun < 60
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 1500


def test_nothing_runs_from_a_condition(tmp_path):
    """An audit hook sees what is opened, imported and started; of a refused condition it sees nothing."""
    script = """
import sys
import pandas as pd
from scalebayes.runs.conditions import evaluated
table = pd.DataFrame({"loss": [3.0], "n": [1e8]})
evaluated("loss > 3 and n.notna()", table)
seen = []
sys.addaudithook(lambda event, arguments: seen.append(event))
for where in ("@os.system('x')", "loss.to_csv('ran')", "__import__('os').system('touch ran')", "open('ran', 'w')"):
    seen.clear()
    try:
        evaluated(where, table)
    except ValueError:
        bad = [e for e in seen if e.split(".")[0] in ("open", "os", "subprocess", "shutil", "socket", "import", "exec")]
        assert not bad, (where, bad)
    else:
        raise AssertionError(where)
"""
    subprocess.run([sys.executable, "-c", script], check=True, cwd=tmp_path, timeout=120)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("where", ["val/loss < 3", "params (M) > 20", "val/loss.notna()"])
def test_a_column_whose_name_is_no_identifier_is_shown_in_backticks(where):
    table = pd.DataFrame({"val/loss": [3.5, 2.5], "params (M)": [10.0, 30.0]})
    column = "params (M)" if "params" in where else "val/loss"
    with pytest.raises(ValueError, match=re.escape(f"a column such as '{column}' is written `{column}`")):
        sb.read_runs(table, response="val/loss", where=where)
    assert len(sb.read_runs(table, response="val/loss", inputs={"N": "params (M)"}, where="`val/loss` < 3")) == 1
