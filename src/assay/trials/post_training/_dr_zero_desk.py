"""Everything that can be asked from every document of a knowledge desk, with a solver's exact chance at it.

A document is a sentence's fact (subject, relation). A question of h hops begins with that fact and goes on along h - 1
further relations that lead to no entity twice; all of them are listed. The solver's episodes are a chain of searches
that an answer may end at any point, and the desk does not roll dice, so that its chance is a plain sum.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from assay.methods.policy_gradient import Rollouts, grpo
from assay.models.policies import FeaturePolicy
from assay.trials.post_training._search_agent import SearchAgent
from assay.worlds.knowledge.desk import Desk
from assay.worlds.knowledge.episodes import ANSWER, SEARCH, Episodes, Reading
from assay.worlds.knowledge.facts import facts
from assay.worlds.knowledge.graph import Graph
from assay.worlds.knowledge.questions import Question

MOST_HOPS = 4
MAX_SEARCHES = 6
MOVES = (SEARCH, ANSWER)
SOLVER_RATE = 1e-3
SOLVER_BATCH, SOLVER_ROLLOUTS = 32, 8
CHUNK = 8192  # episodes at once

Floats = NDArray[np.float64]
Path = tuple[int, ...]


@dataclass(frozen=True)
class Table:
    """Every question of a desk.

    success    (Q,) the solver's chance
    entities   (Q, MOST_HOPS + 1) the entities passed, -1 behind the last
    first      (D, MOST_HOPS) the first question of a document and hop count; they stand one after another
    count      (D, MOST_HOPS) how many there are; 0 where a document has none of so many hops
    """

    success: Floats
    entities: NDArray[np.int64]
    first: NDArray[np.int64]
    count: NDArray[np.int64]


def every_question(graph: Graph) -> tuple[list[Question], NDArray[np.int64], NDArray[np.int64]]:
    """The questions, document by document and hop by hop, with `first` and `count` of `Table`."""
    found: list[Question] = []
    documents = list(facts(graph))
    first, count = (np.zeros((len(documents), MOST_HOPS), np.int64) for _ in range(2))
    for d, fact in enumerate(documents):
        ways = [(fact[1],)]
        for hops in range(MOST_HOPS):
            if hops:
                ways = [longer for way in ways for longer in _longer(graph, fact[0], way)]
            first[d, hops], count[d, hops] = len(found), len(ways)
            found += [_question(graph, fact[0], way) for way in ways]
    return found, first, count


def train_solver(desk: Desk, updates: int, seed: int) -> FeaturePolicy:
    """A search agent after so many updates of GRPO on the desk's training questions."""
    agent = SearchAgent(desk, MOVES, max_calls=MAX_SEARCHES, seed=seed)
    order, pool = np.random.default_rng([seed, 0]), len(desk.questions["train"])
    group = torch.arange(SOLVER_BATCH).repeat_interleave(SOLVER_ROLLOUTS)

    def collect(update: int) -> Rollouts:
        asked = order.choice(pool, SOLVER_BATCH, replace=False).repeat(SOLVER_ROLLOUTS)
        played = agent.play("train", asked)
        return played.rollouts(np.arange(len(played)), (played.scores == 1).float(), group)

    grpo(agent.policy, collect, updates, learning_rate=SOLVER_RATE)
    return agent.policy


@torch.no_grad()
def chances(desk: Desk, policy: FeaturePolicy, questions: Sequence[Question]) -> Floats:
    """The policy's exact chance of answering each question rightly, (Q,)."""
    reading = Reading(replace(desk, questions={"test": tuple(questions)}))
    numbers = np.arange(len(questions))
    parts = [numbers[at : at + CHUNK] for at in range(0, len(numbers), CHUNK)]
    return np.concatenate([_chances(reading, policy, part) for part in parts])


def _chances(reading: Reading, policy: FeaturePolicy, rows: NDArray[np.int64]) -> Floats:
    episodes = Episodes(reading, "test", rows, MAX_SEARCHES)
    searching, right = np.ones(len(rows)), np.zeros(len(rows))
    for _ in range(MAX_SEARCHES + 1):
        moves = policy(torch.from_numpy(episodes.observe()))[0].exp().double().numpy()
        would_say = np.where(episodes.best >= 0, episodes.best, episodes.at)
        right += searching * moves[:, MOVES.index(ANSWER)] * (would_say == episodes.gold)
        searching *= moves[:, MOVES.index(SEARCH)]
        episodes.act(np.full(len(rows), SEARCH))
    return right


def table(desk: Desk, policy: FeaturePolicy) -> Table:
    """The desk's questions with the policy's chances."""
    questions, first, count = every_question(desk.graph)
    entities = np.full((len(questions), MOST_HOPS + 1), -1)
    for row, question in zip(entities, questions):
        row[: question.hops + 1] = question.entities
    return Table(chances(desk, policy, questions), entities, first, count)


def sentences(desk: Desk) -> dict[tuple[str, str], str]:
    """A sentence for every (subject, object): the plain one of the first relation that holds between them."""
    names, found = desk.graph.names, dict[tuple[str, str], str]()
    for s, r in facts(desk.graph):
        o = int(desk.graph.objects[s, r])
        sentence = desk.graph.relations[r].plain[0].format(s=names[s], o=names[o])
        found.setdefault((names[s], names[o]), sentence)
    return found


def _longer(graph: Graph, start: int, way: Path) -> list[Path]:
    """The way with one relation more, wherever that leads to an entity not passed before."""
    passed = graph.follow(start, way)
    onward = enumerate(graph.objects[passed[-1]].tolist())
    return [(*way, r) for r, o in onward if o >= 0 and o not in passed]


def _question(graph: Graph, start: int, way: Path) -> Question:
    passed = tuple(graph.follow(start, way))
    return Question("", start, way, passed, graph.names[passed[-1]], "clean")
