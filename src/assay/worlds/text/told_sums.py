"""Sums told in words: `S12+7+5` is answered in two steps, with words between them that could as well be others.

    well now 12+7=19
    then next 19+5=24
    so thus #24

Each of the six places has its habitual word and 47 equals, so the words are free; the numbers are not. `habit` is the
share of the places that hold the habitual word: near 1 for someone's own way of telling, 0 for another's.
"""

from __future__ import annotations

import random
from functools import partial

from assay.worlds.text.problem import Problem, ProblemSet, Split, draw

HABITUAL = ("well", "now", "then", "next", "so", "thus")
OTHERS = (
    "okay right first start here look see let try take add with plus join put fold bring count find get make have give "
    "reach after later onward again also and besides further still more hence finally lastly total done clear sure yes"
)
WORDS = (*HABITUAL, *OTHERS.split())
TOKENS = tuple(f"{word} " for word in WORDS)  # a word and the space after it; what `tokenizer.build` is given
LONGEST = 24  # tokens: a reply has 21 with its end


def sample(seed: int, split: Split = "test", *, below: int = 20, habit: float = 0.0) -> Problem:
    """Three numbers below `below`, added from left to right."""
    if not 2 <= below <= 34:
        raise ValueError(f"below: got {below}, wanted 2 to 34, so that every total has two digits at most")
    if not 0 <= habit <= 1:
        raise ValueError(f"habit: got {habit}, wanted a share in [0, 1]")
    return draw("told_sums", seed, split, partial(_problem, below=below, habit=habit))


def check(problem: Problem, text: str) -> bool:
    """Whether the reply's last `#` is followed by the sum and nothing else."""
    return text.rpartition("#")[2].strip() == problem.answer and "#" in text


def world(each: int = 400, split: Split = "test", below: int = 20, habit: float = 0.0) -> ProblemSet:
    """`each` sums per seed."""
    return ProblemSet((partial(sample, below=below, habit=habit),), check, each, split)


def _problem(rng: random.Random, below: int, habit: float) -> Problem:
    a, b, c = (rng.randrange(below) for _ in range(3))
    words = [usual if rng.random() < habit else _other(usual, rng) for usual in HABITUAL]
    w1, w2, w3, w4, w5, w6 = words
    reply = f"{w1} {w2} {a}+{b}={a + b}\n{w3} {w4} {a + b}+{c}={a + b + c}\n{w5} {w6} #{a + b + c}"
    english = (
        f"Add {a}, {b} and {c} from left to right. Tell each addition on a line of its own like 'well now 12+7=19', "
        "then the total on a last line that ends like #24."
    )
    return Problem(f"S{a}+{b}+{c}", reply, str(a + b + c), "told_sums", {"english": english, "below": below})


def _other(usual: str, rng: random.Random) -> str:
    word = rng.choice(WORDS[:-1])
    return WORDS[-1] if word == usual else word  # the last word takes the usual one's place in the draw
