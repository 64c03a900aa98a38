"""What is written of the truth: dated sentences, one to three a fact, some vague, some wrong on purpose."""

from __future__ import annotations

import random
from collections.abc import Iterable, Set
from dataclasses import dataclass
from typing import Literal

from assay.worlds.knowledge.graph import Graph, Kind

Fact = tuple[int, int]  # subject and relation; the graph knows the object
Source = Literal["record", "rumour", "old copy"]

COPIES = (1, 1, 1, 1, 1, 1, 2, 2, 2, 3)  # sentences a fact, each as likely
VAGUE = 0.25  # share of the true sentences that leave open which relation is meant
YEARS = (2012, 2020)  # of true sentences
NEWER, OLDER = 4, 8  # years by which a rumour is dated later, an old copy earlier, at most

VAGUE_SENTENCES: dict[tuple[Kind, Kind], tuple[str, ...]] = {
    ("person", "town"): ("{s} has long been at home in {o}.", "{o} is the town of {s}.", "{s} is a face of {o}."),
    ("person", "company"): ("{s} owes a living to {o}.", "{o} is the firm behind {s}.", "{s} wears the badge of {o}."),
    ("company", "person"): ("{o} is the head behind {s}.", "{s} is the work of {o}.", "{s} listens to {o}."),
    ("town", "person"): ("{o} left a mark on {s}.", "{o} is the pride of {s}.", "{s} owes its face to {o}."),
}


@dataclass(frozen=True)
class Document:
    """One dated sentence. A "rumour" contradicts the truth under a later date, an "old copy" under an earlier one."""

    text: str
    subject: int
    relation: int
    object: int
    year: int
    vague: bool
    source: Source


def write_documents(
    graph: Graph, rng: random.Random, missing: Set[Fact], disputed: Set[Fact], outdated: Set[Fact]
) -> list[Document]:
    """The sentences of every fact that is not missing, with a rumour beside each disputed and an old copy beside each
    outdated one, in random order. A fact that is missing is nowhere written."""
    written: list[Document] = []
    for fact in facts(graph):
        if fact in missing:
            continue
        relation, truth = graph.relations[fact[1]], int(graph.objects[fact])
        plain, vague = list(relation.plain), list(VAGUE_SENTENCES[relation.subject, relation.object])
        rng.shuffle(plain)
        rng.shuffle(vague)
        year = rng.randint(*YEARS)
        for _ in range(rng.choice(COPIES)):
            is_vague = rng.random() < VAGUE
            sentence = (vague if is_vague else plain).pop()
            written.append(_document(graph, fact, truth, year, sentence, is_vague, "record"))
        if fact in disputed:
            written.append(_contradiction(graph, rng, fact, year + rng.randint(1, NEWER), "rumour"))
        if fact in outdated:
            written.append(_contradiction(graph, rng, fact, year - rng.randint(1, OLDER), "old copy"))
    rng.shuffle(written)
    return written


def facts(graph: Graph) -> Iterable[Fact]:
    """Every pair of a subject and a relation that the graph has an object for."""
    return ((s, r) for s, row in enumerate(graph.objects.tolist()) for r, o in enumerate(row) if o >= 0)


def _contradiction(graph: Graph, rng: random.Random, fact: Fact, year: int, source: Source) -> Document:
    """A plain sentence with another object of the right kind."""
    relation = graph.relations[fact[1]]
    wrong = rng.choice([o for o in graph.of_kind(relation.object) if o not in (graph.objects[fact], fact[0])])
    return _document(graph, fact, wrong, year, rng.choice(relation.plain), False, source)


def _document(graph: Graph, fact: Fact, o: int, year: int, sentence: str, vague: bool, source: Source) -> Document:
    text = f"({year}) " + sentence.format(s=graph.names[fact[0]], o=graph.names[o])
    return Document(text, fact[0], fact[1], o, year, vague, source)
