"""Bayesian inference for scaling laws: from a table of training runs to a forecast that says how sure it is.

The main job, with a table whose columns are n_params, n_tokens and loss::

    import scalebayes as sb

    runs = sb.read_runs("runs.csv", inputs={"N": "n_params", "D": "n_tokens"}, response="loss")
    fit = sb.fit(sb.laws.chinchilla, runs)
    print(sb.forecast(fit, {"N": 70e9, "D": 1.4e12}))
"""

from importlib import import_module

_HOME = {
    "Allocation": "questions.allocate",
    "Anchored": "priors",
    "Average": "fits.averaging",
    "Backtest": "checks.backtest",
    "ConvergenceWarning": "inference.diagnostics",
    "Comparison": "questions.compare",
    "Crossover": "questions.crossover",
    "Drift": "discrepancy.discrepancy",
    "Fit": "fits.fit",
    "Fleet": "fits.many",
    "FloorShare": "priors",
    "Forecast": "questions.forecast",
    "Gaussian": "observations.noise",
    "LawComparison": "questions.compare",
    "LogNormal": "priors",
    "Model": "model.model",
    "NextRun": "questions.next_run",
    "Normal": "priors",
    "Reach": "questions.reach",
    "ResponseShare": "priors",
    "Runs": "runs.runs",
    "Sensitivity": "questions.sensitivity",
    "Share": "priors",
    "StudentT": "observations.noise",
    "Surface": "discrepancy.discrepancy",
    "allocate": "questions.allocate",
    "average": "fits.averaging",
    "sensitivity": "questions.sensitivity",
    "backtest": "checks.backtest",
    "compare": "questions.compare",
    "crossover": "questions.crossover",
    "fit": "fits.fit",
    "fit_many": "fits.many",
    "forecast": "questions.forecast",
    "grid": "questions.points",
    "load": "fits.storage",
    "next_run": "questions.next_run",
    "pile_families": "runs.published",
    "plot": "show.curves",
    "plot_allocation": "show.decisions",
    "plot_backtest": "show.backtest",
    "plot_comparison": "show.decisions",
    "plot_crossover": "show.decisions",
    "plot_next_run": "show.decisions",
    "pooled": "priors",
    "reach": "questions.reach",
    "read_runs": "runs.runs",
    "sample": "fits.fit",
    "separate": "priors",
    "shared": "priors",
    "thin": "runs.thinning",
}

__all__ = [*_HOME, "laws"]
__version__ = "0.1.0"


def __getattr__(name: str):
    # PyMC, JAX and pandas take seconds to import, so each name is fetched when it is first used.
    if name == "laws":
        return import_module("scalebayes.laws")
    if name in _HOME:
        value = getattr(import_module(f"scalebayes.{_HOME[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'scalebayes' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
