"""A report's Markdown as HTML that can do nothing but be read, with `$…$` as MathML."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from html import escape
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.rules_core import StateCore
from markdown_it.token import Token
from mdit_py_plugins.dollarmath import dollarmath_plugin

from assay.papers.report.render import canonical_text

# What latex2mathml may give us. `\\href` and `\\class` would bring attributes of the author's choice: the formula is
# then shown as its source.
_ELEMENTS = """
math mrow mi mo mn mtext mspace ms msub msup msubsup munder mover munderover mfrac msqrt mroot mfenced menclose mtable
mtr mtd mstyle mpadded mphantom mmultiscripts mprescripts none semantics annotation
"""
_ATTRIBUTES = """
display mathvariant stretchy fence form separator lspace rspace minsize maxsize symmetric largeop movablelimits accent
accentunder linethickness columnalign rowalign columnspacing rowspacing rowlines columnlines frame displaystyle
scriptlevel width height depth notation open close separators
"""
_NAMESPACE = "{http://www.w3.org/1998/Math/MathML}"


def to_html(text: str) -> str:
    """Safe HTML of a section. Tags in the text show as text; links lead to http, https and mailto alone."""
    return str(_parser().render(canonical_text(text)))


def inline(text: str) -> str:
    """Safe HTML of one line, without a paragraph around it."""
    return str(_parser().renderInline(" ".join(text.split())))


def math(source: str, display: bool) -> str:
    """A formula as MathML; where that fails, or is more than a formula, its source as code."""
    from latex2mathml.converter import convert

    try:
        found = convert(source, display="block" if display else "inline")
        safe = _is_plain(found)
    except Exception:  # noqa: BLE001  the converter raises what it likes on what it cannot read
        safe = False
    return found if safe else f'<code class="math">{escape(source)}</code>'


def _is_plain(mathml: str) -> bool:
    from lxml import etree

    elements, attributes = frozenset(_ELEMENTS.split()), frozenset(_ATTRIBUTES.split())
    root = etree.fromstring(mathml, etree.XMLParser(resolve_entities=False, no_network=True))
    return all(
        isinstance(node.tag, str)
        and node.tag.removeprefix(_NAMESPACE) in elements
        and not set(map(str, node.attrib)) - attributes
        for node in root.iter()
    )


@lru_cache(maxsize=1)
def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False, "breaks": True})
    parser.enable("table")
    # Pictures would be fetched from elsewhere, and a report has none; `<http://…>` is text in reports.
    parser.disable(["image", "autolink", "html_inline", "html_block", "reference"])
    parser.use(dollarmath_plugin, allow_space=False, allow_digits=False, double_inline=True)
    parser.validateLink = lambda url: re.match(r"(?:https?://|mailto:)", url, re.IGNORECASE) is not None  # type: ignore[method-assign]
    for name, display in (("math_inline", False), ("math_inline_double", True), ("math_block", True)):
        parser.add_render_rule(name, _math_rule(display))
    parser.core.ruler.push("empty_links", _without_empty_links)
    parser.add_render_rule("heading_open", _heading)
    parser.add_render_rule("heading_close", _heading)
    return parser


def _without_empty_links(state: StateCore) -> None:
    """`[text]()` leads nowhere, which a browser takes for the page itself: its text stays, the link goes."""
    for token in state.tokens:
        kept, empty = list[Token](), False
        for child in token.children or []:
            if child.type == "link_open":
                empty = not child.attrGet("href")
            if not (empty and child.type in ("link_open", "link_close")):
                kept.append(child)
        if token.children is not None:
            token.children = kept


def _math_rule(display: bool) -> Any:
    def render(self: RendererHTML, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
        return math(tokens[index].content, display)

    return render


def _heading(self: RendererHTML, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
    """A heading in a section stands below the page's own: as a strong line, so that the outline stays true."""
    return "<p><strong>" if tokens[index].type == "heading_open" else "</strong></p>\n"
