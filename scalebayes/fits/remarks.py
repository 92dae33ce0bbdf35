"""What to know before believing an answer, in sentences put together from what was computed when the fit was made."""

from __future__ import annotations

import json
from typing import NamedTuple

import numpy as np
import xarray as xr

from scalebayes.discrepancy.resolve import chosen
from scalebayes.fits.bending import Bend, Bending
from scalebayes.laws import keywords
from scalebayes.model import Model
from scalebayes.model.structure import OUTLYING

_MOST = 3  # outliers named in a sentence


def stored(bending: Bending | None) -> str:
    """A bending as a file holds it."""
    return "" if bending is None else json.dumps({"p": bending.p, "bends": bending.bends})


def restored(text: str) -> Bending | None:
    """The bending that `stored` wrote."""
    if not text:
        return None
    found = json.loads(text)
    return Bending(found["p"], tuple(Bend(*bend) for bend in found["bends"]))


def remarks(model: Model, bending: Bending | None) -> tuple[str, ...]:
    """Sentences about runs that bend away from the law, and about single runs far from all others."""
    return tuple(sentence for sentence in (_of_bend(model, bending), _of_outliers(model)) if sentence)


def of_places(model: Model, posterior: xr.Dataset) -> list[str]:
    """A sentence for each place on an input, such as a break, that the runs do not show."""
    runs, law, found = model.runs, model.law, []
    renamed = dict(zip(law.inputs, runs.inputs, strict=True))
    for name, input_ in law.places.items():
        place = posterior[name] if name in posterior else _derived(model, posterior, name)
        x = runs.x(renamed[input_])
        outside = ((place < x.min()) | (place > x.max())).mean(("chain", "draw"))
        dim = runs.group_name
        levels = [str(level) for level in outside[dim].to_numpy()[outside.to_numpy() > 0.5]] if outside.ndim else []
        if (outside.ndim and not levels) or (not outside.ndim and float(outside) <= 0.5):
            continue
        more = f" and {len(levels) - _MOST} more" if len(levels) > _MOST else ""
        of = f" of {', '.join(levels[:_MOST])}{more}" if levels else f" (probability {float(outside):.2f})"
        found.append(
            f"{name}{of} lies outside the runs, whose {runs.inputs[renamed[input_]].label} goes from {x.min():.4g} "
            f"to {x.max():.4g}: little but its prior says where, and what lies beyond it rests on that."
        )
    return found


def _derived(model: Model, posterior: xr.Dataset, name: str) -> xr.DataArray:
    quantity = model.law.derived[name]
    return quantity(**{each: posterior[each] for each in keywords(quantity)})


def _of_bend(model: Model, bending: Bending | None) -> str:
    if bending is None or not bending.is_clear:
        return ""
    bend = bending.bends[0]
    which = f"the last {bend.runs} of {bend.of} runs" if bend.runs > 1 else f"the last of {bend.of} runs"
    which += f" of {bend.group}" if bend.group else ""
    p = "p < 0.001" if bending.p < 0.001 else f"p = {bending.p:.3f}"
    return (
        f"The runs bend away from {model.name} ({p}): {which} along {_axis(model, bend.along)} "
        f"{_lie(model, bend)}; {_what_follows(model)}."
    )


def _axis(model: Model, along: str) -> str:
    runs = model.runs
    return runs.inputs[along].label if along in runs.inputs else {"order": "the table"}.get(along, along)


def _lie(model: Model, bend: Bend) -> str:
    """How far the runs at the end lie from the law's best line: "lie 3 to 8% below it"."""
    middle, low, high = bend.off
    near, far = sorted((abs(low), abs(high))) if low * high > 0 else (None, abs(middle))
    side = "below" if middle < 0 else "above"
    unit = "%" if model.observation.scale.name == "log" else f" on the {model.observation.scale.name} scale"
    sign = -1 if middle < 0 else 1
    share = [abs(100 * np.expm1(sign * v)) if unit == "%" else v for v in (near, far) if v is not None]
    size = [f"{v:.0f}" if v >= 10 else f"{v:.2g}" for v in share]
    lies = "lies" if bend.runs == 1 else "lie"
    return f"{lies} {' to '.join(dict.fromkeys(size))}{unit} {side} its best line"


def _what_follows(model: Model) -> str:
    if model.departs:
        return f"the {model.said_discrepancy} follows them"
    terms, _ = chosen(model.runs, None)
    if terms:
        return f"discrepancy={terms[0].word!r} follows such bends"
    return "another law may follow them"


def _of_outliers(model: Model) -> str:
    named = [
        f"{each.label} ({model.runs.response} {each.seen:.4g} where the others say {each.said:.4g})"
        for each in outliers(model)
    ]
    if not named:
        return ""
    more = f" and {len(named) - _MOST} more" if len(named) > _MOST else ""
    one = len(named) == 1
    return (
        f"{'Run' if one else 'Runs'} {', '.join(named[:_MOST])}{more} {'lies' if one else 'lie'} far from all others "
        f"and {'counts' if one else 'count'} with a wider noise."
    )


class Outlier(NamedTuple):
    """An outlier: its row in the table and its label, its response, and what the other runs say it is."""

    row: int
    label: str
    seen: float
    said: float


def outliers(model: Model) -> list[Outlier]:
    """The outliers, the farthest first; several rows may have one label."""
    far, runs = model.numbers.get(OUTLYING, np.zeros(0)), model.runs
    rows = np.flatnonzero(far)
    rows = rows[np.argsort(-np.abs(far[rows]), kind="stable")]
    said = model.observation.scale.moved(runs.y[rows], -far[rows])
    return [
        Outlier(int(row), str(runs.labels[row]), float(runs.y[row]), float(of))
        for row, of in zip(rows, said, strict=True)
    ]
