"""Answers that lean on a memory as far as they are asked to: `R41 63 58 44 67 b same way` and five numbers.

    41 63 58 44 67      "same way": all of them remembered
    52 49 61 66 43      "new start": none of them

The memory holds five numbers of the asked kind (a: 10 to 39, b: 40 to 69, c: 70 to 99). An answer is five numbers of
that kind, none twice, each remembered or new. How far to lean on the memory, 1 (not at all) to 5 (on nothing else), is
said in one of four phrases a level, an opening with an ending; one pairing of each level is kept for the test split.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

from assay.worlds.text.problem import Problem, ProblemSet, Split, draw

KINDS = {"a": range(10, 40), "b": range(40, 70), "c": range(70, 100)}
LEVELS = (1, 2, 3, 4, 5)
ITEMS = 5
LONGEST = 10  # tokens of an answer, its end included

_HALVES = {  # openings and endings by level; the second opening with the second ending is the test's
    1: (("new", "raw"), ("start", "page")),
    2: (("bold", "free"), ("step", "take")),
    3: (("even", "fair"), ("mix", "half")),
    4: (("firm", "near"), ("base", "hold")),
    5: (("same", "old"), ("way", "path")),
}


def phrases(level: int, split: Split) -> tuple[str, ...]:
    """How the level is said: three phrases for training, and one of the same words, paired anew, for the test."""
    openings, endings = _HALVES[level]
    every = tuple(f"{opening} {ending}" for opening in openings for ending in endings)
    return every[3:] if split == "test" else every[:3]


def sample(
    seed: int,
    split: Split = "test",
    *,
    copied: Sequence[float] = (0.0, 0.2, 0.4, 0.6, 1.0),
    explicit: bool = False,
    forgetful: bool = False,
) -> Problem:
    """One question, its level drawn evenly.

    copied      by level, how likely each number of the worked reply is the memory's at its place; the others are new
    explicit    say the level as a number instead
    forgetful   show no memory

    `meta`: "english", "level", "kind", "memory" (the numbers as text, shown or not), "query" (the kind and the phrase).
    The answer is the worked reply, one of many.
    """
    if len(copied) != len(LEVELS) or not all(0 <= share <= 1 for share in copied):
        raise ValueError(f"copied: got {tuple(copied)}, wanted five shares in [0, 1]")

    def build(rng: random.Random) -> Problem:
        kind, level = rng.choice(sorted(KINDS)), rng.choice(LEVELS)
        said = rng.choice(phrases(level, split))
        numbers = [str(number) for number in rng.sample(KINDS[kind], 2 * ITEMS)]
        memory, new = numbers[:ITEMS], numbers[ITEMS:]
        trace = " ".join(old if rng.random() < copied[level - 1] else other for old, other in zip(memory, new))
        meta = {"level": level, "kind": kind, "memory": tuple(memory), "query": f"{kind} {said}"}
        meta["english"] = _english(KINDS[kind], "" if forgetful else " ".join(memory), said)
        problem = Problem("", trace, trace, "recall", meta)
        return replace(problem, prompt=asked(problem, explicit=explicit, forgetful=forgetful))

    return draw("recall", seed, split, build)


def asked(problem: Problem, *, explicit: bool = False, forgetful: bool = False) -> str:
    """The prompt of a problem; at wish with the level as a number, or without its memory."""
    shown = "" if forgetful else " ".join(problem.meta["memory"])
    query = f"{problem.meta['kind']} level {problem.meta['level']}" if explicit else problem.meta["query"]
    return f"R{shown} {query}"


def quality(kind: str, text: str) -> float:
    """Share of the five numbers that are there: of the asked kind, none counted twice; what is too much counts
    against it."""
    written = text.split(" ")
    fit = {number for number in written if number.isdecimal() and int(number) in KINDS[kind]}
    return len(fit) / max(ITEMS, len(written))


def check(problem: Problem, text: str) -> bool:
    """Whether the reply is five fit numbers; how far it leans on the memory is not looked at."""
    return quality(problem.meta["kind"], text) == 1


def world(each: int = 200, split: Split = "test") -> ProblemSet:
    """`each` questions per seed."""
    return ProblemSet((sample,), check, each, split)


def _english(kind: range, remembered: str, said: str) -> str:
    return (
        f"You remember {remembered or 'nothing'}. Name five different numbers from {kind[0]} to {kind[-1]}, remembered "
        f'or new, as this says: "{said}". Write the numbers alone, with a space between them.'
    )
