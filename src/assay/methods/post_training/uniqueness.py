"""Rewarding the Rare: Uniqueness-Aware RL for Creative Problem Solving in LLMs (2601.08763): pay rare ideas more.

Group-relative training piles probability on one way of solving a problem. `Uniqueness` divides each advantage by a
power of the number of rollouts of its group that follow the same high-level strategy, so that a right answer by a
rare idea counts more than the eighth copy of the common one. A `StrategyJudge` says which rollouts belong together.

    judge = LLMStrategyJudge(complete)
    AdvantageGRPOTrainer(..., advantage=Pipeline(GroupNormalised(), Uniqueness()),
                         annotate=partial(clustered, judge=judge))

Details that matter
- What it costs: one call of the judge a group, with all its rollouts; the weights themselves are O(B). A group that
  was judged before is not asked about again. With several processes each asks for all groups.
- When it does not help: weights are at most 1, so advantages shrink and training slows down, most of all where all
  rollouts agree. Slower training alone keeps more strategies alive; compare runs at equal pass@1, not at equal steps,
  or raise the learning rate. `normalise=True` keeps the mean weight of a group at 1.
- The size of a cluster counts wrong rollouts too, so a rare wrong idea is punished more than a common wrong one.
- Set by us: alpha = 1 (the paper allows 0 to 1 and names no default), the judge's words and examples.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from functools import partial
from hashlib import blake2b
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from assay.methods.concurrency import gather, run_sync
from assay.methods.parsing import ReplyError, ask_json
from assay.methods.policy_gradient import group_means
from assay.methods.post_training.batch import RolloutBatch
from assay.methods.post_training.pipeline import joint_ids
from assay.methods.protocols import Complete, Embed

Partition = list[list[int]]  # which rollouts belong together, by their place: disjoint, and together all of them


class Uniqueness:
    """The `AdvantageTransform` A -> w A, w = f^-alpha with f the size of the row's cluster in its group (eqs. 5-7).

    alpha      0 leaves advantages alone, 1 lets each cluster of a group weigh the same
    normalise  scale a group's weights to mean 1 (ours), so that alpha does not act as a learning rate
    """

    needs = frozenset({"cluster"})

    def __init__(self, alpha: float = 1.0, normalise: bool = False) -> None:
        if not 0 <= alpha <= 1:
            raise ValueError(f"alpha: got {alpha}, wanted a power in [0, 1]")
        self.alpha, self.normalise = alpha, normalise

    def __call__(self, batch: RolloutBatch, advantages: Tensor) -> Tensor:
        """Advantages (B,) or (B, T) to weighted ones of the same shape."""
        batch.require("cluster", needed_by="Uniqueness")
        assert batch.cluster is not None
        weights = uniqueness_weights(joint_ids([batch.group, batch.cluster]), self.alpha)
        if self.normalise:
            weights = weights / group_means(weights, batch.group)
        weights = weights.to(advantages)
        return advantages * (weights if advantages.dim() == 1 else weights.unsqueeze(1))


def uniqueness_weights(cluster: Tensor, alpha: float = 1.0) -> Tensor:
    """w = f^-alpha of rollouts, (B,) in (0, 1], with f the number of those that share a rollout's id, (B,).

    >>> uniqueness_weights(torch.tensor([0, 0, 1, 0, 0])).tolist()
    [0.25, 0.25, 1.0, 0.25, 0.25]
    """
    _, place, sizes = torch.unique(cluster, return_inverse=True, return_counts=True)
    weights: Tensor = sizes[place].double() ** -alpha
    return weights


def clustered(batch: RolloutBatch, judge: StrategyJudge, limit: int = 16) -> RolloutBatch:
    """The batch with `cluster` filled by the judge, group by group, at most `limit` at a time.

    Needs prompts and completions. Raises ValueError where the judge's answer is no partition of a group.
    """
    batch.require("prompts", "completions", needed_by="clustered")
    groups = [rows.tolist() for rows in batch.groups()]
    texts = [[batch.completions[row] for row in rows] for rows in groups]
    calls = [partial(judge.partition, batch.prompts[rows[0]], own) for rows, own in zip(groups, texts)]

    async def judged() -> list[Partition]:
        return await gather(calls, limit=limit)

    cluster = torch.zeros(len(batch), dtype=torch.long)
    for rows, partition in zip(groups, run_sync(judged)):
        cluster[rows] = torch.tensor(cluster_ids(partition, len(rows)))
    return batch.replace(cluster=cluster.to(batch.group.device))


def cluster_ids(partition: Partition, n: int) -> list[int]:
    """Each of n rollouts' cluster number. Raises ValueError unless every rollout stands in exactly one cluster."""
    ids: list[int | None] = [None] * n
    for number, members in enumerate(partition):
        for member in members:
            if not 0 <= member < n:
                raise ValueError(f"partition: got rollout {member}, wanted 0 to {n - 1}")
            if ids[member] is not None:
                raise ValueError(f"partition: got rollout {member} twice, wanted each in one cluster")
            ids[member] = number
    missing = [i for i, number in enumerate(ids) if number is None]
    if missing:
        raise ValueError(f"partition: got none for rollout {missing[0]}, wanted each in one cluster")
    return [number for number in ids if number is not None]


def cover_at_n(strategies_found: Iterable[Hashable], reference: Iterable[Hashable]) -> float:
    """Share of the reference strategies of a problem that are among those found in its n rollouts."""
    wanted = set(reference)
    if not wanted:
        raise ValueError("reference: got no strategies, wanted at least one")
    return len(wanted & set(strategies_found)) / len(wanted)


class StrategyJudge(Protocol):
    """Says which rollouts of one problem follow the same high-level idea, whatever their wording."""

    async def partition(self, problem: str, rollouts: Sequence[str]) -> Partition: ...


class SignatureJudge:
    """Rollouts with the same `key` belong together; for tasks in which the strategy can be read off the text."""

    def __init__(self, key: Callable[[str], Hashable]) -> None:
        self.key = key

    async def partition(self, problem: str, rollouts: Sequence[str]) -> Partition:
        clusters: dict[Hashable, list[int]] = {}
        for place, text in enumerate(rollouts):
            clusters.setdefault(self.key(text), []).append(place)
        return list(clusters.values())


class EmbeddingStrategyJudge:
    """Average-link clusters of the texts' embeddings, merged while their mean cosine is at least `threshold`."""

    def __init__(self, encode: Embed, threshold: float = 0.8) -> None:
        if not -1 <= threshold <= 1:
            raise ValueError(f"threshold: got {threshold}, wanted a cosine in [-1, 1]")
        self.encode, self.threshold = encode, threshold

    async def partition(self, problem: str, rollouts: Sequence[str]) -> Partition:
        from sklearn.cluster import AgglomerativeClustering

        if len(rollouts) < 2:
            return [[place] for place in range(len(rollouts))]
        vectors = np.asarray(self.encode(rollouts), dtype=np.float64)
        distances = np.clip(1 - vectors @ vectors.T, 0, None)  # an empty text's zero row is at distance 1 from all
        merged = AgglomerativeClustering(
            n_clusters=None, metric="precomputed", linkage="average", distance_threshold=1 - self.threshold + 1e-9
        ).fit_predict(distances)
        return [np.flatnonzero(merged == number).tolist() for number in range(merged.max() + 1)]


class LLMStrategyJudge:
    """Asks a language model once a group, with the problem and all its rollouts.

    A reply that is no usable partition is sent back once with what was wrong; if that fails too, every rollout is a
    cluster of its own and `void` goes up by one. Rollouts that the reply forgets are clusters of their own, and one
    named twice stays where it was named first.
    """

    def __init__(self, complete: Complete) -> None:
        self.complete = complete
        self.void = 0
        self._known: dict[bytes, Partition] = {}

    async def partition(self, problem: str, rollouts: Sequence[str]) -> Partition:
        if len(rollouts) < 2:
            return [[place] for place in range(len(rollouts))]
        key = _digest([problem, *rollouts])
        if key not in self._known:
            try:
                reply = await ask_json(self.complete, strategy_prompt(problem, rollouts), _schema(len(rollouts)))
            except ReplyError:
                self.void += 1
                return [[place] for place in range(len(rollouts))]
            named = [[number - 1 for number in group["solutions"]] for group in reply["groups"]]
            self._known[key] = _completed(named, len(rollouts))
        return self._known[key]


def strategy_prompt(problem: str, rollouts: Sequence[str]) -> str:
    """What the judge is asked: name each solution's core idea, then group the solutions by idea."""
    shown = "\n\n".join(f"### Solution {number}\n{text.strip()}" for number, text in enumerate(rollouts, 1))
    return f"{_INSTRUCTIONS}\n\n{_EXAMPLES}\n\n# Your turn\n\n## Problem\n{problem.strip()}\n\n## Solutions\n{shown}"


_INSTRUCTIONS = """You sort solutions of one problem by their strategy.
For each solution, say in a few words which core idea carries it. Then put solutions with the same idea into one group.
Wording, names of variables, order of routine algebra, and whether the answer is right play no part; two solutions are
of one group only if a teacher would call them the same method. Every solution belongs to exactly one group.
Reply with JSON alone: {"ideas": ["...", ...], "groups": [{"idea": "...", "solutions": [1, ...]}, ...]}"""

_EXAMPLES = """# Example

## Problem
What is 1 + 2 + ... + 100?

## Solutions
### Solution 1
The first and the last number make 101, and so do the second and the last but one: 50 pairs, 5050.
### Solution 2
Let S be the sum. Written backwards and added to itself it is 100 times 101, so S = 5050.
### Solution 3
By induction the sum of the first n numbers is n(n + 1)/2. With n = 100 that is 5050.

{"ideas": ["pair from both ends", "pair from both ends", "prove a closed form by induction"],
 "groups": [{"idea": "pair from both ends", "solutions": [1, 2]}, {"idea": "induction", "solutions": [3]}]}

# Example

## Problem
How many ways are there to choose 2 of 5 people?

## Solutions
### Solution 1
C(5, 2) = 5!/(2! 3!) = 10.
### Solution 2
AB AC AD AE BC BD BE CD CE DE: ten.
### Solution 3
n choose k with n = 5 and k = 2, so 20/2 = 11.

{"ideas": ["binomial coefficient", "list them all", "binomial coefficient"],
 "groups": [{"idea": "binomial coefficient", "solutions": [1, 3]}, {"idea": "list them all", "solutions": [2]}]}"""


def _schema(n: int) -> dict[str, object]:
    number = {"type": "integer", "minimum": 1, "maximum": n}
    solutions = {"type": "array", "items": number, "minItems": 1}
    group = {
        "type": "object",
        "properties": {"idea": {"type": "string"}, "solutions": solutions},
        "required": ["solutions"],
    }
    return {
        "type": "object",
        "properties": {
            "ideas": {"type": "array", "items": {"type": "string"}},
            "groups": {"type": "array", "items": group, "minItems": 1},
        },
        "required": ["groups"],
    }


def _completed(named: Partition, n: int) -> Partition:
    """A model's groups as a partition: later mentions dropped, forgotten rollouts alone."""
    taken: set[int] = set()
    clusters = []
    for members in named:
        own = [member for member in dict.fromkeys(members) if member not in taken]
        taken.update(own)
        if own:
            clusters.append(own)
    return clusters + [[place] for place in range(n) if place not in taken]


def _digest(texts: Iterable[str]) -> bytes:
    digest = blake2b(digest_size=16)
    for text in texts:
        encoded = text.encode()
        digest.update(len(encoded).to_bytes(8, "big") + encoded)
    return digest.digest()
