"""Training: what is trained on, that the packed loss is the model's own, and that a stopped run goes on exactly."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from functools import partial

import pytest
import torch
import torch.nn.functional as F

from assay.errors import AssayError, UserError
from assay.models import measure, nano, train, weights
from assay.models import tokenizer as tok
from assay.models.recipe import RECIPES, rate, total_steps
from assay.models.train_data import data_hash, recall_row, rows_of_step, worked_row
from assay.models.train_forward import reply_loss
from assay.worlds.text import chain
from assay.worlds.text.problem import split_of

TINY = replace(
    RECIPES["nano"], steps=6, recall_steps=4, early_steps=3, short_steps=2, gentle_steps=1, decay_steps=2, rows=3
)


def text(row):
    return tok.decode(row.ids)


def test_the_packed_loss_is_the_models_own_loss_row_by_row():
    model = nano.tiny_llama(hidden=64, layers=2, heads=2, mlp=96, seed=3)
    rows = [*rows_of_step(TINY, 0, 0), *rows_of_step(TINY, 8, 0)]
    total, count = 0.0, 0
    with torch.no_grad():
        for row in rows:
            asked = torch.tensor(row.asked).nonzero().squeeze(1)
            logits = model(torch.tensor([row.ids])).logits[0]
            total += float(F.cross_entropy(logits[asked - 1], torch.tensor(row.ids)[asked], reduction="sum"))
            count += len(asked)
    assert reply_loss(model, rows).item() == pytest.approx(total / count, rel=1e-5)


def test_the_packed_gradient_is_the_models_own_gradient():
    model = nano.tiny_llama(hidden=64, layers=2, heads=2, mlp=96, seed=3)
    row = worked_row(chain.sample(0, "train"))
    reply_loss(model, [row]).backward()
    packed = {name: p.grad.clone() for name, p in model.named_parameters()}
    model.zero_grad()
    labels = torch.tensor([[i if a else -100 for i, a in zip(row.ids, row.asked)]])
    model(torch.tensor([row.ids]), labels=labels).loss.backward()
    for name, p in model.named_parameters():
        torch.testing.assert_close(packed[name], p.grad, rtol=1e-3, atol=1e-6, msg=name)


def test_training_never_sees_a_test_prompt():
    recipe = RECIPES["nano"]
    for step in (recipe.recall_steps, recipe.recall_steps + recipe.early_steps, total_steps(recipe) - 1):
        for row in rows_of_step(recipe, step, seed=0):
            prompt = text(row).partition("<user>")[2].partition("<bot>")[0]
            assert split_of(prompt) == "train"


def test_recall_rows_ask_for_the_values_alone():
    row = recall_row(seed=1, pairs=4)
    facts, _, replies = text(row).partition("?<bot>")
    value_of = {f[:2]: f[2:] for f in facts.partition("L")[2].split()}
    lines = replies.split()
    assert len(value_of) == 4
    assert len(lines) == 6
    assert all(value_of[line[:2]] == line[2:] for line in lines)
    asked = [tok.VOCABULARY[i] for i, a in zip(row.ids, row.asked) if a]
    assert asked == [line[2:] for line in lines]


def test_worked_rows_ask_for_the_reply_and_its_end():
    problem = chain.sample(0, "train")
    row = worked_row(problem)
    assert tok.decode([i for i, a in zip(row.ids, row.asked) if a]) == f"{problem.trace}<eos>"


def test_rows_depend_on_step_and_seed_alone():
    assert rows_of_step(TINY, 7, 0) == rows_of_step(TINY, 7, 0)
    assert rows_of_step(TINY, 7, 0) != rows_of_step(TINY, 8, 0) != rows_of_step(TINY, 8, 1)
    assert data_hash(TINY, 0) == data_hash(TINY, 0) != data_hash(TINY, 1)


@pytest.mark.parametrize("name", ["nano", "micro"])
def test_the_rate_warms_up_is_gentle_after_recall_and_falls_to_a_twentieth(name):
    recipe = RECIPES[name]
    rates = [rate(recipe, step) for step in range(total_steps(recipe))]
    assert rates[0] == 1 / recipe.warmup_steps
    assert rates[recipe.recall_steps - 1] == 1
    assert rates[recipe.recall_steps] == pytest.approx(1 / 3)
    assert rates[-recipe.decay_steps - 1] == 1
    assert rates[-1] == pytest.approx(0.05, abs=0.002)


def test_the_models_have_the_sizes_they_are_said_to_have():
    sizes = {name: sum(p.numel() for p in nano.tiny_llama(**asdict(s)).parameters()) for name, s in nano.SIZES.items()}
    assert sizes == {"nano": 1_006_976, "micro": 3_959_552}


def test_a_width_that_heads_do_not_divide_is_refused():
    with pytest.raises(ValueError, match="heads: got 3"):
        nano.tiny_llama(hidden=128, heads=3)


def test_a_stopped_training_goes_on_as_if_it_had_not_stopped(tmp_path):
    straight = train.Training(TINY, seed=0)
    losses = [straight.advance() for _ in range(8)]
    first = train.Training(TINY, seed=0)
    begun = [first.advance() for _ in range(5)]
    first.save(tmp_path / "checkpoint.pt")
    second = train.Training(TINY, seed=0)
    second.restore(tmp_path / "checkpoint.pt")
    assert begun + [second.advance() for _ in range(3)] == losses
    for one, other in zip(straight.model.parameters(), second.model.parameters()):
        assert torch.equal(one, other)
    with pytest.raises(UserError, match="was begun with 0"):
        train.Training(TINY, seed=1).restore(tmp_path / "checkpoint.pt")


@pytest.fixture
def tiny_training(monkeypatch):
    monkeypatch.setitem(train.RECIPES, "nano", TINY)
    monkeypatch.setattr(measure, "measure", partial(measure.measure, problems=2))


def test_training_writes_weights_tokenizer_and_a_full_report(tmp_path, tiny_training):
    shown = []
    out = train.train_model("nano", tmp_path / "new", show=lambda entry, total: shown.append((entry["step"], total)))
    assert shown == [(10, 10)]
    report = json.loads((out / "recipe.json").read_text())
    assert report["recipe"]["steps"] == 6
    assert report["data_sha256"] == data_hash(TINY, 0)
    assert set(report["measured"]) == {"greedy", "sampled", "pass8"}
    assert any("mean" in miss for miss in report["missed"]), "an untrained model misses its gates"
    assert not (out / "checkpoint.pt").exists()
    read = weights.read(out)
    assert read.dtype == torch.float32
    from transformers import AutoTokenizer

    assert AutoTokenizer.from_pretrained(out).encode("C63+5", add_special_tokens=False) == tok.encode("C63+5")


def test_time_that_is_over_leaves_a_checkpoint_and_resume_is_asked_for(tmp_path, tiny_training, monkeypatch):
    monkeypatch.setattr(train, "LOG_EVERY", 1)
    with pytest.raises(AssayError, match="minutes are over at step 1 of 10: --resume goes on"):
        train.train_model("nano", tmp_path, minutes=1e-6 / 60)
    with pytest.raises(UserError, match="holds an unfinished training"):
        train.train_model("nano", tmp_path)
    train.train_model("nano", tmp_path, resume=True)
    assert (tmp_path / "model.safetensors").exists()


def test_gates_say_what_falls_short():
    good = {
        "greedy": {"chain": 0.9, "lookup": 0.9, "countdown3": 0.6, "lists": 0.9},
        "sampled": {"chain": 0.8, "lookup": 0.8, "countdown3": 0.5, "lists": 0.8},
        "pass8": {"countdown3": 0.9},
    }
    weak = {**good, "greedy": {"chain": 0.5, "lookup": 0.5, "countdown3": 0.4, "lists": 0.5}}
    assert measure.missed_gates("micro", good, weak) == []
    assert measure.missed_gates("nano", weak, None) == []
    assert len(measure.missed_gates("micro", good, good)) == 5  # the mean, and each of the four
    assert measure.missed_gates("nano", {**good, "pass8": {"countdown3": 0.7}}, None) == [
        "countdown3 pass@8 only 0.100 above greedy, wanted 0.15"
    ]
    sure = {**good, "sampled": {**good["sampled"], "chain": 1.0}}
    assert measure.missed_gates("nano", sure, None) == ["chain at temperature 1 is 100%"]
    assert any(m.startswith("chain 0.500") for m in measure.missed_gates("micro", weak, None))
