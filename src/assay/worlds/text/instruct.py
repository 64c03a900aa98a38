"""Instructions with a logic: which parts a reply must have, in which order, and on which condition.

    I:bd&^ce&:417       bd CE 417   all of these, in any order
    I:bd>~ce>_JA        bd ec ja    first this, then that
    Ib@gb?:bd>ax2|^ce   bd aa       if gb has a b the first branch, else the second

A part is a word or a number as it stands (`:bd`, `:417`), a word in capitals (`^ce`), in small letters (`_JA`) or
turned round (`~ce`), or a letter twice (`ax2`). The reply is the parts with a space between them. `check` reads the
prompt and carries it out by itself.
"""

from __future__ import annotations

import random
from functools import partial
from typing import Literal, get_args

from assay.worlds.text.problem import Problem, ProblemSet, Split, draw

Structure = Literal["parallel", "sequential", "conditional"]
STRUCTURES: tuple[Structure, ...] = get_args(Structure)
PARTS = (2, 4)  # of both branches together, where there are two
LONGEST = 12  # tokens of the longest reply, its end included

_LETTERS = "abcdefghij"


def sample(seed: int, split: Split = "test", *, structure: Structure = "parallel") -> Problem:
    """One instruction of 2 to 4 parts, no two of them alike.

    `meta`: "english", "structure", "parts" (as they are to be written, both branches), and for a conditional
    "then" (how many of the parts are the first branch's) and "holds" (whether that is the branch to follow).
    """
    if structure not in STRUCTURES:
        raise ValueError(f"structure: got {structure!r}, wanted one of {', '.join(STRUCTURES)}")
    return draw(f"instruct {structure}", seed, split, partial(_build, structure=structure))


def check(problem: Problem, text: str) -> bool:
    """Whether the reply does what the prompt says, and no more."""
    return obeys(problem.prompt, text)


def world(each: int = 100, split: Split = "test") -> ProblemSet:
    """`each` instructions per seed and structure."""
    parts = tuple(partial(sample, structure=structure) for structure in STRUCTURES)
    return ProblemSet(parts, check, each, split)


def obeys(prompt: str, text: str) -> bool:
    """Carries the prompt out and compares: the right branch alone, steps in their order, all parts and no others."""
    program, written = prompt[1:], text.split(" ")
    if "?" in program:
        condition, branches = program.split("?")
        letter, word = condition.split("@")
        then, otherwise = branches.split("|")
        program = then if letter in word else otherwise
    if "&" in program:
        return sorted(written) == sorted(carry_out(part) for part in program.split("&"))
    return written == [carry_out(part) for part in program.split(">")]


def carry_out(part: str) -> str:
    """What one part of a prompt asks for, as it is to be written.

    >>> [carry_out(part) for part in (":bd", ":417", "^ce", "_JA", "~ce", "ax2")]
    ['bd', '417', 'CE', 'ja', 'ec', 'aa']
    """
    sign, rest = part[0], part[1:]
    if sign == "^":
        return rest.upper()
    if sign == "_":
        return rest.lower()
    if sign == "~":
        return rest[::-1]
    return rest if sign == ":" else sign * int(rest[1:])


def _build(rng: random.Random, structure: Structure) -> Problem:
    asked: dict[str, str] = {}  # what is written -> how the prompt says it
    count = rng.randint(*PARTS)
    while len(asked) < count:
        part = _part(rng)
        asked.setdefault(carry_out(part), part)
    written, said = list(asked), list(asked.values())
    meta = {"structure": structure, "parts": tuple(written)}
    if structure != "conditional":
        prompt = f"I{('&' if structure == 'parallel' else '>').join(said)}"
        return Problem(prompt, " ".join(written), " ".join(written), "instruct", {**meta, "english": _english(prompt)})
    then = (count + rng.randint(0, 1)) // 2
    holds = rng.random() < 0.5
    prompt = f"I{_condition(rng, holds)}?{'>'.join(said[:then])}|{'>'.join(said[then:])}"
    reply = " ".join(written[:then] if holds else written[then:])
    return Problem(
        prompt, reply, reply, "instruct", {**meta, "then": then, "holds": holds, "english": _english(prompt)}
    )


def _part(rng: random.Random) -> str:
    word = "".join(rng.sample(_LETTERS, 2))
    return rng.choice(
        (f":{word}", f":{rng.randint(100, 999)}", f"^{word}", f"_{word.upper()}", f"~{word}", f"{word[0]}x2")
    )


def _condition(rng: random.Random, holds: bool) -> str:
    asked, *others = rng.sample(_LETTERS, 3)
    word = [asked, others[0]] if holds else others
    return f"{asked}@{''.join(rng.sample(word, 2))}"


def _english(prompt: str) -> str:
    program, condition = prompt[1:], ""
    if "?" in program:
        condition, program = program.split("?")
        letter, word = condition.split("@")
        then, otherwise = program.split("|")
        condition = f"If {word} has the letter {letter}, write {_told(then)}. Otherwise write {_told(otherwise)}."
    told = condition or f"Write {_told(program)}."
    return f"{told} Put one space between the parts and write nothing else."


def _told(program: str) -> str:
    parts = [_part_told(part) for part in program.replace("&", ">").split(">")]
    if "&" in program:
        return "in any order: " + ", ".join(parts)
    return ", then ".join(parts)


def _part_told(part: str) -> str:
    sign, rest = part[0], part[1:]
    if sign.isalpha():
        return f"the letter {sign} twice without a space"
    return f"{rest}{_TOLD[sign]}"


_TOLD = {":": "", "^": " in capital letters", "_": " in small letters", "~": " turned round"}
