"""What a report is made of once it is read. Every piece is kept as written, so that `render` gives each byte back."""

from __future__ import annotations

import datetime
from dataclasses import dataclass, field
from typing import Literal

from assay.papers.report import views
from assay.papers.report.grammar import (
    CONTRIBUTION,
    FIELD,
    ICON,
    INNOVATIONS,
    RESULTS,
    SEPARATOR,
    TITLE,
    USAGE,
    Words,
    failed_match,
    place_of,
    words,
)

# The name of a section as the report spells it, e.g. "应用领域" or "Field"; see `grammar.SECTION_NAMES`.
SectionName = str


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is not as the format has it: a code, where it is (from 1), and what was wanted there."""

    code: str
    line: int
    message: str
    column: int = 1
    expected: str = ""
    got: str = ""


class ReportError(ValueError):
    """Strict parsing met text that the grammar does not have."""

    def __init__(self, line: int, column: int, expected: str, got: str, code: str = "unknown_text") -> None:
        super().__init__(f"line {line}, column {column}: {code}: expected {expected}, got {got}")
        self.line, self.column, self.expected, self.got, self.code = line, column, expected, got, code


@dataclass(frozen=True, slots=True)
class HeadingStyle:
    """How a heading is written: `#` marks, blanks after the number, bold, colon, and text on the same line.

    `raw` keeps a tolerated spelling as it was; where it is None the other fields say everything.
    """

    hashes: int = 3
    gap: int = 1
    bold: bool = False
    colon: str = ""
    inline: bool = False
    raw: str | None = None

    def heading(self, number: int, name: str) -> str:
        """The heading up to its colon, without the text that may follow on the line."""
        if self.raw is not None:
            return self.raw
        marks, stars = "#" * self.hashes + " " * bool(self.hashes), "**" * self.bold
        return f"{marks}{number}.{' ' * self.gap}{stars}{name}{stars}{self.colon}"


@dataclass(frozen=True, slots=True)
class Section:
    """One of a paper's five sections: `text` as written, without the newlines around it (`lead`, `tail`)."""

    name: SectionName
    style: HeadingStyle
    text: str
    lead: str = "\n"
    tail: str = "\n\n"

    @property
    def place(self) -> int:
        """0 to 4: field, contribution, usage, innovations, results."""
        return place_of(self.name)[1]

    @property
    def heading(self) -> str:
        return self.style.heading(self.place + 1, self.name)


@dataclass(frozen=True, slots=True)
class EntryLayout:
    """The characters between an entry's fields, as written; the defaults are those of the format."""

    before: str = "\n"
    title_lead: str = f"## {ICON} "
    link_lead: str = "\n\n- **链接**: "
    read_lead: str = "\n- **阅读来源**: "
    head_tail: str = "\n\n"
    preface_tail: str = "\n\n"
    gap: str = "\n\n\n"
    separator: str = SEPARATOR + "\n"

    @classmethod
    def of(cls, spoken: Words) -> EntryLayout:
        """The format's own layout with the labels of a language."""
        return cls(link_lead=f"\n\n- **{spoken.link}**: ", read_lead=f"\n- **{spoken.read_from}**: ")


@dataclass(frozen=True, slots=True)
class Entry:
    """One paper of a report. `line` is where its title stands; `note` is the line of a paper that failed."""

    title: str
    url: str
    arxiv_id: str | None
    read_from: str
    preface: str
    sections: tuple[Section, ...]
    status: Literal["ok", "failed"] = "ok"
    layout: EntryLayout = field(default_factory=EntryLayout)
    line: int = 1
    note: str = ""

    @property
    def lang(self) -> str:
        """The language of its section names; where it has none, of its labels."""
        if self.sections:
            return place_of(self.sections[0].name)[0]
        return "en" if words("en").link in self.layout.link_lead else "zh"

    @property
    def reason(self) -> str | None:
        """Why the paper failed, as a code; None for one that did not."""
        match = failed_match(self.note)
        return match["reason"] if match else None

    @property
    def attempts(self) -> int:
        """How often a failed paper was tried; 0 for one that did not fail."""
        match = failed_match(self.note)
        return int(match["attempts"]) if match else 0

    def section(self, name: SectionName) -> Section | None:
        """The section of that name, in any language (`实验效果` finds `Results`); None where it is missing."""
        return self._at(place_of(name)[1])

    @property
    def fields(self) -> list[str]:
        return views.fields(self._text(FIELD))

    @property
    def contribution(self) -> str:
        return views.plain(self._text(CONTRIBUTION))

    @property
    def usage(self) -> dict[str, str]:
        return {item.name: item.text for item in views.named_items(self._text(USAGE))}

    @property
    def innovations(self) -> list[views.Innovation]:
        return views.named_items(self._text(INNOVATIONS))

    @property
    def figures(self) -> list[views.Figure]:
        """The numbers that the contribution and the results state, in order."""
        return views.figures(self._text(CONTRIBUTION)) + views.figures(self._text(RESULTS))

    def _at(self, place: int) -> Section | None:
        return next((s for s in self.sections if s.place == place), None)

    def _text(self, place: int) -> str:
        section = self._at(place)
        return section.text if section else ""


@dataclass(frozen=True, slots=True)
class Raw:
    """Text that belongs to no paper and is not understood, as written."""

    text: str
    line: int = 1


@dataclass(frozen=True, slots=True)
class Header:
    """The characters around the report's date and source."""

    date_lead: str = f"{TITLE}\n**Date**: "
    source_lead: str = "\n**Source URL**: "
    tail: str = f"\n\n{SEPARATOR}\n"


@dataclass(frozen=True, slots=True)
class Report:
    """A day's report. `date` is None where no header could be read; then its text is the first `Raw`."""

    date: datetime.date | None
    source_url: str
    nodes: tuple[Entry | Raw, ...]
    newline: str = "\n"
    bom: bool = False
    problems: tuple[Problem, ...] = ()
    header: Header = field(default_factory=Header)

    @property
    def entries(self) -> list[Entry]:
        return [node for node in self.nodes if isinstance(node, Entry)]

    @property
    def lang(self) -> str:
        """The language of the first paper that has sections, else of the labels; Chinese for an empty report."""
        spoken = sorted(self.entries, key=lambda entry: not entry.sections)
        return spoken[0].lang if spoken else "zh"
