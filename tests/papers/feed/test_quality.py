"""The gates: each lets good pages through, stops its own defect, and stands where its bound says."""

from __future__ import annotations

import pytest

from assay.papers.feed import FeedError
from assay.papers.feed.cache import Answer
from assay.papers.feed.quality import decode, read, same_paper
from tests.papers.invented import TITLE, page


def answer(body: str | bytes, content_type: str = "text/html", status: int = 200) -> Answer:
    raw = body.encode() if isinstance(body, str) else body
    return Answer("http://h/html/1", "http://h/html/1", status, {"content-type": content_type}, raw, 0.0)


def code(body: str, title: str | None = TITLE) -> str:
    try:
        read(answer(body), title)
    except FeedError as error:
        return error.reason
    return "read"


def paper(body: str, abstract: str = "An abstract.", title: str = TITLE) -> str:
    return (
        f'<article class="ltx_document"><h1 class="ltx_title_document">{title}</h1>'
        f'<div class="ltx_abstract"><p>{abstract}</p></div>{body}</article>'
    )


def sections(count: int, length: int) -> str:
    return "".join(
        f'<section><h2 class="ltx_title_section">{n}</h2><p>{"x" * length}</p></section>' for n in range(count)
    )


def test_a_sound_page_passes_without_a_word():
    read_page, warnings = read(answer(page()), TITLE)
    assert read_page.title == TITLE
    assert warnings == []


@pytest.mark.parametrize("status", [404, 410])
def test_a_missing_page_is_no_html(status):
    with pytest.raises(FeedError, match=f"no_html: status {status}"):
        read(answer("", status=status), TITLE)


def test_a_paper_that_writes_about_missing_html_is_read():
    assert code(paper("<p>HTML is not available to all. " + "x" * 1500)) == "read"
    assert code(paper("<p>HTML is not available to all. " + "x" * 400)) == "no_html"


@pytest.mark.parametrize(
    ("count", "length", "outcome"), [(3, 2000, "read"), (3, 1999, "fatal_conversion"), (2, 9000, "fatal_conversion")]
)
def test_a_broken_conversion_is_read_from_six_thousand_characters_and_three_sections_on(count, length, outcome):
    said = "<p class='package-alerts'>Conversion to HTML had a Fatal error and exited abruptly.</p>"
    assert code(said + paper(sections(count, length))) == outcome


@pytest.mark.parametrize(("length", "outcome"), [(399, "blank"), (400, "abstract_only")])
def test_a_page_is_blank_below_four_hundred_characters(length, outcome):
    assert code(paper("", abstract="x" * length)) == outcome


def test_a_bibliography_does_not_fill_a_blank_page():
    assert code(paper(f'<section class="ltx_bibliography">{"x" * 9000}</section>')) == "blank"


@pytest.mark.parametrize(("length", "outcome"), [(1499, "abstract_only"), (1500, "read")])
def test_a_page_is_more_than_its_abstract_from_fifteen_hundred_characters_on(length, outcome):
    assert code(paper(f"<p>{'x' * length}</p>", abstract="x" * 3000)) == outcome


@pytest.mark.parametrize(
    ("marks", "outcome"),
    [
        (r"\documentclass \usepackage \begin{document}", "raw_latex"),
        (r"\usepackage \begin{document} \DeclareFontFamily", "raw_latex"),
        (r"\documentclass \usepackage \usepackage", "read"),
    ],
)
def test_three_marks_of_a_preamble_are_raw_latex(marks, outcome):
    assert code(paper(f"<p>{marks} {'x' * 1500}</p>")) == outcome


@pytest.mark.parametrize(
    ("found", "listed", "same"),
    [
        ("Lantern: Lighting Lamps", "Lantern: Lighting Lamps", True),
        ("LANTERN — lighting the lamps", "Lantern: Lighting Lamps", True),
        ("Lantern", "Lantern: Lighting Only the Lamps That Readers Look At", True),
        ("Sextants for the Pond", "Lanterns for the Night", False),
        ("Sextants and Lanterns", "Lanterns of Glass", True),  # one of two words: just half
        ("Sextants, Ponds and Lanterns", "Lanterns of Blown Glass", False),
        ("", "Lantern", True),
        ("Lantern", None, True),
        ("The Of And", "Lantern", True),  # nothing but stop words: nothing to compare
        ("灯与读者", "灯与读者", True),
    ],
)
def test_titles_agree_when_they_share_half_of_the_shorter_ones_words(found, listed, same):
    if same:
        same_paper(found, listed)
    else:
        with pytest.raises(FeedError, match="wrong_document"):
            same_paper(found, listed)


def test_the_charset_of_the_header_counts_first():
    body = "<meta charset='utf-8'>ночь".encode("koi8-r")
    assert decode(answer(body, "text/html; charset=KOI8-R")) == "<meta charset='utf-8'>ночь"


def test_the_pages_own_charset_mends_a_wrong_header():
    body = ("<meta charset='gb18030'>" + "灯" * 100).encode("gb18030")
    assert decode(answer(body, "text/html; charset=utf-8")).endswith("灯灯")


def test_the_pages_own_charset_counts_where_the_header_has_none():
    body = ("<meta http-equiv='Content-Type' content='text/html; charset=iso-8859-1'>" + "é" * 10).encode("latin-1")
    assert decode(answer(body)).endswith("éé")


def test_without_any_charset_a_page_is_utf_8():
    assert decode(answer("灯")) == "灯"
    assert decode(answer(b"")) == ""


@pytest.mark.parametrize(("bad", "readable"), [(5, True), (6, False)])
def test_one_character_in_two_hundred_may_be_unreadable(bad, readable):
    body = b"x" * (1000 - bad) + b"\xff" * bad
    if readable:
        assert decode(answer(body)).count("\ufffd") == bad
    else:
        with pytest.raises(FeedError, match=r"mojibake: 0\.6% of the characters cannot be read as utf-8"):
            decode(answer(body))


@pytest.mark.parametrize("name", ["punycode", "unicode_escape", "zlib", "idna", "x-user-defined"])
def test_a_codec_that_is_no_charset_of_pages_is_not_used(name):
    assert decode(answer("灯\\x41-", f"text/html; charset={name}")) == "灯\\x41-"
