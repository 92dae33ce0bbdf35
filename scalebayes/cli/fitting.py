"""Commands for fits: fit, summary and laws."""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from scalebayes.cli.options import FitFile, Force, Json, Prob, pairs, print_json, print_table

if TYPE_CHECKING:
    from scalebayes.fits.fit import Fit

_LAYOUT = r"\\left|\\right|\\q?quad|\\mathrm|\\,"  # what TeX needs and a reader does not


def fit(
    runs: Annotated[
        Path, typer.Argument(metavar="RUNS.csv", help="Table of runs, CSV or parquet.", show_default=False)
    ],
    law: Annotated[str, typer.Option(help="A built-in law; 'scalebayes laws' lists them.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="File to write the fit to (netCDF).")],
    inputs: Annotated[
        list[str] | None, typer.Option("--input", metavar="NAME=COLUMN", help="N=n_params; repeat.")
    ] = None,
    response: Annotated[str | None, typer.Option(help="Column of the loss.")] = None,
    group: Annotated[
        list[str] | None, typer.Option("--group", metavar="COLUMN", help="Column of groups; repeat.")
    ] = None,
    where: Annotated[str | None, typer.Option(help="Rows to keep, for example 'split == \"train\"'.")] = None,
    pooling: Annotated[
        str | None, typer.Option(help="pooled (default with groups), crossed, shared or separate.")
    ] = None,
    observation: Annotated[
        str | None, typer.Option(help="student_t (default) or gaussian (default beside a discrepancy).")
    ] = None,
    better: Annotated[str, typer.Option(help="lower or higher: which responses are better.")] = "lower",
    cost: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Column of the FLOPs of a run; 6 N D by default.")
    ] = None,
    discrepancy: Annotated[
        str,
        typer.Option(
            help="How runs depart from the law: auto (drift along one scale, surface over two), drift, surface, "
            "correlated, run effects; or none, which takes the law for true."
        ),
    ] = "auto",
    horizon: Annotated[
        float | None,
        typer.Option(help="For curves that drift: the multiple of the largest scale that matters most; 2 by default."),
    ] = None,
    thin: Annotated[int | None, typer.Option(help="Keep at most this many runs of each curve, evenly in logs.")] = None,
    draws: Annotated[int | None, typer.Option(help="Draws of each chain; as many as needed by default.")] = None,
    chains: Annotated[int, typer.Option(help="Number of chains.")] = 4,
    warmup: Annotated[int | None, typer.Option(help="Warm-up steps; as many as needed by default.")] = None,
    target_accept: Annotated[float | None, typer.Option(help="Target of the mean acceptance rate.")] = None,
    ess: Annotated[int | None, typer.Option(help="Bulk and tail ESS to reach; 400 by default.")] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same numbers.")] = 0,
    force: Force = False,
    json: Json = False,
) -> None:
    """Fit a law to a table of runs and write the posterior to a file."""
    from scalebayes.files import check_free

    check_free(output, force, "--force")
    from scalebayes import laws as built_in
    from scalebayes.fits.sampling import fit as fit_law
    from scalebayes.runs.reading import read_runs

    table = read_runs(
        runs,
        inputs=pairs(inputs or [], "--input"),
        response=response,
        group=group,
        better=cast(Any, better),
        cost=cost,
        where=where,
    )
    if thin is not None:
        from scalebayes.runs.thinning import thin as thinned

        table = thinned(table, thin)
    departs = None if discrepancy == "none" else discrepancy
    result = fit_law(
        built_in.named(law),
        table,
        pooling=cast(Any, pooling),
        observation=observation,
        discrepancy=departs,
        horizon=horizon,
        draws=draws,
        chains=chains,
        warmup=warmup,
        target_accept=target_accept,
        ess=ess,
        seed=seed,
    )
    saved(result, output, force)
    report(result, output, json)


def summary(path: FitFile, prob: Prob = 0.89, json: Json = False) -> None:
    """Parameters with intervals and diagnostics."""
    from scalebayes.fits.storage import load

    result = load(path)
    if json:
        print_json(_summary(result, prob))
        return
    table = result.summary(prob)
    print(result)
    print_table(table)


def laws(json: Json = False) -> None:
    """List the built-in laws by family, each with its equation, inputs, parameters and source."""
    from scalebayes.laws.catalogue import catalogue

    listed = catalogue()
    if json:
        print_json({"laws": listed})
        return
    before = ""
    for each in listed:
        if each["family"] != before:
            print(f"{'' if not before else chr(10)}{each['family']}")
            before = each["family"]
        print(f"\n  {each['name']}({', '.join(each['inputs'])}; {', '.join(each['parameters'])})")
        print(f"      {each['says']}")
        print(f"      {re.sub(_LAYOUT, '', each['equation'])}")
        print(f"      {', '.join(each['source'])}")


def datasets(
    name: Annotated[str | None, typer.Argument(help="A table to write; all are listed by default.")] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="CSV file to write.")] = None,
    force: Force = False,
    json: Json = False,
) -> None:
    """List tables of published runs, or write one to a file. Nothing is downloaded."""
    from scalebayes.datasets import catalogue, load
    from scalebayes.files import check_free, write

    listed = catalogue()
    if name is None and output is None:
        if json:
            print_json({"datasets": listed.reset_index()})
            return
        for each, row in listed.iterrows():
            where = "comes with the package" if row["bundled"] else f"is from {row['place']}"
            print(f"{each} ({row['rows']} rows, {where}; {row['licence']})\n    {row['subject']}. {row['paper']}")
        return
    if name is None or output is None:
        raise ValueError("a table is written with its name and a file, for example: datasets overtraining -o runs.csv")
    check_free(output, force, "--force")
    table = load(name)
    write(output, table.to_csv(index=False).encode())
    if json:
        print_json({"file": str(output), "rows": len(table), "columns": list(table.columns)})
    else:
        print(f"{len(table)} rows written to {output}: {', '.join(table.columns)}")


def report(result: Fit, output: Path, json: bool) -> None:
    """Print what was fitted, and where it was written."""
    if json:
        print_json(_summary(result, 0.89))
    else:
        print(f"{result!r}\nwritten to {output}")


def saved(result: Fit, output: Path, force: bool) -> None:
    """Save a fit; where that fails it is saved elsewhere, since it may have taken long."""
    try:
        result.save(output, overwrite=force)
    except OSError as error:
        elsewhere = Path(tempfile.gettempdir()) / f"{output.stem}-{os.getpid()}.nc"
        try:
            result.save(elsewhere)
        except OSError:
            raise error from None
        raise OSError(f"{str(error).rstrip('.')}. The fit is in {str(elsewhere)!r} instead.") from None


def _summary(result: Fit, prob: float) -> dict[str, Any]:
    diagnostics = result.diagnostics
    return {
        "law": result.model.name,
        "n_runs": len(result.model.runs),
        "prob": prob,
        "divergences": diagnostics.divergences,
        "max_r_hat": diagnostics.max_r_hat,
        "min_ess_bulk": diagnostics.min_ess_bulk,
        "min_ess_tail": diagnostics.min_ess_tail,
        "converged": not diagnostics.problems,
        "excluded": result.model.runs.excluded,
        "modes": list(result.modes),
        "parameters": result.summary(prob).to_dict("records"),
    }
