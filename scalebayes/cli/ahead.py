"""Commands that extrapolate: forecast, reach and plot."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, cast

import typer

from scalebayes.cli.options import (
    Along,
    FitFile,
    Force,
    Group,
    Json,
    NewGroup,
    Prob,
    check_picture,
    held,
    points,
    print_json,
    save_picture,
    say,
)


def forecast(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="FIT.nc...", help="Written by 'scalebayes fit'; several are averaged.", show_default=False
        ),
    ],
    at: Annotated[list[str] | None, typer.Option("--at", metavar="N=70e9,D=1.4e12", help="A point; repeat.")] = None,
    at_file: Annotated[Path | None, typer.Option(help="Table of points, CSV or parquet.")] = None,
    group: Group = None,
    new_group: NewGroup = False,
    prob: Prob = 0.89,
    schedule_change: Annotated[
        float | None,
        typer.Option(help="Value of the input where the training schedule changes; points from there on are marked."),
    ] = None,
    schedule_gain: Annotated[
        tuple[float, float] | None,
        typer.Option(
            metavar="MEDIAN SPREAD",
            help="By how much that change lowers the log response, log-normal: 0.023 0.5 for a language model's "
            "cross-entropy.",
        ),
    ] = None,
    weights: Annotated[str, typer.Option(help="Weights of several fits: equal, loo, bootstrap or holdout.")] = "equal",
    seed: Annotated[int, typer.Option(help="Random seed for the noise of new runs.")] = 0,
    json: Json = False,
) -> None:
    """Forecast the response at new values of the inputs."""
    from scalebayes.fits.averaging import average
    from scalebayes.fits.storage import load
    from scalebayes.priors import LogNormal
    from scalebayes.questions.forecast import forecast as ask
    from scalebayes.runs.tables import read_table

    if bool(at) == (at_file is not None):
        raise ValueError("say where to forecast: either --at N=70e9,D=1.4e12 or --at-file plan.csv.")
    if len(paths) == 1 and weights != "equal":
        raise ValueError(f"--weights {weights} is about several fits, which are averaged; got {paths[0]} alone.")
    fits = {str(path): load(path) for path in paths}
    result = next(iter(fits.values())) if len(paths) == 1 else average(fits, weights=cast(Any, weights))
    at_points = read_table(at_file)[0] if at_file is not None else points(at or [])
    answer = ask(
        result,
        at=at_points,
        group=group,
        new_group=new_group,
        prob=prob,
        schedule_change=schedule_change,
        schedule_gain=LogNormal(*schedule_gain) if schedule_gain else None,
        seed=seed,
    )
    say(answer, None, None, json)


def reach(
    path_: FitFile,
    target: Annotated[float, typer.Option(help="The response to reach.")],
    axis: Annotated[str, typer.Option(help="The scale that grows: C, or an input of the law.")],
    path: Along = None,
    group: Group = None,
    new_group: NewGroup = False,
    prob: Prob = 0.89,
    json: Json = False,
) -> None:
    """The scale at which a target is reached, and the probability that it never is."""
    from scalebayes.fits.storage import load
    from scalebayes.questions.reach import reach as ask

    answer = ask(load(path_), target=target, axis=axis, path=held(path), group=group, new_group=new_group, prob=prob)
    say(answer, None, None, json)


def plot(
    path: FitFile,
    output: Annotated[Path, typer.Option("-o", "--output", help="Picture to write: .png, .pdf or .svg.")],
    axis: Annotated[str | None, typer.Option(help="Input along the abscissa; the law's last by default.")] = None,
    to: Annotated[
        float | None, typer.Option(help="Right end of the axis; 10 times the largest run by default.")
    ] = None,
    along: Along = None,
    held_back: Annotated[
        Path | None, typer.Option("--held-back", help="Table of runs that were not fitted, drawn as open circles.")
    ] = None,
    prob: Prob = 0.89,
    force: Force = False,
    json: Json = False,
) -> None:
    """Draw runs, median and bands, with the extrapolated region marked."""
    from scalebayes.fits.storage import load
    from scalebayes.runs.tables import read_table
    from scalebayes.show.curves import plot as draw

    check_picture(output, force)
    result = load(path)
    ahead = None if held_back is None else read_table(held_back)[0]
    save_picture(lambda: draw(result, axis=axis, to=to, path=held(along), held_back=ahead, prob=prob), output)
    print_json({"figure": str(output)}) if json else print(f"drawn to {output}")
