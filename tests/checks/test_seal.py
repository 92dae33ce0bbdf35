"""Sealed forecasts: what was sealed is scored as it was sealed, and a ledger forgets nothing."""

import json
import sqlite3
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

import scalebayes as sb
from scalebayes.numerics.scores import crps


@pytest.fixture
def sealed(pile_fit, tmp_path):
    answer = sb.forecast(pile_fit, at={"C": [1e23, 3e23]})
    return sb.seal(pile_fit, answer, tmp_path / "sealed.json", ledger=tmp_path / "ledger.sqlite", note="before")


def _results(**changed):
    good = {"flops": [1e23, 3e23, 1e23], "family": ["Pythia", "Pythia", "Cerebras-GPT"], "loss": [1.48, 1.43, 1.75]}
    return pd.DataFrame(good | changed)


def test_a_seal_says_what_was_forecast_from_what(sealed, pile_fit):
    c = sealed.contents
    assert (c["law"], c["response"], c["note"], len(c["points"])) == ("power_floor", "loss", "before", 6)
    assert c["data"] == pile_fit.model.digest
    assert c["versions"]["pymc"] == pile_fit.idata.attrs["pymc"]
    again = sb.forecast(pile_fit, at={"C": [1e23, 3e23]}).table
    assert [point["new_run_lower"] for point in c["points"]] == again["new_run_lower"].tolist()
    assert json.loads(sealed.path.read_text())["seal"] == c["seal"]
    assert str(sealed).startswith("Sealed on 20")


def test_scores_are_those_of_the_draws(sealed, pile_fit):
    found = sb.score(sealed, _results())
    draws = sb.forecast(pile_fit, at={"C": 1e23}, group="Pythia").draws["new_run"].to_numpy().reshape(-1, 1)
    row = found.table[(found.table["group"] == "Pythia") & (found.table["C"] == 1e23)].iloc[0]
    assert row["crps"] == pytest.approx(float(crps(draws, np.array([1.48]))[0]), rel=0.05)
    assert row["inside"]
    assert row["interval_score"] == pytest.approx(row["upper"] - row["lower"])
    bad = found.table[found.table["group"] == "Cerebras-GPT"].iloc[0]
    assert not bad["inside"]
    assert bad["interval_score"] == pytest.approx(
        bad["upper"] - bad["lower"] + 2 / 0.11 * (1.75 - bad["upper"]), rel=1e-9
    )
    assert found.coverage == pytest.approx(2 / 3)
    assert len(found.missing) == 3
    assert "2 of 3 results lie in the 89% bands" in str(found)
    assert "3 sealed points have no result yet." in str(found)


def test_every_changed_byte_is_noticed(sealed):
    content = sealed.path.read_bytes()
    rng = np.random.default_rng(0)
    for place in rng.choice(len(content), 200, replace=False):
        changed = bytearray(content)
        changed[place] ^= 1 << int(rng.integers(7))
        sealed.path.write_bytes(bytes(changed))
        with pytest.raises(ValueError, match=r"was changed after it was sealed|is no sealed forecast|newer version"):
            sb.score(sealed.path, _results())
    sealed.path.write_bytes(content)
    assert sb.score(sealed.path, _results()).coverage > 0


def test_a_forecast_that_is_sealed_anew_is_noticed_by_its_ledger(sealed, tmp_path, monkeypatch, pile_fit):
    ledger = tmp_path / "ledger.sqlite"
    assert sb.score(sealed, _results(), ledger=ledger).remarks == ()
    identity = sealed.contents["id"]
    monkeypatch.setattr("secrets.token_hex", lambda n: identity)
    other = sb.forecast(pile_fit, at={"C": [1e23, 3e23]}, prob=0.99)
    sb.seal(pile_fit, other, sealed.path, overwrite=True)
    (said,) = sb.score(sealed.path, _results(), ledger=ledger).remarks
    assert said.startswith(f"CHANGED: this forecast was first sealed as {sealed.contents['seal'][:16]}")
    sb.seal(pile_fit, other, sealed.path, overwrite=True, ledger=ledger)
    assert sb.ledger(ledger).resealed == (identity,)


def test_a_ledger_accumulates(sealed, tmp_path):
    ledger = tmp_path / "ledger.sqlite"
    assert str(sb.ledger(ledger)).startswith("1 sealed forecast, 0 of them scored.")
    sb.score(sealed, _results().iloc[:1], ledger=ledger)
    sb.score(sealed, _results(), ledger=ledger)
    sb.score(sealed, _results(), ledger=ledger)
    found = sb.ledger(ledger)
    assert found.table[["runs", "inside"]].to_numpy().tolist() == [[3, 2]]
    assert "89% bands of a new run: 2 of 3 results inside (0.67)." in str(found)
    assert found.to_dict()["sealed"][0]["crps"] > 0


def test_a_forecast_that_its_ledger_does_not_know(sealed, tmp_path):
    (said,) = sb.score(sealed, _results(), ledger=tmp_path / "other.sqlite").remarks
    assert said.startswith("This forecast is not in the ledger other.sqlite")


_WRITES = """
import sys
from scalebayes.checks.ledger import enter, enter_score
from pathlib import Path
who, path = sys.argv[1], Path(sys.argv[2])
for i in range(40):
    contents = {"seal": f"{who}{i}", "id": f"{who}{i}", "sealed_at": "now", "law": "power", "response": "loss",
                "data": "d", "points": [], "note": ""}
    enter(path, contents)
    enter_score(path, f"{who}{i}", "r", {"runs": 2, "inside": 1, "prob": 0.89, "crps": 0.1, "interval_score": 0.2})
"""


def test_two_processes_that_write_one_ledger_lose_nothing(tmp_path):
    path = tmp_path / "ledger.sqlite"
    writers = [subprocess.Popen([sys.executable, "-c", _WRITES, who, str(path)]) for who in "ab"]
    assert [each.wait(120) for each in writers] == [0, 0]
    found = sb.ledger(path)
    assert len(found.table) == 80
    assert found.table["runs"].tolist() == [2] * 80


def test_what_a_score_refuses(sealed, tmp_path, refuses):
    with refuses(
        ValueError,
        "none of the 3 results is at a sealed point, the first of which is C = 1e23 of Cerebras-GPT: are these the "
        "results of other runs? An input may differ by 1%, tolerance=.",
    ):
        sb.score(sealed, _results(flops=[1e20, 2e20, 3e20]))
    with refuses(ValueError, "the results need the response, a column 'loss'; they have 'flops', 'family'."):
        sb.score(sealed, _results().drop(columns="loss"))
    with refuses(ValueError, "the results need the group, a column 'family'; they have 'flops', 'loss'."):
        sb.score(sealed, _results().drop(columns="family"))
    with refuses(ValueError, "loss must be a finite number; 1 of 3 results are not, first: row 1."):
        sb.score(sealed, _results(loss=[1.4, None, 1.5]))
    (tmp_path / "other.json").write_text("{}")
    with refuses(ValueError, "other.json is no sealed forecast; sb.seal writes one."):
        sb.score(tmp_path / "other.json", _results())
    assert sb.score(sealed, _results(flops=[1.004e23, 3e23, 1e23])).coverage == pytest.approx(2 / 3)


def test_what_a_ledger_refuses(tmp_path, refuses):
    path = tmp_path / "book.sqlite"
    with pytest.raises(FileNotFoundError, match="there is no ledger"):
        sb.ledger(path)
    path.write_text("no database at all, however long it is" * 100)
    with pytest.raises(ValueError, match=r"book.sqlite is no ledger of scalebayes, or is damaged"):
        sb.ledger(path)
    path.unlink()
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE mine (a)")
    with refuses(ValueError, "book.sqlite is an SQLite file, and no ledger of scalebayes; name another one."):
        sb.ledger(path)


def test_what_seal_refuses(pile_fit, tmp_path, powers, refuses):
    answer = sb.forecast(pile_fit, at={"C": 1e23})
    with refuses(
        ValueError,
        "the forecast is of loss by power_floor, and the fit is of loss by power: seal a forecast with the fit it was "
        "made from.",
    ):
        sb.seal(powers([30.0, 29.0], [0.05, 0.05]), answer, tmp_path / "s.json")
    with refuses(TypeError, "what is sealed is the answer of sb.forecast, got dict."):
        sb.seal(pile_fit, {}, tmp_path / "s.json")
    sb.seal(pile_fit, answer, tmp_path / "s.json")
    with pytest.raises(FileExistsError, match="overwrite=True"):
        sb.seal(pile_fit, answer, tmp_path / "s.json")
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        sb.seal(pile_fit, answer, tmp_path / "t.json", ledger=tmp_path / "none" / "l.sqlite")
    assert not (tmp_path / "t.json").exists()
