"""The day's list, from its API and from its web page."""

from __future__ import annotations

import logging
from datetime import date

import anyio
import pytest

from assay.papers.feed import Feed, FeedError
from tests.papers.invented import ABSTRACT, TITLE, list_page, row
from tests.papers.server import etag, ok, redirect, rows, status

DAY = date(2026, 1, 19)
API = "/api/daily_papers?date=2026-01-19&limit=100&p=0"
PAGE = "/papers/date/2026-01-19"


@pytest.fixture
def day(server, client):
    def ask(of: date = DAY, **options: object):
        async def go():
            async with client(**options) as http:
                return await Feed(http, hf=server.url).day(of)

        return anyio.run(go)

    return ask


def ids(count: int, first: int = 90001) -> list[str]:
    return [f"2601.{first + n}" for n in range(count)]


def test_a_row_becomes_a_paper(server, day):
    server.script(API, rows(row(title="Lantern:\n  Lighting   Lamps")))
    (paper,) = day()
    assert (paper.id, paper.title, paper.position) == ("2601.90001", "Lantern: Lighting Lamps", 1)
    assert paper.authors == ("Ada Quill", "Ben Ostrava")
    assert (paper.summary, paper.upvotes, paper.github) == (ABSTRACT, 12, "https://example.org/lantern")
    assert paper.raw["paper"]["title"] == "Lantern:\n  Lighting   Lamps"


def test_what_a_row_does_not_say_is_none_and_never_zero(server, day):
    server.script(API, rows({"paper": {"id": "2601.90001", "title": "Lantern"}}))
    (paper,) = day()
    assert (paper.authors, paper.summary, paper.upvotes, paper.github) == ((), None, None, None)


def test_keys_that_are_null_or_of_another_kind_are_as_good_as_missing(server, day):
    odd = row(authors=[None, {"name": None}, {"name": " Ada\nQuill "}], summary=None, upvotes="many", githubRepo=7)
    odd["summary"] = ["no text"]
    server.script(API, rows(odd, row("2601.90002", upvotes=True), row("2601.90003", authors=None, upvotes=0)))
    first, second, third = day()
    assert (first.authors, first.summary, first.upvotes, first.github) == (("Ada Quill",), None, None, None)
    assert (second.upvotes, third.upvotes, third.authors) == (None, 0, ())


def test_id_and_title_may_stand_at_the_rows_top(server, day):
    server.script(API, rows({"id": "arXiv:2601.90001v3", "title": "Lantern", "newKey": {"a": 1}}))
    (paper,) = day()
    assert (paper.id, paper.title) == ("2601.90001", "Lantern")


def test_pages_are_asked_for_until_one_is_not_full(server, day):
    all_ids = ids(230)
    items = [row(id) for id in all_ids]
    for page in range(3):
        path = f"/api/daily_papers?date=2026-01-19&limit=100&p={page}"
        server.script(path, rows(*items[100 * page : 100 * page + 100]))
    papers = day()
    assert [paper.id for paper in papers] == all_ids
    assert [paper.position for paper in papers] == list(range(1, 231))
    assert len(server.log) == 3


def test_a_full_last_page_costs_one_more_question(server, day):
    server.script(API, rows(*[row(id) for id in ids(100)]))
    server.script(API.replace("p=0", "p=1"), rows())
    assert len(day()) == 100
    assert len(server.log) == 2


def test_a_server_that_knows_no_pages_does_not_hold_us_for_ever(server, day):
    server.script("/api/daily_papers", rows(*[row(id) for id in ids(100)]))
    assert len(day()) == 100
    assert len(server.log) == 2


def test_a_paper_that_moved_between_pages_is_listed_once(server, day):
    server.script(API, rows(*[row(id) for id in ids(100)]))
    server.script(API.replace("p=0", "p=1"), rows(row("2601.90100"), row("2601.99999")))
    papers = day()
    assert [paper.id for paper in papers] == [*ids(100), "2601.99999"]
    assert papers[-1].position == 101


def test_a_day_without_papers_is_an_empty_list(server, day):
    server.script(API, rows())
    assert day() == []
    assert len(server.log) == 1


@pytest.mark.parametrize(("of", "kept"), [(DAY, 600), (date(2026, 1, 18), 7 * 86400)])
def test_todays_list_is_kept_for_ten_minutes_and_an_earlier_one_for_a_week(server, day, clock, of, kept):
    server.script("/api/daily_papers", etag("[]"))
    for wait in (0, kept - 1, 1):
        clock.now += wait
        assert day(of) == []
    assert ["If-None-Match" in request.headers for request in server.log] == [False, True]


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        (status(404), "list_unavailable"),
        (status(400), "http_4xx"),
        (ok("not json", "application/json"), "bad_list"),
        (ok('{"error": "moved"}', "application/json"), "bad_list"),
        (ok("[" * 100_000, "application/json"), "bad_list"),
        (rows({"paper": {"title": "no id"}}), "bad_list"),
        (rows({"paper": {"id": "2601.90001/../../x", "title": "bad id"}}), "bad_list"),
        (rows({"paper": {"id": "2601.90001"}}), "bad_list"),
        (rows("a word"), "bad_list"),
    ],
)
def test_where_the_api_fails_the_web_page_is_read_and_the_reader_told(server, day, caplog, step, reason):
    server.script(API, step)
    server.script(PAGE, ok(list_page(row(title='A "quoted" & <odd> title'), row("2601.90002"))))
    with caplog.at_level(logging.WARNING, "assay.feed"):
        papers = day()
    assert [(paper.id, paper.title) for paper in papers] == [
        ("2601.90001", 'A "quoted" & <odd> title'),
        ("2601.90002", TITLE),
    ]
    assert caplog.messages[0].startswith(reason)


@pytest.mark.parametrize(
    "page",
    [
        "",
        "<p>no list</p>",
        '<div data-target="DailyPapers" data-props="{"></div>',
        '<div data-target="DailyPapers" data-props="{}"></div>',
        '<div data-target="DailyPapers" data-props="[]"></div>',
        '<div data-target="DailyPapers" data-props=\'{"dailyPapers": 3}\'></div>',
    ],
)
def test_a_page_without_a_list_is_a_bad_list(server, day, page):
    server.script(PAGE, ok(page))
    with pytest.raises(FeedError) as caught:
        day()
    assert caught.value.reason == "bad_list"


def test_the_page_of_another_day_is_not_taken_for_this_one(server, day):
    server.script(PAGE, redirect("/papers/date/2026-01-16"))
    server.script("/papers/date/2026-01-16", ok(list_page(row())))
    with pytest.raises(FeedError, match=r"leads to .*2026-01-16"):
        day()


def test_where_both_fail_the_list_is_unavailable_and_both_reasons_told(server, day):
    server.script(API, status(503))
    with pytest.raises(FeedError, match=r"http_5xx.*status 503.*status 404") as caught:
        day()
    assert (caught.value.reason, caught.value.exit_code) == ("list_unavailable", 5)


def test_offline_a_list_comes_from_the_cache_or_not_at_all(server, day):
    server.script(API, rows(row()))
    day()
    assert len(day(offline=True)) == 1
    with pytest.raises(FeedError, match="offline"):
        day(date(2026, 1, 18), offline=True)
    assert len(server.log) == 1
