"""Pictures of curves: what is drawn where."""

import numpy as np
import pandas as pd
import pytest

import scalebayes as sb


def test_plot_draws_runs_bands_and_marks_what_lies_beyond(pile_fit):
    figure = sb.plot(pile_fit, axis="C", to=1e25)
    panels = [axes for axes in figure.axes if axes.get_title()]
    assert [axes.get_title() for axes in panels] == list(pile_fit.model.runs.levels)
    for axes, level in zip(panels, pile_fit.model.runs.levels, strict=True):
        rows = pile_fit.model.runs.group_labels == level
        dots, *_ = [c for c in axes.collections if len(c.get_offsets()) == rows.sum()]
        np.testing.assert_allclose(dots.get_offsets()[:, 1], pile_fit.model.runs.y[rows])
        assert axes.get_xscale() == axes.get_yscale() == "log"
        solid, dashed = axes.lines
        assert solid.get_xdata().max() <= pile_fit.model.runs.x("C")[rows].max() * 1.001
        assert dashed.get_linestyle() == "--"
        shaded = axes.patches[0]
        assert shaded.get_x() == pytest.approx(pile_fit.model.runs.x("C")[rows].max())


def test_plot_of_two_inputs_colours_by_the_other(point_fit):
    figure = sb.plot(point_fit, axis="D")
    assert [axes.get_ylabel() for axes in figure.axes][-1] == "N (parameters)"


def test_runs_held_back_are_open_circles_in_their_groups_panel(pile_fit):
    level = pile_fit.model.runs.levels[0]
    held = pd.DataFrame({"family": [level], "flops": [3e23], "loss": [1.5], "note": ["x"]})
    figure = sb.plot(pile_fit, held_back=held)
    for axes in (axes for axes in figure.axes if axes.get_title()):
        *_, last = axes.lines
        of_level = axes.get_title() == level
        assert ((last.get_marker(), *last.get_xydata().tolist()) == ("o", [3e23, 1.5])) is of_level
        assert axes.get_xlim()[1] > 3e23
    with pytest.raises(ValueError, match="held_back has no column 'loss'"):
        sb.plot(pile_fit, held_back=held.drop(columns="loss"))
    with pytest.raises(ValueError, match="family has no group 'other'"):
        sb.plot(pile_fit, held_back=held.assign(family="other"))
    with pytest.raises(TypeError, match="held_back is a table with the columns of the runs, got list"):
        sb.plot(pile_fit, held_back=[held])
