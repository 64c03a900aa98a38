"""Ways of asking about feelings: prompts, replies, examples, figures, files."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score, precision_score, recall_score

from assay.methods.concurrency import run_sync
from assay.methods.evaluation._sentiment_report import f1_interval
from assay.methods.evaluation.sentiment_prompting import (
    STRATEGIES,
    TASKS,
    Answer,
    Example,
    Item,
    PromptStrategy,
    Task,
    ask,
    bootstrap_diff,
    evaluate,
    from_items,
    load,
    mcnemar,
    messages,
    parse_label,
    reasoned,
    score,
    select_examples,
    summarise,
    table,
    with_temperature,
    worked_examples,
)
from assay.methods.protocols import Message, Sample

FEELINGS, IRONY, BINARY, ASPECT = (TASKS[name] for name in ("three_class", "irony", "binary", "aspect"))
POOL = [Example(f"text {label} {i}", label) for label in FEELINGS.labels for i in range(4)]


class Scripted:
    """A sampler whose replies are a function of the last message and the number of the draw."""

    def __init__(self, reply: Callable[[str, int], str]) -> None:
        self.reply, self.asked = reply, list[Sequence[Message]]()

    async def __call__(
        self, messages, *, n=1, max_tokens=None, temperature=1.0, top_p=1.0, stop=(), top_logprobs=None,
        continue_assistant=False, seed=None,
    ):  # fmt: skip
        self.asked.append(messages)
        return [Sample(self.reply(messages[-1].text, i), 10, 2, "stop") for i in range(n)]


# ---- prompts -----------------------------------------------------------------------------------------------


def test_zero_shot_asks_once_and_says_what_each_digit_means() -> None:
    (turn,) = messages(FEELINGS, STRATEGIES["zero_shot"], Item("a", "It rained.", "neutral"))
    assert turn.role == "user"
    assert "0 = negative, 1 = positive, 2 = neutral" in turn.text
    assert turn.text.endswith("Input: It rained.\nOutput:")


def test_examples_stand_as_pairs_in_a_system_message() -> None:
    system, user = messages(IRONY, STRATEGIES["one_shot"], Item("a", "x", "ironic"), [Example("Super.", "ironic")])
    assert (system.role, user.role) == ("system", "user")
    assert system.text == "Examples:\nInput: Super.\nOutput: 1"


def test_worked_examples_are_json_with_steps() -> None:
    way = STRATEGIES["cot"]
    examples = list(worked_examples(IRONY))
    system, user = messages(IRONY, way, Item("a", "x", "ironic"), examples)
    shown = [json.loads(line.removeprefix("Output: ")) for line in system.text.split("\n") if "Output" in line]
    assert [s["final_answer"] for s in shown] == [IRONY.labels.index(e.label) for e in examples]
    assert all(s["steps"] for s in shown)
    assert "step by step" in user.text


@pytest.mark.parametrize("language", ["en", "de"])
@pytest.mark.parametrize("name", TASKS)
def test_every_task_has_built_in_examples_for_every_strategy_in_both_languages(name: str, language: str) -> None:
    task = Task(name, TASKS[name].labels, language, TASKS[name].by_aspect)  # type: ignore[arg-type]
    for way in STRATEGIES.values():
        chosen = select_examples(worked_examples(task), way.shots, task, generator=np.random.default_rng(0))
        assert messages(task, way, Item("a", "x", task.labels[0], "y"), chosen)
    assert {e.label for e in worked_examples(task)} == set(task.labels)


def test_an_aspect_is_asked_about_and_must_be_there() -> None:
    (turn,) = messages(ASPECT, STRATEGIES["zero_shot"], Item("a", "Good soup.", "positive", "soup"))
    assert "Aspect: soup" in turn.text
    with pytest.raises(ValueError, match="no aspect"):
        messages(ASPECT, STRATEGIES["zero_shot"], Item("a", "Good soup.", "positive"))


def test_prompts_refuse_examples_that_do_not_fit() -> None:
    item = Item("a", "x", "ironic")
    with pytest.raises(ValueError, match="wanted 1 for one_shot"):
        messages(IRONY, STRATEGIES["one_shot"], item)
    with pytest.raises(ValueError, match="label 'positive'"):
        messages(IRONY, STRATEGIES["one_shot"], item, [Example("x", "positive")])
    with pytest.raises(ValueError, match="has no steps"):
        messages(IRONY, STRATEGIES["cot"], item, [Example("x", "ironic")] * 4)
    with pytest.raises(ValueError, match="language: got 'fr'"):
        Task("irony", ("literal", "ironic"), "fr")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="name: got 'humour'"):
        Task("humour", ("dull", "funny"))


# ---- replies -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "label"),
    [
        ("1", "positive"), (" 2.\n", "neutral"), ("Negative", "negative"), ("**positive**", "positive"), ("3", None),
        ("", None), ("positive or neutral", None), ("-1", None), ("1 because", None), ("²", None), ("(0)", "negative"),
    ],
)  # fmt: skip
def test_a_reply_is_a_digit_or_a_word_and_nothing_else(reply: str, label: str | None) -> None:
    assert parse_label(reply, FEELINGS) == label


def test_german_words_are_read_in_german() -> None:
    task = Task("irony", IRONY.labels, "de")
    assert parse_label("ironisch", task) == "ironic"
    assert parse_label("ironic", task) == "ironic"
    assert parse_label("ironisch", IRONY) is None


@pytest.mark.parametrize(
    ("reply", "label"),
    [
        ('{"steps": [], "final_answer": 1}', "ironic"),
        ('Well:\n{"steps": [{"explanation": "a", "output": "b"}], "final_answer": "literal"}', "literal"),
        ('{"steps": []}', None),
        ('{"final_answer": true}', None),
        ("1", None),
    ],
)
def test_after_reasoning_the_final_answer_counts(reply: str, label: str | None) -> None:
    assert parse_label(reply, IRONY, "worked") == label


@given(st.sampled_from(FEELINGS.labels), st.lists(st.tuples(st.text(max_size=9), st.text(max_size=9)), max_size=3))
def test_what_is_shown_as_reasoning_is_read_as_its_label(label: str, steps: list[tuple[str, str]]) -> None:
    assert parse_label(reasoned(FEELINGS, label, steps), FEELINGS, "worked") == label


# ---- examples ----------------------------------------------------------------------------------------------


@given(st.integers(0, 9), st.integers(0, 2**32))
def test_balanced_examples_differ_by_one_at_most_and_are_never_items(k: int, seed: int) -> None:
    taken = {"text neutral 0"}
    chosen = select_examples(POOL, k, FEELINGS, generator=np.random.default_rng(seed), taken=taken)
    counts = [sum(e.label == label for e in chosen) for label in FEELINGS.labels]
    assert max(counts) - min(counts) <= 1
    assert len(chosen) == len({e.text for e in chosen}) == k
    assert not taken & {e.text for e in chosen}


def test_neutral_examples_can_be_left_out() -> None:
    chosen = select_examples(POOL, 4, FEELINGS, generator=np.random.default_rng(0), include_neutral=False)
    assert sorted(e.label for e in chosen) == ["negative", "negative", "positive", "positive"]


def test_similar_examples_share_words_with_the_item() -> None:
    pool = [Example("the soup was cold", "negative"), Example("a film in two parts", "neutral")]
    (chosen,) = select_examples(pool, 1, FEELINGS, "similar", item=Item("a", "a film of parts", "neutral"))
    assert chosen.label == "neutral"


def test_too_small_a_pool_and_odd_rules_are_refused() -> None:
    generator = np.random.default_rng(0)
    with pytest.raises(ValueError, match="wanted at least 5"):
        select_examples(POOL[:4], 5, FEELINGS, generator=generator)
    with pytest.raises(ValueError, match="too few examples of"):
        select_examples(POOL[:4], 3, FEELINGS, generator=generator)
    with pytest.raises(ValueError, match="rule: got 'best'"):
        select_examples(POOL, 1, FEELINGS, "best")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="generator: got None"):
        select_examples(POOL, 1, FEELINGS, "random")
    with pytest.raises(ValueError, match="item: got None"):
        select_examples(POOL, 1, FEELINGS, "similar")


# ---- asking ------------------------------------------------------------------------------------------------


def test_self_consistency_takes_the_majority_and_counts_ties() -> None:
    replies = ['{"final_answer": 1}', '{"final_answer": 0}', '{"final_answer": 1}']
    way, item = STRATEGIES["self_consistency"], Item("a", "x", "ironic")
    examples = list(worked_examples(IRONY))

    def asked(texts: list[str], seed: int = 0) -> Answer:
        async def call() -> Answer:
            return await ask(Scripted(lambda _, i: texts[i]), IRONY, way, item, examples, seed=seed)

        return run_sync(call)

    answer = asked(replies)
    assert (answer.label, dict(answer.votes), answer.tie) == ("ironic", {"ironic": 2.0, "literal": 1.0}, False)
    assert (answer.tokens_in, answer.tokens_out) == (30, 6)
    tied = ['{"final_answer": 1}', '{"final_answer": 0}', "?"]
    assert {asked(tied, seed).label for seed in range(20)} == {"ironic", "literal"}
    assert asked(tied).tie
    assert asked(["?"] * 3).label is None
    assert with_temperature(way, 0.5).temperature == 0.5
    with pytest.raises(ValueError, match="temperature: got -1"):
        with_temperature(way, -1)


def test_examples_never_hold_the_text_that_is_asked_about() -> None:
    items = [Item("a", "text neutral 0", "neutral"), Item("b", "text positive 1", "positive")]
    sampler = Scripted(lambda text, _: "1")

    async def call() -> list[Answer]:
        return await evaluate(sampler, FEELINGS, items, list(STRATEGIES.values()), POOL)

    answers = run_sync(call)
    assert len(answers) == len(STRATEGIES) * len(items)
    shown = [turn.text for turns in sampler.asked for turn in turns if turn.role == "system"]
    assert shown
    assert not [text for text in shown if "text neutral 0" in text or "text positive 1" in text]


def test_items_without_a_label_of_the_task_or_with_one_id_are_refused() -> None:
    async def call(items: list[Item]) -> list[Answer]:
        return await evaluate(Scripted(lambda text, _: "1"), IRONY, items, [STRATEGIES["zero_shot"]])

    for items, message in (
        ([], "items: got none"),
        ([Item("a", "x", "funny")], "label 'funny'"),
        ([Item("a", "x", "ironic"), Item("a", "y", "ironic")], "occurs twice"),
    ):
        with pytest.raises(ValueError, match=message):
            run_sync(call, items)


# ---- figures -----------------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.sampled_from(FEELINGS.labels), st.sampled_from(FEELINGS.labels)), min_size=2, max_size=40))
def test_scores_are_scikit_learns(pairs: list[tuple[str, str]]) -> None:
    truth, said = [t for t, _ in pairs], [s for _, s in pairs]
    found = score(FEELINGS, truth, said)
    options = {"labels": list(FEELINGS.labels), "zero_division": 0.0}
    assert found.f1 == pytest.approx(f1_score(truth, said, average="weighted", **options))
    assert found.macro_f1 == pytest.approx(f1_score(truth, said, average="macro", **options))
    assert found.precision == pytest.approx(precision_score(truth, said, average="weighted", **options))
    assert found.recall == pytest.approx(recall_score(truth, said, average="weighted", **options))
    assert sum(map(sum, found.confusion)) == len(pairs)


def test_an_invalid_answer_is_wrong_or_left_out() -> None:
    truth, said = ["ironic", "ironic", "literal", "literal"], ["ironic", None, "literal", "literal"]
    wrong, dropped = score(IRONY, truth, said), score(IRONY, truth, said, drop_invalid=True)
    assert (wrong.accuracy, wrong.invalid, wrong.n) == (0.75, 0.25, 4)
    assert (dropped.accuracy, dropped.f1, dropped.n) == (1.0, 1.0, 3)
    assert wrong.positive_f1 == pytest.approx(2 / 3)
    assert wrong.confusion == ((2, 0, 0), (0, 1, 1))
    assert math.isnan(wrong.neutral_recall)
    with pytest.raises(ValueError, match="nothing is left to score"):
        score(IRONY, truth, [None] * 4, drop_invalid=True)
    with pytest.raises(ValueError, match="one an item"):
        score(IRONY, truth, ["ironic"])


def test_neutral_recall_is_that_of_neutral_items() -> None:
    found = score(FEELINGS, ["neutral", "neutral", "positive"], ["neutral", "positive", "positive"])
    assert found.neutral_recall == 0.5


def test_mcnemar_is_the_hand_worked_binomial() -> None:
    truth = ["ironic"] * 10
    base, other = ["literal"] * 6 + ["ironic"] * 4, ["ironic"] * 10
    # six items only the other has right, none only the base: 2 / 2^6
    assert mcnemar(truth, base, other) == pytest.approx(2 / 64)
    assert mcnemar(truth, base, base) == 1.0


def test_a_difference_is_measured_on_common_items_and_few_are_warned_of() -> None:
    truth = ["ironic", "literal"] * 20
    base = ["ironic"] * 40
    other: list[str | None] = [*truth[:39], None]
    found = bootstrap_diff(IRONY, truth, base, other)
    # weighted F1 of always "ironic" on 20 ironies and 19 literals: 20/39 x 40/59
    assert found.f1 == pytest.approx(1 - 20 / 39 * 40 / 59)
    assert found.n == 39
    assert 0 < found.low < found.f1 < found.high
    assert bootstrap_diff(IRONY, truth, base, other) == found
    assert bootstrap_diff(IRONY, truth, base, base).high == 0.0
    with pytest.warns(UserWarning, match="says little"):
        bootstrap_diff(IRONY, truth[:10], base[:10], other[:10])
    with pytest.raises(ValueError, match="wanted at least two"):
        bootstrap_diff(IRONY, truth, base, [None] * 40)


def test_a_summary_holds_every_strategy_and_corrects_over_them() -> None:
    items = [Item(str(i), f"text {i}", IRONY.labels[i % 2]) for i in range(40)]

    def answers(name: str, labels: Sequence[str | None]) -> list[Answer]:
        return [Answer(i.id, name, label, ("x",), {}, False, 5, 1) for i, label in zip(items, labels, strict=True)]

    truth: list[str | None] = [item.label for item in items]
    found = [*answers("zero_shot", ["ironic"] * 40), *answers("cot", truth), *answers("one_shot", [None] * 40)]
    summary = summarise(IRONY, items, found)
    told = summary["strategies"]
    assert told["cot"]["versus_base"]["p_holm"] >= told["cot"]["versus_base"]["p"]
    assert (told["one_shot"]["dropped"], told["one_shot"]["versus_base"], told["zero_shot"]["versus_base"]) == (
        None,
    ) * 3
    assert told["cot"]["f1_interval"] == (1.0, 1.0)
    assert json.dumps(summary, allow_nan=False)
    assert [line.split()[0] for line in table(summary).split("\n")] == ["strategy", "zero_shot", "cot", "one_shot"]
    with pytest.raises(ValueError, match="cot lacks 1 items"):
        summarise(IRONY, items, found[:-41])
    assert f1_interval(IRONY, ["ironic"], ["ironic"]) is None


# ---- files -------------------------------------------------------------------------------------------------


def test_the_public_files_are_read_as_they_are_handed_out(tmp_path: Path) -> None:
    (tmp_path / "sst.tsv").write_text("sentence\tlabel\na fine film\t1\nboring\t0\n")
    (tmp_path / "sb10k.tsv").write_text("TweetID\tSentiment\tText\n7\tneutral\tHeute ist Montag\n8\tUnknown\tHm\n")
    (tmp_path / "irony.txt.tsv").write_text('Tweet index\tLabel\tTweet text\n1\t1\tSo "great" today\n2\t0\tFine\n')
    (tmp_path / "aspect.xml").write_text(
        '<sentences><sentence id="3"><text>Good soup.</text><aspectTerms>'
        '<aspectTerm term="soup" polarity="positive"/><aspectTerm term="bowl" polarity="conflict"/>'
        "</aspectTerms></sentence></sentences>"
    )
    assert [i.label for i in load(tmp_path / "sst.tsv", BINARY).items] == ["positive", "negative"]
    german = load(tmp_path / "sb10k.tsv", FEELINGS)
    assert (german.items, german.unlabelled) == ((Item("7", "Heute ist Montag", "neutral"),), ("8",))
    assert load(tmp_path / "irony.txt.tsv", IRONY).items[0] == Item("1", 'So "great" today', "ironic")
    aspects = load(tmp_path / "aspect.xml", ASPECT)
    assert (aspects.items, aspects.unlabelled) == ((Item("3:0", "Good soup.", "positive", "soup"),), ("3:1",))
    assert from_items(aspects.items) == [Example("Good soup.", "positive", "soup")]


def test_any_table_is_read_by_the_names_of_its_columns(tmp_path: Path) -> None:
    (tmp_path / "own.csv").write_text('said;mood;thing\n"a; b";2;x\n')
    found = load(tmp_path / "own.csv", ASPECT, text_column="said", label_column="mood", aspect_column="thing")
    assert found.items == (Item("1", "a; b", "neutral", "x"),)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("text,label\n", "no row with a label"),
        ("tweet,label\nx,1\n", "no column 'text'; it has tweet, label"),
        ("text,label\nx,7\n", "row 1: label '7', wanted 0 or literal, 1 or ironic"),
        ("id,text,label\n1,x,1\n1,y,0\n", "the id '1' occurs twice"),
    ],
)
def test_what_is_wrong_in_a_file_is_named(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "a.csv").write_text(content)
    with pytest.raises(ValueError, match=message):
        load(tmp_path / "a.csv", IRONY)


def test_other_bad_files_are_named_too(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no such file"):
        load(tmp_path / "none.csv", IRONY)
    (tmp_path / "a.csv").write_text("text,label\nx,positive\n")
    with pytest.raises(ValueError, match="no column 'aspect' for the aspect"):
        load(tmp_path / "a.csv", ASPECT)
    (tmp_path / "a.xml").write_text("<sentences>")
    with pytest.raises(ValueError, match="not XML"):
        load(tmp_path / "a.xml", ASPECT)
    (tmp_path / "b.csv").write_bytes(b"text,label\n\xff,1\n")
    with pytest.raises(ValueError, match="not UTF-8"):
        load(tmp_path / "b.csv", IRONY)


def test_six_ways_of_asking_are_offered_at_the_specified_settings() -> None:
    assert {s.name: (s.shots, s.reasoning, s.n, s.temperature) for s in STRATEGIES.values()} == {
        "zero_shot": (0, "none", 1, 0.2), "one_shot": (1, "none", 1, 0.2), "few_shot": (4, "none", 1, 0.2),
        "zero_shot_cot": (0, "free", 1, 0.2), "cot": (4, "worked", 1, 0.2), "self_consistency": (4, "worked", 3, 1.0),
    }  # fmt: skip
    assert isinstance(STRATEGIES["cot"], PromptStrategy)
