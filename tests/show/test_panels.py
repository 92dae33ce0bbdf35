"""What all pictures share: panels of the caller, labels that do not overlap, and what does not fit."""

from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

import scalebayes as sb
from scalebayes.show.axes import canvas, label_ends, title


@pytest.fixture(scope="module")
def risk(pile_fit):
    return sb.crossover(pile_fit, axis="C", to=1e24)


def _labels(panel):
    FigureCanvasAgg(panel.figure).draw()
    boxes = [Text.get_window_extent(text) for text in panel.texts if text.get_text()]  # without their lines
    return sorted(boxes, key=lambda box: box.y0)


def test_pictures_are_drawn_in_the_callers_panels(pile_fit, risk):
    figure = Figure()
    panels = figure.subplots(2, 3)
    assert sb.plot(pile_fit, to=1e24, ax=panels[0]) is figure
    assert sb.plot_crossover(risk, ax=panels[1, :2]) is figure
    assert sb.plot_misfit(sb.misfit(pile_fit), ax=panels[1, 2]) is figure
    assert all(panel.has_data() for panel in panels.flat)
    assert figure.get_suptitle() == ""
    with pytest.raises(ValueError, match="this picture has 3 panels: ax holds that many Axes, got 1"):
        sb.plot(pile_fit, ax=panels[0, 0])
    with pytest.raises(TypeError, match="ax holds Axes of matplotlib, got Figure"):
        sb.plot(pile_fit, ax=figure)


def test_a_crossover_shows_every_run_and_curves_from_the_smallest(pile_fit, risk):
    runs = pile_fit.model.runs
    panel = sb.plot_crossover(risk).axes[0]
    drawn = np.concatenate([line.get_xydata() for line in panel.lines if line.get_marker() == "o"])
    np.testing.assert_allclose(np.sort(drawn[:, 1]), np.sort(runs.y))
    curves = [line.get_xdata() for line in panel.lines if line.get_marker() == "None" and len(line.get_xdata()) > 2]
    assert min(x.min() for x in curves) == pytest.approx(runs.x("C").min())
    assert {text.get_text() for text in panel.texts} >= set(runs.levels)
    among = risk.among.merge(risk.runs, on="group", suffixes=("", "_run"))
    near = among[np.isclose(among["scale"], among["scale_run"], rtol=0.2)]
    assert (np.abs(near["median"] / near["response"] - 1) < 0.05).mean() > 0.9


def test_labels_at_the_ends_of_twelve_lines_do_not_overlap():
    on = canvas(None, (6, 4))
    panel = on.panels[0, 0]
    panel.set(xlim=(0, 1), ylim=(0, 1))
    label_ends(panel, [(0.5 + 0.001 * i, f"group {i} of a very long name indeed", "k") for i in range(12)])
    boxes = _labels(panel)
    assert len(boxes) == 12
    assert all(above.y0 >= below.y1 - 1 for below, above in pairwise(boxes))


def test_a_long_title_is_not_wider_than_its_figure():
    on = canvas(None, (5, 3))
    title(on, "a law of many words, " * 12, ("r-hat reaches 1.2",))
    FigureCanvasAgg(on.figure).draw()
    box = on.figure._suptitle.get_window_extent()
    assert on.figure.get_suptitle().startswith("NOT CONVERGED")
    assert box.x0 >= 0
    assert box.x1 <= on.figure.bbox.x1


def test_a_law_of_two_inputs_compares_every_run_with_its_own_median(point_fit):
    figure = sb.plot(point_fit, axis="D")
    below = next(panel for panel in figure.axes if "run less its" in panel.get_ylabel())
    dots = max(below.collections, key=lambda each: len(each.get_offsets()))
    assert len(dots.get_offsets()) == len(point_fit.model.runs)


def test_curves_along_compute_follow_a_path(point_fit):
    runs = point_fit.model.runs
    panel = sb.plot(point_fit, axis="C").axes[0]
    dots = next(each for each in panel.collections if len(each.get_offsets()) == len(runs))
    np.testing.assert_allclose(dots.get_offsets()[:, 0], 6 * runs.x("N") * runs.x("D"))
    at_twenty = sb.plot(point_fit, axis="C", path={"D/N": 20.0}).axes[0]
    assert at_twenty.lines[0].get_ydata()[-1] >= panel.lines[0].get_ydata()[-1] - 1e-6


def test_edges_of_bands_are_smooth_and_enclose_the_mean(pile_fit):
    light, dark = (each.get_paths()[0].vertices for each in sb.plot(pile_fit, to=1e24).axes[0].collections[:2])
    n = len(dark) // 2 - 1
    np.testing.assert_array_less(np.log(dark[n + 2 : -1, 1]), np.log(light[n + 2 : -1, 1]) + 1e-12)
    bends = np.abs(np.diff(np.log(light[1:n, 1]), 2))
    assert bends.max() < 0.005


def test_of_many_pairs_the_clearest_are_drawn():
    rows = [(f"g{i}", f"g{j}") for i in range(12) for j in range(i)]
    middle = np.linspace(-1, 1, len(rows))
    table = pd.DataFrame(rows, columns=["a", "b"]).assign(
        parameter="E", median=middle, lower=middle - 0.2, upper=middle + 0.2, scale="difference"
    )
    from scalebayes.show.comparison import _clearest

    kept = _clearest(table)
    assert len(kept) == 24
    assert f"{rows[0][0]} - {rows[0][1]}" in kept
    assert f"{rows[len(rows) // 2][0]} - {rows[len(rows) // 2][1]}" not in kept


def test_one_group_is_drawn_by_its_name(pile_fit):
    figure = Figure()
    panel = figure.subplots()
    sb.plot(pile_fit, group="Pythia", ax=panel)
    assert panel.get_title() == "Pythia"
    assert (panel.get_xlabel(), panel.get_ylabel()) == ("C (FLOPs)", "loss")
    with pytest.raises(ValueError, match="pythia"):
        sb.plot(pile_fit, group="pythia")


def test_names_in_the_callers_panels_stay_inside(risk):
    figure = Figure()
    left, right = figure.subplots(1, 2)
    sb.plot_crossover(risk, ax=[left, right])
    names = {text.get_text() for text in left.get_legend().get_texts()}
    assert names == {"Cerebras-GPT", "Cerebras-GPT-muP", "Pythia"}


def test_a_notebook_draws_a_figure_that_a_cell_ends_with(monkeypatch):
    IPython = pytest.importorskip("IPython")
    from IPython.core.formatters import DisplayFormatter

    shell = SimpleNamespace(kernel=None, display_formatter=DisplayFormatter())
    monkeypatch.setattr(IPython, "get_ipython", lambda: shell)
    figure = canvas(None, (3, 2)).figure
    shown, _ = shell.display_formatter.format(figure)
    assert shown["image/png"].startswith(b"\x89PNG")
    theirs = shell.display_formatter.formatters["image/png"].for_type(Figure, lambda figure: b"theirs")
    canvas(None, (3, 2))  # what the user set stays
    assert theirs is not None
    assert shell.display_formatter.format(figure)[0]["image/png"] == b"theirs"
