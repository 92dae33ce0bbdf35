"""The laws: published values, and the properties of every built-in law."""

import inspect
import re

import jax
import numpy as np
import pandas as pd
import pytest
from scipy.special import huber

from scalebayes import laws
from scalebayes.priors import Anchored, FloorShare, LogNormal, Normal, ResponseShare, needs

EPS = np.finfo(float).eps

every_law = pytest.mark.parametrize("law", [law.function for law in laws.BUILT_IN], ids=lambda law: law.__name__)

HOFFMANN = {"E": 1.69, "A": 406.4, "B": 410.7, "alpha": 0.34, "beta": 0.28}
HOFFMANN_UNROUNDED = {
    "E": np.exp(0.5267228),
    "A": np.exp(6.0073404),
    "B": np.exp(6.0179186),
    "alpha": 0.33917084,
    "beta": 0.2849083,
}
KAPLAN = {"N_c": 6.4e13, "D_c": 1.8e13, "alpha_N": 0.076, "alpha_D": 0.103}


@pytest.fixture(autouse=True)
def double_precision():
    with jax.enable_x64(True):
        yield


def typical(law):
    """Parameters in the middle of the default priors, for runs at 1e9 of everything with a loss of 2.5."""
    reference, response, values = 1e9, 2.5, {}
    for name, pooling in sorted(laws.as_law(law).priors.items(), key=lambda item: bool(needs(item[1].prior))):
        prior = pooling.prior
        value = prior.value if isinstance(prior, Anchored) else prior
        match value:
            case LogNormal(median):
                values[name] = median
            case Normal(mean, sd):
                values[name] = mean + sd
            case FloorShare(logit):
                values[name] = response / (1 + np.exp(-logit))
            case ResponseShare(share, _, floor):
                values[name] = share * (response - (values[floor] if floor else 0))
        if isinstance(prior, Anchored) and prior.form == "amplitude":
            values[name] *= reference ** values[prior.exponent]
        elif isinstance(prior, Anchored):
            values[name] = reference * values[name] ** (1 / values[prior.exponent])
    return values


def inputs_of(law, scale):
    return dict.fromkeys(laws.signature(law).inputs, scale)


# Expected values: the published constants in arithmetic of 40 decimal digits.
@pytest.mark.parametrize(
    ("law", "at", "expected", "source"),
    [
        pytest.param(
            laws.chinchilla,
            {"N": 70e9, "D": 1.4e12, **HOFFMANN},
            1.936645470558717504,
            "Hoffmann et al. (2022), arXiv:2203.15556, eq. 10, at the N and D of Chinchilla",
            id="chinchilla-hoffmann",
        ),
        pytest.param(
            laws.chinchilla,
            {"N": 70e9, "D": 1.4e12, **HOFFMANN_UNROUNDED},
            1.920846026565606196,
            "Hoffmann et al. (2022), arXiv:2203.15556, comment after eq. 10 in the TeX source: unrounded constants",
            id="chinchilla-hoffmann-unrounded",
        ),
        pytest.param(
            laws.kaplan,
            {"N": 1e9, "D": 20e9, **KAPLAN},
            2.373882448217487035,
            "Kaplan et al. (2020), arXiv:2001.08361, eq. 1.5 with the constants of table 2",
            id="kaplan-joint",
        ),
        pytest.param(
            laws.power,
            {"x": 1e9, "A": 8.8e13**0.076, "alpha": 0.076},
            2.375640295134524783,
            "Kaplan et al. (2020), arXiv:2001.08361, eq. 1.1: L(N) = (N_c / N)**alpha_N, N_c = 8.8e13",
            id="power-kaplan-parameters",
        ),
        pytest.param(
            laws.power_floor,
            {"x": 2.3e22, "E": 0.5066, "A": 5.984e22**0.0737, "alpha": 0.0737},
            1.579612887911151413,
            "Dey et al. (2023), arXiv:2304.03208: L(f) = (f / 5.984e22)**-0.0737 + 0.5066",
            id="power_floor-cerebras",
        ),
        pytest.param(
            laws.broken_power,
            {
                "x": 800.0,
                "E": 0.41388453,
                "A": 2.27727229,
                "alpha": 0.05507735,
                "delta_1": 5.66290382,
                "d_1": 612.583617,
                "f_1": 0.05919304,
            },
            0.760188316650895040,
            "Caballero et al. (2023), arXiv:2210.14891: their constants of four-digit addition, at 800 examples",
            id="broken_power-addition",
        ),
        pytest.param(
            laws.saturating_power,
            {"x": 100.0, "E": 0.2, "L_0": 1.0, "A": 12.0, "alpha": 0.5, "delta": 2.0},
            0.5,
            "Alabdulmohsin et al. (2022), arXiv:2209.06640, M4: (0.5 - 0.2) / (1 - 0.5)**2 = 12 * 100**-0.5",
            id="saturating_power-half",
        ),
        pytest.param(
            laws.sigmoid,
            {"x": 100.0, "E": 0.2, "L_0": 1.0, "A": 6.0, "alpha": 0.5},
            0.5,
            "Alabdulmohsin et al. (2022), arXiv:2209.06640, M4 with delta = 1: (0.5 - 0.2) / (1 - 0.5) = 6 * 100**-0.5",
            id="sigmoid-half",
        ),
        pytest.param(
            laws.shifted_power,
            {"x": 1e7, "x_0": 3e7, "A": 50.0, "alpha": 0.3},
            0.432963838586645091,
            "Bansal et al. (2022), arXiv:2202.01994: beta (1/D + gamma)**p",
            id="shifted_power",
        ),
    ],
)
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
    at, parameters = inputs_of(law, 3e9), typical(law)
    expected = float(law(*at.values(), **parameters))
    assert np.isfinite(expected)
    assert expected > 0
    for array in (np.asarray, jax.numpy.asarray):
        value = law(*map(array, at.values()), **{name: array(v) for name, v in parameters.items()})
        assert float(value) == pytest.approx(expected, rel=1e-12)


@every_law
def test_law_broadcasts(law):
    given = inputs_of(law, 3e9) | typical(law)
    first, second = list(given)[:2]
    rows, columns = given[first] * np.array([[1.0], [2.0], [4.0]]), given[second] * np.array([1.0, 1.5, 2.0, 3.0])

    def value(**changed):
        now = given | changed
        return law(
            *(now[name] for name in laws.signature(law).inputs),
            **{name: now[name] for name in laws.signature(law).parameters},
        )

    table = value(**{first: rows, second: columns})
    assert table.shape == (3, 4)
    cells = [[float(value(**{first: row, second: column})) for column in columns] for row in rows[:, 0]]
    np.testing.assert_allclose(table, cells, rtol=1e-12)


@every_law
def test_gradient_agrees_with_central_differences(law):
    at, parameters = inputs_of(law, 1.2e9), typical(law)
    gradient = jax.grad(lambda theta: law(*at.values(), **theta))(parameters)
    assert set(gradient) == set(laws.signature(law).parameters)

    def difference(name, step):
        ends = parameters[name] + step, parameters[name] - step
        above, below = (float(law(*at.values(), **parameters | {name: end})) for end in ends)
        return (above - below) / (ends[0] - ends[1])

    level = float(law(*at.values(), **parameters))
    for name, value in parameters.items():
        step = EPS ** (1 / 3) * value
        near, far = difference(name, step), difference(name, 2 * step)
        # The truncation error is a third of the change between one step and two. The rounding error of a power is at
        # most its logarithm in units of the last digit, below 64 for every number here; a difference has this / step.
        tolerance = abs(far - near) + 64 * EPS * level / step
        assert abs(float(gradient[name]) - near) <= tolerance, name
        assert tolerance < 1e-6 * abs(near), f"fewer than six digits of the gradient by {name} are tested"


@every_law
def test_law_falls_with_each_input(law):
    at, parameters = inputs_of(law, 3e9), typical(law)
    scale = np.geomspace(1e6, 1e13, 50)
    for name in at:
        values = np.asarray(law(*(at | {name: scale}).values(), **parameters))
        assert (np.diff(values) < 0).all(), name


@every_law
def test_default_priors_cover_the_parameters(law):
    declared = laws.signature(law)
    priors = laws.as_law(law).priors
    assert set(priors) == set(declared.parameters)
    for pooling in priors.values():
        assert set(needs(pooling.prior)) <= set(declared.parameters)
        if isinstance(pooling.prior, Anchored):
            assert pooling.prior.input in declared.inputs


@every_law
def test_derived_quantities_need_only_parameters(law):
    for quantity in laws.as_law(law).derived.values():
        assert set(laws.keywords(quantity)) <= set(laws.signature(law).parameters)


@every_law
def test_law_is_documented_with_its_formula_and_its_source(law):
    text = inspect.getdoc(law)
    assert ".. math::" in text
    assert "arXiv" in text
    described = text.split("Parameters\n----------\n")[1].split("Returns\n-------\n")[0]
    named = re.findall(r"^(\w+(?:, \w+)*) : ", described, flags=re.MULTILINE)
    assert ", ".join(named).split(", ") == [*laws.signature(law).inputs, *laws.signature(law).parameters]
