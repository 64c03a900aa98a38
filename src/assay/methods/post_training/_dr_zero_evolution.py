"""The loop in which a proposer and a solver train one another, whatever they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from assay.methods.data.stages import write_rows
from assay.methods.post_training._dr_zero_scores import HRPO, proposer_reward, solver_reward
from assay.methods.post_training.batch import RolloutBatch
from assay.methods.post_training.pipeline import AdvantageEstimator

HOPS_MIX = (0.4, 0.3, 0.2, 0.1)  # shares of questions of one, two, three and four hops


@dataclass(frozen=True)
class Document:
    """A text that questions are made from."""

    id: str
    text: str


@dataclass(frozen=True)
class Proposal:
    """A question with its answer; "" for both where the proposer gave none.

    document   the id of the document it was made from
    hops       how many hops were asked for
    form       the score of its form, in [0, 1]
    record     what the proposer wants back in order to learn from it
    """

    document: str
    hops: int
    question: str
    answer: str
    form: float
    record: Any = None


@dataclass(frozen=True)
class Judged:
    """A proposal, and which of the solver's attempts at it were right."""

    proposal: Proposal
    correct: tuple[bool, ...]

    @property
    def reward(self) -> float:
        """The proposer's."""
        return proposer_reward(self.proposal.form, self.correct)

    @property
    def teaches(self) -> bool:
        """Whether some attempts were right and some were not."""
        return self.proposal.form > 0 and any(self.correct) and not all(self.correct)


class Proposer(Protocol):
    """Writes questions, and learns from how they compare."""

    async def propose(self, documents: Sequence[Document], hops: Sequence[int]) -> Sequence[Proposal]:
        """One proposal a document, of as many hops as asked for."""

    def update(self, judged: Sequence[Judged], advantages: Tensor) -> None:
        """Learn from proposals just made, advantages (B,)."""


class Solver(Protocol):
    """Answers questions, and learns from those that it can sometimes answer."""

    async def solve(self, proposals: Sequence[Proposal], n: int) -> Sequence[Sequence[str | None]]:
        """`n` answers to each question, None for an attempt without one; the gold answer must not be looked at."""

    def update(self, judged: Sequence[Judged]) -> None:
        """Learn from the questions of an iteration that teach (GRPO in the paper)."""


class SelfEvolution:
    """Proposer and solver in turns: the proposer learns `proposer_steps` times against the solver as it is, then
    makes a set of questions, of which the solver learns from those that it answers now and then.

    documents        what questions are made from, drawn anew for every batch; each holds what the proposer can read
                     at once (`pieces` cuts longer texts)
    proposals        questions a batch; a batch has one question a document, documents repeat only if there are fewer
    hops_mix         shares of the hop counts 1, 2, ...; a batch's counts follow them as closely as can be
    solver_n         attempts at each question
    advantage        of the proposer's rewards; `key` is the number of hops
    out              JSONL of every question ever made, written whole after each iteration
    """

    def __init__(
        self,
        proposer: Proposer,
        solver: Solver,
        documents: Sequence[Document],
        *,
        iterations: int = 3,
        proposals: int = 64,
        proposer_steps: int = 1,
        hops_mix: Sequence[float] = HOPS_MIX,
        solver_n: int = 5,
        advantage: AdvantageEstimator | None = None,
        out: Path | None = None,
        seed: int = 0,
        report: Callable[[int, Sequence[Judged]], None] | None = None,
    ) -> None:
        for name, got, least in (
            ("iterations", iterations, 1), ("proposals", proposals, 1), ("proposer_steps", proposer_steps, 0),
            ("solver_n", solver_n, 2), ("documents", len(documents), 1),
        ):  # fmt: skip
            if got < least:
                raise ValueError(f"{name}: got {got}, wanted at least {least}")
        if not hops_mix or min(hops_mix) < 0 or not sum(hops_mix) > 0:
            raise ValueError(f"hops_mix: got {tuple(hops_mix)}, wanted shares of 1, 2, ... hops")
        self.proposer, self.solver, self.documents = proposer, solver, list(documents)
        self.iterations, self.proposals, self.proposer_steps = iterations, proposals, proposer_steps
        self.hops_mix, self.solver_n, self.out, self.report = tuple(hops_mix), solver_n, out, report
        self.advantage: AdvantageEstimator = HRPO() if advantage is None else advantage
        self.generator = np.random.default_rng(seed)
        self.rows: list[dict[str, Any]] = []

    async def run(self) -> list[list[Judged]]:
        """Each iteration's set of questions, those that do not teach among them."""
        sets = []
        for iteration in range(self.iterations):
            for _ in range(self.proposer_steps):
                judged = await self.batch()
                self._keep(judged, iteration, "proposer")
                self.proposer.update(judged, self.advantage(as_batch(judged)))
            judged = await self.batch()
            self._keep(judged, iteration, "solver")
            self.solver.update([one for one in judged if one.teaches])
            sets.append(judged)
            if self.out is not None:
                write_rows(self.out, self.rows)
            if self.report is not None:
                self.report(iteration, judged)
        return sets

    async def batch(self) -> list[Judged]:
        """Fresh questions from fresh documents, answered `solver_n` times."""
        hops = self.generator.permutation(hop_counts(self.proposals, self.hops_mix)).tolist()
        rounds = -(-self.proposals // len(self.documents))
        order = np.concatenate([self.generator.permutation(len(self.documents)) for _ in range(rounds)])
        chosen = [self.documents[i] for i in order[: self.proposals]]
        made = list(await self.proposer.propose(chosen, hops))
        if len(made) != len(chosen):
            raise ValueError(f"propose: gave {len(made)} proposals, wanted {len(chosen)}, one a document")
        asked = [proposal for proposal in made if proposal.form > 0]
        answers = iter(await self.solver.solve(asked, self.solver_n) if asked else [])
        return [
            Judged(one, _correct(next(answers), one, self.solver_n) if one.form > 0 else (False,) * self.solver_n)
            for one in made
        ]

    def _keep(self, judged: Sequence[Judged], iteration: int, use: str) -> None:
        self.rows += [
            {
                "iteration": iteration,
                "use": use,
                "question": one.proposal.question,
                "answer": one.proposal.answer,
                "hops": one.proposal.hops,
                "right": sum(one.correct),
                "attempts": len(one.correct),
                "form": one.proposal.form,
                "document": one.proposal.document,
                "kept": one.teaches,
            }
            for one in judged
        ]


def as_batch(judged: Sequence[Judged]) -> RolloutBatch:
    """The proposer's rows: every question is a prompt of its own, its hops the key."""
    return RolloutBatch(
        rewards=torch.tensor([one.reward for one in judged], dtype=torch.float64),
        group=torch.arange(len(judged)),
        mask=torch.ones(len(judged), 1, dtype=torch.bool),
        key=torch.tensor([one.proposal.hops for one in judged]),
        allow_singletons=True,
    )


def hop_counts(questions: int, mix: Sequence[float]) -> list[int]:
    """Hop counts 1, 2, ... of so many questions, as close to the shares as whole numbers can be; ties go to fewer.

    >>> hop_counts(10, (4, 3, 2, 1))
    [1, 1, 1, 1, 2, 2, 2, 3, 3, 4]
    """
    exact = np.array(mix) / sum(mix) * questions
    counts = np.floor(exact + 1e-9).astype(int)
    for place in np.argsort(-(exact - counts), kind="stable")[: questions - int(counts.sum())]:
        counts[place] += 1
    return [hops for hops, count in enumerate(counts.tolist(), start=1) for _ in range(count)]


def _correct(answers: Sequence[str | None], proposal: Proposal, n: int) -> tuple[bool, ...]:
    if len(answers) != n:
        raise ValueError(f"solve: gave {len(answers)} answers to {proposal.question[:60]!r}, wanted {n}")
    return tuple(solver_reward(answer, proposal.answer) == 1 for answer in answers)
