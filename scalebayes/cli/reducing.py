"""Commands that reduce tables of runs: frontier and best-of."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from scalebayes.cli.options import Force, Json, check_picture, pairs, print_json, save_picture

if TYPE_CHECKING:
    from scalebayes.runs.runs import Runs

Table = Annotated[Path, typer.Argument(metavar="RUNS.csv", help="Table of runs, CSV or parquet.", show_default=False)]
Inputs = Annotated[list[str] | None, typer.Option("--input", metavar="NAME=COLUMN", help="N=n_params; repeat.")]
Response = Annotated[str | None, typer.Option(help="Column of the loss.")]
Groups = Annotated[list[str] | None, typer.Option("--group", metavar="COLUMN", help="Column of groups; repeat.")]
Where = Annotated[str | None, typer.Option(help="Rows to keep, for example 'split == \"train\"'.")]
Better = Annotated[str, typer.Option(help="lower or higher: which responses are better.")]
Cost = Annotated[str | None, typer.Option(metavar="COLUMN", help="Column of the FLOPs of a run.")]
Written = Annotated[Path, typer.Option("-o", "--output", help="CSV file to write.")]
Drawn = Annotated[Path | None, typer.Option("--picture", help="Picture to write.")]


def frontier(
    runs: Table,
    output: Written,
    inputs: Inputs = None,
    response: Response = None,
    group: Groups = None,
    where: Where = None,
    better: Better = "lower",
    cost: Cost = None,
    axis: Annotated[str | None, typer.Option(help="An input, or C for the cost, as by default.")] = None,
    per_decade: Annotated[float, typer.Option("--per-decade", help="Bins for each factor of ten.")] = 4,
    quantile: Annotated[float, typer.Option(help="Run of a bin that is kept: 0 the best, 0.5 the median.")] = 0.0,
    picture: Drawn = None,
    force: Force = False,
    json: Json = False,
) -> None:
    """Keep the lower envelope of the runs over the scale."""
    from scalebayes.runs.frontiers import frontier as reduce

    _check(output, picture, force)
    before = _read(runs, inputs, response, group, where, better, cost)
    after = reduce(before, axis=axis, per_decade=per_decade, quantile=quantile)
    _say(before, after, axis, output, picture, json)


def best_of(
    runs: Table,
    output: Written,
    over: Annotated[list[str], typer.Option("--over", metavar="COLUMN", help="A setting that was swept; repeat.")],
    inputs: Inputs = None,
    response: Response = None,
    group: Groups = None,
    where: Where = None,
    better: Better = "lower",
    cost: Cost = None,
    how: Annotated[str, typer.Option(help="bowl, or minimum.")] = "bowl",
    picture: Drawn = None,
    force: Force = False,
    json: Json = False,
) -> None:
    """Reduce sweeps to the best run of each cell, with its standard error."""
    from scalebayes.runs.best_of import best_of as reduce

    _check(output, picture, force)
    before = _read(runs, inputs, response, group, where, better, cost)
    after = reduce(before, over, how=cast(Any, how))
    _say(before, after, None, output, picture, json)


def _check(output: Path, picture: Path | None, force: bool) -> None:
    from scalebayes.files import check_free

    check_free(output, force, "--force")
    if picture is not None:
        check_picture(picture, force)


def _read(
    runs: Path,
    inputs: list[str] | None,
    response: str | None,
    group: list[str] | None,
    where: str | None,
    better: str,
    cost: str | None,
) -> Runs:
    from scalebayes.runs.checks import RunsWarning
    from scalebayes.runs.reading import read_runs

    with warnings.catch_warnings():
        # That a sweep is not reduced need not be said where it is about to be.
        warnings.filterwarnings("ignore", "runs with the same .* differ in", RunsWarning)
        return read_runs(
            runs,
            inputs=pairs(inputs or [], "--input"),
            response=response,
            group=group,
            better=cast(Any, better),
            cost=cost,
            where=where,
        )


def _say(before: Runs, after: Runs, axis: str | None, output: Path, picture: Path | None, json: bool) -> None:
    from scalebayes.files import write
    from scalebayes.show.reduction import plot_reduction

    write(output, after.table.to_csv(index=False).encode())
    if picture is not None:
        save_picture(lambda: plot_reduction(before, after, axis=axis), picture)
    if json:
        found = {"file": str(output), "runs": len(after), "of": len(before), "table": after.table}
        print_json(found | ({"figure": str(picture)} if picture is not None else {}))
        return
    print(f"{after}\nwritten to {output}" + (f"\ndrawn to {picture}" if picture is not None else ""))
