import random

import pytest
import torch

from assay.trials.post_training.matchtir import batch, measure, rollouts, spoiled, trial
from assay.worlds.desks.shop import Desk, world

SHOP = world(40).sample(5)


class Values:
    """An estimator that hands out what it is told, one number a turn."""

    needs = frozenset()

    def __init__(self, table):
        self.table = table

    def __call__(self, batch):
        return self.table


def test_values_are_what_carrying_the_chain_out_again_says():
    desk = Desk(SHOP)
    for question, group in zip(SHOP.questions, rollouts(SHOP, 3)):
        for rollout in group:
            right = rollout.answer == question.answer
            for j, expert in enumerate(rollout.stands_for):
                repaired = [*rollout.calls[:j], expert, *rollout.calls[j + 1 :]]
                assert rollout.values[j] == int(right) - int(desk.answer(repaired) == question.answer)
            if not right and all(value == 0 for value in rollout.values):
                continue
            assert right or -1 in rollout.values


def test_the_metric_is_one_for_the_values_themselves():
    flat = [rollout for group in rollouts(SHOP, 3) for rollout in group]
    table = torch.zeros(len(flat), 1 + max(len(rollout.calls) for rollout in flat))
    for i, rollout in enumerate(flat):
        table[i, : len(rollout.values)] = torch.tensor(rollout.values)
    assert measure(SHOP, 3, Values(table)).value == pytest.approx(1)
    assert measure(SHOP, 3, Values(-table)).value == pytest.approx(-1)


def test_calls_go_wrong_at_the_stated_rate_and_never_all_of_them_vanish():
    rng = random.Random(0)
    calls = SHOP.questions[0].calls
    made = [spoiled(calls, rng) for _ in range(3000)]
    assert all(made)
    whole = sum([call for call, _ in one] == list(calls) for one in made) / len(made)
    # untouched, or every spoiled call was only to be swapped with one that is not there (the last)
    assert whole == pytest.approx((1 - 0.35) ** len(calls) + 0.35 / 5 * (1 - 0.35) ** (len(calls) - 1), abs=0.03)


def test_the_batch_has_a_turn_for_each_reward():
    import numpy as np

    made = batch([np.array([0.5, 1.0]), np.array([0.2])] * 8, [1.5, 0.2] * 8)
    assert made.turn[0].tolist() == [0, 1]
    assert made.turn[1].tolist() == [0, -1]
    assert made.mask[1].tolist() == [True, False]


def test_the_quick_run_ends_in_a_verdict():
    from assay.engine import run

    result = run(trial, quick=True, arms=["baseline", "placebo", "method", "oracle"], isolation="inline")
    assert not result.failed
    assert result.verdict.outcome in ("holds", "fails", "inconclusive")
    mean = {arm: sum(u.value for u in result.units if u.arm == arm) for arm in ("method", "placebo", "oracle")}
    assert mean["placebo"] < mean["oracle"], "the world can show a difference"
