"""The page on laws: its code runs, and its table of systems names laws and questions that exist."""

import re
from pathlib import Path

import pytest

import scalebayes as sb

PAGE = (Path(__file__).parents[1] / "docs" / "laws.md").read_text(encoding="utf-8")


@pytest.mark.filterwarnings("ignore::scalebayes.RunsWarning")
def test_the_code_of_the_page_runs():
    names: dict = {}
    for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL):
        exec(block, names)
    model = names["model"]
    assert model.law.inputs == ("N", "D", "U")
    assert model.law.parameters == ("R", "E", "A", "B", "alpha", "beta")
    assert model.law.floor == "E"
    assert (model.prior(50)["prior_predictive"]["loss"] > 0).all()


def test_the_table_of_systems_names_what_exists():
    table = PAGE.split("## Which system, which law")[1]
    rows = [line.split("|") for line in table.splitlines() if line.startswith("| ") and "---" not in line][1:]
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row[3])}
    assert len(rows) >= 27
    assert named <= {law.name for law in sb.laws.BUILT_IN} | {"data_mixing"}
    for row in rows:
        for call in re.findall(r"`sb\.(\w+)", "|".join(row[2:4])):
            assert hasattr(sb, call), call
