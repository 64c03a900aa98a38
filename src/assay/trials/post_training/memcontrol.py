"""Does training for the asked reliance on memory follow users' wishes better than a prompt and a switch? (2601.05107)

World   questions with five remembered numbers, to be answered by five numbers, remembered or new, as a phrase hints at
        one of five levels; 200 held-out ones, in phrases that were never trained on. Nano's start is anchored: whatever
        the phrase, about four of its five numbers are remembered. It knows levels said as a number a little better, and
        answers without a memory, too.
Metric  mean distance between the asked level and the realised one, by the share of remembered numbers, in replies
        sampled at temperature 1; it is 1 where no memory was shown. Their quality (numbers of the asked kind, none
        twice) must stay within two points.
Arms    baseline: the start, with the level said as a number, with the memory hidden below level 3, or both, whichever
        does best on validation questions; it is told the level that the others have to sense. method: 80 steps of TRL's
        GRPO, 64 rollouts each, paid by the distance and the quality. placebo: the same with the levels that it is paid
        for dealt out anew among the prompts. `start` is not trained further and sees the phrase.

There is no reward model here: the general score is 0. The start was settled on the reserved seed 1000 by itself: after
100 of its steps it copies 0.81 of its numbers at a quality of 0.95. The rate was chosen there for the method, 3e-4
(error 1.35 after all steps) over 1e-3 (1.38), and is the placebo's, too.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import partial
from typing import Any

from assay.engine.trial import Bar, Bars, Fixture, Measures, Metric, Mirror, Models, NoHeadroom, Trial
from assay.methods.concurrency import run_sync
from assay.methods.post_training.memcontrol import (
    MemControlReward,
    Memory,
    OverlapMDScore,
    confusion,
    mask_memory,
    read_memory,
)
from assay.methods.post_training.pipeline import GroupNormalised
from assay.models.finetune import as_prompt, replies
from assay.trials.post_training import _nano_start as nano
from assay.worlds.text import recall
from assay.worlds.text.problem import Problem, digest

CASES = 200  # questions of the full world; for a smaller one everything is trained in proportion
WORKED, WORKED_STEPS, WORKED_RATE = 2000, 120, 3e-3
ANCHORED = (0.7, 0.75, 0.8, 0.85, 0.9)  # how likely a worked reply copies, by the level that the phrase hints at
TOLD = (0.6, 0.7, 0.8, 0.9, 1.0)  # and where the level is said as a number
ROLLED_OUT, STEPS = 1000, 80
PROBED, LEAST_COPIED, MOST_COPIED, LEAST_QUALITY = 100, 0.65, 0.95, 0.75
RATE = {"placebo": 3e-4, "method": 3e-4}
WAYS = {  # of the baseline
    "level as a number": {"explicit": True},
    "switch": {"switched": True},
    "level as a number, and switch": {"explicit": True, "switched": True},
}

World = tuple[Problem, ...]
SCORE = OverlapMDScore(units=str.split)


def begin(world: World, models: Models, seed: int) -> nano.Start:
    """Nano, anchored on its memory. Raises NoHeadroom where it copies too little or too much, or writes poorly."""
    share = len(world) / CASES
    pairs = worked(seed, int(WORKED * share))
    begun = nano.start(models, pairs, steps=int(WORKED_STEPS * share), seed=seed, rate=WORKED_RATE)
    if share < 1:
        return begun
    probe = nano.problems(recall.sample, seed, PROBED, "probe")
    found = measured(*nano.load(models, begun), probe, seed)
    if not LEAST_COPIED <= found["copied"] <= MOST_COPIED or found["quality"] < LEAST_QUALITY:
        raise NoHeadroom(f"the start copies {found['copied']:.2f} at a quality of {found['quality']:.2f}")
    return begun


def worked(seed: int, count: int) -> list[tuple[str, str]]:
    """Questions with replies: three in five say the level in a phrase, one as a number, one has no memory to show."""
    kinds = (
        (3, partial(recall.sample, copied=ANCHORED)),
        (1, partial(recall.sample, copied=TOLD, explicit=True)),
        (1, partial(recall.sample, copied=(0.0,) * len(recall.LEVELS), forgetful=True)),
    )
    drawn = [
        draw(digest(seed, "worked", number, i), "train")
        for number, (parts, draw) in enumerate(kinds)
        for i in range(parts * count // 5)
    ]
    return [(problem.prompt, problem.trace) for problem in drawn]


def untrained(world: World, models: Models, seed: int, begun: nano.Start) -> Measures:
    return reported(measured(*nano.load(models, begun), world, seed))


def prompt_and_switch(world: World, models: Models, seed: int, begun: nano.Start) -> Measures:
    """The start in the way of asking that does best on questions of the training split."""
    model, tokenizer = nano.load(models, begun)
    validation = nano.problems(recall.sample, seed, len(world) // 2, "validation")
    errors = {name: measured(model, tokenizer, validation, seed, **way)["error"] for name, way in WAYS.items()}
    best = min(WAYS, key=lambda name: errors[name])
    return reported(measured(model, tokenizer, world, seed, **WAYS[best]), notes={"way of asking": best})


def dealt_anew(world: World, models: Models, seed: int, begun: nano.Start) -> Measures:
    return train(world, models, seed, begun, RATE["placebo"], dealt=True)


def memcontrol(world: World, models: Models, seed: int, begun: nano.Start) -> Measures:
    return train(world, models, seed, begun, RATE["method"])


def train(world: World, models: Models, seed: int, begun: nano.Start, rate: float, dealt: bool = False) -> Measures:
    from assay.integrations.trl import run_grpo

    share = len(world) / CASES
    model, tokenizer = nano.load(models, begun)
    run = run_grpo(
        model,
        tokenizer,
        rows(seed, int(ROLLED_OUT * share), dealt),
        MemControlReward(SCORE, task),
        advantage=GroupNormalised(scale="none"),
        steps=int(STEPS * share),
        seed=seed,
        max_tokens=recall.LONGEST,
        learning_rate=rate,
    )
    found = measured(run.model, tokenizer, world, seed)
    return reported(found, curve=tuple(step["reward"] for step in run.log if "reward" in step))


def rows(seed: int, count: int, dealt: bool) -> list[dict[str, Any]]:
    """What TRL is given; `dealt` hands the levels out anew, so that the phrases tell nothing about what is paid."""
    problems = nano.problems(recall.sample, seed, count, "rollouts")
    levels = [problem.meta["level"] for problem in problems]
    if dealt:
        random.Random(digest(seed, "dealt")).shuffle(levels)
    return [
        {
            "prompt": as_prompt(problem.prompt),
            "query": problem.meta["query"],
            "memory": list(problem.meta["memory"]),
            "preference": level,
        }
        for problem, level in zip(problems, levels)
    ]


async def task(query: str, memory: Memory, response: str) -> float:
    """The task's score from 1 to 5: the share of numbers that are fit."""
    return 1 + 4 * recall.quality(query[0], response)


def measured(
    model: Any, tokenizer: Any, problems: Sequence[Problem], seed: int, explicit: bool = False, switched: bool = False
) -> dict[str, float]:
    """Alignment error, in all and by asked level, mean level and share of copies, and the quality of the replies.

    explicit   ask with the level as a number
    switched   show no memory where `mask_memory` shows none
    """
    wanted = [problem.meta["level"] for problem in problems]
    memories = [read_memory(problem.meta["memory"]) for problem in problems]
    if switched:
        memories = [mask_memory(memory, level) for memory, level in zip(memories, wanted)]
    prompts = [recall.asked(p, explicit=explicit, forgetful=not memory) for p, memory in zip(problems, memories)]
    texts = replies(model, tokenizer, prompts, max_tokens=recall.LONGEST, temperature=1.0, seed=seed)
    scored = [(problem.meta["query"], memory, text) for problem, memory, text in zip(problems, memories, texts)]
    levels = [run_sync(SCORE, *row) for row in scored]
    found = confusion(levels, wanted)
    figures = {"error": found.error, "level": found.level}
    for level in recall.LEVELS:
        own = [abs(got - level) for got, asked in zip(levels, wanted) if asked == level]
        figures[f"error_at_{level}"] = sum(own) / max(1, len(own))
    grades = [recall.quality(problem.meta["kind"], text) for problem, text in zip(problems, texts)]
    copied = sum(SCORE.share(*row) for row in scored)
    return {**figures, "copied": copied / len(scored), "quality": sum(grades) / len(grades)}


def reported(found: dict[str, float], **more: Any) -> Measures:
    return Measures(found["error"], extra={name: value for name, value in found.items() if name != "error"}, **more)


trial = Trial(
    paper="2601.05107",
    claim="Trained for it, a model meets the asked reliance on memory better than by a prompt or by masking memories.",
    headline="alignment error 1.40 with a rubric in the prompt, 1.13 trained (Qwen3-8B)",
    metric=Metric("alignment error", better="lower", unit="levels", range=(0.0, 4.0)),
    bar=Bars(Bar(versus="baseline", relative=0.20), Bar(within=0.02, metric="quality", better="higher")),
    arms={"baseline": prompt_and_switch, "placebo": dealt_anew, "method": memcontrol, "start": untrained},
    world="text/recall",
    world_args={"each": CASES},
    quick_args={"each": 16},
    seeds=6,
    quick_seeds=1,
    quick_timeout_s=60,
    fixture=Fixture(begin),
    mirrors=(Mirror("alignment error", 0.81, ("method", "baseline")),),
    extras=("trl",),
)
