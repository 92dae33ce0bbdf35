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
# # Is scaling parameters out of steam?
#
# Ardalani et al. (2022, arXiv:2208.08489) scaled recommendation models in several ways: wider embeddings, more rows in
# the embedding tables, larger layers above them, and more data. They fitted a power with a floor to the normalised
# entropy along each way, and concluded that parameters had little left to give while data had. That is a statement about
# a floor and about what is left above it, and least squares gives both without a word on how sure they are.
#
# **The tables below are simulated.** They have the design of the paper (a few models along each way, each in a few
# sizes) and constants of our own, since its measurements are not published. What can be trusted here is how the question
# is answered, not the answer.

# %%
import os

import numpy as np
import pandas as pd

import scalebayes as sb

# %matplotlib inline

draws = int(os.environ.get("SCALEBAYES_NOTEBOOK_DRAWS", "1000"))
rng = np.random.default_rng(0)
WAYS = {
    # The floor, what is above it at the smallest size, and the exponent, in normalised entropy.
    "wider embeddings": (0.788, 0.012, 0.75),
    "more rows": (0.787, 0.010, 0.60),
    "larger top layers": (0.790, 0.006, 0.50),
    "data": (0.760, 0.040, 0.17),
}
factors = np.geomspace(1, 64, 10)
rows = [
    {"way": way, "factor": factor, "entropy": floor + above * factor**-alpha + 0.0003 * rng.normal()}
    for way, (floor, above, alpha) in WAYS.items()
    for factor in factors
]
table = pd.DataFrame(rows)
print(table.pivot(index="factor", columns="way", values="entropy").round(4))

# %% [markdown]
# ## One fit, one set of parameters for each way
#
# The input is the factor by which a way was scaled from the same base model. `group="way"` gives each way its own floor,
# amplitude and exponent, which learn from each other as far as the ways are alike. The response is the normalised
# entropy: 1 is a model that knows only the average rate of clicks, and lower is better.
#
# Two things are known of normalised entropies before any run, and are stated. First, clicks are mostly chance: the floor
# is a few per cent below what good models reach, where the default prior, made for losses of language models, would
# look for it anywhere from a tenth of that. Second, the ways are about the same problem, so their floors differ by
# per cents. The law is taken for true, as the paper does: the question is about its floor.

# %%
runs = sb.read_runs(table, inputs={"x": "factor"}, response="entropy", group="way")
priors = {"E": sb.pooled(sb.FloorShare(logit=3.5, sd=1.0), spread=0.02)}
fit = sb.fit(sb.laws.power_floor, runs, priors=priors, discrepancy=None, draws=draws)
print(fit)

# %% [markdown]
# ## What is left
#
# "Out of steam" is made a number: the entropy that another factor of 64 would gain along each way. A gain below 0.001 is
# taken as none; that is the least change that is worth a launch here.

# %%
WORTH = 0.001
last, next_ = 64.0, 64.0**2
for way in WAYS:
    answer = sb.forecast(fit, at={"x": [last, next_]}, group=way)
    response = answer.draws["mean_response"]
    gain = (response.isel(point=0) - response.isel(point=1)).to_numpy().ravel()
    low, middle, high = np.quantile(gain, [0.055, 0.5, 0.945])
    print(
        f"{way}: another factor of 64 gains {middle:.4f} (89%: {low:.4f} to {high:.4f}); "
        f"P(less than {WORTH}) = {(gain < WORTH).mean():.2f}"
    )

# %% [markdown]
# The answer is a probability for each way, not a yes. Along a way whose last runs lie on its floor the probability is
# high. Where the band of the gain is wide, the runs do not say, and the next run should be along that way: `next_run`
# ranks candidates by what they would teach.

# %%
figure = sb.plot(fit, axis="x", to=next_)
figure

# %% [markdown]
# ## How much of it is the floor
#
# The floor of each way, with the prior beside the posterior. Where they are alike, the runs say nothing about it, and a
# statement that a way has run out of steam would be the prior's.

# %%
for way in WAYS:
    before = fit.idata["prior"]["E"].sel(way=way).to_numpy().ravel()
    after = fit.posterior["E"].sel(way=way).to_numpy().ravel()
    print(
        f"{way}: floor {np.median(after):.4f} (89%: {np.quantile(after, 0.055):.4f} to {np.quantile(after, 0.945):.4f}); "
        f"by the prior {np.quantile(before, 0.055):.2f} to {np.quantile(before, 0.945):.2f}; simulated {WAYS[way][0]:.3f}"
    )

# %% [markdown]
# The floors of the first three ways are known to about a thousandth, because their curves bend within the runs. That of
# the data is known less well: its curve has bent little, and what another factor of 64 gains is known better than where
# it will end. For the larger top layers the answer is "about even": they are nearly out of steam, and whether what is left
# is worth a launch depends on the threshold.
