"""What a section says, read from its Markdown."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.papers.report import Figure, parse
from assay.papers.report.views import fields, figures, named_items, plain, sentences

ENTRIES = parse(Path(__file__).with_name("every_style.md").read_bytes().decode()).entries


def test_fields_are_cut_outside_brackets_and_lose_their_bold():
    assert ENTRIES[0].fields == ["厨房机器人", "语言模型规划（LLM Planning）"]
    assert ENTRIES[1].fields == ["计算机视觉", "地衣与苔藓的细粒度识别", "图像检索"]
    assert fields("**NLP - 后训练 (A/B、C) / 推理**。") == ["NLP", "后训练 (A/B、C)", "推理"]
    assert fields("*   **一**\n*   二") == ["一", "二"]
    assert fields("(一、二") == ["(一", "二"]
    assert fields("") == []


def test_innovations_are_the_outermost_items_with_a_bold_name():
    assert [i.name for i in ENTRIES[0].innovations] == ["等待即资源", "两级时钟", "会认错的计划"]
    assert ENTRIES[0].innovations[1].text.endswith("    *   细的一级只看蒸汽。")
    assert [i.name for i in ENTRIES[2].innovations] == ["漂移权重", "靠岸规则", "不要锁"]
    assert named_items("   *   **甲：**乙\n        *   **丙**：丁\n   *   没有名字")[0].name == "甲"
    assert len(named_items("   *   **甲：**乙\n        *   **丙**：丁\n   *   没有名字")) == 1
    assert named_items("没有列表") == []


def test_usage_is_told_by_label():
    assert ENTRIES[0].usage["输入"] == "一段厨房录像和一句话的要求。"
    assert list(ENTRIES[0].usage) == ["输入", "输出", "步骤"]


def test_the_contribution_is_one_line_without_marks():
    assert ENTRIES[3].contribution == "在读一行字之前先猜它要用多少墨水，并用这个猜测挑选识别模型。"
    assert plain("   **提出**了\n   一种") == "提出了一种"
    assert plain("Two\n  words") == "Two words"


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("一句。", 1), ("一句", 1), ("一句。两句！", 2), ("一句（含。括号）里。", 1), ("“一句。”", 1), ("", 0),
        ("First one here. Second.", 2), ("By Dr. Zero et al. Show.", 1), ("It is 3.5 times faster.", 1),
        ("叫做 Dr. Zero 的框架。", 1), ("Faster by 12%. Smaller too.", 2),
    ],
)  # fmt: skip
def test_sentences_are_counted_outside_brackets(text, count):
    assert len(sentences(text)) == count


def test_figures_carry_their_unit_and_names_are_none():
    assert [(f.value, f.unit) for f in ENTRIES[0].figures] == [(40, ""), (31.5, ""), (24, ""), (23.8, "%")]
    assert figures("高 4.1 个百分点") == [Figure(4.1, "pp", "4.1 个百分点")]
    assert [(f.value, f.unit) for f in figures("快 1.7 倍，1,024 个节点，2.5x，７６％")] == [
        (1.7, "×"), (1024, ""), (2.5, "×"), (76, "%"),
    ]  # fmt: skip
    assert figures("Qwen3-4B 在 AIME25 上，见 `top_k=5`，GPT-5.2") == []


@given(st.text(alphabet="（(）)、/，。. -**\n*1一aB「」%"))
def test_views_never_fail_and_fields_lose_no_letter(text):
    sentences(text), named_items(text), figures(text)
    kept = "".join(fields(text))
    assert kept.count("一") == text.count("一")
    assert kept.count("a") == text.count("a")
    assert "\n" not in plain(text)
