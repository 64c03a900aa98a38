"""What every text world shares: the problem, its split, the seeded draw, and the set a trial acts on.

Train and test never meet: which split a prompt belongs to is read off the prompt itself (`split_of`), and a
draw that lands on the wrong side is drawn again.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Split = Literal["train", "test"]
Span = tuple[int, int]  # lowest and highest value, both included

ONE_IN = 10  # one prompt in ten belongs to the test split
_PATIENCE = 500  # draws in a row that bring nothing new
_ANSWER = re.compile(r"^\s*#[ \t]*(.*?)\s*$", re.MULTILINE)


@dataclass(frozen=True)
class Problem:
    """One task. `prompt` is what the small models read, `trace` a worked reply that ends in `#answer`.

    `meta["english"]` says the same task in plain English, for any other model.
    """

    prompt: str
    trace: str
    answer: str
    kind: str
    meta: dict[str, Any] = field(default_factory=dict)


def digest(*parts: object) -> int:
    """64 bits that depend on the parts alone (unlike Python's `hash`, which changes from run to run)."""
    data = "\x1f".join(map(str, parts)).encode()
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "big")


def start_seed(seed: int, attempt: int) -> int:
    """Where a start is drawn from, 0 being the first attempt: `seed` itself, then one seed after another."""
    return digest(seed, "again", attempt) >> 33 if attempt else seed


def split_of(prompt: str) -> Split:
    """The split a prompt belongs to, whoever drew it and however often."""
    return "test" if digest(prompt) % ONE_IN == 0 else "train"


def draw(kind: str, seed: int, split: Split, build: Callable[[random.Random], Problem]) -> Problem:
    """The first problem of the stream (kind, seed, split) that belongs to the split."""
    if split not in ("train", "test"):
        raise ValueError(f"split: got {split!r}, wanted 'train' or 'test'")
    rng = random.Random(digest(kind, seed, split))
    while True:
        problem = build(rng)
        if split_of(problem.prompt) == split:
            return problem


def parse(text: str) -> str | None:
    """The answer of a reply: what follows the last `#` at the start of a line; None without one."""
    found = _ANSWER.findall(text)
    return found[-1] if found else None


def check_span(name: str, span: Sequence[int], low: int, high: int) -> Span:
    """`span` as (lowest, highest); ValueError unless low <= lowest <= highest <= high."""
    if len(span) != 2 or not low <= span[0] <= span[1] <= high:
        raise ValueError(f"{name}: got {tuple(span)}, wanted (lowest, highest) within {low} to {high}")
    return int(span[0]), int(span[1])


@dataclass(frozen=True)
class ProblemSet:
    """The world a trial acts on: `each` problems of every part per seed, no prompt twice."""

    parts: tuple[Callable[[int, Split], Problem], ...]
    checker: Callable[[Problem, str], bool]
    each: int
    split: Split = "test"

    def __post_init__(self) -> None:
        if self.each < 1:
            raise ValueError(f"each: got {self.each}, wanted at least 1")

    def sample(self, seed: int) -> tuple[Problem, ...]:
        """The problems of a seed, the parts one after another."""
        problems: dict[str, Problem] = {}
        for p, part in enumerate(self.parts):
            wanted, i, in_vain = len(problems) + self.each, 0, 0
            while len(problems) < wanted:
                problem = part(digest(seed, p, i), self.split)
                in_vain = in_vain + 1 if problem.prompt in problems else 0
                if in_vain == _PATIENCE:
                    raise ValueError(f"each: got {self.each}, wanted fewer: the world has not so many problems")
                problems.setdefault(problem.prompt, problem)
                i += 1
        return tuple(problems.values())

    def check(self, problem: Problem, text: str) -> bool:
        """Whether a reply solves the problem."""
        return self.checker(problem, text)
