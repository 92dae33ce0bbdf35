"""
Pictures of ArviZ
=================

``fit.idata`` is what ArviZ takes.
"""

import arviz as az

import scalebayes as sb

runs = sb.read_runs(sb.pile_families(), inputs={"C": "flops"}, response="loss", group="family", run="model")
fit = sb.fit(sb.laws.power_floor, runs, discrepancy=None)
print(az.summary(fit.idata, var_names=["E", "alpha"]))

# %%
# Posterior of every parameter.
az.plot_dist(fit.idata, var_names=["E", "alpha"])

# %%
# Replicated data beside the runs.
az.plot_ppc_dist(fit.idata)

# %%
# Prior and posterior.
az.plot_prior_posterior(fit.idata, var_names=["E", "alpha"])
