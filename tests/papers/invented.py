"""Invented papers: rows of a day's list, and the pages of `pages/` filled in with an id and a title."""

from __future__ import annotations

import html
import json
from pathlib import Path

from tests.papers.server import Server, ok, rows, status

PAGES = Path(__file__).parent / "pages"
ABSTRACT = "We introduce Lantern, a scheduler that lights only those lamps which a reader looks at."
TITLE = "Lantern: Lighting Only the Lamps That a Reader Looks At"
FILLER = " ".join(
    f"On evening {night} the reader looked at page {2 * night + 1} and the lamp stayed lit for {night + 20} minutes."
    for night in range(1, 11)
)


def page(name: str = "latexml", id: str = "2601.90001", title: str = TITLE, **holes: str) -> str:
    """`pages/NAME.html` with its holes filled; `abstract`, `filler`, `more` and `props` have defaults."""
    filled = {"abstract": ABSTRACT, "filler": FILLER, "more": "", "props": ""} | holes | {"id": id, "title": title}
    text = (PAGES / f"{name}.html").read_text("utf-8")
    for hole, value in filled.items():
        text = text.replace(f"{{{{{hole}}}}}", value if hole == "more" else html.escape(value))
    return text


def row(id: str = "2601.90001", title: str = TITLE, **paper: object) -> dict[str, object]:
    """A whole row of the list's API; `paper` adds to or replaces keys of its `paper`."""
    return {
        "paper": {
            "id": id,
            "authors": [{"name": "Ada Quill", "hidden": False}, {"name": "Ben Ostrava", "hidden": False}],
            "publishedAt": "2026-01-17T00:00:00.000Z",
            "submittedOnDailyAt": "2026-01-19T02:10:00.000Z",
            "title": title,
            "summary": ABSTRACT,
            "upvotes": 12,
            "discussionId": "abc",
            "githubRepo": "https://example.org/lantern",
        }
        | paper,
        "publishedAt": "2026-01-19T02:10:00.000Z",
        "title": title,
        "summary": ABSTRACT,
        "numComments": 2,
    }


def list_page(*items: object) -> str:
    """The list as its web page carries it: JSON in an attribute."""
    return page("list_page", props=json.dumps({"dateString": "2026-01-19", "dailyPapers": items}))


def serve_day(server: Server, day: str, count: int, *, first: int = 90001) -> list[str]:
    """Put a day of `count` papers on the server, each with a page, for a feed whose three base URLs are the server's.

    Returns the ids. Script a path again (`/html/ID`) to make one of them fail.
    """
    ids = [f"2601.{first + n}" for n in range(count)]
    titles = [f"{TITLE}, Volume {n + 1}" for n in range(count)]
    items = [row(id, title) for id, title in zip(ids, titles)]
    for start in range(0, count + 1, 100):
        server.script(f"/api/daily_papers?date={day}&limit=100&p={start // 100}", rows(*items[start : start + 100]))
    for id, title in zip(ids, titles):
        server.script(f"/html/{id}", ok(page(id=id, title=title)))
        server.script(f"/abs/{id}", ok(page("abs", id=id, title=title)))
    server.script(f"/papers/date/{day}", status(404))
    return ids
