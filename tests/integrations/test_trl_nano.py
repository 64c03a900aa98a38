"""The built-in nano model in real TRL runs, with the estimators of several papers alone and composed."""

import pytest
import torch

pytest.importorskip("trl")

from datasets import Dataset
from trl import GRPOConfig

from assay.integrations.trl import AdvantageGRPOTrainer
from assay.methods.post_training.dr_zero import HRPO
from assay.methods.post_training.hadw import HADW
from assay.methods.post_training.pipeline import GroupNormalised, Pipeline
from assay.methods.post_training.prl import FutureKL
from assay.methods.post_training.uniqueness import Uniqueness
from assay.models.finetune import as_prompt
from assay.models.nano import load
from assay.worlds.text import sums

ESTIMATORS = {
    "nothing": lambda: Pipeline(GroupNormalised()),
    "history-aware weights": lambda: Pipeline(GroupNormalised(), HADW()),
    "rare strategies": lambda: Pipeline(GroupNormalised(), Uniqueness()),
    "hop counts": HRPO,
    "process rewards": lambda: Pipeline(GroupNormalised(), FutureKL(beta=0.01)),
    "all together": lambda: Pipeline(GroupNormalised(("group", "agent")), HADW(), Uniqueness(), FutureKL(beta=0.01)),
}


def about_right(completions, answer, **columns):
    """How many digits are written, and one more for the answer itself: replies of a group differ in it."""
    return [float(sum(c.isdigit() for c in text) + (wanted in text)) for text, wanted in zip(completions, answer)]


class Watched(AdvantageGRPOTrainer):
    """Keeps the batches that the estimator was given, and the advantages that are trained on."""

    def _rollout_batch(self, out):
        self.batches = [*getattr(self, "batches", []), super()._rollout_batch(out)]
        return self.batches[-1]

    def _generate_and_score_completions(self, inputs):
        out = super()._generate_and_score_completions(inputs)
        self.trained_on = [*getattr(self, "trained_on", []), out["advantages"].clone()]
        return out


def trained(tmp_path, estimator):
    problems = sums.world(each=8).sample(0)
    data = Dataset.from_dict(
        {
            "prompt": [as_prompt(problem.prompt) for problem in problems],
            "answer": [problem.answer for problem in problems],
            "key": [0, 1] * 4,
            "agent": [0] * 8,
            "cluster": list(range(8)),
        }
    )
    model, tokenizer = load("nano")
    model.save_pretrained(tmp_path / "nano")
    settings = GRPOConfig(
        output_dir=str(tmp_path),
        per_device_train_batch_size=8,
        num_generations=4,
        max_completion_length=6,
        temperature=3.0,  # nano is sure of sums, and four replies would be one
        max_steps=2,
        learning_rate=1e-3,
        beta=1e-12 if "ref_logprobs" in estimator.needs else 0.0,
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
        use_cpu=True,
        gradient_checkpointing=False,
    )
    run = Watched(
        str(tmp_path / "nano"), about_right, settings, train_dataset=data, processing_class=tokenizer,
        advantage=estimator,
    )  # fmt: skip
    run.train()
    return model, run


@pytest.mark.parametrize("name", ESTIMATORS)
def test_nano_trains_on_what_the_estimator_says(tmp_path, name):
    model, run = trained(tmp_path, ESTIMATORS[name]())
    again = ESTIMATORS[name]()  # its memory is as empty as the trained one's was
    assert run.state.global_step == len(run.batches) == 2
    for batch, advantages in zip(run.batches, run.trained_on):
        torch.testing.assert_close(advantages, again(batch).to(advantages.dtype))
        assert torch.isfinite(advantages).all()
        assert advantages.abs().max() > 0
        if advantages.dim() == 2:
            assert (advantages[~batch.mask] == 0).all()
    weights = dict(run.model.named_parameters())
    assert all(torch.isfinite(weight).all() for weight in weights.values())
    assert any(not torch.equal(weight, weights[place]) for place, weight in model.named_parameters())


def test_an_empty_pipeline_gives_nano_trls_own_advantages(tmp_path):
    _, run = trained(tmp_path, ESTIMATORS["nothing"]())
    trls_own = torch.tensor(list(run._logs["advantages"]))  # of the last batch, before the estimator
    assert trls_own.abs().max() > 0.5
    torch.testing.assert_close(run.trained_on[-1], trls_own.to(run.trained_on[-1].dtype), atol=1e-3, rtol=0)
