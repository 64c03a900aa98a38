"""The day's list of papers: the list's API, else the JSON inside its web page."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime
from typing import Any

from lxml import etree, html

from assay.papers.feed.http import Http
from assay.papers.feed.model import FeedError, Listed, Reason, normal_id

PAGE_ROWS = 100
TODAY_TTL_S = 10 * 60.0
PAST_TTL_S = 7 * 86400.0

log = logging.getLogger("assay.feed")


async def day(http: Http, base: str, of: date) -> list[Listed]:
    """The papers of a day in the list's order; none on a day without papers.

    Raises FeedError: `bad_list` if what came cannot be read, `list_unavailable` if neither source answers.
    """
    today = datetime.fromtimestamp(http.clock.time(), UTC).date()
    ttl = TODAY_TTL_S if of >= today else PAST_TTL_S
    try:
        return await _from_api(http, base, of, ttl)
    except FeedError as first:
        log.warning("%s; asking for the list's web page instead", first)
        try:
            return await _from_page(http, base, of, ttl)
        except FeedError as second:
            reason: Reason = "bad_list" if "bad_list" in (first.reason, second.reason) else "list_unavailable"
            raise FeedError(reason, f"the list of {of}: {first}; {second}") from second


async def _from_api(http: Http, base: str, of: date, ttl: float) -> list[Listed]:
    """Every page of the API's list, until one is not full or brings nothing new."""
    found: dict[str, Listed] = {}
    page = 0
    while True:
        url = f"{base}/api/daily_papers?date={of.isoformat()}&limit={PAGE_ROWS}&p={page}"
        answer = await http.get(url, ttl=ttl)
        if answer.status != 200:
            raise FeedError("list_unavailable", f"{url} answers with status {answer.status}")
        rows = _json_list(answer.body, url)
        before = len(found)
        _add(rows, found)
        if len(rows) < PAGE_ROWS or len(found) == before:
            return list(found.values())
        page += 1


async def _from_page(http: Http, base: str, of: date, ttl: float) -> list[Listed]:
    """The rows that the day's web page carries; a page that redirects to another day is not this day's list."""
    url = f"{base}/papers/date/{of.isoformat()}"
    answer = await http.get(url, ttl=ttl)
    if answer.status != 200:
        raise FeedError("list_unavailable", f"{url} answers with status {answer.status}")
    if not answer.final_url.rstrip("/").endswith(of.isoformat()):
        raise FeedError("bad_list", f"{url} leads to {answer.final_url}")
    try:
        tree = html.document_fromstring(answer.body, parser=html.HTMLParser(encoding="utf-8", no_network=True))
        props = tree.xpath("//div[@data-target='DailyPapers']/@data-props")
        rows = json.loads(props[0])["dailyPapers"]
    except (etree.LxmlError, ValueError, LookupError, TypeError, RecursionError) as error:
        raise FeedError("bad_list", f"{url} carries no list of papers") from error
    found: dict[str, Listed] = {}
    _add(_checked_list(rows, url), found)
    return list(found.values())


def _json_list(body: bytes, url: str) -> list[Any]:
    try:
        return _checked_list(json.loads(body), url)
    except (ValueError, RecursionError) as error:
        raise FeedError("bad_list", f"{url} is not JSON") from error


def _checked_list(rows: object, url: str) -> list[Any]:
    if not isinstance(rows, list):
        raise FeedError("bad_list", f"{url} is a {type(rows).__name__}, wanted a list of papers")
    return rows


def _add(rows: Iterable[object], found: dict[str, Listed]) -> None:
    """Append the rows' papers in order; one that is there already (a row moved between pages) keeps its place."""
    for number, row in enumerate(rows, 1):
        if not isinstance(row, Mapping):
            raise FeedError("bad_list", f"row {number} is a {type(row).__name__}, wanted an object")
        listed = _listed(row, len(found) + 1, number)
        found.setdefault(listed.id, listed)


def _listed(row: Mapping[str, Any], position: int, number: int) -> Listed:
    nested = row.get("paper")
    paper: Mapping[str, Any] = nested if isinstance(nested, Mapping) else {}
    both = (paper, row)
    title = _words(both, "title")
    try:
        id = normal_id(_words(both, "id") or "")
    except ValueError as error:
        raise FeedError("bad_list", f"row {number}: {error}") from error
    if title is None:
        raise FeedError("bad_list", f"row {number}, {id}: no title")
    upvotes = paper.get("upvotes")
    return Listed(
        id=id,
        title=title,
        position=position,
        authors=tuple(_names(paper.get("authors"))),
        summary=_words(both, "summary"),
        upvotes=upvotes if isinstance(upvotes, int) and not isinstance(upvotes, bool) else None,
        github=_words((paper,), "githubRepo"),
        raw=row,
    )


def _words(places: Iterable[Mapping[str, Any]], key: str) -> str | None:
    """The first text under `key`, its blanks collapsed; None if there is none."""
    for place in places:
        value = place.get(key)
        if isinstance(value, str) and (text := " ".join(value.split())):
            return text
    return None


def _names(authors: object) -> Iterator[str]:
    for author in authors if isinstance(authors, list) else []:
        if isinstance(author, Mapping) and (name := _words((author,), "name")):
            yield name
