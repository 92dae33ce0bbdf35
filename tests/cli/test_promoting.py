"""Commands for promotion, reduced tables and sealed forecasts: exit codes, answers and files."""

import json

import numpy as np
import pandas as pd
import pytest

import scalebayes as sb


@pytest.mark.parametrize(
    ("amplitude", "code", "verdict"), [(29.0, 0, "promote"), (31.0, 4, "drop")], ids=["faster", "slower"]
)
def test_the_exit_code_of_a_gate_is_its_verdict(run, powers, monkeypatch, tmp_path, amplitude, code, verdict):
    fit = powers([30.0, amplitude], [0.05, 0.05])
    monkeypatch.setattr("scalebayes.fits.storage.load", lambda path: fit)
    words = ("gate", tmp_path / "fit.nc", "--baseline", "a", "--to", "1e23")
    ended, out, err = run(*words, "--json", "-o", tmp_path / "gate.png")
    found = json.loads(out)
    assert (ended, err, found["verdict"]) == (code, "", verdict)
    assert found["candidates"][0]["median"] == sb.gate(fit, baseline="a", to=1e23).table["median"].iloc[0]
    assert found["figure"] == str(tmp_path / "gate.png")
    assert found["rule"].startswith("Rule: promote if")
    ended, out, err = run(*words)
    assert (ended, err) == (code, "")
    assert out.startswith(f"b: {verdict.upper()}. At C = 1e23")


def test_a_gate_that_holds(run, powers, monkeypatch):
    rng = np.random.default_rng(0)
    A = np.stack([np.full(400, 30.0), 30.0 * np.exp(-(0.2 + 0.3 * rng.normal(size=400)) / 20)])
    fit = powers(A, np.full((2, 400), 0.05))
    monkeypatch.setattr("scalebayes.fits.storage.load", lambda path: fit)
    ended, out, _ = run("gate", "fit.nc", "--baseline", "a", "--to", "1e24", "--threshold", "1.1")
    assert (ended, out.split(". ")[0]) == (3, "b: HOLD")


def test_sealed_scored_and_in_the_ledger(ask, answer, run, refuses, fit_file, tmp_path):
    sealed, book = tmp_path / "sealed.json", tmp_path / "ledger.sqlite"
    words = ("--at", "C=1e23", "--group", "Pythia", "--ledger", book)
    said = answer("seal", fit_file, *words, "-o", sealed)
    assert "1 forecast of loss by power_floor" in said
    results = tmp_path / "results.csv"
    pd.DataFrame({"flops": [1e23], "family": ["Pythia"], "loss": [1.48]}).to_csv(results, index=False)
    found = ask("score", sealed, results, "--ledger", book, "-o", tmp_path / "score.png")
    assert found["coverage"] == 1.0
    assert (tmp_path / "score.png").stat().st_size > 1000
    assert ask("ledger", book)["sealed"][0]["inside"] == 1
    refuses(
        f"'{sealed}' exists; choose another name or say --force to replace it.", "seal", fit_file, *words, "-o", sealed
    )
    sealed.write_text(sealed.read_text().replace("Pythia", "Pythib"))
    code, _, err = run("score", sealed, results)
    assert code == 2
    assert "was changed after it was sealed" in err


def test_tables_are_reduced(answer, ask, tmp_path):
    table = pd.DataFrame({"N": np.repeat([1e8, 1e9, 1e10], 3), "lr": [1e-3, 2e-3, 4e-3] * 3})
    table["loss"] = 2 + 20 * table["N"] ** -0.2 + 0.01 * np.log(table["lr"] / 2.1e-3) ** 2
    table.to_csv(tmp_path / "runs.csv", index=False)
    words = (tmp_path / "runs.csv", "--input", "N=N", "--response", "loss")
    found = ask("best-of", *words, "--over", "lr", "-o", tmp_path / "best.csv", "--picture", tmp_path / "best.png")
    assert (found["runs"], found["of"]) == (3, 9)
    own = pd.read_csv(tmp_path / "best.csv")
    assert own["loss"].to_numpy() == pytest.approx(2 + 20 * np.array([1e8, 1e9, 1e10]) ** -0.2, rel=1e-3)
    said = answer("frontier", *words, "-o", tmp_path / "frontier.csv")
    assert said.startswith("3 runs from runs.csv")
    assert len(pd.read_csv(tmp_path / "frontier.csv")) == 3
    assert (tmp_path / "best.png").stat().st_size > 1000


def test_floors_and_isoflops(ask, fit_file, tmp_path, refuses):
    found = ask("floor-report", fit_file, "--at", "C=1e24", "--group", "Pythia", "--pin", "0", "-o", tmp_path / "f.png")
    assert found["pinned"][0]["known_as"] == "no floor"
    assert (tmp_path / "f.png").stat().st_size > 1000
    refuses("isoFLOP curves are of a law of N and D; power_floor has C.", "isoflop", fit_file)


def test_designs_and_stops(ask, answer, fit_file, tmp_path):
    plan = pd.DataFrame({"family": ["Pythia", "Cerebras-GPT"] * 2, "flops": [1e22, 1e22, 1e23, 1e23]})
    plan.to_csv(tmp_path / "plan.csv", index=False)
    words = ("--candidates", tmp_path / "plan.csv")
    found = ask("design", fit_file, *words, "--budget", "2.5e22", "--at", "C=1e24", "-o", tmp_path / "d.png")
    assert {row["candidate"] for row in found["runs"]} == {0, 1}
    assert found["least"] <= found["after"] < found["now"]
    assert (tmp_path / "d.png").stat().st_size > 1000
    groups = ("Pythia", "Cerebras-GPT")
    found = ask("enough-runs", fit_file, *groups, *words, "--to", "1e24", "-o", tmp_path / "e.png")
    assert found["enough"] is False
    assert (tmp_path / "e.png").stat().st_size > 1000
    assert answer("enough-runs", fit_file, *groups, *words, "--to", "1e24").startswith("Not enough runs: choosing")


def test_a_run_in_flight(ask, run, one_curve, made_fit, monkeypatch, tmp_path):
    rng = np.random.default_rng(1)
    draws = {"E": 0.4 * np.exp(0.05 * rng.normal(size=500)), "A": 30 * np.exp(0.05 * rng.normal(size=500))}
    model = sb.Model(sb.laws.power_floor, one_curve(), discrepancy=None)
    fit = made_fit(model, draws | {"alpha": np.full(500, 0.3)})
    monkeypatch.setattr("scalebayes.fits.storage.load", lambda path: fit)
    D = np.geomspace(1e6, 1e9, 20)
    curve = pd.DataFrame({"n_tokens": D, "loss": np.where(D < 1e8, 0.42 + 30 * D**-0.3, np.nan)})
    curve.to_csv(tmp_path / "curve.csv", index=False)
    words = ("in-flight", "fit.nc", tmp_path / "curve.csv")
    found = ask(*words, "--constant-rate", "-o", tmp_path / "run.png")
    assert found["end"]["lower"] < 0.42 + 30 * 1e9**-0.3 < found["end"]["upper"]
    assert (tmp_path / "run.png").stat().st_size > 1000
    code, _, err = run(*words)
    assert code == 2
    assert "knows of no learning-rate schedule" in err
