"""Real TRL runs of a model with a few thousand weights."""

import json

import pytest
import torch

pytest.importorskip("trl")

from datasets import Dataset
from trl import GRPOConfig

from assay.integrations.trl import AdvantageGRPOTrainer, run_grpo, turns
from assay.methods.post_training.hadw import HADW, DifficultyAnchor
from assay.methods.post_training.losses import ClippedLoss, ReinforceLoss
from assay.methods.post_training.pipeline import GroupNormalised, Pipeline
from assay.models.nano import tiny_llama
from assay.models.tokenizer import build


class Recorded:
    """An estimator that keeps every batch it was given and what it answered."""

    def __init__(self, estimator, needs=frozenset()):
        self.estimator, self.needs = estimator, estimator.needs | needs
        self.batches, self.answers = [], []

    def __call__(self, batch):
        self.batches.append(batch)
        self.answers.append(self.estimator(batch))
        return self.answers[-1]


class OverTokens:
    """Advantages of (B, T): the group's, on the first token of each completion only."""

    needs = frozenset()

    def __call__(self, batch):
        first = torch.zeros(batch.mask.shape)
        first[:, 0] = GroupNormalised()(batch)
        return first


def digits(completions, **columns):
    """Share of characters that are digits; None, not scored, for an empty completion."""
    return [sum(c.isdigit() for c in text) / len(text) if text else None for text in completions]


def begins_with_a_digit(completions, **columns):
    return [float(text[:1].isdigit()) for text in completions]


def none_scored(completions, **columns):
    return [None] * len(completions)


def trainer(tmp_path, advantage, reward=digits, **settings):
    prompts = [f"{i}: " for i in range(8)]
    data = Dataset.from_dict({"prompt": prompts, "key": [i % 3 for i in range(8)]})
    args = {
        "per_device_train_batch_size": 8,
        "per_device_eval_batch_size": 8,
        "num_generations": 4,
        "max_completion_length": 5,
        "max_steps": 2,
        "save_strategy": "no",
        "report_to": [],
        "disable_tqdm": True,
        "use_cpu": True,
        "gradient_checkpointing": False,
    }
    tiny_llama(hidden=16, layers=1, heads=2, mlp=32).save_pretrained(tmp_path / "model")
    return AdvantageGRPOTrainer(
        str(tmp_path / "model"),  # a path, because TRL loads its reference model from there
        reward,
        GRPOConfig(output_dir=str(tmp_path), **{**args, **settings}),
        train_dataset=data,
        eval_dataset=data.select(range(2)),
        processing_class=build(),
        advantage=advantage,
    )


def test_the_base_alone_equals_trls_own_advantages(tmp_path):
    ours = Recorded(Pipeline(GroupNormalised()))
    run = trainer(tmp_path, ours, reward=begins_with_a_digit)
    run.train()
    trls_own = torch.tensor(list(run._logs["advantages"]))  # of the last batch, before the estimator
    assert len(ours.answers) == 2
    assert trls_own.abs().max() > 0.5
    assert torch.allclose(ours.answers[-1], trls_own, atol=1e-3)


def test_the_batch_holds_what_trl_generated(tmp_path):
    seen = Recorded(GroupNormalised(), needs=frozenset({"logprobs", "ref_logprobs", "key"}))
    run = trainer(tmp_path, seen, beta=1e-12)
    run.train()
    batch = seen.batches[0]
    assert batch.group.tolist() == [0] * 4 + [1] * 4
    assert batch.rewards.tolist() == pytest.approx(digits(batch.completions))
    assert [int(prompt.rstrip(": ")) % 3 for prompt in batch.prompts] == batch.key.tolist()
    assert torch.allclose(batch.logprobs[batch.mask], batch.ref_logprobs[batch.mask], atol=1e-5)  # before any update
    assert [one.step for one in seen.batches] == [0, 1]


def test_weights_change_what_is_learned(tmp_path):
    moved = []
    for fixed in (0.0, 1.0):
        run = trainer(tmp_path, Pipeline(GroupNormalised(), HADW(mode="fixed", fixed=fixed)), learning_rate=1e-2)
        run.train()
        moved.append(torch.cat([weight.flatten() for weight in run.model.parameters()]))
    assert not torch.equal(*moved)


def test_advantages_over_tokens_train(tmp_path):
    run = trainer(tmp_path, OverTokens(), logging_steps=1)
    start = [weight.clone() for weight in run.model.parameters()]
    run.train()
    assert all(torch.isfinite(weight).all() for weight in run.model.parameters())
    assert any(not torch.equal(a, b) for a, b in zip(start, run.model.parameters()))


def test_completions_that_nothing_scored_move_nothing(tmp_path):
    answers = Recorded(Pipeline(GroupNormalised(), HADW()))
    trainer(tmp_path, answers, reward=none_scored).train()
    assert all((answer == 0).all() for answer in answers.answers)


def test_completions_cut_off_and_masked_by_trl_still_make_a_batch(tmp_path):
    seen = Recorded(GroupNormalised())
    trainer(tmp_path, seen, mask_truncated_completions=True).train()
    assert len(seen.batches) == 2


def test_evaluation_leaves_the_memory_as_it_was(tmp_path):
    hadw = HADW(anchor=DifficultyAnchor(eta=1.0))
    run = trainer(tmp_path, Pipeline(GroupNormalised(), hadw))
    run.evaluate()
    assert hadw.anchor.belief == 0.5
    run.train()
    assert hadw.anchor.belief != 0.5


def test_the_memory_is_saved_with_a_checkpoint_and_read_back(tmp_path):
    first, second = (HADW(anchor=DifficultyAnchor(eta=1.0)) for _ in range(2))
    trainer(tmp_path, Pipeline(GroupNormalised(), first), save_strategy="steps", save_steps=2).train()
    saved = json.loads((tmp_path / "checkpoint-2" / "advantage.json").read_text())
    assert saved["1:HADW"] == first.state_dict()
    trainer(tmp_path, Pipeline(GroupNormalised(), second), max_steps=3).train(resume_from_checkpoint=True)
    assert len(second.state_dict()["observed"]) == 3  # one batch more than was saved
    assert second.state_dict()["observed"][:2] == first.state_dict()["observed"]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"scale_rewards": "none"}, "scale_rewards: got 'none'; the estimator scales here"),
        ({"multi_objective_aggregation": "normalize_then_sum"}, "wanted 'sum_then_normalize'"),
    ],
)
def test_settings_that_the_estimator_decides_are_refused(tmp_path, settings, words):
    with pytest.raises(ValueError, match=words):
        trainer(tmp_path, GroupNormalised(), **settings)


def test_reference_log_probabilities_need_a_reference_model(tmp_path):
    needy = Recorded(GroupNormalised(), needs=frozenset({"ref_logprobs"}))
    with pytest.raises(ValueError, match=r"needs a reference model: set GRPOConfig\(beta=1e-12\)"):
        trainer(tmp_path, needy)


def test_the_clipped_loss_gives_trls_own_loss_and_gradient(tmp_path):
    for settings, loss in (
        ({"loss_type": "grpo"}, ClippedLoss()),
        ({"loss_type": "bnpo"}, ClippedLoss(reduce="token")),
        ({"loss_type": "grpo", "importance_sampling_level": "sequence"}, ClippedLoss(level="sequence")),
    ):
        made = trainer(tmp_path, GroupNormalised(), **settings)
        made.model.train()
        made.current_gradient_accumulation_steps = 1
        inputs = made._prepare_inputs(list(made.train_dataset)[:2] * 4)
        inputs["old_per_token_logps"] = -torch.rand(inputs["completion_ids"].shape)
        made.token_loss = None
        theirs = made._compute_loss(made.model, inputs)
        made.token_loss = loss
        ours = made._compute_loss(made.model, inputs)
        torch.testing.assert_close(ours, theirs)
        assert made._metrics["train"]["clipped_share"]


def test_a_run_learns_the_reward_and_leaves_the_given_model_alone():
    model, tokenizer = tiny_llama(hidden=32, layers=1, heads=2, mlp=64), build()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    run = run_grpo(
        model,
        tokenizer,
        [{"prompt": f"{i}: "} for i in range(8)],
        digits,
        advantage=GroupNormalised(),
        loss=ReinforceLoss(),
        steps=20,
        seed=1,
        rollouts=8,
        batch=32,
        max_tokens=4,
        learning_rate=1e-2,
    )
    rewards = [step["reward"] for step in run.log if "reward" in step]
    assert len(rewards) == 20
    assert sum(rewards[-5:]) > sum(rewards[:5]) + 0.5
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert "policy_drift" in run.log[0]


def test_two_runs_of_one_seed_are_equal():
    model, tokenizer = tiny_llama(hidden=16, layers=1, heads=2, mlp=32), build()
    rows = [{"prompt": f"{i}: "} for i in range(4)]
    logs = [
        run_grpo(
            model,
            tokenizer,
            rows,
            digits,
            advantage=GroupNormalised(),
            steps=2,
            seed=5,
            rollouts=4,
            batch=8,
            max_tokens=4,
        ).log
        for _ in range(2)
    ]
    assert [step.get("reward") for step in logs[0]] == [step.get("reward") for step in logs[1]]


def test_annotate_fills_the_batch_before_the_estimator(tmp_path):
    recorded = Recorded(GroupNormalised(by=("group", "cluster")))
    made = trainer(tmp_path, recorded)
    made.annotate = lambda batch: batch.replace(cluster=torch.arange(len(batch)) % 2)
    made.train()
    assert recorded.batches[0].cluster.tolist() == [0, 1] * 4


def test_each_run_of_trained_tokens_is_a_turn():
    mask = torch.tensor([[1, 1, 0, 1, 0, 0], [0, 1, 0, 0, 1, 1]], dtype=torch.bool)
    assert turns(mask).tolist() == [[0, 0, -1, 1, -1, -1], [-1, 0, -1, -1, 1, 1]]


def test_a_loss_that_reads_the_reference_asks_for_one(tmp_path):
    class WithReference(ReinforceLoss):
        needs = frozenset({"ref_logprobs"})

    with pytest.raises(ValueError, match="needs a reference model"):
        AdvantageGRPOTrainer(
            tiny_llama(hidden=16, layers=1, heads=2, mlp=32),
            digits,
            GRPOConfig(output_dir=str(tmp_path), use_cpu=True, report_to=[], per_device_train_batch_size=8),
            train_dataset=Dataset.from_dict({"prompt": ["a", "b"]}),
            processing_class=build(),
            advantage=GroupNormalised(),
            loss=WithReference(),
        )


@pytest.mark.parametrize(
    ("batch", "rows", "words"), [(10, 4, "batch: got 10"), (16, 3, "rows: got 3, wanted at least")]
)
def test_a_run_that_could_train_no_step_is_refused(batch, rows, words):
    with pytest.raises(ValueError, match=words):
        run_grpo(
            tiny_llama(hidden=16, layers=1, heads=2, mlp=32),
            build(),
            [{"prompt": "a"}] * rows,
            digits,
            advantage=GroupNormalised(),
            steps=1,
            seed=0,
            rollouts=4,
            batch=batch,
        )
