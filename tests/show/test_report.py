"""The report: what it says is what the library says; its page works without network, by keyboard, on a phone."""

import json
import re
import shutil

import numpy as np
import pandas as pd
import pytest

import scalebayes as sb

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.fixture(scope="module")
def answer(pile_fit):
    ahead = sb.pile_families().head(2).assign(flops=1e24, loss=1.4)
    return sb.report(pile_fit, to=1e24, held_back=ahead)


def test_what_is_said_at_a_target_is_what_the_library_says(answer, pile_fit):
    c = answer.to_dict()
    shown = c["targets"][c["chosen"]]
    table = sb.forecast(pile_fit, at={"C": 1e24}).table
    assert c["scales"][c["chosen"]] == 1e24
    for row, (group, median, band, new_run, _) in zip(table.to_dict("records"), shown["forecast"], strict=True):
        assert row["group"] == group
        assert float(median) == pytest.approx(row["median"], rel=1e-3)
        assert [float(x) for x in band.split(" to ")] == pytest.approx([row["lower"], row["upper"]], rel=1e-3)
        assert [float(x) for x in new_run.split(" to ")] == pytest.approx(
            [row["new_run_lower"], row["new_run_upper"]], rel=0.02
        )
    compared = sb.crossover(pile_fit, axis="C", to=1e24)
    p = dict(zip(compared.table["group"], compared.table["p_best"], strict=True))
    assert shown["best"] == pytest.approx(p, abs=0.02)
    assert f"is {1 - shown['best'][compared.winner]:.2f}" in shown["risk"]


def test_the_sentences_come_first_and_the_record_last(answer):
    said = str(answer)
    assert (
        said.index("## Forecast at C = 1e24 FLOPs") < said.index("## Does the law fit the runs?") < said.index("Law: ")
    )
    assert "NOT CONVERGED" not in said


def test_runs_that_were_held_back_are_drawn(answer):
    assert answer.to_dict()["held_back"] == {"scale": [1e24, 1e24], "response": [1.4, 1.4]}


def test_answers_of_other_questions_have_a_place(pile_fit):
    gate = sb.gate(pile_fit, baseline="Pythia", to=1e24)
    floor = sb.floor_report(pile_fit, at={"C": 1e24}, group="Pythia", pins=())
    made = sb.report(pile_fit, answers=[gate, floor])
    said = made.to_markdown()
    assert said.index("## Promote, hold or drop?") < said.index("## How much of the forecast is its floor?")
    assert "Cerebras-GPT: HOLD." in said.replace("\\", "")
    page = made.to_html()
    assert page.count('<img alt="') == 2
    assert "Promote, hold or drop?" in made.to_latex()
    with pytest.raises(TypeError, match=r"such as sb\.gate, got Fit"):
        sb.report(pile_fit, answers=[pile_fit])


def test_a_fit_that_has_not_converged_leads_with_it(pile_runs):
    with pytest.warns(sb.ConvergenceWarning):
        fit = sb.sample(sb.Model(sb.laws.power_floor, pile_runs, discrepancy=None), draws=50, warmup=100, seed=1)
    made = sb.report(fit)
    assert made.to_markdown().splitlines()[2].startswith("**NOT CONVERGED: ")
    assert made.to_latex().splitlines()[2].startswith(r"\textbf{NOT CONVERGED: ")
    page = made.to_html()
    assert page.index('role="alert"') < page.index('id="answers"')


@pytest.mark.parametrize("kind", ["html", "md", "tex"])
def test_a_report_is_written_as_its_name_says(answer, tmp_path, kind):
    path = tmp_path / f"report.{kind}"
    answer.save(path)
    assert path.stat().st_size < 8e6
    with pytest.raises(FileExistsError, match="overwrite=True"):
        answer.save(path)


def test_what_is_no_report_is_refused(answer, pile_fit, tmp_path):
    with pytest.raises(ValueError, match=r"written as \.html, \.md, \.tex; got 'report\.pdf'"):
        answer.save(tmp_path / "report.pdf")
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        answer.save(tmp_path / "missing" / "report.html")
    with pytest.raises(ValueError, match="the target lies beyond the largest run"):
        sb.report(pile_fit, to=1e20)
    with pytest.raises(ValueError, match="along C, for a law of N and D, or along a positive scale"):
        sb.report(pile_fit, axis="N")


def hostile(names):
    """A fit whose groups and runs have these names."""
    table = sb.pile_families()
    table = table.assign(family=table["family"].map(dict(zip(table["family"].unique(), names, strict=True))))
    table["model"] = names[0] + table["model"]
    return sb.read_runs(table, inputs={"C": "flops"}, response="loss", group="family", run="model")


NAMES = ["<script>window.hacked=1</script>", '"><img src=x onerror=window.hacked=1>', "a`|*_$%\\&{}#~^</script>"]


@pytest.fixture(scope="module")
def page(tmp_path_factory, pile_fit):
    """The page of the shared fit with hostile names instead of its own."""
    runs = hostile(NAMES)
    names = dict(zip(pile_fit.model.runs.levels, [str(name) for name in NAMES], strict=True))
    idata = pile_fit.idata.map_over_datasets(
        lambda data: (
            data.assign_coords(family=[names[str(v)] for v in data["family"].values]) if "family" in data else data
        )
    )
    order = np.argsort(list(names.values()))
    idata = idata.map_over_datasets(lambda data: data.isel(family=order) if "family" in data.dims else data)
    fit = sb.Fit(sb.Model(sb.laws.power_floor, runs, discrepancy=None), idata)
    path = tmp_path_factory.mktemp("report") / "report.html"
    sb.report(fit, title=NAMES[0]).save(path)
    return path


def test_names_are_text_in_every_form(page):
    text = page.read_text(encoding="utf-8")
    for name in NAMES:
        assert name not in text.split('id="numbers">')[0]
    numbers = re.search(r'id="numbers">(.*?)</script>', text, re.DOTALL)[1]
    assert set(json.loads(numbers)["groups"]) == set(NAMES)


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None:
        pytest.skip("no Chromium: the page is not opened")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as started:
        flags = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update")
        opened = started.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield opened
        opened.close()


@pytest.fixture
def tab(browser, page, request):
    """The page in a tab, with what its console said and what it asked the network for."""
    settings = getattr(request, "param", {})
    context = browser.new_context(**({"viewport": {"width": 1100, "height": 900}} | settings))
    opened = context.new_page()
    opened.said, opened.asked = [], []
    opened.on("console", lambda message: opened.said.append(message.text))
    opened.on("pageerror", lambda error: opened.said.append(str(error)))
    opened.on("request", lambda request: opened.asked.append(request.url))
    opened.goto(page.as_uri())
    opened.wait_for_selector("html[data-ready=yes]")
    yield opened
    context.close()


PHONE = {"viewport": {"width": 390, "height": 800}}
DARK = {"color_scheme": "dark"}


@pytest.mark.fits
@pytest.mark.parametrize("tab", [{}, PHONE, DARK], indirect=True, ids=["wide", "phone", "dark"])
def test_the_page_opens_without_errors_and_without_network(tab, page):
    tab.wait_for_timeout(500)
    assert tab.said == []
    assert tab.asked == [page.as_uri()]
    assert tab.evaluate("window.hacked") is None
    assert tab.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert tab.locator(".picture .main-svg").count() >= 4
    dark = tab.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(13, 17, 23)"
    assert dark == (tab.evaluate("matchMedia('(prefers-color-scheme: dark)').matches"))


@pytest.mark.fits
def test_the_target_moves_by_keyboard_to_what_the_library_says(tab, page):
    numbers = json.loads(tab.evaluate("document.getElementById('numbers').textContent"))
    tab.focus("#target")
    for step in (1, 2):
        tab.keyboard.press("ArrowRight")
        now = numbers["targets"][numbers["chosen"] + step]
        assert tab.inner_text("#scale") == now["scale"]
        assert tab.inner_text("#risk") == now["risk"]
        cells = tab.eval_on_selector_all(
            "#table-0 tbody tr", "rows => rows.map(r => [...r.cells].map(c => c.textContent))"
        )
        assert cells == now["forecast"]
        line = tab.evaluate("document.getElementById('picture-curves').layout.shapes[0].x0")
        assert line == numbers["scales"][numbers["chosen"] + step]


@pytest.mark.fits
def test_groups_are_left_out_by_keyboard(tab):
    before = tab.evaluate("document.getElementById('picture-curves').data.length")
    tab.focus("input[data-group='0']")
    tab.keyboard.press("Space")
    assert tab.evaluate("document.getElementById('picture-curves').data.length") < before
    assert tab.locator("#table-0 tbody tr").count() == 2
    tab.keyboard.press("Space")
    assert tab.locator("#table-0 tbody tr").count() == 3


@pytest.mark.fits
def test_every_control_is_reached_by_tab(tab):
    reached = set()
    for _ in range(30):
        tab.keyboard.press("Tab")
        reached.add(tab.evaluate("document.activeElement.id || document.activeElement.dataset.group || ''"))
    assert {"theme", "target", "0", "1", "2"} <= reached


@pytest.mark.fits
def test_the_button_changes_dark_and_light(tab):
    shade = "getComputedStyle(document.body).backgroundColor"
    before = tab.evaluate(shade)
    tab.click("#theme")
    assert tab.evaluate(shade) != before
    tab.click("#theme")
    assert tab.evaluate(shade) == before


@pytest.mark.fits
@pytest.mark.filterwarnings("ignore::scalebayes.ConvergenceWarning")
def test_a_law_of_two_inputs_shows_plans(chinchilla_runs):
    fit = sb.fit(sb.laws.chinchilla, chinchilla_runs, discrepancy=None, draws=200)
    ahead = chinchilla_runs.table.head(2)
    c = sb.report(fit, to=1e24, held_back=ahead).to_dict()
    flops = 6 * ahead["n_params"] * ahead["n_tokens"]
    assert c["held_back"]["scale"] == pytest.approx(flops.tolist())
    shown = c["targets"][c["chosen"]]
    row = sb.allocate(fit, C=1e24).table.iloc[0]
    assert float(shown["optimum"][0][1]) == pytest.approx(row["plan_n"], rel=0.01)
    assert float(shown["optimum"][0][3]) == pytest.approx(row["plan_d"], rel=0.01)
    there = sb.forecast(fit, at=pd.DataFrame({"N": [row["plan_n"]], "D": [row["plan_d"]]})).table.iloc[0]
    assert float(shown["forecast"][0][1]) == pytest.approx(there["median"], rel=1e-3)
    assert c["best"] is None
