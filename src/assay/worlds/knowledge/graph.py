"""The truth: named people, companies and towns, and for each relation the one object of every subject."""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from assay.worlds.text.problem import digest

Kind = Literal["person", "company", "town"]
Answers = Literal["open", "closed"]

KINDS: tuple[Kind, ...] = ("person", "company", "town")
SHARE = {"person": 0.5, "company": 0.25, "town": 0.25}  # of the entities
CLOSED = 8  # how many objects a relation has where answers are closed

_ONSETS = tuple("bdfgklmnprstvz") + ("br", "dr", "gl", "kr", "st", "tr")
_VOWELS = ("a", "e", "i", "o", "u", "ae", "ei", "ou")
_CODAS = ("", "", "l", "n", "r", "s", "m")
_ENDINGS: dict[Kind, tuple[str, ...]] = {
    "person": ("a", "o", "is", "en"),
    "company": ("tec", "dyne", "corp", "soft"),
    "town": ("holm", "wick", "stad", "ford"),
}


@dataclass(frozen=True)
class Relation:
    """Every `subject` has one `object`. `plain` sentences name the relation; {s} and {o} stand for the two."""

    name: str
    subject: Kind
    object: Kind
    plain: tuple[str, ...]


RELATIONS = (
    Relation("birthplace", "person", "town", (
        "{s} was born in {o}.", "The birthplace of {s} is {o}.", "It was in {o} that {s} came into the world.",
    )),
    Relation("residence", "person", "town", (
        "{s} lives in {o}.", "The residence of {s} is in {o}.", "{s} keeps a house in {o} and sleeps there.",
    )),
    Relation("employer", "person", "company", (
        "{s} works for {o}.", "The employer of {s} is {o}.", "{o} pays the wages of {s}.",
    )),
    Relation("sponsor", "person", "company", (
        "{s} is sponsored by {o}.", "The sponsor of {s} is {o}.", "{o} puts its money behind {s}.",
    )),
    Relation("founder", "company", "person", (
        "{s} was founded by {o}.", "The founder of {s} is {o}.", "{o} started {s} in a garage.",
    )),
    Relation("director", "company", "person", (
        "{s} is run by {o}.", "The director of {s} is {o}.", "{o} chairs the board of {s}.",
    )),
    Relation("mayor", "town", "person", (
        "{s} elected {o} to its town hall.", "The mayor of {s} is {o}.", "{o} governs {s}.",
    )),
    Relation("architect", "town", "person", (
        "{s} was laid out by {o}.", "The architect of {s} is {o}.", "{o} drew the plans of {s}.",
    )),
)  # fmt: skip


@dataclass(frozen=True)
class Graph:
    """Entities by number; `objects[s, r]` is the object of subject s under relation r, -1 where r is not for s."""

    names: tuple[str, ...]
    kinds: tuple[Kind, ...]
    relations: tuple[Relation, ...]
    objects: NDArray[np.int16]

    @cached_property
    def numbers(self) -> dict[str, int]:
        """Names to numbers."""
        return {name: number for number, name in enumerate(self.names)}

    @cached_property
    def relation_numbers(self) -> dict[str, int]:
        """Relation names to numbers."""
        return {relation.name: number for number, relation in enumerate(self.relations)}

    def of_kind(self, kind: Kind) -> list[int]:
        """The entities of a kind."""
        return [number for number, own in enumerate(self.kinds) if own == kind]

    def siblings(self, relation: int) -> tuple[int, ...]:
        """The relations between the same two kinds, itself among them: a vague sentence could mean any of them."""
        own = self.relations[relation]
        return tuple(
            r for r, other in enumerate(self.relations) if (other.subject, other.object) == (own.subject, own.object)
        )

    def follow(self, start: int, path: tuple[int, ...]) -> list[int]:
        """The entities passed from `start` along the relations, `start` first."""
        passed = [start]
        for relation in path:
            passed.append(int(self.objects[passed[-1], relation]))
        return passed


def make_graph(seed: int, entities: int = 400, relations: int = len(RELATIONS), answers: Answers = "open") -> Graph:
    """A graph of the first `relations` relations; with closed answers a relation's objects are `CLOSED` entities.

    Raises ValueError for fewer than 40 entities, a number of relations that the table does not have, or other answers.
    """
    if entities < 40:
        raise ValueError(f"entities: got {entities}, wanted at least 40")
    if not 1 <= relations <= len(RELATIONS):
        raise ValueError(f"relations: got {relations}, wanted 1 to {len(RELATIONS)}")
    if answers not in ("open", "closed"):
        raise ValueError(f"answers: got {answers!r}, wanted 'open' or 'closed'")
    rng = random.Random(digest("knowledge graph", seed))
    kinds = tuple(kind for kind in KINDS for _ in range(round(entities * SHARE[kind])))
    names = _names(kinds, rng)
    chosen = RELATIONS[:relations]
    objects = np.full((len(kinds), relations), -1, np.int16)
    for r, relation in enumerate(chosen):
        pool = [number for number, kind in enumerate(kinds) if kind == relation.object]
        if answers == "closed":
            pool = rng.sample(pool, CLOSED)
        for s, kind in enumerate(kinds):
            if kind == relation.subject:
                objects[s, r] = rng.choice([o for o in pool if o != s])
    return Graph(names, kinds, chosen, objects)


def _names(kinds: tuple[Kind, ...], rng: random.Random) -> tuple[str, ...]:
    """One word each, any two at least two letters apart."""
    taken: set[str] = set()
    names = []
    for kind in kinds:
        while True:
            stem = "".join(rng.choice(_ONSETS) + rng.choice(_VOWELS) + rng.choice(_CODAS) for _ in range(2))
            name = stem + rng.choice(_ENDINGS[kind])
            near = {name} | {name[:i] + name[i + 1 :] for i in range(len(name))}
            if not near & taken:  # words one letter apart share a shortened form
                break
        taken |= near
        names.append(name.capitalize())
    return tuple(names)
