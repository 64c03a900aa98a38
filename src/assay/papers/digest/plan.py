"""What a digest would do, without doing it: the list, what is cached, and the tokens that a model may take."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date

from assay.papers.digest import prompt
from assay.papers.digest.fit import estimate, fit
from assay.papers.digest.reader import MAX_OUTPUT
from assay.papers.digest.run import DigestOptions, chosen
from assay.papers.feed.client import Feed
from assay.papers.feed.ledger import Ledger, Row, unwritten
from assay.papers.feed.model import FeedError


@dataclass(frozen=True, slots=True)
class Planned:
    """One paper of the day: where it stands, whether its text is cached, and the tokens of one call about it."""

    id: str
    title: str
    stage: str
    gone: bool
    cached: bool
    tokens: int


async def plan(day: date, feed: Feed, cached: Feed, ledger: Ledger, options: DigestOptions) -> list[Planned]:
    """The papers of a day as a digest would find them; nothing is written. `cached` is a feed that stays offline."""
    rows = ledger.rows(day, options.lang)
    if options.refresh or not rows:
        known = {row.id for row in rows}
        listed = await feed.day(day)
        there = {paper.id for paper in listed}
        rows = [replace(row, gone=row.id not in there) for row in rows]
        rows += [unwritten(day, options.lang, paper) for paper in listed if paper.id not in known]
    return [await _planned(row, cached, options) for row in chosen(rows, options, day)]


async def _planned(row: Row, cached: Feed, options: DigestOptions) -> Planned:
    done = row.stage in ("written", "rendered")
    try:
        document = await cached.text(row.id, listed=row.listed)
    except FeedError:
        return Planned(row.id, row.title, row.stage, row.gone, False, 0 if done else options.context + MAX_OUTPUT)
    fitted = await fit(document, options.context)
    asked = sum(estimate(turn.text) for turn in prompt.opening(options.lang, document.title, fitted.text))
    return Planned(row.id, row.title, row.stage, row.gone, True, 0 if done else asked + MAX_OUTPUT)
