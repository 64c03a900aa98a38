"""MatchTIR: Fine-Grained Supervision for Tool-Integrated Reasoning via Bipartite Matching (2601.10712).

Matches the tool calls of a rollout with those of an expert, one to one; a turn's reward is the similarity of its
match. `DualLevel` makes advantages of them: half from the whole rollout's sum, half from the discounted rewards of
the turn and those after it, each compared within the prompt's group.

    rewards = turn_rewards([[Call("search", {"query": "ann"})], []], gold_calls, answer="7", gold_answer="7")
    advantage = Pipeline(DualLevel())        # reads batch.turn and batch.turn_rewards

Where this differs from the paper's code
- "hard" is the optimal assignment; the code takes the best pair, then the next (`assignment="greedy"`), which may
  give a smaller total. Greedy ties go to the earliest predicted call, then the earliest expert call.
- "soft" rewards are at most 1/P with P predicted calls, as in the code; `rescale=True` multiplies by P.
- A turn that only one rollout of the group has keeps its raw return as local advantage (mean 0, std 1), as there.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from assay.methods.policy_gradient import group_advantages
from assay.methods.post_training.batch import RolloutBatch

Assignment = Literal["optimal", "greedy"]
Kind = Literal["hard", "soft"]


@dataclass(frozen=True)
class Call:
    """One tool call. `arguments` is a JSON object; None marks arguments that were none, and such a call scores 0."""

    name: str
    arguments: Mapping[str, Any] | None = field(default_factory=dict)


def multiset_similarity(a: Iterable[Any], b: Iterable[Any]) -> float:
    """Jaccard of two multisets: 1 if they are equal, 0 if one alone is empty."""
    left, right = Counter(iter(a)), Counter(iter(b))  # iter: a mapping counts by its keys
    if left == right:
        return 1.0
    common = sum((left & right).values())
    return common / (left.total() + right.total() - common)


def tool_similarity(predicted: Call, gold: Call) -> float:
    """From 0 to 1: 0 for another tool's name (case does not count), else the mean of name, parameter names (one
    vote) and parameter values (one vote for each parameter of the expert's call)."""
    if predicted.arguments is None or predicted.name.lower() != gold.name.lower():
        return 0.0
    wanted = gold.arguments or {}
    equal = sum(key in predicted.arguments and predicted.arguments[key] == value for key, value in wanted.items())
    return (1 + multiset_similarity(wanted, predicted.arguments) + equal) / (2 + len(wanted))


def similarities(predicted: Sequence[Call], gold: Sequence[Call]) -> NDArray[np.float64]:
    """(P, G) similarity of every predicted call to every expert call."""
    if not gold:
        raise ValueError("gold: got no call, wanted the expert's calls")
    table = [[tool_similarity(call, wanted) for wanted in gold] for call in predicted]
    return np.array(table, dtype=np.float64).reshape(len(predicted), len(gold))


def match(similarity: NDArray[np.float64], assignment: Assignment = "optimal") -> list[tuple[int, int]]:
    """Pairs (predicted, gold) of a one-to-one matching, those of similarity 0 left out, in the order predicted."""
    if assignment == "optimal":
        from scipy.optimize import linear_sum_assignment

        pairs = zip(*linear_sum_assignment(similarity, maximize=True))
    elif assignment == "greedy":
        pairs = iter(_best_first(similarity))
    else:
        raise ValueError(f"assignment: got {assignment!r}, wanted 'optimal' or 'greedy'")
    return sorted((int(p), int(g)) for p, g in pairs if similarity[p, g] > 0)


def hard_rewards(
    predicted: Sequence[Call], gold: Sequence[Call], unmatched: float = 0.0, assignment: Assignment = "optimal"
) -> NDArray[np.float64]:
    """(P,) the similarity of each call's match, `unmatched` for a call without one. O(n^3) in the calls."""
    similarity = similarities(predicted, gold)
    rewards = np.full(len(predicted), float(unmatched))
    for p, g in match(similarity, assignment):
        rewards[p] = similarity[p, g]
    return rewards


def soft_rewards(
    predicted: Sequence[Call], gold: Sequence[Call], reg: float = 0.1, rescale: bool = False
) -> NDArray[np.float64]:
    """(P,) similarity under the entropic transport plan T between the calls: sum over gold of T * similarity."""
    if not reg > 0:
        raise ValueError(f"reg: got {reg}, wanted a positive number")
    similarity = similarities(predicted, gold)
    if not len(predicted):
        return np.zeros(0)
    import ot

    rows, columns = similarity.shape
    # A nearly one-to-one plan converges slowly; what 1,000 rounds leave is far below a difference in similarity.
    plan = ot.sinkhorn(np.full(rows, 1 / rows), np.full(columns, 1 / columns), -similarity, reg, warn=False)
    rewards: NDArray[np.float64] = (plan * similarity).sum(axis=1)
    return rewards * rows if rescale else rewards


def turn_rewards(
    calls: Sequence[Sequence[Call]],
    gold: Sequence[Call],
    answer: str | None = None,
    gold_answer: str | None = None,
    kind: Kind = "hard",
    assignment: Assignment = "optimal",
) -> NDArray[np.float64]:
    """(N,) one reward a turn: the mean over its calls, or 0 without any; with `gold_answer` the last turn is the
    answer, and its reward the F1 of the two answers' sets of words."""
    made = [call for turn in calls for call in turn]
    if kind == "hard":
        of_call = hard_rewards(made, gold, assignment=assignment)
    elif kind == "soft":
        of_call = soft_rewards(made, gold)
    else:
        raise ValueError(f"kind: got {kind!r}, wanted 'hard' or 'soft'")
    ends = np.cumsum([len(turn) for turn in calls])
    rewards = np.array([of_call[end - len(turn) : end].mean() if turn else 0.0 for turn, end in zip(calls, ends)])
    if gold_answer is not None:
        rewards[-1] = set_f1(answer or "", gold_answer)
    return rewards


def set_f1(answer: str, gold: str) -> float:
    """F1 of the two texts' sets of words: lower case, punctuation read as blanks; two empty ones are equal."""
    said, wanted = _words(answer), _words(gold)
    if not said or not wanted:
        return float(said == wanted)
    return 2 * len(said & wanted) / (len(said) + len(wanted))


class DualLevel:
    """Base estimator over `turn` (B, T) and `turn_rewards` (B, N): (B, T), 0 where the mask is False.

    Token t of turn j in row i gets (A_i + A_ij) / 2. A_i is the row's sum of turn rewards, normalised in its group
    (sample std + eps). A_ij is R_ij = sum over k >= j of discount^(k - j) r_ik, normalised over the group's rows
    that have turn j. A trained token outside any turn gets A_i. A row without any reward gets 0.
    """

    needs = frozenset({"turn", "turn_rewards"})

    def __init__(self, discount: float = 0.9, eps: float = 1e-6) -> None:
        if not 0 <= discount <= 1:
            raise ValueError(f"discount: got {discount}, wanted a number in [0, 1]")
        self.discount, self.eps = discount, eps

    def __call__(self, batch: RolloutBatch) -> Tensor:
        batch.require("turn", "turn_rewards", needed_by="DualLevel")
        rewards, turn = batch.turn_rewards, batch.turn
        assert rewards is not None and turn is not None
        scored = ~rewards.isnan().all(dim=1) & ~batch.rewards.isnan()
        total = rewards.nansum(dim=1).masked_fill(~scored, torch.nan)
        whole = group_advantages(total, batch.group, eps=self.eps).unsqueeze(1)
        local = self._local(rewards.masked_fill(~scored.unsqueeze(1), torch.nan), batch.group)
        of_token = local.gather(1, turn.clamp(min=0)).masked_fill(turn < 0, 0)
        advantages = torch.where(turn >= 0, (whole + of_token) / 2, whole)
        return (advantages * batch.mask).to(batch.rewards.dtype)

    def _local(self, rewards: Tensor, group: Tensor) -> Tensor:
        """(B, N) normalised returns, 0 where a row has no such turn."""
        returns = torch.zeros_like(rewards)
        ahead = torch.zeros_like(rewards[:, 0])
        for j in reversed(range(rewards.shape[1])):
            ahead = rewards[:, j].nan_to_num(0) + self.discount * ahead
            returns[:, j] = ahead
        returns = returns.masked_fill(rewards.isnan(), torch.nan)
        columns = [
            group_advantages(returns[:, j].contiguous(), group, eps=self.eps, singleton="raw")
            for j in range(returns.shape[1])
        ]
        return torch.stack(columns, dim=1)


def _best_first(similarity: NDArray[np.float64]) -> list[tuple[int, int]]:
    """The best pair, then the best of what is left, and so on."""
    cells = [(-similarity[p, g], p, g) for p in range(similarity.shape[0]) for g in range(similarity.shape[1])]
    pairs: list[tuple[int, int]] = []
    taken_p, taken_g = set[int](), set[int]()
    for _, p, g in sorted(cells):
        if p not in taken_p and g not in taken_g:
            pairs.append((p, g))
            taken_p.add(p)
            taken_g.add(g)
    return pairs


def _words(text: str) -> set[str]:
    return set(re.sub(r"[^\w\s]", " ", text.lower()).split())
