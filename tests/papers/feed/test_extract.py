"""Web pages as text: what is kept, in which order, and that no page is too odd."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import html

from assay.papers.feed.extract import Page, extract
from assay.papers.feed.tables import markdown_rows
from tests.papers.invented import FILLER, TITLE, page


@pytest.fixture(scope="module")
def lantern() -> Page:
    return extract(page())


def test_title_and_abstract_are_told_apart_from_the_text(lantern):
    assert lantern.title == TITLE
    assert lantern.abstract == (
        "We introduce Lantern, a scheduler that lights only those lamps which a reader looks at. On HarbourBench it "
        r"reaches 71.4% accuracy with $3\times$ fewer lamps than Torch."
    )


def test_headings_keep_their_order_and_level(lantern):
    assert [(level, title) for level, title, _ in lantern.sections] == [
        (1, "1 Introduction"),
        (1, "2 Method"),
        (2, "2.1 The looking rule"),
        (2, "2.2 The queue"),
        (4, "Ties."),
        (1, "3 Experiments"),
        (1, "4 Conclusion"),
    ]


def test_what_is_not_the_papers_text_is_left_out(lantern):
    text = " ".join(f"{title} {text}" for _, title, text in lantern.sections) + lantern.title + lantern.abstract
    for absent in ("Footnote", "burning scheduler", "brass", "lampmacro", "contents", "Report issue", "Generated on",
                   "Ada Quill", "theme.js", "arXiv:2601"):  # fmt: skip
        assert absent not in text
        if absent != "theme.js":
            assert absent in lantern.said or absent in page()


def test_a_citation_is_its_text(lantern):
    assert "such as Torch (Ostrava, 2024) keep every lamp burning." in lantern.sections[0][2]


def test_lists_keep_their_marks_and_depth(lantern):
    text = lantern.sections[0][2].partition("three contributions:\n\n")[2]
    assert text == (
        "- A rule that asks where the reader looks.\n\n- A queue of lamps, with\n\n   1. a short end,\n\n"
        "   2. a long end.\n\n- HarbourBench, 480 evenings with a known reader."
    )


def test_formulas_are_their_source(lantern):
    assert lantern.sections[1][2].startswith(r"Let $\ell_{t}$ be the lamps that burn at time $t$.")
    assert lantern.sections[2][2].startswith(
        "The rule keeps a lamp while\n\n" r"$$p(\ell\mid g_{<t})>\tau$$ (1)" "\n\nholds, where $g_{<t}$ is"
    )


def test_a_table_is_markdown_with_its_spans_left_empty(lantern):
    assert lantern.sections[5][2].split("\n\n")[2] == "\n".join(
        [
            "| Scheduler | HarbourBench |  |",
            "| --- | --- | --- |",
            "|  | Accuracy | Lamps |",
            r"| Torch | 70.9 | $96\pm 2$ |",
            r"| Lantern\|full | 71.4 | 32 |",
        ]
    )


def test_captions_stand_in_the_text_and_by_themselves(lantern):
    assert lantern.captions == (
        r"Figure 1: The queue at dusk, with $\tau=0.3$.",
        "Table 1: Accuracy and lamps per evening.",
    )
    assert lantern.captions[0] in lantern.sections[4][2]
    assert lantern.captions[1] in lantern.sections[5][2]


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("<p>10<sup>3</sup> lamps, CO<sub>2</sub></p>", "10^3 lamps, CO_2"),
        ("a<sup> </sup>b", "a b"),
        ("one<br>two", "one two"),
        ("<p>a<p>b", "a\n\nb"),
        ("<pre>  x = 1\n\n  y = 2\n</pre>", "  x = 1\n\n  y = 2"),
        ("<ol><li>a<li>b</ol>", "1. a\n\n2. b"),
        ("<ul><li>a<p>more</ul>", "- a\n\nmore"),
        ("<math><mi>x</mi><annotation encoding='application/x-tex'>x^{2}</annotation></math>", "$x^{2}$"),
        ("<math><mi>x</mi></math>", "x"),
        ("<math alttext='a%\n b' display='block'></math>", "$$ab$$"),
        ("<math alttext='5\\%\n b'></math>", "$5\\% b$"),
        ("a<!-- b --><?php c ?>d", "ad"),
        ("a<script>b</script><style>c</style>d<noscript>e</noscript>", "ad"),
        ("a<span class='ltx_note'>b</span>c", "ac"),
        ("a<nav>b</nav>c", "ac"),
        ("<div><h6 class='ltx_title ltx_title_theorem'>Theorem 1.</h6><p>a</div>", "Theorem 1.\n\na"),
        ("<math alttext='a&#1;b'></math>&#2;c", "$ab$c"),
        ("&lt;think&gt; &amp; &#x706F;", "<think> & 灯"),
        ("<table><tr><td>a<table><tr><td>b<td>c</table></table>", "| abc |\n| --- |"),
        ("a<table><tr><td> </table>b", "a\n\nb"),
    ],
)  # fmt: skip
def test_small_things(source, text):
    assert extract(source).sections == ((1, "", text),)


@pytest.mark.parametrize("source", ["", "  \n", "<!-- nothing -->", "<!DOCTYPE html>", "<p></p>"])
def test_a_page_that_says_nothing_is_empty(source):
    assert extract(source) == Page()


def test_the_title_is_looked_for_where_it_is_likeliest():
    h1 = '<h1 class="ltx_title ltx_title_document">A</h1>'
    assert extract(f"<title>C</title><h1>B</h1>{h1}").title == "A"
    assert extract("<title>C</title><h1>B</h1>").title == "B"
    assert extract("<title> C\n c </title><p>x").title == "C c"
    assert extract("<title>Untitled Document</title><p>x").title == ""


def test_headings_of_any_page_are_headings():
    assert extract("<h1>T</h1><p>a<h2>B</h2>b<h3>C</h3>c").sections == ((1, "", "a"), (1, "B", "b"), (2, "C", "c"))


def test_no_file_of_the_machine_gets_into_the_text(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("hunter2")
    source = f'<!DOCTYPE p [<!ENTITY e SYSTEM "file://{secret}">]><p>&e;<xi:include href="file://{secret}"/></p>'
    for text in (source, f'<?xml version="1.0"?>{source}'):
        assert "hunter2" not in extract(text).said


def test_entities_that_multiply_do_not():
    laughs = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 9))
    assert len(extract(f'<!DOCTYPE p [<!ENTITY l0 "ha">{laughs}]><p>&l8;</p>').said) < 10_000


def test_spans_are_honoured_by_hand():
    table = "<table><tr><td rowspan=3>a<td colspan=2>b<tr><td>c<td rowspan=2>d<tr><td>e<tr><td>f</table>"
    assert markdown_rows(html.fromstring(table)).splitlines() == [
        "| a | b |  |",
        "| --- | --- | --- |",
        "|  | c | d |",
        "|  | e |  |",
        "| f |",
    ]


@pytest.mark.parametrize("span", ["0", "-3", "x", "", "٣", "99999999999"])
def test_a_span_that_makes_no_sense_is_one(span):
    assert markdown_rows(html.fromstring(f"<table><tr><td colspan='{span}'>a</table>")).startswith("| a |\n")


def test_spans_cannot_blow_a_page_up():
    rows = "<tr><td colspan=100 rowspan=100>x" * 3000
    assert len(markdown_rows(html.fromstring(f"<table>{rows}</table>"))) < 10 * len(rows)


@pytest.mark.parametrize(
    "source",
    [
        "<div>" * 50_000 + "x",
        "<ul><li>" * 5_000 + "x",
        "<table><tr><td>" * 2_000 + "x",
        "<nav></nav>x" * 50_000,
        "<math alttext='a'>" * 5_000,
        "<sup>" * 5_000 + "x",
        "<" * 100_000,
        "&" * 100_000,
        "<p class='" + "a " * 50_000 + "'>x",
    ],
    ids=["div", "list", "table", "nav", "math", "sup", "angle", "amp", "class"],
)
def test_hostile_pages_are_read_in_time(source):
    start = time.process_time()
    extract(source)
    assert time.process_time() - start < 3


TAGS = [
    "p", "div", "span", "h1", "h2", "h3", "ul", "ol", "li", "table", "tr", "td", "math", "pre", "sup", "figure",
    "figcaption", "section", "article", "nav", "header", "title", "br", "svg", "body", "script", "title", "dl", "a",
]  # fmt: skip
CLASSES = [
    "", "ltx_document", "ltx_title ltx_title_document", "ltx_abstract", "ltx_title ltx_title_section", "ltx_tabular",
    "ltx_title ltx_title_theorem", "ltx_caption", "ltx_tr", "ltx_td", "ltx_note", "ltx_bibliography", "ltx_p",
    "ltx_tag ltx_tag_item",
]  # fmt: skip
attributes = st.builds(
    lambda name, value: f' class="{name}" alttext="{value}" colspan="{value}" rowspan="{value}"',
    st.sampled_from(CLASSES),
    st.sampled_from(["", "3", "x"]),
)
openings = st.builds(lambda tag, told: f"<{tag}{told}>", st.sampled_from(TAGS), attributes | st.just(""))
pieces = (
    openings
    | st.integers(0, 0x10FFFF).map(lambda code: f"&#{code};")
    | st.sampled_from(TAGS).map(lambda tag: f"</{tag}>")
    | st.text(max_size=8)
)


@given(st.lists(pieces, max_size=40).map("".join) | st.text())
def test_no_page_is_too_odd_to_read(source):
    read = extract(source)
    assert all(level >= 1 and (title or text) for level, title, text in read.sections)


TABLE = "<table><tr><td>@</td><td colspan=2>@</td></tr><tr><th>@</th></tr></table>"
KEPT = [
    "p", "div", "span", "section", "blockquote", "figure", "figcaption", "ul", "ol", "li", "h2", "h3", "dl", "pre",
    "em", "sup", "a", "article", "cite",
]  # fmt: skip
word_pages = st.recursive(
    st.sampled_from([" @ ", TABLE]),
    lambda inner: st.builds(
        lambda tag, parts: f" @ <{tag}> @ {''.join(parts)} @ </{tag}> @ ",
        st.sampled_from(KEPT),
        st.lists(inner, max_size=4),
    ),
    max_leaves=25,
)


@given(word_pages)
def test_every_word_is_kept_once_and_in_the_pages_order(source):
    count = source.count("@")
    numbers = iter(range(count))
    read = extract(re.sub("@", lambda _: f"w{next(numbers)}", source))
    text = " ".join(f"{title} {text}" for _, title, text in read.sections)
    assert re.findall(r"w(\d+)", text) == [str(number) for number in range(count)]


def test_a_page_of_a_megabyte_is_read_in_a_second():
    whole = page()
    head, _, rest = whole.partition('<section class="ltx_section" id="S1">')
    body, _, tail = rest.partition('<section class="ltx_bibliography"')
    formulas = '<math alttext="x_{1}"><semantics><mi>x</mi><annotation>x_{1}</annotation></semantics></math> and ' * 10
    body = '<section class="ltx_section">' + body.replace(FILLER, formulas)
    large = head + body * (1_000_000 // len(body) + 1) + '<section class="ltx_bibliography"' + tail
    assert len(large) > 1_000_000
    start = time.process_time()
    assert len(extract(large).sections) > 500
    assert time.process_time() - start < 1
