"""Does nano keep its rarer way of writing a sum with uniqueness weights? Reported beside `uniqueness`. (2601.08763)

World   sums of two numbers, written as given (12+19=31) or turned round (19+12=31). Nano starts from worked sums of
        which one in five is turned round.
Metric  share of turned-round replies among the right ones on held-out sums, sampled at temperature 1 after 60 steps
        of TRL's GRPO, 64 rollouts each. Nothing rewards either way: what moves it is chance and the method.
Arms    as in `uniqueness`; a `SignatureJudge` reads the way off the reply. `accuracy` is of the same samples, and
        must be looked at beside the share: an arm that learns less also changes less. All arms train at 3e-4, untuned.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor

from assay.engine.trial import Fixture, Measures, Metric, Models, Trial
from assay.methods.post_training.batch import RolloutBatch
from assay.methods.post_training.pipeline import AdvantageEstimator, GroupNormalised, Pipeline
from assay.methods.post_training.uniqueness import SignatureJudge, Uniqueness, clustered
from assay.models.finetune import replies
from assay.trials.post_training import _nano_start as nano
from assay.worlds.text import sums
from assay.worlds.text.problem import Problem, parse

STEPS, LONGEST, RATE, TURNED_ONE_IN = 60, 12, 3e-4, 5
draw = partial(sums.sample, digits=(1, 2))


def begin(world: tuple[Problem, ...], models: Models, seed: int) -> nano.Start:
    """Nano after 60 steps on worked sums, one in five turned round."""
    worked = nano.problems(draw, seed, 600, "worked")
    pairs = [(p.prompt, turned(p.trace) if i % TURNED_ONE_IN == 0 else p.trace) for i, p in enumerate(worked)]
    return nano.start(models, pairs, steps=60, seed=seed)


def grpo(world: tuple[Problem, ...], models: Models, seed: int, begun: nano.Start) -> Measures:
    return train(world, models, seed, begun, GroupNormalised())


def dealt_at_random(world: tuple[Problem, ...], models: Models, seed: int, begun: nano.Start) -> Measures:
    return train(world, models, seed, begun, Pipeline(GroupNormalised(), OthersWay(seed)))


def rare_first(world: tuple[Problem, ...], models: Models, seed: int, begun: nano.Start) -> Measures:
    return train(world, models, seed, begun, Pipeline(GroupNormalised(), Uniqueness()))


class OthersWay:
    """Uniqueness weights by the way of another rollout of the group."""

    needs = frozenset({"cluster"})

    def __init__(self, seed: int) -> None:
        self.uniqueness, self.generator = Uniqueness(), torch.Generator().manual_seed(seed)

    def __call__(self, batch: RolloutBatch, advantages: Tensor) -> Tensor:
        assert batch.cluster is not None
        dealt = batch.cluster.clone()
        for rows in batch.groups():
            dealt[rows] = batch.cluster[rows[torch.randperm(len(rows), generator=self.generator)]]
        return self.uniqueness(batch.replace(cluster=dealt), advantages)


def train(
    world: tuple[Problem, ...], models: Models, seed: int, begun: nano.Start, advantage: AdvantageEstimator
) -> Measures:
    from assay.integrations.trl import run_grpo

    model, tokenizer = nano.load(models, begun)
    run = run_grpo(
        model,
        tokenizer,
        nano.rows(nano.problems(draw, seed, 1000, "rollouts")),
        nano.answered,
        advantage=advantage,
        annotate=partial(clustered, judge=SignatureJudge(first_number)),
        steps=STEPS,
        seed=seed,
        max_tokens=LONGEST,
        learning_rate=RATE,
    )
    share, accuracy = rarer_share(run.model, tokenizer, world, seed)
    before, accuracy_before = rarer_share(model, tokenizer, world, seed)
    extra = {"accuracy": accuracy, "share_at_the_start": before, "accuracy_at_the_start": accuracy_before}
    return Measures(share, extra=extra)


def first_number(reply: str) -> str:
    """What tells the two ways apart among replies to one sum."""
    return reply.split("+")[0]


def turned(trace: str) -> str:
    """A worked sum with its two numbers changed over: 12+19=31 to 19+12=31."""
    task, rest = trace.split("=", 1)
    return "+".join(reversed(task.split("+"))) + "=" + rest


def rarer_share(model: Any, tokenizer: Any, world: tuple[Problem, ...], seed: int) -> tuple[float, float]:
    """Share of turned-round replies among the right ones, and share of right ones, in one sample a sum."""
    told_apart = [problem for problem in world if turned(problem.trace) != problem.trace]
    prompts = [problem.prompt for problem in told_apart]
    texts = replies(model, tokenizer, prompts, max_tokens=LONGEST, temperature=1.0, seed=seed)
    right = [(p, text) for p, text in zip(told_apart, texts) if parse(text) == p.answer]
    turned_round = sum(first_number(text) == first_number(turned(p.trace)) for p, text in right)
    return turned_round / max(1, len(right)), len(right) / len(texts)


trial = Trial(
    paper="2601.08763",
    name="uniqueness_training",
    claim="With uniqueness weights a small model keeps a rarer way of solving that plain GRPO gives up.",
    headline="AUC@64 on AIME 0.160 instead of 0.116 (Qwen2.5-7B)",
    metric=Metric("share of the rarer way", better="higher", range=(0.0, 1.0)),
    bar=None,
    arms={"baseline": grpo, "placebo": dealt_at_random, "method": rare_first},
    world="text/sums",
    world_args={"each": 600, "digits": [1, 2]},
    seeds=3,
    quick_seeds=1,
    quick_timeout_s=60,
    fixture=Fixture(begin),
    extras=("trl",),
    note="Reported, not judged: 60 steps of a model with a million weights say little about the paper's setting, and "
    "the arms are compared at equal steps, not at equal accuracy.",
)
