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
# # I have sweeps and clouds of runs. What do I fit a law to?
#
# A law of scale is about well-tuned runs. This notebook reduces a sweep of learning rates to its best loss at each size, takes
# the lower envelope of a cloud of runs, and checks a law's compute-optimal sizes against isoFLOP curves.

# %%
import os

import pandas as pd

import scalebayes as sb

# %matplotlib inline

draws = int(os.environ.get("SCALEBAYES_NOTEBOOK_DRAWS", "1000"))

# %% [markdown]
# ## A sweep of learning rates
#
# Qwen3 models trained with the optimizer AdamC, five learning rates at each of four sizes, bits per byte on English C4: public
# results of the Marin project's speedruns (Apache-2.0; see Wen et al. 2025, arXiv:2509.02046). Each is a single seed.

# %%
sizes = {"130m": (1.777e18, 0.008), "300m": (9.990e18, 0.008), "520m": (4.210e19, 0.004), "1.2b": (2.072e20, 0.002)}
bits = {
    "130m": [1.1880, 1.1844, 1.1818, 1.18051, 1.18055],
    "300m": [1.0712, 1.0681, 1.0671, 1.0663, 1.0669],
    "520m": [1.0072, 1.0040, 1.0014, 1.0012, 0.9993],
    "1.2b": [0.9476, 0.9456, 0.9424, 0.9412, 0.9398],
}
sweep = pd.DataFrame(
    [
        {"size": size, "C": flops, "lr": share * lr, "bpb": loss}
        for size, (flops, lr) in sizes.items()
        for share, loss in zip([0.5, 0.75, 1, 1.25, 1.5], bits[size], strict=True)
    ]
)

# %% [markdown]
# Read without the learning rate, the sweep would be taken for repeated runs. The package notices that.

# %%
unreduced = sb.read_runs(sweep, inputs={"C": "C"}, response="bpb")

# %% [markdown]
# With the learning rate as an input, `best_of` fits one bowl to all sizes and gives each its best response, with a standard error.

# %%
runs = sb.read_runs(sweep, inputs={"C": "C", "lr": "lr"}, response="bpb")
best = sb.best_of(runs, "lr")
best.table

# %%
sb.plot_reduction(runs, best)

# %% [markdown]
# At the two larger sizes the highest learning rate is the best: the bottom of the bowl may lie beyond it, and the errors there are
# larger. The fit weighs each size by its error.

# %%
fit = sb.fit(sb.laws.power_floor, best, observation=sb.Gaussian(error="bpb_error"), draws=draws)
print(sb.forecast(fit, at={"C": 1e21, "bpb_error": 0.0004}))

# %% [markdown]
# ## The lower envelope of a cloud
#
# Runs at 5 to 640 tokens per parameter (Gadre et al. 2024, arXiv:2403.08540). A power law in compute is about the best of them.

# %%
cloud = sb.read_runs(sb.datasets.load("overtraining"), response="loss")
envelope = sb.frontier(cloud)
sb.plot_reduction(cloud, envelope)

# %% [markdown]
# A law of N and D needs no envelope: every run tells it something. That is the better way wherever N and D are known.

# %%
both = sb.fit(sb.laws.chinchilla, cloud, discrepancy=None, draws=draws)
print(sb.allocate(both, C=1e23))

# %% [markdown]
# ## isoFLOP curves
#
# Models of several sizes at three budgets, tuned as Porian et al. (2024, arXiv:2406.19146) did: a part of their losses on
# RefinedWeb.

# %%
N = [15.60, 22.49, 28.67, 37.06, 57.38, 84.79, 108.46, 149.05, 220.87, 347.08, 455.31, 611.96, 901.73]  # millions
losses = {
    4.0e17: [None, 3.9401, 3.8633, 3.8126, 3.7682, 3.7727, 3.8102, 3.9165, 4.1796, None, None, None, None],
    1.6e18: [None, None, None, 3.7113, 3.6086, 3.5401, 3.5154, 3.5133, 3.5579, 3.6830, None, None, None],
    6.4e18: [None, None, None, None, None, 3.4423, 3.3882, 3.3338, 3.3002, 3.2965, 3.3380, 3.4080, None],
}
iso = pd.DataFrame(
    [
        {"budget": C, "n_params": n * 1e6, "n_tokens": C / (6e6 * n), "loss": loss}
        for C, row in losses.items()
        for n, loss in zip(N, row, strict=True)
        if loss is not None
    ]
)
law = sb.fit(sb.laws.chinchilla, sb.read_runs(iso, response="loss"), discrepancy=None, draws=draws)
answer = sb.isoflop(law)
print(answer)

# %%
sb.plot_isoflop(answer)

# %% [markdown]
# **What to take away.** Reduce a sweep before a law is fitted, with the error of its minimum. Take an envelope only where a law has
# compute alone. And look at the parabolas beside the law: where both agree, the compute-optimal size does not depend on the form.
