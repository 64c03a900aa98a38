"""Questions of one to several hops along the graph, each with what the sentences have to say on its way."""

from __future__ import annotations

import random
from collections.abc import Set
from dataclasses import dataclass
from typing import Literal

from assay.worlds.knowledge.facts import Fact
from assay.worlds.knowledge.graph import Graph

Status = Literal["clean", "missing", "conflict"]

_PATIENCE = 20_000
_ASKED = {"person": "Who", "company": "Which company", "town": "Which town"}


@dataclass(frozen=True)
class Question:
    """`path` leads from entity `start` to the answer; `entities` are the numbers passed, both ends included.

    status   "missing": a fact on the way is nowhere written (no answer can be found); "conflict": all are written,
             one of them contradicted; "clean": neither
    options  the possible answers where they are closed, else ()
    """

    text: str
    start: int
    path: tuple[int, ...]
    entities: tuple[int, ...]
    answer: str
    status: Status
    options: tuple[str, ...] = ()

    @property
    def hops(self) -> int:
        return len(self.path)

    @property
    def answerable(self) -> bool:
        """Whether every fact on the way is written somewhere."""
        return self.status != "missing"


def draw_questions(
    graph: Graph,
    rng: random.Random,
    count: int,
    *,
    hops: tuple[int, int],
    missing: Set[Fact],
    disputed: Set[Fact],
    shares: tuple[float, float],
    closed: bool,
    taken: set[tuple[int, tuple[int, ...]]],
) -> tuple[Question, ...]:
    """`count` questions, none of them in `taken` (which grows); hop counts alike often, whatever the status.

    `shares` are the exact shares of questions whose status is "missing" and "conflict". No path meets an entity twice.
    Raises ValueError where the graph has not that many such questions.
    """
    lost, contested = (round(share * count) for share in shares)
    kinds: tuple[tuple[Status, int], ...] = (
        ("missing", lost),
        ("conflict", contested),
        ("clean", count - lost - contested),
    )
    statuses = [status for status, number in kinds for _ in range(number)]
    lengths = range(hops[0], hops[1] + 1)
    drawn = []
    for i, status in enumerate(statuses):
        length = lengths[i % len(lengths)]
        for _ in range(_PATIENCE):
            start = rng.randrange(len(graph.names))
            path = _walk(graph, rng, start, length)
            if path is None or (start, path) in taken:
                continue
            entities = tuple(graph.follow(start, path))
            if len(set(entities)) > length and _status(entities, path, missing, disputed) == status:
                break
        else:
            raise ValueError(f"questions: found no further {length}-hop question that is {status}; wanted {count}")
        taken.add((start, path))
        drawn.append(_question(graph, start, path, entities, status, closed))
    rng.shuffle(drawn)
    return tuple(drawn)


def _walk(graph: Graph, rng: random.Random, start: int, length: int) -> tuple[int, ...] | None:
    """A random chain of relations that can be followed from `start`; None where it ends too soon."""
    path: list[int] = []
    at = start
    for _ in range(length):
        open_ways = [r for r, o in enumerate(graph.objects[at].tolist()) if o >= 0]
        if not open_ways:
            return None
        path.append(rng.choice(open_ways))
        at = int(graph.objects[at, path[-1]])
    return tuple(path)


def _status(entities: tuple[int, ...], path: tuple[int, ...], missing: Set[Fact], disputed: Set[Fact]) -> Status:
    way = list(zip(entities, path))
    if any(fact in missing for fact in way):
        return "missing"
    return "conflict" if any(fact in disputed for fact in way) else "clean"


def _question(
    graph: Graph, start: int, path: tuple[int, ...], entities: tuple[int, ...], status: Status, closed: bool
) -> Question:
    last = graph.relations[path[-1]]
    phrase = graph.names[start]
    for relation in path:
        phrase = f"the {graph.relations[relation].name} of {phrase}"
    options: tuple[str, ...] = ()
    if closed:
        options = tuple(sorted(graph.names[o] for o in set(graph.objects[:, path[-1]].tolist()) - {-1}))
    return Question(
        f"{_ASKED[last.object]} is {phrase}?", start, path, entities, graph.names[entities[-1]], status, options
    )
