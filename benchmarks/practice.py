"""What the answers say on public tables: floors, isoFLOP curves, and a sealed forecast with its score.

``python benchmarks/practice.py`` rewrites ``practice.md``; ``SCALEBAYES_PICTURES=folder`` also writes the pictures there.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd
from cases import COLUMNS, table_at
from page import run_parts

import scalebayes as sb

PAGE = "practice.md"
PICTURES = os.environ.get("SCALEBAYES_PICTURES")


def _said(name: str, answer: object, figure: Any = None) -> list[str]:
    if PICTURES and figure is not None:
        figure.savefig(Path(PICTURES) / f"{name}.png", dpi=90)
    return [f"{name}:", "", "```text", *str(answer).splitlines(), "```", ""]


def _gadre() -> tuple[pd.DataFrame, pd.DataFrame]:
    table = pd.read_csv(table_at("floors", "gadre_overtraining.csv"))
    return table[table["split"] != "target"], table[table["split"] == "target"]


def floors() -> list[str]:
    lines = []
    chinchilla = sb.read_runs(
        table_at("floors", "chinchilla_besiroglu.csv"), inputs=COLUMNS, response="loss", where="epoch_excluded == 0"
    )
    fit = sb.fit(sb.laws.chinchilla, chinchilla, discrepancy=None, seed=1, progress=False)
    answer = sb.floor_report(fit, at={"N": 70e9, "D": 1.4e12}, progress=False)
    lines += _said("chinchilla", answer, sb.plot_floor_report(answer))
    known, _ = _gadre()
    runs = sb.read_runs(known, inputs=COLUMNS, response="loss", group=_corpus(known))
    fit = sb.fit(sb.laws.chinchilla, runs, discrepancy=None, seed=1, progress=False)
    answer = sb.floor_report(fit, at={"N": 6.9e9, "D": 1.38e11}, progress=False)
    lines += _said("gadre", answer, sb.plot_floor_report(answer))
    table = pd.read_csv(table_at("floors", "revisiting_benchmark.csv"))
    curve = table[
        (table["curve_id"] == table.loc[table["domain"] == "LM", "curve_id"].iloc[0]) & (table["is_train"] == 1)
    ]
    runs = sb.read_runs(curve, inputs={"D": "n_samples"}, response="loss")
    fit = sb.fit(sb.laws.power_floor, runs, seed=1, progress=False)
    answer = sb.floor_report(fit, at={"D": 10 * float(curve["n_samples"].max())}, progress=False)
    return lines + _said("one curve", answer, sb.plot_floor_report(answer))


def _corpus(table: pd.DataFrame) -> str:
    return next(c for c in ("corpus", "dataset", "train_corpus", "training_data") if c in table)


def isoflops() -> list[str]:
    table = pd.read_csv(table_at("isoflop", "porian_isoflop.csv"))
    own = table[(table["param_count"] == "standard") & (table["loss_split"] == "val")]
    own = own[own["recipe"] == "tuned_shortwarmup_constdecay"]
    runs = sb.read_runs(own, inputs=COLUMNS, response="loss", group="dataset", cost="flops")
    fit = sb.fit(sb.laws.chinchilla, runs, discrepancy=None, seed=1, progress=False)
    answer = sb.isoflop(fit, budget="flops")
    return _said("porian, tuned", answer, sb.plot_isoflop(answer))


def sealed() -> list[str]:
    known, ahead = _gadre()
    corpus = _corpus(known)
    runs = sb.read_runs(known, inputs=COLUMNS, response="loss", group=corpus)
    fit = sb.fit(sb.laws.chinchilla, runs, seed=1, progress=False)
    folder = Path(tempfile.mkdtemp())
    points = ahead[[*COLUMNS.values(), corpus]].drop_duplicates()
    answer = sb.forecast(fit, at=points)
    kept = sb.seal(fit, answer, folder / "sealed.json", ledger=folder / "ledger.sqlite")
    found = sb.score(kept, ahead, ledger=folder / "ledger.sqlite")
    lines = _said("gadre, scored", found, sb.plot_score(found))
    content = (folder / "sealed.json").read_bytes()
    (folder / "sealed.json").write_bytes(content.replace(b'"lower": 2', b'"lower": 1', 1))
    try:
        sb.score(folder / "sealed.json", ahead)
    except ValueError as error:
        lines += _said("one byte changed", error)
    return lines + _said("ledger", sb.ledger(folder / "ledger.sqlite"))


PARTS = {
    "floors": ("Floors", "", floors),
    "isoflops": ("isoFLOP curves", "", isoflops),
    "sealed": ("Sealed and scored", "", sealed),
}

if __name__ == "__main__":
    run_parts(__doc__, PAGE, PARTS)
