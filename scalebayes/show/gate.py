"""Picture of a gate: the speed-up of each candidate over the scale, and the regret of either decision."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from scalebayes.questions.gate import Gate
from scalebayes.questions.wording import number
from scalebayes.show.axes import (
    canvas,
    colour,
    dashes,
    few_ticks,
    label_ends,
    label_log_axis,
    named,
    short,
    tidy,
    title,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WIDEST = 30.0  # speed-ups beyond it, or beyond its inverse, are outside the picture


def plot_gate(answer: Gate, *, ax: Sequence[Axes] | None = None) -> Figure:
    """Draw the effective speed-up of each candidate from the smallest run to the target, and the expected regrets.

    Left: medians and bands; beyond the decision scale the background is shaded, and the dashed line is the threshold.
    Right: for each candidate the expected regret of promoting and of dropping it, beside the cost of the next rung.

    Parameters
    ----------
    answer : Gate
    ax : sequence of 2 matplotlib.axes.Axes, optional
        Panels to draw in; by default those of a new figure.

    Returns
    -------
    matplotlib.figure.Figure
        Neither shown nor saved.

    Examples
    --------
    With the fit of `fit`'s example:

    >>> figure = sb.plot_gate(sb.gate(fit, baseline="Pythia", to=1e24))
    >>> figure.axes[0].get_ylabel()
    'speed-up over Pythia'
    """
    names = answer.table["candidate"].tolist()
    on = canvas(ax, (11, max(4.0, 1.8 + 0.4 * len(names))), 1, 2, widths=(1.5, 1))
    left, right = on.panels[0]
    _speeds(left, answer, names, on.own)
    _regrets(right, answer, names)
    verdicts = "; ".join(f"{row['candidate']}: {row['verdict']}" for row in answer.table.head(6).to_dict("records"))
    path = f", along {answer.path}" if answer.path != answer.axis else ""
    said = f"At {answer.axis} = {number(answer.to)}: {verdicts}\n{100 * answer.prob:g}% bands{path}"
    title(on, said, answer.diagnostics.problems)
    return on.figure


def _speeds(panel: Axes, answer: Gate, names: Sequence[str], own: bool) -> None:
    ends = []
    lowest, highest = 1.0, 1.0
    for i, name in enumerate(names):
        curve = answer.curve[answer.curve["candidate"] == name]
        x = curve["scale"].to_numpy(float)
        low, middle, high = (
            np.clip(curve[of].to_numpy(float), 1 / _WIDEST**2, _WIDEST**2) for of in ("lower", "median", "upper")
        )
        panel.fill_between(x, low, high, color=colour(i), alpha=0.16, lw=0)
        panel.plot(x, middle, color=colour(i), ls=dashes(i), lw=1.5)
        ends.append((float(middle[-1]), name, colour(i)))
        lowest, highest = min(lowest, low.min()), max(highest, high.max())
    panel.set(xscale="log", yscale="log", xlim=(x[0], x[-1]))
    panel.set_ylim(max(lowest, 1 / _WIDEST) / 1.1, min(highest, _WIDEST) * 1.1)
    panel.axhline(1.0, color="0.3", lw=0.8)
    if answer.threshold != 1:
        panel.axhline(answer.threshold, color="0.3", lw=0.8, ls="--")
    panel.axvspan(answer.start, x[-1], color="0.5", alpha=0.1, lw=0, zorder=0)
    panel.set_xlabel(named(answer.axis, answer.unit), fontsize=9)
    in_price = "" if answer.price == answer.axis else f", in {answer.price}"
    panel.set_ylabel(f"speed-up over {short(answer.baseline)}{in_price}", fontsize=9)
    few_ticks(panel, x[-1] / x[0])
    label_log_axis(panel)
    label_ends(panel, ends, beside=own)


def _regrets(panel: Axes, answer: Gate, names: Sequence[str]) -> None:
    y = np.arange(len(names))[::-1]
    for off, of, shade, said in (
        (0.19, "regret_promote", "C2", "promoting"),
        (-0.19, "regret_drop", "C3", "dropping"),
    ):
        panel.barh(y + off, answer.table[of], height=0.34, color=shade, alpha=0.65, label=f"regret of {said}")
    cost = answer.table["cost"].to_numpy(float)
    panel.axvline(cost[0], color="0.25", lw=1.2, ls=":", label="cost of the next rung")
    most = max(cost.max(), answer.table["regret_promote"].max(), answer.table["regret_drop"].max())
    panel.set_xlim(0, 1.08 * most)
    verdicts = answer.table["verdict"]
    panel.set_yticks(y, [f"{short(n)}\n{v}" for n, v in zip(names, verdicts, strict=True)], fontsize=8)
    panel.set_ylim(-0.6 - 0.5 * (len(names) == 1), len(names) - 0.1)
    panel.set_xlabel("share of one run at the target", fontsize=9)
    panel.legend(fontsize=7, frameon=False, loc="upper right")
    tidy(panel)
