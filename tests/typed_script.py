"""A user's script, which `make lint` checks strictly: names, arguments and answers are known to type checkers."""

import pandas as pd

import scalebayes as sb


def answer(path: str) -> pd.DataFrame:
    runs = sb.read_runs(path, inputs={"N": "n_params", "D": "n_tokens"}, response="loss", group="architecture")
    fit = sb.fit(sb.laws.chinchilla, runs, discrepancy="surface", draws=500)
    print(fit, fit.diagnostics.problems, fit.summary().head())
    forecast = sb.forecast(fit, at={"N": 7e10, "D": 1.4e12}, prob=0.8)
    print(forecast, forecast.table["median"], forecast.draws["new_run"])
    risk = sb.crossover(fit, axis="C", to=1e24, margin=0.01)
    print(risk.winner, risk.decision_risk, risk.to_dict()["gain"])
    plan = sb.allocate(fit, C=[1e23, 1e24])
    sb.plot_allocation(plan).savefig("plan.png")
    both = sb.average({"surface": fit, "law": sb.fit(sb.laws.kaplan, runs)})
    print(both.weights, sb.compare_laws(both).table, sb.reach(fit, target=2.0, axis="C", path={"D/N": 20}).table)
    model = sb.Model(sb.laws.chinchilla, runs, priors={"alpha": sb.LogNormal(median=0.3, spread=0.2)})
    fleet = sb.fit_many({"a": model}, folder="sweep")
    print({name: each.posterior for name, each in fleet.items()})
    sb.forecast(fit, at={"N": 1e9, "D": 1e10}, probability=0.8)  # type: ignore[call-arg]  # unused, were the name unknown
    return sb.backtest(fit, top=[0.1]).table
