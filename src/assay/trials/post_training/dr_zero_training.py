"""Does a proposer paid by HRPO teach a search agent more than questions drawn at random? Without a bar. (2601.07055)

World   a knowledge desk. Questions are made from 300 of its sentences; 200 held-out ones of two and three hops, none
        of which can be made, are the test. The solver begins untrained, the proposer picks at random.
Metric  share of the test questions that the solver answers rightly, greedily, after 3 iterations.
Arms    baseline: every iteration the solver learns from 128 questions drawn at random, hop counts as the others'.
        method: `SelfEvolution`; a small proposer, which sees the relations of each question it could ask, learns ten
        times against the solver (HRPO), then makes 128, of which the solver learns from those it answers now and then.
        placebo: the same, HRPO being told hop counts that changed places. The solver's updates are as many in all.

Learning rates are those of `grpo` and ten times that for the proposer, set before any run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from assay.engine.trial import Cost, Measures, Metric, Models, Trial
from assay.methods.concurrency import run_sync
from assay.methods.policy_gradient import Rollouts, grpo
from assay.methods.post_training.dr_zero import HRPO, Document, Judged, Proposal, SelfEvolution
from assay.methods.post_training.pipeline import AdvantageEstimator
from assay.models.policies import CandidatePolicy, Candidates, pad_candidates
from assay.trials.post_training._dr_zero_desk import MAX_SEARCHES, MOST_HOPS, MOVES, every_question
from assay.trials.post_training._search_agent import SearchAgent
from assay.trials.post_training.dr_zero import OthersHops
from assay.worlds.knowledge.desk import Desk
from assay.worlds.knowledge.questions import Question

DOCUMENTS, PROPOSALS, ITERATIONS, PROPOSER_STEPS = 300, 128, 3, 10
SOLVER_UPDATES, QUESTIONS, ROLLOUTS = 30, 32, 8
PROPOSER_RATE = 1e-2


def at_random(world: Desk, models: Models, seed: int) -> Measures:
    library = Library(world, seed)
    solver = DeskSolver(library, seed)
    evolution = SelfEvolution(
        DeskProposer(library, seed), solver, library.documents, proposals=PROPOSALS, proposer_steps=0, seed=seed
    )
    for _ in range(ITERATIONS):
        solver.update(run_sync(evolution.batch))
    return measured(library, solver)


def evolved(world: Desk, models: Models, seed: int) -> Measures:
    return evolve(world, seed, HRPO())


def permuted_hops(world: Desk, models: Models, seed: int) -> Measures:
    return evolve(world, seed, OthersHops(np.random.default_rng([seed, 1])))


def evolve(world: Desk, seed: int, advantage: AdvantageEstimator) -> Measures:
    library = Library(world, seed)
    solver = DeskSolver(library, seed)
    evolution = SelfEvolution(
        DeskProposer(library, seed),
        solver,
        library.documents,
        iterations=ITERATIONS,
        proposals=PROPOSALS,
        proposer_steps=PROPOSER_STEPS,
        advantage=advantage,
        seed=seed,
    )
    run_sync(evolution.run)
    paid = [np.mean([row["right"] for row in evolution.rows if row["iteration"] == i]) for i in range(ITERATIONS)]
    kept = float(np.mean([row["kept"] for row in evolution.rows if row["use"] == "solver"]))
    found = measured(library, solver)
    return Measures(found.value, found.cost, extra={"kept": kept}, curve=[float(value) for value in paid])


class Library:
    """The documents of a desk, every question that can be made from each, and the desk with these to train on."""

    def __init__(self, desk: Desk, seed: int) -> None:
        held_out = {(question.start, question.path) for question in desk.questions["test"]}
        every, first, count = every_question(desk.graph)
        chosen = np.random.default_rng([seed, 2]).permutation(len(first))[:DOCUMENTS]
        self.questions: list[Question] = []
        self.choices: dict[tuple[str, int], list[int]] = {}
        for d in chosen.tolist():
            for hops in range(1, MOST_HOPS + 1):
                whole = every[first[d, hops - 1] : first[d, hops - 1] + count[d, hops - 1]]
                own = [question for question in whole if (question.start, question.path) not in held_out]
                self.choices[str(d), hops] = list(range(len(self.questions), len(self.questions) + len(own)))
                self.questions += own
        self.documents = [Document(str(d), str(d)) for d in chosen.tolist()]
        self.desk = replace(desk, questions={"train": tuple(self.questions), "test": desk.questions["test"]})
        self.features = torch.tensor([_features(question, len(desk.graph.relations)) for question in self.questions])

    def candidates(self, document: str, hops: int) -> list[int]:
        """The questions of the document with the hop count nearest to the one wanted."""
        nearest = sorted(range(1, MOST_HOPS + 1), key=lambda own: (abs(own - hops), own))
        return next(self.choices[document, own] for own in nearest if self.choices[document, own])


class DeskProposer:
    """Picks one of the questions that a document offers."""

    def __init__(self, library: Library, seed: int) -> None:
        self.library, self.generator = library, torch.Generator().manual_seed(seed)
        self.policy = CandidatePolicy(library.features.shape[1], generator=self.generator)
        self.optimizer = torch.optim.Adam(self.policy.parameters(), lr=PROPOSER_RATE)

    async def propose(self, documents: Sequence[Document], hops: Sequence[int]) -> list[Proposal]:
        offered = [self.library.candidates(one.id, wanted) for one, wanted in zip(documents, hops)]
        picked, _ = self.policy.sample(self._seen(offered), self.generator)
        made = []
        for one, own, place in zip(documents, offered, picked.tolist()):
            question = self.library.questions[own[place]]
            made.append(Proposal(one.id, question.hops, str(own[place]), question.answer, 1.0, record=(own, place)))
        return made

    def update(self, judged: Sequence[Judged], advantages: Tensor) -> None:
        offered, picked = zip(*(one.proposal.record for one in judged))
        logprobs = self.policy.log_prob(self._seen(offered), torch.tensor(picked))
        self.optimizer.zero_grad()
        (-(advantages.float() * logprobs).mean()).backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()

    def _seen(self, offered: Sequence[list[int]]) -> Candidates:
        return pad_candidates([self.library.features[own] for own in offered])


class DeskSolver:
    """A search agent that learns by GRPO; a question's text is its number in the library."""

    def __init__(self, library: Library, seed: int) -> None:
        self.agent = SearchAgent(library.desk, MOVES, max_calls=MAX_SEARCHES, seed=seed)
        self.order, self.episodes = np.random.default_rng([seed, 0]), 0

    async def solve(self, proposals: Sequence[Proposal], n: int) -> list[list[str | None]]:
        asked = np.array([int(one.question) for one in proposals]).repeat(n)
        self.episodes += len(asked)
        answers = list(self.agent.play("train", asked).answers)
        return [answers[place : place + n] for place in range(0, len(answers), n)]

    def update(self, judged: Sequence[Judged]) -> None:
        if not judged:
            return
        pool = np.array([int(one.proposal.question) for one in judged])
        group = torch.arange(QUESTIONS).repeat_interleave(ROLLOUTS)

        def collect(update: int) -> Rollouts:
            played = self.agent.play("train", self.order.choice(pool, QUESTIONS).repeat(ROLLOUTS))
            self.episodes += len(played)
            return played.rollouts(np.arange(len(played)), (played.scores == 1).float(), group)

        grpo(self.agent.policy, collect, SOLVER_UPDATES)


def measured(library: Library, solver: DeskSolver) -> Measures:
    """Accuracy on the held-out questions."""
    test = solver.agent.play("test", np.arange(len(library.desk.questions["test"])), greedy=True)
    return Measures(float((test.scores == 1).double().mean()), Cost(env_steps=solver.episodes))


def _features(question: Question, relations: int) -> list[float]:
    """Which relation it begins with, how often each comes after, and its hops."""
    begins, after = [0.0] * relations, [0.0] * relations
    begins[question.path[0]] = 1.0
    for relation in question.path[1:]:
        after[relation] += 1.0
    return [*begins, *after, question.hops / MOST_HOPS]


trial = Trial(
    paper="2601.07055",
    claim="A proposer paid by HRPO teaches a search agent more than questions drawn at random.",
    headline="without training data, search agents that match or beat supervised ones",
    metric=Metric("accuracy on held-out questions of two and three hops", better="higher", range=(0, 1)),
    bar=None,
    arms={"baseline": at_random, "placebo": permuted_hops, "method": evolved},
    world="knowledge",
    world_args={"hops": [2, 3], "train": 20, "valid": 20, "test": 200},
    quick_args={"entities": 100, "test": 40},
    seeds=3,
    quick_seeds=1,
    extras=("lm",),
    tags=("stand-in",),
    note="Reported beside dr_zero, not judged.",
)
