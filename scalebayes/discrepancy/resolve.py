"""Resolves a caller's discrepancy to a tuple of terms, or chooses them, and checks that runs and observation suit."""

from __future__ import annotations

import numpy as np

from scalebayes.arguments import nearest, quoted
from scalebayes.discrepancy import WORDS, Drift, RunEffects, Surface, Term
from scalebayes.observations import Observation, StudentT
from scalebayes.runs import Runs

type Discrepancy = Term | str | tuple[Term | str, ...] | list[Term | str]

AUTO = "auto"
_MOST_RUNS = 2000  # with more, a surface takes minutes


def as_terms(discrepancy: object) -> tuple[Term, ...]:
    """The terms of a discrepancy; none for None.

    Raises
    ------
    ValueError
        If a term is unknown, or two terms are of one kind, or two terms move the mean.
    """
    if discrepancy is None:
        return ()
    parts = discrepancy if isinstance(discrepancy, tuple | list) else (discrepancy,)
    terms: list[Term] = []
    for part in parts:
        made = WORDS[part]() if isinstance(part, str) and part in WORDS else part
        if isinstance(made, type) or not isinstance(made, Term):
            raise ValueError(
                f"discrepancy is {', '.join(map(repr, (AUTO, *WORDS)))}, a value such as sb.Drift(), a tuple of them, "
                f"or None, got {quoted(part)}{nearest(part, WORDS) if isinstance(part, str) else ''}."
            )
        terms.append(made)
    if len({type(term) for term in terms}) < len(terms) or sum(term.moves_mean for term in terms) > 1:
        raise ValueError(
            f"a discrepancy is a drift or a surface, and run effects beside it or alone; got {words(tuple(terms))}."
        )
    return tuple(terms)


def chosen(runs: Runs, observation: Observation | None) -> tuple[tuple[Term, ...], str]:
    """The terms for a caller who names none, and in words why it is these.

    A drift where the runs lie along one scale, a surface where they spread over two, and run effects beside either
    where some runs have several rows. None where these do not suit the runs or the observation.

    Parameters
    ----------
    runs : Runs
        With the inputs of the law only.
    observation : Observation or None
        The caller's own; None for the default beside the terms.
    """
    moving = [name for name, each in runs.inputs.items() if each.kind != "constant"]
    scales = [name for name in moving if name in runs.scales]
    columns = ", ".join(each.label for each in runs.inputs.values())
    if len(moving) == len(scales) == 1:
        terms: tuple[Term, ...] = (Drift(),)
        why = f"the runs lie along one scale, {runs.inputs[scales[0]].label}"
    elif len(runs.inputs) == len(scales) == 2:
        terms = (Surface(),)
        why = f"the runs spread over two scales, {columns}"
        if len(runs) > _MOST_RUNS:
            return (), f"{len(runs)} runs are more than the {_MOST_RUNS} for which a surface is quick"
    else:
        return (), f"a drift is along one scale and a surface over two, and the inputs are {columns}"
    if _some_have_several_rows(runs):
        terms, why = (*terms, RunEffects()), f"{why}, and some of them have several rows"
    beside = observation or next((found for term in terms if (found := term.observation())), StudentT())
    if beside.sd is not None and beside.scale.name != "log":
        return (), (
            f"the priors of a {terms[0].word} by default are those of losses on the logarithm, and the observation is "
            f"on the {beside.scale.name} scale; state a discrepancy to have one"
        )
    try:
        check_together(terms, beside, runs)
    except ValueError as unsuitable:
        return (), str(unsuitable).rstrip(".")
    return terms, why


def _some_have_several_rows(runs: Runs) -> bool:
    """Whether some runs have several rows, beside others of the same group."""
    if runs.run is None:
        return False
    of_groups = [np.unique(runs.labels[runs.rows(level)], return_counts=True)[1] for level in runs.levels or (None,)]
    return any(len(counts) > 1 and counts.max() > 1 for counts in of_groups)


def words(terms: tuple[Term, ...]) -> str:
    """The name of a discrepancy: ``drift``, ``surface+run effects``."""
    return "+".join(term.word for term in terms)


def check_together(terms: tuple[Term, ...], observation: Observation, runs: Runs) -> None:
    """Refuse terms that do not suit the runs, or that the observation cannot carry.

    Raises
    ------
    ValueError
    """
    for term in terms:
        if observation.sd is None:
            raise ValueError(
                f"a {observation.word.replace('_', '-')} observation has no standard deviation on a scale for "
                f"{term.word!r} to act on; fit without discrepancy, or take sb.StudentT() or sb.Gaussian()."
            )
        if not term.sampled and not observation.is_gaussian:
            raise ValueError(
                f"the discrepancy {term.word!r} is integrated out, which needs a Gaussian observation, such as "
                f"observation='gaussian'; got {quoted(observation.word)}."
            )
        term.check(runs)
