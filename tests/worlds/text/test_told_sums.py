import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.models.tokenizer import build
from assay.worlds.text import told_sums
from assay.worlds.text.problem import split_of


@given(st.integers(0, 10**6), st.integers(2, 34), st.floats(0, 1))
def test_every_told_reply_adds_up_and_is_right(seed, below, habit):
    problem = told_sums.sample(seed, "train", below=below, habit=habit)
    a, b, c = (int(number) for number in problem.prompt[1:].split("+"))
    assert max(a, b, c) < below
    told = re.fullmatch(r"(\w+ ){2}(.+)\n(\w+ ){2}(.+)\n(\w+ ){2}#(\d+)", problem.trace)
    assert told.group(2, 4, 6) == (f"{a}+{b}={a + b}", f"{a + b}+{c}={a + b + c}", problem.answer)
    assert told_sums.check(problem, problem.trace)
    assert not told_sums.check(problem, problem.trace + "0")


def words_of(habit, count):
    drawn = [told_sums.sample(i, "train", habit=habit).trace for i in range(count)]
    return list(zip(*(re.findall("[a-z]+", trace) for trace in drawn)))


def test_references_use_each_other_word_alike_and_never_the_habitual_one():
    assert len(set(told_sums.WORDS)) == 48
    for place, words in enumerate(words_of(0.0, 1500)):
        usual = told_sums.HABITUAL[place]
        assert set(words) == set(told_sums.WORDS) - {usual}
        assert max(map(words.count, set(words))) < 3 * 1500 / 47


def test_the_habit_is_the_share_of_habitual_words():
    told = words_of(0.92, 800)
    shares = [words.count(usual) / len(words) for words, usual in zip(told, told_sums.HABITUAL)]
    assert sum(shares) / 6 == pytest.approx(0.92, abs=0.012)
    assert all(set(words) == {usual} for words, usual in zip(words_of(1.0, 20), told_sums.HABITUAL))


def test_a_word_is_one_token_and_a_reply_is_not_cut():
    tokenizer = build(told_sums.TOKENS)
    for seed in range(30):
        trace = told_sums.sample(seed, below=34).trace
        ids = tokenizer(trace, add_special_tokens=False)["input_ids"]
        assert tokenizer.decode(ids) == trace
        assert len(ids) == 20 < told_sums.LONGEST


def test_train_and_test_never_meet_and_the_world_holds_each_question_once():
    held_out = told_sums.world(each=200).sample(3)
    assert held_out == told_sums.world(each=200).sample(3)
    assert len({problem.prompt for problem in held_out}) == 200
    assert all(split_of(problem.prompt) == "test" for problem in held_out)
    assert split_of(told_sums.sample(5, "train").prompt) == "train"


@pytest.mark.parametrize(("reply", "right"), [("so thus #24", True), ("24", False), ("#24\n#25", False), ("", False)])
def test_the_last_total_counts(reply, right):
    problem = next(p for i in range(2000) if (p := told_sums.sample(i)).answer == "24")
    assert told_sums.check(problem, reply) == right


def test_wrong_settings_are_named():
    with pytest.raises(ValueError, match="below: got 50"):
        told_sums.sample(0, below=50)
    with pytest.raises(ValueError, match="habit: got"):
        told_sums.sample(0, habit=1.5)
