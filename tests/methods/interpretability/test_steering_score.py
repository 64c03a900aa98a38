"""Concept rate times fluency."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from assay.methods.activations import Intervention, intervene
from assay.methods.interpretability.steering_score import reply_nll, steering_score

NATS = st.lists(st.floats(0, 20), min_size=4, max_size=4)


def test_the_score_is_the_share_that_shows_the_concept_times_the_ratio_of_perplexities():
    found = steering_score([True, True, True, False], [math.log(8)] * 4, [math.log(2)])
    assert found.concept == 0.75
    assert found.fluency == pytest.approx(1 / 4)
    assert found.value == pytest.approx(3 / 16)


def test_texts_more_fluent_than_the_model_s_own_gain_nothing_by_it():
    assert steering_score([1], [0.5], [2.0]).fluency == 1.0


@given(st.lists(st.booleans(), min_size=4, max_size=4), NATS, NATS)
def test_the_score_lies_between_nothing_and_the_concept_s_rate(shown, nll, plain):
    found = steering_score(shown, nll, plain)
    assert 0 <= found.value <= found.concept <= 1
    worse = steering_score(shown, [n + 1 for n in nll], plain)
    assert worse.value <= found.value


@pytest.mark.parametrize(
    ("shown", "nll", "plain", "told"),
    [
        ([], [], [1.0], "shown: got"),
        ([0.5], [1.0], [1.0], "shown: got"),
        ([1], [1.0, 2.0], [1.0], "nll: got 2 texts, wanted 1"),
        ([1], [-1.0], [1.0], "nll: got"),
        ([1], [1.0], [math.inf], "plain_nll: got"),
    ],
)
def test_wrong_input_is_named(shown, nll, plain, told):
    with pytest.raises(ValueError, match=told):
        steering_score(shown, nll, plain)


def test_a_right_reply_is_less_strange_to_a_model_than_another_and_stranger_once_its_states_are_moved():
    from assay.models import load
    from assay.worlds.text import chain

    torch.set_num_threads(1)
    model, tokenizer = load("nano")
    problem = chain.sample(0)
    own, odd = reply_nll(model, tokenizer, [(problem.prompt, problem.trace), (problem.prompt, "zq~Y!")])
    assert own < odd
    noise = torch.randn(model.config.hidden_size, generator=torch.Generator().manual_seed(0))
    with intervene(model, [Intervention(2, lambda h, mask: h + 50 * noise)]):
        assert reply_nll(model, tokenizer, [(problem.prompt, problem.trace)])[0] > own
    with pytest.raises(ValueError, match="rows: got none"):
        reply_nll(model, tokenizer, [])
