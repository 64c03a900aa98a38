"""Pairing is checked, not trusted: a world that gives the arms of one seed other data is caught."""

from __future__ import annotations

import itertools
import os
import random
import time
from dataclasses import replace

import numpy as np
import pytest
import sample_trials as s

from assay.engine import run
from assay.engine.result import Result

_calls = itertools.count()


class World:
    def __init__(self, draw: object) -> None:
        self.draw = draw

    def sample(self, seed: int) -> list[float]:
        return [self.draw(seed)]  # type: ignore[operator]


def clock() -> World:
    return World(lambda seed: time.time())


def system() -> World:
    return World(lambda seed: float(os.urandom(1)[0]) + random.SystemRandom().random())


def unseeded() -> World:
    return World(lambda seed: float(np.random.default_rng().random()))


def counting() -> World:
    return World(lambda seed: float(next(_calls)))


def global_state() -> World:
    return World(lambda seed: random.random() + float(np.random.rand()))


def result(world: str) -> Result:
    return run(replace(s.better_cards, world=f"test_unpaired:{world}"), seeds=6, isolation="inline")


@pytest.mark.parametrize("world", ["clock", "system", "unseeded", "counting"])
def test_a_world_that_does_not_keep_to_its_seed_is_unpaired_and_decides_nothing(world: str) -> None:
    found = result(world)
    assert {u.status for u in found.arms} == {"unpaired"}
    assert found.verdict is not None
    assert found.verdict.outcome == "inconclusive"


def test_the_global_generators_are_seeded_before_a_world_is_sampled_so_that_it_stays_paired() -> None:
    first, again = result("global_state"), result("global_state")
    assert {u.status for u in first.arms} == {"ok"}
    assert [u.world_digest for u in first.arms] == [u.world_digest for u in again.arms]
    assert len({u.world_digest for u in first.arms}) == 6
