"""The runs that a comparison rests on: curves of the groups among them, in short, for a picture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from scalebayes.questions.along import Together, mean_along
from scalebayes.questions.paths import Path, observed_scales

_POINTS = 25


def curves_among(
    sources: Sequence[Together],
    paths: Sequence[Sequence[Sequence[Path]]],
    levels: Sequence[str],
    axis: str,
    start: float,
    prob: float,
    seed: int,
) -> pd.DataFrame:
    """The mean response of each group from its smallest run to the decision scale, summarised."""
    columns = ["group", "scale", "median", "lower", "upper"]
    rows = [pd.DataFrame(columns=columns)]
    for (source, names), own in zip(named_groups(sources, levels), paths, strict=False):
        smallest = [observed_scales(source.runs, axis, level).min() for level in source.levels]
        if min(smallest) >= start:
            continue
        scales = np.geomspace(min(smallest), start, _POINTS)
        drawn = [
            mean_along(each, source.levels, a, scales, seed) for (each, _), a in zip(source.parts, own, strict=True)
        ]
        ends = np.quantile(source.mixed(drawn), [0.5, (1 - prob) / 2, (1 + prob) / 2], axis=0)
        for k, (name, first) in enumerate(zip(names, smallest, strict=True)):
            shown = scales >= first * (1 - 1e-9)
            rows.append(
                pd.DataFrame(
                    {"group": name, "scale": scales[shown], **dict(zip(columns[2:], ends[:, k, shown], strict=True))}
                )
            )
    return pd.concat(rows[1:] or rows, ignore_index=True)


def named_groups(sources: Sequence[Together], levels: Sequence[str]) -> list[tuple[Together, Sequence[str]]]:
    """The names of each source's groups among those of all."""
    ends = np.cumsum([0, *(len(source.levels) for source in sources)])
    return [(source, levels[a:b]) for source, a, b in zip(sources, ends[:-1], ends[1:], strict=True)]
