"""Learning-rate schedules: read, condensed to few steps without changing the sums that laws take, and refused."""

import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import scalebayes as sb
from scalebayes.runs.schedules import SEGMENTS, Schedules, condensed

PEAK, WARM_UP = 3e-4, 500


def warmed(steps):
    return np.minimum(PEAK, PEAK * np.arange(1, steps + 1) / WARM_UP)


def cosine(steps, end=0.1):
    k = np.arange(1, steps + 1)
    down = PEAK * (end + (1 - end) * 0.5 * (1 + np.cos(np.pi * np.clip((k - WARM_UP) / (steps - WARM_UP), 0, 1))))
    return np.where(k <= WARM_UP, warmed(steps), down)


def decaying(steps, from_step, end=0.1):
    k = np.arange(1, steps + 1)
    return np.where(k > from_step, PEAK * end ** ((k - from_step) / (steps - from_step)), warmed(steps))


def stepped(steps, at, to):
    return np.where(np.arange(1, steps + 1) >= at, to, warmed(steps))


RATES = {"cosine": cosine(8000), "decay": decaying(6000, 5000), "step": stepped(6000, 3000, 9e-5)}


def multi_power(eta, *, L_0, A, alpha, B, C, beta, gamma):
    s = sb.laws.segments(eta)
    C, beta, gamma = (jnp.asarray(each)[..., None] for each in (C, beta, gamma))
    return L_0 + A * s.total**-alpha - B * (s.drop * (1 - (1 + C * s.rate**-gamma * s.left) ** -beta)).sum(-1)


def sums(drop, rate, left, steps):
    """The sums of the multi-power and of the annealing law."""
    multi = [(drop * (1 - (1 + C * rate**-g * left) ** -b)).sum() for C, b, g in ((2.07, 0.58, 0.64), (0.6, 0.5, 0.55))]
    return np.array([*multi, *((drop * (1 - q**steps) / (1 - q)).sum() for q in (0.999, 0.995))])


def whole(rates):
    drop, left = -np.diff(rates, prepend=0.0), np.cumsum(rates[::-1])[::-1]
    seen = np.maximum(rates, 1e-9 * rates.max())
    return drop, seen, left, np.arange(len(rates), 0, -1.0)


def relative_error(rates):
    c = condensed(rates)
    drop, rate, left, steps = whole(rates)
    size = np.maximum(np.abs(sums(drop, rate, left, steps)), 0.05 * sums(np.abs(drop), rate, left, steps))
    few = sums(c[:, 1], c[:, 0], c[:, 2], c[:, 3])
    assert c[0, 2] == pytest.approx(rates.sum(), rel=1e-10)
    return (np.abs(few - sums(drop, rate, left, steps)) / size).max()


@pytest.mark.parametrize("steps", [501, 700, 1500, 5001, 6000])
@pytest.mark.parametrize("name", RATES)
def test_a_condensed_schedule_has_the_sums_of_the_whole_one(name, steps):
    assert relative_error(RATES[name][:steps]) < 1e-6


@given(
    st.integers(1000, 60_000),
    st.integers(50, 900),
    st.floats(0.02, 0.9),
    st.floats(0.1, 0.95),
    st.sampled_from(["cosine", "linear", "exponential", "step"]),
)
@settings(deadline=None, max_examples=60, derandomize=True)
def test_schedules_of_any_length_and_decay_are_condensed(steps, warm_up, end, begin, kind):
    k = np.arange(1, steps + 1)
    first = max(int(begin * steps), warm_up)
    u = np.clip((k - first) / (steps - first), 0, 1)
    down = {
        "cosine": end + (1 - end) * 0.5 * (1 + np.cos(np.pi * u)),
        "linear": 1 - (1 - end) * u,
        "exponential": end**u,
        "step": np.where(u > 0, end, 1.0),
    }[kind]
    assert relative_error(PEAK * np.where(k <= warm_up, k / warm_up, down)) < 1e-6


def test_a_schedule_that_changes_at_random_is_refused_with_advice():
    noisy = cosine(4000) * (1 + 0.1 * np.random.default_rng(0).normal(size=4000))
    with pytest.raises(ValueError, match=r"'noisy' changes its rate too often .* by their formula"):
        condensed(noisy, "noisy")


def test_short_schedules_are_kept_whole():
    rates = np.random.default_rng(0).uniform(1e-4, 3e-4, 20)
    np.testing.assert_allclose(condensed(rates)[1:21, 1], -np.diff(rates, prepend=0.0))
    assert condensed(rates).shape == (SEGMENTS, 4)


@pytest.mark.parametrize(
    ("rates", "message"),
    [
        ({"a": [1e-4, -1e-4]}, r"schedule 'a' .* negative .* 1 of 2 steps, first: step 2"),
        ({"a": [1e-4, np.nan, 1e-4]}, "no numbers in 1 of 3 steps"),
        ({"a": [0.0, 0.0]}, "a learning rate of zero at every step"),
        ({"a": [[1e-4]]}, "is a sequence of learning rates"),
        ({}, "schedules are a mapping"),
        ([1e-4], "schedules are a mapping"),
    ],
)
def test_rates_that_are_none_are_refused(rates, message):
    with pytest.raises((TypeError, ValueError), match=message):
        Schedules(rates)


def test_a_table_of_schedules_may_have_shorter_ones():
    table = pd.DataFrame({"long": [1e-4, 2e-4, 3e-4], "short": [1e-4, 2e-4, np.nan]})
    assert [Schedules(table).length(name) for name in ("long", "short")] == [3, 2]


def _table():
    rows = pd.DataFrame(
        [(name, step) for name, rates in RATES.items() for step in np.linspace(1000, len(rates), 8).astype(int)],
        columns=["schedule", "step"],
    )
    eta = Schedules(RATES).at(rows["schedule"], rows["step"].to_numpy())
    loss = multi_power(eta, L_0=2.5, A=0.6, alpha=0.45, B=400.0, C=2.0, beta=0.6, gamma=0.6)
    return rows.assign(loss=np.asarray(loss) * np.exp(0.001 * np.random.default_rng(0).normal(size=len(rows))))


def _runs(table=None, rates=RATES):
    table = _table() if table is None else table
    return sb.read_runs(table, inputs={"eta": sb.schedule("schedule", rates, step="step")}, response="loss")


def test_rows_without_a_schedule_or_beyond_its_end_are_refused():
    table = _table()
    with pytest.raises(ValueError, match=r"1 of 24 rows .* row 0: there is no schedule 'cosin'.*did you mean 'cosine'"):
        _runs(table.assign(schedule=["cosin", *table["schedule"][1:]]))
    with pytest.raises(ValueError, match="cosine has steps 1 to 8000, got 9000"):
        _runs(table.assign(step=[9000, *table["step"][1:]]))
    with pytest.raises(ValueError, match=r"got 1000\.5"):
        _runs(table.assign(step=[1000.5, *table["step"][1:].astype(float)]))
    with pytest.raises(TypeError, match="names of columns"):
        sb.schedule("schedule", RATES, step=3)


def test_a_tuple_of_column_and_rates_is_a_schedule():
    runs = sb.read_runs(_table(), inputs={"eta": ("schedule", RATES, "step")}, response="loss")
    np.testing.assert_array_equal(runs.x("eta"), _runs().x("eta"))
    ends = sb.read_runs(_table(), inputs={"eta": ("schedule", RATES)}, response="loss")
    assert ends.x("eta")[0, 0, 2] == pytest.approx(RATES["cosine"].sum())


PRIORS = {
    "L_0": sb.LogNormal(2.5, 0.2),
    "A": sb.LogNormal(0.6, 0.5),
    "alpha": sb.LogNormal(0.45, 0.3),
    "B": sb.LogNormal(400, 0.5),
    "C": sb.LogNormal(2, 0.5),
    "beta": sb.LogNormal(0.6, 0.3),
    "gamma": sb.LogNormal(0.6, 0.3),
}


@pytest.mark.fits
def test_a_schedule_that_no_run_had_is_forecast(tmp_path):
    fit = sb.fit(multi_power, _runs(), priors=PRIORS, draws=500)
    assert not fit.diagnostics.problems
    with pytest.raises(ValueError, match=r"no schedule 'linear'.*with_schedules"):
        sb.forecast(fit, at={"schedule": ["linear"]})
    linear = np.where(np.arange(1, 7001) <= WARM_UP, warmed(7000), PEAK * (1 - 0.9 * np.linspace(0, 1, 7000)))
    more = sb.with_schedules(fit, {"linear": linear})
    found = sb.forecast(more, at={"schedule": ["linear", "cosine"], "step": [7000, 8000]})
    theta = {"L_0": 2.5, "A": 0.6, "alpha": 0.45, "B": 400.0, "C": 2.0, "beta": 0.6, "gamma": 0.6}
    for row, name in zip(found.table.to_dict("records"), ("linear", "cosine"), strict=True):
        eta = condensed({"linear": linear, "cosine": RATES["cosine"]}[name])
        assert row["lower"] - 0.002 < float(multi_power(eta, **theta)) < row["upper"] + 0.002
    assert "schedule = linear, step = 7000" in str(found)
    with pytest.raises(ValueError, match="there is another schedule 'cosine'"):
        sb.with_schedules(fit, {"cosine": linear})
    more.save(tmp_path / "schedules.nc")
    again = sb.load(tmp_path / "schedules.nc", law=multi_power)
    at = {"schedule": ["linear"], "step": [5000]}
    pd.testing.assert_frame_equal(sb.forecast(again, at=at).table, sb.forecast(more, at=at).table)
    with pytest.raises(
        ValueError, match=r"curves are drawn along a positive scale, and multi_power cannot be: eta is a schedule"
    ):
        sb.plot(fit)
