"""Long text in which facts are told once and asked for later, among text that repeats itself: for long attention heads.

A fact is a key and a value, two numbers of two figures ("=4627;"), told once at a random place; it is asked for in the
same way with a question mark ("?4627;"), as often as there is room. Between facts stand spans of 256 to 1,024 letters,
each in one of four languages of `delta_copy`: a chain of letters, with copies of what stood one of two lags of up to
200 letters before. What can be known of such a text is the value that is asked for, from its fact however far back, and
some of the letters, from the last one, the lags and the language of the span.

A letter, a mark and a number of two figures are a token each of the built-in models.
"""

from __future__ import annotations

import re
import string
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from assay.worlds import delta_copy

LETTERS = " " + string.ascii_lowercase
NUMBERS = range(10, 100)  # keys and values
LANGUAGES, LAGS, LONGEST_LAG, COPIED = 4, 2, 200, 0.6
SPAN = (256, 1024)  # letters in one language
FACT = 4  # tokens of a fact and of a question: mark, key, value, semicolon
_ASKED = re.compile(r"\?\d\d(\d\d);")


@dataclass(frozen=True)
class RecallText:
    """The world: `count` texts of `length` tokens a seed, with a fact or a question every `spacing` tokens on average;
    at the least spacing, 4, there is nothing else."""

    count: int = 8
    length: int = 512
    spacing: int = 16

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ValueError(f"count: got {self.count}, wanted at least 1 text")
        if self.spacing < FACT:
            raise ValueError(f"spacing: got {self.spacing}, wanted at least the {FACT} tokens of a fact")
        if self.length < 4 * self.spacing:
            raise ValueError(f"length: got {self.length}, wanted at least {4 * self.spacing} tokens")

    def sample(self, seed: int) -> tuple[str, ...]:
        """The texts of this seed."""
        rng = np.random.default_rng([seed, 2])
        places = self.length // self.spacing
        return tuple("".join(_with_facts(_letters(self.length, rng), places, rng)) for _ in range(self.count))

    def check(self, texts: Sequence[str], said: Sequence[str]) -> float:
        """Share of the values asked for that were said, in the order of the texts and of the places in them.

        Raises ValueError unless there is one answer a question.
        """
        wanted = [value for text in texts for value in asked(text)]
        if len(said) != len(wanted):
            raise ValueError(f"said: got {len(said)} answers, wanted {len(wanted)}, one a question")
        return sum(a == b for a, b in zip(said, wanted)) / len(wanted)


def world(count: int = 8, length: int = 512, spacing: int = 16) -> RecallText:
    """The world for trials: `world="recall_text"`."""
    return RecallText(count, length, spacing)


def asked(text: str) -> list[str]:
    """The values that a text asks for."""
    return _ASKED.findall(text)


@cache
def _stock(language: int) -> NDArray[np.int64]:
    """Text of a language to take spans from, (64, 4096); chain and lags are the same for every seed."""
    rows: NDArray[np.int64] = (
        delta_copy.world(LAGS, LONGEST_LAG, 4096, len(LETTERS), COPIED).sample(language).rows(64).numpy()
    )
    return rows


def _letters(length: int, rng: np.random.Generator) -> list[str]:
    spans: list[str] = []
    while len(spans) < length:
        stock = _stock(int(rng.integers(LANGUAGES)))
        size = int(rng.integers(SPAN[0], SPAN[1] + 1))
        start = int(rng.integers(stock.shape[1] - size))
        spans += [LETTERS[i] for i in stock[rng.integers(len(stock)), start : start + size]]
    return spans[:length]


def _with_facts(tokens: list[str], places: int, rng: np.random.Generator) -> list[str]:
    """The tokens with facts and questions over them: one in two tells a new fact while there are some."""
    slots = np.sort(rng.permutation(len(tokens) // FACT)[:places]) * FACT
    facts = dict(zip(rng.permutation(NUMBERS).tolist(), rng.choice(NUMBERS, len(NUMBERS)).tolist()))
    untold, told = list(facts), list[str]()
    for place in slots.tolist():
        new = bool(untold) and (not told or rng.random() < 0.5)
        key = untold.pop() if new else told[int(rng.integers(len(told)))]
        if new:
            told.append(key)
        tokens[place : place + FACT] = ["=" if new else "?", str(key), str(facts[key]), ";"]
    return tokens
