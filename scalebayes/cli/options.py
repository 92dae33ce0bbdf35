"""Options and printing that the commands share."""

from __future__ import annotations

import io
import json as json_module
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scalebayes.arguments import quoted

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of sentences.")]
Prob = Annotated[float, typer.Option(help="Probability of every interval.")]
FitFile = Annotated[
    Path, typer.Argument(metavar="FIT.nc", help="A file written by 'scalebayes fit'.", show_default=False)
]
Group = Annotated[str | None, typer.Option("--group", help="One group of the fit; all of them by default.")]
NewGroup = Annotated[
    bool, typer.Option("--new-group", help="Answer for a group without runs, drawn from the population.")
]
Along = Annotated[
    str | None,
    typer.Option("--path", help="optimal (default for C), ratio=20 (tokens per parameter), N=1e9 or D=2e10."),
]
Picture = Annotated[Path | None, typer.Option("-o", "--output", help="Picture to write.")]
Force = Annotated[bool, typer.Option("--force", help="Replace the output file if it exists.")]


def check_picture(output: Path, force: bool) -> None:
    """Refuse an output file that a picture cannot be written to."""
    from scalebayes.files import check_free

    check_free(output, force, "--force")
    kinds = (".png", ".pdf", ".svg")
    if output.suffix not in kinds:
        raise ValueError(f"a picture is written as {', '.join(kinds)}; got {quoted(output.name)}.")


def pairs(options: list[str], name: str) -> dict[str, str]:
    """NAME=COLUMN options as a mapping."""
    pairs: dict[str, str] = {}
    for option in options:
        key, sign, value = option.partition("=")
        if not (key and sign and value):
            raise ValueError(f"{name} takes NAME=COLUMN, for example {name} N=n_params; got {quoted(option)}.")
        if key.strip() in pairs:
            raise ValueError(f"{name} names {key.strip()} twice: {pairs[key.strip()]} and {value.strip()}.")
        pairs[key.strip()] = value.strip()
    return pairs


def numbers(point: str) -> dict[str, float]:
    """Numbers by name, from ``N=70e9,D=1.4e12``."""
    values = {}
    for part in filter(None, point.split(",")):
        key, sign, value = part.partition("=")
        if key.strip() in values:
            raise ValueError(f"--at names {key.strip()} twice in {point!r}; repeat --at for another point.")
        try:
            values[key.strip()] = float(value)
        except ValueError:
            sign = ""
        if not sign:
            raise ValueError(f"--at takes numbers by name, for example --at N=70e9,D=1.4e12; got {quoted(point)}.")
    return values


def points(options: list[str]) -> dict[str, list[float]]:
    """Several ``--at`` options as columns."""
    points = [numbers(option) for option in options]
    names = list(points[0])
    for point, option in zip(points, options, strict=True):
        if set(point) != set(names):
            raise ValueError(f"every --at names the same inputs; got {quoted(options[0])} and {quoted(option)}.")
    return {name: [point[name] for point in points] for name in names}


def print_json(value: Any) -> None:
    """Print one JSON object."""
    from scalebayes.questions.wording import plain

    print(json_module.dumps(plain(value), indent=2, allow_nan=False))


def held(path: str | None) -> dict[str, float] | str | None:
    """The path that ``--path`` describes: optimal, or the values to hold."""
    if path is None or path == "optimal":
        return path
    found = {}
    for part in path.split(","):
        key, _, value = part.partition("=")
        try:
            found[{"ratio": "D/N"}.get(key, key)] = float(value)
        except ValueError:
            raise ValueError(f"--path is optimal, ratio=20, N=1e9 or D=2e10; got {quoted(path)}.") from None
    return found


def save_picture(draw: Callable[[], Figure], output: Path) -> None:
    """Write a picture to a file, whole or not at all."""
    from scalebayes.files import write

    picture = io.BytesIO()
    draw().savefig(picture, format=output.suffix.removeprefix("."))
    write(output, picture.getvalue())


def say(answer: Any, draw: Callable[[], Figure] | None, output: Path | None, json: bool) -> None:
    """Print an answer, and draw it if an output file is given."""
    if output is not None and draw is not None:
        save_picture(draw, output)
    if json:
        print_json(answer.to_dict() | ({"figure": str(output)} if output is not None else {}))
        return
    print(answer)
    if output is not None:
        print(f"drawn to {output}")


def print_table(table) -> None:
    """Print a table with aligned columns."""
    from scalebayes.questions.wording import number

    shown = table.fillna({"group": ""})
    cells = [list(map(str, shown.columns))]
    cells += [
        [cell if isinstance(cell, str) else number(cell) for cell in row] for row in shown.itertuples(index=False)
    ]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        left = "  ".join(cell.ljust(width) for cell, width in zip(row[:2], widths[:2], strict=True))
        print(left, *(cell.rjust(width) for cell, width in zip(row[2:], widths[2:], strict=True)), sep="  ")
