"""Problems with several ways to solve them: each strategy works with a known chance, and some may be unavailable.

A policy is one softmax over the K strategies of each of P problems; everything about it can be computed exactly.
On a held-out variant of a problem each valid strategy is unavailable with chance one half, so that a policy which
knows only one of them fails on half of the variants, however often it tries. An answer is such a policy, (P, K).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

RIGHT, LUCKY = 0.9, 0.02  # chance of a right answer by a valid strategy, and by any other
COMMON_LOGIT = 2.0

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Strategies:
    """P problems, K strategies each, V held-out variants a problem.

    success    (P, K) chance that a rollout by the strategy is right
    valid      (P, K) which strategies are meant to work
    available  (P, V, K) on which variants; strategies that are not valid are always available
    start      (P, K) logits of the policy that training begins with: one valid strategy is the common one
    """

    success: Floats
    valid: NDArray[np.bool_]
    available: NDArray[np.bool_]
    start: Floats

    def draw(
        self, policy: Floats, rollouts: int, generator: np.random.Generator
    ) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
        """The strategies (P, G) of `rollouts` rollouts of each problem, and their rewards 0 or 1 (P, G)."""
        cumulative = policy.cumsum(axis=1)
        cumulative /= cumulative[:, -1:]
        uniform = generator.random((len(policy), rollouts))
        chosen = (uniform[:, :, None] > cumulative[:, None, :]).sum(axis=2)
        chance = np.take_along_axis(self.success, chosen, axis=1)
        return chosen, (generator.random(chosen.shape) < chance).astype(np.float32)

    def pass_at_1(self, policy: Floats) -> float:
        """Exact chance that one rollout of a problem is right, mean over the problems."""
        return float((policy * self.success).sum(axis=1).mean())

    @property
    def ceiling(self) -> float:
        """The highest pass@1 that any policy has."""
        return float(self.success.max(axis=1).mean())

    def held_out_curve(self, policy: Floats, k: int) -> Floats:
        """Exact pass@1 ... pass@k on the held-out variants, mean over variants and problems, (k,)."""
        once = np.einsum("pk,pvk->pv", policy * self.success, self.available)
        failed: Floats = ((1 - once)[None] ** np.arange(1, k + 1)[:, None, None]).mean(axis=(1, 2))
        return 1 - failed

    def coverage(self, policy: Floats, k: int) -> float:
        """Expected share of a problem's valid strategies that bring a right answer among k rollouts."""
        seen = 1 - (1 - policy * self.success) ** k
        return float((seen * self.valid).sum() / self.valid.sum())


class StrategiesWorld:
    """Draws `Strategies`."""

    def __init__(self, prompts: int, strategies: int, valid: int, variants: int) -> None:
        self.prompts, self.strategies, self.valid, self.variants = prompts, strategies, valid, variants

    def sample(self, seed: int) -> Strategies:
        """The problems of a seed: which strategies are valid, which of them is common, and the variants."""
        generator = np.random.default_rng(seed)
        shape = (self.prompts, self.strategies)
        order = generator.permuted(np.tile(np.arange(self.strategies), (self.prompts, 1)), axis=1)
        valid = np.zeros(shape, dtype=bool)
        np.put_along_axis(valid, order[:, : self.valid], True, axis=1)
        start = np.zeros(shape)
        np.put_along_axis(start, order[:, :1], COMMON_LOGIT, axis=1)
        there = generator.random((self.prompts, self.variants, self.strategies)) < 0.5
        return Strategies(np.where(valid, RIGHT, LUCKY), valid, there | ~valid[:, None, :], start)

    def check(self, problems: Strategies, answer: ArrayLike, coverage: float = 0.9, k: int = 32) -> bool:
        """Whether the policy (P, K) finds at least `coverage` of the valid strategies in k rollouts."""
        policy = np.asarray(answer, dtype=np.float64)
        if policy.shape != problems.success.shape:
            raise ValueError(f"answer: got shape {policy.shape}, wanted {problems.success.shape}, a row a problem")
        if (policy < 0).any() or not np.allclose(policy.sum(axis=1), 1):
            raise ValueError("answer: got a row that is no distribution, wanted chances that add up to 1")
        return problems.coverage(policy, k) >= coverage

    def examples(self, problems: Strategies) -> list[tuple[bool, tuple[Strategies, Floats]]]:
        """A policy that passes the check, all valid strategies alike, and one that does not, the common one alone."""
        everything = problems.valid / problems.valid.sum(axis=1, keepdims=True)
        common = problems.start / problems.start.sum(axis=1, keepdims=True)
        return [(True, (problems, everything)), (False, (problems, common))]


def world(prompts: int = 32, strategies: int = 12, valid: int = 4, variants: int = 64) -> StrategiesWorld:
    """The world of `prompts` problems with `valid` of `strategies` strategies that work, and `variants` of each."""
    for name, value in (("prompts", prompts), ("variants", variants), ("valid", valid)):
        if value < 1:
            raise ValueError(f"{name}: got {value}, wanted at least 1")
    if strategies <= valid:
        raise ValueError(f"strategies: got {strategies}, wanted more than the {valid} valid ones")
    return StrategiesWorld(prompts, strategies, valid, variants)
