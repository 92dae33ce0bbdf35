"""Vectors as inputs: proportions that sum to one, given whole or by their parts."""

import numpy as np
import pandas as pd
import pytest

import scalebayes as sb

COLUMNS = ["web", "code", "books"]
VALUES = {"c": 1.5, "k": 1.0, "t": 0.8}
PRIORS = {name: sb.LogNormal(value, 0.3) for name, value in VALUES.items()}


def mixed(N, p, *, c, k, t):
    return c + k * (N / 1e8) ** -0.2 * (1 + t * p[..., 0])


def _table(seed=0):
    rng = np.random.default_rng(seed)
    parts = rng.dirichlet(np.ones(3), 20)
    parts[3] = [0.0, 0.4, 0.6]
    table = pd.DataFrame(parts, columns=COLUMNS).assign(n=np.geomspace(1e7, 1e9, 20))
    return table.assign(loss=mixed(table["n"].to_numpy(), parts, **VALUES))


def _runs(table):
    return sb.read_runs(table, inputs={"N": "n", "p": COLUMNS}, response="loss")


@pytest.fixture
def mixtures(made_fit):
    return made_fit(sb.Model(mixed, _runs(_table()), priors=PRIORS, discrepancy=None), VALUES, draws=4)


def test_rows_that_do_not_sum_to_one_are_refused_where_most_do():
    table = _table()
    table.loc[4, "web"] += 0.1
    with pytest.raises(ValueError, match=r"sum to one in most rows, and not in 1 of 20, first: row 4: 1\.1"):
        _runs(table)
    assert _runs(table[COLUMNS].mul(100).join(table[["n", "loss"]])).x("p").max() > 1


def test_a_vector_at_new_points_is_given_whole_or_by_its_parts(mixtures):
    whole = sb.forecast(mixtures, at={"N": [1e9, 1e10], "p": [[0.2, 0.3, 0.5], [0.0, 0.0, 1.0]]}).table
    parts = sb.forecast(
        mixtures, at={"N": [1e9, 1e10], "web": [0.2, 0.0], "code": [0.3, 0.0], "books": [0.5, 1.0]}
    ).table
    pd.testing.assert_frame_equal(whole, parts)
    one = sb.forecast(mixtures, at={"N": [1e9, 1e10], "p": [0.2, 0.3, 0.5]}).table
    assert one["median"][0] == pytest.approx(whole["median"][0])


@pytest.mark.parametrize(
    ("at", "message"),
    [
        ({"N": 1e9, "p": [0.5, 0.5]}, r"p has 3 parts, web, code, books, at each point; got an array of shape \(2,\)"),
        ({"N": 1e9, "p": [0.5, 0.5, 0.5]}, "sum to one in all runs, and to 1.5 at point 0: give proportions"),
        ({"N": 1e9, "web": 0.5, "code": 0.5}, "books is missing"),
    ],
)
def test_a_vector_that_is_none_is_refused_at_new_points(mixtures, at, message):
    with pytest.raises(ValueError, match=message):
        sb.forecast(mixtures, at=at)


def test_a_curve_of_a_law_with_a_vector_is_drawn_at_its_mean(mixtures):
    assert len(sb.plot(mixtures).axes) == 1


def test_fewer_epochs_than_one_are_noticed():
    table = pd.DataFrame(
        {"n": np.geomspace(1e7, 1e9, 6), "epochs": [0.5, 1, 2, 4, 8, 16], "loss": np.linspace(4, 3, 6)}
    )
    with pytest.warns(sb.RunsWarning, match=r"fewer epochs than one in 1 of 6 rows, first: row 0"):
        sb.read_runs(table, inputs={"N": "n", "R": "epochs"}, response="loss")


def test_a_guess_level_above_what_is_observed_is_noticed():
    import jax.numpy as jnp

    from scalebayes.fits.sampling import checked_prior

    def rate(C, *, a, b):
        return 0.5 + 0.5 / (1 + jnp.exp(-a - b * jnp.log(C / 1e20)))

    table = pd.DataFrame({"flops": np.geomspace(1e18, 1e22, 8), "score": np.linspace(0.3, 0.9, 8), "items": 2000})
    runs = sb.read_runs(table, inputs={"C": "flops"}, response="score", better="higher")
    priors = {"a": sb.Normal(0, 1), "b": sb.Normal(0.4, 0.2)}
    model = sb.Model(rate, runs, priors=priors, observation=sb.BetaBinomial("items", rounded=True))
    with pytest.warns(sb.RunsWarning, match=r"2 of 8 runs lie below 0\.50.*run 0: 0\.3; its guess level is too high"):
        checked_prior(model, 0)
