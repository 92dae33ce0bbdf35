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
# # Will today's winner lose?
#
# One family is ahead at the compute that both have spent. The decision is about a run with about 40 times more compute.
# How probable is it that the order reverses before that, and what would a wrong choice cost?

# %%
import os

import scalebayes as sb

# %matplotlib inline

draws = int(os.environ.get("SCALEBAYES_NOTEBOOK_DRAWS", "1000"))
table = sb.pile_families()
# Two of the three families: the third stops at a twentieth of their compute.
table = table[table["family"] != "Cerebras-GPT-muP"]
runs = sb.read_runs(table, inputs={"C": "flops"}, response="loss", group="family", run="model")
fit = sb.fit(sb.laws.power_floor, runs, draws=draws)
print(fit)

# %% [markdown]
# ## The risk
#
# `crossover` fixes the winner at the decision scale, by default the largest compute at which both families have runs.
# Then it checks for every draw of the posterior which family is ahead at the target.

# %%
answer = sb.crossover(fit, axis="C", to=1e24)
print(answer)

# %% [markdown]
# Read the answer in this order. *Is there an order at all?* If not, no order can reverse. *The decision risk*, and
# beside it the same risk under the prior: if the two are nearly equal, the runs say nothing about it. *The cost*: a
# large risk of a small loss may be no reason to wait.

# %%
figure = sb.plot_crossover(answer)
figure

# %% [markdown]
# The grey bars show where the two curves cross, in the draws in which they cross before the target. A mean would not
# summarise them: with nearly parallel curves the crossing may lie anywhere up to infinity.
#
# ## How much of this is due to the law?
#
# Where two curves cross depends on how they bend, and the bend is the least certain part of a law. By default curves
# drift: the local exponent of each family may continue to wander as it did among its models. Beside it a fit that takes
# the law for true.

# %%
alone = sb.fit(sb.laws.power_floor, runs, discrepancy=None, draws=draws)
both = sb.average({"with drift": fit, "law alone": alone})
cautious = sb.crossover(both, axis="C", to=1e24)
print(cautious)

# %% [markdown]
# `by_law` holds the risk under each law. If the risks disagree, the form of the law decides, and not the runs.

# %%
dict(cautious.by_law)

# %% [markdown]
# ## A difference that would not matter
#
# Two losses that differ by less than the scatter between seeds are equal in practice. No model here was trained with
# two seeds, so the scatter of runs about their curve is used instead. With a margin, only a rival counts that is better
# by more than the margin.

# %%
scatter = float(fit.posterior["sigma"].median()) * float(runs.y.min())
with_margin = sb.crossover(fit, axis="C", to=1e24, margin=2 * scatter)
print(f"margin {2 * scatter:.4f}: decision risk {with_margin.decision_risk:.2f}; without it {answer.decision_risk:.2f}")

# %% [markdown]
# ## Which model to train next?
#
# If the order is undecided, one more model may decide it. `next_run` estimates by how much each affordable candidate is
# expected to reduce the cost of a wrong choice.

# %%
import pandas as pd

candidates = pd.DataFrame(
    {"family": ["Pythia", "Pythia", "Cerebras-GPT", "Cerebras-GPT"], "C": [5e22, 2e23, 5e22, 2e23]},
)
print(sb.next_run(fit, candidates=candidates, goal="decision", axis="C", to=1e24))

# %% [markdown]
# ## What to take away
#
# - The decision risk is one number. Report the risk under the prior beside it.
# - "Not yet ordered" is not a crossover, and "undecided" is an answer.
# - Look at the risk under more than one law before you believe any of them.
# - `benchmarks/decisions.md` shows how often published pairs reversed at each forecast risk.
