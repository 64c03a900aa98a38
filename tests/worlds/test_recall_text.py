"""Text with facts that are asked for later."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.models import tokenizer as tok
from assay.worlds.recall_text import asked, world


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), spacing=st.sampled_from([4, 8, 16, 40]))
def test_every_value_asked_for_was_told_before(seed, spacing):
    for text in world(2, 320, spacing).sample(seed):
        assert len(tok.encode(text)) == 320
        told = {}
        for mark, key, value in re.findall(r"([=?])(\d\d)(\d\d);", text):
            if mark == "=":
                assert key not in told
                told[key] = value
            assert told[key] == value
        assert len(re.findall(r"[=?]\d{4};", text)) == 320 // spacing


def test_a_seed_is_a_text_and_other_seeds_are_others():
    assert world(1, 600).sample(3) == world(1, 600).sample(3) != world(1, 600).sample(4)


def test_answers_are_held_against_the_text():
    made = world(3, 512)
    texts = made.sample(0)
    right = [value for text in texts for value in asked(text)]
    assert made.check(texts, right) == 1.0
    assert made.check(texts, ["x"] * len(right)) == 0.0
    with pytest.raises(ValueError, match="one a question"):
        made.check(texts, right[1:])


@pytest.mark.parametrize(
    ("given", "says"),
    [({"count": 0}, "count: got 0"), ({"length": 60}, "length: got 60"), ({"spacing": 3}, "spacing: got 3")],
)
def test_sizes_that_cannot_be(given, says):
    with pytest.raises(ValueError, match=says):
        world(**given)
