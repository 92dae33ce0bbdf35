"""
Forecasts of runs that were held out
====================================

The largest models of each family, forecast from the smaller ones.
"""

import scalebayes as sb

runs = sb.read_runs(sb.pile_families(), inputs={"C": "flops"}, response="loss", group="family", run="model")
answer = sb.backtest(sb.laws.power_floor, runs, cutoffs=[0.1], skip=True)
print(answer)
figure = sb.plot_backtest(answer)
