"""
A law of two inputs
===================

Curves at a few values of the other input, and below them every run over its own median, so that no run is left out.
"""

import scalebayes as sb

table = sb.datasets.load("overtraining")
runs = sb.read_runs(table, inputs={"N": "n_params", "D": "n_tokens"}, response="loss")
fit = sb.fit(sb.laws.chinchilla, runs, discrepancy=None)
figure = sb.plot(fit, axis="D")

# %%
# Along compute: the curve of compute-optimal runs; runs with other tokens per parameter lie above it.
figure = sb.plot(fit, axis="C")
