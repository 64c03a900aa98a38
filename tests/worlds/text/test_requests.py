import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.worlds.text.requests import (
    CALM_OBJECTS,
    CALM_VERBS,
    MENTIONS,
    OBJECTS,
    SHORT,
    VERBS,
    draw_item,
    world,
)


@given(st.integers(0, 10_000), st.sampled_from(sorted(MENTIONS)), st.booleans())
def test_a_text_has_its_length_and_a_request_only_where_it_is_harmful(seed, length, harmful):
    item = draw_item(random.Random(seed), length, harmful)
    assert len(item.text) == length
    requests = sum(item.text.count(f"{verb} the {thing}") for verb in VERBS for thing in OBJECTS)
    assert requests == harmful


@given(st.integers(0, 10_000), st.sampled_from(sorted(MENTIONS)), st.booleans())
def test_the_words_of_the_family_are_mentioned_apart_as_often_whether_or_not_it_is_harmful(seed, length, harmful):
    text = draw_item(random.Random(seed), length, harmful).text
    apart = sum(text.count(f"{verb} the {thing}") for verb in VERBS for thing in CALM_OBJECTS)
    apart += sum(text.count(f"{verb} the {thing}") for verb in CALM_VERBS for thing in OBJECTS)
    assert apart == MENTIONS[length]


def test_sets_are_half_harmful_and_the_long_ones_to_choose_by_are_not():
    drawn = world(train=6, valid=20, each=3, lengths=[510]).sample(4)
    for items in (drawn.train, drawn.valid, drawn.test[510]):
        assert sum(item.harmful for item in items) * 2 == len(items)
    assert len(drawn.long_benign) == 2 and not any(item.harmful for item in drawn.long_benign)
    assert {len(item.text) for item in drawn.train} == {SHORT}
    assert drawn == world(train=6, valid=20, each=3, lengths=[510]).sample(4)
    assert world().check(drawn.train[1], True)


@pytest.mark.parametrize(
    ("knobs", "said"),
    [({"train": 1}, "train: got 1"), ({"lengths": [7]}, r"lengths: got \(7,\)"), ({"lengths": []}, "lengths: got")],
)
def test_a_wrong_knob_is_named(knobs, said):
    with pytest.raises(ValueError, match=said):
        world(**knobs)
