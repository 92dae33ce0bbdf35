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
# Two teams publish their losses. The curve of one family looks steeper, the curve of the other starts lower. A table of
# two exponents with two standard errors does not answer the reader's questions: is the difference real, is it large
# enough to matter, and how much compute is it worth?

# %%
import os

import scalebayes as sb

# %matplotlib inline

draws = int(os.environ.get("SCALEBAYES_NOTEBOOK_DRAWS", "1000"))
runs = sb.read_runs(sb.pile_families(), inputs={"C": "flops"}, response="loss", group="family", run="model")
print(runs)

# %% [markdown]
# All three families are fitted together. Each has its own floor, exponent and amplitude. What they have in common, and
# how much families differ, is inferred at the same time. The question is about the parameters of the best line through
# all models of a family, so the law is taken for true: `discrepancy=None`. (With the default, a drift, the exponent is
# the local one at the largest model.)

# %%
fit = sb.fit(sb.laws.power_floor, runs, discrepancy=None, draws=draws)
print(fit)

# %% [markdown]
# ## Differences, pair by pair
#
# `compare` subtracts draw by draw, so that what the two families share cancels. Equivalence needs a margin, a
# difference that is too small to matter: here 0.01 for the exponent and 0.05 nats for the floor. Three answers are
# possible: different, equivalent, or *undecided*. Undecided means that neither the probability of the direction nor the
# probability of equivalence is high.

# %%
compared = sb.compare(fit, margin={"alpha": 0.01, "E": 0.05})
print(compared)

# %% [markdown]
# Compare `prior_sd` with `sd`: where they are nearly equal, the runs say nothing about that difference. Three pairs for
# each parameter are not three separate tests. The hierarchy shrinks differences that the runs do not show towards zero,
# so no further correction is needed.

# %%
compared.table[["parameter", "a", "b", "mean", "sd", "prior_sd", "p_direction", "p_equivalent"]].round(3)

# %%
figure = sb.plot_comparison(compared)
figure

# %% [markdown]
# ## What is it worth?
#
# A difference of exponents has no price. Compute has one: by which factor does one family need more compute than
# another for the same loss? First at a loss that two of the three have reached, then at ten times the compute of the
# largest model of all:

# %%
print("\n".join(line for line in str(sb.compare(fit, target=1.65)).splitlines() if line.startswith("At ")))

# %%
largest = float(runs.x("C").max())
print("\n".join(line for line in str(sb.compare(fit, to=10 * largest)).splitlines() if line.startswith("At ")))

# %% [markdown]
# The second intervals are much wider than the first. A factor that holds among the models is not a constant of the
# architecture. It would be one only if floors and exponents were equal.

# %% [markdown]
# ## And the law?
#
# Everything so far assumed one law. Do the runs prefer another? `compare_laws` takes several fits of the same runs.
# With `share=0.25` it also holds out the largest quarter of each family and scores how well the rest predicts it. This
# is closer to a forecast than leaving out single runs.

# %%
laws = sb.compare_laws(
    {"power with floor": fit, "power": sb.fit(sb.laws.power, runs, discrepancy=None, draws=draws)},
    share=0.25,
)
print(laws)
laws.table.round(2)

# %% [markdown]
# ## What to take away
#
# - Compare draw by draw; do not compare two intervals.
# - Say beforehand which difference would matter. "Undecided" is an answer.
# - Report compute, not exponents, and report at which loss or scale.
