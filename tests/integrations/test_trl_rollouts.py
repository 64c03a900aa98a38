"""Real TRL runs of a model with a few thousand weights, and of nano."""

import pytest
import torch

pytest.importorskip("trl")

from datasets import Dataset
from trl import GRPOConfig, GRPOTrainer

from assay.integrations.trl import AdvantageGRPOTrainer
from assay.integrations.trl_rollouts import WatchPlateau, generate, resampled
from assay.methods.post_training.bapo import BAPOReward, BoundaryReward, PlateauDetector, Resampler
from assay.methods.post_training.pipeline import GroupNormalised
from assay.models.nano import load, tiny_llama
from assay.models.tokenizer import build

PROMPTS = [f"{i}: " for i in range(4)]


def trainer(tmp_path, detector, judge, *, model=None, tokenizer=None, reward=None, kind=GRPOTrainer, **own):
    data = Dataset.from_dict({"prompt": PROMPTS, "answer": ["7"] * 4})
    return kind(
        (model if model is not None else tiny_llama(hidden=16, layers=1, heads=2, mlp=32)).train(),
        reward if reward is not None else BAPOReward(detector),
        GRPOConfig(
            output_dir=str(tmp_path),
            per_device_train_batch_size=8,
            per_device_eval_batch_size=8,
            num_generations=4,
            max_completion_length=5,
            max_steps=2,
            eval_strategy="steps",
            eval_steps=1,
            logging_steps=1,
            save_strategy="no",
            report_to=[],
            disable_tqdm=True,
            use_cpu=True,
            gradient_checkpointing=False,
        ),
        train_dataset=data,
        eval_dataset=data.select(range(2)),
        processing_class=tokenizer if tokenizer is not None else build(),
        rollout_func=resampled(Resampler(max_attempts=2), judge, detector),
        callbacks=[WatchPlateau(detector)],
        **own,
    )


def on_the_plateau() -> PlateauDetector:
    detector = PlateauDetector(patience=0)
    detector.load_state_dict({"best": 1.0, "below": 1})
    return detector


class Judge:
    """Says what a script says and keeps what it was shown."""

    def __init__(self, score=0.0, idk=False):
        self.verdict, self.shown = (score, idk), []

    def __call__(self, prompt, completion):
        self.shown.append((prompt, completion))
        return self.verdict


def test_failing_groups_are_generated_again_as_often_as_allowed(tmp_path):
    judge = Judge(score=0.0)
    run = trainer(tmp_path, on_the_plateau(), judge)
    out = run.rollout_func([PROMPTS[0]] * 4 + [PROMPTS[1]] * 4, run)
    assert len(judge.shown) == 3 * 8
    assert [prompt for prompt, _ in judge.shown[:8]] == [PROMPTS[0]] * 4 + [PROMPTS[1]] * 4
    texts = [run.processing_class.decode(ids, skip_special_tokens=True) for ids in out["completion_ids"]]
    assert texts == [text for _, text in judge.shown[-8:]]  # what is trained on is the last draw
    assert out["stage"] == ["plateau"] * 8


def test_groups_with_a_success_or_a_refusal_stay(tmp_path):
    for verdict in ((1.0, False), (0.0, True)):
        judge = Judge(*verdict)
        run = trainer(tmp_path, on_the_plateau(), judge)
        run.rollout_func([PROMPTS[0]] * 4, run)
        assert len(judge.shown) == 4


def test_nothing_is_judged_before_the_plateau_or_in_an_evaluation(tmp_path):
    judge = Judge()
    run = trainer(tmp_path, PlateauDetector(), judge)
    assert run.rollout_func([PROMPTS[0]] * 4, run)["stage"] == ["explore"] * 4
    run = trainer(tmp_path, on_the_plateau(), judge)
    run.model.eval()
    assert run.rollout_func([PROMPTS[0]] * 4, run)["stage"] == ["eval"] * 4
    assert judge.shown == []


def test_a_completion_is_generated_for_each_prompt_in_order(tmp_path):
    run = trainer(tmp_path, PlateauDetector(), Judge())
    made = generate(run, ["1: ", "22: "])
    assert [run.processing_class.decode(one["prompt_ids"], skip_special_tokens=True) for one in made] == ["1: ", "22: "]
    assert all(0 < len(one["completion_ids"]) <= 5 for one in made)


class Recorded(BAPOReward):
    """Keeps the stages and rewards of every call."""

    def __init__(self, *parts):
        super().__init__(*parts)
        self.stages, self.texts = [], []

    def __call__(self, prompts, completions, completion_ids, **columns):
        self.stages.append(columns["stage"][0])
        self.texts.append(completions)
        return super().__call__(prompts, completions, completion_ids, **columns)


@pytest.mark.parametrize("kind", [GRPOTrainer, AdvantageGRPOTrainer])
def test_nano_trains_two_steps_with_the_resampler_and_the_detector_sees_its_evaluations(tmp_path, kind):
    model, tokenizer = load("nano")
    detector = on_the_plateau()
    reward, judge = Recorded(detector, BoundaryReward()), Judge(score=0.0)
    own = {"advantage": GroupNormalised()} if kind is AdvantageGRPOTrainer else {}
    run = trainer(tmp_path, detector, judge, model=model, tokenizer=tokenizer, reward=reward, kind=kind, **own)
    seen = []
    detector.update = seen.append
    run.train()
    assert run.state.global_step == 2
    assert reward.stages.count("plateau") == 2
    assert reward.stages.count("eval") == 2
    assert len(judge.shown) == 2 * 3 * 8
    assert len(seen) == 2
    assert all(-1 <= value <= 1 for value in seen)
    assert all(torch.isfinite(weight).all() for weight in run.model.parameters())
    trained = [texts for texts, stage in zip(reward.texts, reward.stages) if stage == "plateau"]
    assert trained[0] == [text for _, text in judge.shown[16:24]]  # the third draw of the first step
