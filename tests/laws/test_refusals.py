"""Whole messages that refuse laws that cannot be read, before anything is compiled."""

import numpy as np
import pandas as pd
import pytest

import scalebayes as sb

pytestmark = pytest.mark.usefixtures("nothing_is_compiled")

EXAMPLE = "for example 'def f(N, D, *, E, A, alpha)'"


def no_star(N, D, E, A): ...


def no_input(*, E, A): ...


def variadic(*args, E): ...


def with_keywords(N, **theta): ...


def with_default(N, D, *, E, A=1.0): ...


@pytest.mark.parametrize(
    ("law", "message"),
    [
        (
            variadic,
            "law variadic(*args, E) cannot be read: '*args' hides what it takes; "
            f"inputs go before '*', parameters after it, {EXAMPLE}.",
        ),
        (
            with_keywords,
            "law with_keywords(N, **theta) cannot be read: '**theta' hides what it takes; "
            f"inputs go before '*', parameters after it, {EXAMPLE}.",
        ),
        (
            with_default,
            "law with_default(N, D, *, E, A=1.0) cannot be read: 'A' has a default, a constant nobody would see; "
            "make it a parameter.",
        ),
        (
            no_star,
            f"law no_star(N, D, E, A) cannot be read: inputs go before '*', parameters after it, {EXAMPLE}.",
        ),
        (
            no_input,
            f"law no_input(*, E, A) cannot be read: inputs go before '*', parameters after it, {EXAMPLE}.",
        ),
        ("chinchilla", "a law is a function, such as sb.laws.chinchilla, and not its name; got 'chinchilla'."),
        (dict, f"law dict cannot be read: it has no signature. Write a function, {EXAMPLE}."),
    ],
)
def test_a_law_whose_signature_cannot_be_read_is_refused(law, message, refuses, table):
    with refuses(TypeError, message):
        sb.fit(law, sb.read_runs(table()), discrepancy=None)


def test_an_unknown_law_is_refused(refuses):
    n = len(sb.laws.BUILT_IN)
    message = f"unknown law 'chincilla' (did you mean 'chinchilla'?); 'scalebayes laws' lists the {n} built-in ones."
    with refuses(ValueError, message):
        sb.laws.named("chincilla")


def test_inputs_that_a_law_does_not_cover_are_refused(refuses):
    sizes = np.geomspace(1e8, 1e10, 12)
    with_shares = pd.DataFrame({"params": sizes, "tokens": sizes[::-1] * 20, "loss": 3 - 0.1 * np.arange(12)})
    with_shares["S"] = np.linspace(0.5, 1.0, 12)
    inputs = {"N": "params", "D": "tokens", "S": sb.Input("S", kind="plain")}
    runs = sb.read_runs(with_shares, inputs=inputs, response="loss")
    last, n = runs.labels[-1], len(runs)
    message = f"sparse is for S from 0 on and below 1, and 1 of {n} runs lie elsewhere, first run {last}: S = 1."
    with refuses(ValueError, message):
        sb.Model(sb.laws.sparse, runs)


def test_points_that_a_law_does_not_cover_are_refused(refuses, made_fit):
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"N": 10 ** rng.uniform(7, 9, 12), "E": np.resize([1.0, 8.0, 64.0], 12)})
    table["loss"] = 3 * (table["N"] / 1e8) ** -0.08
    runs = sb.read_runs(table, inputs={"N": "N", "E": "E"}, response="loss")
    values = {"a": -0.08, "b": -0.1, "c": 0.01, "d": 1.1, "E_start": 2.0, "E_max": 300.0}
    fit = made_fit(sb.Model(sb.laws.routed_experts, runs), values)
    message = "routed_experts is for E from 1 on, and 1 of 2 points lie elsewhere, first point 1: E = 0.5."
    with refuses(ValueError, message):
        sb.forecast(fit, at={"N": 1e9, "E": [2.0, 0.5]})


def test_a_law_of_what_should_be_high_says_so(refuses):
    table = pd.DataFrame({"n": [1e6, 1e7, 1e8, 1e9], "rating": [900.0, 1000.0, 1100.0, 1200.0]})
    message = (
        "elo is a law of a response of which high values are good, and 'rating' is read as one that should be low; say "
        "read_runs(..., better='higher')."
    )
    with refuses(ValueError, message):
        sb.Model(sb.laws.elo, sb.read_runs(table, inputs={"N": "n"}, response="rating"))


def test_a_mixture_of_one_is_refused(refuses):
    with refuses(ValueError, "a mixture has two or more domains, each of its own name; got ['web']."):
        sb.laws.data_mixing(["web"])
    with refuses(TypeError, "domains are names, such as ['web', 'code'], got 'web'."):
        sb.laws.data_mixing("web")


def test_a_law_of_positive_losses_has_no_priors_for_negative_ones(refuses):
    table = pd.DataFrame({"n": [1e6, 1e7, 1e8, 1e9], "y": [-1.0, -2.0, -2.5, -2.7]})
    runs = sb.read_runs(table, inputs={"x": "n"}, response="y")
    message = (
        "the prior of E, FloorShare(logit=1.2, sd=1.3), is a share of the response, and 'y' goes down to -2.7; give one "
        "in units of the response, such as priors={'E': sb.Normal(0, 100)}."
    )
    with refuses(ValueError, message):
        sb.Model(sb.laws.power_floor, runs, observation=sb.Gaussian(scale="identity"), discrepancy=None)


def test_what_a_law_says_of_itself_must_be_so(refuses):
    def law(x, *, A):
        return A / x

    with refuses(ValueError, "law(x; A) has no input 'y' to have a domain, a place or an optimum."):
        sb.Law(law, domain={"y": (0, 1)})
    with refuses(ValueError, "the scale of law is 'log', 'identity' or 'logit', got 'sqrt'."):
        sb.Law(law, scale="sqrt")
