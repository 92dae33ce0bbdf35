"""The groups of a question: their labels, and checks that they exist and are comparable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from scalebayes.arguments import nearest
from scalebayes.fits.fit import Fit
from scalebayes.runs import Runs

type Group = str | tuple

NO_RUNS = (
    "a group without runs has no frontier to drift from and no surface; ask about a known one, or fit with "
    "discrepancy=None."
)


def check_one(fit: object, what: str) -> None:
    """Refuse what is not a single fit, such as an average of several."""
    if not isinstance(fit, Fit):
        raise TypeError(f"{what} is of one Fit, got {type(fit).__name__}; use each fit of an average by itself.")


def label_of(group: object) -> str:
    """The label of a group; the values of several columns are joined by commas."""
    return ", ".join(map(str, group)) if isinstance(group, tuple | list) else str(group)


def check_group(runs: Runs, group: object, new_group: bool = False) -> str | None:
    """The label of the group, or None; a group that does not exist is refused."""
    if group is not None and new_group:
        raise ValueError("a known group and a new one exclude each other; give group or new_group.")
    if not runs.group and (group is not None or new_group):
        raise ValueError("the fit has no groups; leave group out.")
    return None if group is None else _known(runs, label_of(group))


def check_levels(runs: Runs, groups: Sequence[Group] | Group | None, fewest: int = 2) -> tuple[str, ...]:
    """The labels of the groups to compare.

    Raises
    ------
    ValueError
        If there are too few groups, or one does not exist.
    """
    if not runs.group:
        raise ValueError("the fit has no groups to compare; name a group column in read_runs.")
    named = (groups,) if isinstance(groups, str) else groups
    levels = tuple(_known(runs, label_of(group)) for group in named or runs.levels)
    if len(set(levels)) < max(fewest, len(levels)):
        raise ValueError(f"{fewest} different groups or more are compared, got {', '.join(levels)}.")
    return levels


def _known(runs: Runs, label: str) -> str:
    if label not in runs.levels:
        raise ValueError(
            f"{runs.group_name} has no group {label!r}{nearest(label, runs.levels)}; the groups are "
            f"{', '.join(map(repr, runs.levels))}."
        )
    return label


def check_comparable(groups: Mapping[str, tuple[Runs, str | None]], across: bool = False) -> None:
    """Refuse groups whose losses are measured with different tokenizers or on different evaluation sets.

    With effects of evaluations, groups may be compared across several of them.
    """
    for what in ("tokenizer",) if across else ("tokenizer", "evaluation"):
        used = {}
        for name, (runs, level) in groups.items():
            column = getattr(runs, what)
            if column is not None:
                used[name] = column, sorted(set(runs.table[column].astype(str).to_numpy()[runs.rows(level)]))
        if len({value for _, values in used.values() for value in values}) > 1:
            columns = ", ".join(dict.fromkeys(column for column, _ in used.values()))
            said = "; ".join(f"{name}: {', '.join(values)}" for name, (_, values) in used.items())
            raise ValueError(
                f"the groups declare another {what} ({columns}: {said}): their losses are not comparable. Convert them "
                "to bits per byte on one evaluation set, or compare groups that share it."
            )
