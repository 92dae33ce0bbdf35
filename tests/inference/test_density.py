"""The density is PyMC's own, and the map to whitened coordinates is a bijection with the stated Jacobian."""

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from scipy import stats

import scalebayes as sb
from scalebayes.fits.preparing import prepare
from scalebayes.inference import programs
from scalebayes.inference.data import REAL
from scalebayes.inference.transport import conditional, constants
from scalebayes.numerics.padding import padded_size
from scalebayes.numerics.precision import double_precision

CROSSED = {
    "E": sb.pooled(sb.LogNormal(1.2, 0.2), spread={"family": 0.2, "recipe": 0.1}),
    "alpha": sb.pooled(sb.LogNormal(0.2, 0.5), spread={"recipe": 0.2}),
}
ANCHORS = {
    "c": sb.pooled(
        sb.Anchored(sb.ResponseLevel(0.0, 1.0), ("N", "D"), ("-a", "a"), form="intercept", factor=0.4), spread=0.2
    ),
    "a": sb.LogNormal(0.1, 0.3),
    "A": sb.separate(sb.Anchored(sb.RangeShare(0.5, 1.0), ("N", "D"), ("alpha", "-beta"))),
    "alpha": sb.pooled(sb.LogNormal(0.2, 0.3), spread=0.2),
    "beta": sb.LogNormal(0.1, 0.3),
    "d": sb.Anchored(sb.LogNormal(1.0, 0.5), "N", form="place"),
}
CASES = {
    "pooled": {},
    "separate": {"pooling": "separate"},
    "shared": {"pooling": "shared"},
    "gaussian, sigma pooled": {"observation": sb.Gaussian(sigma=sb.pooled(sb.LogNormal(0.005, 1.0), spread=0.5))},
    "mixed": {"priors": {"E": sb.LogNormal(1.2, 0.2), "alpha": sb.separate(sb.Normal(0.2, 0.1))}},
    "crossed": {"priors": CROSSED},
    "covariate": {"priors": {"alpha": sb.pooled(sb.LogNormal(0.2, 0.5), spread=0.3, on={"width": sb.Normal(-1, 0.3)})}},
    "errors of an input": {},
    "anchors": {"priors": ANCHORS},
    "drift": {"discrepancy": "drift"},
    "drift, separate": {"discrepancy": "drift", "pooling": "separate"},
    "correlated": {"discrepancy": "correlated"},
    "surface": {"discrepancy": "surface", "pooling": "shared"},
    "still surface, student": {"discrepancy": "still surface", "observation": "student_t", "pooling": "shared"},
    "joint": {
        "priors": {"level": sb.pooled(sb.Normal(0, 1), spread=0.5), "k": sb.LogNormal(2.0, 0.5)},
        "observation": sb.BetaBinomial("items"),
        "also": {"loss": sb.laws.power_floor},
    },
}
# A gradient of each takes seconds to compile; these few represent the kinds of structure.
FEW = ("pooled", "crossed", "surface", "joint", "covariate", "errors of an input")
# What is tested of the density's equality with PyMC's need not be compiled again for every kind.
FEWER = ("pooled", "crossed", "joint")


def _each(quick, without=""):
    cases = [case for case in CASES if case != without]
    return [case if case in quick else pytest.param(case, marks=pytest.mark.fits) for case in cases]


def _model(case):
    """A model of this case; the crossed case has a second group column, the joint case a loss that some runs lack."""
    table = sb.pile_families().assign(recipe=lambda t: np.where(np.arange(len(t)) % 2, "a", "b"))
    table = table.assign(width=table["family"].astype("category").cat.codes + 1.0)
    if case == "joint":
        right = (100 / (1 + np.exp(2 * table["loss"] - 4))).round()
        lacking = table.assign(items=100, score=right / 100, loss=table["loss"].where(np.arange(len(table)) % 5 > 0))
        runs = sb.read_runs(lacking, inputs={"C": "flops"}, response="score", group="family", better="higher")
        return sb.Model(sb.laws.composed(_score, {"L": sb.laws.power_floor}), runs, **CASES[case])
    group = ["family", "recipe"] if case == "crossed" else "family"
    inputs = {"N": "n_params", "D": "n_tokens"} if "surface" in case or case == "anchors" else {"C": "flops"}
    inputs = {"C": sb.Input("flops", error=0.1)} if case == "errors of an input" else inputs
    runs = sb.read_runs(table, inputs=inputs, response="loss", group=group, run="model")
    laws = {"surface": sb.laws.chinchilla, "still surface, student": sb.laws.chinchilla, "anchors": _broken}
    return sb.Model(laws.get(case, sb.laws.power_floor), runs, **{"discrepancy": None} | CASES[case])


def _broken(N, D, *, c, a, A, alpha, beta, d):
    return 0.1 * (c - 0.4 * a * jnp.log(N / D)) + 2 + A * N**-alpha * D**beta / (1 + N / d)


def _score(L, *, level, k):
    return 1 / (1 + jnp.exp(k * (L - 2) - level))


def _positions(ready, n):
    density = ready.source.transport().density
    offsets = np.random.default_rng(0).normal(size=(n, density.size))
    return density.position(ready.initial) + 0.3 * offsets


@pytest.mark.filterwarnings("ignore:Numba will use object mode:UserWarning")
@pytest.mark.parametrize("case", _each(FEW))
def test_density_equals_the_logp_of_pymc(case):
    model = _model(case)
    ready = prepare(model)
    density, numbers = ready.source.transport().density, ready.numbers
    before = jax.config.jax_enable_x64
    graph = model.pymc()
    try:
        # In Python a sum has at most 32 terms, and a pooled drift more.
        logp = graph.compile_logp(mode=None if case in ("drift", "correlated") else "FAST_COMPILE")
        shapes = {v.name: np.shape(graph.initial_point()[v.name]) for v in graph.value_vars}
        names = {v.name: graph.values_to_rvs[v].name for v in graph.value_vars}
        ours = jax.jit(lambda position: density.logp(position, numbers)[0])
        for position in _positions(ready, 100):
            free = density.free(position)
            point = {name: free[names[name]].reshape(shape) for name, shape in shapes.items()}
            assert float(ours(position)) == pytest.approx(float(logp(point)), rel=1e-12, abs=1e-9)
    finally:
        jax.config.update("jax_enable_x64", before)


def test_log_likelihood_is_a_student_t_on_the_log_response(pile_runs):
    model = sb.Model(sb.laws.power_floor, pile_runs, pooling="shared", discrepancy=None)
    ready = prepare(model)
    density, numbers = ready.source.transport().density, ready.numbers
    with double_precision():
        for position in _positions(ready, 5):
            found = ready.source.values(position, {}, numbers)
            E, A, alpha, sigma, nu = (float(found[name]) for name in ("E", "A", "alpha", "sigma", "nu"))
            law = E + A * pile_runs.x("C") ** -alpha
            expected = stats.t.logpdf(np.log(pile_runs.y), nu, np.log(law), sigma)
            _, (each, _) = density.logp(position, numbers)
            each = np.asarray(each)
            np.testing.assert_allclose(each[numbers[REAL]], expected, rtol=1e-10)
            assert not each[~numbers[REAL]].any()


@pytest.mark.parametrize("case", _each(FEWER, "surface"))
def test_every_quantity_of_the_model_is_kept_with_its_value(case):
    import pytensor

    model = _model(case)
    ready = prepare(model)
    density = ready.source.transport().density
    position = _positions(ready, 1)[0]
    with double_precision():
        _, (_, published) = density.logp(position, ready.numbers)
        published = {name: np.asarray(value) for name, value in published.items()}
        found = ready.source.values(position, published, ready.numbers)
    from scalebayes.model.graph import build

    graph = build(model.structure, model.numbers, model.coords())
    kept = {v.name: v for v in graph.unobserved_value_vars if v.name in found}
    everything = {v.name for v in [*graph.free_RVs, *graph.deterministics]} - {"surface_coordinates"}
    assert everything - {name for p in model.structure.parameters for name in p.helpers} == set(found) == set(kept)
    free = density.free(position)
    with pytensor.config.change_flags(mode="FAST_COMPILE"):
        theirs = graph.compile_fn(list(kept.values()), inputs=graph.value_vars, on_unused_input="ignore")
    shapes = {v.name: np.shape(graph.initial_point()[v.name]) for v in graph.value_vars}
    names = {v.name: graph.values_to_rvs[v].name for v in graph.value_vars}
    with double_precision():
        values = theirs({name: free[names[name]].reshape(shape) for name, shape in shapes.items()})
    for name, value in zip(kept, values, strict=True):
        np.testing.assert_allclose(found[name], value, rtol=1e-10, err_msg=name)


@pytest.mark.parametrize("case", _each(FEWER))
def test_gradient_is_finite_at_the_initial_point(case):
    ready = prepare(_model(case))
    density = ready.source.transport().density
    with double_precision():
        gradient, _ = jax.grad(density.logp, has_aux=True)(density.position(ready.initial), ready.numbers)
    assert np.isfinite(gradient).all()


def _some_geometry(transport, rng):
    """A geometry of random constants: any will do, they determine how fast the sampler is and not what it samples."""
    k, groups, n, m = len(transport.blocks), transport.groups, transport.free, transport.pooled
    root = rng.normal(size=(k, k, groups))
    information, pull = np.einsum("ijg,kjg->ikg", root, root), rng.normal(size=(k, groups))
    cross, expanded_at = rng.normal(size=(k, groups, n)), rng.normal(size=n)
    centre, slope, shift = 0.1 * rng.normal(size=m), rng.uniform(0.5, 1.5, m), 0.1 * rng.normal(size=transport.dense)
    outer = np.tril(0.2 * rng.normal(size=(transport.dense,) * 2)) + np.eye(transport.dense)
    return constants((information, pull, cross, expanded_at, centre, slope), shift, outer)


@pytest.mark.parametrize("case", _each(FEW))
def test_whitening_is_a_bijection_with_the_stated_jacobian(case):
    ready = prepare(_model(case))
    transport, data = ready.source.transport(), ready.numbers
    rng = np.random.default_rng(1)
    geometry = _some_geometry(transport, rng)
    z = 0.3 * rng.normal(size=(5, transport.density.size))
    positions, stated = transport.position(z, geometry, data)
    np.testing.assert_allclose(transport.standardise(positions, geometry, data), z, rtol=1e-6, atol=1e-7)
    with double_precision():
        turn = jax.jit(lambda z: transport.position(z, geometry, data, jnp))
        matrix = jax.jit(jax.jacfwd(lambda z: transport.position(z, geometry, data, jnp)[0]))
        jacobians = []
        for each, position, log_jacobian in zip(z, positions, stated, strict=True):
            np.testing.assert_allclose(turn(each)[0], position, rtol=1e-10)
            assert float(turn(each)[1]) == pytest.approx(log_jacobian, rel=1e-10)
            jacobians.append(log_jacobian - np.linalg.slogdet(matrix(each))[1])
    # The Jacobian is stated up to a constant.
    np.testing.assert_allclose(jacobians, jacobians[0], atol=1e-7)


def test_the_density_that_is_sampled_has_the_jacobian():
    """Without it a posterior looks as good, and is another one."""
    ready = prepare(_model("pooled"))
    transport, data = ready.source.transport(), ready.numbers
    rng = np.random.default_rng(1)
    geometry, z = _some_geometry(transport, rng), 0.3 * rng.normal(size=(2, transport.density.size))
    with double_precision():
        of_z, of_position = (
            jax.jit(lambda z: transport.logp(z, geometry, data)[0]),
            jax.jit(lambda x: transport.density.logp(x, data)[0]),
        )
        sampled = [float(of_z(each)) for each in z]
        positions, stated = transport.position(z, geometry, data)
        plain = [float(of_position(each)) for each in positions]
    assert np.ptp(stated) > 0.1
    np.testing.assert_allclose(sampled, plain + stated, rtol=1e-8)


@pytest.mark.fits
def test_the_map_of_groups_is_differentiated_as_it_changes():
    # With a wrong derivative trajectories would only be rejected, which no posterior shows.
    rng = np.random.default_rng(4)
    root, pull, w = rng.normal(size=(4, 4, 3)), rng.normal(size=(4, 3)), rng.normal(size=(4, 3))
    information, mu, tau = np.einsum("ijg,kjg->ikg", root, root), rng.normal(size=4), rng.uniform(0.1, 2, 4)
    weights = rng.normal(size=(4, 3)), rng.normal(size=(4, 4)), rng.normal(size=4)

    def seen(tau):
        given = conditional(tau, jnp.asarray(information), jnp.asarray(pull), jnp)
        parts = given.solve(jnp.asarray(mu), jnp.asarray(w)), given.precision, given.drawn
        return given.log_jacobian + sum((a * part).sum() for a, part in zip(weights, parts, strict=True))

    with double_precision():
        steps = 1e-5 * np.eye(4)
        differences = [float(seen(jnp.asarray(tau + step)) - seen(jnp.asarray(tau - step))) / 2e-5 for step in steps]
        np.testing.assert_allclose(jax.grad(seen)(jnp.asarray(tau)), differences, rtol=1e-6)


def test_groups_given_the_spreads_are_those_of_a_normal_model():
    rng = np.random.default_rng(2)
    blocks, groups = 4, 3
    root = rng.normal(size=(groups, blocks, blocks))
    information = np.einsum("gij,gkj->ikg", root, root)
    pull, mu, tau = rng.normal(size=(blocks, groups)), rng.normal(size=blocks), rng.uniform(0.1, 2, blocks)
    given = conditional(tau, information, pull)
    offsets = given.solve(mu, np.zeros((blocks, groups)))
    w = rng.normal(size=(blocks, groups))
    np.testing.assert_allclose(given.unsolve(mu, given.solve(mu, w)), w, rtol=1e-9)
    expected_log, of_centre, drawn = 0.0, np.zeros((blocks, blocks)), np.zeros(blocks)
    for g in range(groups):
        H = information[:, :, g]
        precision = np.diag(tau) @ H @ np.diag(tau) + np.eye(blocks)
        target = tau * (pull[:, g] - H @ mu)
        np.testing.assert_allclose(offsets[:, g], np.linalg.solve(precision, target), rtol=1e-9)
        expected_log -= np.linalg.slogdet(precision)[1] / 2
        # A group's information about the centre: its estimate H^-1 b, with its own variance and that between groups.
        weight = np.linalg.inv(np.linalg.inv(H) + np.diag(tau**2))
        of_centre += weight
        drawn += weight @ np.linalg.solve(H, pull[:, g])
    assert float(given.log_jacobian) == pytest.approx(expected_log, rel=1e-9)
    np.testing.assert_allclose(given.precision, of_centre, rtol=1e-7)
    np.testing.assert_allclose(given.drawn, drawn, rtol=1e-7)


def test_spreads_have_coordinates_in_which_their_prior_is_about_normal():
    ready = prepare(_model("pooled"))
    transport, data = ready.source.transport(), ready.numbers
    tau = np.abs(np.random.default_rng(0).normal(0, data["E_prior"][2], 2000))
    free = np.zeros((len(tau), transport.free))
    free[:, : len(transport.scales)] = np.log(tau)[:, None]
    v = transport.warp(free, data)[:, 0]
    np.testing.assert_allclose(transport.unwarp(transport.warp(free[0], data), data)[0], free[0], rtol=1e-9)
    assert abs(v.mean()) < 0.1
    assert 0.9 < v.std() < 1.2
    assert abs(stats.skew(v)) < 0.8  # the skewness of the logarithm is -1.5


@pytest.mark.parametrize("case", ["pooled", "mixed", "crossed", "anchors"])
def test_prior_draws_are_those_of_the_graph(case):
    import pymc as pm

    model = _model(case)
    ours = model.prior(4000, seed=1)["prior"].to_dataset()
    before = jax.config.jax_enable_x64
    graph = model.pymc()
    jax.config.update("jax_enable_x64", before)
    names = [name for name in ours.data_vars if name in graph.named_vars]
    assert len(names) == len(ours.data_vars)
    theirs = pm.draw([graph[name] for name in names], 4000, random_seed=2, mode="FAST_COMPILE")
    for name, reference in zip(names, theirs, strict=True):
        drawn = ours[name].to_numpy()[0]
        assert drawn.shape == reference.shape
        for mine, other in zip(drawn.reshape(4000, -1).T, reference.reshape(4000, -1).T, strict=True):
            assert stats.ks_2samp(mine, other).pvalue > 1e-4, name


def test_tables_of_almost_equal_size_share_a_compilation(monkeypatch):
    compiled = []
    monkeypatch.setattr(programs, "_kept", lambda *arguments: compiled.append(arguments) or kept(*arguments))
    rng = np.random.default_rng(0)

    def fit(n, seed, **settings):
        C = np.exp(rng.uniform(np.log(1e18), np.log(1e23), n))
        loss = _power(C, E=1.5, A=0.8, alpha=0.2) * np.exp(0.01 * rng.normal(size=n))
        runs = sb.read_runs(pd.DataFrame({"flops": C, "loss": loss}))
        priors = {"E": sb.FloorShare(1.2, 1.3), "A": sb.LogNormal(0.8, 0.5), "alpha": sb.LogNormal(0.2, 0.5)}
        return sb.fit(_power, runs, priors=priors, seed=seed, discrepancy=None, **settings)

    fit(97, 0)
    fit(103, 1)
    fit(98, 2, ess=700)
    fit(98, 3, target_accept=0.8)
    assert len(compiled) == 1
    assert padded_size(97) == padded_size(103) == 104


kept = programs._kept


def _power(C, *, E, A, alpha):
    return E + A * (C / 1e21) ** -alpha


def test_jax_keeps_the_callers_precision(pile_fit):
    assert jax.config.jax_enable_x64 is False
    assert jnp.asarray(1.0).dtype == jnp.float32
    assert pile_fit.posterior["alpha"].dtype == np.float64
