"""What is believed of one parameter: frozen values in natural units."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from numbers import Real
from typing import Any, Literal, cast

from scalebayes.arguments import quoted

LAWS_FLOOR = "floor of the law"  # stands for the parameter that a law declares as its floor


def check_numbers(prior: object, *positive: str) -> None:
    """Refuse a field of type float that is not a finite number, or not positive where it must be."""
    name = type(prior).__name__
    for each in fields(cast(Any, prior)):
        value = getattr(prior, each.name)
        if each.type != "float" and not (each.type == "float | None" and value is not None):
            continue
        if not isinstance(value, Real) or isinstance(value, bool):
            raise TypeError(f"{name} needs a number for {each.name}, got {quoted(value)} ({type(value).__name__}).")
        if not math.isfinite(value) or (each.name in positive and value <= 0):
            needed = "a positive number" if each.name in positive else "a finite number"
            raise ValueError(f"{name} needs {needed} for {each.name}, got {quoted(value)}.")


@dataclass(frozen=True)
class Normal:
    """A parameter of either sign, ``x ~ Normal(mean, sd)``.

    Parameters
    ----------
    mean, sd : float
        In the parameter's own units; ``sd`` > 0.

    Raises
    ------
    ValueError
        If a number is not finite or ``sd`` is not positive.

    Examples
    --------
    >>> Normal(mean=0.0, sd=0.02)
    Normal(mean=0.0, sd=0.02)
    """

    mean: float
    sd: float

    def __post_init__(self) -> None:
        check_numbers(self, "sd")


@dataclass(frozen=True)
class LogNormal:
    r"""A positive parameter, :math:`\log x \sim \mathrm{Normal}(\log \mathrm{median}, \mathrm{spread})`.

    Parameters
    ----------
    median : float
        In the parameter's own units, > 0.
    spread : float
        Standard deviation of log x: 0.5 means "known to within a factor 1.6 or so".

    Raises
    ------
    ValueError
        If a number is not positive.

    Examples
    --------
    >>> LogNormal(median=0.3, spread=0.5)
    LogNormal(median=0.3, spread=0.5)
    """

    median: float
    spread: float

    def __post_init__(self) -> None:
        check_numbers(self, "median", "spread")


@dataclass(frozen=True)
class Gamma:
    r"""A quantity above a bound, shared by all groups.

    .. math:: x = \mathrm{above} + \mathrm{Gamma}(\mathrm{shape}, \mathrm{rate})

    Parameters
    ----------
    shape, rate : float
        Both > 0; the mean above the bound is ``shape / rate``.
    above : float
        The bound.

    Raises
    ------
    ValueError
        If ``shape`` or ``rate`` is not positive, or a number is not finite.

    Examples
    --------
    >>> Gamma(shape=2.0, rate=0.2, above=2.0)
    Gamma(shape=2.0, rate=0.2, above=2.0)
    """

    shape: float
    rate: float
    above: float = 0.0

    def __post_init__(self) -> None:
        check_numbers(self, "shape", "rate")


@dataclass(frozen=True)
class FloorShare:
    r"""An irreducible loss stated relative to the smallest observed response.

    .. math:: E = y_{\min} \cdot \mathrm{logistic}(e), \quad e \sim \mathrm{Normal}(\mathrm{logit}, \mathrm{sd})

    The smallest response comes from the runs, so the data are used once to locate this prior. When E is ``pooled``,
    this is the prior of the population's value, and a single group may lie above the bound. When E is ``separate``,
    each group has its own smallest response.

    Parameters
    ----------
    logit, sd : float
        Centre and standard deviation of the log-odds of E / y_min.

    Raises
    ------
    ValueError
        If a number is not finite or ``sd`` is not positive.

    Examples
    --------
    Between 0.67 and 0.94 of the smallest loss, with probability 0.95:

    >>> FloorShare(logit=1.7, sd=0.5)
    FloorShare(logit=1.7, sd=0.5)
    """

    logit: float
    sd: float

    def __post_init__(self) -> None:
        check_numbers(self, "sd")


@dataclass(frozen=True)
class Share:
    r"""A quantity between 0 and 1, normal in log-odds.

    .. math:: x = \mathrm{logistic}(e), \quad e \sim \mathrm{Normal}(\mathrm{logit}, \mathrm{sd})

    A pooled share varies between groups in log-odds.

    Parameters
    ----------
    logit, sd : float
        Centre and standard deviation of the log-odds.

    Raises
    ------
    ValueError
        If a number is not finite or ``sd`` is not positive.

    Examples
    --------
    >>> Share(logit=0.0, sd=1.0)
    Share(logit=0.0, sd=1.0)
    """

    logit: float
    sd: float

    def __post_init__(self) -> None:
        check_numbers(self, "sd")


@dataclass(frozen=True)
class ResponseShare:
    r"""A positive quantity in the response's units, stated relative to the observed responses.

    .. math:: x = s\, \max(\bar y - E,\ \bar y / 20), \quad
              \log s \sim \mathrm{Normal}(\log \mathrm{share}, \mathrm{spread})

    with :math:`\bar y` the geometric mean response. It suits any unit, nats per token as well as error rates. A term is
    stated as a share of the response above the *same draw's* floor: the level of a curve is well known even where its
    floor is uncertain, and a prior that respects this is also far easier to sample.

    Parameters
    ----------
    share, spread : float
        Both > 0.
    floor : str or None
        Name of the parameter that is the irreducible loss, by default the floor that the law declares. None for a share
        of the whole response, :math:`x = s \bar y`.

    Raises
    ------
    ValueError
        If a number is not positive.

    Examples
    --------
    >>> ResponseShare(share=0.3, spread=1.0, floor="E")
    ResponseShare(share=0.3, spread=1.0, floor='E')
    """

    share: float
    spread: float
    floor: str | None = LAWS_FLOOR

    def __post_init__(self) -> None:
        check_numbers(self, "share", "spread")


@dataclass(frozen=True)
class ResponseLevel:
    r"""A level in the response's units, of either sign, stated relative to the observed responses.

    .. math:: x = \bar y + z\, (y_{\max} - y_{\min}), \quad z \sim \mathrm{Normal}(\mathrm{at}, \mathrm{sd})

    It suits responses that may be negative: ratings, losses below a baseline.

    Parameters
    ----------
    at, sd : float
        In ranges of the responses, from their mean; ``sd`` > 0.

    Raises
    ------
    ValueError
        If a number is not finite or ``sd`` is not positive.

    Examples
    --------
    >>> ResponseLevel(at=0.0, sd=1.0)
    ResponseLevel(at=0.0, sd=1.0)
    """

    at: float
    sd: float

    def __post_init__(self) -> None:
        check_numbers(self, "sd")


@dataclass(frozen=True)
class RangeShare:
    r"""A positive quantity in the response's units, stated relative to the range of the observed responses.

    .. math:: x = s\, (y_{\max} - y_{\min}), \quad \log s \sim \mathrm{Normal}(\log \mathrm{share}, \mathrm{spread})

    Parameters
    ----------
    share, spread : float
        Both > 0.

    Raises
    ------
    ValueError
        If a number is not positive.

    Examples
    --------
    >>> RangeShare(share=0.5, spread=1.0)
    RangeShare(share=0.5, spread=1.0)
    """

    share: float
    spread: float

    def __post_init__(self) -> None:
        check_numbers(self, "share", "spread")


@dataclass(frozen=True)
class Anchored:
    r"""A prior that is stated where the runs are, not at N = 1.

    At N = 1, A has no meaning, and its correlation with alpha is 0.999. The value of its term at a reference scale has
    neither fault. With a the value that has the prior, and the reference of every input the geometric mean of its
    column, the parameter is

    .. math::

        A &= a \prod_i N_{i,\mathrm{ref}}^{\alpha_i} & (\texttt{form="amplitude"}) \\
        N_c &= N_\mathrm{ref}\, a^{1/\alpha} & (\texttt{form="scale"}) \\
        c &= a - \mathrm{factor} \sum_i b_i \log N_{i,\mathrm{ref}} & (\texttt{form="intercept"}) \\
        N_0 &= N_\mathrm{ref}\, a^{w} & (\texttt{form="place"})

    so that a is :math:`A N^{-\alpha}`, :math:`(N_c/N)^{\alpha}` or :math:`c + \mathrm{factor}\, b \log N` at the
    reference. A place, such as that of a break, has w: half the range of the runs in natural logs, at least 1.

    Parameters
    ----------
    value : Normal, LogNormal, ResponseShare, ResponseLevel or RangeShare
        Prior of a; positive for a scale and a place.
    input : str or tuple of str
        The input of the term, or all of them where it is a product.
    exponent : str, float or tuple of these, optional
        For each input the parameter that is its exponent, or its slope for an intercept; ``"-eta"`` is minus eta, and a
        number is an exponent that is known. A place has none.
    form : {"amplitude", "scale", "intercept", "place"}
        How the law writes the term.
    reference : float, optional
        Scale of the anchor of a single input, in its units.
    factor : float
        What multiplies the slope times the natural logarithm, for an intercept: ``1 / log(10)`` where the law has
        log10.

    Raises
    ------
    ValueError
        If ``form`` is none of these, inputs and exponents do not match, or ``reference`` is not positive.
    TypeError
        If ``value`` is not a prior, or none of a positive quantity where one is needed.

    Examples
    --------
    >>> Anchored(LogNormal(median=0.3, spread=1.0), input="N", exponent="alpha", reference=1e9).reference
    1000000000.0
    >>> Anchored(LogNormal(median=1.0, spread=0.5), input="N", form="place").terms
    (('N', '', 1.0),)
    """

    value: Normal | LogNormal | ResponseShare | ResponseLevel | RangeShare
    input: str | tuple[str, ...]
    exponent: str | float | tuple[str | float, ...] | None = None
    form: Literal["amplitude", "scale", "intercept", "place"] = "amplitude"
    reference: float | None = None
    factor: float = 1.0

    def __post_init__(self) -> None:
        check_numbers(self, "reference")
        if self.form not in ("amplitude", "scale", "intercept", "place"):
            raise ValueError(
                f"Anchored needs form 'amplitude', 'scale', 'intercept' or 'place', got {quoted(self.form)}."
            )
        positive = self.form in ("scale", "place")
        if not isinstance(self.value, LogNormal | ResponseShare | RangeShare | Normal | ResponseLevel) or (
            positive and isinstance(self.value, Normal | ResponseLevel)
        ):
            needed = "a LogNormal or ResponseShare value" if positive else "a prior such as LogNormal or ResponseShare"
            raise TypeError(f"Anchored needs {needed}, got {quoted(self.value)}.")
        # A file has lists.
        for name in ("input", "exponent"):
            if isinstance(getattr(self, name), list):
                object.__setattr__(self, name, tuple(getattr(self, name)))
        inputs, exponents = _several(self.input), _several(self.exponent)
        if len(exponents) != (0 if self.form == "place" else len(inputs)):
            needed = "no exponent" if self.form == "place" else f"an exponent for {' and '.join(map(quoted, inputs))}"
            raise ValueError(f"Anchored with form {self.form!r} needs {needed}, got {quoted(self.exponent)}.")
        if len(inputs) > 1 and (positive or self.reference is not None):
            what = f"form {self.form!r}" if positive else "a reference"
            raise ValueError(f"Anchored with {what} needs one input, got {quoted(self.input)}.")

    @property
    def positive(self) -> bool:
        """Whether the parameter is positive."""
        return self.form != "intercept" and not isinstance(self.value, Normal | ResponseLevel)

    @property
    def terms(self) -> tuple[tuple[str, str, float], ...]:
        """For each input its name, the parameter that is its exponent, and its sign; "" and a number if it is known."""
        exponents = _several(self.exponent) or (1.0,)
        return tuple(
            (name, e.removeprefix("-"), -1.0 if e.startswith("-") else 1.0)
            if isinstance(e, str)
            else (name, "", float(e))
            for name, e in zip(_several(self.input), exponents, strict=True)
        )


def _several(names: Any) -> tuple[Any, ...]:
    return () if names is None else names if isinstance(names, tuple) else (names,)


Prior = Normal | LogNormal | Gamma | FloorShare | Share | ResponseShare | ResponseLevel | RangeShare | Anchored


def needs(prior: Prior) -> tuple[str, ...]:
    """Names of the other parameters that a prior refers to: the exponent of an anchor, the floor of a share."""
    value = prior.value if isinstance(prior, Anchored) else prior
    exponents = tuple(e for _, e, _ in prior.terms if e) if isinstance(prior, Anchored) else ()
    return exponents + ((value.floor,) if isinstance(value, ResponseShare) and value.floor else ())
