"""What pictures share: panels of one style, colours, labels at the ends of lines, ticks and titles."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import wrap
from typing import TYPE_CHECKING

import numpy as np

from scalebayes.questions.wording import number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#6A3D9A")  # colour-blind safe
HELD_BACK = "#D55E00"
_DASHES = ("-", "--", ":", "-.")
_LABEL = 7.5  # size of a label, in points
_LONGEST = 26  # characters of a label
_PER_INCH = 15  # characters of a title


@dataclass(frozen=True, eq=False)
class Canvas:
    """The panels that a picture is drawn in.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    panels : array of matplotlib.axes.Axes, shape (row, column)
    own : bool
        Whether the figure was made here; else the panels are the caller's, who gives them a title.
    """

    figure: Figure
    panels: np.ndarray
    own: bool


def canvas(
    ax: Axes | Sequence[Axes] | None,
    size: tuple[float, float],
    rows: int = 1,
    columns: int = 1,
    *,
    sharex: bool = False,
    sharey: bool = False,
    heights: Sequence[float] | None = None,
    widths: Sequence[float] | None = None,
) -> Canvas:
    """Panels of a new figure of this size in inches, or the caller's own.

    Raises
    ------
    TypeError, ValueError
        If ``ax`` holds something else, or another number of panels than the picture has.
    """
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    if ax is None:
        figure = Figure(figsize=size, layout="constrained", dpi=150)
        _known_to_notebooks()
        panels = figure.subplots(
            rows, columns, squeeze=False, sharex=sharex, sharey=sharey, height_ratios=heights, width_ratios=widths
        )
        return Canvas(figure, panels, True)
    given = np.asarray(ax, dtype=object).ravel()
    for each in given:
        if not isinstance(each, Axes):
            raise TypeError(f"ax holds Axes of matplotlib, got {type(each).__name__}.")
    if len(given) != rows * columns:
        raise ValueError(f"this picture has {_so_many(rows * columns)}: ax holds that many Axes, got {len(given)}.")
    return Canvas(given[0].get_figure(root=True), given.reshape(rows, columns), False)


def _known_to_notebooks() -> None:
    """Let a notebook draw the figures that cells end with, as it does once pyplot, not needed here, is loaded."""
    from matplotlib.figure import Figure

    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if shell is None or not hasattr(shell, "kernel"):
        return
    formatter = shell.display_formatter.formatters["image/png"]
    try:
        formatter.lookup_by_type(Figure)
    except KeyError:
        formatter.for_type(Figure, _png)


def _png(figure: Figure) -> bytes:
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=100)
    return drawn.getvalue()


def _so_many(panels: int) -> str:
    return "1 panel" if panels == 1 else f"{panels} panels"


def colour(i: int) -> str:
    """The colour of the i-th group; they repeat, with other dashes."""
    return COLOURS[i % len(COLOURS)]


def dashes(i: int) -> str:
    """The line style of the i-th group."""
    return _DASHES[i // len(COLOURS) % len(_DASHES)]


def tidy(panel: Axes) -> None:
    """Small ticks, a light grid, and no frame above and at the right."""
    panel.tick_params(labelsize=8)
    panel.grid(alpha=0.25, lw=0.5)
    panel.spines[["top", "right"]].set_visible(False)


def label_ends(panel: Axes, lines: Sequence[tuple[float, str, str]], *, beside: bool = True) -> None:
    """Write the name of each line (height at its right end, name, colour) beside the panel, so that none overlap.

    The limits of the panel have to be set before. Where there may be no room beside it, they go into a legend.
    """
    from matplotlib.lines import Line2D

    if not lines:
        return
    if not beside:
        marks = [Line2D([], [], color=shade, lw=1.6, label=short(text)) for _, text, shade in lines]
        panel.legend(handles=marks, fontsize=6.5, frameon=False)
        return
    x = panel.get_xlim()[1]
    to_share = panel.transData + panel.transAxes.inverted()
    heights = np.clip([to_share.transform((x, y))[1] for y, _, _ in lines], 0, 1)
    figure = panel.get_figure(root=True)
    tall = 72 * figure.get_figheight() * panel.get_position().height if figure else 200
    order = np.argsort(heights)
    for i, height in zip(order, apart(heights[order], 1.35 * _LABEL / tall, 1.0), strict=True):
        _, text, shade = lines[i]
        at = (1.01, heights[i])
        panel.annotate(
            short(text),
            at,
            xytext=(1.04, height),
            xycoords="axes fraction",
            textcoords="axes fraction",
            arrowprops={"arrowstyle": "-", "color": shade, "lw": 0.6, "relpos": (0, 0.5), "shrinkA": 0, "shrinkB": 0},
            color=shade,
            fontsize=_LABEL,
            va="center",
            annotation_clip=False,
        )


def short(text: str) -> str:
    """A name that a picture has room for."""
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def apart(heights: np.ndarray, gap: float, most: float) -> np.ndarray:
    """Heights in ascending order, moved so that any two are a gap apart and none is above ``most``.

    >>> apart(np.array([0.5, 0.5, 0.9]), 0.25, 1.0)
    array([0.5 , 0.75, 1.  ])
    """
    steps = gap * np.arange(len(heights))
    upward = np.maximum.accumulate(heights - steps) + steps
    return np.minimum(upward, most - steps[::-1])


def few_ticks(panel: Axes, ratio: float, *, upward: bool = False) -> None:
    """Few tick labels on a log abscissa (or ordinate) whose ends have this ratio, so that they do not overlap."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axis = panel.yaxis if upward else panel.xaxis
    axis.set_minor_formatter(NullFormatter())
    if ratio < 300:
        steps = (
            (1.0, 2.0, 5.0)
            if ratio > 5
            else (1.0, 1.5, 2.0, 3.0, 5.0, 7.0)
            if ratio > 2
            else (1, 1.2, 1.5, 1.8, 2, 2.5, 3, 4, 5, 6, 7, 8)
        )
        axis.set_major_locator(LogLocator(subs=steps, numticks=12))
        axis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))


def named(axis: str, unit: str) -> str:
    """The label of an axis, with its unit."""
    return f"{axis} ({unit})" if unit else axis


def title(on: Canvas, said: str, problems: tuple[str, ...]) -> None:
    """Set a title above all panels; problems of convergence come first, in red, also on the caller's own panels."""
    if on.own:
        lines = [f"NOT CONVERGED: {'; '.join(problems)}"] if problems else []
        wide = int(_PER_INCH * on.figure.get_figwidth())
        text = "\n".join(wrapped for line in [*lines, *said.split("\n")] for wrapped in wrap(line, wide))
        on.figure.suptitle(text, fontsize=8.5, color="firebrick" if problems else "black")
    elif problems:
        first = on.panels.flat[0]
        first.text(0.02, 0.98, "NOT CONVERGED", transform=first.transAxes, color="firebrick", fontsize=8, va="top")


def label_log_axis(panel: Axes) -> None:
    """Label a logarithmic ordinate with plain numbers where it spans less than a factor of 30."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    low, high = panel.get_ylim()
    if panel.get_yscale() == "log" and high / low < 30:
        steps = (
            (1, 1.5, 2, 3, 4, 5, 6, 8)
            if high / low > 2.5
            else (1, 1.2, 1.4, 1.6, 1.8, 2, 2.25, 2.5, 3, 3.5, 4, 5, 6, 7, 8, 9)
        )
        panel.yaxis.set_major_locator(LogLocator(subs=steps, numticks=20))
        panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        panel.yaxis.set_minor_formatter(NullFormatter())
    tidy(panel)
