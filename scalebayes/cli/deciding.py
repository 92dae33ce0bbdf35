"""Commands that decide: crossover, compare, allocate and next-run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scalebayes.cli.options import FitFile, Force, Json, Prob, check_picture, numbers, print_json

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from scalebayes.fits.fit import Fit
    from scalebayes.questions.allocate import Allocation
    from scalebayes.questions.crossover import Crossover

Strict = Annotated[bool, typer.Option("--strict", help="Refuse a fit that has not converged.")]
Axis = Annotated[str, typer.Option(help="What grows: C, or an input of the law.")]
To = Annotated[float, typer.Option("--to", help="Target scale.")]
Along = Annotated[
    str | None,
    typer.Option("--path", help="optimal (default for C), ratio=20 (tokens per parameter), N=1e9 or D=2e10."),
]
Picture = Annotated[Path | None, typer.Option("-o", "--output", help="Picture to write.")]


def crossover(
    path_: FitFile,
    to: To,
    groups: Annotated[
        list[str] | None, typer.Argument(metavar="GROUP...", help="All by default.", show_default=False)
    ] = None,
    axis: Axis = "C",
    start: Annotated[
        float | None, typer.Option("--from", help="Decision scale; the largest seen of all by default.")
    ] = None,
    path: Along = None,
    margin: Annotated[float, typer.Option(help="A smaller difference of the response counts as none.")] = 0.0,
    prob: Prob = 0.89,
    seed: Annotated[int, typer.Option(help="Random seed for drifts and surfaces.")] = 0,
    output: Picture = None,
    strict: Strict = False,
    force: Force = False,
    json: Json = False,
) -> None:
    """The risk that the group ahead now is behind at a larger scale."""
    from scalebayes.questions.crossover import crossover as ask
    from scalebayes.show.decisions import plot_crossover

    if output is not None:
        check_picture(output, force)
    answer = ask(
        _loaded(path_, strict), groups, axis=axis, to=to, at=start, path=held(path), margin=margin, prob=prob, seed=seed
    )
    _say(answer, _of_crossover(answer), lambda: plot_crossover(answer), output, json)


def compare(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="FIT.nc...", help="One: its groups. Several fits of the same runs: their laws.", show_default=False
        ),
    ],
    rope: Annotated[
        list[str] | None, typer.Option(metavar="alpha=0.01", help="Smaller differences count as none; repeat.")
    ] = None,
    at: Annotated[
        str | None,
        typer.Option("--at", metavar="loss=2.2", help="Compare speed there: a response, or a scale, C=1e22."),
    ] = None,
    axis: Annotated[
        str | None, typer.Option(help="Scale in which --at compares speed; C, or the only input, by default.")
    ] = None,
    path: Along = None,
    share: Annotated[float | None, typer.Option(help="Of several fits: largest runs to hold back.")] = None,
    prob: Prob = 0.89,
    output: Picture = None,
    strict: Strict = False,
    force: Force = False,
    json: Json = False,
) -> None:
    """Differences between groups, or which law foretells better."""
    from scalebayes.questions.compare import Comparison
    from scalebayes.questions.compare import compare as ask
    from scalebayes.show.decisions import plot_comparison

    if output is not None:
        check_picture(output, force)
    fits = {str(path): _loaded(path, strict) for path in paths}
    if len(fits) < len(paths):
        raise ValueError("the same file is named twice; name each fit once.")
    if len(fits) > 1 and (rope or output or at or axis or path):
        raise ValueError(
            "--rope, --at, --axis, --path and -o are for the groups of one fit; several fits are compared by what they "
            "foretell."
        )
    if len(fits) == 1 and share is not None:
        raise ValueError("--share holds back runs to compare several fits; name another.")
    if len(fits) > 1:
        laws = ask(fits, share=share, prob=prob)
        table = laws.table.reset_index(names="fit")
        found = {"converged": not table["problem"].any(), "fits": table.to_dict("records")}
        print_json(found) if json else print(laws)
        return
    fit = next(iter(fits.values()))
    where = numbers(at) if at else None
    answer = ask(fit, rope=_region(rope or []), at=where, axis=axis, path=held(path), prob=prob)
    assert isinstance(answer, Comparison)
    described = {
        "prob": prob, "converged": not answer.diagnostics.problems, "pairs": answer.table.to_dict("records"),
        "shared": answer.equal, "pooled": answer.pooled, "speed": answer.speed.to_dict("records"),
        "axis": answer.axis, "path": answer.path,
    }  # fmt: skip
    _say(answer, described, lambda: plot_comparison(answer), output, json)


def allocate(
    path: FitFile,
    compute: Annotated[list[float], typer.Option("--compute", help="Budget in FLOPs; repeat.")],
    group: Annotated[str | None, typer.Option("--group", help="One group; each by default.")] = None,
    within: Annotated[float, typer.Option(help="Losses so close to the best count as almost optimal.")] = 0.005,
    served: Annotated[float, typer.Option(help="Tokens to be served, at 2 N FLOPs each, paid for too.")] = 0.0,
    most_n: Annotated[float | None, typer.Option("--most-n", help="Largest model.")] = None,
    most_d: Annotated[float | None, typer.Option("--most-d", help="Most tokens.")] = None,
    unique: Annotated[float | None, typer.Option(help="Distinct tokens; more are repetitions.")] = None,
    prob: Prob = 0.89,
    output: Picture = None,
    strict: Strict = False,
    force: Force = False,
    json: Json = False,
) -> None:
    """Divide a budget between parameters and tokens."""
    from scalebayes.questions.allocate import allocate as ask
    from scalebayes.show.decisions import plot_allocation

    if output is not None:
        check_picture(output, force)
    fit = _loaded(path, strict)
    answer = ask(
        fit, compute, group=group, within=within, served=served, most_n=most_n, most_d=most_d, unique=unique, prob=prob
    )
    _say(answer, _of_allocation(answer), lambda: plot_allocation(fit, answer), output, json)


def next_run(
    path_: FitFile,
    candidates: Annotated[Path, typer.Option(help="Table of runs that could be trained, CSV or parquet.")],
    to: To,
    goal: Annotated[str, typer.Option(help="decision, width or optimum.")] = "decision",
    axis: Axis = "C",
    path: Along = None,
    group: Annotated[str | None, typer.Option("--group", help="Group whose width or optimum is asked about.")] = None,
    budget: Annotated[float | None, typer.Option(help="Costlier candidates are left out.")] = None,
    prob: Prob = 0.89,
    seed: Annotated[int, typer.Option(help="Random seed for the simulated outcomes.")] = 0,
    output: Picture = None,
    strict: Strict = False,
    force: Force = False,
    json: Json = False,
) -> None:
    """Rank runs by what they would teach."""
    from scalebayes.questions.next_run import next_run as ask
    from scalebayes.runs.columns import read_table
    from scalebayes.show.decisions import plot_next_run

    if output is not None:
        check_picture(output, force)
    answer = ask(
        _loaded(path_, strict), read_table(candidates)[0], goal=goal, axis=axis, to=to, path=held(path), group=group,  # type: ignore[arg-type]
        budget=budget, prob=prob, seed=seed,
    )  # fmt: skip
    described = {
        "goal": goal,
        "now": answer.now,
        "candidates": answer.table.to_dict("records"),
        "converged": not answer.diagnostics.problems,
    }
    _say(answer, described, lambda: plot_next_run(answer), output, json)


def held(path: str | None) -> dict[str, float] | str | None:
    """What ``--path`` means: optimal, or what is held."""
    if path is None or path == "optimal":
        return path
    key, _, value = path.partition("=")
    try:
        return {{"ratio": "D/N"}.get(key, key): float(value)}
    except ValueError:
        raise ValueError(f"--path is optimal, ratio=20, N=1e9 or D=2e10; got {path!r}.") from None


def _region(options: list[str]) -> dict[str, float]:
    found = {}
    for option in options:
        key, _, value = option.partition("=")
        try:
            found[key] = float(value)
        except ValueError:
            raise ValueError(
                f"--rope takes a difference by parameter, for example --rope alpha=0.01; got {option!r}."
            ) from None
    return found


def _loaded(path: Path, strict: bool) -> Fit:
    from scalebayes.fits.storage import load

    fit = load(path)
    if strict and fit.diagnostics.problems:
        raise ValueError(
            f"{path} holds a fit that has not converged: {'; '.join(fit.diagnostics.problems)}. Fit it again with more draws."
        )
    return fit


def _say(answer: Any, described: dict[str, Any], draw: Callable[[], Figure], output: Path | None, json: bool) -> None:
    """Draw if that was asked for, and print."""
    from scalebayes.files import atomically

    if output is not None:
        with atomically(output) as temporary:
            draw().savefig(temporary)
    if json:
        print_json(described | ({"figure": str(output)} if output is not None else {}))
    else:
        print(answer)
        if output is not None:
            print(f"drawn to {output}")


def _of_crossover(answer: Crossover) -> dict[str, Any]:
    names = (
        "winner", "rival", "contender", "ordered", "p_ahead", "decision_risk", "prior_decision_risk", "reversal_risk",
        "p_cross_before_target", "crossing_quantiles", "expected_regret", "value_of_information", "gain", "axis", "path", "at",
        "to", "margin", "extrapolation", "by_law", "prob",
    )  # fmt: skip
    found = {name: getattr(answer, name) for name in names}
    found["crossing_quantiles"] = {f"{q:g}": value for q, value in answer.crossing_quantiles.items()}
    return found | {
        "winner_at_decision_scale": answer.winner,
        "p_best": dict(zip(answer.table["group"], answer.table["p_best"], strict=True)),
        "groups": answer.table.to_dict("records"),
        "pairs": answer.pairs.to_dict("records"),
        "converged": not answer.diagnostics.problems,
    }


def _of_allocation(answer: Allocation) -> dict[str, Any]:
    plans = []
    for row in answer.table.to_dict("records"):
        spread = {
            name: {k: row[f"{name}_{k}"] for k in ("mean", "median", "lower", "upper")}
            for name in ("n_opt", "d_opt", "loss")
        }
        near = {name: [row[f"near_{name}_lower"], row[f"near_{name}_upper"]] for name in ("n", "d", "ratio")}
        plan = {"n": row["plan_n"], "d": row["plan_d"], "loss": row["plan_loss"]}
        plans.append(
            {
                "group": row.get("group"),
                "compute": row["C"],
                **spread,
                "near_optimal": near,
                "plan": plan,
                "extrapolation": row["extrapolation"],
            }
        )
    first = plans[0] if len(plans) == 1 else {}
    described = {
        "within": answer.within,
        "law_only": answer.law_only,
        "prob": answer.prob,
        "converged": not answer.diagnostics.problems,
        "plans": plans,
    }
    return described | first | {"exponents": answer.exponents.to_dict("records")}
