"""A floor is declared, not guessed; anchors of separate groups look at their own runs."""

import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

import scalebayes as sb
from scalebayes.fits.preparing import prepare
from scalebayes.numerics.precision import double_precision

POWER = sb.Anchored(sb.ResponseShare(1.0, 0.1), input="x", exponent="alpha")


def limited(x, *, L_inf, A, alpha):
    """`power_floor` under other names."""
    return L_inf + A * x**-alpha


def _runs():
    D = np.geomspace(1e6, 1e9, 12)
    return sb.read_runs(pd.DataFrame({"D": D, "loss": 0.4 + 30 * D**-0.3}), inputs={"D": "D"}, response="loss")


def _centre(model):
    ready = prepare(model)
    density = ready.source.transport().density
    with double_precision():
        return float(density.logp(density.position(ready.initial), ready.numbers)[0])


@pytest.mark.parametrize("discrepancy", ["drift", "correlated"])
def test_a_floor_of_ones_own_drifts_as_a_built_in_one(discrepancy):
    common = {"A": POWER, "alpha": sb.LogNormal(0.4, 0.5)}
    built_in = sb.Model(
        sb.laws.power_floor, _runs(), priors=common | {"E": sb.FloorShare(0.5, 1.0)}, discrepancy=discrepancy
    )
    by_prior = sb.Model(limited, _runs(), priors=common | {"L_inf": sb.FloorShare(0.5, 1.0)}, discrepancy=discrepancy)
    declared = sb.Model(
        sb.Law(limited, floor="L_inf"),
        _runs(),
        priors=common | {"L_inf": sb.FloorShare(0.5, 1.0)},
        discrepancy=discrepancy,
    )
    assert by_prior.law.floor == declared.law.floor == "L_inf"
    assert _centre(by_prior) == pytest.approx(_centre(built_in), rel=1e-12)
    assert _centre(declared) == pytest.approx(_centre(built_in), rel=1e-12)


def test_a_parameter_is_no_floor_for_its_name():
    def falling(x, *, E, alpha):
        return E * x**-alpha

    model = sb.Model(
        falling, _runs(), priors={"E": sb.LogNormal(30, 1.0), "alpha": sb.LogNormal(0.3, 0.5)}, discrepancy="drift"
    )
    assert model.law.floor is None


def test_two_floors_are_one_too_many(refuses):
    priors = {"L_inf": sb.FloorShare(0.5, 1.0), "A": sb.FloorShare(0.5, 1.0), "alpha": sb.LogNormal(0.4, 0.5)}
    message = (
        "limited has 2 parameters whose prior is a FloorShare, L_inf, A; say which is its floor: "
        "sb.Law(limited, floor='L_inf')."
    )
    with refuses(ValueError, message):
        sb.Model(limited, _runs(), priors=priors, discrepancy=None)
    with refuses(ValueError, "the floor of limited(x; L_inf, A, alpha) is one of its parameters, got 'E'."):
        sb.Law(limited, floor="E")


def test_separate_groups_are_anchored_where_their_own_runs_are():
    C = np.concatenate([np.geomspace(1e15, 1e17, 6), np.geomspace(1e22, 1e24, 6)])
    table = pd.DataFrame({"C": C, "loss": 2 + 3 * (C / 1e18) ** -0.1, "g": np.repeat(["small", "large"], 6)})
    runs = sb.read_runs(table, inputs={"C": "C"}, response="loss", group="g")
    separate = sb.Model(sb.laws.power_floor, runs, pooling="separate", discrepancy=None)
    assert separate.numbers["A_reference"].tolist() == pytest.approx([1e23, 1e16])  # large, small
    pooled = sb.Model(sb.laws.power_floor, runs, discrepancy=None)
    assert float(pooled.numbers["A_reference"]) == pytest.approx(np.sqrt(1e39))


def test_an_anchored_prior_states_the_term_where_the_runs_are():
    rng = np.random.default_rng(0)
    table = pd.DataFrame(np.exp(rng.uniform(10, 20, (30, 2))), columns=["N", "D"]).assign(y=rng.normal(size=30))
    runs = sb.read_runs(table, inputs={"N": "N", "D": "D"}, response="y")

    def law(N, D, *, c, s, A, alpha, d):
        return c + s * jnp.log(N) + A * N**-alpha * D**alpha + d

    priors = {
        "c": sb.Anchored(sb.ResponseLevel(0.5, 0.2), "N", "s", form="intercept"),
        "s": sb.Normal(0.0, 1.0),
        "A": sb.Anchored(sb.RangeShare(0.5, 0.3), ("N", "D"), ("alpha", "-alpha")),
        "alpha": sb.LogNormal(0.3, 0.3),
        "d": sb.Anchored(sb.LogNormal(1.0, 0.5), "D", form="place"),
    }
    model = sb.Model(
        law, runs, priors=priors, observation=sb.Gaussian(sb.LogNormal(1, 1), scale="identity"), discrepancy=None
    )
    prior = model.prior(4000)["prior"].to_dataset().isel(chain=0)
    N, D = (np.log(runs.x(name)) for name in ("N", "D"))
    width = np.ptp(runs.y)
    level = prior["c"] + prior["s"] * N.mean()
    term = np.log(prior["A"]) + prior["alpha"] * (D.mean() - N.mean())
    place = (np.log(prior["d"]) - D.mean()) / (np.ptp(D) / 2)
    for found, (mean, sd) in (
        (level, (runs.y.mean() + 0.5 * width, 0.2 * width)),
        (term, (np.log(0.5 * width), 0.3)),
        (place, (0.0, 0.5)),
    ):
        # The chance that a true one fails is 1e-4: 3.9 standard errors, of the mean and of the standard deviation.
        assert abs(float(found.mean()) - mean) < 3.9 * sd / np.sqrt(4000)
        assert abs(float(found.std()) / sd - 1) < 3.9 / np.sqrt(8000)


def test_a_model_is_described_once_and_a_question_describes_nothing(monkeypatch, made_fit, power_runs):
    """Twelve groups: what was once described again for every group of every question."""
    from scalebayes.model import model as module

    calls = []
    describe = module.describe
    monkeypatch.setattr(module, "describe", lambda *arguments: calls.append(1) or describe(*arguments))
    groups = "abcdefghijkl"
    model = sb.Model(sb.laws.power, power_runs(groups), discrepancy=None)
    rng = np.random.default_rng(0)
    fit = made_fit(model, {"A": 30 + rng.normal(size=12), "alpha": np.full(12, 0.05)}, draws=5)
    prepare(model)
    prepare(model)
    assert len(calls) == 1
    calls.clear()
    sb.forecast(fit, at={"C": 1e22})
    sb.crossover(fit, axis="C", to=1e24)
    sb.reach(fit, target=2.5, axis="C")
    sb.compare(fit, target=2.5)
    sb.next_run(fit, candidates=pd.DataFrame({"C": [1e22], "family": ["a"]}), goal="decision", axis="C", to=1e24)
    model.coords()
    model.prior(10)
    assert calls == []
