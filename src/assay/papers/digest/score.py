"""How good a report is, whoever wrote it: numbers that the paper bears out, headline numbers told, structure, length.

The papers' texts come out of the feed's cache; what is not there is said to be unscored, never counted as right.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from assay.papers.digest.ground import GROUNDED_SECTIONS, Source, numbers
from assay.papers.digest.paper import source_text
from assay.papers.digest.validate import structure
from assay.papers.feed.client import Feed
from assay.papers.feed.ledger import Ledger, Row
from assay.papers.feed.model import Document, FeedError
from assay.papers.report import Entry, Report, render_node
from assay.papers.report.grammar import SECTION_NAMES

UNKNOWN = "unknown (not in this machine's ledger)"


@dataclass(frozen=True, slots=True)
class PaperScore:
    """One entry. Counts of numbers are None where the paper's text is not in the cache."""

    id: str
    numbers: int | None
    grounded: int | None
    headline: int | None
    headline_told: int | None
    faults: tuple[str, ...]
    length: int
    tokens: int | None
    seconds: float | None
    unscored: str = ""


@dataclass(frozen=True, slots=True)
class Score:
    """A report's scores: shares are None where there is nothing to take a share of."""

    papers: tuple[PaperScore, ...]
    failed: int

    @property
    def grounded_share(self) -> float | None:
        return _share(self.papers, "grounded", "numbers")

    @property
    def headline_recall(self) -> float | None:
        return _share(self.papers, "headline_told", "headline")

    @property
    def faults(self) -> Counter[str]:
        return Counter(code for paper in self.papers for code in paper.faults)

    def mean(self, name: str) -> float | None:
        """The mean of `length`, `tokens` or `seconds` over the papers where it is known."""
        known = [value for paper in self.papers if (value := getattr(paper, name)) is not None]
        return sum(known) / len(known) if known else None

    def lines(self) -> list[str]:
        """The scores as lines of text; what could not be scored is named."""
        missing = [paper for paper in self.papers if paper.unscored]
        faults = ", ".join(f"{code} {count}" for code, count in self.faults.most_common()) or "none"
        tokens, seconds, length = self.mean("tokens"), self.mean("seconds"), self.mean("length")
        timed = sum(paper.seconds is not None for paper in self.papers)
        lines = [
            f"papers              {len(self.papers)} written, {self.failed} failed",
            f"grounded numbers    {_told(self.papers, 'grounded', 'numbers', self.grounded_share)}",
            f"headline recall     {_told(self.papers, 'headline_told', 'headline', self.headline_recall)}",
            f"structure faults    {sum(self.faults.values()) / max(len(self.papers), 1):.2f} a paper ({faults})",
            f"length              {length or 0:,.0f} characters a paper",
            f"tokens              {f'{tokens:,.0f} a paper' if tokens is not None else UNKNOWN}",
            f"seconds             {f'{seconds:.1f} a paper ({timed} known)' if seconds is not None else UNKNOWN}",
        ]
        return lines + [f"not scored          {paper.id}: {paper.unscored}" for paper in missing]

    def as_dict(self) -> dict[str, Any]:
        return {
            "papers": [asdict(paper) for paper in self.papers],
            "failed": self.failed,
            "grounded_share": self.grounded_share,
            "headline_recall": self.headline_recall,
            "faults": dict(self.faults),
            **{f"mean_{name}": self.mean(name) for name in ("length", "tokens", "seconds")},
        }


def _told(papers: tuple[PaperScore, ...], part: str, whole: str, share: float | None) -> str:
    if share is None:
        return "no numbers to score"
    parts = [sum(getattr(paper, name) or 0 for paper in papers) for name in (part, whole)]
    scored = sum(getattr(paper, whole) is not None for paper in papers)
    return f"{share:.1%} ({parts[0]} of {parts[1]}, in {scored} papers)"


async def score(report: Report, feed: Feed, ledger: Ledger) -> Score:
    """Score every written entry of a report; `feed` should be one that stays offline."""
    lang = report.lang
    rows = {row.id: row for row in ledger.rows(report.date, lang)} if report.date else {}
    entries = [entry for entry in report.entries if entry.status == "ok"]
    papers = [await _paper(entry, lang, feed, rows.get(entry.arxiv_id or "")) for entry in entries]
    return Score(tuple(papers), len(report.entries) - len(entries))


async def _paper(entry: Entry, lang: str, feed: Feed, row: Row | None) -> PaperScore:
    found = [entry.section(name) for name in SECTION_NAMES[lang]]
    texts = [section.text if section else None for section in found]
    written_here = row is not None and row.entry is not None and row.entry.strip() == render_node(entry).strip()
    document, unscored = await _document(entry, feed, row)
    counts = _counts([text or "" for text in texts], document) if document else (None,) * 4
    stated, grounded, headline, told = counts
    return PaperScore(
        id=entry.arxiv_id or entry.title,
        numbers=stated,
        grounded=grounded,
        headline=headline,
        headline_told=told,
        faults=tuple(fault.code for fault in structure(texts, lang)),
        length=sum(len(text) for text in texts if text),
        tokens=row.tokens_in + row.tokens_out if row and written_here else None,
        seconds=_seconds(row) if row and written_here else None,
        unscored=unscored,
    )


def _counts(texts: list[str], document: Document) -> tuple[int, int, int, int]:
    """Numbers stated and grounded, and of the abstract's numbers how many there are and how many are told."""
    source = Source(source_text(document))
    stated = [number for place in GROUNDED_SECTIONS for number in numbers(texts[place])]
    told = Source("\n".join(texts))
    headline = list({(n.value, n.unit): n for n in numbers(document.abstract)}.values())
    return (
        len(stated),
        sum(map(source.has_number, stated)),
        len(headline),
        sum(map(told.states, headline)),
    )


async def _document(entry: Entry, feed: Feed, row: Row | None) -> tuple[Document | None, str]:
    if entry.arxiv_id is None:
        return None, "no arXiv id in its link"
    try:
        return await feed.text(entry.arxiv_id, listed=row.listed if row else None), ""
    except FeedError as error:
        reason = "its text is not in the cache" if error.reason == "offline" else str(error)
        return None, reason


def _seconds(row: Row) -> float | None:
    if not row.started_at or not row.finished_at:
        return None
    return (datetime.fromisoformat(row.finished_at) - datetime.fromisoformat(row.started_at)).total_seconds()


def _share(papers: tuple[PaperScore, ...], part: str, whole: str) -> float | None:
    total = sum(getattr(paper, whole) or 0 for paper in papers)
    return sum(getattr(paper, part) or 0 for paper in papers) / total if total else None
