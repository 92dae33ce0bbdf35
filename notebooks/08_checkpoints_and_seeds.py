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
# # I have several checkpoints and seeds of each run. How many runs do I have?
#
# Fewer than rows. Checkpoints of one run share its luck: if a run lies one per cent above the law early, it does so late.
# Taken for independent they make bands too narrow. The table is simulated, so that the truth is known: six sizes, three
# seeds, five checkpoints, an effect of each run of 1%, and 0.2% of noise on top.

# %%
import os

import numpy as np
import pandas as pd

import scalebayes as sb

# %matplotlib inline

draws = int(os.environ.get("SCALEBAYES_NOTEBOOK_DRAWS", "1000"))
rng = np.random.default_rng(3)
E, A, B, ALPHA, BETA = 1.8, 400.0, 600.0, 0.34, 0.30


def truth(N, D):
    """The law that the table is simulated from."""
    return E + A * N**-ALPHA + B * D**-BETA


rows = []
for N in np.geomspace(2e7, 4e8, 6):
    for seed in range(3):
        luck = np.exp(0.01 * rng.normal())
        for share in (0.2, 0.4, 0.6, 0.8, 1.0):
            D = 40 * N * share
            loss = truth(N, D) * luck * np.exp(0.002 * rng.normal())
            rows.append({"run": f"{N:.0e}-{seed}", "n_params": N, "n_tokens": D, "loss": loss})
table = pd.DataFrame(rows)
print(f"{len(table)} rows of {table['run'].nunique()} runs")

# %% [markdown]
# ## Rows as if they were runs, and runs with an effect of their own
#
# `run=` names the column of runs. With it, and rows that share a run, the default is an effect of each run.

# %%
inputs = {"N": "n_params", "D": "n_tokens"}
apart = sb.read_runs(table, inputs=inputs, response="loss")
together = sb.read_runs(table, inputs=inputs, response="loss", run="run")
rowwise = sb.fit(sb.laws.chinchilla, apart, discrepancy=None, draws=draws)
runwise = sb.fit(sb.laws.chinchilla, together, discrepancy=sb.RunEffects(), draws=draws)
print(runwise)

# %% [markdown]
# ## The forecast at eight times the size

# %%
at = {"N": 3.2e9, "D": 1.28e11}
expected = truth(**at)
width = {}
for name, fit in {"rows": rowwise, "runs": runwise}.items():
    band = sb.forecast(fit, at=at).table.iloc[0]
    width[name] = band["upper"] - band["lower"]
    inside = "inside" if band["lower"] <= expected <= band["upper"] else "outside"
    print(
        f"{name}: {band['median']:.3f} ({band['lower']:.3f} to {band['upper']:.3f}); the truth, {expected:.3f}, is {inside}"
    )

# %% [markdown]
# How large is the effect of a run? The truth is 0.01.

# %%
effect = next(name for name in runwise.posterior.data_vars if "run" in name and runwise.posterior[name].ndim == 2)
low, middle, high = runwise.posterior[effect].quantile([0.055, 0.5, 0.945]).to_numpy()
print(f"{effect}: {middle:.4f} (89% interval {low:.4f} to {high:.4f})")

# %%
print(
    f"{len(table)} rows are {table['run'].nunique()} runs: with an effect of each run the band at eight times the size is "
    f"{width['runs'] / width['rows']:.1f} times as wide as rows taken for runs would make it."
)
