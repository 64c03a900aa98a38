import random
import re

import pytest

from assay.worlds.knowledge import attributes
from assay.worlds.knowledge.facts import facts


def test_every_question_and_answer_is_made_of_the_closed_words():
    for fact in facts(attributes.country()):
        for text in (attributes.question(*fact), attributes.question(*fact, 1), attributes.answer(*fact)):
            words = re.findall(r" [A-Za-z]+", text)
            assert set(words) <= set(attributes.WORDS)
            assert "".join(words) == re.sub(r"[^ A-Za-z]", "", text)


def test_an_attribute_has_eight_values_and_the_answer_is_one():
    for fact in facts(attributes.country()):
        assert len(attributes.options(fact[1])) == 8
        assert attributes.answer(*fact) in attributes.options(fact[1])


def test_claims_are_true_and_false_in_pairs():
    drawn = attributes.claims(attributes.subjects(10), random.Random(0))
    facts_told = sum(len(attributes.facts_of(s)) for s in attributes.subjects(10))
    assert [truth for _, truth in drawn] == [True, False] * facts_told
    s = attributes.subjects(1)[0]
    for text, truth in attributes.claims([s], random.Random(1)):
        said = {o for _, o in attributes.facts_of(s) if attributes.country().names[o] in text}
        assert truth == bool(said) or truth is False


def test_a_split_keeps_the_sides_apart_and_differs_by_seed():
    world = attributes.world(entities=50)
    one, other = world.sample(1), world.sample(2)
    assert [len(one.train), len(one.valid), len(one.test)] == [25, 10, 15]
    assert set(one.train) | set(one.valid) | set(one.test) == set(attributes.subjects(50))
    assert one == world.sample(1) and one != other
    assert world.check((one.train[0], 0), "no one") is False


@pytest.mark.parametrize(
    ("knobs", "said"),
    [({"entities": 10}, "entities: got 10"), ({"entities": 301}, "wanted 20 to 300"), ({"test": 0.9}, "valid, test")],
)
def test_a_wrong_knob_is_named(knobs, said):
    with pytest.raises(ValueError, match=said):
        attributes.world(**knobs)
