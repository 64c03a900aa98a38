"""What a report says wrongly although it is well formed: facts that contradict each other, texts out of bounds."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator

from assay.papers.report import views
from assay.papers.report.grammar import CONTRIBUTION, DAY, INNOVATIONS, sources, words
from assay.papers.report.model import Entry, HeadingStyle, Problem, Report, Section

MOST_INNOVATIONS = 8
SHORTEST_SECTION = 10
_ID = re.compile(r"(?<![0-9.])[0-9]{4}\.[0-9]{5}(?![0-9])")


def check(report: Report, *, today: datetime.date | None = None) -> list[Problem]:
    """Problems of content, by line; those of form are in `report.problems`. `today` is the machine's date if None."""
    problems = [*_dates(report, today or datetime.date.today())]
    seen: dict[str, int] = {}
    for entry in report.entries:
        if entry.arxiv_id and entry.arxiv_id in seen:
            told = f"{entry.arxiv_id} is already the paper of line {seen[entry.arxiv_id]}"
            problems.append(Problem("duplicate_id", entry.line, told))
        elif entry.arxiv_id:
            seen[entry.arxiv_id] = entry.line
        problems += _entry(entry, report.lang)
    return sorted(problems, key=lambda problem: problem.line)


def _dates(report: Report, today: datetime.date) -> Iterator[Problem]:
    if report.date is None:
        return
    day = DAY.fullmatch(report.source_url)
    if day and day[1] != report.date.isoformat():
        yield Problem("date_mismatch", 2, f"the report is of {report.date}, its source URL of {day[1]}")
    if report.date > today:
        yield Problem("future_date", 2, f"{report.date} is after today, {today}")


def _entry(entry: Entry, lang: str) -> Iterator[Problem]:
    named = _ID.search(entry.title)
    if named and named[0] != entry.arxiv_id:
        yield Problem("id_mismatch", entry.line, f"the title names {named[0]}, the link {entry.arxiv_id or entry.url}")
    allowed = (words(lang).not_read,) if entry.status == "failed" else sources(lang)
    if entry.read_from not in allowed:
        line = entry.line + (entry.layout.link_lead + entry.layout.read_lead).count("\n")
        yield Problem("read_from", line, f"got {entry.read_from!r}, wanted {' or '.join(allowed)}")
    if len({_spelling(section) for section in entry.sections}) > 1:
        yield Problem("mixed_headings", entry.line, "the headings of this paper are not all written in one style")
    for section, line in _placed(entry):
        yield from _section(entry, section, line)


def _section(entry: Entry, section: Section, line: int) -> Iterator[Problem]:
    if (length := len(section.text.strip())) < SHORTEST_SECTION:
        told = f"{section.name} has {length} characters, wanted at least {SHORTEST_SECTION}"
        yield Problem("short_section", line, told)
    if section.place == CONTRIBUTION and (count := len(views.sentences(views.plain(section.text)))) > 1:
        yield Problem("contribution_sentences", line, f"{section.name} has {count} sentences, wanted one")
    if section.place == INNOVATIONS and not 1 <= (count := len(views.named_items(section.text))) <= MOST_INNOVATIONS:
        told = f"{section.name} names {count} innovations, wanted 1 to {MOST_INNOVATIONS}"
        yield Problem("innovation_count", line, told)


def _placed(entry: Entry) -> Iterator[tuple[Section, int]]:
    """The sections with the lines of their headings."""
    layout = entry.layout
    above = layout.link_lead + layout.read_lead + layout.head_tail
    line = entry.line + above.count("\n") + (entry.preface + layout.preface_tail if entry.preface else "").count("\n")
    for section in entry.sections:
        yield section, line
        line += (section.lead + section.text + section.tail).count("\n")


def _spelling(section: Section) -> HeadingStyle | str:
    """What the headings of one paper must share: the style, whether or not text follows on the line."""
    style = section.style
    if style.raw is not None:
        return re.sub(r"[0-9]+|[一二三四五]", "N", style.raw.replace(section.name, "X"))
    return HeadingStyle(style.hashes, style.gap, style.bold, style.colon)
