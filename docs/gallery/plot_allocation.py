"""
A plan for a budget
===================

Contours of the expected loss, the runs, the plan for each budget, and how flat the optimum is.
"""

import scalebayes as sb

table = sb.datasets.load("overtraining")
runs = sb.read_runs(table, inputs={"N": "n_params", "D": "n_tokens"}, response="loss")
fit = sb.fit(sb.laws.chinchilla, runs, discrepancy=None)
answer = sb.allocate(fit, C=[1e22, 1e24])
print(answer)
figure = sb.plot_allocation(answer)
