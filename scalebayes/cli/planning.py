"""Commands for runs to train and runs under way: design, enough-runs and in-flight."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, cast

import typer

from scalebayes.cli.deciding import Axis, Strict, To, loaded
from scalebayes.cli.options import Along, FitFile, Force, Group, Json, Picture, Prob, check_picture, held, points, say

Candidates = Annotated[Path, typer.Option(help="Table of runs that could be trained, CSV or parquet.")]


def design(
    path: FitFile,
    candidates: Candidates,
    budget: Annotated[float, typer.Option(help="FLOPs for all runs together.")],
    at: Annotated[list[str] | None, typer.Option("--at", metavar="N=70e9,D=1.4e12", help="A target; repeat.")] = None,
    at_file: Annotated[Path | None, typer.Option(help="Table of targets, CSV or parquet.")] = None,
    goal: Annotated[str, typer.Option(help="width or decision.")] = "width",
    most: Annotated[int | None, typer.Option(help="Most runs to choose.")] = None,
    seed: Annotated[int, typer.Option(help="Random seed for drifts and surfaces.")] = 0,
    output: Picture = None,
    strict: Strict = False,
    force: Force = False,
    json: Json = False,
) -> None:
    """Choose the set of affordable runs that most reduces an uncertainty."""
    from scalebayes.questions.design import design as ask
    from scalebayes.runs.tables import read_table
    from scalebayes.show.design import plot_design

    if bool(at) == (at_file is not None):
        raise ValueError("say what the runs are for: either --at N=70e9,D=1.4e12 or --at-file targets.csv.")
    if output is not None:
        check_picture(output, force)
    where: Any = read_table(at_file)[0] if at_file is not None else points(at or [])
    answer = ask(
        loaded(path, strict),
        candidates=read_table(candidates)[0],
        budget=budget,
        at=where,
        goal=cast(Any, goal),
        most=most,
        seed=seed,
    )
    say(answer, lambda: plot_design(answer), output, json)


def enough_runs(
    path_: FitFile,
    candidates: Candidates,
    to: To,
    groups: Annotated[
        list[str] | None, typer.Argument(metavar="GROUP...", help="All by default.", show_default=False)
    ] = None,
    axis: Axis = "C",
    path: Along = None,
    uses: Annotated[float, typer.Option(help="Number of runs at the target that the choice is about.")] = 1.0,
    seed: Annotated[int, typer.Option(help="Random seed for the simulated outcomes.")] = 0,
    output: Picture = None,
    strict: Strict = False,
    force: Force = False,
    json: Json = False,
) -> None:
    """Whether there are enough runs to choose between groups, or which run is worth its cost."""
    from scalebayes.questions.enough import enough_runs as ask
    from scalebayes.runs.tables import read_table
    from scalebayes.show.enough import plot_enough_runs

    if output is not None:
        check_picture(output, force)
    answer = ask(
        loaded(path_, strict),
        candidates=read_table(candidates)[0],
        to=to,
        axis=axis,
        groups=groups,
        path=held(path),
        uses=uses,
        seed=seed,
    )
    say(answer, lambda: plot_enough_runs(answer), output, json)


def in_flight(
    path: FitFile,
    curve: Annotated[
        Path, typer.Argument(metavar="CURVE.csv", help="The run: a row per point, the response empty ahead.")
    ],
    rates: Annotated[
        Path | None, typer.Option(help="Table of further schedules: a column of rates for each, a row per step.")
    ] = None,
    group: Group = None,
    constant_rate: Annotated[bool, typer.Option("--constant-rate", help="No curve changes its learning rate.")] = False,
    newest: Annotated[int | None, typer.Option(help="Observed points to compare with their forecast.")] = None,
    prob: Prob = 0.89,
    seed: Annotated[int, typer.Option(help="Random seed.")] = 0,
    output: Picture = None,
    strict: Strict = False,
    force: Force = False,
    json: Json = False,
) -> None:
    """The end of a run, from a ladder of other runs and from what it has shown so far."""
    from scalebayes.questions.in_flight import in_flight as ask
    from scalebayes.questions.schedules import with_schedules
    from scalebayes.runs.tables import read_table
    from scalebayes.show.in_flight import plot_in_flight

    if output is not None:
        check_picture(output, force)
    fit = loaded(path, strict)
    if rates is not None:
        fit = with_schedules(fit, read_table(rates)[0])
    table = read_table(curve)[0]
    answer = ask(fit, table, group=group, constant_rate=constant_rate, newest=newest, prob=prob, seed=seed)
    say(answer, lambda: plot_in_flight(answer), output, json)
