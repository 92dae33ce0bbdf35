"""Tables as people have them: separators, encodings, compression, other libraries, several responses."""

import bz2
import gzip
import json
import lzma

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import scalebayes as sb

pytestmark = pytest.mark.usefixtures("nothing_is_compiled")

TABLE = pd.DataFrame(
    {"family": ["007", "007", "1.10", "1.10"], "params": [1e8, 2e8, 4e8, 8e8], "loss": [3.25, 3.0, 2.75, 2.5]}
)
CSV = TABLE.to_csv(index=False)


def read(source):
    runs = sb.read_runs(source, inputs={"N": "params"}, response="loss", group="family")
    assert runs.levels == ("007", "1.10")
    np.testing.assert_array_equal(runs.y, TABLE["loss"])
    np.testing.assert_array_equal(runs.x("N"), TABLE["params"])


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("commas.csv", CSV.encode()),
        ("tabs.tsv", CSV.replace(",", "\t").encode()),
        ("semicolons.csv", CSV.replace(",", ";").encode()),
        (
            "decimals.csv",
            CSV.replace(",", ";").replace("1.10", "ten").replace(".", ",").replace("ten", "1.10").encode(),
        ),
        ("marked.csv", CSV.encode("utf-8-sig")),
        ("wide.csv", CSV.encode("utf-16")),
        ("big_end.csv", b"\xfe\xff" + CSV.encode("utf-16-be")),
        ("runs.csv.gz", gzip.compress(CSV.encode())),
        ("runs.csv.bz2", bz2.compress(CSV.encode())),
        ("runs.csv.xz", lzma.compress(CSV.encode())),
        ("runs.jsonl", TABLE.to_json(orient="records", lines=True).encode()),
        ("runs.jsonl.gz", gzip.compress(TABLE.to_json(orient="records", lines=True).encode())),
        ("runs.json", TABLE.to_json(orient="records").encode()),
    ],
)
def test_a_file_is_read_as_it_is(name, content, tmp_path):
    if name == "decimals.csv":  # a label with a point: decimals are not commas for sure, so the caller has to say
        content = content.replace(b"1.10", b"1_10")
        (tmp_path / name).write_bytes(content)
        runs = sb.read_runs(tmp_path / name, inputs={"N": "params"}, response="loss", group="family")
        np.testing.assert_array_equal(runs.y, TABLE["loss"])
        return
    (tmp_path / name).write_bytes(content)
    read(tmp_path / name)


def test_parquet(tmp_path):
    TABLE.to_parquet(tmp_path / "runs.parquet")
    read(tmp_path / "runs.parquet")


def test_frames_of_other_libraries():
    columns = TABLE.to_dict("list")
    read(pl.DataFrame(columns))
    read(pl.DataFrame(columns).lazy())
    read(pa.table(columns))
    missing = pl.DataFrame({"params": [1e8, None], "loss": [3.0, 2.0]})
    with pytest.raises(ValueError, match=r"missing \(NaN\)"):
        sb.read_runs(missing, inputs={"N": "params"}, response="loss")


@pytest.mark.parametrize("content", ["3", '{"loss": 1}\n[2]', '{"loss": ', ""])
def test_json_that_is_no_table_is_refused(content, tmp_path):
    (tmp_path / "runs.jsonl").write_text(content)
    with pytest.raises(ValueError, match=r"^runs\.jsonl cannot be read as a table: "):
        sb.read_runs(tmp_path / "runs.jsonl")


def test_a_name_in_quotes_may_hold_a_comma(tmp_path):
    (tmp_path / "runs.csv").write_text('"size, all";loss\n1e8;3.0\n1e9;2.5\n')
    runs = sb.read_runs(tmp_path / "runs.csv", inputs={"N": "size, all"}, response="loss")
    assert runs.x("N").tolist() == [1e8, 1e9]


def test_several_responses_are_groups():
    table = TABLE.assign(loss_code=[2.0, np.nan, 1.5, 1.0])
    runs = sb.read_runs(table, inputs={"N": "params"}, response=["loss", "loss_code"], group="family")
    assert len(runs) == 7  # one run has no loss on code
    assert runs.levels == ("007, loss", "007, loss_code", "1.10, loss", "1.10, loss_code")
    assert runs.response == "value"


@pytest.mark.parametrize(
    ("columns", "error", "said"),
    [
        (["loss", "ppl"], ValueError, "'loss' is a loss and 'ppl' is a perplexity, by their names"),
        (["loss", "lsso"], ValueError, "'lsso', which table does not have .did you mean 'loss'"),
        (["loss", "loss"], TypeError, "a list of different columns"),
        ([], TypeError, "a list of different columns"),
        (["loss", 3], TypeError, "a list of different columns"),
    ],
)
def test_responses_that_do_not_go_together_are_refused(columns, error, said):
    with pytest.raises(error, match=said):
        sb.read_runs(TABLE.assign(ppl=[20.0, 18.0, 15.0, 12.0]), response=columns)


def test_responses_need_a_column_of_their_own():
    with pytest.raises(ValueError, match="into a column 'metric', which table has; rename it"):
        sb.read_runs(TABLE.assign(metric=1, other_loss=2.0), response=["loss", "other_loss"])


def test_values_of_a_record_may_be_of_any_kind(tmp_path):
    rows = [{"loss": 3.0, "params": 1e8, "tags": ["a"]}, {"loss": 2.0, "params": 1e9}]
    (tmp_path / "runs.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert len(sb.read_runs(tmp_path / "runs.jsonl", inputs={"N": "params"}, response="loss")) == 2
