"""
Which model to train next
=========================

By how much each candidate is expected to reduce the cost of a wrong choice.
"""

import pandas as pd

import scalebayes as sb

runs = sb.read_runs(sb.pile_families(), inputs={"C": "flops"}, response="loss", group="family", run="model")
fit = sb.fit(sb.laws.power_floor, runs, draws=500)
families = ["Cerebras-GPT", "Pythia"]
candidates = pd.DataFrame([{"family": family, "C": C} for family in families for C in (2e22, 5e22, 1e23)])
answer = sb.next_run(fit, candidates=candidates, goal="decision", axis="C", to=1e24)
print(answer)
figure = sb.plot_next_run(answer)
