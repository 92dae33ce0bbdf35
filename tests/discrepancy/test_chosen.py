"""The discrepancy of a caller who names none: what is chosen, and why."""

import numpy as np
import pandas as pd
import pytest

import scalebayes as sb

GRID = [(n, d) for n in (1e7, 3e7, 1e8) for d in (1e9, 3e9, 1e10)]


def _table(**columns):
    table = pd.DataFrame(GRID, columns=["n_params", "n_tokens"]).assign(
        loss=lambda t: 1.7 + 400 * t["n_params"] ** -0.34 + 400 * t["n_tokens"] ** -0.28
    )
    return table.assign(flops=lambda t: 6 * t["n_params"] * t["n_tokens"] * np.arange(1, 10), **columns)


def _model(law, table, **arguments):
    reading = {name: arguments.pop(name) for name in ("inputs", "group", "run") if name in arguments}
    return sb.Model(law, sb.read_runs(table, response="loss", **reading), **arguments)


def test_runs_along_one_scale_drift():
    model = _model(sb.laws.power_floor, _table(), inputs={"C": "flops"})
    assert (model.said_discrepancy, model.why) == ("drift", "the runs lie along one scale, flops")
    assert model.observation.word == "gaussian"


def test_runs_over_two_scales_have_a_surface():
    model = _model(sb.laws.chinchilla, _table())
    assert (model.said_discrepancy, model.why) == ("surface", "the runs spread over two scales, n_params, n_tokens")


def test_runs_with_several_rows_have_run_effects_beside_it():
    model = _model(sb.laws.chinchilla, _table(name=list("aabbccdde")), run="name")
    assert model.said_discrepancy == "surface+run effects"
    assert model.why.endswith(", and some of them have several rows")
    # A group that is one run has a level of its own already.
    whole = _model(sb.laws.power_floor, _table(name=list("aaaabbbbb")), inputs={"C": "flops"}, group="name", run="name")
    assert whole.said_discrepancy == "drift"


@pytest.mark.parametrize(
    ("law", "inputs", "why"),
    [
        (sb.laws.power_floor, {"x": "n_params"}, "a drift needs one run at each n_params, and there are 3 at 1e+07; "),
        (
            sb.Law(lambda N, D, C, *, A: A + 0 * (N + D + C), priors={"A": sb.LogNormal(2, 1)}),
            {"N": "n_params", "D": "n_tokens", "C": "flops"},
            "a drift is along one scale and a surface over two, and the inputs are n_params, n_tokens, flops",
        ),
        (
            sb.Law(lambda s, *, A: A + 0 * s, priors={"A": sb.LogNormal(2, 1)}),
            {"s": sb.Input("flops", kind="plain")},
            "a drift is along one scale and a surface over two, and the inputs are flops",
        ),
    ],
)
def test_where_none_suits_the_law_alone_is_fitted_and_it_is_said_why(law, inputs, why):
    model = _model(law, _table(), inputs=inputs)
    assert model.discrepancy == ()
    assert model.why.startswith(why)


def test_an_observation_that_cannot_carry_it_goes_before_it():
    model = _model(sb.laws.power_floor, _table(), inputs={"C": "flops"}, observation="student_t")
    assert model.discrepancy == ()
    assert model.why.startswith("the discrepancy 'drift' is integrated out, which needs a Gaussian observation")
    assert _model(sb.laws.chinchilla, _table(), observation="student_t").said_discrepancy == "surface"


def test_a_named_discrepancy_is_nobodys_choice():
    for named in (None, "drift"):
        assert _model(sb.laws.power_floor, _table(), inputs={"C": "flops"}, discrepancy=named).why == ""


def test_many_runs_are_left_to_the_law():
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"n_params": 10 ** rng.uniform(7, 9, 2500), "n_tokens": 10 ** rng.uniform(9, 11, 2500)})
    model = _model(sb.laws.chinchilla, table.assign(loss=2 + rng.uniform(size=2500)))
    assert (model.discrepancy, model.why) == ((), "2500 runs are more than the 2000 for which a surface is quick")


def test_laws_without_priors_of_their_own_beside_a_drift_take_their_usual_ones():
    runs = sb.read_runs(_table(), inputs={"C": "flops"}, response="loss")
    model = sb.Model(sb.laws.saturating_power, runs)
    assert model.said_discrepancy == "drift"
    law = sb.Law(lambda x, *, A: A / x, priors={"A": sb.LogNormal(2.0, 1.0)})
    assert sb.Model(law, runs).priors["A"] == sb.shared(sb.LogNormal(2.0, 1.0))
