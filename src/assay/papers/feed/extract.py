"""A paper's web page, as text: headings, paragraphs, lists, formulas, tables and captions in the page's order.

Made for the HTML that LaTeXML writes (classes `ltx_…`), and does what it can with any other. Left out are the
bibliography, appendices, footnotes, drawings, navigation and LaTeXML's error marks. What stays is the page's own
words: formulas are their LaTeX source in `$…$` (set apart: `$$…$$`), tables are Markdown rows.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from lxml import etree, html

from assay.papers.feed.tables import is_table, markdown_rows

HEADINGS = {
    "ltx_title_part": 1,
    "ltx_title_chapter": 1,
    "ltx_title_section": 1,
    "ltx_title_acknowledgements": 1,
    "ltx_title_subsection": 2,
    "ltx_title_subsubsection": 3,
    "ltx_title_paragraph": 4,
    "ltx_title_subparagraph": 5,
}
SILENT_TAGS = {"script", "style", "noscript", "template"}
LEFT_OUT_TAGS = {"head", "nav", "header", "footer", "svg", "button"}
LEFT_OUT = {
    "ltx_bibliography", "ltx_appendix", "ltx_ERROR", "ltx_note", "ltx_authors", "ltx_dates", "ltx_TOC", "ltx_index",
    "ltx_page_header", "ltx_page_footer", "ltx_page_navbar", "ltx_page_logo", "ltx_pagination", "package-alerts",
}  # fmt: skip
BLOCK_TAGS = {
    "address", "article", "aside", "blockquote", "body", "center", "dd", "details", "div", "dl", "dt", "fieldset",
    "figcaption", "figure", "form", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "html", "li", "main", "ol", "p", "pre",
    "section", "summary", "table", "tbody", "tfoot", "thead", "tr", "ul",
}  # fmt: skip
BULLETS = {"", "•", "–", "-", "*", "∗", "⋆", "·", "◦", "▪", "■", "➢"}

UNTITLED = "Untitled Document"  # LaTeXML's title of a document without one

# lxml takes none of these into a tree, though a page may hold them as they are or as references
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_LINE_END_IN_TEX = re.compile(r"(?<!\\)%\s*\n\s*")


@dataclass(frozen=True, slots=True)
class Page:
    """What a page says. `sections` are (level, title, text); `said` is all its text, what is left out included."""

    title: str = ""
    abstract: str = ""
    sections: tuple[tuple[int, str, str], ...] = ()
    captions: tuple[str, ...] = ()
    said: str = ""

    @property
    def body_length(self) -> int:
        """Characters after the abstract, headings not counted."""
        return sum(len(text) for _, _, text in self.sections)


def extract(text: str) -> Page:
    """Read a page's HTML, whatever its faults. A page without any element is an empty Page."""
    parser = html.HTMLParser(encoding="utf-8", remove_comments=True, remove_pis=True, no_network=True)
    try:
        tree = html.document_fromstring(text.encode("utf-8", "replace"), parser=parser)
    except etree.ParserError:  # nothing in it but blanks, comments or declarations
        return Page()
    _empty(tree, lambda element, classes: element.tag in SILENT_TAGS)
    said = tree.text_content()
    tab = " ".join((tree.findtext(".//title") or "").split())
    _write_formulas(tree)
    _empty(tree, lambda element, classes: element.tag in LEFT_OUT_TAGS or not LEFT_OUT.isdisjoint(classes))
    _mark_scripts(tree)
    _write_tables(tree)
    document = _first(tree, "ltx_document")
    root = tree if document is None else document
    title = _take_title(tree) or (tab if tab != UNTITLED else "")
    abstract = _take_abstract(root)
    captions = tuple(_line(e) for e in root.iter() if e.tag == "figcaption" or "ltx_caption" in _classes(e))
    return Page(title, abstract, _sections(root), tuple(filter(None, captions)), said)


def _write_formulas(tree: Any) -> None:
    for math in list(tree.iter("math")):
        source = math.get("alttext") or "".join(math.xpath("string(.//annotation[@encoding='application/x-tex'])"))
        tex = " ".join(_LINE_END_IN_TEX.sub("", source).split())
        mark = "$$" if math.get("display") == "block" else "$"
        _replace(math, "span", f"{mark}{tex}{mark}" if tex else math.text_content())


def _mark_scripts(tree: Any) -> None:
    """10<sup>3</sup> must not become 103."""
    for element in tree.iter("sup", "sub"):
        if element.text_content().strip():
            element.text = ("^" if element.tag == "sup" else "_") + _UNPRINTABLE.sub("", element.text or "")


def _write_tables(tree: Any) -> None:
    """Outermost tables first: what lies in a cell is that cell's text."""
    for element in list(tree.iter()):
        if is_table(element, _classes(element)):
            _replace(element, "pre", markdown_rows(element))


def _take_title(tree: Any) -> str:
    """The document's own title, taken out of the text; else the first h1."""
    for heading in (_first(tree, "ltx_title_document"), tree.find(".//h1")):
        if heading is not None and (title := _line(heading)):
            heading.clear(keep_tail=True)
            return title
    return ""


def _take_abstract(root: Any) -> str:
    abstract = _first(root, "ltx_abstract")
    if abstract is None or abstract is root:
        return ""
    _empty(abstract, lambda element, classes: "ltx_title" in classes)
    text = "\n\n".join(text for _, _, text in _sections(abstract))
    abstract.clear(keep_tail=True)
    return text


def _sections(root: Any) -> tuple[tuple[int, str, str], ...]:
    writer = _Writer()
    walker = etree.iterwalk(root, events=("start", "end"))
    for event, element in walker:
        if event == "start" and writer.start(element):
            walker.skip_subtree()
        elif event == "end":
            writer.end(element)
            if element is not root:
                writer.inline.append(element.tail or "")
    writer.close()
    return tuple(writer.sections)


@dataclass(slots=True)
class _Writer:
    """Takes elements in the page's order and writes sections of blocks."""

    sections: list[tuple[int, str, str]] = field(default_factory=list)
    inline: list[str] = field(default_factory=list)
    _heading: tuple[int, str] = (1, "")
    _blocks: list[str] = field(default_factory=list)
    _lists: list[int] = field(default_factory=list)  # items so far of each open list
    _marker: str = ""

    def start(self, element: Any) -> bool:
        """Take an element's opening and first text; True if that was all of it."""
        classes = _classes(element)
        level = _heading_level(element, classes)
        if level:
            self.close()
            self._heading = (level, _line(element))
            return True
        if _is_block(element, classes):
            self._end_block()
        if element.tag == "pre":
            self._blocks.append((element.text_content() or "").strip("\n"))
            return True
        if element.tag in ("ul", "ol"):
            self._lists.append(0)
        elif element.tag == "li":
            self._start_item(element)
        elif element.tag in ("td", "th", "br"):
            self.inline.append(" ")
        self.inline.append(element.text or "")
        return False

    def end(self, element: Any) -> None:
        if _is_block(element, _classes(element)):
            self._end_block()
        if element.tag in ("ul", "ol"):
            self._lists.pop()

    def close(self) -> None:
        """End the section."""
        self._end_block()
        text = "\n\n".join(filter(None, self._blocks))
        if text or self._heading[1]:
            self.sections.append((*self._heading, text))
        self._heading, self._blocks = (1, ""), []

    def _start_item(self, item: Any) -> None:
        tag = next((child for child in item if "ltx_tag_item" in _classes(child)), None)
        label = ""
        if tag is not None:
            label = _line(tag)
            tag.clear(keep_tail=True)
        elif self._lists and item.getparent().tag == "ol":
            self._lists[-1] += 1
            label = f"{self._lists[-1]}."
        self._marker = "- " if label in BULLETS else f"{label} "

    def _end_block(self) -> None:
        text = " ".join("".join(self.inline).split())
        self.inline.clear()
        if text:
            indent = "   " * max(0, len(self._lists) - 1)
            self._blocks.append(f"{indent}{self._marker}{text}")
            self._marker = ""


def _heading_level(element: Any, classes: set[str]) -> int:
    """1 for a section, 2 for a subsection and so on; 0 for what is no heading (a theorem's title is none)."""
    if element.tag in ("ul", "ol"):
        return 0
    for name in classes & HEADINGS.keys():
        return HEADINGS[name]
    if re.fullmatch("h[1-6]", element.tag) and not any(name.startswith("ltx_") for name in classes):
        return max(1, int(element.tag[1]) - 1)
    return 0


def _is_block(element: Any, classes: set[str]) -> bool:
    return element.tag in BLOCK_TAGS or "ltx_p" in classes or "ltx_caption" in classes


def _empty(tree: Any, wanted: Callable[[Any, set[str]], bool]) -> None:
    for element in list(tree.iter()):
        if element is not tree and wanted(element, _classes(element)):
            element.clear(keep_tail=True)  # not removed: joining the tails of a thousand neighbours takes for ever


def _replace(element: Any, tag: str, text: str) -> None:
    new = element.makeelement(tag)
    new.text = _UNPRINTABLE.sub("", text)
    new.tail = _UNPRINTABLE.sub("", element.tail or "")
    element.getparent().replace(element, new)


def _first(tree: Any, name: str) -> Any:
    """The first element of a class, or None."""
    return next((element for element in tree.iter() if name in _classes(element)), None)


def _classes(element: Any) -> set[str]:
    return set(element.get("class", "").split())


def _line(element: Any) -> str:
    return " ".join(element.text_content().split())
