"""Commands for forecasts that are judged later: seal, score and ledger."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, cast

import typer

from scalebayes.cli.options import Force, Group, Json, Picture, Prob, check_picture, points, say

Book = Annotated[Path | None, typer.Option("--ledger", help="SQLite file in which forecasts and scores accumulate.")]


def seal(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="FIT.nc...", help="Written by 'scalebayes fit'; several are averaged.", show_default=False
        ),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="File to write, .json.")],
    at: Annotated[list[str] | None, typer.Option("--at", metavar="N=70e9,D=1.4e12", help="A point; repeat.")] = None,
    at_file: Annotated[Path | None, typer.Option(help="Table of points, CSV or parquet.")] = None,
    group: Group = None,
    weights: Annotated[str, typer.Option(help="Weights of several fits: equal, loo, bootstrap or holdout.")] = "equal",
    book: Book = None,
    note: Annotated[str, typer.Option(help="Kept with the forecast.")] = "",
    prob: Prob = 0.89,
    seed: Annotated[int, typer.Option(help="Random seed for the noise of new runs.")] = 0,
    force: Force = False,
    json: Json = False,
) -> None:
    """Write a forecast to a file in which no byte can be changed unnoticed."""
    from scalebayes.checks.seal import seal as write
    from scalebayes.files import check_free
    from scalebayes.fits.averaging import average
    from scalebayes.fits.storage import load
    from scalebayes.questions.forecast import forecast
    from scalebayes.runs.tables import read_table

    if bool(at) == (at_file is not None):
        raise ValueError("say what to forecast: either --at N=70e9,D=1.4e12 or --at-file plan.csv.")
    check_free(output, force, "--force")
    fits = {str(path): load(path) for path in paths}
    fit = next(iter(fits.values())) if len(fits) == 1 else average(fits, weights=cast(Any, weights))
    where = read_table(at_file)[0] if at_file is not None else points(at or [])
    answer = forecast(fit, at=where, group=group, prob=prob, seed=seed)
    say(write(fit, answer, output, ledger=book, note=note, overwrite=force), None, None, json)


def score(
    sealed: Annotated[Path, typer.Argument(metavar="SEALED.json", help="Written by 'scalebayes seal'.")],
    results: Annotated[Path, typer.Argument(metavar="RESULTS.csv", help="Table of the runs since, CSV or parquet.")],
    book: Book = None,
    tolerance: Annotated[float, typer.Option(help="Largest relative difference of an input.")] = 0.01,
    output: Picture = None,
    force: Force = False,
    json: Json = False,
) -> None:
    """Compare a sealed forecast with what was measured: coverage, CRPS and interval scores."""
    from scalebayes.checks.score import score as compare
    from scalebayes.show.score import plot_score

    if output is not None:
        check_picture(output, force)
    answer = compare(sealed, results, ledger=book, tolerance=tolerance)
    say(answer, lambda: plot_score(answer), output, json)


def ledger(
    path: Annotated[Path, typer.Argument(metavar="LEDGER.sqlite", help="Written by 'scalebayes seal --ledger'.")],
    json: Json = False,
) -> None:
    """All sealed forecasts of a ledger, and how they did."""
    from scalebayes.checks.ledger import ledger as read

    say(read(path), None, None, json)
