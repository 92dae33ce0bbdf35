"""Commands that show how far to trust a fit: misfit, backtest, sensitivity and demo."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from scalebayes.arguments import quoted
from scalebayes.cli.options import (
    FitFile,
    Force,
    Group,
    Json,
    Prob,
    check_picture,
    pairs,
    points,
    print_json,
    save_picture,
    say,
)

if TYPE_CHECKING:
    from scalebayes.checks.plan import LawOrMember


def backtest(
    runs: Annotated[
        Path, typer.Argument(metavar="RUNS.csv", help="Table of runs, CSV or parquet.", show_default=False)
    ],
    law: Annotated[
        list[str],
        typer.Option(
            help="A built-in law ('scalebayes laws' lists them), or a law with a discrepancy: power_floor+drift. "
            "Repeat to average. With --pool, power_floor+drift+separate is fitted to each curve by itself."
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
    pool: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Curves with the same value are fitted together.")
    ] = None,
    pooling: Annotated[
        str | None, typer.Option(help="Pooling of the curves of a pool: pooled (default), crossed, shared or separate.")
    ] = None,
    cluster: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="Curves with the same value are resampled together for intervals."),
    ] = None,
    train_column: Annotated[str | None, typer.Option(help="Column that is 1 for known runs, 0 for the rest.")] = None,
    cutoffs: Annotated[str | None, typer.Option(help="Cut-offs as shares of the largest scale: 0.03,0.1,0.3.")] = None,
    holdout_top: Annotated[
        str | None, typer.Option(help="Shares of the runs to hold out, the largest by compute: 0.1,0.3.")
    ] = None,
    discrepancy: Annotated[
        str,
        typer.Option(
            help="How runs depart from the law: auto (drift along one scale, surface over two), drift, surface, "
            "correlated, run effects; or none, which takes the law for true."
        ),
    ] = "auto",
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
    """Hold out the largest runs, forecast them from the others, and report the coverage of the bands."""
    if output is not None:
        check_picture(output, force)
    from scalebayes import laws
    from scalebayes.checks.backtest import backtest as ask
    from scalebayes.runs.reading import read_runs
    from scalebayes.show.backtest import plot_backtest

    table = read_runs(runs, inputs=pairs(inputs or [], "--input"), response=response, group=curve, where=where)
    answer = ask(
        [_law(laws, word, discrepancy) for word in law],
        table,
        train=train_column,
        cutoffs=_shares(cutoffs, "--cutoffs"),
        top=_shares(holdout_top, "--holdout-top"),
        pool=pool,
        pooling=cast(Any, pooling),
        cluster=cluster,
        skip=skip,
        baselines=baselines,
        draws=draws,
        seed=seed,
    )
    say(answer, lambda: plot_backtest(answer), output, json)


def sensitivity(
    path: FitFile,
    at: Annotated[list[str], typer.Option(metavar="N=70e9,D=1.4e12", help="A point; repeat.")],
    of: Annotated[
        list[str] | None,
        typer.Option(help="A parameter whose prior is moved; repeat. By default the scales of the discrepancy."),
    ] = None,
    factor: Annotated[float, typer.Option(help="Each prior is moved by it, and by its inverse.")] = 2.0,
    group: Group = None,
    prob: Prob = 0.89,
    seed: Annotated[int, typer.Option(help="The same seed gives the same numbers.")] = 0,
    json: Json = False,
) -> None:
    """Forecast again with priors moved down and up, one at a time."""
    from scalebayes.checks.sensitivity import sensitivity as ask
    from scalebayes.fits.storage import load

    answer = ask(load(path), at=points(at), of=of, factor=factor, group=group, prob=prob, seed=seed)
    say(answer, None, None, json)


def demo(
    output: Annotated[Path, typer.Option("-o", "--output", help="Picture to write.")] = Path("scalebayes-demo.png"),
    force: Force = False,
    json: Json = False,
) -> None:
    """Fit published models, forecast the largest from the smaller ones, and compare with the published losses."""
    from scalebayes.cli.demo import run
    from scalebayes.show.curves import plot

    check_picture(output, force)
    answer = run()
    save_picture(lambda: plot(answer.fit, held_back=answer.held_back), output)
    if json:
        print_json({**answer.forecast.to_dict(), "published": answer.published, "figure": str(output.resolve())})
    else:
        print(f"{answer}\nPicture: {output.resolve()}")


def _law(laws: ModuleType, word: str, discrepancy: str) -> LawOrMember:
    """A law with its discrepancy from a word such as power_floor, power_floor+none or power_floor+drift+separate."""
    plain = word.removesuffix("+separate")
    name, sign, own = plain.partition("+")
    word_of = own if sign else discrepancy
    law, departs = laws.named(name), None if word_of == "none" else word_of
    return (law, departs) if plain == word else (law, departs, "separate")


def _shares(option: str | None, name: str) -> list[float] | None:
    if option is None:
        return None
    try:
        return [float(part) for part in option.split(",")]
    except ValueError:
        raise ValueError(
            f"{name} takes numbers between 0 and 1, for example {name} 0.1,0.3; got {quoted(option)}."
        ) from None


def misfit(
    path: FitFile,
    prob: Prob = 0.89,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Picture to write.")] = None,
    force: Force = False,
    json: Json = False,
) -> None:
    """Say whether the runs follow the law, and which of them are surprising."""
    from scalebayes.fits.storage import load
    from scalebayes.questions.misfit import misfit as ask
    from scalebayes.show.misfit import plot_misfit

    if output is not None:
        check_picture(output, force)
    answer = ask(load(path), prob=prob)
    say(answer, lambda: plot_misfit(answer), output, json)
