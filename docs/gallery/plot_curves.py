"""
Curves, bands and what lies beyond the runs
===========================================

The dark band is for the mean, the light one for a single new run.
"""

import scalebayes as sb

runs = sb.read_runs(sb.pile_families(), inputs={"C": "flops"}, response="loss", group="family", run="model")
fit = sb.fit(sb.laws.power_floor, runs, draws=500)
figure = sb.plot(fit, to=1e24)
