"""One paper from one source: its page at arXiv or ar5iv, or the page of its abstract."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Any, Literal

import anyio.to_thread
from anyio import CapacityLimiter
from lxml import etree, html

from assay.papers.feed import quality
from assay.papers.feed.cache import Answer
from assay.papers.feed.http import Http
from assay.papers.feed.model import Document, FeedError, Listed, Source, document_text, place

PAGE_TTL_S = 30 * 86400.0
MISSING_TTL_S = 12 * 3600.0  # an HTML page often appears a day after the paper


async def full_text(
    http: Http, base: str, id: str, source: Literal["html", "ar5iv"], listed_title: str | None, readers: CapacityLimiter
) -> Document:
    """The paper's page, read in one of `readers`' threads.

    FeedError with a gate's code if it is no page of this paper that can be read.
    """
    answer = await http.get(f"{base}/html/{id}", ttl=PAGE_TTL_S, missing_ttl=MISSING_TTL_S)
    try:
        if f"/html/{id}" not in answer.final_url:  # ar5iv sends on to the abstract what it lacks
            raise FeedError("no_html", f"{answer.url} leads to {answer.final_url}")
        page, warnings = await anyio.to_thread.run_sync(quality.read, answer, listed_title, limiter=readers)
    except FeedError:
        http.doubt(answer, MISSING_TTL_S)
        raise
    return compose(
        id,
        source,
        page.title or listed_title or "",
        page.abstract,
        page.sections,
        captions=page.captions,
        version=_version(id, f"{answer.final_url} {page.said}"),
        warnings=[f"{source} {warning}" for warning in warnings],
        url=answer.final_url,
    )


async def abstract(http: Http, base: str, id: str, listed_title: str | None) -> Document:
    """Title and abstract from the abstract's page. FeedError if it has none, or is another paper's."""
    answer = await http.get(f"{base}/abs/{id}", ttl=PAGE_TTL_S, missing_ttl=MISSING_TTL_S)
    try:
        title, text, said = _abstract_page(answer)
        quality.same_paper(title, listed_title)
    except FeedError:
        http.doubt(answer, MISSING_TTL_S)
        raise
    return compose(
        id, "abs", title or listed_title or "", text, version=_version(id, said, history=said), url=answer.final_url
    )


def from_list(listed: Listed, url: str) -> Document | None:
    """What the day's list itself says of a paper; None if it says nothing."""
    return compose(listed.id, "feed", listed.title, listed.summary, url=url) if listed.summary else None


def compose(
    id: str,
    source: Source,
    title: str,
    abstract: str,
    sections: Sequence[tuple[int, str, str]] = (),
    *,
    url: str,
    version: int | None = None,
    captions: tuple[str, ...] = (),
    warnings: Sequence[str] = (),
) -> Document:
    """A Document from sections (level, title, text), with their offsets and the digest of the whole."""
    digest = hashlib.sha256(document_text(abstract, sections).encode("utf-8", "replace")).hexdigest()
    placed = place(abstract, sections)
    return Document(id, version, source, title, abstract, placed, captions, tuple(warnings), url, digest)


def _abstract_page(answer: Answer) -> tuple[str, str, str]:
    """Title, abstract and the whole source of an abstract's page."""
    if answer.status != 200:
        raise FeedError("no_html", f"status {answer.status}")
    source = quality.decode(answer)
    parser = html.HTMLParser(encoding="utf-8", remove_comments=True, remove_pis=True, no_network=True)
    try:
        tree = html.document_fromstring(source.encode("utf-8", "replace"), parser=parser)
    except etree.ParserError as error:
        raise FeedError("blank", "an empty page") from error
    for label in tree.xpath("//*[contains(concat(' ', @class, ' '), ' descriptor ')]"):
        label.clear(keep_tail=True)
    quoted = "//blockquote[contains(concat(' ', @class, ' '), ' abstract ')]"
    text = _meta(tree, "citation_abstract") or _words(tree.xpath(f"string({quoted})"))
    if not text:
        raise FeedError("blank", "the page holds no abstract")
    return _meta(tree, "citation_title") or _words(tree.xpath("string(//h1)")), text, source


def _meta(tree: Any, name: str) -> str:
    return _words(tree.xpath("string(//meta[@name=$name]/@content)", name=name))


def _words(text: str) -> str:
    return " ".join(text.split())


def _version(id: str, text: str, history: str = "") -> int | None:
    """The latest version named in a text, as in `2601.11354v2`, or in a history of submissions, as in `[v2]`."""
    found = re.findall(rf"{re.escape(id)}v(\d{{1,3}})\b", text) + re.findall(r"\[v(\d{1,3})\]", history)
    return max(map(int, found), default=None)
