"""Reading a report: every style, every tolerated spelling, and any text at all."""

from __future__ import annotations

import io
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.papers.report import Entry, HeadingStyle, Raw, ReportError, iter_entries, parse, parse_file, render
from assay.papers.report import grammar as g

SAMPLE = Path(__file__).with_name("every_style.md")
REAL = Path(__file__).parents[4] / "shared" / "reports"
NAMES = g.SECTION_NAMES["zh"]

HEADER = f"# Hugging Face Daily Papers Report\n**Date**: 2025-03-04\n**Source URL**: {g.DAY_URL}2025-03-04\n\n"
SEP = "=" * 60 + "\n"


def sample() -> str:
    return SAMPLE.read_bytes().decode()


def entry(body: str, *, icon: str = "📄 ", separator: str = "\n\n" + SEP) -> str:
    return f"\n## {icon}Kettle\n\n- **链接**: {g.PAPER_URL}2503.99991\n- **阅读来源**: HTML\n\n{body}\n{separator}"


def body(style: str = "### {n}. {x}", names: tuple[str, ...] = NAMES) -> str:
    return "\n\n".join(f"{style.format(n=n, x=x)}\n{n} 号段落的文字。" for n, x in enumerate(names, 1))


def report(*entries: str) -> str:
    return HEADER + SEP + "".join(entries)


def codes(text: str) -> list[str]:
    assert render(parse(text)) == text
    return [problem.code for problem in parse(text).problems]


# --- what stands in the format ---


def test_every_heading_style_is_read_and_given_back():
    read = parse(sample(), strict=True)
    assert render(read) == sample()
    assert read.date == date(2025, 3, 4)
    assert read.source_url == g.DAY_URL + "2025-03-04"
    assert len(read.entries) == len(read.nodes) == 9
    assert [len(e.sections) for e in read.entries] == [5] * 8 + [0]
    assert [e.sections[0].style for e in read.entries[:8]] == [
        HeadingStyle(3, 1, False, "", False),
        HeadingStyle(0, 1, True, "", False),
        HeadingStyle(0, 1, True, "：", False),
        HeadingStyle(0, 1, True, "：", True),
        HeadingStyle(3, 1, True, "", False),
        HeadingStyle(2, 1, False, "", False),
        HeadingStyle(0, 2, True, "：", False),
        HeadingStyle(4, 1, False, "", False),
    ]
    assert [s.style.inline for s in read.entries[3].sections] == [True, True, False, False, False]


def test_an_entry_says_its_title_link_source_preface_and_line():
    second = parse(sample()).entries[1]
    assert second.title == "Moss Maps: Walking Slowly Through Feature Space"
    assert (second.arxiv_id, second.url) == ("2503.99992", g.PAPER_URL + "2503.99992")
    assert (second.read_from, second.preface) == ("ArXiv Abs", "# Moss Maps 论文报告")
    assert sample().split("\n")[second.line - 1] == "## 📄 " + second.title
    assert second.section("应用领域") == second.section("Field") == second.sections[0]
    assert second.sections[0].text == "   计算机视觉 - 地衣与苔藓的**细粒度识别**、图像检索"


def test_a_failed_paper_keeps_its_place_with_its_reason():
    failed = parse(sample()).entries[-1]
    assert (failed.status, failed.reason, failed.attempts) == ("failed", "http_429", 3)
    assert (failed.read_from, failed.sections, failed.preface) == ("未读取", (), "")
    assert parse(sample()).entries[0].reason is None


def test_a_line_that_is_only_a_name_stays_text_where_the_section_is_numbered():
    usage = parse(sample()).entries[5].section("使用指南")
    assert usage is not None
    assert usage.text.endswith("\n应用领域\n\n上一行只有一个名字，没有编号，它仍是正文。\n===\n====")


def test_an_english_report_is_in_the_format_and_a_mixed_one_is_not():
    english = report(entry(body(names=g.SECTION_NAMES["en"]))).replace("链接", "Link").replace("阅读来源", "Read from")
    assert parse(english, strict=True).lang == "en"
    failed = english.replace(english[english.index("### 1") : -len(SEP) - 3], g.failed_note("no_text", 2, "Z", "en"))
    failed = failed.replace("Read from**: HTML", "Read from**: not read")
    assert parse(failed, strict=True).entries[0].reason == "no_text"
    assert codes(report(entry(body().replace("实验效果", "Results")))) == ["heading"]


def test_a_third_language_is_one_entry(monkeypatch):
    monkeypatch.setitem(g.SECTION_NAMES, "eo", ("Kampo", "Kerno", "Uzo", "Novaĵoj", "Rezultoj"))
    english_labels = entry(body(names=g.SECTION_NAMES["eo"])).replace("链接", "Link").replace("阅读来源", "Read from")
    read = parse(report(english_labels), strict=True)
    assert read.lang == "eo"
    assert read.entries[0].section("实验效果") == read.entries[0].sections[4]
    assert render(read) == report(english_labels)


# --- the separator ---


def test_a_separator_inside_a_text_ends_nothing_unless_a_title_follows():
    inside = report(entry(body().replace("3 号段落的文字。", f"前\n\n{SEP}\n后")))
    assert codes(inside) == []
    assert parse(inside).entries[0].sections[2].text == f"前\n\n{SEP}\n后"
    before_heading = report(entry(body("## {n}. {x}").replace("2 号段落的文字。", "前\n\n" + SEP.rstrip())))
    assert [len(e.sections) for e in parse(before_heading, strict=True).entries] == [5]
    ended = parse(report(entry(body().replace("3 号段落的文字。", f"前\n\n{SEP}\n## 另一个题目\n后"))))
    assert len(ended.entries[0].sections) == 3
    assert isinstance(ended.nodes[1], Raw)
    assert ended.nodes[1].text.startswith("\n## 另一个题目\n后")


def test_a_missing_separator_does_not_swallow_the_next_paper():
    text = report(entry(body(), separator=""), entry(body()).replace("99991", "99992"))
    assert codes(text) == ["separator"]
    assert [e.arxiv_id for e in parse(text).entries] == ["2503.99991", "2503.99992"]


# --- what is tolerated, and under which code strict reading refuses it ---

GOOD = report(entry(body()))
TOLERATED = {
    "half-width colon": (body("{n}. **{x}**:"), "heading"),
    "colon inside the bold": (body("{n}. **{x}：**"), "heading"),
    "number inside the bold": (body("**{n}. {x}**"), "heading"),
    "round bracket": (body("{n}) {x}"), "heading"),
    "no number": (body("### {x}"), "heading"),
    "no number, no mark": (body("{x}："), "heading"),
    "one mark": (body("# {n}. {x}"), "heading"),
    "three blanks": (body("{n}.   **{x}**"), "heading"),
    "a trailing blank": (body("### {n}. {x} "), "heading"),
    "wrong numbers": (body("### 7. {x}"), "heading"),
    "Chinese numbers": (
        "\n\n".join(f"{n}、{x}\n{n} 号段落的文字。" for n, x in zip("一二三四五", NAMES)),
        "heading",
    ),
    "a blank line below the headings": (body("### {n}. {x}\n"), "blank_lines"),
    "two blank lines between sections": (body().replace("\n\n", "\n\n\n"), "blank_lines"),
    "no blank line between sections": (body().replace("\n\n", "\n"), "blank_lines"),
}


@pytest.mark.parametrize("kind", TOLERATED)
def test_a_tolerated_spelling_is_read_and_named(kind):
    written, code = TOLERATED[kind]
    text = report(entry(written))
    assert set(codes(text)) == {code}
    (read,) = parse(text).entries
    assert tuple(s.name for s in read.sections) == NAMES
    numbers = "一二三四五" if "、" in written else "12345"
    assert [s.text for s in read.sections] == [f"{n} 号段落的文字。" for n in numbers]


@pytest.mark.parametrize(
    ("text", "code", "line"),
    [
        ("\ufeff" + GOOD, "bom", 1),
        (GOOD.replace("\n", "\r\n"), "newline", 1),
        (GOOD.replace("**Date**: ", "**Day**: "), "header", 1),
        (GOOD.replace("2025-03-04\n**S", "2025-13-04\n**S"), "header", 1),
        (GOOD.replace("Daily Papers", "Weekly Papers"), "header", 1),
        (GOOD.replace("/date/2025-03-04", "/date/today"), "header", 3),
        (GOOD.replace(g.PAPER_URL + "2503.99991", "https://example.org/1"), "header", 9),
        (GOOD.replace(SEP, "===\n"), "separator", 5),
        (GOOD.removesuffix("\n\n" + SEP), "separator", 26),
        (GOOD.replace("📄 ", ""), "icon", 7),
        (GOOD.replace("- **阅读来源**: HTML\n", ""), "read_from", 9),
        (GOOD.replace(": HTML", ": PDF"), "read_from", 10),
        (GOOD.replace("\n\n- **链", "\n- **链"), "blank_lines", 8),
        (GOOD.replace("\n\n\n===", "\n\n==="), "blank_lines", 27),
        (GOOD[:-1], "final_newline", 28),
        (GOOD + "\n", "blank_lines", 29),
        (GOOD + "\n## 结语\n再见\n", "unknown_text", 30),
        (GOOD.replace("### 1", "多余的话\n还有一句\n\n### 1"), "unknown_text", 12),
        (GOOD.replace("### 2. 一句话核心贡献\n2 号段落的文字。\n\n", ""), "section_missing", 7),
        (GOOD.replace("### 4. 主要创新点", "### 3. 使用指南"), "section_doubled", 21),
        (GOOD.replace("4. 主要创新点", "@").replace("3. 使用指南", "4. 主要创新点").replace("@", "3. 使用指南"),
         "section_order", 21),
        ("", "header", 1),
    ],
)  # fmt: skip
def test_each_departure_has_its_code_and_strict_reading_refuses_it_there(text, code, line):
    found = {(p.code, p.line) for p in parse(text).problems}
    assert (code, line) in found
    assert render(parse(text)) == text
    with pytest.raises(ReportError) as refused:
        parse(text, strict=True)
    assert refused.value.line == min(line for _, line in found)
    assert str(refused.value.line) in str(refused.value)


def test_every_code_of_the_format_is_one_of_these():
    listed = {
        "bom", "newline", "header", "separator", "icon", "heading", "section_missing", "section_doubled",
        "section_order", "read_from", "blank_lines", "final_newline", "unknown_text",
    }  # fmt: skip
    blanked = "\n".join(line + " " for line in GOOD.split("\n"))
    for text in (blanked, GOOD[30:], GOOD[:-90], "x" + GOOD, GOOD.replace("*", ""), GOOD.replace("\n\n", "\n")):
        assert set(codes(text)) <= listed
        assert codes(text)


def test_strict_reading_names_the_column():
    with pytest.raises(ReportError) as refused:
        parse(GOOD.replace("Daily Papers", "Weekly Papers"), strict=True)
    assert (refused.value.line, refused.value.column, refused.value.code) == (1, 16, "header")


# --- files and streams ---


def test_entries_come_one_by_one_from_a_stream_as_from_the_whole():
    text = sample() + "\n## 结语\n再见\n"
    streamed = list(iter_entries(io.StringIO(text)))
    assert tuple(streamed) == parse(text).nodes
    assert tuple(iter_entries(io.StringIO(text.replace("\n", "\r\n"), newline="\n"))) == parse(text).nodes


def test_a_stream_is_not_read_further_than_the_next_title():
    class Endless(io.StringIO):
        def __iter__(self):
            yield from (HEADER + SEP).splitlines(keepends=True)
            while True:
                yield from entry(body()).splitlines(keepends=True)

    entries = iter_entries(Endless())
    assert [next(entries).arxiv_id for _ in range(1000)] == ["2503.99991"] * 1000


def test_a_file_is_read_with_its_own_line_ends(tmp_path):
    path = tmp_path / "report.md"
    path.write_bytes(GOOD.replace("\n", "\r\n").encode())
    assert render(parse_file(path)).encode() == path.read_bytes()
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(UnicodeDecodeError):
        parse_file(path)


def test_importing_the_format_loads_the_standard_library_only():
    code = (
        "import sys; before = set(sys.modules); import assay.papers.report; "
        "new = {name.partition('.')[0] for name in set(sys.modules) - before}; "
        "print(sorted(new - sys.stdlib_module_names - {'assay'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# --- any text ---

PIECES = [
    "\n", "\n\n", "\r\n", "\r", " ", "   ", "\t", "\ufeff", "\x0b", "\x85", "\u2028", "===", "=" * 60, "## ", "## 📄 ",
    "### ", "- **链接**: x", "- **Link**: y\n", "- **阅读来源**: HTML", "**Date**: 2025-03-04", "**Source URL**: z",
    "**应用领域**", "3. 使用指南\n", "### 4. 主要创新点\n", "一、应用领域：", "Results", "1) 实验效果:",
    "> 未完成：x（第 1 次尝试，Z）；下次运行将重试。", "**", "：", "```", "*   ", "1.", "📄", "文字",
]  # fmt: skip
SOUP = st.lists(st.sampled_from(PIECES) | st.text(max_size=4), max_size=40).map("".join)


@st.composite
def near_misses(draw: st.DrawFn) -> str:
    """The sample with a few cuts and insertions, mostly at the ends of lines, where the structure is."""
    text = sample()
    start = draw(st.integers(0, len(text) // 2)) if draw(st.booleans()) else 0
    text = text[start : start + draw(st.integers(200, 3000))]
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(text)))
        if draw(st.booleans()):
            at = max(text.find("\n", at), 0) + draw(st.integers(0, 1))
        cut = draw(st.sampled_from([0, 0, 1, 2, 20]))
        text = text[:at] + draw(st.sampled_from([*PIECES, ""])) + text[at + cut :]
    return text.replace("\n", "\r\n") if draw(st.integers(0, 9)) == 0 else text


def is_total_and_lossless(text: str) -> None:
    read = parse(text)
    assert render(read) == text
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").split("\n")
    for node in read.nodes:
        if isinstance(node, Entry):
            assert lines[node.line - 1].startswith("## ")
            assert (node.status == "failed") == (node.reason is not None)
    assert all(1 <= problem.line <= len(lines) for problem in read.problems)
    if read.problems:
        with pytest.raises(ReportError) as refused:
            parse(text, strict=True)
        assert refused.value.line == read.problems[0].line
    else:
        assert parse(text, strict=True) == read


@settings(max_examples=200, deadline=None)
@given(st.text() | SOUP)
def test_any_text_is_read_without_error_and_given_back(text):
    is_total_and_lossless(text)


@settings(max_examples=200, deadline=None)
@given(near_misses())
def test_a_damaged_report_is_read_without_error_and_given_back(text):
    is_total_and_lossless(text)


@pytest.mark.slow
@settings(max_examples=10_000, deadline=None)
@given(SOUP | near_misses())
def test_ten_thousand_damaged_reports_are_given_back(text):
    is_total_and_lossless(text)


def test_a_long_run_of_blanks_takes_no_longer_than_its_length():
    for text in ("## " + " " * 200_000, " \n" * 100_000, "=" * 200_000, "## 📄 a\n" * 20_000, "**" * 100_000):
        assert render(parse(text)) == text


# --- the reports that the format was measured on, where they lie beside the repository ---


@pytest.mark.skipif(not REAL.is_dir(), reason="no ../shared/reports beside the repository")
def test_the_five_reports_come_back_byte_for_byte():
    files = sorted(REAL.glob("*.md"))
    entries = []
    for path in files:
        read = parse_file(path, strict=True)
        assert render(read).encode() == path.read_bytes()
        assert read.date is not None
        assert read.date.isoformat() == path.stem
        entries += read.entries
    assert len(files) == 5
    assert (len(entries), sum(len(e.sections) for e in entries)) == (124, 620)
    assert sum(e.read_from == "HTML" for e in entries) == 109
    assert sum(bool(e.preface) for e in entries) == 75
