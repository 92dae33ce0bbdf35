"""Scores of a sealed forecast against the results: coverage, CRPS and interval scores."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from scalebayes.arguments import check_positive, nearest, quoted
from scalebayes.checks.ledger import enter_score, known_seals, path_of
from scalebayes.checks.seal import Sealed, date, read_sealed
from scalebayes.notebook import shown as in_notebook
from scalebayes.numerics.scores import crps, transform
from scalebayes.questions.wording import plain, response, where
from scalebayes.runs.runs import Runs, numbers
from scalebayes.runs.tables import read_table


@dataclass(frozen=True, eq=False, repr=False)
class Score:
    """The answer of `score`.

    Parameters
    ----------
    table : pandas.DataFrame
        One row per result at a sealed point:

        - the inputs, group, observed; median, lower, upper of the forecast of a new run;
        - inside: whether the result lies in this interval;
        - crps, the continuous ranked probability score, and interval_score, in units of the response; smaller is
          better (Gneiting and Raftery 2007, J. Amer. Statist. Assoc. 102);
        - pit: the probability that was forecast for a smaller response.
    coverage, crps, interval_score : float
        Means over the rows.
    missing : pandas.DataFrame
        The sealed points without a result.
    others : int
        Number of results at no sealed point, which are left out.
    prob : float
        Probability of the interval.
    seal, sealed_at, law, response : str
        What the sealed file says.
    inputs : tuple of str
        Names of the inputs.
    remarks : tuple of str
        What the ledger knows against this file, and whether the fit had not converged.
    """

    table: pd.DataFrame
    coverage: float
    crps: float
    interval_score: float
    missing: pd.DataFrame
    others: int
    prob: float
    seal: str
    sealed_at: str
    law: str
    response: str
    inputs: tuple[str, ...]
    remarks: tuple[str, ...]

    def __str__(self) -> str:
        inside, n = int(self.table["inside"].sum()), len(self.table)
        lines = [
            f"{inside} of {n} results lie in the {100 * self.prob:g}% bands sealed on {date(self.sealed_at)} "
            f"(coverage {self.coverage:.2f}); mean CRPS {self.crps:.3g}, mean interval score "
            f"{self.interval_score:.3g}, in units of {self.response}."
        ]
        for row in self.table.head(12).to_dict("records"):
            group = f"{row['group']}: " if row["group"] else ""
            side = "inside" if row["inside"] else "below" if row["observed"] < row["lower"] else "above"
            lines.append(
                f"{group}at {where({name: row[name] for name in self.inputs})} {response(row['observed'])} was "
                f"measured, {side} {response(row['lower'])} to {response(row['upper'])}."
            )
        if n > 12:
            lines.append(f"... and {n - 12} more results, in .table.")
        if len(self.missing):
            lines.append(f"{len(self.missing)} sealed points have no result yet.")
        if self.others:
            lines.append(f"{self.others} results are at no sealed point and were left out.")
        return "\n".join([*self.remarks, *lines])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return in_notebook(str(self), self.table)

    def to_dict(self) -> dict[str, Any]:
        """The table and the scores as nested dictionaries of numbers and strings."""
        names = ("coverage", "crps", "interval_score", "others", "prob", "seal", "sealed_at", "law", "response")
        found = {name: getattr(self, name) for name in names}
        return plain({**found, "results": self.table, "missing": self.missing, "remarks": list(self.remarks)})


def score(
    sealed: Sealed | str | os.PathLike,
    results: pd.DataFrame | Runs | str | os.PathLike,
    *,
    ledger: str | os.PathLike | None = None,
    tolerance: float = 0.01,
) -> Score:
    r"""Compare a sealed forecast with what was measured.

    Of a result y with the interval from l to u of probability p, the interval score is
    :math:`u - l + \frac{2}{1 - p} \max(l - y, y - u, 0)`, and the CRPS is that of the sealed quantiles of a new run.

    Parameters
    ----------
    sealed : Sealed or path
        The file that `seal` wrote.
    results : pandas.DataFrame, Runs or path
        Runs with the inputs, the group's columns and the response, by the names of the fitted table or of the law.
    ledger : path, optional
        The ledger in which the forecast was sealed. It knows whether the forecast was sealed anew, and keeps the score.
    tolerance : float
        Largest relative difference of an input between a result and its point.

    Returns
    -------
    Score

    Raises
    ------
    OSError
        If there is no such file.
    ValueError
        If the sealed file was changed, the results lack a column, or none of them is at a sealed point.

    Examples
    --------
    With the fit of `fit`'s example:

    >>> import tempfile, pathlib, pandas as pd
    >>> file = pathlib.Path(tempfile.mkdtemp()) / "sealed.json"
    >>> sealed = sb.seal(fit, sb.forecast(fit, at={"C": 1e23}, group="Pythia"), file)
    >>> found = sb.score(file, pd.DataFrame({"C": [1e23], "family": "Pythia", "loss": 1.45}))
    >>> found.coverage
    1.0
    """
    check_positive(tolerance, "tolerance")
    of = read_sealed(sealed.path if isinstance(sealed, Sealed) else sealed)
    c = of.contents
    book = None if ledger is None else path_of(ledger)
    table = _results(results)
    x = {name: _input(table, name, c["inputs"].get(name)) for name in c["points"][0]["inputs"]}
    y = numbers(_column(table, c["response"], (), "the response"))
    group = _groups(table, c["groups"])
    bad = ~np.isfinite(y)
    if bad.any():
        raise ValueError(
            f"{c['response']} must be a finite number; {bad.sum()} of {len(y)} results are not, first: row "
            f"{table.index[np.flatnonzero(bad)[0]]}."
        )
    rows, used, lacking = [], np.zeros(len(table), bool), []
    for point in c["points"]:
        there = np.ones(len(table), bool)
        for name, value in point["inputs"].items():
            there &= _near(x[name], value, tolerance)
        there &= group == point["group"] if c["groups"] and point["group"] != "(new)" else True
        if not there.any():
            lacking.append({**point["inputs"], "group": point["group"]})
        used |= there
        for i in np.flatnonzero(there):
            rows.append(_scored(point, float(y[i]), c["prob"], np.asarray(c["levels"])))
    if not rows:
        first = c["points"][0]
        at = f"{where(first['inputs'])}" + (f" of {first['group']}" if first["group"] else "")
        raise ValueError(
            f"none of the {len(table)} results is at a sealed point, the first of which is {at}: are these the results "
            f"of other runs? An input may differ by {100 * tolerance:g}%, tolerance=."
        )
    found = pd.DataFrame(rows)
    remarks = [] if c["converged"] else ["The fit had NOT CONVERGED when this was sealed."]
    summary = {
        "runs": len(found),
        "inside": int(found["inside"].sum()),
        "prob": c["prob"],
        "crps": float(found["crps"].mean()),
        "interval_score": float(found["interval_score"].mean()),
    }
    if book is not None:
        remarks += _remembered(book, c)
        enter_score(book, c["seal"], _digest(y, x, group), summary)
    return Score(
        found,
        float(found["inside"].mean()),
        summary["crps"],
        summary["interval_score"],
        pd.DataFrame(lacking, columns=[*c["inputs"], "group"]),
        int((~used).sum()),
        float(c["prob"]),
        c["seal"],
        c["sealed_at"],
        c["law"],
        c["response"],
        tuple(c["points"][0]["inputs"]),
        tuple(remarks),
    )


def _scored(point: Mapping[str, Any], y: float, prob: float, levels: np.ndarray) -> dict[str, Any]:
    lower, upper = float(point["new_run_lower"]), float(point["new_run_upper"])
    drawn = np.asarray(point["quantiles"], float)[:, None]
    return {
        **point["inputs"],
        "group": point["group"],
        "observed": y,
        "median": float(np.interp(0.5, levels, drawn[:, 0])),
        "lower": lower,
        "upper": upper,
        "inside": bool(lower <= y <= upper),
        "crps": float(crps(drawn, np.array([y]))[0]),
        "interval_score": upper - lower + 2 / (1 - prob) * max(lower - y, y - upper, 0.0),
        "pit": float(transform(drawn, np.array([y]))[0]),
    }


def _remembered(book: Path, contents: Mapping[str, Any]) -> list[str]:
    seals = known_seals(book, contents["id"])
    if not seals:
        return [f"This forecast is not in the ledger {book.name}: nothing says when it was made but the file itself."]
    if contents["seal"] != seals[0]:
        return [
            f"CHANGED: this forecast was first sealed as {seals[0][:16]}, and the file is sealed as "
            f"{contents['seal'][:16]}."
        ]
    return []


def _results(results: object) -> pd.DataFrame:
    if isinstance(results, Runs):
        return results.table
    if isinstance(results, pd.DataFrame):
        return results
    if isinstance(results, str | os.PathLike):
        return read_table(results)[0]
    raise TypeError(f"results are a DataFrame, Runs or a file of a table, got {type(results).__name__}.")


def _column(table: pd.DataFrame, name: str, others: tuple[str, ...], what: str) -> pd.Series:
    for column in (name, *others):
        if column in table:
            return table[column]
    raise ValueError(
        f"the results need {what}, a column {name!r}{nearest(name, table.columns)}; they have "
        f"{quoted(list(map(str, table.columns)))[1:-1]}."
    )


def _input(table: pd.DataFrame, name: str, each: Mapping[str, Any] | None) -> np.ndarray:
    """The values of an input, in the unit of the forecast; of a schedule its names."""
    if each is None:  # a part of a vector, a schedule, or what the noise reads: under its own name
        values = _column(table, name, (), f"the input {name}")
        found = numbers(values)
        return found if np.isfinite(found).any() else values.astype(str).to_numpy()
    if each["original"] and each["original"][0] in table:
        return float(each["original"][1]) * numbers(table[each["original"][0]])
    return numbers(_column(table, each["columns"][0], (name,), f"the input {name}"))


def _groups(table: pd.DataFrame, columns: list[str]) -> np.ndarray:
    if not columns:
        return np.full(len(table), "")
    parts = [_column(table, column, (), "the group").astype(str) for column in columns]
    return np.asarray([", ".join(row) for row in zip(*parts, strict=True)])


def _near(values: np.ndarray, value: Any, tolerance: float) -> np.ndarray:
    if isinstance(value, str):
        return values == value
    return np.abs(values - float(value)) <= tolerance * max(abs(float(value)), 1e-300)


def _digest(y: np.ndarray, x: Mapping[str, np.ndarray], group: np.ndarray) -> str:
    found = hashlib.sha256(y.tobytes())
    for name in sorted(x):
        found.update(name.encode() + x[name].tobytes())
    found.update("\0".join(map(str, group)).encode())
    return found.hexdigest()[:16]
