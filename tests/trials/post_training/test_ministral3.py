"""The trial of Ministral 3."""

from __future__ import annotations

import pytest
import torch

from assay.methods.post_training.ministral3 import StageSpec
from assay.models import load
from assay.models.nano import tiny_llama
from assay.models.tokenizer import BOT
from assay.models.train_data import worked_row
from assay.trials.post_training.ministral3 import (
    calibration,
    flops,
    loss_of,
    made,
    padded,
    prune_at_random,
    size,
    stream,
    trial,
)
from assay.worlds.text import mix6
from assay.worlds.text.problem import split_of

SPEC = StageSpec(n_layers=3, d_model=96, d_ff=200)


def test_the_baseline_has_the_childs_architecture_and_nothing_of_its_weights():
    parent = load("nano")[0]
    pruned = prune_at_random(parent, SPEC, torch.Generator().manual_seed(0))
    fresh = made(parent, SPEC, 3)
    shapes = {name: p.shape for name, p in pruned.named_parameters()}
    assert {name: p.shape for name, p in fresh.named_parameters()} == shapes
    assert size(fresh) == size(pruned)
    assert torch.equal(made(parent, SPEC, 3).lm_head.weight, fresh.lm_head.weight)
    assert not torch.equal(made(parent, SPEC, 4).lm_head.weight, fresh.lm_head.weight)


def test_a_token_of_distillation_costs_both_models():
    assert flops(teacher=10, student=3) == 38


def test_what_is_learned_is_what_comes_after_the_prompt():
    ids, mask = next(stream(0, "x"))
    other, _ = next(stream(0, "y"))
    assert ids.shape == mask.shape
    assert ids.shape != other.shape or not torch.equal(ids, other)
    (first, *_), (row, *_) = mask, ids
    start = int(first.nonzero()[0])
    assert row[start].item() == BOT
    assert not first[int(first.nonzero()[-1]) + 1 :].any()


def test_the_loss_is_that_of_the_reply_alone():
    model = tiny_llama(hidden=16, layers=1, heads=2, mlp=16)
    world = mix6.world(each=2).sample(0)
    assert all(split_of(problem.prompt) == "test" for problem in world)
    total, counted = 0.0, 0
    for problem in world:
        ids, mask = padded([worked_row(problem)])
        with torch.no_grad():
            log_p = model(input_ids=ids).logits.log_softmax(-1)
        for at in mask[0].nonzero().flatten().tolist():
            total -= float(log_p[0, at, ids[0, at + 1]])
            counted += 1
    assert loss_of(model, world) == pytest.approx(total / counted, rel=1e-4)


def test_calibration_has_no_padding():
    (ids,) = calibration(0)
    assert ids.shape[1] == 32
    assert (ids != 0).all()
    assert len(ids) > 50


@pytest.mark.slow
def test_a_quick_run_gives_every_arm_a_value():
    from assay.engine.runner import run

    result = run(trial, quick=True, isolation="inline")
    assert not result.failed
    assert "method" in result.table()
