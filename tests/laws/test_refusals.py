"""Whole messages that refuse laws that cannot be read, before anything is compiled."""

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
