"""The laws: published values, and the properties of every built-in law."""

import inspect
import re

import jax
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy.special import huber

import scalebayes as sb
from scalebayes import laws
from scalebayes.priors import Anchored, needs
from tests.laws.rows import KAPLAN, ROWS

EPS = np.finfo(float).eps
FIRST = {row.law: row for row in reversed(ROWS.values())}
# What a law does with an input, where it does not fall with it: 1 for rising, 0 for neither.
DIRECTION = {
    laws.elo: {"N": 1},
    laws.rising_sigmoid: {"C": 1},
    laws.pass_rate: {"x": 1},
    laws.bleu: {"D": 1},
    laws.error_from_loss: {"L": 1},
    laws.u_shape: {"x": 0},
    laws.over_training: {"M": 0},
    laws.step_law: dict.fromkeys(["N", "D", "lr", "batch"], 0),
    laws.farseer: {"N": 0},
    laws.quantised: {"D": 0},
    laws.filtered_data: {"n": -1, "U": -1},
    laws.pruned_data: {"P": -1, "f": 0},
    laws.joint_experts: {"N": -1, "D": -1, "E": 0},
    laws.annealing: {"eta": 0},
    laws.multi_power: {"eta": 0},
}
# Ranges of inputs that are no counts over many decades; a few letters mean something else in one law.
COUNTS = {(laws.critical_batch, "S"), (laws.critical_batch, "B"), (laws.pruned_data, "P")}
RANGES = {
    "U": (1e6, 1e12),
    "S": (0.0, 0.99),
    "P": (1.0, 64.0),
    "E": (1.0, 1e3),
    "G": (1.0, 64.0),
    "f": (0.01, 1.0),
    "L": (0.5, 8.0),
    "lr": (1e-5, 1e-1),
    "M": (0.1, 1e4),
    "P_w": (1.0, 16.0),
    "P_a": (1.0, 16.0),
    "P_kv": (1.0, 16.0),
}

every_law = pytest.mark.parametrize("law", [law.function for law in laws.BUILT_IN], ids=lambda law: law.__name__)


@pytest.fixture(autouse=True)
def double_precision():
    with jax.enable_x64(True):
        yield


def typical(law):
    """The parameters of a law's first row."""
    return {name: FIRST[law].at[name] for name in laws.signature(law).parameters}


def inputs_of(law):
    """The inputs of a law's first row."""
    return {name: FIRST[law].at[name] for name in laws.signature(law).inputs}


@pytest.mark.parametrize(("law", "at", "expected", "source"), ROWS.values(), ids=ROWS)
def test_law_reproduces_published_value(law, at, expected, source):
    inputs = [at[name] for name in laws.signature(law).inputs]
    parameters = {name: at[name] for name in laws.signature(law).parameters}
    assert float(law(*inputs, **parameters)) == pytest.approx(expected, rel=1e-12), source


@pytest.mark.parametrize(
    ("exponents", "expected", "source"),
    [
        ({"alpha": 0.34, "beta": 0.28}, 0.451613, "Hoffmann et al. (2022), arXiv:2203.15556, eq. 4"),
        ({"alpha": 0.34781, "beta": 0.36585}, 0.512639, "Besiroglu et al. (2024), arXiv:2404.10102"),
    ],
)
def test_exponent_of_the_compute_optimal_size_is_the_published_one(exponents, expected, source):
    # Six decimals are given: the tolerance is half a unit in the last.
    assert laws.as_law(laws.chinchilla).derived["a_opt"](**exponents) == pytest.approx(expected, rel=0, abs=5e-7), (
        source
    )


@pytest.mark.data
@pytest.mark.parametrize(
    ("parameters", "expected", "source"),
    [
        (
            {"E": 1.817218, "A": 477.826, "B": 2143.415, "alpha": 0.347311, "beta": 0.367172},
            1.018274e-3,
            "minimum of the objective of Besiroglu et al. (2024), arXiv:2404.10102, over their 240 runs",
        ),
        (
            {"E": 1.81686, "A": 482.00572, "B": 2085.43420, "alpha": 0.34781, "beta": 0.36585},
            1.018746e-3,
            "Besiroglu et al. (2024), arXiv:2404.10102: A, B, alpha, beta are their estimates, to more digits",
        ),
    ],
    ids=["minimum", "published"],
)
def test_chinchilla_reproduces_the_objective_of_the_refit(parameters, expected, source, public_data):
    runs = pd.read_csv(public_data / "chinchilla_besiroglu.csv").query("epoch_excluded == 0")
    assert len(runs) == 240
    N, D, loss = (runs[column].to_numpy(float) for column in ("n_params", "n_tokens", "loss"))
    residual = np.log(np.asarray(laws.chinchilla(N, D, **parameters))) - np.log(loss)
    # Nine decimals are given: the tolerance is half a unit in the last.
    assert huber(1e-3, residual).sum() == pytest.approx(expected, rel=0, abs=5e-10), source


def test_kaplan_without_a_limit_of_data_is_a_power_of_size():
    N = np.array([1e6, 1e9, 1e12])
    expected = (KAPLAN["N_c"] / N) ** KAPLAN["alpha_N"]
    np.testing.assert_allclose(laws.kaplan(N, 1e300, **KAPLAN), expected, rtol=1e-12)


@every_law
def test_law_gives_the_same_for_floats_numpy_and_jax(law):
    at, parameters = inputs_of(law), typical(law)
    expected = float(law(*at.values(), **parameters))
    assert np.isfinite(expected)
    for array in (np.asarray, jax.numpy.asarray):
        value = law(*map(array, at.values()), **{name: array(v) for name, v in parameters.items()})
        assert float(value) == pytest.approx(expected, rel=1e-12)


@every_law
def test_law_broadcasts(law):
    """Several runs of one draw, and several draws at one run; a vector and a schedule have their own last axes."""
    at, parameters = inputs_of(law), typical(law)
    names = [name for name, value in at.items() if np.ndim(value) == 0]
    runs = {name: value * np.array([1.0, 1.1, 0.9]) if name in names[:1] else value for name, value in at.items()}
    if not names:
        runs = {name: np.stack([value, value, value]) for name, value in at.items()}
    first = next(iter(parameters))
    draws = parameters | {first: parameters[first] * np.array([[1.0], [1.01]])}
    table = np.asarray(law(*runs.values(), **draws))
    assert table.shape == (2, 3)
    for i, j in np.ndindex(2, 3):
        one = {n: v[j] if np.ndim(v) > np.ndim(at[n]) else v for n, v in runs.items()}
        theta = {n: v[i, 0] if np.ndim(v) else v for n, v in draws.items()}
        assert table[i, j] == pytest.approx(float(law(*one.values(), **theta)), rel=1e-12)


@every_law
def test_gradient_agrees_with_central_differences(law):
    at, parameters = inputs_of(law), {name: float(value) for name, value in typical(law).items()}
    gradient = jax.grad(lambda theta: law(*at.values(), **theta))(parameters)
    assert set(gradient) == set(laws.signature(law).parameters)

    def difference(name, step):
        ends = parameters[name] + step, parameters[name] - step
        above, below = (float(law(*at.values(), **parameters | {name: end})) for end in ends)
        return (above - below) / (ends[0] - ends[1])

    level = abs(float(law(*at.values(), **parameters)))
    for name, value in parameters.items():
        step = EPS ** (1 / 3) * abs(value)
        near, far = difference(name, step), difference(name, 2 * step)
        # The truncation error is a third of the change between one step and two. The rounding error of a power is at
        # most its logarithm in units of the last digit, below 64 for every number here; a difference has this / step.
        tolerance = abs(far - near) + 64 * EPS * level / step
        assert abs(float(gradient[name]) - near) <= tolerance, name
        assert tolerance < 1e-5 * max(abs(near), level / abs(value) * 1e-3), f"the gradient by {name} is hardly tested"


@every_law
def test_law_falls_with_each_input(law):
    at, parameters = inputs_of(law), typical(law)
    for name in at:
        sign = DIRECTION.get(law, {}).get(name, -1)
        if not sign or np.ndim(at[name]):
            continue
        low, high = _range(law, name, at[name], 1e3)
        values = np.asarray(law(*(at | {name: np.linspace(low, high, 50)}).values(), **parameters))
        assert (sign * np.diff(values) >= 0).all(), name
        assert sign * (values[-1] - values[0]) > 0, name


def _range(law, name, value, factor):
    around = value / factor, value * factor
    return around if (law, name) in COUNTS else RANGES.get(name, around)


def _wide_runs(law, n=60):
    """Runs over 12 decades of every count."""
    rng, at = np.random.default_rng(0), inputs_of(law)
    table, inputs = {"y": rng.uniform(0.2, 0.8, n)}, {}
    for name, value in at.items():
        inputs[name] = name
        if name == "eta":
            rates = {"one": np.full(50, 3e-4), "other": np.linspace(3e-4, 3e-5, 50)}
            table |= {"schedule": np.where(np.arange(n) % 2, "one", "other"), "step": rng.integers(5, 51, n)}
            inputs[name] = sb.schedule("schedule", rates, step="step")
            continue
        low, high = _range(law, name, value, 1e6)
        own = rng.uniform(low, high, n) if low == 0 else np.exp(rng.uniform(np.log(low), np.log(high), n))
        own[:2] = low, high
        table[name] = own
        if (law, name) in ((laws.sparse, "S"), (laws.retrieval, "R")):
            table[name][0] = 0.0
            inputs[name] = sb.Input(name, kind="plain")
    better = "higher" if laws.as_law(law).rises else "lower"
    return sb.read_runs(pd.DataFrame(table), inputs=inputs, response="y", better=better)


@every_law
@pytest.mark.filterwarnings("ignore::scalebayes.RunsWarning")
def test_value_and_gradient_are_finite_over_the_prior_and_12_decades(law):
    runs = _wide_runs(law)
    model = sb.Model(law, runs, discrepancy=None)
    prior = model.prior(1000)["prior"].to_dataset()
    theta = {name: prior[name].to_numpy()[0] for name in model.parameters}
    assert all(np.isfinite(value).all() for value in theta.values())
    at = np.random.default_rng(1).integers(len(runs), size=1000)
    x = [runs.x(name)[at] for name in runs.inputs]
    both = jax.jit(jax.vmap(jax.value_and_grad(lambda own, each: law(*each, **own)), (0, 0)))
    value, gradient = both(theta, x)
    assert np.isfinite(value).all()
    for name, each in gradient.items():
        assert np.isfinite(each).all(), name


@every_law
def test_default_priors_cover_the_parameters(law):
    declared = laws.signature(law)
    priors = laws.as_law(law).priors
    assert set(priors) == set(declared.parameters)
    for pooling in priors.values():
        assert set(needs(pooling.prior)) <= set(declared.parameters)
        if isinstance(pooling.prior, Anchored):
            assert {name for name, _, _ in pooling.prior.terms} <= set(declared.inputs)


@every_law
def test_derived_quantities_need_only_parameters(law):
    for quantity in laws.as_law(law).derived.values():
        needed = laws.keywords(quantity)
        assert set(needed) <= set(laws.signature(law).parameters)
        # A summary gives it labelled draws.
        draws = xr.DataArray([0.5, 0.6], dims="draw")
        assert quantity(**dict.fromkeys(needed, draws)).dims == ("draw",)


@every_law
def test_law_is_documented_with_its_formula_and_its_source(law):
    text = inspect.getdoc(law)
    assert ".. math::" in text
    assert "arXiv" in text
    described = text.split("Parameters\n----------\n")[1].split("Returns\n-------\n")[0]
    named = re.findall(r"^(\w+(?:, \w+)*) : ", described, flags=re.MULTILINE)
    assert sorted(", ".join(named).split(", ")) == sorted(
        [*laws.signature(law).inputs, *laws.signature(law).parameters]
    )
