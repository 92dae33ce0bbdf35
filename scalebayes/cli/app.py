"""The command line: a thin shell around the same functions, printing the same sentences.

Bad input ends with exit code 2 and one line on standard error. Warnings are one line each.
"""

from __future__ import annotations

import os
import sys
import warnings
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from typer.exceptions import TyperException

from scalebayes.cli import deciding
from scalebayes.cli.options import (
    FitFile,
    Force,
    Json,
    Prob,
    check_picture,
    numbers,
    pairs,
    points,
    print_json,
    print_table,
)

if TYPE_CHECKING:
    from scalebayes.checks.plan import Law
    from scalebayes.fits.fit import Fit
    from scalebayes.questions.forecast import Forecast

app = typer.Typer(
    name="scalebayes",
    help="Bayesian inference for scaling laws: fit, forecast, and say how sure.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

Group = Annotated[str | None, typer.Option("--group", help="One group of the fit; all of them by default.")]
NewGroup = Annotated[bool, typer.Option("--new-group", help="A group not seen, drawn from the population.")]
app.command()(deciding.crossover)
app.command()(deciding.compare)
app.command()(deciding.allocate)
app.command("next-run")(deciding.next_run)


def main() -> None:
    """Run the command line; the entry point of the package."""
    warnings.showwarning = _one_line_warning
    try:
        code = app(standalone_mode=False)
    except TyperException as error:
        commands = [
            command.name or command.callback.__name__ for command in app.registered_commands if command.callback
        ]
        known = [word for word in sys.argv[1:2] if word in commands]
        said = error.format_message().rstrip(".")
        _refuse(ValueError(f"{said}; see '{' '.join(['scalebayes', *known, '--help'])}'."))
    except (ValueError, TypeError, OSError) as error:
        _refuse(error)
    raise SystemExit(code or 0)


def _refuse(error: Exception) -> NoReturn:
    if os.environ.get("SCALEBAYES_TRACEBACK"):
        raise error
    line = " ".join(str(error).split()) or type(error).__name__
    print(f"scalebayes: {line}", file=sys.stderr)
    raise SystemExit(2)


def _one_line_warning(message, category, filename, lineno, file=None, line=None) -> None:
    print(f"scalebayes: warning: {' '.join(str(message).split())}", file=sys.stderr)


@app.command()
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
    noise: Annotated[
        str | None, typer.Option(help="student_t (default) or gaussian (default beside a discrepancy).")
    ] = None,
    discrepancy: Annotated[
        str | None, typer.Option(help="drift or correlated (along curves), surface (several inputs), or none.")
    ] = None,
    horizon: Annotated[
        float | None, typer.Option(help="For curves that drift: multiples of their scale to be asked about.")
    ] = None,
    thin: Annotated[int | None, typer.Option(help="Keep at most so many runs of each curve, evenly in logs.")] = None,
    draws: Annotated[int, typer.Option(help="Draws of each chain.")] = 1000,
    chains: Annotated[int, typer.Option(help="Number of chains.")] = 4,
    warmup: Annotated[int | None, typer.Option(help="Adapting steps; as many as needed by default.")] = None,
    target_accept: Annotated[float | None, typer.Option(help="Mean acceptance rate of the steps.")] = None,
    ess: Annotated[int | None, typer.Option(help="Draw until every bulk ESS exceeds this.")] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same numbers.")] = 0,
    force: Force = False,
    json: Json = False,
) -> None:
    """Fit a law to a table of runs and write the posterior to a file."""
    from scalebayes.files import check_free

    check_free(output, force, "--force")
    from scalebayes import laws
    from scalebayes.fits.fit import fit as fit_law
    from scalebayes.runs.runs import read_runs

    table = read_runs(runs, inputs=pairs(inputs or [], "--input"), response=response, group=group, where=where)
    if thin is not None:
        from scalebayes.runs.thinning import thin as thinned

        table = thinned(table, thin)
    departs = None if discrepancy == "none" else discrepancy
    result = fit_law(
        laws.named(law), table, pooling=pooling, noise=noise, discrepancy=departs, horizon=horizon, draws=draws,  # type: ignore[arg-type]
        chains=chains, warmup=warmup, target_accept=target_accept, ess=ess, seed=seed,
    )  # fmt: skip
    result.save(output, overwrite=force)
    if json:
        print_json(_summary(result, 0.89))
    else:
        print(f"{result!r}\nwritten to {output}")


@app.command()
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


@app.command()
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
        typer.Option(help="Value of the input where the training schedule changes; points beyond it are flagged."),
    ] = None,
    schedule_gain: Annotated[
        tuple[float, float] | None,
        typer.Option(
            metavar="MEDIAN SPREAD",
            help="What that change takes off the log response, log-normal: 0.023 0.5 for a language model's cross-entropy.",
        ),
    ] = None,
    weights: Annotated[str, typer.Option(help="Of several fits: equal, loo or holdout.")] = "equal",
    seed: Annotated[int, typer.Option(help="Random seed for the noise of new runs.")] = 0,
    json: Json = False,
) -> None:
    """Forecast the response at new values of the inputs."""
    from scalebayes.fits.averaging import average
    from scalebayes.fits.storage import load
    from scalebayes.priors import LogNormal
    from scalebayes.questions.forecast import forecast as ask
    from scalebayes.runs.columns import read_table

    if bool(at) == (at_file is not None):
        raise ValueError("say where to forecast: either --at N=70e9,D=1.4e12 or --at-file plan.csv.")
    if len(paths) == 1 and weights != "equal":
        raise ValueError(f"--weights {weights} is about several fits, which are averaged; got {paths[0]} alone.")
    fits = {str(path): load(path) for path in paths}
    result = next(iter(fits.values())) if len(paths) == 1 else average(fits, weights=weights)  # type: ignore[arg-type]
    inputs = list(next(iter(fits.values())).model.runs.inputs)
    places = read_table(at_file)[0] if at_file is not None else points(at or [])
    answer = ask(
        result, places, group=group, new_group=new_group, prob=prob, schedule_change=schedule_change,
        schedule_gain=LogNormal(*schedule_gain) if schedule_gain else None, seed=seed,
    )  # fmt: skip
    if json:
        print_json(_forecast(answer, inputs))
    else:
        print(answer)


@app.command()
def reach(
    path: FitFile,
    target: Annotated[float, typer.Option(help="The response to be reached.")],
    axis: Annotated[str, typer.Option(help="N, D or C: what is to grow.")],
    at: Annotated[
        str | None, typer.Option("--at", metavar="D/N=20", help="What is held: another input, or D/N.")
    ] = None,
    group: Group = None,
    new_group: NewGroup = False,
    prob: Prob = 0.89,
    json: Json = False,
) -> None:
    """The scale at which a target is reached, and the probability that it never is."""
    from scalebayes.fits.storage import load
    from scalebayes.questions.reach import reach as ask

    held = numbers(at) if at else None
    answer = ask(load(path), target, axis, at=held, group=group, new_group=new_group, prob=prob)
    if json:
        print_json(
            {
                "prob": prob,
                "converged": not answer.diagnostics.problems,
                "held": answer.held,
                "targets": answer.table.to_dict("records"),
            }
        )
    else:
        print(answer)


@app.command()
def backtest(
    runs: Annotated[
        Path, typer.Argument(metavar="RUNS.csv", help="Table of runs, CSV or parquet.", show_default=False)
    ],
    law: Annotated[
        list[str],
        typer.Option(
            help="A built-in law ('scalebayes laws' lists them), or one with a discrepancy, power_floor+drift; repeat to "
            "average. With --pool, power_floor+drift+separate is fitted to each curve by itself."
        ),
    ],
    inputs: Annotated[
        list[str] | None, typer.Option("--input", metavar="NAME=COLUMN", help="N=n_params; repeat.")
    ] = None,
    response: Annotated[str | None, typer.Option(help="Column of the loss.")] = None,
    curve: Annotated[
        list[str] | None, typer.Option("--curve", "--group", metavar="COLUMN", help="Column of curves; repeat.")
    ] = None,
    where: Annotated[str | None, typer.Option(help="Rows to use, for example 'domain == \"IC\"'.")] = None,
    pool: Annotated[str | None, typer.Option(metavar="COLUMN", help="Fit the curves of one value together.")] = None,
    pooling: Annotated[
        str | None, typer.Option(help="Of the curves of a pool: pooled (default), crossed, shared or separate.")
    ] = None,
    cluster: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Curves of one value are resampled together for intervals.")
    ] = None,
    train_column: Annotated[str | None, typer.Option(help="Column that is 1 for known runs, 0 for the rest.")] = None,
    cutoffs: Annotated[str | None, typer.Option(help="Shares of the largest scale, 0.03,0.1,0.3.")] = None,
    holdout_top: Annotated[str | None, typer.Option(help="Shares to hold back, the largest by compute.")] = None,
    discrepancy: Annotated[
        str | None, typer.Option(help="drift or correlated (along curves), surface (several inputs), or none.")
    ] = None,
    skip: Annotated[
        bool, typer.Option("--skip", help="Leave out curves that cannot be tested, and count them.")
    ] = False,
    baselines: Annotated[bool, typer.Option(help="Compare with least squares and rules of thumb.")] = True,
    draws: Annotated[int, typer.Option(help="Draws of each chain.")] = 500,
    seed: Annotated[int, typer.Option(help="The same seed gives the same numbers.")] = 0,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Picture to write.")] = None,
    force: Force = False,
    json: Json = False,
) -> None:
    """Hold back the largest runs, forecast them from the rest, and say whether the bands cover."""
    if output is not None:
        check_picture(output, force)
    from scalebayes import laws
    from scalebayes.checks.backtest import backtest as ask
    from scalebayes.runs.runs import read_runs

    table = read_runs(runs, inputs=pairs(inputs or [], "--input"), response=response, group=curve, where=where)
    answer = ask(
        [_law(laws, word, discrepancy) for word in law], table, train=train_column, cutoffs=_shares(cutoffs, "--cutoffs"),
        top=_shares(holdout_top, "--holdout-top"), pool=pool, pooling=pooling, cluster=cluster, skip=skip,  # type: ignore[arg-type]
        baselines=baselines, draws=draws, seed=seed,
    )  # fmt: skip
    if output is not None:
        from scalebayes.files import atomically
        from scalebayes.show.backtest import plot_backtest

        with atomically(output) as temporary:
            plot_backtest(answer).savefig(temporary)
    if json:
        print_json(answer.to_dict() | ({"figure": str(output)} if output else {}))
    else:
        print(answer)
        if output is not None:
            print(f"drawn to {output}")


@app.command()
def plot(
    path: FitFile,
    output: Annotated[Path, typer.Option("-o", "--output", help="Picture to write: .png, .pdf or .svg.")],
    axis: Annotated[str | None, typer.Option(help="Input along the abscissa; the law's last by default.")] = None,
    to: Annotated[
        float | None, typer.Option(help="Right end of the axis; 10 times the largest run by default.")
    ] = None,
    prob: Prob = 0.89,
    force: Force = False,
    json: Json = False,
) -> None:
    """Draw runs, median and bands, with the extrapolated region marked."""
    from scalebayes.fits.storage import load

    check_picture(output, force)
    result = load(path)
    _save_picture(result, output, axis, to, prob)
    print_json({"figure": str(output)}) if json else print(f"drawn to {output}")


@app.command()
def laws(json: Json = False) -> None:
    """List the built-in laws."""
    from scalebayes import laws as built_in

    listed = []
    for law in built_in.PRIORS:
        declared = built_in.signature(law)
        lines = (law.__doc__ or "").strip().splitlines()
        equation = next(line.strip().removeprefix(".. math:: ") for line in lines if ".. math::" in line)
        listed.append(
            {"name": declared.name, "inputs": declared.inputs, "parameters": declared.parameters,
             "says": lines[0], "equation": equation}
        )  # fmt: skip
    if json:
        print_json({"laws": listed})
        return
    for law in listed:
        print(f"{law['name']}({', '.join(law['inputs'])}; {', '.join(law['parameters'])})\n    {law['says']}")


@app.command()
def demo(
    output: Annotated[Path, typer.Option("-o", "--output", help="Picture to write.")] = Path("scalebayes-demo.png"),
    force: Force = False,
    json: Json = False,
) -> None:
    """Fit published models, forecast the largest ones from the smaller, and look at what they reached."""
    from scalebayes.cli.demo import run

    check_picture(output, force)
    answer = run()
    _save_picture(answer.fit, output, None, None, 0.89)
    if json:
        print_json(_forecast(answer.forecast, ["C"]) | {"published": answer.published, "figure": str(output.resolve())})
    else:
        print(f"{answer}\nPicture: {output.resolve()}")


def _save_picture(result: Fit, output: Path, axis: str | None, to: float | None, prob: float) -> None:
    from scalebayes.files import atomically
    from scalebayes.show.curves import plot as draw

    figure = draw(result, axis, to=to, prob=prob)
    with atomically(output) as temporary:
        figure.savefig(temporary)


def _law(laws: ModuleType, word: str, discrepancy: str | None) -> Law:
    """A law with its discrepancy, from power_floor, power_floor+drift or power_floor+none, each also with +separate."""
    plain = word.removesuffix("+separate")
    name, sign, own = plain.partition("+")
    departs = own if sign else discrepancy
    law, departs = laws.named(name), None if departs == "none" else departs
    return (law, departs) if plain == word else (law, departs, "separate")


def _shares(option: str | None, name: str) -> list[float] | None:
    if option is None:
        return None
    try:
        return [float(part) for part in option.split(",")]
    except ValueError:
        raise ValueError(f"{name} takes numbers between 0 and 1, for example {name} 0.1,0.3; got {option!r}.") from None


def _summary(result: Fit, prob: float) -> dict[str, Any]:
    diagnostics = result.diagnostics
    return {
        "law": result.model.name,
        "n_runs": len(result.model.runs),
        "prob": prob,
        "divergences": diagnostics.divergences,
        "max_r_hat": diagnostics.max_r_hat,
        "min_ess_bulk": diagnostics.min_ess_bulk,
        "converged": not diagnostics.problems,
        "excluded": result.model.runs.excluded,
        "modes": list(result.modes),
        "parameters": result.summary(prob).to_dict("records"),
    }


def _forecast(answer: Forecast, inputs: list[str]) -> dict[str, Any]:
    points = [
        {"inputs": {name: row.pop(name) for name in inputs}, "group": row.pop("group", None), **row}
        for row in answer.table.to_dict("records")
    ]
    return {"prob": answer.prob, "converged": not answer.diagnostics.problems, "points": points}


if __name__ == "__main__":
    main()
