"""`Report` to text: as it was written, or in the one style that Assay writes itself."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from assay.papers.report.grammar import (
    ENTRY_URL,
    PAPER_URL,
    PREFACE,
    SECTION_NAMES,
    SEPARATOR_LINE,
    failed_note,
    heading_at,
    words,
)
from assay.papers.report.model import Entry, EntryLayout, Header, HeadingStyle, Raw, Report, Section

_ITEM = re.compile(r"(?P<mark>[*+-]|[0-9]{1,9}[.)])(?:[ \t]+(?P<text>.*))?", re.DOTALL)
_STEP = 4  # columns from a list's marker to its text, and from one level to the next


def render(report: Report) -> str:
    """The report's text; for a report that `parse` gave, the text it was given, byte for byte."""
    pieces = [] if report.date is None else [
        report.header.date_lead, report.date.isoformat(), report.header.source_lead, report.source_url,
        report.header.tail,
    ]  # fmt: skip
    text = "".join([*pieces, *(render_node(node) for node in report.nodes)])
    if report.newline != "\n":
        text = text.replace("\n", report.newline)
    return "\ufeff" * report.bom + text


def render_node(node: Entry | Raw) -> str:
    """One entry with the blank lines before it and the separator behind it, or a stray text."""
    if isinstance(node, Raw):
        return node.text
    layout = node.layout
    return "".join([
        layout.before, layout.title_lead, node.title, layout.link_lead, node.url, layout.read_lead, node.read_from,
        layout.head_tail, node.preface, layout.preface_tail if node.preface else "", node.note,
        *(piece for s in node.sections for piece in (s.heading, s.lead, s.text, s.tail)),
        layout.gap, layout.separator,
    ])  # fmt: skip


def compose(arxiv_id: str, title: str, read_from: str, texts: Sequence[str], *, lang: str = "zh") -> Entry:
    """An entry in the canonical style from its five texts; ValueError where they are not five."""
    names = SECTION_NAMES[lang]
    if len(texts) != len(names):
        raise ValueError(f"texts: got {len(texts)}, wanted {len(names)}: {', '.join(names)}")
    sections = tuple(Section(name, HeadingStyle(), _shielded(text)) for name, text in zip(names, texts))
    layout = EntryLayout.of(words(lang))
    return _canonical_entry(Entry(title, _url(arxiv_id), arxiv_id, read_from, "", sections, layout=layout), lang)


def compose_failed(arxiv_id: str, title: str, reason: str, attempts: int, at: str, *, lang: str = "zh") -> Entry:
    """An entry that keeps the place of a paper that could not be written; `at` is YYYY-MM-DDTHH:MM:SSZ."""
    spoken, note = words(lang), failed_note(reason, attempts, at, lang)
    layout = EntryLayout.of(spoken)
    return Entry(title, _url(arxiv_id), arxiv_id, spoken.not_read, "", (), "failed", layout, note=note)


def canonical(report: Report) -> Report:
    """Every entry in the style Assay writes: no preface, `### N. NAME`, text below it, lists as `*   `.

    Sections come in their order; doubled ones stay, side by side. Indents, list marks and blanks at line ends apart,
    no text changes; stray text stays where it was. `problems` and lines are those of the report that came in.
    """
    lang = report.lang
    nodes = tuple(
        _canonical_entry(node, lang) if isinstance(node, Entry) else Raw(re.sub(r"\r+\n", "\n", node.text), node.line)
        for node in report.nodes
    )
    return replace(report, nodes=nodes, newline="\n", bom=False, header=Header() if report.date else report.header)


def _url(arxiv_id: str) -> str:
    url = PAPER_URL + arxiv_id
    if not ENTRY_URL.fullmatch(url):
        raise ValueError(f"arxiv_id: got {arxiv_id!r}, wanted dddd.ddddd")
    return url


def _canonical_entry(entry: Entry, lang: str) -> Entry:
    ordered = sorted(entry.sections, key=lambda section: section.place)
    sections = tuple(
        Section(SECTION_NAMES[lang][s.place], HeadingStyle(), canonical_text(_below_its_heading(s))) for s in ordered
    )
    if sections:
        sections = (*sections[:-1], replace(sections[-1], tail=""))
    says_nothing = bool(sections) and PREFACE.fullmatch(entry.preface) is not None
    preface = "" if says_nothing else _trimmed(entry.preface)
    return replace(entry, preface=preface, sections=sections, layout=EntryLayout.of(words(lang)))


def canonical_text(text: str) -> str:
    """The Markdown of a section with lists as `*   ` or `N.  ` and four columns a level; fenced code is left alone."""
    return "\n".join(_relaid(_trimmed(text).split("\n")))


def _trimmed(text: str) -> str:
    """Without blanks at the ends of lines, carriage returns among them."""
    return re.sub(r"[ \t\r]+(?=\n|\Z)", "", text)


def _relaid(lines: list[str]) -> Iterator[str]:
    levels: list[int] = []  # the indents of the lists that are open
    fenced = False
    for line in lines:
        content = line.lstrip(" \t")
        fence = content.startswith("```")
        if fenced or fence:
            fenced = fenced != fence
            yield line
            continue
        if not content:
            yield ""
            continue
        indent = len(line[: len(line) - len(content)].expandtabs(_STEP))
        item = _ITEM.fullmatch(content)
        if indent and _would_be_read(content):  # harmless where it stands, but not at the margin
            yield " " * (_STEP * len(levels) or 1) + content
            continue
        while levels and levels[-1] >= indent:
            levels.pop()
        margin = " " * (_STEP * len(levels))
        if item is None:
            yield margin + content
        else:
            levels.append(indent)
            mark = item["mark"] if item["mark"][0].isdigit() else "*"
            yield f"{margin}{mark:<{max(_STEP, len(mark) + 1)}}{item['text'] or ''}".rstrip(" ")


def _below_its_heading(section: Section) -> str:
    """The text; its first line made safe if it stood on the heading's line and now begins a line."""
    first, newline, rest = section.text.partition("\n")
    return (_shielded(first) if section.style.inline else first) + newline + rest


def _shielded(text: str) -> str:
    """Each line that would be read as structure set in by a blank."""
    return "\n".join(" " + line if _would_be_read(line) else line for line in text.split("\n"))


def _would_be_read(line: str) -> bool:
    """True for what may be a heading, a title or a separator at the beginning of a line."""
    return line.startswith("## ") or SEPARATOR_LINE.match(line) is not None or heading_at(line)
