"""Labels, ticks and titles that pictures share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scalebayes.questions.wording import number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#6A3D9A")  # colour-blind safe


def few_ticks(panel: Axes, ratio: float) -> None:
    """Few tick labels on a log abscissa whose ends have this ratio, so that they do not overlap."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    panel.xaxis.set_minor_formatter(NullFormatter())
    if ratio < 300:
        panel.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if ratio > 5 else tuple(range(1, 10))))
        panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))


def named(axis: str, unit: str) -> str:
    """The label of an axis, with its unit."""
    return f"{axis} ({unit})" if unit else axis


def title(figure: Figure, said: str, problems: tuple[str, ...]) -> None:
    """Set a title above all panels; problems of convergence come first, in red."""
    text = f"NOT CONVERGED: {'; '.join(problems)}\n{said}" if problems else said
    figure.suptitle(text, fontsize=8.5, color="firebrick" if problems else "black")


def label_log_axis(panel: Axes) -> None:
    """Label a logarithmic ordinate with plain numbers where it spans less than a factor of 30."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    low, high = panel.get_ylim()
    if high / low < 30:
        steps = (
            (1, 1.5, 2, 3, 4, 5, 6, 8)
            if high / low > 2.5
            else (1, 1.2, 1.4, 1.6, 1.8, 2, 2.25, 2.5, 3, 3.5, 4, 5, 6, 7, 8, 9)
        )
        panel.yaxis.set_major_locator(LogLocator(subs=steps, numticks=20))
        panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        panel.yaxis.set_minor_formatter(NullFormatter())
    panel.tick_params(labelsize=8)
    panel.grid(alpha=0.25, lw=0.5)
