import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.worlds.text import cite
from assay.worlds.text.problem import parse, split_of

seeds = st.integers(0, 10**6)
conditions = st.sampled_from(cite.CONDITIONS)
NOTE = re.compile(r"\b([a-z])(\d\d)(\d\d)\.")


@given(seeds, conditions, st.sampled_from(["train", "test"]), st.sampled_from([0.0, 1.0]))
def test_the_worked_reply_is_right_and_cites_the_asked_note(seed, condition, split, cited):
    problem = cite.sample(seed, split, condition=condition, cited=cited)
    assert split_of(problem.prompt) == split
    assert cite.check(problem, problem.trace)
    assert not cite.distracted(problem, problem.trace)
    asked = problem.prompt.rpartition("?")[2]
    assert problem.meta["hint"] == asked + problem.answer
    assert f"{problem.meta['hint']}." in problem.prompt
    assert problem.trace.startswith(problem.meta["hint"]) == bool(cited)


@given(seeds, conditions)
def test_exactly_one_note_has_the_asked_name(seed, condition):
    problem = cite.sample(seed, condition=condition)
    context, _, asked = problem.prompt[1:].rpartition("?")
    values = [value for letter, number, value in NOTE.findall(context) if letter + number == asked]
    assert values == [problem.answer]


@given(seeds)
def test_hard_negatives_share_half_a_name_with_the_asked_and_other_notes_share_nothing(seed):
    problem = cite.sample(seed, condition="HN")
    asked = problem.prompt.rpartition("?")[2]
    for distractor in problem.meta["distractors"]:
        letter, number, _ = NOTE.fullmatch(distractor).groups()
        assert (letter == asked[0]) != (number == asked[1:])
    clean = cite.sample(seed, condition="ND")
    letters, numbers, _ = zip(*NOTE.findall(clean.prompt))
    assert len(set(letters)) == len(letters)
    assert len(set(numbers)) == len(numbers)


@given(seeds, st.sampled_from(["RD", "RC", "HN"]))
def test_a_reply_that_follows_a_distractor_is_wrong_and_distracted(seed, condition):
    problem = cite.sample(seed, condition=condition)
    for distractor, value in zip(problem.meta["distractors"], problem.meta["values"]):
        assert value in distractor
        assert not cite.check(problem, f"#{value}")
        assert cite.distracted(problem, f"#{value}")
        assert cite.distracted(problem, f"{distractor}\n#{problem.answer}")


def test_the_world_holds_every_condition_alike_and_no_noise_in_nd():
    drawn = cite.world(each=20).sample(3)
    assert [sum(p.meta["condition"] == c for p in drawn) for c in cite.CONDITIONS] == [20] * 4
    assert all(bool(p.meta["distractors"]) == (p.meta["condition"] != "ND") for p in drawn)
    assert drawn == cite.world(each=20).sample(3)
    assert all(parse(p.trace) == p.answer for p in drawn)


@pytest.mark.parametrize(
    ("options", "said"),
    [({"condition": "XX"}, "condition: got 'XX'"), ({"cited": 2}, "cited: got 2"), ({"noise": (0, 1)}, "noise: got")],
)
def test_wrong_knobs_are_named(options, said):
    with pytest.raises(ValueError, match=said):
        cite.sample(0, **options)
