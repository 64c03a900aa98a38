import numpy as np
import pytest
import torch

trl = pytest.importorskip("trl")

from datasets import Dataset  # noqa: E402

from assay.integrations.trl import run_grpo  # noqa: E402
from assay.integrations.trl_rollouts import generate  # noqa: E402
from assay.integrations.trl_scheduled import ScheduledGRPOTrainer  # noqa: E402
from assay.methods.post_training.p1_vl import Curriculum, GSPOLoss, SeqMIS, Stage  # noqa: E402
from assay.methods.post_training.pipeline import GroupNormalised, RolloutPlan  # noqa: E402
from assay.models.nano import tiny_llama  # noqa: E402
from assay.models.tokenizer import build  # noqa: E402

ROWS = [{"prompt": prompt} for prompt in ("ab", "cd", "ef", "gh")]
STAGES = (Stage(0, 0.7, 2, 7), Stage(0, 0.5, 4, 9))


def model():
    torch.manual_seed(0)
    return tiny_llama(hidden=32, layers=1, heads=2, mlp=64)


def curriculum(policy=None, **options):
    settings = {"batch": 8, "longest_prompt": 3, "steps": (2,), "generator": np.random.default_rng(0)}
    return Curriculum([0.3, 0.4, 0.6, 0.7], STAGES, **{**settings, **options})


class Seen:
    """A reward that keeps the groups it is shown, and how long their completions are."""

    __name__ = "seen"

    def __init__(self):
        self.batches = []

    def __call__(self, prompts, completions, completion_ids, **_):
        self.batches.append((list(prompts), max(map(len, completion_ids))))
        return [float(len(text)) + i for i, text in enumerate(completions)]


def test_a_run_samples_what_the_curriculum_plans():
    seen, made, asked = Seen(), [], []

    def scheduled(policy):
        def estimate(places):
            asked.append(next(policy.parameters()).clone())
            return [0.3, 0.4, 0.9, 0.9]

        made.append(curriculum(estimate=estimate))
        return made[0]

    settings = {"advantage": GroupNormalised(), "steps": 4, "seed": 0, "rollouts": 2, "batch": 8, "learning_rate": 1e-2}
    started = model()
    run = run_grpo(started, build(), ROWS, seen, loss=GSPOLoss(), scheduler=scheduled, **settings)
    assert [len(set(prompts)) for prompts, _ in seen.batches] == [4, 4, 2, 2]
    assert all(
        prompts == [p for p in dict.fromkeys(prompts) for _ in range(8 // len(set(prompts)))]
        for prompts, _ in seen.batches
    )
    assert set(seen.batches[2][0]) == {"ab", "cd"}
    assert seen.batches[1][1] <= 4
    assert 4 < seen.batches[2][1] <= 6
    assert len(asked) == 1
    assert not torch.equal(asked[0], next(started.parameters()))  # measured of the policy in training
    assert made[0].number == 1
    assert len(run.log) >= 4


def test_accumulated_batches_are_planned_as_one(tmp_path):
    seen = Seen()
    args = trl.GRPOConfig(
        output_dir=str(tmp_path), per_device_train_batch_size=4, gradient_accumulation_steps=2, num_generations=2,
        num_iterations=2, max_steps=4, report_to=[], save_strategy="no", use_cpu=True, bf16=False, disable_tqdm=True,
        gradient_checkpointing=False,
    )  # fmt: skip
    trainer = ScheduledGRPOTrainer(
        model(), seen, args, scheduler=curriculum(steps=(1,)), advantage=GroupNormalised(),
        train_dataset=Dataset.from_list(ROWS), processing_class=build(),
    )  # fmt: skip
    trainer.train()
    assert [len(set(prompts)) for prompts, _ in seen.batches] == [4, 2]  # four updates, two a generation


def test_rows_that_trainer_and_engine_disagree_on_are_left_out_in_trl():
    def shifted(prompts, trainer):
        """Samples that the engine is sure of, but for every second row, which the trainer finds far likelier."""
        rows = generate(trainer, prompts)
        ids = [row["completion_ids"] for row in rows]
        logprobs = [[-100.0 if i % 2 else -1e-6] * len(own) for i, own in enumerate(ids)]
        return {"prompt_ids": [row["prompt_ids"] for row in rows], "completion_ids": ids, "logprobs": logprobs}

    settings = {"advantage": GroupNormalised(), "steps": 1, "seed": 0, "rollouts": 4, "batch": 8, "max_tokens": 3}
    loss = GSPOLoss(SeqMIS(clip_weight=1))
    run = run_grpo(model(), build(), ROWS, Seen(), loss=loss, rollout=shifted, **settings)
    assert run.log[0]["seq_mis_kept"] == 0.5
    with pytest.raises(ValueError, match="engine that sampled"):
        run_grpo(model(), build(), ROWS, Seen(), loss=loss, **settings)


class Wrong:
    def plan(self, step):
        return RolloutPlan((0, 1, 2), 2, 4)

    def observe(self, batch):
        pass


def test_a_plan_that_does_not_fill_the_batch_is_named():
    settings = {"advantage": GroupNormalised(), "steps": 1, "seed": 0, "rollouts": 2, "batch": 8, "max_tokens": 3}
    with pytest.raises(ValueError, match="3 prompts of 2 rollouts, wanted 8"):
        run_grpo(model(), build(), ROWS, Seen(), scheduler=lambda policy: Wrong(), **settings)


def test_an_endless_run_is_refused(tmp_path):
    args = trl.GRPOConfig(
        output_dir=str(tmp_path), per_device_train_batch_size=8, use_cpu=True, bf16=False, report_to=[]
    )
    with pytest.raises(ValueError, match=r"args.max_steps: got -1"):
        ScheduledGRPOTrainer(
            model(), Seen(), args, scheduler=curriculum(), advantage=GroupNormalised(),
            train_dataset=Dataset.from_list(ROWS), processing_class=build(),
        )  # fmt: skip
