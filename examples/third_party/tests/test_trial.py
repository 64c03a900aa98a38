"""What the arms are made of; run by hand with the package installed."""

from __future__ import annotations

import random

from second_guess.model import RIGHT, guesser
from second_guess.world import world


def test_the_model_is_right_about_as_often_as_it_says() -> None:
    model, _ = guesser()
    draw = random.Random(0)
    right = sum(model.answer((12, 30), draw) == 42 for _ in range(10_000))
    assert abs(right / 10_000 - RIGHT) < 0.02


def test_the_world_knows_right_from_wrong() -> None:
    sums = world()
    assert all(sums.check(*answer) is right for right, answer in sums.examples(sums.sample(0)))
