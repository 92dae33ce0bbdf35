"""Curves that drift from their law: the likelihood, draws beyond the runs, and messages for bad input."""

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, stats

import scalebayes as sb
from scalebayes.discrepancy import WORDS, Errors, solver
from scalebayes.discrepancy.drift import _sunk
from scalebayes.discrepancy.walk import LEVEL, ahead, between, integrated, loglik
from scalebayes.fits.preparing import prepare
from scalebayes.numerics.precision import double_precision

SCALES = {"sigma": [0.02, 0.03], "drift": [0.2, 0.1], "kappa": [0.5, 1.5], "rho": [0.7, 0.2], "ell": [0.4, 2.0]}
SLOTS = np.array([[3, 1, 0, 5, 7, -1, -1, -1], [2, 4, 6, 8, 9, 10, -1, -1]])


def _two_curves():
    rng = np.random.default_rng(0)
    curve = np.isin(np.arange(11), SLOTS[1]).astype(int)
    distance = np.zeros(11)
    for slots in SLOTS:
        rows = slots[slots >= 0]
        distance[rows] = np.concatenate([[0], np.cumsum(rng.uniform(0.01, 1, len(rows) - 1))])
    return curve, distance, rng.uniform(0.1, 0.9, 11), 0.05 * rng.normal(size=11)


def _between(distance, weight, own, widening=0.0):
    """The covariance of a curve's errors, noise included, which is wider at some runs."""
    rest = {name: value for name, value in own.items() if name != "sigma"}
    sigma = np.broadcast_to(own["sigma"], len(distance))
    noise = (widening + (1 - own["rho"]) * sigma**2) * np.eye(len(distance))
    return between(distance, weight, sigma, **rest) + noise


def _curve(n=30, scatter=0.01, seed=0):
    D = np.geomspace(1e6, 1e9, n)
    noise = np.exp(scatter * np.random.default_rng(seed).normal(size=n))
    return pd.DataFrame({"n_tokens": D, "loss": (0.4 + 30 * D**-0.3) * noise})


@pytest.fixture(scope="module")
def drifting():
    """A fit of two curves with drift, and the runs beyond their frontiers."""
    table = pd.concat([_curve(seed=s).assign(curve=name) for s, name in enumerate("ab")], ignore_index=True)
    known = table[table["n_tokens"] < 1e8]
    runs = sb.read_runs(known, inputs={"D": "n_tokens"}, response="loss", group="curve")
    return sb.fit(sb.laws.power_floor, runs, discrepancy="drift", draws=500, seed=2)


@pytest.mark.parametrize("drift", [SCALES["drift"], [0.0, 0.0]])
def test_likelihood_is_that_of_the_normal_distribution_it_factors(drift):
    curve, distance, weight, error = _two_curves()
    every = SCALES | {"drift": drift}
    scales = {name: np.asarray(value)[curve] for name, value in every.items()}
    sigma = scales.pop("sigma")
    widening = np.where(np.isin(np.arange(11), [5, 6]), 0.3**2, 0.0)
    with double_precision():
        errors = Errors(error, weight, sigma, np.sqrt(sigma**2 + widening))
        each = np.asarray(loglik(errors, **scales, slots=SLOTS, distance=distance))
    for c, slots in enumerate(SLOTS):
        rows = slots[slots >= 0]
        own = {name: value[c] for name, value in every.items()}
        covariance = _between(distance[rows], weight[rows], own, widening[rows])
        expected = stats.multivariate_normal(np.zeros(len(rows)), covariance).logpdf(error[rows])
        assert each[rows].sum() == pytest.approx(expected, abs=1e-10)
        alone = stats.norm(0, np.hypot(own["sigma"], LEVEL)).logpdf(error[rows[0]])  # at the frontier there is no drift
        assert each[rows[0]] == pytest.approx(alone, abs=1e-10)


@pytest.mark.parametrize(("p", "q", "kappa"), [(1.3, 2.1, 1.0), (2.0, 0.7, 0.3), (0.5, 0.5, 4.0)])
def test_covariance_of_the_drift_is_the_integral_of_that_of_its_slope(p, q, kappa):
    def slope(a, b):
        return (np.exp(-kappa * abs(a - b)) - np.exp(-kappa * (a + b))) / (2 * kappa)

    expected, _ = integrate.dblquad(slope, 0, p, 0, q, epsabs=1e-9)
    assert integrated(p, q, kappa) == pytest.approx(expected, rel=1e-6)


def test_drift_without_return_is_an_integrated_wiener_process():
    assert integrated(1.3, 2.1, 1e-3) == pytest.approx(1.3**2 * (3 * 2.1 - 1.3) / 6, rel=3e-3)


def test_each_run_given_the_others_has_the_conditional_density():
    rng = np.random.default_rng(0)
    distance, weight, error = (
        np.array([0.0, 0.3, 0.9, 2.0]),
        rng.uniform(0.2, 0.8, (3, 4)),
        0.05 * rng.normal(size=(3, 4)),
    )
    scales = {name: rng.uniform(0.1, 0.5, 3) for name in ("sigma", "drift", "rho", "ell", "kappa")}
    each = [_between(distance, weight[s], {name: value[s] for name, value in scales.items()}) for s in range(3)]
    found = solver.leave_one_out(error, np.stack(each))
    for s, covariance in enumerate(each):
        for i in range(4):
            rest = np.delete(np.arange(4), i)
            gain = np.linalg.solve(covariance[np.ix_(rest, rest)], covariance[rest, i])
            spread = np.sqrt(covariance[i, i] - gain @ covariance[rest, i])
            assert found[s, i] == pytest.approx(stats.norm(gain @ error[s, rest], spread).logpdf(error[s, i]), abs=1e-9)


@pytest.mark.parametrize("of_runs", [[1.0, 1.0, 1.0, 1.0], [1.0, 0.5, 3.0, 0.1]])
def test_draws_ahead_and_among_the_runs_have_the_moments_of_the_conditional_distribution(of_runs):
    n, rng = 200_000, np.random.default_rng(1)
    own = {name: value[0] for name, value in SCALES.items()}
    distance, weight = np.array([0.0, 0.3, 1.0, 1.7]), np.array([0.5, 0.6, 0.4, 0.8])
    error, h = np.array([0.01, -0.02, 0.03, 0.0]), np.array([2.0, -0.5, 0.6])
    # What persists of a run's noise is a share of its own; at the new points it is that of the frontier.
    widening, sigma = np.array([0.0, 0.0, 0.1**2, 0.0]), own["sigma"] * np.array(of_runs)
    known = Errors(*(np.tile(part, (n, 1)) for part in (error, weight, sigma, np.sqrt(sigma**2 + widening))))
    g, o, d = ahead(h, known, distance, {k: np.full(n, v) for k, v in own.items()}, 0.0, rng)
    covariance = _between(distance, weight, own | {"sigma": sigma}, widening)
    s2, k = own["drift"] ** 2, own["kappa"]
    # Beyond the frontier g is independent of the runs; at -0.5, among them, it is not.
    of_g = np.stack([np.zeros(4), s2 * integrated(0.5, distance, k) * weight, np.zeros(4)])
    of_o = own["rho"] * own["sigma"] * sigma * np.exp(-np.abs(h[:, None] + distance) / own["ell"])
    before = np.array([s2 * integrated(x, x, k) for x in np.abs(h)]), own["rho"] * own["sigma"] ** 2
    of_d = np.full((3, 4), LEVEL**2)
    for drawn, cross, prior in ((g, of_g, before[0]), (o, of_o, before[1]), (d, of_d, LEVEL**2)):
        mean = cross @ np.linalg.solve(covariance, error)
        variance = prior - np.sum(cross * np.linalg.solve(covariance, cross.T).T, axis=1)
        assert np.abs((drawn.mean(0) - mean) / np.sqrt(variance / n)).max() < 4.5
        np.testing.assert_allclose(drawn.var(0), variance, rtol=4.5 * np.sqrt(2 / n))
    path = s2 * integrated(0.6, 2.0, k) / np.sqrt(before[0][0] * before[0][2])
    assert np.corrcoef(g[:, 2], g[:, 0])[0, 1] == pytest.approx(path, abs=0.01)


def test_from_farther_off_less_is_known_of_a_floor_and_it_lies_lower():
    floors = [
        sb.Model(sb.laws.power_floor, _runs(_curve()), discrepancy="drift", horizon=h).priors["E"].prior
        for h in (None, 2, 4, 10, 33)
    ]
    assert floors[0] == floors[1] == sb.FloorShare(logit=0.5, sd=1.0)
    assert floors[2].logit == pytest.approx(0.5 - np.log(2) / 3)
    assert floors[2].sd == pytest.approx(1.0 + np.log(2) / 3)
    assert floors[3] == floors[4]  # no less can be known of a floor
    own = sb.FloorShare(logit=1.0, sd=0.2)
    given = sb.Model(sb.laws.power_floor, _runs(_curve()), priors={"E": own}, discrepancy="drift", horizon=33)
    assert given.priors["E"].prior == own
    pooled = pd.concat([_curve().assign(curve=name) for name in "ab"], ignore_index=True)
    learned, alone = (
        sb.Model(
            sb.laws.power_floor, _runs(pooled, group="curve"), pooling=how, discrepancy="drift", horizon=33
        ).priors["E"]
        for how in (None, "separate")
    )
    assert (learned.prior, alone.prior) == (floors[0], floors[3])
    shifted = [sb.Model(sb.laws.shifted_power, _runs(_curve()), discrepancy="drift", horizon=h) for h in (None, 33)]
    assert shifted[0].priors == shifted[1].priors


@pytest.mark.fits
@pytest.mark.parametrize("law", [sb.laws.power_floor, sb.laws.shifted_power])
def test_a_curve_with_a_value_far_off_is_sampled(law):
    D = np.linspace(1e8, 4e8, 16)
    loss = 1.1 * (D / 1e8) ** -0.15 * np.exp(0.01 * np.random.default_rng(0).normal(size=16))
    loss[13] *= 1.5  # forty times the scale of the noise
    fit = sb.fit(
        law, sb.read_runs(pd.DataFrame({"D": D, "loss": loss}), response="loss"), discrepancy="drift", draws=500
    )
    assert not fit.diagnostics.problems
    assert float(fit.posterior["sigma"].median()) < 0.02  # the noise of the others does not grow by it


@pytest.mark.fits
def test_an_error_that_leaves_a_random_guess_falls_faster_than_a_power_predicts():
    D = np.geomspace(1e5, 1e7, 12)
    noise = np.exp(0.005 * np.random.default_rng(0).normal(size=12))
    table = pd.DataFrame({"n_samples": D, "error": (0.1 + 0.7 / (1 + (D / 1e7) ** 0.5)) * noise})
    runs = sb.read_runs(table, inputs={"D": "n_samples"}, response="error")
    bands = {}
    for law in (sb.laws.sigmoid, sb.laws.power_floor):
        fit = sb.fit(law, runs, discrepancy="drift", horizon=10, draws=500)
        assert not fit.diagnostics.problems
        bands[law] = sb.forecast(fit, at={"D": 1e8}).table.iloc[0]
    truth = 0.1 + 0.7 / (1 + 10**0.5)
    assert bands[sb.laws.sigmoid]["lower"] < truth < bands[sb.laws.sigmoid]["upper"]
    assert truth < bands[sb.laws.power_floor]["lower"]


@pytest.mark.fits
def test_a_fit_for_a_far_horizon_has_a_lower_floor_and_keeps_the_horizon_in_its_file(tmp_path):
    runs = _runs(_curve(12).iloc[:5])  # too early to see a floor
    near = sb.fit(sb.laws.power_floor, runs, discrepancy="drift", draws=500)
    far = sb.fit(sb.laws.power_floor, runs, discrepancy="drift", horizon=30, draws=500)
    far.save(tmp_path / "fit.nc")
    loaded = sb.load(tmp_path / "fit.nc")
    assert (near.model.horizon, loaded.model.horizon) == (None, 30)
    assert near.posterior["E"].median() > loaded.posterior["E"].median()


@pytest.mark.fits
def test_bands_start_at_the_runs_widen_with_distance_and_stay_above_the_floor(drifting):
    assert not drifting.diagnostics.problems
    frontier = float(drifting.model.runs.x("D").max())
    found = sb.forecast(drifting, at={"D": frontier * np.array([1.0, 3.0, 10.0, 100.0])}, group="a")
    width = np.log(found.table["upper"] / found.table["lower"])
    assert (np.diff(width) > 0).all()
    assert width[0] < 0.05
    floor = drifting.posterior["E"].sel(curve="a").to_numpy()[..., None]
    far = sb.forecast(drifting, at={"D": [1e30]}, group="a").draws["mean_response"].to_numpy()
    assert (far > 0.5 * floor).all()
    assert np.abs(np.log(found.draws["mean_response"].to_numpy()[..., 0] / 0.52)).max() < 0.1
    plain = sb.fit(drifting.model.law, drifting.model.runs, draws=500, discrepancy=None)
    narrow = sb.forecast(plain, at={"D": frontier * np.array([10.0, 100.0])}, group="a").table
    assert (width[2:].to_numpy() > np.log(narrow["upper"] / narrow["lower"]).to_numpy()).all()


def test_from_four_times_the_scale_on_the_log_odds_of_the_floors_share_fall():
    h, share = np.log([1.0, 4.0, 12.0, 33.0, 1000.0]), np.array([[0.5], [0.8], [0.0]])
    floor, above = _sunk(h, share, 4.0)
    sunk, rest = share * np.exp(floor), (1 - share) * np.exp(above)
    np.testing.assert_allclose(sunk + rest, 1.0)  # the level at the frontier stays
    fall = np.array([0.0, 0.0, np.log(3), np.log(33 / 4), np.log(33 / 4)]) / 3
    odds = sunk[:2] / rest[:2]
    np.testing.assert_allclose(np.log(odds), np.log(share[:2] / (1 - share[:2])) - fall)
    assert not sunk[2].any()
    assert not np.any(_sunk(h, share, np.inf))


def test_which_floors_fall_beyond_the_runs():
    alone = sb.Model(sb.laws.power_floor, _runs(_curve()))
    assert alone.sinks_from == 4.0
    assert sb.Model(sb.laws.power_floor, _runs(_curve()), horizon=10).sinks_from == 20.0
    own = {"E": sb.FloorShare(1.0, 0.2)}
    assert sb.Model(sb.laws.power_floor, _runs(_curve()), priors=own).sinks_from == np.inf
    assert sb.Model(sb.laws.shifted_power, _runs(_curve())).sinks_from == np.inf
    curves = pd.concat([_curve().assign(curve=name) for name in "ab"], ignore_index=True)
    assert sb.Model(sb.laws.power_floor, _runs(curves, group="curve")).sinks_from == np.inf


def test_a_curve_that_keeps_to_its_law_has_no_drift_ahead():
    distance, weight, error = np.array([0.0, 0.3, 1.0]), np.array([[0.5, 0.6, 0.4]]), np.array([[0.01, -0.02, 0.03]])
    scales = {"sigma": [0.02], "drift": [0.0], "kappa": [1.0], "rho": [0.7], "ell": [0.4]}
    known = Errors(error, weight, np.full((1, 3), 0.02), np.full((1, 3), 0.02))
    scales = {name: np.asarray(value) for name, value in scales.items()}
    g, o, d = ahead(np.array([2.0, -0.5]), known, distance, scales, 0.0, np.random.default_rng(0))
    np.testing.assert_allclose(g, 0, atol=1e-6)
    assert (o != 0).all()
    assert (d != 0).all()


@pytest.mark.fits
def test_a_correlated_fit_takes_its_law_for_true_and_is_saved(tmp_path):
    fit = sb.fit(sb.laws.power_floor, _runs(_curve()), discrepancy="correlated", draws=500)
    assert fit.summary()["name"].tolist() == ["E", "A", "alpha", "sigma", "rho", "ell"]
    assert "  discrepancy: correlated\n" in repr(fit)
    fit.save(tmp_path / "fit.nc")
    assert sb.load(tmp_path / "fit.nc").model.discrepancy == (sb.Drift(drift=None),)
    found = sb.forecast(fit, at={"D": [3e9, 1e12]})
    assert "89% bands of power_floor with correlated have not been tested on published runs" in str(found)
    drifts = sb.forecast(
        sb.fit(sb.laws.power_floor, _runs(_curve()), discrepancy="drift", draws=500), at={"D": [3e9, 1e12]}
    )
    narrow, wide = (np.log(f.table["upper"] / f.table["lower"]).to_numpy() for f in (found, drifts))
    assert narrow[1] < wide[1]


def test_names_of_columns_do_not_part_what_is_compiled():
    table = pd.concat([_curve(seed=s).assign(curve=name) for s, name in enumerate("ab")], ignore_index=True)
    other = table.rename(columns={"loss": "error", "curve": "recipe"})
    for discrepancy in (None, "drift"):
        mine = prepare(sb.Model(sb.laws.power_floor, _runs(table, group="curve"), discrepancy=discrepancy))
        runs = sb.read_runs(other, inputs={"D": "n_tokens"}, response="error", group="recipe")
        theirs = prepare(sb.Model(sb.laws.power_floor, runs, discrepancy=discrepancy))
        assert mine.source == theirs.source
        assert mine.source.name == theirs.source.name
        assert mine.numbers.keys() == theirs.numbers.keys()


def test_curves_of_almost_equal_length_share_a_compilation():
    ready = [prepare(sb.Model(sb.laws.power_floor, _runs(_curve(n)), discrepancy="drift")) for n in (9, 13)]
    assert ready[0].source == ready[1].source
    shapes = [{name: np.shape(value) for name, value in r.numbers.items()} for r in ready]
    assert shapes[0] == shapes[1]


@pytest.mark.fits
@pytest.mark.parametrize(
    ("law", "inputs", "discrepancy"), [("power_floor", ["D"], "drift"), ("chinchilla", ["N", "D"], "surface")]
)
def test_a_table_padded_to_a_larger_size_has_the_same_density(law, inputs, discrepancy):
    table = _curve(20).assign(n_params=lambda t: np.tile([1e6, 1e7], 10))
    columns = {"N": "n_params", "D": "n_tokens"}
    runs = sb.read_runs(table, inputs={name: columns[name] for name in inputs}, response="loss")
    model = sb.Model(getattr(sb.laws, law), runs, discrepancy=discrepancy)
    found = []
    for size in (None, 48):
        ready = prepare(model, size)
        density = ready.source.transport().density
        with double_precision():
            found.append(float(density.logp(density.position(ready.initial), ready.numbers)[0]))
    assert found[0] == pytest.approx(found[1], rel=1e-12)


@pytest.mark.fits
def test_a_drifting_fit_is_saved_with_its_priors(drifting, tmp_path):
    drifting.save(tmp_path / "fit.nc")
    loaded = sb.load(tmp_path / "fit.nc")
    assert loaded.model.discrepancy == drifting.model.discrepancy
    point = {"D": 1e10}
    assert sb.forecast(loaded, at=point).table.equals(sb.forecast(drifting, at=point).table)


@pytest.mark.fits
def test_exponent_and_level_are_those_at_the_frontier(drifting):
    prior = drifting.idata["prior"].to_dataset().sel(curve="a")
    D = drifting.model.runs.x("D")[drifting.model.runs.group_labels == "a"].max()
    above = (prior["A"] * D ** -prior["alpha"]).to_numpy()
    np.testing.assert_allclose(above, prior["A_at_ref"].to_numpy(), rtol=1e-9)
    level = drifting.model.numbers["E_level"][0]
    assert ((prior["E"] > 0) & (prior["E"] < level)).all()


def _runs(table, **columns):
    return sb.read_runs(table, inputs={"D": "n_tokens"}, response="loss", **columns)


@pytest.mark.parametrize(
    ("what", "message"),
    [
        (
            lambda: sb.Model(
                sb.laws.power_floor,
                _runs(pd.concat([_curve(5), _curve(5, seed=1)], ignore_index=True)),
                discrepancy="drift",
            ),
            r"a drift needs one run at each n_tokens, and there are 2 at 1e\+06; name the group that tells the curves "
            r"apart, or average them\.",
        ),
        (
            lambda: sb.Model(sb.laws.power_floor, _runs(_curve(300)), discrepancy="drift"),
            r"300 runs are more than the 200 that a drift takes per curve; .* sb\.thin\(runs, 24\)\.",
        ),
        (
            lambda: sb.Model(sb.laws.power_floor, _runs(_curve()), discrepancy="drift", observation="student_t"),
            r"the discrepancy 'drift' is integrated out, which needs a Gaussian observation, such as "
            r"observation='gaussian'; got 'student_t'\.",
        ),
        (
            lambda: sb.Model(sb.laws.power_floor, _runs(_curve()), discrepancy="wiggle"),
            rf"discrepancy is 'auto', {', '.join(map(repr, WORDS))}, a value such as sb\.Drift\(\), a tuple of them, or None, "
            r"got 'wiggle'\.",
        ),
        (
            lambda: sb.Model(
                sb.laws.chinchilla,
                sb.read_runs(_curve().assign(n_params=lambda t: 1e6 + t.index), response="loss"),
                discrepancy="drift",
            ),
            r"a drift is along one input, and the runs have 2 \(n_params, n_tokens\): runs of several inputs have no "
            r"order to drift along\. Use discrepancy='surface'\.",
        ),
        (
            lambda: sb.Model(sb.laws.power_floor, _runs(_curve()), discrepancy="drift", horizon=0.3),
            r"horizon is how far the curves will be forecast, in multiples of their largest scale: from 1 on, got 0\.3\.",
        ),
        (
            lambda: sb.Model(sb.laws.power_floor, _runs(_curve()), discrepancy="drift", horizon="far"),
            r"horizon is how far .* got 'far'\.",
        ),
        (
            lambda: sb.Model(sb.laws.power_floor, _runs(_curve()), horizon=10, discrepancy=None),
            r"horizon is about curves that drift: with discrepancy='drift', or leave it out\.",
        ),
    ],
)
def test_what_cannot_drift_is_refused(what, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        what()


def test_a_law_must_not_use_the_names_of_the_drift():
    def law(D, *, E, rho):
        return E + D**-rho

    priors = {"E": sb.LogNormal(1, 1), "rho": sb.LogNormal(0.3, 0.5)}
    with pytest.raises(ValueError, match="law has a parameter 'rho', a name of the drift; rename it"):
        sb.Model(law, _runs(_curve()), priors=priors, discrepancy="drift")


@pytest.mark.fits
def test_a_group_without_runs_does_not_drift(drifting):
    for ask in (
        lambda: sb.forecast(drifting, at={"D": 1e9}, new_group=True),
        lambda: sb.reach(drifting, target=0.5, axis="D", new_group=True),
    ):
        with pytest.raises(ValueError, match="a group without runs has no frontier to drift from"):
            ask()


@pytest.mark.fits
def test_where_a_drifting_curve_reaches_a_response_its_forecasts_have_it(drifting):
    frontier = float(drifting.model.runs.x("D").max())
    target = float(sb.forecast(drifting, at={"D": 5 * frontier}, group="a").table["median"].iloc[0])
    found = sb.reach(drifting, target=target, axis="D", group="a")
    there = float(found.table["median"].iloc[0])
    again = sb.forecast(drifting, at={"D": there}, group="a").table.iloc[0]
    assert again["lower"] < target < again["upper"]
    assert 2 * frontier < there < 15 * frontier
    # The probability of being better at five times the scale is that of having reached it there, at the latest.
    better = float((sb.forecast(drifting, at={"D": 5 * frontier}, group="a").draws["mean_response"] <= target).mean())
    assert float((found.draws <= 5 * frontier).mean()) == pytest.approx(better, abs=0.1)
