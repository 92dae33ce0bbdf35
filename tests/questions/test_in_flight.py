"""A run in flight: bands of its end that narrow and hold, on curves made from a known law."""

import numpy as np
import pandas as pd
import pytest

import scalebayes as sb


def _rates(kind, steps=2000):
    k = np.arange(1, steps + 1)
    u = np.clip((k - 200) / (steps - 200), 0, 1)
    down = {"cosine": 0.55 + 0.45 * np.cos(np.pi * u), "linear": 1 - 0.9 * u, "constant": 1.0 + 0 * u}[kind]
    return 3e-4 * np.minimum(k / 200, 1.0) * down


RATES = {kind: _rates(kind) for kind in ("cosine", "linear", "constant")}


def _curve(kind, values, level=1.0, noise=0.001, seed=0):
    steps = np.unique(np.linspace(300, 2000, 60).astype(int))
    table = pd.DataFrame({"schedule": kind, "step": steps})
    eta = sb.schedule("schedule", RATES, step="step").schedules.at([kind] * len(steps), steps)
    rng = np.random.default_rng(seed)
    loss = np.asarray(sb.laws.annealing(eta, **values), float)
    return table.assign(loss=level * loss * np.exp(noise * rng.normal(size=len(steps))))


VALUES = {"L_0": 2.5, "A": 0.3, "alpha": 0.5, "C": 2.0, "lam": 0.99}


@pytest.fixture(scope="module")
def ladder(made_fit):
    """A posterior of the annealing law whose floor and amplitude are known to a few per cent."""
    rng = np.random.default_rng(0)
    draws = {
        "L_0": 2.5 * np.exp(0.03 * rng.normal(size=2000)),
        "A": 0.3 * np.exp(0.1 * rng.normal(size=2000)),
        "alpha": 0.5 * np.exp(0.05 * rng.normal(size=2000)),
        "C": 2.0 * np.exp(0.2 * rng.normal(size=2000)),
        "lam": np.full(2000, 0.99),
    }
    table = pd.concat([_curve(kind, VALUES, seed=i).iloc[::4] for i, kind in enumerate(RATES)])
    inputs = {"eta": sb.schedule("schedule", RATES, step="step")}
    runs = sb.read_runs(table, inputs=inputs, response="loss", run="schedule")
    return made_fit(sb.Model(sb.laws.annealing, runs, discrepancy=None), draws)


def _cut(curve, share):
    return curve.assign(loss=curve["loss"].where(curve["step"] <= share * curve["step"].max()))


def test_bands_narrow_as_the_run_goes_on_and_hold_its_end(ladder):
    inside, widths = 0, []
    for seed in range(4):
        rng = np.random.default_rng(100 + seed)
        values = VALUES | {
            "L_0": 2.5 * np.exp(0.03 * rng.normal()),
            "A": 0.3 * np.exp(0.1 * rng.normal()),
            "C": 2.0 * np.exp(0.2 * rng.normal()),
        }
        curve = _curve(list(RATES)[seed % 3], values, seed=seed)
        own = []
        for share in (0.3, 0.6, 0.9):
            found = sb.in_flight(ladder, _cut(curve, share))
            e = found.end
            inside += e["lower"] <= curve["loss"].iloc[-1] <= e["upper"]
            own.append(e["upper"] - e["lower"])
            assert found.progress == pytest.approx(share, abs=0.03)
            assert own[-1] < e["before_upper"] - e["before_lower"]
        widths.append(own)
    # Of 12 bands of 89%, fewer than 7 would hold the end with a probability of 1e-3.
    assert inside >= 7
    first, second, third = np.mean(widths, axis=0)
    assert first > second > third


def test_a_run_that_leaves_its_band_gives_an_alarm(ladder):
    curve = _cut(_curve("cosine", VALUES), 0.6)
    good = sb.in_flight(ladder, curve)
    assert not good.alarm
    assert "are as was forecast before" in str(good)
    worse = curve.assign(loss=curve["loss"] * np.where(curve["step"] > 1050, 1.03, 1.0))
    bad = sb.in_flight(ladder, worse)
    assert bad.alarm
    assert "ALARM: the" in str(bad)
    assert bad.to_dict()["alarm"] is True
    panel = sb.plot_in_flight(bad).axes[0]
    assert "newest: not as forecast" in [t.get_text() for t in panel.get_legend().get_texts()]


def test_a_ladder_of_one_input_at_a_constant_rate(one_curve, made_fit):
    rng = np.random.default_rng(1)
    draws = {"E": 0.4 * np.exp(0.05 * rng.normal(size=1000)), "A": 30 * np.exp(0.05 * rng.normal(size=1000))}
    fit = made_fit(sb.Model(sb.laws.power_floor, one_curve(), discrepancy=None), draws | {"alpha": np.full(1000, 0.3)})
    D = np.geomspace(1e6, 1e9, 20)
    curve = pd.DataFrame({"n_tokens": D, "loss": np.where(D < 1e8, 0.42 + 30 * D**-0.3, np.nan)})
    found = sb.in_flight(fit, curve, constant_rate=True)
    assert found.along == "n_tokens"
    assert found.end["lower"] < 0.42 + 30 * 1e9**-0.3 < found.end["upper"]
    with pytest.raises(ValueError, match="power_floor knows of no learning-rate schedule"):
        sb.in_flight(fit, curve)


def test_what_a_run_in_flight_refuses(ladder, two_fits, refuses):
    curve = _cut(_curve("cosine", VALUES), 0.6)
    with refuses(ValueError, "the run needs its response so far, a column 'loss', empty ahead."):
        sb.in_flight(ladder, curve.drop(columns="loss"))
    with pytest.raises(ValueError, match="each point needs a schedule"):
        sb.in_flight(ladder, curve.drop(columns="schedule"))
    whole = _curve("cosine", VALUES)
    message = (
        "a run in flight has 4 observed points or more, then points ahead with an empty loss, the last of which is its "
        "end; got 60 observed and 0 empty."
    )
    with refuses(ValueError, message):
        sb.in_flight(ladder, whole)
    with refuses(ValueError, "newest is a number of points from 1 to 30, got 0."):
        sb.in_flight(ladder, curve.iloc[:37].assign(loss=lambda t: t["loss"].where(t.index < 36)), newest=0)
    with refuses(
        ValueError,
        "the departure of a run from its law is found here; fit the ladder with discrepancy=None, not drift.",
    ):
        sb.in_flight(two_fits[0], curve)
