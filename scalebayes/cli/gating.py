"""Commands for promotion and its grounds: gate, floor-report and isoflop."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from scalebayes.cli.deciding import Axis, Strict, To, loaded
from scalebayes.cli.options import Along, FitFile, Force, Group, Json, Picture, Prob, check_picture, held, points, say

CODES = {"promote": 0, "hold": 3, "drop": 4}


def gate(
    path_: FitFile,
    baseline: Annotated[str, typer.Option(help="The group that is in use.")],
    to: To,
    candidates: Annotated[
        list[str] | None,
        typer.Argument(metavar="CANDIDATE...", help="All other groups by default.", show_default=False),
    ] = None,
    axis: Axis = "C",
    path: Along = None,
    price: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="What a run cost, or tokens_per_second: the speed-up is then in this."),
    ] = None,
    threshold: Annotated[float, typer.Option(help="The speed-up that is worth a change.")] = 1.0,
    sure: Annotated[float, typer.Option(help="How probable it has to be.")] = 0.95,
    next_rung: Annotated[float | None, typer.Option("--next-rung", help="Scale of the next rung.")] = None,
    prob: Prob = 0.89,
    seed: Annotated[int, typer.Option(help="Random seed for drifts and surfaces.")] = 0,
    output: Picture = None,
    strict: Strict = False,
    force: Force = False,
    json: Json = False,
) -> None:
    """Promote, hold or drop a candidate, by its speed-up at the target. Exit code 0, 3 or 4; of several, the best."""
    from scalebayes.questions.gate import gate as ask
    from scalebayes.show.gate import plot_gate

    if output is not None:
        check_picture(output, force)
    answer = ask(
        loaded(path_, strict),
        baseline=baseline,
        to=to,
        axis=axis,
        candidates=candidates,
        path=held(path),
        price=price,
        threshold=threshold,
        sure=sure,
        next_rung=next_rung,
        prob=prob,
        seed=seed,
    )
    say(answer, lambda: plot_gate(answer), output, json)
    raise SystemExit(CODES[answer.verdict])


def floor_report(
    path_: FitFile,
    at: Annotated[list[str], typer.Option("--at", metavar="N=70e9,D=1.4e12", help="A point; repeat.")],
    pin: Annotated[
        list[float] | None,
        typer.Option("--pin", help="A floor to pin, fitted again; repeat. Usual ones by default."),
    ] = None,
    group: Group = None,
    prob: Prob = 0.89,
    output: Picture = None,
    strict: Strict = False,
    force: Force = False,
    json: Json = False,
) -> None:
    """How much of a forecast is its irreducible loss, and what pinning it would claim."""
    from scalebayes.checks.floor import floor_report as ask
    from scalebayes.show.floor import plot_floor_report

    if output is not None:
        check_picture(output, force)
    where: Any = points(at)
    answer = ask(loaded(path_, strict), at=where, pins=pin or None, group=group, prob=prob)
    say(answer, lambda: plot_floor_report(answer), output, json)


def isoflop(
    path_: FitFile,
    budget: Annotated[str | None, typer.Option(metavar="COLUMN", help="Column of nominal budgets.")] = None,
    group: Group = None,
    window: Annotated[float | None, typer.Option(help="Only runs within this factor of the best N.")] = None,
    prob: Prob = 0.89,
    output: Picture = None,
    strict: Strict = False,
    force: Force = False,
    json: Json = False,
) -> None:
    """Parabolas of each budget and their minima, beside the law's compute-optimal path."""
    from scalebayes.questions.isoflop import isoflop as ask
    from scalebayes.show.isoflop import plot_isoflop

    if output is not None:
        check_picture(output, force)
    answer = ask(loaded(path_, strict), budget=budget, group=group, window=window, prob=prob)
    say(answer, lambda: plot_isoflop(answer), output, json)
