"""What a site is built from, arranged for its pages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby

from assay.papers.catalogue.record import Claim, Paper
from assay.papers.report import Entry
from assay.papers.search.text import cjk_share
from assay.papers.verdicts import VerdictSource, VerdictView

OUTCOMES = ("holds", "fails", "inconclusive", "reported")


@dataclass(frozen=True, slots=True)
class Card:
    """A paper with its report's entry and the verdicts on it."""

    paper: Paper
    entry: Entry | None
    views: tuple[VerdictView, ...]

    @property
    def outcomes(self) -> tuple[str, ...]:
        """Each outcome of the paper's trials once, the good news last."""
        found = {view.outcome for view in self.views}
        return tuple(outcome for outcome in ("fails", "inconclusive", "holds") if outcome in found)

    @property
    def title_lang(self) -> str:
        return lang_of(self.paper.title)

    @property
    def line_lang(self) -> str:
        return lang_of(self.paper.one_line)


@dataclass(frozen=True, slots=True)
class Day:
    """The papers of one report date in the report's order."""

    date: date
    cards: tuple[Card, ...]

    @property
    def fields(self) -> list[str]:
        """The three most frequent fields."""
        counts = Counter(card.paper.field for card in self.cards if card.paper.field)
        return [name for name, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:3]]


@dataclass(frozen=True, slots=True)
class ClaimRow:
    """A claim with its number in the paper and the verdict of its trials."""

    paper: Paper
    number: int
    claim: Claim
    view: VerdictView | None

    @property
    def title_lang(self) -> str:
        return lang_of(self.paper.title)


class Library:
    """Papers, entries of imported reports (id -> entry) and verdicts; `steps` holds a paper's commands to type next."""

    def __init__(
        self,
        papers: Iterable[Paper],
        entries: Mapping[str, Entry],
        verdicts: VerdictSource,
        steps: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self.verdicts, self.steps = verdicts, steps or {}
        ordered = sorted(papers, key=lambda p: (p.report_date, p.position, p.id))
        self.cards = [Card(p, entries.get(p.id), tuple(verdicts.of_paper(p.id))) for p in ordered]
        self.by_id = {card.paper.id: card for card in self.cards}
        stands = sorted(
            ((day, card) for card in self.cards for day in (card.paper.report_date, *card.paper.also_on)),
            key=lambda pair: (pair[0], pair[1].paper.position, pair[1].paper.id),
        )
        self.days = [
            Day(day, tuple(card for _, card in pairs)) for day, pairs in groupby(stands, key=lambda pair: pair[0])
        ]
        self.claims = [
            ClaimRow(card.paper, number, claim, verdicts.latest(claim.id))
            for card in self.cards
            for number, claim in enumerate(card.paper.claims, 1)
        ]
        self._claims_of = {paper: list(rows) for paper, rows in groupby(self.claims, key=lambda row: row.paper.id)}

    def claims_of(self, paper_id: str) -> list[ClaimRow]:
        return self._claims_of.get(paper_id, [])

    @property
    def fields(self) -> list[tuple[str, int]]:
        """The fields that have papers, the largest first."""
        counts = Counter(card.paper.field for card in self.cards if card.paper.field)
        return sorted(counts.items(), key=lambda item: (-item[1], item[0]))

    @property
    def views(self) -> list[VerdictView]:
        """All verdicts, the last measured first."""
        found = [view for card in self.cards for view in card.views]
        return sorted(found, key=lambda view: (-view.measured.timestamp(), view.trial))

    def of_field(self, field: str) -> list[Card]:
        """The field's papers, the newest report first."""
        found = [card for card in self.cards if card.paper.field == field]
        return sorted(found, key=lambda card: (-card.paper.report_date.toordinal(), card.paper.position))

    def counts(self) -> dict[str, int]:
        """The numbers of the first page."""
        outcomes = Counter(view.outcome for view in self.views)
        return {
            "papers": len(self.cards),
            "claims": len(self.claims),
            "days": len(self.days),
            **{outcome: outcomes[outcome] for outcome in OUTCOMES},
        }


def lang_of(text: str) -> str:
    """The `lang` attribute of a title or a line."""
    return "zh-Hans" if cjk_share(text) > 0.30 else "en"
