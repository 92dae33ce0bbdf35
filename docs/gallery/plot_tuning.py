"""
The best learning rate and batch
================================

A sweep of learning rates and batches at three sizes, simulated with the constants of Step Law, and the settings that a
larger model should have.
"""

import numpy as np
import pandas as pd

import scalebayes as sb

rng = np.random.default_rng(0)
sweep = pd.DataFrame(
    [
        (N, ratio * N, lr, batch)
        for N in (6e7, 2e8, 6e8)
        for ratio in (10, 40)  # sizes and tokens have to vary apart, or their exponents cannot be told apart
        for lr in np.geomspace(2e-4, 8e-3, 6)
        for batch in (2**17, 2**18, 2**19, 2**20)
    ],
    columns=["N", "D", "lr", "batch"],
)
best = 1.79 * sweep["N"] ** -0.713 * sweep["D"] ** 0.307, 0.58 * sweep["D"] ** 0.571
off = 0.02 * np.log(sweep["lr"] / best[0]) ** 2 + 0.01 * np.log(sweep["batch"] / best[1]) ** 2
plain = sb.laws.chinchilla(sweep["N"].to_numpy(), sweep["D"].to_numpy(), E=1.7, A=400, B=410, alpha=0.34, beta=0.28)
sweep["loss"] = plain * np.exp(off + 0.003 * rng.normal(size=len(sweep)))
runs = sb.read_runs(sweep, inputs={"N": "N", "D": "D", "lr": "lr", "batch": "batch"}, response="loss")
fit = sb.fit(sb.laws.step_law, runs)
answer = sb.tune(fit, at={"N": [6e8, 2e9], "D": [1.2e10, 4e10]})
print(answer)
figure = sb.plot_tuning(answer)
