import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import scaled_dot_product_attention

from assay.methods.attention.block_sparse import Grid, block_mass, block_sparse_attention, grid_of, mean_pool


def drawn(queries, keys, heads=4, kv_heads=2, dim=16, batch=2, seed=0):
    generator = torch.Generator().manual_seed(seed)
    q = torch.randn(batch, heads, queries, dim, generator=generator)
    k, v = (torch.randn(batch, kv_heads, keys, dim, generator=generator) for _ in range(2))
    return q, k, v


def dense(q, k, v, seen):
    """Attention with a mask of single elements `(B, H, L_q, L_kv)`, in float64, no fused kernel."""
    group = q.shape[1] // k.shape[1]
    k, v = (x.double().repeat_interleave(group, 1) for x in (k, v))
    scores = (q.double() @ k.mT / math.sqrt(q.shape[-1])).masked_fill(~seen, float("-inf"))
    return (scores.softmax(-1).nan_to_num(0.0) @ v).float()


def elements(mask, grid):
    """A block mask by the element, with causality."""
    wide = mask.repeat_interleave(grid.block, 2).repeat_interleave(grid.block, 3)
    wide = wide[:, :, grid.shift : grid.shift + grid.queries, : grid.keys]
    return wide & torch.ones(grid.queries, grid.keys, dtype=torch.bool).tril(grid.keys - grid.queries)


@settings(max_examples=25, deadline=None)
@given(
    keys=st.integers(1, 150), queries=st.integers(1, 150), block=st.sampled_from([16, 32]), seed=st.integers(0, 9999)
)
def test_any_causal_mask_gives_the_softmax_over_its_blocks(keys, queries, block, seed):
    queries = min(queries, keys)
    q, k, v = drawn(queries, keys, seed=seed)
    grid = grid_of(q, k, block)
    chosen = torch.rand(2, 4, grid.n_q, grid.n_k, generator=torch.Generator().manual_seed(seed)) < 0.5
    mask = chosen & grid.causal()
    out = block_sparse_attention(q, k, v, mask, block)
    assert torch.allclose(out, dense(q, k, v, elements(mask, grid)), atol=1e-5)


@pytest.mark.parametrize(("queries", "keys"), [(300, 300), (97, 300), (1, 300), (301, 301)])
def test_all_blocks_give_sdpa(queries, keys):
    q, k, v = drawn(queries, keys)
    grid = grid_of(q, k, 32)
    out = block_sparse_attention(q, k, v, grid.causal().expand(2, 4, -1, -1), 32)
    seen = torch.ones(queries, keys, dtype=torch.bool).tril(keys - queries)
    assert torch.allclose(out, scaled_dot_product_attention(q, k, v, attn_mask=seen, enable_gqa=True), atol=1e-5)


def test_single_keys_can_be_hidden_and_queries_that_see_none_get_zeros():
    q, k, v = drawn(100, 100)
    grid = grid_of(q, k, 16)
    keep = torch.ones(2, 1, 100, 100, dtype=torch.bool).tril()
    keep[0, :, :, :23] = False  # padding on the left
    keep[1] &= torch.ones(100, 100, dtype=torch.bool).triu(-30)  # a sliding window
    mask = grid.causal().expand(2, 4, -1, -1)
    out = block_sparse_attention(q, k, v, mask, 16, keep=keep)
    assert torch.allclose(out, dense(q, k, v, keep.expand(2, 4, -1, -1)), atol=1e-5)
    assert out[0, :, :23].abs().max() == 0


def test_half_precision_comes_back_as_it_was_and_scale_is_taken():
    q, k, v = (x.bfloat16() for x in drawn(64, 64))
    mask = Grid(64, 64, 16).causal().expand(2, 4, -1, -1)
    out = block_sparse_attention(q, k, v, mask, 16, scale=0.5)
    exact = dense(q.float() * 0.5 * 4, k, v, elements(mask, Grid(64, 64, 16)))
    assert out.dtype == torch.bfloat16
    assert torch.allclose(out.float(), exact, atol=0.02)


def test_one_thread_and_two_give_the_same_and_threads_are_left_as_they_were():
    q, k, v = drawn(600, 600)
    mask = Grid(600, 600, 16).causal().expand(2, 4, -1, -1)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = block_sparse_attention(q, k, v, mask, 16)
        torch.set_num_threads(2)
        with torch.inference_mode():
            two = block_sparse_attention(q, k, v, mask, 16)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert torch.allclose(one, two, atol=1e-6)


def test_block_masses_are_the_true_attention_summed():
    q, k, _ = drawn(70, 100)
    grid = grid_of(q, k, 16)
    group = q.shape[1] // k.shape[1]
    scores = q @ k.repeat_interleave(group, 1).mT / 4
    attention = scores.masked_fill(~torch.ones(70, 100, dtype=torch.bool).tril(30), float("-inf")).softmax(-1)
    mass = block_mass(q, k, 16)
    assert mass.shape == (2, 4, grid.n_q, grid.n_k)
    rows = grid.rows(2)
    expected = attention[:, :, rows, 16:32].sum(-1).mean(-1)
    assert torch.allclose(mass[:, :, 2, 1], expected, atol=1e-6)
    assert torch.allclose(mass.sum(-1), torch.ones(2, 4, grid.n_q), atol=1e-5)
    assert torch.equal(block_mass(q, k, 16, torch.tensor([2])), mass[:, :, 2:3])


def test_means_leave_padding_out():
    x = torch.arange(10.0).view(1, 1, 10, 1)
    assert mean_pool(x[:, :, :8], 4).flatten().tolist() == [1.5, 5.5]
    assert mean_pool(x, 4).flatten().tolist() == [1.5, 5.5, 8.5]
    valid = torch.tensor([[False] * 5 + [True] * 5])
    assert mean_pool(x, 4, valid).flatten().tolist() == [0.0, 6.0, 8.5]
    assert mean_pool(x, 4, shift=3).flatten().tolist() == [0.0, 2.5, 6.5, 9.0]


def test_pooling_weakens_a_frequency_as_the_theory_says():
    """The mean of exp(i omega t) over B tokens has size |sin(omega B / 2) / (B sin(omega / 2))|."""
    block = 128
    for omega in (0.5, 0.1, 0.02, 0.003):
        t = torch.arange(4 * block, dtype=torch.float64)
        wave = torch.stack([(omega * t).cos(), (omega * t).sin()], -1)[None, None]
        pooled = mean_pool(wave, block).norm(dim=-1).flatten()
        theory = abs(math.sin(omega * block / 2) / (block * math.sin(omega / 2)))
        assert pooled.tolist() == pytest.approx([theory] * 4, abs=1e-9)


@pytest.mark.slow
def test_the_flex_backend_gives_the_same():
    q, k, v = drawn(256, 256, kv_heads=2, dim=32)
    grid = grid_of(q, k, 128)
    mask = torch.ones(2, 4, 2, 2, dtype=torch.bool) & grid.causal()
    mask[:, 1, 1, 0] = False
    found = block_sparse_attention(q, k, v, mask, 128, backend="flex")
    assert torch.allclose(found, block_sparse_attention(q, k, v, mask, 128), atol=1e-5)


def test_wrong_input_is_named():
    q, k, v = drawn(64, 64)
    causal = Grid(64, 64, 16).causal().expand(2, 4, -1, -1)
    with pytest.raises(ValueError, match="block: got 100, wanted a power of two"):
        Grid(64, 64, 100)
    with pytest.raises(ValueError, match="got 0 queries"):
        grid_of(q[:, :, :0], k, 16)
    with pytest.raises(ValueError, match="got 64 queries and 32 keys"):
        grid_of(q, k[:, :, :32], 16)
    with pytest.raises(ValueError, match="query and 3 key heads"):
        grid_of(q, k.repeat(1, 2, 1, 1)[:, :3], 16)
    with pytest.raises(ValueError, match="equal B and d"):
        grid_of(q[..., :8], k, 16)
    with pytest.raises(ValueError, match=r"mask: got torch\.float32"):
        block_sparse_attention(q, k, v, causal.float(), 16)
    with pytest.raises(ValueError, match="lie after the queries"):
        block_sparse_attention(q, k, v, torch.ones_like(causal), 16)
    with pytest.raises(ValueError, match="backend: got 'fast'"):
        block_sparse_attention(q, k, v, causal, 16, backend="fast")
