"""Commands that write a fit down: its report, its record, and the fit again from that."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from scalebayes.arguments import quoted
from scalebayes.cli.fitting import report as report_of
from scalebayes.cli.fitting import saved
from scalebayes.cli.options import FitFile, Force, Json, Prob, pairs, print_json


def record(
    path: FitFile,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="File to write the record to (JSON), with the data.")
    ] = None,
    force: Force = False,
    json: Json = False,
) -> None:
    """Say everything that a report of a fit needs: law, units, ranges, priors, sampler, convergence, versions."""
    if output is not None:
        from scalebayes.files import check_free

        check_free(output, force, "--force")
    from scalebayes.checks.record import record as ask
    from scalebayes.fits.storage import load

    answer = ask(load(path))
    if output is not None:
        answer.save(output, overwrite=force)
    if json:
        print_json(answer.to_dict())
        return
    print(answer)
    if output is not None:
        print(f"written to {output}")


def redo(
    path: Annotated[
        Path, typer.Argument(metavar="RECORD.json", help="A file written by 'scalebayes record'.", show_default=False)
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="File to write the fit to (netCDF).")],
    force: Force = False,
    json: Json = False,
) -> None:
    """Make a fit again from its record alone."""
    from scalebayes.files import check_free

    check_free(output, force, "--force")
    from scalebayes.checks.record import redo as again

    result = again(path)
    saved(result, output, force)
    report_of(result, output, json)


def report(
    path: FitFile,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="File to write: report.html, report.md or report.tex.")
    ] = None,
    form: Annotated[str, typer.Option("--format", help="Without -o: print md or tex, or html.")] = "md",
    axis: Annotated[str | None, typer.Option(help="The scale that grows; C for a law of N and D, by default.")] = None,
    to: Annotated[float | None, typer.Option("--to", help="Target shown first; 10 times the largest run.")] = None,
    hold: Annotated[
        list[str] | None, typer.Option("--hold", metavar="NAME=VALUE", help="Value of a further input; repeat.")
    ] = None,
    held_back: Annotated[
        Path | None, typer.Option("--held-back", help="Table of runs that were not fitted, to draw.")
    ] = None,
    title: Annotated[str | None, typer.Option(help="Title of the report.")] = None,
    prob: Prob = 0.89,
    force: Force = False,
    json: Json = False,
) -> None:
    """Write all answers of a fit to one file: a page with controls, Markdown or LaTeX."""
    from scalebayes.files import check_free

    if form not in ("md", "tex", "html"):
        raise ValueError(f"--format is md, tex or html, got {quoted(form)}.")
    if output is not None:
        check_free(output, force, "--force")
    from scalebayes.fits.storage import load
    from scalebayes.runs.tables import read_table
    from scalebayes.show.report import check_kind
    from scalebayes.show.report import report as ask

    if output is not None:
        check_kind(output)
    ahead = None if held_back is None else read_table(held_back)[0]
    answer = ask(
        load(path),
        axis=axis,
        to=to,
        held=_values(hold or []),
        held_back=ahead,
        title=title,
        prob=prob,
    )
    if output is not None:
        answer.save(output, overwrite=force)
    if json:
        print_json(answer.to_dict())
    elif output is not None:
        print(f"written to {output}")
    else:
        print({"md": answer.to_markdown, "tex": answer.to_latex, "html": answer.to_html}[form]())


def _values(hold: list[str]) -> dict[str, float | str]:
    """Values by name; what is no number is the name of a schedule."""
    found: dict[str, float | str] = {}
    for name, value in pairs(hold, "--hold").items():
        try:
            found[name] = float(value)
        except ValueError:
            found[name] = value
    return found
