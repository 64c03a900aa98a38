"""Sums: `S12+19`, added from left to right, one line a step. `meta["carry"]` says whether any column carries over.

With `tries`, the worked reply first writes some wrong lines and takes them back, as a model does that thinks aloud:

    12+19=30 no
    12+19=31
    #31
"""

from __future__ import annotations

import random
from functools import partial

from assay.worlds.text.problem import Problem, ProblemSet, Span, Split, check_span, draw, parse

DIGITS: Span = (2, 2)
TAKEN_BACK = " no"
_OFF_BY = (-10, -2, -1, 1, 2, 10)  # what a wrong try is away from the sum: a slip in the ones or in the carry


def sample(
    seed: int,
    split: Split = "test",
    *,
    digits: Span = DIGITS,
    terms: int = 2,
    carry: bool | None = None,
    tries: Span = (0, 0),
) -> Problem:
    """`terms` numbers of `digits` digits each (drawn anew for each number); with `carry`, only such sums or none."""
    low, high = check_span("digits", digits, 1, 4)
    fewest, most = check_span("tries", tries, 0, 9)
    if not 2 <= terms <= 6:
        raise ValueError(f"terms: got {terms}, wanted 2 to 6")

    def build(rng: random.Random) -> Problem:
        while True:
            numbers = [_number(rng, rng.randint(low, high)) for _ in range(terms)]
            carries = _carries(numbers)
            if carry is None or carries == carry:
                return _problem(numbers, carries, _lines(numbers, rng, rng.randint(fewest, most)))

    return draw("sums", seed, split, build)


def check(problem: Problem, text: str) -> bool:
    """Whether the reply's answer is the problem's."""
    return parse(text) == problem.answer


def world(
    each: int = 40, split: Split = "test", digits: Span = DIGITS, terms: int = 2, carry: bool | None = None
) -> ProblemSet:
    """`each` sums per seed."""
    return ProblemSet((partial(sample, digits=digits, terms=terms, carry=carry),), check, each, split)


def _problem(numbers: list[int], carries: bool, lines: list[str]) -> Problem:
    task, total = "+".join(map(str, numbers)), sum(numbers)
    english = (
        f"Add {', '.join(map(str, numbers))} from left to right. Write each addition on a line of its own like "
        "12+19=31, then the total on a last line like #31."
    )
    meta = {"english": english, "carry": carries, "digits": max(len(str(number)) for number in numbers)}
    return Problem(f"S{task}", "\n".join([*lines, f"#{total}"]), str(total), "sums", meta)


def _lines(numbers: list[int], rng: random.Random, tries: int) -> list[str]:
    """The additions one by one; `tries` wrong ones are spread over them, each before the right one."""
    steps, value = [], numbers[0]
    for number in numbers[1:]:
        steps.append((f"{value}+{number}=", value + number))
        value += number
    wrong = sorted(rng.randrange(len(steps)) for _ in range(tries))
    lines = []
    for i, (left, right) in enumerate(steps):
        lines += [f"{left}{_slip(right, rng)}{TAKEN_BACK}" for _ in range(wrong.count(i))]
        lines.append(f"{left}{right}")
    return lines


def _slip(right: int, rng: random.Random) -> int:
    return rng.choice([right + off for off in _OFF_BY if right + off >= 0])


def _number(rng: random.Random, digits: int) -> int:
    return rng.randint(10 ** (digits - 1) if digits > 1 else 0, 10**digits - 1)


def _carries(numbers: list[int]) -> bool:
    value = numbers[0]
    for number in numbers[1:]:
        if _digit_sum(value) + _digit_sum(number) != _digit_sum(value + number):  # each carry costs nine
            return True
        value += number
    return False


def _digit_sum(number: int) -> int:
    return sum(map(int, str(number)))
