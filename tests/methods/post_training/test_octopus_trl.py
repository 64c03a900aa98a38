"""Octopus in a real TRL run of a model with a few thousand weights."""

from functools import partial

import numpy as np
import pytest
import torch

pytest.importorskip("trl")

from assay.integrations.trl import run_grpo
from assay.integrations.trl_rollouts import spliced
from assay.methods.post_training.octopus import CorrectionLoss, CorrectionReward, recombine
from assay.methods.post_training.pipeline import GroupNormalised
from assay.models.finetune import as_prompt, finetune
from assay.models.nano import tiny_llama
from assay.models.tokenizer import build, encode

OPEN, CLOSE = "<sc>", "</sc>"
TASKS = {"1": "3", "2": "4"}


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    model = tiny_llama(hidden=32, layers=1, heads=2, mlp=64)
    attempts = [rf"\boxed{{{first}}}{OPEN}\boxed{{{second}}}{CLOSE}" for first in "34" for second in "34"]
    finetune(
        model, [(task, text) for task in TASKS for text in attempts], steps=80, seed=0, batch=16, learning_rate=1e-2
    )
    return model


class Watch(GroupNormalised):
    """The usual estimator that keeps the batches it saw."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def __call__(self, batch):
        self.seen.append(batch)
        return super().__call__(batch)


def train(model, stage, *, steps=1, loss=None):
    watch, reward = Watch(), CorrectionReward(str.__eq__, OPEN, CLOSE)
    gold = {as_prompt(task): answer for task, answer in TASKS.items()}
    made = partial(recombine, generator=np.random.default_rng(0), min_tokens=0, open=OPEN, close=CLOSE)
    rollout = spliced(made, lambda prompt, part: reward.right(part, gold[prompt]), 4, stage, open=OPEN, close=CLOSE)
    rows = [{"prompt": prompt, "answer": answer} for prompt, answer in gold.items()]
    run = run_grpo(
        model, build(), rows, reward, advantage=watch, steps=steps, seed=0, batch=16, max_tokens=40,
        learning_rate=1e-3, beta=1e-12 if loss else 0.0, loss=loss, rollout=rollout,
    )  # fmt: skip
    return run, watch.seen


def test_half_of_each_group_is_made_up_and_paid_for_what_it_says(model):
    _, (batch,) = train(model, stage=1)
    for rows in batch.groups():
        texts = [batch.completions[i] for i in rows.tolist()]
        assert len(texts) == 8
        halves = [text.split(OPEN) for text in texts[:4]]
        firsts, seconds = {half[0] for half in halves}, {half[1] for half in halves if len(half) >= 2}
        for text in texts[4:]:
            first, second = text.split(OPEN)
            assert first in firsts
            assert second in seconds
    reward = CorrectionReward(str.__eq__, OPEN, CLOSE)
    golds = [TASKS[prompt.removeprefix("<bos><user>").removesuffix("<bot>")] for prompt in batch.prompts]
    paid = [reward.score(text, gold) for text, gold in zip(batch.completions, golds)]
    assert batch.rewards.tolist() == pytest.approx(paid)
    assert batch.rewards.std() > 0


@pytest.mark.parametrize("stage", [1, 2])
def test_what_is_hidden_ends_with_the_tag(model, stage):
    _, (batch,) = train(model, stage=stage)
    shown = 0
    for text, mask, prompt in zip(batch.completions, batch.mask, batch.prompts):
        if OPEN not in text:
            continue
        first, second = text.split(OPEN)[:2]  # a second tag ends what is read, as in `split_response`
        gold = TASKS[prompt.removeprefix("<bos><user>").removesuffix("<bot>")]
        differ = (gold in first) != (gold in second)
        hidden = len(encode(first + OPEN)) if stage == 1 or differ else 0
        assert mask.tolist()[:hidden] == [False] * hidden
        assert mask[hidden : len(encode(text))].all()
        shown += hidden == 0
    assert shown > 0 or stage == 1


def test_the_loss_of_stage_one_runs_with_its_reference(model):
    run, _ = train(model, stage=1, steps=2, loss=CorrectionLoss(tag=len(encode(OPEN))))
    logged = [step["hidden_kl"] for step in run.log if "hidden_kl" in step]
    assert logged[0] == pytest.approx(0, abs=1e-6)  # at the start the model is its own reference
    assert logged[1] > 0
    assert all(np.isfinite(step["loss"]) for step in run.log if "loss" in step)


def test_a_tag_of_many_tokens_is_told(model):
    reward = CorrectionReward(str.__eq__)
    made = partial(recombine, generator=np.random.default_rng(0), min_tokens=0)
    rollout = spliced(made, lambda prompt, part: reward.right(part, "3"), 4, 1)
    with pytest.warns(UserWarning, match="learnt sooner"):
        run_grpo(
            model, build(), [{"prompt": "1", "answer": "3"}], reward, advantage=GroupNormalised(), steps=1, seed=0,
            batch=8, max_tokens=40, rollout=rollout,
        )  # fmt: skip
