import numpy as np
import pytest
import torch

from assay.methods.post_training.batch import RolloutBatch
from assay.methods.post_training.pipeline import GroupNormalised
from assay.methods.post_training.uniqueness import Uniqueness
from assay.trials.post_training.uniqueness import (
    ROLLOUTS,
    STOP,
    OthersCluster,
    gradient,
    measure,
    train,
    trial,
)
from assay.worlds.strategies import world


class Nothing:
    needs = frozenset()

    def __call__(self, batch):
        return torch.zeros(len(batch))


def test_the_update_is_the_gradient_of_the_log_probability():
    logits = torch.randn(2, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    chosen = torch.tensor([[0, 4, 4], [1, 2, 2]])
    advantages = torch.tensor([[1.0, -0.5, 2.0], [0.3, 0.0, -1.0]], dtype=torch.float64)
    (advantages * logits.log_softmax(dim=1).gather(1, chosen)).mean(dim=1).sum().backward()
    policy = logits.detach().softmax(dim=1).numpy()
    assert gradient(policy, chosen.numpy(), advantages.numpy()) == pytest.approx(logits.grad.numpy())


def test_training_stops_when_the_problems_are_learned():
    problems = world(prompts=8).sample(0)
    policy, updates = train(problems, 0, GroupNormalised(), 0.3)
    assert problems.pass_at_1(policy) >= STOP * problems.ceiling
    assert updates > 0


def test_an_arm_that_does_not_learn_has_failed():
    with pytest.raises(RuntimeError, match="did not reach"):
        measure(world(prompts=2).sample(0), 0, Nothing(), 0.3)


def test_the_placebo_deals_the_same_cluster_sizes_to_other_rollouts():
    clusters = torch.tensor([0] * 5 + [1, 2, 3] + [4] * ROLLOUTS)
    batch = RolloutBatch.from_rewards(torch.rand(2, ROLLOUTS)).replace(cluster=clusters)
    own = Uniqueness()(batch, torch.ones(16)).view(2, ROLLOUTS)
    dealt = OthersCluster(np.random.default_rng(0))(batch, torch.ones(16)).view(2, ROLLOUTS)
    assert sorted(dealt[0].tolist()) == sorted(own[0].tolist())
    assert dealt[0].tolist() != own[0].tolist()
    assert dealt[1].tolist() == own[1].tolist()


def test_arms_repeat_themselves_and_differ_from_one_another():
    problems = world(prompts=8).sample(1)
    values = {name: arm(problems, None, 1).value for name, arm in trial.arms.items()}
    assert values["method"] == trial.arms["method"](problems, None, 1).value
    assert len(set(values.values())) == 3


def test_the_quick_run_ends_in_a_verdict():
    from assay.engine import run

    result = run(trial, quick=True, isolation="inline")
    assert not result.failed
    assert result.verdict.outcome in ("holds", "fails", "inconclusive")
