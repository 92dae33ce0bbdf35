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
# One family is ahead at the compute that both have spent. The decision is about some forty times more compute. How likely is
# it that the order turns round before, and what would a wrong choice cost?

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
# `crossover` fixes the winner at the decision scale (by default the largest compute that both families have seen), and asks of
# every draw of the posterior who is ahead at the target.

# %%
answer = sb.crossover(fit, axis="C", to=1e24)
print(answer)

# %% [markdown]
# Read it in this order. *Is there an order at all?* If not, nothing can turn round. *The decision risk*, beside what it was
# before the runs were seen: if the two are alike, the runs have not spoken. *The cost*: a large risk of a small loss may
# be no reason to wait.

# %%
figure = sb.plot_crossover(answer)
figure

# %% [markdown]
# The grey bars are where the two curves cross, in those draws in which they do before the target. They are never summed up
# by a mean: with nearly parallel lines the crossing may be anywhere up to infinity.
#
# ## How much of this is the law's doing?
#
# Where two curves cross depends on how they bend, and the bend is where a law is least to be trusted. With drift, each
# family's local exponent may go on wandering as it did among its models.

# %%
drifting = sb.fit(sb.laws.power_floor, runs, discrepancy="drift", draws=draws)
both = sb.average({"law alone": fit, "with drift": drifting})
cautious = sb.crossover(both, axis="C", to=1e24)
print(cautious)

# %% [markdown]
# `by_law` holds the risk under each. If they disagree, the form decides and not the runs.

# %%
dict(cautious.by_law)

# %% [markdown]
# ## A difference that would not matter
#
# Two losses within the scatter between seeds are equal for any purpose. Nobody trained two seeds of one size here; how far
# runs scatter about their curve stands in for it. With a margin, only a rival that is better by more
# counts.

# %%
scatter = float(fit.posterior["sigma"].median()) * float(runs.y.min())
with_margin = sb.crossover(fit, axis="C", to=1e24, margin=2 * scatter)
print(f"margin {2 * scatter:.4f}: decision risk {with_margin.decision_risk:.2f}; without it {answer.decision_risk:.2f}")

# %% [markdown]
# ## Which model to train next?
#
# If the order cannot be told, one more model might tell. `next_run` estimates by how much each affordable candidate is expected
# to reduce what a wrong choice costs.

# %%
import pandas as pd

candidates = pd.DataFrame(
    {"family": ["Pythia", "Pythia", "Cerebras-GPT", "Cerebras-GPT"], "C": [5e22, 2e23, 5e22, 2e23]},
)
print(sb.next_run(fit, candidates=candidates, goal="decision", axis="C", to=1e24))

# %% [markdown]
# ## What to take away
#
# - The risk of the decision is one number; print what it was before the runs beside it.
# - "Not yet ordered" is not a crossover, and "cannot be told" is an answer.
# - Look at the risk under more than one law before you believe any of them.
# - How often such risks came true on published pairs stands in `benchmarks/decisions.md`.
