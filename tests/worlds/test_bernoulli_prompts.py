import numpy as np
import pytest

from assay.worlds.bernoulli_prompts import BernoulliPrompts, world


def test_a_seed_always_gives_the_same_prompts():
    assert np.array_equal(world().sample(3).p, world().sample(3).p)
    assert not np.array_equal(world().sample(3).p, world().sample(4).p)


def test_the_bimodal_mixture_has_hard_and_easy_prompts_in_equal_parts():
    p = world(prompts=20_000).sample(0).p
    assert p.mean() == pytest.approx(0.5, abs=0.02)
    assert (p < 0.25).mean() == pytest.approx((p > 0.75).mean(), abs=0.02)
    assert ((p > 0.25) & (p < 0.75)).mean() < 0.15


def test_the_uniform_mixture_is_spread_evenly():
    p = world(prompts=20_000, mixture="uniform").sample(0).p
    assert np.quantile(p, [0.25, 0.5, 0.75]) == pytest.approx([0.25, 0.5, 0.75], abs=0.02)


def test_rollouts_are_right_with_the_prompts_probability():
    prompts = BernoulliPrompts(np.array([0.1, 0.9, 0.5]))
    rewards = prompts.draw(20_000, np.random.default_rng(0))
    assert set(np.unique(rewards)) == {0.0, 1.0}
    assert rewards.mean(axis=1) == pytest.approx(prompts.p, abs=0.02)
    assert prompts.draw(4, np.random.default_rng(0), np.array([2, 0])).shape == (2, 4)


def test_the_expected_advantage_is_the_reward_less_the_success_probability():
    assert BernoulliPrompts(np.array([0.1, 0.9])).expected_advantage(1) == pytest.approx([0.9, 0.1])


def test_the_conditional_mean_equals_the_closed_form():
    p, g = np.array([0.01, 0.3, 0.5, 0.99]), 8
    closed = p * (1 - p ** (g - 1)) / (1 - (1 - p) ** g - p**g)
    assert BernoulliPrompts(p).conditional_mean(g) == pytest.approx(closed)


def test_the_true_probabilities_pass_the_check_and_their_mirror_image_does_not():
    world_ = world(prompts=100)
    prompts = world_.sample(0)
    assert world_.check(prompts, prompts.p)
    assert not world_.check(prompts, 1 - prompts.p)
    with pytest.raises(ValueError, match=r"answer: got shape \(3,\)"):
        world_.check(prompts, [0.1, 0.2, 0.3])


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match="prompts: got 0"):
        world(prompts=0)
    with pytest.raises(ValueError, match="mixture: got 'odd'"):
        world(mixture="odd")
