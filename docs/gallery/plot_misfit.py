"""
Do the runs follow the law?
===========================

How far each run lies from its median; surprising runs have their names.
"""

import scalebayes as sb

runs = sb.read_runs(sb.pile_families(), inputs={"C": "flops"}, response="loss", group="family", run="model")
fit = sb.fit(sb.laws.power_floor, runs, discrepancy=None)
answer = sb.misfit(fit)
print(answer)
figure = sb.plot_misfit(answer)
