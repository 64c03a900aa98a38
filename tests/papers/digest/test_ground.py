"""Numbers and names: the same value in any spelling is found, an invented one is not."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.papers.digest.ground import Source, ground, names, numbers, without_ungrounded
from tests.papers.digest.world import Invented

PAPER = (
    r"We train Qwen3-4B with GRPO on MATH-500. It reaches 81.3\% where the baseline has 76.0\%, is $2.5\times$ faster, "
    "uses 1,500 samples and 7 billion parameters, scores 0.642 on AIME24, takes ten runs, 12 million tokens, "
    "10-20% of the budget, and costs $3.40."
)


def _read(text: str) -> list[tuple[float, str]]:
    return [(number.value, number.unit) for number in numbers(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("准确率 81.3%", [(81.3, "%")]),
        ("８１．３％", [(81.3, "%")]),
        ("提升 5.3 个百分点", [(5.3, "%")]),
        ("5.3 percentage points, 5.3 pp", [(5.3, "%"), (5.3, "%")]),
        ("加速 2.5 倍，2.5×，2.5x，$2.5\\times$", [(2.5, "×")] * 4),
        ("1,500 个样本，1.5k 个样本", [(1500, ""), (1.5, "k")]),
        ("7B 模型、1.2 万条、3亿", [(7, "B"), (1.2, "万"), (3, "亿")]),
        ("10–20%", [(10, "%"), (20, "%")]),
        ("10 到 20 倍", [(10, "×"), (20, "×")]),
        ("Qwen3-4B、GPT-4、AIME24、x_1 都不是数字", []),
        ("128x256 像素", [(128, ""), (256, "")]),
        ("学习率 1e-4", [(1e-4, "")]),
        ("1. 第一项\n2. 第二项有 3 个", [(3, "")]),
        ("见 https://example.org/2601 共 5 页", [(5, "")]),
        ("81.3，200 个", [(81.3, ""), (200, "")]),
        ("3D 场景", []),
    ],
)
def test_a_number_is_read_with_its_unit_however_it_is_spelled(text, expected):
    assert _read(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "81.3%", "81.30 %", "８１．３％", "0.813", "76%", "2.5 倍", "2.5x", "7B", "70 亿", "1500", "1.5k", "0.15 万",
        "64.2%",
        "10 次", "12M", "1200 万", "10–20%", "5.3 个百分点", "提升 5.3%",
        "高出 5.3%", "5.3% higher", "gains of about 5.3%", "1.1 倍", "3.40",
    ],
)  # fmt: skip
def test_what_the_paper_states_is_grounded(text):
    source = Source(PAPER)
    assert all(source.has_number(number) for number in numbers(text)), text


@pytest.mark.parametrize("text", ["81.4%", "8.13%", "77%", "2.6 倍", "8B", "1600", "13M", "5.4 个百分点", "7%", "7 倍"])
def test_what_the_paper_does_not_state_is_not(text):
    source = Source(PAPER)
    assert not any(source.has_number(number) for number in numbers(text)), text


def test_a_difference_counts_only_of_numbers_that_stand_near_each_other():
    near = "A scores 81.3% and B scores 76.0%."
    far = "A scores 81.3%." + " The harbour is dark." * 25 + " B scores 76.0%."
    (gap,) = numbers("5.3 个百分点")
    assert Source(near).has_number(gap) and not Source(far).has_number(gap)


@pytest.mark.parametrize(
    ("text", "change"),
    [("提升了 5.3%", True), ("相差约 5.3", True), ("by 5.3%", True),
     ("reduces cost by up to 40%", True), ("40% fewer", True),
     ("5.3 个百分点", True), ("2.5x", True), ("an improvement of 5.3%", True), ("5.3% 的提升", True),
     ("准确率为 81.4%", False), ("提升到 81.4%", False), ("an accuracy of 81.4%", False), ("reduced to 40%", False),
     ("高于基线，达到 81.4%", False), ("81.4% 的准确率", False)],
)  # fmt: skip
def test_a_change_is_told_from_a_level(text, change):
    assert [number.change for number in numbers(text)] == [change]


def test_a_level_must_stand_in_the_paper_itself():
    source = Source("| A | 81.3 | 76.0 | 5.1 |")
    told = {text: source.has_number(numbers(text)[0]) for text in ("准确率为 5.3%", "提升 5.3%", "准确率为 81.3%")}
    assert told == {"准确率为 5.3%": False, "提升 5.3%": True, "准确率为 81.3%": True}


def test_a_ratio_counts_to_the_digits_that_it_is_written_with():
    source = Source("The run took 96 minutes; ours took 31 minutes.")
    told = {text: source.has_number(numbers(text)[0]) for text in ("3.1×", "3.10×", "3×", "3.2×", "3.12×")}
    assert told == {"3.1×": True, "3.10×": True, "3×": False, "3.2×": False, "3.12×": False}


@given(st.decimals(min_value=0, max_value=99999, places=2, allow_nan=False))
def test_a_number_is_grounded_in_any_text_that_holds_it(value):
    source = Source(f"The score of the system is {value:,} on the test set.")
    for written in (f"{value}", f"{value:,}", f"{value:f}%", f"达到{value}分"):
        assert all(source.has_number(number) for number in numbers(written))


@given(st.text(alphabet="0123456789.,%x×kMB万亿 -～eE$\\{}一a\n", max_size=60))
def test_any_text_can_be_read_and_grounds_itself(text):
    source = Source(text)
    for number in numbers(text):
        assert text[number.start : number.end].strip() == number.text
        assert source.has_number(number), number


def test_invented_numbers_are_caught():
    """Every figure of good replies changed by chance: what share is not taken for the paper's."""
    draw = random.Random(1)
    caught = total = 0
    for paper in (Invented(n) for n in range(1, 41)):
        source = Source(f"{paper.title}\n{paper.abstract}\n{paper.page()}")
        for text in [paper.reply()["contribution"], *paper.reply()["results"]]:
            for number in numbers(text):
                invented = f"{number.value * draw.uniform(0.3, 3):.1f}{'%' if number.unit == '%' else ''}"
                total += 1
                caught += not source.has_number(numbers(invented)[0])
    assert total > 200 and caught / total > 0.95


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("用 Qwen3-4B 在 MATH-500 上超过 GRPO", ["Qwen3-4B", "MATH-500", "GRPO"]),
        ("The method beats Torch on HarbourBench.", ["Torch", "HarbourBench"]),
        ("Here it runs on a GPU with an LLM.", []),
        ("**Result**: It works. However, costs rise.", []),
        ("该方法采用 Transformer 结构", ["Transformer"]),
    ],
)
def test_names_are_tokens_with_capitals_or_digits_that_do_not_just_begin_a_sentence(text, expected):
    assert names(text) == expected


@pytest.mark.parametrize(
    ("name", "known"),
    [("Qwen3-4B", True), ("Qwen3", True), ("qwen3 4b", True), ("GRPO-based", True), ("Llama-3", False), ("PPO", False),
     ("GRPOs", True), ("MATH500", True)],
)  # fmt: skip
def test_a_name_is_known_whatever_its_hyphens_and_capitals(name, known):
    assert Source(PAPER).has_name(name) is known


def test_the_faults_name_section_number_and_name():
    good = Invented(7).reply()
    texts = ["领域", good["contribution"], "x", "y", "在 KettleBench 上达到 99.9%。"]
    source = Source(f"{Invented(7).title} {Invented(7).abstract}")
    faults = ground(texts, "zh", source)
    assert [(fault.code, fault.place) for fault in faults] == [("ungrounded_number", 4), ("ungrounded_name", 4)]
    assert "'99.9%'" in faults[0].message and "'KettleBench'" in faults[1].message


def test_ungrounded_sentences_are_taken_out_and_the_others_stay():
    source = Source("It reaches 81.3% on HarbourBench, Torch 76.0%.")
    text = "*   准确率为 81.3%。速度提高 9 倍。\n*   Torch 为 76.0%。\n*   在 KettleBench 上为 50.5%。"
    assert without_ungrounded(text, source) == "*   准确率为 81.3%。\n*   Torch 为 76.0%。"
    english = "*   It gets 81.3% right. It is 9x faster. Torch gets 76.0% right."
    assert without_ungrounded(english, source) == "*   It gets 81.3% right. Torch gets 76.0% right."
