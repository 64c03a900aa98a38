"""ODPO in TRL's own trainer, on a tiny model."""

from __future__ import annotations

import pytest
import torch

pytest.importorskip("trl")

from datasets import Dataset
from trl.experimental.online_dpo import OnlineDPOConfig

from assay.integrations.trl_odpo import ODPOTrainer
from assay.models.finetune import as_prompt
from assay.models.nano import load


def trainer(tmp_path, prefer, steps=2, **settings):
    model, tokenizer = load("nano")
    prompts = Dataset.from_list([{"prompt": as_prompt(f"S{word} V")} for word in ("abcd", "bdca", "cabd", "dcba")])
    config = OnlineDPOConfig(
        output_dir=str(tmp_path),
        per_device_train_batch_size=4,
        max_steps=steps,
        max_new_tokens=6,
        temperature=3.0,  # nano is sure of these, and equal replies teach nothing
        learning_rate=1e-3,
        beta=0.1,
        logging_steps=1,
        report_to=[],
        save_strategy="no",
        disable_tqdm=True,
        use_cpu=True,
    )
    return ODPOTrainer(model, prefer, args=config, train_dataset=prompts, processing_class=tokenizer, **settings)


def test_it_learns_what_the_pairwise_model_prefers(tmp_path):
    def fewer_e(prompts, first, second):
        return [
            0.5 + 0.5 * (a.count("e") < b.count("e")) - 0.5 * (a.count("e") > b.count("e"))
            for a, b in zip(first, second)
        ]

    made = trainer(tmp_path, fewer_e, steps=3)
    before = [p.clone() for p in made.model.parameters()]
    made.train()
    assert any(not torch.equal(a, b) for a, b in zip(before, made.model.parameters()))
    logged = [entry for entry in made.state.log_history if "odpo/preferred" in entry]
    assert logged
    assert 0.5 <= logged[0]["odpo/preferred"] <= 1


def test_a_preference_for_whoever_comes_first_teaches_nothing(tmp_path):
    made = trainer(tmp_path, lambda prompts, first, second: [0.9] * len(prompts), steps=1)
    ids = torch.tensor([[40, 41, 42], [43, 44, 45]])
    preferred, broken = made._judged(["p"], ids, torch.ones_like(ids))
    assert preferred.tolist() == pytest.approx([0.5])
    assert not broken.any()


def test_a_reply_that_loops_loses_whatever_is_preferred(tmp_path):
    made = trainer(tmp_path, lambda prompts, first, second: [0.5] * len(prompts), steps=1)
    ids = torch.tensor([[40, 41, 40, 41, 40, 41, 40, 41], [43, 44, 45, 46, 47, 48, 49, 50]])
    preferred, broken = made._judged(["p"], ids, torch.ones_like(ids))
    assert preferred.tolist() == [0.0]
    assert broken.tolist() == [[True], [False]]


def test_the_reference_follows_when_it_is_refreshed(tmp_path):
    made = trainer(tmp_path, lambda p, first, second: [float(a < b) for a, b in zip(first, second)], refresh_every=1)
    made.train()
    follows = made.accelerator.unwrap_model(made.ref_model).state_dict()
    moved = [name for name, p in load("nano")[0].state_dict().items() if not torch.equal(p, follows[name])]
    assert moved


@pytest.mark.parametrize("chances", [[2.0] * 4, [0.5]])
def test_a_preference_that_is_no_chance_is_named(tmp_path, chances):
    made = trainer(tmp_path, lambda prompts, first, second: chances)
    with pytest.raises(ValueError, match="wanted a chance in"):
        made.train()


def test_a_refresh_that_never_comes_is_refused(tmp_path):
    with pytest.raises(ValueError, match="refresh_every: got 0"):
        trainer(tmp_path, lambda *_: [], refresh_every=0)
