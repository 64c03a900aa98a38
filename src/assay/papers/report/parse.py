"""Text to `Report`, for any text: what is understood becomes fields, the characters between them stay as written."""

from __future__ import annotations

import datetime
import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TextIO

from assay.papers.report.deviations import deviations
from assay.papers.report.grammar import (
    BLANK,
    DATE,
    ENTRY_HEAD,
    ENTRY_URL,
    ICON_LINE,
    LINK_LINE,
    SEPARATOR_LINE,
    SOURCE,
    failed_match,
    heading_at,
    heading_pattern,
    is_heading,
    place_of,
)
from assay.papers.report.model import Entry, EntryLayout, Header, HeadingStyle, Raw, Report, ReportError, Section

_BLANK_LINES = re.compile(r"(?:[ \t\r]*\n)*")
_LEAD = re.compile(r"[ \t\r]*\n(?:[ \t\r]*\n)*|[ \t\r]*\Z")
_INLINE_LEAD = re.compile(r"[ \t]*")
_TEXT = re.compile(r"[^ \t\r\n]")


def parse(text: str, *, strict: bool = False) -> Report:
    """Read a report. Never raises unless `strict`, and `render(parse(text)) == text` for every text.

    `problems` lists where the text leaves the format; with `strict` the first of them is raised as `ReportError`.
    """
    bom = text.startswith("\ufeff")
    body = text[1:] if bom else text
    breaks = body.count("\r\n")
    newline = "\r\n" if breaks and breaks == body.count("\n") else "\n"
    if newline == "\r\n":
        body = body.replace("\r\n", "\n")
    # StringIO with this newline cuts at \n alone; str.splitlines would also cut at \x0b, \x85, \u2028 and others.
    chunks = _chunks(io.StringIO(body, newline="\n"))
    head = next(chunks)
    report = replace(_header(head), newline=newline, bom=bom)
    nodes, line = list(report.nodes), 1 + head.count("\n")
    for chunk in chunks:
        nodes += _nodes(chunk, line)
        line += chunk.count("\n")
    report = replace(report, nodes=tuple(nodes))
    problems = tuple(deviations(report, mixed_newlines=newline == "\n" and breaks > 0))
    if strict and problems:
        first = problems[0]
        raise ReportError(first.line, first.column, first.expected, first.got, first.code)
    return replace(report, problems=problems)


def parse_file(path: Path, *, strict: bool = False, encoding: str = "utf-8") -> Report:
    """`parse` for a file; OSError or UnicodeDecodeError where it cannot be read."""
    return parse(Path(path).read_bytes().decode(encoding), strict=strict)


def iter_entries(file: TextIO) -> Iterator[Entry | Raw]:
    """The entries and stray texts of an open file one by one, holding no more than the largest of them.

    The header is passed over; line ends come out as `\\n`.
    """
    chunks = _chunks(_unix(file))
    head = next(chunks)
    yield from _header(head).nodes
    line = 1 + head.count("\n")
    for chunk in chunks:
        yield from _nodes(chunk, line)
        line += chunk.count("\n")


def _unix(lines: Iterable[str]) -> Iterator[str]:
    for number, line in enumerate(lines):
        shown = line.removeprefix("\ufeff") if number == 0 else line
        yield shown[:-2] + "\n" if shown.endswith("\r\n") else shown


def _chunks(lines: Iterable[str]) -> Iterator[str]:
    """What stands before the first entry (maybe nothing), then one chunk an entry with the blank lines before it.

    A `## 📄` line that a link line follows begins an entry wherever it stands; without the icon only where a
    separator, or nothing at all, stands before it.
    """
    held: list[str] = []
    title: int | None = None  # where in `held` a line stands that is a title if a link follows
    after_separator = True
    for line in lines:
        blank = BLANK.match(line) is not None
        if title is not None and not blank:
            if LINK_LINE.match(line):
                while title and BLANK.match(held[title - 1]):
                    title -= 1
                yield "".join(held[:title])
                del held[:title]
            title = None
        if line.startswith("## ") and (ICON_LINE.match(line) or (after_separator and not heading_at(line))):
            title = len(held)
        if not blank:
            after_separator = SEPARATOR_LINE.match(line) is not None
        held.append(line)
    yield "".join(held)


def _header(text: str) -> Report:
    """The report's head, and as `Raw` what of the text before the first entry is not part of it."""
    dated = DATE.search(text)
    date = _date(dated[1]) if dated else None
    if dated is None or date is None:
        return Report(None, "", (Raw(text),) if text else (), header=Header("", "", ""))
    sourced = SOURCE.search(text, dated.end())
    url_start, url_end = sourced.span(1) if sourced else (dated.end(1), dated.end(1))
    ruled = SEPARATOR_LINE.search(text, url_end)
    end = ruled.end() if ruled else _end_of_blank_lines(text, url_end)
    rest = text[end:]
    if not rest.strip(" \t\r\n"):
        end, rest = len(text), ""
    header = Header(text[: dated.start(1)], text[dated.end(1) : url_start], text[url_end:end])
    stray = (Raw(rest, 1 + text[:end].count("\n")),) if rest else ()
    return Report(date, text[url_start:url_end], stray, header=header)


def _end_of_blank_lines(text: str, start: int) -> int:
    line_end = text.find("\n", start)
    if line_end < 0 or text[start:line_end].strip(" \t\r"):
        return start
    return _end(_BLANK_LINES.match(text, line_end + 1))


def _nodes(chunk: str, line: int) -> list[Entry | Raw]:
    """The entry that begins a chunk, and as `Raw` what stands between its separator and the end of the chunk."""
    head = ENTRY_HEAD.match(chunk)
    if head is None:  # `_chunks` and ENTRY_HEAD share their patterns
        raise AssertionError(f"no entry at the start of a chunk in line {line}")
    ruled = _separator(chunk, head.end())
    body = chunk[head.end() : ruled.start() if ruled else len(chunk)]
    end = ruled.end() if ruled else len(chunk)
    rest = chunk[end:]
    if not rest.strip(" \t\r\n"):
        end, rest = len(chunk), ""
    separator = chunk[ruled.start() : end] if ruled else ""
    entry = _entry(head, body, separator, line + head["before"].count("\n"))
    return [entry, Raw(rest, line + chunk[:end].count("\n"))] if rest else [entry]


def _separator(chunk: str, start: int) -> re.Match[str] | None:
    """The line of `=` that ends an entry: a `## ` line that heads no section comes next, or nothing does."""
    for ruled in SEPARATOR_LINE.finditer(chunk, start):
        following = _TEXT.search(chunk, ruled.end())
        if following is None:
            return ruled
        line = chunk[chunk.rfind("\n", 0, following.start()) + 1 :].partition("\n")[0]
        if line.startswith("## ") and not heading_at(line):
            return ruled
    return None


def _entry(head: re.Match[str], body: str, separator: str, line: int) -> Entry:
    text, gap = _cut_tail(body)
    headings = _headings(text)
    opening = text[: headings[0].start()] if headings else text
    preface, preface_tail = _cut_tail(opening)
    failed = not headings and failed_match(preface) is not None
    linked = ENTRY_URL.fullmatch(head["url"])
    layout = EntryLayout(
        before=head["before"],
        title_lead=head["title_lead"],
        link_lead=head["link_lead"],
        read_lead=head["read_lead"] or "",
        head_tail=head["head_tail"],
        preface_tail=preface_tail if preface else "\n\n",
        gap=gap,
        separator=separator,
    )
    return Entry(
        title=head["title"],
        url=head["url"],
        arxiv_id=linked[1] if linked else None,
        read_from=head["read_from"] or "",
        preface="" if failed else preface,
        sections=tuple(_sections(text, headings)),
        status="failed" if failed else "ok",
        layout=layout,
        line=line,
        note=preface if failed else "",
    )


def _headings(text: str) -> list[re.Match[str]]:
    """The headings of an entry. A line without a number counts only for a section that no numbered line names."""
    found = [match for match in heading_pattern().finditer(text) if is_heading(match)]
    numbered = {place_of(match["name"])[1] for match in found if match["number"]}
    return [match for match in found if match["number"] or place_of(match["name"])[1] not in numbered]


def _sections(text: str, headings: list[re.Match[str]]) -> Iterator[Section]:
    for index, heading in enumerate(headings):
        start = heading.start("rest")
        last = index + 1 == len(headings)
        body = text[start : len(text) if last else headings[index + 1].start()]
        inline = bool(heading["rest"].strip(" \t\r"))
        lead = _end((_INLINE_LEAD if inline else _LEAD).match(body))
        content, tail = _cut_tail(body[lead:])
        yield Section(heading["name"], _style(heading, inline), content, body[:lead], tail)


def _style(heading: re.Match[str], inline: bool) -> HeadingStyle:
    written = heading[0][: heading.start("rest") - heading.start()]
    colon = "：" if "：" in heading["close"] else ":" if ":" in heading["close"] else ""
    style = HeadingStyle(
        hashes=len((heading["hash"] or "").rstrip(" ")),
        gap=len(heading["gap"] or ""),
        bold=bool(heading["outer"] or heading["inner"]),
        colon=colon,
        inline=inline,
    )
    plain = style.heading(place_of(heading["name"])[1] + 1, heading["name"])
    in_grammar = style.hashes in (0, 2, 3, 4) and style.gap in (1, 2) and style.colon != ":"
    return style if plain == written and in_grammar else replace(style, raw=written)


def _cut_tail(text: str) -> tuple[str, str]:
    """The text without its last newline and the blank lines behind it, and those."""
    end = len(text.rstrip(" \t\r\n"))
    line_end = text.find("\n", end)
    if line_end < 0:
        return text, ""
    return (text[:line_end], text[line_end:]) if end else ("", text)


def _date(text: str) -> datetime.date | None:
    try:
        return datetime.date.fromisoformat(text)
    except ValueError:  # 2026-13-45 has the shape of a date and is none
        return None


def _end(match: re.Match[str] | None) -> int:
    return match.end() if match else 0
