"""The text of a paper: which source it is taken from, and what is said about the others."""

from __future__ import annotations

import hashlib
from datetime import date

import anyio
import pytest

from assay.errors import UserError
from assay.papers.feed import Feed, FeedError, Listed
from tests.papers.invented import ABSTRACT, FILLER, TITLE, page, serve_day
from tests.papers.server import Server, bad_charset, huge, ok, redirect, slow, status, too_many

ID = "2601.90001"
LISTED = Listed(ID, TITLE, 1, summary=ABSTRACT)


@pytest.fixture
def mirror():
    """ar5iv: a host of its own, without the paper unless a test scripts it."""
    with Server() as running:
        yield running


@pytest.fixture
def text(server, mirror, client):
    def ask(id: str = ID, *, listed: Listed | None = LISTED, prefer=("html", "ar5iv", "abs"), **options: object):
        async def go():
            async with client(**options) as http:
                feed = Feed(http, hf=server.url, arxiv=server.url, ar5iv=mirror.url)
                return await feed.text(id, listed=listed, prefer=prefer)

        return anyio.run(go)

    return ask


def test_the_papers_own_page_comes_first(server, mirror, text):
    server.script(f"/html/{ID}", ok(page()))
    document = text()
    assert (document.source, document.read_from, document.version, document.warnings) == ("html", "HTML", 2, ())
    assert (document.title, document.url) == (TITLE, f"{server.url}/html/{ID}")
    assert document.sha256 == hashlib.sha256(document.text.encode()).hexdigest()
    assert mirror.log == []


def test_a_section_lies_where_its_offset_says(server, text):
    server.script(f"/html/{ID}", ok(page()))
    document = text()
    assert len(document.sections) == 7
    for section in document.sections:
        assert document.text[section.offset :].startswith(section.text)
        assert document.text[: section.offset].endswith(f"{'#' * section.level} {section.title}\n\n")


def test_the_version_of_the_final_address_is_known(server, text):
    server.script(f"/html/{ID}", redirect(f"/html/{ID}v4"))
    server.script(f"/html/{ID}v4", ok(page().replace(f"arXiv:{ID}v2", "")))
    assert text().version == 4


@pytest.mark.parametrize("id", [f"{ID}v2", f"arXiv:{ID}", f"https://arxiv.org/abs/{ID}v1", f" {ID} "])
def test_an_id_may_be_written_in_many_ways(server, text, id):
    server.script(f"/html/{ID}", ok(page()))
    assert text(id).id == ID


@pytest.mark.parametrize("id", ["", "2601", f"{ID}/../../admin", f"{ID}\r\nX-Evil: 1", f"{ID}?x=1", "２６０１.90001"])
def test_what_is_no_id_never_becomes_a_request(server, text, id):
    with pytest.raises(ValueError, match="id: got"):
        text(id)
    assert server.log == []


def test_an_id_of_the_old_kind_has_its_page_too(server, text):
    server.script("/html/cs/0501001", ok(page(id="cs/0501001")))
    assert text("cs/0501001v1", listed=None).version == 2


GATES = {
    "no_html": ok(page("no_html")),
    "fatal_conversion": ok(page("fatal_conversion")),
    "blank": ok(page("blank")),
    "abstract_only": ok(page("abstract_only")),
    "raw_latex": ok(page("raw_latex")),
    "wrong_document": ok(page(title="Sextants for Ponds")),
    "mojibake": bad_charset(page(filler="夜里读书需要灯。" * 100), "gb18030"),
    "too_large": huge(26, declared=True),
    "bad_answer": redirect("file:///etc/passwd"),
}


@pytest.mark.parametrize("code", GATES)
def test_a_page_that_fails_a_gate_gives_way_to_ar5iv(server, mirror, text, code):
    server.script(f"/html/{ID}", GATES[code])
    mirror.script(f"/html/{ID}", ok(page()))
    document = text()
    assert (document.source, document.read_from) == ("ar5iv", "HTML")
    assert [warning.split(": ")[0] for warning in document.warnings] == [f"html {code}"]
    assert document.url.startswith(mirror.url)


def test_without_html_and_ar5iv_the_abstract_is_read(server, mirror, text):
    server.script(f"/abs/{ID}", ok(page("abs")))
    document = text()
    assert (document.source, document.read_from, document.version) == ("abs", "ArXiv Abs", 2)
    assert (document.title, document.abstract, document.text) == (TITLE, ABSTRACT, ABSTRACT)
    assert document.sections == document.captions == ()
    assert [warning.split(":")[0] for warning in document.warnings] == ["html no_html", "ar5iv no_html"]


def test_an_abstract_page_without_its_meta_is_read_from_what_it_shows(server, text):
    bare = "\n".join(line for line in page("abs").splitlines() if "<meta" not in line)
    server.script(f"/abs/{ID}", ok(bare))
    document = text()
    assert (document.title, document.abstract) == (TITLE, ABSTRACT)


def test_ar5iv_sending_on_to_the_abstract_has_no_copy(server, mirror, text):
    mirror.script(f"/html/{ID}", redirect(f"{server.url}/abs/{ID}"))
    server.script(f"/abs/{ID}", ok(page("abs")))
    document = text()
    assert document.source == "abs"
    assert f"leads to {server.url}/abs/{ID}" in document.warnings[1]
    assert server.paths() == [f"/html/{ID}", f"/abs/{ID}"]  # what ar5iv led to is not asked for twice


@pytest.mark.parametrize("last", ["<p>no abstract</p>", "", page("abs", title="Sextants for Ponds")])
def test_where_no_page_will_do_the_lists_own_summary_is_read(server, text, last):
    server.script(f"/abs/{ID}", ok(last))
    document = text()
    assert (document.source, document.read_from, document.abstract) == ("feed", "ArXiv Abs", ABSTRACT)
    assert len(document.warnings) == 3
    assert document.url == f"{server.url}/papers/{ID}"


@pytest.mark.parametrize("listed", [None, Listed(ID, TITLE, 1)])
def test_where_nothing_has_text_nothing_is_made_up(text, listed):
    with pytest.raises(FeedError, match=r"html no_html.*ar5iv no_html.*abs no_html") as caught:
        text(listed=listed)
    assert caught.value.reason == "no_text"


@pytest.mark.parametrize(
    ("step", "reason"), [(status(503), "http_5xx"), (too_many(), "host_closed"), (status(403), "http_4xx")]
)
def test_a_page_that_may_come_later_is_not_replaced_by_an_abstract(server, mirror, text, step, reason):
    server.script(f"/html/{ID}", step)
    server.script(f"/abs/{ID}", ok(page("abs")))
    mirror.script(f"/html/{ID}", ok(page()))
    with pytest.raises(FeedError) as caught:
        text()
    assert caught.value.reason == reason


def test_ar5iv_out_of_order_does_not_cost_the_abstract(server, mirror, text, quick):
    mirror.script(f"/html/{ID}", slow(5, ok(page())))
    server.script(f"/abs/{ID}", ok(page("abs")))
    document = text(limits=quick)
    assert document.source == "abs"
    assert document.warnings[1].startswith("ar5iv timeout:")


def test_a_late_break_of_the_conversion_is_read_with_a_warning(server, text):
    section = "<section class='ltx_section'><h2 class='ltx_title ltx_title_section'>{}</h2><p>{}</p></section>"
    more = "".join(section.format(number, FILLER) for number in range(2, 9))
    server.script(f"/html/{ID}", ok(page("fatal_conversion", more=more)))
    document = text()
    assert document.source == "html"
    assert document.warnings[0].startswith("html truncated: the conversion broke off after")


def test_a_missing_page_is_asked_for_again_after_twelve_hours(server, text, clock):
    server.script(f"/html/{ID}", status(404), ok(page()))
    server.script(f"/abs/{ID}", ok(page("abs")))
    assert [text().source, text().source] == ["abs", "abs"]
    clock.now += 12 * 3600
    assert text().source == "html"


def test_a_page_that_says_it_is_missing_is_asked_for_again_after_twelve_hours(server, text, clock):
    server.script(f"/html/{ID}", GATES["no_html"], ok(page()))
    server.script(f"/abs/{ID}", ok(page("abs")))
    assert [text().source, text().source] == ["abs", "abs"]
    clock.now += 12 * 3600
    assert text().source == "html"


def test_a_page_is_kept_for_a_month(server, text, clock):
    server.script(f"/html/{ID}", ok(page()))
    text()
    clock.now += 30 * 86400 - 1
    text()
    assert len(server.log) == 1


def test_offline_a_paper_comes_from_the_cache_or_not_at_all(server, mirror, text):
    server.script(f"/html/{ID}", ok(page()))
    once = text()
    assert text(offline=True) == once
    with pytest.raises(FeedError) as caught:
        text("2601.90002", offline=True)
    assert caught.value.reason == "offline"
    assert len(server.log) == 1
    assert mirror.log == []


def test_a_reader_may_choose_the_sources(server, text):
    server.script(f"/abs/{ID}", ok(page("abs")))
    assert text(prefer=("abs",)).source == "abs"
    assert text(prefer=()).source == "feed"
    assert server.paths() == [f"/abs/{ID}"]
    with pytest.raises(ValueError, match="prefer: got pdf, wanted of html, ar5iv, abs"):
        text(prefer=("pdf",))


def test_addresses_come_from_arguments_then_variables_then_the_public_ones(client, monkeypatch, server):
    monkeypatch.setenv("ASSAY_ARXIV_URL", f"{server.url}/mirror/")
    server.script(f"/mirror/html/{ID}", ok(page()))

    async def go() -> str:
        async with client() as http:
            return (await Feed(http).text(ID)).url

    assert anyio.run(go) == f"{server.url}/mirror/html/{ID}"


@pytest.mark.parametrize("wrong", ["ftp://x", "huggingface.co", "http://h\r\nX: 1", "http://h?x=1"])
def test_an_address_that_is_none_is_told_with_its_name(client, monkeypatch, wrong):
    monkeypatch.setenv("ASSAY_HF_URL", wrong)
    with pytest.raises(UserError, match="ASSAY_HF_URL: got"):
        Feed(client())
    with pytest.raises(UserError, match="arxiv: got"):
        Feed(client(), hf="http://h", arxiv=wrong)


def test_fifty_papers_are_read_side_by_side(server, client):
    """The day's list, and every page parsed: well inside the 15 seconds that a whole digest may take."""
    wanted = serve_day(server, "2026-01-19", 50)
    found = {}

    async def go():
        async def read(listed: Listed) -> None:
            found[listed.id] = await feed.text(listed.id, listed=listed)

        async with client() as http, anyio.create_task_group() as group:
            feed = Feed(http, hf=server.url, arxiv=server.url, ar5iv=server.url)
            for listed in await feed.day(date(2026, 1, 19)):
                group.start_soon(read, listed)

    anyio.run(go)
    assert sorted(found) == wanted
    assert {document.source for document in found.values()} == {"html"}
    assert len(server.log) == 51
