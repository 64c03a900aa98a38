"""Prompts as coins: each has a success probability, and a rollout is right with it.

The smallest world in which group-based policy gradients can be wrong, and every expectation is known: the advantage
of a response with reward r is r - p. `world(prompts=512)` mixes hard and easy prompts, half from Beta(1.2, 10) and
half from Beta(10, 1.2); `world(mixture="uniform")` spreads p evenly over (0, 1). An answer is an estimate of p.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Mixture = Literal["bimodal", "uniform"]


@dataclass(frozen=True)
class BernoulliPrompts:
    """P prompts with success probabilities `p`, (P,) in (0, 1)."""

    p: NDArray[np.float64]

    def draw(
        self, group_size: int, generator: np.random.Generator, prompts: NDArray[np.intp] | None = None
    ) -> NDArray[np.float32]:
        """Rewards 0 or 1 of `group_size` rollouts of each prompt (of those in `prompts`, by number), (P, G)."""
        p = self.p if prompts is None else self.p[prompts]
        return (generator.random((len(p), group_size)) < p[:, None]).astype(np.float32)

    def expected_advantage(self, reward: float) -> NDArray[np.float64]:
        """A = reward - p for each prompt, (P,)."""
        return reward - self.p

    def conditional_mean(self, group_size: int) -> NDArray[np.float64]:
        """E[p_hat | 1 <= R <= G - 1] for each prompt, (P,): summed over every possible number R of right rollouts."""
        right = np.arange(1, group_size)
        ways = np.array([math.comb(group_size, r) for r in right], dtype=np.float64)
        chance = ways * self.p[:, None] ** right * (1 - self.p[:, None]) ** (group_size - right)
        return (chance @ right) / group_size / chance.sum(axis=1)


class BernoulliWorld:
    """Draws `BernoulliPrompts` of one mixture of difficulty."""

    def __init__(self, prompts: int, mixture: Mixture) -> None:
        self.prompts, self.mixture = prompts, mixture

    def sample(self, seed: int) -> BernoulliPrompts:
        """The prompts of a seed; the same seed gives the same prompts."""
        generator = np.random.default_rng(seed)
        if self.mixture == "uniform":
            p = generator.random(self.prompts)
        else:
            hard = generator.random(self.prompts) < 0.5
            p = np.where(hard, generator.beta(1.2, 10, self.prompts), generator.beta(10, 1.2, self.prompts))
        return BernoulliPrompts(np.clip(p, 1e-6, 1 - 1e-6))

    def check(self, prompts: BernoulliPrompts, answer: ArrayLike, tolerance: float = 0.05) -> bool:
        """Whether the estimates (P,) of the success probabilities are within `tolerance` on average (RMS)."""
        answer = np.asarray(answer, dtype=np.float64)
        if answer.shape != prompts.p.shape:
            raise ValueError(f"answer: got shape {answer.shape}, wanted {prompts.p.shape}, one estimate a prompt")
        return bool(np.sqrt(np.mean((answer - prompts.p) ** 2)) <= tolerance)


def world(prompts: int = 512, mixture: Mixture = "bimodal") -> BernoulliWorld:
    """The world of `prompts` prompts whose difficulty is spread as `mixture` says."""
    if prompts < 1:
        raise ValueError(f"prompts: got {prompts}, wanted at least 1")
    if mixture not in ("bimodal", "uniform"):
        raise ValueError(f"mixture: got {mixture!r}, wanted 'bimodal' or 'uniform'")
    return BernoulliWorld(prompts, mixture)
