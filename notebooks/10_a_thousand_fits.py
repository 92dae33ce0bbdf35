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
# # I have a thousand tables. Must I wait a day?
#
# No. Models of one shape are compiled once and sampled together. This notebook simulates many tables from one law, fits
# all of them, and uses the answers for what one fit cannot show: whether 89% intervals hold the truth in 89% of cases.

# %%
import os
import time

import numpy as np
import pandas as pd

import scalebayes as sb

# %matplotlib inline

few = "SCALEBAYES_NOTEBOOK_DRAWS" in os.environ
tables = 24 if few else 1000
rng = np.random.default_rng(0)
TRUE = {"E": 1.8, "A": 0.9, "alpha": 0.25}
C = np.geomspace(1e18, 1e21, 12)

# %% [markdown]
# ## The tables and the models
#
# A model is a value: law, runs and priors. Making one samples nothing.


# %%
def simulated():
    """A table of twelve runs, with 1% of noise."""
    loss = TRUE["E"] + TRUE["A"] * (C / 1e19) ** -TRUE["alpha"]
    return pd.DataFrame({"C": C, "loss": loss * np.exp(0.01 * rng.normal(size=len(C)))})


inputs = {"C": "C"}
models = {
    f"table {i}": sb.Model(
        sb.laws.power_floor, sb.read_runs(simulated(), inputs=inputs, response="loss"), discrepancy=None
    )
    for i in range(tables)
}

# %% [markdown]
# ## All of them
#
# In memory here. With `folder="sweep"` each fit is written to a file, and a sweep that is interrupted goes on where it was.

# %%
began = time.perf_counter()
fleet = sb.fit_many(models, progress=False)
print(fleet)
print(f"{time.perf_counter() - began:.0f} s for {tables} tables, with compilation")

# %% [markdown]
# Fits that have not converged say so in the table, and are not used.

# %%
print(fleet.table["converged"].value_counts().to_dict())
usable = [name for name in fleet if fleet.table.loc[name, "converged"]]

# %% [markdown]
# ## How often do intervals hold the truth?
#
# At ten times the largest run, the truth is known here.

# %%
at = 1e22
expected = TRUE["E"] + TRUE["A"] * (at / 1e19) ** -TRUE["alpha"]
held = {0.5: 0, 0.89: 0}
for name in usable:
    for prob in held:
        band = sb.forecast(fleet[name], at={"C": at}, prob=prob).table.iloc[0]
        held[prob] += bool(band["lower"] <= expected <= band["upper"])
shares = {prob: count / len(usable) for prob, count in held.items()}
print({f"{100 * prob:g}%": round(share, 2) for prob, share in shares.items()})

# %%
print(
    f"{tables} fits are one call; of {len(usable)} usable ones, {shares[0.89]:.0%} of the 89% intervals and "
    f"{shares[0.5]:.0%} of the 50% intervals held the truth at ten times the largest run, where the law is the true one."
)
