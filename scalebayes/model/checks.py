"""Checks of a model before anything is compiled: its priors, names, counts and responses must match."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np
import pandas as pd

from scalebayes.arguments import nearest, quoted
from scalebayes.discrepancy import Term
from scalebayes.laws import Law, as_law
from scalebayes.laws import with_floor as with_declared_floor
from scalebayes.model.responses import Measured, Response, owners
from scalebayes.observations import Observation
from scalebayes.priors import (
    WORDS,
    Anchored,
    FloorShare,
    Gamma,
    Pooled,
    Pooling,
    ResponseShare,
    Separate,
    needs,
    repool,
    with_floor,
    with_pooling,
)
from scalebayes.runs import Runs
from scalebayes.runs.checks import check_group_sizes, check_numbers

# The loss of a uniform guess over a million words: ln(1e6) nats.
_LARGEST_LOSS = 13.8
_SOME = 0.1  # share of the responses


def complete_priors(
    first: Measured, further: Sequence[Measured], given: Mapping | None, pooling: str | None, defaults: Mapping
) -> dict[str, Pooling]:
    """The prior of every parameter, each with its pooling: the caller's, else a law's default.

    Parameters
    ----------
    first : Measured
        The first response.
    further : sequence of Measured
    given : mapping of str to prior, or None
    pooling : str or None
        How groups divide the parameters whose priors are not given.
    defaults : mapping of str to prior
        Those of the first law.

    Raises
    ------
    TypeError, ValueError
        If priors are missing or do not suit the laws, each other or the runs.
    """
    given, every = {} if given is None else given, (first, *further)
    stated = owners(first, further)
    names = tuple(dict.fromkeys(name for each in every for name in each.law.parameters))
    usual = {id(each): each.law.default_priors("", 1.0) for each in further} | {id(first): defaults}
    offered = {name: usual[id(stated[name])][name] for name in names if name in usual[id(stated[name])]}
    _check_words(first.law, names, given, offered)
    complete: dict[str, Pooling] = {}
    for each in sorted(every, key=lambda of: len(of.law.parameters)):
        own = [name for name in each.law.parameters if stated[name] is each]
        complete |= _of_law(each, own, given, pooling, offered, complete)
    if all(isinstance(prior, Separate) for prior in complete.values()):
        check_group_sizes(first.runs)
    return {name: complete[name] for name in names}


def _of_law(
    each: Measured, names: list[str], given: Mapping, pooling: str | None, offered: Mapping, known: Mapping
) -> dict[str, Pooling]:
    """The priors of the parameters that one response states, where those of smaller laws are known."""
    law, runs = each.law, each.of_known
    renamed = dict(zip(law.inputs, each.inputs, strict=True))
    complete: dict[str, Pooling] = {}
    for name in names:
        if name in given:
            complete[name] = _of_caller(name, given[name], runs)
        else:
            default = with_pooling(offered[name])
            default = repool(default, pooling, runs.factors) if pooling else default
            complete[name] = default if runs.group else with_pooling(default.prior)
        complete[name] = _anchored(name, complete[name], law, renamed, runs)
    floor = with_declared_floor(law, complete).floor
    complete = {name: with_floor(prior, floor if isinstance(floor, str) else None) for name, prior in complete.items()}
    for name, prior in complete.items():
        _check_prior(name, prior, law, {**known, **complete})
        _check_factors(name, prior, runs)
        _check_positive(name, prior, runs)
    return complete


def check_pooling(pooling: object, runs: Runs) -> None:
    """Refuse a word of pooling that is none, and one that does not suit the groups."""
    if pooling not in (None, *WORDS):
        raise ValueError(f"pooling is {', '.join(map(repr, WORDS[:-1]))} or {WORDS[-1]!r}, got {quoted(pooling)}.")
    if pooling == "crossed" and len(runs.group) < 2:
        grouped = f"by {runs.group_name!r} alone" if runs.group else "not at all"
        raise ValueError(
            f"pooling='crossed' is over several group columns, and the runs are grouped {grouped}; name what crosses "
            "in read_runs, such as group=['architecture', 'task'], or leave it out."
        )


def _check_words(law: Law, parameters: tuple[str, ...], given: object, defaults: Mapping) -> None:
    """Refuse priors of what is no parameter, and missing priors."""
    if not isinstance(given, Mapping):
        raise TypeError(f"priors are a mapping from parameters to priors, got {type(given).__name__}.")
    unknown = [name for name in given if name not in parameters]
    if unknown:
        raise ValueError(
            f"a prior is given for {', '.join(map(repr, unknown))}{nearest(unknown[0], parameters)}, "
            f"but {law.name} has the parameters {', '.join(parameters)}."
        )
    missing = [name for name in parameters if name not in given and name not in defaults]
    if missing:
        raise ValueError(
            f"{law.name} is not built in, so every parameter needs a prior; missing: {', '.join(missing)}. "
            f"For example priors={{{missing[0]!r}: sb.LogNormal(median=0.3, spread=0.5)}}."
        )


def _of_caller(name: str, prior: object, runs: Runs) -> Pooling:
    if not runs.group and isinstance(prior, Pooled | Separate):
        raise ValueError(
            f"the prior of {name} is {type(prior).__name__.lower()}, but the runs have no group. "
            "Name a group in read_runs, or use shared(...)."
        )
    return with_pooling(cast(Any, prior))


def _anchored(name: str, pooling: Pooling, law: Law, renamed: Mapping[str, str], runs: Runs) -> Pooling:
    """A prior whose anchor, if it has one, names an input of the runs."""
    anchor = pooling.prior
    if not isinstance(anchor, Anchored):
        return pooling
    names = tuple(renamed.get(name, name) for name, _, _ in anchor.terms)
    for name_of_input in names:
        if name_of_input not in runs.inputs:
            raise ValueError(
                f"the prior of {name} is anchored by input {name_of_input!r}, which {law.signature} does not have."
            )
        # A place is amid the positive values: a store may be empty.
        if name_of_input not in runs.scales and not (anchor.form == "place" and (runs.x(name_of_input) > 0).any()):
            raise ValueError(
                f"the prior of {name} is anchored by input {name_of_input!r}, which is no positive scale; "
                "give the parameter a prior of its own, such as LogNormal."
            )
    anchor = replace(anchor, input=names[0] if isinstance(anchor.input, str) else names)
    return replace(pooling, prior=anchor)


def _check_prior(name: str, pooling: Pooling, law: Law, complete: Mapping[str, Pooling]) -> None:
    """Refuse a gamma prior of groups, and a prior that refers to what it cannot be built from."""
    if isinstance(pooling.prior, Gamma) and isinstance(pooling, Pooled | Separate):
        raise ValueError(f"the prior of {name} is a Gamma, which all groups share; use shared(...).")
    for other in needs(pooling.prior):
        if other not in law.parameters:
            raise ValueError(f"the prior of {name} refers to {other!r}, which {law.signature} does not have.")
        if needs(complete[other].prior):
            raise ValueError(f"the prior of {name} refers to {other}, whose own prior refers to another parameter.")


def _check_positive(name: str, pooling: Pooling, runs: Runs) -> None:
    """Refuse a prior that is a share of a response which may be zero or negative."""
    prior = pooling.prior.value if isinstance(pooling.prior, Anchored) else pooling.prior
    if isinstance(prior, FloorShare | ResponseShare) and not (runs.y > 0).all():
        raise ValueError(
            f"the prior of {name}, {prior!r}, is a share of the response, and {runs.response!r} goes down to "
            f"{runs.y.min():g}; give one in units of the response, such as priors={{{name!r}: sb.Normal(0, 100)}}."
        )


def _check_factors(name: str, pooling: Pooling, runs: Runs) -> None:
    if not isinstance(pooling, Pooled):
        return
    columns = [*dict.fromkeys([*map(str, runs.group), runs.group_name])]
    for column in pooling.spreads(runs.group_name):
        if column not in columns:
            raise ValueError(
                f"the prior of {name} has a spread over {column!r}, which is no group column of the runs; "
                f"there {'is' if len(columns) == 1 else 'are'} {', '.join(map(repr, columns))}."
            )
    for column in pooling.on if runs.group else ():
        _check_covariate(name, column, runs)


def _check_covariate(name: str, column: str, runs: Runs) -> None:
    """Refuse a covariate that is not a positive constant of each group, and one that cannot have a slope."""
    if column not in runs.table.columns:
        raise ValueError(
            f"the prior of {name} depends on column {column!r}, which {runs.source} does not have"
            f"{nearest(column, runs.table.columns)}."
        )
    check_numbers(runs, column, f"on which {name} depends")
    values = runs.column(column)
    for level in runs.levels:
        own = np.unique(values[runs.rows(level)])
        if len(own) > 1:
            raise ValueError(
                f"{name} depends on {column!r}, which must be constant in each group, and {level!r} has {len(own)} "
                "values of it; make it an input of the law."
            )
    if len(np.unique(values)) < 3:
        raise ValueError(
            f"{name} depends on {column!r}, which has {len(np.unique(values))} different values in "
            f"{len(runs.levels)} groups; a slope needs three or more."
        )


def check_names(
    law: Law, runs: Runs, observation: Observation, terms: tuple[Term, ...], also: Mapping[str, Response]
) -> None:
    """Refuse names of the law's parameters or of groups that the observation or the discrepancy also has."""
    if runs.response in {*law.parameters, *runs.inputs, "run", "group"}:
        raise ValueError(f"the response column {runs.response!r} has the name of an input or parameter; rename it.")
    for column in dict.fromkeys([runs.group_name, *map(str, runs.group)]):
        if column in {*law.parameters, *runs.inputs}:
            raise ValueError(f"the group column {column!r} has the name of a parameter or input; rename it.")
    owners = [(observation.word.replace("_", "-"), "observation", observation.priors())]
    owners += [(term.word, "discrepancy", term.priors(tuple(runs.inputs))) for term in terms]
    seen = dict.fromkeys(law.parameters, "law")
    for column, each in also.items():
        if column in {*as_law(each.law).parameters, *law.parameters}:
            raise ValueError(f"the response column {column!r} has the name of a parameter; rename it.")
    for word, owner, own in owners:
        for name in own:
            if name in law.parameters:
                of = "the noise" if owner == "observation" else f"the {word}"
                raise ValueError(f"{law.name} has a parameter {name!r}, a name of {of}; rename it.")
            if seen.setdefault(name, word) != word:
                raise ValueError(f"the {word} and the {seen[name]} both have a parameter {name!r}; rename one of them.")
            for column in dict.fromkeys([runs.group_name, *map(str, runs.group)]):
                if column == name:
                    raise ValueError(f"the group column {column!r} has the name of a parameter or input; rename it.")


def check_counts(law: Law, runs: Runs) -> None:
    """Refuse fewer runs than parameters."""
    if len(runs) < len(law.parameters):
        raise ValueError(
            f"{law.name} has {len(law.parameters)} parameters ({', '.join(law.parameters)}) and there "
            f"{'is' if len(runs) == 1 else 'are'} {len(runs)} run{'s' if len(runs) != 1 else ''}. "
            "Add runs, or take a law with fewer parameters."
        )


def check_domain(law: Law, x: Mapping[str, np.ndarray], labels: Sequence[str], what: str = "run") -> None:
    """Refuse values of inputs that a law does not cover.

    Parameters
    ----------
    law : Law
    x : mapping of str to array
        Values of its inputs.
    labels : sequence of str
        What each row is called.
    what : str
        What a row is.
    """
    for name, (low, high) in law.domain.items():
        outside = ~((x[name] >= low) & (x[name] < high))
        if outside.any():
            first = int(np.flatnonzero(outside.reshape(len(labels), -1).any(1))[0])
            upper = "" if np.isinf(high) else f" and below {high:g}" if high > np.nextafter(low, high) else ""
            raise ValueError(
                f"{law.name} is for {name} from {low:g} on{upper}, and {outside.sum()} of {len(labels)} {what}s lie "
                f"elsewhere, first {what} {labels[first]}: {name} = {np.ravel(x[name][first])[0]:g}."
            )


def check_direction(law: Law, runs: Runs) -> None:
    """Refuse a law of what should be high for a response that should be low."""
    if law.rises and runs.better == "lower":
        raise ValueError(
            f"{law.name} is a law of a response of which high values are good, and {runs.response!r} is read as one "
            "that should be low; say read_runs(..., better='higher')."
        )


def check_is_loss(law: str, runs: Runs) -> None:
    """Refuse accuracies and percentages: the built-in laws are for losses, which fall with scale."""
    y = runs.y
    what = f"response {runs.response!r} runs from {y.min():g} to {y.max():g}"
    if np.mean(y > _LARGEST_LOSS) > _SOME:  # a single one is an outlier
        raise ValueError(
            f"{what}, and {law} is a law for losses (a uniform guess over a million words costs {_LARGEST_LOSS} nats): "
            "this looks like per cent or a perplexity. Divide per cent by 100 (an accuracy first becomes 100 - "
            "accuracy), or take the logarithm of a perplexity."
        )
    if len(y) < 4 or y.max() > 1:
        return
    ranks = [_rank_correlation(runs.x(name), y) for name in runs.scales]
    if ranks and min(ranks) > 0.5:
        rises = " and ".join(f"{name} ({rank:.2f})" for name, rank in zip(runs.scales, ranks, strict=True))
        raise ValueError(
            f"{what} and rises with {rises}, rank correlation in brackets: this looks like an accuracy, and {law} is a "
            f"law for losses, which fall. Use the error, 1 - {runs.response}."
        )


def _rank_correlation(x: np.ndarray, y: np.ndarray) -> float:
    # By pandas, because importing scipy.stats would take another second.
    return float(pd.DataFrame({"x": x, "y": y}).corr("spearman").to_numpy()[0, 1]) if y.min() < y.max() else 0.0
