"""
Which runs to train together
============================

What each run of a batch leaves of the uncertainty, over what it costs.
"""

import numpy as np
import pandas as pd

import scalebayes as sb

runs = sb.read_runs(sb.pile_families(), inputs={"C": "flops"}, response="loss", group="family", run="model")
fit = sb.fit(sb.laws.power_floor, runs, draws=500)
plan = pd.DataFrame({"family": np.repeat(["Cerebras-GPT", "Pythia"], 5), "C": np.tile(np.geomspace(1e21, 1e23, 5), 2)})
answer = sb.design(fit, candidates=plan, budget=5e22, at={"C": 1e24, "family": ["Cerebras-GPT", "Pythia"]})
print(answer)
figure = sb.plot_design(answer)
