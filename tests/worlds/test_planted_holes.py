"""The holes of a seed."""

from __future__ import annotations

import pytest

from assay.worlds.planted_holes import CANDIDATES, NONE, world


def test_a_seed_draws_different_holes_and_all_candidates_come_up() -> None:
    drawn = [world().sample(seed) for seed in range(30)]
    assert all(len(set(one.holes)) == 5 for one in drawn)
    assert drawn[3] == world().sample(3)
    assert {hole for one in drawn for hole in one.holes} == set(CANDIDATES)
    assert len(CANDIDATES) == 10
    assert NONE in CANDIDATES


def test_the_share_named_is_counted() -> None:
    planted = world(2).sample(0)
    assert world(2).check(planted, planted.holes) == 1
    assert world(2).check(planted, [planted.holes[0], "?"]) == 0.5
    with pytest.raises(ValueError, match="answer: got 1, wanted 2"):
        world(2).check(planted, ["?"])
    with pytest.raises(ValueError, match="responders: got 11"):
        world(11)
