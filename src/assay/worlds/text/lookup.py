"""Lookup: `L4627 2849 2722?46^2`, pairs key-value side by side; follow the key two hops: 46, 27, 22."""

from __future__ import annotations

import random
from functools import partial
from itertools import pairwise

from assay.worlds.text.problem import Problem, ProblemSet, Span, Split, check_span, draw, parse

PAIRS: Span = (4, 9)
HOPS: Span = (1, 4)


def sample(seed: int, split: Split = "test", *, pairs: Span = PAIRS, hops: Span = HOPS) -> Problem:
    """`pairs` keys of 10 to 99, all different; values are other keys or numbers that are no key, so neither
    the end of the way nor a distractor can be told from the values alone."""
    fewest, most = check_span("pairs", pairs, 2, 40)
    low, high = check_span("hops", hops, 1, fewest)

    def build(rng: random.Random) -> Problem:
        n, h = rng.randint(fewest, most), rng.randint(low, high)
        numbers = rng.sample(range(10, 100), n + 2)
        keys, outside = numbers[:n], numbers[n:]
        value_of = dict(pairwise(keys[:h]))  # the way; its last value and the distractors follow
        value_of[keys[h - 1]] = rng.choice(keys[h:] + outside)
        for key in keys[h:]:
            value_of[key] = rng.choice([k for k in keys + outside if k != key])
        order = rng.sample(keys, n)
        facts = [f"{key}{value_of[key]}" for key in order]
        way = [keys[0]]
        for _ in range(h):
            way.append(value_of[way[-1]])
        lines = [f"{a}{b}" for a, b in pairwise(way)]
        english = (
            f"Each four-digit word is a pair: its first two digits are a key, its last two the value. "
            f"Pairs: {' '.join(facts)}. Start at key {keys[0]}, replace it by its value, and use that as the next "
            f"key, {h} time(s) in all. Write each pair you use on a line of its own like 4627, then the last value "
            "on a last line like #22."
        )
        return Problem(
            f"L{' '.join(facts)}?{keys[0]}^{h}",
            "\n".join([*lines, f"#{way[-1]}"]),
            str(way[-1]),
            "lookup",
            {"english": english, "pairs": n, "hops": h},
        )

    return draw("lookup", seed, split, build)


def check(problem: Problem, text: str) -> bool:
    """Whether the reply's answer is the problem's."""
    return parse(text) == problem.answer


def world(each: int = 40, split: Split = "test", pairs: Span = PAIRS, hops: Span = HOPS) -> ProblemSet:
    """`each` lookups per seed."""
    return ProblemSet((partial(sample, pairs=pairs, hops=hops),), check, each, split)
