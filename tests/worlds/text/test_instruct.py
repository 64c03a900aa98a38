import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.models.tokenizer import encode
from assay.worlds.text import instruct
from assay.worlds.text.problem import split_of

seeds = st.integers(0, 10**6)
structures = st.sampled_from(instruct.STRUCTURES)


@given(seeds, structures, st.sampled_from(["train", "test"]))
def test_the_worked_reply_is_what_the_interpreter_makes_of_the_prompt(seed, structure, split):
    problem = instruct.sample(seed, split, structure=structure)
    assert split_of(problem.prompt) == split
    assert instruct.check(problem, problem.trace)
    assert 2 <= len(problem.meta["parts"]) <= 4
    assert len(set(problem.meta["parts"])) == len(problem.meta["parts"])
    assert len(encode(problem.trace)) + 1 <= instruct.LONGEST


@given(seeds)
def test_both_branches_fit_the_prompt_and_only_one_is_right(seed):
    problem = instruct.sample(seed, structure="conditional")
    then, parts = problem.meta["then"], problem.meta["parts"]
    branches = [" ".join(parts[:then]), " ".join(parts[then:])]
    assert [instruct.check(problem, text) for text in branches] == [problem.meta["holds"], not problem.meta["holds"]]
    assert not instruct.check(problem, " ".join(branches))


@pytest.mark.parametrize(
    ("prompt", "reply", "obeyed"),
    [
        ("I:bd&:417&^ce", "bd 417 CE", True),
        ("I:bd&:417&^ce", "CE bd 417", True),
        ("I:bd&:417&^ce", "bd 417", False),
        ("I:bd&:417&^ce", "bd 417 CE CE", False),
        ("I:bd>~ce>_JA", "bd ec ja", True),
        ("I:bd>~ce>_JA", "ec bd ja", False),
        ("I:bd>~ce>_JA", "bd ec JA", False),
        ("Ib@gb?:bd>ax2|^ce", "bd aa", True),
        ("Ib@gb?:bd>ax2|^ce", "CE", False),
        ("Ib@gd?:bd>ax2|^ce", "CE", True),
        ("Ib@gd?:bd>ax2|^ce", "CE bd aa", False),
        ("I:bd>~ce>_JA", "", False),
    ],
)
def test_the_interpreter_reads_the_prompt_alone(prompt, reply, obeyed):
    assert instruct.obeys(prompt, reply) == obeyed


def test_the_parts_of_a_parallel_instruction_may_come_in_any_order_and_those_of_a_sequence_not():
    for structure, free in (("parallel", True), ("sequential", False)):
        problem = instruct.sample(3, structure=structure)
        turned = " ".join(reversed(problem.meta["parts"]))
        assert instruct.check(problem, turned) == free


def test_plain_english_says_parts_order_and_condition():
    english = instruct.sample(1, structure="conditional").meta["english"]
    assert english.startswith("If ")
    assert "Otherwise write" in english
    assert "in any order" in instruct.sample(1, structure="parallel").meta["english"]
    assert ", then " in instruct.sample(1, structure="sequential").meta["english"]


def test_the_world_holds_every_structure_alike():
    drawn = instruct.world(each=20).sample(3)
    assert [sum(p.meta["structure"] == s for p in drawn) for s in instruct.STRUCTURES] == [20] * 3
    assert drawn == instruct.world(each=20).sample(3)
    truths = [p.meta["holds"] for p in instruct.world(each=100).sample(0) if p.meta["structure"] == "conditional"]
    assert 30 < sum(truths) < 70


def test_an_unknown_structure_is_named():
    with pytest.raises(ValueError, match="structure: got 'nested'"):
        instruct.sample(0, structure="nested")
