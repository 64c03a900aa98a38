"""Prism inside a real Llama: at p = 1 every way of running it must give what torch's own attention gives."""

import json

import pytest
import torch
from transformers import AutoModelForCausalLM, DynamicCache, LlamaConfig, LlamaForCausalLM

from assay.integrations.transformers import PrismConfig, prism_stats
from assay.methods.attention.registration import register

BLOCK = 16
EXACT = {"p": 1.0, "block": BLOCK}


def llama(**changes):
    torch.manual_seed(0)
    settings = {"hidden_size": 64, "num_attention_heads": 4, "num_key_value_heads": 2, "num_hidden_layers": 2}
    config = LlamaConfig(vocab_size=50, intermediate_size=64, max_position_embeddings=1024, **(settings | changes))
    return LlamaForCausalLM(config).eval()


@pytest.fixture(scope="module")
def model():
    return llama()


def tokens(length, rows=2):
    return torch.randint(0, 50, (rows, length), generator=torch.Generator().manual_seed(length))


def both(model, run, **settings):
    """What `run` gives with torch's own attention and with Prism, and what Prism did."""
    model.set_attn_implementation("sdpa")
    full = run()
    model.set_attn_implementation("assay_prism")
    model.config.assay_prism = EXACT | settings
    with prism_stats(rows=2) as stats, torch.no_grad():
        return full, run(), stats


@pytest.mark.parametrize("length", [64, 203, 257])
@torch.no_grad()
def test_a_causal_prefill_with_grouped_heads_is_exact_at_p_1(model, length):
    ids = tokens(length)
    full, sparse, stats = both(model, lambda: model(ids).logits)
    assert torch.allclose(full, sparse, atol=1e-5)
    assert stats.densities == [1.0, 1.0]
    assert stats.recalls == pytest.approx([1.0, 1.0])


@pytest.mark.parametrize("side", ["left", "right"])
@torch.no_grad()
def test_padding_on_either_side_is_exact_at_p_1(model, side):
    ids, mask = tokens(203), torch.ones(2, 203, dtype=torch.long)
    if side == "left":
        mask[0, :70] = mask[1, :5] = 0
    else:
        mask[0, -70:] = 0
    full, sparse, stats = both(model, lambda: model(ids, attention_mask=mask).logits)
    assert torch.allclose(full[mask.bool()], sparse[mask.bool()], atol=1e-5)
    assert len(stats.densities) == 2 and max(stats.densities) < 1, "blocks of padding are not attended"


@torch.no_grad()
def test_a_prefill_in_chunks_is_exact_at_p_1(model):
    ids = tokens(203)

    def chunked():
        cache = DynamicCache(config=model.config)
        spans = ((0, 77), (77, 150), (150, 203))
        return torch.cat([model(ids[:, a:b], past_key_values=cache).logits for a, b in spans], 1)

    full, sparse, stats = both(model, chunked)
    assert torch.allclose(full, sparse, atol=1e-5)
    assert len(stats.densities) == 6


@pytest.mark.parametrize("cache", [None, "static"])
@torch.no_grad()
def test_decoding_goes_on_from_the_cache(model, cache):
    ids = tokens(150)

    def generate():
        return model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=5,
            do_sample=False,
            cache_implementation=cache,
            disable_compile=True,
            pad_token_id=0,
        )

    full, sparse, stats = both(model, generate)
    assert torch.equal(full, sparse)
    assert (len(stats.densities), stats.full) == (2, 8), "two layers' prefill is sparse, four steps of each are not"


@torch.no_grad()
def test_a_sliding_window_is_exact_at_p_1():
    from transformers import MistralConfig, MistralForCausalLM

    torch.manual_seed(0)
    config = MistralConfig(
        vocab_size=50, hidden_size=64, intermediate_size=64, num_hidden_layers=1, num_attention_heads=4,
        num_key_value_heads=2, sliding_window=40,
    )  # fmt: skip
    model, ids = MistralForCausalLM(config).eval(), tokens(203)
    full, sparse, stats = both(model, lambda: model(ids).logits)
    assert torch.allclose(full, sparse, atol=1e-5)
    assert stats.densities[0] < 0.6


@torch.no_grad()
def test_a_smaller_p_leaves_blocks_out(model):
    ids = tokens(512)
    full, sparse, stats = both(model, lambda: model(ids).logits, p=0.3)
    assert 0.02 < stats.densities[0] < 0.9
    assert 0 < stats.recalls[0] < 1
    assert not torch.allclose(full, sparse, atol=1e-5)


@torch.no_grad()
def test_short_prompts_and_inference_mode_need_no_selection(model):
    ids = tokens(4 * BLOCK - 1)
    _, _, stats = both(model, lambda: model(ids).logits)
    assert (stats.densities, stats.full) == ([], 2)
    model.config.assay_prism = EXACT
    with torch.inference_mode(), prism_stats() as stats:
        model(tokens(128))
    assert len(stats.densities) == 2


def test_training_goes_through_full_attention_and_says_so(model):
    model.set_attn_implementation("assay_prism")
    model.config.assay_prism = EXACT
    with pytest.warns(UserWarning, match="Prism is for inference"), prism_stats() as stats:
        model(tokens(128)).logits.sum().backward()
    assert (stats.densities, stats.full) == ([], 2)
    model.zero_grad()


def test_a_model_is_loaded_with_prism_and_saved_with_its_settings(model, tmp_path):
    model.config.assay_prism = {"p": 0.9, "block": BLOCK}
    model.save_pretrained(tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["assay_prism"]["p"] == 0.9
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path, attn_implementation="assay_prism")
    with torch.no_grad(), prism_stats() as stats:
        loaded(tokens(128))
    assert len(stats.densities) == 2


@torch.no_grad()
def test_wrong_use_is_named(model):
    model.set_attn_implementation("assay_prism")
    model.config.assay_prism = PrismConfig(block=BLOCK)
    attention = model.model.layers[0].self_attn
    q, k = torch.randn(1, 4, 128, 16), torch.randn(1, 2, 128, 16)
    from assay.methods.attention._prism_forward import prism_attention_forward as forward

    with pytest.raises(ValueError, match="output_attentions: got True"):
        model(tokens(128), output_attentions=True)
    with pytest.raises(ValueError, match="Prism needs causal attention"):
        forward(attention, q, k, k, None, is_causal=False)
    with pytest.raises(ValueError, match=r"let.* queries see keys that come after"):
        forward(attention, q, k, k, torch.ones(1, 1, 128, 128, dtype=torch.bool))
    with pytest.raises(ValueError, match="softcap"):
        forward(attention, q, k, k, None, softcap=30.0)
    with pytest.warns(UserWarning, match=r"wanted torch\.bool"):
        forward(attention, q, k, k, torch.zeros(1, 1, 128, 128))
    model.config.assay_prism = "0.9"
    with pytest.raises(TypeError, match=r"config\.assay_prism: got str"):
        model(tokens(128))
    with pytest.raises(ValueError, match="mask: got 'odd'"):
        register("assay_odd", forward, mask="odd")


@torch.no_grad()
def test_partly_rotated_heads_put_the_rest_in_the_slow_band():
    from assay.methods.attention._prism_forward import _config

    attention = llama().model.layers[0].self_attn
    attention.config.rope_parameters["partial_rotary_factor"] = 0.5
    assert _config(attention, 16).rotary_dim == 8
