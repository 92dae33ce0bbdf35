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
# # How much of my forecast is its floor, and what will I say that I had said?
#
# Far beyond the runs a forecast tends to the irreducible loss. A floor pinned at a value from the literature makes a band
# narrow and wrong. And after a year nobody remembers who had forecast what: seal it. The runs are published (Gadre et al.
# 2024, arXiv:2403.08540); the largest are held back.

# %%
import os
import pathlib
import tempfile

import scalebayes as sb

# %matplotlib inline

draws = int(os.environ.get("SCALEBAYES_NOTEBOOK_DRAWS", "1000"))
table = sb.datasets.load("overtraining")
cost = 6 * table["n_params"] * table["n_tokens"]
small, large = table[cost < cost.quantile(0.8)], table[cost >= cost.quantile(0.8)]
runs = sb.read_runs(small, inputs={"N": "n_params", "D": "n_tokens"}, response="loss")
fit = sb.fit(sb.laws.chinchilla, runs, draws=draws)
print(fit)

# %% [markdown]
# ## The floor
#
# Each dot is a twentieth of the draws: the forecast if the floor is there. Beside it what pinned floors would have claimed.

# %%
answer = sb.floor_report(fit, at={"N": 7e9, "D": 1.4e11}, pins=[1.6, 1.69])
print(answer)

# %%
sb.plot_floor_report(answer)

# %% [markdown]
# ## Sealed
#
# The file holds forecast, data digest, law, versions and time; no byte of it can be changed unnoticed. The ledger remembers
# every seal.

# %%
folder = pathlib.Path(tempfile.mkdtemp())
forecast = sb.forecast(fit, at=large[["n_params", "n_tokens"]])
print(sb.seal(fit, forecast, folder / "sealed.json", ledger=folder / "ledger.sqlite"))

# %% [markdown]
# ## Scored
#
# Now the large runs are known.

# %%
found = sb.score(folder / "sealed.json", large, ledger=folder / "ledger.sqlite")
print(found)

# %%
sb.plot_score(found)

# %%
print(sb.ledger(folder / "ledger.sqlite"))
