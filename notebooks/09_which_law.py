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
# # Which law should I use?
#
# Two ways to find out, and one to avoid. The way to avoid is the fit among the known runs: a law with more parameters
# always follows them better. What counts is how it forecasts runs that it has not seen, and laws that cannot be told
# apart are averaged. The curve is the 10-shot error of an image model over the images that it has seen.

# %%
import os
import warnings

import scalebayes as sb

# %matplotlib inline

draws = int(os.environ.get("SCALEBAYES_NOTEBOOK_DRAWS", "1000"))
table = sb.datasets.load("few_shot_curve")
known, later = table[table["n_samples"] < 1e9], table[table["n_samples"] > 1e9]
runs = sb.read_runs(known, inputs={"x": "n_samples"}, response="error")
laws = {"power": sb.laws.power, "power_floor": sb.laws.power_floor, "shifted_power": sb.laws.shifted_power}
fits = {name: sb.fit(law, runs, discrepancy=None, draws=draws) for name, law in laws.items()}

# %% [markdown]
# ## Do the runs bend away?
#
# A law that the runs contradict is out, whatever its score.

# %%
for name, fit in fits.items():
    found = sb.misfit(fit)
    print(
        f"{name}: {'bends' if found.bends else 'no bend found'}, half of the runs within "
        f"{found.table['off'].abs().median():.2%}"
    )

# %% [markdown]
# ## How do they predict runs that they have not seen?
#
# The largest runs are held out, and the others predict them. `compare_laws` does this, and gives the leave-one-out score
# beside it, which speaks of the range of the runs only.

# %%
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # a few influential runs
    compared = sb.compare_laws(fits)
print(compared)

# %% [markdown]
# ## What the later points say
#
# Four points beyond 1e9 images were kept.

# %%
departing = {f"{name} with drift": (law, "drift") for name, law in laws.items() if name != "power"}
every = dict(fits)
for name, (law, discrepancy) in departing.items():
    every[name] = sb.fit(law, runs, discrepancy=discrepancy, draws=draws)
every["average"] = sb.average({name: every[name] for name in (*departing, "power_floor")})
inside = {}
for name, fit in every.items():
    band = sb.forecast(fit, at=later[["n_samples"]].rename(columns={"n_samples": "x"})).table
    hits = later["error"].between(band["new_run_lower"].to_numpy(), band["new_run_upper"].to_numpy())
    inside[name] = int(hits.sum())
    width = (band["new_run_upper"] / band["new_run_lower"] - 1).iloc[-1]
    print(f"{name}: {inside[name]} of {len(later)} in 89% bands; the last band is {width:.0%} wide")

# %%
print(
    f"Take the law that the runs do not contradict and that forecasts held-out runs; where several do, average them with "
    f"drift: here the average's bands hold {inside['average']} of {len(later)} later points, those of the laws alone "
    f"{', '.join(f'{name} {inside[name]}' for name in laws)}."
)
