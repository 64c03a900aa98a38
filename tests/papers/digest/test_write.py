"""Replies of every make come out as the same five texts, or as none."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.papers.digest.write import read_reply, without_thinking
from tests.papers.digest.world import Invented

PAPER = Invented(7)
GOOD = PAPER.reply()
JSON = json.dumps(GOOD, ensure_ascii=False)
TEXTS = read_reply(JSON, "zh").texts


@pytest.mark.parametrize(
    "reply",
    [
        JSON,
        json.dumps(GOOD, indent=2),
        f"```json\n{JSON}\n```",
        f"Here is the report:\n\n```\n{JSON}\n```\nI hope it helps {{really}}.",
        f"<think>First I look at {{the paper}}: {{\"field\": \"no\"}}</think>\n{JSON}",
        f"some reasoning that was never opened</think>{JSON}",
        f"Sure! {JSON} Done.",
        json.dumps(PAPER.reply(limitations="an extra key")),
    ],
    ids=["json", "indented", "fenced", "fence-in-prose", "think", "stray-think", "prose", "extra-key"],
)  # fmt: skip
def test_json_is_found_wherever_it_stands(reply):
    assert read_reply(reply, "zh").texts == TEXTS


def test_five_markdown_sections_are_read_as_well():
    texts = read_reply(PAPER.markdown(), "zh").texts
    assert texts[:3] == TEXTS[:3] and texts[4] == TEXTS[4]
    assert "注视规则" in texts[3]
    assert read_reply(f"```markdown\n{PAPER.markdown()}```", "zh").texts == texts


def test_texts_are_laid_out_as_lists_with_bold_names():
    assert TEXTS[3].split("\n")[0].startswith("*   **注视规则**：")
    assert all(line.startswith("*   ") for line in TEXTS[2].split("\n"))
    english = read_reply(json.dumps(PAPER.english()), "en").texts
    assert english[3].startswith("*   **Looking rule**: The place")


@pytest.mark.parametrize(
    ("changed", "place", "text"),
    [
        ({"usage": "一行\n- 二行"}, 2, "*   一行\n*   二行"),
        ({"innovations": ["**名称**：文字", "名称二：文字"]}, 3, "*   **名称**：文字\n*   **名称二**：文字"),
        ({"innovations": [{"name": "**名**：", "description": "字"}]}, 3, "*   **名**：字"),
        ({"field": ["照明", "节能"]}, 0, "照明、节能"),
        ({"results": [{"metric": "准确率", "value": 71.4}]}, 4, "*   准确率 71.4"),
        ({"contribution": 5}, 1, "5"),
        ({"results": None}, 4, None),
        ({"field": "半\ud83d个"}, 0, "半?个"),
    ],
)
def test_values_of_the_wrong_make_are_spelled_out_never_invented(changed, place, text):
    assert read_reply(json.dumps({**GOOD, **changed}), "zh").texts[place] == text


@pytest.mark.parametrize(
    "reply", ["", "[]", "null", "5", "I'm sorry.", "{", '{"a": 1}', "spam " * 5000, "[" * 5000, '{"field":' * 3000]
)
def test_what_is_no_report_gives_no_section(reply):
    assert not read_reply(reply, "zh").has_section


def test_a_reply_that_was_cut_off_inside_its_json_has_no_section():
    assert not read_reply(JSON[: len(JSON) // 2], "zh").has_section


@given(st.text())
def test_no_reply_breaks_the_reader(reply):
    read_reply(reply, "zh")
    assert "<think>" not in without_thinking(f"<think>{reply}</think>").removeprefix(reply)
