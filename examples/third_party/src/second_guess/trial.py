"""Does the majority of several answers beat one answer? (2203.11171)

World     sixty sums a seed.
Metric    share of sums that are answered right.
Arms      baseline: one call. method: the answer that most of nine calls agree on. placebo: nine calls, of which one
          is taken at random; as much is spent, and the vote is gone.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from statistics import fmean

from assay.engine.trial import Bar, Cost, Measures, Metric, Models, Trial

CALLS = 9

Questions = Sequence[tuple[int, int]]


def one_call(world: Questions, models: Models, seed: int) -> Measures:
    """What a user would do today."""
    return share_right(world, models, seed, 1, lambda answers, draw: answers[0])


def any_of_nine(world: Questions, models: Models, seed: int) -> Measures:
    """As many calls as the method, without the vote."""
    return share_right(world, models, seed, CALLS, lambda answers, draw: draw.choice(answers))


def majority_of_nine(world: Questions, models: Models, seed: int) -> Measures:
    """Self-consistency: the most common answer."""
    return share_right(world, models, seed, CALLS, lambda answers, draw: Counter(answers).most_common(1)[0][0])


def share_right(
    world: Questions, models: Models, seed: int, calls: int, choose: Callable[[list[int], random.Random], int]
) -> Measures:
    """Ask the model `calls` times a question and mark what `choose` makes of the answers."""
    model, _ = models.load("guesser")
    draw, own = random.Random(seed), random.Random(seed + 1)  # an arm's own draws leave the model's alone
    marks = []
    for question in world:
        answers = [model.answer(question, draw) for _ in range(calls)]
        marks.append(choose(answers, own) == sum(question))
    return Measures(fmean(marks), cost=Cost(model_calls=calls * len(world)))


trial = Trial(
    paper="2203.11171",
    claim="The majority of several answers is right more often than one answer.",
    headline="+17.9 points on GSM8K",
    metric=Metric("accuracy", better="higher", unit="share right", range=(0.0, 1.0)),
    bar=Bar(versus="baseline", absolute=0.10),
    arms={"baseline": one_call, "placebo": any_of_nine, "method": majority_of_nine},
    world="sums_aloud",
    quick_seeds=16,  # a seed takes a tenth of a second
    tags=("stand-in",),
)
