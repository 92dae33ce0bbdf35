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
# # How far can I trust this line?
#
# A power law drawn through five models on logarithmic paper looks perfect, and a posterior over its parameters gives it a
# band that is very narrow. Do not believe the band before you have seen what it did the last time. Here is how to find
# out, with runs that everybody knows.

# %%
import os

import numpy as np

import scalebayes as sb

# %matplotlib inline

draws = int(os.environ.get("SCALEBAYES_NOTEBOOK_DRAWS", "1000"))
runs = sb.read_runs(sb.pile_families(), inputs={"C": "flops"}, response="loss", group="family", run="model")
print(runs)

# %% [markdown]
# ## Take the largest models away
#
# `backtest` fits each family up to 10% of its largest compute, forecasts the models that were held back, and scores the
# forecast. Nothing of a model that was held back reaches the fit. First the law alone: its bands answer "where will the
# next model land, *if the loss is exactly a power of compute above a floor*". One family has too few models for this test;
# `skip=True` leaves it out, and the answer says so.

# %%
alone = sb.backtest(sb.laws.power_floor, runs, cutoffs=[0.1], skip=True, draws=draws)
print(alone)

# %% [markdown]
# With so few models held back the share inside the bands says little by itself: look at its interval, and at the models
# one by one. `pit` is where a model fell in its forecast; near 0 or 1 it was a surprise.

# %%
alone.points[["curve", "scale", "reach", "response", "median", "lower", "upper", "pit"]].round(3)

# %% [markdown]
# ## Let the exponent wander
#
# Real curves bend. With `discrepancy="drift"` the law's local exponent at the largest known model is estimated as before,
# but beyond it it may change, by an amount learned from how it changed among the known ones. The band then grows with
# distance faster than the law's.

# %%
drifting = sb.backtest(sb.laws.power_floor, runs, cutoffs=[0.1], skip=True, discrepancy="drift", draws=draws)
print(drifting)

# %%
figure = sb.plot_backtest(drifting)
figure

# %% [markdown]
# ## The price
#
# What the band costs is its width. Beside the two posteriors stand the methods that most people use; a bootstrap of
# least squares is the usual source of bands.

# %%
compared = drifting.compared("0.1").set_index("method")
compared.loc["power_floor"] = alone.compared("0.1").iloc[0].drop("method")
compared.round(3)

# %% [markdown]
# ## Forecast with it
#
# All models are known now. How wide is the band ten and a hundred times beyond the largest Pythia, with and without
# drift?

# %%
largest = float(runs.x("C")[runs.group_labels == "Pythia"].max())
fits = {
    "law alone": sb.fit(sb.laws.power_floor, runs, draws=draws),
    "drift": sb.fit(sb.laws.power_floor, runs, discrepancy="drift", draws=draws),
}
for name, fit in fits.items():
    table = sb.forecast(fit, at={"C": largest * np.array([10.0, 100.0])}, group="Pythia").table
    width = np.log(table["new_run_upper"] / table["new_run_lower"])
    print(f"{name}: width of the 89% band of a new run in logs {width[0]:.3f} at 10 times, {width[1]:.3f} at 100 times")

# %% [markdown]
# ## If you cannot choose
#
# Curves that go on bending ask for the drift; a metric that has reached its plateau asks for the law alone, and you do not
# know which of them yours will be. `average` mixes the two forecasts with equal weights: its band is that of a mixture of both.
# (`sb.sensitivity(fits["drift"], ...)` shows what a band owes to the prior of the drift, by fitting again with it halved and
# doubled.)

# %%
print(sb.forecast(sb.average(fits), at={"C": largest * 10.0}, group="Pythia"))

# %% [markdown]
# ## What to take away
#
# - A band from a law's parameters alone answers a question that you did not ask.
# - Hold back your own largest runs at the distance over which you mean to extrapolate, and count.
# - Beyond the distances at which a band was seen to cover, it is an assumption; `Forecast` says how far each point lies
#   beyond the runs.
# - A change of data or tokenizer ahead is in no band at all, and one of schedule only if you say what it gains
#   (`schedule_gain` of `sb.forecast`).
