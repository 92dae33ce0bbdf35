"""Equations as MathML, which browsers draw by themselves: no script, and no network."""

from __future__ import annotations

from html import escape

from latex2mathml.converter import convert

_KNOWN = {r"\arg\min": r"\operatorname{arg\,min}", r"\arg\max": r"\operatorname{arg\,max}"}


def setup(app) -> dict:
    """Register the renderer that ``html_math_renderer = "mathml"`` names."""
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _inline(self, node) -> None:
    from docutils.nodes import SkipNode

    self.body.append(f'<span class="mathml">{_converted(node.astext(), "inline")}</span>')
    raise SkipNode


def _block(self, node) -> None:
    from docutils.nodes import SkipNode

    text = node.astext().strip()
    if "&" in text or r"\\" in text:
        text = rf"\begin{{align*}}{text}\end{{align*}}"
    style = "overflow-x: auto; padding: 0.5em 0"
    self.body.append(f'<div class="mathml" style="{style}">{_converted(text, "block")}</div>')
    raise SkipNode


def _converted(text: str, display: str) -> str:
    """One equation; a part that is not understood would be drawn as text, which is an error of the page."""
    for unknown, known in _KNOWN.items():
        text = text.replace(unknown, known)
    found = convert(text, display=display)
    left = [part for part in (r"\\", "<mi>&</mi>", "<mi>\\") if part in found]
    if left:
        raise ValueError(f"an equation cannot be drawn: {escape(text)}")
    return found
