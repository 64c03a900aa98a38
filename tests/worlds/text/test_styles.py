"""Styles: marks, leanings, what is right."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.worlds.text import styles
from assay.worlds.text.problem import split_of


@pytest.mark.parametrize(
    ("word", "operation", "wanted", "answer"),
    [
        ("abcd", "V", "", "dcba"),
        ("abcd", "V", "c", "abcd"),
        ("abcd", "V", "t", "dc"),
        ("abcd", "V", "h", "dcab"),
        ("abcd", "V", "d", "abcd"),
        ("abcd", "V", "n", "no"),
        ("abcd", "V", "hdt", "ba"),  # dcab, then backwards, then two
        ("dbca", "S", "", "ab"),
        ("abcd", "R3", "", "no"),
        ("abcd", "R3", "y", "cbad"),  # dabc, then backwards
        ("abcd", "R2", "kul", "cdab"),
    ],
)
def test_the_manner_is_the_one_worked_by_hand(word, operation, wanted, answer):
    assert styles.manner(word, operation, wanted) == answer


@given(st.integers(0, 10**6), st.sampled_from(["kt", "lk", "tu", "id", "hl", "yk"]))
def test_what_is_wanted_overrides_and_the_prompt_does_not_tell(seed, wanted):
    problem = styles.sample(seed, wanted=wanted)
    name, word = problem.meta["operation"], problem.prompt[-4:]
    assert problem.prompt == f"H {name}{word}"
    assert problem.answer == styles.manner(word, name, wanted)
    assert styles.check(problem, problem.trace)
    assert split_of(problem.prompt) == "test"


def test_lessons_lean_as_they_should():
    asked = Counter()
    for i in range(6000):
        problem = styles.lesson(i)
        if problem.prompt.startswith("H V"):
            asked["".join(problem.meta["wanted"]).count("t")] += 1
    assert asked[1] / sum(asked.values()) == pytest.approx(1 - styles.LEANS["V"], abs=0.06)


def test_lessons_are_of_the_training_split_and_follow_their_marks():
    for prompt, reply in styles.lessons(3, 200):
        assert split_of(prompt) == "train"
        if "n" in prompt.split()[0]:
            assert reply == "#no"


def test_contrasts_differ_in_one_mark():
    for one, other in zip(*styles.contrast("up", 5, 20), strict=True):
        assert (one[1], other[1]) == ("u", "d")
        assert one[2:] == other[2:]


def test_the_world_draws_each_combination_in_turn():
    problems = styles.world(each=5, wanted=["kt", "id"]).sample(0)
    assert [problem.meta["wanted"] for problem in problems] == ["kt"] * 5 + ["id"] * 5


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: styles.sample(0, wanted="lt"), "at most one of 'lt'"),
        (lambda: styles.sample(0, marked="q"), "got ['q']"),
        (lambda: styles.contrast("loud", 0, 1), "kind: got 'loud'"),
    ],
)
def test_wrong_marks_are_named(call, told):
    with pytest.raises(ValueError) as raised:
        call()
    assert told in str(raised.value)
