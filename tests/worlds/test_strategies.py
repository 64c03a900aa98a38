import numpy as np
import pytest

from assay.worlds.strategies import RIGHT, Strategies, world


def test_each_problem_has_its_valid_strategies_and_one_of_them_is_common():
    problems = world(prompts=20).sample(0)
    assert (problems.valid.sum(axis=1) == 4).all()
    assert ((problems.success == RIGHT) == problems.valid).all()
    common = problems.start.argmax(axis=1)
    assert problems.valid[np.arange(20), common].all()
    assert ((problems.start > 0).sum(axis=1) == 1).all()


def test_valid_strategies_are_there_on_half_of_the_variants_and_others_on_all():
    problems = world(prompts=50).sample(1)
    valid = np.broadcast_to(problems.valid[:, None], problems.available.shape)
    assert problems.available[valid].mean() == pytest.approx(0.5, abs=0.02)
    assert problems.available[~valid].all()


def test_the_same_seed_gives_the_same_problems():
    assert np.array_equal(world().sample(3).available, world().sample(3).available)
    assert not np.array_equal(world().sample(3).valid, world().sample(4).valid)


def test_the_exact_curve_equals_simulated_rollouts():
    problems = world(prompts=2, strategies=3, valid=1, variants=2).sample(0)
    policy = np.array([[0.5, 0.3, 0.2], [0.1, 0.1, 0.8]])
    generator = np.random.default_rng(0)
    solved = np.zeros((2, 2))
    for p in range(2):
        for v in range(2):
            chosen = generator.choice(3, (40_000, 3), p=policy[p])
            chance = (problems.success * problems.available[:, v])[p, chosen]
            solved[p, v] = (generator.random(chosen.shape) < chance).any(axis=1).mean()
    assert problems.held_out_curve(policy, 3)[-1] == pytest.approx(solved.mean(), abs=0.005)


def test_draws_follow_the_policy_and_the_chances():
    problems = world(prompts=3, strategies=5).sample(0)
    policy = np.random.default_rng(1).dirichlet(np.ones(5), 3)
    chosen, rewards = problems.draw(policy, 50_000, np.random.default_rng(2))
    for p in range(3):
        assert np.bincount(chosen[p], minlength=5) / 50_000 == pytest.approx(policy[p], abs=0.01)
    assert rewards.mean() == pytest.approx(problems.pass_at_1(policy), abs=0.01)


def test_coverage_by_hand():
    problems = Strategies(np.array([[0.9, 0.9, 0.02]]), np.array([[True, True, False]]), np.ones((1, 1, 3), bool), None)
    assert problems.coverage(np.array([[1.0, 0.0, 0.0]]), 2) == pytest.approx((1 - 0.1**2) / 2)
    assert problems.ceiling == 0.9
    assert problems.pass_at_1(np.array([[0.5, 0.0, 0.5]])) == pytest.approx(0.46)


def test_a_policy_over_all_valid_strategies_passes_the_check_and_the_common_one_alone_does_not():
    maker = world(prompts=4)
    for passes, answer in maker.examples(maker.sample(0)):
        assert maker.check(*answer) is passes


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: world(prompts=0), "prompts: got 0"),
        (lambda: world(strategies=4), "strategies: got 4"),
        (lambda: world(valid=0), "valid: got 0"),
        (lambda: world(prompts=2).check(world(prompts=2).sample(0), np.ones((2, 3))), "answer: got shape"),
        (lambda: world(prompts=2).check(world(prompts=2).sample(0), np.ones((2, 12))), "answer: got a row"),
    ],
)
def test_wrong_input_is_named(call, words):
    with pytest.raises(ValueError, match=words):
        call()
