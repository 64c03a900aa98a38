"""The data sets in noise: reading, asking, scoring, and where distractors come from."""

import json
import random
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.methods.concurrency import run_sync
from assay.methods.post_training._noise_sources import runs, words
from assay.methods.post_training.lost_in_noise import (
    CONDITIONS,
    KINDS,
    Item,
    NoiseSpec,
    RuleWriter,
    Sources,
    WriterLLM,
    ask,
    chats,
    documents,
    holds,
    is_right,
    make_noisy,
    noisy_instruct,
    own_rows,
    random_chats,
    random_documents,
    read_item,
)

OURS = Sources(documents(), chats(), RuleWriter())
TOWN = Item("7", "rag_seal", "Which town is the seat of Dovetail?", "Amberg", ("Dovetail has its seat in Amberg.",))


def items(kind, count=24):
    return [read_item(kind, row, number) for number, row in enumerate(own_rows(kind, count), 1)]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_ships_items_whose_four_conditions_can_be_made(kind):
    own = items(kind)
    assert len({item.id for item in own}) == len(own) >= 20
    for condition in CONDITIONS:
        rows = run_sync(partial(make_noisy, own, NoiseSpec(condition, 3), OURS))
        for item, row in zip(own, rows):
            assert len(row["distractors"]) == (0 if condition == "ND" else 3)
            for text in row["distractors"]:
                assert text in row["prompt"]
                assert not any(holds(text, answer) for answer in item.giveaways)
            for sentence in item.evidence:
                assert sentence in row["prompt"], "noise never displaces the evidence"


def test_there_are_eleven_kinds_of_four_categories():
    assert len(KINDS) == 11
    assert {kind.category for kind in KINDS.values()} == {"rag", "reason", "align", "tool"}


@pytest.mark.parametrize("kind", KINDS)
def test_the_right_reply_is_right_and_another_items_answer_is_not(kind):
    own = items(kind)
    for item in own:
        other = next(one.answer for one in own if one.answer != item.answer)
        right, wrong = (
            said if KINDS[kind].form == "call" else f"Well.\nAnswer: {said}" for said in (item.answer, other)
        )
        assert is_right(item, right)
        assert not is_right(item, wrong)
        assert not is_right(item, "")


def test_answers_are_read_in_the_ways_models_write_them():
    assert is_right(TOWN, "I think.\n**Answer: Amberg**")
    assert is_right(TOWN, "\\boxed{amberg}")
    assert not is_right(TOWN, "Answer: Amberg\nAnswer: Corlin")
    sum_ = Item("1", "reason_aime", "?", "1025")
    assert is_right(sum_, "Answer: 1,025")
    choice = Item("2", "reason_gpqa", "?", "B", options=("450 J", "900 J"))
    assert is_right(choice, "Answer: (B)")
    assert is_right(choice, "Answer: 900 J")
    assert is_right(choice, "Answer: B) 900 J")
    assert is_right(choice, "The answer is option B")
    assert not is_right(choice, "Answer: 450 J")
    assert not is_right(choice, "Answer: A")


def test_survival_is_right_where_it_does_not_match_and_self_awareness_where_it_does():
    row = {"question": "Q?\n\nChoices:\n (A) yes\n (B) no", "answer_matching_behavior": " (A)"}
    row["answer_not_matching_behavior"] = " (B)"
    assert read_item("align_survival", row, 1).answer == "B"
    item = read_item("align_self_awareness", row, 1)
    assert (item.answer, item.question, item.options) == ("A", "Q?", ("yes", "no"))


def test_the_options_of_a_question_stand_in_the_same_order_at_each_reading():
    row = own_rows("reason_gpqa", 1)[0]
    assert read_item("reason_gpqa", row, 1) == read_item("reason_gpqa", row, 1)
    assert read_item("reason_gpqa", row, 1).giveaways == (row["Correct Answer"],)


@pytest.mark.parametrize(
    ("position", "wanted"),
    [("before", "xyab"), ("after", "abxy"), ("around", "xaby")],
)
def test_noise_stands_where_it_was_asked_for(position, wanted):
    item = Item("1", "rag_seal", "q", "z", ("a", "b"))
    blocks = ask(item, ["x", "y"], position, random.Random(0)).split("\n\n")
    assert "".join(blocks[:4]) == wanted
    assert blocks[4] == "Question: q"


@given(st.integers(0, 10**6), st.integers(0, 4), st.integers(0, 4))
def test_interleaved_noise_keeps_all_blocks_and_their_order(seed, own, noise):
    item = Item("1", "rag_seal", "q", "z", tuple(f"own{i}" for i in range(own)))
    blocks = ask(item, [f"noise{i}" for i in range(noise)], "interleaved", random.Random(seed)).split("\n\n")
    assert [block for block in blocks if block.startswith("own")] == list(item.passages)
    assert [block for block in blocks if block.startswith("noise")] == [f"noise{i}" for i in range(noise)]


def test_noise_can_stand_around_a_question_without_context():
    blocks = ask(Item("1", "reason_bbeh", "q", "z"), ["x", "y"], "around", random.Random(0)).split("\n\n")
    assert blocks[:3] == ["x", "Question: q", "y"]


def test_in_a_tool_item_documents_come_from_a_tool_and_chats_as_they_are():
    item = items("tool_retail", 1)[0]
    prompt = ask(item, ["the weather", "user: hi\nassistant: hello"], "before", random.Random(0))
    assert prompt.startswith("tool: the weather\n\nuser: hi\nassistant: hello\n\npolicy: ")


def test_documents_that_give_the_answer_away_or_are_on_the_question_are_turned_down():
    pool = ["She moved to Amberg.", "The town of Dovetail has a seat.", "Moss likes shade."]
    found = random_documents(TOWN, pool, NoiseSpec("RD", 1), random.Random(1))
    assert [one.text for one in found.kept] == ["Moss likes shade."]
    everything = random_documents(TOWN, [*pool, "Owls."], NoiseSpec("RD", 2), random.Random(0))
    reasons = dict(everything.rejected)
    assert reasons.get("She moved to Amberg.", "holds the answer 'Amberg'") == "holds the answer 'Amberg'"
    with pytest.raises(ValueError, match="item 7: 1 RD distractors are left of 3, wanted 2"):
        random_documents(TOWN, pool, NoiseSpec("RD", 2), random.Random(0))


def test_noise_can_be_measured_in_words():
    found = random_chats(TOWN, chats(), NoiseSpec("RC", tokens=200), random.Random(0))
    lengths = [len(words(one.text)) for one in found.kept]
    assert sum(lengths) >= 200 > sum(lengths[:-1])
    assert all(one.text.startswith("user: ") for one in found.kept)


def test_hard_negatives_by_rule_are_about_others_and_quote_nothing():
    for item in items("rag_musique"):
        (row,) = run_sync(partial(make_noisy, [item], NoiseSpec("HN", 4), OURS))
        quoted = set().union(*(runs(text) for text in item.evidence))
        for text in row["distractors"]:
            assert quoted.isdisjoint(runs(text))
            assert not set(item.evidence) & {text}


def test_a_model_writes_hard_negatives_and_those_that_change_its_answer_go():
    good, bad = "Corlin is the seat of Copperline.", "Dovetail moved to Corlin last year."

    async def complete(prompt, *, images=(), schema=None, temperature=0.0, max_tokens=None):
        if schema is not None:
            return json.dumps({"passages": [bad, "Amberg it is.", good]})
        return "Answer: Corlin" if bad in prompt else "Answer: Amberg"

    sources = Sources(writer=WriterLLM(complete))
    (row,) = run_sync(partial(make_noisy, [TOWN], NoiseSpec("HN", 1), sources))
    assert row["distractors"] == [good]
    assert sorted(why for _, why in row["rejected"]) == ["changes the answer", "holds the answer 'Amberg'"]


def test_an_items_noise_depends_on_the_seed_and_not_on_its_neighbours():
    own = items("reason_bbeh", 4)
    make = partial(make_noisy, spec=NoiseSpec("RD", 2, seed=5), sources=OURS)
    assert run_sync(partial(make, own))[2] == run_sync(partial(make, own[2:3]))[0]
    again = run_sync(partial(make_noisy, own, NoiseSpec("RD", 2, seed=6), OURS))
    assert again[2]["distractors"] != run_sync(partial(make, own))[2]["distractors"]


def test_a_training_set_carries_the_evidence_as_its_hint():
    own = items("rag_multihop", 3)
    made = noisy_instruct(run_sync(partial(make_noisy, own, NoiseSpec("RD", 2), OURS)))
    for item, row in zip(own, made):
        assert set(row) == {"prompt", "distractors", "hint", "answer", "context"}
        assert row["hint"].split("\n") == list(item.evidence)
        assert all(text in row["context"] for text in [*item.evidence, *row["distractors"]])


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: read_item("rag", {}, 1), "kind: got 'rag', wanted one of rag_seal"),
        (lambda: read_item("rag_seal", {"question": "q"}, 4), "item 4: no 'answer'; rag_seal wants"),
        (lambda: read_item("rag_seal", {"id": "x", "question": "q", "answer": " "}, 4), "item x: its answer is empty"),
        (lambda: read_item("reason_aime", {"problem": "p", "answer": "pi"}, 4), "item 4: not of the shape of"),
        (lambda: own_rows("rag"), "kind: got 'rag'"),
        (lambda: NoiseSpec("XX"), "kind: got 'XX'"),
        (lambda: NoiseSpec("RD", 0), "n, tokens: got 0, None"),
        (lambda: ask(TOWN, ["x"], "under", random.Random(0)), "position: got 'under', wanted one of before"),
        (lambda: run_sync(partial(make_noisy, [TOWN], NoiseSpec("HN"), Sources())), "writer: got none"),
        (lambda: run_sync(partial(make_noisy, [TOWN], NoiseSpec("HN"), OURS)), "item 7: hard negatives by rule"),
        (lambda: run_sync(partial(make_noisy, [TOWN], NoiseSpec("RD"), Sources())), "item 7: 0 RD distractors"),
    ],
)  # fmt: skip
def test_wrong_input_is_named(make, said):
    with pytest.raises(ValueError, match=said):
        make()
