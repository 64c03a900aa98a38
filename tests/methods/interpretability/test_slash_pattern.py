import math

import pytest
import torch
from transformers import (  # fmt: skip
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    Phi3Config,
    Phi3ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from assay.methods.interpretability._rope_heads import Rope, read_heads
from assay.methods.interpretability._slash_page import page
from assay.methods.interpretability._slash_training import train_shallow
from assay.methods.interpretability.slash_pattern import (
    ablate_band,
    band_of,
    examine,
    find_sdh,
    logits_by_lag,
    rank_one_replace,
    rope_contributions,
    slash_score,
    slash_scores,
    spectrum,
    swap_theta,
)

SMALL = {
    "vocab_size": 40, "hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 256,
}  # fmt: skip


def llama():
    torch.manual_seed(0)
    return LlamaForCausalLM(LlamaConfig(**SMALL)).eval()


def tokens(length=60, rows=2):
    return torch.randint(0, 40, (rows, length), generator=torch.Generator().manual_seed(length))


def rope(length, dim, theta=10_000.0):
    omega = theta ** (-torch.arange(0, dim, 2, dtype=torch.float64) / dim)
    angle = (torch.arange(length)[:, None] * omega).repeat(1, 2)
    return Rope(angle.cos().float(), angle.sin().float())


def test_the_score_is_the_mean_along_a_diagonal():
    attention = torch.tensor([[[1.0, 0, 0], [0.3, 0.7, 0], [0.2, 0.5, 0.3]]])
    assert slash_score(attention, [0, 1, 2]).tolist() == [pytest.approx([2 / 3, 0.4, 0.2])]


def test_scores_from_queries_and_keys_are_those_of_the_whole_attention():
    q, k = torch.randn(2, 3, 300, 8, generator=torch.Generator().manual_seed(0))  # more rows than a block of queries
    logits = q @ k.mT / math.sqrt(8)
    attention = logits.masked_fill(~torch.ones(300, 300, dtype=torch.bool).tril(), float("-inf")).softmax(-1)
    deltas = [0, 1, 17, 260, 299]
    assert torch.allclose(slash_scores(q, k, deltas), slash_score(attention, deltas), atol=1e-6)
    by_lag = torch.stack([logits.diagonal(-delta, 1, 2).mean(-1) for delta in deltas], 1)
    assert torch.allclose(logits_by_lag(q, k, deltas), by_lag, atol=1e-5)


def test_a_head_of_one_direction_is_told_by_its_mean_alone():
    """Rank-one queries and keys under RoPE: the contributions sum to the very logit at each lag."""
    generator = torch.Generator().manual_seed(1)
    a, b = torch.randn(2, 16, generator=generator)
    turn = rope(80, 16)
    q, k = (turn.turn(x.expand(1, 80, 16)) for x in (a, b))
    deltas = range(40)
    parts = rope_contributions(a, b, turn.omega, deltas)
    assert parts.shape == (8, 40)
    assert torch.allclose(parts.sum(0).float(), logits_by_lag(q, k, deltas)[0], atol=1e-4)
    whole = spectrum(a.expand(80, 16))
    assert (whole.ratio, whole.effective_rank) == pytest.approx((1, 1))
    assert whole.angle == pytest.approx(0, abs=0.01)


def test_the_spectrum_of_equal_directions_is_flat():
    flat = spectrum(torch.eye(4).repeat(5, 1))
    assert flat.ratio == pytest.approx(1 / 4)
    assert flat.effective_rank == pytest.approx(4)
    assert flat.centred == pytest.approx(1 / 3)


def test_bands_go_by_wavelength():
    omega = 2 * math.pi / torch.tensor([10.0, 63.0, 65.0, 2047.0, 2049.0])
    bands = band_of(omega)
    assert [pairs.nonzero().flatten().tolist() for pairs in bands.values()] == [[0, 1], [2, 3], [4]]


def test_turning_back_undoes_turning_and_omega_is_read_from_the_tables():
    turn = rope(50, 8)
    x = torch.randn(3, 50, 12)
    assert torch.allclose(turn.turn(turn.turn(x), back=True), x, atol=1e-5)
    assert torch.equal(turn.turn(x)[..., 8:], x[..., 8:])
    assert turn.omega.tolist() == pytest.approx([1, 0.1, 0.01, 0.001], rel=1e-4)


def test_queries_before_rope_are_those_of_the_projection():
    model, ids = llama(), tokens()
    seen = {}
    projection = model.model.layers[1].self_attn.q_proj
    hook = projection.register_forward_hook(lambda _m, _a, out: seen.update(q=out))
    heads = read_heads(model, ids)
    hook.remove()
    assert torch.allclose(heads[1].q, seen["q"].view(2, 60, 4, 8).transpose(1, 2), atol=1e-5)
    assert heads[1].k.shape == (2, 4, 60, 8)
    assert torch.equal(heads[1].k[:, 0], heads[1].k[:, 1]), "grouped heads share their keys"


@pytest.mark.parametrize("kind", ["llama", "qwen3 with norms", "phi3 fused, partly rotated", "llama3 scaled"])
def test_attention_by_lag_is_that_of_the_models_own_attention(kind):
    torch.manual_seed(0)
    if kind == "llama":
        model = llama()
    elif kind.startswith("qwen3"):
        model = Qwen3ForCausalLM(Qwen3Config(**SMALL, head_dim=8)).eval()
    elif kind.startswith("phi3"):
        partly = {"rope_type": "default", "rope_theta": 10_000.0, "partial_rotary_factor": 0.5}
        model = Phi3ForCausalLM(Phi3Config(**SMALL, rope_parameters=partly, pad_token_id=0)).eval()
    else:
        scaled = {
            "rope_type": "llama3", "rope_theta": 10_000.0, "factor": 8.0, "low_freq_factor": 1.0,
            "high_freq_factor": 4.0, "original_max_position_embeddings": 64,
        }  # fmt: skip
        model = LlamaForCausalLM(LlamaConfig(**SMALL, rope_parameters=scaled)).eval()
    ids = tokens(rows=1)
    heads = examine(model, ids, max_delta=20)
    model.set_attn_implementation("eager")
    with torch.no_grad():
        attention = model(ids, output_attentions=True).attentions
    own = torch.cat([slash_score(layer[0], range(21)) for layer in attention])
    assert torch.allclose(torch.tensor([head.profile for head in heads]), own, atol=1e-5)


def test_looking_leaves_the_model_as_it_was():
    model, ids = llama(), tokens()
    with torch.no_grad():
        before = model(ids).logits
        examine(model, ids)
        with pytest.raises(ZeroDivisionError), ablate_band(model, 0, 0, [0]):
            _ = 1 / 0
        assert torch.equal(model(ids).logits, before)


def test_a_frozen_head_no_longer_knows_distance():
    model, ids = llama(), tokens(rows=1)
    with rank_one_replace(model, 0, 2), torch.no_grad():
        heads = read_heads(model, ids)[0]
        rotated = heads.rotated
    logits = rotated[0][0, 2] @ rotated[1][0, 2].T
    for lag in (0, 5, 20):
        assert logits.diagonal(-lag).std() < 1e-4, "one direction: the logit depends on the lag alone"
    with ablate_band(model, 0, 2, [0, 1, 2, 3]), torch.no_grad():
        frozen = read_heads(model, ids)[0]
    q, k = frozen.rotated
    plain = read_heads(model, ids)[0]
    assert torch.allclose(q[0, 2] @ k[0, 2].T, plain.q[0, 2] @ plain.k[0, 2].T, atol=1e-4)
    assert torch.allclose(q[0, 1] @ k[0, 1].T, plain.rotated[0][0, 1] @ plain.rotated[1][0, 1].T, atol=1e-4)


def test_another_base_changes_the_loss_and_the_same_base_nothing():
    model, ids = llama(), tokens()
    with torch.no_grad():
        before = model(ids, labels=ids).loss
        with swap_theta(model, 10_000.0):
            assert model(ids, labels=ids).loss == pytest.approx(before.item(), abs=1e-5)
        with swap_theta(model, 100.0):
            assert not torch.equal(model(ids, labels=ids).loss, before)


def test_slash_heads_are_the_strong_ones_and_the_page_shows_them():
    heads = examine(llama(), tokens(), max_delta=20)
    assert len(heads) == 8
    for head in heads:
        assert sum(head.bands.values()) == pytest.approx(1, abs=1e-6)
        assert 0 <= head.explained <= 1
    found = find_sdh(heads, 0.02)
    assert [head.score for head in found] == sorted((h.score for h in heads if h.score >= 0.02), reverse=True)
    shown = page("a <model>", heads, 0.02)
    assert shown.count("<td ") == 8
    assert "a &lt;model&gt;" in shown
    assert shown.count("<svg") == len(found)


@pytest.mark.slow
@pytest.mark.parametrize("task", ["copy_delta", "in_context"])
def test_training_grows_a_slash_where_the_answer_lies(task):
    stages = train_shallow(0, task=task, steps=300, every=100)
    assert [stage.step for stage in stages] == [0, 100, 200, 300]
    assert stages[-1].loss < stages[0].loss - 0.5
    if task == "copy_delta":
        assert stages[-1].score > 0.5 > stages[0].score + 0.3


def test_training_logs_its_first_and_last_step():
    stages = train_shallow(0, T=16, d=8, delta=3, steps=3, every=2)
    assert [stage.step for stage in stages] == [0, 2, 3]
    assert all(0 < stage.queries <= 1 and 0 < stage.score < 1 for stage in stages)


def test_wrong_input_is_named():
    model, ids = llama(), tokens()
    with pytest.raises(ValueError, match="GPT2LMHeadModel has no rotary embedding"):
        examine(GPT2LMHeadModel(GPT2Config(vocab_size=40, n_embd=16, n_layer=1, n_head=2)), ids)
    with pytest.raises(ValueError, match="deltas: got 0 to 60, wanted lags from 0 to below the text's 60"):
        examine(model, ids, max_delta=60)
    with pytest.raises(ValueError, match="head: got 4, wanted 0 to 3"), ablate_band(model, 0, 4, [0]):
        model(ids)
    with pytest.raises(ValueError, match="layer: got 2, wanted 0 to 1"), rank_one_replace(model, 2, 0):
        model(ids)
    with pytest.raises(ValueError, match="pairs: got"), ablate_band(model, 0, 0, [4]):
        model(ids)
    with pytest.raises(ValueError, match="base: got 1"), swap_theta(model, 1):
        model(ids)
    with pytest.raises(ValueError, match="threshold"):
        find_sdh([], 0)
    with pytest.raises(ValueError, match="NaN"):
        slash_scores(torch.full((1, 4, 2), float("nan")), torch.ones(1, 4, 2), [0])
    with pytest.raises(ValueError, match="rows"):
        spectrum(torch.ones(3))
    for arguments in ({"task": "odd"}, {"delta": 40}, {"d": 6}):
        with pytest.raises(ValueError, match=next(iter(arguments))):
            train_shallow(0, **arguments)
