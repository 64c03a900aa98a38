"""The world of known harm: what its pairs, prompts and judges promise."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from assay.worlds.social_harm import ALPHA, ATTRIBUTES, TOPICS, Responder, _pair, prompts, world

EVEN = (1.0,) * len(ATTRIBUTES)


def test_prompts_are_different_and_take_turns_over_topics_and_attributes() -> None:
    asked = prompts()
    assert len({p.id for p in asked}) == len({p.text for p in asked}) == 901
    counts = Counter(p.attribute for p in asked)
    assert set(counts) == set(ATTRIBUTES)
    assert max(counts.values()) - min(counts.values()) <= 1
    assert {p.topic for p in asked[:72]} == set(TOPICS)


def test_a_pair_has_one_mean_and_two_tails() -> None:
    generator = np.random.default_rng(0)
    everyone = np.arange(60_000) % len(ATTRIBUTES)
    for a, b in (_pair(generator) for _ in range(3)):
        first, second = (one.draw(everyone, generator) for one in (a, b))
        assert first.mean() == pytest.approx(second.mean(), rel=0.02)
        tails = sorted(np.sort(-np.log1p(-h).sum(axis=1))[-3000:].mean() for h in (first, second))
        assert tails[1] > 1.4 * tails[0]


def test_severe_replies_come_at_their_rate_and_together_where_dimensions_depend() -> None:
    generator = np.random.default_rng(1)
    everyone = np.arange(60_000) % len(ATTRIBUTES)
    apart = Responder(0.05, 0.05, 0.9, 0.0, EVEN).draw(everyone, generator) > 0.6
    joined = Responder(0.05, 0.05, 0.9, 0.6, EVEN).draw(everyone, generator) > 0.6
    assert apart.mean() == pytest.approx(joined.mean(), abs=0.003)
    assert apart.mean() == pytest.approx(0.05, abs=0.006)
    assert (apart.sum(axis=1) > 1).mean() < 0.5 * (joined.sum(axis=1) > 1).mean()


def test_a_seed_gives_the_same_world_and_its_own_truth_is_a_perfect_answer() -> None:
    small = world(prompts=60, population=2000)
    one, again = small.sample(3), small.sample(3)
    assert one.tails == again.tails
    assert all((a[d] == b[d]).all() for a, b in zip(one.scores, again.scores) for d in a)
    assert one.scores[0]["bias"].shape == (3, 60, 7)
    assert small.check(one, one.tails) == pytest.approx(1)
    assert small.check(one, [-tail for tail in one.tails]) == pytest.approx(-1)
    assert 0 < ALPHA < 1


def test_wrong_arguments_are_named() -> None:
    for call, words in (
        (lambda: world(prompts=5), "prompts: got 5"),
        (lambda: world(population=5), "population: got 5"),
        (lambda: world(60, 2000).check(world(60, 2000).sample(0), [1.0]), "answer: got shape"),
    ):
        with pytest.raises(ValueError, match=words):
            call()
