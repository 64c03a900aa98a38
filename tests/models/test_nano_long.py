"""nano-long: how it is trained, what its losses are, and that it recalls."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import pytest
import torch
import torch.nn.functional as F

from assay.models import nano, nano_long, weights
from assay.models import tokenizer as tok
from assay.worlds import recall_text

TINY = replace(
    nano_long.RECIPE,
    hidden=32,
    heads=2,
    mlp=32,
    context=128,
    warmup_steps=2,
    recall_steps=3,
    recall_rows=4,
    rounds=(nano_long.Round(64, 2, 3, 8), nano_long.Round(128, 1, 4)),
)


@pytest.fixture
def tiny():
    return nano.tiny_llama(hidden=32, layers=2, heads=2, mlp=32, context=256, seed=3)


def test_the_rates_rise_stay_and_fall_to_a_twentieth():
    recipe = replace(nano_long.RECIPE, recall_steps=20, rounds=(nano_long.Round(64, 1, 80),), warmup_steps=10)
    assert recipe.steps == 100
    assert nano_long.rate(recipe, 0) == pytest.approx(0.1)
    assert nano_long.rate(recipe, 9) == nano_long.rate(recipe, 60) == 1.0
    assert nano_long.rate(recipe, 80) == pytest.approx(0.55)  # 20 steps of the last 40 to go, and a twentieth
    assert nano_long.rate(recipe, 100) == pytest.approx(0.05)


def test_the_values_that_are_asked_for_are_marked_and_no_others():
    ids, wanted = nano_long.encoded(["ab=4627;c?4627;", "?9910;de=1210;fg"[:-1]])
    assert [tok.decode(row[mask].tolist()) for row, mask in zip(ids, wanted)] == ["27", "10"]
    assert wanted.sum(1).tolist() == [1, 1]


def test_the_losses_are_the_models_own(tiny):
    texts = recall_text.world(2, 64, 8).sample(0)
    cost, wanted = nano_long.next_token_losses(tiny, texts)
    ids, mask = nano_long.encoded(texts)
    for row in range(2):
        logits = tiny(input_ids=ids[row : row + 1]).logits[0]
        for place in (1, 17, 63):
            own = F.cross_entropy(logits[place - 1], ids[row, place])
            assert cost[row, place - 1].item() == pytest.approx(own.item(), rel=1e-4)
    assert torch.equal(wanted, mask[:, 1:])


def test_a_short_training_leaves_weights_and_a_report(tmp_path):
    steps = []
    nano_long.train(tmp_path / "a", recipe=TINY, show=lambda *entry: steps.append(entry))
    nano_long.train(tmp_path / "b", recipe=TINY)
    report = json.loads((tmp_path / "a" / "recipe.json").read_text("utf-8"))
    assert report["recipe"] == json.loads(json.dumps(asdict(TINY)))
    assert set(report["right"]) == {"64", "128"}
    one, other = (weights.read(tmp_path / name).state_dict() for name in "ab")
    assert all(torch.equal(one[name], other[name]) for name in one)
    start = nano.tiny_llama(hidden=32, layers=2, heads=2, mlp=32, context=128, seed=0).state_dict()
    assert not torch.equal(
        one["model.layers.0.self_attn.q_proj.weight"], start["model.layers.0.self_attn.q_proj.weight"]
    )


def test_a_longer_context_slows_the_slow_pairs_and_leaves_the_fast_ones(tiny):
    longer = nano_long.stretched(tiny, 1024)
    assert longer.config.max_position_embeddings == 1024
    old, new = (model.model.rotary_emb.inv_freq for model in (tiny, longer))
    turns = 256 * old / (2 * torch.pi)  # over the context that the model was made for
    assert torch.allclose(new[turns > 4], old[turns > 4])
    assert torch.allclose(new[turns < 1], old[turns < 1] / 4)
    assert (turns > 4).any() and (turns < 1).any()
    assert torch.equal(longer.model.layers[0].mlp.up_proj.weight, tiny.model.layers[0].mlp.up_proj.weight)
    assert nano_long.stretched(tiny, 256) is tiny


def test_shipped_weights_were_made_by_the_recipe_in_the_code():
    report = weights.recipe(nano_long.NAME)
    assert report["recipe"] == json.loads(json.dumps(asdict(nano_long.RECIPE)))


def test_the_shipped_model_recalls_fresh_text_about_as_well_as_reported():
    model = weights.read(weights.ensure(nano_long.NAME, train=False))
    share = nano_long.share_right(model, recall_text.world(8, 1024).sample(77_000))
    assert abs(share - weights.recipe(nano_long.NAME)["right"]["1024"]) < 0.1
    guessing = nano_long.share_right(
        nano.tiny_llama(hidden=256, layers=2, heads=4, mlp=512), recall_text.world(2, 512).sample(0)
    )
    assert guessing < 0.1 < share
