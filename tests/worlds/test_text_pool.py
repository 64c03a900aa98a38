"""The stream of real text: shapes, shares, and that the target's held-out pieces are not in it."""

from __future__ import annotations

import random

import numpy as np
import pytest

from assay.worlds.text_pool import KINDS, _cut, _split, spoil, world

POOL = world(steps=40, candidates=16, length=32, proxy=30, validation=20)


def test_a_seed_gives_one_stream_with_its_shares() -> None:
    one, again = POOL.sample(5), POOL.sample(5)
    assert (one.stream == again.stream).all()
    assert one.stream.shape == (40, 16, 32)
    assert one.proxy.shape == (30, 32)
    assert one.validation.shape == (20, 32)
    assert one.stream.max() < one.vocabulary
    assert (one.kinds >= len(KINDS)).mean() == pytest.approx(0.25, abs=0.06)
    assert {POOL.sample(seed).target for seed in range(6)} > {one.target}


def test_what_is_held_out_is_not_in_the_stream() -> None:
    seen, kept = _split(random.Random(1))
    for kind in KINDS:
        assert not set(seen[kind]) & set(kept[kind])
        assert len(kept[kind]) >= 1


def test_every_way_of_spoiling_keeps_no_sense() -> None:
    text = "one two three\nfour five six seven\n" * 5
    made = {spoil(text, random.Random(seed)) for seed in range(40)}
    assert text not in made
    assert any("<" in one for one in made)
    assert any(one.endswith("=") or " " not in one for one in made)


def test_short_rows_are_begun_again() -> None:
    assert _cut([1, 2, 3], 7) == [1, 2, 3, 1, 2, 3, 1]
    assert _cut(list(range(9)), 4) == [0, 1, 2, 3]


def test_the_check_knows_good_pieces() -> None:
    pool = POOL.sample(2)
    good = pool.kinds.ravel() == KINDS.index(pool.target)
    rows = pool.stream.reshape(-1, 32)
    assert POOL.check(pool, rows[good]) == 1
    assert POOL.check(pool, rows[~good]) < 0.1
    assert POOL.check(pool, np.full((3, 32), 7, dtype=np.int16)) == 0


def test_wrong_arguments_are_named() -> None:
    with pytest.raises(ValueError, match="steps: got 0"):
        world(steps=0)
    with pytest.raises(ValueError, match="vocabulary: got 10"):
        world(vocabulary=10)
