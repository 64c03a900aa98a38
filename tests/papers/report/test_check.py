"""Problems of content in a report that is well formed."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from assay.papers.report import Problem, check, parse

SAMPLE = Path(__file__).with_name("every_style.md").read_bytes().decode()
TODAY = date(2025, 3, 5)


def found(text: str, today: date = TODAY) -> list[Problem]:
    return check(parse(text), today=today)


def test_the_sample_is_clean():
    assert found(SAMPLE) == []


@pytest.mark.parametrize(
    ("old", "new", "code", "where"),
    [
        ("papers/2503.99992", "papers/2503.99991", "duplicate_id", "## 📄 Moss"),
        ("📄 Kettle", "📄 2503.99998 Kettle", "id_mismatch", "## 📄 2503.99998"),
        ("**Date**: 2025-03-04", "**Date**: 2025-03-05", "date_mismatch", "**Date**"),
        ("### 2. 一句话核心贡献", "2. **一句话核心贡献**", "mixed_headings", "## 📄 Kettle"),
        ("安排别的事的时间。", "安排别的事的时间。还有一句！", "contribution_sentences", "### 2. 一句话核心贡献"),
        ("误差 3 只以内的录音占 88%。", "好。", "short_section", "### 5. **实验效果**"),
        ("**阅读来源**: HTML", "**阅读来源**: 记忆", "read_from", "- **阅读来源**"),
        ("（第 3 次", "(第 3 次", "read_from", "- **阅读来源**"),
    ],
)
def test_each_fault_of_content_has_its_code_and_line(old, new, code, where):
    assert old in SAMPLE
    text = SAMPLE.replace(old, new, 1)
    (problem,) = found(text)
    assert problem.code == code
    assert text.split("\n")[problem.line - 1].startswith(where)


def test_a_section_without_named_innovations_or_with_nine_is_counted():
    nine = "".join(f"\n*   **名字 {n}**：文字" for n in range(9))
    start, end = SAMPLE.index("1.  **等待即资源**"), SAMPLE.index("\n\n### 5. 实验效果")
    for new in ("等待的时间可以分配。", nine.strip()):
        assert [p.code for p in found(SAMPLE[:start] + new + SAMPLE[end:])] == ["innovation_count"]


def test_a_report_of_tomorrow_is_told_by_the_clock_it_is_given():
    assert "future_date" in [p.code for p in found(SAMPLE, date(2025, 3, 3))]
    assert "future_date" not in [p.code for p in found(SAMPLE, date(2025, 3, 4))]
    assert "future_date" not in [p.code for p in check(parse(SAMPLE))]


def test_text_that_is_no_report_has_no_content_to_check():
    assert found("hello\n") == []
