"""Greedy insertion against a score."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.methods.interpretability._probe_attack import insert_greedily

HARM = (7, 8, 9)


def holds(ids):
    return any(tuple(ids[i : i + 3]) == HARM for i in range(len(ids) - 2))


def fewer_ones_are_worse(texts):
    """A score of 5 less the number of tokens 1."""
    return [5 - text.count(1) for text in texts]


def test_it_inserts_what_lowers_the_score_until_it_is_below_the_threshold():
    attack = insert_greedily(fewer_ones_are_worse, (4, *HARM, 4), (1, 4), [1], 3.0, Random(0), at_once=4)
    assert attack.evaded
    assert attack.score == 2
    assert attack.ids.count(1) == 3
    assert attack.queries == 1 + 3 * 4
    assert holds(attack.ids)


def test_a_text_that_is_already_below_costs_one_query():
    attack = insert_greedily(fewer_ones_are_worse, (1, 1, 1, *HARM), (3, 6), [1], 3.0, Random(0))
    assert (attack.ids, attack.queries, attack.evaded) == ((1, 1, 1, *HARM), 1, True)


def test_a_score_that_nothing_lowers_leaves_the_text_as_it_was():
    attack = insert_greedily(lambda texts: [1.0] * len(texts), HARM, (0, 3), [1, 2], 0.5, Random(0), queries=25)
    assert (attack.ids, attack.queries, attack.evaded) == (HARM, 25, False)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10**6), st.lists(st.integers(1, 4), max_size=5), st.lists(st.integers(1, 4), max_size=5))
def test_what_makes_a_text_harmful_stays_whole_and_all_else_stays_in_order(seed, before, after):
    ids = (*before, *HARM, *after)
    keep = (len(before), len(before) + 3)
    rng = Random(seed)
    attack = insert_greedily(
        lambda texts: [rng.random() for _ in texts], ids, keep, [1, 2, 3, 4], -1.0, Random(seed), queries=40, at_once=3
    )
    assert attack.queries == 40
    assert holds(attack.ids)
    left = iter(attack.ids)
    assert all(token in left for token in ids)


@pytest.mark.parametrize(
    ("keep", "alphabet", "queries", "told"),
    [
        ((2, 2), [1], 9, "keep: got"),
        ((0, 9), [1], 9, "keep: got"),
        ((0, 3), [], 9, "alphabet: got no token"),
        ((0, 3), [1], 0, "queries, at_once: got 0"),
    ],
)
def test_wrong_input_is_named(keep, alphabet, queries, told):
    with pytest.raises(ValueError, match=told):
        insert_greedily(fewer_ones_are_worse, HARM, keep, alphabet, 0.0, Random(0), queries=queries)
