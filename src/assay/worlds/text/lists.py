"""Lists: `Seieb R3 S V`, letters and operations on them, the letters written anew after each."""

from __future__ import annotations

import random
from functools import partial

from assay.worlds.text.problem import Problem, ProblemSet, Span, Split, check_span, draw, parse

LETTERS: Span = (4, 6)
OPERATIONS: Span = (1, 4)
_MEANING = {"V": "reverse", "S": "sort alphabetically", "W": "swap the first and the last letter"}


def sample(seed: int, split: Split = "test", *, letters: Span = LETTERS, operations: Span = OPERATIONS) -> Problem:
    """`letters` letters a to j; V reverse, S sort, Rk rotate left by k, W swap the ends."""
    short, long = check_span("letters", letters, 2, 20)
    low, high = check_span("operations", operations, 1, 20)

    def build(rng: random.Random) -> Problem:
        word = start = "".join(rng.choices("abcdefghij", k=rng.randint(short, long)))
        names, lines = [], []
        for _ in range(rng.randint(low, high)):
            name = rng.choice("VSRW")
            names.append(f"R{rng.randint(1, len(word) - 1)}" if name == "R" else name)
            word = apply(word, names[-1])
            lines.append(word)
        meanings = [_MEANING.get(name) or f"rotate left by {name[1:]}" for name in names]
        english = (
            f"Take the letters {start} and apply in this order: {'; '.join(meanings)}. Write the letters after "
            f"each operation on a line of their own, then the result on a last line like #{'abcdef'[:short]}."
        )
        trace = "\n".join([*lines, f"#{word}"])
        return Problem(
            f"S{start} {' '.join(names)}", trace, word, "lists", {"english": english, "operations": len(names)}
        )

    return draw("lists", seed, split, build)


def apply(word: str, operation: str) -> str:
    """The letters after one operation."""
    if operation == "V":
        return word[::-1]
    if operation == "S":
        return "".join(sorted(word))
    if operation == "W":
        return word[-1] + word[1:-1] + word[0]
    k = int(operation[1:])
    return word[k:] + word[:k]


def check(problem: Problem, text: str) -> bool:
    """Whether the reply's answer is the problem's."""
    return parse(text) == problem.answer


def world(each: int = 40, split: Split = "test", letters: Span = LETTERS, operations: Span = OPERATIONS) -> ProblemSet:
    """`each` lists per seed."""
    return ProblemSet((partial(sample, letters=letters, operations=operations),), check, each, split)
