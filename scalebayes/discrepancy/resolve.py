"""Resolves a caller's discrepancy to a tuple of terms, and checks that they suit the runs and the observation."""

from __future__ import annotations

from scalebayes.arguments import nearest
from scalebayes.discrepancy import WORDS, Term
from scalebayes.observations import Observation
from scalebayes.runs import Runs

type Discrepancy = Term | str | tuple[Term | str, ...] | list[Term | str]


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
                f"discrepancy is {', '.join(map(repr, WORDS))}, a value such as sb.Drift(), a tuple of them, or None, "
                f"got {part!r}{nearest(part, WORDS) if isinstance(part, str) else ''}."
            )
        terms.append(made)
    if len({type(term) for term in terms}) < len(terms) or sum(term.moves_mean for term in terms) > 1:
        raise ValueError(
            f"a discrepancy is a drift or a surface, and run effects beside it or alone; got {words(tuple(terms))}."
        )
    return tuple(terms)


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
                f"observation='gaussian'; got {observation.word!r}."
            )
        term.check(runs)
