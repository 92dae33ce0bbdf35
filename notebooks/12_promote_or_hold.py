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
# # My new recipe wins on small runs. Do I promote it?
#
# The effective speed-up of a candidate is how many times the compute the baseline needs for the candidate's loss. A speed-up
# measured on small runs may fade. The gate gives it at the target with its band, where it is gone, and a verdict by a rule
# that is stated. The runs are published: Cerebras-GPT (Dey et al. 2023, arXiv:2304.03208) and Pythia (Biderman et al. 2023,
# arXiv:2304.01373), test loss on the Pile.

# %%
import os

import scalebayes as sb

# %matplotlib inline

draws = int(os.environ.get("SCALEBAYES_NOTEBOOK_DRAWS", "1000"))
table = sb.pile_families()
runs = sb.read_runs(table, inputs={"C": "flops"}, response="loss", group="family", run="model")
fit = sb.fit(sb.laws.power_floor, runs, draws=draws)
print(fit)

# %% [markdown]
# ## The verdict
#
# Pythia is in use; the two others are candidates.

# %%
answer = sb.gate(fit, baseline="Pythia", to=1e23)
print(answer)

# %%
sb.plot_gate(answer)

# %% [markdown]
# Nearer to the runs there is more to say:

# %%
print(sb.gate(fit, baseline="Pythia", to=1.2e22))

# %% [markdown]
# ## The same data, the same evaluation, one floor
#
# All three were evaluated on the same test set. If the irreducible loss of a text is a property of the text, it is one number
# for all of them. Stated so, the speed-ups are known better.

# %%
own = fit.model.priors["E"].prior
one = sb.fit(sb.laws.power_floor, runs, priors={"E": sb.shared(own)}, draws=draws)
print(sb.gate(one, baseline="Pythia", to=1e23))

# %% [markdown]
# ## In a pipeline
#
# `scalebayes gate fit.nc --baseline Pythia --to 1e23 --json` prints the same as JSON and ends with exit code 0 to promote,
# 3 to hold and 4 to drop.
