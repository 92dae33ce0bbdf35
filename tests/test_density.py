"""The density is PyMC's own, and the map to whitened coordinates is a bijection with the stated Jacobian."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import scalebayes as sb
from scalebayes.fitting import _Specification, _transport
from scalebayes.inference.geometry import conditional, fit_geometry, starting_points
from scalebayes.model.structure import initial_values
from scalebayes.precision import double_precision

CASES = {
    "pooled": {},
    "separate": {"pooling": "separate"},
    "shared": {"pooling": "shared"},
    "gaussian, sigma pooled": {"noise": sb.Gaussian(sigma=sb.pooled(sb.LogNormal(0.005, 1.0), spread=0.5))},
    "mixed": {"priors": {"E": sb.LogNormal(1.2, 0.2), "alpha": sb.separate(sb.Normal(0.2, 0.1))}},
}


def _transport_of(model):
    structure, numbers = model.describe()
    return _transport(_Specification(structure, numbers)), numbers


def _initial(model, density):
    return density.position(initial_values(*model.describe()))


def _positions(model, density, n):
    offsets = np.random.default_rng(0).normal(size=(n, density.size))
    return _initial(model, density) + 0.3 * offsets


@pytest.mark.parametrize("options", CASES.values(), ids=CASES)
def test_density_equals_the_logp_of_pymc(pile_runs, options):
    model = sb.Model(sb.laws.power_floor, pile_runs, **options)
    transport, numbers = _transport_of(model)
    before = jax.config.jax_enable_x64
    graph = model.pymc()
    try:
        logp = graph.compile_logp(mode="FAST_COMPILE")
        names = [v.name for v in graph.value_vars]
        shapes = [np.shape(graph.initial_point()[name]) for name in names]
        ends = np.cumsum([int(np.prod(shape)) for shape in shapes])
        for position in _positions(model, transport.density, 100):
            parts = np.split(position, ends[:-1])
            point = {name: part.reshape(shape) for name, part, shape in zip(names, parts, shapes, strict=True)}
            ours = float(transport.density.logp(position, numbers))
            assert ours == pytest.approx(float(logp(point)), rel=1e-12, abs=1e-9)
    finally:
        jax.config.update("jax_enable_x64", before)


def test_log_likelihood_is_a_student_t_on_the_log_response(pile_runs):
    model = sb.Model(sb.laws.power_floor, pile_runs, pooling="shared")
    transport, numbers = _transport_of(model)
    with double_precision():
        for position in _positions(model, transport.density, 5):
            found = transport.density.expand(position, numbers)
            E, A, alpha, sigma, nu = (float(found[name]) for name in ("E", "A", "alpha", "sigma", "nu"))
            law = E + A * pile_runs.x("C") ** -alpha
            expected = stats.t.logpdf(np.log(pile_runs.y), nu, np.log(law), sigma)
            np.testing.assert_allclose(transport.density.pointwise(position, numbers), expected, rtol=1e-10)


@pytest.mark.parametrize("options", CASES.values(), ids=CASES)
def test_every_quantity_of_the_model_is_kept(pile_runs, options):
    model = sb.Model(sb.laws.power_floor, pile_runs, **options)
    transport, numbers = _transport_of(model)
    with double_precision():
        found = transport.density.expand(_initial(model, transport.density), numbers)
    kept = {v.name for v in model_variables(model)} - {"log_loss"}
    assert {name for name in kept if not name.endswith(("_offset", "_logit"))} == set(found)


def model_variables(model):
    from scalebayes.model.graph import build

    graph = build(*model.describe(), model.coords())
    return [*graph.free_RVs, *graph.deterministics]


@pytest.mark.parametrize("options", CASES.values(), ids=CASES)
def test_gradient_is_finite_at_the_initial_point(pile_runs, options):
    model = sb.Model(sb.laws.power_floor, pile_runs, **options)
    transport, numbers = _transport_of(model)
    with double_precision():
        gradient = jax.grad(transport.density.logp)(jnp.asarray(_initial(model, transport.density)), numbers)
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize("options", [CASES["pooled"], CASES["mixed"]], ids=["pooled", "mixed"])
def test_jacobian_of_the_whitening_is_the_one_stated(pile_runs, options):
    model = sb.Model(sb.laws.power_floor, pile_runs, **options)
    transport, numbers = _transport_of(model)
    with double_precision():
        data = {name: jnp.asarray(numbers[name]) for name in transport.density.data}
        geometry, _ = fit_geometry(
            transport, jnp.asarray(starting_points(_initial(model, transport.density), 4, 0)), data
        )
        constant = np.linalg.slogdet(geometry.factor)[1]
        for z in np.random.default_rng(1).normal(size=(5, transport.density.size)):
            position = lambda z: transport.position(z, geometry, data)[0]  # noqa: E731
            matrix = jax.jacfwd(position)(jnp.asarray(z))
            stated = transport.position(jnp.asarray(z), geometry, data)[1] + constant
            assert float(stated) == pytest.approx(np.linalg.slogdet(matrix)[1], abs=1e-8)


def test_offsets_given_the_population_solve_the_normal_equations():
    rng = np.random.default_rng(2)
    blocks, groups = 4, 3
    root = rng.normal(size=(groups, blocks, blocks))
    information = np.einsum("gij,gkj->ikg", root, root)
    pull, mu, tau = rng.normal(size=(blocks, groups)), rng.normal(size=blocks), rng.uniform(0.1, 2, blocks)
    with double_precision():
        offsets, log_jacobian = conditional(mu, tau, information, pull, np.zeros((blocks, groups)))
    expected_log = 0.0
    for g in range(groups):
        precision = np.diag(tau) @ information[:, :, g] @ np.diag(tau) + np.eye(blocks)
        target = tau * (pull[:, g] - information[:, :, g] @ mu)
        np.testing.assert_allclose(offsets[:, g], np.linalg.solve(precision, target), rtol=1e-9)
        expected_log -= np.linalg.slogdet(precision)[1] / 2
    assert float(log_jacobian) == pytest.approx(expected_log, rel=1e-9)


def test_second_table_of_the_same_shape_compiles_nothing(pile_fit, pile_runs):
    from scalebayes.inference.sampling import _compiled

    other = sb.read_runs(
        sb.pile_families().assign(loss=lambda t: 1.01 * t["loss"]),
        inputs={"C": "flops"}, response="loss", group="family", run="model",
    )  # fmt: skip
    transport, _ = _transport_of(pile_fit.model)
    compiled = _compiled(transport, 0.95)
    traced = compiled.advance._cache_size(), compiled.geometry._cache_size()
    sb.fit(sb.laws.power_floor, other, draws=500, chains=4, seed=2)
    assert (compiled.advance._cache_size(), compiled.geometry._cache_size()) == traced == (1, 1)


def test_jax_keeps_the_callers_precision(pile_fit):
    assert jax.config.jax_enable_x64 is False
    assert jnp.asarray(1.0).dtype == jnp.float32
    assert pile_fit.posterior["alpha"].dtype == np.float64
