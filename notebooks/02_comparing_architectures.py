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
# # Which family is better, and by how much?
#
# Two teams publish their losses. One family's curve looks steeper, the other's starts lower. A table of two exponents with
# two standard errors does not answer what a reader wants to know: is the difference real, is it large enough to matter,
# and how much compute is it worth?

# %%
import os

import scalebayes as sb

# %matplotlib inline

draws = int(os.environ.get("SCALEBAYES_NOTEBOOK_DRAWS", "1000"))
runs = sb.read_runs(sb.pile_families(), inputs={"C": "flops"}, response="loss", group="family", run="model")
print(runs)

# %% [markdown]
# All three families are fitted together. Each has its own floor, exponent and amplitude; what they have in common, and how
# far families differ, is inferred with them.

# %%
fit = sb.fit(sb.laws.power_floor, runs, draws=draws)
print(fit)

# %% [markdown]
# ## Differences, pair by pair
#
# `compare` subtracts draw by draw, so that what the two families share drops out. A difference needs a size below which nobody
# cares: here .01 of an exponent and .05 nats of floor. Three answers are possible: different, equivalent, and *cannot be
# told*, which is what neither a high probability of direction nor a high probability of equivalence means.

# %%
compared = sb.compare(fit, margin={"alpha": 0.01, "E": 0.05})
print(compared)

# %% [markdown]
# Look at `prior_sd` beside `sd`: where they are alike, the runs have said nothing about that difference. Three pairs for each
# parameter are not three separate tests. The hierarchy draws differences that the runs do not ask for towards nothing,
# and needs no further correction.

# %%
compared.table[["parameter", "a", "b", "mean", "sd", "prior_sd", "p_direction", "p_equivalent"]].round(3)

# %%
figure = sb.plot_comparison(compared)
figure

# %% [markdown]
# ## What is it worth?
#
# A difference of exponents pays nobody. Compute does: how many times as much does one family need to reach the other's loss?
# At a loss that two of the three have reached, and at ten times the compute of the largest model of all:

# %%
print("\n".join(line for line in str(sb.compare(fit, target=1.65)).splitlines() if line.startswith("At ")))

# %%
largest = float(runs.x("C").max())
print("\n".join(line for line in str(sb.compare(fit, to=10 * largest)).splitlines() if line.startswith("At ")))

# %% [markdown]
# The second intervals are much wider than the first. A factor that holds where there are models is not a constant of the
# architecture: it would be one only if floors and exponents were the same.

# %% [markdown]
# ## And the law?
#
# Everything so far took one law for granted. Do the runs prefer another? `compare_laws` takes several fits of the same runs;
# `share=0.25` also holds back each family's largest quarter and scores what the rest predicts of it, which is closer to
# the use than leaving single runs out.

# %%
laws = sb.compare_laws(
    {"power with floor": fit, "power": sb.fit(sb.laws.power, runs, draws=draws)},
    share=0.25,
)
print(laws)
laws.table.round(2)

# %% [markdown]
# ## What to take away
#
# - Compare draw by draw, not two intervals with each other.
# - Say beforehand which difference would matter; "cannot be told" is an answer.
# - Quote compute, not exponents, and quote where.
