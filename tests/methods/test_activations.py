from __future__ import annotations

import pytest
import torch
from transformers import (
    Gemma2Config,
    Gemma2ForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    OPTConfig,
    OPTForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from assay.methods.activations import Intervention, capture, find_layers, intervene

SMALL = {
    "vocab_size": 40,
    "hidden_size": 16,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "intermediate_size": 24,
    "head_dim": 8,
    "pad_token_id": 0,
}
FAMILIES = {
    "llama": lambda: LlamaForCausalLM(LlamaConfig(**SMALL)),
    "qwen3": lambda: Qwen3ForCausalLM(Qwen3Config(**SMALL)),
    "gemma2": lambda: Gemma2ForCausalLM(Gemma2Config(**SMALL)),
    "gpt2": lambda: GPT2LMHeadModel(
        GPT2Config(vocab_size=40, n_embd=16, n_layer=3, n_head=2, n_positions=32, bos_token_id=1, eos_token_id=2)
    ),
    "opt": lambda: OPTForCausalLM(
        OPTConfig(
            vocab_size=40,
            hidden_size=16,
            num_hidden_layers=3,
            num_attention_heads=2,
            ffn_dim=24,
            max_position_embeddings=32,
            word_embed_proj_dim=16,
            pad_token_id=0,
        )
    ),
}
IDS = torch.tensor([[3, 4, 5, 6, 7], [8, 9, 10, 11, 12], [13, 14, 15, 16, 17]])


@pytest.fixture(params=list(FAMILIES))
def model(request):
    torch.manual_seed(0)
    return FAMILIES[request.param]().eval()


@pytest.fixture
def llama():
    torch.manual_seed(0)
    return FAMILIES["llama"]().eval()


def add(vector):
    return lambda h, mask: h + vector


def test_captured_states_are_those_the_model_itself_reports(model):
    reported = model(IDS, output_hidden_states=True).hidden_states
    captured = capture(model, IDS, [0, 1], batch_size=2)
    for layer in (0, 1):
        torch.testing.assert_close(captured[layer], reported[layer + 1])
        before = capture(model, IDS, [layer], site="resid_pre")[layer]
        torch.testing.assert_close(before, reported[layer])


def test_logits_are_bit_equal_once_the_hooks_are_gone(model):
    before = model(IDS).logits
    with intervene(model, [Intervention(1, add(torch.ones(16)))]):
        changed = model(IDS).logits
    assert not torch.equal(before, changed)
    assert torch.equal(before, model(IDS).logits)


def test_hooks_go_even_where_the_block_ends_in_an_error(llama):
    before = llama(IDS).logits
    with pytest.raises(ValueError, match=r"fn of layer 1: gave \(3, 5\).*wanted \(3, 5, 16\)"):  # noqa: SIM117
        with intervene(llama, [Intervention(1, lambda h, mask: h.sum(-1))]):
            llama(IDS)
    assert torch.equal(before, llama(IDS).logits)
    assert not any(layer._forward_hooks or layer._forward_pre_hooks for layer in find_layers(llama))
    assert not llama.model._forward_pre_hooks


def test_an_identity_changes_not_a_bit(model):
    with intervene(model, [Intervention(0, lambda h, mask: h), Intervention(2, lambda h, mask: h, "resid_pre")]):
        same = model(IDS).logits
    assert torch.equal(same, model(IDS).logits)


def test_interventions_at_one_place_act_in_the_order_given(llama):
    seen = []
    halve = Intervention(1, lambda h, mask: h / 2)
    note = Intervention(1, lambda h, mask: (seen.append(h), h)[1])
    with intervene(llama, [note, halve, note]):
        llama(IDS)
    torch.testing.assert_close(seen[1], seen[0] / 2)


def test_generation_with_a_cache_equals_generation_without(model):
    change = Intervention(1, add(torch.linspace(-1, 1, 16)))
    kept = {"max_new_tokens": 6, "do_sample": False, "pad_token_id": 0, "eos_token_id": None}
    widths = []
    note = Intervention(0, lambda h, mask: (widths.append(h.shape[1]), h)[1])
    with intervene(model, [change, note]):
        with_cache = model.generate(IDS, attention_mask=torch.ones_like(IDS), use_cache=True, **kept)
        cached, widths = widths, []
        without = model.generate(IDS, attention_mask=torch.ones_like(IDS), use_cache=False, **kept)
    assert torch.equal(with_cache, without)
    assert cached == [5, 1, 1, 1, 1, 1]


@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_never_reaches_the_statistics_of_fn(model, side):
    def centre(h, mask):  # takes the mean of the real tokens off: whatever leaked in would change the result
        return h - h.sum(dim=1, keepdim=True) / mask.sum(dim=1).view(-1, 1, 1)

    nothing = torch.full((3, 4), 39)
    parts, masks = ([nothing, IDS], [nothing * 0, IDS * 0 + 1])
    order = slice(None) if side == "left" else slice(None, None, -1)
    ids, mask = torch.cat(parts[order], 1), torch.cat(masks[order], 1)
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    real = slice(4, None) if side == "left" else slice(0, 5)
    extra = {} if type(model).__name__.startswith("OPT") else {"position_ids": positions}
    with intervene(model, [Intervention(1, centre)]):
        alone = model(IDS).logits
        padded = model(ids, attention_mask=mask, **extra).logits
    torch.testing.assert_close(padded[:, real], alone, atol=1e-5, rtol=1e-5)


def test_padding_is_seen_as_zero_and_stays_as_it_was(llama):
    mask = torch.tensor([[0, 0, 1, 1, 1]] * 3)
    seen, after = [], []
    with intervene(
        llama,
        [
            Intervention(0, lambda h, m: (after.append(h.clone()), h)[1]),
            Intervention(0, lambda h, m: (seen.append((h, m)), h * float("nan"))[1]),
        ],
    ):
        out = llama.model(IDS, attention_mask=mask, output_hidden_states=True)
    h, m = seen[0]
    assert torch.equal(m, mask.bool())
    assert (h[:, :2] == 0).all()
    assert out.hidden_states[1][:, :2].isfinite().all()
    assert out.hidden_states[1][:, 2:].isnan().all()


def test_the_mask_of_a_cached_step_is_that_of_the_new_token(llama):
    masks = []
    mask = torch.tensor([[0, 0, 1, 1, 1], [1, 1, 1, 1, 1], [0, 1, 1, 1, 1]])
    with intervene(llama, [Intervention(0, lambda h, m: (masks.append(m), h)[1])]):
        llama.generate(IDS, attention_mask=mask, max_new_tokens=3, do_sample=False, eos_token_id=None)
    assert [tuple(m.shape) for m in masks] == [(3, 5), (3, 1), (3, 1)]
    assert torch.equal(masks[0], mask.bool())
    assert masks[1].all()


def test_positions_choose_the_last_real_token_or_those_named(llama):
    mask = torch.tensor([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1], [0, 1, 1, 1, 0]])
    every = capture(llama, IDS, [1], attention_mask=mask)[1]
    assert (every[0, 3:] == 0).all() and (every[2, 0] == 0).all()
    last = capture(llama, IDS, [1], positions="last", attention_mask=mask)[1]
    assert torch.equal(last[:, 0], every[[0, 1, 2], [2, 4, 3]])
    alike = capture(llama, IDS, [1], positions=torch.tensor([1, 2]), attention_mask=mask)[1]
    assert torch.equal(alike, every[:, 1:3])
    each = capture(llama, IDS, [1], positions=torch.tensor([[0], [1], [2]]), attention_mask=mask)[1]
    assert torch.equal(each[:, 0], every[[0, 1, 2], [0, 1, 2]])


def test_a_base_model_without_a_head_and_a_peft_model_are_found_too(llama):
    assert find_layers(llama.model) is llama.model.layers
    peft = pytest.importorskip("peft")
    wrapped = peft.get_peft_model(llama, peft.LoraConfig(target_modules=["q_proj"], r=2))
    assert find_layers(wrapped) is llama.model.layers


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda m: find_layers(torch.nn.Linear(2, 2)),
            r"Linear has no decoder layers at model\.layers, transformer\.h",
        ),
        (lambda m: capture(m, IDS, [3]), "layer: got 3, wanted 0 to 2"),
        (lambda m: capture(m, IDS, [-1]), "layer: got -1, wanted 0 to 2"),
        (lambda m: capture(m, IDS, []), "layers: got none"),
        (lambda m: capture(m, IDS[0], [0]), r"input_ids: got shape \(5,\)"),
        (lambda m: capture(m, IDS, [0], site="mlp"), "site: got 'mlp'"),
        (lambda m: capture(m, IDS, [0], positions="first"), "positions: got 'first'"),
        (lambda m: capture(m, IDS, [0], positions=torch.tensor([5])), "positions: got 5 to 5, wanted 0 to 4"),
        (lambda m: capture(m, IDS, [0], attention_mask=IDS[:1]), r"attention_mask: got shape \(1, 5\)"),
        (lambda m: capture(m, IDS, [0], positions="last", attention_mask=IDS * 0), "row 0 has no real token"),
        (lambda m: capture(m, IDS, [0], batch_size=0), "batch_size: got 0"),
    ],
)
def test_wrong_input_is_named(llama, call, message):
    with pytest.raises(ValueError, match=message):
        call(llama)


def test_a_mask_that_does_not_tell_padding_is_refused(llama):
    square = torch.zeros(3, 1, 5, 5)
    with (
        intervene(llama, [Intervention(0, lambda h, m: h)]),
        pytest.raises(ValueError, match=r"attention_mask: got \(3, 1, 5, 5\), wanted \(B, T\)"),
    ):
        llama(IDS, attention_mask=square)
