"""Do matched turn rewards say which call of a chain mattered? (2601.10712)

World   a shop behind six SQLite tools; 200 questions with an expert chain of 3 to 5 calls, 8 rollouts each. A rollout
        is the expert's chain in which each call goes wrong with probability 0.35: another tool, another value,
        dropped, doubled, or in the next one's place. Every call is a turn, the answer is the last one.
Metric  Spearman correlation, over all calls of all rollouts, of a call's advantage with its counterfactual value:
        success of the chain as it is, less success with this call replaced by the expert's, both really carried out.
Arms    baseline: one advantage a rollout (its sum of turn rewards in its group). method: MatchTIR's two levels with
        the optimal assignment. placebo: the same, with each rollout's turn rewards dealt out to its turns at random.
        Shown: the soft assignment (on the first 40 questions, it is slow), the greedy one, an advantage from success
        alone, and as oracle the two levels over the values themselves.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from assay.engine.trial import Bar, Measures, Metric, Models, Trial
from assay.methods.post_training.batch import RolloutBatch
from assay.methods.post_training.matchtir import Assignment, Call, DualLevel, Kind, turn_rewards
from assay.methods.post_training.pipeline import AdvantageEstimator, GroupNormalised
from assay.worlds.desks.shop import PARAMETERS, Desk, Question, Shop, Step, random_value

ROLLOUTS, ERROR_RATE = 8, 0.35


@dataclass(frozen=True)
class Rollout:
    """Calls of a rollout, for each the expert's call it stands for, its answer, and its calls' values (0 or -1, or
    1 where the expert's call would have spoiled a lucky chain)."""

    calls: tuple[Step, ...]
    stands_for: tuple[Step, ...]
    answer: str | None
    values: tuple[int, ...]


def trajectory_level(world: Shop, models: Models, seed: int) -> Measures:
    return measure(world, seed, GroupNormalised())


def two_levels(world: Shop, models: Models, seed: int) -> Measures:
    return measure(world, seed, DualLevel())


def dealt_at_random(world: Shop, models: Models, seed: int) -> Measures:
    generator = np.random.default_rng([seed, 1])
    return measure(world, seed, DualLevel(), rearrange=generator.permutation)


def soft(world: Shop, models: Models, seed: int) -> Measures:
    few = replace(world, questions=world.questions[:40])
    return measure(few, seed, DualLevel(), kind="soft")


def greedy(world: Shop, models: Models, seed: int) -> Measures:
    return measure(world, seed, DualLevel(), assignment="greedy")


def values_themselves(world: Shop, models: Models, seed: int) -> Measures:
    return measure(world, seed, DualLevel(), by_value=True)


def success_alone(world: Shop, models: Models, seed: int) -> Measures:
    return measure(world, seed, GroupNormalised(), by_success=True)


def measure(
    world: Shop,
    seed: int,
    estimator: AdvantageEstimator,
    *,
    kind: Kind = "hard",
    assignment: Assignment = "optimal",
    rearrange: Callable[[NDArray[np.float64]], NDArray[np.float64]] | None = None,
    by_success: bool = False,
    by_value: bool = False,
) -> Measures:
    """The correlation over the rollouts of a seed, which are the same for every arm."""
    from scipy.stats import spearmanr

    drawn = rollouts(world, seed)
    rewards, right = [], []
    for question, group in zip(world.questions, drawn):
        gold = [Call(step.tool, step.arguments) for step in question.calls]
        for rollout in group:
            calls = [[Call(step.tool, step.arguments)] for step in rollout.calls]
            row = turn_rewards([*calls, []], gold, rollout.answer, question.answer, kind, assignment)
            if by_value:
                row = np.array([*rollout.values, row[-1]], dtype=np.float64)
            rewards.append(row if rearrange is None else rearrange(row))
            right.append(float(rollout.answer == question.answer))
    advantages = estimator(batch(rewards, right if by_success else [row.sum() for row in rewards]))
    flat = [rollout for group in drawn for rollout in group]
    over_turns = advantages if advantages.dim() == 2 else advantages.unsqueeze(1).expand(-1, max(map(len, rewards)))
    given = [over_turns[i, j].item() for i, rollout in enumerate(flat) for j in range(len(rollout.calls))]
    values = [value for rollout in flat for value in rollout.values]
    extra = {"success": float(np.mean(right)), "calls_that_matter": float(np.mean(np.array(values) != 0))}
    return Measures(float(spearmanr(given, values).statistic), extra=extra)


def batch(rewards: Sequence[NDArray[np.float64]], of_row: Sequence[float]) -> RolloutBatch:
    """One token a turn; `rewards` holds the turns' rewards of each rollout, `of_row` the rollout's own."""
    longest = max(map(len, rewards))
    table = np.full((len(rewards), longest), np.nan)
    for i, row in enumerate(rewards):
        table[i, : len(row)] = row
    mask = torch.from_numpy(~np.isnan(table))
    return RolloutBatch(
        rewards=torch.tensor(of_row, dtype=torch.float64),
        group=torch.arange(len(rewards)) // ROLLOUTS,
        mask=mask,
        turn=torch.arange(longest).expand_as(mask).masked_fill(~mask, -1),
        turn_rewards=torch.from_numpy(table),
    )


def rollouts(world: Shop, seed: int) -> list[list[Rollout]]:
    """The rollouts of every question."""
    rng, desk = random.Random(seed), Desk(world)
    drawn = [[_rollout(question, desk, rng) for _ in range(ROLLOUTS)] for question in world.questions]
    desk.close()
    return drawn


def _rollout(question: Question, desk: Desk, rng: random.Random) -> Rollout:
    made = spoiled(question.calls, rng)
    calls = [call for call, _ in made]
    answer = desk.answer(calls)
    succeeded = answer == question.answer
    values = []
    for j, (call, expert) in enumerate(made):
        replaced = (
            succeeded if call == expert else desk.answer([*calls[:j], expert, *calls[j + 1 :]]) == question.answer
        )
        values.append(int(succeeded) - int(replaced))
    return Rollout(tuple(calls), tuple(expert for _, expert in made), answer, tuple(values))


def spoiled(calls: Sequence[Step], rng: random.Random) -> list[tuple[Step, Step]]:
    """(call, the expert's call it stands for) in the order made; never empty: a lone last call is not dropped."""
    made: list[tuple[Step, Step]] = []
    swapped = []
    for expert in calls:
        if rng.random() >= ERROR_RATE:
            made.append((expert, expert))
            continue
        kind = rng.choice(("tool", "value", "dropped", "doubled", "swapped"))
        if kind == "tool":
            made.append(
                (Step(rng.choice([tool for tool in PARAMETERS if tool != expert.tool]), expert.arguments), expert)
            )
        elif kind == "value":
            parameter = rng.choice(list(expert.arguments))
            other = {**expert.arguments, parameter: random_value(expert, parameter, rng)}
            made.append((Step(expert.tool, other), expert))
        elif kind == "doubled":
            made += [(expert, expert)] * 2
        elif kind == "swapped":
            swapped.append(len(made))
            made.append((expert, expert))
    for j in swapped:
        if j + 1 < len(made):
            made[j], made[j + 1] = made[j + 1], made[j]
    return made or [(calls[-1], calls[-1])]


trial = Trial(
    paper="2601.10712",
    claim="Rewarding each turn by its match with the expert's calls tells the calls that decide success from the rest.",
    headline="A 4B model trained turn by turn beats 8B models trained on coarse rewards",
    metric=Metric("Spearman of advantage and counterfactual value", better="higher", range=(-1.0, 1.0)),
    bar=Bar(versus="baseline", absolute=0.20),
    arms={
        "baseline": trajectory_level,
        "placebo": dealt_at_random,
        "method": two_levels,
        "soft": soft,
        "greedy": greedy,
        "success_alone": success_alone,
        "oracle": values_themselves,
    },
    oracle="oracle",
    world="desks/shop",
    quick_args={"questions": 60},
    seeds=10,
    extras=("trl",),
    note="The value of a call is 0 unless this call alone decides the outcome; most calls of a chain that is wrong in "
    "two places have none, so no advantage can reach a correlation of 1.",
)
