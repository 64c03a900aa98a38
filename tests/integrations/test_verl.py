import importlib.util

import pytest
import torch

from assay.integrations import verl
from assay.methods.post_training.hadw import HADW
from assay.methods.post_training.pipeline import GroupNormalised, Pipeline

HAS_VERL = importlib.util.find_spec("verl") is not None

REWARDS = torch.tensor([[0.0, 1.0, 0.0], [0.0, 0.0, 0.0], [1.0, 0.0, 9.0], [1.0, 0.0, 0.0]])
MASK = torch.tensor([[1, 1, 0], [1, 1, 1], [1, 0, 0], [1, 1, 0]])


class NeedsLogprobs:
    needs = frozenset({"logprobs"})

    def __call__(self, batch):
        return batch.rewards


def test_rows_of_one_uid_are_a_group_and_advantages_are_spread_over_trained_tokens():
    fn = verl.verl_estimator(GroupNormalised(scale="none"))
    advantages, returns = fn(
        token_level_rewards=REWARDS, response_mask=MASK, config=None, index=["a", "a", "b", "b"], reward_baselines=None
    )
    assert advantages.tolist() == [[0.5, 0.5, 0.0], [-0.5, -0.5, -0.5], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
    assert torch.equal(advantages, returns)


def test_tags_of_the_uid_become_fields_and_do_not_split_the_group():
    uids = [verl.tag_uid("q7", agent=agent) for agent in (0, 1, 0, 1)]
    assert uids[1] == "q7::agent=1"
    by_agent = verl.verl_estimator(GroupNormalised(("group", "agent"), scale="none"))
    assert by_agent(REWARDS, MASK, uids)[0][:, 0].tolist() == [0.0, -0.5, 0.0, 0.5]
    by_prompt = verl.verl_estimator(GroupNormalised(scale="none"))
    assert by_prompt(REWARDS, MASK, uids)[0][:, 0].tolist() == [0.25, -0.75, 0.25, 0.25]


def test_a_row_without_a_trained_token_gets_zero():
    mask = MASK.clone()
    mask[1] = 0
    advantages, _ = verl.verl_estimator(Pipeline(GroupNormalised(), HADW()))(REWARDS, mask, ["a", "a", "b", "b"])
    assert advantages[1].tolist() == [0.0, 0.0, 0.0]
    assert advantages.isfinite().all()


def test_what_verl_does_not_hand_over_cannot_be_asked_for():
    with pytest.raises(ValueError, match="NeedsLogprobs needs logprobs, which verl hands to no estimator"):
        verl.register("x", NeedsLogprobs())
    with pytest.raises(ValueError, match="carries no agent"):
        verl.verl_estimator(GroupNormalised(("agent",)))(REWARDS, MASK, ["a", "a", "b", "b"])
    with pytest.raises(ValueError, match="index: got None"):
        verl.verl_estimator(GroupNormalised())(REWARDS, MASK)
    with pytest.raises(ValueError, match="tags: got color"):
        verl.tag_uid("q", color=1)


@pytest.mark.skipif(HAS_VERL, reason="verl is installed")
def test_without_verl_the_error_says_what_to_install():
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'assay-papers\[verl\]'"):
        verl.register("assay_hadw", Pipeline(GroupNormalised(), HADW()))


@pytest.mark.skipif(not HAS_VERL, reason="verl is not installed")
def test_in_verls_registry_the_base_equals_verls_own_grpo():
    import numpy as np
    from verl.trainer.ppo import core_algos

    verl.register("assay_grpo", GroupNormalised())
    rewards, index = REWARDS * MASK, np.array(["a", "a", "b", "b"], dtype=object)
    ours, _ = core_algos.get_adv_estimator_fn("assay_grpo")(
        token_level_rewards=rewards, response_mask=MASK, config=None, index=index
    )
    theirs, _ = core_algos.compute_grpo_outcome_advantage(rewards.clone(), MASK, index)
    assert torch.allclose(ours, theirs, atol=1e-5)
