"""The desk where questions are asked: sentences to search (evidence), a table to look things up in (verification)."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from assay.methods.parsing import exact_match
from assay.methods.text_index import Passage, TextIndex
from assay.worlds.knowledge.facts import Document, Fact, facts, write_documents
from assay.worlds.knowledge.graph import RELATIONS, Answers, Graph, make_graph
from assay.worlds.knowledge.questions import Question, draw_questions
from assay.worlds.text.problem import digest

Split = Literal["train", "valid", "test"]

TROUBLED = 0.15  # share of the facts that go missing, and of those that are contradicted, where any shall
DEPTH = 12  # documents kept of each ranking


@dataclass(frozen=True)
class Desk:
    """One sample of the world; plain data that pickles.

    rankings   (entities, relations, DEPTH): the documents that `search` gives for "ENTITY RELATION", by number, best
               first, -1 where there are no more; looked up once, so that thousands of episodes need no search engine
    missing    the facts that neither a document nor `verify` knows
    k_docs     how many documents one search gives
    """

    graph: Graph
    documents: tuple[Document, ...]
    rankings: NDArray[np.int16]
    missing: frozenset[Fact]
    questions: Mapping[Split, tuple[Question, ...]]
    k_docs: int

    @cached_property
    def _index(self) -> TextIndex:
        return _index_of(self.documents)

    def search(self, query: str, k: int | None = None) -> list[Passage]:
        """The evidence tool: the `k` (else `k_docs`) best sentences for the query; a passage's id is its number."""
        return self._index.search(query, self.k_docs if k is None else k)

    def verify(self, subject: str, relation: str, object: str) -> bool:
        """The verification tool: whether the table holds that fact. What is missing or unknown, it does not hold."""
        s = self.graph.numbers.get(subject)
        r = self.graph.relation_numbers.get(relation)
        if s is None or r is None or (s, r) in self.missing or self.graph.objects[s, r] < 0:
            return False
        return exact_match(object, self.graph.names[self.graph.objects[s, r]])


class KnowledgeWorld:
    """Draws desks. See `world` for the knobs."""

    def __init__(
        self,
        entities: int,
        relations: int,
        splits: Mapping[Split, int],
        hops: tuple[int, int],
        missing: float,
        conflict: float,
        outdated: float,
        k_docs: int,
        answers: Answers,
    ) -> None:
        self.entities, self.relations, self.splits, self.hops = entities, relations, splits, hops
        self.missing, self.conflict, self.outdated = missing, conflict, outdated
        self.k_docs, self.answers = k_docs, answers

    def sample(self, seed: int) -> Desk:
        """The desk of a seed."""
        graph = make_graph(seed, self.entities, self.relations, self.answers)
        rng = random.Random(digest("knowledge desk", seed))
        known = list(facts(graph))
        rng.shuffle(known)
        troubled = round(TROUBLED * len(known))
        missing = frozenset(known[:troubled] if self.missing else ())
        disputed = frozenset(known[troubled : 2 * troubled] if self.conflict else ())
        outdated = frozenset(fact for fact in known if rng.random() < self.outdated)
        documents = tuple(write_documents(graph, rng, missing, disputed, outdated))
        taken: set[tuple[int, tuple[int, ...]]] = set()
        questions = {
            split: draw_questions(
                graph,
                rng,
                count,
                hops=self.hops,
                missing=missing,
                disputed=disputed,
                shares=(self.missing, self.conflict),
                closed=self.answers == "closed",
                taken=taken,
            )
            for split, count in self.splits.items()
        }
        return Desk(graph, documents, _rankings(graph, documents), missing, questions, self.k_docs)

    def check(self, question: Question, answer: str) -> bool:
        """Whether the answer is the graph's, once both are normalised."""
        return exact_match(answer, question.answer)


def world(
    *,
    entities: int = 400,
    relations: int = len(RELATIONS),
    train: int = 300,
    valid: int = 100,
    test: int = 200,
    hops: tuple[int, int] = (1, 4),
    missing: float = 0.0,
    conflict: float = 0.0,
    outdated: float = 0.0,
    k_docs: int = 3,
    answers: Answers = "open",
) -> KnowledgeWorld:
    """Desks of `entities` entities with three splits of questions of `hops` (fewest, most) hops.

    missing    share of the questions that cannot be answered, a fact on their way being written nowhere
    conflict   share of the questions on whose way a fact is contradicted by a sentence of a later date
    outdated   share of the facts that an older sentence contradicts
    k_docs     documents a search gives
    answers    "closed": a relation has 8 possible objects, and questions list them

    Raises ValueError for a knob outside its range.
    """
    for name, share in (("missing", missing), ("conflict", conflict), ("outdated", outdated)):
        if not 0 <= share <= 1:
            raise ValueError(f"{name}: got {share}, wanted a share in [0, 1]")
    if missing + conflict > 1:
        raise ValueError(f"missing + conflict: got {missing + conflict}, wanted at most 1")
    splits: dict[Split, int] = {"train": train, "valid": valid, "test": test}
    for split, count in splits.items():
        if count < 0:
            raise ValueError(f"{split}: got {count}, wanted 0 or more questions")
    if len(hops) != 2 or not 1 <= hops[0] <= hops[1]:
        raise ValueError(f"hops: got {tuple(hops)}, wanted (fewest, most) with 1 <= fewest <= most")
    if not 1 <= k_docs <= DEPTH:
        raise ValueError(f"k_docs: got {k_docs}, wanted 1 to {DEPTH}")
    return KnowledgeWorld(entities, relations, splits, (hops[0], hops[1]), missing, conflict, outdated, k_docs, answers)


def _index_of(documents: tuple[Document, ...]) -> TextIndex:
    return TextIndex({f"{number:05}": document.text for number, document in enumerate(documents)})


def _rankings(graph: Graph, documents: tuple[Document, ...]) -> NDArray[np.int16]:
    index = _index_of(documents)
    rankings = np.full((*graph.objects.shape, DEPTH), -1, np.int16)
    for s, r in facts(graph):
        found = index.search(f"{graph.names[s]} {graph.relations[r].name}", DEPTH)
        rankings[s, r, : len(found)] = [int(passage.id) for passage in found]
    return rankings
