"""
Promote, hold or drop
=====================

The effective speed-up of candidates over the scale, and the regret of either decision.
"""

import scalebayes as sb

runs = sb.read_runs(sb.pile_families(), inputs={"C": "flops"}, response="loss", group="family", run="model")
fit = sb.fit(sb.laws.power_floor, runs, draws=500)
answer = sb.gate(fit, baseline="Pythia", to=1e24)
print(answer)
figure = sb.plot_gate(answer)
