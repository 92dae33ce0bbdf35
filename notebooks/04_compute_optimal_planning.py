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
# A budget is divided into parameters and tokens. Most reports give one optimum. It is more useful to know how flat the
# optimum is, and how well the runs determine it.

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
# Both families of Cerebras-GPT were trained on 20 tokens per parameter, Pythia on the same number of tokens at every
# size. No family alone shows how the loss divides into a part of N and a part of D. Together they give some
# information, because the exponents are pooled.

# %%
fit = sb.fit(sb.laws.chinchilla, runs, draws=draws)
print(fit)

# %% [markdown]
# ## The plan
#
# Every draw of the posterior has its own optimum. The plan is the division with the lowest *expected* loss. The answer
# also gives the range of sizes within 0.005 nats of it, which is much wider than most people expect.

# %%
plan = sb.allocate(fit, C=[1e22, 1e23, 1e24], group="Cerebras-GPT")
print(plan)

# %%
figure = sb.plot_allocation(plan)
figure

# %% [markdown]
# These are the exponents of $N^* \sim C^a$ and $D^* \sim C^b$, with their intervals. Hoffmann et al. (2022) found $a$
# between 0.46 and 0.50 by three methods.

# %%
plan.exponents.round(3)

# %% [markdown]
# ## The cost of another size
#
# What does it cost to train a model of half or twice that size, on correspondingly more or fewer tokens?

# %%
profile = plan.profile[plan.profile["C"] == 1e23]
best = profile.loc[profile["excess"].idxmin(), "N"]
for times in (0.25, 0.5, 1.0, 2.0, 4.0):
    row = profile.iloc[(profile["N"] / (times * best) - 1).abs().argmin()]
    print(f"{row['N']:.2e} parameters on {row['D']:.2e} tokens: {row['excess']:.4f} nats above the best")

# %% [markdown]
# ## Constraints
#
# A model that will serve 1e13 tokens should be smaller, because each parameter adds to the cost of serving. A model
# that has only 3e11 distinct tokens to train on should be larger, because repeated tokens reduce the loss less.

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
# The inverse question: which budget does a loss of 1.5 nats take, if every budget is divided optimally?

# %%
print(sb.reach(fit, target=1.5, axis="C", group="Cerebras-GPT"))

# %% [markdown]
# ## What to take away
#
# - Report the range, not the point: two plans that differ by a factor of two are often equally good.
# - An optimum beyond the runs is an extrapolation like any other. Its interval is conditional on the law.
# - If serving or data limit you, give these limits to `allocate`: they move the plan by more than its interval.
