# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#       jupytext_version: 1.19.6
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---


# %% [markdown]
# # I can pay for a few more runs. Which, and when do I stop?
#
# A set of runs is chosen together, by what it is expected to leave of the uncertainty at the target. And a run is worth its
# cost only if what it may save is more. The runs are published: Cerebras-GPT (Dey et al. 2023, arXiv:2304.03208) and Pythia
# (Biderman et al. 2023, arXiv:2304.01373).

# %%
import os

import numpy as np
import pandas as pd

import scalebayes as sb

# %matplotlib inline

draws = int(os.environ.get("SCALEBAYES_NOTEBOOK_DRAWS", "1000"))
table = sb.pile_families().query("family != 'Cerebras-GPT-muP'")
runs = sb.read_runs(table, inputs={"C": "flops"}, response="loss", group="family", run="model")
fit = sb.fit(sb.laws.power_floor, runs, draws=draws)
plan = pd.DataFrame({"family": np.repeat(["Cerebras-GPT", "Pythia"], 6), "C": np.tile(np.geomspace(5e20, 5e22, 6), 2)})

# %% [markdown]
# ## One batch for the width of the forecast

# %%
chosen = sb.design(fit, candidates=plan, budget=6e22, at={"C": 1e24})
print(chosen)

# %%
sb.plot_design(chosen)

# %% [markdown]
# ## One batch for the choice
#
# Which of the two will be better at 1e24 FLOPs is another question, and asks for other runs.

# %%
print(sb.design(fit, candidates=plan, budget=6e22, at={"C": 1e24}, goal="decision"))

# %% [markdown]
# ## Enough?
#
# For one run at 1e23 FLOPs, and for a hundred of them:

# %%
print(sb.enough_runs(fit, candidates=plan, to=1e23))

# %%
print(sb.enough_runs(fit, candidates=plan, to=1e23, uses=100))
