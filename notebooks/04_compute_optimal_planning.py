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
# # How large a model, on how many tokens?
#
# A budget divides into parameters and tokens. Everybody quotes one optimum; the interesting part is how flat it is, and how
# much of it the runs have settled.

# %%
import os

import pandas as pd

import scalebayes as sb

# %matplotlib inline

draws = int(os.environ.get("SCALEBAYES_NOTEBOOK_DRAWS", "1000"))
runs = sb.read_runs(
    sb.pile_families(), inputs={"N": "n_params", "D": "n_tokens"}, response="loss", group="family", run="model"
)
print(runs)

# %% [markdown]
# Both families of Cerebras-GPT were trained at 20 tokens per parameter, Pythia on the same tokens at every size. No family by
# itself says how the loss divides into a part of N and a part of D; together they say something, because exponents are pooled.

# %%
fit = sb.fit(sb.laws.chinchilla, runs, draws=draws)
print(fit)

# %% [markdown]
# ## The plan
#
# Every draw of the posterior has its own optimum. The plan is the division with the lowest *expected* loss, and beside it
# stands every size within .005 nats of it: a range that is far wider than most people think.

# %%
plan = sb.allocate(fit, C=[1e22, 1e23, 1e24], group="Cerebras-GPT")
print(plan)

# %%
figure = sb.plot_allocation(plan)
figure

# %% [markdown]
# The exponents of $N^* \sim C^a$ and $D^* \sim C^b$, with their intervals. Hoffmann et al. (2022) give a between .46 and .50
# by three methods.

# %%
plan.exponents.round(3)

# %% [markdown]
# ## Being off it
#
# What does it cost to train a model half or twice that size on correspondingly more or fewer tokens?

# %%
profile = plan.profile[plan.profile["C"] == 1e23]
best = profile.loc[profile["excess"].idxmin(), "N"]
for times in (0.25, 0.5, 1.0, 2.0, 4.0):
    row = profile.iloc[(profile["N"] / (times * best) - 1).abs().argmin()]
    print(f"{row['N']:.2e} parameters on {row['D']:.2e} tokens: {row['excess']:.4f} nats above the best")

# %% [markdown]
# ## Constraints
#
# A model that will serve ten trillion tokens should be smaller, because serving is paid for by the parameter; with only 300
# billion distinct tokens it should be larger, because a token read for the fifth time teaches less.

# %%
questions = {
    "free": {},
    "serving 1e13 tokens": {"served": 1e13},
    "3e11 distinct tokens": {"unique": 3e11},
    "at most 7e9 parameters": {"most_n": 7e9},
}
rows = []
for called, constraint in questions.items():
    row = sb.allocate(fit, C=1e24, group="Cerebras-GPT", **constraint).table.iloc[0]
    rows.append({"plan": called, "N": row["plan_n"], "D": row["plan_d"], "expected loss": round(row["plan_loss"], 3)})
pd.DataFrame(rows)

# %% [markdown]
# ## Which budget for a loss?
#
# The other way round: what does a loss of 1.5 nats take, every budget divided as well as it can be?

# %%
print(sb.reach(fit, target=1.5, axis="C", group="Cerebras-GPT"))

# %% [markdown]
# ## What to take away
#
# - Report the region, not the point: two plans that differ by a factor of two are often the same plan.
# - An optimum beyond the runs is an extrapolation like any other; its interval is conditional on the law.
# - If serving or data bind, say so to the optimiser: the plan moves by more than its interval.
