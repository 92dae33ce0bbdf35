"""Bayesian inference for scaling laws: from a table of training runs to a forecast that says how sure it is.

The main job, with a table whose columns are n_params, n_tokens and loss::

    import scalebayes as sb

    runs = sb.read_runs("runs.csv", inputs={"N": "n_params", "D": "n_tokens"}, response="loss")
    fit = sb.fit(sb.laws.chinchilla, runs)
    print(sb.forecast(fit, at={"N": 70e9, "D": 1.4e12}))
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # for type checkers and editors; at run time a name is imported when it is first used
    from scalebayes import datasets as datasets
    from scalebayes import laws as laws
    from scalebayes.checks.answer import Backtest as Backtest
    from scalebayes.checks.backtest import backtest as backtest
    from scalebayes.checks.floor import FloorReport as FloorReport
    from scalebayes.checks.floor import floor_report as floor_report
    from scalebayes.checks.ledger import Ledger as Ledger
    from scalebayes.checks.ledger import ledger as ledger
    from scalebayes.checks.record import Record as Record
    from scalebayes.checks.record import record as record
    from scalebayes.checks.record import redo as redo
    from scalebayes.checks.score import Score as Score
    from scalebayes.checks.score import score as score
    from scalebayes.checks.seal import Sealed as Sealed
    from scalebayes.checks.seal import seal as seal
    from scalebayes.checks.sensitivity import Sensitivity as Sensitivity
    from scalebayes.checks.sensitivity import sensitivity as sensitivity
    from scalebayes.discrepancy import Drift as Drift
    from scalebayes.discrepancy import EvaluationEffects as EvaluationEffects
    from scalebayes.discrepancy import RunEffects as RunEffects
    from scalebayes.discrepancy import Surface as Surface
    from scalebayes.fits.averaging import Average as Average
    from scalebayes.fits.averaging import average as average
    from scalebayes.fits.fit import Fit as Fit
    from scalebayes.fits.many import Fleet as Fleet
    from scalebayes.fits.many import fit_many as fit_many
    from scalebayes.fits.sampling import fit as fit
    from scalebayes.fits.sampling import sample as sample
    from scalebayes.fits.storage import load as load
    from scalebayes.inference.diagnostics import ConvergenceWarning as ConvergenceWarning
    from scalebayes.laws.law import Law as Law
    from scalebayes.model.model import Model as Model
    from scalebayes.model.responses import Response as Response
    from scalebayes.observations import BetaBinomial as BetaBinomial
    from scalebayes.observations import Binomial as Binomial
    from scalebayes.observations import ExGaussian as ExGaussian
    from scalebayes.observations import Gaussian as Gaussian
    from scalebayes.observations import NegativeBinomial as NegativeBinomial
    from scalebayes.observations import StudentT as StudentT
    from scalebayes.priors import Anchored as Anchored
    from scalebayes.priors import FloorShare as FloorShare
    from scalebayes.priors import Gamma as Gamma
    from scalebayes.priors import LogNormal as LogNormal
    from scalebayes.priors import Normal as Normal
    from scalebayes.priors import RangeShare as RangeShare
    from scalebayes.priors import ResponseLevel as ResponseLevel
    from scalebayes.priors import ResponseShare as ResponseShare
    from scalebayes.priors import Share as Share
    from scalebayes.priors import pooled as pooled
    from scalebayes.priors import separate as separate
    from scalebayes.priors import shared as shared
    from scalebayes.questions.allocate import Allocation as Allocation
    from scalebayes.questions.allocate import allocate as allocate
    from scalebayes.questions.compare import Comparison as Comparison
    from scalebayes.questions.compare import compare as compare
    from scalebayes.questions.compare_laws import LawComparison as LawComparison
    from scalebayes.questions.compare_laws import compare_laws as compare_laws
    from scalebayes.questions.crossover import Crossover as Crossover
    from scalebayes.questions.crossover import crossover as crossover
    from scalebayes.questions.design import Design as Design
    from scalebayes.questions.design import design as design
    from scalebayes.questions.enough import Enough as Enough
    from scalebayes.questions.enough import enough_runs as enough_runs
    from scalebayes.questions.forecast import Forecast as Forecast
    from scalebayes.questions.forecast import forecast as forecast
    from scalebayes.questions.gate import Gate as Gate
    from scalebayes.questions.gate import gate as gate
    from scalebayes.questions.in_flight import InFlight as InFlight
    from scalebayes.questions.in_flight import in_flight as in_flight
    from scalebayes.questions.isoflop import IsoFlop as IsoFlop
    from scalebayes.questions.isoflop import isoflop as isoflop
    from scalebayes.questions.misfit import Misfit as Misfit
    from scalebayes.questions.misfit import misfit as misfit
    from scalebayes.questions.next_run import NextRun as NextRun
    from scalebayes.questions.next_run import next_run as next_run
    from scalebayes.questions.points import grid as grid
    from scalebayes.questions.reach import Reach as Reach
    from scalebayes.questions.reach import reach as reach
    from scalebayes.questions.responses import with_response as with_response
    from scalebayes.questions.schedules import with_schedules as with_schedules
    from scalebayes.questions.tune import Tuning as Tuning
    from scalebayes.questions.tune import tune as tune
    from scalebayes.runs.best_of import best_of as best_of
    from scalebayes.runs.checks import RunsWarning as RunsWarning
    from scalebayes.runs.frontiers import frontier as frontier
    from scalebayes.runs.inputs import Input as Input
    from scalebayes.runs.inputs import schedule as schedule
    from scalebayes.runs.published import pile_families as pile_families
    from scalebayes.runs.reading import read_runs as read_runs
    from scalebayes.runs.runs import Runs as Runs
    from scalebayes.runs.thinning import thin as thin
    from scalebayes.runs.trackers import tracker_runs as tracker_runs
    from scalebayes.show.allocation import plot_allocation as plot_allocation
    from scalebayes.show.backtest import plot_backtest as plot_backtest
    from scalebayes.show.comparison import plot_comparison as plot_comparison
    from scalebayes.show.crossover import plot_crossover as plot_crossover
    from scalebayes.show.curves import plot as plot
    from scalebayes.show.design import plot_design as plot_design
    from scalebayes.show.enough import plot_enough_runs as plot_enough_runs
    from scalebayes.show.floor import plot_floor_report as plot_floor_report
    from scalebayes.show.gate import plot_gate as plot_gate
    from scalebayes.show.in_flight import plot_in_flight as plot_in_flight
    from scalebayes.show.isoflop import plot_isoflop as plot_isoflop
    from scalebayes.show.misfit import plot_misfit as plot_misfit
    from scalebayes.show.next_run import plot_next_run as plot_next_run
    from scalebayes.show.reduction import plot_reduction as plot_reduction
    from scalebayes.show.report import Report as Report
    from scalebayes.show.report import report as report
    from scalebayes.show.score import plot_score as plot_score
    from scalebayes.show.tuning import plot_tuning as plot_tuning

_HOME = {
    "BetaBinomial": "observations",
    "Binomial": "observations",
    "ExGaussian": "observations",
    "Allocation": "questions.allocate",
    "Anchored": "priors",
    "Average": "fits.averaging",
    "Backtest": "checks.answer",
    "Comparison": "questions.compare",
    "ConvergenceWarning": "inference.diagnostics",
    "Crossover": "questions.crossover",
    "Design": "questions.design",
    "Drift": "discrepancy",
    "Enough": "questions.enough",
    "EvaluationEffects": "discrepancy",
    "Fit": "fits.fit",
    "Fleet": "fits.many",
    "FloorShare": "priors",
    "FloorReport": "checks.floor",
    "Forecast": "questions.forecast",
    "Gamma": "priors",
    "Gate": "questions.gate",
    "Gaussian": "observations",
    "NegativeBinomial": "observations",
    "Input": "runs.inputs",
    "InFlight": "questions.in_flight",
    "IsoFlop": "questions.isoflop",
    "Law": "laws.law",
    "LawComparison": "questions.compare_laws",
    "Ledger": "checks.ledger",
    "LogNormal": "priors",
    "Misfit": "questions.misfit",
    "Model": "model.model",
    "NextRun": "questions.next_run",
    "Normal": "priors",
    "Reach": "questions.reach",
    "Record": "checks.record",
    "Report": "show.report",
    "Response": "model.responses",
    "RangeShare": "priors",
    "ResponseLevel": "priors",
    "ResponseShare": "priors",
    "RunEffects": "discrepancy",
    "Runs": "runs.runs",
    "RunsWarning": "runs.checks",
    "Score": "checks.score",
    "Sealed": "checks.seal",
    "Sensitivity": "checks.sensitivity",
    "Share": "priors",
    "StudentT": "observations",
    "Surface": "discrepancy",
    "Tuning": "questions.tune",
    "allocate": "questions.allocate",
    "average": "fits.averaging",
    "backtest": "checks.backtest",
    "best_of": "runs.best_of",
    "compare": "questions.compare",
    "compare_laws": "questions.compare_laws",
    "crossover": "questions.crossover",
    "design": "questions.design",
    "enough_runs": "questions.enough",
    "fit": "fits.sampling",
    "fit_many": "fits.many",
    "floor_report": "checks.floor",
    "forecast": "questions.forecast",
    "frontier": "runs.frontiers",
    "gate": "questions.gate",
    "grid": "questions.points",
    "in_flight": "questions.in_flight",
    "isoflop": "questions.isoflop",
    "ledger": "checks.ledger",
    "load": "fits.storage",
    "misfit": "questions.misfit",
    "next_run": "questions.next_run",
    "pile_families": "runs.published",
    "plot": "show.curves",
    "plot_allocation": "show.allocation",
    "plot_backtest": "show.backtest",
    "plot_comparison": "show.comparison",
    "plot_crossover": "show.crossover",
    "plot_design": "show.design",
    "plot_enough_runs": "show.enough",
    "plot_floor_report": "show.floor",
    "plot_gate": "show.gate",
    "plot_in_flight": "show.in_flight",
    "plot_isoflop": "show.isoflop",
    "plot_misfit": "show.misfit",
    "plot_next_run": "show.next_run",
    "plot_reduction": "show.reduction",
    "plot_score": "show.score",
    "plot_tuning": "show.tuning",
    "pooled": "priors",
    "reach": "questions.reach",
    "read_runs": "runs.reading",
    "record": "checks.record",
    "redo": "checks.record",
    "report": "show.report",
    "sample": "fits.sampling",
    "schedule": "runs.inputs",
    "score": "checks.score",
    "seal": "checks.seal",
    "sensitivity": "checks.sensitivity",
    "separate": "priors",
    "shared": "priors",
    "thin": "runs.thinning",
    "tracker_runs": "runs.trackers",
    "tune": "questions.tune",
    "with_response": "questions.responses",
    "with_schedules": "questions.schedules",
}

__all__ = [*_HOME, "datasets", "laws"]
__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    # PyMC, JAX and pandas take seconds to import, so a name is imported when it is first used.
    if name in ("datasets", "laws"):
        return import_module(f"scalebayes.{name}")
    if name in _HOME:
        value = getattr(import_module(f"scalebayes.{_HOME[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'scalebayes' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
