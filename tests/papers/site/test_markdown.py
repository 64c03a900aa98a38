"""Markdown of reports: readable, and never alive."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import html

from assay.papers.site.markdown import inline, math, to_html

ALIVE = {"script", "img", "iframe", "object", "embed", "style", "link", "form", "input", "svg", "base", "meta", "video"}
PIECES = st.lists(
    st.sampled_from([
        "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "[a](javascript:alert(1))", "[b](JaVaScRiPt:x)",
        "[c](data:text/html,x)", "<javascript:x>", "![d](https://x.y/z.png)", "[e]: javascript:x",
        "$\\href{javascript:x}{y}$", "$\\text{<svg onload=x>}$", "$", "$$", "`", "**", "*   ", "    ", "\n",
        "\n\n", "&lt;script&gt;",
        "&#60;script>", "<t}", "<think>", "y^{*}_{<t}", "\\", "[", "](", ")", "\"", "' onmouseover='x", "# h",
        "> ", "|", "<!--", "]]>",
        "https://example.org", "水",
    ]), max_size=30,
).map("".join)  # fmt: skip


@given(PIECES)
def test_nothing_in_a_section_is_alive(text):
    for written in (to_html(text), inline(text)):
        tree = html.fragment_fromstring(written, create_parent="div")
        for node in tree.iter():
            assert str(node.tag) not in ALIVE, written
            assert not [name for name in node.attrib if name.startswith("on") or name in ("style", "src", "srcdoc")]
            if "href" in node.attrib:
                assert node.attrib["href"].lower().startswith(("http://", "https://", "mailto:")), written


def test_a_link_to_nowhere_is_its_text():
    assert to_html("[here]() and [there](https://example.org)") == (
        '<p>here and <a href="https://example.org">there</a></p>\n'
    )
    assert to_html("[]()") == "<p></p>\n" and inline("[a]()") == "a"


def test_tags_in_a_body_show_as_text():
    tree = html.fragment_fromstring(to_html("用 `<think>` 与 <t} 和 <tool_call>"), create_parent="div")
    assert tree.text_content().strip() == "用 <think> 与 <t} 和 <tool_call>"


def test_formulas_become_mathml_and_what_does_not_parse_shows_its_source():
    written = to_html("设 $y^{*}_{<t}$ 与 $p(x \\mid z)$。\n\n$$\\frac{a}{b}$$")
    assert written.count("<math ") == 3
    assert 'display="block"' in written
    assert math("\\href{javascript:x}{y}", False) == '<code class="math">\\href{javascript:x}{y}</code>'
    assert math("\\class{evil}{y}", False) == '<code class="math">\\class{evil}{y}</code>'
    assert to_html("costs $5 and $6").count("<math") == 0


def test_lists_with_every_indent_stay_lists():
    text = "   *   **甲**：一\n       *   二\n           *   三\n   1.  **乙**：四\n- 五\n     - 六"
    written = to_html(text)
    assert "<pre>" not in written
    assert written.count("<li>") == 6
    assert written.count("<strong>") == 2


def test_headings_in_a_body_do_not_break_the_outline_of_the_page():
    assert "<h" not in to_html("# one\n\n## two\n\nthree\n===\n")


@pytest.mark.parametrize("text", ["$" * 5000, "[(" * 3000, "*" * 5000, "`" * 5000, "> " * 400 + "x", "- " * 400 + "x"])
def test_hostile_lengths_are_read_in_time(text):
    start = time.process_time()
    to_html(text)
    assert time.process_time() - start < 3
