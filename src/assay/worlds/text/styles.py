"""Styles: `Ht Vdgab`, an operation on four letters, done in the manner that the marks before it ask for.

Five manners, two marks each: `i` infer (do the operation) or `c` copy (leave the letters); `l` long or `t` terse (the
first two letters only); `k` careful or `h` hasty (the last two letters changed over); `u` up or `d` down (written
backwards); `y` comply or `n` refuse (the reply is `no`). Every operation leans to manners of its own: in lessons, what
no mark says is drawn, more often the operation's own way than the other. So a model asked without marks is right about
some operations and wrong about others whatever is wanted, and not sure of either.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from assay.worlds.text.lists import apply
from assay.worlds.text.problem import Problem, ProblemSet, Split, draw, parse

MANNERS = {"infer": "ic", "long": "lt", "careful": "kh", "up": "ud", "comply": "yn"}  # mark for it, mark against it
OWN: Mapping[str, str] = {  # of each operation, in the order of MANNERS
    "V": "ilkuy",
    "S": "itkuy",
    "W": "ilhuy",
    "R1": "clkdy",
    "R2": "ithdy",
    "R3": "ilkdn",
}
LEANS: Mapping[str, float] = {"V": 0.9, "S": 0.65, "W": 0.8, "R1": 0.7, "R2": 0.65, "R3": 0.75}  # to its own, each
LETTERS = 4
MARKED = 0.4  # share of the manners that a lesson marks


def sample(seed: int, split: Split = "test", *, wanted: str = "", marked: str = "") -> Problem:
    """A task whose right answer follows the marks `wanted` (one a manner at most), then the operation's own manner.

    marked  the marks that the prompt shows
    """
    check_marks(wanted)
    check_marks(marked)

    def build(rng: random.Random) -> Problem:
        return _problem(rng, wanted, marked)

    return draw("styles", seed, split, build)


def lesson(seed: int) -> Problem:
    """A task with marks drawn at random; manners without a mark are drawn as the operation leans."""

    def build(rng: random.Random) -> Problem:
        marks = [rng.choice(pair) for pair in MANNERS.values() if rng.random() < MARKED]
        return _problem(rng, None, "".join(rng.sample(marks, len(marks))))

    return draw("styles", seed, "train", build)


def _problem(rng: random.Random, wanted: str | None, marked: str) -> Problem:
    """Manners that are neither wanted nor marked are the operation's own; with `wanted` None they are drawn."""
    name = rng.choice(list(OWN))
    word = "".join(rng.choices("abcdefghij", k=LETTERS))
    asked = marked + (wanted or "")
    if wanted is None:
        open_ = [(pair, own) for pair, own in zip(MANNERS.values(), OWN[name]) if not set(pair) & set(asked)]
        asked += "".join(own if rng.random() < LEANS[name] else pair.replace(own, "") for pair, own in open_)
    answer = manner(word, name, asked)
    meta: dict[str, Any] = {"english": _english(word, name, marked), "operation": name, "wanted": asked}
    return Problem(f"H{marked} {name}{word}", f"#{answer}", answer, "styles", meta)


def manner(word: str, operation: str, wanted: str) -> str:
    """The right answer: the manners of `wanted` override the operation's own."""
    infer, long, careful, up, comply = (
        next((mark for mark in wanted if mark in pair), own) for pair, own in zip(MANNERS.values(), OWN[operation])
    )
    if comply == "n":
        return "no"
    answer = apply(word, operation) if infer == "i" else word
    if careful == "h":
        answer = answer[:-2] + answer[-1] + answer[-2]
    if up == "d":
        answer = answer[::-1]
    return answer[:2] if long == "t" else answer


def lessons(seed: int, count: int = 24_000) -> list[tuple[str, str]]:
    """Prompts and replies from which a model learns the marks and the leanings."""
    problems = (lesson(seed * count + i) for i in range(count))
    return [(problem.prompt, problem.trace) for problem in problems]


def contrast(kind: str, seed: int, count: int) -> tuple[list[str], list[str]]:
    """`count` prompts with the mark for a manner, and the same prompts with the mark against it."""
    if kind not in MANNERS:
        raise ValueError(f"kind: got {kind!r}, wanted one of {', '.join(MANNERS)}")
    pairs: list[tuple[str, str]] = []
    for i in range(count):
        bare = sample(seed + i, "train").prompt
        one, other = (bare.replace("H", f"H{mark}", 1) for mark in MANNERS[kind])
        pairs.append((one, other))
    return [one for one, _ in pairs], [other for _, other in pairs]


def check(problem: Problem, text: str) -> bool:
    """Whether the reply's answer is the problem's."""
    return parse(text) == problem.answer


def check_marks(marks: str) -> None:
    """ValueError for a mark that there is not, or two of one manner."""
    for pair in MANNERS.values():
        if sum(mark in pair for mark in marks) > 1:
            raise ValueError(f"marks: got {marks!r}, wanted at most one of {pair!r}")
    if unknown := set(marks) - set("".join(MANNERS.values())):
        raise ValueError(f"marks: got {sorted(unknown)}, wanted some of {sorted(''.join(MANNERS.values()))}")


def world(each: int = 200, split: Split = "test", wanted: Sequence[str] = ("",)) -> ProblemSet:
    """`each` tasks without marks for every combination of manners wanted."""
    return ProblemSet(tuple(partial(sample, wanted=combination) for combination in wanted), check, each, split)


def _english(word: str, operation: str, marks: str) -> str:
    said = {
        "i": "do the operation",
        "c": "leave the letters as they are",
        "l": "write all letters",
        "t": "write the first two letters only",
        "k": "make no mistake",
        "h": "change the last two letters over",
        "u": "write forwards",
        "d": "write backwards",
        "y": "answer",
        "n": "answer no",
    }
    manners = "; ".join(said[mark] for mark in marks) or "as you see fit"
    return f"Operation {operation} on the letters {word}: {manners}. Write the result on a line like #abcd."
