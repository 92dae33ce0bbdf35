"""
Runs that were held back
========================

The largest model of each family is not fitted, and drawn as an open circle.
"""

import scalebayes as sb

table = sb.pile_families()
largest = table.groupby("family")["flops"].transform("max") == table["flops"]
runs = sb.read_runs(table[~largest], inputs={"C": "flops"}, response="loss", group="family", run="model")
fit = sb.fit(sb.laws.power_floor, runs)
figure = sb.plot(fit, held_back=table[largest])
