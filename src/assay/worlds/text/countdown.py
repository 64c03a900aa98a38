"""Countdown: `N4 4 3 T28`, reach the target with every number used once: `3+4=7`, `4*7=28`, `#28`."""

from __future__ import annotations

import random
import re
from collections import Counter
from functools import partial

from assay.worlds.text.problem import Problem, ProblemSet, Split, draw, parse

HIGHEST = 12  # given numbers run from 1 to 12
LARGEST = 99  # every result lies in 0 to 99
_LINE = re.compile(r"\s*(\d+)\s*([-+*])\s*(\d+)\s*=\s*(\d+)\s*")


def sample(seed: int, split: Split = "test", *, numbers: int = 3) -> Problem:
    """`numbers` numbers of 1 to 12 and a target that some order of + - * reaches; any solution counts."""
    if not 2 <= numbers <= 6:
        raise ValueError(f"numbers: got {numbers}, wanted 2 to 6")

    def build(rng: random.Random) -> Problem:
        given = [rng.randint(1, HIGHEST) for _ in range(numbers)]
        pool, lines = list(given), []
        while len(pool) > 1:
            i, j = rng.sample(range(len(pool)), 2)
            step = rng.choice(legal_steps(pool[i], pool[j]))
            pool = [x for k, x in enumerate(pool) if k not in (i, j)] + [step[3]]
            lines.append("{}{}{}={}".format(*step))
        target = pool[0]
        english = (
            f"Combine the numbers {', '.join(map(str, given))} with +, - and *, using each exactly once, to reach "
            f"{target}. Every result must lie in 0 to 99. Write one operation a line like 3+4=7 (results may be "
            f"used in later lines), then the target on a last line like #{target}."
        )
        return Problem(
            f"N{' '.join(map(str, given))} T{target}",
            "\n".join([*lines, f"#{target}"]),
            str(target),
            f"countdown{numbers}",
            {"english": english, "numbers": tuple(given), "target": target},
        )

    return draw(f"countdown{numbers}", seed, split, build)


def legal_steps(x: int, y: int) -> list[tuple[int, str, int, int]]:
    """(a, operation, b, result) for two numbers: smaller first for + and *, larger first for -."""
    a, b = sorted((x, y))
    steps = [(a, "+", b, a + b), (b, "-", a, b - a), (a, "*", b, a * b)]
    return [step for step in steps if step[3] <= LARGEST]


def check(problem: Problem, text: str) -> bool:
    """Executes the lines before the answer: each equation true, its operands at hand, every number used once,
    the last value and the answer equal to the target. Lines that are no equation are passed over."""
    pool = Counter(problem.meta["numbers"])
    for line in text.splitlines():
        if line.lstrip().startswith("#"):
            break
        if not (match := _LINE.fullmatch(line)):
            continue
        a, sign, b, result = int(match[1]), match[2], int(match[3]), int(match[4])
        pool.subtract([a, b])
        value = a + b if sign == "+" else a - b if sign == "-" else a * b
        if min(pool[a], pool[b]) < 0 or value != result or not 0 <= result <= LARGEST:
            return False
        pool[result] += 1
    return list(pool.elements()) == [problem.meta["target"]] and parse(text) == problem.answer


def world(each: int = 40, split: Split = "test", numbers: int = 3) -> ProblemSet:
    """`each` countdowns per seed."""
    return ProblemSet((partial(sample, numbers=numbers),), check, each, split)
