"""Sums of two small numbers, to be answered by whoever is asked."""

from __future__ import annotations

import random


class Sums:
    """`count` sums a seed."""

    def __init__(self, count: int) -> None:
        self.count = count

    def sample(self, seed: int) -> list[tuple[int, int]]:
        """Pairs of numbers from 10 to 99."""
        draw = random.Random(seed)
        return [(draw.randint(10, 99), draw.randint(10, 99)) for _ in range(self.count)]

    def check(self, question: tuple[int, int], answer: int) -> bool:
        """Whether the answer is the sum."""
        return answer == sum(question)

    def examples(self, sample: list[tuple[int, int]]) -> list[tuple[bool, tuple[tuple[int, int], int]]]:
        """Right and wrong answers, for `assay trials check`."""
        first = sample[0]
        return [(True, (first, sum(first))), (False, (first, sum(first) + 1))]


def world(count: int = 60) -> Sums:
    """Sixty sums a seed."""
    return Sums(count)
