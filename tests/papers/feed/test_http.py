"""The client against a server that does what servers do."""

from __future__ import annotations

import tracemalloc
from email.utils import formatdate

import anyio
import pytest

from assay.errors import UserError
from assay.papers.feed import FeedError
from assay.papers.feed.http import Limits, retry_after, user_agent
from tests.papers.feed.conftest import NOON
from tests.papers.server import (
    bad_charset,
    bomb,
    drip,
    etag,
    gzip,
    huge,
    ok,
    redirect,
    reset,
    slow,
    status,
    too_many,
    truncate,
)


def test_an_answer_comes_with_its_body_and_headers(server, get):
    server.script("/a", ok("<p>å</p>", x_told="yes"))
    answer = get(f"{server.url}/a")
    assert (answer.status, answer.body.decode(), answer.headers["x-told"]) == (200, "<p>å</p>", "yes")
    assert answer.final_url == answer.url == f"{server.url}/a"


def test_the_server_is_told_who_asks_and_no_name_of_the_user(server, get, monkeypatch):
    monkeypatch.setenv("ASSAY_CONTACT", "reader@example.org")
    server.script("/a", ok(""))
    get(f"{server.url}/a")
    assert server.log[0].headers["User-Agent"].startswith("assay/")
    assert server.log[0].headers["User-Agent"].endswith("(mailto:reader@example.org)")


def test_a_contact_that_would_break_the_header_is_refused(monkeypatch):
    monkeypatch.setenv("ASSAY_CONTACT", "a@b\r\nX-Evil: 1")
    with pytest.raises(UserError, match="ASSAY_CONTACT: got"):
        user_agent()


def test_a_missing_page_is_an_answer_and_not_tried_again(server, get):
    answer = get(f"{server.url}/none")
    assert (answer.status, answer.body) == (404, b"")
    assert len(server.log) == 1


@pytest.mark.parametrize("code", [400, 401, 403, 451, 501])
def test_a_status_that_will_not_change_is_not_tried_again(server, get, code):
    server.script("/a", status(code))
    with pytest.raises(FeedError, match=f"status {code}") as caught:
        get(f"{server.url}/a")
    assert caught.value.reason == ("http_5xx" if code == 501 else "http_4xx")
    assert len(server.log) == 1


@pytest.mark.parametrize("code", [408, 425, 429, 500, 502, 503, 504])
def test_a_status_that_may_pass_is_tried_again(server, get, code):
    server.script("/a", status(code), status(code), ok("here"))
    assert get(f"{server.url}/a").body == b"here"
    assert len(server.log) == 3


def test_waits_double_with_a_jitter_of_a_quarter_and_end_after_five_tries(server, get, clock):
    server.script("/a", status(503))
    with pytest.raises(FeedError, match="status 503, 5 times") as caught:
        get(f"{server.url}/a", seed=3)
    assert caught.value.reason == "http_5xx"
    assert len(server.log) == 5
    assert [0.75 <= wait / base <= 1.25 for wait, base in zip(clock.slept, [2, 4, 8, 16])] == [True] * 4
    assert len({wait / base for wait, base in zip(clock.slept, [2, 4, 8, 16])}) == 4


def test_the_same_seed_waits_the_same(server, get, clock):
    server.script("/a", status(503))
    waits = []
    for seed in (1, 1, 2):
        clock.slept.clear()
        with pytest.raises(FeedError):
            get(f"{server.url}/a", seed=seed)
        waits.append([round(wait, 5) for wait in clock.slept])
    assert waits[0] == waits[1] != waits[2]


def test_a_server_that_says_how_long_to_wait_is_heard(server, get, clock):
    server.script("/a", too_many(retry_after=120), ok("here"))
    assert get(f"{server.url}/a").body == b"here"
    assert clock.slept == [120.0]


def test_a_date_to_wait_for_is_heard_too(server, get, clock):
    server.script("/a", too_many(retry_after=formatdate(NOON + 90, usegmt=True)), ok("here"))
    assert get(f"{server.url}/a").body == b"here"
    assert clock.slept == [90.0]


def test_a_shorter_wait_than_ours_does_not_shorten_ours(server, get, clock):
    server.script("/a", too_many(retry_after=1), ok("here"))
    get(f"{server.url}/a")
    assert 1.5 <= clock.slept[0] <= 2.5


@pytest.mark.parametrize(
    ("said", "seconds"),
    [("2", 2), ("86400", 600), ("", 0), ("soon", 0), ("-5", 0), ("1e9", 0), (formatdate(NOON - 60, usegmt=True), 0)],
)
def test_a_wait_is_between_nothing_and_ten_minutes(said, seconds):
    assert retry_after(said, NOON) == seconds


def test_three_refusals_in_a_row_close_the_host_for_a_quarter_of_an_hour(server, get, clock):
    server.script("/a", too_many())
    with pytest.raises(FeedError, match="refused 3 times in a row") as caught:
        get(f"{server.url}/a")
    assert caught.value.reason == "host_closed"
    assert len(server.log) == 3
    server.script("/b", ok("here"))
    with pytest.raises(FeedError) as caught:  # another client, as another command would be
        get(f"{server.url}/b")
    assert caught.value.reason == "host_closed"
    assert len(server.log) == 3
    clock.now += 15 * 60
    assert get(f"{server.url}/b").body == b"here"


def test_refusals_count_across_pages_but_only_in_a_row(server, get):
    for path in "abdef":
        server.script(f"/{path}", status(403))
    server.script("/c", ok("here"))
    reasons = []
    for path in "abcdef":
        try:
            reasons.append(get(f"{server.url}/{path}").status)
        except FeedError as error:
            reasons.append(error.reason)
    assert reasons == ["http_4xx", "http_4xx", 200, "http_4xx", "http_4xx", "host_closed"]


def test_a_closed_host_leaves_other_hosts_open(server, get):
    server.script("/a", too_many())
    with pytest.raises(FeedError):
        get(f"{server.url}/a")
    server.script("/b", ok("here"))
    assert get(f"{server.url}/b".replace("127.0.0.1", "localhost")).body == b"here"


def test_a_server_that_does_not_answer_in_time_is_tried_again(server, get, quick):
    server.script("/a", slow(1.0, ok("late")), ok("here"))
    assert get(f"{server.url}/a", limits=quick).body == b"here"


def test_a_body_that_trickles_is_given_up_as_a_whole(server, get, quick):
    server.script("/a", drip(b"x" * 1000, 200))
    with pytest.raises(FeedError, match="took too long, 2 times") as caught:
        get(f"{server.url}/a", limits=quick)
    assert caught.value.reason == "timeout"


def test_a_body_shorter_than_promised_is_tried_again_and_never_kept(server, get, cache):
    server.script("/a", truncate(b"x" * 1000, 600), ok("whole"))
    assert get(f"{server.url}/a", ttl=100).body == b"whole"
    server.script("/b", truncate(b"x" * 1000, 600))
    with pytest.raises(FeedError) as caught:
        get(f"{server.url}/b", ttl=100)
    assert caught.value.reason == "truncated"
    assert cache.get(f"{server.url}/b") is None


def test_a_connection_torn_down_is_tried_again(server, get):
    server.script("/a", reset(), ok("here"))
    assert get(f"{server.url}/a").body == b"here"
    server.script("/b", reset())
    with pytest.raises(FeedError) as caught:
        get(f"{server.url}/b")
    assert caught.value.reason == "unreachable"


def test_a_host_that_is_not_there_is_unreachable(get, server):
    with pytest.raises(FeedError, match=r"cannot be reached .*5 times"):
        get("http://127.0.0.1:1/a")


def test_a_packed_body_is_unpacked(server, get):
    server.script("/a", gzip("word " * 1000))
    assert get(f"{server.url}/a").body == b"word " * 1000


@pytest.mark.parametrize("cut", [-1, -9, 15])
def test_a_packed_body_that_ends_early_is_truncated(server, get, cut):
    import gzip as format

    server.script("/a", ok(format.compress(b"word " * 1000)[:cut], content_encoding="gzip"))
    with pytest.raises(FeedError) as caught:
        get(f"{server.url}/a")
    assert caught.value.reason == "truncated"


def test_a_packed_body_that_is_none_is_truncated(server, get):
    server.script("/a", ok(b"not packed", content_encoding="gzip"))
    with pytest.raises(FeedError, match="cannot be unpacked"):
        get(f"{server.url}/a")


def test_a_bomb_never_takes_more_memory_than_the_limit(server, get):
    server.script("/a", bomb(64))
    tracemalloc.start()
    with pytest.raises(FeedError, match="larger than 1 MB") as caught:
        get(f"{server.url}/a", limits=Limits(body=1_000_000))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert caught.value.reason == "too_large"
    assert len(server.log) == 1
    assert peak < 8_000_000


@pytest.mark.parametrize("declared", [True, False])
def test_a_body_beyond_the_limit_is_not_taken(server, get, quick, declared):
    server.script("/a", huge(3, declared=declared))
    with pytest.raises(FeedError) as caught:
        get(f"{server.url}/a", limits=quick)
    assert caught.value.reason == "too_large"


def test_a_packing_that_was_not_asked_for_is_refused(server, get):
    server.script("/a", ok(b"?", content_encoding="br"))
    with pytest.raises(FeedError, match="packed as br") as caught:
        get(f"{server.url}/a")
    assert caught.value.reason == "bad_answer"
    assert server.log[0].headers["Accept-Encoding"] == "gzip"


def test_redirects_are_followed_to_their_end(server, get):
    server.script("/a", redirect("/b"))
    server.script("/b", redirect(f"{server.url}/c", 301))
    server.script("/c", ok("here"))
    answer = get(f"{server.url}/a")
    assert (answer.body, answer.url, answer.final_url) == (b"here", f"{server.url}/a", f"{server.url}/c")


def test_a_circle_of_redirects_ends(server, get):
    server.script("/a", redirect("/b"))
    server.script("/b", redirect("/a"))
    with pytest.raises(FeedError, match="redirects more than 10 times") as caught:
        get(f"{server.url}/a")
    assert caught.value.reason == "bad_answer"
    assert len(server.log) == 11


NOWHERE = [
    "file:///etc/passwd", "ftp://127.0.0.1/x", "javascript:alert(1)", "http://", "//[bad", "//[bad]", "http://a b/",
    "http://127.0.0.1:99999/", "http://" + "a" * 64 + "/",
]  # fmt: skip


@pytest.mark.parametrize("to", NOWHERE)
def test_a_redirect_leads_only_to_the_web(server, get, to):
    server.script("/a", redirect(to))
    with pytest.raises(FeedError) as caught:
        get(f"{server.url}/a")
    assert caught.value.reason == "bad_answer"


def test_a_wrong_charset_is_the_readers_affair(server, get):
    server.script("/a", bad_charset("灯", "gb18030"))
    assert get(f"{server.url}/a").body == "灯".encode("gb18030")


def test_an_answer_with_an_unknown_meaning_is_refused(server, get):
    server.script("/a", status(204))
    server.script("/b", status(304))
    for path in "ab":
        with pytest.raises(FeedError) as caught:
            get(f"{server.url}/{path}")
        assert caught.value.reason == "bad_answer"


def test_what_is_fresh_is_not_asked_for_again(server, get, clock):
    server.script("/a", ok("one"), ok("two"))
    assert get(f"{server.url}/a", ttl=600).body == b"one"
    clock.now += 599
    assert get(f"{server.url}/a", ttl=600).body == b"one"
    assert len(server.log) == 1
    clock.now += 1
    assert get(f"{server.url}/a", ttl=600).body == b"two"


def test_what_is_stale_is_asked_for_on_condition_and_renewed(server, get, clock):
    server.script("/a", etag("body", '"v1"', modified=formatdate(NOON, usegmt=True)))
    for _ in range(3):
        assert get(f"{server.url}/a", ttl=600).body == b"body"
        clock.now += 200
    assert len(server.log) == 1
    for _ in range(3):
        assert get(f"{server.url}/a", ttl=600).body == b"body"
        clock.now += 100
    assert len(server.log) == 2
    assert "If-None-Match" not in server.log[0].headers
    assert server.log[1].headers["If-None-Match"] == '"v1"'
    assert server.log[1].headers["If-Modified-Since"] == formatdate(NOON, usegmt=True)


def test_a_date_alone_is_condition_enough(server, get, clock):
    server.script("/a", etag("body", "", modified=formatdate(NOON, usegmt=True)))
    get(f"{server.url}/a", ttl=1)
    clock.now += 2
    assert get(f"{server.url}/a", ttl=1).body == b"body"
    assert len(server.log) == 2


def test_a_condition_is_shown_to_the_url_that_gave_the_tag(server, get, clock):
    server.script("/a", redirect("/b"))
    server.script("/b", etag("body", '"b"'))
    for _ in range(2):
        assert get(f"{server.url}/a", ttl=1).body == b"body"
        clock.now += 2
    assert ["If-None-Match" in request.headers for request in server.log] == [False, False, False, True]


def test_the_end_of_a_redirect_is_kept_under_its_own_name_too(server, get):
    server.script("/a", redirect("/b"))
    server.script("/b", ok("body"))
    get(f"{server.url}/a", ttl=10)
    assert get(f"{server.url}/b", ttl=10).body == b"body"
    assert server.paths() == ["/a", "/b"]


def test_a_missing_page_is_remembered_for_its_own_time(server, get, clock):
    server.script("/a", status(404), ok("now here"))
    assert get(f"{server.url}/a", ttl=1000, missing_ttl=10).status == 404
    assert get(f"{server.url}/a", ttl=1000, missing_ttl=10).status == 404
    clock.now += 11
    assert get(f"{server.url}/a", ttl=1000, missing_ttl=10).status == 200
    assert len(server.log) == 2


def test_failures_are_never_kept(server, get, cache):
    server.script("/a", status(403))
    with pytest.raises(FeedError):
        get(f"{server.url}/a", ttl=1000, missing_ttl=1000)
    assert cache.usage() == []


def test_offline_answers_from_the_cache_however_old_and_asks_nobody(server, get, clock):
    server.script("/a", ok("one"))
    get(f"{server.url}/a", ttl=1)
    clock.now += 10**8
    assert get(f"{server.url}/a", ttl=1, offline=True).body == b"one"
    with pytest.raises(FeedError, match="not in the cache") as caught:
        get(f"{server.url}/b", ttl=1, offline=True)
    assert caught.value.reason == "offline"
    assert server.paths() == ["/a"]


def test_offline_needs_a_cache(client):
    with pytest.raises(ValueError, match="offline: got True without a cache"):
        client(cache=None, offline=True)


def test_without_a_cache_every_question_is_asked(server, get):
    server.script("/a", ok("one"), ok("two"))
    assert [get(f"{server.url}/a", ttl=1000, cache=None).body for _ in "ab"] == [b"one", b"two"]


def test_what_is_doubted_is_asked_for_sooner(server, client, clock):
    server.script("/a", ok("poor"), ok("better"))

    async def go() -> list[bytes]:
        bodies = []
        async with client() as http:
            for wait in (0, 50, 100):
                clock.now += wait
                answer = await http.get(f"{server.url}/a", ttl=1000)
                http.doubt(answer, 100)
                bodies.append(answer.body)
        return bodies

    assert anyio.run(go) == [b"poor", b"poor", b"better"]
