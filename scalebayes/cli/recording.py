"""Commands that write down what makes a fit, and make it again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from scalebayes.cli.fitting import report, saved
from scalebayes.cli.options import FitFile, Force, Json, print_json


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
    report(result, output, json)
