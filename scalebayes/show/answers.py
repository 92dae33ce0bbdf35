"""Answers as parts of a report: their sentences under a heading, and their picture."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from scalebayes.checks.answer import Backtest
from scalebayes.checks.floor import FloorReport
from scalebayes.checks.ledger import Ledger
from scalebayes.checks.score import Score
from scalebayes.checks.seal import Sealed
from scalebayes.checks.sensitivity import Sensitivity
from scalebayes.questions.allocate import Allocation
from scalebayes.questions.compare import Comparison
from scalebayes.questions.crossover import Crossover
from scalebayes.questions.design import Design
from scalebayes.questions.enough import Enough
from scalebayes.questions.forecast import Forecast
from scalebayes.questions.gate import Gate
from scalebayes.questions.in_flight import InFlight
from scalebayes.questions.isoflop import IsoFlop
from scalebayes.questions.next_run import NextRun
from scalebayes.questions.reach import Reach
from scalebayes.questions.tune import Tuning
from scalebayes.show.allocation import plot_allocation
from scalebayes.show.backtest import plot_backtest
from scalebayes.show.comparison import plot_comparison
from scalebayes.show.crossover import plot_crossover
from scalebayes.show.design import plot_design
from scalebayes.show.enough import plot_enough_runs
from scalebayes.show.floor import plot_floor_report
from scalebayes.show.gate import plot_gate
from scalebayes.show.in_flight import plot_in_flight
from scalebayes.show.isoflop import plot_isoflop
from scalebayes.show.next_run import plot_next_run
from scalebayes.show.score import plot_score
from scalebayes.show.tuning import plot_tuning

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DPI = 110
_KINDS: tuple[tuple[type, str, Callable[[Any], Figure] | None], ...] = (
    (Gate, "Promote, hold or drop?", plot_gate),
    (FloorReport, "How much of the forecast is its floor?", plot_floor_report),
    (IsoFlop, "Best sizes by parabolas and by the law", plot_isoflop),
    (Design, "Which runs to train together", plot_design),
    (Enough, "Are there enough runs?", plot_enough_runs),
    (InFlight, "The run in flight", plot_in_flight),
    (Score, "How the sealed forecast did", plot_score),
    (Sealed, "What was sealed", None),
    (Ledger, "All sealed forecasts", None),
    (Crossover, "The risk that the order turns", plot_crossover),
    (Comparison, "Differences between groups", plot_comparison),
    (Allocation, "How to divide a budget", plot_allocation),
    (Tuning, "The best settings", plot_tuning),
    (NextRun, "Which run to train next", plot_next_run),
    (Backtest, "How such a fit forecast runs that were held out", plot_backtest),
    (Sensitivity, "How much depends on the priors", None),
    (Forecast, "Forecast", None),
    (Reach, "Where a target is reached", None),
)


def parts_of(answers: Sequence[Any]) -> list[dict[str, Any]]:
    """Heading, sentences and picture (a PNG in base 64; empty without one) of each answer.

    Raises
    ------
    TypeError
        If something is no answer.
    """
    found = []
    for answer in answers:
        kind = next((each for each in _KINDS if isinstance(answer, each[0])), None)
        if kind is None:
            raise TypeError(f"answers are those of questions and checks, such as sb.gate, got {type(answer).__name__}.")
        _, heading, draw = kind
        lines = [line.strip() for line in str(answer).splitlines()]
        found.append({"heading": heading, "lines": lines, "picture": "" if draw is None else _drawn(draw(answer))})
    return found


def _drawn(figure: Figure) -> str:
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=_DPI)
    return base64.b64encode(content.getvalue()).decode("ascii")
