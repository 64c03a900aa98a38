"""Does a policy learn more whole chains of calls from matched turn rewards? Reported beside `matchtir`, without a bar.
(2601.10712)

World   `matchtir`'s shop; 300 questions to train on and 100 others to be tested by.
Policy  a small network reads the question word by word and chooses tool and arguments of each call. The start that all
        arms of a seed share has imitated experts' chains spoiled as in `matchtir`, 4 a question.
Metric  share of rollouts of the test questions, 8 each, that come to the right answer, after 150 updates of 16
        training questions x 8; what the likeliest calls come to is shown.
Arms    baseline: one advantage a rollout, of its sum of turn rewards. method: MatchTIR's two levels. placebo: two
        levels over each rollout's turn rewards dealt out to its turns at random. Shown: success alone.

How long the start imitates, and each arm's learning rate (of 3e-4, 1e-3 and 3e-3), were chosen on the reserved seed
1000, where the placebo unlearns what it came with at any of them.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from assay.engine.trial import Fixture, Measures, Metric, Models, Trial
from assay.methods.policy_gradient import Rollouts, grpo
from assay.methods.post_training.matchtir import Call, DualLevel, turn_rewards
from assay.methods.post_training.pipeline import AdvantageEstimator, GroupNormalised
from assay.models.policies import FeaturePolicy
from assay.trials.post_training import _shop_policy as shop
from assay.trials.post_training.matchtir import ROLLOUTS, batch, spoiled
from assay.worlds.desks.shop import Desk, Question, Shop

TESTED = 0.25  # share of the questions
QUESTIONS, UPDATES = 16, 150
SHOWN, IMITATED, IMITATION_RATE = 4, 500, 3e-3  # chains a question, steps
RATE = {"baseline": 3e-3, "placebo": 3e-4, "method": 3e-3}

Rewards = list[NDArray[np.float64]]
Start = dict[str, torch.Tensor]


def begin(world: Shop, models: Models, seed: int) -> Start:
    """A policy that has seen experts' chains with mistakes in them."""
    policy, rng = shop.fresh(torch.Generator().manual_seed(seed)), random.Random(seed)
    train, _ = split(world)
    chains = [
        (question, [call for call, _ in spoiled(question.calls, rng)]) for question in train for _ in range(SHOWN)
    ]
    shop.imitate(policy, chains, IMITATED, IMITATION_RATE, rng)
    return policy.state_dict()


def split(world: Shop) -> tuple[tuple[Question, ...], tuple[Question, ...]]:
    tested = int(len(world.questions) * TESTED)
    return world.questions[tested:], world.questions[:tested]


def trajectory_level(world: Shop, models: Models, seed: int, begun: Start) -> Measures:
    return train(world, seed, begun, GroupNormalised(), RATE["baseline"])


def dealt_at_random(world: Shop, models: Models, seed: int, begun: Start) -> Measures:
    deal = np.random.default_rng([seed, 1]).permutation
    return train(world, seed, begun, DualLevel(), RATE["placebo"], lambda rewards: [deal(row) for row in rewards])


def two_levels(world: Shop, models: Models, seed: int, begun: Start) -> Measures:
    return train(world, seed, begun, DualLevel(), RATE["method"])


def success_alone(world: Shop, models: Models, seed: int, begun: Start) -> Measures:
    """1 or 0 for the whole rollout, on its last turn."""

    def by_answer(rewards: Rewards) -> Rewards:
        return [np.array([*[0.0] * (len(row) - 1), float(row[-1] == 1)]) for row in rewards]

    return train(world, seed, begun, GroupNormalised(), RATE["baseline"], by_answer)


def train(
    world: Shop,
    seed: int,
    begun: Start,
    estimator: AdvantageEstimator,
    rate: float,
    rearrange: Callable[[Rewards], Rewards] = list,
) -> Measures:
    """Train the start on the training questions and measure it on the test questions."""
    policy, generator = shop.fresh(torch.Generator().manual_seed(seed)), torch.Generator().manual_seed(seed)
    policy.load_state_dict(begun)
    questions, tested = split(world)
    order, desk = np.random.default_rng([seed, 0]), Desk(world)
    before = success(policy, tested, desk, seed)
    curve = []

    def collect(update: int) -> Rollouts:
        chosen = order.choice(len(questions), QUESTIONS, replace=False)
        asked = [questions[i] for i in chosen for _ in range(ROLLOUTS)]
        played = shop.play(policy, asked, generator)
        rewards = [turn_rewards_of(question, played.calls[i], desk) for i, question in enumerate(asked)]
        curve.append(float(np.mean([row[-1] == 1 for row in rewards])))
        rewards = rearrange(rewards)
        advantages = estimator(batch(rewards, [row.sum() for row in rewards]))
        longest = max(map(len, rewards))
        table = advantages if advantages.dim() == 2 else advantages.unsqueeze(1).expand(-1, longest)
        last = torch.tensor([len(row) - 1 for row in rewards])
        turn = torch.minimum(played.turn, last[played.episode])  # that one is done is said in the turn of the answer
        each = table[played.episode, turn].float()
        rows = torch.arange(len(each))
        return Rollouts(played.observations, played.actions, played.logprobs, rows, each, played.episode)

    updates = UPDATES * len(world.questions) // 400
    grpo(policy, collect, updates, learning_rate=rate, advantages=lambda given, group: given)
    extra = {"likeliest_calls": success(policy, tested, desk), "success_at_the_start": before}
    after = success(policy, tested, desk, seed)
    desk.close()
    return Measures(after, extra=extra, curve=tuple(curve[::10]))


def turn_rewards_of(question: Question, calls: list[shop.Step], desk: Desk) -> NDArray[np.float64]:
    """One reward a call, and one for the answer."""
    gold = [Call(step.tool, step.arguments) for step in question.calls]
    made = [[Call(step.tool, step.arguments)] for step in calls]
    return turn_rewards([*made, []], gold, desk.answer(calls), question.answer)


def success(policy: FeaturePolicy, questions: Sequence[Question], desk: Desk, seed: int | None = None) -> float:
    """Share of right answers: by the policy's likeliest calls, or with a seed of `ROLLOUTS` draws a question."""
    asked = [question for question in questions for _ in range(1 if seed is None else ROLLOUTS)]
    generator = torch.Generator().manual_seed(seed or 0)
    played = shop.play(policy, asked, generator, greedy=seed is None)
    return float(np.mean([desk.answer(calls) == question.answer for calls, question in zip(played.calls, asked)]))


trial = Trial(
    paper="2601.10712",
    name="matchtir_training",
    claim="A policy that is rewarded turn by turn, by matched calls, completes more chains after the same updates.",
    headline="A 4B model trained turn by turn beats 8B models trained on coarse rewards",
    metric=Metric("exact success on test questions", better="higher", range=(0.0, 1.0)),
    bar=None,
    arms={
        "baseline": trajectory_level,
        "placebo": dealt_at_random,
        "method": two_levels,
        "success_alone": success_alone,
    },
    world="desks/shop",
    world_args={"questions": 400},
    quick_args={"questions": 100},
    seeds=6,
    quick_seeds=1,
    quick_timeout_s=60,
    fixture=Fixture(begin),
    extras=("trl",),
    tags=("stand-in",),
    note="Reported, not judged: a network of a few hundred thousand weights stands in for an agent.",
)
