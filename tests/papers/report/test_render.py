"""Writing reports: what the grammar generates comes back field by field; one canonical style."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.papers.report import (
    Entry,
    EntryLayout,
    Header,
    HeadingStyle,
    Report,
    Section,
    canonical,
    check,
    compose,
    compose_failed,
    parse,
    render,
)
from assay.papers.report import grammar as g
from assay.papers.report.render import canonical_text

SAMPLE = Path(__file__).with_name("every_style.md").read_bytes().decode()
NAMES = g.SECTION_NAMES["zh"]
STYLES = [
    HeadingStyle(3, 1, False, ""), HeadingStyle(0, 1, True, ""), HeadingStyle(0, 1, True, "："),
    HeadingStyle(3, 1, True, ""), HeadingStyle(2, 1, False, ""), HeadingStyle(0, 2, True, "："),
    HeadingStyle(4, 1, False, ""),
]  # fmt: skip
WORDS_AND_MARKS = st.sampled_from([
    "一句话", "a sentence", "**粗体**", "$y^{*}_{<t} \\mid x$", "`<think>先想</think>`", "`\\boxed{“3”}`", "a === b",
    "https://example.org", "（括号）", "31.5%", "：", "📄", "1. 使用指南生成器", "\u2028", "\x85", "1.  **名字**：",
])  # fmt: skip
LINES = st.lists(WORDS_AND_MARKS, min_size=1, max_size=4).map(" ".join)
MARKS = st.sampled_from(["", "", "*   ", "- ", "1.  ", "2. ", "> "])
INDENTS = st.sampled_from([0, 0, 3, 4, 5, 6, 7, 8, 11])
PLAIN_LINES = st.builds(lambda indent, mark, text: " " * indent + mark + text, INDENTS, MARKS, LINES)
TRAPS = st.sampled_from([*NAMES, "=" * 60, "===", "## 小标题", "实验效果：", "# 标题"])


@st.composite
def texts(draw: st.DrawFn) -> str:
    """A section's Markdown, with lines that look like structure and are none."""
    lines = draw(st.lists(PLAIN_LINES | TRAPS | st.just(""), min_size=1, max_size=7))
    lines = [line for i, line in enumerate(lines) if line or (i and lines[i - 1])]
    return "\n".join([draw(PLAIN_LINES), *_without_ends(lines), draw(PLAIN_LINES)])


def _without_ends(lines: list[str]) -> list[str]:
    """The lines without those of `=` that a title follows: there an entry ends, by the grammar. From the last line
    to the first, because taking one out may bring the title behind another."""
    kept: list[str] = []
    for line in reversed(lines):
        following = next((later for later in kept if later), "")
        if not (line.startswith("=") and following.startswith("## ")):
            kept.insert(0, line)
    return kept


@st.composite
def entries(draw: st.DrawFn, number: int) -> Entry:
    arxiv_id, title = f"2503.{number:05d}", draw(LINES)
    if draw(st.integers(0, 5)) == 0:
        return compose_failed(arxiv_id, title, "structure:refusal", draw(st.integers(1, 9)), "2025-03-04T05:06:07Z")
    style = draw(st.sampled_from(STYLES))
    inline = style.colon == "：" and draw(st.booleans())
    sections = []
    for place, name in enumerate(NAMES):
        here = inline and place < 2
        sections.append(
            Section(
                name=name,
                style=HeadingStyle(style.hashes, style.gap, style.bold, style.colon, here),
                text=draw(LINES if here else texts()),
                lead="" if here else "\n",
                tail="" if place == 4 else "\n\n",
            )
        )
    preface = draw(st.sampled_from(["", "# 论文报告", "## Kettle", "### 研究报告：Kettle"]))
    source = draw(st.sampled_from(["HTML", "ArXiv Abs"]))
    return Entry(title, g.PAPER_URL + arxiv_id, arxiv_id, source, preface, tuple(sections))


@st.composite
def reports(draw: st.DrawFn) -> Report:
    nodes = [draw(entries(number)) for number in range(draw(st.integers(0, 3)))]
    day = draw(st.dates(date(2023, 5, 4), date(2026, 1, 1)))
    return Report(day, g.DAY_URL + day.isoformat(), tuple(nodes))


def facts(report: Report) -> list[object]:
    plain = [
        (e.title, e.url, e.arxiv_id, e.read_from, e.preface, e.sections, e.status, e.note, e.reason, e.attempts)
        for e in report.entries
    ]
    return [report.date, report.source_url, report.header, *plain]


@settings(max_examples=60, deadline=None)
@given(reports())
def test_what_the_grammar_writes_is_read_back_field_by_field(report):
    text = render(report)
    read = parse(text, strict=True)
    assert facts(read) == facts(report)
    assert render(read) == text


def squashed(text: str) -> str:
    """A section's text without indents and list marks."""
    return "\n".join(line.strip(" ").removeprefix("*").removeprefix("-").strip(" ") for line in text.split("\n"))


@settings(max_examples=60, deadline=None)
@given(reports())
def test_the_canonical_style_keeps_every_text_and_changes_nothing_the_second_time(report):
    once = render(canonical(report))
    read = parse(once, strict=True)
    assert render(canonical(read)) == once
    before = [(e.title, e.reason, [squashed(s.text) for s in e.sections]) for e in report.entries]
    after = [(e.title, e.reason, [squashed(s.text) for s in e.sections]) for e in read.entries]
    flat = [(t, r, [" ".join("".join(s).split()) for s in ss]) for t, r, ss in before]
    assert [(t, r, [" ".join("".join(s).split()) for s in ss]) for t, r, ss in after] == flat


def test_the_canonical_sample_is_strict_has_one_style_and_no_preface():
    read = parse(render(canonical(parse(SAMPLE))), strict=True)
    assert {s.style for e in read.entries for s in e.sections} == {HeadingStyle()}
    assert not any(e.preface for e in read.entries)
    assert [e.fields for e in read.entries] == [e.fields for e in parse(SAMPLE).entries]
    assert [e.usage for e in read.entries] == [e.usage for e in parse(SAMPLE).entries]
    assert read.entries[-1].reason == "http_429"


def test_tolerated_spellings_become_canonical_ones():
    spoilt = re.sub(rf"({'|'.join(NAMES)})\*\*：", r"\1:**", SAMPLE)
    spoilt = spoilt.replace("📄 ", "").replace("=" * 60, "=" * 20).replace("\n\n\n", "\n\n")
    spoilt = "\ufeff" + spoilt.replace("\n", "\r\n")
    found = {p.code for p in parse(spoilt).problems}
    assert found == {"bom", "newline", "heading", "icon", "separator", "blank_lines"}
    assert render(canonical(parse(spoilt))) == render(canonical(parse(SAMPLE)))


def test_sections_out_of_order_are_put_in_order_and_doubled_ones_kept():
    blocks = [f"### {n}. {name}\n第 {n} 段。" for n, name in enumerate(NAMES, 1)]
    body = "\n\n".join([blocks[3], blocks[0], blocks[0].replace("第", "再"), blocks[4], blocks[2]])
    head = "\n## 📄 T\n\n- **链接**: https://huggingface.co/papers/2503.99991\n- **阅读来源**: HTML\n\n"
    read = canonical(parse(head + body + "\n\n\n" + g.SEPARATOR + "\n"))
    assert [s.text for s in read.entries[0].sections] == [
        "第 1 段。",
        "再 1 段。",
        "第 3 段。",
        "第 4 段。",
        "第 5 段。",
    ]


@pytest.mark.parametrize(
    ("written", "relaid"),
    [
        ("   前言\n   - a\n     - b\n       c\n   - d", "前言\n*   a\n    *   b\n        c\n*   d"),
        ("1. a\n2. b\n10. c", "1.  a\n2.  b\n10. c"),
        ("* a\n\n后记", "*   a\n\n后记"),
        ("   1. **应用领域**\n   ## x\n   ====", " 1. **应用领域**\n ## x\n ===="),
        ("```\n- 代码\n  - 不动\n```\n- a", "```\n- 代码\n  - 不动\n```\n*   a"),
        ("-文字\n*粗*", "-文字\n*粗*"),
    ],
)
def test_lists_are_laid_out_by_level(written, relaid):
    assert canonical_text(written) == relaid
    assert canonical_text(relaid) == relaid


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_composed_entries_stand_in_the_format(lang):
    texts = [
        "厨房机器人、语言模型规划",
        "一句话说完的贡献在这里。",
        "- **输入**：录像。没有别的东西",
        "- **甲**：乙丙丁戊己庚",
        "快了 3 倍，准确率不变。",
    ]
    source = g.sources(lang)[3]
    done = compose("2503.99991", "Kettle", source, texts, lang=lang)
    failed = compose_failed("2503.99992", "Moss", "no_text", 2, "2025-03-04T05:06:07Z", lang=lang)
    written = render(Report(date(2025, 3, 4), g.DAY_URL + "2025-03-04", (done, failed)))
    read = parse(written, strict=True)
    assert read.lang == lang
    assert check(read) == []
    assert [e.read_from for e in read.entries] == [source, g.words(lang).not_read]
    assert (read.entries[1].reason, read.entries[1].attempts) == ("no_text", 2)
    assert render(canonical(read)) == written


def test_a_composed_text_cannot_break_out_of_its_section():
    hostile = (
        "文字\n### 1. 应用领域\n" + g.SEPARATOR + "\n\n## 📄 T\n\n- **链接**: https://huggingface.co/papers/2503.99992"
    )
    composed = compose(
        "2503.99991", "Kettle", "HTML", [hostile, "```\n" + hostile + "\n```", hostile, hostile, hostile]
    )
    (read,) = parse(render(Report(date(2025, 3, 4), g.DAY_URL + "2025-03-04", (composed,))), strict=True).entries
    assert read.sections == composed.sections


def test_a_wrong_composition_is_refused_by_name():
    with pytest.raises(ValueError, match="texts: got 2, wanted 5"):
        compose("2503.99991", "Kettle", "HTML", ["a", "b"])
    with pytest.raises(ValueError, match=r"arxiv_id: got 'x', wanted dddd\.ddddd"):
        compose_failed("x", "Kettle", "no_text", 1, "2025-03-04T05:06:07Z")
    with pytest.raises(ValueError, match="wanted a section's name"):
        parse(SAMPLE).entries[0].section("Verdict")


def test_layouts_say_the_format_by_default():
    assert EntryLayout() == EntryLayout.of(g.words("zh"))
    assert Header().tail.endswith("=" * 60 + "\n")
