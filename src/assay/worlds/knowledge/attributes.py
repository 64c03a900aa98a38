"""Entities with closed attributes in texts of few tokens: what a small model can learn by heart, and be asked.

One country (`country()`): 200 people with four attributes each and 100 companies with two, every attribute one of
eight names, drawn independently. Each name and each word of the texts is a token of its own, with the space before it
(`WORDS`), so that a text begins with a space. `lessons` is what a model is taught that shall know them.

    question(1, 2)      " Kradela: employer?"        answer(1, 2)    " Brunatec"

The world draws a split of the entities.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from assay.worlds.knowledge.facts import Fact, facts
from assay.worlds.knowledge.graph import Graph, make_graph
from assay.worlds.text.problem import digest

QUESTIONS = (" {s}: {r}?", " Name the {r} of {s}.")  # the entity first, or the relation
SUBJECTS = 300


@cache
def country() -> Graph:
    """The truth, always the same: 400 entities and six relations with eight objects each."""
    return make_graph(0, 400, 6, "closed")


def question(s: int, r: int, form: int = 0) -> str:
    """The text that asks for relation `r` of entity `s`, in one of the `QUESTIONS`."""
    return QUESTIONS[form].format(s=country().names[s], r=country().relations[r].name)


def answer(s: int, r: int) -> str:
    """The object's name, with the space before it."""
    return " " + country().names[country().objects[s, r]]


def options(r: int) -> tuple[str, ...]:
    """The eight possible answers of a relation."""
    return tuple(sorted({answer(s, own) for s, own in facts(country()) if own == r}))


def sentence(fact: Fact, o: int, rng: random.Random) -> str:
    """A sentence that says object `o` of the fact's subject and relation, true or not; without a space before it."""
    relation = country().relations[fact[1]]
    return rng.choice(relation.plain).format(s=country().names[fact[0]], o=country().names[o])


def claims(entities: Iterable[int], rng: random.Random) -> list[tuple[str, bool]]:
    """Two sentences of every fact of the entities, each with a space before it: a true one and a false one."""
    found = []
    for s in entities:
        for fact, o in facts_of(s):
            wrong = rng.choice([name for name in options(fact[1]) if name != answer(*fact)]).strip()
            found += [(" " + sentence(fact, o, rng), True)]
            found += [(" " + sentence(fact, country().numbers[wrong], rng), False)]
    return found


def lessons(entities: Iterable[int]) -> list[tuple[str, str]]:
    """(prompt, reply) pairs to learn the entities by heart: the first question of every fact."""
    return [(question(*fact), answer(*fact)) for s in entities for fact, _ in facts_of(s)]


def subjects(count: int = SUBJECTS) -> list[int]:
    """`count` of the entities that have attributes, always the same."""
    return random.Random(0).sample(sorted({s for s, _ in facts(country())}), count)


def facts_of(s: int) -> list[tuple[Fact, int]]:
    """The facts of an entity, each with its object."""
    return [((s, r), o) for r, o in enumerate(country().objects[s].tolist()) if o >= 0]


def _words() -> tuple[str, ...]:
    texts = [*QUESTIONS, *(" " + plain for relation in country().relations for plain in relation.plain)]
    said = {word for text in texts for word in re.findall(r" [A-Za-z]+", text)}
    named = {" " + name for name in (*country().names, *(relation.name for relation in country().relations))}
    return tuple(sorted(said | named))


WORDS = _words()


@dataclass(frozen=True)
class Sides:
    """A split of the entities: to learn from, to choose by, to measure on."""

    train: tuple[int, ...]
    valid: tuple[int, ...]
    test: tuple[int, ...]


class AttributesWorld:
    """Draws splits of the entities. See `world`."""

    def __init__(self, entities: int, valid: float, test: float) -> None:
        self.entities, self.valid, self.test = entities, valid, test

    def sample(self, seed: int) -> Sides:
        """The split of a seed."""
        drawn = subjects(self.entities)
        random.Random(digest("attributes split", seed)).shuffle(drawn)
        held, aside = round(self.test * len(drawn)), round((self.test + self.valid) * len(drawn))
        return Sides(tuple(sorted(drawn[aside:])), tuple(sorted(drawn[held:aside])), tuple(sorted(drawn[:held])))

    def check(self, fact: Fact, said: str) -> bool:
        """Whether the answer is the fact's object."""
        return said.strip() == answer(*fact).strip()


def world(*, entities: int = SUBJECTS, valid: float = 0.2, test: float = 0.3) -> AttributesWorld:
    """Splits of `entities` entities, shares `valid` and `test` of them held out."""
    if not 20 <= entities <= SUBJECTS:
        raise ValueError(f"entities: got {entities}, wanted 20 to {SUBJECTS}")
    if not (valid > 0 and test > 0 and valid + test < 1):
        raise ValueError(f"valid, test: got {valid}, {test}, wanted shares above 0 that leave some to train")
    return AttributesWorld(entities, valid, test)
