"""The form of answers: numbers and sentences, and plain dictionaries for JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import ndtri

from scalebayes.inference.diagnostics import Diagnostics


def number(value: float) -> str:
    """A number as a person writes it: 1.94, 7e10, 0.0123.

    >>> number(7e10), number(0.0123), number(1.94)
    ('7e10', '0.0123', '1.94')
    """
    if not np.isfinite(value):
        return "infinity" if value > 0 else str(value)
    if value != 0 and (abs(value) >= 1e5 or abs(value) < 1e-3):
        mantissa, exponent = f"{value:.2e}".split("e")
        return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"
    return f"{value:.4g}"


def response(value: float) -> str:
    """A loss or error with four digits, so that the ends of an interval line up: 1.450, 0.1234, 1200."""
    return f"{value:#.4g}".rstrip(".") if 1e-3 <= abs(value) < 1e4 else number(value)


def factor(value: float) -> str:
    """A factor in words: 43.5x."""
    return f"{number(float(f'{value:.3g}'))}x"


def where(x: Mapping[str, float | str]) -> str:
    """A point in words: "N = 7e10, D = 1.4e12"."""
    return ", ".join(f"{name} = {value if isinstance(value, str) else number(value)}" for name, value in x.items())


def not_converged(diagnostics: Diagnostics) -> list[str]:
    """The first line of an answer from a fit that has not converged; no line if it has."""
    return [f"NOT CONVERGED: {'; '.join(diagnostics.problems)}."] if diagnostics.problems else []


def sentences(diagnostics: Diagnostics, lines: list[str]) -> str:
    """An answer in words: problems of convergence first; remarks, diagnostics and the Monte Carlo error last."""
    return "\n".join(
        [*not_converged(diagnostics), *lines, *diagnostics.remarks, f"({diagnostics}; {monte_carlo(diagnostics)})"]
    )


def monte_carlo(diagnostics: Diagnostics) -> str:
    """How much of the digits is chance of the draws: of an interval's ends, and of a probability.

    The ends of an 89% interval of a normal distribution are order statistics of as many independent draws as the tail
    ESS; the standard error of a probability is the largest at 0.5, with the bulk ESS.

    >>> monte_carlo(Diagnostics(2000, 0, 1.001, 900.0, 400.0))
    'Monte Carlo error: 3% of its width at an end of an 89% interval, at most 0.02 in a probability'
    """
    outside = (1 - 0.89) / 2
    z = ndtri(1 - outside)
    density = math.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)
    of_end = math.sqrt(outside * (1 - outside) / max(diagnostics.min_ess_tail, 1.0)) / density / (2 * z)
    of_probability = 0.5 / math.sqrt(max(diagnostics.min_ess_bulk, 1.0))
    return (
        f"Monte Carlo error: {of_end:.0%} of its width at an end of an 89% interval, "
        f"at most {of_probability:.1g} in a probability"
    )


def plain(value: Any) -> Any:
    """Nested dictionaries and lists of numbers, strings and None, for JSON; a number that is not finite becomes None.

    >>> plain({"a": (np.float64(1.0), np.inf)})
    {'a': [1.0, None]}
    """
    if isinstance(value, pd.DataFrame):
        return plain(value.to_dict("records"))
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [plain(item) for item in value]
    if hasattr(value, "item"):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def quantiles(values: np.ndarray, prob: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lower end, median and upper end of the equal-tailed interval over the first axis.

    Nearest order statistics, so that draws of infinity (a target that is never reached) stay infinite.
    """
    lower, median, upper = np.quantile(values, [(1 - prob) / 2, 0.5, (1 + prob) / 2], axis=0, method="nearest")
    return lower, median, upper
