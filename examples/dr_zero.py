"""Self-evolution without training data (Dr. Zero): a proposer finds out which questions are worth asking.

    pip install 'assay-papers[torch]'
    python examples/dr_zero.py

Documents hold facts that follow from one another. The proposer here is a softmax over what it may ask of a document,
trained by `HRPO` advantages; the solver can follow as many links as it has learned to. Questions that are always or
never answered pay nothing, so the proposer moves with the solver. Nothing is downloaded. For language models take
`ModelProposer` and `ModelSolver` with your search tool, or `assay use dr_zero evolve`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from assay.methods.concurrency import run_sync
from assay.methods.post_training.dr_zero import Document, Judged, Proposal, SelfEvolution

DEPTHS = 6  # links that a question may ask to follow
DOCUMENTS = [Document(str(i), f"chain {i}") for i in range(16)]


class DepthProposer:
    """Chooses how many links a question follows, by one softmax; learns by the policy gradient."""

    def __init__(self) -> None:
        self.logits = torch.zeros(DEPTHS, requires_grad=True)
        self.optimiser = torch.optim.Adam([self.logits], lr=0.1)
        self.generator = torch.Generator().manual_seed(0)

    async def propose(self, documents: Sequence[Document], hops: Sequence[int]) -> list[Proposal]:
        drawn = torch.multinomial(self.logits.softmax(0), len(documents), replacement=True, generator=self.generator)
        return [
            Proposal(document.id, wanted, f"{depth + 1} links from {document.id}", str(depth + 1), 1.0, record=depth)
            for document, wanted, depth in zip(documents, hops, drawn.tolist())
        ]

    def update(self, judged: Sequence[Judged], advantages: torch.Tensor) -> None:
        chosen = torch.tensor([one.proposal.record for one in judged])
        loss = -(advantages * self.logits.log_softmax(0)[chosen]).mean()
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()


class LinkSolver:
    """Follows each link with a skill that grows with every question that teaches."""

    def __init__(self) -> None:
        self.skill = 0.5
        self.generator = torch.Generator().manual_seed(1)

    async def solve(self, proposals: Sequence[Proposal], n: int) -> list[list[str | None]]:
        return [[self.attempt(int(proposal.question.split()[0])) for _ in range(n)] for proposal in proposals]

    def attempt(self, links: int) -> str | None:
        followed = (torch.rand(links, generator=self.generator) < self.skill).all()
        return str(links) if followed else None

    def update(self, judged: Sequence[Judged]) -> None:
        self.skill = min(0.98, self.skill + 0.005 * len(judged))


def main() -> None:
    proposer, solver = DepthProposer(), LinkSolver()

    def report(iteration: int, judged: Sequence[Judged]) -> None:
        asked = sum(one.proposal.record + 1 for one in judged) / len(judged)
        right = sum(sum(one.correct) for one in judged) / sum(len(one.correct) for one in judged)
        teach = sum(one.teaches for one in judged)
        print(
            f"iteration {iteration}: {asked:.1f} links asked for on average, {right:.0%} of the attempts right, "
            f"{teach} of {len(judged)} questions teach; the solver's skill is {solver.skill:.2f}"
        )

    evolution = SelfEvolution(
        proposer, solver, DOCUMENTS, iterations=5, proposals=32, proposer_steps=20, solver_n=5, report=report
    )
    run_sync(evolution.run)


if __name__ == "__main__":
    main()
