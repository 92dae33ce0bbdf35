"""
A plan for a budget
===================

Contours of the expected loss, the plan, and how flat the optimum is.
"""

import scalebayes as sb

runs = sb.read_runs(sb.pile_families(), inputs={"N": "n_params", "D": "n_tokens"}, response="loss", group="family")
fit = sb.fit(sb.laws.chinchilla, runs, draws=500)
answer = sb.allocate(fit, C=[1e22, 1e24])
print(answer)
figure = sb.plot_allocation(answer)
