"""Pages that are made from the package itself: a page for each family of laws, and the list of public names."""

from __future__ import annotations

import re
import warnings
from itertools import groupby
from pathlib import Path

import matplotlib

matplotlib.use("agg")

import numpy as np

import scalebayes as sb
from scalebayes.laws.catalogue import catalogue

SUBJECTS = {
    "Runs": (
        "read_runs",
        "tracker_runs",
        "Runs",
        "Input",
        "schedule",
        "thin",
        "frontier",
        "best_of",
        "grid",
        "pile_families",
        "datasets.load",
        "datasets.catalogue",
    ),
    "Models and priors": (
        *("Model", "Law", "Response", "shared", "pooled", "separate", "LogNormal", "Normal", "Gamma", "Share"),
        *("FloorShare", "ResponseShare", "ResponseLevel", "RangeShare", "Anchored"),
    ),
    "Observations and discrepancies": (
        *("StudentT", "Gaussian", "ExGaussian", "Binomial", "BetaBinomial", "NegativeBinomial"),
        *("Drift", "Surface", "RunEffects", "EvaluationEffects"),
    ),
    "Fits": ("fit", "sample", "fit_many", "average", "load", "Fit", "Fleet", "Average"),
    "Questions": (
        *("forecast", "reach", "crossover", "compare", "compare_laws", "allocate", "tune", "next_run", "misfit"),
        *("gate", "isoflop", "design", "enough_runs", "in_flight", "with_response", "with_schedules"),
    ),
    "Answers": (
        *("Forecast", "Reach", "Crossover", "Comparison", "LawComparison", "Allocation", "Tuning", "NextRun", "Misfit"),
        *("Gate", "IsoFlop", "Design", "Enough", "InFlight"),
    ),
    "Checks": (
        *("backtest", "Backtest", "sensitivity", "Sensitivity", "floor_report", "FloorReport", "record", "redo"),
        "Record",
    ),
    "Sealed forecasts": ("seal", "Sealed", "score", "Score", "ledger", "Ledger"),
    "Pictures and reports": (
        *("plot", "plot_misfit", "plot_crossover", "plot_comparison", "plot_allocation", "plot_tuning"),
        *(
            "plot_next_run",
            "plot_backtest",
            "plot_gate",
            "plot_floor_report",
            "plot_isoflop",
            "plot_reduction",
            "plot_design",
            "plot_enough_runs",
        ),
        *("plot_score", "plot_in_flight", "report", "Report"),
    ),
    "Warnings": ("RunsWarning", "ConvergenceWarning"),
}


def write(folder: Path) -> None:
    """Write all of them into a folder of pages."""
    made = folder / "made"
    made.mkdir(exist_ok=True)
    _api(folder / "api.md")
    _laws(made)


def _api(path: Path) -> None:
    named = [name for names in SUBJECTS.values() for name in names]
    lacking = sorted(set(sb.__all__) - {"laws", "datasets"} - set(named))
    if lacking or len(set(named)) < len(named):
        raise ValueError(f"the list of public names lacks {lacking}, or names one twice")
    lines = ["# API", "", "Every public name. The functions of laws stand in the [catalogue](made/laws.md).", ""]
    for subject, names in SUBJECTS.items():
        lines += [f"## {subject}", "", "```{eval-rst}", ".. autosummary::", "   :toctree: made/api", ""]
        lines += [*(f"   scalebayes.{name}" for name in names), "```", ""]
    _changed(path, "\n".join(lines))


def _laws(folder: Path) -> None:
    """A page for each family: equation, units and paper of each law from its docstring, and a picture of its prior."""
    families = [(family, list(rows)) for family, rows in groupby(catalogue(), key=lambda row: row["family"])]
    titles = []
    for family, rows in families:
        name = f"laws_{_slug(family)}"
        titles.append(name)
        lines = [f"# {family}", ""]
        fitted = _fitted([row["name"] for row in rows], folder)
        if fitted:
            law, picture = fitted
            said = f"{law} fitted to published runs"
            lines += [f"```{{figure}} {picture}", f":alt: {said}", ":width: 60%", "", f"{said}, 89% bands", "```", ""]
        for row in rows:
            lines += [f"## {row['name']}", ""]
            picture = _prior(row["name"], folder)
            if picture:
                said = f"Losses that the default priors of {row['name']} allow, given a few runs"
                lines += [f"```{{image}} {picture}", f":alt: {said}", ":width: 60%", "```", ""]
            lines += ["```{eval-rst}", f".. autofunction:: scalebayes.laws.{row['name']}", "```", ""]
        _changed(folder / f"{name}.md", "\n".join(lines))
    head = "# Catalogue of laws\n\nEach law is a function; its default priors are stated where your runs "
    head += "are. Which system is described by which law: [which law](../laws.md).\n\n```{toctree}\n:maxdepth: 2\n\n"
    _changed(folder / "laws.md", head + "\n".join(titles) + "\n```\n")


def _slug(family: str) -> str:
    """The first words of a family's title, as the name of a page."""
    words = re.sub(r"[^a-z ]", " ", family.lower()).split()
    return "_".join([word for word in words if word not in ("laws", "of", "the", "a", "in", "which")][:3])


def _runs_for(law: sb.Law) -> sb.Runs | None:
    """Published runs that a law of one scale, or of N and D, can be fitted to; none for other laws."""
    if law.scale != "log" or law.inputs not in (("x",), ("N", "D")):
        return None
    if law.inputs == ("x",):
        return sb.read_runs(sb.datasets.load("few_shot_curve"), inputs={"D": "n_samples"}, response="error")
    return sb.read_runs(sb.datasets.load("overtraining"), inputs={"N": "n_params", "D": "n_tokens"}, response="loss")


def _fitted(names: list[str], folder: Path) -> tuple[str, str] | None:
    """The picture of the first law of a family that published runs can be fitted with, by the law alone, and follow."""
    for name in names:
        law = next(law for law in sb.laws.BUILT_IN if law.name == name)
        runs = _runs_for(law)
        if runs is None:
            continue
        file = folder / f"fitted_{name}.png"
        if not file.exists():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", sb.ConvergenceWarning)  # such a fit is not shown
                fit = sb.fit(law, runs, discrepancy=None, progress=False)
            if fit.diagnostics.problems or (fit.bending and fit.bending.is_clear):
                continue
            figure = sb.plot(fit, axis=runs.scales[0])
            figure.set_size_inches(6.4, 4.4 if len(runs.scales) == 1 else 5.6)
            figure.savefig(file, dpi=130)
        return name, file.name
    return None


def _prior(name: str, folder: Path) -> str:
    """The picture of what the default priors of a law of one scale, or of N and D, allow; none for the others."""
    from matplotlib.figure import Figure

    law = next(law for law in sb.laws.BUILT_IN if law.name == name)
    runs = _runs_for(law)
    file = folder / f"prior_{name}.png"
    if runs is None or file.exists():
        return file.name if file.exists() else ""
    try:
        drawn = sb.Model(law, runs, discrepancy=None).prior(80, seed=1)
    except ValueError:  # a law of other responses
        return ""
    x = runs.x(next(iter(runs.inputs)))
    order = np.argsort(x)
    curves = drawn["prior_predictive"][runs.response].to_numpy()[0][:, order]
    figure = Figure(figsize=(5.2, 3.2), layout="constrained", dpi=130)
    panel = figure.subplots()
    lines = {"lw": 1} if len(runs.inputs) == 1 else {"ls": "", "marker": ".", "ms": 2}
    panel.plot(x[order], curves.T, color="#0072B2", alpha=0.15, **lines)
    panel.plot(x, runs.y, "o", color="#D55E00", ms=4)
    panel.set(xscale="log", yscale="log", xlabel=runs.axis_label(next(iter(runs.inputs))), ylabel=runs.response)
    panel.set_title("draws from the default priors; points: the runs", fontsize=9)
    figure.savefig(file)
    return file.name


def roomy(gallery_conf: dict, name: str) -> None:
    """Leave room for the labels of pictures that others draw."""
    matplotlib.rcParams["figure.constrained_layout.use"] = True


class Pictures:
    """What the gallery takes of a script: its variable ``figure``, which no window manager knows of."""

    def __call__(self, block, block_vars, gallery_conf) -> str:
        """Write the picture of a block, once; the text that shows it."""
        from sphinx_gallery.scrapers import figure_rst

        figure = block_vars["example_globals"].pop("figure", None)
        if figure is None:
            return ""
        path = Path(next(block_vars["image_path_iterator"]))
        figure.savefig(path, dpi=110)
        return figure_rst([str(path)], gallery_conf["src_dir"])

    def __repr__(self) -> str:
        return "Pictures"


def _changed(path: Path, text: str) -> None:
    """Write a page if it is another one than before, so that nothing is built again without need."""
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")
