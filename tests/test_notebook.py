"""What a notebook shows of runs, fits, fleets and answers."""

import pandas as pd
import pytest

import scalebayes as sb
from scalebayes.notebook import shown


def test_runs_show_their_sentences_and_first_rows(pile_runs):
    html = pile_runs._repr_html_()
    assert "20 runs from table" in html
    assert "15 rows more" in html
    assert html.count("<tr") == 6  # the head and five runs


def test_a_fit_shows_its_diagnostics_and_parameters(pile_fit):
    html = pile_fit._repr_html_()
    assert html.startswith("<p>Fit of power_floor")
    assert html.count("<tr") == 3 * len(pile_fit.model.law.parameters) + 1  # of each group, without the population
    assert "Cerebras-GPT-muP" in html


def test_every_answer_and_an_average_have_a_page_of_their_own(pile_fit):
    for answer in (
        sb.forecast(pile_fit, at={"C": 1e24}),
        sb.misfit(pile_fit),
        sb.average({"a": pile_fit, "b": pile_fit}),
    ):
        assert answer._repr_html_().startswith("<p>")


def test_names_of_groups_are_text_and_no_markup():
    arch = ["<script>alert(1)</script>"] * 2 + ["b"] * 2
    table = pd.DataFrame({"C": [1e18, 1e19] * 2, "loss": [3.0, 2.5, 3.1, 2.4], "arch": arch})
    runs = sb.read_runs(table, inputs={"C": "C"}, response="loss", group="arch")
    assert "<script>" not in runs._repr_html_()
    assert "&lt;script&gt;" in runs._repr_html_()


@pytest.mark.parametrize("rows", [1, 3])
def test_rows_left_out_are_counted(rows):
    html = shown("said", pd.DataFrame({"x": [1.23456, 2.0, 3.0, 4.0]}), rows)
    assert f"{4 - rows} rows more" in html
    assert "1.235" in html


def test_a_model_is_said_in_lines(pile_fit):
    said = str(pile_fit.model)
    assert said.startswith("Model of power_floor(x; E, A, alpha) for 20 runs")
    assert "  alpha ~ pooled(" in said
    assert "(default)" in said
    assert pile_fit.model._repr_html_().startswith("<p>Model of power_floor")


def test_a_fit_says_the_medians_of_few_groups(pile_fit):
    line = next(line for line in str(pile_fit).splitlines() if "parameters" in line)
    for level in pile_fit.model.runs.levels:
        assert f"{level} {float(pile_fit.posterior['alpha'].sel(family=level).median()):.4g}" in line
