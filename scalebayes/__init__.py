"""Bayesian inference for scaling laws: from a table of training runs to a forecast that says how sure it is.

The main job, with a table whose columns are n_params, n_tokens and loss::

    import scalebayes as sb

    runs = sb.read_runs("runs.csv", inputs={"N": "n_params", "D": "n_tokens"}, response="loss")
    fit = sb.fit(sb.laws.chinchilla, runs)
    print(sb.forecast(fit, {"N": 70e9, "D": 1.4e12}))
"""

from importlib import import_module

_HOME = {
    "Allocation": "questions.allocating",
    "Anchored": "priors",
    "Average": "averaging",
    "Backtest": "checks.backtests",
    "ConvergenceWarning": "inference.diagnostics",
    "Comparison": "questions.comparing",
    "Crossover": "questions.crossing",
    "Drift": "model.discrepancy",
    "Fit": "fitting",
    "Fleet": "fleets",
    "FloorShare": "priors",
    "Forecast": "questions.forecasting",
    "Gaussian": "model.noise",
    "LawComparison": "questions.comparing",
    "LogNormal": "priors",
    "Model": "model.model",
    "NextRun": "questions.next_runs",
    "Normal": "priors",
    "Reach": "questions.reaching",
    "ResponseShare": "priors",
    "Runs": "runs",
    "Sensitivity": "questions.sensitivity",
    "Share": "priors",
    "StudentT": "model.noise",
    "Surface": "model.discrepancy",
    "allocate": "questions.allocating",
    "average": "averaging",
    "sensitivity": "questions.sensitivity",
    "backtest": "checks.backtests",
    "compare": "questions.comparing",
    "crossover": "questions.crossing",
    "fit": "fitting",
    "fit_many": "fleets",
    "forecast": "questions.forecasting",
    "grid": "questions.points",
    "load": "storage",
    "next_run": "questions.next_runs",
    "pile_families": "datasets",
    "plot": "show.curves",
    "plot_allocation": "show.decisions",
    "plot_backtest": "show.backtests",
    "plot_comparison": "show.decisions",
    "plot_crossover": "show.decisions",
    "plot_next_run": "show.decisions",
    "pooled": "priors",
    "reach": "questions.reaching",
    "read_runs": "runs",
    "sample": "fitting",
    "separate": "priors",
    "shared": "priors",
    "thin": "thinning",
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
