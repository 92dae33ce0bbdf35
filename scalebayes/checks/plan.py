"""What a back-test fits: each law to each curve, or to the curves of a pool together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from scalebayes.discrepancy import Term
from scalebayes.discrepancy.resolve import AUTO, Discrepancy, as_terms
from scalebayes.fits.averaging import name_of
from scalebayes.laws import Law, as_law
from scalebayes.model import Model
from scalebayes.model.responses import Response
from scalebayes.priors import with_pooling
from scalebayes.runs import Runs
from scalebayes.runs.splits import subset
from scalebayes.runs.thinning import thin

# A law, with its discrepancy if it names one; "separate" if it is fitted to each curve although there are pools.
type LawOrMember = (
    Callable
    | Law
    | tuple[Callable | Law, Discrepancy | None]
    | tuple[Callable | Law, Discrepancy | None, Literal["separate"]]
)
_PER_CURVE, _PER_POOLED_CURVE = 24, 12


class Member(NamedTuple):
    """A law, its discrepancy, and whether it is fitted to each curve alone although there are pools.

    A discrepancy of None is chosen for each table. ``repooled`` says that the discrepancy was named by a word; its
    default pooling then follows that of the fit.
    """

    law: Law
    discrepancy: tuple[Term, ...] | None
    separate: bool
    repooled: bool


class Method(NamedTuple):
    """One forecast of a curve: its name, the name of its fit, what that is fitted to, and the group in it, if any."""

    name: str
    fit: str
    of: str
    group: str | None


def averaged_laws(law: LawOrMember | Sequence[LawOrMember], discrepancy: Discrepancy | None) -> list[Member]:
    """The laws to average; those that name no discrepancy get the one given.

    Raises
    ------
    ValueError
        If there is no law, or one is given in another way.
    """
    several: Sequence[Any] = law if isinstance(law, list) else [law]
    if isinstance(law, tuple) and all(callable(each) or isinstance(each, Law | tuple) for each in law):
        several = law
    found = []
    for each in several:
        own = each if isinstance(each, tuple) else (each, discrepancy)
        if len(own) not in (2, 3) or own[2:] not in ((), ("separate",)):
            raise ValueError(
                'each of several laws is law, (law, discrepancy) or (law, discrepancy, "separate"), '
                f"got {_in_words(own)}."
            )
        parts = own[1] if isinstance(own[1], tuple | list) else (own[1],)
        by_word = any(isinstance(part, str) for part in parts)
        terms = None if isinstance(own[1], str) and own[1] == AUTO else as_terms(own[1])
        found.append(Member(as_law(own[0]), terms, len(own) == 3, by_word))
    if not found:
        raise ValueError("law is a law, or several of them; got none.")
    return found


def _in_words(own: tuple) -> str:
    return f"({', '.join(getattr(part, '__name__', repr(part)) for part in own)})"


def plan(
    averaged: Sequence[Member],
    parts: Mapping,
    runs: Runs,
    pools: Mapping[str, str],
    *,
    pooled: bool,
    points: int | None,
    priors: Mapping,
    pooling: Any,
    observation: Any,
    also: Mapping | None = None,
    horizon: float | None,
) -> tuple[dict[str, Model], dict[tuple[str, str], list[Method]], dict[tuple[str, str], str]]:
    """Models by the names of their fits, the methods of each curve at each setting, and why some curves have none.

    Parameters
    ----------
    averaged : sequence of Member
    parts : mapping of (setting, curve) to (known, ahead)
        See `split`.
    runs : Runs
    pools : mapping of str to str
        The pool of each curve.
    pooled : bool
        Whether the curves of a pool are fitted together.
    points : int, optional
        Most runs of a curve that are fitted.
    priors, observation, also, horizon
        See `Model`; the horizon is for the laws that drift.
    pooling
        See `Model`; for curves that are fitted together.

    Raises
    ------
    ValueError
        If two of the laws have the same name and discrepancy.
    """
    refused: dict[tuple[str, str], str] = {}
    models: dict[str, Model] = {}
    methods: dict[tuple[str, str], list[Method]] = {key: [] for key in parts}
    apart = pooled and any(each.separate for each in averaged)
    for each in averaged:
        together = pooled and not each.separate
        own = own_priors(each.law, priors, also)
        if not together:  # a single curve has no population
            own = {name: with_pooling(prior).prior for name, prior in own.items()}
        fit_of = {(s, level): _key(s, pools[level] if together else level) for s, level in parts}
        for name in dict.fromkeys(fit_of.values()):
            keys = [key for key in parts if fit_of[key] == name]
            table = subset(runs, np.sort(np.concatenate([parts[key][0] for key in keys])), grouped=together)
            if len(runs.scales) == 1:
                most = _PER_POOLED_CURVE if len(keys) > 1 else _PER_CURVE
                table = thin(table, most if points is None else points)
            how = pooling if together else None
            try:
                model = Model(
                    each.law,
                    table,
                    priors=own,
                    pooling=how,
                    observation=observation,
                    discrepancy=_given(each),
                    also=also,
                    horizon=horizon if _may_drift(each, table) else None,
                )
            except ValueError as why:
                refused |= dict.fromkeys(keys, str(why))
                continue
            called = name_of(model) + (", pooled" if apart and together else ", separate" if apart else "")
            fit = f"{called}, {name}"
            if fit in models:
                raise ValueError(f"two of the laws to be averaged are called {called}, and could not be distinguished.")
            models[fit] = model
            for setting, level in keys:
                methods[setting, level].append(Method(called, fit, name, level if together else None))
    if not refused:
        return models, methods, {}
    # The curves that are fitted together are planned again without the refused ones.
    rest = {key: part for key, part in parts.items() if key not in refused}
    found = plan(
        averaged,
        rest,
        runs,
        pools,
        pooled=pooled,
        points=points,
        priors=priors,
        pooling=pooling,
        observation=observation,
        also=also,
        horizon=horizon,
    )
    return *found[:2], refused | found[2]


def _given(member: Member) -> Discrepancy:
    if member.discrepancy is None:
        return AUTO
    return tuple(term.word for term in member.discrepancy) if member.repooled else member.discrepancy


def _may_drift(member: Member, runs: Runs) -> bool:
    if member.discrepancy is None:
        return len(runs.scales) == 1
    return any(term.takes_horizon for term in member.discrepancy)


def own_priors(law: Callable | Law, priors: Mapping, also: Mapping | None = None) -> dict:
    """The priors of a law's own parameters, and of those of the laws of further responses."""
    every = [law, *(each.law if isinstance(each, Response) else each for each in (also or {}).values())]
    known = {name for each in every for name in as_law(each).parameters}
    return {name: prior for name, prior in priors.items() if name in known}


def checked_priors(priors: Mapping, several: Sequence[Callable | Law]) -> None:
    """Refuse a prior of a parameter that no law has."""
    known = {name for law in several for name in as_law(law).parameters}
    for name in priors:
        if name not in known:
            every = ", ".join(as_law(law).name for law in several)
            raise ValueError(
                f"a prior is given for {name!r}, and {every} has the parameters {', '.join(sorted(known))}."
            )


def _key(setting: str, name: str) -> str:
    return f"{setting}: {name}" if name else setting
