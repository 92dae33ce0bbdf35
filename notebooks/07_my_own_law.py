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
# # My law is not among the built-in ones. Can I use it?
#
# Yes: a law is a function. This notebook writes one down, looks at what its priors mean, fits it, and asks whether it
# forecasts better than a built-in one. The question is about over-training: do losses of models with hundreds of tokens
# per parameter fall as those with twenty do?

# %%
import os

import jax.numpy as jnp
import numpy as np

import scalebayes as sb

# %matplotlib inline

draws = int(os.environ.get("SCALEBAYES_NOTEBOOK_DRAWS", "1000"))
table = sb.datasets.load("overtraining")
print(table.assign(ratio=(table["n_tokens"] / table["n_params"]).round()).groupby("model")["ratio"].agg(["min", "max"]))


# %% [markdown]
# ## The law
#
# Inputs stand before `*`, parameters after it. It uses `jax.numpy`, so that its gradient exists. This one says that the
# loss falls with compute, and rises with the distance from some best number of tokens per parameter: a bowl in the
# logarithm of the ratio.


# %%
def bowl(N, D, *, E, A, alpha, best, width):
    """E + A C^-alpha exp((log(D/N) - log best)^2 / (2 width^2)), with C = 6 N D counted from 1e19."""
    C = 6 * N * D / 1e19
    off = jnp.log(D / N) - jnp.log(best)
    return E + A * C**-alpha * jnp.exp(0.5 * (off / width) ** 2)


law = sb.Law(bowl, floor="E")

# %% [markdown]
# ## Priors, and what they mean
#
# Every parameter of a law of one's own needs a prior. Whether they say what was meant is seen in the losses that they
# allow: 89% of them should be possible losses.

# %%
small = table[6.0 * table["n_params"] * table["n_tokens"] < 1e20]
large = table.drop(small.index)
runs = sb.read_runs(small, inputs={"N": "n_params", "D": "n_tokens"}, response="loss")
priors = {
    "E": sb.FloorShare(logit=1.0, sd=1.0),
    "A": sb.LogNormal(median=1.5, spread=0.7),
    "alpha": sb.LogNormal(median=0.15, spread=0.5),
    "best": sb.LogNormal(median=20.0, spread=1.0),
    "width": sb.LogNormal(median=4.0, spread=0.5),
}
model = sb.Model(law, runs, priors=priors, discrepancy=None)
allowed = model.prior(500, seed=1)["prior_predictive"]["loss"].quantile([0.055, 0.945], ["chain", "draw"])
print("89% of the losses that the priors allow, at the smallest and at the largest run:")
print(np.round(allowed.isel(run=[0, -1]).to_numpy().T, 2))

# %% [markdown]
# ## The fit

# %%
mine = sb.sample(model, draws=draws)
print(mine)

# %% [markdown]
# Do the runs follow it? The test for bends does not know the law, only the order of the runs.

# %%
print(sb.misfit(mine))
sb.plot(mine, axis="D")

# %% [markdown]
# ## Beside a built-in law, on runs that neither has seen
#
# The larger runs were kept. `chinchilla` is fitted to the same small ones.

# %%
usual = sb.fit(sb.laws.chinchilla, runs, discrepancy=None, draws=draws)
errors = {}
for name, fit in {"bowl": mine, "chinchilla": usual}.items():
    band = sb.forecast(fit, at=large[["n_params", "n_tokens"]]).table
    measured = large["loss"].to_numpy()
    errors[name] = float(np.abs(np.log(band["median"].to_numpy() / measured)).mean())
    inside = int(((band["new_run_lower"] <= measured) & (measured <= band["new_run_upper"])).sum())
    print(f"{name}: off by {errors[name]:.1%} in the mean, {inside} of {len(large)} in their 89% bands")

# %%
better = min(errors, key=errors.get)
print(
    f"A law of one's own is a function and five priors; on the larger runs {better} is nearer "
    f"({errors[better]:.1%} off, the other {max(errors.values()):.1%})."
)
