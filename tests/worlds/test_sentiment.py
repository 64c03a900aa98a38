"""The sentences with feelings: counts, twins, splits, the world."""

from __future__ import annotations

from collections import Counter

import pytest

from assay.worlds import sentiment
from assay.worlds.sentiment import LABELS, world


def test_the_bytes_are_those_that_were_frozen() -> None:
    assert sentiment.content_hash() == sentiment.SHA256


def test_there_are_as_many_sentences_as_the_docstring_says() -> None:
    counts = {part: Counter(s.label for s in sentiment.load(part)) for part in LABELS}
    assert counts["sentences"] == {"negative": 200, "positive": 200, "neutral": 200}
    assert counts["irony"] == {"literal": 150, "ironic": 150}
    assert sum(counts["aspects"].values()) == 120
    for part in ("sentences", "irony"):
        texts = [s.text for s in sentiment.load(part)]
        assert len(set(texts)) == len(texts)


def test_every_irony_has_a_literal_twin_in_the_same_frame() -> None:
    pairs: dict[str, list[sentiment.Sentence]] = {}
    for s in sentiment.load("irony"):
        pairs.setdefault(s.pair, []).append(s)
    assert len(pairs) == 150
    for twins in pairs.values():
        assert {s.label for s in twins} == {"literal", "ironic"}
        assert len({s.template for s in twins}) == 1


def test_an_aspect_is_named_in_its_sentence() -> None:
    assert all(s.aspect in s.text for s in sentiment.load("aspects"))


@pytest.mark.parametrize("part", LABELS)
def test_no_judged_template_is_in_the_pool(part: sentiment.Part) -> None:
    judged = world(part).sample(3)
    assert not {s.template for s in judged.pool} & {s.template for s in judged.test}
    assert not {s.text for s in judged.pool} & {s.text for s in judged.test}
    assert len(judged.pool) + len(judged.test) == len(sentiment.load(part))
    assert {s.label for s in judged.test} == set(LABELS[part]) == {s.label for s in judged.pool}


def test_twins_of_good_and_bad_are_on_the_same_side() -> None:
    judged = world().sample(0)
    number = {side: {s.template.partition("-")[2] for s in getattr(judged, side)} for side in ("pool", "test")}
    assert not number["pool"] & number["test"]


def test_answers_are_held_against_the_labels() -> None:
    irony = world("irony")
    judged = irony.sample(0)
    right: dict[str, str | None] = {s.id: s.label for s in judged.test}
    assert irony.check(judged, right) == 1.0
    assert irony.check(judged, dict.fromkeys(right, "ironic")) == 0.5
    assert irony.check(judged, dict.fromkeys(right)) == 0.0
    with pytest.raises(ValueError, match="one a judged sentence"):
        irony.check(judged, {})
    with pytest.raises(ValueError, match="part: got 'songs'"):
        sentiment.load("songs")
