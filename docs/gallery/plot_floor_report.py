"""
How much of a forecast is its floor
===================================

The forecast for every floor that the runs allow, and what pinned floors would have claimed.
"""

import scalebayes as sb

table = sb.datasets.load("overtraining")
runs = sb.read_runs(table, inputs={"N": "n_params", "D": "n_tokens"}, response="loss")
fit = sb.fit(sb.laws.chinchilla, runs, draws=500, discrepancy=None)
answer = sb.floor_report(fit, at={"N": 70e9, "D": 1.4e12}, pins=[1.6, 1.69])
print(answer)
figure = sb.plot_floor_report(answer)
