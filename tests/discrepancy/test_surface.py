"""Runs that depart from their law by a smooth surface: the map, draws at new points, and messages for bad input."""

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from scipy.stats import multivariate_normal, norm

import scalebayes as sb
from scalebayes.discrepancy.inducing import Scales, Surroundings, ahead, departures, number_of_points, surroundings
from scalebayes.discrepancy.walk import integrated
from scalebayes.fits.preparing import prepare
from scalebayes.numerics.precision import double_precision

SCALES = Scales(0.08, [1.5, 2.5], 0.1, 1.2)
STILL = Scales(0.08, [1.5, 2.5])


def _log_x(n, seed=0):
    return np.random.default_rng(seed).uniform([18, 20], [22, 25], (n, 2))


def _dense(a, b, scales, frontier):
    """The covariance of g between points, written out."""
    apart = sum(((a[:, None, i] - b[None, :, i]) / scales.lengths[i]) ** 2 for i in range(2))
    found = scales.misfit**2 * np.exp(-apart / 2)
    if scales.drift is None:
        return found
    h, k = (x.sum(1) - frontier for x in (a, b))
    same = np.sign(h)[:, None] * np.sign(k) > 0
    together = np.where(same, integrated(np.abs(h)[:, None], np.abs(k), 1.0), 0.0)
    ratio = np.abs((a[:, 1] - a[:, 0])[:, None] - (b[:, 1] - b[:, 0])) * np.sqrt(5) / scales.ratio
    return found + scales.drift**2 * together * (1 + ratio + ratio**2 / 3) * np.exp(-ratio)


def _departures(xi, error, weight, sigma, scales, near):
    of_group = jax.tree.map(lambda value: jnp.full(len(near.slots), value), scales)
    return departures(xi, error, weight, sigma, of_group, Surroundings(*map(jnp.asarray, near)))


@pytest.mark.parametrize(
    "scales", [pytest.param(SCALES, id="drifting", marks=pytest.mark.fits), pytest.param(STILL, id="still")]
)
def test_the_map_gives_g_its_prior_with_the_jacobian_stated(scales):
    n, rng = 20, np.random.default_rng(1)
    log_x = _log_x(n)
    near = surroundings(log_x, log_x.sum(1), [np.arange(n)])
    weight, sigma, error = jnp.asarray(rng.uniform(0.2, 0.6, n)), jnp.full(n, 0.02), 0.05 * rng.normal(size=n)
    with double_precision():
        error, m = jnp.asarray(error), near.inducing.shape[1]

        def of(xi):
            return _departures(xi[None], error, weight, sigma, scales, near)

        def at_points(xi):
            return of(xi)[3][0]

        densities = []
        covariance = _dense(log_x[near.inducing[0][:n]], log_x[near.inducing[0][:n]], scales, log_x.sum(1).max())
        for xi in rng.normal(size=(3, m)):
            g, left_out, log_density, values = of(jnp.asarray(xi))
            u = np.asarray(values)[0]
            _, log_jacobian = np.linalg.slogdet(np.asarray(jax.jacrev(at_points)(jnp.asarray(xi))))
            factor = np.linalg.cholesky(covariance + 1e-6 * covariance.diagonal().max() * np.eye(n))
            v = np.concatenate([np.linalg.solve(factor, u[:n]), u[n:]])
            densities.append(float(log_density) - (-0.5 * v @ v + log_jacobian))
            # With an inducing point at every run nothing is left out, and g at a run is g at its inducing point.
            assert np.asarray(left_out).max() < 1e-5
            np.testing.assert_allclose(np.asarray(g)[near.inducing[0][:n]], u[:n], atol=1e-4)
    assert np.ptp(densities) < 1e-6  # equal up to the constant


@pytest.mark.fits
def test_a_gaussian_noise_makes_the_coordinates_standard_normal():
    """Given the scales, the density of xi is that of a standard normal, whatever xi."""
    n, rng = 24, np.random.default_rng(2)
    log_x = _log_x(n)
    near = surroundings(log_x, log_x.sum(1), [np.arange(n)])
    weight, error = jnp.asarray(rng.uniform(0.2, 0.6, n)), jnp.asarray(0.05 * rng.normal(size=n))
    with double_precision():
        sigma = jnp.full(n, 0.01)

        def log_density(xi):
            g, left_out, prior, _ = _departures(xi[None], error, weight, sigma, SCALES, near)
            spread = sigma**2 + weight**2 * left_out
            return prior - 0.5 * ((error - weight * g) ** 2 / spread).sum()

        start = jnp.asarray(rng.normal(size=near.inducing.shape[1]))
        curvature = np.asarray(jax.jacrev(jax.grad(log_density))(start))
        slope = np.asarray(jax.grad(log_density)(start))
    np.testing.assert_allclose(curvature, -np.eye(len(start)), atol=1e-6)
    np.testing.assert_allclose(slope, -np.asarray(start), atol=1e-6)


@pytest.mark.fits
def test_groups_do_not_touch_and_inducing_points_are_runs_of_their_own_group():
    log_x = _log_x(70)
    groups = [np.arange(0, 60), np.arange(60, 70)]
    near = surroundings(log_x, log_x.sum(1), groups, 32)
    assert near.inducing.shape == (2, 32)
    for rows, points in zip(groups, near.inducing, strict=True):
        assert set(points[points >= 0]) <= set(rows)
        assert len(set(points[points >= 0])) == min(len(rows), 32)
        assert points[0] == rows[log_x[rows].sum(1).argmax()]
    with double_precision():
        weight, sigma, xi = jnp.full(70, 0.4), jnp.full(70, 0.01), jnp.zeros((2, 32))
        error = np.zeros(70)
        before = np.asarray(_departures(xi, jnp.asarray(error), weight, sigma, SCALES, near)[0])
        error[:60] = 0.1
        after = np.asarray(_departures(xi, jnp.asarray(error), weight, sigma, SCALES, near)[0])
    assert np.abs(after[:60]).min() > 0.05
    np.testing.assert_array_equal(after[60:], before[60:])


@pytest.mark.fits
def test_many_runs_have_the_likelihood_of_the_dense_normal_distribution():
    """As many inducing points as the noise needs: with fewer, the likelihood of runs with little noise is another one."""
    n, rng = 300, np.random.default_rng(4)
    log_x = _log_x(n)
    covariance = _dense(log_x, log_x, STILL, log_x.sum(1).max())
    surface = np.linalg.cholesky(covariance + 1e-9 * np.eye(n)) @ rng.normal(size=n)
    apart = {}
    for noise in (0.01, 0.0003):
        error = surface + noise * rng.normal(size=n)
        dense = multivariate_normal(np.zeros(n), covariance + noise**2 * np.eye(n)).logpdf(error)
        needed = number_of_points(log_x, error - 0.1 * log_x[:, 0], log_x.sum(1))
        for points in {32, needed}:
            near = surroundings(log_x, log_x.sum(1), [np.arange(n)], points)
            apart[noise, points] = _log_marginal(error, noise, STILL, near) - dense
        assert abs(apart[noise, needed]) < 3
        assert (needed > 32) == (noise < 0.01)
    assert abs(apart[0.0003, 32]) > 10


def _log_marginal(error, noise, scales, near):
    """The log density of errors with g integrated out: given the scales, the coordinates are standard normal."""
    with double_precision():
        error, ones, xi = jnp.asarray(error), jnp.ones(len(error)), jnp.zeros(near.inducing.shape)
        g, left_out, log_density, _ = _departures(xi, error, ones, noise * ones, scales, near)
    sd = np.sqrt(noise**2 + np.asarray(left_out))
    return norm(np.asarray(g), sd).logpdf(np.asarray(error)).sum() + float(log_density)


@pytest.mark.parametrize("scales", [SCALES, STILL], ids=["drifting", "still"])
def test_draws_at_new_points_have_the_moments_of_the_conditional_distribution(scales):
    n, samples = 12, 40_000
    log_x = _log_x(n)
    near = surroundings(log_x, log_x.sum(1), [np.arange(n)])
    frontier, new = log_x.sum(1).max(), np.array([[22.5, 26.0], [20.0, 22.0], [23.0, 23.0]])
    z = log_x[near.inducing[0][:n]]
    known, cross = _dense(z, z, scales, frontier), _dense(new, z, scales, frontier)
    u = 0.1 * np.random.default_rng(3).normal(size=n)
    values = np.pad(np.tile(u, (samples, 1)), ((0, 0), (0, near.inducing.shape[1] - n)))
    many = jax.tree.map(lambda value: np.full(samples, value), scales)
    drawn = ahead((new, new.sum(1)), (log_x, log_x.sum(1)), values, many, near.slots[0], np.random.default_rng(4))
    known = known + 1e-6 * known.diagonal().max() * np.eye(n)
    mean = cross @ np.linalg.solve(known, u)
    covariance = _dense(new, new, scales, frontier) - cross @ np.linalg.solve(known, cross.T)
    assert np.abs((drawn.mean(0) - mean) / np.sqrt(covariance.diagonal() / samples)).max() < 4.5
    np.testing.assert_allclose(drawn.var(0), covariance.diagonal(), rtol=4.5 * np.sqrt(2 / samples))
    expected = covariance[0, 2] / np.sqrt(covariance[0, 0] * covariance[2, 2])
    assert np.corrcoef(drawn[:, 0], drawn[:, 2])[0, 1] == pytest.approx(expected, abs=0.025)


@pytest.mark.fits
def test_however_many_points_are_ahead_all_know_what_is_drawn_at_the_first():
    n, samples = 12, 300
    log_x = _log_x(n)
    near = surroundings(log_x, log_x.sum(1), [np.arange(n)])
    new = np.random.default_rng(5).uniform([18, 20], [23, 26], (140, 2))
    new[0] = [22.5, 26.0]
    new[70] = new[130] = new[0]
    values = np.zeros((samples, near.inducing.shape[1]))
    many = jax.tree.map(lambda value: np.full(samples, value), SCALES)
    drawn = ahead((new, new.sum(1)), (log_x, log_x.sum(1)), values, many, near.slots[0], np.random.default_rng(4))
    for point in (70, 130):
        assert np.corrcoef(drawn[:, 0], drawn[:, point])[0, 1] > 0.999
    # And the first 64 points are drawn as they would be by themselves.
    few = ahead(
        (new[:64], new[:64].sum(1)), (log_x, log_x.sum(1)), values, many, near.slots[0], np.random.default_rng(4)
    )
    np.testing.assert_array_equal(drawn[:, :64], few)


@pytest.fixture(scope="module")
def c4_runs(public_data):
    return sb.read_runs(
        public_data / "gadre_overtraining.csv",
        inputs={"N": "n_params", "D": "n_tokens"},
        response="loss",
        where="dataset == 'c4'",
    )


@pytest.fixture(scope="module")
def off_law(c4_runs):
    """A fit of real runs with a surface."""
    return sb.fit(sb.laws.chinchilla, c4_runs, discrepancy="surface", draws=500, seed=1)


@pytest.mark.fits
def test_a_surface_converges_and_its_bands_are_no_narrower_than_the_laws(off_law, c4_runs):
    assert not off_law.diagnostics.problems
    assert off_law.idata["sample_stats"]["n_steps"].mean() <= 31
    plain = sb.fit(sb.laws.chinchilla, c4_runs, draws=500, discrepancy=None)
    largest = {name: c4_runs.x(name).max() for name in "ND"}
    points = {name: largest[name] * np.array([1.0, 3.0, 30.0]) for name in "ND"}
    wide, narrow = (sb.forecast(fit, at=points).table for fit in (off_law, plain))
    width, law_only = (np.log(t["upper"] / t["lower"]).to_numpy() for t in (wide, narrow))
    assert (np.diff(width) > 0).all()
    assert (width[1:] > law_only[1:]).all()
    floor = off_law.posterior["E"].to_numpy()[..., None]
    assert (sb.forecast(off_law, at={"N": [1e15], "D": [1e18]}).draws["mean_response"].to_numpy() > floor).all()


@pytest.mark.fits
def test_a_surface_is_saved_with_its_priors_and_inducing_points(off_law, tmp_path):
    assert off_law.posterior["surface"].dims == ("chain", "draw", "inducing_point")
    off_law.save(tmp_path / "fit.nc")
    loaded = sb.load(tmp_path / "fit.nc")
    assert loaded.model.discrepancy == off_law.model.discrepancy
    point = {"N": 1e10, "D": 1e12}
    assert sb.forecast(loaded, at=point).table.equals(sb.forecast(off_law, at=point).table)
    assert {"misfit", "length_N", "length_D", "drift", "length_ratio"} <= set(off_law.summary()["name"])


@pytest.mark.fits
def test_every_group_has_its_surface(public_data):
    table = pd.read_csv(public_data / "gadre_overtraining.csv")
    runs = sb.read_runs(table, inputs={"N": "n_params", "D": "n_tokens"}, response="loss", group="dataset")
    model = sb.Model(sb.laws.chinchilla, runs, discrepancy="still surface")
    assert model.coords()["inducing_point"].size == 40
    ready = prepare(model)
    with double_precision():
        density = ready.source.transport().density
        start = density.position(ready.initial)
        slope, (_, published) = jax.jit(jax.grad(density.logp, has_aux=True))(start, ready.numbers)
        published = {name: np.asarray(value) for name, value in published.items()}
        found = ready.source.values(start, published, ready.numbers)
    assert found["surface"].shape == (3, 40)
    assert found["misfit"].shape == (3,)
    assert "drift" not in found
    assert np.isfinite(slope).all()


def test_a_surface_needs_several_inputs_and_names_of_its_own(pile_runs, c4_runs):
    with pytest.raises(ValueError, match=r"a surface is over several inputs, and the runs have one \(flops\)"):
        sb.Model(sb.laws.power_floor, pile_runs, discrepancy="surface")
    message = r"^chinchilla_misfit has a parameter 'misfit', a name of the surface; rename it\.$"
    with pytest.raises(ValueError, match=message):
        sb.Model(chinchilla_misfit, c4_runs, priors={"misfit": sb.Normal(0, 1)}, discrepancy="surface")


def chinchilla_misfit(N, D, *, misfit):
    return misfit + N**-0.3 + D**-0.3
