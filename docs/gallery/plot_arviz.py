"""
Pictures of ArviZ
=================

``fit.idata`` is what ArviZ takes; dimensions carry the names of the table's columns.
"""

import arviz as az

import scalebayes as sb

runs = sb.read_runs(sb.pile_families(), inputs={"C": "flops"}, response="loss", group="family", run="model")
fit = sb.fit(sb.laws.power_floor, runs, discrepancy=None)
print(az.summary(fit.idata, var_names=["E", "alpha"]))

# %%
# The posterior of each parameter.
az.plot_dist(fit.idata, var_names=["E", "alpha"])

# %%
# All groups beside each other.
az.plot_forest(fit.idata, var_names=["E", "alpha"], combined=True)

# %%
# Prior and posterior: what the runs added.
az.plot_prior_posterior(fit.idata, var_names=["E", "alpha"], coords={"family": ["Pythia"]})

# %%
# Replicated runs beside the runs.
az.plot_ppc_dist(fit.idata)

# %%
# Where the runs fell in their predictive distribution; a straight line within the band is calibrated.
az.plot_ppc_pit(fit.idata)

# %%
# The same, each run predicted from all others. New runs are kept for some of the draws; this needs as many of both.
some = fit.idata["posterior_predictive"]["draw"]
az.plot_loo_pit(fit.idata.drop_nodes("prior").sel(draw=some))

# %%
# Whether prior or likelihood, made a little stronger or weaker, would move a parameter. ArviZ calls their powers alpha,
# so the law's alpha needs another name here.
renamed = fit.idata.map_over_datasets(
    lambda each: each.rename({name: f"exponent_{name}" for name in each.data_vars if name.startswith("alpha")})
)
az.plot_psense_dist(renamed, var_names=["E"], coords={"family": ["Pythia"]})

# %%
# Whether the energies of trajectories explored the posterior.
az.plot_energy(fit.idata)
