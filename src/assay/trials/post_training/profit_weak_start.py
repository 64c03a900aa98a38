"""What does ProFit do where the start does not find the core probable? Reported beside `profit`, no bar. (2601.09195)

World, arms and metric are those of `profit`; only the pre-training is shorter, 200 steps instead of 1,100, so that the
model tells its sums fluently and gets most of them wrong. The threshold then drops right numbers along with free words.
"""

from __future__ import annotations

from assay.engine.trial import Fixture, Metric, Models, Trial
from assay.trials.post_training._nano_start import Start
from assay.trials.post_training.profit import plain, pretrained, profit, random_tokens
from assay.worlds.text.problem import Problem

PRETRAIN = 200  # steps with the full world's 400 questions


def begin(world: tuple[Problem, ...], models: Models, seed: int) -> Start:
    """The weights after the short pre-training, whatever they solve."""
    return dict(pretrained(seed, PRETRAIN * len(world) // 400, world[0].meta["below"]).state_dict())


trial = Trial(
    paper="2601.09195",
    name="profit_weak_start",
    claim="Fine-tuning on probable tokens also helps a model that does not yet find the core of its data probable.",
    headline="the paper starts from models that give core tokens a probability of 0.768 on average, others 0.485",
    metric=Metric("held-out exact match", better="higher", range=(0, 1)),
    bar=None,
    arms={"baseline": plain, "placebo": random_tokens, "method": profit},
    world="text/told_sums",
    world_args={"each": 400, "below": 20},
    quick_args={"each": 110, "below": 12},
    seeds=6,
    quick_seeds=1,
    quick_timeout_s=60,
    after={"placebo": "method"},
    fixture=Fixture(begin),
    extras=("lm",),
    note="Reported, not judged: the paper claims nothing for such a start. Read it as the price of a wrong one.",
)
