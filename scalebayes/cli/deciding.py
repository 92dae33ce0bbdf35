"""Commands for decisions: crossover, compare, allocate, tune and next-run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from scalebayes.arguments import quoted
from scalebayes.cli.options import Along, FitFile, Force, Json, Picture, Prob, check_picture, held, points, say

if TYPE_CHECKING:
    from scalebayes.fits.fit import Fit

Strict = Annotated[bool, typer.Option("--strict", help="Refuse a fit that has not converged.")]
Axis = Annotated[str, typer.Option(help="The scale that grows: C, or an input of the law.")]
To = Annotated[float, typer.Option("--to", help="Target scale.")]


def crossover(
    path_: FitFile,
    to: To,
    groups: Annotated[
        list[str] | None, typer.Argument(metavar="GROUP...", help="All by default.", show_default=False)
    ] = None,
    axis: Axis = "C",
    start: Annotated[
        float | None,
        typer.Option("--from", help="Decision scale; the largest at which all groups have runs by default."),
    ] = None,
    path: Along = None,
    margin: Annotated[float, typer.Option(help="A smaller difference of the response counts as none.")] = 0.0,
    prob: Prob = 0.89,
    seed: Annotated[int, typer.Option(help="Random seed for drifts and surfaces.")] = 0,
    output: Picture = None,
    strict: Strict = False,
    force: Force = False,
    json: Json = False,
) -> None:
    """The risk that the group ahead now is behind at a larger scale."""
    from scalebayes.questions.crossover import crossover as ask
    from scalebayes.show.crossover import plot_crossover

    if output is not None:
        check_picture(output, force)
    answer = ask(
        loaded(path_, strict),
        groups=groups,
        axis=axis,
        to=to,
        start=start,
        path=held(path),
        margin=margin,
        prob=prob,
        seed=seed,
    )
    say(answer, lambda: plot_crossover(answer), output, json)


def compare(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="FIT.nc...",
            help="One fit to compare its groups, or several fits of the same runs to compare their laws.",
            show_default=False,
        ),
    ],
    margin: Annotated[
        list[str] | None, typer.Option(metavar="alpha=0.01", help="Smaller differences count as none; repeat.")
    ] = None,
    target: Annotated[float | None, typer.Option(help="Compare speed at this response.")] = None,
    to: Annotated[float | None, typer.Option("--to", help="Compare speed at this scale.")] = None,
    axis: Annotated[
        str | None, typer.Option(help="Scale in which speed is compared; C, or the only input, by default.")
    ] = None,
    path: Along = None,
    share: Annotated[
        float | None, typer.Option(help="For several fits: share of the runs to hold out, the largest.")
    ] = None,
    prob: Prob = 0.89,
    output: Picture = None,
    strict: Strict = False,
    force: Force = False,
    json: Json = False,
) -> None:
    """Differences between groups, or which law predicts better."""
    from scalebayes.questions.compare import compare as ask
    from scalebayes.questions.compare_laws import compare_laws
    from scalebayes.show.comparison import plot_comparison

    if output is not None:
        check_picture(output, force)
    fits = {str(path): loaded(path, strict) for path in paths}
    if len(fits) < len(paths):
        raise ValueError("the same file is named twice; name each fit once.")
    if len(fits) > 1 and (margin or output or target or to or axis or path):
        raise ValueError(
            "--margin, --target, --to, --axis, --path and -o are for the groups of one fit; several fits are compared "
            "by what they predict."
        )
    if len(fits) == 1 and share is not None:
        raise ValueError("--share holds out runs to compare several fits; name another fit.")
    if len(fits) > 1:
        say(compare_laws(fits, share=share), None, None, json)
        return
    (fit,) = fits.values()
    answer = ask(fit, margin=_margins(margin or []), target=target, to=to, axis=axis, path=held(path), prob=prob)
    say(answer, lambda: plot_comparison(answer), output, json)


def allocate(
    path: FitFile,
    compute: Annotated[list[float], typer.Option("--compute", help="Budget in FLOPs; repeat.")],
    group: Annotated[str | None, typer.Option("--group", help="One group; each by default.")] = None,
    margin: Annotated[
        float, typer.Option(help="Plans this close to the best response count as almost optimal.")
    ] = 0.005,
    served: Annotated[float, typer.Option(help="Tokens to serve; the budget pays 2 N FLOPs for each.")] = 0.0,
    most_n: Annotated[float | None, typer.Option("--most-n", help="Largest model.")] = None,
    most_d: Annotated[float | None, typer.Option("--most-d", help="Most tokens.")] = None,
    unique: Annotated[
        float | None, typer.Option(help="Number of distinct tokens; beyond it tokens are repeated.")
    ] = None,
    prob: Prob = 0.89,
    output: Picture = None,
    strict: Strict = False,
    force: Force = False,
    json: Json = False,
) -> None:
    """Divide a budget between parameters and tokens."""
    from scalebayes.questions.allocate import allocate as ask
    from scalebayes.show.allocation import plot_allocation

    if output is not None:
        check_picture(output, force)
    fit = loaded(path, strict)
    answer = ask(
        fit,
        C=compute,
        group=group,
        margin=margin,
        served=served,
        most_n=most_n,
        most_d=most_d,
        unique=unique,
        prob=prob,
    )
    say(answer, lambda: plot_allocation(answer), output, json)


def tune(
    path: FitFile,
    over: Annotated[
        list[str] | None, typer.Option("--over", metavar="INPUT", help="An input to tune; those of the law by default.")
    ] = None,
    at: Annotated[list[str] | None, typer.Option("--at", metavar="N=1e9,D=2e10", help="The others; repeat.")] = None,
    group: Annotated[str | None, typer.Option("--group", help="One group; each by default.")] = None,
    margin: Annotated[
        float, typer.Option(help="Settings this close to the best response count as almost optimal.")
    ] = 0.005,
    prob: Prob = 0.89,
    output: Picture = None,
    strict: Strict = False,
    force: Force = False,
    json: Json = False,
) -> None:
    """The best settings of inputs that have an optimum, such as learning rate and batch."""
    from scalebayes.questions.tune import tune as ask
    from scalebayes.show.tuning import plot_tuning

    if output is not None:
        check_picture(output, force)
    where: Any = points(at) if at else None
    answer = ask(loaded(path, strict), over=over or None, at=where, group=group, margin=margin, prob=prob)
    say(answer, lambda: plot_tuning(answer), output, json)


def next_run(
    path_: FitFile,
    candidates: Annotated[Path, typer.Option(help="Table of runs that could be trained, CSV or parquet.")],
    to: To,
    goal: Annotated[str, typer.Option(help="decision, width or optimum.")] = "decision",
    axis: Axis = "C",
    path: Along = None,
    group: Annotated[str | None, typer.Option("--group", help="Group of the width or the optimum.")] = None,
    budget: Annotated[float | None, typer.Option(help="Costlier candidates are left out.")] = None,
    prob: Prob = 0.89,
    seed: Annotated[int, typer.Option(help="Random seed for the simulated outcomes.")] = 0,
    output: Picture = None,
    strict: Strict = False,
    force: Force = False,
    json: Json = False,
) -> None:
    """Rank candidate runs by how much each is expected to reduce an uncertainty."""
    from scalebayes.questions.next_run import next_run as ask
    from scalebayes.runs.tables import read_table
    from scalebayes.show.next_run import plot_next_run

    if output is not None:
        check_picture(output, force)
    answer = ask(
        loaded(path_, strict),
        candidates=read_table(candidates)[0],
        goal=cast(Any, goal),
        axis=axis,
        to=to,
        path=held(path),
        group=group,
        budget=budget,
        prob=prob,
        seed=seed,
    )
    say(answer, lambda: plot_next_run(answer), output, json)


def _margins(options: list[str]) -> dict[str, float]:
    found = {}
    for option in options:
        key, _, value = option.partition("=")
        try:
            found[key] = float(value)
        except ValueError:
            raise ValueError(
                f"--margin takes a difference by parameter, for example --margin alpha=0.01; got {quoted(option)}."
            ) from None
    return found


def loaded(path: Path, strict: bool) -> Fit:
    """A fit from its file; with ``strict`` only one that has converged."""
    from scalebayes.fits.storage import load

    fit = load(path)
    if strict and fit.diagnostics.problems:
        raise ValueError(
            f"{path} holds a fit that has not converged: {'; '.join(fit.diagnostics.problems)}. Fit it again with more "
            "draws."
        )
    return fit
