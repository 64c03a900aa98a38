import math
import time

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from assay.methods.post_training.batch import RolloutBatch
from assay.methods.post_training.hadw import (
    HADW,
    DifficultyAnchor,
    bias_report,
    conditional_bias,
    corollary3,
    difficulty_weights,
    misestimate_probability,
    scale_interval,
)
from assay.methods.post_training.pipeline import GroupNormalised, Pipeline

NAN = float("nan")


def weigh(rewards, hadw: HADW) -> list[list[float]]:
    batch = RolloutBatch.from_rewards(torch.tensor(rewards))
    return Pipeline(GroupNormalised(scale="none"), hadw)(batch).view(len(rewards), -1).tolist()


def test_a_hard_and_an_easy_group_equal_the_case_worked_by_hand():
    hard, easy = weigh([[1.0, 0.0, 0.0, 0.0], [1.0, 1.0, 1.0, 0.0]], HADW(mode="fixed", fixed=0.5))
    up, down = math.exp(0.25), math.exp(-0.25)  # both pass rates are 0.25 away from 0.5
    assert hard == pytest.approx([0.75 * up, -0.25 * down, -0.25 * down, -0.25 * down])
    assert easy == pytest.approx([0.25 * down, 0.25 * down, 0.25 * down, -0.75 * up])


def test_successes_of_a_group_below_the_running_ability_gain_weight_and_failures_lose_it():
    right, wrong = difficulty_weights(torch.tensor([1.0, -1.0]), torch.tensor([0.3, 0.3]), ability=0.8)
    assert right > 1 > wrong


def test_a_group_at_the_running_ability_is_left_alone():
    assert weigh([[1.0, 0.0]], HADW()) == [[0.5, -0.5]]


def test_scale_multiplies_every_weight():
    once, thrice = weigh([[1.0, 0.0, 0.0]], HADW()), weigh([[1.0, 0.0, 0.0]], HADW(scale=3.0))
    assert thrice[0] == pytest.approx([3 * a for a in once[0]])


def test_the_anchor_moves_after_the_batch_was_weighted():
    hadw = HADW(anchor=DifficultyAnchor(eta=0.5))
    first = weigh([[1.0, 0.0, 0.0, 0.0]], hadw)
    assert first == weigh([[1.0, 0.0, 0.0, 0.0]], HADW(mode="fixed", fixed=0.5))
    assert hadw.anchor.belief == pytest.approx(0.375)  # 0.5 * 0.5 + 0.5 * 0.25


def test_token_advantages_are_weighted_by_their_own_sign():
    batch = RolloutBatch.from_rewards(torch.tensor([[1.0, 0.0, 0.0, 0.0]])).replace(mask=torch.ones(4, 2).bool())
    weighted = HADW()(batch, torch.tensor([[1.0, -1.0]] * 4))
    assert weighted[0].tolist() == pytest.approx([math.exp(0.25), -math.exp(-0.25)])


@pytest.mark.parametrize(
    "rewards", [[[1.0, 1.0]], [[0.0, 0.0]], [[NAN, NAN]], [[3.0, 3.0]], [[NAN, NAN], [1.0, 0.0]], [[-2.0, -2.0]]]
)
def test_groups_without_a_difference_give_zero_and_never_nan(rewards):
    hadw = HADW()
    assert weigh(rewards, hadw)[0] == [0.0, 0.0]
    assert 0 <= hadw.anchor.belief <= 1


def test_a_group_of_one_row_gives_zero():
    batch = RolloutBatch(torch.tensor([1.0]), torch.tensor([0]), torch.ones(1, 1).bool(), allow_singletons=True)
    assert Pipeline(GroupNormalised(), HADW())(batch).tolist() == [0.0]


def test_rewards_of_minus_one_and_one_are_weighted_like_zero_and_one():
    advantages = torch.tensor([0.5, -0.5, 0.5, -0.5, -0.5, 0.5])
    zero_one = torch.tensor([[1.0, 0.0, 1.0], [0.0, 0.0, 1.0]])
    signed = RolloutBatch.from_rewards(2 * zero_one - 1)
    assert torch.equal(HADW()(RolloutBatch.from_rewards(zero_one), advantages), HADW()(signed, advantages))


@given(st.permutations(range(12)), st.lists(st.sampled_from([0.0, 1.0, NAN]), min_size=12, max_size=12))
def test_row_order_does_not_matter(order, rewards):
    group = torch.arange(12) // 3
    batch = RolloutBatch(torch.tensor(rewards), group, torch.ones(12, 1).bool())
    order = torch.tensor(order)
    moved = batch.replace(rewards=batch.rewards[order], group=group[order])
    pipeline = [Pipeline(GroupNormalised(), HADW(anchor=DifficultyAnchor(prior=0.2))) for _ in range(2)]
    assert torch.allclose(pipeline[0](moved), pipeline[1](batch)[order])


def test_a_million_rows_take_less_than_a_second():
    rewards = (torch.rand(125_000, 8, generator=torch.Generator().manual_seed(0)) < 0.3).float()
    batch = RolloutBatch.from_rewards(rewards)
    advantages = GroupNormalised()(batch)
    hadw, times = HADW(), []
    for _ in range(3):
        start = time.process_time()
        hadw(batch, advantages)
        times.append(time.process_time() - start)
    assert min(times) < 1


def test_the_first_step_is_eta_and_later_ones_follow_the_spread_of_beliefs():
    anchor = DifficultyAnchor(eta=0.5, floor=0.0)
    anchor.update(1.0)
    assert anchor.belief == pytest.approx(0.75)
    anchor.update(0.0)  # beliefs 0.5 and 0.75: sigma 0.125, eta_t = 0.5 * 0.125
    assert anchor.belief == pytest.approx(0.75 * (1 - 0.0625))


def test_only_the_last_beliefs_set_the_step():
    anchor = DifficultyAnchor(history=2, floor=0.0, eta=1.0)
    for y in (1.0, 1.0, 0.0):
        anchor.update(y)
    # beliefs 0.5, 1.0 -> sigma 0.25, y = 1 keeps 1.0; then 1.0, 1.0 -> sigma 0: frozen
    assert anchor.belief == 1.0


def test_the_floor_keeps_an_anchor_of_equal_beliefs_moving():
    frozen, moving = DifficultyAnchor(floor=0.0), DifficultyAnchor(floor=0.01)
    for anchor in (frozen, moving):
        anchor.update(0.5)  # beliefs 0.5 and 0.5: no spread
        anchor.update(1.0)
    assert frozen.belief == 0.5
    assert moving.belief == pytest.approx(0.505)


def test_a_hard_update_is_the_mean_of_the_last_batches():
    anchor = DifficultyAnchor(history=2, hard_update=True)
    for y in (0.0, 0.2, 0.6):
        anchor.update(y)
    assert anchor.belief == pytest.approx(0.4)


def test_conditional_bias_equals_simulated_groups():
    generator = np.random.default_rng(0)
    for p in (0.05, 0.3, 0.5, 0.9):
        right = generator.binomial(8, p, 400_000)
        mixed = right[(right > 0) & (right < 8)] / 8
        assert conditional_bias(p, 8) == pytest.approx(p - mixed.mean(), abs=2e-3)


def test_conditional_bias_is_odd_around_one_half_and_has_limits():
    p = np.linspace(0, 1, 41)
    assert conditional_bias(p, 6) == pytest.approx(-conditional_bias(1 - p, 6))
    assert conditional_bias([0.0, 1.0], 4).tolist() == [-0.25, 0.25]
    assert conditional_bias(1e-9, 4) == pytest.approx(-0.25, abs=1e-6)


def test_misestimate_probability_by_hand_for_two_and_three_rollouts():
    assert misestimate_probability(0.3, 2) == 1.0  # the only mixed pass rate of two rollouts is 1/2
    one, two = 3 * 0.4 * 0.36, 3 * 0.16 * 0.6  # P(R = 1), P(R = 2) at p = 0.4
    assert misestimate_probability(0.4, 3) == pytest.approx(two / (one + two))
    assert misestimate_probability(0.6, 3) == pytest.approx(two / (one + two))
    assert misestimate_probability(0.4, 3, eps=0.3) == 0.0


def test_every_mixed_group_of_a_very_hard_prompt_underrates_it():
    assert corollary3(0.1, 8) == "under"
    assert corollary3(0.95, 8) == "over"
    assert corollary3(0.125, 8) is None
    assert misestimate_probability(0.1, 8) == pytest.approx(1.0)


@pytest.mark.parametrize("reward", [0, 1])
def test_within_the_scale_interval_the_weighted_advantage_is_the_corrected_one(reward):
    low, high = scale_interval(0.25, 0.6, 1.0, 1, 0.3, reward=reward)
    for scale, c in ((low, 0.6 if reward == 0 else 1.0), (high, 1.0 if reward == 0 else 0.6)):
        assert (reward - 0.25) * scale * math.exp(0.3) == pytest.approx(reward - c * 0.25)
    assert low < high


def test_the_report_sorts_prompts_by_difficulty():
    rewards = [0, 0, 0, 0] + [1, 0, 0, 0, 0, 0, 0, 0] + [1, 1, 1, 0] + [1, 1]
    prompts = ["a"] * 4 + ["b"] * 8 + ["c"] * 4 + ["d"] * 2
    never, hard, easy, always = bias_report(rewards, prompts)
    assert [never.difficulty, hard.difficulty, easy.difficulty] == ["never", "under 0.25", "from 0.75"]
    assert (never.bias, never.wasted, always.wasted) == (None, 1.0, 1.0)
    assert hard.bias == pytest.approx(float(conditional_bias(1 / 8, 8)))
    ability = 6 / 18
    assert hard.weight_right == pytest.approx(math.exp(ability - 1 / 8))
    assert easy.weight_wrong == pytest.approx(math.exp(0.75 - ability))


def test_the_report_splits_groups_by_step_and_runs_the_anchor_through_them():
    rewards, prompts = [1, 0, 0, 0, 1, 1, NAN], ["a"] * 7
    (only,) = bias_report(rewards, prompts, [2, 2, 1, 1, 3, 3, 1])
    assert (only.groups, only.prompts) == (3, 1)
    assert only.wasted == pytest.approx(2 / 3)
    anchor = DifficultyAnchor()
    anchor.update(0.0)
    assert only.weight_right == pytest.approx(math.exp(anchor.belief - 0.5))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: HADW(scale=0.0), "scale: got 0.0"),
        (lambda: HADW(mode="free"), "mode: got 'free'"),
        (lambda: HADW(fixed=2.0), "fixed: got 2.0"),
        (lambda: DifficultyAnchor(eta=0.0), "eta: got 0.0"),
        (lambda: DifficultyAnchor(eta=1.1), "eta: got 1.1"),
        (lambda: DifficultyAnchor(history=0), "history: got 0"),
        (lambda: DifficultyAnchor(prior=-0.1), "prior: got -0.1"),
        (lambda: DifficultyAnchor(floor=2.0), "floor: got 2.0"),
        (lambda: DifficultyAnchor(gain=0.0), "gain: got 0.0"),
        (lambda: DifficultyAnchor().update(1.5), "y: got 1.5"),
        (lambda: conditional_bias(1.2, 8), "p: got a value outside"),
        (lambda: conditional_bias(0.2, 1), "group_size: got 1"),
        (lambda: misestimate_probability(0.0, 8), "p: got 0.0"),
        (lambda: misestimate_probability(0.2, 8, eps=-1), "eps: got -1"),
        (lambda: corollary3(-1, 8), "p: got -1"),
        (lambda: scale_interval(1.0, 0.5, 1.0, 1, 0.1, reward=1), "p_hat: got 1.0"),
        (lambda: scale_interval(0.5, 0.0, 1.0, 1, 0.1, reward=1), "c_low, c_high: got 0.0"),
        (lambda: scale_interval(0.5, 0.5, 1.0, 2, 0.1, reward=1), "direction: got 2"),
        (lambda: bias_report([0.5, 0.5], ["a", "a"]), "rewards: got 0.5"),
        (lambda: bias_report([NAN], ["a"]), "none of the 1 rows is scored"),
        (lambda: bias_report([1, 0, 1], ["a", "a", "b"]), "prompts: b has a group of a single scored row"),
    ],
)
def test_wrong_input_is_named(call, words):
    with pytest.raises(ValueError, match=words):
        call()
