"""
Who is ahead, and where the order reverses
==========================================

Curves of the groups, and the probability of each to be the best.
"""

import scalebayes as sb

runs = sb.read_runs(sb.pile_families(), inputs={"C": "flops"}, response="loss", group="family", run="model")
fit = sb.fit(sb.laws.power_floor, runs, draws=500)
answer = sb.crossover(fit, axis="C", to=1e24, groups=["Cerebras-GPT", "Pythia"])
print(answer)
figure = sb.plot_crossover(answer)
