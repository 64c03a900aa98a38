"""Does paying rare strategies more keep pass@k up at the same pass@1? (2601.08763)

World   32 problems with 12 strategies each, 4 of them valid, one of those common from the start; one softmax a
        problem, 8 rollouts a step. Held-out variants of a problem lack each valid strategy with chance one half.
Stop    an arm trains until its pass@1 on the problems themselves first reaches 0.97 of what any policy can have, so
        that no arm keeps its strategies by learning less. One that has not got there after 400 updates has failed.
Metric  area under exact pass@1 ... pass@32 on the held-out variants at that point.
Arms    baseline: GRPO. method: GRPO times uniqueness weights, alpha = 1, clusters known. placebo: the same weights,
        dealt out at random within the group. The learning rate of each arm is the best of {0.1, 0.3, 1, 3} in the
        metric on the reserved seeds 1000-1029, that is 3 for all; with more, GRPO is through in 3 updates.

Beside the verdict: `coverage` of the valid strategies in 32 rollouts, `updates` to the stop, and pass@1 and pass@32
on the variants.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from assay.engine.trial import Bar, Measures, Metric, Mirror, Models, Trial
from assay.methods.metrics import auc_at_k
from assay.methods.post_training.batch import RolloutBatch
from assay.methods.post_training.pipeline import AdvantageEstimator, GroupNormalised, Pipeline
from assay.methods.post_training.uniqueness import Uniqueness
from assay.worlds.strategies import Strategies

ROLLOUTS, MOST_UPDATES, STOP, K = 8, 400, 0.97, 32
RATE = {"baseline": 3.0, "placebo": 3.0, "method": 3.0}


def grpo(world: Strategies, models: Models, seed: int) -> Measures:
    return measure(world, seed, GroupNormalised(), RATE["baseline"])


def dealt_at_random(world: Strategies, models: Models, seed: int) -> Measures:
    shuffled = OthersCluster(np.random.default_rng([seed, 1]))
    return measure(world, seed, Pipeline(GroupNormalised(), shuffled), RATE["placebo"])


def rare_first(world: Strategies, models: Models, seed: int) -> Measures:
    return measure(world, seed, Pipeline(GroupNormalised(), Uniqueness()), RATE["method"])


class OthersCluster:
    """Uniqueness weights by the strategy of another rollout of the group: sizes stay, whose they are does not."""

    needs = frozenset({"cluster"})

    def __init__(self, generator: np.random.Generator) -> None:
        self.uniqueness, self.generator = Uniqueness(), generator

    def __call__(self, batch: RolloutBatch, advantages: Tensor) -> Tensor:
        assert batch.cluster is not None
        dealt = self.generator.permuted(batch.cluster.view(-1, ROLLOUTS).numpy(), axis=1)
        return self.uniqueness(batch.replace(cluster=torch.from_numpy(dealt).view(-1)), advantages)


def measure(world: Strategies, seed: int, advantage: AdvantageEstimator, rate: float) -> Measures:
    """The held-out figures of an arm when it has learned the problems. RuntimeError where it never does."""
    policy, updates = train(world, seed, advantage, rate)
    curve = world.held_out_curve(policy, K)
    extra = {
        "coverage": world.coverage(policy, K),
        "updates": float(updates),
        "pass@1": float(curve[0]),
        f"pass@{K}": float(curve[-1]),
    }
    return Measures(auc_at_k(curve.tolist()), extra=extra, curve=tuple(curve.tolist()))


def train(world: Strategies, seed: int, advantage: AdvantageEstimator, rate: float) -> tuple[Any, int]:
    """The policy (P, K) at the stop, and after how many updates it got there."""
    generator = np.random.default_rng([seed, 0])
    logits = world.start.copy()
    for update in range(MOST_UPDATES + 1):
        policy = np.exp(logits - logits.max(axis=1, keepdims=True))
        policy /= policy.sum(axis=1, keepdims=True)
        if world.pass_at_1(policy) >= STOP * world.ceiling:
            return policy, update
        chosen, rewards = world.draw(policy, ROLLOUTS, generator)
        batch = RolloutBatch.from_rewards(torch.from_numpy(rewards))
        advantages = advantage(batch.replace(cluster=torch.from_numpy(chosen).view(-1)))
        logits += rate * gradient(policy, chosen, advantages.view(chosen.shape).double().numpy())
    raise RuntimeError(f"pass@1 did not reach {STOP} of its ceiling in {MOST_UPDATES} updates")


def gradient(policy: Any, chosen: Any, advantages: Any) -> Any:
    """Mean over a problem's rollouts of advantage times the gradient of log pi in the logits, (P, K)."""
    problems, rollouts = chosen.shape
    total = np.zeros_like(policy)
    np.add.at(total, (np.arange(problems)[:, None], chosen), advantages)
    return (total - advantages.sum(axis=1, keepdims=True) * policy) / rollouts


trial = Trial(
    paper="2601.08763",
    claim="At the same pass@1, dividing advantages by the size of their strategy's cluster gives a higher pass@k.",
    headline="AUC@64 on AIME 0.160 instead of 0.116 (Qwen2.5-7B)",
    metric=Metric("AUC@32 on held-out variants", better="higher", range=(0.0, 1.0)),
    bar=Bar(versus="baseline", relative=0.025),
    arms={"baseline": grpo, "placebo": dealt_at_random, "method": rare_first},
    world="strategies",
    quick_args={"prompts": 16},
    seeds=12,
    mirrors=(Mirror("AUC with it over AUC without", 0.160 / 0.116, ("method", "baseline")),),
    extras=("torch",),
    tags=("bar-not-blind",),
    note="Clusters are known here, where a language model would judge them. The stop at equal pass@1 and the bar were "
    "settled after a prototype had been seen: without the stop, whatever learns more slowly looks more diverse.",
)
