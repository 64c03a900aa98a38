"""What a section's Markdown says: its fields, named items, sentences and numbers. Nothing here is needed to render."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

_OPEN, _CLOSE = "(（[【{《「“", ")）]】}》」”"
_ITEM = re.compile(r"(?P<indent>[ \t]*)(?:[*+-]|[0-9]{1,3}[.)])[ \t]+(?P<text>\S.*)")
_NAMED = re.compile(r"\*\*(?P<name>[^*]+?)\*\*(?P<rest>.*)", re.DOTALL)
_NUMBERED = re.compile(r"^(?:[0-9]{1,2}|[一二三四五六七八九十])[.、)）]\s*")
_CODE = re.compile(r"`[^`\n]*`")
# Not inside a word or a name: the 3 of Qwen3-4B and the 25 of AIME25 are no figures.
_FIGURE = re.compile(
    r"(?<![A-Za-z0-9_.\-])(?P<number>[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?|[0-9]+(?:\.[0-9]+)?)"
    r"(?:\s?(?P<unit>%|×|倍|个百分点|percentage points|pp\b|x\b|[kMB]\b|万|亿))?(?![A-Za-z0-9_])"
)
_LATIN_END = re.compile(r"(?:(?<=[a-z]{3})|(?<=[0-9)%]))[.!?](?=\s+[A-Z])")
_UNITS = {"个百分点": "pp", "percentage points": "pp", "倍": "×", "x": "×"}


@dataclass(frozen=True, slots=True)
class Innovation:
    """A list item that opens with a bold name: the name, and the text behind it with what is nested below."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Figure:
    """A number as a section states it: `value` in `unit` ("%", "pp", "×", "k", "M", "B", "万", "亿" or none)."""

    value: float
    unit: str
    text: str


def fields(text: str) -> list[str]:
    """The fields of work: cut at `、` `/` `，` and ` - ` outside brackets, bold and list marks dropped."""
    names = []
    for line in text.replace("**", "").split("\n"):
        item = _ITEM.fullmatch(line)
        names += [name.strip(" \t\r。.") for name in _cut(item["text"] if item else line, ("、", "/", "，", " - "))]
    return [name for name in names if name]


def plain(text: str) -> str:
    """The text on one line, without bold and indents; a blank joins lines only where words are parted by blanks."""
    joined = ""
    for line in (line.strip(" \t\r") for line in text.replace("**", "").split("\n")):
        blank = " " if joined and line and joined[-1].isascii() and line[0].isascii() else ""
        joined += blank + line
    return joined


def sentences(text: str) -> list[str]:
    """Cut after `。！？` outside brackets; where there is none, after `.!?` behind a word and before a capital."""
    outside = list(_outside(text))
    ends = [index + 1 for index, character in outside if character in "。！？"]
    if not ends:  # "Dr. Zero" and "et al. Show" end no sentence: the word before the mark has three small letters
        plain = {index for index, _ in outside}
        ends = [match.end() for match in _LATIN_END.finditer(text) if match.end() - 1 in plain]
    parts = [text[a:b].strip() for a, b in zip([0, *ends], [*ends, len(text)])]
    return [part for part in parts if part.strip("。！？.!?”）)*")]


def named_items(text: str) -> list[Innovation]:
    """The items of the outermost list that open with `**name**`; number and colon of the name dropped."""
    lines = text.split("\n")
    marks = [(index, match) for index, line in enumerate(lines) if (match := _ITEM.fullmatch(line))]
    if not marks:
        return []
    outermost = min(_width(match["indent"]) for _, match in marks)
    starts = [(index, match["text"]) for index, match in marks if _width(match["indent"]) == outermost]
    ends = [index for index, _ in starts[1:]] + [len(lines)]
    named = []
    for (start, opening), end in zip(starts, ends):
        if match := _NAMED.fullmatch("\n".join([opening, *lines[start + 1 : end]])):
            name = _NUMBERED.sub("", match["name"].strip()).rstrip("：: ")
            named.append(Innovation(name, match["rest"].strip().removeprefix("：").removeprefix(":").strip()))
    return named


def figures(text: str) -> list[Figure]:
    """Every number with its unit, full-width digits and thousands read; numbers inside code and names are not."""
    found = _FIGURE.finditer(_CODE.sub(" ", unicodedata.normalize("NFKC", text)))
    return [
        Figure(float(match["number"].replace(",", "")), _UNITS.get(match["unit"] or "", match["unit"] or ""), match[0])
        for match in found
    ]


def _cut(text: str, marks: tuple[str, ...]) -> list[str]:
    parts, start = [], 0
    for index, _ in _outside(text):
        mark = next((mark for mark in marks if index >= start and text.startswith(mark, index)), None)
        if mark:
            parts.append(text[start:index])
            start = index + len(mark)
    return [*parts, text[start:]]


def _outside(text: str) -> Iterator[tuple[int, str]]:
    """The characters that stand in no bracket; a bracket that never closes counts as text."""
    closing: dict[int, int] = {}
    pending: list[int] = []
    for index, character in enumerate(text):
        if character in _OPEN:
            pending.append(index)
        elif character in _CLOSE:
            kind = _OPEN[_CLOSE.index(character)]
            while pending:
                opened = pending.pop()
                if text[opened] == kind:
                    closing[opened] = index
                    break
    index = 0
    while index < len(text):
        if index in closing:
            index = closing[index]
        else:
            yield index, text[index]
        index += 1


def _width(indent: str) -> int:
    return len(indent.expandtabs(4))
