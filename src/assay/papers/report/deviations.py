"""Where a report leaves the grammar: one walk over its pieces, each held against what the format has there."""

from __future__ import annotations

from assay.papers.report.grammar import (
    DAY,
    DAY_URL,
    ENTRY_URL,
    ICON,
    PAPER_URL,
    PREFACE,
    SECTION_NAMES,
    SEPARATOR,
    TITLE,
    place_of,
    sources,
    words,
)
from assay.papers.report.model import Entry, EntryLayout, Problem, Raw, Report, Section

_SHOWN = 40


def deviations(report: Report, *, mixed_newlines: bool = False) -> list[Problem]:
    """Everything in a parsed report that strict reading refuses, in the order of the text."""
    walk = _Walk(report.lang)
    if report.bom:
        walk.blame("bom", "no byte order mark", "\ufeff")
    if report.newline != "\n" or mixed_newlines:
        walk.blame("newline", "\\n at the end of each line", "\\r\\n")
    walk.header(report)
    for node in report.nodes:
        if isinstance(node, Entry):
            walk.entry(node)
        elif walk.column == walk.line == 1:  # no header was read: this is what stands in its place
            walk.blame("header", f"{TITLE!r} with a date and a source", node.text)
            walk.pass_over(node.text)
        else:
            walk.raw(node)
    if walk.column != 1:
        walk.blame("final_newline", "a newline at the end of the file", "none")
    return sorted(walk.problems, key=lambda problem: (problem.line, problem.column))


class _Walk:
    """A place in the text, moved over the pieces in the order in which they are rendered."""

    def __init__(self, lang: str) -> None:
        self.lang = lang
        self.line = self.column = 1
        self.problems: list[Problem] = []

    def blame(self, code: str, expected: str, got: str, skip: str = "") -> None:
        """Report a problem here, or behind `skip`."""
        line, column = self._after(skip)
        shown = f"{got[:_SHOWN]!r}{'…' * (len(got) > _SHOWN)}"
        self.problems.append(Problem(code, line, f"expected {expected}, got {shown}", column, expected, shown))

    def pass_over(self, piece: str) -> None:
        self.line, self.column = self._after(piece)

    def expect(self, code: str, wanted: str, piece: str) -> None:
        """Move over a piece that the grammar writes as `wanted`; blame the first character that differs."""
        if piece != wanted:
            pairs = enumerate(zip(piece, wanted))
            same = next((i for i, (a, b) in pairs if a != b), min(len(piece), len(wanted)))
            self.blame(code, repr(wanted[same:]) if wanted[same:] else "nothing more", piece[same:], piece[:same])
        self.pass_over(piece)

    def header(self, report: Report) -> None:
        if report.date is None:
            if not report.nodes or isinstance(report.nodes[0], Entry):
                self.blame("header", f"{TITLE!r} with a date and a source", "")
            return
        plain = f"{TITLE}\n**Date**: "
        self.expect("header", plain, report.header.date_lead)
        self.pass_over(report.date.isoformat())
        self.expect("header", "\n**Source URL**: ", report.header.source_lead)
        if not DAY.fullmatch(report.source_url):
            self.blame("header", f"{DAY_URL}YYYY-MM-DD", report.source_url)
        self.pass_over(report.source_url)
        self.rule("\n\n", report.header.tail)

    def entry(self, entry: Entry) -> None:
        spoken, layout = words(self.lang), entry.layout
        plain = EntryLayout.of(spoken)
        self.expect("blank_lines", plain.before, layout.before)
        icon_missing = ICON not in layout.title_lead
        self.expect("icon" if icon_missing else "header", plain.title_lead, layout.title_lead)
        self.pass_over(entry.title)
        self.labelled(plain.link_lead, layout.link_lead)
        if entry.arxiv_id is None:
            self.blame("header", f"{PAPER_URL}dddd.ddddd", entry.url)
        elif not ENTRY_URL.fullmatch(entry.url):
            self.blame("header", f"{PAPER_URL}{entry.arxiv_id}", entry.url)
        self.pass_over(entry.url)
        if layout.read_lead:
            self.labelled(plain.read_lead, layout.read_lead, code="read_from")
        allowed = (spoken.not_read,) if entry.status == "failed" else sources(self.lang)
        if entry.read_from not in allowed:
            self.blame("read_from", " or ".join(allowed), entry.read_from)
        self.pass_over(entry.read_from)
        self.blanks("read_from", plain.head_tail, layout.head_tail)
        if entry.preface:
            if not PREFACE.fullmatch(entry.preface):
                self.blame("unknown_text", "one line of preface or a heading", entry.preface)
            self.pass_over(entry.preface)
            if entry.sections:
                self.expect("blank_lines", plain.preface_tail, layout.preface_tail)
            else:
                self.pass_over(layout.preface_tail)
        self.pass_over(entry.note)
        self.sections(entry)
        self.rule(plain.gap, layout.gap + layout.separator)

    def labelled(self, wanted: str, piece: str, code: str = "header") -> None:
        """A label with the line end before it: blanks and blank lines are one thing, its spelling is another."""
        cut = len(piece) - len(piece.lstrip(" \t\r\n"))
        wanted_cut = len(wanted) - len(wanted.lstrip("\n"))
        self.blanks(code, wanted[:wanted_cut], piece[:cut])
        self.expect(code, wanted[wanted_cut:], piece[cut:])

    def blanks(self, code: str, wanted: str, piece: str) -> None:
        """The end of a line and blank lines: `code` for a blank at the line's end, else `blank_lines`."""
        trailing = piece.partition("\n")[0] != ""
        self.expect(code if trailing else "blank_lines", wanted, piece)

    def sections(self, entry: Entry) -> None:
        seen: list[int] = []
        for number, section in enumerate(entry.sections, 1):
            self.heading(section, seen)
            seen.append(section.place)
            self.section_text(section, last=number == len(entry.sections))
        if entry.status == "failed":
            return
        for place, name in enumerate(SECTION_NAMES[self.lang]):
            if place not in seen:
                told = f"expected section {name!r}, got none"
                self.problems.append(Problem("section_missing", entry.line, told, 1, name, "none"))

    def heading(self, section: Section, seen: list[int]) -> None:
        lang, place = place_of(section.name)
        wanted = SECTION_NAMES[self.lang][place]
        if place in seen:
            self.blame("section_doubled", f"section {wanted} once", section.name)
        elif seen and place < max(seen):
            self.blame("section_order", f"section {wanted} before {SECTION_NAMES[self.lang][max(seen)]}", section.name)
        if section.style.raw is not None or lang != self.lang:
            self.blame("heading", f"a heading such as '### {place + 1}. {wanted}'", section.heading)
        self.pass_over(section.heading)

    def section_text(self, section: Section, *, last: bool) -> None:
        if section.style.inline:
            self.pass_over(section.lead)
        elif section.text:
            self.blanks("heading", "\n", section.lead)
        else:  # nothing but the blank lines around the text that is missing
            self.blanks("heading", section.lead.lstrip(" \t\r"), section.lead)
        self.pass_over(section.text)
        if not last and section.text:
            self.expect("blank_lines", "\n\n", section.tail)
        else:
            self.pass_over(section.tail)

    def rule(self, gap: str, piece: str) -> None:
        """The blank lines and the sixty `=` that end the header or an entry."""
        blanks = piece[: len(piece) - len(piece.lstrip(" \t\r\n"))]
        ruled = piece[len(blanks) :]
        if not ruled:
            self.blame("separator", "a line of 60 =", "none", blanks)
            self.pass_over(piece)
            return
        self.expect("blank_lines", gap, blanks)
        line, newline, rest = ruled.partition("\n")
        self.expect("separator", SEPARATOR, line)
        self.pass_over(newline)
        if rest:
            self.expect("blank_lines", "", rest)

    def raw(self, node: Raw) -> None:
        text = node.text.lstrip(" \t\r\n")
        skipped = node.text[: len(node.text) - len(text)]
        self.blame("unknown_text", f"'## {ICON} ' with the link of a paper below it", text.partition("\n")[0], skipped)
        self.pass_over(node.text)

    def _after(self, piece: str) -> tuple[int, int]:
        breaks = piece.count("\n")
        return self.line + breaks, (len(piece) - piece.rfind("\n") if breaks else self.column + len(piece))
