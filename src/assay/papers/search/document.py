"""What the index holds of a paper: its record, and the sections of an imported report."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from assay.papers.catalogue.record import Paper
from assay.papers.report import Entry, parse
from assay.papers.report.grammar import CONTRIBUTION, FIELD, INNOVATIONS, RESULTS, USAGE

# Column and weight of a hit in it. The order is that of the index; a change of either wants a new `index.VERSION`.
WEIGHTS: dict[str, float] = {
    "title": 8, "one_line": 5, "claims": 5, "contribution": 4, "innovations": 3, "fields": 3, "usage": 1, "results": 1,
    "authors": 2, "id": 10,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Document:
    """One paper as it is indexed: ten columns of text, and the facts that filters ask for."""

    id: str
    title: str
    one_line: str = ""
    claims: str = ""
    contribution: str = ""
    innovations: str = ""
    fields: str = ""
    usage: str = ""
    results: str = ""
    authors: str = ""
    field: str = ""
    dates: tuple[str, ...] = ()
    lang: str = "en"
    origin: Literal["package", "user"] = "package"
    has: tuple[str, ...] = ()
    upvotes: int | None = None

    @property
    def sha(self) -> str:
        """Of everything: a row of the index is rewritten when it changes."""
        return hashlib.sha256(repr(self).encode()).hexdigest()

    @property
    def gist(self) -> str:
        """What is encoded for the search by meaning: our own English record."""
        return ". ".join(part.strip().rstrip(".") for part in (self.title, self.one_line, self.claims) if part) + "."


def documents(papers: Iterable[Paper], entries: Mapping[str, str]) -> Iterator[Document]:
    """Every paper with the text of its report entry, where one was imported (id -> entry as written)."""
    for paper in papers:
        yield document(paper, entry_of(entries.get(paper.id, "")))


def entry_of(text: str) -> Entry | None:
    """The first entry of a stored text; None for an empty one."""
    return next(iter(parse(text).entries), None) if text else None


def document(paper: Paper, entry: Entry | None = None) -> Document:
    """A paper's record and its report entry as one document."""
    sections = {section.place: section.text for section in entry.sections} if entry else {}
    facts = {
        "code": paper.code_url is not None,
        "trial": any(claim.trials for claim in paper.claims),
        "figure": any(claim.figure for claim in paper.claims),
    }
    return Document(
        id=paper.id,
        title=paper.title,
        one_line=paper.one_line,
        claims=" ".join(claim.text for claim in paper.claims),
        contribution=sections.get(CONTRIBUTION, ""),
        innovations=sections.get(INNOVATIONS, ""),
        fields=f"{paper.field} {paper.field.replace('_', ' ')} {sections.get(FIELD, '')}".strip(),
        usage=sections.get(USAGE, ""),
        results=sections.get(RESULTS, ""),
        authors=", ".join(paper.authors),
        field=paper.field,
        dates=tuple(day.isoformat() for day in (paper.report_date, *paper.also_on)),
        lang=entry.lang if entry else "en",
        origin=paper.origin,
        has=tuple(name for name, there in facts.items() if there),
        upvotes=paper.upvotes,
    )
