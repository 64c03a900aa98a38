"""RSS 2.0 feeds. Nothing in them depends on when they are built, so a rebuild gives the same bytes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from email.utils import format_datetime
from xml.sax.saxutils import escape, quoteattr

from assay.papers.site.library import Card, Library
from assay.papers.site.markdown import to_html
from assay.papers.site.words import Words

MOST_ITEMS = 100


@dataclass(frozen=True, slots=True)
class Item:
    """One entry of a feed; `content` is HTML, everything else plain text."""

    guid: str
    title: str
    link: str
    moment: datetime
    description: str
    content: str
    category: str = ""


def feed(title: str, home: str, own: str, lang: str, description: str, items: Sequence[Item]) -> str:
    """The feed's XML with its newest 100 items; `own` is the feed's own address, "" where it has none."""
    newest = sorted(items, key=lambda item: (-item.moment.timestamp(), item.guid))[:MOST_ITEMS]
    self_link = f'<atom:link rel="self" type="application/rss+xml" href={quoteattr(own)}/>\n' if own else ""
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n'
        '<rss version="2.0" xmlns:atom="http://www.w3.org/2005/Atom" '
        'xmlns:content="http://purl.org/rss/1.0/modules/content/">\n<channel>\n'
        f"<title>{_text(title)}</title>\n<link>{_text(home)}</link>\n{self_link}"
        f"<description>{_text(description)}</description>\n<language>{lang}</language>\n"
        + "".join(map(_item, newest))
        + "</channel>\n</rss>\n"
    )


def paper_items(cards: Iterable[Card], words: Words, link: str) -> list[Item]:
    """One item for every date that a paper stands under; `link` has a `{}` for the paper's id."""
    return [_paper_item(card, day, words, link) for card in cards
            for day in (card.paper.report_date, *card.paper.also_on)]  # fmt: skip


def verdict_items(library: Library, words: Words, link: str) -> list[Item]:
    """One item for every change of an outcome."""
    found = []
    for change in library.verdicts.changes():
        if (card := library.by_id.get(change.paper)) is None:
            continue
        outcome, before = words.outcomes[change.outcome], words.outcomes[change.before or "untried"]
        said = words.became if change.before else words.first_verdict
        title = said.format(trial=change.trial, before=before, outcome=outcome)
        body = f"<p>{escape(card.paper.title)}</p><p>{escape(change.reason)}</p>"
        guid = f"verdict:{change.trial}@{change.moment.isoformat()}"
        described = f"{card.paper.title}: {change.reason}"
        found.append(Item(guid, title, link.format(card.paper.id), change.moment, described, body, change.outcome))
    return found


def _paper_item(card: Card, day: date, words: Words, link: str) -> Item:
    paper, address = card.paper, link.format(card.paper.id)
    contribution = card.entry.contribution if card.entry and card.entry.contribution else paper.one_line
    parts = [f"<p>{escape(paper.one_line)}</p>"]
    if paper.claims:
        parts.append(f"<ul>{''.join(f'<li>{escape(claim.text)}</li>' for claim in paper.claims)}</ul>")
    if card.entry:
        parts += [f"<h3>{escape(section.name)}</h3>{to_html(section.text)}" for section in card.entry.sections]
    parts += [f"<p>{escape(words.outcomes[view.outcome])}: {escape(view.claim)}</p>" for view in card.views]
    moment = datetime.combine(day, time(), UTC)
    guid = f"arxiv:{paper.id}@{day}"
    described = f"{contribution} {address}"
    return Item(guid, paper.title, address, moment, described, "".join(parts), words.fields[paper.field])


def _item(item: Item) -> str:
    content = _plain(item.content).replace("]]>", "]]]]><![CDATA[>")
    category = f"<category>{_text(item.category)}</category>\n" if item.category else ""
    return (
        f'<item>\n<guid isPermaLink="false">{_text(item.guid)}</guid>\n<title>{_text(item.title)}</title>\n'
        f"<link>{_text(item.link)}</link>\n<pubDate>{format_datetime(item.moment)}</pubDate>\n{category}"
        f"<description>{_text(item.description)}</description>\n"
        f"<content:encoded><![CDATA[{content}]]></content:encoded>\n</item>\n"
    )


def _text(text: str) -> str:
    return escape(_plain(text))


def _plain(text: str) -> str:
    """Without the characters that XML does not know."""
    return "".join(
        c for c in text if c in "\t\n\r" or (c >= " " and not "\ud800" <= c <= "\udfff" and c not in "\ufffe\uffff")
    )
