"""Does nano learn more of hard sums from a curriculum of pass rates than from prompts as they come? (2602.09443)

World   480 held-out sums of two numbers with one or two digits. The start that all arms of a seed share is nano after
        250 supervised steps on worked sums; it solves some of the short ones.
Metric  greedy accuracy on the hardest third of the held-out sums, those with the most digits and carries, after 60
        updates of TRL's GRPO with GSPO's loss, 64 rollouts each: 3,840 in all.
Arms    baseline: prompts in random order, 8 rollouts each. method: the paper's three stages over 500 prompts, a third
        of the updates each; pass rates are measured by 8 samples of the start, and again of the policy as a stage
        begins. placebo: the same stages with every prompt given another's pass rate, so that as many are kept, at
        random. Windows grow from stage to stage and cut no worked reply.

The pass rates cost the method and the placebo 8,000 samples that train nothing; the baseline has none of them. How
long the start is trained was chosen on the reserved seed 1000, the rate per arm on 1000 and 1001 after all updates: at
1e-4, 3e-4 and 1e-3 the baseline reaches 0.18, 0.17 and 0.06, the placebo 0.18, 0.14 and 0.04, the method 0.18, 0.17 and
0.04.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypedDict

import numpy as np

from assay.engine.trial import Bar, Fixture, Measures, Metric, Mirror, Models, NoHeadroom, Trial
from assay.methods.post_training.p1_vl import Curriculum, GSPOLoss, stages
from assay.methods.post_training.pipeline import GroupNormalised
from assay.models.finetune import replies
from assay.trials.post_training import _nano_start as nano
from assay.worlds.text import sums
from assay.worlds.text.problem import Problem, digest, parse

CASES = 480  # sums of the full world; for a smaller one everything is trained in proportion
WORKED, WORKED_STEPS, WORKED_RATE = 6000, 250, 3e-3
POOL, SAMPLES = 500, 8
STEPS, BATCH, ROLLOUTS = 60, 64, 8
PROMPT, REPLY = 7, 11  # tokens of the longest prompt with its marks, and of the longest worked reply with its end
STAGES = stages(PROMPT + REPLY + 1, PROMPT + REPLY + 2, PROMPT + REPLY + 3)
RATE = {"baseline": 1e-4, "placebo": 1e-4, "method": 1e-4}

World = tuple[Problem, ...]


class Begun(TypedDict):
    weights: nano.Start
    rates: list[float]


def begin(world: World, models: Models, seed: int) -> Begun:
    """Nano that solves short sums, and the pass rates of what it is trained on. Raises NoHeadroom where a stage of
    the curriculum could not fill an update."""
    weights = worked_start(world, models, seed)
    model, tokenizer = nano.load(models, weights)
    rates = pass_rates(model, tokenizer, pool(world, seed), seed)
    for stage in STAGES:
        if sum(map(stage.keeps, rates)) < BATCH // stage.rollouts:
            raise NoHeadroom(f"no prompts to fill an update with pass rates up to {stage.upper:g}")
    return Begun(weights=weights, rates=rates)


def worked_start(world: World, models: Models, seed: int) -> nano.Start:
    """Nano after supervised training on worked sums like the world's."""
    pairs = [(p.prompt, p.trace) for p in nano.problems(sums_like(world), seed, WORKED, "worked")]
    return nano.start(models, pairs, steps=WORKED_STEPS, seed=seed, rate=WORKED_RATE)


def sums_like(world: World) -> nano.Draw:
    """Sums of numbers with as many digits as the world's longest."""
    return partial(sums.sample, digits=(1, max(problem.meta["digits"] for problem in world)))


def pool(world: World, seed: int) -> list[Problem]:
    """The prompts that all arms of a seed are trained on."""
    return nano.problems(sums_like(world), seed, int(POOL * len(world) / CASES), "rollouts")


def pass_rates(model: Any, tokenizer: Any, problems: Sequence[Problem], seed: int) -> list[float]:
    """The share of SAMPLES replies at temperature 1 that are right."""
    ask = partial(replies, model, tokenizer, [problem.prompt for problem in problems], max_tokens=REPLY)
    rounds = [ask(temperature=1.0, seed=seed, choice=choice) for choice in range(SAMPLES)]
    return [
        sum(parse(text) == problem.answer for text in own) / SAMPLES for problem, own in zip(problems, zip(*rounds))
    ]


def hardest_third(world: World) -> list[int]:
    """Places of the held-out sums with the most digits, of equals those that carry first. No model is asked: what one
    happens to get wrong, any other gets right more often."""

    def hardness(place: int) -> tuple[int, bool, int]:
        problem = world[place]
        return sum(map(str.isdigit, problem.prompt)), problem.meta["carry"], digest(problem.prompt)

    return sorted(range(len(world)), key=hardness, reverse=True)[: len(world) // 3]


def as_they_come(world: World, models: Models, seed: int, begun: Begun) -> Measures:
    return train(world, models, seed, begun, None, RATE["baseline"])


def dealt_rates(world: World, models: Models, seed: int, begun: Begun) -> Measures:
    others = np.random.default_rng([seed, 1]).permutation(len(begun["rates"]))
    return train(world, models, seed, begun, lambda rates: [rates[other] for other in others], RATE["placebo"])


def curriculum(world: World, models: Models, seed: int, begun: Begun) -> Measures:
    return train(world, models, seed, begun, lambda rates: rates, RATE["method"])


def untrained(world: World, models: Models, seed: int, begun: Begun) -> Measures:
    measures = measured(*nano.load(models, begun["weights"]), world)
    return Measures(measures.pop("hardest"), extra=measures)


def train(
    world: World,
    models: Models,
    seed: int,
    begun: Begun,
    seen: Callable[[list[float]], list[float]] | None,
    rate: float,
) -> Measures:
    """`seen` makes of the prompts' pass rates those that the curriculum is told; None trains without one."""
    from assay.integrations.trl import run_grpo

    model, tokenizer = nano.load(models, begun["weights"])
    problems, steps = pool(world, seed), int(STEPS * len(world) / CASES)
    asked = 0

    def scheduled(policy: Any) -> Curriculum:
        def estimate(places: Sequence[int]) -> list[float]:
            nonlocal asked
            asked += SAMPLES * len(places)
            return seen(pass_rates(policy, tokenizer, problems, seed + 1))

        return Curriculum(
            seen(begun["rates"]),
            STAGES,
            batch=BATCH,
            longest_prompt=PROMPT,
            steps=[steps // 3, steps // 3],
            estimate=estimate,
            generator=np.random.default_rng(seed),
        )

    run = run_grpo(
        model,
        tokenizer,
        nano.rows(problems),
        nano.answered,
        advantage=GroupNormalised(),
        steps=steps,
        seed=seed,
        rollouts=ROLLOUTS,
        batch=BATCH,
        max_tokens=REPLY + 3,
        learning_rate=rate,
        loss=GSPOLoss(),
        scheduler=None if seen is None else scheduled,
    )
    after = measured(run.model, tokenizer, world)
    curve = tuple(step["reward"] for step in run.log if "reward" in step)
    return Measures(after.pop("hardest"), extra={**after, "samples_for_rates": asked}, curve=curve)


def measured(model: Any, tokenizer: Any, world: World) -> dict[str, float]:
    """Greedy accuracy on the hardest third, and on the others."""
    hardest = set(hardest_third(world))
    return {
        "hardest": nano.share_right(model, tokenizer, [world[place] for place in sorted(hardest)], REPLY),
        "others": nano.share_right(
            model, tokenizer, [problem for place, problem in enumerate(world) if place not in hardest], REPLY
        ),
    }


trial = Trial(
    paper="2602.09443",
    claim="A curriculum that tightens pass rates teaches more of the hardest sums than prompts in random order.",
    headline="39.3 points on average over 13 physics olympiads, 33.9 for the model it was trained from (235B)",
    metric=Metric("accuracy on the hardest third", better="higher", range=(0.0, 1.0)),
    bar=Bar(versus="baseline", relative=0.10),
    arms={"baseline": as_they_come, "placebo": dealt_rates, "method": curriculum, "untrained": untrained},
    world="text/sums",
    world_args={"each": CASES, "digits": [1, 2]},
    quick_args={"each": 96, "digits": [1, 2]},
    seeds=6,
    quick_seeds=1,
    timeout_s=600,
    quick_timeout_s=60,
    fixture=Fixture(begin),
    mirrors=(Mirror("score over the model it was trained from", 39.3 / 33.9, ("method", "untrained")),),
    extras=("trl",),
)
