"""A report as Markdown and as LaTeX."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

_MARKS = re.compile(r"([\\`*_{}\[\]<>#|])")
_TEX = {
    "\\": r"\textbackslash{}",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
}


def tables(contents: Mapping[str, Any]) -> list[tuple[str, list[str], list[list[str]]]]:
    """Title, header and rows of the tables at the chosen target."""
    shown, percent = contents["targets"][contents["chosen"]], f"{100 * contents['prob']:g}%"
    grouped = contents["groups"] != [""]
    first = ["group"] if grouped else []
    found = [
        (
            f"Forecast at {shown['scale']}",
            [*first, contents["response"], f"{percent} of the mean", f"{percent} of a new run", "beyond the runs"],
            [row if grouped else row[1:] for row in shown["forecast"]],
        )
    ]
    if "optimum" in shown:
        header = [*first, "N", f"{percent} of its optimum", "D", f"{percent} of its optimum", "D/N"]
        found.append(("Plan", header, [row if grouped else row[1:] for row in shown["optimum"]]))
    if "best" in shown:
        rows = [[group, f"{p:.2f}"] for group, p in shown["best"].items()]
        found.append(("Which group is best there", ["group", "probability"], rows))
    if contents["surprising"]:
        header = ["run", "group", contents["response"], "median", "off"]
        found.append(("Surprising runs", header, contents["surprising"]))
    return found


def markdown(contents: Mapping[str, Any]) -> str:
    """A report for a pull request."""

    def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
        cells = [header, ["---"] * len(header), *rows]
        return [f"| {' | '.join(map(str, row) if row is cells[1] else map(in_markdown, row))} |" for row in cells]

    lines = [f"# {in_markdown(contents['title'])}", ""]
    if contents["problems"]:
        lines += [f"**NOT CONVERGED: {in_markdown('; '.join(contents['problems']))}.**", ""]
    for part in contents["said"]:
        lines += [f"## {in_markdown(part['heading'])}", "", *(in_markdown(line) + "  " for line in part["lines"]), ""]
    for title, header, rows in tables(contents):
        lines += [f"## {in_markdown(title)}", "", *table(header, rows), ""]
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", contents["record"])), default=0))
    lines += ["## Runs left out", "", in_markdown(contents["excluded"]), ""]
    return "\n".join([*lines, "## Record", "", fence, contents["record"], fence, ""])


def in_markdown(text: str) -> str:
    """Text without a meaning of its own in Markdown."""
    return _MARKS.sub(r"\\\1", str(text)).replace("\n", " ")


def latex(contents: Mapping[str, Any]) -> str:
    """A report for an appendix."""
    lines = [f"\\section{{{in_latex(contents['title'])}}}", ""]
    if contents["problems"]:
        lines += [f"\\textbf{{NOT CONVERGED: {in_latex('; '.join(contents['problems']))}.}}", ""]
    for part in contents["said"]:
        lines += [f"\\subsection*{{{in_latex(part['heading'])}}}", ""]
        lines += [part_line for line in part["lines"] for part_line in (in_latex(line), "")]
    for title, header, rows in tables(contents):
        lines += [f"\\subsection*{{{in_latex(title)}}}", "", f"\\begin{{tabular}}{{l{'r' * (len(header) - 1)}}}"]
        lines += ["\\toprule", _row(header), "\\midrule", *map(_row, rows), "\\bottomrule", "\\end{tabular}", ""]
    lines += ["\\subsection*{Runs left out}", "", in_latex(contents["excluded"]), ""]
    lines += ["\\subsection*{Record}", "", "\\begin{itemize}"]
    lines += [f"\\item {in_latex(line.strip())}" for line in contents["record"].splitlines()]
    return "\n".join([*lines, "\\end{itemize}", ""])


def _row(cells: Sequence[str]) -> str:
    return " & ".join(map(in_latex, cells)) + r" \\"


def in_latex(text: str) -> str:
    """Text without a meaning of its own in LaTeX."""
    return "".join(_TEX.get(sign, sign) for sign in str(text)).replace("\n", " ")
