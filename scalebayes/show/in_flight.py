"""Picture of a run in flight: what was measured, and the band of what is ahead."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scalebayes.questions.in_flight import InFlight
from scalebayes.questions.wording import response
from scalebayes.show.axes import canvas, colour, tidy, title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def plot_in_flight(answer: InFlight, *, ax: Axes | None = None) -> Figure:
    """Draw the points measured, the ladder's own band of the end, and the band of what is ahead.

    Parameters
    ----------
    answer : InFlight
    ax : matplotlib.axes.Axes, optional
        The panel to draw in; by default that of a new figure.

    Returns
    -------
    matplotlib.figure.Figure
        Neither shown nor saved.

    Examples
    --------
    With a fit of schedules:

    >>> import pandas as pd
    >>> curve = pd.DataFrame({"schedule": "cosine", "step": [200, 300, 400, 500, 1000], "loss": None})
    >>> curve.loc[:3, "loss"] = [4.05, 3.71, 3.54, 3.44]
    >>> sb.plot_in_flight(sb.in_flight(fit, curve)).axes[0].get_ylabel()
    'loss'
    """
    on = canvas(None if ax is None else [ax], (7.2, 4.2), 1, 1)
    panel = on.panels[0, 0]
    table, e = answer.table, answer.end
    x, seen = table[answer.along].to_numpy(float), table["observed"].notna().to_numpy()
    last = int(np.flatnonzero(seen)[-1])
    ahead = ~seen
    measured = table["observed"].to_numpy(float)
    ends = [np.concatenate([[measured[last]], table[of].to_numpy(float)[ahead]]) for of in ("lower", "median", "upper")]
    there = np.concatenate([[x[last]], x[ahead]])
    panel.fill_between(there, ends[0], ends[2], color=colour(0), alpha=0.2, lw=0, label="forecast")
    panel.plot(there, ends[1], color=colour(0), lw=1.4)
    panel.plot(x[seen], measured[seen], "o", color="black", ms=3, label="measured")
    newest = np.flatnonzero(seen)[-answer.newest :]
    if answer.alarm:
        panel.plot(x[newest], measured[newest], "o", color="firebrick", ms=4, label="newest: not as forecast")
    low, middle, high = (e[f"before_{name}"] for name in ("lower", "median", "upper"))
    bars = [[middle - low], [high - middle]]
    panel.errorbar(
        [x[-1] * 1.03], [middle], bars, fmt="s", ms=4, color="0.5", capsize=3, lw=1.2, label="end, by the ladder alone"
    )
    shown = np.concatenate([measured[seen], ends[0], ends[2]])
    room = 0.12 * np.ptp(shown)
    panel.set_ylim(shown.min() - room, np.quantile(shown, 0.995) + room)
    panel.set_xlabel(answer.along, fontsize=9)
    panel.set_ylabel(answer.response, fontsize=9)
    panel.legend(fontsize=7, frameon=False, loc="best")
    tidy(panel)
    said = (
        f"{'ALARM. ' if answer.alarm else ''}After {100 * answer.progress:.0f}% the end is forecast at "
        f"{response(e['median'])}, {100 * answer.prob:g}% {response(e['lower'])} to {response(e['upper'])}"
    )
    title(on, said, answer.diagnostics.problems)
    return on.figure
