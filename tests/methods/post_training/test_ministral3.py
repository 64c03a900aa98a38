"""Ministral 3: pruning, distillation, the cascade, preferences with soft labels."""

from __future__ import annotations

import json
import math
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import GPT2Config, GPT2LMHeadModel, Qwen2Config, Qwen2ForCausalLM

from assay.methods.post_training._distillation import (
    broken_loses,
    distill_loss,
    loops,
    odpo_loss,
    thinking_broken,
    unbiased,
)
from assay.methods.post_training._pruning import (
    ffn_importance,
    hidden_rotation,
    layer_importance,
    least_changing,
    narrowed,
    prune_ffn,
    prune_layers,
)
from assay.methods.post_training.ministral3 import (
    StageSpec,
    cascade,
    distil,
    lengthened,
    position_temperature,
    prune,
    recipe,
    shares,
)
from assay.models import load
from assay.models.nano import tiny_llama


@pytest.fixture(scope="module")
def nano():
    return load("nano")[0]


@pytest.fixture(scope="module")
def batches():
    generator = torch.Generator().manual_seed(0)
    return [torch.randint(20, 256, (4, 24), generator=generator) for _ in range(2)]


def small(seed=0, layers=3):
    model = tiny_llama(hidden=32, layers=layers, heads=4, mlp=48, vocabulary=64, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():  # gains as after a training, not all 1
        for name, p in model.named_parameters():
            if "norm" in name:
                p.copy_(0.5 + torch.rand(p.shape, generator=generator))
    return model


def ids(seed=1, rows=4, length=12):
    return torch.randint(0, 64, (rows, length), generator=torch.Generator().manual_seed(seed))


def batch(seed):
    tokens = ids(seed, rows=8)
    return tokens, torch.ones_like(tokens).bool()


@torch.no_grad()
def logits(model, tokens):
    return model(input_ids=tokens).logits


def test_a_rotated_model_of_full_width_says_the_same(nano, batches):
    for model, tokens in ((nano, batches[0]), (small(), ids())):
        width = model.config.hidden_size
        turned = narrowed(model, hidden_rotation(model, [tokens]), width)
        assert (logits(turned, tokens) - logits(model, tokens)).abs().max() < 1e-4
        assert not turned.config.tie_word_embeddings


def test_tied_embeddings_stay_tied_where_that_is_asked_for_and_exact_where_the_gains_are_equal():
    model = small()
    with torch.no_grad():
        model.model.norm.weight.fill_(0.7)
    turned = narrowed(model, hidden_rotation(model, [ids()]), 32, tie=True)
    assert turned.config.tie_word_embeddings
    assert turned.lm_head.weight.data_ptr() == turned.model.embed_tokens.weight.data_ptr()
    torch.testing.assert_close(logits(turned, ids()), logits(model, ids()), atol=1e-4, rtol=1e-4)


def test_the_strongest_directions_keep_more_than_the_weakest(nano, batches):
    rotation = hidden_rotation(nano, batches)
    torch.testing.assert_close(rotation.T @ rotation, torch.eye(128, dtype=torch.float64), atol=1e-8, rtol=0)
    wanted = logits(nano, batches[0]).log_softmax(-1)

    def apart(turning):
        return float((logits(narrowed(nano, turning, 96), batches[0]).log_softmax(-1) - wanted).abs().mean())

    assert apart(rotation) < 0.7 * apart(rotation.flip(dims=[1]))


def test_biases_and_grouped_heads_are_turned_too():
    config = Qwen2Config(
        vocab_size=64, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=64,
    )  # fmt: skip
    torch.manual_seed(0)
    model = Qwen2ForCausalLM(config).eval()
    turned = narrowed(model, hidden_rotation(model, [ids()]), 32)
    torch.testing.assert_close(logits(turned, ids()), logits(model, ids()), atol=1e-4, rtol=1e-4)
    child = prune(model, [ids()], StageSpec(n_layers=2, d_model=16, d_ff=24))
    assert child.config.num_key_value_heads == 2
    assert logits(child, ids()).shape == (4, 12, 64)


def test_importance_is_what_the_hooks_would_say_by_hand():
    model, tokens = small(), ids()
    states = model(input_ids=tokens, output_hidden_states=True).hidden_states
    ratios = [(b.norm(dim=-1) / a.norm(dim=-1)).mean() for a, b in pairwise(states[:3])]
    found = layer_importance(model, [tokens])
    torch.testing.assert_close(found[:2], torch.stack(ratios).sub(1).abs().detach(), atol=1e-5, rtol=1e-4)
    cosine = layer_importance(model, [tokens], "cosine")
    wanted = 1 - torch.cosine_similarity(states[0], states[1], dim=-1).mean().detach()
    assert float(cosine[0]) == pytest.approx(float(wanted), abs=1e-5)


def test_a_layer_that_does_nothing_goes_first_and_is_not_missed():
    model = small(layers=4)
    with torch.no_grad():
        for p in (model.model.layers[2].self_attn.o_proj.weight, model.model.layers[2].mlp.down_proj.weight):
            p.zero_()
    keep = least_changing(layer_importance(model, [ids()]), 3)
    assert keep == [0, 1, 3]
    torch.testing.assert_close(logits(prune_layers(model, keep), ids()), logits(model, ids()))


def test_neurons_that_say_nothing_go_first_and_are_not_missed():
    model = small()
    with torch.no_grad():
        for layer in model.model.layers:
            layer.mlp.up_proj.weight[10:20] = 0
    child = prune_ffn(model, 38, ffn_importance(model, [ids()]))
    assert child.config.intermediate_size == 38
    torch.testing.assert_close(logits(child, ids()), logits(model, ids()), atol=1e-5, rtol=1e-5)


def test_the_distillation_loss_is_the_divergence():
    a, b = torch.randn(2, 3, 5), torch.randn(2, 3, 5)
    mask = torch.tensor([[1, 1, 0], [1, 1, 1]]).bool()
    p, q = (x.softmax(-1)[mask] for x in (b, a))
    assert float(distill_loss(a, b, mask)) == pytest.approx(float((p * (p / q).log()).sum(-1).mean()), rel=1e-5)
    assert float(distill_loss(a, a, mask)) == pytest.approx(0, abs=1e-6)
    labels = torch.randint(0, 5, (2, 3))
    only = distill_loss(a, b, alpha=0.0, labels=labels)
    wanted = torch.nn.functional.cross_entropy(a[:, :-1].reshape(-1, 5), labels[:, 1:].reshape(-1))
    torch.testing.assert_close(only, wanted)


def test_only_the_positions_of_the_mask_are_learned_from():
    a, b = torch.randn(1, 4, 5), torch.randn(1, 4, 5)
    mask = torch.tensor([[False, True, False, True]])
    other = a.clone()
    other[0, [0, 2]] += 3
    labels = torch.tensor([[0, 1, 2, 3]])
    torch.testing.assert_close(distill_loss(a, b, mask), distill_loss(other, b, mask))
    plain = distill_loss(a, b, mask, alpha=0.0, labels=labels)
    torch.testing.assert_close(plain, -a[0, 1].log_softmax(-1)[2])


def test_a_student_comes_nearer_to_its_teacher():
    teacher, student = small(0), small(1, layers=2)
    losses = distil(student, teacher, (batch(i) for i in range(100)), tokens=40 * 96, learning_rate=3e-3)
    assert len(losses) == 40
    assert losses[-1] < 0.5 * losses[0]


def test_a_cascade_is_taken_up_where_it_was(tmp_path):
    parent = small(layers=4)
    stages = [StageSpec(n_layers=3, tokens=96), StageSpec(d_model=16, d_ff=24, tokens=96)]

    def data(i):
        return (batch(10 * i + j) for j in range(9))

    first = cascade(parent, stages, [ids()], data, out=tmp_path, teacher="previous")
    sizes = [(c.config.num_hidden_layers, c.config.hidden_size, c.config.intermediate_size) for c in first]
    assert sizes == [(3, 32, 48), (3, 16, 24)]
    card = json.loads((tmp_path / "stage-2" / "card.json").read_text())
    assert len(card["stages"]) == 2
    assert card["parameters"] == sum(p.numel() for p in first[1].parameters())

    def none_left(i):
        raise AssertionError("nothing is trained again")

    again = cascade(parent, stages, [ids()], none_left, out=tmp_path, teacher="previous")
    torch.testing.assert_close(logits(again[1], ids()), logits(first[1], ids()))
    with pytest.raises(ValueError, match="holds a child of other stages"):
        cascade(parent, [StageSpec(n_layers=2)], [ids()], data, out=tmp_path)


def test_a_longer_context_gets_yarn_and_queries_their_temperature():
    model = small()
    longer = lengthened(model, 4096)
    assert longer.config.max_position_embeddings == 4096
    assert logits(longer, ids()).shape == (4, 12, 64)
    assert lengthened(model, 16) is model
    found = position_temperature(torch.tensor([0, 99, 100, 1000]), 100, 0.5)
    assert found.tolist() == pytest.approx([1, 1, 1 + 0.5 * math.log(2), 1 + 0.5 * math.log(11)])


def test_shares_shrink_all_three_and_the_recipe_is_of_three_sizes(nano):
    half = shares(nano, 0.5)
    assert (half.n_layers, half.d_model, half.d_ff) == (4, 100, 264)
    assert shares(nano, 1.0) == StageSpec(5, 128, 336)
    assert [one.n_layers for one in recipe()] == [40, 34, 26]


def test_the_preference_loss_is_the_one_worked_by_hand():
    policy, reference = torch.tensor([[-1.0, -3.0]]), torch.tensor([[-2.0, -2.0]])  # ahead by 2
    p = torch.tensor([0.8])
    scale = 0.1 * 0.6

    def log_s(x):
        return math.log(1 / (1 + math.exp(-x)))

    wanted = -(0.8 * log_s(scale * 2) + 0.2 * log_s(-scale * 2))
    assert float(odpo_loss(policy, reference, p)) == pytest.approx(wanted, rel=1e-5)
    hard = odpo_loss(policy, reference, torch.tensor([1.0]), two_sided=False)
    assert float(hard) == pytest.approx(-log_s(0.2), rel=1e-5)


@given(st.floats(0, 1), st.floats(-3, 3), st.floats(-3, 3))
def test_the_preference_loss_does_not_care_which_reply_is_called_a(p, one, other):
    policy, reference, preferred = torch.tensor([[one, other]]), torch.zeros(1, 2), torch.tensor([p])
    there, back = odpo_loss(policy, reference, preferred), odpo_loss(policy.flip(1), reference, 1 - preferred)
    assert float(there) == pytest.approx(float(back), abs=1e-5)


def test_a_pair_that_nobody_can_tell_apart_teaches_nothing():
    policy = torch.tensor([[-1.0, -3.0]], requires_grad=True)
    odpo_loss(policy, torch.zeros(1, 2), torch.tensor([0.5])).backward()
    assert not policy.grad.any()


def test_order_and_broken_replies_are_taken_out_of_the_preference():
    assert float(unbiased(torch.tensor(0.9), torch.tensor(0.5))) == pytest.approx(0.7)
    broken = [torch.tensor([a, b, c, d]) for a, b, c, d in [(False, True, False, True), (False, False, True, True)]]
    assert broken_loses(torch.full((4,), 0.3), *broken).tolist() == pytest.approx([0.3, 0.0, 1.0, 0.5])
    assert loops([1, 2, 3, 2, 3, 2, 3, 2, 3])
    assert not loops([1, 2, 3, 4, 5, 6, 7, 8])
    assert thinking_broken("<think>x")
    assert thinking_broken("</think><think>")
    assert not thinking_broken("<think>x</think> y")
    assert not thinking_broken("plain")


def _gpt2():
    return GPT2LMHeadModel(GPT2Config(vocab_size=64, n_embd=32, n_layer=2, n_head=2))


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: prune(small(), [ids()], StageSpec(n_layers=9)), "n_layers: got 9, wanted 2 to 3"),
        (lambda: prune(small(), [ids()], StageSpec(n_layers=1)), "n_layers: got 1"),
        (lambda: prune(small(), [ids()], StageSpec(d_model=18)), "wanted a multiple of 4 heads"),
        (lambda: prune(small(), [ids()], StageSpec(d_ff=99)), "d_ff: got 99"),
        (lambda: prune(small(), [], StageSpec(n_layers=2)), "batches: got none"),
        (lambda: prune(_gpt2(), [ids()], StageSpec(n_layers=2)), "got gpt2, wanted one of the Llama"),
        (lambda: distil(small(), load("nano")[0], [], tokens=1), "teacher has 256 tokens, student 64"),
        (lambda: distil(small(), small(), [batch(0)], tokens=1000), "got 96 tokens, wanted 1000"),
        (lambda: distill_loss(torch.ones(1, 2, 3), torch.ones(1, 2, 4)), "one vocabulary"),
        (lambda: distill_loss(torch.ones(1, 2, 3), torch.ones(1, 2, 3), alpha=0.5), "labels: got None"),
        (lambda: odpo_loss(torch.ones(1, 2), torch.ones(1, 2), torch.tensor([1.2])), "outside [0, 1]"),
        (lambda: cascade(small(), [], [ids()], iter), "stages: got none"),
        (lambda: cascade(small(), [StageSpec()], [ids()], iter, teacher="best"), "teacher: got 'best'"),
        (lambda: shares(small(), 0.0), "share: got 0.0"),
        (lambda: StageSpec(tokens=-1), "tokens: got -1"),
        (lambda: layer_importance(small(), [ids()], "size"), "score: got 'size'"),
    ],
)
def test_wrong_input_is_named(call, told):
    with pytest.raises(ValueError) as raised:
        call()
    assert told in str(raised.value)
