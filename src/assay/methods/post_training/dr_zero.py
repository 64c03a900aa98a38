"""Dr. Zero: Self-Evolving Search Agents without Training Data (2601.07055).

A proposer writes questions from documents with a search tool, a solver answers them, and the proposer is paid for
questions that are hard and can be solved. To rank a question one would sample several from the same document, each
answered n times; `HRPO` compares it with the batch's other questions of as many hops instead, one a document.

    advantage = HRPO()                                            # reads batch.key, the number of hops
    trainer = AdvantageGRPOTrainer(..., advantage=HRPO(), loss=ReinforceLoss())
    iterations = await SelfEvolution(proposer, solver, documents).run()

Details that matter
- What it costs: O(B) a step; N (1 + n) episodes for N proposals and n attempts at each.
- When it does not help: the document's own effect stays in the advantage; where the number of hops says little about
  the reward, one baseline for the whole batch does as well.
- The paper's form (eq. 3): population variance, delta inside the root; no ratio, no clipping, no KL
  (`ReinforceLoss`). A hop count that a batch holds once gives advantage 0; `HRPO.lone_rows` counts them.
- The released code divides by the sample deviation, adds its eps outside the root and leaves a lone row its raw
  reward: that is `GroupNormalised(by=("key",), singleton="raw")`.
- `proposer_format` follows the code: with one hop the tool score is 1 whatever the calls; "inside the question" and
  "found in a document" are plain substring tests of the normalised texts; only valid calls are held to replies.
"""

from __future__ import annotations

from assay.methods.post_training._dr_zero_agents import ModelProposer, ModelSolver, Search, pieces
from assay.methods.post_training._dr_zero_evolution import (
    HOPS_MIX,
    Document,
    Judged,
    Proposal,
    Proposer,
    SelfEvolution,
    Solver,
)
from assay.methods.post_training._dr_zero_scores import (
    HRPO,
    difficulty,
    hop_count,
    proposer_format,
    proposer_reward,
    solver_reward,
)
from assay.methods.post_training.losses import ReinforceLoss

__all__ = [
    "HOPS_MIX",
    "HRPO",
    "Document",
    "Judged",
    "ModelProposer",
    "ModelSolver",
    "Proposal",
    "Proposer",
    "ReinforceLoss",
    "Search",
    "SelfEvolution",
    "Solver",
    "difficulty",
    "hop_count",
    "pieces",
    "proposer_format",
    "proposer_reward",
    "solver_reward",
]
