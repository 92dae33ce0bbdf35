"""The answer of a back-test: scores by curve, their means and intervals, and what they say in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from scalebayes.inference.diagnostics import Diagnostics
from scalebayes.notebook import shown
from scalebayes.numerics import scores
from scalebayes.questions.wording import plain

_RESAMPLED = 1000
SCORES = ("rmsle", "log_score", "crps", *(f"coverage_{100 * p:g}" for p in scores.PROBS), "width_89")


@dataclass(frozen=True, eq=False, repr=False)
class Backtest:
    """The answer of `backtest`.

    Parameters
    ----------
    points : pandas.DataFrame
        A row per forecast run: setting, pool, curve, the inputs, scale (or compute), reach (that over the curve's
        largest known), response, median, lower and upper (89% of a new run), error (of the median, on the observation's
        scale), crps, log_score, pit.
    curves : pandas.DataFrame
        A row per setting and curve; where several fits are averaged, it is about the average. It has numbers of runs:
        known (up to the cut-off) and fitted (of these), ahead (beyond the cut-off) and tested (of these). It has
        scores: rmsle, crps, log_score, coverage_50, _80, _89, _95, width_89 (in logs). It says how the sampling went:
        converged, max_r_hat, diverging (share of draws), problem, and fit (what was fitted together; empty where that
        differs between averaged fits).
    members : pandas.DataFrame
        The same scores for each averaged fit, by method; empty where there is one fit. If some are fitted to a pool and
        others to each curve alone, methods are called pooled and separate.
    baselines : pandas.DataFrame
        A row per setting, curve and method: rmsle; for the bootstrap also coverage_89 and width_89; for least squares
        also converged. Its problem says why there is no error, or that the search has not converged.
    known : pandas.DataFrame
        The runs up to the cut-off: setting, curve, scale, response. A fit has at most ``points`` of each curve.
    skipped : tuple of (setting, curve, reason)
        Curves that were left out, if the caller allowed it.
    law, response : str
    of : str
        What has a fit of its own, in words: "curve" along one scale, else "group".
    scale : str
        The observation's scale, on which errors and widths are: "log", "identity" or "logit".
    clusters : mapping of str to str
        The cluster of each curve; the curves of a cluster are resampled together.
    """

    points: pd.DataFrame
    curves: pd.DataFrame
    members: pd.DataFrame
    baselines: pd.DataFrame
    known: pd.DataFrame
    skipped: tuple[tuple[str, str, str], ...]
    law: str
    response: str
    of: str
    scale: str
    clusters: Mapping[str, str]

    @property
    def table(self) -> pd.DataFrame:
        """Means over curves by setting, pool and method, with 89% cluster-bootstrap intervals (``_lower``, ``_upper``).

        ``curves`` is the number of curves in a mean, ``failed`` that of curves whose fits have no draws to forecast
        with. An average comes before its members. A single cluster has no interval.
        """
        rows = []
        whole = pd.concat([table for table in (self.curves, self.members) if len(table)])
        parts = whole.groupby(["setting", "pool", "method"], sort=False)
        for (setting, pool, method), part in parts:
            scored = int(part["rmsle"].notna().sum())
            row: dict[str, Any] = {
                "setting": setting,
                "pool": pool,
                "method": method,
                "curves": scored,
                "failed": len(part) - scored,
            }
            for name in SCORES:
                row |= _with_interval(name, part[name].to_numpy(), part["curve"].map(self.clusters).to_numpy())
            rows.append(row)
        return pd.DataFrame(rows)

    def compared(self, setting: str) -> pd.DataFrame:
        """Mean RMSLE, coverage and width of every method at a setting, the posterior's first.

        ``curves`` is the number of curves in a mean; for ``unconverged`` of them sampling or search has not converged.
        """
        tables = (_means(table, setting) for table in (self.curves, self.members, self.baselines))
        return pd.concat([table for table in tables if len(table)], ignore_index=True)

    @property
    def _own(self) -> pd.DataFrame:
        table, (method,) = self.table, self.curves["method"].unique()
        return table[table["method"] == method]

    def _divergences(self, setting: str) -> int:
        """Divergences of all fits, each counted once."""
        fits = self.members if len(self.members) else self.curves
        return int(fits[fits["setting"] == setting].drop_duplicates(["method", "fit"])["divergences"].sum())

    def __str__(self) -> str:
        bad = self.curves[~self.curves["converged"]]
        lines = [
            f"NOT CONVERGED: {said_setting(r['setting'])}, {r['curve'] or 'all runs'}: {r['problem']}"
            for _, r in bad.iterrows()
        ]
        for _, row in self._own.iterrows():
            own = self.curves[(self.curves["setting"] == row["setting"]) & (self.curves["pool"] == row["pool"])]
            where = said_setting(row["setting"]) + (f", {row['pool']}" if row["pool"] else "")
            low, high = (100 * row[f"coverage_89_{end}"] for end in ("lower", "upper"))
            interval = f" [{low:.0f}, {high:.0f}]" if np.isfinite(low) else ""
            lines.append(
                f"{where} ({self._counts(own)}): the median is off by {self._error(row['rmsle'])}; 89% bands of "
                f"a new run hold {100 * row['coverage_89']:.0f}%{interval} of the runs held back, 50% bands "
                f"{100 * row['coverage_50']:.0f}%; {self._width(row['width_89'])}."
            )
        for setting in self.curves["setting"].unique():
            others = self.compared(str(setting)).iloc[1:].dropna(subset="rmsle")
            errors = "; ".join(
                f"{r['method']} {self._size(r['rmsle'])}"
                + (f" ({r['unconverged']} not converged)" if r["unconverged"] else "")
                for r in others.to_dict("records")
            )
            if errors:
                lines.append(f"{said_setting(setting)}, {self._called} of others: {errors}.")
        if self.skipped:
            lines.append(f"{len(self.skipped)} skipped: {'; '.join(f'{s}, {c}: {why}' for s, c, why in self.skipped)}.")
        worst, share = self.curves["max_r_hat"].max(), self.curves["diverging"].max()
        lines.append(f"(max r-hat {worst:.3f}, at most {share:.2%} of a fit's draws diverged)")
        return "\n".join(lines)

    @property
    def _called(self) -> str:
        return "RMSLE" if self.scale == "log" else "RMSE"

    def _size(self, error: float) -> str:
        return f"{100 * error:.1f}%" if self.scale == "log" else f"{error:.3g}"

    def _error(self, error: float) -> str:
        return f"{self._size(error)} {'in log-odds ' if self.scale == 'logit' else ''}({self._called})"

    def _width(self, width: float) -> str:
        if self.scale == "log":
            return f"the upper end of an 89% band lies {100 * np.expm1(width):.2g}% above the lower one"
        return f"89% bands are {width:.3g} wide{' in log-odds' if self.scale == 'logit' else ''}"

    def _counts(self, rows: pd.DataFrame) -> str:
        """How many curves or groups, and of their runs how many were known, fitted, held back and forecast."""
        n, failed = len(rows), int(rows["rmsle"].isna().sum())
        runs = rows[["known", "fitted", "ahead", "tested"]].sum()
        fitted = f", {runs['fitted']} of them fitted" if runs["fitted"] < runs["known"] else ""
        tested = f", {runs['tested']} of them forecast" if runs["tested"] < runs["ahead"] else ""
        said = f"{runs['known']} runs known{fitted}, {runs['ahead']} held back{tested}"
        if fitted or tested:
            said += ", spread evenly over the logarithm of the scale"
        if n > 1 or rows["curve"].iloc[0]:
            said = f"{n} {self.of}{'s' if n != 1 else ''}, {said}"
        return said + (f"; {failed} without a forecast" if failed else "")

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return shown(str(self), self.table)

    @property
    def diagnostics(self) -> Diagnostics:
        """The draws and divergences of all fits, and their worst r-hat and ESS."""
        fits = (self.members if len(self.members) else self.curves).drop_duplicates(["setting", "method", "fit"])
        return Diagnostics(
            int(fits["draws"].sum()),
            int(fits["divergences"].sum()),
            float(fits["max_r_hat"].max()),
            float(fits["min_ess_bulk"].min()),
            float(fits["min_ess_tail"].min()),
        )

    def to_dict(self) -> dict[str, Any]:
        """Everything but the points, as nested dictionaries of numbers and strings."""
        table, found = self._own, []
        for setting in dict.fromkeys([*self.curves["setting"], *(s for s, _, _ in self.skipped)]):
            own = self.curves[self.curves["setting"] == setting]
            groups = [_group(row) for _, row in table[table["setting"] == setting].iterrows()]
            members, baselines = (
                _means(of, setting).set_index("method").to_dict("index") for of in (self.members, self.baselines)
            )
            found.append(
                {
                    "cutoff": setting,
                    "groups": groups,
                    "curves": own.rename(columns={"curve": "name"}).drop(columns="setting").to_dict("records"),
                    "members": members,
                    "baselines": baselines,
                    "max_r_hat": own["max_r_hat"].max() if len(own) else None,
                    "divergences": self._divergences(str(setting)),
                    "skipped": [{"name": c, "reason": why} for s, c, why in self.skipped if s == setting],
                }
            )
        return plain({"law": self.law, "settings": found})


def said_setting(setting: object) -> str:
    """A setting in words.

    >>> said_setting("top 0.1"), said_setting("0.3"), said_setting("is_train")
    ('Largest 10% held back', 'Known to 30% of the scale', 'Known by is_train')
    """
    share = str(setting).removeprefix("top ")
    try:
        percent = f"{100 * float(share):g}%"
    except ValueError:
        return f"Known by {setting}"
    return f"Known to {percent} of the scale" if share == str(setting) else f"Largest {percent} held back"


def _means(table: pd.DataFrame, setting: str) -> pd.DataFrame:
    """Mean scores of every method of a table at a setting."""
    rows = []
    for method, part in table[table["setting"] == setting].groupby("method", sort=False):
        means = part[["rmsle", "coverage_89", "width_89"]].mean()
        # Rules of thumb have nothing that could fail to converge.
        bad = int((part["converged"].eq(False) & part["rmsle"].notna()).sum())
        rows.append({"method": method, **means, "curves": int(part["rmsle"].notna().sum()), "unconverged": bad})
    return pd.DataFrame(rows, columns=["method", "rmsle", "coverage_89", "width_89", "curves", "unconverged"])


def _with_interval(name: str, values: np.ndarray, clusters: np.ndarray) -> dict[str, float]:
    values, clusters = values[np.isfinite(values)], clusters[np.isfinite(values)]
    _, index = np.unique(clusters, return_inverse=True)
    n = index.max(initial=-1) + 1
    if n < 2:
        mean = float(values.mean()) if n else np.nan
        return {name: mean, f"{name}_lower": np.nan, f"{name}_upper": np.nan}
    sums, counts = np.bincount(index, values, n), np.bincount(index, minlength=n)
    chosen = np.random.default_rng(0).integers(n, size=(_RESAMPLED, n))
    means = sums[chosen].sum(1) / counts[chosen].sum(1)
    lower, upper = np.quantile(means, [(1 - scores.BAND) / 2, (1 + scores.BAND) / 2])
    return {name: float(values.mean()), f"{name}_lower": float(lower), f"{name}_upper": float(upper)}


def _group(row: pd.Series) -> dict[str, Any]:
    means = {name: row[name] for name in ("curves", "failed", "rmsle", "log_score", "crps")}
    coverage = {f"{p:g}": row[f"coverage_{100 * p:g}"] for p in scores.PROBS}
    intervals = {name: [row[f"{name}_lower"], row[f"{name}_upper"]] for name in SCORES}
    return {"name": row["pool"], **means, "coverage": coverage, "width_89": row["width_89"], "intervals": intervals}
