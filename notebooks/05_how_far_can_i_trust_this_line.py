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
# A power law through five models looks perfect on logarithmic axes, and the posterior of its parameters gives a very
# narrow band. Do not believe the band before you have seen how such bands performed on held-out runs. This notebook
# shows how to find out, with well-known runs.

# %%
import os

import numpy as np

import scalebayes as sb

# %matplotlib inline

draws = int(os.environ.get("SCALEBAYES_NOTEBOOK_DRAWS", "1000"))
runs = sb.read_runs(sb.pile_families(), inputs={"C": "flops"}, response="loss", group="family", run="model")
print(runs)

# %% [markdown]
# ## Hold out the largest models
#
# `backtest` fits each family up to a cut-off at 10% of its largest compute, forecasts the held-out models, and scores
# the forecast. The fit uses nothing of a held-out model. First the law alone. Its bands answer: where will the next
# model lie, *if the loss is exactly a power of compute above a floor*? One family has too few models for this test;
# `skip=True` leaves it out, and the answer says so.

# %%
alone = sb.backtest(sb.laws.power_floor, runs, cutoffs=[0.1], skip=True, discrepancy=None, draws=draws)
print(alone)

# %% [markdown]
# With so few held-out models the coverage alone says little. Look at its interval, and at the models one by one. `pit`
# is the quantile of a model's loss in its forecast; near 0 or 1 it was a surprise.

# %%
alone.points[["curve", "scale", "reach", "response", "median", "lower", "upper", "pit"]].round(3)

# %% [markdown]
# ## Let the exponent wander
#
# Real curves bend. By default they drift: the local exponent of the law at the largest known model is estimated as
# before. Beyond this model the exponent may change, by an amount learned from its changes among the known models. The
# band then widens faster with distance than the band of the law alone.

# %%
drifting = sb.backtest(sb.laws.power_floor, runs, cutoffs=[0.1], skip=True, draws=draws)
print(drifting)

# %%
figure = sb.plot_backtest(drifting)
figure

# %% [markdown]
# ## The price
#
# The price of the drift is a wider band. The table compares the two posteriors with the methods that most people use; a
# bootstrap of least squares is the usual source of bands.

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
    "law alone": sb.fit(sb.laws.power_floor, runs, discrepancy=None, draws=draws),
    "drift": sb.fit(sb.laws.power_floor, runs, draws=draws),
}
for name, fit in fits.items():
    table = sb.forecast(fit, at={"C": largest * np.array([10.0, 100.0])}, group="Pythia").table
    width = np.log(table["new_run_upper"] / table["new_run_lower"])
    print(f"{name}: width of the 89% band of a new run in logs {width[0]:.3f} at 10 times, {width[1]:.3f} at 100 times")

# %% [markdown]
# ## If you cannot choose
#
# A curve that continues to bend needs the drift; a metric that has reached its plateau needs the law alone. You do not
# know in advance which of the two your curve is. `average` mixes the two forecasts with equal weights, and its band is
# that of the mixture. (`sb.sensitivity(fits["drift"], ...)` shows how a band depends on the prior of the drift: it fits
# again with this prior halved and doubled.)

# %%
print(sb.forecast(sb.average(fits), at={"C": largest * 10.0}, group="Pythia"))

# %% [markdown]
# ## What to take away
#
# - A band from the parameters of a law alone assumes that the form of the law is true.
# - Hold out your own largest runs at the distance over which you want to extrapolate, and measure the coverage.
# - Beyond the distances at which coverage was measured, a band is an assumption. `Forecast` says how far each point
#   lies beyond the runs.
# - No band includes a future change of data or tokenizer. A change of schedule is included only if you state its gain
#   (`schedule_gain` of `sb.forecast`).
