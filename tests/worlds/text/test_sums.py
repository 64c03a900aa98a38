import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.worlds.text import sums
from assay.worlds.text.problem import split_of


@given(st.integers(0, 10**6), st.integers(1, 4), st.integers(2, 6), st.integers(0, 3))
def test_every_worked_reply_is_right_and_ends_in_the_sum(seed, digits, terms, tries):
    problem = sums.sample(seed, "train", digits=(1, digits), terms=terms, tries=(0, tries))
    numbers = [int(number) for number in problem.prompt[1:].split("+")]
    assert len(numbers) == terms
    assert problem.answer == str(sum(numbers))
    assert sums.check(problem, problem.trace)
    lines = problem.trace.split("\n")[:-1]
    kept = [line for line in lines if not line.endswith(" no")]
    assert len(kept) == terms - 1
    assert len(lines) - len(kept) <= tries
    for line in lines:
        a, b, total = map(int, re.fullmatch(r"(\d+)\+(\d+)=(\d+)(?: no)?", line).groups())
        assert (a + b == total) == (not line.endswith(" no"))


@given(st.integers(0, 10**6))
def test_a_carry_is_what_columns_say(seed):
    problem = sums.sample(seed)
    a, b = (int(number) for number in problem.prompt[1:].split("+"))
    by_columns = a % 10 + b % 10 > 9 or a // 10 + b // 10 + (a % 10 + b % 10 > 9) > 9
    assert problem.meta["carry"] == by_columns
    assert sums.sample(seed, carry=True).meta["carry"]
    assert not sums.sample(seed, carry=False).meta["carry"]


def test_train_and_test_never_meet():
    train = {sums.sample(seed, "train").prompt for seed in range(3000)}
    test = {sums.sample(seed, "test").prompt for seed in range(3000)}
    assert not train & test
    assert all(split_of(prompt) == "test" for prompt in test)
    assert len(test) > 500


def test_the_world_holds_each_problem_once():
    drawn = sums.world(each=50, digits=(1, 3)).sample(7)
    assert len({problem.prompt for problem in drawn}) == 50
    assert drawn == sums.world(each=50, digits=(1, 3)).sample(7)


def test_a_wrong_or_missing_answer_does_not_count():
    problem = sums.sample(0)
    assert not sums.check(problem, f"#{int(problem.answer) + 1}")
    assert not sums.check(problem, problem.answer)


@pytest.mark.parametrize(
    ("options", "words"),
    [({"digits": (2, 1)}, "digits: got"), ({"terms": 1}, "terms: got 1"), ({"tries": (-1, 2)}, "tries: got")],
)
def test_ranges_that_cannot_be_are_named(options, words):
    with pytest.raises(ValueError, match=words):
        sums.sample(0, **options)
