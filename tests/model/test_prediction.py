"""The prediction under every answer: chunks, streams of random numbers, vectors, and what an observation must have."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

import scalebayes as sb
from scalebayes.model import prediction
from scalebayes.model.prediction import Points, predict


def test_chunks_bound_the_memory_and_change_nothing(powers, monkeypatch):
    rng = np.random.default_rng(0)
    fit = powers(30 + rng.normal(size=(2, 50)), np.full((2, 50), 0.05))
    at = Points({"C": np.geomspace(1e20, 1e24, 7)})
    whole = predict(fit.model, fit.posterior, at, "a", seed=3)
    sizes = []
    expected = prediction.expected
    monkeypatch.setattr(prediction, "_MOST_AT_ONCE", 100)
    monkeypatch.setattr(
        prediction, "expected", lambda law, x, theta: sizes.append(len(theta["A"])) or expected(law, x, theta)
    )
    parts = predict(fit.model, fit.posterior, at, "a", seed=3)
    assert max(sizes) <= 100 // 7
    assert sum(sizes) == 50
    np.testing.assert_allclose(parts.mean, whole.mean, rtol=1e-12)


def test_what_a_group_is_drawn_does_not_depend_on_the_others(pile_fit):
    alone = sb.forecast(pile_fit, at={"C": 1e23}, group="Pythia", seed=2).draws["new_run"].to_numpy()
    together = sb.forecast(pile_fit, at={"C": 1e23}, seed=2)
    column = list(together.table["group"]).index("Pythia")
    np.testing.assert_array_equal(together.draws["new_run"].to_numpy()[..., column], alone[..., 0])


def mixture(D, p, *, E, A, alpha, slope):
    """A loss with a price for the second of two shares, which come as a vector along the last axis."""
    return E + A * D**-alpha + slope * p[..., 1]


def test_a_vector_of_shares_reaches_the_law_whole(made_fit):
    rng = np.random.default_rng(0)
    share = rng.uniform(size=12).round(2)
    share[0] = 0.0
    table = pd.DataFrame({"D": np.geomspace(1e6, 1e9, 12), "web": 1 - share, "code": share})
    values = {"E": 0.2, "A": 5.0, "alpha": 0.2, "slope": 0.1}
    p = table[["web", "code"]].to_numpy()
    table["loss"] = mixture(table["D"].to_numpy(), p, **values)
    runs = sb.read_runs(table, inputs={"D": "D", "p": ["web", "code"]}, response="loss")
    model = sb.Model(
        mixture, runs, priors={name: sb.LogNormal(value, 0.3) for name, value in values.items()}, discrepancy=None
    )
    assert model.numbers["p"].shape == (12, 2)
    fit = made_fit(model, values, draws=3)
    found = sb.forecast(fit, at=table).table["median"]
    np.testing.assert_allclose(found, table["loss"], rtol=1e-9)
    beyond = sb.forecast(fit, at={"D": 1e8, "web": -0.5, "code": 1.5}).table["outside"].item()
    assert beyond.startswith("web = -0.5 lies ")


@dataclass(frozen=True)
class Half:
    """Half an observation."""

    word = "half"

    def priors(self):
        return {}


def test_an_observation_that_lacks_a_function_is_refused(table, refuses):
    runs = sb.read_runs(table())
    lacking = "columns, name, observed, distribution, draw, sd, widened, scale, needs, is_gaussian"
    message = (
        "an observation is a value such as sb.StudentT() with the functions of scalebayes.observations.Observation; got Half(), "
        f"which has no {lacking}."
    )
    with refuses(TypeError, message):
        sb.Model(sb.laws.chinchilla, runs, observation=Half(), discrepancy=None)
    message = (
        "an observation is a value such as sb.StudentT() with the functions of scalebayes.observations.Observation; got the class "
        "StudentT."
    )
    with refuses(TypeError, message):
        sb.Model(sb.laws.chinchilla, runs, observation=sb.StudentT, discrepancy=None)


def test_a_mean_that_the_observation_does_not_know_is_refused_with_what_to_use():
    def falling(C, *, A, alpha):
        return A * (C / 1e20) ** -alpha

    rng = np.random.default_rng(0)
    table = pd.DataFrame({"C": np.geomspace(1e18, 1e22, 8), "n": 100, "accuracy": rng.integers(0, 100, 8) / 100})
    runs = sb.read_runs(table, inputs={"C": "C"}, response="accuracy")
    priors = {"A": sb.LogNormal(50.0, 0.01), "alpha": sb.LogNormal(0.1, 0.01)}
    model = sb.Model(falling, runs, priors=priors, observation=sb.BetaBinomial(items="n"), discrepancy=None)
    message = r"^falling gives means outside 0 to 1 for 100% of the draws from its prior, and a beta-binomial observation .* take a "
    message += r"law between 0 and 1, such as sb\.laws\.sigmoid, narrower priors, or another observation\.$"
    with pytest.raises(ValueError, match=message):
        sb.sample(model)
