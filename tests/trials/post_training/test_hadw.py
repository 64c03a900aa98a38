import math

import numpy as np
import pytest
import torch

from assay.methods.post_training.batch import RolloutBatch
from assay.methods.post_training.hadw import HADW
from assay.methods.post_training.pipeline import GroupNormalised, Pipeline
from assay.trials.post_training.hadw import ROLLOUTS, OthersRate, hard_prompt_bias, mean_centred, trial
from assay.worlds.bernoulli_prompts import BernoulliPrompts, world


class Truth:
    """The exact advantages of one prompt probability."""

    needs = frozenset()

    def __init__(self, p: float, factor: float = 1.0):
        self.p, self.factor = p, factor

    def __call__(self, batch):
        return self.factor * (batch.rewards - self.p)


def test_exact_advantages_have_no_bias_whatever_their_scale():
    prompts = BernoulliPrompts(np.full(64, 0.2))
    bias = hard_prompt_bias(prompts, 0, lambda generator: Truth(0.2, factor=3.0))
    assert bias.fitted == pytest.approx(0, abs=1e-6)
    assert bias.c == pytest.approx(1 / 3)
    assert bias.raw > 0.5


def test_the_bias_of_grpo_is_the_one_that_enumeration_gives():
    p, g = 0.1, ROLLOUTS
    right = np.arange(1, g)
    chance = np.array([math.comb(g, r) * p**r * (1 - p) ** (g - r) for r in right])
    wrong_rows, right_rows = chance * (g - right), chance * right
    mean = {0: wrong_rows @ (-right / g) / wrong_rows.sum(), 1: right_rows @ (1 - right / g) / right_rows.sum()}
    exact = math.sqrt(((mean[0] + p) ** 2 + (mean[1] - 1 + p) ** 2) / 2)
    measured = hard_prompt_bias(BernoulliPrompts(np.full(512, p)), 0, mean_centred)
    assert measured.raw == pytest.approx(exact, abs=0.004)


def test_the_placebo_weights_by_the_rates_of_other_prompts_and_knows_no_prompts_own():
    class Donors(HADW):
        def __call__(self, batch, advantages):
            self.rates = batch.rewards.view(-1, ROLLOUTS).mean(dim=1)
            return advantages

    own = torch.arange(9).repeat_interleave(ROLLOUTS).float() / 8
    placebo = OthersRate(np.random.default_rng(0))
    placebo.hadw = Donors()
    placebo(RolloutBatch.from_rewards(own.view(9, ROLLOUTS)), own)
    rates = placebo.hadw.rates
    assert sorted(rates.tolist()) == (torch.arange(9) / 8).tolist()
    assert (rates != torch.arange(9) / 8).all()


def test_the_placebo_keeps_the_anchor_that_the_method_has():
    batch = RolloutBatch.from_rewards(torch.rand(16, ROLLOUTS).round())
    method, placebo = HADW(), OthersRate(np.random.default_rng(0))
    for transform in (method, placebo):
        Pipeline(GroupNormalised(scale="none"), transform)(batch)
    assert method.anchor.belief == pytest.approx(placebo.hadw.anchor.belief)


def test_arms_repeat_themselves_and_differ_from_one_another():
    prompts = world(prompts=64).sample(1)
    values = {name: arm(prompts, None, 1).value for name, arm in trial.arms.items()}
    assert values["method"] == trial.arms["method"](prompts, None, 1).value
    assert len(set(values.values())) == 3


def test_the_quick_run_ends_in_a_verdict():
    from assay.engine import run

    result = run(trial, quick=True, isolation="inline")
    assert not result.failed
    assert result.verdict.outcome in ("holds", "fails", "inconclusive")
