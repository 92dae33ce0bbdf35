"""A report as one page without network: sentences and tables as HTML, numbers as JSON, pictures by plotly.

Pictures and controls read the numbers that are in the page; nothing of a law is computed there.
"""

from __future__ import annotations

import html
import json
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

from scalebayes.show.plain_report import tables

# No address can be reached from the page, and nothing runs in it but what is in it.
_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; font-src data:"
)
_PICTURES = (
    ("curves", "Curves", "Runs, medians and bands; dashed beyond the largest run. The vertical line is the target."),
    ("best", "Which group is best at which scale", "Probability of each group to be the best."),
    ("optimum", "Optimal sizes", "Plan and band of the optimum, by budget; solid: parameters N, dashed: tokens D."),
    ("misfit", "Do the runs follow the law?", "Distance of each run from its median; crosses are outliers."),
    ("densities", "Priors and posteriors", "What the runs have taught: grey before, coloured after."),
)


def page(contents: Mapping[str, Any]) -> str:
    """The page of a report."""
    from plotly.offline import get_plotlyjs

    shown = [(name, title, said) for name, title, said in _PICTURES if contents.get(name)]
    numbers = {name: contents[name] for name in _NUMBERS}
    parts = [
        "<!DOCTYPE html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
        '<meta name="color-scheme" content="light dark">',
        f"<title>{_text(contents['title'])}</title>",
        f"<style>{_asset('report.css')}</style></head><body>",
        '<a class="skip" href="#answers">To the answers</a>',
        f'<header><h1>{_text(contents["title"])}</h1><button id="theme" type="button">Dark or light</button></header>',
        "<main>",
        _banner(contents["problems"]),
        '<section id="answers">',
        *(_section(part) for part in contents["said"]),
        "</section>",
        _controls(contents),
        *(_picture(*each) for each in shown),
        _surprising(contents),
        f"<section><h2>Runs left out</h2><p>{_text(contents['excluded'])}</p></section>",
        f'<section><h2>Record</h2><pre tabindex="0">{_text(contents["record"])}</pre></section>',
        "</main>",
        f'<script type="application/json" id="numbers">{_json(numbers)}</script>',
        f"<script>{get_plotlyjs()}</script>",
        f"<script>{_asset('report.js')}</script>",
        "</body></html>",
    ]
    return "\n".join(parts)


_NUMBERS = (
    "prob",
    "response",
    "log",
    "axis",
    "groups",
    "colours",
    "chosen",
    "scales",
    "targets",
    "curves",
    "best",
    "optimum",
    "runs",
    "held_back",
    "misfit",
    "densities",
)


def _text(text: Any) -> str:
    return html.escape(str(text))


def _json(value: Any) -> str:
    """JSON that cannot end the element it stands in."""
    return json.dumps(value, allow_nan=False).replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _asset(name: str) -> str:
    return (resources.files("scalebayes.show") / "assets" / name).read_text(encoding="utf-8")


def _banner(problems: Sequence[str]) -> str:
    if not problems:
        return ""
    return (
        f'<p class="problem" role="alert"><strong>NOT CONVERGED:</strong> {_text("; ".join(problems))}. '
        "Nothing below can be relied on; fit again with more draws or another model.</p>"
    )


def _section(part: Mapping[str, Any]) -> str:
    lines = "".join(f"<p>{_text(line)}</p>" for line in part["lines"])
    picture = part.get("picture")
    drawn = f'<img alt="{_text(part["heading"])}" src="data:image/png;base64,{_text(picture)}">' if picture else ""
    return f"<h2>{_text(part['heading'])}</h2>{lines}{drawn}"


def _controls(contents: Mapping[str, Any]) -> str:
    """The target and the groups, and the tables that follow them."""
    last, chosen = len(contents["scales"]) - 1, contents["chosen"]
    boxes = "".join(
        f'<label><input type="checkbox" data-group="{i}" checked>'
        f'<span class="swatch" style="background:{colour}"></span>{_text(group)}</label>'
        for i, (group, colour) in enumerate(zip(contents["groups"], contents["colours"], strict=True))
    )
    groups = f'<fieldset><legend>Groups</legend><div class="boxes">{boxes}</div></fieldset>'
    drawn = "".join(
        _table(f"table-{i}", title, header, rows)
        for i, (title, header, rows) in enumerate(tables(contents))
        if title != "Surprising runs"
    )
    risk = '<p id="risk" aria-live="polite"></p>' if "risk" in contents["targets"][chosen] else ""
    return (
        '<section class="controls" id="controls"><h2>Choose a target</h2>'
        f'<label for="target">Target: <output id="scale" for="target"></output></label>'
        f'<input id="target" type="range" min="0" max="{last}" step="1" value="{chosen}" '
        'aria-describedby="scale">'
        f"{groups if len(contents['groups']) > 1 else ''}{risk}{drawn}</section>"
    )


def _table(name: str, title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f'<th scope="col">{_text(cell)}</th>' for cell in header)
    body = "".join("<tr>" + "".join(f"<td>{_text(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return (
        f'<div class="wide" tabindex="0" role="region" aria-label="{_text(title)}"><table id="{name}">'
        f"<caption>{_text(title)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _picture(name: str, title: str, said: str) -> str:
    return (
        f'<section><h2>{_text(title)}</h2><p class="note">{_text(said)}</p>'
        f'<div class="picture" id="picture-{name}" role="img" aria-label="{_text(title)}"></div></section>'
    )


def _surprising(contents: Mapping[str, Any]) -> str:
    rows = contents["surprising"]
    if not rows:
        return "<section><h2>Surprising runs</h2><p>None: no run lies far outside its band.</p></section>"
    header = ["run", "group", contents["response"], "median", "off"]
    return f"<section><h2>Surprising runs</h2>{_table('surprising', 'Surprising runs', header, rows)}</section>"
