"""Does a searched mix of concept vectors adapt a model better than examples in its prompt? Reported. (2602.07276)

World, metric   as in `steer2adapt`.
Arms            baseline: eight calibration items stand before the question as earlier turns with their right replies,
                half of them items that the plain model has right. placebo: the same turns, each with the reply of the
                next one. method: the mix that `steer2adapt` searches. plain: no steering and no examples.

micro-styles has learnt from lessons of one turn: on the reserved seed 1000, on 20 tasks each, no reply at all was right
after eight examples, in either arm. What such prompts do for a model that has seen many is not told here. The number of
examples was not tuned.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random

from assay.engine.trial import Fixture, Measures, Metric, Models, Trial
from assay.methods.interpretability._steer_report import Change
from assay.methods.interpretability.steer2adapt import Item, margins
from assay.trials.interpretability.steer2adapt import (
    CALIBRATION,
    TASKS,
    Problems,
    Shared,
    begin,
    items_of,
    measures,
    plain,
    steer2adapt,
)
from assay.worlds.text.problem import digest

SHOTS = 8


def examples(world: Problems, models: Models, seed: int, shared: Shared) -> Measures:
    return few_shot(world, models, {task: chosen(shared, task, seed) for task in TASKS})


def others_replies(world: Problems, models: Models, seed: int, shared: Shared) -> Measures:
    return few_shot(world, models, {task: next_ones(chosen(shared, task, seed)) for task in TASKS})


def chosen(shared: Shared, task: str, seed: int) -> list[Item]:
    """`SHOTS` calibration items in random order; the first half of them all is what the plain model has right."""
    items = shared.calibration[task]
    half = CALIBRATION // 2
    shown = [*items[: SHOTS // 2], *items[half : half + SHOTS // 2]]
    return Random(digest(seed, task, "shown")).sample(shown, len(shown))


def next_ones(shown: Sequence[Item]) -> list[Item]:
    """The same prompts, each with the reply of the next."""
    return [replace(item, gold=other.gold) for item, other in zip(shown, [*shown[1:], shown[0]], strict=True)]


def after(shown: Sequence[Item], item: Item) -> Item:
    """The item with the others as turns before it."""
    turns = "".join(f"{one.prompt}<bot>{one.gold}<eos><user>" for one in shown)
    return replace(item, prompt=turns + item.prompt)


def few_shot(world: Problems, models: Models, shown: dict[str, list[Item]]) -> Measures:
    model, tokenizer = models.load("micro-styles")
    changes = {}
    for task in TASKS:
        bare = items_of(world, task)
        before = margins(model, tokenizer, bare) > 0
        now = margins(model, tokenizer, [after(shown[task], item) for item in bare]) > 0
        lost = (before & ~now).sum() / max(1, before.sum())
        changes[task] = Change(float(before.mean()), float(now.mean()), float(lost))
    return measures(changes)


trial = Trial(
    paper="2602.07276",
    name="steer2adapt_few_shot",
    claim="A searched mix of concept vectors adapts a model better than a few examples in its prompt.",
    headline="+8.2 % on average over nine tasks and three models",
    metric=Metric("accuracy gained", better="higher", range=(-1.0, 1.0)),
    bar=None,
    arms={"baseline": examples, "placebo": others_replies, "method": steer2adapt, "plain": plain},
    floor="plain",
    world="text/styles",
    world_args={"each": 200, "wanted": list(TASKS)},
    quick_args={"each": 40},
    seeds=3,
    quick_seeds=1,
    quick_timeout_s=60,
    fixture=Fixture(begin),
    prepare=("micro-styles",),
    extras=("interpretability",),
    note="Reported without a bar: the model was never taught to read examples.",
)
