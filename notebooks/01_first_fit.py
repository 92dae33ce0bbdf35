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
# # What will the next model reach, and how sure is that?
#
# Three families of language models have published their losses. Suppose the Pythia team trains one more model of
# 30 billion parameters on the same tokens as before. Which loss should they expect, and what would surprise them?

# %%
import os

import pandas as pd

import scalebayes as sb

# %matplotlib inline

draws = int(os.environ.get("SCALEBAYES_NOTEBOOK_DRAWS", "1000"))

# %% [markdown]
# ## The runs
#
# The table comes with the package: one row per model, sizes and FLOPs as counts, the loss on the Pile in nats per
# token.

# %%
table = sb.pile_families()
table

# %% [markdown]
# `read_runs` says what the columns mean. C is the training compute in FLOPs; runs of one family learn most from each
# other, and a little from the other families.

# %%
runs = sb.read_runs(table, inputs={"C": "flops"}, response="loss", group="family", run="model")
print(runs)

# %% [markdown]
# ## What is believed before the fit
#
# The law is $L(C) = E + A\,C^{-\alpha}$: a floor, and a part that compute removes. Each parameter has a prior. A is
# meaningless at one FLOP, so its prior is stated where the runs are.

# %%
model = sb.Model(sb.laws.power_floor, runs)
for name, prior in model.priors.items():
    print(f"{name:>5} ~ {prior}")

# %% [markdown]
# Priors are easier to judge by the losses they imply. This is the 89% range of the curve at some of the runs before
# any loss has been fitted, next to what was published. It should hold the published losses and not be absurd: a uniform
# guess over 50,000 tokens costs 10.8 nats, so above that the prior is looser than it need be. (The priors of E and A do
# look at the table once: they are shares of the smallest and of the typical loss.)

# %%
before = model.prior(500)
loss = before["prior_predictive"]["loss"]
expected = loss.quantile([0.055, 0.5, 0.945], dim=("chain", "draw")).transpose("run", "quantile").to_pandas()
expected["published"] = table.set_index("model")["loss"]
expected.iloc[[0, 6, 7, 11, 12, 19]].round(2)

# %% [markdown]
# ## The fit

# %%
fit = sb.sample(model, draws=draws, seed=1)
fit

# %% [markdown]
# Read the first line first: divergences near 0, r-hat below 1.01 and an effective sample size above 400 mean that the
# draws can be trusted as draws. They say nothing about the law.
#
# In the table, look at E and alpha of each family. They trade against each other: a lower floor with a slower fall
# passes through the same runs. Their intervals are wide for that reason, and a forecast that carries both along is
# much tighter than either.

# %%
fit.summary().head(11).round(3)

# %% [markdown]
# ## Would it have worked?
#
# A forecast of a model that exists can be checked. Hold back the largest model of each family, fit the rest, forecast
# the ones held back.

# %%
largest = table.groupby("family")["flops"].transform("max") == table["flops"]
smaller = sb.read_runs(table[~largest], inputs={"C": "flops"}, response="loss", group="family", run="model")
earlier = sb.forecast(sb.fit(sb.laws.power_floor, smaller, draws=draws, seed=1), at=table[largest])

check = earlier.table[["group", "C", "extrapolation", "new_run_lower", "median", "new_run_upper"]]
check = check.assign(published=table.loc[largest, "loss"].to_numpy())
check["inside"] = check["published"].between(check["new_run_lower"], check["new_run_upper"])
check.round(3)

# %%
print(f"{check['inside'].sum()} of {len(check)} published losses lie inside their 89% band.")

# %% [markdown]
# Three models are too few to grade a method. They are enough to remember that a band assumes the law: a family that
# leaves its own curve, for whatever reason, leaves the band too.

# %% [markdown]
# ## The next model
#
# Thirty billion parameters, Pythia's tokens. The compute is 6 N D, times what Pythia's largest model needed beyond
# that (attention comes on top of 6 N D).

# %%
pythia = table[table["family"] == "Pythia"]
last = pythia.loc[pythia["flops"].idxmax()]

N, D = 30e9, float(last["n_tokens"])
C = 6 * N * D * float(last["flops"] / (6 * last["n_params"] * last["n_tokens"]))
answer = sb.forecast(fit, at={"C": C}, group="Pythia")
print(answer)

# %% [markdown]
# There are two bands, and they answer two questions.
#
# * **The expected loss** is where the curve lies. More runs narrow it.
# * **A single new run** lies off the curve: another seed, another order of the data. This band adds that scatter, as
#   large as it was among the runs seen. More runs do not remove it. Compare one trained model with this band.
#
# Both hold *if the law's form is true*. `prior_lower` and `prior_upper` show where the expected loss was before the
# runs were seen; where they are hardly wider, the forecast is the prior's.

# %%
columns = ["group", "median", "lower", "upper", "new_run_lower", "new_run_upper", "prior_lower", "prior_upper"]
answer.table[columns].round(3)

# %% [markdown]
# The same compute in the hands of a team that has published nothing yet:

# %%
stranger = sb.forecast(fit, at={"C": C}, new_group=True)
print(stranger)

# %% [markdown]
# This is far wider, and should be: three families say little about how much families differ.
#
# ## What a loss of 1.5 would take
#
# The same question backwards. With a floor in the law, "never" is a possible answer and has a probability.

# %%
print(sb.reach(fit, target=1.5, axis="C", group="Pythia"))

# %%
print(sb.reach(fit, target=1.3, axis="C", group="Pythia"))

# %%
sb.plot(fit, to=1e24)

# %% [markdown]
# ## A law of your own
#
# Compute is a summary. Cerebras-GPT had 20 tokens per parameter and Pythia the same tokens at every size, so what
# looks like a difference between families may be a difference in N and D. The law below has no families. It lets size
# be counted in parameters (w = 0), in FLOPs per token (w = 1) or in between; the two counts differ most in small
# models:
#
# $$L(N, D, C) = E + A \left[N \left(\frac{C}{6 N D}\right)^{w}\right]^{-\alpha} + B\,D^{-\beta}$$
#
# A law is a plain function, inputs before `*` and parameters after it. It is not built in, so every parameter needs a
# prior.


# %%
def size_as_counted(N, D, C, *, E, A, alpha, B, beta, w):
    size = N * (C / (6 * N * D)) ** w
    return E + A * size**-alpha + B * D**-beta


priors = {
    "E": sb.FloorShare(logit=1.7, sd=0.5),
    "A": sb.Anchored(sb.ResponseShare(share=0.3, spread=1.0), input="N", exponent="alpha"),
    "alpha": sb.LogNormal(median=0.3, spread=0.5),
    "B": sb.Anchored(sb.ResponseShare(share=0.3, spread=1.0), input="D", exponent="beta"),
    "beta": sb.LogNormal(median=0.3, spread=0.5),
    "w": sb.LogNormal(median=0.7, spread=0.7),
}

inputs = {"N": "n_params", "D": "n_tokens", "C": "flops"}
ungrouped = sb.read_runs(table, inputs=inputs, response="loss", run="model")
own = sb.fit(size_as_counted, ungrouped, priors=priors, draws=draws, seed=1)
own

# %%
parameters = own.summary().set_index("name")
parameters[["mean", "sd", "lower", "upper", "r_hat", "ess_bulk"]].round(3)

# %% [markdown]
# Which count was it? A w beyond 1 would say neither: the overhead then stands in for something that the law leaves out.
# The prior put less than a third of its weight there.

# %%
beyond = {when: float((own.idata[when]["w"] > 1).mean()) for when in ("prior", "posterior")}
print(f"w > 1 with probability {beyond['prior']:.2f} before the runs and {beyond['posterior']:.2f} after them.")

# %% [markdown]
# Sigma is the scatter of a run about the curve. If it is hardly larger than in the first fit, N and D explain most of
# what looked like a difference between families.

# %%
scatter = {
    "power_floor, by family": fit.summary().set_index("name").loc["sigma"],
    "size_as_counted, no families": parameters.loc["sigma"],
}
pd.DataFrame(scatter).T[["mean", "lower", "upper"]].astype(float).round(4)

# %%
second = sb.forecast(own, at={"N": N, "D": D, "C": C})
print(second)

# %% [markdown]
# ## The answer
#
# Each band assumes its own law. Where two defensible laws differ, the truth is at least as uncertain as both bands
# together. Where they agree, remember that they saw the same twenty runs.

# %%
one, other = answer.table.iloc[0], second.table.iloc[0]
low = min(one["new_run_lower"], other["new_run_lower"])
high = max(one["new_run_upper"], other["new_run_upper"])
print(
    f"A Pythia of {N / 1e9:.0f}e9 parameters ({one['extrapolation']:.1f}x the compute of the largest so far) should "
    f"reach about {one['median']:.2f} nats per token: with probability {answer.prob:.0%} between "
    f"{one['new_run_lower']:.2f} and {one['new_run_upper']:.2f} if compute and family decide, between "
    f"{other['new_run_lower']:.2f} and {other['new_run_upper']:.2f} if size and data do; outside {low:.2f} to "
    f"{high:.2f} it should surprise either way."
)
