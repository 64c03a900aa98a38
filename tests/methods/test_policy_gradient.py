import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from assay.methods.policy_gradient import (
    Rollouts,
    clipped_surrogate,
    group_advantages,
    group_means,
    grpo,
    grpo_loss,
)

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


class TwoActions(torch.nn.Module):
    """Action 1 with probability sigmoid(theta), whatever is observed."""

    def __init__(self, theta: float):
        super().__init__()
        self.theta = torch.nn.Parameter(torch.tensor(theta))

    def log_prob(self, observations, actions):
        sign = 2 * actions.float() - 1
        return torch.nn.functional.logsigmoid(sign * self.theta)


def of_counts(policy, right: int, wrong: int) -> Rollouts:
    """One-decision rollouts, `right` of them action 1 with reward 1, the others action 0 with reward 0."""
    actions = torch.tensor([1] * right + [0] * wrong)
    rows = torch.arange(len(actions))
    logprobs = policy.log_prob(None, actions).detach()
    return Rollouts(None, actions, logprobs, rows, actions.float(), torch.zeros_like(rows))


def test_the_gradient_equals_that_of_the_expected_reward_on_two_actions():
    policy = TwoActions(np.log(0.7 / 0.3))
    rollouts = of_counts(policy, right=7, wrong=3)  # in exact proportion, so that the mean is the expectation
    grpo_loss(policy, rollouts, group_advantages(rollouts.rewards, scale="none")).backward()
    theta = policy.theta.detach().clone().requires_grad_()
    torch.sigmoid(theta).backward()  # the expected reward in closed form
    assert float(-policy.theta.grad) == pytest.approx(float(theta.grad), rel=1e-5)
    assert float(theta.grad) == pytest.approx(0.7 * 0.3, rel=1e-5)


def test_decisions_are_summed_within_a_rollout_and_rollouts_averaged():
    policy = TwoActions(0.0)
    actions = torch.tensor([1, 1, 0])
    rollouts = Rollouts(
        None, actions, policy.log_prob(None, actions).detach(), torch.tensor([0, 0, 1]), torch.ones(2), torch.zeros(2)
    )
    grpo_loss(policy, rollouts, torch.tensor([3.0, 5.0])).backward()
    # d log pi / d theta is 1/2 for action 1 and -1/2 for action 0
    assert float(policy.theta.grad) == pytest.approx(-(3 * 0.5 + 3 * 0.5 - 5 * 0.5) / 2)


def test_the_surrogate_stops_paying_beyond_the_clip_on_the_side_that_pays():
    ratio = torch.tensor([0.5, 0.5, 1.0, 2.0, 2.0])
    advantages = torch.tensor([1.0, -1.0, 1.0, 1.0, -1.0])
    surrogate = clipped_surrogate(ratio.log(), torch.zeros(5), advantages, eps_low=0.2, eps_high=0.3)
    assert surrogate.tolist() == pytest.approx([0.5, -0.8, 1.0, 1.3, -2.0])


@given(st.floats(-3, 3), st.floats(-3, 3), st.floats(-2, 2))
def test_the_surrogate_never_exceeds_the_plain_one(new, old, advantage):
    new, old, advantage = (torch.tensor(x) for x in (new, old, advantage))
    assert clipped_surrogate(new, old, advantage) <= (new - old).exp() * advantage + 1e-6


def bandit(policy, generator, pays=(0.2, 0.5, 0.9), rollouts=64):
    def collect(update: int) -> Rollouts:
        seen = torch.ones(rollouts, 1)
        actions, logprobs = policy.sample(seen, generator)
        rewards = (torch.rand(rollouts, generator=generator) < torch.tensor(pays)[actions[:, 0]]).float()
        return Rollouts(seen, actions, logprobs, torch.arange(rollouts), rewards, torch.arange(rollouts) // 8)

    return collect


def test_grpo_learns_a_bandit_with_several_epochs_and_repeats_itself():
    from assay.models.policies import FeaturePolicy

    shares = []
    for _ in range(2):
        generator = torch.Generator().manual_seed(0)
        policy = FeaturePolicy(1, (3,), (16,), generator=generator)
        seen_after: list[int] = []
        means = grpo(policy, bandit(policy, generator), 60, learning_rate=0.01, epochs=2, after=seen_after.append)
        shares.append(float(policy(torch.ones(1, 1))[0].detach().exp()[0, 2]))
    assert shares[0] == shares[1] > 0.8
    assert np.mean(means[-10:]) > np.mean(means[:10]) + 0.15
    assert seen_after == list(range(60))


def test_rewards_that_never_differ_teach_nothing():
    policy = TwoActions(0.3)
    grpo(policy, lambda update: of_counts(policy, right=4, wrong=0), 5, learning_rate=0.1)
    assert float(policy.theta) == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda p: grpo(p, None, -1), "updates: got -1"),
        (lambda p: grpo(p, None, 1, epochs=0), "epochs: got 0"),
        (lambda p: grpo(p, None, 1, clip=1.5), "clip: got 1.5"),
        (
            lambda p: Rollouts(None, torch.zeros(2), torch.zeros(3), torch.zeros(2).long(), torch.ones(1), None),
            "row: got 2 decisions but",
        ),
        (
            lambda p: Rollouts(None, torch.zeros(1), torch.zeros(1), torch.tensor([1]), torch.ones(1), None),
            r"row: got a rollout outside 0 \.\.\. 0",
        ),
    ],
)
def test_wrong_settings_of_the_loop_are_named(call, words):
    with pytest.raises(ValueError, match=words):
        call(TwoActions(0.0))
