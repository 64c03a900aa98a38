import importlib.util

import pytest
import torch

from assay.integrations import verl
from assay.methods.post_training.hadw import HADW
from assay.methods.post_training.losses import ClippedLoss, ReinforceLoss
from assay.methods.post_training.p1_vl import GSPOLoss, SeqMIS
from assay.methods.post_training.pipeline import GroupNormalised, Pipeline
from assay.methods.post_training.prl import FutureKL

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


def test_the_estimator_in_the_place_of_gdpo_reads_log_probabilities_of_verls_batch():
    torch.manual_seed(0)
    logprobs, reference = -torch.rand(4, 3), -torch.rand(4, 3)
    pipeline = Pipeline(GroupNormalised(scale="none"), FutureKL(beta=0.1, step_level=False, center=False))
    fn = verl.verl_estimator(pipeline, whole=True)
    batch = {"old_log_probs": logprobs, "ref_log_prob": reference}
    advantages, _ = fn(REWARDS, MASK, ["a", "a", "b", "b"], batch=batch, non_tensor_batch={})
    mask = MASK.bool()
    to_come = ((logprobs - reference) * mask).flip(1).cumsum(1).flip(1)
    plain = torch.tensor([[0.5], [-0.5], [0.0], [0.0]])
    torch.testing.assert_close(advantages, (plain - 0.1 * to_come) * mask)


def test_log_probabilities_that_verl_has_not_computed_are_named_with_the_setting_for_them():
    fn = verl.verl_estimator(Pipeline(GroupNormalised(), FutureKL()), whole=True)
    with pytest.raises(ValueError, match=r"ref_logprobs: verl's batch has no 'ref_log_prob'; set .*use_kl_loss"):
        fn(REWARDS, MASK, ["a", "a", "b", "b"], batch={"old_log_probs": -torch.ones(4, 3)})
    with pytest.raises(ValueError, match="register_whole hands them over"):
        verl.register("x", FutureKL())


class ActorConfig:
    """What verl's actor configuration says of the whole batch."""

    def __init__(self, **whole):
        self.global_batch_info = whole


def test_micro_batches_of_a_loss_add_up_to_the_loss_of_the_whole_batch():
    old, new = -torch.rand(4, 3), -torch.rand(4, 3)
    advantages = torch.randn(4, 3)
    for loss, whole in (
        (ClippedLoss(level="sequence"), ActorConfig(global_batch_size=4, dp_size=1)),
        (ClippedLoss(reduce="token"), ActorConfig(batch_num_tokens=int(MASK.sum()), dp_size=1)),
    ):
        fn = verl.verl_loss(loss)
        halves = [fn(old[r], new[r], advantages[r], MASK[r], config=whole)[0] for r in (slice(0, 2), slice(2, 4))]
        torch.testing.assert_close(sum(halves), fn(old, new, advantages, MASK)[0])
    assert "actor/clipped_share" in fn(old, new, advantages, MASK)[1]


def test_a_loss_gets_back_the_rollout_log_probabilities():
    class Sees(ReinforceLoss):
        needs = frozenset({"rollout_logprobs"})

        def __call__(self, logprobs, old_logprobs, advantages, mask, *, ref_logprobs=None, rollout_logprobs=None):
            return rollout_logprobs.sum(), {}

    old, rollout = -torch.rand(4, 3), -torch.rand(4, 3)
    fn = verl.verl_loss(Sees())
    seen, _ = fn(old, old, old, MASK, rollout_is_weights=(old - rollout).exp())
    torch.testing.assert_close(seen, rollout.sum())
    with pytest.raises(ValueError, match=r"rollout_correction\.rollout_is=token"):
        fn(old, old, old, MASK)


def test_rows_that_trainer_and_engine_disagree_on_are_left_out_of_verls_loss():
    old = -torch.rand(4, 3)
    new, engine = old.clone().requires_grad_(), old.clone()
    engine[1] -= 0.5
    fn = verl.verl_loss(GSPOLoss(SeqMIS()))
    loss, figures = fn(old, new, torch.ones(4, 3), MASK, rollout_is_weights=(old - engine).exp())
    loss.backward()
    assert figures["actor/seq_mis_kept"] == 0.75
    assert new.grad[1].abs().sum() == 0
    assert new.grad[0].abs().sum() > 0


def test_a_trl_reward_scores_verls_rows():
    def reward(prompts, completions, completion_ids, answer, level):
        return [len(prompts[0]) + level[0] if completions[0] == answer[0] else None]

    score = verl.score_function(reward)
    assert score("set", "4", "4", {"prompt": "2+2", "level": 2}) == 5.0
    assert score("set", "5", "4", {"prompt": "2+2", "level": 2}) == 0.0


@pytest.mark.skipif(not HAS_VERL, reason="verl is not installed")
def test_in_verls_registry_losses_equal_verls_own():
    from verl.trainer.ppo import core_algos
    from verl.workers.config import ActorConfig as VerlActor

    old, new, advantages = -torch.rand(4, 3), -torch.rand(4, 3), torch.randn(4, 1).expand(4, 3)
    for theirs, mode, loss in (
        ("vanilla", "token-mean", ClippedLoss(reduce="token")),
        ("gspo", "seq-mean-token-mean", ClippedLoss(level="sequence", eps_low=3e-4, eps_high=4e-4)),
    ):
        verl.register_loss(f"assay_{theirs}", loss)
        config = VerlActor(
            strategy="fsdp",
            rollout_n=2,
            ppo_micro_batch_size_per_gpu=4,
            clip_ratio=0.2,
            clip_ratio_low=loss.eps_low,
            clip_ratio_high=loss.eps_high,
            clip_ratio_c=1e9,  # verl's third clip, which the losses here do not have
        )
        ours = core_algos.get_policy_loss_fn(f"assay_{theirs}")(old, new, advantages, MASK, config=config)[0]
        wanted = core_algos.get_policy_loss_fn(theirs)(old, new, advantages, MASK, mode, config)[0]
        torch.testing.assert_close(ours, wanted)


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


@pytest.mark.skipif(not HAS_VERL, reason="verl is not installed")
def test_in_verls_own_trainer_prl_sees_the_reference():
    import numpy as np
    from verl import DataProto
    from verl.trainer.config import AlgoConfig
    from verl.trainer.ppo import core_algos
    from verl.trainer.ppo.ray_trainer import compute_advantage

    own = core_algos.ADV_ESTIMATOR_REGISTRY[verl.WHOLE]
    try:
        verl.register_whole(Pipeline(GroupNormalised(), FutureKL(beta=0.1)))
        torch.manual_seed(0)
        tensors = {
            "token_level_rewards": REWARDS,
            "response_mask": MASK.float(),
            "old_log_probs": -torch.rand(4, 3),
            "ref_log_prob": -torch.rand(4, 3),
        }
        uid = np.array(["a", "a", "b", "b"], dtype=object)
        data = DataProto.from_dict(tensors=tensors, non_tensors={"uid": uid})
        made = compute_advantage(data, adv_estimator="gdpo", config=AlgoConfig(adv_estimator="gdpo"))
        wanted = verl.verl_estimator(Pipeline(GroupNormalised(), FutureKL(beta=0.1)), whole=True)
        torch.testing.assert_close(made.batch["advantages"], wanted(REWARDS, MASK, uid, batch=tensors)[0])
    finally:
        core_algos.ADV_ESTIMATOR_REGISTRY[verl.WHOLE] = own
