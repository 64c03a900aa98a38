import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from assay.methods.policy_gradient import group_advantages, group_means

NAN = float("nan")


def test_rewards_are_centred_and_divided_by_the_sample_std_of_their_group():
    rewards = torch.tensor([1.0, 0.0, 0.0, 5.0, 7.0])
    group = torch.tensor([3, 3, 3, 1, 1])
    third = 1 / 3  # group 3: mean 1/3, sample std sqrt(1/3); group 1: mean 6, sample std sqrt(2)
    wanted = [(1 - third) / third**0.5, -third / third**0.5, -third / third**0.5, -1 / 2**0.5, 1 / 2**0.5]
    assert group_advantages(rewards, group, eps=0.0).tolist() == pytest.approx(wanted)


def test_the_population_std_divides_by_n():
    rewards = torch.tensor([1.0, 0.0, 0.0])
    wanted = (rewards.numpy() - 1 / 3) / np.std(rewards.numpy())
    assert group_advantages(rewards, eps=0.0, std="population").tolist() == pytest.approx(wanted.tolist())


def test_without_a_scale_rewards_are_only_centred():
    assert group_advantages(torch.tensor([1.0, 0.0, 0.0, 0.0]), scale="none").tolist() == [0.75, -0.25, -0.25, -0.25]


def test_equal_rewards_give_exactly_zero_whatever_their_mean_rounds_to():
    assert group_advantages(torch.full((7,), 0.1)).tolist() == [0.0] * 7


def test_unscored_rows_get_zero_and_leave_the_statistics_alone():
    rewards = torch.tensor([1.0, NAN, 0.0, NAN, NAN])
    advantages = group_advantages(rewards, torch.tensor([0, 0, 0, 1, 1]), scale="none")
    assert advantages.tolist() == [0.5, 0.0, -0.5, 0.0, 0.0]


def test_the_only_scored_row_of_a_group_gets_zero_or_its_raw_reward():
    rewards, group = torch.tensor([0.7, NAN, 1.0, 0.0]), torch.tensor([0, 0, 1, 1])
    assert group_advantages(rewards, group)[0] == 0
    assert group_advantages(rewards, group, singleton="raw")[0] == pytest.approx(0.7)


@given(st.data())
def test_row_order_does_not_matter(data):
    count = data.draw(st.integers(1, 30))
    rewards = torch.tensor(data.draw(st.lists(st.floats(-5, 5, width=32), min_size=count, max_size=count)))
    group = torch.tensor(data.draw(st.lists(st.integers(0, 4), min_size=count, max_size=count)))
    order = torch.tensor(data.draw(st.permutations(range(count))))
    there = group_advantages(rewards[order], group[order])
    assert torch.allclose(there, group_advantages(rewards, group)[order], atol=1e-3)
    assert there.isfinite().all()


def test_group_means_give_each_row_its_groups_mean_of_scored_rewards():
    means = group_means(torch.tensor([1.0, NAN, 0.5, NAN]), torch.tensor([7, 7, 7, 2]))
    assert means[:3].tolist() == [0.75] * 3
    assert means[3].isnan()


@pytest.mark.parametrize(
    ("rewards", "options", "words"),
    [
        ([0.0, float("inf")], {}, "infinite"),
        ([[0.0, 1.0]], {}, "wanted \\(B,\\)"),
        ([0.0, 1.0], {"group": torch.tensor([0])}, "group: got shape"),
        ([0.0, 1.0], {"scale": "max"}, "scale: got 'max'"),
        ([0.0, 1.0], {"std": "robust"}, "std: got 'robust'"),
        ([0.0, 1.0], {"singleton": "drop"}, "singleton: got 'drop'"),
        ([0.0, 1.0], {"eps": -1.0}, "eps: got -1.0"),
    ],
)
def test_wrong_input_is_named(rewards, options, words):
    with pytest.raises(ValueError, match=words):
        group_advantages(torch.tensor(rewards), **options)


def test_integer_rewards_are_refused():
    with pytest.raises(TypeError, match=r"rewards: got torch\.int64"):
        group_advantages(torch.tensor([0, 1]))
