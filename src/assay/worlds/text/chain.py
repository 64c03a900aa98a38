"""Chain: `C63+5*3-5`, worked from left to right in whole numbers modulo 100, one line a step."""

from __future__ import annotations

import random
from functools import partial

from assay.worlds.text.problem import Problem, ProblemSet, Span, Split, check_span, draw, parse

STEPS: Span = (2, 6)  # what the models train on; 7 and 8 are the hard ones
_MODULUS = 100


def sample(seed: int, split: Split = "test", *, steps: Span = STEPS) -> Problem:
    """A start of 10 to 99 and `steps` operations: + or - with 1 to 9, * with 2 or 3, weighted 2:2:1."""
    low, high = check_span("steps", steps, 1, 20)

    def build(rng: random.Random) -> Problem:
        value = start = rng.randint(10, 99)
        operations, lines = "", []
        for _ in range(rng.randint(low, high)):
            sign = rng.choices("+-*", (2, 2, 1))[0]
            number = rng.randint(2, 3) if sign == "*" else rng.randint(1, 9)
            result = apply(value, sign, number)
            operations += f"{sign}{number}"
            lines.append(f"{value}{sign}{number}={result}")
            value = result
        english = (
            f"Start with {start} and apply these operations strictly from left to right, keeping only the "
            f"remainder modulo 100 (0 to 99) after each: {' '.join(_pairs(operations))}. Write each step on a "
            "line of its own like 63+5=68, then the result on a last line like #99."
        )
        trace = "\n".join([*lines, f"#{value}"])
        return Problem(f"C{start}{operations}", trace, str(value), "chain", {"english": english, "steps": len(lines)})

    return draw("chain", seed, split, build)


def apply(value: int, sign: str, number: int) -> int:
    """One step, modulo 100."""
    if sign == "+":
        return (value + number) % _MODULUS
    if sign == "-":
        return (value - number) % _MODULUS
    return (value * number) % _MODULUS


def check(problem: Problem, text: str) -> bool:
    """Whether the reply's answer is the problem's."""
    return parse(text) == problem.answer


def world(each: int = 40, split: Split = "test", steps: Span = STEPS) -> ProblemSet:
    """`each` chains per seed."""
    return ProblemSet((partial(sample, steps=steps),), check, each, split)


def _pairs(operations: str) -> list[str]:
    return [operations[i : i + 2] for i in range(0, len(operations), 2)]
