"""
Differences between groups
==========================

The difference of every parameter, with a margin within which two groups count as equal.
"""

import scalebayes as sb

runs = sb.read_runs(sb.pile_families(), inputs={"C": "flops"}, response="loss", group="family", run="model")
fit = sb.fit(sb.laws.power_floor, runs, discrepancy=None)
answer = sb.compare(fit, margin={"alpha": 0.01, "E": 0.05}, target=1.65)
print(answer)
figure = sb.plot_comparison(answer)
