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
# Three families of language models have published losses. Suppose the Pythia team trains one more model: 30 billion
# parameters, on the same tokens as before. Which loss should they expect, and which loss would be a surprise?

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
# `read_runs` says what the columns mean. C is the training compute in FLOPs. The parameters of a family are estimated
# mostly from its own runs, and a little from the runs of the other families.

# %%
runs = sb.read_runs(table, inputs={"C": "flops"}, response="loss", group="family", run="model")
print(runs)

# %% [markdown]
# ## The priors
#
# The law is $L(C) = E + A\,C^{-\alpha}$: a floor, and a part that compute removes. Each parameter has a prior. A alone
# is the second part at one FLOP, which means nothing, so its prior is stated at the end of each family's runs.
#
# No curve is exactly a power of compute above a floor. By default curves drift: their exponent may wander, as much as
# the runs say that it does.

# %%
model = sb.Model(sb.laws.power_floor, runs)
print(f"discrepancy: {model.said_discrepancy}, because {model.why}")
for name, prior in model.priors.items():
    print(f"{name:>5} ~ {prior}")

# %% [markdown]
# Priors are easier to judge by the losses that they imply. The table shows the 89% interval of the curve at some of the
# runs under the prior, beside the published loss. The interval should contain the published loss and stay within
# reason: a uniform guess over 50,000 tokens costs 10.8 nats, so an interval that reaches beyond that is wider than it
# need be. (The priors of E and A use the table once: they are shares of the loss at the end of each curve.)

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
# Read the first line first. No divergences, r-hat below 1.01 and an effective sample size above 400 mean that the draws
# represent the posterior. They say nothing about the law: `sb.misfit(fit)` does, and the fit repeats it where the runs
# bend away from their law.
#
# In the table, look at E and alpha of each family. They trade off against each other: a lower floor with a slower fall
# passes through the same runs. Their intervals are wide for that reason. A forecast uses both together, and is much
# more certain than either.

# %%
fit.summary().head(11).round(3)

# %% [markdown]
# ## Would it have worked?
#
# A forecast of a model that exists can be checked. Hold out the largest model of each family, fit the others, and
# forecast the ones held out.

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
# Three models are too few to judge a method: of three 89% bands one or more misses with probability 0.30. `sb.backtest`
# and `benchmarks/extrapolation.md` have more.

# %% [markdown]
# ## The next model
#
# The next model has 30 billion parameters and Pythia's tokens. Its compute is 6 N D, times the factor by which Pythia's
# largest model needed more than 6 N D (attention is not in 6 N D).

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
# * **The expected loss** is where the curve lies. More runs make this band narrower.
# * **A single new run** lies off the curve: it has another seed and another order of the data. This band adds the
#   scatter of the observed runs. More runs do not remove it. Compare one trained model with this band.
#
# Both let the curve drift beyond the runs as it did among them. `prior_lower` and `prior_upper` are the band of the expected loss under the
# prior. If it is hardly wider than the band of the forecast, the forecast comes from the prior.

# %%
columns = ["group", "median", "lower", "upper", "new_run_lower", "new_run_upper", "prior_lower", "prior_upper"]
answer.table[columns].round(3)

# %% [markdown]
# The same compute in the hands of a team that has published nothing yet? A family without runs has no curve that could
# drift, so this question is for the law alone:

# %%
alone = sb.fit(sb.laws.power_floor, runs, discrepancy=None, draws=draws, seed=1)
stranger = sb.forecast(alone, at={"C": C}, new_group=True)
print(stranger)

# %% [markdown]
# This band is much wider, as it should be: three families say little about how much families differ.
#
# ## What a loss of 1.5 would take
#
# `reach` is the inverse of a forecast. With a floor in the law, "never" is a possible answer and has a probability.

# %%
print(sb.reach(fit, target=1.5, axis="C", group="Pythia"))

# %%
print(sb.reach(fit, target=1.3, axis="C", group="Pythia"))

# %%
sb.plot(fit, to=1e24)

# %% [markdown]
# ## A law of your own
#
# Compute is a summary of two inputs. Cerebras-GPT was trained on 20 tokens per parameter, Pythia on the same number of
# tokens at every size. What looks like a difference between families may therefore be a difference in N and D. The law
# below has no families. It measures size in parameters (w = 0), in FLOPs per token (w = 1) or in between. The two
# measures differ most for small models:
#
# $$L(N, D, C) = E + A \left[N \left(\frac{C}{6 N D}\right)^{w}\right]^{-\alpha} + B\,D^{-\beta}$$
#
# A law is a plain function, with inputs before `*` and parameters after it. This one is not built in, so every
# parameter needs a prior.


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
# Which measure of size fits? A w above 1 would mean neither: the overhead then stands for something that the law leaves
# out. The prior has less than a third of its probability there.

# %%
beyond = {when: float((own.idata[when]["w"] > 1).mean()) for when in ("prior", "posterior")}
print(f"w > 1 with probability {beyond['prior']:.2f} before the runs and {beyond['posterior']:.2f} after them.")

# %% [markdown]
# Sigma is the scatter of runs about the curve. If it is hardly larger than in the fit of the law alone by family, N
# and D explain most of what looked like a difference between families.

# %%
scatter = {
    "power_floor, by family": alone.summary().set_index("name").loc["sigma"],
    "size_as_counted, no families": parameters.loc["sigma"],
}
pd.DataFrame(scatter).T[["mean", "lower", "upper"]].astype(float).round(4)

# %%
second = sb.forecast(own, at={"N": N, "D": D, "C": C})
print(second)

# %% [markdown]
# ## The answer
#
# Each band assumes its own law. Where two plausible laws differ, the truth is at least as uncertain as both bands
# together. Where they agree, remember that both were fitted to the same 20 runs.

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
