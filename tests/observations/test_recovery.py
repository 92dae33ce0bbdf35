"""Each observation, with and without groups: 89% intervals hold the truths of simulated tables at their rate."""

import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from scipy import stats

import scalebayes as sb

N_RUNS, TABLES = 30, 100


def rating(C, *, a, b):
    return a + b * jnp.log(C / 1e20)


def accuracy(C, *, a, b):
    return 0.25 + 0.7 / (1 + jnp.exp(-a - b * jnp.log(C / 1e20)))


def pass_rate(C, *, a, b):
    return jnp.exp(-jnp.exp(a - b * jnp.log(C / 1e20)))


def loss(C, *, a, b):
    return 1.0 + jnp.exp(a - b * jnp.log(C / 1e20))


OF_RATING = {"a": sb.Normal(0, 200), "b": sb.Normal(60, 20)}
OF_SHARE = {"a": sb.Normal(0, 1), "b": sb.Normal(0.4, 0.2)}
OF_LOSS = {"a": sb.Normal(0, 0.3), "b": sb.Normal(0.2, 0.05)}
WIDTH = sb.LogNormal(10, 0.5)
CASES = {
    "gaussian, identity": (rating, OF_RATING, sb.Gaussian(WIDTH, scale="identity")),
    "student_t, identity": (rating, OF_RATING, sb.StudentT(WIDTH, scale="identity")),
    "gaussian, logit": (accuracy, OF_SHARE, sb.Gaussian(scale="logit")),
    "student_t, logit": (accuracy, OF_SHARE, sb.StudentT(scale="logit")),
    "known errors": (loss, OF_LOSS, sb.Gaussian(error="error")),
    "growing width": (loss, OF_LOSS, sb.Gaussian(sb.LogNormal(0.02, 0.5), growth=sb.Normal(0, 1))),
    "under-tuned": (loss, OF_LOSS, sb.ExGaussian(excess=sb.LogNormal(0.02, 0.5))),
    "binomial": (pass_rate, OF_SHARE, sb.Binomial(items="items")),
    "beta-binomial": (accuracy, OF_SHARE, sb.BetaBinomial(items="items")),
    "negative binomial": (pass_rate, OF_SHARE, sb.NegativeBinomial(passes="items")),
}


def _columns(rng, grouped):
    C = np.exp(rng.uniform(np.log(1e18), np.log(1e22), N_RUNS))
    items = rng.integers(5, 60, N_RUNS).astype(float)
    table = pd.DataFrame({"flops": C, "items": items, "error": rng.uniform(0.002, 0.05, N_RUNS)})
    return table.assign(group=np.resize(["one", "two", "three"], N_RUNS)) if grouped else table


def _model(case, table, grouped):
    law, priors, observation = CASES[case]
    if grouped:
        spread = priors["a"].sd / 2
        priors = {**priors, "a": sb.pooled(priors["a"], spread=spread)}
    better = "lower" if law is loss else "higher"
    options = {"group": "group"} if grouped else {}
    runs = sb.read_runs(table, inputs={"C": "flops"}, response="y", better=better, **options)
    return sb.Model(law, runs, priors=priors, observation=observation, discrepancy=None)


def _simulated(case, grouped):
    """Tables and the parameters that made them, drawn from the prior."""
    rng, (law, _, observation) = np.random.default_rng(1), CASES[case]
    first = _columns(rng, grouped).assign(y=0.5)
    if observation.word == "negative_binomial":
        first["items"] = 5.0
    elif observation.word.endswith("binomial"):
        first["y"] = np.round(0.5 * first["items"]) / first["items"]
    prior = _model(case, first, grouped).prior(TABLES, seed=2)["prior"].to_dataset().isel(chain=0)
    own = [name for name in prior.data_vars if name in ("a", "b", *observation.priors())]
    for i in range(TABLES):
        truth = {name: prior[name].isel(draw=i) for name in own}
        table = _columns(rng, grouped)
        at_runs = {
            name: value.sel(group=table["group"].to_numpy()).to_numpy() if "group" in value.dims else float(value)
            for name, value in truth.items()
        }
        mean = np.asarray(law(table["flops"].to_numpy(), a=at_runs["a"], b=at_runs["b"]), float)
        columns = {role: table[column].to_numpy() for role, column in observation.columns.items()}
        values = {name: at_runs[name] for name in observation.priors()}
        yield table.assign(y=observation.draw(mean, values, columns, rng)), truth


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*fits failed or have not converged:scalebayes.ConvergenceWarning")
@pytest.mark.parametrize(
    ("case", "grouped"),
    [
        pytest.param(
            case,
            grouped,
            marks=pytest.mark.xfail(reason="12 of 100 fits do not converge, where the excess is far below the noise")
            if (case, grouped) == ("under-tuned", True)
            else (),
        )
        for case in CASES
        for grouped in (False, True)
    ],
)
def test_parameters_of_simulated_tables_are_recovered(case, grouped):
    tables, truths = zip(*_simulated(case, grouped), strict=True)
    models = {str(i): _model(case, table, grouped) for i, table in enumerate(tables)}
    fleet = sb.fit_many(models, draws=500)
    fits = {int(name): fleet[name] for name in fleet if fleet.table.loc[name, "converged"]}
    assert len(fits) >= 95
    for parameter in truths[0]:
        held = total = 0
        for i, fit in fits.items():
            low, high = fit.posterior[parameter].quantile([0.055, 0.945], ("chain", "draw"))
            inside = (low <= truths[i][parameter]) & (truths[i][parameter] <= high)
            # One group of each table, since the groups of one are not independent.
            held, total = held + bool(np.ravel(inside)[0]), total + 1
        assert stats.binomtest(held, total, 0.89).pvalue > 1e-4, (parameter, held, total)
