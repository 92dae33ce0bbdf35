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
# # My small models answer at the level of a guess. What will the large one do?
#
# The accuracy of a small model hardly moves; its loss on the right answers does. Fitted together, the loss says how fast
# models improve and the accuracy what an improvement is worth. The table is published: a ladder of models by Bhagia et al.
# (2024, arXiv:2412.04403), with HellaSwag's accuracy and bits per byte. The rung of 1.3e9 parameters is kept.

# %%
import os

import scalebayes as sb

# %matplotlib inline

draws = int(os.environ.get("SCALEBAYES_NOTEBOOK_DRAWS", "1000"))
table = sb.datasets.load("hellaswag_ladder")
small, large = table[table["n_params"] < 1e9], table[table["n_params"] > 1e9]
print(small.groupby("n_params")[["accuracy", "bpb"]].agg(["min", "max"]).round(3))

# %% [markdown]
# ## Two responses, one fit
#
# `composed` puts one law into another. An accuracy is a count of right answers among the items, so its noise is known;
# `BetaBinomial` allows for items that are alike.

# %%
runs = sb.read_runs(small, inputs={"N": "n_params", "D": "n_tokens"}, response="accuracy", better="higher", run="run")
fit = sb.fit(
    sb.laws.composed(sb.laws.accuracy_from_loss, {"L": sb.laws.chinchilla}),
    runs,
    also={"bpb": sb.laws.chinchilla},
    observation=sb.BetaBinomial(items="items"),
    priors={"low": sb.Share(logit=-1.1, sd=0.1)},  # one of four answers is right
    discrepancy=None,
    draws=draws,
)
print(fit)

# %% [markdown]
# ## The next rung

# %%
points = large[["n_params", "n_tokens", "items"]]
ahead = sb.forecast(fit, at=points).table[["N", "D", "median", "new_run_lower", "new_run_upper"]]
ahead = ahead.assign(measured=large["accuracy"].to_numpy())
print(ahead.round(3))

# %% [markdown]
# ## Beside the accuracy alone
#
# The same runs without the loss: a curve of accuracy over compute.

# %%
compute = sb.read_runs(
    small.assign(flops=6.0 * small["n_params"] * small["n_tokens"]),
    inputs={"C": "flops"},
    response="accuracy",
    better="higher",
)
alone = sb.fit(
    sb.laws.rising_sigmoid,
    compute,
    observation=sb.BetaBinomial(items="items"),
    priors={"R_0": sb.Share(logit=-1.1, sd=0.1)},
    discrepancy=None,
    draws=draws,
)
flops = (6.0 * large["n_params"] * large["n_tokens"]).to_numpy()
beside = sb.forecast(alone, at={"C": flops, "items": large["items"].to_numpy()}).table
error = {
    "with the loss": (ahead["median"] - ahead["measured"]).abs().mean(),
    "accuracy alone": (beside["median"].to_numpy() - ahead["measured"]).abs().mean(),
}
print({name: round(float(value), 3) for name, value in error.items()})

# %%
inside = int(ahead["measured"].between(ahead["new_run_lower"], ahead["new_run_upper"]).sum())
print(
    f"Fitted together with the loss, accuracies of the next rung were off by {error['with the loss']:.3f} in the mean "
    f"({error['accuracy alone']:.3f} by accuracy alone), and {inside} of {len(ahead)} lay in their 89% bands."
)
