"""Checks of arguments that public functions share; each error says what was needed, what was got and what to do."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable
from numbers import Integral, Real
from typing import Any

EXTREME = 1e100  # numbers beyond it, or beyond its inverse, are mistakes; a product of three is still a number


def check_prob(prob: float) -> None:
    """Refuse a value that cannot be the probability of an interval."""
    if isinstance(prob, bool) or not isinstance(prob, Real) or not 0 < prob < 1:
        raise ValueError(f"prob lies between 0 and 1, got {quoted(prob)}; for 89% say 0.89.")


def check_seed(seed: int) -> None:
    """Refuse a value that cannot be a seed."""
    if not is_whole(seed, 0):
        raise ValueError(f"seed is a whole number from 0 on, got {quoted(seed)}.")


def is_whole(value: Any, least: int) -> bool:
    """Whether a value is an integer of at least ``least``."""
    return isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= least


def is_positive(value: Any) -> bool:
    """Whether a value is one positive finite number."""
    try:
        return isinstance(value, Real) and not isinstance(value, bool) and 0 < float(value) < math.inf
    except OverflowError:  # a whole number of more than 308 digits
        return False


def check_positive(value: Any, name: str, what: str = "number") -> float:
    """The value as a float if it is one positive finite number; any other value is refused.

    Parameters
    ----------
    value : object
    name : str
        Name of the argument, which the error repeats.
    what : str
        What the number is: a "number", a "difference", or a scale such as "C".

    Examples
    --------
    >>> check_positive(-1, "to", "C")
    Traceback (most recent call last):
    ValueError: to is a positive finite C, got -1.
    """
    if not is_positive(value):
        raise ValueError(f"{name} is a positive finite {what}, got {quoted(value)}.")
    if not 1 / EXTREME <= float(value) <= EXTREME:
        raise ValueError(f"{name} is a {what} between {1 / EXTREME:g} and {EXTREME:g}, got {quoted(value)}.")
    return float(value)


def quoted(value: object, most: int = 80) -> str:
    """A value for a message, however long it is.

    Examples
    --------
    >>> quoted("loss")
    "'loss'"
    >>> quoted("l" * 1000, most=20)
    "'llllllllllllllll..."
    """
    text = repr(value)
    return text if len(text) <= most else f"{text[: most - 3]}..."


def nearest(name: object, known: Iterable[object]) -> str:
    """`` (did you mean 'n_params'?)`` if a known name is close to the given one, else an empty string.

    Examples
    --------
    >>> nearest("n_parms", ["n_params", "n_tokens"])
    " (did you mean 'n_params'?)"
    >>> nearest("size", ["n_params", "n_tokens"])
    ''
    """
    by_text = {str(each).lower(): each for each in known}
    close = difflib.get_close_matches(str(name).lower(), by_text, 1, 0.75)
    return f" (did you mean {by_text[close[0]]!r}?)" if close else ""
