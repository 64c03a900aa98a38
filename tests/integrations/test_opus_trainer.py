"""OPUS in a real Trainer: the chosen rows alone are trained on."""

from __future__ import annotations

import pytest

pytest.importorskip("transformers")

import torch
from transformers import TrainingArguments

from assay.integrations.opus_trainer import OPUSTrainer
from assay.methods.data.opus import ProxySet
from assay.models.nano import tiny_llama

LIKE = torch.arange(5, 14)


def made(tmp_path, keep=4, steps=3, batch=8, **own):
    settings = TrainingArguments(
        output_dir=str(tmp_path), max_steps=steps, per_device_train_batch_size=batch, report_to=[], use_cpu=True,
        save_strategy="no", disable_tqdm=True, learning_rate=1e-2,
    )  # fmt: skip
    model = tiny_llama(hidden=16, layers=1, heads=2, mlp=24, vocabulary=40, context=32)
    noise = torch.randint(3, 40, (24, 9), generator=torch.Generator().manual_seed(0))
    rows = [LIKE if i % 2 else noise[i] for i in range(24)]
    dataset = [{"input_ids": row, "attention_mask": torch.ones_like(row), "labels": row} for row in rows]
    return OPUSTrainer(model, settings, train_dataset=dataset, proxy=ProxySet(LIKE.repeat(4, 1)), keep=keep, **own)


def test_each_step_trains_on_the_chosen_rows(tmp_path):
    trainer, seen = made(tmp_path, temperature=0.05, redundancy=0.0), []

    def watch(model, args, named):
        if named.get("labels") is not None:
            seen.append(named["input_ids"].clone())

    trainer.model.register_forward_pre_hook(watch, with_kwargs=True)
    result = trainer.train()
    assert result.training_loss > 0
    assert [len(ids) for ids in seen] == [4, 4, 4], "scoring passes no labels; training sees 4 of 8 rows"
    like = sum(bool((row == LIKE).all()) for ids in seen for row in ids)
    assert like >= 10, "of 12: candidates like the proxy are taken first"
    assert trainer.selector.overhead().scoring > 0
    assert len(trainer.selector.optimizer.state) > 0, "the optimiser itself is read, not its wrapping"


def test_wrong_sizes_and_optimisers_are_refused(tmp_path):
    with pytest.raises(ValueError, match="keep: got 9, wanted 1 to per_device_train_batch_size = 8"):
        made(tmp_path, keep=9)
    with pytest.raises(ValueError, match="it is made when training begins"):
        _ = made(tmp_path).selector
    trainer = made(tmp_path)
    trainer.optimizer = torch.optim.Adagrad(trainer.model.parameters())
    with pytest.raises(ValueError, match="got Adagrad"):
        _ = trainer.selector


def test_a_short_last_batch_is_trained_on_whole(tmp_path):
    trainer = made(tmp_path, keep=8, steps=1)
    trainer.train()
    assert trainer._selector is None, "8 candidates and 8 kept: nothing to choose"
