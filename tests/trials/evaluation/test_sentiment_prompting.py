"""The trial of ways of asking: its lessons, its placebo, its figures."""

from __future__ import annotations

import numpy as np
import pytest

from assay.engine.trial import Bar, NoHeadroom
from assay.methods.evaluation.sentiment_prompting import STRATEGIES, TASKS, Answer, Example, Item, parse_label
from assay.trials.evaluation import sentiment_prompting
from assay.trials.evaluation._sentiment_lessons import NEUTRAL, SAID, example, lessons, words
from assay.trials.evaluation.sentiment_prompting import FILLINGS, feelings, irony, judged, measured, shuffled
from assay.worlds.sentiment import halves

FEELINGS = list(lessons("sentences", 7, 1500))
LESSONS = [*FEELINGS, *lessons("irony", 7, 500)]


def test_the_bar_is_the_specified_one_and_irony_has_none() -> None:
    assert feelings.bar == Bar(versus="baseline", relative=0.10)
    assert (feelings.seeds, feelings.fixture and feelings.fixture.distinct) == (8, 2)
    assert irony.bar is None


def test_lessons_hold_no_judged_sentence() -> None:
    judged = {s.text for part in ("sentences", "irony") for s in halves(part).test}
    texts = "\n".join(turn.text for turns, _ in LESSONS for turn in turns)
    assert not [text for text in judged if f"Input: {text}\n" in texts]


def test_about_one_in_twenty_lessons_on_feelings_is_neutral() -> None:
    neutral = {s.text for s in halves("sentences").pool if s.label == "neutral"}
    asked = [turns[-1].text for turns, _ in FEELINGS if "2 =" in turns[-1].text]
    share = sum(any(f"Input: {text}\n" in prompt for text in neutral) for prompt in asked) / len(asked)
    assert abs(share - NEUTRAL) < 4 * (NEUTRAL * (1 - NEUTRAL) / len(asked)) ** 0.5


def test_a_lesson_s_reply_is_a_label_under_its_own_digits() -> None:
    for turns, reply in LESSONS[::5]:
        digits = dict(part.split(" = ") for part in turns[-1].text.split("digit: ")[1].split(".")[0].split(", "))
        said = reply if len(reply) == 1 else reply.rsplit(" ", 1)[1].rstrip("}")
        assert said in digits
        assert digits[said] in SAID


def test_every_word_of_prompts_and_replies_can_be_encoded() -> None:
    pytest.importorskip("transformers")
    from assay.models import tokenizer

    built = tokenizer.build(words())
    for turns, reply in LESSONS[::20]:
        for text in (*(turn.text for turn in turns), reply):
            ids = built.encode(text, add_special_tokens=False)
            assert built.unk_token_id not in ids
            assert built.decode(ids) == text


def test_the_placebo_keeps_texts_and_labels_and_puts_some_label_wrong() -> None:
    examples = [Example(f"text {i}", label) for i, label in enumerate(("negative", "positive", "neutral", "neutral"))]
    for seed in range(20):
        mixed = shuffled(examples, np.random.default_rng(seed))
        assert [e.text for e in mixed] == [e.text for e in examples]
        assert sorted(e.label for e in mixed) == sorted(e.label for e in examples)
        assert [e.label for e in mixed] != [e.label for e in examples]


@pytest.mark.parametrize(("part", "groups"), [("sentences", 39), ("irony", 20)])
def test_a_seed_judges_as_many_sentences_of_every_template_and_label(part, groups) -> None:
    held = halves(part).test
    found = judged(held, np.random.default_rng(3))
    assert len({s.id for s in found}) == len(found) == FILLINGS * groups
    assert {(s.template, s.label) for s in found} == {(s.template, s.label) for s in held}
    assert found == judged(held, np.random.default_rng(3)) != judged(held, np.random.default_rng(4))


def test_figures_count_calls_tokens_and_what_was_said() -> None:
    task, way = TASKS["three_class"], STRATEGIES["few_shot"]
    items = [Item(str(i), "x", label) for i, label in enumerate(task.labels)]
    answers = [
        Answer(i.id, way.name, label, ("1",), {}, False, 5, 1) for i, label in zip(items, ("negative", None, "neutral"))
    ]
    found = measured(task, items, answers, way)
    assert found.value == pytest.approx(2 / 3)
    assert (found.extra["invalid"], found.extra["said_neutral"], found.extra["neutral_recall"]) == (1 / 3, 1.0, 1.0)
    assert (found.cost.model_calls, found.cost.tokens_in, found.cost.tokens_out) == (3, 15, 3)


def test_shown_sentences_carry_the_steps_of_their_label() -> None:
    s = halves("irony").pool[0]
    assert example(s).steps == (SAID[s.label],)
    assert parse_label("1", TASKS["irony"]) == "ironic"


@pytest.mark.parametrize(
    ("poles", "neutral", "rounds", "why"),
    [
        ((0.4, 0.6, 0.8), 0.1, 3, None),
        ((0.4, 0.6, 0.8), 0.9, 3, "finds 90% of the neutral sentences"),
        ((0.5,) * sentiment_prompting.ROUNDS, 0.0, sentiment_prompting.ROUNDS, "right on 50% of what it was taught"),
    ],
)
def test_the_model_is_trained_until_it_tells_poles_and_still_leans(monkeypatch, poles, neutral, rounds, why) -> None:
    seeds, shares = [], iter(poles)
    monkeypatch.setattr(sentiment_prompting, "train", lambda models, part, seed, weights: seeds.append(seed) or {})
    monkeypatch.setattr(
        sentiment_prompting,
        "taught",
        lambda models, weights, task, pool, seed: neutral if pool[0].label == "neutral" else next(shares),
    )
    if why is None:
        assert sentiment_prompting.trained(halves("sentences"), None, 0) == {}
    else:
        with pytest.raises(NoHeadroom, match=why):
            sentiment_prompting.trained(halves("sentences"), None, 0)
    assert len(set(seeds)) == rounds


@pytest.mark.slow
def test_a_quick_run_gives_every_arm_a_value() -> None:
    from assay.engine.runner import run

    result = run(feelings, seeds=1, quick=True, isolation="inline")
    assert result.units
