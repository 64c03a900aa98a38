"""A table of a web page as Markdown rows: cells that span several columns or rows leave the others empty."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

WIDEST_SPAN = 100
MOST_FILLED = 10_000  # cells made by spans, a table; beyond, spans are ignored, so that a page cannot grow without end


def is_table(element: Any, classes: set[str]) -> bool:
    """A LaTeXML tabular (of whatever tag), or a plain table; not the tables that LaTeXML sets equations in."""
    return "ltx_tabular" in classes or (element.tag == "table" and not any(c.startswith("ltx_") for c in classes))


def markdown_rows(table: Any) -> str:
    """`| a | b |` a row, with the rule under the first; empty if no cell holds text."""
    rows = []
    open_below: dict[int, int] = {}  # column -> rows that a cell above still covers
    filled = 0
    for row in _outermost(table, _is_row):
        cells: list[str] = []
        for cell in _outermost(row, _is_cell):
            while open_below.get(len(cells), 0):
                open_below[len(cells)] -= 1
                cells.append("")
            spare = max(0, MOST_FILLED - filled)
            wide = min(_span(cell, "colspan"), spare + 1)
            deep = min(_span(cell, "rowspan"), spare // wide + 1)
            filled += wide * deep - 1
            for column in range(len(cells), len(cells) + wide):
                open_below[column] = deep - 1
            cells += [_text(cell)] + [""] * (wide - 1)
        while open_below.get(len(cells), 0):
            open_below[len(cells)] -= 1
            cells.append("")
        if cells:
            rows.append(cells)
    if not any(text for cells in rows for text in cells):
        return ""
    lines = [f"| {' | '.join(cells)} |" for cells in rows]
    return "\n".join([lines[0], "|" + " --- |" * len(rows[0]), *lines[1:]])


def _outermost(root: Any, wanted: Callable[[Any], bool]) -> Iterator[Any]:
    """The wanted elements under `root` that lie in no other wanted one, in the page's order."""
    waiting = list(reversed(root))
    while waiting:
        element = waiting.pop()
        if wanted(element):
            yield element
        else:
            waiting.extend(reversed(element))


def _is_row(element: Any) -> bool:
    return element.tag == "tr" or "ltx_tr" in element.get("class", "").split()


def _is_cell(element: Any) -> bool:
    return element.tag in ("td", "th") or not {"ltx_td", "ltx_th"}.isdisjoint(element.get("class", "").split())


def _text(cell: Any) -> str:
    return " ".join(cell.text_content().split()).replace("|", r"\|")


def _span(cell: Any, name: str) -> int:
    text = cell.get(name, "1")
    return min(WIDEST_SPAN, max(1, int(text))) if text.isascii() and text.isdigit() and len(text) < 6 else 1
